//! Times as StackStorm writes them: UTC, six digits after the point.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// With microseconds: `2026-03-14T09:26:53.589793Z`.
#[must_use]
pub fn timestamp(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
        .to_string()
}

/// With milliseconds, in the same width: `2026-03-14T09:26:53.589000Z`.
#[must_use]
pub fn millis(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%dT%H:%M:%S.%3f000Z")
        .to_string()
}

/// With seconds: `2026-03-14T09:26:53Z`.
#[must_use]
pub fn seconds(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// A time as clients send it: with `Z`, with an offset, or without either, which means UTC.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let local: jiff::civil::DateTime = text.parse().ok()?;
        local
            .to_zoned(TimeZone::UTC)
            .ok()
            .map(|zoned| zoned.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_digits() {
        let at = parse("2026-03-14T09:26:53.589793Z").unwrap();
        assert_eq!(timestamp(at), "2026-03-14T09:26:53.589793Z");
        assert_eq!(millis(at), "2026-03-14T09:26:53.589000Z");
        assert_eq!(seconds(at), "2026-03-14T09:26:53Z");
        assert_eq!(parse("2026-03-14 10:26:53.589793+01:00"), Some(at));
        assert_eq!(parse("2026-03-14T09:26:53.589793"), Some(at));
        assert_eq!(parse("yesterday"), None);
    }
}
