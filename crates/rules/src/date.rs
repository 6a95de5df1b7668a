//! Dates in text, read as generously as payloads write them.
//!
//! `timediff` compares a date in a payload with the clock. StackStorm reads it with Python's
//! `dateutil`, which takes nearly anything; read here are ISO 8601 in all its common forms, RFC 2822
//! and HTTP dates, and month names, numbers with slashes or dots and times with `am` and `pm` in
//! any order. What is missing is taken from the day of `now`, at midnight. Without a zone, a date is
//! in UTC.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use squall_expr::{Error, Kind};

/// Longest text that is looked at.
const LENGTH_MAX: usize = 128;

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
const FILLERS: [&str; 10] = ["at", "on", "and", "ad", "m", "t", "of", "st", "nd", "th"];

/// Reads a moment.
///
/// # Errors
///
/// `ParserError`, as `dateutil` raises it.
pub(crate) fn parse(text: &str, now: Timestamp) -> Result<Timestamp, Error> {
    if text.len() > LENGTH_MAX {
        return Err(error(format!(
            "Unknown string format: a text of {} bytes",
            text.len()
        )));
    }
    Parser {
        text,
        tokens: tokens(text),
        next: 0,
        parts: Parts::default(),
    }
    .run(now)
}

fn error(message: impl Into<String>) -> Error {
    Error::new("ParserError", Kind::Value, message)
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(String),
    Word(String),
    Mark(char),
    Space,
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for c in text.chars() {
        match (tokens.last_mut(), c) {
            (Some(Token::Number(digits)), c) if c.is_ascii_digit() => digits.push(c),
            (_, c) if c.is_ascii_digit() => tokens.push(Token::Number(c.to_string())),
            (Some(Token::Word(word)), c) if c.is_alphabetic() => word.extend(c.to_lowercase()),
            (_, c) if c.is_alphabetic() => tokens.push(Token::Word(c.to_lowercase().collect())),
            (Some(Token::Space), c) if c.is_whitespace() => {}
            (_, c) if c.is_whitespace() => tokens.push(Token::Space),
            (_, c) => tokens.push(Token::Mark(c)),
        }
    }
    tokens
}

#[derive(Default)]
struct Parts {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    /// Numbers of the date whose meaning depends on the others.
    loose: Vec<(i64, usize)>,
    hour: Option<i64>,
    minute: i64,
    second: i64,
    nanosecond: i64,
    is_afternoon: Option<bool>,
    offset_seconds: Option<i64>,
    has_anything: bool,
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    next: usize,
    parts: Parts,
}

impl Parser<'_> {
    fn run(mut self, now: Timestamp) -> Result<Timestamp, Error> {
        while let Some(token) = self.bump() {
            match token {
                Token::Space => {}
                Token::Number(digits) => self.number(&digits)?,
                Token::Word(word) => self.word(&word)?,
                Token::Mark('+' | '-') if self.parts.hour.is_some() => self.offset()?,
                Token::Mark(',' | '-' | '/' | '.' | ';' | '\'') => {}
                Token::Mark(_) => return Err(self.unknown()),
            }
        }
        if !self.parts.has_anything {
            return Err(error(format!(
                "String does not contain a date: {}",
                self.text
            )));
        }
        self.resolve(now)
    }

    fn unknown(&self) -> Error {
        error(format!("Unknown string format: {}", self.text))
    }

    fn bump(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn take_mark(&mut self, mark: char) -> bool {
        let found = self.peek() == Some(&Token::Mark(mark));
        self.next += usize::from(found);
        found
    }

    fn take_number(&mut self) -> Option<String> {
        let Some(Token::Number(digits)) = self.peek() else {
            return None;
        };
        let digits = digits.clone();
        self.next += 1;
        Some(digits)
    }

    fn value(&self, digits: &str) -> Result<i64, Error> {
        digits.parse().map_err(|_| self.unknown())
    }

    fn number(&mut self, digits: &str) -> Result<(), Error> {
        self.parts.has_anything = true;
        if self.peek() == Some(&Token::Mark(':')) && self.parts.hour.is_none() {
            return self.time(digits);
        }
        let is_hour = matches!(self.after_space(), Some(Token::Word(word))
            if matches!(word.as_str(), "am" | "pm" | "a" | "p" | "h"));
        if is_hour && self.parts.hour.is_none() && digits.len() <= 2 {
            self.parts.hour = Some(self.value(digits)?);
            return Ok(());
        }
        match digits.len() {
            // 20240601, 20240601120000
            8 | 12 | 14 if self.parts.year.is_none() && self.parts.loose.is_empty() => {
                self.compact(digits)
            }
            // 120000 after a date
            4 | 6 if self.has_date() && self.parts.hour.is_none() => {
                self.parts.hour = Some(self.value(&digits[..2])?);
                self.parts.minute = self.value(&digits[2..4])?;
                if digits.len() == 6 {
                    self.parts.second = self.value(&digits[4..])?;
                    self.fraction()?;
                }
                Ok(())
            }
            length => {
                let number = self.value(digits)?;
                if length > 4 {
                    let range = "is out of range";
                    return Err(error(format!("year {number} {range}: {}", self.text)));
                }
                self.parts.loose.push((number, length));
                Ok(())
            }
        }
    }

    fn has_date(&self) -> bool {
        let parts = &self.parts;
        let known = [parts.year, parts.month, parts.day];
        known.iter().flatten().count() + parts.loose.len() >= 3
    }

    fn after_space(&self) -> Option<&Token> {
        match self.peek() {
            Some(Token::Space) => self.tokens.get(self.next + 1),
            token => token,
        }
    }

    fn compact(&mut self, digits: &str) -> Result<(), Error> {
        self.parts.year = Some(self.value(&digits[..4])?);
        self.parts.month = Some(self.value(&digits[4..6])?);
        self.parts.day = Some(self.value(&digits[6..8])?);
        if digits.len() >= 12 {
            self.parts.hour = Some(self.value(&digits[8..10])?);
            self.parts.minute = self.value(&digits[10..12])?;
        }
        if digits.len() == 14 {
            self.parts.second = self.value(&digits[12..])?;
        }
        Ok(())
    }

    fn time(&mut self, hour: &str) -> Result<(), Error> {
        self.parts.hour = Some(self.value(hour)?);
        self.take_mark(':');
        let minute = self.take_number().ok_or_else(|| self.unknown())?;
        self.parts.minute = self.value(&minute)?;
        if self.take_mark(':') {
            let second = self.take_number().ok_or_else(|| self.unknown())?;
            self.parts.second = self.value(&second)?;
            self.fraction()?;
        }
        Ok(())
    }

    fn fraction(&mut self) -> Result<(), Error> {
        let is_fraction = matches!(self.peek(), Some(Token::Mark('.' | ',')))
            && matches!(self.tokens.get(self.next + 1), Some(Token::Number(_)));
        if !is_fraction {
            return Ok(());
        }
        self.next += 1;
        let digits = self.take_number().unwrap_or_default();
        // Microseconds, as far as Python's clock goes.
        let micros = format!("{digits:0<6}");
        self.parts.nanosecond = self.value(&micros[..6])? * 1000;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), Error> {
        let is_name = |names: &[&str]| {
            names
                .iter()
                .position(|name| word.len() >= 3 && name.starts_with(word))
        };
        if let Some(index) = is_name(&MONTHS).or((word == "sept").then_some(8)) {
            self.parts.has_anything = true;
            self.parts.month = i64::try_from(index + 1).ok();
        } else if matches!(word, "z" | "utc" | "gmt") && self.parts.hour.is_some() {
            self.parts.offset_seconds = Some(0);
        } else if matches!(word, "am" | "pm" | "a" | "p") && self.parts.hour.is_some() {
            self.parts.is_afternoon = Some(word.starts_with('p'));
        } else if is_name(&WEEKDAYS).is_none()
            && !FILLERS.contains(&word)
            && !(word == "h" && self.parts.hour.is_some())
            // A zone of an unknown name counts as none.
            && !(self.parts.hour.is_some() && (3..=5).contains(&word.len()))
        {
            return Err(self.unknown());
        }
        Ok(())
    }

    /// `+02:00`, `+0200`, `+02`; the sign is gone.
    fn offset(&mut self) -> Result<(), Error> {
        let is_negative = self.tokens.get(self.next - 1) == Some(&Token::Mark('-'));
        let digits = self.take_number().ok_or_else(|| self.unknown())?;
        let (hours, minutes) = match digits.len() {
            4 => (self.value(&digits[..2])?, self.value(&digits[2..])?),
            1 | 2 => {
                let minutes = if self.take_mark(':') {
                    let minutes = self.take_number().ok_or_else(|| self.unknown())?;
                    self.value(&minutes)?
                } else {
                    0
                };
                (self.value(&digits)?, minutes)
            }
            _ => return Err(self.unknown()),
        };
        let seconds = hours * 3600 + minutes * 60;
        self.parts.offset_seconds = Some(if is_negative { -seconds } else { seconds });
        Ok(())
    }

    /// Gives the loose numbers their meaning: four digits or more than 31 is the year; of the rest
    /// the month comes before the day unless it can't be one.
    fn settle(&mut self) -> Result<(), Error> {
        let loose = std::mem::take(&mut self.parts.loose);
        let starts_with_year = loose
            .first()
            .is_some_and(|(number, digits)| *digits > 2 || *number > 31);
        let mut rest = Vec::new();
        for (number, digits) in loose {
            if (digits > 2 || number > 31) && self.parts.year.is_none() {
                self.parts.year = Some(if digits > 2 { number } else { century(number) });
            } else {
                rest.push(number);
            }
        }
        let parts = &mut self.parts;
        for (index, number) in rest.iter().copied().enumerate() {
            let day_follows = rest.len() > index + 1;
            let may_be_month = parts.month.is_none() && number <= 12;
            if may_be_month && (day_follows || parts.day.is_some() || starts_with_year) {
                parts.month = Some(number);
            } else if parts.day.is_none() {
                parts.day = Some(number);
            } else if parts.month.is_none() {
                parts.month = Some(number);
            } else if parts.year.is_none() {
                parts.year = Some(century(number));
            } else {
                return Err(error(format!("Unknown string format: {}", self.text)));
            }
        }
        Ok(())
    }

    fn resolve(mut self, now: Timestamp) -> Result<Timestamp, Error> {
        self.settle()?;
        let today = TimeZone::UTC.to_datetime(now);
        let parts = &self.parts;
        let year = parts.year.unwrap_or(i64::from(today.year()));
        let month = parts.month.unwrap_or(i64::from(today.month()));
        let text = self.text;
        if !(1..=9999).contains(&year) {
            return Err(error(format!("year {year} is out of range: {text}")));
        }
        if !(1..=12).contains(&month) {
            return Err(error(format!("month must be in 1..12: {text}")));
        }
        let date = match parts.day {
            Some(day) => date(year, month, day),
            // Today's day, or the last one of a shorter month.
            None => (1..=i64::from(today.day()))
                .rev()
                .find_map(|day| date(year, month, day)),
        };
        let date = date.ok_or_else(|| error(format!("day is out of range for month: {text}")))?;
        let time = parts
            .time()
            .ok_or_else(|| error(format!("hour must be in 0..23: {text}")))?;
        let utc = Offset::UTC
            .to_timestamp(DateTime::from_parts(date, time))
            .map_err(|_| self.unknown())?;
        let shift = SignedDuration::from_secs(parts.offset_seconds.unwrap_or(0));
        utc.checked_sub(shift).map_err(|_| self.unknown())
    }
}

impl Parts {
    fn time(&self) -> Option<Time> {
        let hour = match (self.hour.unwrap_or(0), self.is_afternoon) {
            (hour, None) => hour,
            (12, Some(is_afternoon)) => i64::from(is_afternoon) * 12,
            (hour, Some(is_afternoon)) => hour + i64::from(is_afternoon) * 12,
        };
        Time::new(
            i8::try_from(hour).ok()?,
            i8::try_from(self.minute).ok()?,
            i8::try_from(self.second).ok()?,
            i32::try_from(self.nanosecond).ok()?,
        )
        .ok()
    }
}

fn date(year: i64, month: i64, day: i64) -> Option<Date> {
    Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
    )
    .ok()
}

/// Two digits of a year, in the way of POSIX.
fn century(number: i64) -> i64 {
    match number {
        0..=68 => 2000 + number,
        69..=99 => 1900 + number,
        other => other,
    }
}
