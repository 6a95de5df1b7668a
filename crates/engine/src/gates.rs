//! The gates of concurrency policies: who holds which.

use parking_lot::Mutex;
use squall_model::ExecutionId;
use squall_policy::{Admission, Concurrency, Policy};
use squall_value::{Dict, Str, Value, json};

/// The place of an execution that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePlace {
    /// What it waits for: the reference of a policy, with the values that the policy is about; or
    /// `slots`, where it waits for others to end because the server runs as many as it may.
    pub gate: Str,
    /// Its place, from 1: the first is the next to run.
    pub place: usize,
    /// How many run.
    pub running: usize,
}

/// All gates of this server: the pure ones behind a lock.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    state: Mutex<squall_policy::Gates>,
}

/// The name of the gate that an execution with these parameters has to pass.
pub(crate) fn key(policy: &Policy, limit: &Concurrency, parameters: &Dict) -> Str {
    if limit.attributes.is_empty() {
        return policy.reference.clone();
    }
    let values: Value = limit
        .attributes
        .iter()
        .map(|name| parameters.get(name).cloned().unwrap_or_default())
        .collect();
    Str::from(format!("{} {}", policy.reference, json::write(&values)))
}

impl Gates {
    /// `id`, below the executions `above`, wants to pass the gate `key`.
    pub(crate) fn ask(
        &self,
        key: &Str,
        id: ExecutionId,
        above: &[ExecutionId],
        limit: &Concurrency,
    ) -> Admission {
        self.state.lock().ask(key, id, above, limit)
    }

    /// Enters one that passed the gate before this server started.
    pub(crate) fn restore(&self, key: &Str, id: ExecutionId, limit: &Concurrency) {
        self.state.lock().restore(key, id, limit);
    }

    /// Where an execution waits: the gates that it has not passed, with its place at each.
    pub(crate) fn places(&self, id: ExecutionId) -> Vec<QueuePlace> {
        let state = self.state.lock();
        let place = |(key, gate): (&Str, &squall_policy::Gate)| {
            Some(QueuePlace {
                gate: key.clone(),
                place: gate.place(id)?,
                running: gate.running().len(),
            })
        };
        state.waits(id).filter_map(place).collect()
    }

    /// Whoever holds a gate or waits at one.
    pub(crate) fn holders(&self) -> Vec<ExecutionId> {
        self.state.lock().parties().collect()
    }

    /// How many hold a gate or wait at one.
    pub(crate) fn held(&self) -> usize {
        self.state.lock().parties().len()
    }

    /// `id` gives up all that it holds or waits for; returns who may try again now.
    pub(crate) fn leave(&self, id: ExecutionId) -> Vec<ExecutionId> {
        self.state.lock().leave(id)
    }
}
