//! The rules that no schema can say: names, starts, targets, joins.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use squall_value::Value;

use super::document::{Document, is_command};
use super::links::Links;
use super::path::Path;
use super::suggest::nearest;
use super::{Category, Finding, Report, TASK_SCHEMA, TASKS_SCHEMA};
use crate::graph::NO_START;

/// How many steps the search for unreachable joins may take. The reference engine's search can
/// double with every join; this one doesn't repeat itself, but may still meet many combinations.
const STEPS_MAX: usize = 100_000;

pub(crate) fn inspect(document: &Document, links: &Links<'_>, report: &mut Report<'_>) {
    let tasks = Path::root().key("tasks");
    for name in document.tasks.keys().filter(|name| is_command(name)) {
        let message = format!("The task name \"{name}\" is reserved with special function.");
        let finding = Finding::new(Category::Semantics, message, TASK_SCHEMA)
            .with_suggestion("rename the task");
        report.add_at_key(finding, &tasks.key(name.clone()));
    }
    if !document.tasks.is_empty() && links.starts().is_empty() {
        report.add_at_key(
            Finding::new(Category::Semantics, NO_START, TASKS_SCHEMA),
            &tasks,
        );
    }
    undefined_targets(document, links, report);
    unreachable_joins(document, links, report);
    for (name, task) in &document.tasks {
        if task.has_items && !task.action.is_truthy() {
            let message = "The action property is required for with items task.";
            let finding = Finding::new(Category::Semantics, message, TASK_SCHEMA)
                .with_suggestion("add `action: core.noop` if nothing is to be done per item");
            report.add_at_key(finding, &tasks.key(name.clone()));
        }
    }
}

/// The transition that names an undefined task, from a task that can be reached.
fn undefined_targets(document: &Document, links: &Links<'_>, report: &mut Report<'_>) {
    let reached = links.reached();
    for (number, (name, task)) in document.tasks.iter().enumerate() {
        if reached[number] {
            for (index, transition) in task.next.iter().enumerate() {
                for target in &transition.targets {
                    if !is_command(target) && !document.tasks.contains_key(target) {
                        let path = Path::root().key("tasks").key(name.clone()).key("next");
                        report.add(undefined(target, document), &path.index(index).key("do"));
                    }
                }
            }
        }
    }
}

pub(crate) fn undefined(target: &str, document: &Document) -> Finding {
    let message = format!("The task \"{target}\" is not defined.");
    let finding = Finding::new(
        Category::Semantics,
        message,
        format!("{TASK_SCHEMA}.properties.next.items.properties.do"),
    );
    let known = document.tasks.keys().map(|name| &**name);
    match nearest(target, known.chain(["continue", "fail", "noop", "retry"])) {
        Some(name) => finding.with_suggestion(format!("did you mean `{name}`?")),
        None => finding,
    }
}

#[derive(Default)]
struct Stage {
    splits: BTreeSet<usize>,
    before: BTreeSet<usize>,
}

/// A join can't be placed if the tasks before it are on different numbers of routes. The search is
/// the reference engine's, since its order decides what it sees of cycles.
fn unreachable_joins(document: &Document, links: &Links<'_>, report: &mut Report<'_>) {
    let is_join: Vec<bool> = document
        .tasks
        .values()
        .map(|task| !task.join.is_null())
        .collect();
    let mut stages: HashMap<usize, Stage> = HashMap::new();
    let mut order = Vec::new();
    let mut tracked: HashMap<(usize, usize), BTreeSet<usize>> = HashMap::new();
    let mut queue: VecDeque<(Option<usize>, usize, BTreeSet<usize>)> = links
        .starts()
        .into_iter()
        .map(|task| (None, task, BTreeSet::new()))
        .collect();
    let mut steps = 0;
    while let Some((before, task, mut splits)) = queue.pop_front() {
        steps += 1 + splits.len() / 16;
        if steps > STEPS_MAX {
            report.warn(
                &Path::root().key("tasks"),
                "the workflow branches too often to check every join".to_owned(),
                None,
            );
            break;
        }
        if !is_join[task] && links.references[task] > 1 && !links.in_cycle[task] {
            splits.insert(task);
        }
        let stage = stages.entry(task).or_insert_with(|| {
            order.push(task);
            Stage::default()
        });
        stage.splits.extend(&splits);
        stage.before.extend(before);
        for &next in &links.next[task] {
            if stages.contains_key(&next) && links.in_cycle[next] {
                continue;
            }
            let brings_more = match tracked.get_mut(&(task, next)) {
                None => {
                    tracked.insert((task, next), splits.clone());
                    true
                }
                Some(known) if splits.is_subset(known) => false,
                Some(known) => {
                    known.extend(&splits);
                    true
                }
            };
            if brings_more {
                queue.push_back((Some(task), next, splits.clone()));
            }
        }
    }
    for task in order.into_iter().filter(|task| is_join[*task]) {
        let stage = &stages[&task];
        if stage
            .before
            .iter()
            .any(|before| stages[before].splits != stage.splits)
        {
            let name = links.names[task];
            let message = format!(
                "The join task \"{name}\" is unreachable. A join task is determined to be unreachable \
                 if there are nested forks from multi-referenced tasks that join on the said task. This \
                 is ambiguous to the workflow engine because it does not know at which level should the \
                 join occurs."
            );
            let finding = Finding::new(Category::Semantics, message, TASK_SCHEMA);
            report.add_at_key(finding, &Path::root().key("tasks").key(name.clone()));
        }
    }
}

/// A join that waits for more tasks than refer to it.
pub(crate) fn sources(document: &Document, links: &Links<'_>) -> Vec<usize> {
    let mut sources: Vec<HashSet<usize>> = vec![HashSet::new(); document.tasks.len()];
    for (from, targets) in links.next.iter().enumerate() {
        for to in targets {
            sources[*to].insert(from);
        }
    }
    sources.iter().map(HashSet::len).collect()
}

/// The number of a `join: <number>`.
pub(crate) fn join_count(join: &Value) -> Option<usize> {
    join.as_int().and_then(|count| usize::try_from(count).ok())
}
