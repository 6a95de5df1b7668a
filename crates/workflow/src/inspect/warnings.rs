//! What the reference engine doesn't look at: loops without entry, joins that can't be met, retry
//! blocks, items that are no list, variables that only some ways set.

use std::collections::{BTreeSet, HashMap};

use squall_expr::Expressions;
use squall_value::{Str, Value};

use super::document::{Document, Task, is_command};
use super::links::Links;
use super::path::Path;
use super::suggest::nearest;
use super::{Report, contents, semantics};
use crate::definition::inline;

/// How often a task's names may shrink in all before the search for half-set variables gives up.
const ROUNDS_MAX: usize = 200_000;

pub(crate) fn inspect(
    document: &Document,
    links: &Links<'_>,
    expressions: &Expressions,
    provided: &BTreeSet<Str>,
    report: &mut Report<'_>,
) {
    let tasks = Path::root().key("tasks");
    let known = set_anywhere(document, provided);
    let reached = links.reached();
    let sources = semantics::sources(document, links);
    let has_start = !links.starts().is_empty();
    for (number, (name, task)) in document.tasks.iter().enumerate() {
        let path = tasks.key(name.clone());
        if !reached[number] && has_start {
            let message =
                format!("the task `{name}` can't be reached: it is in a loop without entry");
            report.warn(
                &path,
                message,
                Some("let a task that can be reached lead to it"),
            );
            undefined_targets(document, &path, task, report);
        }
        join(name, &path, task, sources[number], report);
        items(name, &path, task, report);
        inline_values(document, name, &path, report);
        retry(&path, task, expressions, &known, report);
    }
    half_set_variables(document, links, expressions, provided, report);
}

/// The reference engine doesn't follow loops that it can't reach, so it says nothing of these.
fn undefined_targets(document: &Document, path: &Path, task: &Task, report: &mut Report<'_>) {
    for (index, transition) in task.next.iter().enumerate() {
        for target in &transition.targets {
            if !is_command(target) && !document.tasks.contains_key(target) {
                let finding = semantics::undefined(target, document);
                report.warn(
                    &path.key("next").index(index).key("do"),
                    format!("the task `{target}` is not defined"),
                    finding.suggestion.as_deref(),
                );
            }
        }
    }
}

fn join(name: &str, path: &Path, task: &Task, sources: usize, report: &mut Report<'_>) {
    let path = path.key("join");
    if task.join.is_truthy() && sources == 0 {
        let message = format!("`{name}` is a join, but no task leads to it");
        report.warn(&path, message, Some("remove `join`"));
        return;
    }
    if let Some(count) = semantics::join_count(&task.join).filter(|count| *count > sources) {
        let message = format!(
            "the join `{name}` waits for {count} tasks, but only {sources} lead to it: it is never met"
        );
        report.warn(
            &path,
            message,
            Some("write `join: all` or a smaller number"),
        );
    }
}

/// A bare word in an action's line stays in the name of the action; in a line of `publish` it is
/// left out.
fn inline_values(document: &Document, name: &Str, path: &Path, report: &mut Report<'_>) {
    let task = document.source.get_path(&["tasks", name]);
    let part = |of: Option<&Value>, name: &str| of.and_then(|of| of.get(name)).cloned();
    let mut lines = vec![(path.key("action"), part(task, "action"))];
    let next = task
        .and_then(|task| task.get("next"))
        .and_then(Value::as_list);
    for (index, transition) in next.into_iter().flatten().enumerate() {
        let path = path.key("next").index(index).key("publish");
        lines.push((path, part(Some(transition), "publish")));
    }
    for (path, line) in lines {
        let text = line.as_ref().and_then(Value::as_str).unwrap_or_default();
        for word in inline::unread(text) {
            let (name, value) = word.split_once('=').unwrap_or((&word, ""));
            let message = format!("`{word}` sets nothing: a text needs quotes here");
            let help = format!("write {name}=\"{value}\"");
            report.warn(&path, message, Some(&help));
        }
    }
}

fn items(name: &str, path: &Path, task: &Task, report: &mut Report<'_>) {
    let Some(text) = task.items.as_str() else {
        return;
    };
    let list = text
        .split_once(" in ")
        .map_or(text, |(_, list)| list)
        .trim();
    let inner = list
        .strip_prefix("<%")
        .and_then(|rest| rest.strip_suffix("%>"))
        .or_else(|| {
            list.strip_prefix("{{")
                .and_then(|rest| rest.strip_suffix("}}"))
        });
    let Some(inner) = inner.map(str::trim) else {
        return;
    };
    let is_text = |quote: char| {
        inner.len() > 1
            && inner.starts_with(quote)
            && inner.ends_with(quote)
            && !inner[1..inner.len() - 1].contains(quote)
    };
    let is_number =
        inner.parse::<f64>().is_ok() && inner.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let is_word = matches!(
        inner,
        "true" | "false" | "null" | "none" | "True" | "False" | "None"
    );
    if is_text('\'') || is_text('"') || is_number || is_word {
        let message = format!("the items of `{name}` are {inner}, which is not a list");
        report.warn(
            &path.key("with").key("items"),
            message,
            Some("give a list, such as <% list(1, 2) %>"),
        );
    }
}

fn retry(
    path: &Path,
    task: &Task,
    expressions: &Expressions,
    known: &BTreeSet<Str>,
    report: &mut Report<'_>,
) {
    let Some(retry) = &task.retry else {
        return;
    };
    let path = path.key("retry");
    if let Some(when) = retry
        .when
        .as_str()
        .filter(|text| !contents::is_expression(text))
    {
        let message = format!("`{when}` is no expression, so this `when` is always true");
        report.warn(
            &path.key("when"),
            message,
            Some("write <% failed() %> or leave it out"),
        );
    }
    for (name, value) in [("count", &retry.count), ("delay", &retry.delay)] {
        let is_wrong = match value {
            Value::String(text) => {
                !contents::is_expression(text) && text.trim().parse::<u64>().is_err()
            }
            Value::Float(_) => true,
            _ => false,
        };
        if is_wrong {
            let text = squall_value::python::repr(value);
            let message = format!("the retry's `{name}` is {text}, a whole number is needed");
            report.warn(&path.key(name), message, None);
        }
    }
    let values = [&retry.when, &retry.count, &retry.delay];
    let references = values
        .into_iter()
        .flat_map(|value| expressions.references(value));
    let names: BTreeSet<String> = references.map(|reference| reference.name).collect();
    for name in names.iter().filter(|name| !known.contains(name.as_str())) {
        let message = format!("the retry reads the variable `{name}`, which nothing sets");
        let near = nearest(name, known.iter().map(|name| &**name));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        report.warn(&path, message, help.as_deref());
    }
}

/// Every name that is set in the document or before it starts.
fn set_anywhere(document: &Document, provided: &BTreeSet<Str>) -> BTreeSet<Str> {
    let lists = [&document.input, &document.vars];
    let transitions = document.tasks.values().flat_map(|task| &task.next);
    lists
        .into_iter()
        .chain(transitions.map(|transition| &transition.publish))
        .flat_map(names_in)
        .chain(provided)
        .cloned()
        .collect()
}

/// The names that a list of assignments sets.
fn names_in(value: &Value) -> impl Iterator<Item = &Str> {
    let items = value.as_list().unwrap_or_default();
    items.iter().flat_map(|item| {
        let (name, dict) = match item {
            Value::String(name) => (Some(name), None),
            Value::Dict(dict) => (None, Some(dict)),
            _ => (None, None),
        };
        name.into_iter()
            .chain(dict.into_iter().flat_map(|dict| dict.keys()))
    })
}

/// Finds tasks that read a variable which one way to them sets and another does not.
///
/// A task knows for certain what every transition into it brings. That is the greatest solution of
/// the equations `certain(task) = ∩ (certain(source) ∪ published)`, found by letting the sets shrink
/// from "everything". A join gets what all its branches bring, so there it is a union.
fn half_set_variables(
    document: &Document,
    links: &Links<'_>,
    expressions: &Expressions,
    provided: &BTreeSet<Str>,
    report: &mut Report<'_>,
) {
    let published: BTreeSet<Str> = document
        .tasks
        .values()
        .flat_map(|task| &task.next)
        .flat_map(|transition| names_in(&transition.publish).cloned())
        .collect();
    let fixed: BTreeSet<&Str> = names_in(&document.vars)
        .chain(names_in(&document.input))
        .collect();
    let loose: Vec<&Str> = published
        .iter()
        .filter(|name| !fixed.contains(name))
        .collect();
    if loose.is_empty() || loose.len().saturating_mul(links.names.len()) > ROUNDS_MAX {
        return;
    }
    let number: HashMap<&str, usize> = loose
        .iter()
        .enumerate()
        .map(|(number, name)| (&***name, number))
        .collect();
    let Some(certain) = certain_names(document, links, &number) else {
        return;
    };
    for (task_number, (name, task)) in document.tasks.iter().enumerate() {
        let path = Path::root().key("tasks").key(name.clone());
        let parts = [
            (path.key("action"), &task.action),
            (path.key("input"), &task.input),
            (path.key("delay"), &task.delay),
            (path.key("with").key("items"), &task.items),
        ];
        for (path, value) in parts {
            for reference in expressions.references(value) {
                if provided.contains(reference.name.as_str()) {
                    continue;
                }
                let known = number.get(reference.name.as_str());
                if known.is_some_and(|number| !certain[task_number][*number])
                    && !report
                        .unset
                        .contains(&(path.to_string(), reference.name.clone()))
                {
                    let message = format!(
                        "the variable `{}` may not be set here: not every way to `{name}` publishes it",
                        reference.name
                    );
                    report.warn(&path, message, Some("give it a first value under `vars`"));
                }
            }
        }
    }
}

/// Per task which names every way to it sets; `None` if that takes too long to find.
fn certain_names(
    document: &Document,
    links: &Links<'_>,
    number: &HashMap<&str, usize>,
) -> Option<Vec<Vec<bool>>> {
    let count = links.names.len();
    let mut certain = vec![vec![true; number.len()]; count];
    for start in links.starts() {
        certain[start] = vec![false; number.len()];
    }
    let mut arrivals: Vec<Vec<(usize, Vec<usize>)>> = vec![Vec::new(); count];
    for (from, task) in document.tasks.values().enumerate() {
        for transition in &task.next {
            let sets: Vec<usize> = names_in(&transition.publish)
                .filter_map(|name| number.get(&**name).copied())
                .collect();
            for to in transition
                .targets
                .iter()
                .filter_map(|name| links.find(name))
            {
                arrivals[to].push((from, sets.clone()));
            }
        }
    }
    let joins: Vec<bool> = document
        .tasks
        .values()
        .map(|task| task.join.as_str() == Some("all"))
        .collect();
    let mut work: Vec<usize> = (0..count).collect();
    let mut rounds = 0;
    while let Some(task) = work.pop() {
        rounds += 1 + arrivals[task].len();
        if rounds > ROUNDS_MAX {
            return None;
        }
        if arrivals[task].is_empty() {
            continue;
        }
        let arrives = |name: usize| {
            let brings =
                |(from, sets): &(usize, Vec<usize>)| certain[*from][name] || sets.contains(&name);
            if joins[task] {
                arrivals[task].iter().any(brings)
            } else {
                arrivals[task].iter().all(brings)
            }
        };
        let fresh: Vec<bool> = (0..number.len()).map(arrives).collect();
        if fresh != certain[task] {
            certain[task] = fresh;
            work.extend(&links.next[task]);
        }
    }
    Some(certain)
}
