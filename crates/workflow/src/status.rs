//! The statuses of workflows, tasks and actions, and the groups that rules speak of.

use std::fmt;

/// A status of a workflow, a task, an item or an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// No status yet; `null` as text.
    #[default]
    Unset,
    /// Asked for.
    Requested,
    /// A place to run was found.
    Scheduled,
    /// Held back by a delay or policy.
    Delayed,
    /// At work.
    Running,
    /// Waits for an answer from outside.
    Pending,
    /// Will be paused when what runs has stopped.
    Pausing,
    /// At rest until resumed.
    Paused,
    /// Resumed, not yet at work.
    Resuming,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Ended because its time was up.
    Timeout,
    /// Ended because whoever ran it was lost.
    Abandoned,
    /// Failed and waits for another attempt.
    Retrying,
    /// Will be canceled when what runs has stopped.
    Canceling,
    /// Ended on request.
    Canceled,
}

use Status::{
    Abandoned, Canceled, Canceling, Delayed, Failed, Paused, Pausing, Pending, Requested, Resuming,
    Retrying, Running, Scheduled, Succeeded, Timeout, Unset,
};

/// All statuses.
pub const ALL: [Status; 16] = [
    Unset, Requested, Scheduled, Delayed, Running, Pending, Pausing, Paused, Resuming, Succeeded,
    Failed, Timeout, Abandoned, Retrying, Canceling, Canceled,
];

impl Status {
    /// Reads a status by its name; `null` is [`Status::Unset`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Status> {
        ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// The name under which users know it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Unset => "null",
            Requested => "requested",
            Scheduled => "scheduled",
            Delayed => "delayed",
            Running => "running",
            Pending => "pending",
            Pausing => "pausing",
            Paused => "paused",
            Resuming => "resuming",
            Succeeded => "succeeded",
            Failed => "failed",
            Timeout => "timeout",
            Abandoned => "abandoned",
            Retrying => "retrying",
            Canceling => "canceling",
            Canceled => "canceled",
        }
    }

    /// On its way to run for the first time, or there.
    #[must_use]
    pub fn is_starting(self) -> bool {
        matches!(self, Requested | Scheduled | Delayed | Running | Pending)
    }

    /// The workflow hands out tasks.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(
            self,
            Requested | Scheduled | Delayed | Running | Resuming | Retrying
        )
    }

    /// Something is under way that will report.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(
            self,
            Requested | Scheduled | Delayed | Running | Resuming | Pausing | Canceling
        )
    }

    /// Started and not over; a task that waits for its next try is not.
    #[must_use]
    pub fn is_under_way(self) -> bool {
        !matches!(self, Unset | Retrying) && !self.is_completed()
    }

    /// Ended badly.
    #[must_use]
    pub fn is_abended(self) -> bool {
        matches!(self, Failed | Timeout | Abandoned)
    }

    /// Ended.
    #[must_use]
    pub fn is_completed(self) -> bool {
        matches!(self, Succeeded | Failed | Timeout | Abandoned | Canceled)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
