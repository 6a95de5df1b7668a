//! What has to be looked at again at a certain time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use parking_lot::Mutex;
use squall_model::{ExecutionId, Timestamp};
use tokio::sync::Notify;

/// Times and executions, earliest first. An aid to memory: the store holds the same times, and the
/// slow period finds what this forgot.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    heap: Mutex<BinaryHeap<Reverse<(Timestamp, ExecutionId)>>>,
    changed: Notify,
}

impl Wakes {
    /// Remembers to look at `id` at `at`.
    pub(crate) fn set(&self, at: Timestamp, id: ExecutionId) {
        let earliest = {
            let mut heap = self.heap.lock();
            heap.push(Reverse((at, id)));
            heap.peek().is_some_and(|Reverse((first, _))| *first == at)
        };
        if earliest {
            self.changed.notify_one();
        }
    }

    /// The earliest time, if there is one.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.heap.lock().peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out what is due.
    pub(crate) fn due(&self, now: Timestamp) -> Vec<ExecutionId> {
        let mut heap = self.heap.lock();
        let mut due = Vec::new();
        while heap.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            due.extend(heap.pop().map(|Reverse((_, id))| id));
        }
        due
    }

    /// Returns when an earlier time than all before was set.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}
