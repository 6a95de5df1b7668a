//! Starting, watching and ending processes.

pub(crate) mod journal;
pub(crate) mod run;
pub(crate) mod spawn_entry;
pub(crate) mod table;
pub(crate) mod tree;

/// Environment variable that names the execution a process belongs to.
pub(crate) const EXECUTION_MARK: &str = "SQUALL_EXECUTION_ID";
/// Environment variable that names the server a process belongs to.
pub(crate) const SERVER_MARK: &str = "SQUALL_OWNER";
