//! Text to tokens, one at a time: a grammar error comes before a lexical error further right.

use num_bigint::BigInt;
use squall_value::number::digit_value;
use squall_value::{Str, Value as Data};

use crate::error::ParseError;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token<'a> {
    Literal(Data),
    Keyword(&'a str),
    Variable(&'a str),
    /// An identifier with its opening parenthesis.
    Function(&'a str),
    /// An operator or a bracket.
    Symbol(&'static str),
    End,
}

/// Symbols of two characters, which win over those of one.
const LONG_SYMBOLS: [&str; 8] = ["?.", "!=", ">=", "<=", "=~", "!~", "=>", "->"];
const SYMBOLS: [&str; 15] = [
    ".", "(", ")", "[", "]", "{", "}", ",", "=", ">", "<", "+", "-", "*", "/",
];

/// Words that are operators.
const WORD_OPERATORS: [&str; 5] = ["and", "or", "not", "in", "mod"];

pub(crate) struct Lexer<'a> {
    text: &'a str,
    /// Byte offset of the next token.
    at: usize,
    /// Whether `=>` is a token.
    keyword_operator: bool,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str, keyword_operator: bool) -> Lexer<'a> {
        Lexer {
            text,
            at: 0,
            keyword_operator,
        }
    }

    /// How many characters lie before a byte, which is what errors tell.
    pub(crate) fn position(&self, byte: usize) -> usize {
        self.text[..byte].chars().count()
    }

    /// The next token, with the byte offset of its first character.
    pub(crate) fn next(&mut self) -> Result<(Token<'a>, usize), ParseError> {
        let text = self.text;
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let blank = text.as_bytes()[self.at..]
            .iter()
            .take_while(|b| is_blank(b));
        let start = self.at + blank.count();
        let rest = &text[start..];
        let Some(first) = rest.chars().next() else {
            self.at = start;
            return Ok((Token::End, start));
        };
        let scanned = match first {
            '$' => {
                let length = 1 + word_length(&rest[1..]);
                Some((Token::Variable(&rest[..length]), length))
            }
            '\'' | '"' | '`' => scan_string(rest, first),
            c if is_digit(c) => scan_number(rest),
            c if is_word(c) => scan_word(rest),
            _ => self.scan_symbol(rest),
        };
        match scanned {
            Some((token, length)) => {
                self.at = start + length;
                Ok((token, start))
            }
            None => {
                let position = self.position(start);
                Err(ParseError {
                    message: format!(
                        "Lexical error: illegal character '{first}' at position {position}"
                    ),
                    position: Some(position),
                    lexical: true,
                })
            }
        }
    }

    fn scan_symbol(&self, rest: &'a str) -> Option<(Token<'a>, usize)> {
        let long = LONG_SYMBOLS.iter().filter(|symbol| {
            rest.as_bytes().get(1) == symbol.as_bytes().get(1)
                && (self.keyword_operator || **symbol != "=>")
        });
        long.chain(&SYMBOLS)
            .find(|symbol| rest.starts_with(**symbol))
            .map(|symbol| (Token::Symbol(symbol), symbol.len()))
    }
}

/// Python's `\w`.
pub(crate) fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Python's `\d`: any decimal digit of Unicode.
pub(crate) fn is_digit(c: char) -> bool {
    digit_value(c).is_some()
}

fn word_length(text: &str) -> usize {
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

fn scan_number(rest: &str) -> Option<(Token<'_>, usize)> {
    let digits = |text: &str| text.find(|c| !is_digit(c)).unwrap_or(text.len());
    let whole = digits(rest);
    let ends_word = |length: usize| !rest[length..].starts_with(is_word);
    let fraction = rest[whole..].strip_prefix('.').map_or(0, digits);
    if fraction > 0 && ends_word(whole + 1 + fraction) {
        let length = whole + 1 + fraction;
        let number = to_ascii_digits(&rest[..length]).parse::<f64>().ok()?;
        return Some((Token::Literal(Data::Float(number)), length));
    }
    // `\b\d+(\.?\d+)?\b` falls back to the whole part when the fraction runs into a letter.
    if !ends_word(whole) {
        return None;
    }
    let text = to_ascii_digits(&rest[..whole]);
    let number = match text.parse::<i64>() {
        Ok(number) => Data::Int(number),
        Err(_) => Data::from(BigInt::parse_bytes(text.as_bytes(), 10)?),
    };
    Some((Token::Literal(number), whole))
}

fn to_ascii_digits(text: &str) -> String {
    text.chars()
        .map(|c| {
            digit_value(c)
                .and_then(|d| char::from_digit(d, 10))
                .unwrap_or(c)
        })
        .collect()
}

fn scan_word(rest: &str) -> Option<(Token<'_>, usize)> {
    let length = word_length(rest);
    let word = &rest[..length];
    if rest[length..].starts_with('(') {
        return Some((Token::Function(word), length + 1));
    }
    if word.starts_with("__") {
        return None;
    }
    let token = match word {
        "true" => Token::Literal(Data::Bool(true)),
        "false" => Token::Literal(Data::Bool(false)),
        "null" => Token::Literal(Data::Null),
        _ => match WORD_OPERATORS.iter().find(|operator| **operator == word) {
            Some(operator) => Token::Symbol(operator),
            None => Token::Keyword(word),
        },
    };
    Some((token, length))
}

fn scan_string(rest: &str, quote: char) -> Option<(Token<'_>, usize)> {
    let mut chars = rest.char_indices().skip(1);
    let mut escaped = false;
    while let Some((at, c)) = chars.next() {
        if c == quote {
            let body = &rest[1..at];
            let text = match (quote, escaped) {
                (_, false) => Str::from(body),
                ('`', true) => Str::from(body.replace("\\`", "`")),
                (_, true) => Str::from(decode_escapes(body)?),
            };
            return Some((Token::Literal(Data::String(text)), at + 1));
        }
        if c == '\\' {
            escaped = true;
            // A backslash takes the next character with it, but no line end.
            if chars.next().is_none_or(|(_, next)| next == '\n') {
                return None;
            }
        }
    }
    None
}

/// Decodes the escapes of a quoted text; any other backslash pair stays as it is.
fn decode_escapes(body: &str) -> Option<String> {
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let taken = decode_escape(rest, &mut out)?;
        if taken == 0 {
            out.push('\\');
            let next = rest.chars().next()?;
            out.push(next);
            rest = &rest[next.len_utf8()..];
        } else {
            rest = &rest[taken..];
        }
    }
    out.push_str(rest);
    Some(out)
}

/// Decodes one escape after its backslash; returns how many bytes it took, 0 if it is none.
/// `None` when it looks like an escape but names no character.
fn decode_escape(rest: &str, out: &mut String) -> Option<usize> {
    let first = rest.chars().next()?;
    let simple = match first {
        '\\' | '\'' | '"' => Some(first),
        'a' => Some('\x07'),
        'b' => Some('\x08'),
        'f' => Some('\x0c'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\x0b'),
        _ => None,
    };
    if let Some(c) = simple {
        out.push(c);
        return Some(1);
    }
    match first {
        'x' => decode_hex(rest, 2, out),
        'u' => decode_hex(rest, 4, out),
        'U' => decode_hex(rest, 8, out),
        '0'..='7' => {
            let digits: String = rest
                .chars()
                .take(3)
                .take_while(|c| ('0'..='7').contains(c))
                .collect();
            out.push(char::from_u32(u32::from_str_radix(&digits, 8).ok()?)?);
            Some(digits.len())
        }
        'N' if rest.starts_with("N{") => {
            let end = rest.find('}')?;
            // The crate takes names loosely, and panics on a hyphen before anything else.
            let name = &rest[2..end];
            let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric());
            out.push(is_name.then(|| unicode_names2::character(name)).flatten()?);
            Some(end + 1)
        }
        _ => Some(0),
    }
}

fn decode_hex(rest: &str, digits: usize, out: &mut String) -> Option<usize> {
    // Fewer characters than the escape needs: not an escape at all, so it stays as text.
    if rest
        .chars()
        .skip(1)
        .take(digits)
        .filter(|c| *c != '\n')
        .count()
        < digits
    {
        return Some(0);
    }
    let text = rest.get(1..=digits)?;
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    // Half of a surrogate pair is no character in Rust: it becomes the replacement character.
    let code = u32::from_str_radix(text, 16).ok()?;
    let c = match char::from_u32(code) {
        Some(c) => c,
        None if (0xd800..0xe000).contains(&code) => char::REPLACEMENT_CHARACTER,
        None => return None,
    };
    out.push(c);
    Some(digits + 1)
}
