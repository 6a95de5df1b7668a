//! Parameters written into one line: `core.local cmd="date" timeout=10`.

use std::sync::LazyLock;

use regex::Regex;
use squall_value::{Str, Value, json};

/// Names with values in the forms that the language knows. The order of the alternatives is part of
/// it: a float is tried before an integer.
static PARAMETERS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(\w+)=(\[.*\]\s*|"[^"]*"\s*|'[^']*'\s*|-?\d*\.\d+|-?\d+"#,
        r#"|(?i:true)|(?i:false)|null|\{\{.*?\}\}|<%.*?%>)"#,
    ))
    .expect("the pattern is fixed")
});

static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#""[^"]*"\s*|'[^']*'\s*"#).expect("the pattern is fixed"));

/// All `name=value` in `text`, in order.
///
/// Unquoted values are JSON where they can be; quoted ones are text, unless they look like a JSON
/// object. A bare word (`cmd=date`) is no value: recorded definitions keep it in the action's name,
/// where the inspection finds it.
#[must_use]
pub fn parse(text: &str) -> Vec<(Str, Value)> {
    let found = PARAMETERS.captures_iter(text);
    found
        .map(|found| (Str::from(&found[1]), value_of(found[2].trim())))
        .collect()
}

static EXPRESSION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{.*?\}\}|<%.*?%>").expect("the pattern is fixed"));

/// What looks like a parameter in `text` but is none, because its value is a bare word.
#[must_use]
pub fn unread(text: &str) -> Vec<String> {
    let rest = PARAMETERS.replace_all(text, " ");
    let rest = EXPRESSION.replace_all(&rest, " ");
    let is_meant = |word: &&str| {
        let name = word.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| {
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        })
    };
    let words = rest.split_whitespace().filter(is_meant);
    words.map(str::to_owned).collect()
}

fn value_of(written: &str) -> Value {
    let is_quoted = QUOTED.is_match(written);
    let text = written.strip_prefix('"').unwrap_or(written);
    let text = text.strip_suffix('"').unwrap_or(text);
    let text = text.strip_prefix('\'').unwrap_or(text);
    let text = text.strip_suffix('\'').unwrap_or(text);
    let is_object = text.starts_with('{') && text.ends_with('}');
    if is_quoted && !is_object && !text.is_empty() {
        return Value::from(text);
    }
    if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
        return Value::Bool(text.eq_ignore_ascii_case("true"));
    }
    json::read_python(text).unwrap_or_else(|_| Value::from(text))
}
