//! What the server has promised: the other side of the check.

use std::collections::{BTreeMap, BTreeSet};

/// What an event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only what every event gets: a `noop`.
    Plain,
    /// A process too.
    Shell,
    /// A workflow too.
    Workflow,
    /// An answer that can't be made: the enforcement holds the reason.
    Broken,
}

impl Kind {
    /// The word in the payload.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Shell => "shell",
            Self::Workflow => "workflow",
            Self::Broken => "broken",
        }
    }

    /// The rules that match the event.
    pub(crate) fn rules(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &["crash.every"],
            Self::Shell => &["crash.every", "crash.shell"],
            Self::Workflow => &["crash.every", "crash.workflow"],
            Self::Broken => &["crash.every", "crash.broken"],
        }
    }
}

/// An event that was sent at least once.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// What it asks for.
    pub(crate) kind: Kind,
    /// The event's id, once the server has acknowledged it.
    pub(crate) acknowledged: Option<String>,
}

/// Everything that was sent and what the server said to it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Events by their number.
    pub(crate) events: BTreeMap<u64, Sent>,
    /// Executions that were asked for directly and that the server has accepted.
    pub(crate) executions: BTreeSet<String>,
    /// Executions whose cancellation the server has accepted.
    pub(crate) canceled: BTreeSet<String>,
    /// What was wrong already while it was sent.
    pub(crate) violations: Vec<String>,
}

impl Ledger {
    /// How many events the server has acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        let events = self.events.values();
        events.filter(|sent| sent.acknowledged.is_some()).count()
    }

    /// Takes down that the server has acknowledged an event under this id.
    pub(crate) fn acknowledge(&mut self, number: u64, id: &str) {
        let Some(sent) = self.events.get_mut(&number) else {
            return;
        };
        match &sent.acknowledged {
            Some(first) if first != id => self.violations.push(format!(
                "event {number} was acknowledged as {first}, and as {id} when it was sent again"
            )),
            Some(_) => {}
            None => sent.acknowledged = Some(id.to_owned()),
        }
    }
}
