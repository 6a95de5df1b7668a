//! JSON as StackStorm reads it, with orjson: integers beyond 64 bits become floats, and errors are
//! said in its words, which users see.

use num_traits::ToPrimitive;

use crate::json::{self, Error};
use crate::{Dict, Value};

/// Reads one JSON value. `reason` of an error is orjson's, `offset` counts characters.
///
/// # Errors
///
/// As [`json::read`], and when a number is too large for a float.
pub fn read(text: &str) -> Result<Value, Error> {
    match json::read(text) {
        Ok(value) if has_odd_number(&value) => narrowed(&value).ok_or_else(|| Error {
            reason: "number is infinity when parsed as double".into(),
            line: 1,
            column: 1,
            offset: 0,
        }),
        Ok(value) => Ok(value),
        Err(error) => Err(in_its_words(text, error)),
    }
}

/// The message of its exception: `unexpected character: line 1 column 2 (char 1)`.
#[must_use]
pub fn message(error: &Error) -> String {
    format!(
        "{}: line {} column {} (char {})",
        error.reason, error.line, error.column, error.offset
    )
}

fn has_odd_number(value: &Value) -> bool {
    match value {
        Value::BigInt(_) => true,
        Value::Float(number) => !number.is_finite(),
        Value::List(items) => items.iter().any(has_odd_number),
        Value::Dict(dict) => dict.values().any(has_odd_number),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::String(_) => false,
    }
}

/// The value with floats for integers that fit neither a signed nor an unsigned word; none if a
/// number is infinite.
fn narrowed(value: &Value) -> Option<Value> {
    Some(match value {
        Value::BigInt(number) if number.to_u64().is_none() => {
            Value::Float(number.to_f64().filter(|number| number.is_finite())?)
        }
        Value::Float(number) if !number.is_finite() => return None,
        Value::List(items) => items.iter().map(narrowed).collect::<Option<Value>>()?,
        Value::Dict(dict) => {
            let mut out = Dict::with_capacity(dict.len());
            for (key, item) in dict.iter() {
                out.insert(key.clone(), narrowed(item)?);
            }
            Value::from(out)
        }
        other => other.clone(),
    })
}

fn in_its_words(text: &str, error: Error) -> Error {
    let at = error.offset;
    if text.is_empty() {
        return at_offset(text, 0, "Input is a zero-length, empty document");
    }
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    if text.trim_matches(is_space).is_empty() {
        return at_offset(text, 0, "input data is empty");
    }
    let end = "unexpected end of data";
    let (before, rest) = text.split_at(text.floor_char_boundary(at));
    if rest.is_empty() {
        return at_offset(text, text.len(), end);
    }
    let comma = before.trim_end_matches(is_space);
    let reason = match error.reason.as_str() {
        "expected a JSON value" | "expected a key in double quotes" => {
            let closes = rest.starts_with([']', '}']);
            if closes && comma.ends_with(',') {
                return at_offset(text, comma.len() - 1, "trailing comma is not allowed");
            }
            let is_value = error.reason == "expected a JSON value";
            let words = ["true", "false", "null"];
            if is_value && words.iter().any(|word| word.starts_with(rest)) {
                return at_offset(text, text.len(), end);
            }
            match is_value && rest.starts_with(['t', 'f', 'n']) {
                true => "invalid literal",
                false => "unexpected character",
            }
        }
        "expected `,` or `]`" | "expected `,` or `}`" | "expected `:` after the key" => {
            "unexpected character"
        }
        "a control character in a string must be escaped" => {
            "unexpected control character in string"
        }
        "unknown escape in a string" => "invalid escaped character in string",
        "expected four hexadecimal digits after `\\u`" => {
            let start = before.rfind("\\u").unwrap_or(at);
            return at_offset(text, start, "invalid escaped sequence in string");
        }
        "expected a digit" => match before.chars().next_back() {
            Some('.') => "no digit after decimal point",
            Some('e' | 'E' | '+') => "no digit after exponent sign",
            Some('-') if before.ends_with("e-") || before.ends_with("E-") => {
                "no digit after exponent sign"
            }
            _ => "no digit after minus sign",
        },
        "a number has no leading zeros" => "number with leading zero is not allowed",
        "unexpected text after the JSON value" => "unexpected content after document",
        _ => return error,
    };
    at_offset(text, at, reason)
}

fn at_offset(text: &str, offset: usize, reason: &str) -> Error {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Error {
        reason: reason.into(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        offset: before.chars().count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_said_in_its_words() {
        for (text, wanted) in [
            (
                "",
                "Input is a zero-length, empty document: line 1 column 1 (char 0)",
            ),
            ("  ", "input data is empty: line 1 column 1 (char 0)"),
            ("x", "unexpected character: line 1 column 1 (char 0)"),
            ("[1", "unexpected end of data: line 1 column 3 (char 2)"),
            (
                "[1 ,]",
                "trailing comma is not allowed: line 1 column 4 (char 3)",
            ),
            (
                "{\"a\":1 , }",
                "trailing comma is not allowed: line 1 column 8 (char 7)",
            ),
            ("{a:1}", "unexpected character: line 1 column 2 (char 1)"),
            ("[,1]", "unexpected character: line 1 column 2 (char 1)"),
            ("\"abc", "unexpected end of data: line 1 column 5 (char 4)"),
            (
                "\"a\nb\"",
                "unexpected control character in string: line 1 column 3 (char 2)",
            ),
            (
                "\"\\x\"",
                "invalid escaped character in string: line 1 column 3 (char 2)",
            ),
            (
                "\"é\\u12g4\"",
                "invalid escaped sequence in string: line 1 column 3 (char 2)",
            ),
            (
                "{\"a\":nul",
                "unexpected end of data: line 1 column 9 (char 8)",
            ),
            ("{\"a\":tru}", "invalid literal: line 1 column 6 (char 5)"),
            ("True", "unexpected character: line 1 column 1 (char 0)"),
            (
                "-01",
                "number with leading zero is not allowed: line 1 column 2 (char 1)",
            ),
            ("-x", "no digit after minus sign: line 1 column 2 (char 1)"),
            (
                "1.x",
                "no digit after decimal point: line 1 column 3 (char 2)",
            ),
            (
                "1e+x",
                "no digit after exponent sign: line 1 column 4 (char 3)",
            ),
            ("1e", "unexpected end of data: line 1 column 3 (char 2)"),
            (
                "[]]",
                "unexpected content after document: line 1 column 3 (char 2)",
            ),
            (
                "{\"é\": x}",
                "unexpected character: line 1 column 7 (char 6)",
            ),
            (
                "[1,\n 2,\n x]",
                "unexpected character: line 3 column 2 (char 9)",
            ),
            (
                "1e400",
                "number is infinity when parsed as double: line 1 column 1 (char 0)",
            ),
        ] {
            let found = read(text).map_err(|error| message(&error));
            assert_eq!(found, Err(wanted.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn large_integers_are_floats() {
        for (text, wanted) in [
            ("[18446744073709551615]", "[18446744073709551615]"),
            (
                "{\"a\":18446744073709551616}",
                "{\"a\":1.8446744073709552e+19}",
            ),
            ("-9223372036854775809", "-9.223372036854776e+18"),
        ] {
            let found = read(text).map(|value| value.to_json());
            assert_eq!(found, Ok(wanted.to_owned()));
        }
    }
}
