//! Python's `int()` and `float()` on text.

use std::str::FromStr;

use squall_value::{BigInt, Value};

/// Longest decimal text that becomes an integer, as in Python: reading it takes quadratic time.
const DIGITS_MAX: usize = 4300;

/// The first of each run of ten decimal digits in Unicode (general category Nd), beyond ASCII.
const ZEROS: [u32; 40] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66,
    0x0de6, 0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x11066, 0x110f0, 0x11136,
];

/// Why a text is not an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntError {
    Malformed,
    TooLong(usize),
}

/// Python's `int(text)`: white space around, a sign, decimal digits of any script, single
/// underscores between them.
pub(crate) fn parse_int(text: &str) -> Result<Value, IntError> {
    let plain = digits(text).ok_or(IntError::Malformed)?;
    let count = plain.trim_start_matches(['+', '-']).len();
    if !plain
        .trim_start_matches(['+', '-'])
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        || count == 0
        || plain.len() - count > 1
    {
        return Err(IntError::Malformed);
    }
    if count > DIGITS_MAX {
        return Err(IntError::TooLong(count));
    }
    if let Ok(number) = plain.parse::<i64>() {
        return Ok(Value::Int(number));
    }
    BigInt::from_str(&plain)
        .map(Value::from)
        .map_err(|_| IntError::Malformed)
}

/// Python's `float(text)`: as `int`, with point, exponent, `inf`, `infinity` and `nan`.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let plain = digits(text)?;
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let is_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.contains(|c: char| c.is_ascii_digit());
    let is_word = ["inf", "infinity", "nan"]
        .iter()
        .any(|word| unsigned.eq_ignore_ascii_case(word));
    // Rust reads the same forms as Python otherwise, but Rust alone takes `.` and `e5`.
    if !is_word && !is_number {
        return None;
    }
    plain.parse().ok()
}

/// The text with digits of other scripts made ASCII, without surrounding white space and without
/// underscores; `None` if an underscore does not stand between two digits.
fn digits(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut after_digit = false;
    let mut after_underscore = false;
    for c in text.trim().chars() {
        if c == '_' {
            if !after_digit {
                return None;
            }
            after_digit = false;
            after_underscore = true;
            continue;
        }
        let digit = ascii_digit(c);
        if after_underscore && digit.is_none() {
            return None;
        }
        after_underscore = false;
        after_digit = digit.is_some();
        plain.push(digit.unwrap_or(c));
    }
    (!after_underscore).then_some(plain)
}

fn ascii_digit(c: char) -> Option<char> {
    if c.is_ascii() {
        return c.is_ascii_digit().then_some(c);
    }
    let code = c as u32;
    let zero = ZEROS
        .iter()
        .find(|&&zero| (zero..zero + 10).contains(&code))?;
    char::from_digit(code - zero, 10)
}
