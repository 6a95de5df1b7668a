//! What the change of a task makes of the workflow.

use super::transition::Inbound;
use super::{Conductor, LogEntry};
use crate::definition::Definition;
use crate::machine::{self, Rest, TaskChange};
use crate::status::Status;

impl Conductor {
    /// Lets the workflow see the status that an entry has now.
    pub(super) fn progress(&mut self, index: usize) {
        let Some(entry) = self.state.entries.get(&index) else {
            return;
        };
        let status = entry.status;
        let (has_next, has_join_next) = self.has_next(index);
        let counts = &self.state.counts;
        let is_active = counts.active() > 0;
        let rest = if counts.has(&[Status::Canceling, Status::Canceled]) {
            Rest::Canceled
        } else if counts.has(&[Status::Pausing, Status::Paused, Status::Pending]) {
            Rest::Paused
        } else if !self.state.ready.is_empty() || has_next {
            Rest::Incomplete
        } else {
            Rest::Completed
        };
        let waits_for_decision = !self.state.held.is_empty();
        if rest == Rest::Completed && waits_for_decision && !is_active {
            self.rest_held();
            return;
        }
        let change = TaskChange {
            status,
            is_remediated: has_next || has_join_next,
            is_active,
            rest,
        };
        let Some(next) = machine::workflow_on_task(self.state.status, change) else {
            return;
        };
        self.set_status(next);
        self.check_joins();
    }

    /// A workflow that has ended fails if a join was half met.
    ///
    /// A canceled workflow stays canceled: that joins are not met is what canceling does.
    pub(super) fn check_joins(&mut self) {
        if !matches!(self.state.status, Status::Succeeded | Status::Failed) {
            return;
        }
        let waiting: Vec<u64> = self.state.waiting.iter().copied().collect();
        for id in waiting {
            let staged = &self.state.staged[&id];
            let (node, route) = (staged.node, staged.route);
            let is_join = self.definition.graph.get(node).barrier.is_some();
            if !is_join || self.inbound(node, route) != Inbound::NotSatisfied {
                continue;
            }
            let name = self.name(node).clone();
            let message = format!(
                "UnreachableJoinError: The join task|route \"{name}|{route}\" is partially \
                 satisfied but unreachable."
            );
            self.set_status(Status::Failed);
            self.add_error(&LogEntry::error(message).at(&name, route));
        }
    }

    /// Whether an ended entry leads on: to anything that can still run, and to a join at all.
    /// `continue` leads nowhere.
    fn has_next(&self, index: usize) -> (bool, bool) {
        let entry = &self.state.entries[&index];
        if !entry.status.is_completed() {
            return (false, false);
        }
        let graph = &self.definition.graph;
        let mut has_join = false;
        for (edge, taken) in graph.outgoing(entry.node).zip(&entry.next) {
            if *taken != Some(true) || &**self.name(edge.to) == "continue" {
                continue;
            }
            if graph.get(edge.to).barrier.is_none() {
                return (true, true);
            }
            has_join = true;
            if self.inbound(edge.to, entry.route) != Inbound::NotSatisfied {
                return (true, true);
            }
        }
        (false, has_join)
    }

    /// Rests until a decision about a held task is made.
    pub(super) fn rest_held(&mut self) {
        match self.state.status {
            Status::Running | Status::Resuming => {
                self.record(crate::piece::Piece::Status {
                    status: Status::Paused,
                    by_hold: true,
                });
            }
            Status::Pausing => self.set_status(Status::Paused),
            Status::Canceling => self.set_status(Status::Canceled),
            _ => {}
        }
    }
}

impl Definition {
    /// The name of an outgoing transition of a task, as entries and errors name it.
    #[must_use]
    pub fn transition_id(&self, task: &str, edge: usize) -> Option<&squall_value::Str> {
        let node = self.graph.find(task)?;
        self.graph.outgoing(node).nth(edge).map(|edge| &edge.id)
    }
}
