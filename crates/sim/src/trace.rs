//! What happened, for people who look for the reason of a failure.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use parking_lot::Mutex;
use squall_env::{Env, FakeEnv};

/// The last steps of a run, and a digest of all of them.
#[derive(Debug)]
pub(crate) struct Trace {
    env: Arc<FakeEnv>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lines: VecDeque<String>,
    keep: usize,
    digest: DefaultHasher,
}

impl Trace {
    pub(crate) fn new(env: Arc<FakeEnv>, keep: usize) -> Trace {
        Trace {
            env,
            state: Mutex::new(State {
                lines: VecDeque::new(),
                keep,
                digest: DefaultHasher::new(),
            }),
        }
    }

    pub(crate) fn add(&self, line: impl Into<String>) {
        let now = self.env.now().as_microsecond() % 86_400_000_000;
        let (seconds, micros) = (now / 1_000_000, now % 1_000_000);
        let line = format!("{seconds:5}.{micros:06} {}", line.into());
        let mut state = self.state.lock();
        line.hash(&mut state.digest);
        if state.lines.len() >= state.keep {
            state.lines.pop_front();
        }
        state.lines.push_back(line);
    }

    /// The last lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.state.lock().lines.iter().cloned().collect()
    }

    /// A number that two runs share only if they took the same steps.
    pub(crate) fn digest(&self) -> u64 {
        self.state.lock().digest.finish()
    }
}

/// The last hex digits of an id: enough to tell those of one run apart.
pub(crate) fn short(id: &str) -> &str {
    &id[id.len().saturating_sub(5)..]
}
