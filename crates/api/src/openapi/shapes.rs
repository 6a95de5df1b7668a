//! The shapes of bodies, by the names that endpoints call them: JSON Schemas, written in
//! `shapes/*.yaml`.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use squall_schema::{Nullable, Validator};
use squall_value::{Dict, Str, Value, dict};

use crate::error::{Error, Result};

/// What answers hold.
const ANSWERS: [&str; 3] = [
    include_str!("shapes/definitions.yaml"),
    include_str!("shapes/work.yaml"),
    include_str!("shapes/access.yaml"),
];

/// What requests bring.
const REQUESTS: &str = include_str!("shapes/requests.yaml");

/// All shapes, as they are published.
static SHAPES: LazyLock<Dict> = LazyLock::new(|| {
    let mut shapes = Dict::new();
    for text in ANSWERS {
        shapes.extend(read(text));
    }
    let requests = read(REQUESTS).into_iter();
    shapes.extend(requests.map(|(name, schema)| (name, with_nulls(schema))));
    shapes
        .into_iter()
        .map(|(name, schema)| (name, with_addresses(&schema)))
        .collect()
});

/// What checks the bodies of requests.
static VALIDATORS: LazyLock<HashMap<Str, Validator>> = LazyLock::new(|| {
    let requests = read(REQUESTS).into_iter();
    let compiled = requests.map(|(name, schema)| {
        let validator = Validator::new(&with_nulls(schema), Nullable::Nothing);
        (
            name,
            validator.expect("the shapes are constant, and tested"),
        )
    });
    compiled.collect()
});

fn read(text: &str) -> Dict {
    let shapes = squall_yaml::value(text).expect("the shapes are constant, and tested");
    match shapes {
        Value::Dict(shapes) => Arc::unwrap_or_clone(shapes),
        _ => Dict::new(),
    }
}

/// The published shapes.
pub(super) fn all() -> &'static Dict {
    &SHAPES
}

/// Checks the body of a request.
///
/// # Errors
///
/// 400 with what is wrong, in StackStorm's words.
pub(crate) fn check(name: &str, body: &Value) -> Result<()> {
    let Some(validator) = VALIDATORS.get(name) else {
        return Ok(());
    };
    validator.validate(body).map_err(|invalid| {
        let place = invalid.violations.first().map(|found| found.path.join("."));
        let place = place.filter(|place| !place.is_empty());
        Error::bad(match place {
            Some(place) => format!("{invalid} (at \"{place}\")"),
            None => invalid.to_string(),
        })
    })
}

/// A request's shape in which members that need not be there may also be null.
fn with_nulls(schema: Value) -> Value {
    let Value::Dict(mut schema) = schema else {
        return schema;
    };
    let required: Vec<Str> = schema
        .get("required")
        .and_then(Value::as_list)
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_str)
        .map(Str::from)
        .collect();
    let members = Arc::make_mut(&mut schema);
    if let Some(Value::Dict(properties)) = members.get_mut("properties") {
        for (name, property) in Arc::make_mut(properties).iter_mut() {
            let mut inner = with_nulls(property.clone());
            if let (false, Value::Dict(inner)) = (required.contains(name), &mut inner)
                && let Some(kind @ Value::String(_)) = inner.get("type").cloned()
            {
                let kinds = vec![kind, Value::from("null")];
                let inner = Arc::make_mut(inner);
                inner.insert("type", kinds);
                if let Some(Value::List(values)) = inner.get_mut("enum") {
                    *values = values
                        .iter()
                        .cloned()
                        .chain([Value::Null])
                        .collect::<Vec<_>>()
                        .into();
                }
            }
            *property = inner;
        }
    }
    if let Some(items) = members.get("items").cloned() {
        members.insert("items", with_nulls(items));
    }
    Value::Dict(schema)
}

/// The address of a shape in the document.
pub(super) fn reference(name: &str) -> Value {
    dict! { "$ref" => format!("#/components/schemas/{name}") }
}

/// A schema with the names of shapes replaced by their addresses.
fn with_addresses(schema: &Value) -> Value {
    map_references(schema, &|name| reference(name))
}

fn map_references(schema: &Value, address: &impl Fn(&str) -> Value) -> Value {
    match schema {
        Value::Dict(members) => match members.get("$ref").and_then(Value::as_str) {
            Some(name) => address(name),
            None => {
                let members = members.iter();
                let mapped =
                    members.map(|(name, value)| (name.clone(), map_references(value, address)));
                Value::from(mapped.collect::<Dict>())
            }
        },
        Value::List(items) => items
            .iter()
            .map(|item| map_references(item, address))
            .collect(),
        other => other.clone(),
    }
}

/// How the shape is called of which a caller may have asked for some members only.
pub(super) fn selection_name(name: &str) -> String {
    format!("{name}Selection")
}

/// The shape whose members need not be there, because callers choose them.
pub(super) fn selection(name: &str) -> Value {
    let schema = SHAPES.get(name).cloned().unwrap_or_default();
    without_required(&schema)
}

fn without_required(schema: &Value) -> Value {
    match schema {
        Value::Dict(members) => {
            let members = members.iter();
            // A member may be called `required`, too; then it holds no list.
            let kept = members.filter(|(name, value)| {
                !(&***name == "required" && matches!(value, Value::List(_)))
            });
            let kept = kept.map(|(name, value)| (name.clone(), without_required(value)));
            Value::from(kept.collect::<Dict>())
        }
        Value::List(items) => items.iter().map(without_required).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[track_caller]
    fn checked(shape: &str, body: &str, expect: Option<&str>) {
        let body = squall_value::json::read(body).unwrap();
        let found = check(shape, &body).err().map(|Error { text, .. }| text);
        assert_eq!(found.as_deref(), expect, "{shape} {body:?}");
    }

    #[test]
    fn bodies_are_checked_in_stackstorms_words() {
        for (shape, body, expect) in [
            ("ExecutionRequest", r#"{"action": "core.noop"}"#, None),
            (
                "ExecutionRequest",
                r#"{"action": "core.noop", "parameters": null, "delay": null, "more": 1}"#,
                None,
            ),
            (
                "ExecutionRequest",
                "{}",
                Some("'action' is a required property"),
            ),
            (
                "ExecutionRequest",
                r#"{"action": null}"#,
                Some("None is not of type 'string' (at \"action\")"),
            ),
            (
                "RuleRequest",
                r#"{"name": "r", "trigger": {"type": "a.b"}, "action": {"ref": 3}}"#,
                Some("3 is not of type 'string' (at \"action.ref\")"),
            ),
            ("WebhookBody", "[1]", None),
        ] {
            checked(shape, body, expect);
        }
    }
}
