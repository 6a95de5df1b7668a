//! A piece of a definition that may hold expressions.

use std::fmt;
use std::sync::OnceLock;

use squall_expr::{Error, Expressions, Scope, Statement};
use squall_value::Value;

/// A value of a definition that may hold expressions; compiled when it is first evaluated, and only
/// once per definition.
#[derive(Default)]
pub struct Template {
    source: Value,
    statement: OnceLock<Statement>,
}

impl Template {
    /// Wraps a value as it was written.
    #[must_use]
    pub fn new(source: impl Into<Value>) -> Template {
        Template {
            source: source.into(),
            statement: OnceLock::new(),
        }
    }

    /// The value as it was written.
    #[must_use]
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// The value with its expressions evaluated.
    ///
    /// # Errors
    ///
    /// As [`Expressions::evaluate`].
    pub fn evaluate(&self, expressions: &Expressions, scope: &dyn Scope) -> Result<Value, Error> {
        match &self.source {
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {
                Ok(self.source.clone())
            }
            Value::String(_) | Value::List(_) | Value::Dict(_) => {
                let statement = self
                    .statement
                    .get_or_init(|| expressions.compile(&self.source));
                expressions.evaluate(statement, scope)
            }
        }
    }
}

impl Clone for Template {
    fn clone(&self) -> Template {
        Template::new(self.source.clone())
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Template) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}
