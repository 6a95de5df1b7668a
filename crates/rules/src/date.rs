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
    let rewritten = spelled_out(text);
    Parser {
        text,
        tokens: tokens(rewritten.as_deref().unwrap_or(text)),
        next: 0,
        parts: Parts::default(),
    }
    .run(now)
}

/// The rarer forms of ISO 8601 in the common one: weeks (`2024-W24-6`), days of the year
/// (`2024-167`), and times that are an hour alone (`2024-06-15T12`).
fn spelled_out(text: &str) -> Option<String> {
    let year = text.get(..4)?;
    if !year.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (date, rest) = match week_or_ordinal(year.parse().ok()?, &text[4..]) {
        Some((date, rest)) => (date.to_string(), rest),
        None => {
            let date = text.get(..10)?;
            date.parse::<Date>().ok()?;
            (date.to_owned(), &text[10..])
        }
    };
    let is_hour = rest.starts_with(['T', ' '])
        && leading_digits(&rest[1..]) == 2
        && (rest.len() == 3 || rest[3..].starts_with(['Z', '+', '-']));
    Some(match is_hour {
        true => format!("{date}{}:00{}", &rest[..3], &rest[3..]),
        false => date + rest,
    })
}

fn leading_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// The date behind a year, and what follows it.
fn week_or_ordinal(year: i16, text: &str) -> Option<(Date, &str)> {
    let (text, has_dash) = match text.strip_prefix('-') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let Some(text) = text.strip_prefix('W') else {
        let day: i16 = text
            .get(..3)
            .filter(|_| leading_digits(text) == 3)?
            .parse()
            .ok()?;
        let date = Date::new(year, 1, 1)
            .ok()?
            .with()
            .day_of_year(day)
            .build()
            .ok()?;
        return Some((date, &text[3..]));
    };
    let week: i8 = text
        .get(..2)
        .filter(|_| leading_digits(text) >= 2)?
        .parse()
        .ok()?;
    let rest = &text[2..];
    let of_day = match has_dash {
        true => rest.strip_prefix('-'),
        false => Some(rest),
    };
    let day = of_day.and_then(|rest| Some((rest.get(..1)?.parse::<i8>().ok()?, &rest[1..])));
    let (day, rest) = day.unwrap_or((1, rest));
    let weekday = jiff::civil::Weekday::from_monday_one_offset(day).ok()?;
    let date = jiff::civil::ISOWeekDate::new(year, week, weekday).ok()?;
    Some((date.date(), rest))
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
            (Some(Token::Word(word)), c) if c.is_alphabetic() => word.push(c),
            (_, c) if c.is_alphabetic() => tokens.push(Token::Word(c.to_string())),
            (Some(Token::Space), c) if c.is_whitespace() => {}
            (_, c) if c.is_whitespace() => tokens.push(Token::Space),
            (_, c) => tokens.push(Token::Mark(c)),
        }
    }
    tokens
}

#[derive(Default)]
struct Parts {
    /// The numbers of the date, in the order of the text.
    date: Vec<i64>,
    /// Which of them is surely the year, because it has more than two digits.
    year_at: Option<usize>,
    /// Which of them is surely the month, because it has a name.
    month_at: Option<usize>,
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
            if matches!(word.to_lowercase().as_str(), "am" | "pm" | "a" | "p" | "h"));
        if is_hour && self.parts.hour.is_none() && digits.len() <= 2 {
            self.parts.hour = Some(self.value(digits)?);
            return Ok(());
        }
        let after = self
            .next
            .checked_sub(2)
            .and_then(|index| self.tokens.get(index));
        if after == Some(&Token::Word("h".to_owned())) && digits.len() <= 2 {
            self.parts.minute = self.value(digits)?;
            return Ok(());
        }
        match digits.len() {
            // 20240601, 20240601120000
            8 | 12 | 14 if self.parts.date.is_empty() => self.compact(digits),
            // 120000 after a date
            4 | 6 if self.parts.date.len() >= 3 && self.parts.hour.is_none() => {
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
                if length > 2 && self.parts.year_at.replace(self.parts.date.len()).is_some() {
                    return Err(self.unknown());
                }
                self.parts.date.push(number);
                Ok(())
            }
        }
    }

    fn after_space(&self) -> Option<&Token> {
        match self.peek() {
            Some(Token::Space) => self.tokens.get(self.next + 1),
            token => token,
        }
    }

    fn compact(&mut self, digits: &str) -> Result<(), Error> {
        let date = [&digits[..4], &digits[4..6], &digits[6..8]];
        self.parts.year_at = Some(0);
        for part in date {
            let number = self.value(part)?;
            self.parts.date.push(number);
        }
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

    fn word(&mut self, text: &str) -> Result<(), Error> {
        let lower = text.to_lowercase();
        let word = lower.as_str();
        let index_in = |names: &[&str]| {
            names
                .iter()
                .position(|name| word.len() >= 3 && name.starts_with(word))
        };
        let month = index_in(&MONTHS).or((word == "sept").then_some(8));
        if let Some(month) = month.and_then(|index| i64::try_from(index + 1).ok()) {
            self.parts.has_anything = true;
            if self.parts.month_at.replace(self.parts.date.len()).is_some() {
                return Err(self.unknown());
            }
            self.parts.date.push(month);
            return Ok(());
        }
        let has_time = self.parts.hour.is_some();
        if has_time && matches!(word, "z" | "utc" | "gmt") {
            self.parts.offset_seconds = Some(0);
            return Ok(());
        }
        if has_time && matches!(word, "am" | "pm" | "a" | "p") {
            self.parts.is_afternoon = Some(word.starts_with('p'));
            return Ok(());
        }
        // A zone of an unknown name counts as none.
        let is_zone = (3..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase());
        let is_filler = index_in(&WEEKDAYS).is_some() || FILLERS.contains(&word);
        if is_filler || (has_time && (is_zone || word == "h")) {
            return Ok(());
        }
        Err(self.unknown())
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

    fn resolve(self, now: Timestamp) -> Result<Timestamp, Error> {
        let today = TimeZone::UTC.to_datetime(now);
        let text = self.text;
        let (year, month, day) = self.parts.settle().ok_or_else(|| self.unknown())?;
        let year = year.unwrap_or(i64::from(today.year()));
        let month = month.unwrap_or(i64::from(today.month()));
        if !(1..=9999).contains(&year) {
            return Err(error(format!("year {year} is out of range: {text}")));
        }
        if !(1..=12).contains(&month) {
            return Err(error(format!("month must be in 1..12: {text}")));
        }
        let date = match day {
            Some(day) => date(year, month, day),
            // Today's day, or the last one of a shorter month.
            None => (1..=i64::from(today.day()))
                .rev()
                .find_map(|day| date(year, month, day)),
        };
        let date = date.ok_or_else(|| error(format!("day is out of range for month: {text}")))?;
        let time = self
            .parts
            .time()
            .map_err(|bound| error(format!("{bound}: {text}")))?;
        // The last hours of the year 9999 stand for "never", and lie beyond what a timestamp holds.
        let utc = Offset::UTC
            .to_timestamp(DateTime::from_parts(date, time))
            .unwrap_or(Timestamp::MAX);
        let shift = SignedDuration::from_secs(self.parts.offset_seconds.unwrap_or(0));
        utc.checked_sub(shift).map_err(|_| self.unknown())
    }
}

type DateParts = (Option<i64>, Option<i64>, Option<i64>);

impl Parts {
    /// Year, month and day, by the rules of `dateutil`; `None` if there are too many numbers.
    ///
    /// A number above 31 or of more than two digits is the year. Otherwise the month comes first,
    /// unless it has a name or the first number can't be one.
    fn settle(&self) -> Option<DateParts> {
        let numbers = &self.date;
        let full = |year: i64| {
            let has_century = self.year_at.is_some();
            Some(if has_century { year } else { century(year) })
        };
        let is_year = |at: usize| self.year_at == Some(at) || numbers.get(at) > Some(&31);
        match (numbers.as_slice(), self.month_at) {
            (&[], _) => Some((None, None, None)),
            (&[month], Some(_)) => Some((None, Some(month), None)),
            (&[year], None) if is_year(0) => Some((full(year), None, None)),
            (&[day], None) => Some((None, None, Some(day))),
            (&[a, b], Some(at)) => {
                let (month, other) = if at == 0 { (a, b) } else { (b, a) };
                Some(if is_year(1 - at) {
                    (full(other), Some(month), None)
                } else {
                    (None, Some(month), Some(other))
                })
            }
            (&[year, month], None) if is_year(0) => Some((full(year), Some(month), None)),
            (&[month, year], None) if is_year(1) => Some((full(year), Some(month), None)),
            (&[month, day], None) => Some((None, Some(month), Some(day))),
            (&[a, b, c], month_at) => {
                let (year, month, day) = match month_at {
                    Some(0) if is_year(1) => (b, a, c),
                    Some(0) => (c, a, b),
                    Some(1) if is_year(0) => (a, b, c),
                    Some(1) => (c, b, a),
                    Some(_) if is_year(1) => (b, c, a),
                    Some(_) => (a, c, b),
                    None if is_year(0) => (a, b, c),
                    None if a > 12 => (c, b, a),
                    None => (c, a, b),
                };
                Some((full(year), Some(month), Some(day)))
            }
            _ => None,
        }
    }

    /// The time of day, or which bound is broken.
    fn time(&self) -> Result<Time, &'static str> {
        let hour = match (self.hour.unwrap_or(0), self.is_afternoon) {
            (hour, None) => hour,
            (12, Some(is_afternoon)) => i64::from(is_afternoon) * 12,
            (hour, Some(is_afternoon)) => hour + i64::from(is_afternoon) * 12,
        };
        let part = |number: i64, max: i8, bound: &'static str| {
            i8::try_from(number)
                .ok()
                .filter(|number| (0..=max).contains(number))
                .ok_or(bound)
        };
        Time::new(
            part(hour, 23, "hour must be in 0..23")?,
            part(self.minute, 59, "minute must be in 0..59")?,
            part(self.second, 59, "second must be in 0..59")?,
            i32::try_from(self.nanosecond).unwrap_or(0),
        )
        .map_err(|_| "hour must be in 0..23")
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
