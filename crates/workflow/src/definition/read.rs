//! From data to a [`Definition`].

use std::collections::HashMap;
use std::sync::LazyLock;

use indexmap::IndexMap;
use regex::Regex;
use squall_value::{Dict, Str, Value};
use squall_yaml::{Node, Position};

use super::{
    Assignment, Definition, Diagnostic, Items, Join, Language, OnFailure, Retry, Task, Transition,
    inline,
};
use crate::graph::Graph;
use crate::template::Template;

/// How many tasks a definition may have; more is refused before any work is spent on it.
const TASKS_MAX: usize = 100_000;

/// The name part of `x, y in <% .. %>`.
static NAMES: LazyLock<Regex> = LazyLock::new(|| Regex::new(" in ").expect("a fixed pattern"));

impl Definition {
    /// Reads an Orquesta workflow from YAML text.
    ///
    /// # Errors
    ///
    /// What keeps it from being run; problems beyond that are found by the inspection.
    pub fn parse(text: &str) -> Result<Definition, Vec<Diagnostic>> {
        let document = squall_yaml::load(text, &squall_yaml::Options::strict())
            .map_err(|failure| failure.diagnostics)?;
        Definition::from_node(&document.root)
    }

    /// Reads an Orquesta workflow from a document that was read before.
    ///
    /// # Errors
    ///
    /// As [`Definition::parse`].
    pub fn from_node(node: &Node) -> Result<Definition, Vec<Diagnostic>> {
        read(&node.to_value()).map_err(|problems| {
            let located = |problem: Problem| {
                let mut diagnostic =
                    Diagnostic::error(position(node, &problem.path), problem.message);
                diagnostic.path = problem.path;
                diagnostic
            };
            problems.into_iter().map(located).collect()
        })
    }

    /// Reads an Orquesta workflow from data; problems have paths, but no positions.
    ///
    /// # Errors
    ///
    /// As [`Definition::parse`].
    pub fn from_value(source: &Value) -> Result<Definition, Vec<Diagnostic>> {
        read(source).map_err(|problems| {
            let located = |problem: Problem| {
                let mut diagnostic = Diagnostic::error(Position::START, problem.message);
                diagnostic.path = problem.path;
                diagnostic
            };
            problems.into_iter().map(located).collect()
        })
    }
}

fn read(source: &Value) -> Result<Definition, Vec<Problem>> {
    let mut reader = Reader::default();
    match reader.workflow(source) {
        Some(definition) if reader.problems.is_empty() => Ok(definition),
        _ => Err(reader.problems),
    }
}

/// The place of `path` in a document, or of the deepest part of it that exists.
fn position(node: &Node, path: &str) -> Position {
    let mut node = node;
    for part in path.split(['.', '[']) {
        let next = match part.strip_suffix(']') {
            Some(index) => index
                .parse::<usize>()
                .ok()
                .and_then(|index| node.as_sequence()?.get(index)),
            None => node.get(part),
        };
        match next {
            Some(next) => node = next,
            None => break,
        }
    }
    node.position()
}

struct Problem {
    path: String,
    message: String,
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn problem(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(Problem {
            message: message.into(),
            path: path.to_owned(),
        });
    }

    fn workflow(&mut self, source: &Value) -> Option<Definition> {
        let Some(dict) = source.as_dict() else {
            self.problem("", "a workflow is a mapping with `version` and `tasks`");
            return None;
        };
        if let Some(version) = dict.get("version") {
            let is_known = version.as_str() == Some("1.0") || version.as_number() == Some(1.0);
            if !is_known {
                let text = squall_value::python::repr(version);
                self.problem("version", format!("version {text} is unknown, write 1.0"));
            }
        }
        let source = with_written_out(dict);
        let Some(tasks) = source.get("tasks").and_then(Value::as_dict) else {
            self.problem("tasks", "`tasks` is a mapping of task names to tasks");
            return None;
        };
        if tasks.len() > TASKS_MAX {
            let message = format!("{} tasks, at most {TASKS_MAX} are allowed", tasks.len());
            self.problem("tasks", message);
            return None;
        }
        let mut named = IndexMap::with_capacity(tasks.len());
        for (name, value) in tasks.iter() {
            let path = format!("tasks.{name}");
            named.insert(name.clone(), self.task(&path, value));
        }
        let get = |key: &str| source.get(key).unwrap_or(&Value::Null);
        let input = self.assignments("input", get("input"), true);
        let vars = self.assignments("vars", get("vars"), false);
        let output = self.assignments("output", get("output"), false);
        let timeout = template(source.get("timeout"));
        let graph = Graph::new(&named);
        Some(Definition {
            notify: HashMap::new(),
            language: Language::Orquesta,
            source,
            input,
            vars,
            output,
            tasks: named,
            timeout,
            graph,
        })
    }

    /// A list of single-key mappings, or of names where `bare_names` allows it.
    fn assignments(&mut self, path: &str, value: &Value, bare_names: bool) -> Vec<Assignment> {
        match value {
            Value::Null => Vec::new(),
            Value::List(entries) => {
                let mut assignments = Vec::with_capacity(entries.len());
                for (index, entry) in entries.iter().enumerate() {
                    match entry {
                        Value::String(name) if bare_names => {
                            assignments.push(Assignment::new(name.clone(), Value::Null));
                        }
                        Value::Dict(dict) if !dict.is_empty() => {
                            let (name, value) = dict.get_index(0).expect("it is not empty");
                            assignments.push(Assignment::new(name.clone(), value.clone()));
                        }
                        _ => self.problem(
                            &format!("{path}[{index}]"),
                            "write `name: value`, one per list entry",
                        ),
                    }
                }
                assignments
            }
            other if !other.is_truthy() => Vec::new(),
            other => {
                let message = format!("a list of `name: value` is needed, not {}", other.kind());
                self.problem(path, message);
                Vec::new()
            }
        }
    }

    fn task(&mut self, path: &str, value: &Value) -> Task {
        let dict = match value {
            Value::Dict(dict) => dict,
            // The inspection speaks of it; at run time it is a task that passes control on.
            Value::Null => return Task::default(),
            other => {
                let message = format!("a task is a mapping, not {}", other.kind());
                self.problem(path, message);
                return Task::default();
            }
        };
        let mut task = Task {
            action: template(dict.get("action")),
            input: template(dict.get("input")),
            delay: template(dict.get("delay").filter(|delay| delay.is_truthy())),
            timeout: template(dict.get("timeout")),
            ..Task::default()
        };
        if let Some(Value::String(action)) = dict.get("action") {
            inline_parameters(&mut task, action);
        }
        task.with = self.items(path, dict.get("with"));
        task.join = self.join(path, dict.get("join"));
        task.retry = self.retry(path, dict.get("retry"));
        task.on_failure = self.on_failure(path, dict.get("on_failure"));
        match dict.get("next") {
            Some(Value::List(entries)) => {
                for (index, entry) in entries.iter().enumerate() {
                    let transition = self.transition(&format!("{path}.next[{index}]"), entry);
                    task.next.push(transition);
                }
            }
            Some(other) if other.is_truthy() => {
                let path = format!("{path}.next");
                self.problem(&path, format!("`next` is a list, not {}", other.kind()));
            }
            _ => {}
        }
        task
    }

    fn items(&mut self, path: &str, with: Option<&Value>) -> Option<Items> {
        let with = with.filter(|with| with.is_truthy())?;
        let text = with.as_str().or_else(|| with.get("items")?.as_str());
        let Some(text) = text else {
            let path = format!("{path}.with");
            self.problem(&path, "`with` names its items: `x in <% ctx().xs %>`");
            return None;
        };
        let (names, list) = match NAMES.find(text) {
            None => (Vec::new(), text.trim()),
            Some(found) => {
                let names = text[..found.start()].replace(' ', "");
                let names = names.split(',').map(Str::from).collect();
                (names, text[found.end()..].trim())
            }
        };
        Some(Items {
            text: Str::from(text),
            names,
            list: Template::new(list),
            concurrency: template(with.get("concurrency")),
        })
    }

    fn join(&mut self, path: &str, join: Option<&Value>) -> Option<Join> {
        match join {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if &**text == "all" => Some(Join::All),
            Some(Value::Int(count)) if *count >= 0 => {
                Some(Join::Count(usize::try_from(*count).unwrap_or(usize::MAX)))
            }
            Some(other) => {
                let text = squall_value::python::repr(other);
                let message = format!("`join` is `all` or a number of tasks, not {text}");
                self.problem(&format!("{path}.join"), message);
                None
            }
        }
    }

    fn retry(&mut self, path: &str, retry: Option<&Value>) -> Option<Retry> {
        let retry = retry.filter(|retry| retry.is_truthy())?;
        let Some(dict) = retry.as_dict() else {
            let path = format!("{path}.retry");
            self.problem(&path, "`retry` is a mapping with `count`");
            return None;
        };
        Some(Retry {
            when: template(dict.get("when")),
            count: template(dict.get("count")),
            delay: template(dict.get("delay")),
        })
    }

    fn on_failure(&mut self, path: &str, value: Option<&Value>) -> OnFailure {
        match value {
            None | Some(Value::Null) => OnFailure::Proceed,
            Some(Value::String(text)) if &**text == "hold" => OnFailure::Hold,
            Some(Value::String(text)) if &**text == "proceed" => OnFailure::Proceed,
            Some(other) => {
                let text = squall_value::python::repr(other);
                let message = format!("`on_failure` is `proceed` or `hold`, not {text}");
                self.problem(&format!("{path}.on_failure"), message);
                OnFailure::Proceed
            }
        }
    }

    fn transition(&mut self, path: &str, value: &Value) -> Transition {
        let empty = Dict::new();
        let dict = match value {
            Value::Dict(dict) => dict,
            Value::Null => &empty,
            other => {
                let message = format!("a transition is a mapping, not {}", other.kind());
                self.problem(path, message);
                &empty
            }
        };
        let publish = match dict.get("publish") {
            Some(Value::String(text)) => inline::parse(text)
                .into_iter()
                .map(|(name, value)| Assignment::new(name, value))
                .collect(),
            other => {
                let path = format!("{path}.publish");
                self.assignments(&path, other.unwrap_or(&Value::Null), false)
            }
        };
        Transition {
            when: template(dict.get("when").filter(|when| when.is_truthy())),
            publish,
            targets: self.targets(path, dict.get("do")),
        }
    }

    fn targets(&mut self, path: &str, value: Option<&Value>) -> Vec<Str> {
        match value {
            Some(Value::String(text)) if !text.is_empty() => {
                text.split(',').map(|name| Str::from(name.trim())).collect()
            }
            Some(Value::List(names)) if !names.is_empty() => {
                let mut targets = Vec::with_capacity(names.len());
                for (index, name) in names.iter().enumerate() {
                    match name {
                        Value::String(name) => targets.push(name.clone()),
                        other => {
                            let message = format!("a task's name is needed, not {}", other.kind());
                            self.problem(&format!("{path}.do[{index}]"), message);
                        }
                    }
                }
                targets
            }
            Some(other) if other.is_truthy() => {
                let message = format!("`do` names tasks, it is not {}", other.kind());
                self.problem(&format!("{path}.do"), message);
                Vec::new()
            }
            _ => vec![Str::from("continue")],
        }
    }
}

fn template(value: Option<&Value>) -> Option<Template> {
    value
        .filter(|value| !value.is_null())
        .map(|value| Template::new(value.clone()))
}

/// Moves parameters out of the action's text. They replace an `input` block, as in the reference
/// engine, which definitions rely on.
fn inline_parameters(task: &mut Task, action: &str) {
    let parameters = inline::parse(action);
    if parameters.is_empty() {
        return;
    }
    let name = action.split(' ').next().unwrap_or(action);
    task.action = Some(Template::new(name));
    let input: Dict = parameters.into_iter().collect();
    task.input = Some(Template::new(input));
}

/// The definition with `with: "<text>"` written as `with: {items: "<text>"}`.
fn with_written_out(dict: &Dict) -> Value {
    let mut source = dict.clone();
    let Some(Value::Dict(tasks)) = dict.get("tasks") else {
        return Value::from(source);
    };
    let mut tasks = (**tasks).clone();
    for (_, task) in tasks.iter_mut() {
        if let Some(Value::String(text)) = task.get("with") {
            let with = squall_value::dict! { "items" => text.clone() };
            let mut written = task.as_dict().cloned().unwrap_or_default();
            written.insert("with", with);
            *task = Value::from(written);
        }
    }
    source.insert("tasks", tasks);
    Value::from(source)
}
