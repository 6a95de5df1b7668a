//! Python's regular expressions on `fancy-regex`.

use std::cell::RefCell;
use std::rc::Rc;

use fancy_regex::{Captures, Regex, RegexBuilder};

/// What went wrong with a pattern or a match.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The pattern or the replacement is invalid.
    Invalid(String),
    /// Matching took too much work.
    TooMuchWork,
}

/// Patterns kept for reuse by each thread.
const CACHED: usize = 64;
/// Steps back that one match may take.
const BACKTRACK_MAX: usize = 1_000_000;
/// The longest pattern in bytes.
const PATTERN_MAX: usize = 64 << 10;

type Cache = Vec<((String, bool), Rc<Regex>)>;

thread_local! {
    static CACHE: RefCell<Cache> = const { RefCell::new(Vec::new()) };
}

/// Compiles a pattern of Python's syntax.
pub(crate) fn compile(pattern: &str, ignore_case: bool) -> Result<Rc<Regex>, Failure> {
    let known = CACHE.with_borrow(|cache| {
        let found = cache
            .iter()
            .find(|((text, ignores), _)| text == pattern && *ignores == ignore_case);
        found.map(|(_, regex)| Rc::clone(regex))
    });
    if let Some(regex) = known {
        return Ok(regex);
    }
    if pattern.len() > PATTERN_MAX {
        return Err(Failure::Invalid("the pattern is too long".into()));
    }
    // The flag stands in the text, so that patterns made of this one keep it.
    let flag = if ignore_case { "(?i)" } else { "" };
    let translated = format!("{flag}{}", translate(pattern)?);
    let regex = RegexBuilder::new(&translated)
        .backtrack_limit(BACKTRACK_MAX)
        .build()
        .map_err(|error| Failure::Invalid(error.to_string()))?;
    let regex = Rc::new(regex);
    CACHE.with_borrow_mut(|cache| {
        if cache.len() >= CACHED {
            cache.remove(0);
        }
        cache.push(((pattern.to_string(), ignore_case), Rc::clone(&regex)));
    });
    Ok(regex)
}

/// Writes a Python pattern in the syntax of the crate, where the two differ.
fn translate(pattern: &str) -> Result<String, Failure> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.char_indices().peekable();
    let mut class_start = None;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                let Some((_, escaped)) = chars.next() else {
                    return Err(Failure::Invalid(format!(
                        "bad escape (end of pattern) at position {at}"
                    )));
                };
                translate_escape(escaped, at, class_start.is_some(), &mut out)?;
            }
            '[' if class_start.is_none() => {
                class_start = Some(at);
                out.push('[');
                if chars.next_if(|(_, next)| *next == '^').is_some() {
                    out.push('^');
                }
                // A bracket that comes first is an element, not the end.
                if chars.next_if(|(_, next)| *next == ']').is_some() {
                    out.push_str("\\]");
                }
            }
            ']' if class_start.is_some() => {
                class_start = None;
                out.push(']');
            }
            // Sets within sets and set operators are no part of Python's syntax.
            '[' | '&' | '~' if class_start.is_some() => {
                out.push('\\');
                out.push(c);
            }
            // Without flags, `$` also matches before a final newline.
            '$' if class_start.is_none() => out.push_str("(?=\\n?\\z)"),
            '{' if class_start.is_none() => {
                let rest = &pattern[at..];
                if let Some(length) = quantifier_length(rest) {
                    if rest[1..].starts_with(',') {
                        out.push_str("{0");
                    } else {
                        out.push('{');
                    }
                    out.push_str(&rest[1..=length]);
                    for _ in 0..length {
                        chars.next();
                    }
                } else {
                    out.push_str("\\{");
                }
            }
            '}' if class_start.is_none() => out.push_str("\\}"),
            c => out.push(c),
        }
    }
    if let Some(at) = class_start {
        let at = pattern[..at].chars().count();
        return Err(Failure::Invalid(format!(
            "unterminated character set at position {at}"
        )));
    }
    Ok(out)
}

fn translate_escape(
    escaped: char,
    at: usize,
    is_in_class: bool,
    out: &mut String,
) -> Result<(), Failure> {
    match escaped {
        'Z' if !is_in_class => out.push_str("\\z"),
        'A' | 'B' if !is_in_class => {
            out.push('\\');
            out.push(escaped);
        }
        'b' if is_in_class => out.push_str("\\x08"),
        'a'
        | 'b'
        | 'd'
        | 'D'
        | 'f'
        | 'n'
        | 'r'
        | 's'
        | 'S'
        | 't'
        | 'v'
        | 'w'
        | 'W'
        | 'x'
        | 'u'
        | 'U'
        | '0'..='9' => {
            if escaped == '0' {
                out.push_str("\\x00");
            } else {
                out.push('\\');
                out.push(escaped);
            }
        }
        c if c.is_ascii_alphabetic() => {
            return Err(Failure::Invalid(format!(
                "bad escape \\{c} at position {at}"
            )));
        }
        // Some escaped punctuation has a meaning of its own in the crate.
        '<' | '>' | '\'' | '"' | '`' | ' ' | '_' | '/' | '%' | '@' | ',' | ':' | ';' | '='
        | '!' => {
            out.push(escaped);
        }
        c => {
            if c.is_ascii() {
                out.push('\\');
            }
            out.push(c);
        }
    }
    Ok(())
}

/// Where the closing brace of `{m}`, `{m,}`, `{,n}` or `{m,n}` stands.
fn quantifier_length(text: &str) -> Option<usize> {
    let end = text.find('}')?;
    let inner = &text[1..end];
    let (low, high) = inner.split_once(',').unwrap_or((inner, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (!inner.is_empty() && inner != "," && is_number(low) && is_number(high)).then_some(end)
}

/// `re.match(...) is not None` or `re.search(...) is not None`.
pub(crate) fn is_match(regex: &Regex, text: &str, at_start: bool) -> Result<bool, Failure> {
    if !at_start {
        return regex.is_match(text).map_err(|_| Failure::TooMuchWork);
    }
    let anchored = compile_anchored(regex)?;
    anchored.is_match(text).map_err(|_| Failure::TooMuchWork)
}

/// The same pattern, matching at the start of the text only.
fn compile_anchored(regex: &Regex) -> Result<Rc<Regex>, Failure> {
    let key = format!("\0{}", regex.as_str());
    let known = CACHE.with_borrow(|cache| {
        let found = cache.iter().find(|((text, _), _)| *text == key);
        found.map(|(_, regex)| Rc::clone(regex))
    });
    if let Some(regex) = known {
        return Ok(regex);
    }
    let anchored = RegexBuilder::new(&format!("\\A(?:{})", regex.as_str()))
        .backtrack_limit(BACKTRACK_MAX)
        .build()
        .map_err(|error| Failure::Invalid(error.to_string()))?;
    let anchored = Rc::new(anchored);
    CACHE.with_borrow_mut(|cache| {
        if cache.len() >= CACHED {
            cache.remove(0);
        }
        cache.push(((key, false), Rc::clone(&anchored)));
    });
    Ok(anchored)
}

/// All matches from left to right, each starting where the last one ended; after an empty one, a
/// character later.
pub(crate) fn matches<'t>(
    regex: &Regex,
    text: &'t str,
    count_max: usize,
) -> Result<Vec<Captures<'t, str>>, Failure> {
    let mut found = Vec::new();
    let mut from = 0;
    while from <= text.len() && found.len() < count_max {
        let captures = regex
            .captures_from_pos(text, from)
            .map_err(|_| Failure::TooMuchWork)?;
        let Some(captures) = captures else {
            break;
        };
        let Some(whole) = captures.get(0) else {
            break;
        };
        from = if whole.start() == whole.end() {
            let step = text[whole.end()..].chars().next().map_or(1, char::len_utf8);
            whole.end() + step
        } else {
            whole.end()
        };
        found.push(captures);
    }
    Ok(found)
}

/// A piece of a replacement text.
enum Piece {
    Text(String),
    Group(usize),
    Named(String),
}

/// `re.sub` over all matches.
pub(crate) fn replace(
    regex: &Regex,
    text: &str,
    replacement: &str,
    mut charge: impl FnMut(usize) -> bool,
) -> Result<String, Failure> {
    let pieces = parse_replacement(regex, replacement)?;
    let mut out = String::new();
    let mut last = 0;
    for captures in matches(regex, text, usize::MAX)? {
        let Some(whole) = captures.get(0) else {
            continue;
        };
        let before = out.len();
        out.push_str(&text[last..whole.start()]);
        for piece in &pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Group(number) => {
                    out.push_str(captures.get(*number).map_or("", |group| group.as_str()));
                }
                Piece::Named(name) => {
                    out.push_str(captures.name(name).map_or("", |group| group.as_str()));
                }
            }
        }
        last = whole.end();
        if !charge(out.len() - before) {
            return Err(Failure::TooMuchWork);
        }
    }
    out.push_str(&text[last..]);
    Ok(out)
}

fn parse_replacement(regex: &Regex, replacement: &str) -> Result<Vec<Piece>, Failure> {
    let groups = regex.captures_len();
    let invalid = |message: String| Failure::Invalid(message);
    let group = |number: usize, at: usize| {
        if number < groups {
            Ok(Piece::Group(number))
        } else {
            Err(invalid(format!(
                "invalid group reference {number} at position {at}"
            )))
        }
    };
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut chars = replacement.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let Some((_, escaped)) = chars.next() else {
            return Err(invalid("bad escape (end of pattern)".into()));
        };
        let piece = match escaped {
            'g' => {
                let rest = &replacement[at + 2..];
                let Some((name, _)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'))
                else {
                    return Err(invalid("missing <".into()));
                };
                for _ in 0..name.chars().count() + 2 {
                    chars.next();
                }
                match name.parse::<usize>() {
                    Ok(number) => group(number, at + 1)?,
                    Err(_) if regex.capture_names().flatten().any(|known| known == name) => {
                        Piece::Named(name.into())
                    }
                    Err(_) => return Err(invalid(format!("unknown group name '{name}'"))),
                }
            }
            '1'..='9' => {
                let mut number = escaped as usize - '0' as usize;
                if let Some((_, digit)) = chars.next_if(|(_, next)| next.is_ascii_digit()) {
                    number = number * 10 + (digit as usize - '0' as usize);
                }
                group(number, at + 1)?
            }
            '0' => {
                text.push('\0');
                continue;
            }
            other => {
                match other {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    'a' => text.push('\x07'),
                    'b' => text.push('\x08'),
                    'f' => text.push('\x0c'),
                    'v' => text.push('\x0b'),
                    '\\' => text.push('\\'),
                    c if c.is_ascii_alphabetic() => {
                        return Err(invalid(format!("bad escape \\{c} at position {at}")));
                    }
                    c => {
                        text.push('\\');
                        text.push(c);
                    }
                }
                continue;
            }
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(piece);
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}
