//! The embedded store: SQLite in one file, for one server.
//!
//! One thread writes. It takes everything that waits for it into one SQLite transaction, decides
//! each port transaction on top of those before it (so that a refused one never has to be undone),
//! writes the ones that hold, commits once and only then answers: group commit. Readers have
//! connections of their own and never wait for the writer.
//!
//! This crate never reads the clock and knows nothing of stages or wire formats.

mod facts;
mod list;
mod open;
mod purge;
mod read;
mod store;
mod write;
mod writer;

pub use open::{Durability, Options};
pub use store::SqliteStore;
