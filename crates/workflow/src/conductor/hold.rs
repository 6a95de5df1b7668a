//! Failed tasks that wait for a person to decide (`on_failure: hold`).

use squall_value::Value;

use super::{Conductor, World};
use crate::error::Refusal;
use crate::piece::Piece;
use crate::status::Status;

/// What is to become of a task that has failed and waits.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It is run again; its retries are not counted.
    Retry,
    /// It counts as succeeded, without a result.
    Skip,
    /// It counts as succeeded with this result.
    Result(Value),
    /// It has failed for good; its transitions are evaluated.
    Abort,
}

impl Decision {
    /// Its name, as people give it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Decision::Retry => "retry",
            Decision::Skip => "skip",
            Decision::Result(_) => "result",
            Decision::Abort => "abort",
        }
    }

    /// The decision of that name; `result` is what `result` takes, and what the others do not have.
    #[must_use]
    pub fn parse(name: &str, result: Option<Value>) -> Option<Decision> {
        match (name, result) {
            ("retry", None) => Some(Decision::Retry),
            ("skip", None) => Some(Decision::Skip),
            ("abort", None) => Some(Decision::Abort),
            ("result", Some(result)) => Some(Decision::Result(result)),
            _ => None,
        }
    }
}

impl Conductor {
    /// The entry has failed and waits from now on.
    pub(super) fn hold(&mut self, index: usize, result: Value, status: Status) {
        self.record(Piece::Held {
            entry: index,
            held: Some((result, status)),
        });
        let entry = &self.state.entries[&index];
        self.put_behind(entry.node, entry.route);
        if !self.is_active() && self.state.ready.is_empty() {
            self.rest_held();
        }
    }

    /// Decides about a held task. If the workflow rested only because of held tasks it runs on.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotHeld`] if the task does not wait for a decision.
    pub fn decide(
        &mut self,
        task: &str,
        route: usize,
        decision: Decision,
        world: World<'_>,
    ) -> Result<(), Refusal> {
        let held = self
            .definition
            .graph
            .find(task)
            .and_then(|node| self.state.latest(node, route))
            .and_then(|(index, entry)| Some((index, entry.held.clone()?)));
        let Some((index, (result, status))) = held else {
            return Err(Refusal::NotHeld {
                task: task.into(),
                route,
            });
        };
        if self.state.status == Status::Paused && self.state.paused_by_hold {
            self.set_status(Status::Running);
        }
        self.record(Piece::Held {
            entry: index,
            held: None,
        });
        match decision {
            Decision::Retry => self.run_again(index),
            Decision::Skip => self.settle(index, Status::Succeeded, Value::Null, world),
            Decision::Result(value) => self.settle(index, Status::Succeeded, value, world),
            Decision::Abort => {
                let commands = self.lead_on(index, result, world);
                debug_assert!(status.is_abended());
                self.finish(index, commands, world);
            }
        }
        Ok(())
    }

    fn run_again(&mut self, index: usize) {
        let entry = &self.state.entries[&index];
        let (node, route) = (entry.node, entry.route);
        let (version, prev) = (entry.version, entry.prev.clone());
        self.record(Piece::EntryStatus {
            entry: index,
            status: Status::Retrying,
        });
        self.restage(node, route, version, prev, Some(0));
    }

    fn settle(&mut self, index: usize, status: Status, result: Value, world: World<'_>) {
        self.record(Piece::EntryStatus {
            entry: index,
            status,
        });
        let entry = &self.state.entries[&index];
        let (node, route) = (entry.node, entry.route);
        if let Some((id, _)) = self.state.staged(node, route) {
            self.record(Piece::Unstaged { staged: id });
        }
        let commands = self.lead_on(index, result, world);
        self.finish(index, commands, world);
    }
}
