//! Texts. Positions and lengths count code points.

use squall_value::Str;

use super::Library;
use super::slices::slice_index;
use crate::call::Call;
use crate::error::Error;
use crate::eval::Evaluation;
use crate::iterator::VALUE_BYTES;
use crate::text;
use crate::value::Value;

pub(super) fn add(library: &mut Library) {
    add_conversions(library);
    add_trims(library);
    add_searches(library);
    add_splits(library);
    add_replacements(library);
}

/// Python's `str.isspace` for one character.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The language's text of a value, counted.
pub(super) fn text_of(ev: &mut Evaluation<'_>, value: &Value) -> Result<String, Error> {
    let text = text::str(value, ev.memory_left())?;
    ev.charge(text.len() as u64)?;
    ev.steps(text.len() as u64 / 64)?;
    Ok(text)
}

fn add_conversions(library: &mut Library) {
    library.function("str(value)", |call| match call.value(0) {
        text @ Value::String(_) => Ok(text),
        other => text_of(call.ev, &other).map(Value::from),
    });
    library.function("isString(arg)", |call| {
        Ok(Value::Bool(matches!(call.value(0), Value::String(_))))
    });
    library.function("concat(*args: str)", |call| {
        let parts = std::mem::take(&mut call.rest);
        let mut joined = String::new();
        for part in &parts {
            let part = part.as_str().unwrap_or_default();
            call.ev.charge(part.len() as u64)?;
            joined.push_str(part);
        }
        Ok(Value::from(joined))
    });
    library.method("toUpper(string: str)", |call| {
        let text = call.str(0)?.to_uppercase();
        call.ev.text(&text)
    });
    library.method("toLower(string: str)", |call| {
        let text = call.str(0)?.to_lowercase();
        call.ev.text(&text)
    });
    library.extension("len(string: str)", |call| {
        let text = call.str(0)?;
        call.ev.steps(text.len() as u64 / 256)?;
        Ok(Value::from(text.chars().count()))
    });
    library.method("toCharArray(string: str)", |call| {
        let text = call.str(0)?;
        call.ev.charge(text.len() as u64 * 2 * VALUE_BYTES)?;
        Value::tuple(text.chars().map(|c| Value::from(c.to_string())).collect())
    });
    library.function(
        "characters(digits: bool?=false, hexdigits: bool?=false, asciiLowercase: bool?=false, \
         asciiUppercase: bool?=false, asciiLetters: bool?=false, letters: bool?=false, \
         octdigits: bool?=false, punctuation: bool?=false, printable: bool?=false, \
         lowercase: bool?=false, uppercase: bool?=false, whitespace: bool?=false)",
        characters,
    );
    library.function("hex(num: num?)", |call| match call.value(0) {
        Value::Int(number) => {
            let sign = if number < 0 { "-" } else { "" };
            Ok(Value::from(format!("{sign}0x{:x}", number.unsigned_abs())))
        }
        Value::BigInt(number) => {
            call.ev.charge(number.bits() / 4)?;
            let digits = number.to_str_radix(16);
            Ok(Value::from(match digits.strip_prefix('-') {
                Some(digits) => format!("-0x{digits}"),
                None => format!("0x{digits}"),
            }))
        }
        other => Err(Error::type_error(format!(
            "'{}' object cannot be interpreted as an integer",
            other.type_name()
        ))),
    });
}

fn characters(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    const DIGITS: &str = "0123456789";
    const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
    const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    const WHITESPACE: &str = " \t\n\r\u{b}\u{c}";
    // Names that Python's `string` module lost with version 3, which the language still offers.
    for (index, name) in [(5, "letters"), (9, "lowercase"), (10, "uppercase")] {
        if call.truth(index) {
            return Err(Error::attribute(format!(
                "module 'string' has no attribute '{name}'"
            )));
        }
    }
    let groups: [(usize, &[&str]); 9] = [
        (0, &[DIGITS]),
        (1, &[DIGITS, "abcdefABCDEF"]),
        (2, &[LOWER]),
        (3, &[UPPER]),
        (4, &[LOWER, UPPER]),
        (6, &["01234567"]),
        (7, &[PUNCTUATION]),
        (8, &[DIGITS, LOWER, UPPER, PUNCTUATION, WHITESPACE]),
        (11, &[WHITESPACE]),
    ];
    let mut found: Vec<char> = Vec::new();
    for (index, parts) in groups {
        if call.truth(index) {
            for c in parts.iter().flat_map(|part| part.chars()) {
                if !found.contains(&c) {
                    found.push(c);
                }
            }
        }
    }
    Value::tuple(
        found
            .into_iter()
            .map(|c| Value::from(c.to_string()))
            .collect(),
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Both,
}

fn trim<'t>(text: &'t str, chars: Option<&str>, side: Side) -> &'t str {
    let drop = |c: char| match chars {
        Some(chars) => chars.contains(c),
        None => is_space(c),
    };
    let text = if side == Side::Right {
        text
    } else {
        text.trim_start_matches(drop)
    };
    if side == Side::Left {
        text
    } else {
        text.trim_end_matches(drop)
    }
}

fn add_trims(library: &mut Library) {
    for (name, side) in [
        ("trim", Side::Both),
        ("trimLeft", Side::Left),
        ("trimRight", Side::Right),
    ] {
        library.method(
            &format!("{name}(string: str, chars: str?=null)"),
            move |call| {
                let (text, chars) = (call.str(0)?, call.str_or_null(1)?);
                call.ev.text(trim(&text, chars.as_deref(), side))
            },
        );
    }
    library.extension("norm(string: str?, chars: str?=null)", |call| {
        let Some(text) = call.str_or_null(0)? else {
            return Ok(Value::Null);
        };
        let chars = call.str_or_null(1)?;
        match trim(&text, chars.as_deref(), Side::Both) {
            "" => Ok(Value::Null),
            trimmed => call.ev.text(trimmed),
        }
    });
    library.extension(
        "isEmpty(string: str?, trim: bool=true, chars: str?=null)",
        |call| {
            let Some(text) = call.str_or_null(0)? else {
                return Ok(Value::Bool(true));
            };
            let chars = call.str_or_null(2)?;
            let rest = if call.truth(1) {
                trim(&text, chars.as_deref(), Side::Both)
            } else {
                &text
            };
            Ok(Value::Bool(rest.is_empty()))
        },
    );
}

/// The byte offset of a code point.
fn byte_offset(text: &str, index: usize) -> usize {
    text.char_indices()
        .nth(index)
        .map_or(text.len(), |(at, _)| at)
}

/// `str.find` and `str.rfind` with Python slice bounds.
fn find(text: &str, part: &str, start: i64, end: Option<i64>, last: bool) -> i64 {
    let length = text.chars().count();
    // A start beyond the end finds nothing, not even the empty text.
    if start > i64::try_from(length).unwrap_or(i64::MAX) {
        return -1;
    }
    let start = slice_index(start, length);
    let end = end.map_or(length, |end| slice_index(end, length));
    if start > end {
        return -1;
    }
    let (from, to) = (byte_offset(text, start), byte_offset(text, end));
    let slice = &text[from..to];
    let found = if last {
        slice.rfind(part)
    } else {
        slice.find(part)
    };
    found.map_or(-1, |at| {
        i64::try_from(start + slice[..at].chars().count()).unwrap_or(i64::MAX)
    })
}

fn add_searches(library: &mut Library) {
    for (name, last) in [("indexOf", false), ("lastIndexOf", true)] {
        library.method(
            &format!("{name}(string: str, sub: str, start: int=0)"),
            move |call| {
                let (text, part) = (call.str(0)?, call.str(1)?);
                call.ev.steps(text.len() as u64 / 64)?;
                Ok(Value::Int(find(&text, &part, call.int(2)?, None, last)))
            },
        );
        library.method(
            &format!("{name}(string: str, sub: str, start: int, length: int)"),
            move |call| {
                let (text, part) = (call.str(0)?, call.str(1)?);
                call.ev.steps(text.len() as u64 / 64)?;
                let size = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
                let (mut start, mut length) = (call.int(2)?, call.int(3)?);
                if start < 0 {
                    start = start.saturating_add(size);
                }
                if length < 0 {
                    length = size.saturating_sub(start);
                }
                let end = start.saturating_add(length);
                Ok(Value::Int(find(&text, &part, start, Some(end), last)))
            },
        );
    }
    library.method("startsWith(string: str, *prefixes: str)", |call| {
        let text = call.str(0)?;
        let found = call
            .rest()
            .iter()
            .filter_map(Value::as_str)
            .any(|part| text.starts_with(part));
        Ok(Value::Bool(found))
    });
    library.method("endsWith(string: str, *suffixes: str)", |call| {
        let text = call.str(0)?;
        let found = call
            .rest()
            .iter()
            .filter_map(Value::as_str)
            .any(|part| text.ends_with(part));
        Ok(Value::Bool(found))
    });
    library.method(
        "substring(string: str, start: int, length: int=-1)",
        substring,
    );
}

fn substring(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let text = call.str(0)?;
    call.ev.steps(text.len() as u64 / 64)?;
    let size = text.chars().count();
    let size_signed = i64::try_from(size).unwrap_or(i64::MAX);
    let (mut start, mut length) = (call.int(1)?, call.int(2)?);
    if length < 0 {
        length = size_signed;
    }
    if start < 0 {
        start = start.saturating_add(size_signed);
    }
    let from = slice_index(start, size);
    let to = slice_index(start.saturating_add(length), size);
    let slice = if from < to {
        &text[byte_offset(&text, from)..byte_offset(&text, to)]
    } else {
        ""
    };
    call.ev.text(slice)
}

/// `str.split` or, from the right, `str.rsplit`.
fn split(text: &str, separator: Option<&str>, limit: i64, from_right: bool) -> Vec<String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX - 1);
    let owned = |parts: Vec<&str>| parts.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let mut parts = match (separator, from_right) {
        (Some(separator), false) => {
            return owned(text.splitn(limit.saturating_add(1), separator).collect());
        }
        (Some(separator), true) => text
            .rsplitn(limit.saturating_add(1), separator)
            .collect::<Vec<_>>(),
        (None, false) => {
            let mut parts = Vec::new();
            let mut rest = text.trim_start_matches(is_space);
            while !rest.is_empty() {
                let end = if parts.len() == limit {
                    None
                } else {
                    rest.find(is_space)
                };
                match end {
                    Some(end) => {
                        parts.push(&rest[..end]);
                        rest = rest[end..].trim_start_matches(is_space);
                    }
                    None => {
                        parts.push(rest);
                        rest = "";
                    }
                }
            }
            // The last piece of a limited split keeps the blanks inside it, and those at its end.
            return owned(parts);
        }
        (None, true) => {
            let mut parts = Vec::new();
            let mut rest = text.trim_end_matches(is_space);
            while !rest.is_empty() {
                let start = if parts.len() == limit {
                    None
                } else {
                    rest.char_indices().rfind(|(_, c)| is_space(*c))
                };
                match start {
                    Some((at, c)) => {
                        parts.push(&rest[at + c.len_utf8()..]);
                        rest = rest[..at].trim_end_matches(is_space);
                    }
                    None => {
                        parts.push(rest);
                        rest = "";
                    }
                }
            }
            parts
        }
    };
    parts.reverse();
    owned(parts)
}

fn add_splits(library: &mut Library) {
    for (name, from_right) in [("split", false), ("rightSplit", true)] {
        library.method(
            &format!("{name}(string: str, separator: str?=null, maxSplits: int=-1)"),
            move |call| {
                let (text, separator) = (call.str(0)?, call.str_or_null(1)?);
                if separator.as_deref() == Some("") {
                    return Err(Error::value_error("empty separator"));
                }
                call.ev.steps(text.len() as u64 / 16)?;
                let parts = split(&text, separator.as_deref(), call.word(2)?, from_right);
                call.ev
                    .charge(text.len() as u64 + parts.len() as u64 * 2 * VALUE_BYTES)?;
                Value::list(parts.into_iter().map(Value::from).collect())
            },
        );
    }
    library.method("join(sequence: iterable, separator: str)", |call| {
        join(call, 0, 1)
    });
    library.method("join(separator: str, sequence: iterable)", |call| {
        join(call, 1, 0)
    });
}

fn join(call: &mut Call<'_, '_>, items: usize, separator: usize) -> Result<Value, Error> {
    let separator = call.str(separator)?;
    let mut source = call.cursor(items)?;
    let mut joined = String::new();
    let mut first = true;
    while let Some(item) = source.next(call.ev)? {
        if !std::mem::take(&mut first) {
            call.ev.charge(separator.len() as u64)?;
            joined.push_str(&separator);
        }
        match &item {
            Value::String(text) => {
                call.ev.charge(text.len() as u64)?;
                joined.push_str(text);
            }
            other => joined.push_str(&text_of(call.ev, other)?),
        }
    }
    Ok(Value::from(joined))
}

fn add_replacements(library: &mut Library) {
    library.method(
        "replace(string: str, old: str, new: str, count: int=-1)",
        |call| {
            let (text, old, new) = (call.str(0)?, call.str(1)?, call.str(2)?);
            let count = call.word(3)?;
            replace(call.ev, &text, &old, &new, count).map(Value::from)
        },
    );
    library.method(
        "replace(string: str, replacements: dict, count: int=-1)",
        |call| {
            let mut text: Str = call.str(0)?;
            let (replacements, count) = (call.dict(1)?, call.word(2)?);
            for (old, new) in replacements.iter() {
                let (old, new) = (text_of(call.ev, &old)?, text_of(call.ev, &new)?);
                text = Str::from(replace(call.ev, &text, &old, &new, count)?);
            }
            Ok(Value::String(text))
        },
    );
}

fn replace(
    ev: &mut Evaluation<'_>,
    text: &str,
    old: &str,
    new: &str,
    count: i64,
) -> Result<String, Error> {
    ev.steps(text.len() as u64 / 16)?;
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    // What is charged is an upper bound, taken before anything is built.
    let hits = text.matches(old).count().min(most) as u64;
    ev.charge(text.len() as u64 + hits.saturating_mul(new.len() as u64))?;
    Ok(text.replacen(old, new, most))
}
