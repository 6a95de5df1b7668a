//! The store for many nodes: PostgreSQL in batches.
//!
//! Each server has one lane that writes: it gathers what waits into one database transaction, locks
//! the appender's row (so that all lanes of all servers take turns, and the order of positions in
//! the feed is the order of commits), reads ahead what the decisions need, decides every port
//! transaction in Rust, and writes those that hold with one statement per table. Two round trips
//! and one flush to disk per batch, however many transactions it holds.
//!
//! Each commit ends with one `NOTIFY`, which is a mere hint: a slow poll finds what it missed.
//!
//! Connections are not encrypted; use a Unix socket, a private network or a tunnel.

mod connect;
mod facts;
mod feed;
mod lane;
mod list;
mod plan;
mod purge;
mod read;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod write;

pub use store::PostgresStore;
