//! The door.

use std::collections::BTreeSet;

use squall_value::{Dict, Value};

use crate::statement::{self, Node};
use crate::{Context, Error, Invalid, Kind, Limits, Reference, Scope, Statement, Undefined};

/// Compiled texts, cached, and the limits on evaluation. Shared by all threads; one per process is
/// enough.
pub struct Expressions {
    limits: Limits,
}

impl Default for Expressions {
    fn default() -> Expressions {
        Expressions::new(Limits::default())
    }
}

impl Expressions {
    /// An empty cache with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Expressions {
        Expressions { limits }
    }

    /// Scans a workflow statement for expressions.
    #[must_use]
    pub fn compile(&self, statement: &Value) -> Statement {
        Statement::new(statement)
    }

    /// The value of a statement as plain data: sets, tuples and iterators are lists, dates are ISO
    /// text.
    ///
    /// # Errors
    ///
    /// `YaqlEvaluationException` or `JinjaEvaluationException` naming the expression and the cause.
    pub fn evaluate(&self, statement: &Statement, scope: &dyn Scope) -> Result<Value, Error> {
        let _ = scope;
        match &statement.node {
            Node::Plain(value) => Ok(value.clone()),
            _ => Err(not_yet()),
        }
    }

    /// All syntax errors in a statement, without evaluating anything.
    #[must_use]
    pub fn validate(&self, statement: &Value) -> Vec<Invalid> {
        let _ = statement;
        Vec::new()
    }

    /// The workflow variables that a statement names, sorted by name, without repetitions.
    #[must_use]
    pub fn references(&self, statement: &Value) -> Vec<Reference> {
        let _ = statement;
        Vec::new()
    }

    /// The text of a template outside workflows.
    ///
    /// # Errors
    ///
    /// What Jinja would raise, under its class name: `TemplateSyntaxError`, `UndefinedError`,
    /// `TypeError` …
    pub fn render(
        &self,
        template: &str,
        context: &Context<'_>,
        undefined: Undefined,
    ) -> Result<String, Error> {
        let _ = (template, context, undefined, self.limits);
        Err(not_yet())
    }

    /// The names that a template reads from outside, which is what the dependencies among
    /// parameters are made of.
    ///
    /// # Errors
    ///
    /// `TemplateSyntaxError`.
    pub fn undeclared_variables(&self, template: &str) -> Result<BTreeSet<String>, Error> {
        let _ = template;
        Err(not_yet())
    }

    /// Renders every key and value of a mapping (the rules of `render_values`): containers are
    /// rendered as JSON text and read back, other values become text if a template changed them.
    ///
    /// # Errors
    ///
    /// As [`Expressions::render`]; `JSONDecodeError` if a container is no longer JSON.
    pub fn render_values(&self, mapping: &Dict, context: &Context<'_>) -> Result<Dict, Error> {
        let _ = (mapping, context);
        Err(not_yet())
    }
}

fn not_yet() -> Error {
    Error::new("NotImplementedError", Kind::Other, "under construction")
}

/// Whether a value counts as a template: a string with `{{` or `{%` in it.
#[must_use]
pub fn is_jinja_expression(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.contains("{{") || text.contains("{%"))
}

/// Wraps every string that holds `{{…}}` or `{%…%}` in a raw section, within lists and dictionary
/// values too, so that rendering gives it back unchanged.
#[must_use]
pub fn convert_jinja_to_raw_block(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let is_template = statement::Sections::new(text, "{{", "}}").next().is_some()
                || statement::Sections::new(text, "{%", "%}").next().is_some();
            if is_template {
                Value::from(format!("{{% raw %}}{text}{{% endraw %}}"))
            } else {
                value.clone()
            }
        }
        Value::List(items) => items.iter().map(convert_jinja_to_raw_block).collect(),
        Value::Dict(dict) => Value::from(
            dict.iter()
                .map(|(key, item)| (key.clone(), convert_jinja_to_raw_block(item)))
                .collect::<Dict>(),
        ),
        other => other.clone(),
    }
}
