//! The gates of concurrency policies: who holds which.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;
use squall_model::ExecutionId;
use squall_policy::{Admission, Concurrency, Gate, Policy};
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

/// All gates of this server.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    gates: HashMap<Str, (Gate, usize)>,
    held: BTreeMap<ExecutionId, Vec<Str>>,
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
    /// `id` wants to pass the gate `key`.
    pub(crate) fn ask(&self, key: &Str, id: ExecutionId, limit: &Concurrency) -> Admission {
        let mut state = self.state.lock();
        let (gate, threshold) = state.gates.entry(key.clone()).or_default();
        *threshold = limit.threshold;
        // After the limit was raised; whoever passes now finds out when it asks again.
        gate.open(limit.threshold);
        let admission = gate.ask(id, limit.threshold);
        let held = state.held.entry(id).or_default();
        if !held.contains(key) {
            held.push(key.clone());
        }
        admission
    }

    /// Whether one of these has passed the gate and not ended.
    pub(crate) fn is_passed_by_any(&self, key: &Str, ids: &[ExecutionId]) -> bool {
        if ids.is_empty() {
            return false;
        }
        let state = self.state.lock();
        let gate = state.gates.get(key).map(|(gate, _)| gate);
        gate.is_some_and(|gate| ids.iter().any(|id| gate.has_passed(*id)))
    }

    /// Enters one that passed the gate before this server started.
    pub(crate) fn restore(&self, key: &Str, id: ExecutionId, limit: &Concurrency) {
        let mut state = self.state.lock();
        let (gate, threshold) = state.gates.entry(key.clone()).or_default();
        *threshold = limit.threshold;
        gate.restore(id);
        let held = state.held.entry(id).or_default();
        if !held.contains(key) {
            held.push(key.clone());
        }
    }

    /// Where an execution waits: the gates that it has not passed, with its place at each.
    pub(crate) fn places(&self, id: ExecutionId) -> Vec<QueuePlace> {
        let state = self.state.lock();
        let keys = state.held.get(&id).into_iter().flatten();
        let place = |key: &Str| {
            let (gate, _) = state.gates.get(key)?;
            Some(QueuePlace {
                gate: key.clone(),
                place: gate.place(id)?,
                running: gate.running_count(),
            })
        };
        keys.filter_map(place).collect()
    }

    /// Whoever holds a gate or waits at one.
    pub(crate) fn holders(&self) -> Vec<ExecutionId> {
        self.state.lock().held.keys().copied().collect()
    }

    /// How many hold a gate or wait at one.
    pub(crate) fn held(&self) -> usize {
        self.state.lock().held.len()
    }

    /// `id` gives up all that it holds or waits for; returns who may try again now.
    pub(crate) fn leave(&self, id: ExecutionId) -> Vec<ExecutionId> {
        let mut state = self.state.lock();
        let mut admitted = Vec::new();
        for key in state.held.remove(&id).unwrap_or_default() {
            let Some((gate, threshold)) = state.gates.get_mut(&key) else {
                continue;
            };
            admitted.extend(gate.leave(id, *threshold));
            if gate.is_idle() {
                state.gates.remove(&key);
            }
        }
        admitted
    }
}
