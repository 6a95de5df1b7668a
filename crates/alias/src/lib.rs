//! Chat text to a request: which alias a command means, and what its parameters are.
//!
//! A format is text with places for parameters, `deploy {{ service }} to {{ place=test }}`, and may
//! hold regular expressions. At its end a command may bring further parameters as `key=value`. The
//! rules are those of StackStorm's action aliases
//! (<https://docs.stackstorm.com/chatops/aliases.html>).

mod anchors;
mod format;

pub use format::{Format, FormatError, Mismatch};

use squall_value::Value;

/// One way to write the command of an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// What people are shown; `None` for a form that works but is not shown.
    pub display: Option<String>,
    /// The format that commands are held against.
    pub representation: String,
    /// Whether one command may hold it several times.
    pub match_multiple: bool,
}

/// The patterns of an alias: each of its `formats` is a text, or a dictionary with `display`,
/// `representation` and `match_multiple`.
#[must_use]
pub fn patterns(formats: &[Value]) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for format in formats {
        if let Some(text) = format.as_str() {
            patterns.push(Pattern {
                display: Some(text.to_owned()),
                representation: text.to_owned(),
                match_multiple: false,
            });
            continue;
        }
        let display = format.get("display").and_then(Value::as_str);
        let match_multiple = format.get("match_multiple").and_then(Value::as_bool);
        let representations: Vec<&str> = match format.get("representation") {
            Some(Value::String(text)) => vec![text],
            Some(Value::List(texts)) => texts.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        patterns.extend(representations.into_iter().map(|representation| Pattern {
            display: display.map(str::to_owned),
            representation: representation.to_owned(),
            match_multiple: match_multiple.unwrap_or(false),
        }));
    }
    patterns
}

/// What people are shown of an alias: the `display` of each of its formats.
#[must_use]
pub fn displays(formats: &[Value]) -> Vec<&str> {
    let shown = formats.iter().filter_map(|format| {
        let display = format.as_str();
        display.or_else(|| format.get("display").and_then(Value::as_str))
    });
    shown.filter(|text| !text.is_empty()).collect()
}
