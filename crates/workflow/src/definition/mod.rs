//! What a workflow file says, in the form that the conductor works with.
//!
//! Reading is lenient where the reference engine is: the inspection reports what is unusual, reading
//! refuses only what has no meaning that could be run.

pub mod inline;
mod read;

use std::collections::HashMap;

use indexmap::IndexMap;
use squall_value::{Str, Value};

pub use squall_yaml::Diagnostic;

use crate::graph::Graph;
use crate::template::Template;

/// The names that engine commands have where a task could stand.
pub const COMMANDS: [&str; 4] = ["continue", "fail", "noop", "retry"];

/// A workflow definition together with its graph.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The language it was written in.
    pub language: Language,
    /// Its text as data, after short forms of `with` were written out.
    pub source: Value,
    /// Inputs in order, with defaults.
    pub input: Vec<Assignment>,
    /// Variables in order.
    pub vars: Vec<Assignment>,
    /// Outputs in order.
    pub output: Vec<Assignment>,
    /// Tasks by name, in the order of the file.
    pub tasks: IndexMap<Str, Task>,
    /// Seconds that the whole run may take.
    pub timeout: Option<Template>,
    /// How the tasks are connected.
    pub graph: Graph,
    /// Whom tasks of a chain tell of their end, where they say so themselves.
    pub(crate) notify: HashMap<Str, Value>,
}

/// The languages that the conductor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Orquesta's native language, version 1.0.
    Orquesta,
    /// StackStorm's action chains.
    Chain,
}

/// A name and the value it is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The name.
    pub name: Str,
    /// The value, perhaps with expressions.
    pub value: Template,
}

/// One task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    /// The reference of the action to run; a task without one only passes control on.
    pub action: Option<Template>,
    /// The action's parameters.
    pub input: Option<Template>,
    /// Runs the action once per item.
    pub with: Option<Items>,
    /// Waits for several tasks before it.
    pub join: Option<Join>,
    /// Seconds to wait before the action starts.
    pub delay: Option<Template>,
    /// Runs the action again when it fails.
    pub retry: Option<Retry>,
    /// Seconds that one run of the task may take.
    pub timeout: Option<Template>,
    /// What a failure leads to.
    pub on_failure: OnFailure,
    /// The transitions to later tasks.
    pub next: Vec<Transition>,
}

/// What a failure of a task leads to, once retries are used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Its transitions are evaluated.
    #[default]
    Proceed,
    /// It waits for a person to decide.
    Hold,
}

/// `with`: one run of the action per item.
#[derive(Clone, Debug, PartialEq)]
pub struct Items {
    /// The text as it was written: `x, y in <% .. %>`.
    pub text: Str,
    /// The names of the item's members; empty without ` in `.
    pub names: Vec<Str>,
    /// The expression that gives the list.
    pub list: Template,
    /// How many items may run at the same time.
    pub concurrency: Option<Template>,
}

/// How many tasks before it a join waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Every task that refers to it.
    All,
    /// This many of them.
    Count(usize),
}

/// `retry`: when and how often a task is run again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retry {
    /// The condition; without one, a failure.
    pub when: Option<Template>,
    /// How many further attempts, a number or an expression. Without it there is no retry.
    pub count: Option<Template>,
    /// Seconds before each further attempt.
    pub delay: Option<Template>,
}

/// One entry of `next`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transition {
    /// The condition; without one, always.
    pub when: Option<Template>,
    /// Variables to set, in order.
    pub publish: Vec<Assignment>,
    /// The names of the tasks and commands to go on with, in the order of the file.
    pub targets: Vec<Str>,
}

impl Definition {
    /// Whether a document is an action chain: it has a `chain` and no `tasks`.
    #[must_use]
    pub fn is_chain(document: &Value) -> bool {
        document.get("chain").is_some() && document.get("tasks").is_none()
    }

    /// Whether `name` is an engine command rather than a task. In a chain, which has no commands
    /// but the one that ends it, tasks may be called like the others.
    #[must_use]
    pub fn is_command(&self, name: &str) -> bool {
        let is_task = self.language == Language::Chain && self.tasks.contains_key(name);
        COMMANDS.contains(&name) && !is_task
    }
}

impl Assignment {
    /// A name with its value.
    #[must_use]
    pub fn new(name: impl Into<Str>, value: impl Into<Value>) -> Assignment {
        Assignment {
            name: name.into(),
            value: Template::new(value),
        }
    }
}

#[cfg(test)]
mod tests;
