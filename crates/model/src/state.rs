//! The state of an execution, and the one table by which it changes.

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;

/// The server incarnation that runs an action's process. A server takes a new number at each start,
/// so a result that arrives under an old number is recognised as stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease(pub u64);

impl Lease {
    /// Held by nobody: a workflow, which waits in the store and not in a process.
    pub const NONE: Lease = Lease(0);
}

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It did what it was asked to do.
    Succeeded,
    /// It did not.
    Failed,
    /// It was stopped because its time was over.
    TimedOut,
    /// The server that ran it was lost, and with it the knowledge of how it ended.
    Abandoned,
    /// Somebody stopped it.
    Canceled,
}

/// Where an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Asked for; a policy or a missing slot may keep it here.
    Requested,
    /// Held back: until a moment, or until a policy lets it go.
    Delayed {
        /// When to look again; `None` when something else must end first.
        until: Option<Timestamp>,
    },
    /// Admitted; waits for a slot.
    Scheduled,
    /// Under way: in a process of the server that holds the lease, or conducted.
    Running {
        /// Who runs it.
        lease: Lease,
    },
    /// Waits for a person's answer.
    Pending,
    /// Asked to pause; something below still runs.
    Pausing,
    /// Stands still until it is resumed.
    Paused,
    /// Asked to go on.
    Resuming,
    /// Asked to stop; something still runs.
    Canceling {
        /// Who runs what must stop.
        lease: Lease,
    },
    /// Over. Nothing changes it any more.
    Ended(Outcome),
}

/// What can happen to an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A policy, or the `delay` of a task, holds it back.
    Delay {
        /// When to look again, if time decides.
        until: Option<Timestamp>,
    },
    /// Every policy agrees.
    Admit,
    /// A server is about to start the process, or the conductor takes over.
    Start {
        /// Who starts it.
        lease: Lease,
    },
    /// It asks a person.
    Ask,
    /// A pause was requested.
    Pause,
    /// Everything below stands still.
    Rest,
    /// It shall go on.
    Resume,
    /// A stop was requested.
    Cancel,
    /// It ended by itself, or what had to stop has stopped.
    Finish {
        /// Who says so.
        lease: Lease,
        /// How.
        outcome: Outcome,
    },
    /// The server that ran it is gone, and the action may not run twice.
    Abandon,
    /// The server that ran it is gone, and the action says that it may run again.
    Requeue,
    /// A finished workflow is run again from its failed tasks.
    Rerun,
}

/// An event that the table does not allow in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an execution that is {from} does not take {event:?}")]
pub struct InvalidTransition {
    /// Where it stood.
    pub from: State,
    /// What was tried.
    pub event: Event,
}

impl State {
    /// The only function that changes an execution's state.
    ///
    /// # Errors
    ///
    /// [`InvalidTransition`] when the event does not apply. That includes a `Finish` from a server
    /// whose lease is not the current one: its result is stale and must be dropped, not stored.
    pub fn apply(self, event: Event) -> Result<State, InvalidTransition> {
        use {Event as E, State as S};
        let next = match (self, event) {
            (S::Requested | S::Delayed { .. }, E::Delay { until }) => S::Delayed { until },
            (S::Requested | S::Delayed { .. }, E::Admit) => S::Scheduled,
            (S::Scheduled, E::Start { lease }) => S::Running { lease },
            (S::Running { .. }, E::Ask) => S::Pending,
            (S::Running { lease: Lease::NONE } | S::Resuming | S::Pending, E::Pause) => S::Pausing,
            (S::Requested | S::Delayed { .. } | S::Scheduled, E::Pause) => S::Paused,
            (S::Running { lease: Lease::NONE } | S::Pausing | S::Resuming, E::Rest) => S::Paused,
            // A pause that is taken back before it was complete.
            (S::Pausing | S::Paused, E::Resume) => S::Resuming,
            (S::Resuming | S::Pending, E::Start { lease: Lease::NONE }) => {
                S::Running { lease: Lease::NONE }
            }
            (S::Running { lease }, E::Cancel) => S::Canceling { lease },
            (S::Pending | S::Pausing | S::Paused | S::Resuming, E::Cancel) => {
                S::Canceling { lease: Lease::NONE }
            }
            // Nothing of it runs anywhere yet, so there is nothing to wait for.
            (S::Requested | S::Delayed { .. } | S::Scheduled, E::Cancel) => {
                S::Ended(Outcome::Canceled)
            }
            (S::Running { lease }, E::Finish { lease: by, outcome }) if by == lease => {
                S::Ended(outcome)
            }
            (
                S::Pending | S::Pausing | S::Paused | S::Resuming,
                E::Finish {
                    lease: Lease::NONE,
                    outcome,
                },
            ) => S::Ended(outcome),
            // What could not be started at all (a broken parameter, an unknown runner) fails where
            // it stands.
            (
                S::Requested | S::Delayed { .. } | S::Scheduled,
                E::Finish {
                    lease: Lease::NONE,
                    outcome: outcome @ Outcome::Failed,
                },
            ) => S::Ended(outcome),
            // Not `outcome`: a cancel, once accepted, is the last word, and a result that arrives
            // later is dropped. (StackStorm too lets nothing overwrite `canceled`.)
            (S::Canceling { lease }, E::Finish { lease: by, .. }) if by == lease => {
                S::Ended(Outcome::Canceled)
            }
            (S::Canceling { .. }, E::Abandon | E::Requeue) => S::Ended(Outcome::Canceled),
            (S::Running { lease }, E::Abandon) if lease != Lease::NONE => {
                S::Ended(Outcome::Abandoned)
            }
            (S::Running { lease }, E::Requeue) if lease != Lease::NONE => S::Requested,
            (
                S::Ended(
                    Outcome::Failed
                    | Outcome::TimedOut
                    | Outcome::Abandoned
                    | Outcome::Canceled
                    | Outcome::Succeeded,
                ),
                E::Rerun,
            ) => S::Resuming,
            (from, event) => return Err(InvalidTransition { from, event }),
        };
        Ok(next)
    }

    /// The word that clients see.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            State::Requested => Status::Requested,
            State::Delayed { .. } => Status::Delayed,
            State::Scheduled => Status::Scheduled,
            State::Running { .. } => Status::Running,
            State::Pending => Status::Pending,
            State::Pausing => Status::Pausing,
            State::Paused => Status::Paused,
            State::Resuming => Status::Resuming,
            State::Canceling { .. } => Status::Canceling,
            State::Ended(Outcome::Succeeded) => Status::Succeeded,
            State::Ended(Outcome::Failed) => Status::Failed,
            State::Ended(Outcome::TimedOut) => Status::Timeout,
            State::Ended(Outcome::Abandoned) => Status::Abandoned,
            State::Ended(Outcome::Canceled) => Status::Canceled,
        }
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn outcome(self) -> Option<Outcome> {
        if let State::Ended(outcome) = self {
            Some(outcome)
        } else {
            None
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, State::Ended(_))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.status().as_str())
    }
}

macro_rules! statuses {
    ($($variant:ident $text:literal $doc:literal),* $(,)?) => {
        /// A state as clients see it: StackStorm's words.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Status {
            $(#[doc = $doc] $variant,)*
        }

        impl Status {
            /// All statuses, in the order of an execution's life.
            pub const ALL: &'static [Status] = &[$(Status::$variant),*];

            /// StackStorm's word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Status::$variant => $text),* }
            }
        }

        impl FromStr for Status {
            type Err = UnknownStatus;

            fn from_str(text: &str) -> Result<Status, UnknownStatus> {
                match text { $($text => Ok(Status::$variant),)* _ => Err(UnknownStatus(text.chars().take(64).collect())) }
            }
        }
    };
}

statuses! {
    Requested "requested" "Asked for.",
    Scheduled "scheduled" "Admitted, waits for a slot.",
    Delayed "delayed" "Held back by a policy or a delay.",
    Running "running" "Under way.",
    Pending "pending" "Waits for a person's answer.",
    Pausing "pausing" "Asked to pause.",
    Paused "paused" "Stands still.",
    Resuming "resuming" "Asked to go on.",
    Canceling "canceling" "Asked to stop.",
    Succeeded "succeeded" "Ended well.",
    Failed "failed" "Ended badly.",
    Timeout "timeout" "Stopped because its time was over.",
    Abandoned "abandoned" "Lost with the server that ran it.",
    Canceled "canceled" "Stopped by somebody.",
}

/// A word that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a status of an execution")]
pub struct UnknownStatus(String);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Status {
    /// Whether an execution with this status is over.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(
            self,
            Status::Succeeded
                | Status::Failed
                | Status::Timeout
                | Status::Abandoned
                | Status::Canceled
        )
    }
}

#[cfg(test)]
mod tests;
