//! Timers: when StackStorm's three timer triggers are due, and what to do with times that were
//! missed. Pure: the time is an argument everywhere.
//!
//! [`Schedule`] knows when a timer is due, [`Timer::step`] decides what happens now, and
//! [`TimerSet`] holds many timers in order of their next due time.

mod cron;
mod date;
mod expression;
mod set;
mod step;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use squall_value::{Dict, Value};

use cron::Cron;
use expression::Field;

pub use set::TimerSet;
pub use step::{Misfire, MisfirePolicy, State, Step, Tick, Timer, TimerTrigger};

/// Fires every so many seconds, minutes, hours, days or weeks.
pub const INTERVAL_TIMER: &str = "core.st2.IntervalTimer";
/// Fires once.
pub const DATE_TIMER: &str = "core.st2.DateTimer";
/// Fires at all times that match its fields.
pub const CRON_TIMER: &str = "core.st2.CronTimer";

/// Why the parameters of a timer make no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The trigger type is none of the three timers.
    #[error("`{0}` is no timer; timers are {INTERVAL_TIMER}, {DATE_TIMER} and {CRON_TIMER}")]
    UnknownType(String),
    /// The parameters are no dictionary.
    #[error("the parameters of a timer must be a dictionary, not {0}")]
    NotADictionary(&'static str),
    /// A parameter that this timer does not have.
    #[error("unknown parameter `{name}`; this timer takes {known}")]
    UnknownParameter {
        /// As written.
        name: String,
        /// What it could have been.
        known: String,
    },
    /// A parameter that this timer needs is absent.
    #[error("the parameter `{0}` is missing")]
    Missing(&'static str),
    /// A parameter that can't have this value.
    #[error("the parameter `{name}` is {found}; it must be {expected}")]
    Invalid {
        /// Which one.
        name: &'static str,
        /// What was found.
        found: String,
        /// What can stand there.
        expected: String,
    },
    /// A field of a cron timer that can't be read.
    #[error("the field `{field}` is `{text}`: {reason}")]
    Field {
        /// Which one.
        field: &'static str,
        /// Its text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A cron timer that matches no time at all.
    #[error("no date of any year matches these fields")]
    NeverFires,
}

/// When a timer is due.
#[derive(Debug, Clone)]
pub struct Schedule {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Due at `anchor` plus every whole multiple of `every`, the first one excepted.
    Interval {
        every: SignedDuration,
        anchor: Timestamp,
    },
    Date(Timestamp),
    Cron(Box<Cron>),
}

impl Schedule {
    /// Reads the parameters of a trigger of type `trigger_type`.
    ///
    /// `anchor` is what an interval counts from: the time at which the trigger was created, kept
    /// over restarts, so that the grid of due times stays. `default_zone` holds where the
    /// parameters name no `timezone`.
    ///
    /// # Errors
    ///
    /// [`Error`], which names the parameter and what it must be.
    pub fn parse(
        trigger_type: &str,
        parameters: &Value,
        anchor: Timestamp,
        default_zone: &TimeZone,
    ) -> Result<Schedule, Error> {
        let Some(parameters) = parameters.as_dict() else {
            return Err(Error::NotADictionary(parameters.kind()));
        };
        let zone = zone(parameters, default_zone)?;
        let kind = match trigger_type {
            INTERVAL_TIMER => interval(parameters, anchor)?,
            DATE_TIMER => Kind::Date(date_parameter(parameters, &zone)?),
            CRON_TIMER => Kind::Cron(Box::new(cron(parameters, anchor, zone)?)),
            other => return Err(Error::UnknownType(other.to_owned())),
        };
        Ok(Schedule { kind })
    }

    /// The first due time after `after`, `None` if there is none.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.kind {
            Kind::Interval { every, anchor } => {
                let elapsed = after.duration_since(*anchor).as_nanos().max(0);
                let periods = elapsed / every.as_nanos() + 1;
                let offset = i64::try_from(every.as_nanos() * periods / 1_000_000_000).ok()?;
                anchor.checked_add(SignedDuration::from_secs(offset)).ok()
            }
            Kind::Date(due) => (*due > after).then_some(*due),
            Kind::Cron(cron) => cron.next_after(after),
        }
    }
}

fn refuse_unknown(parameters: &Dict, known: &[&str]) -> Result<(), Error> {
    match parameters.keys().find(|name| !known.contains(&&***name)) {
        None => Ok(()),
        Some(name) => Err(Error::UnknownParameter {
            name: name.to_string(),
            known: known.join(", "),
        }),
    }
}

/// The parameter `name`; null is as good as absent.
fn given<'a>(parameters: &'a Dict, name: &str) -> Option<&'a Value> {
    parameters.get(name).filter(|value| !value.is_null())
}

fn invalid(name: &'static str, found: &Value, expected: impl Into<String>) -> Error {
    let mut found = found.to_json();
    if found.len() > 100 {
        let end = found.floor_char_boundary(100);
        found.truncate(end);
        found.push_str("...");
    }
    Error::Invalid {
        name,
        found,
        expected: expected.into(),
    }
}

fn zone(parameters: &Dict, default_zone: &TimeZone) -> Result<TimeZone, Error> {
    let Some(value) = given(parameters, "timezone") else {
        return Ok(default_zone.clone());
    };
    let expected = "the name of a time zone, such as `UTC` or `Europe/Berlin`";
    let name = value
        .as_str()
        .ok_or_else(|| invalid("timezone", value, expected))?;
    TimeZone::get(name).map_err(|_| invalid("timezone", value, expected))
}

fn interval(parameters: &Dict, anchor: Timestamp) -> Result<Kind, Error> {
    refuse_unknown(parameters, &["timezone", "unit", "delta"])?;
    let unit = given(parameters, "unit").ok_or(Error::Missing("unit"))?;
    let seconds: i64 = match unit.as_str() {
        Some("seconds") => 1,
        Some("minutes") => 60,
        Some("hours") => 3_600,
        Some("days") => 86_400,
        Some("weeks") => 604_800,
        _ => {
            let expected = "one of `weeks`, `days`, `hours`, `minutes`, `seconds`";
            return Err(invalid("unit", unit, expected));
        }
    };
    let delta = given(parameters, "delta").ok_or(Error::Missing("delta"))?;
    // As much as Python's `timedelta` holds.
    let delta_max = 86_400 * 999_999_999 / seconds;
    let every = delta
        .as_int()
        .filter(|delta| (0..=delta_max).contains(delta))
        .ok_or_else(|| {
            let expected = format!("a whole number from 1 to {delta_max}");
            invalid("delta", delta, expected)
        })?;
    Ok(Kind::Interval {
        // An interval of nothing is one second, as it is for StackStorm.
        every: SignedDuration::from_secs((every * seconds).max(1)),
        anchor,
    })
}

fn date_parameter(parameters: &Dict, zone: &TimeZone) -> Result<Timestamp, Error> {
    refuse_unknown(parameters, &["timezone", "date"])?;
    let value = given(parameters, "date").ok_or(Error::Missing("date"))?;
    let text = value
        .as_str()
        .ok_or_else(|| invalid("date", value, "a text such as `2031-12-31 23:59:59`"))?;
    date::parse(text, zone).map_err(|reason| {
        let expected = format!("a date and time such as `2031-12-31 23:59:59`: {reason}");
        invalid("date", value, expected)
    })
}

fn cron(parameters: &Dict, anchor: Timestamp, zone: TimeZone) -> Result<Cron, Error> {
    let mut known = vec!["timezone"];
    known.extend(Field::ALL.map(Field::name));
    refuse_unknown(parameters, &known)?;
    let mut texts: [Option<String>; 8] = Default::default();
    for (text, field) in texts.iter_mut().zip(Field::ALL) {
        let Some(value) = given(parameters, field.name()) else {
            continue;
        };
        *text = Some(match value {
            Value::String(text) => text.to_string(),
            Value::Int(number) => number.to_string(),
            other => return Err(invalid(field.name(), other, "a text or a whole number")),
        });
    }
    let cron = Cron::new(&texts, zone)?;
    // A timer whose years are over is no mistake; one that no calendar can match is.
    let earliest = Timestamp::from_second(0)
        .expect("the epoch is representable")
        .min(anchor);
    if cron.next_after(earliest).is_none() {
        return Err(Error::NeverFires);
    }
    Ok(cron)
}

#[cfg(test)]
mod step_tests;
#[cfg(test)]
mod tests;
