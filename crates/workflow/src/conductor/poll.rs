//! Which tasks are to be started now.

use std::collections::BTreeSet;
use std::sync::Arc;

use squall_expr::{CurrentTask, Error};
use squall_value::{Dict, Str, Value};

use super::scope::View;
use super::{Conductor, LogEntry, World};
use crate::chain;
use crate::context::{self, Values};
use crate::definition::{Items, Language, Task};
use crate::piece::Piece;
use crate::state::Staged;
use crate::status::Status;

/// A task to start.
#[derive(Clone, Debug)]
pub struct TaskRequest {
    /// The task.
    pub task: Str,
    /// The route.
    pub route: usize,
    /// The actions to start: one, or one per item. Empty for an empty list of items.
    pub actions: Vec<ActionRequest>,
    /// Seconds to wait before the actions start.
    pub delay: Option<i64>,
    /// Seconds that the task may take; report its end by [`Conductor::task_timed_out`].
    pub timeout: Option<i64>,
    /// For a task with items: how many there are in all.
    pub items_count: Option<usize>,
    /// For a task with items: how many may run at the same time.
    pub concurrency: Option<i64>,
    /// The variables that the task sees.
    pub context: Variables,
}

/// An action to start.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionRequest {
    /// The action's reference; null for a task that only passes control on.
    pub action: Value,
    /// The action's parameters; null if the task gives none.
    pub input: Value,
    /// The item it is for.
    pub item: Option<usize>,
}

/// The variables that a task sees. Holding them costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Variables(Values);

impl Variables {
    /// The value of one variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).map(|(_, value)| value)
    }

    /// All variables as a dictionary. Costs what there are variables.
    #[must_use]
    pub fn to_dict(&self) -> Dict {
        context::visible(&self.0)
    }
}

/// The result of rendering a task: what to start, and the items if they were set up.
struct Rendered {
    request: TaskRequest,
    items: Option<Arc<Vec<Value>>>,
}

impl Conductor {
    /// The tasks to start now, sorted by name and route. Report the start of each by
    /// [`Conductor::task_event`]; until then it is returned again. While nothing has changed the
    /// answer is the same.
    ///
    /// As in the reference engine, a task that is under way is among them where a further branch
    /// has arrived at it. Start it once it is over ([`Status::is_under_way`]), else it runs
    /// beside itself and one of the two ends is ignored.
    ///
    /// If a task can't be rendered the workflow fails, the errors say why, and nothing is returned.
    #[must_use]
    pub fn next_tasks(&mut self, world: World<'_>) -> Vec<TaskRequest> {
        let on_fail = self.state.status == Status::Failed && !self.state.run_on_fail.is_empty();
        if !self.state.status.is_running() && !on_fail {
            return Vec::new();
        }
        let candidates: &BTreeSet<u64> = if on_fail {
            &self.state.run_on_fail
        } else {
            &self.state.pollable
        };
        let candidates: Vec<u64> = candidates.iter().copied().collect();
        let mut requests = Vec::with_capacity(candidates.len());
        let mut is_failed = false;
        for id in candidates {
            match self.render(id, world) {
                Ok(rendered) => {
                    if let Some(items) = rendered.items {
                        self.record(Piece::Items { staged: id, items });
                    }
                    let request = self.choose_items(id, rendered.request);
                    if !request.actions.is_empty() || request.items_count == Some(0) {
                        requests.push(request);
                    }
                }
                Err(message) => {
                    is_failed = true;
                    let staged = &self.state.staged[&id];
                    let entry = LogEntry::error(message).at(self.name(staged.node), staged.route);
                    self.add_error(&entry);
                }
            }
        }
        if is_failed {
            self.fail();
            return Vec::new();
        }
        requests.sort_by(|a, b| (&a.task, a.route).cmp(&(&b.task, b.route)));
        requests
    }

    fn render(&self, id: u64, world: World<'_>) -> Result<Rendered, String> {
        let staged = &self.state.staged[&id];
        let name = self.name(staged.node);
        let Some(task) = self.definition.tasks.get(name) else {
            return Err(format!("InvalidTask: Task \"{name}\" is not defined."));
        };
        let values = self.state.contexts.values(staged.version);
        let mut view = View::new(self, world, values.clone());
        view.current = Some(CurrentTask {
            id: name.clone(),
            route: staged.route,
            result: None,
        });
        let mut request = TaskRequest {
            task: name.clone(),
            route: staged.route,
            actions: Vec::new(),
            delay: None,
            timeout: None,
            items_count: None,
            concurrency: None,
            context: Variables(values),
        };
        let mut fresh = None;
        match &task.with {
            None if self.definition.language == Language::Chain => {
                request.actions.push(self.chain_action(name, task, &view)?);
            }
            None => {
                let action = render_action(task, &view, None).map_err(text)?;
                request.actions.push(action);
            }
            Some(with) => {
                let items = self.items(staged, with, &view)?;
                if staged.items.is_none() {
                    fresh = Some(items.clone());
                }
                request.items_count = Some(items.len());
                self.render_items(staged, task, &items, &mut view, &mut request)?;
            }
        }
        request.delay = self.delay(staged, task, &view)?;
        request.timeout = seconds(task.timeout.as_ref(), &view, "timeout")?;
        // An error in the retry block is found before the action starts, not when it has ended.
        self.retry_of(staged.node, &view)?;
        Ok(Rendered {
            request,
            items: fresh,
        })
    }

    fn chain_action(
        &self,
        name: &Str,
        task: &Task,
        view: &View<'_>,
    ) -> Result<ActionRequest, String> {
        let source = |template: &Option<crate::Template>| {
            template
                .as_ref()
                .map_or(Value::Null, |template| template.source().clone())
        };
        let input = match source(&task.input) {
            Value::Dict(input) => {
                let rendered = chain::render(
                    &self.definition,
                    view.world,
                    &view.values,
                    self.user(),
                    &input,
                );
                let rendered = rendered.map_err(|reason| {
                    let reason = reason.in_task("action parameter", name);
                    format!("Failed to run task \"{name}\". Parameter rendering failed. {reason}")
                })?;
                Value::from(rendered)
            }
            other => other,
        };
        Ok(ActionRequest {
            action: source(&task.action),
            input,
            item: None,
        })
    }

    /// The items of a task, evaluated once.
    fn items(
        &self,
        staged: &Staged,
        with: &Items,
        view: &View<'_>,
    ) -> Result<Arc<Vec<Value>>, String> {
        if let Some(items) = &staged.items {
            return Ok(items.values.clone());
        }
        match with
            .list
            .evaluate(view.world.expressions, view)
            .map_err(text)?
        {
            Value::List(items) if with.names.is_empty() => Ok(items),
            Value::List(items) => {
                let named = items.iter().map(|item| name_members(&with.names, item));
                Ok(Arc::new(named.collect()))
            }
            _ => Err(format!(
                "TypeError: The value of \"{}\" is not type of list.",
                with.list.source().as_str().unwrap_or_default()
            )),
        }
    }

    /// Renders the items that may start now. When the items are new all of them are rendered, so
    /// that an error in a late item is found before the first one starts.
    fn render_items(
        &self,
        staged: &Staged,
        task: &Task,
        items: &[Value],
        view: &mut View<'_>,
        request: &mut TaskRequest,
    ) -> Result<(), String> {
        let with = task.with.as_ref();
        let concurrency = with.and_then(|with| with.concurrency.as_ref());
        let concurrency = match concurrency {
            None => None,
            Some(concurrency) => {
                match concurrency
                    .evaluate(view.world.expressions, view)
                    .map_err(text)?
                {
                    Value::Null => None,
                    Value::Int(count) => Some(count.max(1)),
                    Value::Bool(_) => Some(1),
                    other => {
                        let shown = squall_value::python::repr(&other);
                        return Err(format!(
                            "TypeError: The concurrency of items is an integer, not {shown}."
                        ));
                    }
                }
            }
        };
        request.concurrency = concurrency;
        let wanted: Vec<usize> = match &staged.items {
            None => (0..items.len()).collect(),
            Some(progress) => {
                let limit = capacity(concurrency, progress.counts.active());
                progress.unset.iter().copied().take(limit).collect()
            }
        };
        for item in wanted {
            view.item = Some(items[item].clone());
            let action = render_action(task, view, Some(item)).map_err(text)?;
            request.actions.push(action);
        }
        view.item = None;
        Ok(())
    }

    /// Keeps the actions of the items that may start now.
    fn choose_items(&self, id: u64, mut request: TaskRequest) -> TaskRequest {
        let staged = &self.state.staged[&id];
        if let Some(items) = &staged.items {
            request
                .actions
                .truncate(capacity(request.concurrency, items.counts.active()));
        }
        request
    }

    fn delay(&self, staged: &Staged, task: &Task, view: &View<'_>) -> Result<Option<i64>, String> {
        let own = match &task.delay {
            None => None,
            Some(delay) => match delay.evaluate(view.world.expressions, view).map_err(text)? {
                Value::Int(seconds) => Some(seconds),
                Value::Bool(truth) => Some(i64::from(truth)),
                _ => {
                    return Err(
                        "TypeError: The value of task delay is not type of integer.".to_owned()
                    );
                }
            },
        };
        Ok(staged.retry.or(own))
    }
}

/// How many more items may start.
fn capacity(concurrency: Option<i64>, active: usize) -> usize {
    match concurrency {
        None => usize::MAX,
        Some(count) => usize::try_from(count)
            .unwrap_or(usize::MAX)
            .saturating_sub(active),
    }
}

fn render_action(
    task: &Task,
    view: &View<'_>,
    item: Option<usize>,
) -> Result<ActionRequest, Error> {
    let evaluate = |template: &Option<crate::Template>| match template {
        None => Ok(Value::Null),
        Some(template) => template.evaluate(view.world.expressions, view),
    };
    Ok(ActionRequest {
        action: evaluate(&task.action)?,
        input: evaluate(&task.input)?,
        item,
    })
}

/// An item as `item()` sees it. Several names take a list apart; one name holds the item, whatever
/// it is (the reference engine gives it the first member of a list).
fn name_members(names: &[Str], item: &Value) -> Value {
    let dict: Dict = match (names, item) {
        ([name], item) => [(name.clone(), item.clone())].into_iter().collect(),
        (names, Value::List(members)) => {
            names.iter().cloned().zip(members.iter().cloned()).collect()
        }
        _ => return item.clone(),
    };
    Value::from(dict)
}

/// A number of seconds, or an error that says which one is wrong.
fn seconds(
    template: Option<&crate::Template>,
    view: &View<'_>,
    what: &str,
) -> Result<Option<i64>, String> {
    let Some(template) = template else {
        return Ok(None);
    };
    match template
        .evaluate(view.world.expressions, view)
        .map_err(text)?
    {
        Value::Null => Ok(None),
        Value::Int(seconds) if seconds > 0 => Ok(Some(seconds)),
        other => {
            let shown = squall_value::python::repr(&other);
            Err(format!(
                "ValueError: The {what} is a number of seconds, not {shown}."
            ))
        }
    }
}

#[allow(clippy::needless_pass_by_value)]
fn text(error: Error) -> String {
    error.to_string()
}
