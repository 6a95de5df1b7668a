//! Points and lengths of time with microseconds, as Python's `datetime` and `timedelta`.

use std::fmt::Write;

use crate::error::Error;
use crate::value::Value;

pub(crate) const MICROS_PER_SECOND: i128 = 1_000_000;
pub(crate) const MICROS_PER_DAY: i128 = 86_400 * MICROS_PER_SECOND;

/// A length of time, of up to 999,999,999 days either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan {
    /// Microseconds.
    pub micros: i128,
}

impl TimeSpan {
    /// From microseconds.
    ///
    /// # Errors
    ///
    /// When it is longer than Python's `timedelta` can be.
    pub fn new(micros: i128) -> Result<TimeSpan, Error> {
        if micros.div_euclid(MICROS_PER_DAY).abs() > 999_999_999 {
            return Err(TimeSpan::out_of_range());
        }
        Ok(TimeSpan { micros })
    }

    pub(crate) fn out_of_range() -> Error {
        Error::overflow("days; must have magnitude <= 999999999")
    }

    /// From a float, rounded half to even.
    pub(crate) fn from_float(micros: f64) -> Result<TimeSpan, Error> {
        if micros.is_nan() {
            return Err(Error::value_error("cannot convert float NaN to integer"));
        }
        if micros.abs() > 1e23 {
            return Err(TimeSpan::out_of_range());
        }
        #[allow(clippy::cast_possible_truncation)]
        TimeSpan::new(micros.round_ties_even() as i128)
    }

    /// Python's text: `1 day, 2:00:00`.
    pub(crate) fn write(self, out: &mut String) {
        let days = self.micros.div_euclid(MICROS_PER_DAY);
        let rest = self.micros.rem_euclid(MICROS_PER_DAY);
        let (seconds, micros) = (rest / MICROS_PER_SECOND, rest % MICROS_PER_SECOND);
        if days != 0 {
            let plural = if days.abs() == 1 { "" } else { "s" };
            let _ = write!(out, "{days} day{plural}, ");
        }
        let _ = write!(
            out,
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        );
        if micros != 0 {
            let _ = write!(out, ".{micros:06}");
        }
    }

    /// Python's `repr`.
    pub(crate) fn write_repr(self, out: &mut String) {
        let days = self.micros.div_euclid(MICROS_PER_DAY);
        let rest = self.micros.rem_euclid(MICROS_PER_DAY);
        let parts = [
            ("days", days),
            ("seconds", rest / MICROS_PER_SECOND),
            ("microseconds", rest % MICROS_PER_SECOND),
        ];
        let shown: Vec<String> = parts
            .iter()
            .filter(|(_, number)| *number != 0)
            .map(|(name, number)| format!("{name}={number}"))
            .collect();
        let shown = if shown.is_empty() {
            "0".to_owned()
        } else {
            shown.join(", ")
        };
        let _ = write!(out, "datetime.timedelta({shown})");
    }
}

/// A calendar date and time of day in the proleptic Gregorian calendar, years 1 to 9999, with an
/// offset from UTC unless it is naive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// Local time in microseconds since 1970-01-01T00:00.
    local: i64,
    /// Microseconds east of UTC.
    offset: Option<i64>,
}

/// The parts of a date and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) year: i32,
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
    pub(crate) microsecond: u32,
}

/// Days since 1970-01-01.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // The year is taken to begin in March, so that the leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i32, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |number: i64| u32::try_from(number).unwrap_or(0);
    (i32::try_from(year).unwrap_or(0), small(month), small(day))
}

pub(crate) fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(crate) fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

const DAY: i64 = 86_400_000_000;

impl DateTime {
    /// From calendar fields; a bad one is named in the error.
    pub(crate) fn from_fields(fields: Fields, offset: Option<i64>) -> Result<DateTime, Error> {
        let check = |fits: bool, message: &str| {
            if fits {
                Ok(())
            } else {
                Err(Error::value_error(message))
            }
        };
        if !(1..=9999).contains(&fields.year) {
            return Err(Error::value_error(format!(
                "year {} is out of range",
                fields.year
            )));
        }
        check((1..=12).contains(&fields.month), "month must be in 1..12")?;
        let last = days_in_month(fields.year, fields.month);
        check(
            (1..=last).contains(&fields.day),
            "day is out of range for month",
        )?;
        check(fields.hour < 24, "hour must be in 0..23")?;
        check(fields.minute < 60, "minute must be in 0..59")?;
        check(fields.second < 60, "second must be in 0..59")?;
        check(
            fields.microsecond < 1_000_000,
            "microsecond must be in 0..999999",
        )?;
        let days = days_from_civil(
            i64::from(fields.year),
            i64::from(fields.month),
            i64::from(fields.day),
        );
        let seconds = i64::from(fields.hour) * 3600
            + i64::from(fields.minute) * 60
            + i64::from(fields.second);
        Ok(DateTime {
            local: days * DAY + seconds * 1_000_000 + i64::from(fields.microsecond),
            offset: check_offset(offset)?,
        })
    }

    /// From microseconds since the Unix epoch, seen at an offset (microseconds east of UTC).
    ///
    /// # Errors
    ///
    /// When the year is outside 1 to 9999 or the offset is a day or more.
    pub fn from_instant(micros: i128, offset: i64) -> Result<DateTime, Error> {
        DateTime {
            local: 0,
            offset: check_offset(Some(offset))?,
        }
        .at_local(micros + i128::from(offset))
    }

    /// From ISO 8601 text such as `2024-02-29T12:34:56.5+02:00`; naive without an offset.
    ///
    /// # Errors
    ///
    /// When the text names no full date.
    pub fn from_iso(text: &str) -> Result<DateTime, Error> {
        crate::time_parse::parse(text, || Err(Error::value_error("the date is incomplete")))
    }

    fn at_local(self, local: i128) -> Result<DateTime, Error> {
        let first = i128::from(days_from_civil(1, 1, 1) * DAY);
        let end = i128::from(days_from_civil(10_000, 1, 1)) * i128::from(DAY);
        match i64::try_from(local) {
            Ok(micros) if (first..end).contains(&local) => Ok(DateTime {
                local: micros,
                offset: self.offset,
            }),
            _ => Err(Error::overflow("date value out of range")),
        }
    }

    pub(crate) fn fields(&self) -> Fields {
        let (year, month, day) = civil_from_days(self.local.div_euclid(DAY));
        let micros = self.local.rem_euclid(DAY);
        let small = |number: i64| u32::try_from(number).unwrap_or(0);
        Fields {
            year,
            month,
            day,
            hour: small(micros / 3_600_000_000),
            minute: small(micros / 60_000_000 % 60),
            second: small(micros / 1_000_000 % 60),
            microsecond: small(micros % 1_000_000),
        }
    }

    /// Microseconds since the Unix epoch; naive times count as UTC.
    #[must_use]
    pub fn instant(&self) -> i128 {
        i128::from(self.local) - self.offset_micros()
    }

    /// Microseconds east of UTC.
    #[must_use]
    pub fn offset_micros(&self) -> i128 {
        i128::from(self.offset.unwrap_or(0))
    }

    /// Local time in whole seconds since 1970-01-01T00:00.
    pub(crate) fn local_seconds(&self) -> i64 {
        self.local.div_euclid(1_000_000)
    }

    pub(crate) fn is_aware(&self) -> bool {
        self.offset.is_some()
    }

    /// The offset itself, unless naive.
    pub fn offset(&self) -> Option<i64> {
        self.offset
    }

    pub(crate) fn with_utc_if_naive(self) -> DateTime {
        DateTime {
            local: self.local,
            offset: self.offset.or(Some(0)),
        }
    }

    /// Monday is 0.
    pub(crate) fn weekday(&self) -> u32 {
        u32::try_from((self.local.div_euclid(DAY) + 3).rem_euclid(7)).unwrap_or(0)
    }

    /// Day of the year from 1.
    pub(crate) fn ordinal(&self) -> i64 {
        let fields = self.fields();
        self.local.div_euclid(DAY) - days_from_civil(i64::from(fields.year), 1, 1) + 1
    }

    pub(crate) fn midnight(&self) -> DateTime {
        DateTime {
            local: self.local.div_euclid(DAY) * DAY,
            offset: self.offset,
        }
    }

    pub(crate) fn since_midnight(&self) -> TimeSpan {
        TimeSpan {
            micros: i128::from(self.local.rem_euclid(DAY)),
        }
    }

    pub(crate) fn plus(&self, span: TimeSpan) -> Result<DateTime, Error> {
        self.at_local(i128::from(self.local) + span.micros)
    }

    pub(crate) fn minus(&self, other: &DateTime) -> Result<TimeSpan, Error> {
        TimeSpan::new(self.instant() - other.instant())
    }

    /// ISO 8601 with a separator between date and time: `T` as JSON wants it, a blank as Python's
    /// `str` prints it.
    pub(crate) fn write(&self, out: &mut String, separator: char) {
        let f = self.fields();
        let _ = write!(
            out,
            "{:04}-{:02}-{:02}{separator}{:02}:{:02}:{:02}",
            f.year, f.month, f.day, f.hour, f.minute, f.second
        );
        if f.microsecond != 0 {
            let _ = write!(out, ".{:06}", f.microsecond);
        }
        if let Some(offset) = self.offset {
            write_offset(out, offset, ":");
        }
    }

    /// ISO 8601, as `2024-02-29T12:34:56+00:00`.
    #[must_use]
    pub fn to_iso(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 'T');
        out
    }
}

/// `+02:00`, with seconds and microseconds only where there are any.
pub(crate) fn write_offset(out: &mut String, offset: i64, separator: &str) {
    let sign = if offset < 0 { '-' } else { '+' };
    let micros = offset.abs();
    let seconds = micros / 1_000_000;
    let _ = write!(
        out,
        "{sign}{:02}{separator}{:02}",
        seconds / 3600,
        seconds / 60 % 60
    );
    if micros % 60_000_000 != 0 {
        let _ = write!(out, "{separator}{:02}", seconds % 60);
    }
    if micros % 1_000_000 != 0 {
        let _ = write!(out, ".{:06}", micros % 1_000_000);
    }
}

fn check_offset(offset: Option<i64>) -> Result<Option<i64>, Error> {
    match offset {
        Some(offset) if offset.abs() >= DAY => Err(Error::value_error(
            "offset must be a timedelta strictly between -timedelta(hours=24) and \
             timedelta(hours=24).",
        )),
        other => Ok(other),
    }
}

impl From<DateTime> for Value {
    fn from(time: DateTime) -> Value {
        Value::DateTime(std::rc::Rc::new(time))
    }
}
