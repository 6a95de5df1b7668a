//! A workflow as the stages of the inspection look at it: read without judging, short forms written
//! out as the reference engine does before it looks.

use std::sync::LazyLock;

use indexmap::IndexMap;
use regex::Regex;
use squall_value::{Dict, Str, Value};

use super::Dialect;
use super::path::Path;
use crate::definition::{COMMANDS, inline};

/// The parts of a workflow.
#[derive(Default)]
pub(crate) struct Document {
    /// The definition with `with: <text>` written out: what the schema is held against.
    pub(crate) source: Value,
    pub(crate) input: Value,
    pub(crate) vars: Value,
    pub(crate) output: Value,
    pub(crate) timeout: Value,
    pub(crate) tasks: IndexMap<Str, Task>,
}

/// A task.
#[derive(Default)]
pub(crate) struct Task {
    pub(crate) delay: Value,
    pub(crate) timeout: Value,
    pub(crate) join: Value,
    /// Whether there is a `with`, even an empty one.
    pub(crate) has_items: bool,
    pub(crate) items: Value,
    pub(crate) concurrency: Value,
    pub(crate) action: Value,
    pub(crate) input: Value,
    pub(crate) retry: Option<Retry>,
    pub(crate) next: Vec<Transition>,
}

/// A retry block.
pub(crate) struct Retry {
    pub(crate) when: Value,
    pub(crate) count: Value,
    pub(crate) delay: Value,
}

/// An entry of `next`.
pub(crate) struct Transition {
    pub(crate) when: Value,
    pub(crate) publish: Value,
    /// As it was written; `continue` if it was not.
    pub(crate) action: Value,
    pub(crate) targets: Vec<Str>,
}

/// What keeps a workflow from being looked at as one.
pub(crate) struct Refusal {
    pub(crate) path: Path,
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\w+$").expect("a fixed pattern"));

/// Reads what can be read; the rest is refused part by part. What is not part of the dialect is left
/// to the schema.
pub(crate) fn read(root: &Value, dialect: Dialect) -> (Document, Vec<Refusal>) {
    let mut reader = Reader {
        dialect,
        refusals: Vec::new(),
    };
    let document = reader.document(root);
    (document, reader.refusals)
}

/// Whether `name` is an engine command.
pub(crate) fn is_command(name: &str) -> bool {
    COMMANDS.contains(&name)
}

struct Reader {
    dialect: Dialect,
    refusals: Vec<Refusal>,
}

impl Reader {
    fn refuse(&mut self, path: &Path, message: impl Into<String>, help: &'static str) {
        self.refusals.push(Refusal {
            path: path.clone(),
            message: message.into(),
            help,
        });
    }

    fn document(&mut self, root: &Value) -> Document {
        let Some(dict) = root.as_dict().filter(|dict| !dict.is_empty()) else {
            let message = if root.is_truthy() {
                format!("a workflow is a mapping, this is {}", kind(root))
            } else {
                "the workflow is empty".to_owned()
            };
            self.refuse(
                &Path::root(),
                message,
                "write at least `version: 1.0` and `tasks`",
            );
            return Document {
                source: root.clone(),
                ..Document::default()
            };
        };
        let source = with_written_out(dict);
        let part = |name: &str| source.get(name).cloned().unwrap_or_default();
        let mut document = Document {
            input: part("input"),
            vars: part("vars"),
            output: part("output"),
            timeout: self.timeout(&source),
            tasks: IndexMap::new(),
            source: Value::Null,
        };
        let path = Path::root().key("tasks");
        match source.get("tasks") {
            Some(Value::Dict(tasks)) => {
                document.tasks.reserve(tasks.len());
                for (name, task) in tasks.iter() {
                    let task = self.task(&path.key(name.clone()), name, task);
                    document.tasks.insert(name.clone(), task);
                }
            }
            Some(other) if other.is_truthy() => {
                let message = format!(
                    "`tasks` is a mapping of names to tasks, this is {}",
                    kind(other)
                );
                self.refuse(
                    &path,
                    message,
                    "write each task as `name:` with its parts below it",
                );
            }
            _ => {}
        }
        document.source = source;
        document
    }

    fn task(&mut self, path: &Path, name: &Str, value: &Value) -> Task {
        if !WORD.is_match(name) {
            self.refuse(
                path,
                format!("the task name `{name}` has other characters than letters, digits and `_`"),
                "rename the task",
            );
        }
        let Some(dict) = value.as_dict().filter(|dict| !dict.is_empty()) else {
            let message = if value.is_truthy() {
                format!("the task `{name}` is {}, not a mapping", kind(value))
            } else {
                format!("the task `{name}` is empty")
            };
            self.refuse(
                path,
                message,
                "give it an `action`, or `action: core.noop` to do nothing",
            );
            return Task::default();
        };
        let part = |name: &str| dict.get(name).cloned().unwrap_or_default();
        let mut task = Task {
            delay: part("delay"),
            timeout: self.timeout(value),
            join: part("join"),
            has_items: !part("with").is_null(),
            action: part("action"),
            input: part("input"),
            ..Task::default()
        };
        if let Some(with) = self.mapping(path, "with", dict.get("with")) {
            task.items = with.get("items").cloned().unwrap_or_default();
            task.concurrency = with.get("concurrency").cloned().unwrap_or_default();
        }
        if let Some(retry) = self.mapping(path, "retry", dict.get("retry")) {
            let part = |name: &str| retry.get(name).cloned().unwrap_or_default();
            task.retry = Some(Retry {
                when: part("when"),
                count: part("count"),
                delay: part("delay"),
            });
        }
        inline_parameters(&mut task);
        task.next = self.transitions(&path.key("next"), dict.get("next"));
        task
    }

    /// The time limit of a workflow or task.
    fn timeout(&self, of: &Value) -> Value {
        match self.dialect {
            Dialect::Squall => of.get("timeout").cloned().unwrap_or_default(),
            Dialect::Orquesta => Value::Null,
        }
    }

    /// The mapping `name` of a task, if it is there and not empty.
    fn mapping<'v>(
        &mut self,
        path: &Path,
        name: &'static str,
        value: Option<&'v Value>,
    ) -> Option<&'v Dict> {
        let value = value.filter(|value| value.is_truthy())?;
        let dict = value.as_dict();
        if dict.is_none() {
            let message = format!("`{name}` is {}, not a mapping", kind(value));
            self.refuse(
                &path.key(name),
                message,
                "write its parts below it, one per line",
            );
        }
        dict
    }

    fn transitions(&mut self, path: &Path, value: Option<&Value>) -> Vec<Transition> {
        match value {
            Some(Value::List(items)) => items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| self.transition(&path.index(index), item))
                .collect(),
            Some(other) if other.is_truthy() => {
                let message = format!("`next` is a list of transitions, this is {}", kind(other));
                self.refuse(path, message, "begin each transition with `- `");
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn transition(&mut self, path: &Path, value: &Value) -> Option<Transition> {
        let Some(dict) = value.as_dict().filter(|dict| !dict.is_empty()) else {
            let message = if value.is_truthy() {
                format!("a transition is a mapping, this is {}", kind(value))
            } else {
                "the transition is empty".to_owned()
            };
            self.refuse(
                path,
                message,
                "write `when`, `publish` or `do`, or remove it",
            );
            return None;
        };
        let part = |name: &str| dict.get(name).cloned().unwrap_or_default();
        let publish = match part("publish") {
            Value::String(text) if !text.is_empty() => assignments(&text),
            other => other,
        };
        let action = Some(part("do")).filter(Value::is_truthy);
        let action = action.unwrap_or_else(|| Value::from("continue"));
        let targets = match &action {
            Value::String(text) => text.split(',').map(|name| Str::from(name.trim())).collect(),
            Value::List(names) => names
                .iter()
                .map(|name| Str::from(squall_value::python::str(name)))
                .collect(),
            // The reference engine takes the keys for names; the schema speaks of the rest.
            Value::Dict(dict) => dict.keys().cloned().collect(),
            other => {
                let message = format!("`do` names tasks, this is {}", kind(other));
                self.refuse(
                    &path.key("do"),
                    message,
                    "write the name of a task or a list of names",
                );
                Vec::new()
            }
        };
        Some(Transition {
            when: part("when"),
            publish,
            action,
            targets,
        })
    }
}

/// Inline parameters as a list of single assignments.
pub(crate) fn assignments(text: &str) -> Value {
    inline::parse(text)
        .into_iter()
        .map(|(name, value)| Value::from(Dict::from_iter([(name, value)])))
        .collect()
}

fn inline_parameters(task: &mut Task) {
    let Some(text) = task.action.as_str() else {
        return;
    };
    let parameters = inline::parse(text);
    if parameters.is_empty() {
        return;
    }
    let name = Value::from(text.split(' ').next().unwrap_or(text));
    task.input = Value::from(parameters.into_iter().collect::<Dict>());
    task.action = name;
}

fn with_written_out(dict: &Dict) -> Value {
    let mut source = dict.clone();
    if let Some(Value::Dict(tasks)) = dict.get("tasks") {
        let mut tasks = (**tasks).clone();
        for (_, task) in tasks.iter_mut() {
            if let (Some(dict), Some(Value::String(text))) = (task.as_dict(), task.get("with")) {
                let mut written = dict.clone();
                written.insert("with", squall_value::dict! { "items" => text.clone() });
                *task = Value::from(written);
            }
        }
        source.insert("tasks", tasks);
    }
    Value::from(source)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) => "a number",
        Value::String(_) => "a text",
        Value::List(_) => "a list",
        Value::Dict(_) => "a mapping",
    }
}
