//! Python's `pprint.pformat`.

use crate::jinja::eval::Engine;
use crate::jinja::value::{Entries, Val};
use crate::jinja::{Res, text};

const WIDTH: usize = 80;
/// Containers nested more deeply are shown on one line.
const DEPTH_MAX: usize = 100;

pub(super) fn pprint(engine: &Engine<'_>, value: &Val) -> Res<Val> {
    let sorted = sorted_keys(value, 0);
    let mut out = String::new();
    format(&sorted, 0, 0, 0, &mut out);
    engine.budget.bytes(out.len())?;
    Ok(Val::str(out))
}

/// The same data with dictionaries in order of their keys.
fn sorted_keys(value: &Val, depth: usize) -> Val {
    if depth > DEPTH_MAX {
        return value.clone();
    }
    match value {
        Val::List(list) => Val::list(
            list.to_vec()
                .iter()
                .map(|item| sorted_keys(item, depth + 1))
                .collect(),
        ),
        Val::Tuple(tuple) if !tuple.is_group => Val::tuple(
            tuple
                .items
                .iter()
                .map(|item| sorted_keys(item, depth + 1))
                .collect(),
        ),
        Val::Dict(dict) => {
            let mut items = dict.items();
            items.sort_by(|(a, _), (b, _)| {
                let by_type = || a.type_name().cmp(b.type_name());
                crate::jinja::ops::order(a, b, "<")
                    .ok()
                    .flatten()
                    .unwrap_or_else(by_type)
            });
            let entries: Entries = items
                .into_iter()
                .map(|(key, item)| (crate::jinja::value::Key(key), sorted_keys(&item, depth + 1)))
                .collect();
            Val::dict(entries)
        }
        other => other.clone(),
    }
}

/// Writes `value` at column `indent`, leaving `allowance` columns for what follows on the line.
fn format(value: &Val, indent: usize, allowance: usize, depth: usize, out: &mut String) {
    let flat = text::repr(value);
    let room = WIDTH.saturating_sub(indent).saturating_sub(allowance);
    if flat.chars().count() <= room || depth > DEPTH_MAX {
        out.push_str(&flat);
        return;
    }
    match value {
        Val::Dict(dict) => {
            out.push('{');
            let items = dict.items();
            for (index, (key, item)) in items.iter().enumerate() {
                let key = text::repr(key);
                let is_last = index + 1 == items.len();
                let column = indent + key.chars().count() + 3;
                out.push_str(&key);
                out.push_str(": ");
                format(
                    item,
                    column,
                    if is_last { allowance + 1 } else { 1 },
                    depth + 1,
                    out,
                );
                if !is_last {
                    out.push_str(",\n");
                    out.push_str(&" ".repeat(indent + 1));
                }
            }
            out.push('}');
        }
        Val::List(list) => {
            out.push('[');
            sequence(&list.to_vec(), (indent, allowance + 1, depth), out);
            out.push(']');
        }
        Val::Tuple(tuple) if !tuple.is_group => {
            out.push('(');
            let end = if tuple.items.len() == 1 { ",)" } else { ")" };
            sequence(&tuple.items, (indent, allowance + end.len(), depth), out);
            out.push_str(end);
        }
        Val::Str(text) => long_text(text, indent, allowance, depth, out),
        _ => out.push_str(&flat),
    }
}

fn sequence(items: &[Val], (indent, allowance, depth): (usize, usize, usize), out: &mut String) {
    for (index, item) in items.iter().enumerate() {
        let is_last = index + 1 == items.len();
        format(
            item,
            indent + 1,
            if is_last { allowance } else { 1 },
            depth + 1,
            out,
        );
        if !is_last {
            out.push_str(",\n");
            out.push_str(&" ".repeat(indent + 1));
        }
    }
}

/// A long text is cut between words into texts that Python would join again.
fn long_text(text: &str, indent: usize, allowance: usize, depth: usize, out: &mut String) {
    let (mut column, mut after) = (indent, allowance);
    if depth == 0 {
        column += 1;
        after += 1;
    }
    let mut chunks: Vec<String> = Vec::new();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let repr = |text: &str| text::repr(&Val::str(text));
    for (number, line) in lines.iter().enumerate() {
        let is_last_line = number + 1 == lines.len();
        let room = WIDTH.saturating_sub(column + 1);
        let line_room = if is_last_line {
            room.saturating_sub(after)
        } else {
            room
        };
        let whole = repr(line);
        if whole.chars().count() <= line_room + 1 {
            chunks.push(whole);
            continue;
        }
        let words = words(line);
        let mut current = String::new();
        for (index, word) in words.iter().enumerate() {
            let candidate = format!("{current}{word}");
            let is_last_word = index + 1 == words.len();
            let limit = if is_last_line && is_last_word {
                room.saturating_sub(after)
            } else {
                room
            };
            if repr(&candidate).chars().count() > limit + 1 {
                if !current.is_empty() {
                    chunks.push(repr(&current));
                }
                current = (*word).to_string();
            } else {
                current = candidate;
            }
        }
        if !current.is_empty() {
            chunks.push(repr(&current));
        }
    }
    if chunks.len() == 1 {
        out.push_str(&chunks[0]);
        return;
    }
    if depth == 0 {
        out.push('(');
    }
    out.push_str(&chunks.join(&format!("\n{}", " ".repeat(column))));
    if depth == 0 {
        out.push(')');
    }
}

/// Words, each with the blanks after it.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut was_blank = false;
    for (at, c) in line.char_indices() {
        let is_blank = c.is_whitespace();
        if was_blank && !is_blank {
            words.push(&line[start..at]);
            start = at;
        }
        was_blank = is_blank;
    }
    words.push(&line[start..]);
    words
}
