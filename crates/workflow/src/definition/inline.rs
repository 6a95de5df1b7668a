//! Parameters written into one line: `core.local cmd="date" timeout=10`.

use std::sync::LazyLock;

use regex::Regex;
use squall_value::{Str, Value, json};

/// Names with values in the forms that the reference engine knows. The order of the alternatives is
/// part of the language: a float is tried before an integer.
static PARAMETERS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?P<name>\w+)=(?:(?P<value>\[.*\]\s*|"[^"]*"\s*|'[^']*'\s*|-?\d*\.\d+|-?\d+"#,
        r#"|(?i:true)|(?i:false)|null|\{\{.*?\}\}|<%.*?%>)|(?P<word>[^\s"'\[\]{}<>]))"#,
    ))
    .expect("the pattern is fixed")
});

static EXPRESSIONS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"<%.*?%>|\{\{.*?\}\}|\{%.*?%\}").expect("the pattern is fixed"));

static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#""[^"]*"\s*|'[^']*'\s*"#).expect("the pattern is fixed"));

/// All `name=value` in `text`, in order.
///
/// Unquoted values are JSON where they can be; quoted ones are text, unless they look like a JSON
/// object. A bare word (`cmd=date`) is text too; the reference engine drops it without a word.
#[must_use]
pub fn parse(text: &str) -> Vec<(Str, Value)> {
    let inside: Vec<_> = EXPRESSIONS
        .find_iter(text)
        .map(|found| found.range())
        .collect();
    let in_expression = |at: usize| {
        let after = inside.partition_point(|range| range.start <= at);
        after > 0 && inside[after - 1].contains(&at)
    };
    let mut parameters = Vec::new();
    let mut at = 0;
    while let Some(found) = PARAMETERS.captures_at(text, at) {
        let whole = found.get(0).expect("group 0 always takes part");
        let name = Str::from(&found["name"]);
        if let Some(value) = found.name("value") {
            parameters.push((name, value_of(value.as_str().trim())));
            at = whole.end();
            continue;
        }
        let word = found.name("word").map_or(whole.end(), |word| word.start());
        let starts_word = text[..whole.start()]
            .chars()
            .next_back()
            .is_none_or(char::is_whitespace);
        if starts_word && !in_expression(whole.start()) {
            let rest = &text[word..];
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            parameters.push((name, Value::from(&rest[..end])));
            at = word + end;
        } else {
            // Only the name was looked at: what follows `=` may hold a parameter itself.
            at = word;
        }
    }
    parameters
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
