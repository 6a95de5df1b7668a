//! Requests to the workflow: run, pause, resume, cancel.

use super::{Conductor, LogEntry};
use crate::error::Refusal;
use crate::machine::{self, Load};
use crate::piece::Piece;
use crate::status::Status;

impl Conductor {
    /// Asks for a workflow status: `requested`, `running`, `pausing`, `paused`, `resuming`,
    /// `canceling`, `canceled`, `failed` …
    ///
    /// Tasks with items are told at once; the actions of plain tasks are the host's to pause and
    /// cancel. While anything runs, `paused` and `canceled` lead to `pausing` and `canceling`.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the workflow can't become that from the status it has. Nothing has changed
    /// then.
    pub fn request_status(&mut self, request: Status) -> Result<(), Refusal> {
        let is_known = !matches!(
            request,
            Status::Unset
                | Status::Pending
                | Status::Timeout
                | Status::Abandoned
                | Status::Retrying
        );
        if !is_known {
            return Err(Refusal::NotAWorkflowStatus { status: request });
        }
        let current = self.state.status;
        let changes = self.told_tasks(request);
        let stopped = changes.iter().filter(|(_, to)| !to.is_active()).count();
        let load = Load {
            is_active: self.state.counts.active() > stopped,
            has_ready: !self.state.ready.is_empty(),
            has_paused: self.state.counts.has(&[Status::Paused, Status::Pending])
                || !self.state.held.is_empty(),
        };
        let mut next = machine::workflow_on_request(current, request, load);
        let resumes = matches!(request, Status::Running | Status::Resuming);
        let only_held = !self.state.held.is_empty()
            && !load.is_active
            && !load.has_ready
            && !self.state.counts.has(&[Status::Paused, Status::Pending]);
        if current == Status::Paused && resumes && only_held {
            // Nothing could run: what is needed is a decision.
            next = None;
        }
        let is_under_way = (request == Status::Paused && current == Status::Pausing)
            || (request == Status::Canceled && current == Status::Canceling);
        let is_unchanged = next.is_none_or(|next| next == current);
        if is_unchanged && request != current && !is_under_way {
            return Err(Refusal::WorkflowTransition {
                from: current,
                to: request,
            });
        }
        for (entry, status) in changes {
            self.record(Piece::EntryStatus { entry, status });
        }
        if let Some(next) = next {
            self.set_status(next);
        }
        if current == Status::Paused && next == Some(Status::Succeeded) {
            self.note_joins();
        }
        Ok(())
    }

    /// The time that the whole run may take is up: it fails. Actions that still run are the host's
    /// to end.
    ///
    /// # Errors
    ///
    /// [`Refusal::WorkflowTransition`] if the run has ended.
    pub fn timed_out(&mut self) -> Result<(), Refusal> {
        if self.state.status.is_completed() {
            return Err(Refusal::WorkflowTransition {
                from: self.state.status,
                to: Status::Failed,
            });
        }
        let message = match self.state.timeout {
            Some(seconds) => format!("The workflow did not end within {seconds} seconds."),
            None => "The workflow did not end within its time.".to_owned(),
        };
        self.add_error(&LogEntry::error(message));
        self.fail();
        Ok(())
    }

    /// What a request makes of the tasks with items that are under way.
    fn told_tasks(&self, request: Status) -> Vec<(usize, Status)> {
        let mut changes = Vec::new();
        for index in &self.state.active {
            let entry = &self.state.entries[index];
            let staged = self.state.staged(entry.node, entry.route);
            let items = staged.and_then(|(_, staged)| staged.items.as_ref());
            let items = items.map(|items| {
                if items.counts.active() > 0 {
                    machine::Items::Active
                } else if items.counts.of(|status| !status.is_completed()) > 0 {
                    machine::Items::Incomplete
                } else {
                    machine::Items::Completed
                }
            });
            if let Ok(Some(to)) = machine::task_on_request(entry.status, request, items) {
                changes.push((*index, to));
            }
        }
        changes
    }
}
