//! Processes of actions, found by the mark in their environment.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// A process that can't be taken for a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// When it started, in ticks since the machine did.
    started: String,
}

/// The processes that a server with this data directory has started, and theirs.
pub(crate) fn marked(data: &Path) -> BTreeSet<Process> {
    let mark = format!("SQUALL_OWNER={}", data.display());
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| {
        // A process that ends meanwhile is none that is left.
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mut variables = environment.split(|byte| *byte == 0);
        if !variables.any(|variable| variable == mark.as_bytes()) {
            return None;
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; the 22nd field is the 20th after it.
        let started = stat
            .rsplit_once(')')?
            .1
            .split_whitespace()
            .nth(19)?
            .to_owned();
        Some(Process { pid, started })
    })
    .collect()
}

/// Ends processes at once, as a loss of power does.
///
/// # Errors
///
/// When `kill` can't be started. A process that is gone already is no error.
pub(crate) fn end(processes: &BTreeSet<Process>) -> Result<()> {
    for process in processes {
        Command::new("kill")
            .args(["-KILL", &process.pid.to_string()])
            .stderr(std::process::Stdio::null())
            .status()
            .context("cannot start kill")?;
    }
    Ok(())
}
