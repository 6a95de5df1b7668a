//! The members of a metadata mapping, read with the errors that a person can act on.

use std::sync::Arc;

use squall_value::{Dict, Str, Value};
use squall_yaml::{Diagnostic, Node, Severity};

use crate::Finding;

/// One metadata file while it is read: its mapping, and what was found so far.
pub(crate) struct Members<'a> {
    pub(crate) file: &'a Str,
    pub(crate) node: &'a Node,
    pub(crate) findings: &'a mut Vec<Finding>,
    pub(crate) errors: usize,
}

impl<'a> Members<'a> {
    pub(crate) fn new(
        file: &'a Str,
        node: &'a Node,
        findings: &'a mut Vec<Finding>,
    ) -> Members<'a> {
        Members {
            file,
            node,
            findings,
            errors: 0,
        }
    }

    /// Whether nothing so far forbids to use the resource.
    pub(crate) fn is_usable(&self) -> bool {
        self.errors == 0
    }

    pub(crate) fn error(&mut self, at: Option<&str>, message: impl Into<String>, help: &str) {
        self.errors += 1;
        self.find(Severity::Error, at, message.into(), help);
    }

    pub(crate) fn warning(&mut self, at: Option<&str>, message: impl Into<String>, help: &str) {
        self.find(Severity::Warning, at, message.into(), help);
    }

    fn find(&mut self, severity: Severity, at: Option<&str>, message: String, help: &str) {
        let node = at
            .and_then(|member| self.node.get(member))
            .unwrap_or(self.node);
        let position = node.position();
        self.findings.push(Finding {
            file: self.file.clone(),
            diagnostic: Diagnostic {
                severity,
                line: position.line,
                column: position.column,
                path: at.map(str::to_owned).unwrap_or_default(),
                message,
                help: (!help.is_empty()).then(|| help.to_owned()),
            },
        });
    }

    fn present(&self, member: &str) -> Option<&'a Node> {
        self.node.get(member).filter(|node| !node.is_null())
    }

    /// A text that must be there and not be empty.
    pub(crate) fn required_text(&mut self, member: &'static str) -> Str {
        match self.text(member) {
            Some(text) if !text.is_empty() => text,
            Some(_) => {
                self.error(
                    Some(member),
                    format!("`{member}` is empty"),
                    "give it a value",
                );
                Str::from("")
            }
            None => {
                if self.present(member).is_none() {
                    self.error(
                        None,
                        format!("`{member}` is missing"),
                        &format!("add `{member}:`"),
                    );
                }
                Str::from("")
            }
        }
    }

    /// A text, or a number that was meant as one (`version: 1.0`).
    pub(crate) fn text(&mut self, member: &'static str) -> Option<Str> {
        let node = self.present(member)?;
        match node.to_value() {
            Value::String(text) => Some(text),
            value @ (Value::Int(_) | Value::Float(_) | Value::Bool(_)) => {
                Some(Str::from(squall_value::python::str(&value)))
            }
            _ => {
                let kind = node.kind_name();
                self.error(
                    Some(member),
                    format!("`{member}` must be text, not a {kind}"),
                    "",
                );
                None
            }
        }
    }

    /// A truth value with a default.
    pub(crate) fn truth(&mut self, member: &'static str, default: bool) -> bool {
        match self.present(member).map(|node| (node, node.to_value())) {
            None => default,
            Some((_, Value::Bool(truth))) => truth,
            Some((node, _)) => {
                let kind = node.kind_name();
                let message = format!("`{member}` must be true or false, not a {kind}");
                self.error(Some(member), message, "");
                default
            }
        }
    }

    /// A mapping; empty when absent.
    pub(crate) fn mapping(&mut self, member: &'static str) -> Arc<Dict> {
        match self.present(member).map(|node| (node, node.to_value())) {
            None => Arc::new(Dict::new()),
            Some((_, Value::Dict(dict))) => dict,
            Some((node, _)) => {
                let kind = node.kind_name();
                let message = format!("`{member}` must be a mapping, not a {kind}");
                self.error(Some(member), message, "");
                Arc::new(Dict::new())
            }
        }
    }

    /// A list; empty when absent.
    pub(crate) fn list(&mut self, member: &'static str) -> Value {
        match self.present(member).map(|node| (node, node.to_value())) {
            None => Value::empty_list(),
            Some((_, list @ Value::List(_))) => list,
            Some((node, _)) => {
                let kind = node.kind_name();
                let message = format!("`{member}` must be a list, not a {kind}");
                self.error(Some(member), message, "");
                Value::empty_list()
            }
        }
    }

    /// Whatever is there, or null.
    pub(crate) fn any(&self, member: &str) -> Value {
        self.present(member).map_or(Value::Null, Node::to_value)
    }
}
