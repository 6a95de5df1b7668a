//! Casts of parameter values to the type that their schema declares.
//!
//! Source: StackStorm `st2common/util/casts.py`. Command lines, chat and templates give text where
//! an action wants a number or a list; a cast makes the one from the other, and says no in the
//! words that StackStorm's users know.

use num_traits::{FromPrimitive, ToPrimitive};
use squall_expr::{Error, Kind};
use squall_value::number::{self, IntError};
use squall_value::{BigInt, Value, literal, orjson, python};

use crate::types::{Type, python_type};

/// The text that stands for null where a template could only produce text (the `use_none` filter
/// writes it).
pub const NONE_MARKER: &str = "%*****__%NONE%__*****%";

/// Casts `value` to `kind`.
///
/// Null stays null, whatever the type. Arrays and objects are read from text, but not checked: that
/// is the validator's work.
///
/// # Errors
///
/// The error that Python raises for it: `ValueError`, `TypeError`, `SyntaxError`, `OverflowError`.
pub fn cast(kind: Type, value: &Value) -> Result<Value, Error> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    match kind {
        Type::Array | Type::Object => container(value),
        Type::Boolean => boolean(value),
        Type::Integer => integer(value),
        Type::Number => number(value),
        Type::String => string(value),
        Type::Null => Ok(value.clone()),
    }
}

/// Casts `value` for a schema that allows several types.
///
/// A value that is of one of them already stays as it is. Text is tried against the others in
/// order, and stays text if none of them takes it: the validator then names all types. (StackStorm
/// fails on every value here, because its table of casts can't be asked with a list.)
#[must_use]
pub fn cast_any(kinds: &[Type], value: &Value) -> Value {
    if kinds.iter().any(|kind| kind.admits(value)) || value.as_str().is_none() {
        return value.clone();
    }
    kinds
        .iter()
        .filter(|&&kind| kind != Type::Null)
        .find_map(|&kind| {
            cast(kind, value)
                .ok()
                .filter(|result| kind.admits(result) || result.is_null())
        })
        .unwrap_or_else(|| value.clone())
}

fn is_marker(value: &Value) -> bool {
    value.as_str() == Some(NONE_MARKER)
}

fn container(value: &Value) -> Result<Value, Error> {
    if is_marker(value) {
        return Ok(Value::Null);
    }
    match value.as_str() {
        Some(text) => match orjson::read(text) {
            Ok(decoded) => Ok(decoded),
            Err(_) => literal::read(text).map_err(from_literal),
        },
        None => Ok(value.clone()),
    }
}

fn boolean(value: &Value) -> Result<Value, Error> {
    if is_marker(value) {
        return Ok(Value::Null);
    }
    match value.as_str() {
        Some("true" | "True") => Ok(Value::Bool(true)),
        Some("false" | "False") => Ok(Value::Bool(false)),
        Some(text) => literal::read(&capitalize(text)).map_err(from_literal),
        None => Ok(value.clone()),
    }
}

/// Python's `str.capitalize`.
fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first
            .to_uppercase()
            .chain(chars.as_str().to_lowercase().chars())
            .collect(),
        None => String::new(),
    }
}

fn integer(value: &Value) -> Result<Value, Error> {
    match value {
        Value::Int(_) | Value::BigInt(_) => Ok(value.clone()),
        Value::Bool(truth) => Ok(Value::Int(i64::from(*truth))),
        Value::Float(number) => truncate(*number),
        _ if is_marker(value) => Err(not_an_int(&Value::Null)),
        Value::String(text) => number::parse_int(text, 10).map_err(|error| match error {
            IntError::Malformed => value_error(format!(
                "invalid literal for int() with base 10: {}",
                python::repr(value)
            )),
            IntError::TooLong(count) => value_error(format!(
                "Exceeds the limit (4300 digits) for integer string conversion: value has {count} \
                 digits"
            )),
        }),
        Value::Null | Value::List(_) | Value::Dict(_) => Err(not_an_int(value)),
    }
}

fn truncate(number: f64) -> Result<Value, Error> {
    if number.is_nan() {
        return Err(value_error("cannot convert float NaN to integer"));
    }
    BigInt::from_f64(number.trunc())
        .map(Value::from)
        .ok_or_else(|| overflow("cannot convert float infinity to integer"))
}

fn number(value: &Value) -> Result<Value, Error> {
    let number = match value {
        Value::Float(_) => return Ok(value.clone()),
        #[allow(clippy::cast_precision_loss)]
        Value::Int(number) => *number as f64,
        Value::BigInt(number) => number
            .to_f64()
            .filter(|number| number.is_finite())
            .ok_or_else(|| overflow("int too large to convert to float"))?,
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        _ if is_marker(value) => return Err(not_a_float(&Value::Null)),
        Value::String(text) => number::parse_float(text).ok_or_else(|| {
            value_error(format!(
                "could not convert string to float: {}",
                python::repr(value)
            ))
        })?,
        Value::Null | Value::List(_) | Value::Dict(_) => return Err(not_a_float(value)),
    };
    Ok(Value::Float(number))
}

fn string(value: &Value) -> Result<Value, Error> {
    if value.as_str().is_none() {
        return Err(value_error(format!(
            "Value \"{}\" must either be a string or None. Got \"{}\".",
            python::str(value),
            python_type(value)
        )));
    }
    Ok(if is_marker(value) {
        Value::Null
    } else {
        value.clone()
    })
}

fn not_an_int(value: &Value) -> Error {
    type_error(format!(
        "int() argument must be a string, a bytes-like object or a real number, not '{}'",
        python_type(value)
    ))
}

fn not_a_float(value: &Value) -> Error {
    type_error(format!(
        "float() argument must be a string or a real number, not '{}'",
        python_type(value)
    ))
}

fn from_literal(error: literal::Error) -> Error {
    let (class, kind) = match error {
        literal::Error::Malformed { .. } => ("ValueError", Kind::Value),
        literal::Error::Syntax { .. } => ("SyntaxError", Kind::Value),
        literal::Error::Unhashable(_) => ("TypeError", Kind::Type),
    };
    Error::new(class, kind, error.to_string())
}

fn value_error(message: impl Into<String>) -> Error {
    Error::new("ValueError", Kind::Value, message)
}

fn type_error(message: impl Into<String>) -> Error {
    Error::new("TypeError", Kind::Type, message)
}

fn overflow(message: &str) -> Error {
    Error::new("OverflowError", Kind::Arithmetic, message)
}
