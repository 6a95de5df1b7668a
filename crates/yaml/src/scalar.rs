//! What a scalar means: PyYAML's implicit resolvers and constructors.
//!
//! Source of the rules: the patterns of PyYAML 6's `resolver.py` and the constructors of its safe
//! loader. They follow YAML 1.1 except that a float needs a dot and a signed exponent.

use std::sync::Arc;

use num_bigint::BigInt;
use num_traits::Num;
use squall_value::Str;

use crate::base64;
use crate::node::Kind;
use crate::timestamp::{self, Timestamp};

/// What a scalar turned out to be.
pub(crate) enum Resolved {
    /// A value.
    Kind(Kind),
    /// A plain `<<`: the merge key.
    Merge,
    /// A plain `=`: the "default value" key of YAML 1.1.
    DefaultValue,
}

/// Why a scalar has no value.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

impl Unreadable {
    fn new(message: impl Into<String>, help: &'static str) -> Unreadable {
        Unreadable {
            message: message.into(),
            help,
        }
    }
}

/// Python refuses to read decimal integers of more digits (`sys.set_int_max_str_digits`), and so
/// is the cost of reading one bounded.
const DIGITS_MAX: usize = 4300;

/// The type that a plain scalar has by its looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Implicit {
    Null,
    Bool,
    Int,
    Float,
    Timestamp,
    Merge,
    DefaultValue,
    String,
}

/// Which type a plain scalar with this text has.
pub(crate) fn implicit(text: &str) -> Implicit {
    let Some(first) = text.bytes().next() else {
        return Implicit::Null;
    };
    match first {
        b'~' | b'n' | b'N' if matches!(text, "~" | "null" | "Null" | "NULL") => Implicit::Null,
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O'
            if boolean(text).is_some() =>
        {
            Implicit::Bool
        }
        b'<' if text == "<<" => Implicit::Merge,
        b'=' if text == "=" => Implicit::DefaultValue,
        b'-' | b'+' | b'.' | b'0'..=b'9' => number(text),
        _ => Implicit::String,
    }
}

fn number(text: &str) -> Implicit {
    if is_float(text) {
        Implicit::Float
    } else if is_int(text) {
        Implicit::Int
    } else if timestamp::recognise(text).is_some_and(|parts| parts.is_implicit()) {
        Implicit::Timestamp
    } else {
        Implicit::String
    }
}

/// The truth value that the exact text says in one of its three casings.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

fn all(text: &str, wanted: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(wanted)
}

/// `:` followed by a number below sixty, once or more.
fn is_sexagesimal_tail(text: &str) -> bool {
    let Some(groups) = text.strip_prefix(':') else {
        return false;
    };
    groups.split(':').all(|group| match group.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [tens, digit] => matches!(tens, b'0'..=b'5') && digit.is_ascii_digit(),
        _ => false,
    })
}

fn is_int(text: &str) -> bool {
    let digits = unsigned(text);
    let Some(first) = digits.bytes().next() else {
        return false;
    };
    if first == b'0' {
        let rest = &digits[1..];
        return rest.is_empty()
            || all(rest, |b| matches!(b, b'0'..=b'7' | b'_'))
            || rest
                .strip_prefix('b')
                .is_some_and(|bits| all(bits, |b| matches!(b, b'0' | b'1' | b'_')))
            || rest
                .strip_prefix('x')
                .is_some_and(|hex| all(hex, |b| b.is_ascii_hexdigit() || b == b'_'));
    }
    if !first.is_ascii_digit() {
        return false;
    }
    let (head, tail) = digits.split_at(digits.find(':').unwrap_or(digits.len()));
    all(head, |b| b.is_ascii_digit() || b == b'_') && (tail.is_empty() || is_sexagesimal_tail(tail))
}

fn is_float(text: &str) -> bool {
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let digits = unsigned(text);
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let Some(dot) = digits.find('.') else {
        return false;
    };
    let (head, tail) = (&digits[..dot], &digits[dot + 1..]);
    let fraction_end = tail.find(['e', 'E']).unwrap_or(tail.len());
    let (fraction, exponent) = tail.split_at(fraction_end);
    let is_digits = |b: u8| b.is_ascii_digit() || b == b'_';
    let fraction_ok = fraction.bytes().all(is_digits);
    let exponent_ok = exponent.is_empty()
        || matches!(exponent.as_bytes().get(1), Some(b'-' | b'+'))
            && all(&exponent[2..], |b| b.is_ascii_digit());
    if head.is_empty() {
        // `.5`, which may not have a sign.
        return digits.len() == text.len()
            && fraction_ok
            && exponent_ok
            && fraction.bytes().next().is_some_and(|b| b.is_ascii_digit());
    }
    if !head.as_bytes()[0].is_ascii_digit() || !fraction_ok {
        return false;
    }
    match head.find(':') {
        None => all(head, is_digits) && exponent_ok,
        Some(colon) => {
            all(&head[..colon], is_digits)
                && is_sexagesimal_tail(&head[colon..])
                && exponent.is_empty()
        }
    }
}

/// The value of a plain scalar without a tag.
pub(crate) fn plain(text: &str) -> Result<Resolved, Unreadable> {
    Ok(Resolved::Kind(match implicit(text) {
        Implicit::Null => Kind::Null,
        Implicit::Bool => Kind::Bool(boolean(text) == Some(true)),
        Implicit::Int => int(text)?,
        Implicit::Float => float(text)?,
        Implicit::Timestamp => time(text)?,
        Implicit::Merge => return Ok(Resolved::Merge),
        Implicit::DefaultValue => return Ok(Resolved::DefaultValue),
        Implicit::String => Kind::String(Str::from(text)),
    }))
}

/// The value of a scalar with the tag `tag:yaml.org,2002:<name>`; `None` if there is no such type
/// for scalars.
pub(crate) fn tagged(name: &str, text: &str) -> Option<Result<Resolved, Unreadable>> {
    let kind = match name {
        "null" => Ok(Kind::Null),
        "bool" => match text.to_lowercase().as_str() {
            "yes" | "true" | "on" => Ok(Kind::Bool(true)),
            "no" | "false" | "off" => Ok(Kind::Bool(false)),
            _ => Err(Unreadable::new(
                format!("`{text}` is tagged `!!bool` but is not a truth value"),
                "write true or false, or remove the tag",
            )),
        },
        "int" => int(text),
        "float" => float(text),
        "str" => Ok(Kind::String(Str::from(text))),
        "binary" => binary(text),
        "timestamp" => time(text),
        "merge" => return Some(Ok(Resolved::Merge)),
        "value" => return Some(Ok(Resolved::DefaultValue)),
        _ => return None,
    };
    Some(kind.map(Resolved::Kind))
}

fn not_a_number(text: &str) -> Unreadable {
    Unreadable::new(
        format!("`{}` is not a number", shorten(text)),
        "write a number, or put the value in quotes if it is text",
    )
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 40 {
        text.to_owned()
    } else {
        text.chars().take(37).chain("...".chars()).collect()
    }
}

fn int(text: &str) -> Result<Kind, Unreadable> {
    let clean: String = text.trim().chars().filter(|c| *c != '_').collect();
    let digits = unsigned(&clean);
    let negative = clean.starts_with('-');
    let parse = |digits: &str, radix| {
        if digits.starts_with(['+', '-']) {
            return Err(not_a_number(text));
        }
        BigInt::from_str_radix(digits, radix).map_err(|_| not_a_number(text))
    };
    let too_long = || {
        Unreadable::new(
            format!("an integer has more than {DIGITS_MAX} digits"),
            "put the value in quotes if it is text",
        )
    };
    let magnitude = if let Some(bits) = digits.strip_prefix("0b") {
        parse(bits, 2)?
    } else if let Some(hex) = digits.strip_prefix("0x") {
        parse(hex, 16)?
    } else if digits.starts_with('0') {
        parse(digits, 8)?
    } else if digits.len() > DIGITS_MAX {
        return Err(too_long());
    } else if digits.contains(':') {
        let mut sum = BigInt::from(0);
        for group in digits.split(':') {
            sum = sum * 60 + parse(group, 10)?;
        }
        sum
    } else {
        parse(digits, 10)?
    };
    let number = if negative { -magnitude } else { magnitude };
    Ok(match i64::try_from(&number) {
        Ok(small) => Kind::Int(small),
        Err(_) => Kind::BigInt(Arc::new(number)),
    })
}

fn float(text: &str) -> Result<Kind, Unreadable> {
    let clean: String = text.chars().filter(|c| *c != '_').collect();
    let clean = clean.trim().to_lowercase();
    let digits = unsigned(&clean);
    let sign = if clean.starts_with('-') { -1.0 } else { 1.0 };
    let parse = |digits: &str| {
        // Rust reads everything that Python's `float` reads, and also these words with other signs.
        if digits.starts_with(['+', '-']) {
            return Err(not_a_number(text));
        }
        digits.parse::<f64>().map_err(|_| not_a_number(text))
    };
    let magnitude = match digits {
        ".inf" => f64::INFINITY,
        ".nan" => f64::NAN,
        _ if digits.contains(':') => {
            // From the last group on, as PyYAML adds them: the rounding is the same.
            let mut base = 1.0;
            let mut sum = 0.0;
            for group in digits.rsplit(':') {
                sum += parse(group)? * base;
                base *= 60.0;
            }
            sum
        }
        _ => parse(digits)?,
    };
    Ok(Kind::Float(sign * magnitude))
}

fn time(text: &str) -> Result<Kind, Unreadable> {
    let unreadable = || {
        Unreadable::new(
            format!(
                "`{}` looks like a date but no calendar has it",
                shorten(text)
            ),
            "correct the date, or put the value in quotes if it is text",
        )
    };
    let parts = timestamp::recognise(text).ok_or_else(unreadable)?;
    Ok(match parts.resolve().ok_or_else(unreadable)? {
        Timestamp::Date(date) => Kind::Date(date),
        Timestamp::DateTime(time) => Kind::DateTime(time),
    })
}

fn binary(text: &str) -> Result<Kind, Unreadable> {
    let broken = || {
        Unreadable::new(
            "the text tagged `!!binary` is not base64",
            "encode the bytes as base64, with padding",
        )
    };
    if !text.is_ascii() {
        return Err(broken());
    }
    base64::decode(text)
        .map(|bytes| Kind::Binary(Arc::from(bytes)))
        .ok_or_else(broken)
}
