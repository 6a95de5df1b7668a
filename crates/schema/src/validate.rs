//! Is a value what its schema asks for?

use std::fmt;

use indexmap::IndexMap;
use squall_value::{Dict, Str, Value, python};

use crate::draft4::{self, Nullable, Schema};
use crate::mask::Mask;
use crate::parameter::{Declared, Parameter, Parameters};
use crate::types::Type;

/// One thing wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The keys and indices that lead to it.
    pub path: Vec<Str>,
    /// What is wrong, with secrets masked.
    pub message: String,
}

impl Violation {
    pub(crate) fn new(message: String) -> Violation {
        Violation {
            path: Vec::new(),
            message,
        }
    }

    fn at(name: &Str, message: String) -> Violation {
        Violation {
            path: vec![name.clone()],
            message,
        }
    }
}

/// A value is not what its schema asks for. `Display` is the first finding, in StackStorm's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// All findings, the most general first; at least one.
    pub violations: Vec<Violation>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.violations.first() {
            Some(violation) => f.write_str(&violation.message),
            None => f.write_str("invalid value"),
        }
    }
}

impl std::error::Error for Invalid {}

impl Invalid {
    fn check(violations: Vec<Violation>) -> Result<(), Invalid> {
        if violations.is_empty() {
            Ok(())
        } else {
            Err(Invalid { violations })
        }
    }
}

/// Checks values against one schema of any form: payloads, outputs.
#[derive(Debug)]
pub struct Validator {
    schema: Schema,
    mask: Mask,
}

impl Validator {
    /// Compiles a schema.
    ///
    /// # Errors
    ///
    /// What is wrong with the schema, for its author.
    pub fn new(schema: &Value, nullable: Nullable) -> Result<Validator, String> {
        Ok(Validator {
            schema: Schema::new(schema, nullable, false)?,
            mask: Mask::new(schema),
        })
    }

    /// Whether `value` is what the schema asks for.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with all that is wrong.
    pub fn validate(&self, value: &Value) -> Result<(), Invalid> {
        Invalid::check(self.schema.violations(value, &self.mask.apply(value)))
    }
}

/// Checks given parameters against their definitions. Compiled once, used for every execution: a
/// parameter of a plain type costs a comparison.
#[derive(Debug, Default)]
pub struct ParameterValidator {
    properties: IndexMap<Str, Property>,
    allows_others: bool,
    ignores_templates: bool,
}

#[derive(Debug)]
struct Property {
    /// It has to be there, and no default steps in.
    is_required: bool,
    check: Check,
    mask: Mask,
}

#[derive(Debug)]
enum Check {
    Anything,
    Plain {
        kinds: Vec<Type>,
        values: Option<Vec<Value>>,
    },
    Schema(Box<Schema>),
}

impl ParameterValidator {
    /// Compiles definitions; other names than theirs are refused. A definition that can't be
    /// compiled is reported and lets everything pass.
    #[must_use]
    pub fn new(parameters: &Parameters) -> (ParameterValidator, Vec<(Str, String)>) {
        let mut broken = Vec::new();
        let properties = parameters
            .iter()
            .map(|(name, parameter)| {
                let property = Property::new(parameter).unwrap_or_else(|reason| {
                    broken.push((name.clone(), reason));
                    Property {
                        is_required: parameter.required && parameter.default.is_none(),
                        check: Check::Anything,
                        mask: Mask::new(parameter.attributes()),
                    }
                });
                (name.clone(), property)
            })
            .collect();
        let validator = ParameterValidator {
            properties,
            ..ParameterValidator::default()
        };
        (validator, broken)
    }

    /// Lets names without a definition pass.
    #[must_use]
    pub fn allowing_others(self) -> ParameterValidator {
        ParameterValidator {
            allows_others: true,
            ..self
        }
    }

    /// Lets texts with template markers pass wherever they stand: what they become is only known
    /// when they are rendered.
    #[must_use]
    pub fn ignoring_templates(self) -> ParameterValidator {
        ParameterValidator {
            ignores_templates: true,
            ..self
        }
    }

    /// Whether `given` is what the definitions ask for. Absent and null parameters get their
    /// default later and are only refused where there is none and one is required.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with all that is wrong.
    pub fn validate(&self, given: &Dict) -> Result<(), Invalid> {
        let mut violations = Vec::new();
        if !self.allows_others {
            // Action without parameters: StackStorm accepts whatever is given.
            let others: Vec<&Str> = given
                .keys()
                .filter(|name| !self.properties.contains_key(&***name))
                .collect();
            if !others.is_empty() && !self.properties.is_empty() {
                violations.push(Violation::new(draft4::unexpected_properties(&others)));
            }
        }
        for (name, property) in &self.properties {
            property.check(name, given.get(name), &mut violations);
        }
        if self.ignores_templates && !violations.is_empty() {
            let whole = Value::from(given.clone());
            violations.retain(|violation| !is_template(&whole, &violation.path));
        }
        Invalid::check(violations)
    }
}

fn is_template(value: &Value, path: &[Str]) -> bool {
    path.iter()
        .try_fold(value, |value, key| match value {
            Value::List(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
            other => other.get(key),
        })
        .is_some_and(squall_expr::is_jinja_expression)
}

impl Property {
    fn new(parameter: &Parameter) -> Result<Property, String> {
        let is_required = parameter.required && parameter.default.is_none();
        let check = match Check::plain(parameter) {
            Some(check) => check,
            None => Check::Schema(Box::new(Schema::new(
                parameter.attributes(),
                Nullable::Optional,
                shows_null(parameter),
            )?)),
        };
        Ok(Property {
            is_required,
            check,
            mask: Mask::new(parameter.attributes()),
        })
    }

    fn check(&self, name: &Str, value: Option<&Value>, violations: &mut Vec<Violation>) {
        let value = match value {
            Some(value) if !value.is_null() || self.is_required => value,
            Some(_) => return,
            None if self.is_required => {
                let quoted = python::repr(&Value::String(name.clone()));
                violations.push(Violation::at(
                    name,
                    format!("{quoted} is a required property"),
                ));
                return;
            }
            None => return,
        };
        match &self.check {
            Check::Anything => {}
            Check::Plain { kinds, values } => {
                let message = plain_message(kinds, values.as_deref(), value, &self.mask);
                violations.extend(message.map(|message| Violation::at(name, message)));
            }
            Check::Schema(schema) => {
                let found = schema.violations(value, &self.mask.apply(value));
                violations.extend(found.into_iter().map(|mut violation| {
                    violation.path.insert(0, name.clone());
                    violation
                }));
            }
        }
    }
}

/// Whether null is among the types that a message names: for what is optional and has no default
/// but null.
fn shows_null(parameter: &Parameter) -> bool {
    let is_null_by_default = parameter.default.as_ref().is_none_or(Value::is_null);
    is_null_by_default && (parameter.default.is_some() || !parameter.required)
}

impl Check {
    /// The check of a definition that has nothing but types and a list of values.
    fn plain(parameter: &Parameter) -> Option<Check> {
        const HARMLESS: [&str; 11] = [
            "type",
            "enum",
            "required",
            "secret",
            "immutable",
            "position",
            "default",
            "description",
            "title",
            "id",
            "$schema",
        ];
        let attributes = parameter.attributes().as_dict()?;
        if !attributes.keys().all(|key| HARMLESS.contains(&&**key)) {
            return None;
        }
        let values = match attributes.get("enum") {
            Some(Value::List(values)) => Some(values.to_vec()),
            Some(_) => return None,
            None => None,
        };
        let mut kinds = match &parameter.declared {
            Declared::One(kind) => vec![*kind],
            Declared::Many(kinds) => kinds.clone(),
            Declared::Any => Vec::new(),
            // Compiling it reports the unknown name.
            Declared::Unknown(_) => return None,
        };
        if kinds.is_empty() && values.is_none() {
            return Some(Check::Anything);
        }
        if !kinds.is_empty() && shows_null(parameter) && !kinds.contains(&Type::Null) {
            kinds.push(Type::Null);
        }
        Some(Check::Plain { kinds, values })
    }
}

fn plain_message(
    kinds: &[Type],
    values: Option<&[Value]>,
    value: &Value,
    mask: &Mask,
) -> Option<String> {
    if !kinds.is_empty() && !kinds.iter().any(|kind| kind.admits(value)) {
        let names: Value = kinds.iter().map(|kind| Value::from(kind.name())).collect();
        return Some(draft4::not_of_type(&mask.apply(value), Some(&names)));
    }
    let values = values?;
    if values.iter().any(|allowed| is_same(allowed, value)) {
        return None;
    }
    Some(format!(
        "{} is not one of {}",
        python::repr(&mask.apply(value)),
        python::repr(&Value::from(values.to_vec()))
    ))
}

/// Equality of JSON: numbers by their value.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            a.as_number() == b.as_number()
        }
        _ => a == b,
    }
}
