//! What the change of a task makes of the workflow.

use squall_value::Str;

use super::transition::Inbound;
use super::{Conductor, LogEntry};
use crate::definition::Definition;
use crate::machine::{self, Rest, TaskChange};
use crate::piece::Piece;
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
        // To the workflow, a task whose time was up or whose worker was lost has failed; the
        // reference engine breaks down where that happens before the task ran.
        let status = if status.is_abended() {
            Status::Failed
        } else {
            status
        };
        let change = TaskChange {
            status,
            is_remediated: has_next || has_join_next,
            is_active,
            rest,
        };
        let Ok(Some(next)) = machine::workflow_on_task(self.state.status, change) else {
            return;
        };
        self.set_status(next);
        self.check_joins();
    }

    /// A workflow that has ended fails if a join was half met.
    fn check_joins(&mut self) {
        if !self.state.status.is_completed() {
            return;
        }
        for (name, route) in self.unreachable_joins() {
            self.set_status(Status::Failed);
            self.add_error(&LogEntry::error(unreachable(&name, route)).at(&name, route));
        }
    }

    /// Notes the joins that a workflow leaves half met when it is resumed with nothing left to run.
    /// It succeeds all the same, as in the reference engine; the log says what did not run.
    pub(super) fn note_joins(&mut self) {
        for (name, route) in self.unreachable_joins() {
            let mut entry = LogEntry::error(unreachable(&name, route)).at(&name, route);
            entry.kind = Str::from("warn");
            self.record(Piece::Log {
                entry: entry.to_value(),
            });
        }
    }

    fn unreachable_joins(&self) -> Vec<(Str, usize)> {
        let waiting = self.state.waiting.iter().map(|id| &self.state.staged[id]);
        waiting
            .filter(|staged| {
                self.definition.graph.get(staged.node).barrier.is_some()
                    && self.inbound(staged.node, staged.route) == Inbound::NotSatisfied
            })
            .map(|staged| (self.name(staged.node).clone(), staged.route))
            .collect()
    }

    /// Whether an ended entry leads on: to anything that can still run, and to a join at all.
    /// `continue` leads nowhere.
    pub(super) fn has_next(&self, index: usize) -> (bool, bool) {
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
                self.record(Piece::Status {
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

fn unreachable(name: &str, route: usize) -> String {
    format!(
        "UnreachableJoinError: The join task|route \"{name}|{route}\" is partially satisfied but \
         unreachable."
    )
}

impl Definition {
    /// The name of an outgoing transition of a task, as entries and errors name it.
    #[must_use]
    pub fn transition_id(&self, task: &str, edge: usize) -> Option<&Str> {
        let node = self.graph.find(task)?;
        self.graph.outgoing(node).nth(edge).map(|edge| &edge.id)
    }
}
