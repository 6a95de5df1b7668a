//! Numbers in text as Python's `int()` and `float()` read them.

use num_bigint::BigInt;

use crate::Value;

/// Longest text of digits that becomes an integer, as in Python: reading it takes quadratic time.
/// Bases that are powers of two have no limit there, and this one here.
pub const DIGITS_MAX: usize = 4300;

/// The first of each run of ten decimal digits beyond ASCII (Unicode 16, general category Nd).
const ZEROS: [u32; 75] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6,
    0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50,
    0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0,
    0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50,
    0x11da0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce, 0x1d7d8,
    0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

/// Why a text is not an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntError {
    /// It is not written as one.
    Malformed,
    /// It has so many digits, more than [`DIGITS_MAX`].
    TooLong(usize),
}

/// What Python takes for white space: Unicode's, and the four separators of ASCII.
#[must_use]
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// The value of a decimal digit of any script.
#[must_use]
pub fn digit_value(c: char) -> Option<u32> {
    if c.is_ascii() {
        return c.to_digit(10);
    }
    let code = u32::from(c);
    let zero = ZEROS
        .iter()
        .find(|zero| (**zero..**zero + 10).contains(&code))?;
    Some(code - zero)
}

/// Python's `int(text, base)`: white space around, a sign, digits of any script, single underscores
/// between them. The base is 2 to 36, or 0 for what the text's prefix (`0x`, `0o`, `0b`) says.
///
/// # Errors
///
/// [`IntError`] when the text is not an integer, or too long a one.
pub fn parse_int(text: &str, base: u32) -> Result<Value, IntError> {
    let plain = ascii_digits(text.trim_matches(is_space));
    let (is_negative, unsigned) = match plain.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let (radix, digits) = radix_and_digits(unsigned, base).ok_or(IntError::Malformed)?;
    let count = digits.bytes().filter(|byte| *byte != b'_').count();
    let is_well_formed = !digits.starts_with('_')
        && !digits.ends_with('_')
        && !digits.contains("__")
        && digits.chars().all(|c| c == '_' || c.is_digit(radix));
    if count == 0 || !is_well_formed {
        return Err(IntError::Malformed);
    }
    if count > DIGITS_MAX {
        return Err(IntError::TooLong(count));
    }
    let digits = digits.replace('_', "");
    let number = match i64::from_str_radix(&digits, radix) {
        Ok(number) => Value::Int(if is_negative { -number } else { number }),
        Err(_) => {
            let number = BigInt::parse_bytes(digits.as_bytes(), radix);
            let number = number.ok_or(IntError::Malformed)?;
            Value::from(if is_negative { -number } else { number })
        }
    };
    Ok(number)
}

fn radix_and_digits(text: &str, base: u32) -> Option<(u32, &str)> {
    let prefix = match text.get(..2) {
        Some("0x" | "0X") => 16,
        Some("0o" | "0O") => 8,
        Some("0b" | "0B") => 2,
        _ => 0,
    };
    if prefix != 0 && (base == prefix || base == 0) {
        let digits = &text[2..];
        return Some((prefix, digits.strip_prefix('_').unwrap_or(digits)));
    }
    match base {
        0 => {
            let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'_'));
            (is_zero || !text.starts_with('0')).then_some((10, text))
        }
        2..=36 => Some((base, text)),
        _ => None,
    }
}

/// Python's `float(text)`: as an integer of base 10, with point, exponent, `inf`, `infinity` and
/// `nan`.
#[must_use]
pub fn parse_float(text: &str) -> Option<f64> {
    let plain = ascii_digits(text.trim_matches(is_space));
    let is_digit = |at: Option<usize>| {
        let byte = at.and_then(|at| plain.as_bytes().get(at));
        byte.is_some_and(u8::is_ascii_digit)
    };
    let mut underscores = plain.match_indices('_').map(|(at, _)| at);
    if !underscores.all(|at| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1))) {
        return None;
    }
    let plain = plain.replace('_', "");
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

/// The text with digits of other scripts made ASCII.
fn ascii_digits(text: &str) -> String {
    text.chars()
        .map(|c| match c.is_ascii() {
            true => c,
            false => digit_value(c)
                .and_then(|digit| char::from_digit(digit, 10))
                .unwrap_or(c),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_python_reads_them() {
        for (text, base, wanted) in [
            (" 7 ", 10, Some(7)),
            ("-7", 10, Some(-7)),
            ("+1_000", 10, Some(1000)),
            ("\u{661}\u{662}", 10, Some(12)),
            ("\x1c5\u{3000}", 10, Some(5)),
            ("007", 10, Some(7)),
            ("007", 0, None),
            ("0_0", 0, Some(0)),
            ("0x_1F", 16, Some(31)),
            ("0x1F", 0, Some(31)),
            ("-0b11", 0, Some(-3)),
            ("0o17", 8, Some(15)),
            ("0x1F", 10, None),
            ("zz", 36, Some(1295)),
            ("1__0", 10, None),
            ("_1", 10, None),
            ("1_", 10, None),
            ("", 10, None),
            ("-", 10, None),
            ("--1", 10, None),
            ("- 1", 10, None),
            ("1.0", 10, None),
            ("1", 1, None),
            ("1", 37, None),
        ] {
            let found = parse_int(text, base);
            let wanted = wanted.map(Value::Int).ok_or(IntError::Malformed);
            assert_eq!(found, wanted, "{text:?} {base}");
        }
        let long = "9".repeat(DIGITS_MAX + 1);
        assert_eq!(parse_int(&long, 10), Err(IntError::TooLong(DIGITS_MAX + 1)));
        let big = parse_int("-9223372036854775809", 10).map(|number| number.to_json());
        assert_eq!(big.as_deref(), Ok("-9223372036854775809"));
    }

    #[test]
    fn floats_are_read_as_python_reads_them() {
        for (text, wanted) in [
            (" 1.5 ", Some(1.5)),
            ("1e3", Some(1000.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1_0.2_5", Some(10.25)),
            ("\u{661}.5", Some(1.5)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("1_", None),
            ("1_.5", None),
            (".", None),
            ("e5", None),
            ("infinit", None),
            ("", None),
            ("0x1p3", None),
            ("1 2", None),
        ] {
            assert_eq!(parse_float(text), wanted, "{text:?}");
        }
        assert!(parse_float("-nan").is_some_and(f64::is_nan));
    }
}
