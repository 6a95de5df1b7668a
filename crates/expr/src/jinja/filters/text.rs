//! Filters about texts.

use squall_value::Str;

use super::{argument_error, flag, simple};
use crate::jinja::ast::CmpOp;
use crate::jinja::case::capitalize;
use crate::jinja::eval::Engine;
use crate::jinja::methods::{index_argument, no_attribute};
use crate::jinja::methods_str::{lines, replaced, stripped};
use crate::jinja::ops;
use crate::jinja::registry::{Bound, Callable};
use crate::jinja::text::repr;
use crate::jinja::value::{Entries, Key, Val};
use crate::jinja::{Res, percent, raised, type_error};
use crate::statement::is_python_space;

pub(in crate::jinja) const ALL: &[Callable] = &[
    simple("capitalize", "do_capitalize", |e, a| {
        mapped(e, a, capitalize)
    }),
    simple("lower", "do_lower", |e, a| mapped(e, a, str::to_lowercase)),
    simple("upper", "do_upper", |e, a| mapped(e, a, str::to_uppercase)),
    simple("title", "do_title", |e, a| mapped(e, a, title)),
    simple("string", "soft_str", |e, mut a| {
        let value = a.required(0);
        match value {
            Val::Safe(_) => Ok(value),
            other => Ok(Val::Str(e.text(&other)?)),
        }
    }),
    simple("wordcount", "do_wordcount", |e, mut a| {
        let text = e.text(&a.required(0))?;
        let words = text.split(|c: char| !(c == '_' || c.is_alphanumeric()));
        Ok(Val::len_of(words.filter(|word| !word.is_empty()).count()))
    }),
    Callable::new("center", "do_center", &["value", "width"], 1, center),
    Callable::new("format", "do_format", &["value"], 1, format).variadic(),
    Callable::new(
        "indent",
        "do_indent",
        &["s", "width", "first", "blank"],
        1,
        indent,
    ),
    Callable::new(
        "replace",
        "do_replace",
        &["s", "old", "new", "count"],
        3,
        replace,
    ),
    Callable::new("trim", "do_trim", &["value", "chars"], 1, trim),
    Callable::new(
        "truncate",
        "do_truncate",
        &["s", "length", "killwords", "end", "leeway"],
        1,
        truncate,
    ),
    Callable::new(
        "wordwrap",
        "do_wordwrap",
        &[
            "s",
            "width",
            "break_long_words",
            "wrapstring",
            "break_on_hyphens",
        ],
        1,
        wordwrap,
    ),
];

fn mapped(engine: &Engine<'_>, mut args: Bound, map: fn(&str) -> String) -> Res<Val> {
    let value = args.required(0);
    let mapped = map(&engine.text(&value)?);
    engine.budget.bytes(mapped.len())?;
    Ok(match value {
        Val::Safe(_) => Val::Safe(mapped.into()),
        _ => Val::str(mapped),
    })
}

/// Words begin after blanks, hyphens and opening brackets.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_start = true;
    for c in text.chars() {
        let is_separator = is_python_space(c) || "-({[<".contains(c);
        if is_separator {
            out.push(c);
        } else if is_start {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        is_start = is_separator;
    }
    out
}

fn center(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let text = engine.text(&args.required(0))?;
    let width = args
        .optional(1)
        .map_or(Ok(80), |width| index_argument(&width))?;
    let missing = usize::try_from(width)
        .unwrap_or(0)
        .saturating_sub(text.chars().count());
    engine.budget.bytes(text.len().saturating_add(missing))?;
    let odd = usize::try_from(width).unwrap_or(0) & 1;
    let left = missing / 2 + (missing & odd & 1);
    Ok(Val::str(format!(
        "{}{text}{}",
        " ".repeat(left),
        " ".repeat(missing - left)
    )))
}

fn format(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let text = match value {
        Val::Safe(_) => value,
        other => Val::Str(engine.text(&other)?),
    };
    if !args.rest.is_empty() && !args.keywords.is_empty() {
        return Err(argument_error(
            "can't handle positional and keyword arguments at the same time",
        ));
    }
    let values = if args.keywords.is_empty() {
        Val::tuple(args.rest)
    } else {
        let entries: Entries = args
            .keywords
            .into_iter()
            .map(|(name, value)| (Key(Val::Str(name)), value))
            .collect();
        Val::dict(entries)
    };
    percent::format(&text, &values, &engine.budget)
}

/// The text that a filter splits into lines; what is no text has no `splitlines`.
fn splittable(value: &Val) -> Res<Str> {
    match value {
        Val::Str(text) | Val::Safe(text) => Ok(text.clone()),
        Val::Undefined(missing) => Err(missing.error()),
        other => Err(raised(
            "AttributeError",
            crate::Kind::Attribute,
            format!(
                "'{}' object has no attribute 'splitlines'",
                other.type_name()
            ),
        )),
    }
}

fn indent(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    // A line end is added before the text is split, which only lists survive beside texts.
    if !matches!(
        value,
        Val::Str(_) | Val::Safe(_) | Val::List(_) | Val::Undefined(_)
    ) {
        return Err(type_error(format!(
            "unsupported operand type(s) for +=: '{}' and 'str'",
            value.type_name()
        )));
    }
    let text = splittable(&value)?;
    let indention: Str = match args.optional(1) {
        None => "    ".into(),
        Some(Val::Str(text) | Val::Safe(text)) => text,
        Some(width) => {
            let width = usize::try_from(index_argument(&width)?).unwrap_or(0);
            engine.budget.bytes(width)?;
            " ".repeat(width).into()
        }
    };
    let is_first = flag(args.optional(2), false)?;
    let is_blank = flag(args.optional(3), false)?;
    // The newline that Jinja adds before it splits: a final one gives an empty last line.
    let with_end = format!("{text}\n");
    let lines = lines(&with_end, false);
    engine.budget.bytes(
        text.len()
            .saturating_add(lines.len().saturating_mul(indention.len())),
    )?;
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let is_indented = if index == 0 {
            is_first
        } else {
            is_blank || !line.is_empty()
        };
        if is_indented {
            out.push_str(&indention);
        }
        out.push_str(line);
    }
    Ok(Val::str(out))
}

fn replace(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let text = engine.text(&args.required(0))?;
    let (old, new) = (
        engine.text(&args.required(1))?,
        engine.text(&args.required(2))?,
    );
    let count = match args.optional(3) {
        None | Some(Val::None) => -1,
        Some(count) => index_argument(&count)?,
    };
    Ok(Val::str(replaced(engine, &text, &old, &new, count)?))
}

fn trim(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let text = engine.text(&args.required(0))?;
    let chars = match args.optional(1) {
        None | Some(Val::None) => None,
        Some(chars) => Some(engine.text(&chars)?),
    };
    Ok(Val::str(stripped(&text, chars.as_deref(), true, true)))
}

fn truncate(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let length = args.optional(1).unwrap_or(Val::Int(255));
    let kills_words = flag(args.optional(2), false)?;
    let end = args
        .optional(3)
        .map_or(Ok("...".into()), |end| engine.text(&end))?;
    let leeway = match args.optional(4) {
        None | Some(Val::None) => 5,
        Some(leeway) => index_argument(&leeway)?,
    };
    let end_length = Val::len_of(end.chars().count());
    let failed = if ops::compare(engine, CmpOp::Lt, &length, &end_length)? {
        let (least, length) = (repr(&end_length), repr(&length));
        Some(format!("expected length >= {least}, got {length}"))
    } else {
        (leeway < 0).then(|| format!("expected leeway >= 0, got {leeway}"))
    };
    if let Some(message) = failed {
        return Err(raised("AssertionError", crate::Kind::Assertion, message));
    }
    if matches!(
        value,
        Val::None | Val::Bool(_) | Val::Int(_) | Val::Big(_) | Val::Float(_)
    ) {
        return Err(type_error(format!(
            "object of type '{}' has no len()",
            value.type_name()
        )));
    }
    let text = engine.text(&value)?;
    let (length, end_length) = (index_argument(&length)?, index_argument(&end_length)?);
    let characters = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    if characters <= length.saturating_add(leeway) {
        return Ok(Val::Str(text));
    }
    let kept = usize::try_from(length - end_length).unwrap_or(0);
    let mut cut: String = text.chars().take(kept).collect();
    if !kills_words && let Some(blank) = cut.rfind(' ') {
        cut.truncate(blank);
    }
    Ok(Val::str(cut + &end))
}

fn wordwrap(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let text = splittable(&args.required(0))?;
    let width = args
        .optional(1)
        .map_or(Ok(79), |value| index_argument(&value))?;
    let breaks_words = flag(args.optional(2), true)?;
    let separator: Str = match args.optional(3) {
        None | Some(Val::None) => "\n".into(),
        Some(Val::Str(separator) | Val::Safe(separator)) => separator,
        Some(other) => return Err(no_attribute(&other, "join")),
    };
    let breaks_hyphens = flag(args.optional(4), true)?;
    let Some(width) = usize::try_from(width).ok().filter(|width| *width > 0) else {
        return Err(crate::jinja::value_error(format!(
            "invalid width {width} (must be > 0)"
        )));
    };
    engine
        .budget
        .bytes(text.len().saturating_mul(separator.len() + 1))?;
    let wrapped: Vec<String> = lines(&text, false)
        .into_iter()
        .map(|line| wrap(line, width, breaks_words, breaks_hyphens).join(&separator))
        .collect();
    Ok(Val::str(wrapped.join(&separator)))
}

/// Python's `textwrap.wrap` for one line, blanks kept within it.
fn wrap(line: &str, width: usize, breaks_words: bool, breaks_hyphens: bool) -> Vec<String> {
    let mut chunks: std::collections::VecDeque<Vec<char>> =
        chunks(line, breaks_hyphens).into_iter().collect();
    let is_blank = |chunk: &Vec<char>| chunk.iter().all(|c| is_python_space(*c));
    let mut wrapped: Vec<String> = Vec::new();
    while !chunks.is_empty() {
        let mut current: Vec<Vec<char>> = Vec::new();
        let mut length = 0;
        if !wrapped.is_empty() && chunks.front().is_some_and(is_blank) {
            chunks.pop_front();
        }
        while let Some(chunk) = chunks.pop_front() {
            if length + chunk.len() > width {
                chunks.push_front(chunk);
                break;
            }
            length += chunk.len();
            current.push(chunk);
        }
        if chunks.front().is_some_and(|chunk| chunk.len() > width) {
            let room = width.saturating_sub(length).max(1);
            if breaks_words {
                if let Some(chunk) = chunks.front_mut() {
                    let head: Vec<char> = chunk.drain(..room.min(chunk.len())).collect();
                    current.push(head);
                }
            } else if current.is_empty() {
                current.extend(chunks.pop_front());
            }
        }
        if current.last().is_some_and(is_blank) {
            current.pop();
        }
        if !current.is_empty() {
            wrapped.push(current.into_iter().flatten().collect());
        }
    }
    wrapped
}

/// Runs of blanks and of other characters; words are cut after hyphens between letters.
fn chunks(line: &str, breaks_hyphens: bool) -> Vec<Vec<char>> {
    let chars: Vec<char> = line.chars().collect();
    let mut chunks: Vec<Vec<char>> = Vec::new();
    let mut start = 0;
    for at in 1..=chars.len() {
        let is_end =
            at == chars.len() || is_python_space(chars[at]) != is_python_space(chars[at - 1]);
        let is_hyphen = breaks_hyphens
            && at < chars.len()
            && at >= start + 3
            && chars[at - 1] == '-'
            && chars[at - 2].is_alphabetic()
            && chars[at - 3].is_alphanumeric()
            && chars[at].is_alphabetic()
            && chars.get(at + 1).is_some_and(|c| c.is_alphanumeric());
        if is_end || is_hyphen {
            chunks.push(chars[start..at].to_vec());
            start = at;
        }
    }
    chunks
}
