//! The conductor of one run.

mod event;
mod hold;
mod output;
mod poll;
mod progress;
mod request;
mod rerun;
mod scope;
mod start;
mod transition;

use std::sync::Arc;

use squall_expr::Expressions;
use squall_value::{Dict, Str, Value};

pub use event::{ACTION_FAILED, TaskEvent};
pub use hold::Decision;
pub use poll::{ActionRequest, TaskRequest, Variables};
pub use rerun::RerunRequest;

use crate::definition::Definition;
use crate::error::{Refusal, RestoreError};
use crate::piece::Piece;
use crate::state::State;
use crate::status::Status;

/// What the conductor asks its host while it evaluates expressions.
pub trait Host: squall_expr::Host {
    /// The record that the `task()` function gives for a task's latest run on a route: execution id,
    /// result, times. `None` if the host has none; the conductor then gives what it knows.
    /// Without `status`, it is that of the task as the conductor knows it.
    fn task_record(&self, task: &str, route: usize) -> Option<Value>;

    /// What templates of an action chain see beside its variables: `action_context`, which is who
    /// asked for the run and from where, and `config_context`, the pack's configuration.
    fn surrounding(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }
}

/// What a call may look at besides the run's own state.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The compiled expressions.
    pub expressions: &'a Expressions,
    /// The datastore, the clock and the records of executions.
    pub host: &'a dyn Host,
    /// Whose variables a join sees where branches disagree.
    pub joins: Joins,
}

/// Whose variables a join sees where its branches disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Joins {
    /// What a branch has set itself; of branches that set the same, the last to arrive wins. After a
    /// rerun a join knows, too, what the branches that do not run again had set.
    #[default]
    ByChange,
    /// All that the last branch to arrive knows, also what it has merely inherited: as the reference
    /// engine has it, where the result of a run can depend on which of two branches is slower.
    ByBranch,
}

/// A task on a route, with its status, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskState {
    /// The task.
    pub task: Str,
    /// The route.
    pub route: usize,
    /// The number of its latest entry.
    pub entry: usize,
    /// The status of that entry.
    pub status: Status,
    /// Whether it failed and waits for a decision.
    pub held: bool,
}

/// One workflow run as a state machine.
///
/// Calls are synchronous and have no effects but on the conductor itself. What they have changed is
/// handed over by [`Conductor::take_pieces`].
pub struct Conductor {
    definition: Arc<Definition>,
    state: State,
    pieces: Vec<Piece>,
}

impl Conductor {
    /// The run that this log of pieces describes.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] if the log does not fit the definition.
    pub fn restore<'a>(
        definition: Arc<Definition>,
        pieces: impl IntoIterator<Item = &'a Piece>,
    ) -> Result<Conductor, RestoreError> {
        let mut state = State::default();
        for (index, piece) in pieces.into_iter().enumerate() {
            state
                .apply(&definition, piece)
                .map_err(|reason| RestoreError::Unfit { index, reason })?;
        }
        Ok(Conductor {
            definition,
            state,
            pieces: Vec::new(),
        })
    }

    /// As [`Conductor::restore`], from encoded pieces.
    ///
    /// # Errors
    ///
    /// [`RestoreError`] if a piece is not readable or does not fit the definition.
    pub fn restore_values<'a>(
        definition: Arc<Definition>,
        values: impl IntoIterator<Item = &'a Value>,
    ) -> Result<Conductor, RestoreError> {
        let mut pieces = Vec::new();
        for (index, value) in values.into_iter().enumerate() {
            let piece = Piece::from_value(value).ok_or(RestoreError::Unreadable { index })?;
            pieces.push(piece);
        }
        Conductor::restore(definition, &pieces)
    }

    /// One piece that says all that still matters. Once it is stored, all earlier pieces can be
    /// dropped. It forgets entries of earlier turns of a cycle; who displays them keeps them.
    #[must_use]
    pub fn snapshot(&self) -> Piece {
        Piece::Snapshot {
            pieces: self.state.dump(&self.definition),
        }
    }

    /// The changes since this was last called, to be stored in this order.
    #[must_use]
    pub fn take_pieces(&mut self) -> Vec<Piece> {
        std::mem::take(&mut self.pieces)
    }

    /// The definition that is run.
    #[must_use]
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// The workflow's status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.state.status
    }

    /// The errors so far, each `{type, message, task_id?, route?, task_transition_id?, result?}`.
    #[must_use]
    pub fn errors(&self) -> &[Value] {
        &self.state.errors
    }

    /// The log entries of types `info` and `warn`.
    #[must_use]
    pub fn log(&self) -> &[Value] {
        &self.state.log
    }

    /// The output as it was last rendered; null before and when it is empty.
    #[must_use]
    pub fn output(&self) -> &Value {
        &self.state.output
    }

    /// The seconds that the whole run may take, if the workflow limits them.
    #[must_use]
    pub fn timeout(&self) -> Option<i64> {
        self.state.timeout
    }

    /// Whether the workflow rests only because failed tasks wait for a decision.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.state.held.is_empty() && self.state.paused_by_hold
    }

    /// Whether any task is under way.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state.counts.active() > 0
    }

    /// The transitions that lead to a route.
    #[must_use]
    pub fn route(&self, route: usize) -> Option<&[Str]> {
        self.state.routes.get(route).map(|route| route.as_slice())
    }

    /// How many routes there are.
    #[must_use]
    pub fn routes_len(&self) -> usize {
        self.state.routes.len()
    }

    /// The latest entry of a task on a route.
    #[must_use]
    pub fn task(&self, task: &str, route: usize) -> Option<TaskState> {
        let node = self.definition.graph.find(task)?;
        let (index, _) = self.state.latest(node, route)?;
        self.task_state(index)
    }

    /// The latest entries of all tasks, in order of start. Costs what there are tasks.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskState> {
        let mut latest: Vec<usize> = self.state.latest.values().copied().collect();
        latest.sort_unstable();
        latest
            .into_iter()
            .filter_map(|index| self.task_state(index))
            .collect()
    }

    /// The failed tasks that wait for a decision.
    #[must_use]
    pub fn held(&self) -> Vec<TaskState> {
        let held = self.state.held.iter();
        held.filter_map(|index| self.task_state(*index)).collect()
    }

    fn task_state(&self, index: usize) -> Option<TaskState> {
        let entry = self.state.entries.get(&index)?;
        Some(TaskState {
            task: self.definition.graph.name(entry.node).clone(),
            route: entry.route,
            entry: index,
            status: entry.status,
            held: entry.held.is_some(),
        })
    }

    /// Writes an entry into the log, or into the error list if `entry` is of type `error`.
    ///
    /// # Errors
    ///
    /// [`Refusal::LogKind`] for other types than `info`, `warn` and `error`.
    pub fn log_entry(&mut self, entry: LogEntry) -> Result<(), Refusal> {
        match &*entry.kind {
            "error" => self.add_error(&entry),
            "info" | "warn" => self.record(Piece::Log {
                entry: entry.to_value(),
            }),
            _ => return Err(Refusal::LogKind { kind: entry.kind }),
        }
        Ok(())
    }

    /// Changes the state by one piece and remembers it for the store.
    fn record(&mut self, piece: Piece) {
        self.state
            .apply(&self.definition, &piece)
            .expect("the conductor makes pieces that fit its own state");
        self.pieces.push(piece);
    }

    fn set_status(&mut self, status: Status) {
        if self.state.status != status || self.state.paused_by_hold {
            self.record(Piece::Status {
                status,
                by_hold: false,
            });
        }
    }

    /// Fails the workflow for a reason of its own, if it can still fail.
    fn fail(&mut self) {
        let can_fail = !matches!(self.state.status, Status::Failed | Status::Canceled);
        if can_fail {
            self.set_status(Status::Failed);
        }
    }

    fn add_error(&mut self, entry: &LogEntry) {
        let entry = entry.to_value();
        if !self.state.has_error(&entry) {
            self.record(Piece::Error { entry });
        }
    }

    /// The user for whom the run was asked, as the parent context has it.
    fn user(&self) -> Option<&Str> {
        let context = &self.state.context;
        match context
            .get_path(&["st2", "user"])
            .or_else(|| context.get("user"))
        {
            Some(Value::String(user)) => Some(user),
            _ => None,
        }
    }

    fn name(&self, node: usize) -> &Str {
        self.definition.graph.name(node)
    }
}

/// An entry of the log or of the error list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogEntry {
    /// `info`, `warn` or `error`.
    pub kind: Str,
    /// What happened.
    pub message: String,
    /// The task it concerns.
    pub task: Option<Str>,
    /// The task's route.
    pub route: Option<usize>,
    /// The transition: `<target>__t<key>`.
    pub transition: Option<Str>,
    /// The result of a failed action.
    pub result: Value,
    /// Further data.
    pub data: Value,
}

impl LogEntry {
    /// An error with this message.
    #[must_use]
    pub fn error(message: impl Into<String>) -> LogEntry {
        LogEntry {
            kind: Str::from("error"),
            message: message.into(),
            ..LogEntry::default()
        }
    }

    /// The same about a task on a route.
    #[must_use]
    pub fn at(mut self, task: &Str, route: usize) -> LogEntry {
        self.task = Some(task.clone());
        self.route = Some(route);
        self
    }

    fn to_value(&self) -> Value {
        let mut entry = Dict::new();
        entry.insert("type", self.kind.clone());
        entry.insert("message", self.message.as_str());
        if let Some(task) = &self.task {
            entry.insert("task_id", task.clone());
        }
        if let Some(route) = self.route {
            entry.insert("route", route);
        }
        if let Some(transition) = &self.transition {
            entry.insert("task_transition_id", transition.clone());
        }
        for (key, value) in [("result", &self.result), ("data", &self.data)] {
            if !value.is_null() {
                entry.insert(key, value.clone());
            }
        }
        Value::from(entry)
    }
}

#[cfg(test)]
mod tests;
