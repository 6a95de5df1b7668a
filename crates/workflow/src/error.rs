//! Why the conductor refuses a call.

use squall_value::Str;

use crate::machine;
use crate::status::Status;

/// A call that was refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The workflow has no such task, or no transition leads to it.
    #[error("task `{task}` is not part of the workflow")]
    UnknownTask {
        /// The name.
        task: Str,
    },
    /// The task was not reached by this route.
    #[error("task `{task}` has not been reached on route {route}")]
    NotReached {
        /// The task.
        task: Str,
        /// The route.
        route: usize,
    },
    /// An end was reported for an action that was never reported as started.
    #[error("task `{task}` on route {route} can't be `{status}`: it was not started")]
    NotStarted {
        /// The task.
        task: Str,
        /// The route.
        route: usize,
        /// The status reported.
        status: Status,
    },
    /// The task has no such item.
    #[error("task `{task}` on route {route} has no item {item}")]
    UnknownItem {
        /// The task.
        task: Str,
        /// The route.
        route: usize,
        /// The item.
        item: usize,
    },
    /// The task takes no further events.
    #[error("task `{task}`: {reason}")]
    TaskTransition {
        /// The task.
        task: Str,
        /// Why.
        reason: machine::InvalidTransition,
    },
    /// The workflow can't go from one status to the other.
    #[error("the workflow is `{from}` and can't become `{to}`")]
    WorkflowTransition {
        /// The workflow's status.
        from: Status,
        /// The status asked for.
        to: Status,
    },
    /// A status that workflows never have.
    #[error("a workflow can't be asked to be `{status}`")]
    NotAWorkflowStatus {
        /// The status asked for.
        status: Status,
    },
    /// Only a workflow that has ended can be rerun.
    #[error("the workflow is `{status}`; only one that has ended can be rerun")]
    StillActive {
        /// The workflow's status.
        status: Status,
    },
    /// Tasks that never ran can't be rerun.
    #[error("can't rerun {}: they have not run", list(.tasks))]
    RerunUnknown {
        /// Names and routes.
        tasks: Vec<(Str, usize)>,
    },
    /// There is nothing to rerun.
    #[error("no task has failed, so there is nothing to rerun; name the tasks to rerun")]
    NothingToRerun,
    /// Log entries are of type `info`, `warn` or `error`.
    #[error("log entries are `info`, `warn` or `error`, not `{kind}`")]
    LogKind {
        /// The type given.
        kind: Str,
    },
    /// A decision was given for a task that waits for none.
    #[error("task `{task}` on route {route} does not wait for a decision")]
    NotHeld {
        /// The task.
        task: Str,
        /// The route.
        route: usize,
    },
}

fn list(tasks: &[(Str, usize)]) -> String {
    let names: Vec<String> = tasks
        .iter()
        .map(|(task, route)| format!("{task}|{route}"))
        .collect();
    names.join(", ")
}

/// A log of pieces from which no run can be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A piece that no version of the conductor wrote.
    #[error("piece {index} is not readable")]
    Unreadable {
        /// Its place in the log.
        index: usize,
    },
    /// A piece that speaks of what is not there.
    #[error("piece {index} does not fit the workflow: {reason}")]
    Unfit {
        /// Its place in the log.
        index: usize,
        /// What is missing.
        reason: String,
    },
}
