//! Template text to tokens, by the rules of Jinja's lexer with `trim_blocks` and `lstrip_blocks`.

use num_bigint::BigInt;
use squall_value::{Str, Value};

use super::{Res, syntax_error};
use crate::statement::is_python_space;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Data(Str),
    VariableBegin,
    VariableEnd,
    BlockBegin,
    BlockEnd,
    Name(Str),
    String(Str),
    Integer(Value),
    Float(f64),
    Operator(&'static str),
    Eof,
}

impl Token {
    /// The token as error messages call it.
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Data(_) => "template data / text".into(),
            Token::VariableBegin => "begin of print statement".into(),
            Token::VariableEnd => "end of print statement".into(),
            Token::BlockBegin => "begin of statement block".into(),
            Token::BlockEnd => "end of statement block".into(),
            Token::Name(name) => name.to_string(),
            Token::String(_) => "string".into(),
            Token::Integer(_) => "integer".into(),
            Token::Float(_) => "float".into(),
            Token::Operator(operator) => (*operator).into(),
            Token::Eof => "end of template".into(),
        }
    }
}

/// Where lexing starts: in template text or, for a bare expression, inside `{{`.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Start {
    Text,
    Expression,
}

/// All tokens with their lines, up to the first error.
///
/// An error is not raised here but kept for the parser, which must report what it finds before.
pub(super) struct Tokens {
    pub(super) tokens: Vec<(Token, u32)>,
    pub(super) error: Option<Box<crate::Error>>,
}

pub(super) fn tokenize(source: &str, start: Start) -> Tokens {
    let text = normalize_newlines(source);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let mut lexer = Lexer {
        text,
        at: 0,
        line: 1,
        line_starting: true,
        tokens: Vec::new(),
    };
    let mut error = lexer.run(start).err();
    if let Some(error) = &mut error {
        error.at_first_token = lexer.tokens.is_empty();
    }
    let line = lexer.line;
    lexer.tokens.push((Token::Eof, line));
    Tokens {
        tokens: lexer.tokens,
        error,
    }
}

fn normalize_newlines(text: &str) -> String {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text.to_string()
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    line_starting: bool,
    tokens: Vec<(Token, u32)>,
}

/// How blanks before a tag are treated: `-` strips all, `+` keeps all.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Minus,
    Plus,
    None,
}

impl<'a> Lexer<'a> {
    fn run(&mut self, start: Start) -> Res<()> {
        if start == Start::Expression {
            self.tag(Token::VariableEnd)?;
        }
        while self.at < self.text.len() {
            self.root()?;
        }
        Ok(())
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push(&mut self, token: Token) {
        self.tokens.push((token, self.line));
    }

    /// Moves over `text`, counting lines.
    fn advance(&mut self, length: usize) {
        let passed = &self.text[self.at..self.at + length];
        self.line += u32::try_from(passed.matches('\n').count()).unwrap_or(u32::MAX);
        self.at += length;
        if let Some(last) = passed.as_bytes().last() {
            self.line_starting = *last == b'\n';
        }
    }

    /// Text up to the next tag, and the tag.
    fn root(&mut self) -> Res<()> {
        let rest = self.rest();
        let Some((before, opening)) = find_opening(rest) else {
            self.push(Token::Data(Str::from(rest)));
            self.advance(rest.len());
            return Ok(());
        };
        let tag = &rest[before..];
        let sign = sign_of(tag[2..].chars().next());
        let is_variable = opening == "{{";
        let raw = if opening == "{%" {
            raw_begin(tag)
        } else {
            None
        };
        self.text_before(before, sign, !is_variable);
        if let Some(length) = raw {
            self.advance(length);
            return self.raw_section();
        }
        let length = if sign == Sign::None { 2 } else { 3 };
        match opening {
            "{{" => {
                self.push(Token::VariableBegin);
                self.advance(length);
                self.tag(Token::VariableEnd)
            }
            "{%" => {
                self.push(Token::BlockBegin);
                self.advance(length);
                self.tag(Token::BlockEnd)
            }
            _ => {
                self.advance(length);
                self.comment()
            }
        }
    }

    /// Emits the text of `length` bytes before a tag, stripped as the tag asks.
    fn text_before(&mut self, length: usize, sign: Sign, is_block: bool) {
        let text = &self.rest()[..length];
        let kept = match sign {
            Sign::Minus => text.trim_end_matches(is_python_space),
            Sign::None if is_block => {
                let line_start = text.rfind('\n').map_or(0, |at| at + 1);
                let is_blank = text[line_start..].chars().all(is_python_space);
                if (line_start > 0 || self.line_starting) && is_blank {
                    &text[..line_start]
                } else {
                    text
                }
            }
            Sign::Plus | Sign::None => text,
        };
        if !kept.is_empty() {
            self.push(Token::Data(Str::from(kept)));
        }
        self.advance(length);
    }

    fn raw_section(&mut self) -> Res<()> {
        let rest = self.rest();
        let mut from = 0;
        while let Some(found) = rest[from..].find("{%") {
            let at = from + found;
            if let Some((length, sign)) = raw_end(&rest[at..]) {
                self.text_before(at, sign, true);
                self.advance(length);
                return Ok(());
            }
            from = at + 2;
        }
        Err(syntax_error("Missing end of raw directive", self.line))
    }

    fn comment(&mut self) -> Res<()> {
        let Some(end) = self.rest().find("#}") else {
            return Err(syntax_error("Missing end of comment tag", self.line));
        };
        let is_stripping = end > 0 && self.rest().as_bytes()[end - 1] == b'-';
        self.advance(end + 2);
        self.after_end(
            is_stripping,
            end > 0 && self.text.as_bytes()[self.at - 3] == b'+',
            true,
        );
        Ok(())
    }

    /// Skips what the end of a tag swallows: all blanks after `-`, one newline after a block.
    fn after_end(&mut self, is_stripping: bool, is_keeping: bool, is_block: bool) {
        let rest = self.rest();
        if is_stripping {
            let blank = rest.len() - rest.trim_start_matches(is_python_space).len();
            self.advance(blank);
        } else if is_block && !is_keeping && rest.starts_with('\n') {
            self.advance(1);
        }
    }

    /// The tokens of a tag up to its end.
    fn tag(&mut self, end: Token) -> Res<()> {
        let is_block = end == Token::BlockEnd;
        let closing = if is_block { "%}" } else { "}}" };
        let mut open: Vec<&'static str> = Vec::new();
        loop {
            let rest = self.rest();
            let Some(first) = rest.chars().next() else {
                return Ok(());
            };
            if open.is_empty() {
                let sign = sign_of(Some(first));
                let signed = match sign {
                    Sign::None => Some(rest),
                    Sign::Minus => rest.get(1..),
                    Sign::Plus if is_block => rest.get(1..),
                    Sign::Plus => None,
                };
                if signed.is_some_and(|rest| rest.starts_with(closing)) {
                    self.push(end);
                    self.advance(if sign == Sign::None { 2 } else { 3 });
                    self.after_end(sign == Sign::Minus, sign == Sign::Plus, is_block);
                    return Ok(());
                }
            }
            self.token(rest, first, &mut open)?;
        }
    }

    fn token(&mut self, rest: &'a str, first: char, open: &mut Vec<&'static str>) -> Res<()> {
        if is_python_space(first) {
            let blank = rest.len() - rest.trim_start_matches(is_python_space).len();
            self.advance(blank);
        } else if first.is_ascii_digit() && self.number(rest)? {
        } else if is_word(first) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            if first.is_numeric() {
                return Err(syntax_error("Invalid character in identifier", self.line));
            }
            self.push(Token::Name(Str::from(&rest[..length])));
            self.advance(length);
        } else if let Some(length) = string_length(rest) {
            let text = unescape(&rest[1..length - 1])
                .map_err(|message| syntax_error(message, self.line))?;
            self.push(Token::String(Str::from(text)));
            self.advance(length);
        } else if let Some(operator) = OPERATORS.iter().find(|o| rest.starts_with(**o)) {
            self.balance(operator, open)?;
            self.push(Token::Operator(operator));
            self.advance(operator.len());
        } else {
            let position = self.text[..self.at].chars().count();
            let mut repr = String::new();
            squall_value::python::write_str_repr(&mut repr, first.encode_utf8(&mut [0; 4]));
            return Err(syntax_error(
                format!("unexpected char {repr} at {position}"),
                self.line,
            ));
        }
        Ok(())
    }

    fn balance(&self, operator: &str, open: &mut Vec<&'static str>) -> Res<()> {
        match operator {
            "{" => open.push("}"),
            "(" => open.push(")"),
            "[" => open.push("]"),
            "}" | ")" | "]" => match open.pop() {
                None => return Err(syntax_error(format!("unexpected '{operator}'"), self.line)),
                Some(expected) if expected != operator => {
                    return Err(syntax_error(
                        format!("unexpected '{operator}', expected '{expected}'"),
                        self.line,
                    ));
                }
                Some(_) => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn number(&mut self, rest: &str) -> Res<bool> {
        let after_dot = self.at > 0 && self.text.as_bytes()[self.at - 1] == b'.';
        if !after_dot && let Some(length) = float_length(rest) {
            let digits: String = rest[..length].chars().filter(|c| *c != '_').collect();
            self.push(Token::Float(digits.parse().unwrap_or(f64::INFINITY)));
            self.advance(length);
            return Ok(true);
        }
        let Some((length, radix)) = integer_length(rest) else {
            return Ok(false);
        };
        // The digits of a number are turned into binary in quadratic time.
        if length > 4_300 {
            return Err(syntax_error("number has too many digits", self.line));
        }
        let skip = if radix == 10 { 0 } else { 2 };
        let digits: String = rest[skip..length].chars().filter(|c| *c != '_').collect();
        let number = BigInt::parse_bytes(digits.as_bytes(), radix).unwrap_or_default();
        self.push(Token::Integer(Value::from(number)));
        self.advance(length);
        Ok(true)
    }
}

/// Longest first, so that `**` wins over `*`.
const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}",
    ">", "<", "=", ".", ":", "|", ",", ";",
];

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn sign_of(c: Option<char>) -> Sign {
    match c {
        Some('-') => Sign::Minus,
        Some('+') => Sign::Plus,
        _ => Sign::None,
    }
}

fn find_opening(text: &str) -> Option<(usize, &'static str)> {
    let mut from = 0;
    while let Some(found) = text[from..].find('{') {
        let at = from + found;
        match text.as_bytes().get(at + 1) {
            Some(b'{') => return Some((at, "{{")),
            Some(b'%') => return Some((at, "{%")),
            Some(b'#') => return Some((at, "{#")),
            _ => from = at + 1,
        }
    }
    None
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches(is_python_space)
}

/// The length of `{% raw %}` with its signs, if `tag` starts with it. The newline after it stays.
fn raw_begin(tag: &str) -> Option<usize> {
    let inner = tag[2..].strip_prefix(['-', '+']).unwrap_or(&tag[2..]);
    let inner = skip_blanks(skip_blanks(inner).strip_prefix("raw")?);
    let rest = match inner.strip_prefix("-%}") {
        Some(rest) => skip_blanks(rest),
        None => inner.strip_prefix("%}")?,
    };
    Some(tag.len() - rest.len())
}

fn raw_end(tag: &str) -> Option<(usize, Sign)> {
    let sign = sign_of(tag[2..].chars().next());
    let inner = if sign == Sign::None {
        &tag[2..]
    } else {
        &tag[3..]
    };
    let inner = skip_blanks(skip_blanks(inner).strip_prefix("endraw")?);
    let rest = if let Some(rest) = inner.strip_prefix("+%}") {
        rest
    } else if let Some(rest) = inner.strip_prefix("-%}") {
        skip_blanks(rest)
    } else {
        let rest = inner.strip_prefix("%}")?;
        rest.strip_prefix('\n').unwrap_or(rest)
    };
    Some((tag.len() - rest.len(), sign))
}

/// Digits with single underscores between them.
fn digits_length(text: &str, radix: u32) -> usize {
    let mut length = 0;
    let mut previous_is_digit = false;
    for (at, c) in text.char_indices() {
        if c.is_digit(radix) {
            previous_is_digit = true;
            length = at + 1;
        } else if c == '_' && previous_is_digit {
            previous_is_digit = false;
        } else {
            break;
        }
    }
    length
}

fn float_length(text: &str) -> Option<usize> {
    let whole = digits_length(text, 10);
    let mut length = whole;
    if let Some(fraction) = text[length..].strip_prefix('.') {
        let digits = digits_length(fraction, 10);
        if digits > 0 {
            length += 1 + digits;
        }
    }
    if let Some(exponent) = text[length..].strip_prefix(['e', 'E']) {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let digits = digits_length(unsigned, 10);
        if digits > 0 {
            length += 1 + (exponent.len() - unsigned.len()) + digits;
        }
    }
    (whole > 0 && length > whole).then_some(length)
}

fn integer_length(text: &str) -> Option<(usize, u32)> {
    let bytes = text.as_bytes();
    if bytes.first() == Some(&b'0') {
        let radix = match bytes.get(1).map(u8::to_ascii_lowercase) {
            Some(b'b') => 2,
            Some(b'o') => 8,
            Some(b'x') => 16,
            _ => 10,
        };
        if radix != 10 {
            let digits = &text[2..];
            let unmarked = digits.strip_prefix('_').unwrap_or(digits);
            let length = digits_length(unmarked, radix);
            if length > 0 {
                return Some((2 + (digits.len() - unmarked.len()) + length, radix));
            }
        }
        // Leading zeros are a number of their own: `012` is `0` followed by `12`.
        let zeros = text
            .char_indices()
            .take_while(|(_, c)| matches!(c, '0' | '_'))
            .filter(|(_, c)| *c == '0')
            .last()
            .map_or(1, |(at, _)| at + 1);
        return Some((zeros, 10));
    }
    let length = digits_length(text, 10);
    (length > 0).then_some((length, 10))
}

/// The length of a quoted text, quotes included.
fn string_length(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if c == '\\' {
            is_escaped = true;
        } else if c == quote {
            return Some(at + 1);
        }
    }
    None
}

/// Python's string escapes. Unknown ones keep their backslash.
fn unescape(text: &str) -> Result<String, &'static str> {
    if !text.contains('\\') {
        return Ok(text.to_string());
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            None => return Err("\\ at end of string"),
            Some('\n') => {}
            Some(c @ ('\\' | '\'' | '"')) => out.push(c),
            Some('a') => out.push('\x07'),
            Some('b') => out.push('\x08'),
            Some('f') => out.push('\x0c'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('v') => out.push('\x0b'),
            Some('x') => out.push(hex(&mut chars, 2, "truncated \\xXX escape")?),
            Some('u') => out.push(hex(&mut chars, 4, "truncated \\uXXXX escape")?),
            Some('U') => out.push(hex(&mut chars, 8, "truncated \\UXXXXXXXX escape")?),
            Some('N') => return Err("malformed \\N character escape"),
            Some(c @ '0'..='7') => {
                let mut code = c as u32 - '0' as u32;
                for _ in 0..2 {
                    let Some(digit) = chars.peek().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    code = code * 8 + digit;
                    chars.next();
                }
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            Some(c) => {
                out.push('\\');
                out.push(c);
            }
        }
    }
    Ok(out)
}

fn hex(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    digits: usize,
    message: &'static str,
) -> Result<char, &'static str> {
    let mut code = 0u32;
    for _ in 0..digits {
        let digit = chars.next().and_then(|c| c.to_digit(16)).ok_or(message)?;
        code = code.wrapping_mul(16).wrapping_add(digit);
    }
    // A lone surrogate has no place in a text of ours.
    if code > 0x0010_ffff {
        return Err("illegal Unicode character");
    }
    Ok(char::from_u32(code).unwrap_or('\u{fffd}'))
}
