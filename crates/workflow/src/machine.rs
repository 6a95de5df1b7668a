//! The tables of status changes: what an event makes of a task and of the workflow.
//!
//! Each function is a table. `None` means that the event changes nothing.

use crate::status::Status;
use crate::status::Status::{
    Abandoned, Canceled, Canceling, Delayed, Failed, Paused, Pausing, Pending, Requested, Resuming,
    Retrying, Running, Scheduled, Succeeded, Timeout, Unset,
};

/// An engine command, given to a task in place of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Do nothing and go on.
    Noop,
    /// Go on; the default of `do`.
    Continue,
    /// Fail the workflow.
    Fail,
    /// Run the task again.
    Retry,
}

impl Command {
    /// Reads a command by its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Command> {
        match name {
            "noop" => Some(Command::Noop),
            "continue" => Some(Command::Continue),
            "fail" => Some(Command::Fail),
            "retry" => Some(Command::Retry),
            _ => None,
        }
    }
}

/// What the other items of a task look like when one of them changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// At least one is active.
    Active,
    /// None is active, one is pending or paused.
    Paused,
    /// None of the above, one was canceled.
    Canceled,
    /// None of the above, one ended badly.
    Failed,
    /// None of the above, one has not ended.
    Incomplete,
    /// All ended well.
    Completed,
}

/// What the items of a task look like when the workflow is to pause or to be canceled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Items {
    /// At least one is active.
    Active,
    /// None is active, one has not ended.
    Incomplete,
    /// All have ended.
    Completed,
}

/// A status event that has no meaning in the status that a task has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a task that ended in `{from}` takes no further events")]
pub struct InvalidTransition {
    /// The task's status.
    pub from: Status,
}

/// A plain task whose action is now in `event`.
///
/// # Errors
///
/// [`InvalidTransition`] from a status that takes no events at all.
pub fn task_on_action(from: Status, event: Status) -> Result<Option<Status>, InvalidTransition> {
    let to = match (from, event) {
        (Timeout | Abandoned, _) => return Err(InvalidTransition { from }),
        (Unset, Requested | Scheduled | Delayed | Running | Pending) => Some(event),
        (Requested, Scheduled | Delayed)
        | (Scheduled, Delayed)
        | (Delayed, Scheduled)
        | (
            Requested | Scheduled | Delayed,
            Running | Pending | Pausing | Paused | Canceling | Canceled | Failed | Timeout
            | Abandoned,
        ) => Some(event),
        (
            Running,
            Running | Pending | Pausing | Paused | Canceling | Canceled | Succeeded | Failed,
        )
        | (Pending, Succeeded | Failed | Canceled)
        | (Pausing, Paused | Resuming | Canceling | Canceled | Failed)
        | (Paused, Running | Resuming | Canceling | Canceled)
        | (Resuming | Retrying, Running | Canceling | Canceled)
        | (Canceling, Canceled | Failed) => Some(event),
        (Running | Pending | Pausing | Canceling, Timeout | Abandoned) => Some(Failed),
        (Canceling, Paused) => Some(Canceled),
        _ => None,
    };
    Ok(to)
}

/// A task that is given an engine command.
///
/// # Errors
///
/// [`InvalidTransition`] from a status that takes no commands at all.
pub fn task_on_command(
    from: Status,
    command: Command,
) -> Result<Option<Status>, InvalidTransition> {
    let to = match (from, command) {
        (Timeout | Abandoned, _) => return Err(InvalidTransition { from }),
        (Unset, Command::Noop | Command::Continue) => Some(Succeeded),
        (Unset, Command::Fail) => Some(Failed),
        (Succeeded | Failed, Command::Retry) => Some(Retrying),
        _ => None,
    };
    Ok(to)
}

/// A with-items task, one of whose items is now in `event`.
///
/// # Errors
///
/// [`InvalidTransition`] from a status that takes no events at all.
pub fn task_on_item(
    from: Status,
    event: Status,
    others: Others,
) -> Result<Option<Status>, InvalidTransition> {
    if matches!(from, Timeout | Abandoned) {
        return Err(InvalidTransition { from });
    }
    // Only these are seen together with the other items; the rest sets the task's status directly.
    let is_qualified = event.is_completed() || matches!(event, Resuming | Pending | Paused);
    if !is_qualified {
        return task_on_action(from, event);
    }
    let to = match from {
        Running => running_on_item(event, others),
        Pausing => match (event, others) {
            (_, Others::Active) => None,
            (Succeeded, Others::Incomplete) => Some(Paused),
            (Canceled, _) => Some(Canceled),
            _ => running_on_item(event, others),
        },
        Canceling => match (event, others) {
            (_, Others::Active) | (Resuming, _) => None,
            (Succeeded, Others::Completed) => Some(Succeeded),
            _ => Some(Canceled),
        },
        _ => None,
    };
    Ok(to)
}

fn running_on_item(event: Status, others: Others) -> Option<Status> {
    match (event, others) {
        (Succeeded, Others::Active | Others::Incomplete) => Some(Running),
        (Succeeded, Others::Paused) => Some(Paused),
        (Succeeded, Others::Canceled) => Some(Canceled),
        (Succeeded, Others::Failed) => Some(Failed),
        (Succeeded, Others::Completed) => Some(Succeeded),
        (Failed | Timeout | Abandoned, Others::Active) => None,
        (Failed | Timeout | Abandoned, Others::Canceled) => Some(Canceled),
        (Failed | Timeout | Abandoned, _) => Some(Failed),
        (Canceled, Others::Active) => Some(Canceling),
        (Canceled, _) => Some(Canceled),
        (Pending | Paused, Others::Active) => Some(Pausing),
        (Pending | Paused, Others::Canceled) => Some(Canceled),
        (Pending | Paused, Others::Failed) => Some(Failed),
        (Pending | Paused, _) => Some(Paused),
        _ => None,
    }
}

/// A with-items task when `request` was made to the workflow. Plain tasks (`items` is `None`) are
/// left to the host, except that a retry that waits is canceled.
///
/// # Errors
///
/// [`InvalidTransition`] from a status that takes no events at all.
pub fn task_on_request(
    from: Status,
    request: Status,
    items: Option<Items>,
) -> Result<Option<Status>, InvalidTransition> {
    let to = match (from, request, items) {
        (Timeout | Abandoned, _, _) => return Err(InvalidTransition { from }),
        (Running, Pausing | Paused, Some(Items::Active)) => Some(Pausing),
        (Running, Pausing | Paused, Some(Items::Incomplete)) => Some(Paused),
        (Running, Canceling | Canceled, Some(Items::Active)) => Some(Canceling),
        (Running, Canceling | Canceled, Some(Items::Incomplete)) => Some(Canceled),
        (Retrying, Canceling | Canceled, None) => Some(Canceled),
        _ => None,
    };
    Ok(to)
}

/// What a request meets in the workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// A task is active.
    pub is_active: bool,
    /// A task is ready to be handed out.
    pub has_ready: bool,
    /// A task is paused or pending.
    pub has_paused: bool,
}

/// The workflow when `request` was made. `None` if it changes nothing.
#[must_use]
pub fn workflow_on_request(from: Status, request: Status, load: Load) -> Option<Status> {
    let active = load.is_active;
    match (from, request) {
        (Unset, Requested | Scheduled | Delayed | Running | Failed) => Some(request),
        (Requested, Scheduled | Delayed)
        | (Scheduled, Delayed)
        | (Delayed, Scheduled)
        | (Requested | Scheduled | Delayed, Running | Failed) => Some(request),
        (Requested | Scheduled | Delayed | Paused, Canceling | Canceled) if !active => {
            Some(Canceled)
        }
        (Requested | Scheduled | Delayed, Pausing | Paused) if !active => Some(Paused),
        (Running | Resuming | Pausing, Pausing | Paused) => {
            Some(if active { Pausing } else { Paused })
        }
        (Running | Resuming | Pausing | Canceling, Canceling | Canceled) => {
            Some(if active { Canceling } else { Canceled })
        }
        (Running | Resuming | Pausing | Canceling | Paused | Succeeded, Failed) => Some(Failed),
        (Running, Succeeded) => Some(Succeeded),
        (Resuming, Running) => Some(Running),
        (Pausing, Running | Resuming) => Some(request),
        (Paused, Running | Resuming) => {
            let is_drained = !active && !load.has_ready && !load.has_paused;
            Some(if is_drained { Succeeded } else { request })
        }
        _ => None,
    }
}

/// What is left to do when a task has succeeded or was remediated; the first that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// A task was canceled or is being canceled.
    Canceled,
    /// A task is paused, pausing or pending.
    Paused,
    /// Tasks are ready or follow.
    Incomplete,
    /// Nothing.
    Completed,
}

/// What became of a task, as the workflow sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskChange {
    /// The task's status.
    pub status: Status,
    /// It ended badly, but transitions lead on from it.
    pub is_remediated: bool,
    /// Any task is active.
    pub is_active: bool,
    /// What is left to do.
    pub rest: Rest,
}

/// The workflow when a task has changed. `Ok(None)` if it changes nothing.
///
/// # Errors
///
/// [`InvalidTransition`] for an unremediated `timeout` or `abandoned`: the table knows only `failed`,
/// and whoever calls says that instead.
pub fn workflow_on_task(
    from: Status,
    change: TaskChange,
) -> Result<Option<Status>, InvalidTransition> {
    if change.status == Succeeded || (change.status.is_abended() && change.is_remediated) {
        return Ok(workflow_on_progress(from, change));
    }
    let active = change.is_active;
    let either = |when_active, when_dormant| Some(if active { when_active } else { when_dormant });
    let to = match (from, change.status) {
        (_, Timeout | Abandoned) => {
            return Err(InvalidTransition {
                from: change.status,
            });
        }
        (Running | Resuming, Pending) => either(Pausing, Paused),
        (Running, Paused) => either(Running, Paused),
        (Running | Resuming | Pausing, Failed) => Some(Failed),
        (Running | Resuming | Pausing, Canceling) => Some(Canceling),
        (Running | Resuming | Pausing, Canceled) => either(Canceling, Canceled),
        (Pausing, Pending | Paused | Retrying) => either(Pausing, Paused),
        (Paused, Running | Resuming) | (Resuming, Running) => Some(Running),
        (Canceling, Pending | Paused | Retrying | Canceled | Failed) => either(Canceling, Canceled),
        _ => None,
    };
    Ok(to)
}

fn workflow_on_progress(from: Status, change: TaskChange) -> Option<Status> {
    let remediated = change.status != Succeeded;
    match (from, change.is_active, change.rest) {
        (Running, true, Rest::Paused) => Some(Pausing),
        (Running, true, Rest::Canceled) => Some(Canceling),
        (Running, true, _) => Some(Running),
        (Running | Resuming, false, Rest::Incomplete) => Some(Running),
        (Running | Resuming, false, Rest::Completed) => Some(Succeeded),
        (Running | Resuming, false, Rest::Paused) => Some(Paused),
        (Running | Resuming | Pausing, false, Rest::Canceled) => Some(Canceled),
        (Resuming, true, Rest::Incomplete | Rest::Completed) => Some(Running),
        (Pausing, true, Rest::Canceled) if remediated => Some(Canceling),
        (Pausing, true, _) => Some(Pausing),
        (Pausing, false, _) => Some(Paused),
        (Canceling, true, _) => Some(Canceling),
        (Canceling, false, _) => Some(Canceled),
        _ => None,
    }
}
