//! JSON Schema 2020-12 of what callers may give: for OpenAPI and for forms.

use squall_value::{Dict, Value, dict};

use crate::mask::DEPTH_MAX;
use crate::parameter::{Parameter, Parameters, has_marker};

/// The schema of an object with these parameters. Immutable ones are left out, since callers can't
/// set them; secret ones are `writeOnly`; `x-position` keeps the place of positional ones.
pub(crate) fn json_schema(parameters: &Parameters) -> Value {
    let open = parameters
        .iter()
        .filter(|(_, parameter)| !parameter.immutable);
    let mut properties = Dict::new();
    let mut required = Vec::new();
    for (name, parameter) in open {
        properties.insert(name.clone(), property(parameter));
        if parameter.required && parameter.default.is_none() {
            required.push(Value::String(name.clone()));
        }
    }
    let mut schema = Dict::new();
    schema.insert("type", "object");
    schema.insert("properties", properties);
    if !required.is_empty() {
        schema.insert("required", required);
    }
    schema.insert("additionalProperties", false);
    Value::from(schema)
}

fn property(parameter: &Parameter) -> Value {
    let translated = translate(parameter.attributes(), 0);
    let mut schema = translated.as_dict().cloned().unwrap_or_default();
    if let Some(position) = parameter.position {
        schema.insert("x-position", position);
    }
    Value::from(schema)
}

/// A definition of StackStorm's dialect of draft 4 as JSON Schema 2020-12.
fn translate(definition: &Value, depth: usize) -> Value {
    let Some(definition) = definition.as_dict().filter(|_| depth <= DEPTH_MAX) else {
        return match definition {
            Value::Bool(_) => definition.clone(),
            _ => Value::empty_dict(),
        };
    };
    let mut schema = Dict::new();
    let is_secret = definition.get("secret").is_some_and(Value::is_truthy);
    for (key, value) in definition.iter() {
        keyword(&mut schema, key, value, depth);
    }
    bound(definition, &mut schema, "minimum", "exclusiveMinimum");
    bound(definition, &mut schema, "maximum", "exclusiveMaximum");
    items(definition, &mut schema, depth);
    let default = definition.get("default");
    if let Some(default) = default.filter(|default| !is_secret && !default.is_null()) {
        // A template's value is only known when the action runs.
        let key = if has_marker(default) {
            "x-default-template"
        } else {
            "default"
        };
        schema.insert(key, default.clone());
    }
    if is_secret {
        schema.insert("writeOnly", true);
        if definition.get("type").and_then(Value::as_str) == Some("string") {
            schema.insert("format", "password");
        }
    }
    Value::from(schema)
}

fn keyword(schema: &mut Dict, key: &str, value: &Value, depth: usize) {
    let inner = |value: &Value| translate(value, depth + 1);
    match key {
        "properties" => {
            let members = mapping(value, depth);
            let required: Vec<Value> = value
                .as_dict()
                .into_iter()
                .flat_map(Dict::iter)
                .filter(|(_, member)| {
                    member.get("required").and_then(Value::as_bool) == Some(true)
                        && member.get("default").is_none()
                })
                .map(|(name, _)| Value::String(name.clone()))
                .collect();
            schema.insert(key, members);
            if !required.is_empty() {
                schema.insert("required", required);
            }
        }
        "required" if value.as_list().is_some() => {
            schema.insert(key, value.clone());
        }
        "patternProperties" => {
            schema.insert(key, mapping(value, depth));
        }
        "definitions" => {
            schema.insert("$defs", mapping(value, depth));
        }
        "$ref" => {
            let target = value.as_str().unwrap_or_default();
            schema.insert(key, target.replace("#/definitions/", "#/$defs/"));
        }
        "additionalProperties" | "not" => {
            schema.insert(key, inner(value));
        }
        "allOf" | "anyOf" | "oneOf" => {
            let members = value.as_list().unwrap_or_default();
            schema.insert(key, members.iter().map(inner).collect::<Value>());
        }
        "type" | "enum" | "title" | "description" | "multipleOf" | "maxLength" | "minLength"
        | "pattern" | "format" | "maxItems" | "minItems" | "uniqueItems" | "maxProperties"
        | "minProperties" => {
            schema.insert(key, value.clone());
        }
        _ => {}
    }
}

fn mapping(value: &Value, depth: usize) -> Value {
    let members: Dict = value
        .as_dict()
        .into_iter()
        .flat_map(Dict::iter)
        .map(|(name, member)| (name.clone(), translate(member, depth + 1)))
        .collect();
    Value::from(members)
}

/// Draft 4 says with a boolean whether a bound is exclusive; later drafts have two bounds.
fn bound(definition: &Dict, schema: &mut Dict, inclusive: &str, exclusive: &str) {
    if let Some(limit) = definition.get(inclusive) {
        let is_exclusive = definition.get(exclusive).is_some_and(Value::is_truthy);
        let key = if is_exclusive { exclusive } else { inclusive };
        schema.insert(key, limit.clone());
    }
}

/// Draft 4's list of `items` is `prefixItems` now, and its `additionalItems` are `items`.
fn items(definition: &Dict, schema: &mut Dict, depth: usize) {
    match definition.get("items") {
        Some(Value::List(positional)) => {
            let prefix: Value = positional
                .iter()
                .map(|item| translate(item, depth + 1))
                .collect();
            schema.insert("prefixItems", prefix);
            if let Some(rest) = definition.get("additionalItems") {
                schema.insert("items", translate(rest, depth + 1));
            }
        }
        Some(item) => {
            schema.insert("items", translate(item, depth + 1));
        }
        None if definition.get("type").and_then(Value::as_str) == Some("array") => {
            schema.insert("items", dict! {});
        }
        None => {}
    }
}
