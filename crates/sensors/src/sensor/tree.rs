//! Ends a sensor's process with everything that it started.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The environment variable that marks a sensor's processes: what a sensor starts inherits it,
/// even what makes a session of its own.
pub(super) const MARKER: &str = "SQUALL_SENSOR_PROCESS";

/// Processes can start others while they are looked for.
const ROUNDS_MAX: usize = 20;

/// Kills every process in the session of `leader` or with `marker` in its environment. Blocks for
/// some milliseconds.
pub(super) fn kill_tree(leader: u32, marker: &str) {
    let entry = format!("{MARKER}={marker}");
    for _ in 0..ROUNDS_MAX {
        let found: Vec<i32> = processes()
            .filter(|pid| belongs(*pid, leader, entry.as_bytes()))
            .collect();
        if found.is_empty() {
            return;
        }
        for pid in found {
            // It may have ended by itself; then there is nothing to do.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::yield_now();
    }
}

fn processes() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn belongs(pid: i32, leader: u32, entry: &[u8]) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // The name in parentheses may hold anything; the fields behind it are state, parent, group,
    // session.
    let Some((_, fields)) = stat.rsplit_once(')') else {
        return false;
    };
    let mut fields = fields.split_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return false;
    }
    if fields.nth(2).and_then(|session| session.parse().ok()) == Some(leader) {
        return true;
    }
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
        environ
            .split(|byte| *byte == 0)
            .any(|variable| variable == entry)
    })
}
