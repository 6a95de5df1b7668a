//! JSON Schema draft 4, by the crate `jsonschema`. No other module knows that crate.
//!
//! StackStorm's dialect differs from draft 4 in two points, which [`Schema::new`] translates:
//! `required: true` stands in the property itself, and what is optional may be null.

use jsonschema::error::ValidationErrorKind as Reason;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Number, Value as Json, json};
use squall_value::{BigInt, Dict, Str, Value, python};

use crate::mask::DEPTH_MAX;
use crate::validate::Violation;

/// How deep a value may nest that is checked here: a schema that refers to itself would follow it
/// all the way down.
const INSTANCE_DEPTH_MAX: usize = 128;

/// How many findings one value is worth.
const VIOLATIONS_MAX: usize = 20;

/// How much backtracking a `pattern` may cost.
const BACKTRACK_MAX: usize = 200_000;

/// What may be null besides what the schema says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nullable {
    /// Every property that is optional or has a default: parameters, configurations, payloads.
    Optional,
    /// Nothing: outputs.
    Nothing,
}

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct Schema {
    validator: Validator,
    /// What was compiled, to quote limits in messages.
    source: Json,
}

impl Schema {
    /// Compiles `schema`. With `may_be_null`, the value as a whole may be null.
    ///
    /// # Errors
    ///
    /// What is wrong with the schema, for its author.
    pub(crate) fn new(
        schema: &Value,
        nullable: Nullable,
        may_be_null: bool,
    ) -> Result<Schema, String> {
        let mut source = translate(schema, nullable, 0)?;
        if may_be_null {
            allow_null(&mut source);
        }
        jsonschema::options()
            .with_draft(Draft::Draft4)
            .should_validate_formats(false)
            .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_MAX))
            .build(&source)
            .map(|validator| Schema { validator, source })
            .map_err(|error| error.to_string())
    }

    /// What is wrong with `value`; nothing if it is valid. Messages quote `shown`, which is `value`
    /// with its secrets masked.
    pub(crate) fn violations(&self, value: &Value, shown: &Value) -> Vec<Violation> {
        let Some(instance) = to_json(value, 0) else {
            return vec![Violation::new(format!(
                "the value nests deeper than {INSTANCE_DEPTH_MAX} levels"
            ))];
        };
        if self.validator.is_valid(&instance) {
            return Vec::new();
        }
        let mut violations: Vec<Violation> = self
            .validator
            .iter_errors(&instance)
            .take(VIOLATIONS_MAX)
            .map(|error| self.violation(&error, shown))
            .collect();
        // The most general finding comes first, as in StackStorm.
        violations.sort_by_key(|violation| violation.path.len());
        violations
    }

    fn violation(&self, error: &ValidationError<'_>, shown: &Value) -> Violation {
        let path: Vec<Str> = error
            .instance_path()
            .iter()
            .map(|segment| Str::from(segment.to_string()))
            .collect();
        let limit = self
            .source
            .pointer(error.schema_path().as_str())
            .map(from_json);
        let instance = lookup(shown, &path);
        Violation {
            message: message(error.kind(), &instance, limit.as_ref())
                .unwrap_or_else(|| error.masked().to_string()),
            path,
        }
    }
}

/// The text that Python's `jsonschema` has for a finding.
fn message(reason: &Reason, instance: &Value, limit: Option<&Value>) -> Option<String> {
    let it = python::repr(instance);
    let limit_text = || limit.map(python::repr).unwrap_or_default();
    Some(match reason {
        Reason::Type { .. } => not_of_type(instance, limit),
        Reason::Required { property } => {
            format!(
                "{} is a required property",
                python::repr(&from_json(property))
            )
        }
        Reason::AdditionalProperties { unexpected } => unexpected_properties(unexpected),
        Reason::AdditionalItems { limit } => {
            let extra = instance.as_list().unwrap_or_default();
            let extra = extra.get(*limit..).unwrap_or_default();
            format!(
                "Additional items are not allowed ({})",
                unexpected_list(extra)
            )
        }
        Reason::Enum { .. } => format!("{it} is not one of {}", limit_text()),
        Reason::Minimum { .. } => format!("{it} is less than the minimum of {}", limit_text()),
        Reason::Maximum { .. } => format!("{it} is greater than the maximum of {}", limit_text()),
        Reason::ExclusiveMinimum { limit } => format!(
            "{it} is less than or equal to the minimum of {}",
            python::repr(&from_json(limit))
        ),
        Reason::ExclusiveMaximum { limit } => format!(
            "{it} is greater than or equal to the maximum of {}",
            python::repr(&from_json(limit))
        ),
        Reason::MultipleOf { .. } => format!("{it} is not a multiple of {}", limit_text()),
        Reason::MinItems { limit: 1 }
        | Reason::MinLength { limit: 1 }
        | Reason::MinProperties { limit: 1 } => {
            format!("{it} should be non-empty")
        }
        Reason::MinItems { .. } | Reason::MinLength { .. } => format!("{it} is too short"),
        Reason::MaxItems { limit: 0 } | Reason::MaxLength { limit: 0 } => {
            format!("{it} is expected to be empty")
        }
        Reason::MaxItems { .. } | Reason::MaxLength { .. } => format!("{it} is too long"),
        Reason::MinProperties { .. } => format!("{it} does not have enough properties"),
        Reason::MaxProperties { .. } => format!("{it} has too many properties"),
        Reason::UniqueItems => format!("{it} has non-unique elements"),
        Reason::Pattern { pattern } => {
            format!(
                "{it} does not match {}",
                python::repr(&Value::from(pattern))
            )
        }
        Reason::AnyOf { .. } | Reason::OneOfNotValid { .. } => {
            format!("{it} is not valid under any of the given schemas")
        }
        Reason::OneOfMultipleValid { .. } => {
            format!("{it} is valid under more than one of the given schemas")
        }
        Reason::Not { schema } => format!(
            "{it} should not be valid under {}",
            python::repr(&from_json(schema))
        ),
        _ => return None,
    })
}

/// `5 is not of type 'string', 'null'`.
pub(crate) fn not_of_type(instance: &Value, types: Option<&Value>) -> String {
    let names = match types {
        Some(Value::List(names)) => names
            .iter()
            .map(python::repr)
            .collect::<Vec<_>>()
            .join(", "),
        Some(name) => python::repr(name),
        None => "the declared type".to_owned(),
    };
    format!("{} is not of type {names}", python::repr(instance))
}

/// `Additional properties are not allowed ('a', 'b' were unexpected)`.
pub(crate) fn unexpected_properties<T: AsRef<str>>(names: &[T]) -> String {
    let mut names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    names.sort_unstable();
    let names: Vec<Value> = names.into_iter().map(Value::from).collect();
    format!(
        "Additional properties are not allowed ({})",
        unexpected_list(&names)
    )
}

fn unexpected_list(extra: &[Value]) -> String {
    let verb = if extra.len() == 1 { "was" } else { "were" };
    let names: Vec<String> = extra.iter().map(python::repr).collect();
    format!("{} {verb} unexpected", names.join(", "))
}

fn lookup(value: &Value, path: &[Str]) -> Value {
    let member = path.iter().try_fold(value, |value, key| match value {
        Value::List(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
        other => other.get(key),
    });
    // A masked value hides what lies below; then the mask is all there is to show.
    member
        .cloned()
        .unwrap_or_else(|| Value::from(crate::MASKED))
}

/// Keywords whose value is one schema.
const ONE: [&str; 4] = ["items", "additionalItems", "additionalProperties", "not"];
/// Keywords whose value is a list of schemas.
const LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "items"];
/// Keywords whose value is a mapping of schemas.
const MAPPING: [&str; 3] = ["patternProperties", "definitions", "dependencies"];

/// StackStorm's dialect into draft 4.
fn translate(schema: &Value, nullable: Nullable, depth: usize) -> Result<Json, String> {
    if depth > DEPTH_MAX {
        return Err(format!("the schema nests deeper than {DEPTH_MAX} levels"));
    }
    let Some(schema) = schema.as_dict() else {
        return plain(schema);
    };
    let mut translated = Map::new();
    for (key, value) in schema.iter() {
        let inner = |value: &Value| translate(value, nullable, depth + 1);
        let json = match (&**key, value) {
            ("properties", Value::Dict(members)) => {
                properties(members, &mut translated, nullable, depth)?
            }
            // Marks of our own, and texts for people: nothing to validate.
            ("required", Value::Bool(_))
            | (
                "secret" | "immutable" | "position" | "default" | "description" | "title" | "id"
                | "$schema",
                _,
            ) => continue,
            ("required", Value::List(names)) => {
                require(&mut translated, names.iter().filter_map(Value::as_str));
                continue;
            }
            (key, Value::List(members)) if LIST.contains(&key) => {
                Json::Array(members.iter().map(inner).collect::<Result<_, _>>()?)
            }
            (key, Value::Dict(members)) if MAPPING.contains(&key) => {
                let mut mapping = Map::new();
                for (name, member) in members.iter() {
                    mapping.insert(name.to_string(), inner(member)?);
                }
                Json::Object(mapping)
            }
            (key, Value::Dict(_)) if ONE.contains(&key) => inner(value)?,
            _ => plain(value)?,
        };
        translated.insert(key.to_string(), json);
    }
    Ok(Json::Object(translated))
}

fn properties(
    members: &Dict,
    object: &mut Map<String, Json>,
    nullable: Nullable,
    depth: usize,
) -> Result<Json, String> {
    let mut translated = Map::new();
    for (name, member) in members.iter() {
        let mut json = translate(member, nullable, depth + 1)?;
        let is_required = member.get("required").and_then(Value::as_bool) == Some(true);
        let has_default = member.get("default").is_some();
        // A default steps in for what is absent or null before anyone looks.
        if is_required && !has_default {
            require(object, [&**name].into_iter());
        } else if nullable == Nullable::Optional {
            allow_null(&mut json);
        }
        translated.insert(name.to_string(), json);
    }
    Ok(Json::Object(translated))
}

fn require<'a>(object: &mut Map<String, Json>, names: impl Iterator<Item = &'a str>) {
    for name in names {
        let required = object
            .entry("required")
            .or_insert_with(|| Json::Array(Vec::new()));
        if let Json::Array(required) = required
            && !required.contains(&Json::from(name))
        {
            required.push(Json::from(name));
        }
    }
}

/// Makes null valid, in the way that the messages of StackStorm show.
fn allow_null(schema: &mut Json) {
    let Json::Object(schema) = schema else {
        return;
    };
    if let Some(kind) = schema.get_mut("type") {
        match kind {
            Json::String(name) if name != "null" => *kind = json!([name, "null"]),
            Json::Array(names) if !names.contains(&json!("null")) => names.push(json!("null")),
            _ => {}
        }
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Json::Array(alternatives)) = schema.get_mut(key) {
            let has_null = alternatives.iter().any(|alternative| {
                let kind = alternative.get("type");
                kind == Some(&json!("null"))
                    || kind
                        .and_then(Json::as_array)
                        .is_some_and(|names| names.contains(&json!("null")))
            });
            if !has_null {
                alternatives.push(json!({"type": "null"}));
            }
        }
    }
}

fn plain(value: &Value) -> Result<Json, String> {
    to_json(value, 0)
        .ok_or_else(|| format!("the schema nests deeper than {INSTANCE_DEPTH_MAX} levels"))
}

fn to_json(value: &Value, depth: usize) -> Option<Json> {
    if depth > INSTANCE_DEPTH_MAX {
        return None;
    }
    Some(match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Int(number) => Json::from(*number),
        Value::BigInt(number) => big(number),
        Value::Float(number) => Json::from(*number),
        Value::String(text) => Json::from(&**text),
        Value::List(items) => Json::Array(
            items
                .iter()
                .map(|item| to_json(item, depth + 1))
                .collect::<Option<_>>()?,
        ),
        Value::Dict(dict) => Json::Object(
            dict.iter()
                .map(|(key, item)| Some((key.to_string(), to_json(item, depth + 1)?)))
                .collect::<Option<_>>()?,
        ),
    })
}

/// Integers beyond 64 bits keep their place among the numbers; only their last digits, which no
/// schema asks for, are lost.
fn big(number: &BigInt) -> Json {
    use num_traits::ToPrimitive;
    let number = number
        .to_u64()
        .map(Number::from)
        .or_else(|| Number::from_f64(number.to_f64()?.clamp(f64::MIN, f64::MAX)));
    number.map_or(Json::Null, Json::Number)
}

fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(from_json).collect(),
        Json::Object(members) => Value::from(
            members
                .iter()
                .map(|(key, member)| (key.as_str(), from_json(member)))
                .collect::<Dict>(),
        ),
    }
}
