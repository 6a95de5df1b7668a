//! Times in the reader's zone, and durations as people say them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A time of the server in the reader's zone; what is no time is shown as it is.
pub(crate) fn moment(text: &str, zone: &TimeZone) -> String {
    format(text, zone, "%Y-%m-%d %H:%M:%S")
}

/// The same with the zone.
pub(crate) fn moment_with_zone(text: &str, zone: &TimeZone) -> String {
    format(text, zone, "%Y-%m-%d %H:%M:%S %Z")
}

fn format(text: &str, zone: &TimeZone, pattern: &str) -> String {
    match squall_wire::parse(text) {
        Some(at) if !text.is_empty() => at.to_zoned(zone.clone()).strftime(pattern).to_string(),
        _ => text.to_owned(),
    }
}

/// A duration in milliseconds as people say it: `40ms`, `0.3s`, `12.4s`, `3m 05s`, `2h 13m`, `4d 02h`.
fn duration(millis: i64) -> String {
    let millis = millis.max(0);
    if millis < 100 {
        return format!("{millis}ms");
    }
    let seconds = millis / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}.{}s", millis % 1000 / 100),
        60..3600 => format!("{minutes}m {:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {:02}h", hours % 24),
    }
}

/// How long from one time of the server to another, or to now if the second is empty.
pub(crate) fn between(start: &str, end: &str, now: Timestamp) -> Option<String> {
    let start = squall_wire::parse(start)?;
    let end = if end.is_empty() {
        now
    } else {
        squall_wire::parse(end)?
    };
    Some(duration(end.as_millisecond() - start.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_as_people_say_them() {
        for (millis, expect) in [
            (-5, "0ms"),
            (40, "40ms"),
            (340, "0.3s"),
            (12_499, "12.4s"),
            (59_999, "59.9s"),
            (185_000, "3m 05s"),
            (7_999_000, "2h 13m"),
            (352_800_000, "4d 02h"),
        ] {
            assert_eq!(duration(millis), expect);
        }
    }

    #[test]
    fn times_are_shown_in_the_readers_zone() {
        let zone = TimeZone::get("Europe/Paris").unwrap();
        for (text, expect) in [
            ("2026-03-14T09:26:53.589793Z", "2026-03-14 10:26:53 CET"),
            ("2026-07-14T09:26:53.000000Z", "2026-07-14 11:26:53 CEST"),
            ("soon", "soon"),
            ("", ""),
        ] {
            assert_eq!(moment_with_zone(text, &zone), expect);
        }
    }

    #[test]
    fn what_runs_is_measured_to_now() {
        let now = squall_wire::parse("2026-03-14T09:30:00Z").unwrap();
        let between = |end| between("2026-03-14T09:26:55Z", end, now);
        assert_eq!(between("").as_deref(), Some("3m 05s"));
        assert_eq!(
            between("2026-03-14T09:26:55.250000Z").as_deref(),
            Some("0.2s")
        );
        assert_eq!(between("?"), None);
    }
}
