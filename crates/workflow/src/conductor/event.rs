//! What actions report, and what that makes of tasks.

use squall_expr::CurrentTask;
use squall_value::{Str, Value};

use super::scope::View;
use super::{Conductor, LogEntry, World};
use crate::definition::OnFailure;
use crate::error::Refusal;
use crate::machine::{self, Command, Others};
use crate::piece::{EntryPiece, Piece, StagedPiece};
use crate::state::{Items, Retry};
use crate::status::Status;

/// The message in the list of errors that says that an action has failed.
pub const ACTION_FAILED: &str = "Execution failed. See result for details.";

/// The action of a task, or of one of its items, has changed its status.
#[derive(Clone, Debug)]
pub struct TaskEvent {
    /// The task.
    pub task: Str,
    /// The route.
    pub route: usize,
    /// The item, for a task with items (unless its list is empty).
    pub item: Option<usize>,
    /// The new status.
    pub status: Status,
    /// What the action returned, or null.
    pub result: Value,
    /// For an item: the results of all items so far, in order of items, null where there is none
    /// yet. The host keeps this list; it is looked at only when the task ends, and not kept beyond
    /// the call, so that the host can go on filling the same list without copying it.
    pub accumulated: Option<Value>,
}

impl TaskEvent {
    /// A plain task's action has this status.
    #[must_use]
    pub fn new(task: impl Into<Str>, route: usize, status: Status) -> TaskEvent {
        TaskEvent {
            task: task.into(),
            route,
            item: None,
            status,
            result: Value::Null,
            accumulated: None,
        }
    }

    /// The same with a result.
    #[must_use]
    pub fn with_result(mut self, result: Value) -> TaskEvent {
        self.result = result;
        self
    }

    /// The same about one item.
    #[must_use]
    pub fn for_item(mut self, item: usize, accumulated: Option<Value>) -> TaskEvent {
        self.item = Some(item);
        self.accumulated = accumulated;
        self
    }
}

/// What happens to a task.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Action {
        status: Status,
        result: Value,
    },
    Item {
        item: usize,
        status: Status,
        result: Value,
        accumulated: Option<Value>,
    },
    Command(Command),
    /// Its time is up.
    TimedOut,
}

impl Event {
    /// The status that the event brings, before the tables are asked.
    fn status(&self) -> Status {
        match self {
            Event::Action { status, .. } | Event::Item { status, .. } => *status,
            Event::Command(Command::Noop | Command::Continue) => Status::Succeeded,
            Event::Command(Command::Fail) => Status::Failed,
            Event::Command(Command::Retry) => Status::Retrying,
            Event::TimedOut => Status::Timeout,
        }
    }

    fn result(&self) -> Value {
        match self {
            Event::Action { result, .. } | Event::Item { result, .. } => result.clone(),
            Event::Command(_) | Event::TimedOut => Value::Null,
        }
    }
}

/// An event that was found to be acceptable.
struct Accepted {
    needs_entry: bool,
    /// The task's status after the event, if it changes.
    status: Option<Status>,
}

impl Conductor {
    /// Takes what an action reported. Report each action's start (`running`) before its end.
    ///
    /// # Errors
    ///
    /// [`Refusal`] for tasks and items that are not there, that were not started, or that take no
    /// further events. Nothing has changed then.
    pub fn task_event(&mut self, event: TaskEvent, world: World<'_>) -> Result<(), Refusal> {
        let TaskEvent {
            task,
            route,
            item,
            status,
            result,
            accumulated,
        } = event;
        let event = match item {
            None => Event::Action { status, result },
            Some(item) => Event::Item {
                item,
                status,
                result,
                accumulated,
            },
        };
        self.handle(&task, route, &event, world)
    }

    /// Gives a task an engine command in place of what its action would report.
    ///
    /// # Errors
    ///
    /// As [`Conductor::task_event`].
    pub fn task_command(
        &mut self,
        task: &str,
        route: usize,
        command: Command,
        world: World<'_>,
    ) -> Result<(), Refusal> {
        self.handle(&Str::from(task), route, &Event::Command(command), world)
    }

    /// The time that a task may take is up. Its unfinished items count as timed out; actions that
    /// still run are the host's to end, what they report later is ignored.
    ///
    /// # Errors
    ///
    /// As [`Conductor::task_event`]. A task that has ended is left as it is.
    pub fn task_timed_out(
        &mut self,
        task: &str,
        route: usize,
        world: World<'_>,
    ) -> Result<(), Refusal> {
        self.handle(&Str::from(task), route, &Event::TimedOut, world)
    }

    fn handle(
        &mut self,
        task: &Str,
        route: usize,
        event: &Event,
        world: World<'_>,
    ) -> Result<(), Refusal> {
        let node = self
            .definition
            .graph
            .find(task)
            .ok_or_else(|| Refusal::UnknownTask { task: task.clone() })?;
        let accepted = self.accept(node, route, event)?;
        self.process(node, route, event, accepted, world);
        Ok(())
    }

    /// Whether the event can be taken, without changing anything.
    fn accept(&self, node: usize, route: usize, event: &Event) -> Result<Accepted, Refusal> {
        let task = self.name(node).clone();
        let staged = self.state.staged(node, route).map(|(_, staged)| staged);
        let latest = self.state.latest(node, route).map(|(_, entry)| entry);
        if staged.is_none() && latest.is_none() {
            return Err(Refusal::NotReached { task, route });
        }
        let status = event.status();
        let known = latest.map_or(Status::Unset, |entry| entry.status);
        let is_command_task = self.definition.is_command(&task);
        let begins_again = known.is_completed()
            && status.is_starting()
            && matches!(event, Event::Action { .. } | Event::Item { .. });
        let needs_entry = latest.is_none() || is_command_task || begins_again;
        if needs_entry && staged.is_none() {
            return Err(Refusal::NotReached { task, route });
        }
        let from = if needs_entry { Status::Unset } else { known };
        let is_report = !matches!(event, Event::Command(_));
        if from == Status::Unset && is_report && !status.is_starting() {
            return Err(Refusal::NotStarted {
                task,
                route,
                status,
            });
        }
        let items = staged.and_then(|staged| staged.items.as_ref());
        let result = match event {
            Event::Action { status, .. } => machine::task_on_action(from, *status),
            Event::Command(command) => machine::task_on_command(from, *command),
            Event::TimedOut => {
                Ok((!from.is_completed() && from != Status::Unset).then_some(Status::Failed))
            }
            Event::Item { item, status, .. } => {
                let others = items.and_then(|items| others(items, *item));
                let others = others.ok_or_else(|| Refusal::UnknownItem {
                    task: task.clone(),
                    route,
                    item: *item,
                })?;
                machine::task_on_item(from, *status, others)
            }
        };
        let status = result.map_err(|reason| Refusal::TaskTransition { task, reason })?;
        Ok(Accepted {
            needs_entry,
            status,
        })
    }

    fn process(
        &mut self,
        node: usize,
        route: usize,
        event: &Event,
        accepted: Accepted,
        world: World<'_>,
    ) {
        let needs_entry = accepted.needs_entry;
        if needs_entry {
            self.enter(node, route, world);
        }
        let (index, entry) = self
            .state
            .latest(node, route)
            .expect("an event is accepted only for a task that has an entry or gets one");
        let old = entry.status;
        let staged = self.state.staged(node, route);
        if let Some((id, staged)) = staged {
            // What arrived at a task that was under way is there for its next run.
            let is_next = !needs_entry && old.is_under_way() && !event.status().is_starting();
            match (&staged.items, event) {
                (None, _) if is_next => {}
                (None, _) => self.record(Piece::Unstaged { staged: id }),
                (Some(_), Event::Item { item, status, .. }) => self.record(Piece::Item {
                    staged: id,
                    item: *item,
                    status: *status,
                }),
                (Some(items), Event::TimedOut) => {
                    let open = unfinished(items);
                    for item in open {
                        self.record(Piece::Item {
                            staged: id,
                            item,
                            status: Status::Timeout,
                        });
                    }
                }
                _ => {}
            }
        }
        if event.status() == Status::Failed {
            let mut entry = LogEntry::error(ACTION_FAILED);
            entry.task = Some(self.name(node).clone());
            entry.result = event.result();
            self.add_error(&entry);
        } else if matches!(event, Event::TimedOut) && accepted.status.is_some() {
            let entry = LogEntry::error("The task did not end within its time.");
            self.add_error(&entry.at(&self.name(node).clone(), route));
        }
        if let Some(status) = accepted.status.filter(|status| *status != old) {
            self.record(Piece::EntryStatus {
                entry: index,
                status,
            });
        }
        let new = accepted.status.unwrap_or(old);
        if new == Status::Retrying && accepted.status.is_some() {
            self.stage_retry(index);
        }
        let result = self.task_result(node, event);
        self.conclude(index, old, result, world);
    }

    /// Makes an entry from the staged task.
    fn enter(&mut self, node: usize, route: usize, world: World<'_>) {
        let (_, staged) = self
            .state
            .staged(node, route)
            .expect("an entry is made only from a staged task");
        let (version, prev) = (staged.version, staged.prev.clone());
        let view = View::new(self, world, self.state.contexts.values(version));
        let retry = self.retry_of(node, &view);
        let retry = match retry {
            Ok(retry) => retry,
            Err(message) => {
                let entry = LogEntry::error(message).at(&self.name(node).clone(), route);
                self.add_error(&entry);
                self.fail();
                None
            }
        };
        self.record(Piece::Entry(EntryPiece {
            entry: self.state.next_entry,
            task: self.name(node).clone(),
            route,
            version,
            prev,
            retry,
        }));
    }

    /// How often and after how many seconds a task is retried.
    pub(super) fn retry_of(
        &self,
        node: usize,
        view: &View<'_>,
    ) -> Result<Option<(i64, i64)>, String> {
        let Some(retry) = &self.definition.graph.get(node).retry else {
            return Ok(None);
        };
        let task = self.name(node);
        let number = |template: &Option<crate::Template>, what: &str| match template {
            None => Ok(None),
            Some(template) => match template.evaluate(view.world.expressions, view) {
                Ok(Value::Null) => Ok(None),
                Ok(Value::Int(number)) => Ok(Some(number)),
                Ok(Value::Bool(truth)) => Ok(Some(i64::from(truth))),
                Ok(_) => Err(format!(
                    "ValueError: The retry {what} for task \"{task}\" is not an integer."
                )),
                Err(error) => Err(error.to_string()),
            },
        };
        let delay = number(&retry.delay, "delay")?;
        let count = number(&retry.count, "count")?;
        Ok(count.map(|count| (count, delay.unwrap_or(0))))
    }

    fn stage_retry(&mut self, index: usize) {
        let entry = &self.state.entries[&index];
        let (node, route) = (entry.node, entry.route);
        let (version, prev) = (entry.version, entry.prev.clone());
        let retry = entry.retry;
        if let Some(retry) = retry {
            self.record(Piece::Tally {
                entry: index,
                tally: retry.tally + 1,
            });
        }
        self.restage(
            node,
            route,
            version,
            prev,
            Some(retry.map_or(0, |retry| retry.delay)),
        );
    }

    /// Stages a task anew, ready to start, before whatever has arrived at it.
    pub(super) fn restage(
        &mut self,
        node: usize,
        route: usize,
        version: u64,
        prev: std::sync::Arc<Vec<(Str, usize)>>,
        retry: Option<i64>,
    ) {
        self.put_behind(node, route);
        self.record(Piece::Staged(StagedPiece {
            staged: self.state.next_staged,
            task: self.name(node).clone(),
            route,
            version,
            prev,
            ready: true,
            retry,
            behind: false,
        }));
    }

    /// Whether a task is defined with items.
    pub(super) fn is_itemized(&self, task: &str) -> bool {
        let task = self.definition.tasks.get(task);
        task.is_some_and(|task| task.with.is_some())
    }

    /// What `result()` gives.
    fn task_result(&self, node: usize, event: &Event) -> Value {
        let has_items = self.is_itemized(self.name(node));
        let result = match event {
            Event::Item { accumulated, .. } => accumulated.clone().unwrap_or_default(),
            other => other.result(),
        };
        if has_items && !result.is_truthy() {
            return Value::empty_list();
        }
        result
    }

    /// Everything that follows from the status that an entry has after an event.
    pub(super) fn conclude(&mut self, index: usize, old: Status, result: Value, world: World<'_>) {
        let entry = &self.state.entries[&index];
        let (node, route, status) = (entry.node, entry.route, entry.status);
        let mut commands = Vec::new();
        if status.is_completed() {
            self.unstage_completed(node, route, status);
            if self.wants_retry(index, &result, world) {
                self.record(Piece::EntryStatus {
                    entry: index,
                    status: Status::Retrying,
                });
                self.stage_retry(index);
                self.progress(index);
                return;
            }
            if status != old && status.is_abended() && self.holds(node) {
                self.hold(index, result, status);
                return;
            }
            if status != old {
                commands = self.lead_on(index, result, world);
            }
        }
        self.finish(index, commands, world);
    }

    /// Takes the transitions of an ended entry, and lets what waited behind it have its turn, unless
    /// the workflow ends here: then the task itself may be run again first.
    pub(super) fn lead_on(
        &mut self,
        index: usize,
        result: Value,
        world: World<'_>,
    ) -> Vec<(usize, usize)> {
        let commands = self.take_transitions(index, result, world);
        let entry = &self.state.entries[&index];
        let (node, route, status) = (entry.node, entry.route, entry.status);
        if status == Status::Succeeded || self.has_next(index) != (false, false) {
            self.call_up(node, route);
        }
        commands
    }

    /// Lets the workflow see the task's status, then runs the engine commands that follow.
    pub(super) fn finish(&mut self, index: usize, commands: Vec<(usize, usize)>, world: World<'_>) {
        self.progress(index);
        for (node, route) in commands {
            let Some(command) = Command::parse(self.name(node)) else {
                continue;
            };
            let event = Event::Command(command);
            // An earlier command of the same step may have taken this one's place already.
            if let Ok(accepted) = self.accept(node, route, &event) {
                self.process(node, route, &event, accepted, world);
            }
        }
        let has_ended = self.state.status.is_completed();
        let entry = self.state.entries.get(&index);
        if has_ended && entry.is_some_and(|entry| !entry.is_terminal) {
            self.record(Piece::Terminal {
                entry: index,
                terminal: true,
            });
        }
    }

    fn unstage_completed(&mut self, node: usize, route: usize, status: Status) {
        let Some((id, staged)) = self.state.staged(node, route) else {
            return;
        };
        let Some(items) = &staged.items else {
            // It arrived while the task was under way.
            return;
        };
        let is_running = items.counts.active() > 0;
        let has_items = self.is_itemized(self.name(node));
        if has_items && status.is_abended() {
            self.record(Piece::Completed {
                staged: id,
                completed: true,
            });
        } else if !is_running {
            self.record(Piece::Unstaged { staged: id });
        }
    }

    fn holds(&self, node: usize) -> bool {
        let task = self.definition.tasks.get(self.name(node));
        task.is_some_and(|task| task.on_failure == OnFailure::Hold)
            && !self.state.status.is_completed()
            && self.state.status != Status::Canceling
    }

    /// Whether an ended entry is to be run again.
    fn wants_retry(&mut self, index: usize, result: &Value, world: World<'_>) -> bool {
        let entry = &self.state.entries[&index];
        let Some(Retry { count, tally, .. }) = entry.retry else {
            return false;
        };
        let can_retry = entry.status != Status::Canceled;
        if !self.state.status.is_active() || tally >= count || !can_retry {
            return false;
        }
        let definition = self.definition.clone();
        let retry = definition.graph.get(entry.node).retry.as_ref();
        let Some(when) = retry.and_then(|retry| retry.when.as_ref()) else {
            return entry.status.is_abended();
        };
        let view = self.view_of(index, result, world);
        match when.evaluate(world.expressions, &view) {
            Ok(truth) => truth.is_truthy(),
            Err(error) => {
                let (node, route) = (entry.node, entry.route);
                let entry = LogEntry::error(error.to_string());
                let entry = entry.at(&self.name(node).clone(), route);
                self.add_error(&entry);
                self.fail();
                false
            }
        }
    }

    /// What expressions of an ended task see.
    pub(super) fn view_of<'a>(
        &'a self,
        index: usize,
        result: &Value,
        world: World<'a>,
    ) -> View<'a> {
        let entry = &self.state.entries[&index];
        let mut view = View::new(self, world, self.state.contexts.values(entry.version));
        view.current = Some(CurrentTask {
            id: self.name(entry.node).clone(),
            route: entry.route,
            result: Some(result.clone()),
        });
        view
    }
}

fn others(items: &Items, item: usize) -> Option<Others> {
    let own = *items.statuses.get(item)?;
    let without = |wanted: fn(Status) -> bool| items.counts.of(wanted) - usize::from(wanted(own));
    let others = if without(Status::is_active) > 0 {
        Others::Active
    } else if without(|status| matches!(status, Status::Pending | Status::Paused)) > 0 {
        Others::Paused
    } else if without(|status| status == Status::Canceled) > 0 {
        Others::Canceled
    } else if without(Status::is_abended) > 0 {
        Others::Failed
    } else if without(|status| !status.is_completed()) > 0 {
        Others::Incomplete
    } else {
        Others::Completed
    };
    Some(others)
}

fn unfinished(items: &Items) -> Vec<usize> {
    let statuses = items.statuses.iter().enumerate();
    let open = statuses.filter(|(_, status)| !status.is_completed());
    open.map(|(item, _)| item).collect()
}
