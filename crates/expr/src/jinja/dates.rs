//! Dates and times, which reach templates from YAML text only.

use jiff::civil::DateTime;

use super::registry::Callable;
use super::text::moment_text;
use super::value::Val;
use super::{Res, type_error, value_error};

pub(super) fn attribute(value: &Val, name: &str) -> Option<Val> {
    let (civil, is_moment) = match value {
        Val::Date(date) => (date.at(0, 0, 0, 0), false),
        Val::Moment(moment) => (moment.civil, true),
        _ => return None,
    };
    Some(match name {
        "year" => Val::Int(i64::from(civil.year())),
        "month" => Val::Int(i64::from(civil.month())),
        "day" => Val::Int(i64::from(civil.day())),
        "hour" if is_moment => Val::Int(i64::from(civil.hour())),
        "minute" if is_moment => Val::Int(i64::from(civil.minute())),
        "second" if is_moment => Val::Int(i64::from(civil.second())),
        "microsecond" if is_moment => Val::Int(i64::from(civil.subsec_nanosecond() / 1000)),
        _ => return None,
    })
}

pub(super) const METHODS: &[Callable] = &[
    Callable::new("isoformat", "isoformat", &["self"], 1, |_, mut args| {
        Ok(Val::str(iso(&args.required(0))))
    }),
    Callable::new(
        "strftime",
        "strftime",
        &["self", "format"],
        2,
        |_, mut args| {
            let value = args.required(0);
            let Some(format) = args.required(1).as_str().cloned() else {
                return Err(type_error("strftime() argument 1 must be str"));
            };
            Ok(Val::str(strftime(&value, &format)?))
        },
    ),
    Callable::new("weekday", "weekday", &["self"], 1, |_, mut args| {
        let day = civil(&args.required(0)).weekday().to_monday_zero_offset();
        Ok(Val::Int(i64::from(day)))
    }),
    Callable::new("isoweekday", "isoweekday", &["self"], 1, |_, mut args| {
        let day = civil(&args.required(0)).weekday().to_monday_one_offset();
        Ok(Val::Int(i64::from(day)))
    }),
    Callable::new("date", "date", &["self"], 1, |_, mut args| {
        Ok(Val::Date(civil(&args.required(0)).date()))
    }),
    Callable::new("timestamp", "timestamp", &["self"], 1, |_, mut args| {
        let value = args.required(0);
        let offset = match &value {
            Val::Moment(moment) => moment.offset.unwrap_or(0),
            _ => 0,
        };
        let zoned = civil(&value)
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_err(|error| value_error(error.to_string()))?;
        Ok(Val::Float(
            zoned.timestamp().as_duration().as_secs_f64() - f64::from(offset),
        ))
    }),
];

pub(super) fn method(value: &Val, name: &str) -> Option<&'static Callable> {
    let is_of_moments = matches!(name, "date" | "timestamp");
    if is_of_moments && !matches!(value, Val::Moment(_)) {
        return None;
    }
    METHODS.iter().find(|callable| callable.name == name)
}

fn civil(value: &Val) -> DateTime {
    match value {
        Val::Date(date) => date.at(0, 0, 0, 0),
        Val::Moment(moment) => moment.civil,
        _ => DateTime::ZERO,
    }
}

/// ISO 8601, with `T` between date and time.
pub(super) fn iso(value: &Val) -> String {
    match value {
        Val::Moment(moment) => moment_text(moment, 'T'),
        other => civil(other).date().to_string(),
    }
}

pub(super) fn strftime(value: &Val, format: &str) -> Res<String> {
    let civil = civil(value);
    let offset = match value {
        Val::Moment(moment) => moment.offset,
        _ => None,
    };
    let mut time = jiff::fmt::strtime::BrokenDownTime::from(civil);
    if let Some(offset) = offset.and_then(|seconds| jiff::tz::Offset::from_seconds(seconds).ok()) {
        time.set_offset(Some(offset));
    }
    // Python's microseconds and the fields that are empty for naive times.
    let micros = format!("{:06}", civil.subsec_nanosecond() / 1000);
    let mut format = format.replace("%f", &micros);
    if offset.is_none() {
        format = format.replace("%z", "").replace("%Z", "");
    }
    time.to_string(&format)
        .map_err(|error| value_error(format!("Invalid format string: {error}")))
}
