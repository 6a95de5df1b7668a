//! What an operator may set about how the engine works: what is kept for how long, what timers do
//! about times they missed, which events the server makes of itself.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo};
use squall_engine::{Retention, Settings, sources};
use squall_sensors::timer::{Misfire, MisfirePolicy};

/// Options about retention, timers and internal events.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Retention and events")]
pub(crate) struct TuningOptions {
    /// How long executions and their results are kept after the end of the topmost one: `90d`,
    /// `12h`, `1w 2d`, or `forever`.
    #[arg(
        long,
        env = "SQUALL_KEEP_EXECUTIONS",
        value_name = "AGE",
        default_value = "90d"
    )]
    keep_executions: Age,
    /// How long what actions printed is kept after their end.
    #[arg(
        long,
        env = "SQUALL_KEEP_OUTPUT",
        value_name = "AGE",
        default_value = "30d"
    )]
    keep_output: Age,
    /// How long events and enforcements are kept.
    #[arg(
        long,
        env = "SQUALL_KEEP_EVENTS",
        value_name = "AGE",
        default_value = "30d"
    )]
    keep_events: Age,
    /// How long it is kept who did what, or was refused.
    #[arg(
        long,
        env = "SQUALL_KEEP_AUDIT",
        value_name = "AGE",
        default_value = "400d"
    )]
    keep_audit: Age,
    /// How far back a client of the event stream can resume.
    #[arg(
        long,
        env = "SQUALL_KEEP_CHANGES",
        value_name = "AGE",
        default_value = "1d"
    )]
    keep_changes: Age,
    /// How long a repeated delivery of an event counts as the first one.
    #[arg(long, env = "SQUALL_DEDUPE", value_name = "AGE", default_value = "1d")]
    dedupe: Age,
    /// How long an action that is canceled, or runs when the server stops, may take to end by
    /// itself.
    #[arg(long, env = "SQUALL_GRACE", value_name = "TIME", default_value = "10s")]
    grace: Age,
    /// What a timer does about times that it missed: nothing (`skip`), one late tick for all of
    /// them (`once`), or a late tick for each, at most 100 at once (`all`).
    #[arg(long, env = "SQUALL_TIMER_MISFIRE", default_value = "once")]
    timer_misfire: MisfireName,
    /// What a timer missed longer ago than this is dropped in any case.
    #[arg(
        long,
        env = "SQUALL_TIMER_WINDOW",
        value_name = "AGE",
        default_value = "1h"
    )]
    timer_window: Age,
    /// The time zone of timers that name none, such as `Europe/Berlin`.
    #[arg(long, env = "SQUALL_TIME_ZONE", value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    time_zone: TimeZone,
    /// Make an event of every end of an execution and of all else that happens inside, as
    /// StackStorm does, and not only where an enabled rule listens.
    #[arg(long, env = "SQUALL_ALL_INTERNAL_TRIGGERS")]
    all_internal_triggers: bool,
}

/// What happens to missed times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum MisfireName {
    /// They are dropped.
    Skip,
    /// The latest of them fires, late.
    Once,
    /// Each of them fires, late.
    All,
}

/// A length of time as people write it; `None` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Age(Option<Duration>);

/// Not a length of time.
#[derive(Debug, Clone, thiserror::Error)]
#[error("it must be a length of time such as `90d`, `12h`, `30m`, `1w 2d`, or `forever`")]
struct NotAnAge;

impl FromStr for Age {
    type Err = NotAnAge;

    fn from_str(text: &str) -> Result<Age, NotAnAge> {
        if text == "forever" {
            return Ok(Age(None));
        }
        let span: Span = text.parse().map_err(|_| NotAnAge)?;
        // Months and years have no fixed length, and are refused here.
        let length = span.to_duration(SpanRelativeTo::days_are_24_hours());
        let length = length
            .ok()
            .and_then(|length| Duration::try_from(length).ok());
        length.map(|length| Age(Some(length))).ok_or(NotAnAge)
    }
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|error| error.to_string())
}

impl Default for TuningOptions {
    fn default() -> TuningOptions {
        let days = |days: u64| Age(Some(Duration::from_secs(days * 24 * 60 * 60)));
        TuningOptions {
            keep_executions: days(90),
            keep_output: days(30),
            keep_events: days(30),
            keep_audit: days(400),
            keep_changes: days(1),
            dedupe: days(1),
            grace: Age(Some(Duration::from_secs(10))),
            timer_misfire: MisfireName::Once,
            timer_window: Age(Some(Duration::from_secs(60 * 60))),
            time_zone: TimeZone::UTC,
            all_internal_triggers: false,
        }
    }
}

impl TuningOptions {
    /// Puts what was asked for into the engine's settings.
    pub(crate) fn apply(&self, settings: &mut Settings) {
        // So long that nobody sees its end, and that it can still be added to a date.
        let ever = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        settings.retention = Retention {
            executions: self.keep_executions.0,
            output: self.keep_output.0,
            trigger_instances: self.keep_events.0,
            audit: self.keep_audit.0,
            changes: self.keep_changes.0,
        };
        settings.dedupe = self.dedupe.0.unwrap_or(ever);
        settings.grace = self.grace.0.unwrap_or(ever);
        settings.all_internal_triggers = self.all_internal_triggers;
    }

    /// Puts what was asked for into the settings of event sources.
    pub(crate) fn apply_to_sources(&self, settings: &mut sources::Settings) {
        let window = self.timer_window.0.map(SignedDuration::try_from);
        settings.misfire = Misfire {
            policy: match self.timer_misfire {
                MisfireName::Skip => MisfirePolicy::Skip,
                MisfireName::Once => MisfirePolicy::Once,
                MisfireName::All => MisfirePolicy::All,
            },
            window: window.and_then(Result::ok).unwrap_or(SignedDuration::MAX),
            ..Misfire::default()
        };
        settings.time_zone = self.time_zone.clone();
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        tuning: TuningOptions,
    }

    #[test]
    fn ages_are_written_as_people_write_them() {
        let hours = |hours: u64| Some(Some(Duration::from_secs(hours * 3600)));
        for (text, expected) in [
            ("90d", hours(90 * 24)),
            ("12h", hours(12)),
            ("1w 2d", hours(9 * 24)),
            ("90 days", hours(90 * 24)),
            ("120m", hours(2)),
            ("forever", Some(None)),
            ("1 month", None),
            ("-1d", None),
            ("90", None),
            ("", None),
            ("soon", None),
        ] {
            let age = text.parse::<Age>().ok().map(|age| age.0);
            assert_eq!(age, expected, "{text}");
        }
    }

    #[test]
    fn options_reach_the_engine_and_defaults_are_those_of_the_engine() {
        let parse = |words: &[&str]| Line::try_parse_from(words);
        let (mut settings, mut sources) = (Settings::default(), sources::Settings::new("x"));
        let expected = format!("{settings:?} {sources:?}");
        let plain = parse(&["x"]).unwrap().tuning;
        plain.apply(&mut settings);
        plain.apply_to_sources(&mut sources);
        assert_eq!(format!("{settings:?} {sources:?}"), expected);
        assert_eq!(
            format!("{plain:?}"),
            format!("{:?}", TuningOptions::default())
        );

        let words = ["x", "--keep-executions", "forever", "--keep-output", "1h"];
        let more = ["--timer-misfire", "all", "--timer-window", "2h"];
        let last = ["--time-zone", "Europe/Berlin", "--all-internal-triggers"];
        let set = parse(&[&words[..], &more, &last].concat()).unwrap().tuning;
        set.apply(&mut settings);
        set.apply_to_sources(&mut sources);
        assert_eq!(settings.retention.executions, None);
        assert_eq!(settings.retention.output, Some(Duration::from_secs(3600)));
        assert!(settings.all_internal_triggers);
        assert_eq!(sources.misfire.policy, MisfirePolicy::All);
        assert_eq!(sources.misfire.window, SignedDuration::from_hours(2));
        assert_eq!(sources.time_zone.iana_name(), Some("Europe/Berlin"));
        for wrong in [
            ["x", "--keep-output", "1 month"],
            ["x", "--time-zone", "Mars/Base"],
        ] {
            assert!(parse(&wrong).is_err(), "{wrong:?}");
        }
    }
}
