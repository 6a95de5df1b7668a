//! The date of a date timer.
//!
//! StackStorm reads it with dateutil, which takes nearly any text. Here stand the forms that have
//! one meaning: a text that leaves out a part of the date, which dateutil fills from the day on
//! which it happens to be read, is refused.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// Longer texts are no dates.
const LENGTH_MAX: usize = 100;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Reads a date and time; `zone` holds where the text has no offset of its own.
///
/// # Errors
///
/// What could not be understood, to stand behind "it must be a date".
pub(super) fn parse(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    if text.len() > LENGTH_MAX {
        return Err(format!("the text is longer than {LENGTH_MAX} bytes"));
    }
    let mut reader = Reader::default();
    for word in words(text) {
        reader.word(word)?;
    }
    let wall = reader.wall()?;
    let instant = match reader.offset {
        Some(offset) => offset.to_timestamp(wall),
        None => zone.to_ambiguous_timestamp(wall).compatible(),
    };
    instant.map_err(|_| "the time is out of range".to_owned())
}

/// Splits at white space, commas, and the `T` between date and time.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c == ',')
        .flat_map(|word| {
            let at = word
                .bytes()
                .enumerate()
                .find(|(at, byte)| {
                    byte.eq_ignore_ascii_case(&b'T')
                        && *at > 0
                        && word.as_bytes()[at - 1].is_ascii_digit()
                        && word.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit)
                })
                .map(|(at, _)| at);
            match at {
                Some(at) => [&word[..at], &word[at + 1..]],
                None => [word, ""],
            }
        })
        .filter(|word| !word.is_empty())
}

#[derive(Default)]
struct Reader {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    time: Option<Time>,
    afternoon: Option<bool>,
    offset: Option<Offset>,
}

impl Reader {
    fn word(&mut self, word: &str) -> Result<(), String> {
        let unknown = || format!("`{word}` is not understood");
        let lower = word.trim_end_matches('.').to_ascii_lowercase();
        if lower.as_bytes()[0].is_ascii_digit() {
            return if lower.contains(':') {
                self.time(&lower).ok_or_else(unknown)
            } else {
                self.digits(&lower).ok_or_else(unknown)
            };
        }
        if let Some(month) = named(&lower, &MONTHS) {
            return set(&mut self.month, month + 1).ok_or_else(unknown);
        }
        match &*lower {
            "am" | "pm" => set(&mut self.afternoon, lower == "pm").ok_or_else(unknown),
            "utc" | "gmt" | "z" => set(&mut self.offset, Offset::UTC).ok_or_else(unknown),
            _ if lower.starts_with(['+', '-']) && self.time.is_some() => {
                let offset = offset(&lower).ok_or_else(unknown)?;
                set(&mut self.offset, offset).ok_or_else(unknown)
            }
            _ if named(&lower, &WEEKDAYS).is_some() || lower == "at" || lower == "on" => Ok(()),
            _ => Err(unknown()),
        }
    }

    /// `2031-12-31`, `2031/12/31`, `12/31/2031`, `20311231`, `31`, `31st`, `2031`, `11pm`.
    fn digits(&mut self, word: &str) -> Option<()> {
        if let Some(hour) = word.strip_suffix("am").or(word.strip_suffix("pm")) {
            set(&mut self.time, Time::new(hour.parse().ok()?, 0, 0, 0).ok()?)?;
            return set(&mut self.afternoon, word.ends_with("pm"));
        }
        let separator = word.chars().find(|c| matches!(c, '-' | '/' | '.'));
        let Some(separator) = separator else {
            return self.bare_number(word);
        };
        let parts: Vec<&str> = word.split(separator).collect();
        let [first, second, third] = parts[..] else {
            return None;
        };
        let month = |text: &str| match named(text, &MONTHS) {
            Some(month) => Some(month + 1),
            None => text.parse().ok(),
        };
        if first.len() == 4 {
            set(&mut self.year, first.parse().ok()?)?;
            set(&mut self.month, month(second)?)?;
            return set(&mut self.day, third.parse().ok()?);
        }
        if third.len() != 4 {
            return None;
        }
        set(&mut self.year, third.parse().ok()?)?;
        // As dateutil: the month stands first, unless that is impossible.
        let (a, b) = (first.parse::<i8>().ok()?, month(second)?);
        let month_first = a <= 12 && second.bytes().all(|byte| byte.is_ascii_digit());
        let (month, day) = if month_first { (a, b) } else { (b, a) };
        set(&mut self.month, month)?;
        set(&mut self.day, day)
    }

    fn bare_number(&mut self, word: &str) -> Option<()> {
        let number = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let suffix = &word[number.len()..];
        if !matches!(suffix, "" | "st" | "nd" | "rd" | "th" | "z") || !is_number(number) {
            return None;
        }
        match (number.len(), suffix) {
            (8, "" | "z") if self.year.is_none() => {
                set(&mut self.year, number[..4].parse().ok()?)?;
                set(&mut self.month, number[4..6].parse().ok()?)?;
                set(&mut self.day, number[6..].parse().ok()?)
            }
            (6, "" | "z") if self.day.is_some() => {
                let part = |at: usize| number[at..at + 2].parse::<i8>().ok();
                let time = Time::new(part(0)?, part(2)?, part(4)?, 0).ok()?;
                if suffix == "z" {
                    set(&mut self.offset, Offset::UTC)?;
                }
                set(&mut self.time, time)
            }
            (4, "") => set(&mut self.year, number.parse().ok()?),
            (1 | 2, "" | "st" | "nd" | "rd" | "th") => set(&mut self.day, number.parse().ok()?),
            _ => None,
        }
    }

    /// `23:59`, `23:59:59.123456`, with `am`, `pm`, `Z` or an offset behind.
    fn time(&mut self, word: &str) -> Option<()> {
        let end = word
            .find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.'))
            .unwrap_or(word.len());
        let (clock, rest) = word.split_at(end);
        let mut parts = clock.split(':');
        let hour = small(parts.next()?)?;
        let minute = small(parts.next()?)?;
        let (second, fraction) = match parts.next() {
            None => (0, ""),
            Some(part) => match part.split_once('.') {
                Some((second, fraction)) => (small(second)?, fraction),
                None => (small(part)?, ""),
            },
        };
        if parts.next().is_some() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let fraction = &fraction[..fraction.len().min(6)];
        let micros: i32 = format!("{fraction:0<6}").parse().ok()?;
        set(
            &mut self.time,
            Time::new(hour, minute, second, micros * 1_000).ok()?,
        )?;
        match rest {
            "" => Some(()),
            "z" => set(&mut self.offset, Offset::UTC),
            "am" | "pm" => set(&mut self.afternoon, rest == "pm"),
            _ => set(&mut self.offset, offset(rest)?),
        }
    }

    fn wall(&self) -> Result<DateTime, String> {
        let (Some(year), Some(month), Some(day)) = (self.year, self.month, self.day) else {
            return Err("year, month and day must all be given".to_owned());
        };
        let date = Date::new(year, month, day)
            .map_err(|_| format!("there is no day {year:04}-{month:02}-{day:02}"))?;
        let time = self.time.unwrap_or(Time::midnight());
        let Some(afternoon) = self.afternoon else {
            return Ok(date.to_datetime(time));
        };
        if !(1..=12).contains(&time.hour()) {
            return Err("an hour with am or pm is from 1 to 12".to_owned());
        }
        let shift = match (time.hour(), afternoon) {
            (12, false) => -12,
            (1..=11, true) => 12,
            _ => 0,
        };
        date.to_datetime(time)
            .checked_add(SignedDuration::from_hours(shift))
            .map_err(|_| "the time is out of range".to_owned())
    }
}

/// Sets what was not set before.
fn set<T>(place: &mut Option<T>, value: T) -> Option<()> {
    if place.is_some() {
        return None;
    }
    *place = Some(value);
    Some(())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn small(text: &str) -> Option<i8> {
    (is_number(text) && text.len() <= 2).then(|| text.parse().ok())?
}

/// The index of a name, whole or as its first three (or, for `sept`, four) letters.
fn named(word: &str, names: &[&str]) -> Option<i8> {
    let index = names.iter().position(|name| {
        word == *name || word == &name[..3] || (word == "sept" && *name == "september")
    })?;
    Some(index as i8)
}

/// `+09:00`, `-0330`, `+09`.
fn offset(text: &str) -> Option<Offset> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = text[1..].replace(':', "");
    let (hours, minutes) = match digits.len() {
        2 => (small(&digits)?, 0),
        4 if digits.is_ascii() => (small(&digits[..2])?, small(&digits[2..])?),
        _ => return None,
    };
    if minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (i32::from(hours) * 3_600 + i32::from(minutes) * 60)).ok()
}
