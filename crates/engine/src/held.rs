//! What an engine holds at the moment, for operators and for the simulation.

use crate::Engine;

/// How much an engine holds. When nothing is under way, all of it is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Executions that have a process here.
    pub running: usize,
    /// Executions whose end is on its way into the store.
    pub ending: usize,
    /// Slots that are taken.
    pub slots: usize,
    /// Executions that wait for a slot.
    pub queued: usize,
    /// Executions that passed a concurrency policy or wait for one.
    pub gated: usize,
    /// Executions about which something is being decided.
    pub claimed: usize,
    /// Workflows that are kept in memory.
    pub workflows: usize,
}

impl Held {
    /// Whether nothing is held.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        *self == Held::default()
    }
}

impl Engine {
    /// What the engine holds at the moment.
    #[must_use]
    pub fn held(&self) -> Held {
        Held {
            running: self.running.lock().len(),
            ending: self.ending.lock().len(),
            slots: self.slots.taken(),
            queued: self.slots.queued(),
            gated: self.gates.held(),
            claimed: self.claims.count(),
            workflows: self.workflows.count(),
        }
    }
}
