//! Running failed tasks of an ended workflow again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use squall_value::{Str, Value};

use super::Conductor;
use crate::error::Refusal;
use crate::piece::{EntryPiece, Piece};
use crate::status::Status;

/// A task to run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RerunRequest {
    /// The task.
    pub task: Str,
    /// The route.
    pub route: usize,
    /// For a task with items: run all of them again, not only those that failed.
    pub reset_items: bool,
}

impl Conductor {
    /// Runs tasks of an ended workflow again: those named, or those that failed at the end of their
    /// branches. A named task that follows from another named one is not run on its own. The status
    /// becomes `resuming`; the next poll hands out the tasks.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the workflow has not ended, if a named task never ran, or if there is nothing
    /// to rerun. Nothing has changed then.
    pub fn rerun(&mut self, requests: &[RerunRequest]) -> Result<(), Refusal> {
        if !self.state.status.is_completed() {
            return Err(Refusal::StillActive {
                status: self.state.status,
            });
        }
        let requested = self.requested(requests)?;
        let mut candidates: Vec<usize> = if requested.is_empty() {
            self.failed_ends()
        } else {
            self.without_followers(requested.keys().copied().collect())
        };
        let commands = if requested.is_empty() {
            self.failed_commands()
        } else {
            Vec::new()
        };
        if candidates.is_empty() && !commands.is_empty() && self.state.ready.is_empty() {
            return Err(Refusal::NothingToRerun);
        }
        self.record(Piece::Rerun {
            entries: candidates.clone(),
        });
        for index in commands {
            self.withdraw_command(index);
        }
        candidates.sort_by_key(|index| {
            let entry = &self.state.entries[index];
            (self.name(entry.node).clone(), entry.route)
        });
        for index in candidates {
            let reset_items = requested.get(&index).copied().unwrap_or(false);
            self.run_entry_again(index, reset_items);
        }
        self.reopen_branches();
        if !self.state.output.is_null() {
            self.record(Piece::Output {
                output: Value::Null,
            });
        }
        self.set_status(Status::Resuming);
        Ok(())
    }

    /// Whether [`Conductor::rerun`] without requests would run anything. Where it would not, it is
    /// accepted all the same, as in the reference engine, and the workflow rests in `resuming`: ask
    /// first, and refuse.
    #[must_use]
    pub fn has_reruns(&self) -> bool {
        !self.failed_ends().is_empty() || !self.state.ready.is_empty()
    }

    /// The `fail` commands that ended the run.
    fn failed_commands(&self) -> Vec<usize> {
        let terminals = self.state.terminals.iter().copied();
        terminals
            .filter(|index| {
                let entry = &self.state.entries[index];
                let is_latest = self.state.latest.get(&(entry.node, entry.route)) == Some(index);
                is_latest
                    && entry.status.is_abended()
                    && self.definition.is_command(self.name(entry.node))
            })
            .collect()
    }

    /// A `fail` command is no task that could run again: its verdict is taken back, so that what was
    /// left over when it struck can run. Where the branch comes by once more, it strikes again.
    fn withdraw_command(&mut self, index: usize) {
        let entry = &self.state.entries[&index];
        let (node, route) = (entry.node, entry.route);
        let (version, prev) = (entry.version, entry.prev.clone());
        let task = self.name(node).clone();
        self.record(Piece::ErrorsRemoved { task: task.clone() });
        self.record(Piece::Entry(EntryPiece {
            entry: self.state.next_entry,
            task,
            route,
            version,
            prev,
            retry: None,
        }));
        self.end_no_longer(index);
    }

    /// The entries that the requests name, with their wish about items.
    fn requested(&self, requests: &[RerunRequest]) -> Result<BTreeMap<usize, bool>, Refusal> {
        let mut requested = BTreeMap::new();
        let mut unknown = Vec::new();
        for request in requests {
            let latest = self
                .definition
                .graph
                .find(&request.task)
                .and_then(|node| self.state.latest(node, request.route));
            match latest {
                Some((index, _)) => {
                    requested.insert(index, request.reset_items);
                }
                None => unknown.push((request.task.clone(), request.route)),
            }
        }
        if unknown.is_empty() {
            Ok(requested)
        } else {
            Err(Refusal::RerunUnknown { tasks: unknown })
        }
    }

    /// Failed entries that end a branch. A `fail` command is no task: what led to it can be named.
    fn failed_ends(&self) -> Vec<usize> {
        let terminals = self.state.terminals.iter().copied();
        terminals
            .filter(|index| {
                let entry = &self.state.entries[index];
                let is_latest = self.state.latest.get(&(entry.node, entry.route)) == Some(index);
                is_latest
                    && entry.status.is_abended()
                    && !self.definition.is_command(self.name(entry.node))
            })
            .collect()
    }

    /// Who follows from whom, among the entries that are left.
    fn followers(&self) -> HashMap<usize, Vec<usize>> {
        let mut followers: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, entry) in &self.state.entries {
            for (_, source) in entry.prev.iter() {
                followers.entry(*source).or_default().push(*index);
            }
        }
        followers
    }

    /// Drops every entry that follows, over however many steps, from another one of the list.
    fn without_followers(&self, requested: Vec<usize>) -> Vec<usize> {
        let followers = self.followers();
        let all: BTreeSet<usize> = requested.iter().copied().collect();
        let mut reached: BTreeSet<usize> = BTreeSet::new();
        let mut dropped: BTreeSet<usize> = BTreeSet::new();
        // Sources have smaller numbers, so a first one of two in the same chain is met first.
        for start in requested {
            if dropped.contains(&start) {
                continue;
            }
            let mut work = vec![start];
            while let Some(at) = work.pop() {
                for follower in followers.get(&at).into_iter().flatten() {
                    if *follower == start || !reached.insert(*follower) {
                        continue;
                    }
                    if all.contains(follower) {
                        dropped.insert(*follower);
                    }
                    work.push(*follower);
                }
            }
        }
        all.difference(&dropped).copied().collect()
    }

    fn run_entry_again(&mut self, index: usize, reset_items: bool) {
        let entry = &self.state.entries[&index];
        let (node, route) = (entry.node, entry.route);
        let (version, prev, was_terminal) = (entry.version, entry.prev.clone(), entry.is_terminal);
        let name = self.name(node).clone();
        let children: Vec<usize> = self.followers().remove(&index).unwrap_or_default();
        let items = self
            .state
            .staged(node, route)
            .and_then(|(id, staged)| Some((id, staged.items.clone()?)));
        let has_items = self.is_itemized(&name);
        self.record(Piece::ErrorsRemoved { task: name.clone() });
        for child in children {
            self.end_no_longer(child);
        }
        if let (true, Some((id, items))) = (has_items, items) {
            if was_terminal {
                self.end_no_longer(index);
            }
            self.record(Piece::Completed {
                staged: id,
                completed: false,
            });
            for (item, status) in items.statuses.iter().enumerate() {
                if *status != Status::Unset && (reset_items || status.is_abended()) {
                    self.record(Piece::Item {
                        staged: id,
                        item,
                        status: Status::Unset,
                    });
                }
            }
            return;
        }
        if was_terminal {
            self.end_no_longer(index);
        }
        let (count, delay) = self
            .state
            .entries
            .get(&index)
            .and_then(|entry| entry.retry)
            .map_or((None, 0), |retry| (Some(retry.count), retry.delay));
        // Staged first: it keeps the variables alive while the old entry gives way to the new one.
        self.restage(node, route, version, prev.clone(), None);
        self.record(Piece::Entry(EntryPiece {
            entry: self.state.next_entry,
            task: name,
            route,
            version,
            prev,
            retry: count.map(|count| (count, delay)),
        }));
    }

    fn end_no_longer(&mut self, index: usize) {
        if self
            .state
            .entries
            .get(&index)
            .is_some_and(|entry| entry.is_terminal)
        {
            self.record(Piece::Terminal {
                entry: index,
                terminal: false,
            });
        }
    }

    /// Branches that lead on are open again.
    fn reopen_branches(&mut self) {
        let terminals: Vec<usize> = self.state.terminals.iter().copied().collect();
        for index in terminals {
            let entry = &self.state.entries[&index];
            if entry.next.contains(&Some(true)) {
                self.end_no_longer(index);
            }
        }
    }
}
