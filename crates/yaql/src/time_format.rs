//! `strftime` and `strptime` with Python's directives in the C locale.

use std::fmt::Write;

use crate::datetime::{DateTime, Fields, days_from_civil, write_offset};
use crate::error::Error;

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(crate) const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// Python's `dt.strftime(format)`; unknown directives stay as they are.
pub(crate) fn format(time: &DateTime, format: &str) -> String {
    let mut out = String::with_capacity(format.len() * 2);
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('-') => match chars.next() {
                // glibc's flag against padding.
                Some(directive) => {
                    let mut padded = String::new();
                    write_directive(&mut padded, time, directive);
                    let bare = padded.trim_start_matches(['0', ' ']);
                    out.push_str(if bare.is_empty() { "0" } else { bare });
                }
                None => out.push_str("%-"),
            },
            Some(directive) => write_directive(&mut out, time, directive),
            None => out.push('%'),
        }
    }
    out
}

fn name(names: &[&'static str], index: u32) -> &'static str {
    names.get(index as usize).copied().unwrap_or("")
}

fn write_directive(out: &mut String, time: &DateTime, directive: char) {
    let f = time.fields();
    let weekday = time.weekday();
    let hour12 = (f.hour + 11) % 12 + 1;
    let day_of_year = time.ordinal();
    let _ = match directive {
        'a' => write!(out, "{}", &name(&DAYS, weekday)[..3]),
        'A' => write!(out, "{}", name(&DAYS, weekday)),
        'b' | 'h' => write!(out, "{}", &name(&MONTHS, f.month - 1)[..3]),
        'B' => write!(out, "{}", name(&MONTHS, f.month - 1)),
        'c' => {
            out.push_str(&format(time, "%a %b %e %H:%M:%S %Y"));
            Ok(())
        }
        'C' => write!(out, "{:02}", f.year / 100),
        'd' => write!(out, "{:02}", f.day),
        'D' | 'x' => write!(out, "{:02}/{:02}/{:02}", f.month, f.day, f.year % 100),
        'e' => write!(out, "{:2}", f.day),
        'f' => write!(out, "{:06}", f.microsecond),
        'F' => write!(out, "{}-{:02}-{:02}", f.year, f.month, f.day),
        'G' => write!(out, "{}", iso_week(time).0),
        'g' => write!(out, "{:02}", iso_week(time).0 % 100),
        'H' => write!(out, "{:02}", f.hour),
        'I' => write!(out, "{hour12:02}"),
        'j' => write!(out, "{day_of_year:03}"),
        'k' => write!(out, "{:2}", f.hour),
        'l' => write!(out, "{hour12:2}"),
        'm' => write!(out, "{:02}", f.month),
        'M' => write!(out, "{:02}", f.minute),
        'n' => out.write_char('\n'),
        'p' => write!(out, "{}", if f.hour < 12 { "AM" } else { "PM" }),
        'P' => write!(out, "{}", if f.hour < 12 { "am" } else { "pm" }),
        'r' => write!(
            out,
            "{hour12:02}:{:02}:{:02} {}",
            f.minute,
            f.second,
            if f.hour < 12 { "AM" } else { "PM" }
        ),
        'R' => write!(out, "{:02}:{:02}", f.hour, f.minute),
        // The C library knows no offset: it takes the local time for that of its own zone.
        's' => write!(out, "{}", time.local_seconds()),
        'S' => write!(out, "{:02}", f.second),
        't' => write!(out, "\t"),
        'T' | 'X' => write!(out, "{:02}:{:02}:{:02}", f.hour, f.minute, f.second),
        'u' => write!(out, "{}", weekday + 1),
        'U' => write!(
            out,
            "{:02}",
            (day_of_year + 6 - i64::from((weekday + 1) % 7)) / 7
        ),
        'V' => write!(out, "{:02}", iso_week(time).1),
        'w' => write!(out, "{}", (weekday + 1) % 7),
        'W' => write!(out, "{:02}", (day_of_year + 6 - i64::from(weekday)) / 7),
        'y' => write!(out, "{:02}", f.year % 100),
        'Y' => write!(out, "{}", f.year),
        'z' => {
            if let Some(offset) = time.offset() {
                write_offset(out, offset, "");
            }
            Ok(())
        }
        // Only UTC has a name here; other offsets are nameless, as in the reference.
        'Z' => write!(out, "{}", if time.offset() == Some(0) { "UTC" } else { "" }),
        '%' => write!(out, "%"),
        other => write!(out, "%{other}"),
    };
}

/// Year and week of ISO 8601.
fn iso_week(time: &DateTime) -> (i64, i64) {
    let year = i64::from(time.fields().year);
    let weeks_in = |year: i64| {
        let first = (days_from_civil(year, 1, 1) + 3).rem_euclid(7);
        let leap = days_from_civil(year + 1, 1, 1) - days_from_civil(year, 1, 1) == 366;
        if first == 3 || first == 2 && leap {
            53
        } else {
            52
        }
    };
    let week = (time.ordinal() - i64::from(time.weekday() + 1) + 10) / 7;
    if week < 1 {
        (year - 1, weeks_in(year - 1))
    } else if week > weeks_in(year) {
        (year + 1, 1)
    } else {
        (year, week)
    }
}

/// What `strptime` has found so far.
#[derive(Default)]
struct Found {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    hour: Option<u32>,
    hour12: Option<u32>,
    afternoon: Option<bool>,
    minute: u32,
    second: u32,
    microsecond: u32,
    ordinal: Option<u32>,
    offset: Option<i64>,
    /// Week of the year and whether weeks begin on Monday.
    week: Option<(u32, bool)>,
    /// Monday is 0.
    weekday: Option<u32>,
    iso_year: Option<i32>,
    iso_week: Option<u32>,
}

/// Python's `datetime.strptime(text, format)`.
pub(crate) fn parse(text: &str, format: &str) -> Result<DateTime, Error> {
    let mismatch = || {
        let quote = |text: &str| crate::text::repr_short(&crate::value::Value::from(text));
        let (text, format) = (quote(text), quote(format));
        Error::value_error(format!("time data {text} does not match format {format}"))
    };
    let mut found = Found::default();
    let mut rest = text;
    let mut expanded = String::new();
    for (from, to) in [
        ("%T", "%H:%M:%S"),
        ("%X", "%H:%M:%S"),
        ("%D", "%m/%d/%y"),
        ("%x", "%m/%d/%y"),
        ("%R", "%H:%M"),
        ("%F", "%Y-%m-%d"),
        ("%c", "%a %b %d %H:%M:%S %Y"),
    ] {
        let source = if expanded.is_empty() {
            format
        } else {
            &expanded
        };
        // Only those that Python knows: it refuses the others.
        if matches!(from, "%X" | "%x" | "%c") && source.contains(from) {
            expanded = source.replace(from, to);
        }
    }
    let pattern = if expanded.is_empty() {
        format
    } else {
        &expanded
    };
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            // Blanks in the format take one blank or more.
            let trimmed = rest.trim_start();
            if trimmed.len() == rest.len() {
                return Err(mismatch());
            }
            rest = trimmed;
            continue;
        }
        if c != '%' {
            let lower = |c: char| c.to_lowercase().next();
            let first = rest.chars().next().ok_or_else(mismatch)?;
            if lower(first) != lower(c) {
                return Err(mismatch());
            }
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let directive = chars
            .next()
            .ok_or_else(|| Error::value_error(format!("stray % in format '{format}'")))?;
        if !"aAbBdfGHIjmMpSuUVwWyYzZ%".contains(directive) {
            return Err(Error::value_error(format!(
                "'{directive}' is a bad directive in format '{format}'"
            )));
        }
        rest = read(&mut found, rest, directive).ok_or_else(mismatch)?;
    }
    if !rest.is_empty() {
        return Err(Error::value_error(format!(
            "unconverted data remains: {rest}"
        )));
    }
    found.finish()
}

/// Up to `most` digits that are at most `limit`.
fn number(rest: &str, most: usize, limit: u32) -> Option<(u32, &str)> {
    let digits = rest
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    (1..=digits).rev().find_map(|length| {
        let number: u32 = rest[..length].parse().ok()?;
        (number <= limit).then(|| (number, &rest[length..]))
    })
}

fn word<'t>(rest: &'t str, names: &[&str], short: bool) -> Option<(u32, &'t str)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let name = if short { &name[..3] } else { name };
        let head = rest.get(..name.len())?;
        let index = u32::try_from(index).ok()?;
        head.eq_ignore_ascii_case(name)
            .then(|| (index, &rest[name.len()..]))
    })
}

fn read<'t>(found: &mut Found, rest: &'t str, directive: char) -> Option<&'t str> {
    let take =
        |most, limit, low: u32| number(rest, most, limit).filter(|(number, _)| *number >= low);
    let (value, rest_after) = match directive {
        'a' => word(rest, &DAYS, true)?,
        'A' => word(rest, &DAYS, false)?,
        'b' => word(rest, &MONTHS, true)?,
        'B' => word(rest, &MONTHS, false)?,
        'd' => take(2, 31, 1)?,
        'f' => {
            let digits = rest.bytes().take(6).take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return None;
            }
            (
                format!("{:0<6}", &rest[..digits]).parse().ok()?,
                &rest[digits..],
            )
        }
        'H' => take(2, 23, 0)?,
        'I' | 'm' => take(2, 12, 1)?,
        'j' => take(3, 366, 1)?,
        'M' => take(2, 59, 0)?,
        'S' => take(2, 61, 0)?,
        'u' => take(1, 7, 1)?,
        'w' => take(1, 6, 0)?,
        'U' | 'W' => take(2, 53, 0)?,
        'V' => take(2, 53, 1)?,
        'y' => {
            rest.get(..2)
                .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
            take(2, 99, 0)?
        }
        'Y' | 'G' => {
            rest.get(..4)
                .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
            take(4, 9999, 0)?
        }
        'p' => word(rest, &["AM", "PM"], false)?,
        'z' => return read_offset(found, rest),
        'Z' => {
            let name = ["UTC", "GMT"].iter().find(|name| {
                rest.get(..3)
                    .is_some_and(|head| head.eq_ignore_ascii_case(name))
            })?;
            return Some(&rest[name.len()..]);
        }
        _ => return rest.strip_prefix('%'),
    };
    found.store(directive, value)?;
    Some(rest_after)
}

impl Found {
    /// Takes what a directive read.
    fn store(&mut self, directive: char, value: u32) -> Option<()> {
        let signed = i32::try_from(value).ok()?;
        match directive {
            'a' | 'A' => self.weekday = Some(value),
            'u' => self.weekday = Some(value - 1),
            'w' => self.weekday = Some((value + 6) % 7),
            'b' | 'B' => self.month = Some(value + 1),
            'd' => self.day = Some(value),
            'f' => self.microsecond = value,
            'H' => self.hour = Some(value),
            'I' => self.hour12 = Some(value),
            'j' => self.ordinal = Some(value),
            'm' => self.month = Some(value),
            'M' => self.minute = value,
            'S' => self.second = value,
            'U' => self.week = Some((value, false)),
            'W' => self.week = Some((value, true)),
            'V' => self.iso_week = Some(value),
            'G' => self.iso_year = Some(signed),
            'y' => {
                self.year = Some(if signed <= 68 {
                    2000 + signed
                } else {
                    1900 + signed
                })
            }
            'Y' => self.year = Some(signed),
            _ => self.afternoon = Some(value == 1),
        }
        Some(())
    }
}

/// `Z`, `+0200`, `+02:00`, `+02:00:30.5`.
fn read_offset<'t>(found: &mut Found, rest: &'t str) -> Option<&'t str> {
    if let Some(after) = rest.strip_prefix('Z') {
        found.offset = Some(0);
        return Some(after);
    }
    let sign = match rest.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let two = |text: &str| -> Option<i64> {
        text.get(..2)
            .filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?
            .parse()
            .ok()
    };
    let mut rest = &rest[1..];
    let hours = two(rest)?;
    rest = &rest[2..];
    let colon = rest.starts_with(':');
    rest = rest.strip_prefix(':').unwrap_or(rest);
    let minutes = two(rest).filter(|minutes| *minutes < 60)?;
    rest = &rest[2..];
    let mut seconds = 0;
    let after = if colon {
        rest.strip_prefix(':')
    } else {
        Some(rest)
    };
    if let Some(after) = after
        && let Some(number) = two(after).filter(|seconds| *seconds < 60)
    {
        seconds = number;
        rest = &after[2..];
    }
    found.offset = Some(sign * (hours * 3600 + minutes * 60 + seconds) * 1_000_000);
    Some(rest)
}

impl Found {
    /// The directives of the ISO week belong together.
    fn check_iso(&self) -> Result<(), Error> {
        const WEEKDAYS: &str = "a weekday directive ('%A', '%a', '%w', or '%u').";
        Err(Error::value_error(match (self.iso_year, self.iso_week) {
            (Some(_), _) if self.ordinal.is_some() => {
                "Day of the year directive '%j' is not compatible with ISO year directive '%G'. Use \
                 '%Y' instead."
                    .to_owned()
            }
            (Some(_), week) if week.is_none() || self.weekday.is_none() => format!(
                "ISO year directive '%G' must be used with the ISO week directive '%V' and {WEEKDAYS}"
            ),
            (None, Some(_)) if self.year.is_none() || self.weekday.is_none() => format!(
                "ISO week directive '%V' must be used with the ISO year directive '%G' and {WEEKDAYS}"
            ),
            (None, Some(_)) => "ISO week directive '%V' is incompatible with the year directive \
                                '%Y'. Use the ISO year '%G' instead."
                .to_owned(),
            _ => return Ok(()),
        }))
    }

    fn finish(self) -> Result<DateTime, Error> {
        self.check_iso()?;
        let year = self.year.or(self.iso_year).unwrap_or(1900);
        let hour = match (self.hour, self.hour12, self.afternoon) {
            (Some(hour), _, _) => hour,
            (None, Some(hour), afternoon) => {
                hour % 12 + if afternoon == Some(true) { 12 } else { 0 }
            }
            (None, None, _) => 0,
        };
        // Day counts from the first of January, where the text says so in another way than by month.
        let from_new_year = match (self.ordinal, self.week, self.iso_week, self.weekday) {
            (Some(ordinal), ..) => Some(i64::from(ordinal) - 1),
            (None, Some((week, monday)), _, Some(weekday)) if self.iso_year.is_none() => {
                Some(week_to_day(year, week, monday, weekday))
            }
            (None, _, Some(week), Some(weekday)) => {
                let fourth = (days_from_civil(i64::from(year), 1, 4) + 3).rem_euclid(7);
                Some(i64::from(week - 1) * 7 + 3 - fourth + i64::from(weekday))
            }
            _ => None,
        };
        let fields = Fields {
            year,
            month: self.month.unwrap_or(1),
            day: self.day.unwrap_or(1),
            hour,
            minute: self.minute,
            second: self.second,
            microsecond: self.microsecond,
        };
        if let Some(days) = from_new_year {
            let time = DateTime::from_fields(
                Fields {
                    month: 1,
                    day: 1,
                    ..fields
                },
                self.offset,
            )?;
            return time.plus(crate::datetime::TimeSpan::new(
                i128::from(days) * crate::datetime::MICROS_PER_DAY,
            )?);
        }
        DateTime::from_fields(fields, self.offset)
    }
}

/// Days after the first of January of a weekday in a week that begins on Sunday or Monday.
fn week_to_day(year: i32, week: u32, monday: bool, weekday: u32) -> i64 {
    let shift = |weekday: i64| if monday { weekday } else { (weekday + 1) % 7 };
    let first = shift((days_from_civil(i64::from(year), 1, 1) + 3).rem_euclid(7));
    let weekday = shift(i64::from(weekday));
    if week == 0 {
        return weekday - first;
    }
    let week_zero = (7 - first) % 7;
    week_zero + 7 * (i64::from(week) - 1) + weekday
}
