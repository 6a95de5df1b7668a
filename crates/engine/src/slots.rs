//! Slots: how many actions may have a process at the same time, and who waits for one.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use squall_model::{Execution, ExecutionId};

use crate::request::Prepared;

/// One that waits: with what its request stage prepared, when this server prepared it.
pub(crate) type Waiting = (Arc<Execution>, Option<Arc<Prepared>>);

/// The slots of one server. First come, first served.
#[derive(Debug)]
pub(crate) struct Slots {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    count: usize,
    free: usize,
    queue: VecDeque<Waiting>,
    queued: HashSet<ExecutionId>,
}

impl Slots {
    pub(crate) fn new(count: usize) -> Slots {
        let count = count.max(1);
        Slots {
            state: Mutex::new(State {
                count,
                free: count,
                queue: VecDeque::new(),
                queued: HashSet::new(),
            }),
        }
    }

    /// Takes a slot if one is free and nobody waits.
    pub(crate) fn take(&self) -> bool {
        let mut state = self.state.lock();
        if state.free == 0 || !state.queue.is_empty() {
            return false;
        }
        state.free -= 1;
        true
    }

    /// Lets an execution wait. It is found once by [`Slots::next`], also if it is entered twice.
    pub(crate) fn wait(&self, execution: Arc<Execution>, prepared: Option<Arc<Prepared>>) {
        let mut state = self.state.lock();
        if state.queued.insert(execution.id()) {
            state.queue.push_back((execution, prepared));
        }
    }

    /// Whether the execution waits.
    pub(crate) fn is_waiting(&self, id: ExecutionId) -> bool {
        self.state.lock().queued.contains(&id)
    }

    /// The place of an execution that waits, from 1.
    pub(crate) fn place(&self, id: ExecutionId) -> Option<usize> {
        let state = self.state.lock();
        if !state.queued.contains(&id) {
            return None;
        }
        let index = state
            .queue
            .iter()
            .position(|(waiting, _)| waiting.id() == id)?;
        Some(index + 1)
    }

    /// Gives a slot back.
    pub(crate) fn release(&self) {
        self.state.lock().free += 1;
    }

    /// Takes a slot for the one that waits longest.
    pub(crate) fn next(&self) -> Option<Waiting> {
        let mut state = self.state.lock();
        if state.free == 0 {
            return None;
        }
        let waiting = state.queue.pop_front()?;
        state.queued.remove(&waiting.0.id());
        state.free -= 1;
        Some(waiting)
    }

    /// Takes an execution out of the queue, because it was canceled.
    pub(crate) fn forget(&self, id: ExecutionId) {
        let mut state = self.state.lock();
        if state.queued.remove(&id) {
            state.queue.retain(|(waiting, _)| waiting.id() != id);
        }
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        let state = self.state.lock();
        state.count - state.free.min(state.count)
    }

    /// How many wait.
    pub(crate) fn queued(&self) -> usize {
        self.state.lock().queue.len()
    }
}
