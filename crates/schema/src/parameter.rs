//! Parameter definitions: what an action or a runner says about each of its parameters.

use indexmap::IndexMap;
use squall_expr::{Error, is_jinja_expression};
use squall_value::{Dict, Str, Value};

use crate::cast;
use crate::types::Type;

/// The attribute `type` of a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declared {
    /// None: any value.
    Any,
    /// One type.
    One(Type),
    /// Any of several.
    Many(Vec<Type>),
    /// A name that JSON Schema does not know. Values pass unchanged and unchecked.
    Unknown(Str),
}

/// One parameter as its definition describes it.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// The declared type.
    pub declared: Declared,
    /// Whether a caller must give it, or its definition a default.
    pub required: bool,
    /// Whether its value is hidden from everyone but the action.
    pub secret: bool,
    /// Whether callers may not set it.
    pub immutable: bool,
    /// Its place among the positional arguments of a script.
    pub position: Option<i64>,
    /// What it is when nobody gives it. `Some(Null)` is a default as well.
    pub default: Option<Value>,
    /// Whether the default has template markers in any of its texts.
    pub(crate) default_has_marker: bool,
    attributes: Value,
}

impl Parameter {
    /// Reads a definition. Never fails: what makes no sense is as if absent;
    /// [`check::parameters`](crate::check::parameters) tells about it.
    #[must_use]
    pub fn new(attributes: &Value) -> Parameter {
        let flag = |key: &str| attributes.get(key).and_then(Value::as_bool) == Some(true);
        let default = attributes.get("default").cloned();
        Parameter {
            declared: declared(attributes.get("type")),
            required: flag("required"),
            secret: flag("secret"),
            immutable: flag("immutable"),
            position: attributes.get("position").and_then(Value::as_int),
            default_has_marker: default.as_ref().is_some_and(has_marker),
            default,
            attributes: if attributes.as_dict().is_some() {
                attributes.clone()
            } else {
                Value::empty_dict()
            },
        }
    }

    /// The definition as written.
    #[must_use]
    pub fn attributes(&self) -> &Value {
        &self.attributes
    }

    /// The text of attribute `description`.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.attributes.get("description").and_then(Value::as_str)
    }

    /// Whether the default is a text with template markers.
    #[must_use]
    pub fn default_is_template(&self) -> bool {
        self.default.as_ref().is_some_and(is_jinja_expression)
    }

    /// Casts `value` to the declared type; see [`cast::cast`].
    ///
    /// # Errors
    ///
    /// The error that Python raises for it.
    pub fn cast(&self, value: &Value) -> Result<Value, Error> {
        match &self.declared {
            Declared::One(kind) => cast::cast(*kind, value),
            Declared::Many(kinds) => Ok(cast::cast_any(kinds, value)),
            Declared::Any | Declared::Unknown(_) => Ok(value.clone()),
        }
    }
}

fn declared(attribute: Option<&Value>) -> Declared {
    match attribute {
        Some(Value::String(name)) => {
            Type::parse(name).map_or_else(|| Declared::Unknown(name.clone()), Declared::One)
        }
        Some(Value::List(names)) => {
            let kinds: Vec<Type> = names
                .iter()
                .filter_map(|name| name.as_str().and_then(Type::parse))
                .collect();
            if kinds.is_empty() || kinds.len() < names.len() {
                Declared::Any
            } else {
                Declared::Many(kinds)
            }
        }
        _ => Declared::Any,
    }
}

/// Whether a text anywhere in `value`, keys included, has a template marker.
pub(crate) fn has_marker(value: &Value) -> bool {
    match value {
        Value::String(text) => is_template(text),
        Value::List(items) => items.iter().any(has_marker),
        Value::Dict(dict) => dict
            .iter()
            .any(|(key, item)| is_template(key) || has_marker(item)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => false,
    }
}

fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// The parameters of an action or a runner, in the order of their definition.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    entries: IndexMap<Str, Parameter>,
}

impl Parameters {
    /// Reads a `parameters` mapping; anything but a mapping has no parameters. Never fails: see
    /// [`check::parameters`](crate::check::parameters).
    #[must_use]
    pub fn new(definition: &Value) -> Parameters {
        let entries = definition
            .as_dict()
            .into_iter()
            .flat_map(Dict::iter)
            .map(|(name, attributes)| (name.clone(), Parameter::new(attributes)))
            .collect();
        Parameters { entries }
    }

    /// The definition of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.entries.get(name)
    }

    /// All definitions in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Str, &Parameter)> {
        self.entries.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What a runner's parameters become for one action: the runner's come first; an action may
    /// override some attributes of one and inherits the rest.
    #[must_use]
    pub fn merge(runner: &Parameters, action: &Parameters) -> Parameters {
        let mut entries = runner.entries.clone();
        for (name, parameter) in &action.entries {
            let merged = match entries.get(name) {
                Some(inherited) => Parameter::new(&update(
                    inherited.attributes.clone(),
                    parameter.attributes(),
                )),
                None => parameter.clone(),
            };
            entries.insert(name.clone(), merged);
        }
        Parameters { entries }
    }
}

/// `base` with the entries of `changes`; dictionaries in both are merged the same way.
fn update(base: Value, changes: &Value) -> Value {
    match (&base, changes) {
        (Value::Dict(old), Value::Dict(new)) => {
            let mut dict = (**old).clone();
            for (key, change) in new.iter() {
                let value = match dict.get(key) {
                    Some(inner) => update(inner.clone(), change),
                    None => change.clone(),
                };
                dict.insert(key.clone(), value);
            }
            Value::from(dict)
        }
        _ => changes.clone(),
    }
}
