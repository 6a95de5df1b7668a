//! Points and lengths of time.

use super::Library;
use crate::call::Call;
use crate::datetime::{DateTime, Fields, MICROS_PER_DAY, MICROS_PER_SECOND, TimeSpan};
use crate::error::Error;
use crate::time_format;
use crate::time_parse;
use crate::value::Value;

pub(super) fn add(library: &mut Library) {
    library.function(
        "datetime(year: int, month: int, day: int, hour: int=0, minute: int=0, second: int=0, \
         microsecond: int=0, offset: timespan=null)",
        from_fields,
    );
    library.function(
        "datetime(timestamp: num, offset: timespan=null)",
        from_timestamp,
    );
    library.function("datetime(string: str, format: str?=null)", |call| {
        let text = call.str(0)?;
        call.ev.steps(text.len() as u64)?;
        let format = call.str_or_null(1)?.filter(|format| !format.is_empty());
        let time = match format {
            Some(format) => time_format::parse(&text, &format)?,
            None => time_parse::parse(&text, || today(call))?,
        };
        Ok(Value::from(time.with_utc_if_naive()))
    });
    library.function(
        "timespan(days: int=0, hours: int=0, minutes: int=0, seconds: int!=0, milliseconds: int!=0, \
         microseconds: int!=0)",
        span_from_units,
    );
    library.function("now(offset: timespan?=null)", |call| {
        let micros = now(call)?;
        let offset = offset_at(call, 0)?.unwrap_or(0);
        DateTime::from_instant(i128::from(micros), offset).map(Value::from)
    });
    library.function("localtz()", |call| {
        let seconds = call.ev.host().local_offset_seconds();
        TimeSpan::new(i128::from(seconds) * MICROS_PER_SECOND).map(Value::TimeSpan)
    });
    library.function("utctz()", |_| TimeSpan::new(0).map(Value::TimeSpan));
    library.method(
        "replace(dt: datetime, year: int?=null, month: int?=null, day: int?=null, hour: int?=null, \
         minute: int?=null, second: int?=null, microsecond: int?=null, offset: timespan?=null)",
        replace,
    );
    library.method("format(dt: datetime, format: str)", |call| {
        let Value::DateTime(time) = call.value(0) else {
            return Ok(Value::Null);
        };
        let format = call.str(1)?;
        let text = time_format::format(&time, &format);
        call.ev.text(&text)
    });
    library.function("isDatetime(value)", |call| {
        Ok(Value::Bool(matches!(call.value(0), Value::DateTime(_))))
    });
    library.function("isTimespan(value)", |call| {
        Ok(Value::Bool(matches!(call.value(0), Value::TimeSpan(_))))
    });
}

fn span_from_units(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let units = [
        MICROS_PER_DAY,
        3600 * MICROS_PER_SECOND,
        60 * MICROS_PER_SECOND,
        MICROS_PER_SECOND,
        1000,
        1,
    ];
    let mut micros = 0_i128;
    for (index, unit) in units.into_iter().enumerate() {
        micros = i128::from(call.int(index)?)
            .checked_mul(unit)
            .and_then(|part| micros.checked_add(part))
            .ok_or_else(TimeSpan::out_of_range)?;
    }
    TimeSpan::new(micros).map(Value::TimeSpan)
}

fn now(call: &Call<'_, '_>) -> Result<i64, Error> {
    call.ev
        .host()
        .now_micros()
        .ok_or_else(|| Error::host("NotImplementedError", "this host has no clock"))
}

/// The date that fills in for fields a free-form text leaves out.
fn today(call: &Call<'_, '_>) -> Result<DateTime, Error> {
    let micros = i128::from(now(call)?);
    let offset = i128::from(call.ev.host().local_offset_seconds()) * MICROS_PER_SECOND;
    DateTime::from_instant(micros + offset, 0).map(|time| time.midnight())
}

fn offset_at(call: &Call<'_, '_>, index: usize) -> Result<Option<i64>, Error> {
    match call.value(index) {
        Value::TimeSpan(span) => i64::try_from(span.micros)
            .map(Some)
            .map_err(|_| TimeSpan::out_of_range()),
        _ => Ok(None),
    }
}

/// A field that must not be negative to be valid; out of range it becomes one that is refused.
fn field(call: &Call<'_, '_>, index: usize) -> Result<u32, Error> {
    Ok(u32::try_from(call.int(index)?).unwrap_or(u32::MAX))
}

fn year(call: &Call<'_, '_>, index: usize) -> Result<i32, Error> {
    let year = call.int(index)?;
    i32::try_from(year).map_err(|_| Error::value_error(format!("year {year} is out of range")))
}

fn from_fields(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let fields = Fields {
        year: year(call, 0)?,
        month: field(call, 1)?,
        day: field(call, 2)?,
        hour: field(call, 3)?,
        minute: field(call, 4)?,
        second: field(call, 5)?,
        microsecond: field(call, 6)?,
    };
    let offset = offset_at(call, 7)?.unwrap_or(0);
    DateTime::from_fields(fields, Some(offset)).map(Value::from)
}

fn from_timestamp(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let micros = match call.value(0) {
        Value::Float(seconds) if seconds.is_nan() => {
            return Err(Error::value_error("cannot convert float NaN to integer"));
        }
        #[allow(clippy::cast_possible_truncation)]
        Value::Float(seconds) if seconds.abs() < 1e12 => {
            // The fraction is rounded by itself, as the reference does, to keep its precision.
            let whole = seconds.floor();
            let fraction = ((seconds - whole) * 1e6).round_ties_even();
            whole as i128 * MICROS_PER_SECOND + fraction as i128
        }
        Value::Int(seconds) => i128::from(seconds) * MICROS_PER_SECOND,
        Value::Float(seconds) if seconds.is_infinite() => {
            return Err(Error::overflow("cannot convert float infinity to integer"));
        }
        _ => {
            return Err(Error::value_error("year is out of range"));
        }
    };
    let offset = offset_at(call, 1)?.unwrap_or(0);
    DateTime::from_instant(micros, offset)
        .map_err(|error| match error.kind {
            crate::error::Kind::Arithmetic => Error::value_error("year is out of range"),
            _ => error,
        })
        .map(Value::from)
}

fn replace(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let Value::DateTime(time) = call.value(0) else {
        return Ok(Value::Null);
    };
    let old = time.fields();
    let given = |index: usize| !matches!(call.value(index), Value::Null);
    let part = |index: usize, old: u32| {
        if given(index) {
            field(call, index)
        } else {
            Ok(old)
        }
    };
    let fields = Fields {
        year: if given(1) { year(call, 1)? } else { old.year },
        month: part(2, old.month)?,
        day: part(3, old.day)?,
        hour: part(4, old.hour)?,
        minute: part(5, old.minute)?,
        second: part(6, old.second)?,
        microsecond: part(7, old.microsecond)?,
    };
    let offset = offset_at(call, 8)?.or(time.offset());
    DateTime::from_fields(fields, offset).map(Value::from)
}
