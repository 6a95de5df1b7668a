//! Pack configurations: `config.schema.yaml` and the values that an installation gives.
//!
//! Source: StackStorm `st2common/util/config_loader.py` and `st2common/util/pack.py`.

use fancy_regex::Regex;
use squall_expr::{Context, Expressions, Host, Undefined, is_jinja_expression};
use squall_value::{Dict, Str, Value};

use crate::mask::{DEPTH_MAX, Mask};
use crate::parameter::Parameters;
use crate::validate::{Invalid, ParameterValidator};
use crate::{Diagnostic, check};

/// A `config.schema.yaml`, compiled.
#[derive(Debug, Default)]
pub struct ConfigSchema {
    definition: Value,
    validator: ParameterValidator,
    mask: Mask,
}

/// A configuration value can't be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("configuration value `{key}` can't be rendered: {message}")]
pub struct ResolveError {
    /// The dotted path of the value.
    pub key: String,
    /// Why.
    pub message: String,
}

/// Where dynamic values come from.
#[derive(Clone, Copy)]
pub struct ConfigSources<'a> {
    /// The template language.
    pub expressions: &'a Expressions,
    /// The datastore, and the key of its secrets.
    pub host: &'a dyn Host,
    /// The user whose part of the datastore is `st2kv.user`.
    pub user: &'a Str,
}

impl ConfigSchema {
    /// Compiles a schema: a mapping of names to definitions. A pack without one has the empty
    /// mapping, which takes any value.
    #[must_use]
    pub fn new(definition: &Value) -> (ConfigSchema, Vec<Diagnostic>) {
        let mut diagnostics = check::parameters(definition);
        let parameters = Parameters::new(definition);
        let (validator, broken) = ParameterValidator::new(&parameters);
        diagnostics.extend(check::broken(&diagnostics, broken));
        let schema = ConfigSchema {
            validator: validator.allowing_others().ignoring_templates(),
            mask: Mask::of_parameters(&parameters),
            definition: definition.clone(),
        };
        (schema, diagnostics)
    }

    /// Whether `values` are what the schema asks for. Names that it does not know pass, and so do
    /// texts with template markers, whose value is only known when they are resolved.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with all that is wrong.
    pub fn validate(&self, values: &Dict) -> Result<(), Invalid> {
        self.validator.validate(values)
    }

    /// The mask of the values.
    #[must_use]
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// The configuration that actions see: templates rendered (secret ones decrypted), defaults
    /// filled in at every depth.
    ///
    /// # Errors
    ///
    /// [`ResolveError`] for the first value that can't be rendered.
    pub fn resolve(
        &self,
        values: &Dict,
        sources: &ConfigSources<'_>,
    ) -> Result<Value, ResolveError> {
        let whole = properties_of(self.definition.clone());
        let values = Value::from(values.clone());
        let resolved = resolve(&whole, &values, &mut Vec::new(), sources)?;
        Ok(with_defaults(&whole, &resolved, 0))
    }

    /// `values` with defaults filled in at every depth, templates as they are.
    #[must_use]
    pub fn with_defaults(&self, values: &Dict) -> Value {
        let whole = properties_of(self.definition.clone());
        with_defaults(&whole, &Value::from(values.clone()), 0)
    }
}

fn properties_of(definition: Value) -> Value {
    squall_value::dict! { "type" => "object", "properties" => definition }
}

fn resolve<'v>(
    schema: &Value,
    value: &'v Value,
    path: &mut Vec<&'v str>,
    sources: &ConfigSources<'_>,
) -> Result<Value, ResolveError> {
    match value {
        Value::String(text) if is_jinja_expression(value) => render(schema, text, path, sources),
        Value::Dict(dict) => {
            let mut resolved = Dict::with_capacity(dict.len());
            for (key, item) in dict.iter() {
                path.push(key);
                let item = resolve(&member(schema, key), item, path, sources)?;
                path.pop();
                resolved.insert(key.clone(), item);
            }
            Ok(Value::from(resolved))
        }
        Value::List(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| resolve(&element(schema, index), item, path, sources))
            .collect(),
        _ => Ok(value.clone()),
    }
}

/// A rendered value is text, or null if it is empty.
fn render(
    schema: &Value,
    text: &Str,
    path: &[&str],
    sources: &ConfigSources<'_>,
) -> Result<Value, ResolveError> {
    let failed = |message: String| ResolveError {
        key: path.join("."),
        message,
    };
    let variables = Dict::new();
    let context = Context::new(&variables).with_datastore(sources.host, Some(sources.user));
    let rendered = sources
        .expressions
        .render(text, &context, Undefined::Strict)
        .map_err(|error| failed(error.message))?;
    if rendered.is_empty() {
        return Ok(Value::Null);
    }
    if schema.get("secret").is_some_and(Value::is_truthy) {
        return match sources.host.decrypt(&rendered) {
            Ok(plain) => Ok(Value::from(plain)),
            Err(error) => Err(failed(format!(
                "it is secret, so what the template gives is decrypted, which failed: {error}; \
                 store the datastore item encrypted, and don't use `decrypt_kv` here"
            ))),
        };
    }
    Ok(Value::from(rendered))
}

/// The definition of the member `key`: `properties` before `patternProperties` before
/// `additionalProperties`.
fn member(schema: &Value, key: &str) -> Value {
    if let Some(member) = schema.get_path(&["properties", key]) {
        return member.clone();
    }
    let patterns = schema.get("patternProperties").and_then(Value::as_dict);
    let matching = patterns
        .into_iter()
        .flat_map(Dict::iter)
        .find(|(pattern, _)| {
            Regex::new(pattern)
                .ok()
                .is_some_and(|pattern| pattern.is_match(key).unwrap_or(false))
        });
    match (matching, schema.get("additionalProperties")) {
        (Some((_, member)), _) => member.clone(),
        (None, Some(member @ Value::Dict(_))) => member.clone(),
        (None, _) => Value::Null,
    }
}

/// The definition of the element at `index`.
fn element(schema: &Value, index: usize) -> Value {
    match schema.get("items") {
        Some(Value::List(positional)) => positional
            .get(index)
            .or_else(|| schema.get("additionalItems"))
            .cloned()
            .unwrap_or_default(),
        Some(item) => item.clone(),
        None => Value::Null,
    }
}

/// Defaults at every depth. An object that is described but absent is made, so that the defaults of
/// its members have a place.
fn with_defaults(schema: &Value, value: &Value, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return value.clone();
    }
    match (schema.get("type").and_then(Value::as_str), value) {
        (Some("object"), Value::Dict(_) | Value::Null) if describes_members(schema) => {
            object_defaults(schema, value, depth)
        }
        (Some("array"), Value::List(items)) => items
            .iter()
            .enumerate()
            .map(|(index, item)| with_defaults(&element(schema, index), item, depth + 1))
            .collect(),
        _ => value.clone(),
    }
}

fn describes_members(schema: &Value) -> bool {
    ["properties", "patternProperties", "additionalProperties"]
        .iter()
        .any(|key| schema.get(key).is_some_and(Value::is_truthy))
}

fn object_defaults(schema: &Value, value: &Value, depth: usize) -> Value {
    let mut filled = value.as_dict().cloned().unwrap_or_default();
    let described = schema.get("properties").and_then(Value::as_dict);
    for (key, definition) in described.into_iter().flat_map(Dict::iter) {
        if let (Some(default), false) = (definition.get("default"), filled.contains_key(key)) {
            filled.insert(key.clone(), default.clone());
        }
        let current = filled.get(key).cloned().unwrap_or_default();
        let completed = with_defaults(definition, &current, depth + 1);
        if !completed.is_null() || filled.contains_key(key) {
            filled.insert(key.clone(), completed);
        }
    }
    let others: Vec<Str> = filled
        .keys()
        .filter(|key| described.is_none_or(|described| !described.contains_key(key)))
        .cloned()
        .collect();
    for key in others {
        let definition = member(schema, &key);
        if let Some(value) = filled.get_mut(&key) {
            *value = with_defaults(&definition, value, depth + 1);
        }
    }
    Value::from(filled)
}
