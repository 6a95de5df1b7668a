//! Which variables an expression names, found in its text as Orquesta finds them.

use squall_value::{Str, Value};

use crate::statement::{Sections, delimiters, strip_delimiters};
use crate::{Language, Reference};

/// The references to the context in a text, such as `ctx().x.y` or `ctx('x')`, sorted.
pub(crate) fn in_text(text: &str, language: Language) -> Vec<String> {
    let (open, close) = delimiters(language);
    let mut found: Vec<String> = Vec::new();
    for expression in Sections::new(text, open, close) {
        let inner = strip_delimiters(expression, language);
        let mut rest = inner;
        let mut offset = 0;
        while let Some(at) = rest.find("ctx(") {
            let start = offset + at;
            let is_word_start = !inner[..start].chars().next_back().is_some_and(is_word);
            if is_word_start && let Some(length) = reference_length(&inner[start..]) {
                found.push(inner[start..start + length].to_string());
                offset = start + length;
            } else {
                offset = start + 4;
            }
            rest = &inner[offset..];
        }
    }
    found.sort();
    found.dedup();
    found
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn is_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || "[]_'\".()".contains(c)
}

/// The length of the reference that `text` begins with: `ctx(`, a run of path characters with a
/// closing parenthesis in it, as long as it goes.
fn reference_length(text: &str) -> Option<usize> {
    let run = &text[4..];
    let end = run.find(|c| !is_path(c)).unwrap_or(run.len());
    run[..end].contains(')').then_some(4 + end)
}

/// The variable names in one reference, in the four forms that are known.
fn names(reference: &str) -> Vec<Str> {
    let mut names = Vec::new();
    // `ctx().name`, not a method call.
    for (at, _) in reference.match_indices("ctx().") {
        if reference[..at].chars().next_back().is_some_and(is_word) {
            continue;
        }
        let rest = &reference[at + 6..];
        let mut end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        // The name ends at a word's edge and is not followed by a parenthesis.
        while end > 0 {
            let is_edge = rest[..end].ends_with(is_word) != rest[end..].starts_with(is_word);
            if is_edge && !rest[end..].starts_with('(') {
                break;
            }
            end -= 1;
        }
        if end > 0 {
            names.push(Str::from(&rest[..end]));
            break;
        }
    }
    for (open, close) in [("ctx(", ")"), ("ctx('", "')"), ("ctx(\"", "\")")] {
        let found = reference.match_indices(open).find_map(|(at, _)| {
            if reference[..at].chars().next_back().is_some_and(is_word) {
                return None;
            }
            let rest = &reference[at + open.len()..];
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            (end > 0 && rest[end..].starts_with(close)).then(|| Str::from(&rest[..end]))
        });
        names.extend(found);
    }
    names
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// The variables that a statement names, sorted by name.
pub(crate) fn in_statement(statement: &Value) -> Vec<Reference> {
    let mut found = Vec::new();
    collect(statement, &mut found, 0);
    found.sort_by(|a, b| {
        (&a.name, a.language, &a.statement).cmp(&(&b.name, b.language, &b.statement))
    });
    found.dedup();
    found
}

fn collect(statement: &Value, found: &mut Vec<Reference>, depth: usize) {
    if depth > crate::statement::DEPTH_MAX {
        return;
    }
    match statement {
        Value::String(text) => {
            for language in [Language::Jinja, Language::Yaql] {
                for reference in in_text(text, language) {
                    found.extend(names(&reference).into_iter().map(|name| Reference {
                        language,
                        statement: text.to_string(),
                        name: name.to_string(),
                    }));
                }
            }
        }
        Value::List(items) => items
            .iter()
            .for_each(|item| collect(item, found, depth + 1)),
        Value::Dict(dict) => {
            for (key, item) in dict.iter() {
                collect(&Value::String(key.clone()), found, depth + 1);
                collect(item, found, depth + 1);
            }
        }
        _ => {}
    }
}
