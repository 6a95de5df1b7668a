//! JSON text to values and back.
//!
//! Written here because the usual crates turn integers beyond 64 bits into floats, or keep every
//! number as text. Reading is strict RFC 8259 with a bound on depth; of two equal keys the last
//! wins, as in Python.

use std::fmt::Write;
use std::sync::Arc;

use num_bigint::BigInt;

use crate::{Dict, Value, python};

/// How deep [`read`] follows nested arrays and objects.
pub const DEPTH_MAX: usize = 512;

/// Why a text is not JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at line {line}, column {column}")]
pub struct Error {
    /// What was wrong.
    pub reason: String,
    /// Line of the offence, from 1.
    pub line: usize,
    /// Column of the offence in characters, from 1.
    pub column: usize,
    /// Byte offset of the offence, from 0.
    pub offset: usize,
}

/// Reads one JSON value; nothing but white space may follow it.
///
/// # Errors
///
/// [`Error`] when the text is not JSON or nests deeper than [`DEPTH_MAX`].
pub fn read(text: &str) -> Result<Value, Error> {
    Reader::new(text, false).document()
}

/// As [`read`], but also takes `NaN`, `Infinity` and `-Infinity`, as Python's `json.loads` does.
///
/// # Errors
///
/// As [`read`].
pub fn read_python(text: &str) -> Result<Value, Error> {
    Reader::new(text, true).document()
}

/// As [`read`], from bytes that should be UTF-8.
///
/// # Errors
///
/// As [`read`], and when the bytes are not UTF-8.
pub fn read_bytes(bytes: &[u8]) -> Result<Value, Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => read(text),
        Err(error) => {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
            Err(Reader::error_at(
                &valid,
                valid.len(),
                "the bytes are not UTF-8".to_owned(),
            ))
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    non_finite: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, non_finite: bool) -> Reader<'a> {
        Reader {
            text,
            bytes: text.as_bytes(),
            at: 0,
            depth: 0,
            non_finite,
        }
    }

    fn document(mut self) -> Result<Value, Error> {
        let value = self.value()?;
        self.skip_space();
        if self.at < self.bytes.len() {
            return Err(self.error("unexpected text after the JSON value"));
        }
        Ok(value)
    }

    fn error_at(text: &str, offset: usize, reason: String) -> Error {
        let before = &text[..text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Error {
            reason,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            offset,
        }
    }

    fn error(&self, reason: impl Into<String>) -> Error {
        Reader::error_at(self.text, self.at, reason.into())
    }

    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<Value, Error> {
        self.skip_space();
        match self.bytes.get(self.at) {
            None => Err(self.error("the text ends where a value should be")),
            Some(b'{') => self.nested(Reader::object),
            Some(b'[') => self.nested(Reader::array),
            Some(b'"') => Ok(Value::from(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => self.word(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Error>) -> Result<Value, Error> {
        if self.depth == DEPTH_MAX {
            return Err(self.error(format!("arrays and objects nest deeper than {DEPTH_MAX}")));
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Value, Error> {
        let mut dict = Dict::new();
        self.skip_space();
        if self.eat(b'}') {
            return Ok(Value::from(dict));
        }
        loop {
            self.skip_space();
            if self.bytes.get(self.at) != Some(&b'"') {
                return Err(self.error("expected a key in double quotes"));
            }
            let key = self.string()?;
            self.skip_space();
            if !self.eat(b':') {
                return Err(self.error("expected `:` after the key"));
            }
            dict.insert(key, self.value()?);
            self.skip_space();
            if self.eat(b'}') {
                return Ok(Value::from(dict));
            }
            if !self.eat(b',') {
                return Err(self.error("expected `,` or `}`"));
            }
        }
    }

    fn array(&mut self) -> Result<Value, Error> {
        let mut items = Vec::new();
        self.skip_space();
        if self.eat(b']') {
            return Ok(Value::from(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_space();
            if self.eat(b']') {
                return Ok(Value::from(items));
            }
            if !self.eat(b',') {
                return Err(self.error("expected `,` or `]`"));
            }
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self) -> Result<Value, Error> {
        let words: [(&str, Value); 3] = [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
        ];
        for (word, value) in words {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        if self.non_finite {
            for (word, number) in [("NaN", f64::NAN), ("Infinity", f64::INFINITY)] {
                if self.text[self.at..].starts_with(word) {
                    self.at += word.len();
                    return Ok(Value::Float(number));
                }
            }
        }
        Err(self.error("expected a JSON value"))
    }

    fn number(&mut self) -> Result<Value, Error> {
        let start = self.at;
        self.eat(b'-');
        if self.non_finite && self.text[self.at..].starts_with("Infinity") {
            self.at += "Infinity".len();
            return Ok(Value::Float(f64::NEG_INFINITY));
        }
        let integer = self.at;
        self.digits()?;
        if self.bytes[integer] == b'0' && self.at > integer + 1 {
            self.at = integer;
            return Err(self.error("a number has no leading zeros"));
        }
        let mut float = false;
        if self.eat(b'.') {
            float = true;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            float = true;
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        if float {
            return text
                .parse()
                .map(Value::Float)
                .map_err(|_| self.error("expected a number"));
        }
        if let Ok(number) = text.parse() {
            return Ok(Value::Int(number));
        }
        text.parse::<BigInt>()
            .map(Value::from)
            .map_err(|_| self.error("expected a number"))
    }

    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.error("expected a digit"))
        } else {
            Ok(())
        }
    }

    fn string(&mut self) -> Result<Arc<str>, Error> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.bytes.get(self.at) {
                None => return Err(self.error("the text ends inside a string")),
                Some(b'"') => {
                    let text = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Arc::from(text));
                }
                Some(b'\\') => return self.string_with_escapes(start),
                Some(0..=0x1f) => {
                    return Err(self.error("a control character in a string must be escaped"));
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn string_with_escapes(&mut self, start: usize) -> Result<Arc<str>, Error> {
        let mut out = String::from(&self.text[start..self.at]);
        let mut run = self.at;
        loop {
            match self.bytes.get(self.at) {
                None => return Err(self.error("the text ends inside a string")),
                Some(b'"') => {
                    out.push_str(&self.text[run..self.at]);
                    self.at += 1;
                    return Ok(Arc::from(out));
                }
                Some(b'\\') => {
                    out.push_str(&self.text[run..self.at]);
                    self.at += 1;
                    out.push(self.escape()?);
                    run = self.at;
                }
                Some(0..=0x1f) => {
                    return Err(self.error("a control character in a string must be escaped"));
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, Error> {
        let c = match self.bytes.get(self.at) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.error("unknown escape in a string")),
        };
        self.at += 1;
        Ok(c)
    }

    /// A lone surrogate, which Rust's text cannot hold, becomes the replacement character.
    fn unicode_escape(&mut self) -> Result<char, Error> {
        let high = self.hex4()?;
        if (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with("\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, Error> {
        let digits = self.bytes.get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let code = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.error("expected four hexadecimal digits after `\\u`"))?;
        self.at += 4;
        Ok(code)
    }
}

/// How JSON text is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Between an element and the next: `,` or `, `.
    pub item_separator: &'static str,
    /// Between a key and its value: `:` or `: `.
    pub key_separator: &'static str,
    /// Spaces per level; none puts everything on one line.
    pub indent: Option<usize>,
    /// Whether characters beyond ASCII are written as `\uXXXX`.
    pub ascii: bool,
    /// Whether keys are written in order of their text instead of their own.
    pub sort_keys: bool,
    /// Whether `NaN` and `Infinity` are written as such (Python's way) instead of `null`.
    pub non_finite: bool,
}

impl Style {
    /// No white space, Unicode as it is.
    pub const COMPACT: Style = Style {
        item_separator: ",",
        key_separator: ":",
        indent: None,
        ascii: false,
        sort_keys: false,
        non_finite: false,
    };

    /// What Python's `json.dumps(value)` writes.
    pub const PYTHON: Style = Style {
        item_separator: ", ",
        key_separator: ": ",
        ascii: true,
        non_finite: true,
        ..Style::COMPACT
    };

    /// Four spaces a level, for people.
    pub const PRETTY: Style = Style {
        key_separator: ": ",
        indent: Some(4),
        ..Style::COMPACT
    };
}

/// Compact JSON text of `value`.
#[must_use]
pub fn write(value: &Value) -> String {
    write_styled(value, Style::COMPACT)
}

/// JSON text of `value` in the given style.
#[must_use]
pub fn write_styled(value: &Value, style: Style) -> String {
    let mut out = String::new();
    write_to(&mut out, value, style);
    out
}

/// Appends the JSON text of `value` to `out`.
pub fn write_to(out: &mut String, value: &Value, style: Style) {
    Writer {
        out,
        style,
        level: 0,
    }
    .value(value);
}

struct Writer<'a> {
    out: &'a mut String,
    style: Style,
    level: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(true) => self.out.push_str("true"),
            Value::Bool(false) => self.out.push_str("false"),
            Value::Int(number) => {
                let _ = write!(self.out, "{number}");
            }
            Value::BigInt(number) => {
                let _ = write!(self.out, "{number}");
            }
            Value::Float(number) => self.float(*number),
            Value::String(text) => write_str(self.out, text, self.style.ascii),
            Value::List(items) => {
                self.sequence('[', ']', items.iter(), |writer, item| writer.value(item));
            }
            Value::Dict(dict) if self.style.sort_keys => {
                let mut entries: Vec<_> = dict.iter().collect();
                entries.sort_by(|a, b| a.0.cmp(b.0));
                self.sequence('{', '}', entries.into_iter(), Writer::entry);
            }
            Value::Dict(dict) => self.sequence('{', '}', dict.iter(), Writer::entry),
        }
    }

    fn entry(&mut self, (key, value): (&Arc<str>, &Value)) {
        write_str(self.out, key, self.style.ascii);
        self.out.push_str(self.style.key_separator);
        self.value(value);
    }

    fn sequence<T>(
        &mut self,
        open: char,
        close: char,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.out.push(open);
        let empty = items.len() == 0;
        self.level += 1;
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push_str(self.style.item_separator);
            }
            self.new_line();
            write(self, item);
        }
        self.level -= 1;
        if !empty {
            self.new_line();
        }
        self.out.push(close);
    }

    fn new_line(&mut self) {
        if let Some(width) = self.style.indent {
            self.out.push('\n');
            self.out
                .extend(std::iter::repeat_n(' ', width * self.level));
        }
    }

    fn float(&mut self, number: f64) {
        if number.is_finite() {
            python::write_float(self.out, number);
        } else if !self.style.non_finite {
            self.out.push_str("null");
        } else if number.is_nan() {
            self.out.push_str("NaN");
        } else {
            self.out.push_str(if number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            });
        }
    }
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_str(out: &mut String, text: &str, ascii: bool) {
    out.push('"');
    let mut run = 0;
    for (at, c) in text.char_indices() {
        let escape = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            '\0'..='\x1f' => "",
            '\x7f'.. if ascii && c > '\x7f' => "",
            _ => continue,
        };
        out.push_str(&text[run..at]);
        run = at + c.len_utf8();
        if escape.is_empty() {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push_str(escape);
        }
    }
    out.push_str(&text[run..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let got = match read(text) {
            Ok(value) => write(&value),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(got, expect);
    }

    #[test]
    fn values_survive_the_round_trip() {
        check(
            r#" {"b": [1, -2.50, 1e3, true, null], "a": {}} "#,
            r#"{"b":[1,-2.5,1000.0,true,null],"a":{}}"#,
        );
        check(
            "123456789012345678901234567890",
            "123456789012345678901234567890",
        );
        check("-9223372036854775809", "-9223372036854775809");
        check(r#""\u00e9\ud83d\ude00\n\/""#, "\"é😀\\n/\"");
        check(r#"{"a": 1, "a": 2}"#, r#"{"a":2}"#);
    }

    #[test]
    fn errors_say_where() {
        check(
            "",
            "error: the text ends where a value should be at line 1, column 1",
        );
        check(
            "{\"a\": 1,\n  b: 2}",
            "error: expected a key in double quotes at line 2, column 3",
        );
        check("[1 2]", "error: expected `,` or `]` at line 1, column 4");
        check(
            "01",
            "error: a number has no leading zeros at line 1, column 1",
        );
        check(
            "1 1",
            "error: unexpected text after the JSON value at line 1, column 3",
        );
        check(
            "\"a\tb\"",
            "error: a control character in a string must be escaped at line 1, column 3",
        );
        check("NaN", "error: expected a JSON value at line 1, column 1");
        check(r#""\ud83d""#, "\"\u{fffd}\"");
    }

    #[test]
    fn depth_is_bounded() {
        let error = read(&"[".repeat(100_000)).unwrap_err();
        assert_eq!(error.reason, "arrays and objects nest deeper than 512");
        assert!(read(&("[".repeat(512) + &"]".repeat(512))).is_ok());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused() {
        assert_eq!(read_bytes(b"[\"\xff\"]").unwrap_err().column, 3);
    }

    #[test]
    fn styles_lay_text_out() {
        let value = read(r#"{"b":[1,2],"a":"é","c":{}}"#).unwrap();
        assert_eq!(
            write_styled(&value, Style::PYTHON),
            r#"{"b": [1, 2], "a": "\u00e9", "c": {}}"#
        );
        let sorted = Style {
            sort_keys: true,
            ..Style::PRETTY
        };
        assert_eq!(
            write_styled(&value, sorted),
            "{\n    \"a\": \"é\",\n    \"b\": [\n        1,\n        2\n    ],\n    \"c\": {}\n}"
        );
    }
}
