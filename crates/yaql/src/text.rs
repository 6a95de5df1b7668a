//! Values as text, as Python prints them.

use std::fmt::Write;

use squall_value::python;

use crate::error::Error;
use crate::number::DIGITS_MAX;
use crate::regex::Regex;
use crate::value::{Value, View, ViewKind};

/// How long a value's text in an error message may get.
const MESSAGE_MAX: u64 = 16 * 1024;

/// Python's `str(value)`, at most `bytes_max` long.
pub(crate) fn python_str(value: &Value, bytes_max: u64) -> Result<String, Error> {
    let mut out = String::new();
    match value {
        Value::String(text) => out.push_str(text),
        Value::DateTime(time) => time.write(&mut out, ' '),
        Value::TimeSpan(span) => span.write(&mut out),
        other => repr(&mut out, other, bytes_max)?,
    }
    Ok(out)
}

/// The language's `str(value)`: null, true and false by the language's own words.
pub(crate) fn str(value: &Value, bytes_max: u64) -> Result<String, Error> {
    match value {
        Value::Null => Ok("null".to_owned()),
        Value::Bool(true) => Ok("true".to_owned()),
        Value::Bool(false) => Ok("false".to_owned()),
        other => python_str(other, bytes_max),
    }
}

/// The text of a receiver in an error message, cut where it gets too long.
pub(crate) fn for_message(value: &Value) -> String {
    python_str(value, MESSAGE_MAX).unwrap_or_else(|_| format!("<{} object>", value.type_name()))
}

/// `repr` of a key in an error message.
pub(crate) fn repr_short(value: &Value) -> String {
    let mut out = String::new();
    match repr(&mut out, value, MESSAGE_MAX) {
        Ok(()) => out,
        Err(_) => format!("<{} object>", value.type_name()),
    }
}

/// Appends Python's `repr(value)`; fails once `out` is longer than `bytes_max`.
pub(crate) fn repr(out: &mut String, value: &Value, bytes_max: u64) -> Result<(), Error> {
    if out.len() as u64 > bytes_max {
        return Err(Error::memory());
    }
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(number) => {
            let _ = write!(out, "{number}");
        }
        Value::BigInt(number) => out.push_str(&big_digits(number)?),
        Value::Float(number) => python::write_float(out, *number),
        Value::String(text) => python::write_str_repr(out, text),
        Value::Sequence(items) => {
            let (open, close) = if items.is_mutable() {
                ('[', ']')
            } else {
                ('(', ')')
            };
            out.push(open);
            list(out, items.iter(), bytes_max)?;
            if items.len() == 1 && !items.is_mutable() {
                out.push(',');
            }
            out.push(close);
        }
        Value::Dict(dict) => entries(out, dict.iter(), bytes_max)?,
        Value::Set(set) if set.is_empty() => out.push_str("frozenset()"),
        Value::Set(set) => {
            out.push_str("frozenset({");
            list(out, set.iter().cloned(), bytes_max)?;
            out.push_str("})");
        }
        Value::View(view) => view_repr(out, view, bytes_max)?,
        Value::DateTime(time) => {
            let f = time.fields();
            let _ = write!(
                out,
                "datetime.datetime({}, {}, {}, {}, {}",
                f.year, f.month, f.day, f.hour, f.minute
            );
            if f.second != 0 || f.microsecond != 0 {
                let _ = write!(out, ", {}", f.second);
            }
            if f.microsecond != 0 {
                let _ = write!(out, ", {}", f.microsecond);
            }
            match time.offset() {
                None => {}
                Some(0) => out.push_str(", tzinfo=tzutc()"),
                Some(micros) => {
                    let _ = write!(out, ", tzinfo=tzoffset(None, {})", micros / 1_000_000);
                }
            }
            out.push(')');
        }
        Value::TimeSpan(span) => span.write_repr(out),
        Value::Regex(regex) => regex_repr(out, regex),
        Value::Iterator(_) => out.push_str("<generator object>"),
        Value::Ordering(_) => {
            out.push_str("<yaql.standard_library.queries.OrderingIterable object>");
        }
        Value::Context(_) => out.push_str("<yaql.language.contexts.Context object>"),
        Value::Function(_) => out.push_str("<function>"),
        Value::Rule(_) => out.push_str("<yaql.language.utils.MappingRule object>"),
        Value::HostDict(_) => out.push_str("{...}"),
    }
    Ok(())
}

/// The digits of a large integer.
pub(crate) fn big_digits(number: &num_bigint::BigInt) -> Result<String, Error> {
    // log10(2) is a little over 0.301: enough to refuse before the costly conversion.
    let too_long = || {
        Error::value_error(format!(
            "Exceeds the limit ({DIGITS_MAX} digits) for integer string conversion; use \
             sys.set_int_max_str_digits() to increase the limit"
        ))
    };
    if number.bits() > DIGITS_MAX as u64 * 10 / 3 {
        return Err(too_long());
    }
    let digits = number.to_string();
    if digits.trim_start_matches('-').len() > DIGITS_MAX {
        return Err(too_long());
    }
    Ok(digits)
}

fn list(out: &mut String, items: impl Iterator<Item = Value>, bytes_max: u64) -> Result<(), Error> {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        repr(out, &item, bytes_max)?;
    }
    Ok(())
}

fn entries(
    out: &mut String,
    entries: impl Iterator<Item = (Value, Value)>,
    bytes_max: u64,
) -> Result<(), Error> {
    out.push('{');
    for (index, (key, value)) in entries.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        repr(out, &key, bytes_max)?;
        out.push_str(": ");
        repr(out, &value, bytes_max)?;
    }
    out.push('}');
    Ok(())
}

fn view_repr(out: &mut String, view: &View, bytes_max: u64) -> Result<(), Error> {
    out.push_str(view.type_name());
    out.push('(');
    if view.dict.is_mutable() {
        out.push('[');
        list(out, view.iter(), bytes_max)?;
        out.push(']');
    } else {
        entries(out, view.dict.iter(), bytes_max)?;
    }
    out.push(')');
    debug_assert!(matches!(
        view.kind,
        ViewKind::Keys | ViewKind::Values | ViewKind::Items
    ));
    Ok(())
}

fn regex_repr(out: &mut String, regex: &Regex) {
    out.push_str("re.compile(");
    python::write_str_repr(out, regex.pattern());
    let flags = regex.flags();
    let names: Vec<&str> = [
        (flags.ignore_case, "re.IGNORECASE"),
        (flags.multi_line, "re.MULTILINE"),
        (flags.dot_all, "re.DOTALL"),
    ]
    .iter()
    .filter_map(|(set, name)| set.then_some(*name))
    .collect();
    if !names.is_empty() {
        out.push_str(", ");
        out.push_str(&names.join("|"));
    }
    out.push(')');
}
