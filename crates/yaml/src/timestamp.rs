//! YAML 1.1 timestamps: recognising, reading and printing them as Python's `datetime` does.

use std::fmt;

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Date(pub jiff::civil::Date);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.0;
        write!(
            f,
            "{:04}-{:02}-{:02}",
            date.year(),
            date.month(),
            date.day()
        )
    }
}

/// A day and a time of day, to the microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// Date and time as written.
    pub local: jiff::civil::DateTime,
    /// How far the local time is ahead of UTC, in minutes; `None` if the text does not say.
    pub offset_minutes: Option<i32>,
}

/// As Python's `isoformat`: `2020-01-31T10:00:00`, with `.000001` and `+02:00` where there is one.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.local.time();
        write!(
            f,
            "{}T{:02}:{:02}:{:02}",
            Date(self.local.date()),
            time.hour(),
            time.minute(),
            time.second()
        )?;
        let micros = time.subsec_nanosecond() / 1000;
        if micros > 0 {
            write!(f, ".{micros:06}")?;
        }
        if let Some(offset) = self.offset_minutes {
            let sign = if offset < 0 { '-' } else { '+' };
            write!(f, "{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)?;
        }
        Ok(())
    }
}

/// The two forms of a timestamp.
pub(crate) enum Timestamp {
    Date(Date),
    DateTime(DateTime),
}

/// What the text of a timestamp says, before it is checked against the calendar.
pub(crate) struct Parts {
    year: i16,
    month: i8,
    day: i8,
    time: Option<TimeParts>,
    /// Whether month and day have two digits each, which a plain date needs to be recognised.
    full_digits: bool,
}

struct TimeParts {
    hour: i8,
    minute: i8,
    second: i8,
    micros: i32,
    offset_minutes: Option<i32>,
}

/// Reads `text` by the grammar of timestamps; `None` if it is not one.
pub(crate) fn recognise(text: &str) -> Option<Parts> {
    // Anything longer is no timestamp that a person wrote; a fraction may have many digits, though.
    let mut scan = Scan {
        rest: text.as_bytes(),
    };
    let year = scan.digits(4, 4)?;
    scan.byte(b'-')?;
    let before_month = scan.rest.len();
    let month = scan.digits(1, 2)?;
    let month_digits = before_month - scan.rest.len();
    scan.byte(b'-')?;
    let before_day = scan.rest.len();
    let day = scan.digits(1, 2)?;
    let day_digits = before_day - scan.rest.len();
    let time = if scan.rest.is_empty() {
        None
    } else {
        Some(scan.time()?)
    };
    Some(Parts {
        year: i16::try_from(year).ok()?,
        month: i8::try_from(month).ok()?,
        day: i8::try_from(day).ok()?,
        time,
        full_digits: month_digits == 2 && day_digits == 2,
    })
}

impl Parts {
    /// Whether a plain scalar of this form is a timestamp without being tagged as one.
    pub(crate) fn is_implicit(&self) -> bool {
        self.time.is_some() || self.full_digits
    }

    /// The moment, or `None` if the calendar or the clock does not have it.
    pub(crate) fn resolve(&self) -> Option<Timestamp> {
        // Python's years begin at one.
        if self.year < 1 {
            return None;
        }
        let date = jiff::civil::Date::new(self.year, self.month, self.day).ok()?;
        let Some(time) = &self.time else {
            return Some(Timestamp::Date(Date(date)));
        };
        if time
            .offset_minutes
            .is_some_and(|offset| offset.abs() >= 24 * 60)
        {
            return None;
        }
        let clock =
            jiff::civil::Time::new(time.hour, time.minute, time.second, time.micros * 1000).ok()?;
        Some(Timestamp::DateTime(DateTime {
            local: date.to_datetime(clock),
            offset_minutes: time.offset_minutes,
        }))
    }
}

struct Scan<'a> {
    rest: &'a [u8],
}

impl Scan<'_> {
    fn digits(&mut self, min: usize, max: usize) -> Option<i32> {
        let count = self
            .rest
            .iter()
            .take(max)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if count < min {
            return None;
        }
        let number = self.rest[..count]
            .iter()
            .fold(0, |number, digit| number * 10 + i32::from(digit - b'0'));
        self.rest = &self.rest[count..];
        Some(number)
    }

    fn byte(&mut self, expected: u8) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        (*first == expected).then(|| self.rest = rest)
    }

    fn blanks(&mut self) -> usize {
        let count = self
            .rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        self.rest = &self.rest[count..];
        count
    }

    fn time(&mut self) -> Option<TimeParts> {
        if matches!(self.rest.first(), Some(b'T' | b't')) {
            self.rest = &self.rest[1..];
        } else if self.blanks() == 0 {
            return None;
        }
        let hour = self.digits(1, 2)?;
        self.byte(b':')?;
        let minute = self.digits(2, 2)?;
        self.byte(b':')?;
        let second = self.digits(2, 2)?;
        let micros = if self.byte(b'.').is_some() {
            self.fraction()
        } else {
            0
        };
        self.blanks();
        let offset_minutes = match self.rest.first() {
            None => None,
            Some(b'Z') => {
                self.rest = &self.rest[1..];
                Some(0)
            }
            Some(sign @ (b'+' | b'-')) => {
                let sign = if *sign == b'-' { -1 } else { 1 };
                self.rest = &self.rest[1..];
                let hours = self.digits(1, 2)?;
                let minutes = match self.byte(b':') {
                    Some(()) => self.digits(2, 2)?,
                    None => 0,
                };
                Some(sign * (hours * 60 + minutes))
            }
            Some(_) => return None,
        };
        self.rest.is_empty().then_some(())?;
        Some(TimeParts {
            hour: i8::try_from(hour).ok()?,
            minute: i8::try_from(minute).ok()?,
            second: i8::try_from(second).ok()?,
            micros,
            offset_minutes,
        })
    }

    /// Digits after the point, cut at the microsecond.
    fn fraction(&mut self) -> i32 {
        let count = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let digits = &self.rest[..count];
        self.rest = &self.rest[count..];
        (0..6).fold(0, |number, place| {
            number * 10 + digits.get(place).map_or(0, |digit| i32::from(digit - b'0'))
        })
    }
}
