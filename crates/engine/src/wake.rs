//! What has to be looked at again at a certain time.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use squall_model::{ExecutionId, Timestamp};
use tokio::sync::Notify;

/// Times and executions, earliest first. An aid to memory: the store holds the same times, and the
/// slow period finds what this forgot.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    times: Mutex<BTreeSet<(Timestamp, ExecutionId)>>,
    changed: Notify,
}

impl Wakes {
    /// Remembers to look at `id` at `at`.
    pub(crate) fn set(&self, at: Timestamp, id: ExecutionId) {
        let earliest = {
            let mut times = self.times.lock();
            // The slow period sets the same times again and again.
            times.insert((at, id)) && times.first().is_some_and(|(first, _)| *first == at)
        };
        if earliest {
            self.changed.notify_one();
        }
    }

    /// The earliest time, if there is one.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.times.lock().first().map(|(at, _)| *at)
    }

    /// Takes out what is due.
    pub(crate) fn due(&self, now: Timestamp) -> Vec<ExecutionId> {
        let mut times = self.times.lock();
        let mut due = Vec::new();
        while times.first().is_some_and(|(at, _)| *at <= now) {
            due.extend(times.pop_first().map(|(_, id)| id));
        }
        due
    }

    /// Returns when an earlier time than all before was set.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}
