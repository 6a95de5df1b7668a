//! `name=value` words to parameters, by the types that the action declares.
//!
//! The notations are those of StackStorm's client: `a,b` is a list and `k=v,k2=v2` (or `k:v`) an
//! object where the action wants one, JSON works for both, and words without `=` are a command line
//! for the parameter `cmd`.

use squall_value::{BigInt, Dict, Value, json};

/// A word that cannot be what the action wants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter `{name}`: `{value}` is no {wanted}{hint}")]
pub(crate) struct ParameterError {
    name: String,
    value: String,
    wanted: &'static str,
    hint: String,
}

/// The parameters that `words` give. `schema` has the attributes of each parameter by name.
pub(crate) fn read(words: &[String], schema: &Dict) -> Result<Dict, ParameterError> {
    let mut parameters = Dict::new();
    for (index, word) in words.iter().enumerate() {
        let pair = word.split_once('=').filter(|(name, _)| is_name(name));
        let Some((name, value)) = pair else {
            // The rest is a command, as in `run core.local uname -a`.
            parameters.insert("cmd", words[index..].join(" "));
            break;
        };
        let attributes = schema.get(name);
        parameters.insert(name, typed(name, value, attributes)?);
    }
    Ok(parameters)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

fn typed(name: &str, text: &str, attributes: Option<&Value>) -> Result<Value, ParameterError> {
    let declared = attributes.and_then(|attributes| attributes.get("type"));
    let kinds: Vec<&str> = match declared {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::List(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if kinds.is_empty() {
        return Ok(Value::from(text));
    }
    let is_text = kinds.contains(&"string");
    if text == "null" && !is_text {
        return Ok(Value::Null);
    }
    let mut failure = None;
    for kind in kinds.iter().filter(|kind| **kind != "null") {
        match by_kind(text, kind, attributes) {
            Ok(value) => return Ok(value),
            Err((wanted, hint)) => failure = failure.or(Some((wanted, hint))),
        }
    }
    match failure {
        None => Ok(Value::from(text)),
        Some((wanted, hint)) => Err(ParameterError {
            name: name.to_owned(),
            value: shortened(text),
            wanted,
            hint,
        }),
    }
}

type Refusal = (&'static str, String);

fn by_kind(text: &str, kind: &str, attributes: Option<&Value>) -> Result<Value, Refusal> {
    match kind {
        "integer" => integer(text).ok_or(("integer", String::new())),
        "number" => integer(text)
            .or_else(|| number(text))
            .ok_or(("number", String::new())),
        "boolean" => boolean(text).ok_or(("boolean", " (write true or false)".to_owned())),
        "array" => array(
            text,
            attributes.and_then(|attributes| attributes.get("items")),
        ),
        "object" => object(text),
        _ => Ok(Value::from(text)),
    }
}

fn integer(text: &str) -> Option<Value> {
    text.trim().parse::<BigInt>().ok().map(Value::from)
}

fn number(text: &str) -> Option<Value> {
    let number: f64 = text.trim().parse().ok()?;
    number.is_finite().then(|| Value::from(number))
}

fn boolean(text: &str) -> Option<Value> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(Value::Bool(true)),
        "false" | "0" | "no" | "off" => Some(Value::Bool(false)),
        _ => None,
    }
}

fn array(text: &str, items: Option<&Value>) -> Result<Value, Refusal> {
    let trimmed = text.trim();
    if trimmed.starts_with('[') {
        let read = json::read(trimmed);
        return read.map_err(|error| ("array", format!(" (as JSON: {error})")));
    }
    if trimmed.is_empty() {
        return Ok(Value::empty_list());
    }
    let kind = items
        .and_then(|items| items.get("type"))
        .and_then(Value::as_str);
    if kind == Some("object") {
        return object(text).map(|one| Value::from(vec![one]));
    }
    let items = trimmed
        .split(',')
        .map(|item| by_kind(item.trim(), kind.unwrap_or("string"), items));
    items
        .collect::<Result<Vec<Value>, Refusal>>()
        .map(Value::from)
}

fn object(text: &str) -> Result<Value, Refusal> {
    let trimmed = text.trim();
    if trimmed.starts_with('{') {
        let read = json::read(trimmed);
        return read.map_err(|error| ("object", format!(" (as JSON: {error})")));
    }
    if trimmed.is_empty() {
        return Ok(Value::empty_dict());
    }
    let mut members = Dict::new();
    for pair in trimmed.split(',') {
        let at = pair.find([':', '=']);
        let Some(at) = at.filter(|at| !pair[..*at].trim().is_empty()) else {
            return Err(("object", " (write key:value,key:value or JSON)".to_owned()));
        };
        members.insert(pair[..at].trim(), pair[at + 1..].trim());
    }
    Ok(Value::from(members))
}

fn shortened(text: &str) -> String {
    const SHOWN_MAX: usize = 80;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{
        "text": {"type": "string"}, "count": {"type": "integer"}, "share": {"type": "number"},
        "flag": {"type": "boolean"}, "hosts": {"type": "array"},
        "ports": {"type": "array", "items": {"type": "integer"}}, "tags": {"type": "object"},
        "rules": {"type": "array", "items": {"type": "object"}},
        "maybe": {"type": ["integer", "null"]}, "any": {"type": ["boolean", "string"]},
        "untyped": {}
    }"#;

    /// Words apart by `|`.
    #[track_caller]
    fn check(words: &str, expect: &str) {
        let schema = json::read(SCHEMA).unwrap();
        let words: Vec<String> = words.split('|').map(str::to_owned).collect();
        let shown = match read(&words, schema.as_dict().unwrap()) {
            Ok(parameters) => Value::from(parameters).to_json(),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expect);
    }

    #[test]
    fn values_follow_the_declared_types() {
        check("text=1|count=1", r#"{"text":"1","count":1}"#);
        check(
            "count=123456789012345678901234567890",
            r#"{"count":123456789012345678901234567890}"#,
        );
        check("share=0.5|flag=True", r#"{"share":0.5,"flag":true}"#);
        check("share=3|flag=no", r#"{"share":3,"flag":false}"#);
        check("text=a=b|untyped=7", r#"{"text":"a=b","untyped":"7"}"#);
        check("text=|hosts=", r#"{"text":"","hosts":[]}"#);
        check("unknown=x", r#"{"unknown":"x"}"#);
    }

    #[test]
    fn lists_and_objects_have_short_forms() {
        check("hosts=a, b", r#"{"hosts":["a","b"]}"#);
        check("ports=1,2", r#"{"ports":[1,2]}"#);
        check(r#"hosts=["a", 1]"#, r#"{"hosts":["a",1]}"#);
        check("tags=a:1,b=x:y", r#"{"tags":{"a":"1","b":"x:y"}}"#);
        check(r#"tags={"a": {"b": 1}}"#, r#"{"tags":{"a":{"b":1}}}"#);
        check("rules=a:1,b:2", r#"{"rules":[{"a":"1","b":"2"}]}"#);
    }

    #[test]
    fn null_is_null_but_for_texts() {
        check("count=null|maybe=null", r#"{"count":null,"maybe":null}"#);
        check("text=null|any=null", r#"{"text":"null","any":"null"}"#);
        check("any=true|maybe=4", r#"{"any":true,"maybe":4}"#);
    }

    #[test]
    fn words_without_a_name_are_a_command() {
        check("uname|-a", r#"{"cmd":"uname -a"}"#);
        check(
            "count=1|echo a=b|c=d",
            r#"{"count":1,"cmd":"echo a=b c=d"}"#,
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        check("count=1.5", "parameter `count`: `1.5` is no integer");
        check("share=nan", "parameter `share`: `nan` is no number");
        check(
            "flag=maybe",
            "parameter `flag`: `maybe` is no boolean (write true or false)",
        );
        check("ports=1,x", "parameter `ports`: `1,x` is no integer");
        check(
            "tags=a",
            "parameter `tags`: `a` is no object (write key:value,key:value or JSON)",
        );
        check(
            "tags={a",
            "parameter `tags`: `{a` is no object (as JSON: expected a key in double quotes at line 1, column 2)",
        );
    }
}
