//! A format, and the parameters that it finds in a command.

use std::sync::{Arc, LazyLock};

use squall_value::{Dict, Value};
use squall_yaql::{Flags, Regex, Spans};

use crate::anchors::anchors;

// The patterns below are the definition of the language, so they are written as its documentation
// and its first implementation have them.

/// A value in quotes, in braces, or a single word.
const VALUE: &str = r#"""|''|"(.+?)"|'(.+?)'|({.+?})|(\S+)"#;

/// As [`VALUE`], or any text.
const LONG_VALUE: &str = r#"""|''|"(.+?)"|'(.+?)'|({.+?})|(.+?)"#;

const DOT_ALL: Flags = Flags {
    ignore_case: false,
    multi_line: false,
    dot_all: true,
};

fn pattern(text: &str) -> Arc<Regex> {
    Arc::new(Regex::new(text, DOT_ALL).expect("the pattern is part of the code"))
}

/// ` key=value`.
static PAIR: LazyLock<Arc<Regex>> = LazyLock::new(|| pattern(&pair()));

/// The `key=value` pairs at the end of a command.
static ENDING: LazyLock<Arc<Regex>> =
    LazyLock::new(|| pattern(&format!(r"\A.*?(({}\s*)*)$", pair())));

/// `{{ name = default }}`, with the white space before it.
static OPTIONAL: LazyLock<Arc<Regex>> = LazyLock::new(|| {
    pattern(&format!(
        r"(\s*)\{{\{{\s*(\S+?)\s*\s*=\s*(?:{LONG_VALUE})\s*\}}\}}"
    ))
});

/// `{{ name }}`, with the white space before it.
static REQUIRED: LazyLock<Arc<Regex>> = LazyLock::new(|| pattern(r"(\s*)\{\{\s*(\S+?)\s*\}\}"));

fn pair() -> String {
    format!(r"(?:^|\s+)\s*(\S+?)\s*=({VALUE})")
}

/// What a parameter of a format may be in a command: in quotes, in braces, or any text.
fn parameter(space: &str, name: &str) -> String {
    format!(r#"{space}["']?(?P<{name}>(?:(?<=').+?(?=')|(?<=").+?(?=")|{{.+?}}|.+?))["']?"#)
}

/// A format that can be held against commands.
#[derive(Debug)]
pub struct Format {
    text: String,
    regex: Regex,
    /// The names of the parameters, and where in the regular expression each stands.
    parameters: Vec<(String, usize)>,
    /// Names and defaults.
    optional: Vec<(String, String)>,
}

/// A format that is no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the format \"{format}\" can't be used: {reason}")]
pub struct FormatError {
    /// The format.
    pub format: String,
    /// Why.
    pub reason: String,
}

/// A command that is not what a format asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It reads otherwise.
    #[error("Command \"{command}\" doesn't match format string \"{format}\"")]
    Other {
        /// What was said.
        command: String,
        /// What was wanted.
        format: String,
    },
    /// It says nothing.
    #[error("No value supplied and no default value found.")]
    Empty,
}

impl Format {
    /// Reads a format.
    ///
    /// # Errors
    ///
    /// [`FormatError`]: a name of a parameter is none, or occurs twice, or the regular expression
    /// that the format is does not compile.
    pub fn new(text: &str) -> Result<Format, FormatError> {
        let failed = |error: squall_yaql::Error| FormatError {
            format: text.to_owned(),
            reason: error.to_string(),
        };
        let mut optional = Vec::new();
        let with_optional = replace(text, &OPTIONAL, |groups| {
            let (name, default) = (groups[2].to_owned(), groups[3..].concat());
            let pattern = format!("(?:{})?", parameter(groups[1], &name));
            optional.push((name, default));
            pattern
        })
        .map_err(failed)?;
        let all = replace(&with_optional, &REQUIRED, |groups| {
            parameter(groups[1], groups[2])
        });
        let mut pattern = all.map_err(failed)?;
        // It has to be one on its own: what is put before it must not make `?` repeat something.
        Regex::new(&pattern, DOT_ALL).map_err(failed)?;
        let tied = anchors(&pattern);
        if !tied.start {
            pattern.insert_str(0, r"^\s*");
        }
        if !tied.end {
            pattern.push_str(r"\s*$");
        }
        let regex = Regex::new(&pattern, DOT_ALL).map_err(failed)?;
        let names = regex.group_names().into_iter().enumerate();
        let parameters = names
            .filter_map(|(group, name)| name.map(|name| (name, group)))
            .collect();
        Ok(Format {
            text: text.to_owned(),
            regex,
            parameters,
            optional,
        })
    }

    /// The parameters in a command. One that was left out and has no default is null.
    ///
    /// # Errors
    ///
    /// [`Mismatch`].
    pub fn read(&self, command: &str) -> Result<Dict, Mismatch> {
        let (pairs, stream) = split(command);
        let found = self.regex.find_after(&stream, None).ok().flatten();
        let found = found.ok_or_else(|| self.mismatch(command))?;
        self.parameters_of(&stream, &found, &pairs)
    }

    /// The parameters of each place in a command where the format fits.
    ///
    /// # Errors
    ///
    /// [`Mismatch`] when there is none.
    pub fn read_all(&self, command: &str) -> Result<Vec<Dict>, Mismatch> {
        let (pairs, stream) = split(command);
        let mut all = Vec::new();
        let mut previous = None;
        while let Ok(Some(found)) = self.regex.find_after(&stream, previous) {
            previous = found.first().copied().flatten();
            all.push(self.parameters_of(&stream, &found, &pairs)?);
            if previous.is_none() {
                break;
            }
        }
        if all.is_empty() {
            return Err(self.mismatch(command));
        }
        Ok(all)
    }

    fn mismatch(&self, command: &str) -> Mismatch {
        Mismatch::Other {
            command: command.to_owned(),
            format: self.text.clone(),
        }
    }

    fn parameters_of(
        &self,
        stream: &str,
        found: &Spans,
        pairs: &[(String, String)],
    ) -> Result<Dict, Mismatch> {
        let mut parameters = Dict::new();
        for (name, group) in &self.parameters {
            let span = found.get(*group).copied().flatten();
            let text = span.map(|(start, end)| &stream[start..end]);
            parameters.insert(name.as_str(), text);
        }
        for (name, default) in &self.optional {
            let given = parameters.get(name).and_then(Value::as_str);
            if given.is_none_or(str::is_empty) {
                parameters.insert(name.as_str(), default.as_str());
            }
        }
        for (name, value) in pairs {
            parameters.insert(name.as_str(), value.as_str());
        }
        let says_something = parameters.values().any(Value::is_truthy);
        if !self.text.is_empty() && stream.trim().is_empty() && !says_something {
            return Err(Mismatch::Empty);
        }
        Ok(parameters)
    }
}

/// Cuts the `key=value` pairs off the end of a command.
fn split(command: &str) -> (Vec<(String, String)>, String) {
    let ending = ENDING.find_after(command, None).ok().flatten();
    let ending = ending.and_then(|found| found.get(1).copied().flatten());
    let ending = ending.map_or("", |(start, end)| &command[start..end]);
    if ending.is_empty() {
        return (Vec::new(), format!(" {command} "));
    }
    let mut pairs = Vec::new();
    // The pattern is one of the code's own, and its budget is never used up by so short a text.
    let _ = each(ending, &PAIR, |groups| {
        pairs.push((groups[1].to_owned(), groups[3..].concat()));
    });
    (pairs, format!(" {} ", command.replace(ending, "")))
}

/// Calls `seen` with the groups of every match, and gives where each lies.
fn each(
    text: &str,
    regex: &Regex,
    mut seen: impl FnMut(&[&str]),
) -> Result<Vec<(usize, usize)>, squall_yaql::Error> {
    let mut spans = Vec::new();
    let mut previous = None;
    while let Some(found) = regex.find_after(text, previous)? {
        let Some(whole) = found.first().copied().flatten() else {
            break;
        };
        let groups: Vec<&str> = found
            .iter()
            .map(|span| span.map_or("", |(start, end)| &text[start..end]))
            .collect();
        seen(&groups);
        spans.push(whole);
        previous = Some(whole);
    }
    Ok(spans)
}

/// The text with every match replaced by what `written` gives for its groups.
fn replace(
    text: &str,
    regex: &Regex,
    mut written: impl FnMut(&[&str]) -> String,
) -> Result<String, squall_yaql::Error> {
    let mut replacements = Vec::new();
    let spans = each(text, regex, |groups| replacements.push(written(groups)))?;
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for ((from, to), replacement) in spans.into_iter().zip(replacements) {
        out.push_str(&text[end..from]);
        out.push_str(&replacement);
        end = to;
    }
    out.push_str(&text[end..]);
    Ok(out)
}

#[cfg(test)]
mod tests;
