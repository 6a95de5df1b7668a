//! Who has guessed too often.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use squall_model::Timestamp;

/// How many guessers are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// Counts failures by what fails: names, or addresses.
#[derive(Debug)]
pub(crate) struct Throttle<K> {
    failures: HashMap<K, (u32, Timestamp)>,
    most: u32,
    lockout: Duration,
}

impl<K: Clone + Eq + Hash> Throttle<K> {
    /// Refuses after `most` failures, until none has come for the time of `lockout`.
    pub(crate) fn new(most: u32, lockout: Duration) -> Throttle<K> {
        Throttle {
            failures: HashMap::new(),
            most,
            lockout,
        }
    }

    /// For how many seconds `key` is refused yet; `None` when it may try.
    pub(crate) fn refused(&mut self, key: &K, now: Timestamp) -> Option<u64> {
        match self.failures.get(key) {
            Some((_, until)) if *until <= now => {
                self.failures.remove(key);
                None
            }
            Some((count, until)) if *count >= self.most => {
                let seconds = until.as_second() - now.as_second();
                Some(u64::try_from(seconds).unwrap_or(1).max(1))
            }
            _ => None,
        }
    }

    /// Notes a failure.
    pub(crate) fn failed(&mut self, key: &K, now: Timestamp) {
        let failures = &mut self.failures;
        if failures.len() >= REMEMBERED_MAX {
            failures.retain(|_, (_, until)| *until > now);
        }
        if failures.len() >= REMEMBERED_MAX && !failures.contains_key(key) {
            // Guesses at ever new names must not fill the memory.
            let oldest = failures.iter().min_by_key(|(_, (_, until))| *until);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.and_then(|key| failures.remove(&key));
        }
        let until = now.checked_add(self.lockout).unwrap_or(Timestamp::MAX);
        let (count, end) = failures.entry(key.clone()).or_insert((0, until));
        *count += 1;
        *end = until;
    }

    /// Forgets the failures of who has succeeded.
    pub(crate) fn succeeded(&mut self, key: &K) {
        self.failures.remove(key);
    }
}
