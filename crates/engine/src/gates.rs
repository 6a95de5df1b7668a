//! The gates of concurrency policies: who holds which.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use squall_model::ExecutionId;
use squall_policy::{Admission, Concurrency, Excess, Policy};
use squall_schema::Mask;
use squall_value::{Dict, Str, Value, json};

use crate::{Catalog, Engine};

/// What stands between the name of a gate and what is shown of it; JSON writes it differently.
const SHOWN_AS: char = '\n';

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

/// The name of the gate that an execution with these parameters has to pass. Where `mask` calls a
/// value secret, what may be shown of the name follows it.
pub(crate) fn key(policy: &Policy, limit: &Concurrency, parameters: &Dict, mask: &Mask) -> Str {
    if limit.attributes.is_empty() {
        return policy.reference.clone();
    }
    let value = |name: &Str| parameters.get(name).cloned().unwrap_or_default();
    let values: Value = limit.attributes.iter().map(value).collect();
    let masked = |name: &Str| mask.member(name).apply(&value(name));
    let shown: Value = limit.attributes.iter().map(masked).collect();
    let mut key = format!("{} {}", policy.reference, json::write(&values));
    if shown != values {
        key.push(SHOWN_AS);
        key.push_str(&format!("{} {}", policy.reference, json::write(&shown)));
    }
    Str::from(key)
}

/// What may be shown of a gate's name.
fn shown(key: &Str) -> Str {
    key.split_once(SHOWN_AS)
        .map_or_else(|| key.clone(), |(_, shown)| Str::from(shown))
}

/// Whether a gate is one of the policy `reference`.
fn is_of(key: &str, reference: &str) -> bool {
    let rest = key.strip_prefix(reference);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" ["))
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
                gate: shown(key),
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

    /// A policy has changed from one limit to the other, or is gone; returns who may try again now,
    /// in order.
    fn revise(&self, before: &Policy, after: Option<&Policy>) -> Vec<ExecutionId> {
        let is_meant = |key: &str| is_of(key, &before.reference);
        let mut state = self.state.lock();
        match after.and_then(|after| kept(before, after)) {
            Some(limit) => state.limit(is_meant, limit.threshold),
            None => state.disperse(is_meant).into_iter().collect(),
        }
    }
}

/// The limit that a changed policy has now, if it is still the same gates that one waits at.
fn kept<'a>(before: &Policy, after: &'a Policy) -> Option<&'a Concurrency> {
    let (old, new) = (before.limit()?, after.limit()?);
    let is_kept = before.action == after.action
        && old.attributes == new.attributes
        && new.excess == Excess::Delay;
    is_kept.then_some(new)
}

impl Engine {
    /// The catalogue was another one before: what runs is counted by what the policies say now, and
    /// whoever waits at one that is gone, or says something else now, asks again.
    pub(crate) fn revise_gates(self: &Arc<Engine>, before: &Catalog) {
        let after = self.catalog();
        let (before, after) = (before.limits(), after.limits());
        let mut again = Vec::new();
        for (reference, old) in &before {
            let new = after.get(reference);
            if new != Some(old) {
                again.extend(self.gates.revise(old, new.map(|new| &**new)));
            }
        }
        let is_new = |(reference, policy): (&Str, &Arc<Policy>)| {
            let is_kept = |old: &Arc<Policy>| kept(old, policy).is_some();
            (!before.get(reference).is_some_and(is_kept)).then(|| policy.action.text())
        };
        let limited: HashSet<Str> = after.iter().filter_map(is_new).collect();
        if again.is_empty() && limited.is_empty() {
            return;
        }
        let engine = Arc::clone(self);
        self.spawn.spawn(Box::pin(async move {
            // One that ends meanwhile is entered too late; the slow period gives up its place.
            if !limited.is_empty()
                && let Err(error) = engine.restore_gates(Some(&limited)).await
            {
                tracing::warn!(%error, "what runs is not counted at a policy that is new or changed");
            }
            // One after the other, so that they stay in order.
            for id in again {
                engine.advance(id).await;
            }
        }));
    }
}
