//! The machine's own clock and chance.

use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use squall_model::Timestamp;

use crate::Env;

/// The real time, the system's randomness, and ids made of both.
#[derive(Debug)]
pub struct SystemEnv {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now_us: i64,
    /// Seconds and their 65,536ths of the last id, as one number.
    tick: u64,
    counter: u16,
    /// Tells servers that make an id in the same moment apart.
    server: u32,
}

impl SystemEnv {
    /// An environment with chance of its own.
    #[must_use]
    pub fn new() -> SystemEnv {
        let server = (system_random() >> 32) as u32;
        SystemEnv {
            state: Mutex::new(State {
                now_us: 0,
                tick: 0,
                counter: 0,
                server,
            }),
        }
    }
}

impl Default for SystemEnv {
    fn default() -> SystemEnv {
        SystemEnv::new()
    }
}

impl State {
    fn now_us(&mut self) -> i64 {
        // This is the one place where the program looks at the clock.
        #[allow(clippy::disallowed_methods)]
        let read = Timestamp::now().as_microsecond();
        self.now_us = self.now_us.max(read);
        self.now_us
    }
}

#[async_trait]
impl Env for SystemEnv {
    fn now(&self) -> Timestamp {
        let now_us = self.state.lock().now_us();
        Timestamp::from_microsecond(now_us).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn fresh_raw(&self) -> u128 {
        let mut state = self.state.lock();
        let now_us = u64::try_from(state.now_us()).unwrap_or(0);
        let tick = ((now_us / 1_000_000) << 16) | ((now_us % 1_000_000) * 65_536 / 1_000_000);
        if tick > state.tick {
            state.tick = tick;
            state.counter = 0;
        } else if let Some(next) = state.counter.checked_add(1) {
            state.counter = next;
        } else {
            // More ids than a tick holds: borrow the next tick.
            state.tick += 1;
            state.counter = 0;
        }
        (u128::from(state.tick) << 48)
            | (u128::from(state.counter) << 32)
            | u128::from(state.server)
    }

    fn random(&self) -> u64 {
        system_random()
    }

    async fn sleep(&self, duration: Duration) {
        #[allow(clippy::disallowed_methods)]
        tokio::time::sleep(duration).await;
    }
}

fn system_random() -> u64 {
    getrandom::u64().expect("the system gives randomness: without it no key or id is safe")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_and_begin_with_the_time() {
        let env = SystemEnv::new();
        let ids: Vec<u128> = (0..100_000).map(|_| env.fresh_raw()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        let seconds = i64::try_from(ids[0] >> 64).unwrap();
        assert!((env.now().as_second() - seconds).abs() <= 1);
    }
}
