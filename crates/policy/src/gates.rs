//! All gates together: who holds which, and whether those who hold them can come to an end.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use squall_model::ExecutionId;
use squall_value::Str;

use crate::{Admission, Concurrency, Excess, Gate};

/// The gates of all concurrency policies, by a name each.
///
/// Executions above others hold gates while they wait for those below, so two workflows that run
/// each other could each wait at the gate that the other holds. A gate through which nobody could
/// ever come any more is *stuck*: whoever would have to wait at it passes instead, beyond the limit.
/// It is the least that lets the others go on, and every wait that remains comes to an end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gates {
    gates: HashMap<Str, Limited>,
    parties: BTreeMap<ExecutionId, Party>,
    /// Who has asked, by who stands above.
    below: HashMap<ExecutionId, BTreeSet<ExecutionId>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Limited {
    gate: Gate,
    threshold: usize,
}

/// One that holds a gate or waits at one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Party {
    gates: Vec<Str>,
    above: Vec<ExecutionId>,
}

impl Gates {
    /// `id` wants to pass the gate `key`; `above` are the executions that wait for it. Asking again
    /// gives the same answer, unless it may pass by now.
    ///
    /// Who stands below one that has passed, passes as well and holds nothing.
    pub fn ask(
        &mut self,
        key: &Str,
        id: ExecutionId,
        above: &[ExecutionId],
        limit: &Concurrency,
    ) -> Admission {
        let limited = self.gates.entry(key.clone()).or_default();
        if above.iter().any(|above| limited.gate.has_passed(*above)) {
            return Admission::Admitted;
        }
        limited.threshold = limit.threshold;
        // After the limit was raised; whoever passes now finds out when it asks again.
        limited.gate.open(limit.threshold);
        let admission = limited.gate.ask(id, limit.threshold);
        self.enter(key, id, above);
        if admission == Admission::Admitted || limit.excess == Excess::Cancel || self.is_live(key) {
            return admission;
        }
        if let Some(limited) = self.gates.get_mut(key) {
            limited.gate.force(id);
        }
        Admission::Admitted
    }

    /// Enters one that has passed already: at a start, from the store.
    pub fn restore(&mut self, key: &Str, id: ExecutionId, limit: &Concurrency) {
        let limited = self.gates.entry(key.clone()).or_default();
        limited.threshold = limit.threshold;
        limited.gate.restore(id);
        self.enter(key, id, &[]);
    }

    /// `id` gives up all that it holds or waits for; returns who may try again now, in order.
    pub fn leave(&mut self, id: ExecutionId) -> Vec<ExecutionId> {
        let Some(party) = self.forget(id) else {
            return Vec::new();
        };
        let mut admitted = Vec::new();
        for key in &party.gates {
            let Some(limited) = self.gates.get_mut(key) else {
                continue;
            };
            let before = admitted.len();
            admitted.extend(limited.gate.leave(id, limited.threshold));
            if limited.gate.is_idle() {
                self.gates.remove(key);
            } else if admitted.len() == before {
                // It had passed beyond the limit, or the limit was lowered.
                admitted.extend(self.unstick(key));
            }
        }
        admitted
    }

    /// The limit of the gates that `are_meant` is another one now; returns who passes by that, in
    /// order at each.
    pub fn limit(
        &mut self,
        are_meant: impl Fn(&str) -> bool,
        threshold: usize,
    ) -> Vec<ExecutionId> {
        let mut admitted = Vec::new();
        for key in self.keys(are_meant) {
            if let Some(limited) = self.gates.get_mut(&key) {
                limited.threshold = threshold;
                admitted.extend(limited.gate.open(threshold));
            }
        }
        admitted
    }

    /// Nobody has to pass the gates that `are_meant` any more: whoever waits at them gives that up.
    /// Returns them in the order of their ids; who has passed is entered until it leaves.
    pub fn disperse(&mut self, are_meant: impl Fn(&str) -> bool) -> BTreeSet<ExecutionId> {
        let mut dispersed = BTreeSet::new();
        for key in self.keys(are_meant) {
            let Some(limited) = self.gates.get_mut(&key) else {
                continue;
            };
            let waiting = limited.gate.disperse();
            if limited.gate.is_idle() {
                self.gates.remove(&key);
            }
            for id in &waiting {
                let Some(party) = self.parties.get_mut(id) else {
                    continue;
                };
                party.gates.retain(|gate| *gate != key);
                if party.gates.is_empty() {
                    self.forget(*id);
                }
            }
            dispersed.extend(waiting);
        }
        dispersed
    }

    /// The gates at which `id` waits.
    pub fn waits(&self, id: ExecutionId) -> impl Iterator<Item = (&Str, &Gate)> {
        let keys = self.parties.get(&id).map_or(&[][..], |party| &party.gates);
        keys.iter().filter_map(move |key| {
            let gate = &self.gates.get(key)?.gate;
            (!gate.has_passed(id)).then_some((key, gate))
        })
    }

    /// Whoever holds a gate or waits at one.
    pub fn parties(&self) -> impl ExactSizeIterator<Item = ExecutionId> {
        self.parties.keys().copied()
    }

    fn keys(&self, are_meant: impl Fn(&str) -> bool) -> BTreeSet<Str> {
        let keys = self.gates.keys().filter(|key| are_meant(key));
        keys.cloned().collect()
    }

    /// Strikes `id` from the list of those who hold or wait.
    fn forget(&mut self, id: ExecutionId) -> Option<Party> {
        let party = self.parties.remove(&id)?;
        for above in &party.above {
            if let Some(below) = self.below.get_mut(above) {
                below.remove(&id);
                if below.is_empty() {
                    self.below.remove(above);
                }
            }
        }
        Some(party)
    }

    fn enter(&mut self, key: &Str, id: ExecutionId, above: &[ExecutionId]) {
        let party = self.parties.entry(id).or_default();
        if !party.gates.contains(key) {
            party.gates.push(key.clone());
        }
        if party.above.is_empty() && !above.is_empty() {
            party.above = above.to_vec();
            for above in above {
                self.below.entry(*above).or_default().insert(id);
            }
        }
    }

    /// Lets the first one pass that keeps the gate `key` stuck by waiting at it, if it is stuck.
    fn unstick(&mut self, key: &Str) -> Option<ExecutionId> {
        if self.is_live(key) {
            return None;
        }
        let reachable = self.reachable(key);
        let holds = |id: &ExecutionId| {
            let gates = reachable.iter().filter_map(|key| self.gates.get(*key));
            gates
                .into_iter()
                .any(|limited| limited.gate.has_passed(*id))
        };
        let is_in_circle = |id: &ExecutionId| {
            let above = self.parties.get(id).map_or(&[][..], |party| &party.above);
            holds(id) || above.iter().any(holds)
        };
        let id = self.gates.get(key)?.gate.waiting().find(is_in_circle)?;
        self.gates.get_mut(key)?.gate.force(id);
        Some(id)
    }

    /// Whether somebody will leave the gate `key` by and by: one of those who have passed it waits
    /// for nobody, itself and all below it, or only at gates of which the same is true.
    fn is_live(&self, key: &Str) -> bool {
        // Nearly always the first look answers: the usual holder waits for nothing.
        if self.is_free(key, &HashSet::new()) {
            return true;
        }
        let reachable = self.reachable(key);
        let mut live = HashSet::new();
        loop {
            let before = live.len();
            for gate in &reachable {
                if !live.contains(gate) && self.is_free(gate, &live) {
                    live.insert(*gate);
                }
            }
            if live.contains(key) || live.len() == before {
                return live.contains(key);
            }
        }
    }

    /// Whether a gate has room, or is held by one whose waits are all at gates in `live`. A gate that
    /// nobody holds although it has no room is shut on purpose, which is not for us to mend.
    fn is_free(&self, key: &Str, live: &HashSet<&Str>) -> bool {
        let Some(Limited { gate, threshold }) = self.gates.get(key) else {
            return true;
        };
        let mut holders = gate.running();
        let is_shut = holders.len() == 0;
        is_shut
            || holders.len() < *threshold
            || holders.any(|holder| self.obstacles(holder).all(|key| live.contains(key)))
    }

    /// The gates at which one waits, or one below it.
    fn obstacles(&self, id: ExecutionId) -> impl Iterator<Item = &Str> {
        let below = self.below.get(&id).into_iter().flatten().copied();
        std::iter::once(id)
            .chain(below)
            .flat_map(|id| self.waits(id))
            .map(|(key, _)| key)
    }

    /// The gates on which it depends whether the gate `key` is live, with itself.
    fn reachable<'a>(&'a self, key: &'a Str) -> HashSet<&'a Str> {
        let mut reachable = HashSet::from([key]);
        let mut pending = vec![key];
        while let Some(key) = pending.pop() {
            let Some(limited) = self.gates.get(key) else {
                continue;
            };
            for obstacle in limited.gate.running().flat_map(|id| self.obstacles(id)) {
                if reachable.insert(obstacle) {
                    pending.push(obstacle);
                }
            }
        }
        reachable
    }
}

#[cfg(test)]
mod tests;
