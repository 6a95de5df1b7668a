//! Properties of points and lengths of time: `$.created.year`.

use crate::datetime::{DateTime, MICROS_PER_DAY, TimeSpan};
use crate::error::Error;
use crate::value::Value;

const TIME_PROPERTIES: [&str; 13] = [
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "microsecond",
    "weekday",
    "date",
    "time",
    "utc",
    "offset",
    "timestamp",
];

const SPAN_PROPERTIES: [&str; 6] = [
    "days",
    "hours",
    "minutes",
    "seconds",
    "milliseconds",
    "microseconds",
];

/// `value.name` where `value` is neither dictionary nor collection.
pub(crate) fn property(value: &Value, name: &str) -> Result<Value, Error> {
    let found = match value {
        Value::DateTime(time) => time_property(time, name)?,
        Value::TimeSpan(span) => span_property(*span, name),
        _ => None,
    };
    found.ok_or_else(|| {
        let function = format!("#property#{name}");
        if TIME_PROPERTIES.contains(&name) || SPAN_PROPERTIES.contains(&name) {
            Error::no_matching(&function, None)
        } else {
            Error::unknown_function(&function)
        }
    })
}

fn time_property(time: &DateTime, name: &str) -> Result<Option<Value>, Error> {
    let fields = time.fields();
    Ok(Some(match name {
        "year" => Value::Int(i64::from(fields.year)),
        "month" => Value::Int(i64::from(fields.month)),
        "day" => Value::Int(i64::from(fields.day)),
        "hour" => Value::Int(i64::from(fields.hour)),
        "minute" => Value::Int(i64::from(fields.minute)),
        "second" => Value::Int(i64::from(fields.second)),
        "microsecond" => Value::Int(i64::from(fields.microsecond)),
        "weekday" => Value::Int(i64::from(time.weekday())),
        "date" => Value::from(time.midnight()),
        "time" => Value::TimeSpan(time.since_midnight()),
        "utc" => Value::from(time.plus(TimeSpan::new(-time.offset_micros())?)?),
        "offset" => Value::TimeSpan(TimeSpan::new(time.offset_micros())?),
        "timestamp" => {
            // The reference moves the local time by the offset but keeps the offset, so the second
            // conversion to UTC moves it once more.
            let utc = time.plus(TimeSpan::new(-time.offset_micros())?)?;
            Value::Float(seconds(utc.instant()))
        }
        _ => return Ok(None),
    }))
}

#[allow(clippy::cast_precision_loss)] // Python divides as floats too.
fn seconds(micros: i128) -> f64 {
    micros as f64 / 1e6
}

#[allow(clippy::cast_precision_loss)]
fn span_property(span: TimeSpan, name: &str) -> Option<Value> {
    let micros = span.micros as f64;
    Some(match name {
        "days" => Value::Float(micros / MICROS_PER_DAY as f64),
        "hours" => Value::Float(micros / 3.6e9),
        "minutes" => Value::Float(micros / 6e7),
        "seconds" => Value::Float(micros / 1e6),
        "milliseconds" => Value::Float(micros / 1e3),
        "microseconds" => match i64::try_from(span.micros) {
            Ok(micros) => Value::Int(micros),
            Err(_) => Value::big(num_bigint::BigInt::from(span.micros)),
        },
        _ => return None,
    })
}
