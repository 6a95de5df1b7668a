//! Definitions: actions, rules, packs and their kind.

use squall_model::{Document, DocumentKind};
use squall_value::{Dict, Value, dict};

use crate::time::millis;

/// A definition as the API shows it: its body, without what only the server needs, and its id.
#[must_use]
pub fn definition(document: &Document) -> Value {
    let mut body = match &document.body {
        Value::Dict(body) => Dict::clone(body),
        _ => Dict::new(),
    };
    let internal: &[&str] = match document.kind {
        DocumentKind::Action => &["content", "workflow", "published_by"],
        DocumentKind::Rule => &["published_by"],
        DocumentKind::Pack => &["content", "has_findings"],
        _ => &[],
    };
    for member in internal {
        body.remove(member);
    }
    body.insert("id", document.id.to_string());
    Value::from(body)
}

/// A trigger that rules wait for: its reference, its type, and its parameters.
#[must_use]
pub fn trigger(reference: &str, kind: &str, parameters: &Value, uid_hash: &str, id: &str) -> Value {
    let (pack, name) = reference.split_once('.').unwrap_or((reference, ""));
    dict! {
        "uid" => format!("trigger:{pack}:{name}:{uid_hash}"),
        "ref" => reference,
        "name" => name,
        "pack" => pack,
        "type" => kind,
        "parameters" => parameters.clone(),
        "id" => id,
    }
}

/// A rule with the descriptions of its trigger and action, as `/rules/views` gives it.
#[must_use]
pub fn rule_view(
    document: &Document,
    trigger: Option<&Document>,
    action: Option<&Document>,
) -> Value {
    let Value::Dict(mut body) = definition(document) else {
        return Value::Null;
    };
    let body = std::sync::Arc::make_mut(&mut body);
    for (member, described) in [("trigger", trigger), ("action", action)] {
        let text = described
            .and_then(|document| document.body.get("description"))
            .cloned();
        if let (Some(Value::Dict(part)), Some(text)) = (body.get(member).cloned(), text) {
            let mut part = Dict::clone(&part);
            part.insert("description", text);
            body.insert(member, part);
        }
    }
    Value::from(body.clone())
}

/// A datastore item. `value` is what the caller may see, and `encrypted` whether it is ciphertext.
#[must_use]
pub fn key_value_pair(document: &Document, value: Value, encrypted: bool) -> Value {
    let member = |name: &str| document.body.get(name).cloned().unwrap_or_default();
    let (scope, stored) = document.key.split_once(':').unwrap_or(("", &document.key));
    let mut body = Dict::new();
    body.insert("uid", format!("key_value_pair:{scope}:{stored}"));
    body.insert("scope", scope);
    body.insert("name", member("name"));
    body.insert("value", value);
    body.insert("secret", member("secret"));
    if let user @ Value::String(_) = member("user") {
        body.insert("user", user);
    }
    if let Some(expires) = document.expires {
        body.insert("expire_timestamp", millis(expires));
    }
    body.insert("id", document.id.to_string());
    body.insert("encrypted", encrypted);
    Value::from(body)
}
