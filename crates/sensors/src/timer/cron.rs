//! When a cron timer fires, by the rules of APScheduler 3, which StackStorm's cron timers use.
//!
//! A search starts at a wall-clock time in the timer's zone and walks the fields from the year
//! down. Times are a wall clock and the side of an overlap on which it stands, as in Python:
//! where clocks are put back, a time that comes twice fires twice; where they are put forward, a
//! time that does not exist fires as much after the gap as it lies in it.
//!
//! One thing differs on purpose. APScheduler steps to "midnight of the next day" (or of the next
//! month) by elapsed time, so that when clocks are put forward on the way it arrives at 01:00 and
//! skips the whole day or month: `day: 1, hour: 0` in New York never fires on 1 April. Here such a
//! step arrives at midnight.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::Error;
use super::expression::{Expressions, Field};

/// In so many years there is one of every kind (leap or not, after a leap year or not, beginning on
/// each of the weekdays), so that what matches none of them never matches.
const YEARS_MAX: u32 = 100;
/// Bounds the search within those years: a step where it can be long is at least a day.
const STEPS_MAX: u32 = 120_000;

/// A parsed cron timer.
#[derive(Debug, Clone)]
pub(super) struct Cron {
    fields: [Expressions; 8],
    zone: TimeZone,
}

/// A wall-clock time and, where that comes twice, whether the second one is meant.
#[derive(Debug, Clone, Copy)]
struct Local {
    wall: DateTime,
    second: bool,
}

/// The end of representable time, or of the search.
struct NoMatch;

impl Cron {
    /// `texts` in the order of [`Field::ALL`].
    pub(super) fn new(texts: &[Option<String>; 8], zone: TimeZone) -> Result<Cron, Error> {
        let last_given = texts.iter().rposition(Option::is_some);
        let text = |index: usize| match &texts[index] {
            Some(text) => text.as_str(),
            None if last_given.is_some_and(|last| index > last) => Field::ALL[index].default_text(),
            None => "*",
        };
        let mut fields = Vec::with_capacity(8);
        for (index, field) in Field::ALL.into_iter().enumerate() {
            fields.push(Expressions::parse(field, text(index))?);
        }
        let fields = fields
            .try_into()
            .expect("one expression was pushed for each of the fields");
        Ok(Cron { fields, zone })
    }

    /// The first time after `after` at which this timer fires.
    pub(super) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let mut from = after.checked_add(SignedDuration::from_nanos(1)).ok()?;
        // A time in a gap may be found from a wall clock that is later than it; then the search
        // goes on behind it.
        loop {
            let found = self.search(self.local(ceil(from)?)).ok()?;
            let instant = self.instant(found).ok()?;
            if instant > after {
                return Some(instant);
            }
            from = from.checked_add(SignedDuration::from_secs(1)).ok()?;
        }
    }

    fn search(&self, start: Local) -> Result<Local, NoMatch> {
        let mut local = start;
        let mut index = 0;
        let (mut steps, mut years) = (0, 0);
        while index < Field::ALL.len() {
            steps += 1;
            years += u32::from(index == 0);
            if steps > STEPS_MAX || years > YEARS_MAX {
                return Err(NoMatch);
            }
            let field = Field::ALL[index];
            let date = local.wall.date();
            let current = value(field, local.wall);
            let next = self.fields[index].next(field, current, maximum(field, date), date);
            match next {
                Some(next) if next <= current => index += 1,
                Some(next) if !matches!(field, Field::Week | Field::DayOfWeek) => {
                    local.wall = with_value(local.wall, field, next)?;
                    index += 1;
                }
                Some(_) => (local, index) = self.increment(local, index)?,
                None => {
                    (local, index) = self.increment(local, index.checked_sub(1).ok_or(NoMatch)?)?
                }
            }
        }
        Ok(local)
    }

    /// Steps to the next value of the field at `index`, or of the first more significant one that
    /// has a next value, everything below at its minimum; returns the index of that field.
    fn increment(&self, local: Local, mut index: usize) -> Result<(Local, usize), NoMatch> {
        loop {
            let field = Field::ALL[index];
            let is_real = !matches!(field, Field::Week | Field::DayOfWeek);
            let current = value(field, local.wall);
            if is_real && current < maximum(field, local.wall.date()) {
                let target = with_value(local.wall, field, current + 1)?;
                return Ok((self.step_to(local, target, field)?, index));
            }
            index = index.checked_sub(1).ok_or(NoMatch)?;
        }
    }

    /// Goes from `local` to the wall clock `target` by the time that lies between them.
    fn step_to(&self, local: Local, target: DateTime, field: Field) -> Result<Local, NoMatch> {
        let distance = target.duration_since(local.wall);
        let instant = self
            .instant(local)?
            .checked_add(distance)
            .map_err(|_| NoMatch)?;
        let landed = self.local(instant);
        if landed.wall > target && field <= Field::Day {
            return Ok(Local {
                wall: target,
                second: false,
            });
        }
        Ok(landed)
    }

    fn local(&self, instant: Timestamp) -> Local {
        let offset = self.zone.to_offset(instant);
        let wall = offset.to_datetime(instant);
        let second = match self.zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Fold { after, .. } => after == offset,
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => false,
        };
        Local { wall, second }
    }

    fn instant(&self, local: Local) -> Result<Timestamp, NoMatch> {
        let offset = match self.zone.to_ambiguous_timestamp(local.wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after } => {
                if local.second {
                    after
                } else {
                    before
                }
            }
        };
        offset.to_timestamp(local.wall).map_err(|_| NoMatch)
    }
}

/// `instant`, or the next whole second.
fn ceil(instant: Timestamp) -> Option<Timestamp> {
    let whole = Timestamp::from_second(instant.as_second()).ok()?;
    if whole >= instant {
        Some(whole)
    } else {
        whole.checked_add(SignedDuration::from_secs(1)).ok()
    }
}

fn value(field: Field, wall: DateTime) -> i64 {
    match field {
        Field::Year => i64::from(wall.year()),
        Field::Month => i64::from(wall.month()),
        Field::Day => i64::from(wall.day()),
        Field::Week => i64::from(wall.date().iso_week_date().week()),
        Field::DayOfWeek => i64::from(wall.weekday().to_monday_zero_offset()),
        Field::Hour => i64::from(wall.hour()),
        Field::Minute => i64::from(wall.minute()),
        Field::Second => i64::from(wall.second()),
    }
}

fn maximum(field: Field, date: Date) -> i64 {
    match field {
        Field::Day => i64::from(date.days_in_month()),
        _ => field.range().1,
    }
}

/// `wall` with `field` set and everything less significant at its minimum.
fn with_value(wall: DateTime, field: Field, new: i64) -> Result<DateTime, NoMatch> {
    let part = |of: Field, minimum: i64| match field.cmp(&of) {
        std::cmp::Ordering::Less => minimum,
        std::cmp::Ordering::Equal => new,
        std::cmp::Ordering::Greater => value(of, wall),
    };
    // Every value comes from a field's range, so the narrowing keeps it.
    let small = |of: Field, minimum: i64| part(of, minimum) as i8;
    let date = Date::new(
        part(Field::Year, 1970) as i16,
        small(Field::Month, 1),
        small(Field::Day, 1),
    )
    .map_err(|_| NoMatch)?;
    let time = Time::new(
        small(Field::Hour, 0),
        small(Field::Minute, 0),
        small(Field::Second, 0),
        0,
    )
    .map_err(|_| NoMatch)?;
    Ok(date.to_datetime(time))
}
