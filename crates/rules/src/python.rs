//! Python's equality, order and membership of data, on which the operators rest.

use std::cmp::Ordering;

use squall_expr::{Error, Kind};
use squall_value::{BigInt, Value};

/// What Python calls the type of a value.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::BigInt(_) => "int",
        Value::Float(_) => "float",
        Value::String(_) => "str",
        Value::List(_) => "list",
        Value::Dict(_) => "dict",
    }
}

/// `a == b`: numbers and booleans by their value, at any depth.
pub(crate) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(a, b))
        }
        (Value::Dict(a), Value::Dict(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, item)| b.get(key).is_some_and(|other| equal(item, other)))
        }
        _ => match (Number::of(a), Number::of(b)) {
            (Some(a), Some(b)) => a.compare(&b) == Some(Ordering::Equal),
            (None, None) => a == b,
            _ => false,
        },
    }
}

/// `a < b` for `symbol` `<`, `a > b` for `>`.
///
/// # Errors
///
/// `TypeError` for values that have no order.
pub(crate) fn ordered(a: &Value, b: &Value, symbol: &'static str) -> Result<bool, Error> {
    let wanted = if symbol == "<" {
        Ordering::Less
    } else {
        Ordering::Greater
    };
    if let (Value::List(a), Value::List(b)) = (a, b) {
        let difference = a.iter().zip(b.iter()).find(|(a, b)| !equal(a, b));
        return match difference {
            Some((a, b)) => ordered(a, b, symbol),
            None => Ok(a.len().cmp(&b.len()) == wanted),
        };
    }
    if let (Value::String(a), Value::String(b)) = (a, b) {
        return Ok(a.cmp(b) == wanted);
    }
    match (Number::of(a), Number::of(b)) {
        (Some(a), Some(b)) => Ok(a.compare(&b) == Some(wanted)),
        _ => Err(type_error(format!(
            "'{symbol}' not supported between instances of '{}' and '{}'",
            type_name(a),
            type_name(b)
        ))),
    }
}

/// `needle in haystack`.
///
/// # Errors
///
/// `TypeError` when the haystack holds nothing, or is a text and the needle is not.
pub(crate) fn contains(haystack: &Value, needle: &Value) -> Result<bool, Error> {
    match haystack {
        Value::String(text) => match needle {
            Value::String(part) => Ok(text.contains(&**part)),
            other => Err(type_error(format!(
                "'in <string>' requires string as left operand, not {}",
                type_name(other)
            ))),
        },
        Value::List(items) => Ok(items.iter().any(|item| equal(item, needle))),
        Value::Dict(dict) => match needle {
            Value::String(key) => Ok(dict.contains_key(key)),
            Value::List(_) | Value::Dict(_) => Err(type_error(format!(
                "unhashable type: '{}'",
                type_name(needle)
            ))),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {
                Ok(false)
            }
        },
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {
            Err(type_error(format!(
                "argument of type '{}' is not iterable",
                type_name(haystack)
            )))
        }
    }
}

/// A `TypeError`.
pub(crate) fn type_error(message: impl Into<String>) -> Error {
    Error::new("TypeError", Kind::Type, message)
}

/// `'int' object has no attribute 'lower'`.
pub(crate) fn no_attribute(value: &Value, attribute: &str) -> Error {
    Error::new(
        "AttributeError",
        Kind::Attribute,
        format!(
            "'{}' object has no attribute '{attribute}'",
            type_name(value)
        ),
    )
}

enum Number<'a> {
    Int(i64),
    Big(&'a BigInt),
    Float(f64),
}

impl Number<'_> {
    fn of(value: &Value) -> Option<Number<'_>> {
        match value {
            Value::Bool(truth) => Some(Number::Int(i64::from(*truth))),
            Value::Int(number) => Some(Number::Int(*number)),
            Value::BigInt(number) => Some(Number::Big(number)),
            Value::Float(number) => Some(Number::Float(*number)),
            Value::Null | Value::String(_) | Value::List(_) | Value::Dict(_) => None,
        }
    }

    /// By value, without rounding integers to floats; `None` for NaN.
    fn compare(&self, other: &Number<'_>) -> Option<Ordering> {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => Some(a.cmp(b)),
            (Number::Float(a), Number::Float(b)) => a.partial_cmp(b),
            (Number::Big(a), Number::Big(b)) => Some(a.cmp(b)),
            (Number::Int(a), Number::Big(b)) => Some(BigInt::from(*a).cmp(b)),
            (Number::Big(a), Number::Int(b)) => Some((*a).cmp(&BigInt::from(*b))),
            (Number::Int(a), Number::Float(b)) => compare_float(&BigInt::from(*a), *b),
            (Number::Big(a), Number::Float(b)) => compare_float(a, *b),
            (Number::Float(_), _) => other.compare(self).map(Ordering::reverse),
        }
    }
}

fn compare_float(integer: &BigInt, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    let Some(whole) = whole_part(float) else {
        return Some(if float > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        });
    };
    let by_fraction = 0.0_f64.partial_cmp(&float.fract());
    Some(integer.cmp(&whole).then(by_fraction?))
}

/// The integer part of a finite float.
fn whole_part(float: f64) -> Option<BigInt> {
    use num_traits::FromPrimitive;
    BigInt::from_f64(float.trunc())
}
