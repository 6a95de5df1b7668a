//! Chance that follows from a seed.

use parking_lot::Mutex;
use squall_env::{Env, FakeEnv};

/// A source of chance. Two with the same seed give the same sequence.
#[derive(Debug)]
pub(crate) struct Chance(Mutex<FakeEnv>);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(Mutex::new(FakeEnv::new(seed)))
    }

    /// A number below `bound`, which is at least 1.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.0.lock().random() % bound.max(1)
    }

    /// An index into something with `len` elements, which is at least 1.
    pub(crate) fn index(&self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// `true` so many times in a thousand.
    pub(crate) fn per_mille(&self, share: u64) -> bool {
        self.below(1_000) < share
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.index(of.len())]
    }
}
