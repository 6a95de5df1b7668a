//! Removal of what is old.

use squall_model::{ExecutionId, Timestamp, TriggerInstanceId, TriggerInstanceStatus};

use super::State;
use crate::{Purge, decide};

impl State {
    /// Removes what the purge names; returns how many trees, executions, events, changes or keys
    /// were concerned.
    pub(in crate::memory) fn purge(&mut self, purge: Purge) -> usize {
        match purge {
            Purge::Executions {
                ended_before,
                limit,
            } => self.purge_executions(ended_before, limit),
            Purge::Output {
                ended_before,
                limit,
            } => self.purge_output(ended_before, limit),
            Purge::TriggerInstances {
                occurred_before,
                limit,
            } => self.purge_trigger_instances(occurred_before, limit),
            Purge::Changes { before, limit } => self.purge_changes(before, limit),
            Purge::Audit { before, limit } => self.purge_audit(before, limit),
            Purge::Expired { now, limit } => self.purge_expired(now, limit),
        }
    }

    fn ended_before(&self, id: ExecutionId, moment: Timestamp) -> bool {
        self.executions.get(&id).is_some_and(|execution| {
            execution.state().is_ended()
                && execution.progress.ended.is_some_and(|ended| ended < moment)
        })
    }

    fn purge_executions(&mut self, moment: Timestamp, limit: usize) -> usize {
        // Nothing ends before it is requested, so what was requested later need not be looked at.
        let trees: Vec<Vec<ExecutionId>> = self
            .top
            .iter()
            .take_while(|(requested, _)| *requested < moment)
            .filter(|(_, id)| self.ended_before(*id, moment))
            .map(|(_, id)| self.tree(*id))
            .filter(|tree| tree.iter().all(|id| !self.unfinished.contains(id)))
            .take(limit)
            .collect();
        for id in trees.iter().flatten() {
            self.remove_execution(*id);
        }
        trees.len()
    }

    fn tree(&self, top: ExecutionId) -> Vec<ExecutionId> {
        let mut tree = vec![top];
        let mut next = 0;
        while let Some(id) = tree.get(next) {
            tree.extend(self.children.get(id).into_iter().flatten());
            next += 1;
        }
        tree
    }

    fn purge_output(&mut self, moment: Timestamp, limit: usize) -> usize {
        let mut old: Vec<ExecutionId> = self
            .output
            .keys()
            .copied()
            .filter(|id| self.ended_before(*id, moment))
            .collect();
        old.sort_unstable();
        old.truncate(limit);
        for id in &old {
            self.output.remove(id);
        }
        old.len()
    }

    fn purge_trigger_instances(&mut self, moment: Timestamp, limit: usize) -> usize {
        let matched = |id| {
            self.trigger_instances
                .get(id)
                .is_some_and(|kept| kept.status != TriggerInstanceStatus::Pending)
        };
        let old: Vec<TriggerInstanceId> = self
            .by_occurred
            .iter()
            .take_while(|(occurred, _)| *occurred < moment)
            .filter(|(_, id)| matched(id) && !self.is_needed(*id))
            .map(|(_, id)| *id)
            .take(limit)
            .collect();
        for id in &old {
            self.remove_trigger_instance(*id);
        }
        old.len()
    }

    /// From the oldest on, and no further than the first that must stay: the feed has no gaps.
    fn purge_changes(&mut self, moment: Timestamp, limit: usize) -> usize {
        let old = self.changes.iter().take_while(|change| change.at < moment);
        let count = old.take(limit).count();
        self.changes.drain(..count);
        count
    }

    /// From the oldest on, and never the newest of all.
    fn purge_audit(&mut self, moment: Timestamp, limit: usize) -> usize {
        let old = self.audit.iter().take_while(|record| record.at < moment);
        let count = old.take(limit).count();
        let count = count.min(self.audit.len().saturating_sub(1));
        self.audit.drain(..count);
        count
    }

    fn purge_expired(&mut self, now: Timestamp, limit: usize) -> usize {
        let expired = self.remembered.iter().filter(|(_, kept)| kept.1 <= now);
        let mut keys: Vec<_> = expired.map(|(key, _)| key.clone()).collect();
        keys.sort_unstable();
        keys.truncate(limit);
        for key in &keys {
            self.remembered.remove(key);
        }
        let documents: Vec<_> = self
            .documents
            .iter()
            .filter(|(_, document)| !decide::is_live(document, now))
            .map(|(place, _)| place.clone())
            .take(limit - keys.len())
            .collect();
        let count = keys.len() + documents.len();
        for (kind, key) in documents {
            self.remove_document(kind, key);
        }
        count
    }
}
