//! Event sources: timers, sensor processes, and native sources.
//!
//! Every source is leased, singleton work that the engine gives to this crate; what a source sees
//! goes to the engine's [`Sink`], which answers when the event is durable. A source that is stopped
//! and started again, here or on another node, continues at the [`Position`] that the engine
//! committed together with its last event.
//!
//! The deciding parts (schedules, differences between two states of a system, payloads) are pure
//! and take the time as an argument. The shells around them (processes, git, HTTP, files) are
//! thin. This crate never matches rules, never stores anything, and holds no lease itself.

pub mod directory;
pub mod etcd;
mod event;
pub mod file;
pub mod git;
mod native;
mod quicken;
pub mod reports;
pub mod sensor;
pub mod timer;
pub mod trigger_types;

pub use event::{
    Datastore, DatastoreError, DispatchError, Event, KeyListing, KeyWrite, Position, Receipt, Sink,
};
pub use native::{Source, StepError};
