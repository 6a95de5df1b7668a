//! Action chains: `chain`, `default`, `vars`, with `publish`, `on-success` and `on-failure`.
//!
//! A chain becomes a graph like any workflow: a task has one transition for success and one for
//! failure. What is different is how values are rendered: parameters are Jinja templates, the
//! results of earlier tasks are variables under the tasks' names, and setting a variable replaces it.

use indexmap::IndexMap;
use squall_expr::Context;
use squall_value::{Dict, Str, Value};
use squall_yaml::{Diagnostic, Node, Position};

use crate::conductor::World;
use crate::context::{self, Values};
use crate::definition::{Assignment, Definition, Language, Task, Transition};
use crate::graph::Graph;
use crate::template::Template;

/// The variable that collects what was published. Templates can't see it.
pub(crate) const PUBLISHED: &str = "__published";

impl Definition {
    /// Reads an action chain from YAML text.
    ///
    /// # Errors
    ///
    /// What keeps it from being run: tasks without name or reference, two of one name, and links to
    /// tasks that are not there.
    pub fn parse_chain(text: &str) -> Result<Definition, Vec<Diagnostic>> {
        let document = squall_yaml::load(text, &squall_yaml::Options::default())
            .map_err(|failure| failure.diagnostics)?;
        Definition::chain_from_node(&document.root)
    }

    /// Reads an action chain from a document that was read before.
    ///
    /// # Errors
    ///
    /// As [`Definition::parse_chain`].
    pub fn chain_from_node(node: &Node) -> Result<Definition, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let source = node.to_value();
        let entries = node.get("chain").and_then(Node::as_sequence);
        let Some(entries) = entries.filter(|entries| !entries.is_empty()) else {
            problems.push(problem(
                node.position(),
                "chain",
                "`chain` is a list of tasks",
            ));
            return Err(problems);
        };
        let mut tasks: IndexMap<Str, Task> = IndexMap::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            match read_task(&entry.to_value()) {
                Ok((name, _)) if tasks.contains_key(&name) => {
                    let message = format!("there are two tasks `{name}`");
                    problems.push(problem(
                        entry.position(),
                        &format!("chain[{index}]"),
                        &message,
                    ));
                }
                Ok((name, task)) => {
                    tasks.insert(name, task);
                }
                Err(message) => {
                    problems.push(problem(
                        entry.position(),
                        &format!("chain[{index}]"),
                        &message,
                    ));
                }
            }
        }
        check_links(&tasks, entries, &mut problems);
        let default = match node.get("default").and_then(Node::as_str) {
            Some(name) if tasks.contains_key(name) => Some(Str::from(name)),
            Some(name) if !name.is_empty() => {
                let message = format!("`default` names the task `{name}`, which is not there");
                problems.push(problem(node.position(), "default", &message));
                None
            }
            _ => first_unreferenced(&tasks),
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let vars = source.get("vars").and_then(Value::as_dict);
        let vars = vars.map(|vars| {
            let assign =
                |(name, value): (&Str, &Value)| Assignment::new(name.clone(), value.clone());
            vars.iter().map(assign).collect()
        });
        let graph = Graph::from_root(&tasks, default.as_ref());
        Ok(Definition {
            language: Language::Chain,
            vars: vars.unwrap_or_default(),
            input: Vec::new(),
            output: Vec::new(),
            timeout: None,
            source,
            tasks,
            graph,
        })
    }

    /// Whether a task of an action chain wants the run's notifications: all do whose `notify` is
    /// absent; otherwise the value says where to.
    #[must_use]
    pub fn notify(&self, task: &str) -> Option<&Value> {
        let chain = self.source.get("chain")?.as_list()?;
        let is_it = |entry: &&Value| entry.get("name").and_then(Value::as_str) == Some(task);
        chain.iter().find(is_it)?.get("notify")
    }
}

fn problem(position: Position, path: &str, message: &str) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(position, message);
    path.clone_into(&mut diagnostic.path);
    diagnostic
}

fn read_task(entry: &Value) -> Result<(Str, Task), String> {
    let text = |key: &str| {
        entry
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let Some(name) = text("name") else {
        return Err("a task of a chain needs a `name`".to_owned());
    };
    let Some(reference) = text("ref") else {
        return Err(format!("task `{name}` needs a `ref`, the action to run"));
    };
    if Definition::is_command(name) {
        return Err(format!(
            "`{name}` is reserved and can't be the name of a task"
        ));
    }
    let input = ["params", "parameters"]
        .into_iter()
        .filter_map(|key| entry.get(key))
        .find(|input| input.as_dict().is_some_and(|dict| !dict.is_empty()));
    let publish: Vec<Assignment> = entry
        .get("publish")
        .and_then(Value::as_dict)
        .into_iter()
        .flat_map(Dict::iter)
        .map(|(name, value)| Assignment::new(name.clone(), value.clone()))
        .collect();
    let transition = |when: &str, target: &str| Transition {
        when: Some(Template::new(when)),
        publish: publish.clone(),
        targets: vec![Str::from(text(target).unwrap_or("continue"))],
    };
    let task = Task {
        action: Some(Template::new(reference)),
        input: input.map(|input| Template::new(input.clone())),
        next: vec![
            transition("<% succeeded() %>", "on-success"),
            transition("<% failed() %>", "on-failure"),
        ],
        ..Task::default()
    };
    Ok((Str::from(name), task))
}

fn check_links(tasks: &IndexMap<Str, Task>, entries: &[Node], problems: &mut Vec<Diagnostic>) {
    for ((name, task), entry) in tasks.iter().zip(entries) {
        for (transition, key) in task.next.iter().zip(["on-success", "on-failure"]) {
            for target in &transition.targets {
                if &**target != "continue" && !tasks.contains_key(target) {
                    let message = format!(
                        "`{key}` of task `{name}` names the task `{target}`, which is not there"
                    );
                    let position = entry.get(key).unwrap_or(entry).position();
                    problems.push(problem(position, &format!("{name}.{key}"), &message));
                }
            }
        }
    }
}

/// Where a chain without `default` begins: at the first task that no other one leads to, or at the
/// first of all.
fn first_unreferenced(tasks: &IndexMap<Str, Task>) -> Option<Str> {
    let referenced: std::collections::HashSet<&Str> = tasks
        .values()
        .flat_map(|task| &task.next)
        .flat_map(|next| &next.targets)
        .collect();
    tasks
        .keys()
        .find(|name| !referenced.contains(name))
        .or_else(|| tasks.keys().next())
        .cloned()
}

/// Renders a mapping as chains do: strictly, with results and variables by name, and the datastore
/// as `st2kv.system`, `st2kv.user` and `system`.
pub(crate) fn render(
    definition: &Definition,
    world: World<'_>,
    values: &Values,
    user: Option<&Str>,
    mapping: &Dict,
) -> Result<Dict, String> {
    let mut variables = context::visible(values);
    let results: Dict = definition
        .tasks
        .keys()
        .filter_map(|name| Some((name.clone(), variables.get(name)?.clone())))
        .collect();
    variables.insert("__results", results);
    let context = Context::new(&variables)
        .with_datastore(world.host, user)
        .with_system_alias("system");
    world
        .expressions
        .render_values(mapping, &context)
        .map_err(|error| error.to_string())
}
