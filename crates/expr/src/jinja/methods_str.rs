//! Methods of Python's texts. Positions count characters.

use squall_value::Str;

use super::case::{capitalize, casefold, swapcase, title};
use super::eval::Engine;
use super::methods::{clamped, index_argument};
use super::registry::{Bound, Callable};
use super::translate::{maketrans, translate};
use super::value::Val;
use super::{Res, lookup, ops, percent, type_error, value_error};
use crate::statement::is_python_space;

pub(super) const ALL: &[Callable] = &[
    Callable::new("capitalize", "capitalize", &["self"], 1, |e, a| {
        mapped(e, a, capitalize)
    }),
    Callable::new("casefold", "casefold", &["self"], 1, |e, a| {
        mapped(e, a, casefold)
    }),
    Callable::new("lower", "lower", &["self"], 1, |e, a| {
        mapped(e, a, str::to_lowercase)
    }),
    Callable::new("upper", "upper", &["self"], 1, |e, a| {
        mapped(e, a, str::to_uppercase)
    }),
    Callable::new("title", "title", &["self"], 1, |e, a| mapped(e, a, title)),
    Callable::new("swapcase", "swapcase", &["self"], 1, |e, a| {
        mapped(e, a, swapcase)
    }),
    Callable::new(
        "center",
        "center",
        &["self", "width", "fillchar"],
        2,
        |e, a| justify(e, a, 'c'),
    ),
    Callable::new(
        "ljust",
        "ljust",
        &["self", "width", "fillchar"],
        2,
        |e, a| justify(e, a, 'l'),
    ),
    Callable::new(
        "rjust",
        "rjust",
        &["self", "width", "fillchar"],
        2,
        |e, a| justify(e, a, 'r'),
    ),
    Callable::new("zfill", "zfill", &["self", "width"], 2, zfill),
    Callable::new(
        "expandtabs",
        "expandtabs",
        &["self", "tabsize"],
        1,
        expandtabs,
    ),
    Callable::new("count", "count", &["self", "sub", "start", "end"], 2, count),
    Callable::new(
        "find",
        "find",
        &["self", "sub", "start", "end"],
        2,
        |e, a| find(e, a, false, false),
    ),
    Callable::new(
        "rfind",
        "rfind",
        &["self", "sub", "start", "end"],
        2,
        |e, a| find(e, a, true, false),
    ),
    Callable::new(
        "index",
        "index",
        &["self", "sub", "start", "end"],
        2,
        |e, a| find(e, a, false, true),
    ),
    Callable::new(
        "rindex",
        "rindex",
        &["self", "sub", "start", "end"],
        2,
        |e, a| find(e, a, true, true),
    ),
    Callable::new(
        "startswith",
        "startswith",
        &["self", "prefix", "start", "end"],
        2,
        |e, a| affix(e, a, "startswith"),
    ),
    Callable::new(
        "endswith",
        "endswith",
        &["self", "suffix", "start", "end"],
        2,
        |e, a| affix(e, a, "endswith"),
    ),
    Callable::new(
        "removeprefix",
        "removeprefix",
        &["self", "prefix"],
        2,
        |_, mut a| {
            let (text, prefix) = (text(&a.required(0))?, text(&a.required(1))?);
            Ok(Val::str(text.strip_prefix(&*prefix).unwrap_or(&text)))
        },
    ),
    Callable::new(
        "removesuffix",
        "removesuffix",
        &["self", "suffix"],
        2,
        |_, mut a| {
            let (text, suffix) = (text(&a.required(0))?, text(&a.required(1))?);
            Ok(Val::str(text.strip_suffix(&*suffix).unwrap_or(&text)))
        },
    ),
    Callable::new("strip", "strip", &["self", "chars"], 1, |_, a| {
        strip(a, true, true)
    }),
    Callable::new("lstrip", "lstrip", &["self", "chars"], 1, |_, a| {
        strip(a, true, false)
    }),
    Callable::new("rstrip", "rstrip", &["self", "chars"], 1, |_, a| {
        strip(a, false, true)
    }),
    Callable::new("split", "split", &["self", "sep", "maxsplit"], 1, |e, a| {
        split(e, a, false)
    }),
    Callable::new(
        "rsplit",
        "rsplit",
        &["self", "sep", "maxsplit"],
        1,
        |e, a| split(e, a, true),
    ),
    Callable::new(
        "splitlines",
        "splitlines",
        &["self", "keepends"],
        1,
        splitlines,
    ),
    Callable::new("partition", "partition", &["self", "sep"], 2, |_, a| {
        partition(a, false)
    }),
    Callable::new("rpartition", "rpartition", &["self", "sep"], 2, |_, a| {
        partition(a, true)
    }),
    Callable::new(
        "replace",
        "replace",
        &["self", "old", "new", "count"],
        3,
        replace,
    ),
    Callable::new("join", "join", &["self", "iterable"], 2, join),
    Callable::new(
        "encode",
        "encode",
        &["self", "encoding", "errors"],
        1,
        encode,
    ),
    Callable::new("format", "format", &["self"], 1, format).variadic(),
    Callable::new(
        "format_map",
        "format_map",
        &["self", "mapping"],
        2,
        format_map,
    ),
    Callable::new(
        "maketrans",
        "maketrans",
        &["self", "x", "y", "z"],
        2,
        maketrans,
    ),
    Callable::new("translate", "translate", &["self", "table"], 2, translate),
    Callable::new("isalnum", "isalnum", &["self"], 1, |_, a| {
        all(a, char::is_alphanumeric)
    }),
    Callable::new("isalpha", "isalpha", &["self"], 1, |_, a| {
        all(a, char::is_alphabetic)
    }),
    Callable::new("isdecimal", "isdecimal", &["self"], 1, |_, a| {
        all(a, |c| c.is_ascii_digit() || is_decimal(c))
    }),
    Callable::new("isdigit", "isdigit", &["self"], 1, |_, a| {
        all(a, |c| c.is_ascii_digit() || is_decimal(c) || is_digit(c))
    }),
    Callable::new("isnumeric", "isnumeric", &["self"], 1, |_, a| {
        all(a, char::is_numeric)
    }),
    Callable::new("isspace", "isspace", &["self"], 1, |_, a| {
        all(a, is_python_space)
    }),
    Callable::new("isascii", "isascii", &["self"], 1, |_, mut a| {
        Ok(Val::Bool(text(&a.required(0))?.is_ascii()))
    }),
    Callable::new("isprintable", "isprintable", &["self"], 1, |_, mut a| {
        let text = text(&a.required(0))?;
        let mut repr = String::new();
        squall_value::python::write_str_repr(&mut repr, &text.replace(['\\', '\'', '"'], ""));
        Ok(Val::Bool(!repr.contains('\\')))
    }),
    Callable::new("isidentifier", "isidentifier", &["self"], 1, |_, mut a| {
        let text = text(&a.required(0))?;
        let mut chars = text.chars();
        let starts = chars.next().is_some_and(|c| c == '_' || c.is_alphabetic());
        Ok(Val::Bool(
            starts && chars.all(|c| c == '_' || c.is_alphanumeric()),
        ))
    }),
    Callable::new("islower", "islower", &["self"], 1, |_, a| {
        cased(a, char::is_lowercase, char::is_uppercase)
    }),
    Callable::new("isupper", "isupper", &["self"], 1, |_, a| {
        cased(a, char::is_uppercase, char::is_lowercase)
    }),
    Callable::new("istitle", "istitle", &["self"], 1, |_, mut a| {
        let text = text(&a.required(0))?;
        let has_case = text.chars().any(|c| c.is_lowercase() || c.is_uppercase());
        Ok(Val::Bool(has_case && title(&text) == *text))
    }),
];

pub(super) fn text(value: &Val) -> Res<Str> {
    match value {
        Val::Str(text) | Val::Safe(text) => Ok(text.clone()),
        Val::Undefined(missing) => Err(missing.error()),
        other => Err(type_error(format!(
            "must be str, not {}",
            other.type_name()
        ))),
    }
}

fn mapped(engine: &Engine<'_>, mut args: Bound, map: fn(&str) -> String) -> Res<Val> {
    let mapped = map(&text(&args.required(0))?);
    engine.budget.bytes(mapped.len())?;
    Ok(Val::str(mapped))
}

fn justify(engine: &Engine<'_>, mut args: Bound, side: char) -> Res<Val> {
    let text = text(&args.required(0))?;
    let width = usize::try_from(index_argument(&args.required(1))?).unwrap_or(0);
    let fill = match args.optional(2) {
        None => ' ',
        Some(value) => single_char(&value)?,
    };
    let length = text.chars().count();
    let missing = width.saturating_sub(length);
    engine
        .budget
        .bytes(text.len().saturating_add(missing.saturating_mul(4)))?;
    let left = match side {
        'l' => 0,
        'r' => missing,
        // CPython puts the odd blank to the left when the width is odd.
        _ => missing / 2 + (missing & width & 1),
    };
    let fills = |count: usize| std::iter::repeat_n(fill, count).collect::<String>();
    Ok(Val::str(format!(
        "{}{text}{}",
        fills(left),
        fills(missing - left)
    )))
}

fn single_char(value: &Val) -> Res<char> {
    let fill = text(value)?;
    let mut chars = fill.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(c),
        _ => Err(type_error(
            "The fill character must be exactly one character long",
        )),
    }
}

fn zfill(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let text = text(&args.required(0))?;
    let width = usize::try_from(index_argument(&args.required(1))?).unwrap_or(0);
    let missing = width.saturating_sub(text.chars().count());
    engine.budget.bytes(text.len().saturating_add(missing))?;
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => text.split_at(text.len() - digits.len()),
        None => ("", &*text),
    };
    Ok(Val::str(format!("{sign}{}{digits}", "0".repeat(missing))))
}

fn expandtabs(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let text = text(&args.required(0))?;
    let size = args
        .optional(1)
        .map_or(Ok(8), |value| index_argument(&value))?;
    let size = usize::try_from(size).unwrap_or(0);
    let tabs = text.matches('\t').count();
    engine
        .budget
        .bytes(text.len().saturating_add(tabs.saturating_mul(size)))?;
    let mut out = String::new();
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' if size == 0 => {}
            '\t' => {
                let blanks = size - column % size;
                out.extend(std::iter::repeat_n(' ', blanks));
                column += blanks;
            }
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    Ok(Val::str(out))
}

/// The part of a text between two character positions, and where it begins.
struct Window<'a> {
    text: &'a str,
    /// In characters.
    start: usize,
    /// Whether the start lies behind the end, so that not even the empty text is found.
    is_beyond: bool,
}

fn window<'a>(text: &'a str, start: Option<Val>, end: Option<Val>) -> Res<Window<'a>> {
    let (None | Some(Val::None), None | Some(Val::None)) = (&start, &end) else {
        let length = text.chars().count();
        let position = |value: Option<Val>, default: usize| -> Res<(usize, bool)> {
            match value {
                None | Some(Val::None) => Ok((default, false)),
                Some(value) => {
                    let index = index_argument(&value)?;
                    let is_beyond = usize::try_from(index).is_ok_and(|index| index > length);
                    Ok((clamped(index, length), is_beyond))
                }
            }
        };
        let (start, is_beyond) = position(start, 0)?;
        let (end, _) = position(end, length)?;
        let byte = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(at, _)| at);
        return Ok(Window {
            text: &text[byte(start)..byte(end.max(start))],
            start,
            is_beyond: is_beyond || start > end,
        });
    };
    Ok(Window {
        text,
        start: 0,
        is_beyond: false,
    })
}

fn count(_: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let (whole, part) = (text(&args.required(0))?, text(&args.required(1))?);
    let window = window(&whole, args.optional(2), args.optional(3))?;
    if window.is_beyond {
        return Ok(Val::Int(0));
    }
    Ok(Val::len_of(window.text.matches(&*part).count()))
}

fn find(_: &Engine<'_>, mut args: Bound, is_last: bool, is_raising: bool) -> Res<Val> {
    let (whole, part) = (text(&args.required(0))?, text(&args.required(1))?);
    let window = window(&whole, args.optional(2), args.optional(3))?;
    let found = if window.is_beyond {
        None
    } else if is_last {
        window.text.rfind(&*part)
    } else {
        window.text.find(&*part)
    };
    match found {
        Some(at) => Ok(Val::len_of(
            window.start + window.text[..at].chars().count(),
        )),
        None if is_raising => Err(value_error("substring not found")),
        None => Ok(Val::Int(-1)),
    }
}

fn affix(_: &Engine<'_>, mut args: Bound, name: &str) -> Res<Val> {
    let whole = text(&args.required(0))?;
    let affixes = args.required(1);
    let window = window(&whole, args.optional(2), args.optional(3))?;
    let matches = |affix: &Val| -> Res<bool> {
        let affix = match affix {
            Val::Str(affix) | Val::Safe(affix) => affix,
            Val::Undefined(missing) => return Err(missing.error()),
            other => {
                return Err(type_error(format!(
                    "{name} first arg must be str or a tuple of str, not {}",
                    other.type_name()
                )));
            }
        };
        Ok(!window.is_beyond
            && if name == "startswith" {
                window.text.starts_with(&**affix)
            } else {
                window.text.ends_with(&**affix)
            })
    };
    if let Val::Tuple(tuple) = &affixes {
        for affix in &tuple.items {
            if matches(affix)? {
                return Ok(Val::Bool(true));
            }
        }
        return Ok(Val::Bool(false));
    }
    Ok(Val::Bool(matches(&affixes)?))
}

fn strip(mut args: Bound, at_start: bool, at_end: bool) -> Res<Val> {
    let whole = text(&args.required(0))?;
    let chars: Option<Str> = match args.optional(1) {
        None | Some(Val::None) => None,
        Some(chars) => Some(text(&chars)?),
    };
    Ok(Val::str(stripped(
        &whole,
        chars.as_deref(),
        at_start,
        at_end,
    )))
}

pub(super) fn stripped<'a>(
    text: &'a str,
    chars: Option<&str>,
    at_start: bool,
    at_end: bool,
) -> &'a str {
    let is_stripped = |c: char| chars.map_or_else(|| is_python_space(c), |chars| chars.contains(c));
    let mut rest = text;
    if at_start {
        rest = rest.trim_start_matches(is_stripped);
    }
    if at_end {
        rest = rest.trim_end_matches(is_stripped);
    }
    rest
}

fn split(engine: &Engine<'_>, mut args: Bound, is_from_end: bool) -> Res<Val> {
    let whole = text(&args.required(0))?;
    let separator = match args.optional(1) {
        None | Some(Val::None) => None,
        Some(separator) => Some(text(&separator)?),
    };
    let limit = args
        .optional(2)
        .map_or(Ok(-1), |value| index_argument(&value))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let parts: Vec<&str> = match &separator {
        Some(separator) if separator.is_empty() => return Err(value_error("empty separator")),
        Some(separator) => {
            let count = limit.saturating_add(1);
            if is_from_end {
                let mut parts: Vec<&str> = whole.rsplitn(count, &**separator).collect();
                parts.reverse();
                parts
            } else {
                whole.splitn(count, &**separator).collect()
            }
        }
        None if is_from_end => split_blank_end(&whole, limit),
        None => split_blank(&whole, limit),
    };
    engine.budget.elements(parts.len())?;
    engine.budget.bytes(whole.len())?;
    Ok(Val::list(parts.into_iter().map(Val::str).collect()))
}

fn split_blank(text: &str, limit: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches(is_python_space);
    while !rest.is_empty() {
        if parts.len() == limit {
            parts.push(rest.trim_end_matches(is_python_space));
            break;
        }
        let end = rest.find(is_python_space).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(is_python_space);
    }
    parts
}

fn split_blank_end(text: &str, limit: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_end_matches(is_python_space);
    while !rest.is_empty() {
        if parts.len() == limit {
            parts.push(rest.trim_start_matches(is_python_space));
            break;
        }
        let start = rest
            .char_indices()
            .rev()
            .find(|(_, c)| is_python_space(*c))
            .map_or(0, |(at, c)| at + c.len_utf8());
        parts.push(&rest[start..]);
        rest = rest[..start].trim_end_matches(is_python_space);
    }
    parts.reverse();
    parts
}

fn splitlines(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let whole = text(&args.required(0))?;
    let keeps_ends = args
        .optional(1)
        .map_or(Ok(false), |value| ops::truth(&value))?;
    let lines = lines(&whole, keeps_ends);
    engine.budget.elements(lines.len())?;
    engine.budget.bytes(whole.len())?;
    Ok(Val::list(lines.into_iter().map(Val::str).collect()))
}

/// The lines of a text by Python's notion of a line's end.
pub(super) fn lines(text: &str, keeps_ends: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if !matches!(
            c,
            '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        ) {
            continue;
        }
        let mut end = at + c.len_utf8();
        if c == '\r' && chars.next_if(|(_, next)| *next == '\n').is_some() {
            end += 1;
        }
        lines.push(&text[start..if keeps_ends { end } else { at }]);
        start = end;
    }
    if start < text.len() {
        lines.push(&text[start..]);
    }
    lines
}

fn partition(mut args: Bound, is_last: bool) -> Res<Val> {
    let (whole, separator) = (text(&args.required(0))?, text(&args.required(1))?);
    if separator.is_empty() {
        return Err(value_error("empty separator"));
    }
    let found = if is_last {
        whole.rsplit_once(&*separator)
    } else {
        whole.split_once(&*separator)
    };
    let parts = match found {
        Some((before, after)) => [before, &separator, after],
        None if is_last => ["", "", &whole],
        None => [&whole, "", ""],
    };
    Ok(Val::tuple(parts.into_iter().map(Val::str).collect()))
}

fn replace(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let whole = text(&args.required(0))?;
    let (old, new) = (text(&args.required(1))?, text(&args.required(2))?);
    let count = args
        .optional(3)
        .map_or(Ok(-1), |value| index_argument(&value))?;
    Ok(Val::str(replaced(engine, &whole, &old, &new, count)?))
}

/// `text.replace(old, new, count)`, within the budget; a negative count means all.
pub(super) fn replaced(
    engine: &Engine<'_>,
    text: &str,
    old: &str,
    new: &str,
    count: i64,
) -> Res<String> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let found = text.matches(old).take(count).count();
    engine
        .budget
        .bytes(text.len().saturating_add(found.saturating_mul(new.len())))?;
    Ok(text.replacen(old, new, count))
}

fn join(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let separator = text(&args.required(0))?;
    let items = lookup::elements(&args.required(1), engine)?;
    let mut out = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(&separator);
        }
        let Some(text) = item.as_str() else {
            if let Val::Undefined(missing) = item
                && missing.class == "SecurityError"
            {
                return Err(missing.error());
            }
            return Err(type_error(format!(
                "sequence item {index}: expected str instance, {} found",
                item.type_name()
            )));
        };
        engine.budget.bytes(text.len() + separator.len())?;
        out.push_str(text);
    }
    Ok(Val::str(out))
}

fn encode(_: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let whole = text(&args.required(0))?;
    let encoding = args
        .optional(1)
        .map_or(Ok(Str::from("utf-8")), |value| text(&value))?;
    let bytes: Vec<u8> = match &*encoding.to_lowercase().replace('_', "-") {
        "utf-8" | "utf8" => whole.as_bytes().to_vec(),
        name @ ("ascii" | "us-ascii" | "latin-1" | "latin1" | "iso-8859-1") => {
            let (codec, highest) = match name.contains("ascii") {
                true => ("ascii", 0x7f),
                false => ("latin-1", 0xff),
            };
            let byte = |c: char| u8::try_from(c as u32).ok().filter(|b| *b <= highest);
            let bytes = whole.chars().map(byte).collect::<Option<Vec<u8>>>();
            bytes.ok_or_else(|| cannot_encode(&whole, codec, u32::from(highest)))?
        }
        _ => {
            return Err(super::raised(
                "LookupError",
                crate::Kind::Key,
                format!("unknown encoding: {encoding}"),
            ));
        }
    };
    Ok(Val::Bytes(bytes.into()))
}

fn cannot_encode(whole: &str, codec: &str, highest: u32) -> Box<crate::Error> {
    let is_bad = |c: &char| u32::from(*c) > highest;
    let start = whole.chars().take_while(|c| !is_bad(c)).count();
    let bad: Vec<char> = whole.chars().skip(start).take_while(is_bad).collect();
    let what = match bad.as_slice() {
        [one] => {
            let code = u32::from(*one);
            let escape = match code {
                0..0x100 => format!("\\x{code:02x}"),
                0x100..0x10000 => format!("\\u{code:04x}"),
                _ => format!("\\U{code:08x}"),
            };
            format!("character '{escape}' in position {start}")
        }
        more => format!("characters in position {start}-{}", start + more.len() - 1),
    };
    super::raised(
        "UnicodeEncodeError",
        crate::Kind::Value,
        format!(
            "'{codec}' codec can't encode {what}: ordinal not in range({})",
            highest + 1
        ),
    )
}

fn format(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let whole = args.required(0);
    let keywords = args.keywords;
    let named = |name: &str| {
        let found = keywords.iter().find(|(found, _)| **found == *name);
        found.map(|(_, value)| value.clone())
    };
    let out = percent::str_format(&text(&whole)?, &args.rest, &named, &engine.budget)?;
    Ok(match whole {
        Val::Safe(_) => Val::Safe(out.into()),
        _ => Val::str(out),
    })
}

fn format_map(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let whole = text(&args.required(0))?;
    let mapping = args.required(1);
    let named = |name: &str| percent::entry(&mapping, name);
    Ok(Val::str(percent::str_format(
        &whole,
        &[],
        &named,
        &engine.budget,
    )?))
}

fn all(mut args: Bound, test: fn(char) -> bool) -> Res<Val> {
    let text = text(&args.required(0))?;
    Ok(Val::Bool(!text.is_empty() && text.chars().all(test)))
}

fn cased(mut args: Bound, wanted: fn(char) -> bool, other: fn(char) -> bool) -> Res<Val> {
    let text = text(&args.required(0))?;
    Ok(Val::Bool(
        text.chars().any(wanted) && !text.chars().any(other),
    ))
}

/// Decimal digits outside ASCII: each script's run of ten starts at a multiple of ten or sixteen,
/// which the numeric property alone does not tell; the common scripts are enough.
fn is_decimal(c: char) -> bool {
    matches!(c, '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' | '\u{966}'..='\u{96f}'
        | '\u{ff10}'..='\u{ff19}')
}

/// Digits that are no decimals: superscripts and circled digits.
fn is_digit(c: char) -> bool {
    matches!(c, '²' | '³' | '¹' | '\u{2070}' | '\u{2074}'..='\u{2079}' | '\u{2080}'..='\u{2089}'
        | '\u{2460}'..='\u{2468}')
}
