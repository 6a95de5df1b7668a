//! What a program may not take for itself: the time, sleeping, fresh ids and chance.
//!
//! Everything that runs gets an [`Env`]. The server has a [`SystemEnv`]; a simulation owns a
//! [`FakeEnv`], whose time moves only when told and whose ids and chance follow from one seed.

mod fake;
mod system;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use squall_model::{Id, Timestamp};

pub use fake::FakeEnv;
pub use system::SystemEnv;

/// The source of time, ids and chance.
#[async_trait]
pub trait Env: Debug + Send + Sync {
    /// The present, in microseconds. Never goes back within one process.
    fn now(&self) -> Timestamp;

    /// 96 bits that no other call gives, here or on another server. Later ids are greater within
    /// one process, and almost always across servers.
    fn fresh_raw(&self) -> u128;

    /// 64 bits of chance; good enough for keys and tokens in a [`SystemEnv`].
    fn random(&self) -> u64;

    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// A fresh id of the kind that is wanted.
pub fn fresh_id<K>(env: &dyn Env) -> Id<K> {
    Id::from_raw(env.fresh_raw())
}
