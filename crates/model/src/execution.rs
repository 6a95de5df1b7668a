//! Executions: one run of one action.

use std::sync::Arc;

use squall_value::{Str, Value};

use crate::{
    ActionRef, EnforcementId, ExecutionId, RuleRef, State, Status, Timestamp, TriggerInstanceId,
};

/// One run of an action: what was asked for, which never changes, and how far it got.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// What was asked for.
    pub request: Arc<ExecutionRequest>,
    /// How far it got.
    pub progress: Progress,
}

/// What was asked for. Written once.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionRequest {
    /// The execution's id.
    pub id: ExecutionId,
    /// The action to run.
    pub action: ActionRef,
    /// The runner type of the action, as it was at the time of the request.
    pub runner: Str,
    /// The content hash of the action's definition, so that a run finishes on the version it
    /// started with; see the store's contents.
    pub definition: Str,
    /// The action's parameters: given, rendered, cast, with defaults. Secrets in it are sealed.
    pub parameters: Value,
    /// StackStorm's action context: user, parent, trace, and what clients put there.
    pub context: Value,
    /// Who or what asked.
    pub origin: Origin,
    /// The user on whose behalf it runs.
    pub user: Str,
    /// The workflow execution above, if any.
    pub parent: Option<ExecutionId>,
    /// The topmost execution of the tree; the execution itself when it has no parent.
    pub root: ExecutionId,
    /// The trace tag, if one was given.
    pub trace_tag: Option<Str>,
    /// Whom to notify, in StackStorm's shape, or null.
    pub notify: Value,
    /// When it was asked for.
    pub requested: Timestamp,
    /// StackStorm's free-form tags of the run.
    pub tags: Vec<Str>,
}

impl ExecutionRequest {
    /// The tag of its trace: the one that was given, or else one made of the id of the topmost
    /// execution. What it leads to, outside its own tree, bears this tag.
    #[must_use]
    pub fn trace(&self) -> Str {
        let given = self.trace_tag.clone();
        given.unwrap_or_else(|| Str::from(format!("execution-{}", self.root)))
    }
}

/// Who or what asked for an execution.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// A person or program, through the API.
    User,
    /// A rule that matched.
    Rule(RuleOrigin),
    /// A task of a workflow.
    Task(TaskOrigin),
    /// A person who asked to run an earlier execution again.
    Rerun(ExecutionId),
}

/// The rule and the event behind an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleOrigin {
    /// The rule.
    pub rule: RuleRef,
    /// The event.
    pub trigger_instance: TriggerInstanceId,
    /// The record that ties them together.
    pub enforcement: EnforcementId,
}

/// The place in the parent workflow that an execution fills.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskOrigin {
    /// The task's name.
    pub task: Str,
    /// The route on which it runs.
    pub route: usize,
    /// The item's index, when the task runs over items.
    pub item: Option<usize>,
    /// Which turn of the task this is, counted by the conductor over the workflow's life: two
    /// executions of one task in a loop differ in it.
    pub turn: u64,
}

/// How far an execution got. Replaced as a whole by each change.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Counts the changes, from 1. A change names the revision it was made from.
    pub revision: u64,
    /// Where it stands.
    pub state: State,
    /// When it last started to run.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Every status it had, and since when.
    pub log: Vec<LogEntry>,
    /// When it has to be over, if it has a deadline that the engine keeps.
    pub deadline: Option<Timestamp>,
}

/// A status, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEntry {
    /// The status.
    pub status: Status,
    /// Since when.
    pub at: Timestamp,
}

/// A result or another large value, kept beside the record and read only when asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// Its JSON text.
    pub json: Arc<str>,
}

impl Execution {
    /// The id.
    #[must_use]
    pub fn id(&self) -> ExecutionId {
        self.request.id
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.progress.state
    }
}

impl Progress {
    /// A new execution's progress.
    #[must_use]
    pub fn requested(now: Timestamp) -> Progress {
        Progress {
            revision: 1,
            state: State::Requested,
            started: None,
            ended: None,
            log: vec![LogEntry {
                status: Status::Requested,
                at: now,
            }],
            deadline: None,
        }
    }

    /// The progress after `event`: next state, log and times. The revision stays; whoever commits
    /// the change raises it once with [`Progress::revised`], however many events it holds.
    ///
    /// # Errors
    ///
    /// [`crate::InvalidTransition`] when the table does not allow the event.
    pub fn after(
        mut self,
        event: crate::Event,
        now: Timestamp,
    ) -> Result<Progress, crate::InvalidTransition> {
        self.state = self.state.apply(event)?;
        self.log.push(LogEntry {
            status: self.state.status(),
            at: now,
        });
        match self.state {
            State::Running { .. } if self.started.is_none() => self.started = Some(now),
            State::Ended(_) => self.ended = Some(now),
            State::Resuming => self.ended = None,
            _ => {}
        }
        Ok(self)
    }

    /// The same progress under the next revision.
    #[must_use]
    pub fn revised(mut self) -> Progress {
        self.revision += 1;
        self
    }
}
