//! Many timers, in order of when they are next due.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use squall_value::Str;

use super::{State, Step, Timer};

/// Timers by key. Looking for what is due costs as much as is due, not as many as there are.
#[derive(Debug, Default)]
pub struct TimerSet {
    timers: HashMap<Str, Entry>,
    wakes: BTreeSet<(Timestamp, Str)>,
}

#[derive(Debug)]
struct Entry {
    timer: Timer,
    state: State,
    wake: Option<Timestamp>,
}

impl TimerSet {
    /// A set without timers.
    #[must_use]
    pub fn new() -> TimerSet {
        TimerSet::default()
    }

    /// Adds `timer`, or replaces the one with its key, with what it remembers.
    pub fn insert(&mut self, timer: Timer, state: State) {
        self.remove(&timer.key.clone());
        let wake = timer.schedule.next_after(state.settled);
        self.wakes
            .extend(wake.map(|wake| (wake, timer.key.clone())));
        self.timers
            .insert(timer.key.clone(), Entry { timer, state, wake });
    }

    /// Takes a timer out; `None` when there was none of this key.
    pub fn remove(&mut self, key: &str) -> Option<(Timer, State)> {
        let entry = self.timers.remove(key)?;
        if let Some(wake) = entry.wake {
            self.wakes.remove(&(wake, entry.timer.key.clone()));
        }
        Some((entry.timer, entry.state))
    }

    /// How many timers there are, those that will never be due again included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    /// Whether there is no timer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }

    /// The timer `key` and what it remembers.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<(&Timer, &State)> {
        self.timers
            .get(key)
            .map(|entry| (&entry.timer, &entry.state))
    }

    /// When the next timer is due; earlier than now if one is already.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(wake, _)| *wake)
    }

    /// Steps at most `limit` of the timers that are due at `now`, the longest due first.
    ///
    /// Nothing is changed: once the ticks and the state of a step are durable, [`Self::settle`]
    /// says so. What is not settled is due again at the next call.
    #[must_use]
    pub fn due(&self, now: Timestamp, limit: usize) -> Vec<(Str, Step)> {
        self.wakes
            .iter()
            .take_while(|(wake, _)| *wake <= now)
            .take(limit)
            .filter_map(|(_, key)| {
                let entry = self.timers.get(key)?;
                Some((key.clone(), entry.timer.step(now, &entry.state)))
            })
            .collect()
    }

    /// Records that `step` of the timer `key` was committed. Does nothing when there is no such
    /// timer any more.
    pub fn settle(&mut self, key: &str, step: &Step) {
        let Some(entry) = self.timers.get_mut(key) else {
            return;
        };
        if let Some(wake) = entry.wake {
            self.wakes.remove(&(wake, entry.timer.key.clone()));
        }
        entry.state = step.state;
        entry.wake = entry.timer.schedule.next_after(step.state.settled);
        self.wakes
            .extend(entry.wake.map(|wake| (wake, entry.timer.key.clone())));
    }
}
