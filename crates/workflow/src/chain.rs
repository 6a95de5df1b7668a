//! Action chains: `chain`, `default`, `vars`, with `publish`, `on-success` and `on-failure`.
//!
//! A chain becomes a graph like any workflow: a task has one transition for success and one for
//! failure. What is different is how values are rendered: parameters are Jinja templates, the
//! results of earlier tasks are variables under the tasks' names, and setting a variable replaces it.

use std::collections::{HashMap, HashSet};
use std::fmt;

use indexmap::IndexMap;
use squall_expr::Context;
use squall_value::{Dict, Str, Value, python};
use squall_yaml::{Diagnostic, Node, Position};

use crate::conductor::World;
use crate::context::{self, Values};
use crate::definition::{Assignment, Definition, Language, Task, Transition};
use crate::graph::Graph;
use crate::template::Template;

/// What was published is kept once more under its name behind this, so that it can be told from
/// other variables in the end. Templates can't see it.
pub(crate) const PUBLISHED: &str = "__published.";
/// The names under which templates see all results, and all variables.
const RESULTS: &str = "__results";
const CONTEXT: &str = "__context";

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
        let mut notify = HashMap::new();
        let names = entries
            .iter()
            .filter_map(|entry| entry.get("name")?.as_str());
        let names: HashSet<&str> = names.collect();
        for (index, entry) in entries.iter().enumerate() {
            let body = entry.to_value();
            match read_task(&body) {
                // Of two tasks of one name the first is the one that the name means.
                Ok((name, _)) if tasks.contains_key(&name) => {}
                Ok((name, task)) => {
                    check_links(&name, &task, entry, &names, &mut problems);
                    if let Some(whom) = body.get("notify").filter(|whom| whom.is_truthy()) {
                        notify.insert(name.clone(), whom.clone());
                    }
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
            notify,
        })
    }

    /// Whom the end of a task of an action chain is told, if the task says so itself; the others
    /// tell whom the run tells.
    #[must_use]
    pub fn notify(&self, task: &str) -> Option<&Value> {
        self.notify.get(task)
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
    if name == "continue" {
        return Err("`continue` is reserved and can't be the name of a task".to_owned());
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

/// Do the links of a task lead to tasks?
fn check_links(
    name: &str,
    task: &Task,
    entry: &Node,
    names: &HashSet<&str>,
    problems: &mut Vec<Diagnostic>,
) {
    for (transition, key) in task.next.iter().zip(["on-success", "on-failure"]) {
        for target in transition.targets.iter().map(|target| &**target) {
            if target != "continue" && !names.contains(target) {
                let message = format!(
                    "`{key}` of task `{name}` names the task `{target}`, which is not there"
                );
                let position = entry.get(key).unwrap_or(entry).position();
                problems.push(problem(position, &format!("{name}.{key}"), &message));
            }
        }
    }
}

/// Where a chain without `default` begins: at the first task that no other one leads to, or at the
/// first of all.
fn first_unreferenced(tasks: &IndexMap<Str, Task>) -> Option<Str> {
    let referenced: HashSet<&Str> = tasks
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

/// A member of a mapping that could not be rendered.
#[derive(Debug)]
pub(crate) struct Unrendered {
    key: Str,
    template: Value,
    message: String,
}

impl Unrendered {
    /// What StackStorm says of it; `what` is the kind of mapping.
    pub(crate) fn in_task(&self, what: &str, task: &str) -> String {
        let Unrendered {
            key,
            template,
            message,
        } = self;
        let template = python::str(template);
        format!(
            "Failed rendering value for {what} \"{key}\" in task \"{task}\" (template \
             string={template}): {message}"
        )
    }
}

impl fmt::Display for Unrendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\": {}", self.key, self.message)
    }
}

/// Renders a mapping as chains do: strictly, with results and variables by name, and the datastore
/// as `st2kv.system`, `st2kv.user` and `system`. Only what the templates name is put together, so
/// that a task costs the same however many there were before it.
pub(crate) fn render(
    definition: &Definition,
    world: World<'_>,
    values: &Values,
    user: Option<&Str>,
    mapping: &Dict,
) -> Result<Dict, Unrendered> {
    let names = world.expressions.names_in(mapping);
    let variables = if names.contains(RESULTS) || names.contains(CONTEXT) {
        let mut all = context::visible(values);
        let results = definition.tasks.keys();
        let results = results.filter_map(|name| Some((name.clone(), all.get(name)?.clone())));
        let results: Dict = results.collect();
        all.insert(RESULTS, results);
        all
    } else {
        let known = names.iter().filter(|name| !name.starts_with("__"));
        let known = known.filter_map(|name| {
            let value = values.get(name.as_str()).map(|(_, value)| value.clone());
            let value = value.or_else(|| world.host.surrounding(name))?;
            Some((Str::from(name.as_str()), value))
        });
        known.collect()
    };
    let context = Context::new(&variables)
        .with_datastore(world.host, user)
        .with_system_alias("system");
    let mut rendered = Dict::with_capacity(mapping.len());
    for (key, value) in mapping.iter() {
        let member: Dict = [(key.clone(), value.clone())].into_iter().collect();
        let member = world.expressions.render_values(&member, &context);
        rendered.extend(member.map_err(|error| Unrendered {
            key: key.clone(),
            template: value.clone(),
            message: error.message,
        })?);
    }
    Ok(rendered)
}
