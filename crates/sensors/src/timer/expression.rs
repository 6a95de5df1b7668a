//! The texts of a cron timer's fields: `*`, `*/a`, `a`, `a-b`, `a-b/c`, `a/c`, names of months and
//! weekdays, `3rd fri`, `last sun`, `last`, and lists of them.
//!
//! The grammar is APScheduler 3's, which StackStorm hands these texts to; where it reads a text
//! leniently (`jan foo` is `jan`), so do we, since a pack that worked must go on to work.

use std::fmt;

use jiff::civil::Date;

use super::Error;

/// One of the eight fields of a cron timer, most significant first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Year,
    Month,
    Day,
    Week,
    DayOfWeek,
    Hour,
    Minute,
    Second,
}

impl Field {
    pub(super) const ALL: [Field; 8] = [
        Field::Year,
        Field::Month,
        Field::Day,
        Field::Week,
        Field::DayOfWeek,
        Field::Hour,
        Field::Minute,
        Field::Second,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Field::Year => "year",
            Field::Month => "month",
            Field::Day => "day",
            Field::Week => "week",
            Field::DayOfWeek => "day_of_week",
            Field::Hour => "hour",
            Field::Minute => "minute",
            Field::Second => "second",
        }
    }

    /// Smallest and largest value; for `day` of the longest month.
    pub(super) fn range(self) -> (i64, i64) {
        match self {
            Field::Year => (1970, 9999),
            Field::Month => (1, 12),
            Field::Day => (1, 31),
            Field::Week => (1, 53),
            Field::DayOfWeek => (0, 6),
            Field::Hour => (0, 23),
            Field::Minute | Field::Second => (0, 59),
        }
    }

    /// What a field that was not given means when every more significant one is at its place.
    pub(super) fn default_text(self) -> &'static str {
        match self {
            Field::Year | Field::Week | Field::DayOfWeek => "*",
            Field::Month | Field::Day => "1",
            Field::Hour | Field::Minute | Field::Second => "0",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const POSITIONS: [&str; 6] = ["1st", "2nd", "3rd", "4th", "5th", "last"];

/// How many alternatives a list may have. A complete list of seconds has 60.
const ALTERNATIVES_MAX: usize = 512;

/// One alternative of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression {
    /// `first` to `last` (or to the field's end) in steps.
    Range {
        first: i64,
        last: Option<i64>,
        step: i64,
    },
    /// The n-th such weekday of a month, n from 0; `None` is the last one. Weekday 0 is Monday.
    Weekday { nth: Option<i8>, weekday: i8 },
    /// The last day of a month.
    LastDay,
}

/// The alternatives of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expressions {
    alternatives: Vec<Expression>,
}

impl Expressions {
    pub(super) fn parse(field: Field, text: &str) -> Result<Expressions, Error> {
        let fail = |reason: String| Error::Field {
            field: field.name(),
            text: text.to_owned(),
            reason,
        };
        let parts: Vec<&str> = text
            .trim()
            .split(',')
            .map(|part| part.trim_matches(' '))
            .collect();
        if parts.len() > ALTERNATIVES_MAX {
            return Err(fail(format!(
                "it lists more than {ALTERNATIVES_MAX} values"
            )));
        }
        let alternatives = parts
            .into_iter()
            .map(|part| parse_one(field, part).map_err(fail))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Expressions { alternatives })
    }

    /// The smallest value from `current` on that one of the alternatives allows, `None` if all are
    /// smaller. `maximum` is the field's largest value on `date`.
    pub(super) fn next(&self, field: Field, current: i64, maximum: i64, date: Date) -> Option<i64> {
        self.alternatives
            .iter()
            .filter_map(|expression| expression.next(field, current, maximum, date))
            .min()
    }
}

impl Expression {
    fn next(&self, field: Field, current: i64, maximum: i64, date: Date) -> Option<i64> {
        match *self {
            Expression::Range { first, last, step } => {
                let first = first.max(field.range().0);
                let last = last.map_or(maximum, |last| last.min(maximum));
                let from = first.max(current);
                let next = from + (step - (from - first) % step) % step;
                (next <= last).then_some(next)
            }
            Expression::Weekday { nth, weekday } => {
                let day = weekday_in_month(date, nth, weekday)?;
                (day >= i64::from(date.day())).then_some(day)
            }
            Expression::LastDay => Some(i64::from(date.days_in_month())),
        }
    }
}

/// The day of `date`'s month on which the n-th `weekday` falls.
fn weekday_in_month(date: Date, nth: Option<i8>, weekday: i8) -> Option<i64> {
    let days = i64::from(date.days_in_month());
    let first_weekday = date.first_of_month().weekday().to_monday_zero_offset();
    let first_hit = i64::from((weekday - first_weekday).rem_euclid(7)) + 1;
    let day = match nth {
        Some(nth) => first_hit + i64::from(nth) * 7,
        None => first_hit + (days - first_hit) / 7 * 7,
    };
    (day <= days).then_some(day)
}

fn parse_one(field: Field, text: &str) -> Result<Expression, String> {
    if let Some(range) = parse_star(text).or_else(|| parse_numbers(text)) {
        let range = range?;
        check_range(field, &range)?;
        return Ok(Expression::Range {
            first: range.first.unwrap_or(field.range().0),
            last: range.last,
            step: range.step.unwrap_or(1),
        });
    }
    match field {
        Field::Month => parse_names(text, &MONTHS, 1, "month"),
        Field::DayOfWeek => parse_names(text, &WEEKDAYS, 0, "weekday"),
        Field::Day => parse_day(text),
        _ => None,
    }
    .unwrap_or_else(|| Err(unrecognised(field, text)))
}

fn unrecognised(field: Field, text: &str) -> String {
    let (low, high) = field.range();
    let more = match field {
        Field::Month => ", or `jan` to `dec`",
        Field::DayOfWeek => ", or `mon` to `sun` (0 is Monday)",
        Field::Day => ", or such as `last`, `2nd fri`, `last sun`",
        _ => "",
    };
    format!(
        "`{text}` is none of `*`, `*/step`, `a`, `a-b`, `a-b/step` with numbers from {low} to {high}{more}"
    )
}

/// Numbers as written; `first` is `None` for a star.
struct Range {
    first: Option<i64>,
    last: Option<i64>,
    step: Option<i64>,
}

fn parse_star(text: &str) -> Option<Result<Range, String>> {
    let rest = text.strip_prefix('*')?;
    let step = match rest.strip_prefix('/') {
        Some(step) => Some(number(step)?),
        None if rest.is_empty() => None,
        None => return None,
    };
    Some(step.transpose().map(|step| Range {
        first: None,
        last: None,
        step,
    }))
}

fn parse_numbers(text: &str) -> Option<Result<Range, String>> {
    let (range, step) = match text.split_once('/') {
        Some((range, step)) => (range, Some(number(step)?)),
        None => (text, None),
    };
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (number(first)?, Some(number(last)?)),
        None => (number(range)?, None),
    };
    Some((|| {
        let (first, last, step) = (first?, last.transpose()?, step.transpose()?);
        let last = last.or((step.is_none()).then_some(first));
        if last.is_some_and(|last| first > last) {
            return Err(format!("the range `{range}` ends before it begins"));
        }
        Ok(Range {
            first: Some(first),
            last,
            step,
        })
    })())
}

/// `None` when `text` is not made of digits; an error when it is a number no field could hold.
fn number(text: &str) -> Option<Result<i64, String>> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = text.parse::<i32>().map(i64::from);
    Some(number.map_err(|_| format!("`{text}` is too large")))
}

fn check_range(field: Field, range: &Range) -> Result<(), String> {
    let (low, high) = field.range();
    if let Some(first) = range.first.filter(|first| *first < low) {
        return Err(format!("{first} is less than {low}, the least value"));
    }
    if let Some(last) = range.last.filter(|last| *last > high) {
        return Err(format!("{last} is more than {high}, the largest value"));
    }
    let Some(step) = range.step else {
        return Ok(());
    };
    if step == 0 {
        return Err("a step must be at least 1".to_owned());
    }
    // APScheduler takes a range that ends at 0 for one that has no end.
    let last = range.last.filter(|last| *last != 0).unwrap_or(high);
    let span = last - range.first.unwrap_or(low);
    if step > span || step > high - low {
        return Err(format!(
            "the step {step} is larger than the whole range ({span})"
        ));
    }
    Ok(())
}

/// The letters that `text` begins with, and what follows them.
fn letters(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    text.split_at(end)
}

fn parse_names(
    text: &str,
    names: &[&str],
    base: i64,
    what: &str,
) -> Option<Result<Expression, String>> {
    let (first, rest) = letters(text);
    if first.is_empty() {
        return None;
    }
    let last = rest
        .strip_prefix('-')
        .map(|rest| letters(rest).0)
        .filter(|last| !last.is_empty());
    Some(name_range(text, first, last.unwrap_or(first), |name| {
        Ok(name_index(name, names, what)? + base)
    }))
}

fn name_range(
    text: &str,
    first: &str,
    last: &str,
    index: impl Fn(&str) -> Result<i64, String>,
) -> Result<Expression, String> {
    let (first, last) = (index(first)?, index(last)?);
    if first > last {
        return Err(format!(
            "the range `{text}` ends before it begins; write it as a list of two ranges"
        ));
    }
    Ok(Expression::Range {
        first,
        last: Some(last),
        step: 1,
    })
}

fn name_index(name: &str, names: &[&str], what: &str) -> Result<i64, String> {
    names
        .iter()
        .position(|known| known.eq_ignore_ascii_case(name))
        .map(|index| index as i64)
        .ok_or_else(|| format!("`{name}` is no {what}; they are {}", names.join(", ")))
}

fn parse_day(text: &str) -> Option<Result<Expression, String>> {
    let lower = text.to_ascii_lowercase();
    let position = POSITIONS
        .iter()
        .position(|position| lower.starts_with(position));
    if let Some(index) = position {
        let rest = &lower[POSITIONS[index].len()..];
        let word = rest.trim_start_matches(' ');
        let end = word
            .char_indices()
            .find(|(_, c)| !c.is_alphanumeric() && *c != '_')
            .map_or(word.len(), |(at, _)| at);
        if rest.starts_with(' ') && end > 0 {
            return Some(
                name_index(&word[..end], &WEEKDAYS, "weekday").map(|weekday| Expression::Weekday {
                    nth: (index < 5).then_some(index as i8),
                    weekday: weekday as i8,
                }),
            );
        }
    }
    lower.starts_with("last").then_some(Ok(Expression::LastDay))
}
