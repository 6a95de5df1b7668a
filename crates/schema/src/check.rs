//! Diagnostics for parameter definitions, at registration.
//!
//! Sources: StackStorm `st2common/util/schema/action_params.json`,
//! `st2common/validators/api/action.py` and `validate_runner_parameter_attribute_override`.
//! Real packs set the tone: what hundreds of them do by mistake (an immutable parameter without
//! default, a default of another type) is at most a warning.

use squall_value::{Dict, Str, Value, python};

use crate::diagnostic::{Diagnostic, nearest};
use crate::draft4::{Nullable, Schema};
use crate::mask::DEPTH_MAX;
use crate::types::{TYPES, Type};

/// All attributes that a definition may have.
const ATTRIBUTES: [&str; 36] = [
    "id",
    "$schema",
    "$ref",
    "title",
    "description",
    "default",
    "multipleOf",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "format",
    "additionalItems",
    "items",
    "maxItems",
    "minItems",
    "uniqueItems",
    "maxProperties",
    "minProperties",
    "required",
    "secret",
    "additionalProperties",
    "definitions",
    "properties",
    "patternProperties",
    "dependencies",
    "enum",
    "type",
    "position",
    "immutable",
    "allOf",
    "anyOf",
    "oneOf",
];

/// The attributes of a runner's parameter that an action may change.
const OVERRIDABLE: [&str; 5] = ["default", "description", "enum", "immutable", "required"];

/// What is wrong with the `parameters` mapping of an action, a runner or a trigger type. Paths
/// begin with the parameter's name.
#[must_use]
pub fn parameters(definition: &Value) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let Some(parameters) = definition.as_dict() else {
        if !definition.is_null() {
            found.push(Diagnostic::error(
                &[],
                format!(
                    "`parameters` must map names to definitions, but is of type {}",
                    definition.kind()
                ),
            ));
        }
        return found;
    };
    for (name, attributes) in parameters.iter() {
        property(&mut vec![name], attributes, &mut found);
        immutable(name, attributes, &mut found);
    }
    positions(parameters, &mut found);
    found
}

/// What is wrong with a schema, as a whole: for output schemas, configurations, payloads.
#[must_use]
pub fn schema(definition: &Value) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    property(&mut Vec::new(), definition, &mut found);
    if found.iter().all(|diagnostic| !diagnostic.is_error())
        && let Err(reason) = Schema::new(definition, Nullable::Optional, false)
    {
        found.push(Diagnostic::error(
            &[],
            format!("this is no valid JSON Schema: {reason}"),
        ));
    }
    found
}

/// Definitions that can't be compiled, unless `told` says already what is wrong with them.
pub(crate) fn broken(told: &[Diagnostic], broken: Vec<(Str, String)>) -> Vec<Diagnostic> {
    let is_told = |name: &Str| {
        let mut about = told.iter().filter(|told| told.path.first() == Some(name));
        about.any(Diagnostic::is_error)
    };
    broken
        .into_iter()
        .filter(|(name, _)| !is_told(name))
        .map(|(name, reason)| {
            Diagnostic::error(
                &[&name],
                format!("the definition of `{name}` is no valid JSON Schema: {reason}"),
            )
        })
        .collect()
}

fn property<'a>(path: &mut Vec<&'a Str>, attributes: &'a Value, found: &mut Vec<Diagnostic>) {
    let at = |key: &str| -> Vec<String> {
        path.iter()
            .map(ToString::to_string)
            .chain((!key.is_empty()).then(|| key.to_owned()))
            .collect()
    };
    let mut report = |is_error: bool, key: &str, message: String| {
        let at = at(key);
        let at: Vec<&str> = at.iter().map(String::as_str).collect();
        found.push(if is_error {
            Diagnostic::error(&at, message)
        } else {
            Diagnostic::warning(&at, message)
        });
    };
    let Some(dict) = attributes.as_dict() else {
        if !attributes.is_null() {
            let message = format!(
                "a definition must be a mapping such as `{{type: string}}`, but is of type {}",
                attributes.kind()
            );
            report(true, "", message);
        }
        return;
    };
    if path.len() > DEPTH_MAX {
        report(
            true,
            "",
            format!("definitions nest deeper than {DEPTH_MAX} levels"),
        );
        return;
    }
    for (key, value) in dict.iter() {
        if let Some((is_error, message)) = attribute(key, value) {
            report(is_error, key, message);
        }
    }
    members(path, dict, found);
}

/// What is wrong with one attribute, and whether it is an error.
fn attribute(key: &str, value: &Value) -> Option<(bool, String)> {
    match key {
        "type" => type_name(value).map(|message| (true, message)),
        "required" if value.as_list().is_some() => None,
        "required" | "secret" | "immutable" if value.as_bool().is_none() => Some((
            true,
            format!(
                "`{key}` must be true or false, but is {} (of type {})",
                python::repr(value),
                value.kind()
            ),
        )),
        "position" if value.as_int().is_none_or(|position| position < 0) => {
            Some((true, "`position` must be an integer from 0".to_owned()))
        }
        "enum" if value.as_list().is_none_or(<[Value]>::is_empty) => Some((
            true,
            "`enum` must be a list of the allowed values, at least one".to_owned(),
        )),
        "properties" | "patternProperties" | "definitions" if value.as_dict().is_none() => {
            Some((true, format!("`{key}` must map names to definitions")))
        }
        "items" if value.as_dict().is_none() && value.as_list().is_none() => Some((
            true,
            "`items` must be the definition of each element".to_owned(),
        )),
        "not" => None,
        _ if ATTRIBUTES.contains(&key) => None,
        _ => Some((
            false,
            match nearest(key, ATTRIBUTES) {
                Some(near) => {
                    format!("unknown attribute `{key}` is ignored; did you mean `{near}`?")
                }
                None => format!("unknown attribute `{key}` is ignored"),
            },
        )),
    }
}

fn type_name(value: &Value) -> Option<String> {
    let names: Vec<&Value> = match value {
        Value::List(names) => names.iter().collect(),
        name => vec![name],
    };
    let known = || TYPES.map(Type::name).join(", ");
    if names.is_empty() {
        return Some(format!("`type` names no type; known are {}", known()));
    }
    let unknown = names
        .into_iter()
        .find(|name| name.as_str().and_then(Type::parse).is_none())?;
    let hint = unknown
        .as_str()
        .and_then(|name| nearest(name, TYPES.map(Type::name)))
        .map(|near| format!("did you mean `{near}`?"))
        .unwrap_or_else(|| format!("known are {}", known()));
    Some(format!("unknown type {}; {hint}", python::repr(unknown)))
}

fn members<'a>(path: &mut Vec<&'a Str>, dict: &'a Dict, found: &mut Vec<Diagnostic>) {
    for (key, value) in dict.iter() {
        match (&**key, value) {
            ("properties" | "patternProperties" | "definitions", Value::Dict(inner)) => {
                path.push(key);
                for (name, member) in inner.iter() {
                    path.push(name);
                    property(path, member, found);
                    path.pop();
                }
                path.pop();
            }
            ("items" | "additionalProperties" | "additionalItems" | "not", Value::Dict(_)) => {
                path.push(key);
                property(path, value, found);
                path.pop();
            }
            ("allOf" | "anyOf" | "oneOf", Value::List(inner)) => {
                path.push(key);
                for member in inner.iter() {
                    property(path, member, found);
                }
                path.pop();
            }
            _ => {}
        }
    }
}

fn immutable(name: &Str, attributes: &Value, found: &mut Vec<Diagnostic>) {
    let is_immutable = attributes.get("immutable").and_then(Value::as_bool) == Some(true);
    if is_immutable && attributes.get("default").is_none() {
        found.push(Diagnostic::warning(
            &[name, "immutable"],
            format!(
                "Immutable param {name} requires a default value: without one, nobody can ever \
                 give it a value"
            ),
        ));
    }
}

fn positions(parameters: &Dict, found: &mut Vec<Diagnostic>) {
    let mut taken: Vec<(i64, &Str)> = Vec::new();
    for (name, attributes) in parameters.iter() {
        if let Some(position) = attributes.get("position").and_then(Value::as_int) {
            taken.push((position, name));
        }
    }
    taken.sort_by_key(|(position, _)| *position);
    for pair in taken.windows(2) {
        let [(position, first), (next, second)] = pair else {
            continue;
        };
        if position == next {
            found.push(Diagnostic::error(
                &[second, "position"],
                format!(
                    "Parameters {second} and {first} have same position {position}. Position \
                     values have to be unique."
                ),
            ));
        } else if next - position > 1 {
            let all: Value = taken
                .iter()
                .map(|(position, _)| Value::Int(*position))
                .collect();
            found.push(Diagnostic::error(
                &[second, "position"],
                format!(
                    "Positions supplied {} for parameters are not contiguous.",
                    python::repr(&all)
                ),
            ));
        }
    }
}

/// What is wrong with an action's overrides of its runner's parameters.
#[must_use]
pub fn overrides(runner: &Value, action: &Value) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let (Some(runner), Some(action)) = (runner.as_dict(), action.as_dict()) else {
        return found;
    };
    for (name, attributes) in action.iter() {
        let (Some(inherited), Some(attributes)) = (runner.get(name), attributes.as_dict()) else {
            continue;
        };
        for (key, value) in attributes.iter() {
            let is_same = inherited.get(key) == Some(value);
            if !is_same && !OVERRIDABLE.contains(&&**key) {
                found.push(Diagnostic::error(
                    &[name, key],
                    format!(
                        "The attribute \"{key}\" for the runner parameter \"{name}\" cannot be \
                         overridden; an action may change only {}",
                        OVERRIDABLE.join(", ")
                    ),
                ));
            }
        }
        if attributes.contains_key("immutable") && inherited.get("immutable").is_some() {
            found.push(Diagnostic::error(
                &[name, "immutable"],
                format!("Param {name} is declared immutable in runner. Cannot override in action."),
            ));
        }
    }
    found
}
