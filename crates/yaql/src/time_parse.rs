//! Dates in free form, month first where it is ambiguous: the rules of Python's `dateutil.parser`,
//! which the language's `datetime(text)` is defined by.

use crate::datetime::{DateTime, Fields, MICROS_PER_DAY, TimeSpan, days_in_month};
use crate::error::{Error, Kind};
use crate::time_format::{DAYS, MONTHS};

/// Words that may stand between the parts.
const JUMPS: [&str; 18] = [
    " ", ".", ",", ";", "-", "/", "'", "at", "on", "and", "ad", "m", "t", "of", "st", "nd", "rd",
    "th",
];

const UTC_NAMES: [&str; 4] = ["UTC", "GMT", "Z", "z"];

/// How long a text may be; real ones are far shorter.
const LENGTH_MAX: usize = 200;

/// Reads a date and time; naive unless the text names an offset. `today` fills in what is missing.
pub(crate) fn parse(
    text: &str,
    today: impl FnOnce() -> Result<DateTime, Error>,
) -> Result<DateTime, Error> {
    let parser_error = |message: String| Error::new(Kind::Value, "ParserError", message);
    let unknown = || parser_error(format!("Unknown string format: {text}"));
    if text.len() > LENGTH_MAX {
        return Err(parser_error(
            "Unknown string format: the text is too long".to_owned(),
        ));
    }
    let mut parser = Parser {
        tokens: tokens(text),
        date: Date::default(),
        found: Found::default(),
    };
    parser.run().ok_or_else(unknown)?;
    let found = parser.found;
    let (year, month, day) = parser.date.resolve().ok_or_else(unknown)?;
    if parser.date.values.is_empty() && found.is_empty() {
        return Err(parser_error(format!(
            "String does not contain a date: {text}"
        )));
    }
    let complete = month.is_some() && day.is_some() && year.is_some();
    // Two-digit years lie within fifty years of today.
    let needs_today = !complete || !parser.date.century && year.is_some_and(|year| year < 100);
    let today = if needs_today {
        today()?.fields()
    } else {
        DateTime::from_instant(0, 0)?.fields()
    };
    let year = match year {
        Some(year) if year < 100 && !parser.date.century => near_year(year, today.year),
        Some(year) => i32::try_from(year).unwrap_or(i32::MAX),
        None => today.year,
    };
    let month = month.map_or(today.month, |month| {
        u32::try_from(month).unwrap_or(u32::MAX)
    });
    let day = match day {
        Some(day) => u32::try_from(day).unwrap_or(u32::MAX),
        None if (1..=12).contains(&month) => today.day.min(days_in_month(year, month)),
        None => today.day,
    };
    let fields = Fields {
        year,
        month,
        day,
        hour: found.hour.unwrap_or(0),
        minute: found.minute.unwrap_or(0),
        second: found.second.unwrap_or(0),
        microsecond: found.microsecond.unwrap_or(0),
    };
    let time = DateTime::from_fields(fields, found.offset.map(|seconds| seconds * 1_000_000))
        .map_err(|error| parser_error(format!("{}: {text}", error.message)))?;
    match found.weekday {
        Some(weekday) if !parser.date.has_day => {
            let ahead = (weekday + 7 - time.weekday()) % 7;
            time.plus(TimeSpan::new(i128::from(ahead) * MICROS_PER_DAY)?)
        }
        _ => Ok(time),
    }
}

fn near_year(year: i64, current: i32) -> i32 {
    let mut year = i32::try_from(year).unwrap_or(0) + current / 100 * 100;
    if year >= current + 50 {
        year -= 100;
    } else if year < current - 50 {
        year += 100;
    }
    year
}

/// Splits into words, numbers with at most one dot, blanks and single other characters.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().filter(|c| *c != '\0').collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let first = chars[at];
        at += 1;
        if !first.is_alphanumeric() {
            tokens.push(if first.is_whitespace() {
                " ".to_owned()
            } else {
                first.to_string()
            });
            continue;
        }
        let mut token = String::from(first);
        let mut letters = first.is_alphabetic();
        let mut numeric = !letters;
        let mut dotted = false;
        while let Some(c) = chars.get(at).copied() {
            let joins = match (numeric, dotted) {
                (false, false) => c.is_alphabetic() || c == '.',
                (true, false) => c.is_numeric() || c == '.' || c == ',' && token.len() >= 2,
                (false, true) => {
                    c == '.' || c.is_alphabetic() || c.is_numeric() && token.ends_with('.')
                }
                (true, true) => {
                    c == '.' || c.is_numeric() || c.is_alphabetic() && token.ends_with('.')
                }
            };
            if !joins {
                break;
            }
            if c == '.' || c == ',' {
                dotted = true;
            } else if dotted {
                numeric = c.is_numeric();
                letters |= !numeric;
            }
            token.push(c);
            at += 1;
        }
        let dots = token.matches('.').count();
        if dotted && (letters || dots > 1 || token.ends_with(['.', ','])) {
            let mut part = String::new();
            for c in token.chars() {
                if c == '.' || c == ',' {
                    if !part.is_empty() {
                        tokens.push(std::mem::take(&mut part));
                    }
                    tokens.push(c.to_string());
                } else {
                    part.push(c);
                }
            }
            if !part.is_empty() {
                tokens.push(part);
            }
        } else {
            tokens.push(if dotted && dots == 0 {
                token.replace(',', ".")
            } else {
                token
            });
        }
    }
    tokens
}

#[derive(Default)]
struct Found {
    hour: Option<u32>,
    minute: Option<u32>,
    second: Option<u32>,
    microsecond: Option<u32>,
    afternoon: Option<bool>,
    weekday: Option<u32>,
    zone_name: Option<String>,
    offset: Option<i64>,
}

impl Found {
    fn is_empty(&self) -> bool {
        self.hour.is_none()
            && self.minute.is_none()
            && self.second.is_none()
            && self.weekday.is_none()
    }
}

/// The numbers that may be year, month and day, in the order they came.
#[derive(Default)]
struct Date {
    values: Vec<i64>,
    year_at: Option<usize>,
    month_at: Option<usize>,
    day_at: Option<usize>,
    /// Whether the year came with its century.
    century: bool,
    has_day: bool,
}

type YearMonthDay = (Option<i64>, Option<i64>, Option<i64>);

impl Date {
    fn push(&mut self, text: &str, mut year: bool) -> Option<()> {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        // Decimal fractions are cut, as `int(Decimal(…))` does.
        let value: i64 = text.split('.').next()?.parse().ok()?;
        if digits && text.len() > 2 || value > 100 {
            self.century = true;
            year = true;
        }
        if year {
            if self.year_at.is_some() {
                return None;
            }
            self.year_at = Some(self.values.len());
        }
        self.values.push(value);
        Some(())
    }

    fn push_month(&mut self, month: u32) -> Option<()> {
        if self.month_at.is_some() {
            return None;
        }
        self.month_at = Some(self.values.len());
        self.values.push(i64::from(month));
        Some(())
    }

    fn could_be_day(&self, value: i64) -> bool {
        if self.day_at.is_some() {
            return false;
        }
        let month = self
            .month_at
            .and_then(|at| u32::try_from(self.values[at]).ok());
        let year = self
            .year_at
            .and_then(|at| i32::try_from(self.values[at]).ok());
        let last = month.map_or(31, |month| days_in_month(year.unwrap_or(2000), month));
        (1..=i64::from(last)).contains(&value)
    }

    fn resolve(&mut self) -> Option<YearMonthDay> {
        let v = self.values.clone();
        let labels = [self.year_at, self.month_at, self.day_at]
            .iter()
            .flatten()
            .count();
        let resolved = if !v.is_empty() && v.len() == labels || v.len() == 3 && labels == 2 {
            self.resolve_labels(&v)
        } else {
            self.resolve_guess(&v)?
        };
        self.has_day = resolved.2.is_some();
        Some(resolved)
    }

    fn resolve_labels(&self, v: &[i64]) -> YearMonthDay {
        let mut at = [self.year_at, self.month_at, self.day_at];
        if v.len() == 3 {
            let used: Vec<usize> = at.iter().flatten().copied().collect();
            let missing = (0..3).find(|index| !used.contains(index));
            if let Some(slot) = at.iter_mut().find(|slot| slot.is_none()) {
                *slot = missing;
            }
        }
        let value = |at: Option<usize>| at.and_then(|at| v.get(at).copied());
        (value(at[0]), value(at[1]), value(at[2]))
    }

    fn resolve_guess(&self, v: &[i64]) -> Option<YearMonthDay> {
        Some(match (v, self.month_at) {
            ([], _) => (None, None, None),
            ([month], Some(_)) => (None, Some(*month), None),
            ([other], None) if *other > 31 => (Some(*other), None, None),
            ([day], None) => (None, None, Some(*day)),
            ([a, b], Some(at)) => {
                let (month, other) = if at == 0 { (*a, *b) } else { (*b, *a) };
                if other > 31 {
                    (Some(other), Some(month), None)
                } else {
                    (None, Some(month), Some(other))
                }
            }
            ([a, b], None) if *a > 31 => (Some(*a), Some(*b), None),
            ([a, b], None) if *b > 31 => (Some(*b), Some(*a), None),
            ([a, b], None) => (None, Some(*a), Some(*b)),
            ([a, b, c], Some(0)) if *b > 31 => (Some(*b), Some(*a), Some(*c)),
            ([a, b, c], Some(0)) => (Some(*c), Some(*a), Some(*b)),
            ([a, b, c], Some(1)) if *a > 31 => (Some(*a), Some(*b), Some(*c)),
            ([a, b, c], Some(1)) => (Some(*c), Some(*b), Some(*a)),
            ([a, b, c], Some(_)) if *b > 31 => (Some(*b), Some(*c), Some(*a)),
            ([a, b, c], Some(_)) => (Some(*a), Some(*c), Some(*b)),
            ([a, b, c], None) if *a > 31 || self.year_at == Some(0) => {
                (Some(*a), Some(*b), Some(*c))
            }
            ([a, b, c], None) if *a > 12 => (Some(*c), Some(*b), Some(*a)),
            ([a, b, c], None) => (Some(*c), Some(*a), Some(*b)),
            _ => return None,
        })
    }
}

struct Parser {
    tokens: Vec<String>,
    date: Date,
    found: Found,
}

fn lookup(names: &[&str], token: &str) -> Option<u32> {
    let token = token.to_lowercase();
    names.iter().enumerate().find_map(|(index, name)| {
        let name = name.to_lowercase();
        let known = token == name || token.len() == 3 && name.starts_with(&token);
        if known {
            u32::try_from(index).ok()
        } else {
            None
        }
    })
}

fn month(token: &str) -> Option<u32> {
    if token.eq_ignore_ascii_case("sept") {
        return Some(9);
    }
    lookup(&MONTHS, token).map(|index| index + 1)
}

fn is_jump(token: &str) -> bool {
    JUMPS.contains(&token.to_lowercase().as_str())
}

fn afternoon(token: &str) -> Option<bool> {
    match token.to_lowercase().as_str() {
        "am" | "a" => Some(false),
        "pm" | "p" => Some(true),
        _ => None,
    }
}

/// 0 for hours, 1 for minutes, 2 for seconds.
fn unit(token: &str) -> Option<u8> {
    match token.to_lowercase().as_str() {
        "h" | "hour" | "hours" => Some(0),
        "m" | "minute" | "minutes" => Some(1),
        "s" | "second" | "seconds" => Some(2),
        _ => None,
    }
}

fn to_12_hours(hour: u32, afternoon: bool) -> u32 {
    match (hour, afternoon) {
        (0..12, true) => hour + 12,
        (12, false) => 0,
        _ => hour,
    }
}

/// Seconds and microseconds of `5.25`.
fn seconds(text: &str) -> Option<(u32, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().take(6).collect();
    let micros = if digits.is_empty() {
        0
    } else {
        format!("{digits:0<6}").parse().ok()?
    };
    Some((whole.parse().ok()?, micros))
}

impl Parser {
    fn token(&self, index: usize) -> Option<&str> {
        self.tokens.get(index).map(String::as_str)
    }

    fn is_at(&self, index: usize, text: &str) -> bool {
        self.token(index) == Some(text)
    }

    fn run(&mut self) -> Option<()> {
        let mut at = 0;
        while let Some(token) = self.tokens.get(at).cloned() {
            if token.starts_with(|c: char| c.is_ascii_digit()) {
                at = self.number(at, &token)? + 1;
                continue;
            }
            if let Some(weekday) = lookup(&DAYS, &token) {
                self.found.weekday = Some(weekday);
            } else if let Some(month) = month(&token) {
                at = self.month(at, month)?;
            } else if let Some(late) = afternoon(&token) {
                let hour = self.found.hour.filter(|hour| *hour <= 12)?;
                if self.found.afternoon.is_some() {
                    return None;
                }
                self.found.hour = Some(to_12_hours(hour, late));
                self.found.afternoon = Some(late);
            } else if self.is_zone(&token) {
                self.zone(at, &token);
            } else if self.found.hour.is_some() && (token == "+" || token == "-") {
                at = self.offset(at, token == "+")?;
            } else if !is_jump(&token) {
                return None;
            }
            at += 1;
        }
        Some(())
    }

    fn is_zone(&self, token: &str) -> bool {
        self.found.hour.is_some()
            && self.found.zone_name.is_none()
            && self.found.offset.is_none()
            && token.len() <= 5
            && (token.chars().all(|c| c.is_ascii_uppercase()) || UTC_NAMES.contains(&token))
    }

    fn zone(&mut self, at: usize, token: &str) {
        let utc = UTC_NAMES.contains(&token);
        self.found.zone_name = Some(token.to_owned());
        self.found.offset = utc.then_some(0);
        // "GMT+3" means three hours behind: my time is GMT, plus three.
        if let Some(next @ ("+" | "-")) = self.token(at + 1) {
            let turned = if next == "+" { "-" } else { "+" };
            self.tokens[at + 1] = turned.to_owned();
            self.found.offset = None;
            if utc {
                self.found.zone_name = None;
            }
        }
    }

    fn offset(&mut self, at: usize, east: bool) -> Option<usize> {
        let digits = self.token(at + 1)?.to_owned();
        let part = |text: &str| text.parse::<i64>().ok();
        let (hours, minutes, end) = match digits.len() {
            4 => (part(digits.get(..2)?)?, part(digits.get(2..)?)?, at + 1),
            _ if self.is_at(at + 2, ":") => (part(&digits)?, part(self.token(at + 3)?)?, at + 3),
            1 | 2 => (part(&digits)?, 0, at + 1),
            _ => return None,
        };
        let seconds = hours * 3600 + minutes * 60;
        self.found.offset = Some(if east { seconds } else { -seconds });
        // "-0300 (BRST)"
        let named = self.token(end + 1).is_some_and(is_jump)
            && self.is_at(end + 2, "(")
            && self.is_at(end + 4, ")")
            && self.token(end + 3).is_some_and(|name| name.len() >= 3);
        Some(if named { end + 4 } else { end })
    }

    fn month(&mut self, at: usize, month: u32) -> Option<usize> {
        self.date.push_month(month)?;
        match self.token(at + 1) {
            Some(separator @ ("-" | "/")) => {
                let separator = separator.to_owned();
                let day = self.token(at + 2)?.to_owned();
                self.date.push(&day, false)?;
                if self.is_at(at + 3, &separator) {
                    let year = self.token(at + 4)?.to_owned();
                    self.date.push(&year, false)?;
                    return Some(at + 4);
                }
                Some(at + 2)
            }
            // "Jan of 01"
            Some(" ")
                if self.is_at(at + 3, " ")
                    && self
                        .token(at + 2)
                        .is_some_and(|word| word.eq_ignore_ascii_case("of")) =>
            {
                if let Some(year) = self.token(at + 4).map(str::to_owned)
                    && year.bytes().all(|b| b.is_ascii_digit())
                {
                    self.date.push(&year, true)?;
                }
                Some((at + 4).min(self.tokens.len()))
            }
            _ => Some(at),
        }
    }

    /// A number that is a whole date or time by itself: `20240229`, `123456`, `2359` after a date.
    /// Says whether it was one.
    fn compact(&mut self, at: usize, token: &str) -> Option<bool> {
        let part = |from: usize, to: usize| token.get(from..to)?.parse::<u32>().ok();
        let dot = token.find('.');
        let next = self.token(at + 1).map(str::to_owned);
        let after_date = self.date.values.len() == 3
            && matches!(token.len(), 2 | 4)
            && dot.is_none()
            && self.found.hour.is_none();
        if after_date
            && next
                .as_deref()
                .is_none_or(|next| next != ":" && unit(next).is_none())
        {
            self.found.hour = Some(part(0, 2)?);
            if token.len() == 4 {
                self.found.minute = Some(part(2, 4)?);
            }
            return Some(true);
        }
        if token.len() == 6 && dot.is_none() && self.date.values.is_empty() {
            for from in [0, 2, 4] {
                self.date.push(token.get(from..from + 2)?, false)?;
            }
            return Some(true);
        }
        if token.len() == 6 && dot.is_none() || token.len() > 6 && dot == Some(6) {
            self.found.hour = Some(part(0, 2)?);
            self.found.minute = Some(part(2, 4)?);
            self.set_seconds(token.get(4..)?)?;
            return Some(true);
        }
        if matches!(token.len(), 8 | 12 | 14) && dot.is_none() {
            self.date.push(token.get(..4)?, true)?;
            self.date.push(token.get(4..6)?, false)?;
            self.date.push(token.get(6..8)?, false)?;
            if token.len() > 8 {
                self.found.hour = Some(part(8, 10)?);
                self.found.minute = Some(part(10, 12)?);
            }
            if token.len() > 12 {
                self.found.second = Some(part(12, 14)?);
            }
            return Some(true);
        }
        Some(false)
    }

    /// One number and what belongs to it; returns the last token it took.
    fn number(&mut self, at: usize, token: &str) -> Option<usize> {
        if self.compact(at, token)? {
            return Some(at);
        }
        let next = self.token(at + 1).map(str::to_owned);
        let ends = next.is_none();
        if let Some((unit, end)) = self.unit_of(at) {
            self.set_unit(token, unit)?;
            return Some(end);
        }
        match next.as_deref() {
            Some(":") if self.token(at + 2).is_some() => self.clock(at, token),
            Some(separator @ ("-" | "/" | ".")) => self.separated(at, token, separator),
            _ if ends || next.as_deref().is_some_and(is_jump) => {
                if let Some(late) = self.token(at + 2).and_then(afternoon) {
                    let hour: u32 = token.split('.').next()?.parse().ok()?;
                    self.found.hour = Some(to_12_hours(hour, late));
                    return Some(at + 2);
                }
                self.date.push(token, false)?;
                Some(at + 1)
            }
            Some(next) => {
                let hour: u32 = token.split('.').next()?.parse().ok()?;
                if let Some(late) = afternoon(next).filter(|_| hour < 24) {
                    self.found.hour = Some(to_12_hours(hour, late));
                    return Some(at + 1);
                }
                if !self.date.could_be_day(i64::from(hour)) {
                    return None;
                }
                self.date.push(token, false)?;
                Some(at)
            }
            None => None,
        }
    }

    fn set_seconds(&mut self, text: &str) -> Option<()> {
        let (second, microsecond) = seconds(text)?;
        self.found.second = Some(second);
        self.found.microsecond = Some(microsecond);
        Some(())
    }

    /// The unit that belongs to the number at `at`, and the last token taken.
    fn unit_of(&self, at: usize) -> Option<(u8, usize)> {
        if let Some(unit) = self.token(at + 1).and_then(unit) {
            return Some((unit, at + 1));
        }
        if self.is_at(at + 1, " ")
            && let Some(unit) = self.token(at + 2).and_then(unit)
        {
            return Some((unit, at + 2));
        }
        if let Some(unit) = at
            .checked_sub(1)
            .and_then(|at| self.token(at))
            .and_then(unit)
        {
            return Some((unit + 1, at));
        }
        if at > 1
            && at + 1 == self.tokens.len()
            && self.is_at(at - 1, " ")
            && let Some(unit) = self.token(at - 2).and_then(unit)
        {
            return Some((unit + 1, at));
        }
        None
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A fraction of sixty.
    fn set_unit(&mut self, token: &str, unit: u8) -> Option<()> {
        let whole: u32 = token.split('.').next()?.parse().ok()?;
        let sixtieths = (token.parse::<f64>().ok()?.fract() * 60.0) as u32;
        match unit {
            0 => {
                self.found.hour = Some(whole);
                if sixtieths > 0 {
                    self.found.minute = Some(sixtieths);
                }
            }
            1 => {
                self.found.minute = Some(whole);
                if sixtieths > 0 {
                    self.found.second = Some(sixtieths);
                }
            }
            2 => self.set_seconds(token)?,
            _ => {}
        }
        Some(())
    }

    /// `HH:MM[:SS[.ss]]`.
    fn clock(&mut self, at: usize, token: &str) -> Option<usize> {
        self.found.hour = Some(token.split('.').next()?.parse().ok()?);
        let minute = self.token(at + 2)?.to_owned();
        self.set_unit(&minute, 1)?;
        if self.is_at(at + 3, ":")
            && let Some(second) = self.token(at + 4).map(str::to_owned)
        {
            self.set_seconds(&second)?;
            return Some(at + 4);
        }
        Some(at + 2)
    }

    /// `2024-02-29`, `2/29/24`, `29.Feb.2024`.
    fn separated(&mut self, at: usize, token: &str, separator: &str) -> Option<usize> {
        self.date.push(token, false)?;
        let Some(second) = self
            .token(at + 2)
            .map(str::to_owned)
            .filter(|next| !is_jump(next))
        else {
            return Some(at + 1);
        };
        if second.bytes().all(|b| b.is_ascii_digit()) {
            self.date.push(&second, false)?;
        } else {
            self.date.push_month(month(&second)?)?;
        }
        if !self.is_at(at + 3, separator) {
            return Some(at + 2);
        }
        let third = self.token(at + 4)?.to_owned();
        match month(&third) {
            Some(month) => self.date.push_month(month)?,
            None => self.date.push(&third, false)?,
        }
        Some(at + 4)
    }
}
