//! Patterns of criteria: constants, or templates over the payload.
//!
//! Source: StackStorm `st2reactor/rules/filter.py`, `_render_criteria_pattern`. A template that
//! holds `{{ … }}` is first rendered with the filter `to_complex` at the end of its last
//! expression and read as JSON, so that numbers and lists keep their type; if that gives no JSON,
//! it is rendered as plain text.

use squall_expr::{Context, Error, Undefined};
use squall_value::{Dict, Str, Value, orjson};

use crate::Surroundings;

/// A pattern, scanned once.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Constant(Value),
    Template {
        text: Str,
        /// With `to_complex` added, if there is an expression to add it to.
        complex: Option<String>,
    },
}

impl Pattern {
    pub(crate) fn new(pattern: &Value) -> Pattern {
        match pattern {
            Value::String(text) if is_template(text) => Pattern::Template {
                text: text.clone(),
                complex: complex(text),
            },
            Value::String(text) => Pattern::Constant(Value::from(plain(text))),
            other => Pattern::Constant(other.clone()),
        }
    }

    /// The value to compare with.
    ///
    /// # Errors
    ///
    /// What the template raises.
    pub(crate) fn value(
        &self,
        prefix: &str,
        payload: &Value,
        surroundings: &Surroundings<'_>,
    ) -> Result<Value, Error> {
        let (text, complex) = match self {
            Pattern::Constant(value) => return Ok(value.clone()),
            Pattern::Template { text, complex } => (text, complex),
        };
        let mut variables = Dict::with_capacity(1);
        variables.insert(prefix, payload.clone());
        let context = Context::new(&variables)
            .with_datastore(surroundings.host, None)
            .with_system_alias("system");
        let render = |template: &str| {
            surroundings
                .expressions
                .render(template, &context, Undefined::Strict)
        };
        if let Some(complex) = complex {
            match render(complex) {
                Ok(rendered) => {
                    if let Ok(decoded) = orjson::read(&rendered) {
                        return Ok(decoded);
                    }
                }
                // Python's text conversions fail so, and StackStorm then tries the plain text.
                Err(error) if is_value_error(&error) => {}
                Err(error) => return Err(error),
            }
        }
        render(text).map(Value::from)
    }
}

fn is_value_error(error: &Error) -> bool {
    matches!(
        &*error.class,
        "ValueError" | "JSONDecodeError" | "UnicodeDecodeError" | "UnicodeEncodeError"
    )
}

fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"]
        .iter()
        .any(|marker| text.contains(marker))
}

/// What the template engine makes of a text without markers: line ends are `\n`, and the last one
/// goes.
fn plain(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.strip_suffix('\n').map(str::to_owned).unwrap_or(text)
}

/// The template with ` | to_complex` before the last `}}` of each line that holds an expression;
/// `None` without an expression.
///
/// `None` as well if the last expression is a bare datastore item. There StackStorm fails
/// (`to_complex` can't take the look-up object), though the meaning is plain: the stored text.
fn complex(text: &str) -> Option<String> {
    let mut result = String::with_capacity(text.len() + 16);
    let mut rest = text;
    let mut is_changed = false;
    while let Some(open) = rest.find("{{") {
        let (before, after) = rest.split_at(open + 2);
        let inner = after.trim_start();
        let line_end = inner.find('\n').unwrap_or(inner.len());
        let close = if inner[line_end..].trim_start().starts_with("}}") {
            Some(line_end)
        } else {
            inner[..line_end].rfind("}}")
        };
        result.push_str(before);
        let Some(close) = close else {
            rest = after;
            continue;
        };
        let (expression, tail) = inner.split_at(close);
        if ends_in_datastore_item(expression) {
            return None;
        }
        result.push_str(expression);
        result.push_str(" | to_complex}}");
        is_changed = true;
        rest = tail.trim_start().strip_prefix("}}").unwrap_or(tail);
    }
    result.push_str(rest);
    is_changed.then_some(result)
}

fn ends_in_datastore_item(expression: &str) -> bool {
    let last = expression
        .trim_end()
        .rsplit(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '-')))
        .next()
        .unwrap_or_default();
    last.starts_with("st2kv.")
}
