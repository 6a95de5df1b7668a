//! How the engine sets work going.

use std::fmt::Debug;
use std::pin::Pin;

/// A piece of work that runs by itself.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs work beside its caller. The server gives tokio's; a simulation gives one seeded loop, so
/// that the same seed takes the same steps.
pub trait Spawn: Debug + Send + Sync {
    /// Sets `work` going and returns at once.
    fn spawn(&self, work: Work);
}

/// Tokio's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioSpawn;

impl Spawn for TokioSpawn {
    fn spawn(&self, work: Work) {
        tokio::spawn(work);
    }
}
