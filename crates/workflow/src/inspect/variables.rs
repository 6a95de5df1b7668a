//! Is every variable set before it is read? The walk is the reference engine's: names grow along
//! branches, a join knows what its branches know so far, and a task is looked at again when a branch
//! with other names arrives.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::rc::Rc;

use squall_expr::Expressions;
use squall_value::{Str, Value};

use super::document::{Document, Task, Transition, assignments, is_command};
use super::path::Path;
use super::suggest::nearest;
use super::{Category, Finding, Report, TASK_SCHEMA, contents};

/// Names that are set.
pub(crate) type Names = Rc<BTreeSet<Str>>;

/// How many tasks the walk may look at, the names they know counted in.
const STEPS_MAX: usize = 2_000_000;

pub(crate) fn inspect(
    document: &Document,
    expressions: &Expressions,
    known: &BTreeSet<Str>,
    report: &mut Report<'_>,
) {
    let mut walk = Walk {
        document,
        expressions,
        report,
    };
    let names: Names = Rc::new(known.clone());
    let root = Path::root();
    let names = walk.property(
        &root,
        "input",
        &document.input,
        "properties.input",
        true,
        names,
    );
    let names = walk.property(
        &root,
        "vars",
        &document.vars,
        "properties.vars",
        true,
        names,
    );
    let limit = "properties.timeout";
    let names = walk.property(&root, "timeout", &document.timeout, limit, false, names);
    let names = walk.tasks(names);
    walk.property(
        &root,
        "output",
        &document.output,
        "properties.output",
        true,
        names,
    );
}

struct Walk<'w, 'r> {
    document: &'w Document,
    expressions: &'w Expressions,
    report: &'w mut Report<'r>,
}

/// The names that a value of `input`, `vars`, `output` or `publish` sets.
fn set_by(value: &Value) -> Vec<Str> {
    match value {
        Value::Dict(dict) => dict.keys().cloned().collect(),
        Value::String(text) => vec![text.clone()],
        Value::List(items) => items
            .iter()
            .filter_map(|item| match item {
                Value::String(text) => Some(text.clone()),
                Value::Dict(dict) if dict.len() == 1 => dict.keys().next().cloned(),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn extended(names: Names, more: impl IntoIterator<Item = Str>) -> Names {
    let mut names = names;
    for name in more {
        if !names.contains(&name) {
            Rc::make_mut(&mut names).insert(name);
        }
    }
    names
}

impl Walk<'_, '_> {
    /// Looks at one property; returns the names that are known after it. A list is looked at
    /// element by element, so that one may use what those before it set.
    fn property(
        &mut self,
        parent: &Path,
        name: &str,
        value: &Value,
        schema_path: &str,
        sets: bool,
        mut names: Names,
    ) -> Names {
        if !value.is_truthy() {
            return names;
        }
        let path = parent.key(name);
        let parsed = match value {
            Value::String(text) => Some(assignments(text)).filter(Value::is_truthy),
            _ => None,
        };
        let value = parsed.as_ref().unwrap_or(value);
        let Value::List(items) = value else {
            self.references(value, &path, schema_path, &names);
            return if sets {
                extended(names, set_by(value))
            } else {
                names
            };
        };
        for (index, item) in items.iter().enumerate() {
            self.references(item, &path.index(index), schema_path, &names);
            if sets {
                names = extended(names, set_by(item));
            }
        }
        names
    }

    fn references(&mut self, value: &Value, path: &Path, schema_path: &str, names: &Names) {
        for reference in self.expressions.references(value) {
            let finding = |message: String| {
                let mut finding = Finding::new(Category::Context, message, schema_path);
                finding.language = Some(reference.language);
                finding.expression = Some(reference.statement.clone());
                finding
            };
            let name = &reference.name;
            if name.starts_with("__") {
                let message = format!(
                    "Variable \"{name}\" that is prefixed with double underscores is considered a \
                     private variable and cannot be referenced."
                );
                self.report.add(finding(message), path);
            }
            if !names.contains(&**name) {
                let message = format!("Variable \"{name}\" is referenced before assignment.");
                let mut finding = finding(message);
                if let Some(near) = nearest(name, names.iter().map(|name| &**name)) {
                    finding = finding.with_suggestion(format!("did you mean `{near}`?"));
                }
                self.report.unset.insert((path.to_string(), name.clone()));
                self.report.add(finding, path);
            }
        }
    }

    fn task(&mut self, path: &Path, task: &Task, names: Names) -> Names {
        let with = path.key("with");
        let schema = |name: &str| format!("{TASK_SCHEMA}.properties.{name}");
        let items = schema("with.properties.items");
        let concurrency = schema("with.properties.concurrency");
        let mut names = self.property(path, "delay", &task.delay, &schema("delay"), false, names);
        let limit = schema("timeout");
        names = self.property(path, "timeout", &task.timeout, &limit, false, names);
        names = self.property(&with, "items", &task.items, &items, false, names);
        names = self.property(
            &with,
            "concurrency",
            &task.concurrency,
            &concurrency,
            false,
            names,
        );
        names = self.property(
            path,
            "action",
            &task.action,
            &schema("action"),
            false,
            names,
        );
        self.property(path, "input", &task.input, &schema("input"), false, names)
    }

    fn transition(&mut self, path: &Path, transition: &Transition, names: Names) -> Names {
        let schema = |name: &str| format!("{TASK_SCHEMA}.properties.next.items.properties.{name}");
        let names = self.property(
            path,
            "when",
            &transition.when,
            &schema("when"),
            false,
            names,
        );
        let names = self.property(
            path,
            "publish",
            &transition.publish,
            &schema("publish"),
            true,
            names,
        );
        // Names of tasks are the rule, and there may be many.
        if !transition
            .targets
            .iter()
            .any(|name| contents::is_expression(name))
        {
            return names;
        }
        self.property(path, "do", &transition.action, &schema("do"), false, names)
    }

    /// Walks the tasks from the starts on; returns every name that some branch knew.
    fn tasks(&mut self, names: Names) -> Names {
        let document = self.document;
        let mut rolling = names.clone();
        let mut traversed: HashSet<Str> = HashSet::new();
        let mut joined: HashMap<Str, Names> = HashMap::new();
        let mut latest: HashMap<Str, Names> = HashMap::new();
        let mut queue: VecDeque<(Str, Option<Names>)> = start_tasks(document)
            .into_iter()
            .map(|name| (name, Some(names.clone())))
            .collect();
        let mut steps = 0;
        let nothing = Task::default();
        while let Some((name, branch)) = queue.pop_front() {
            traversed.insert(name.clone());
            let branch = branch.filter(|names| !names.is_empty());
            let known = branch.unwrap_or_else(|| joined.get(&name).cloned().unwrap_or_default());
            steps += 100 + known.len();
            if steps > STEPS_MAX {
                let message = "the workflow branches too often to check every variable".to_owned();
                self.report.warn(&Path::root().key("tasks"), message, None);
                break;
            }
            // A command is known by name even where a task of that name is defined.
            let task = document
                .tasks
                .get(&name)
                .filter(|_| !is_command(&name))
                .unwrap_or(&nothing);
            let path = Path::root().key("tasks").key(name.clone());
            let known = self.task(&path, task, known);
            rolling = extended(rolling, known.iter().cloned());
            for (index, transition) in task.next.iter().enumerate() {
                let path = path.key("next").index(index);
                for target in &transition.targets {
                    let branch = self.transition(&path, transition, known.clone());
                    let target_task = document.tasks.get(target).filter(|_| !is_command(target));
                    if traversed.contains(target) || !(is_command(target) || target_task.is_some())
                    {
                        continue;
                    }
                    if target_task.is_some_and(|task| task.join.is_truthy()) {
                        let names = joined.entry(target.clone()).or_default();
                        *names = extended(std::mem::take(names), branch.iter().cloned());
                        queue.push_back((target.clone(), None));
                    } else if latest.get(target) != Some(&branch) {
                        latest.insert(target.clone(), branch.clone());
                        queue.push_back((target.clone(), Some(branch)));
                    }
                }
            }
        }
        rolling
    }
}

/// The tasks that no transition names.
fn start_tasks(document: &Document) -> Vec<Str> {
    let referenced: HashSet<&str> = document
        .tasks
        .values()
        .flat_map(|task| &task.next)
        .flat_map(|transition| &transition.targets)
        .map(|name| &**name)
        .collect();
    let mut starts: Vec<Str> = document
        .tasks
        .keys()
        .filter(|name| !referenced.contains(&***name))
        .cloned()
        .collect();
    starts.sort();
    starts
}
