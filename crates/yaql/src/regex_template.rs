//! The replacement texts of Python's `re.sub`: `\1`, `\g<name>` and escapes.

use crate::error::Error;
use crate::regex::{Regex, Spans};

/// A replacement, read once and expanded for every match.
pub(crate) struct Template(Vec<Part>);

enum Part {
    Text(String),
    Group(usize),
}

impl Template {
    /// Reads a replacement for the groups of `regex`.
    pub(crate) fn parse(text: &str, regex: &Regex) -> Result<Template, Error> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('\\') {
            plain.push_str(&rest[..at]);
            let position = text.len() - rest.len() + at;
            rest = &rest[at + 1..];
            let Some(c) = rest.chars().next() else {
                return Err(bad("bad escape (end of pattern)", position));
            };
            match c {
                'g' => {
                    let inner = rest
                        .strip_prefix("g<")
                        .and_then(|inner| inner.split_once('>'))
                        .ok_or_else(|| bad("missing <", position + 2))?;
                    rest = inner.1;
                    let group = group(inner.0, regex, position + 3)?;
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(Part::Group(group));
                }
                '0' => rest = octal(rest, &mut plain),
                '1'..='9' => {
                    let digits = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
                    let octal_digits = rest
                        .bytes()
                        .take(3)
                        .take_while(|b| (b'0'..=b'7').contains(b))
                        .count();
                    if octal_digits == 3 {
                        rest = octal(rest, &mut plain);
                        continue;
                    }
                    let group = group(&rest[..digits], regex, position + 1)?;
                    rest = &rest[digits..];
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(Part::Group(group));
                }
                c => {
                    plain.push_str(
                        &simple_escape(c)
                            .ok_or_else(|| bad(&format!("bad escape \\{c}"), position))?,
                    );
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Template(parts))
    }

    /// Appends the replacement of one match.
    pub(crate) fn expand(&self, text: &str, spans: &Spans, out: &mut String) {
        for part in &self.0 {
            match part {
                Part::Text(plain) => out.push_str(plain),
                Part::Group(index) => {
                    if let Some(Some((start, end))) = spans.get(*index) {
                        out.push_str(&text[*start..*end]);
                    }
                }
            }
        }
    }
}

fn bad(message: &str, position: usize) -> Error {
    Error::regex(format!("{message} at position {position}"))
}

fn group(name: &str, regex: &Regex, position: usize) -> Result<usize, Error> {
    if let Ok(index) = name.parse::<usize>() {
        if index > regex.groups() {
            return Err(bad(&format!("invalid group reference {index}"), position));
        }
        return Ok(index);
    }
    regex.group_index(name).ok_or_else(|| {
        Error::new(
            crate::error::Kind::Index,
            "IndexError",
            format!("unknown group name '{name}'"),
        )
    })
}

fn octal<'t>(rest: &'t str, out: &mut String) -> &'t str {
    let digits = rest
        .bytes()
        .take(3)
        .take_while(|b| (b'0'..=b'7').contains(b))
        .count();
    let code = u32::from_str_radix(&rest[..digits], 8).unwrap_or(0);
    out.extend(char::from_u32(code));
    &rest[digits..]
}

fn simple_escape(c: char) -> Option<String> {
    Some(match c {
        'n' => "\n".to_owned(),
        't' => "\t".to_owned(),
        'r' => "\r".to_owned(),
        'a' => "\x07".to_owned(),
        'b' => "\x08".to_owned(),
        'f' => "\x0c".to_owned(),
        'v' => "\x0b".to_owned(),
        '\\' => "\\".to_owned(),
        c if c.is_ascii_alphabetic() => return None,
        other => format!("\\{other}"),
    })
}
