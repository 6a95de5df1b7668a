//! An environment that a test or a simulation owns.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use squall_model::Timestamp;
use tokio::sync::oneshot;

use crate::Env;

/// Time moves only when told; ids count up; chance follows from the seed.
#[derive(Debug)]
pub struct FakeEnv {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now_us: i64,
    ids: u64,
    random: u64,
    sleepers: BinaryHeap<Sleeper>,
    sleeps: u64,
}

#[derive(Debug)]
struct Sleeper {
    due: Reverse<(i64, u64)>,
    wake: oneshot::Sender<()>,
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Sleeper) -> bool {
        self.due == other.due
    }
}

impl Eq for Sleeper {}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Sleeper) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Sleeper) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

impl FakeEnv {
    /// An environment that starts on 1 January 2026, with chance from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> FakeEnv {
        FakeEnv {
            state: Mutex::new(State {
                now_us: 1_767_225_600_000_000,
                ids: 0,
                random: seed,
                sleepers: BinaryHeap::new(),
                sleeps: 0,
            }),
        }
    }

    /// Moves the time on and wakes whoever slept until then, earliest first.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.state.lock();
        state.now_us += i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        while state
            .sleepers
            .peek()
            .is_some_and(|sleeper| sleeper.due.0.0 <= state.now_us)
        {
            if let Some(sleeper) = state.sleepers.pop() {
                // A sleeper that is gone needs no waking.
                let _ = sleeper.wake.send(());
            }
        }
    }

    /// When the next sleeper wants to wake, if somebody sleeps.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let state = self.state.lock();
        let due = state.sleepers.peek().map(|sleeper| sleeper.due.0.0)?;
        Timestamp::from_microsecond(due).ok()
    }
}

#[async_trait]
impl Env for FakeEnv {
    fn now(&self) -> Timestamp {
        let now_us = self.state.lock().now_us;
        Timestamp::from_microsecond(now_us).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn fresh_raw(&self) -> u128 {
        let mut state = self.state.lock();
        state.ids += 1;
        let seconds = u128::try_from(state.now_us / 1_000_000).unwrap_or(0);
        seconds << 64 | u128::from(state.ids)
    }

    fn random(&self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014): every seed gives a good sequence.
        let mut state = self.state.lock();
        state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    async fn sleep(&self, duration: Duration) {
        let woken = {
            let mut state = self.state.lock();
            let due = state.now_us + i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 2);
            let (wake, woken) = oneshot::channel();
            state.sleeps += 1;
            let due = Reverse((due, state.sleeps));
            state.sleepers.push(Sleeper { due, wake });
            woken
        };
        // The sender lives in the heap until it fires, so an error means that the world ended.
        let _ = woken.await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn sleepers_wake_when_time_is_moved() {
        let env = Arc::new(FakeEnv::new(1));
        let sleeping = Arc::clone(&env);
        let sleeper = tokio::spawn(async move { sleeping.sleep(Duration::from_secs(5)).await });
        while env.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        env.advance(Duration::from_secs(5));
        sleeper.await.unwrap();
        assert_eq!(env.next_wake(), None);
    }

    #[test]
    fn chance_follows_from_the_seed() {
        let draw = |seed| FakeEnv::new(seed).random();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
