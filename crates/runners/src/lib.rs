//! Runs actions: the runner port, and one module per runner.
//!
//! A [`Runner`] turns a [`Job`] into an [`Outcome`]. It never looks at the store, never decides
//! *whether* something may run, and never leaves a process behind that it was told to end. The
//! [`Registry`] knows all runner types by name, with StackStorm's aliases, and their parameters.
//!
//! Processes: [`Host`] says how they are started. Each is the leader of a process group of its own
//! (of a session, where [`spawn_entry`] stands between), carries the marks `SQUALL_EXECUTION_ID`
//! and `SQUALL_OWNER` in its environment and has an entry in a journal on disk, so that a timeout,
//! a cancel and the next start of a server that died ([`find_orphans`], [`end_orphans`]) reach the
//! whole tree, daemons included.

mod announcement;
mod content;
mod host;
mod http;
mod mask;
mod noop;
mod output;
mod port;
mod process;
mod python;
mod registry;
mod shell;
mod ssh;
mod stdio;
mod winrm;

pub use announcement::{ANNOUNCEMENT, announced};
pub use host::{Host, Settings};
pub use mask::{MASK, SECRET_BYTES_MIN, mask_values};
pub use output::TRUNCATED;
pub use port::{
    CancelHandle, CancelSignal, DiscardOutput, Isolation, Job, Outcome, Output, OutputSink, Runner,
    Verdict,
};
pub use process::journal::{Orphan, end_orphans, find_orphans};
pub use process::spawn_entry::{SPAWN_COMMAND, spawn_entry};
pub use registry::{Registry, RunnerType};
pub use ssh::{HostKeys, SshSettings};
