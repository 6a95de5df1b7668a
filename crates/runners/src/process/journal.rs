//! The journal of running processes, and what a server that died left running.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use squall_env::Env;

use super::table::{self, Row};
use super::tree::Tree;
use super::{EXECUTION_MARK, SERVER_MARK};

/// A process that a dead server started and that still runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The leader of its group, or a process that left its group.
    pub pid: i32,
    /// When it started, in clock ticks after boot: tells it from a later process with its pid.
    pub start_time: u64,
    /// The execution that it belongs to.
    pub execution_id: String,
    /// The server that started it.
    pub server_id: String,
}

pub(crate) fn path(run_dir: &Path, execution_id: &str) -> PathBuf {
    // Ids are hexadecimal; anything else must not reach another directory.
    let name: String = execution_id
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .take(120)
        .collect();
    run_dir.join("journal").join(name)
}

/// Records that `pid` runs `execution_id`.
pub(crate) fn write(path: &Path, pid: i32, execution_id: &str) -> io::Result<()> {
    let start = table::row(pid).map_or(0, |row| row.start);
    let text = format!("{pid} {start} {} {execution_id}\n", table::boot_id());
    fs::write(path, text)
}

/// Forgets an entry; one that is not there is fine.
pub(crate) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %path.display(), "an entry of the journal was not removed");
    }
}

struct Entry {
    leader: i32,
    start: u64,
    execution_id: String,
}

/// Entries of this boot. Those of an earlier one are deleted: their processes are gone.
fn entries(run_dir: &Path) -> Vec<Entry> {
    let boot = table::boot_id();
    let Ok(files) = fs::read_dir(run_dir.join("journal")) else {
        return Vec::new();
    };
    let mut entries = Vec::new();
    for file in files.flatten() {
        let text = fs::read_to_string(file.path()).unwrap_or_default();
        match parse(&text) {
            Some((entry, entry_boot)) if entry_boot == boot => entries.push(entry),
            _ => remove(&file.path()),
        }
    }
    entries
}

fn parse(text: &str) -> Option<(Entry, &str)> {
    let mut fields = text.strip_suffix('\n')?.splitn(4, ' ');
    let leader = fields.next()?.parse().ok()?;
    let start = fields.next()?.parse().ok()?;
    let boot = fields.next()?;
    let execution_id = fields.next()?.to_owned();
    Some((
        Entry {
            leader,
            start,
            execution_id,
        },
        boot,
    ))
}

/// What still runs of a server that is dead: found by the journal in `run_dir` and by the marks in
/// the environment of every process that can be seen.
///
/// To be called before this server starts anything. It also finds what an execution that ended
/// left running on purpose (a daemon): give [`end_orphans`] only those whose execution was still
/// under way.
#[must_use]
pub fn find_orphans(run_dir: &Path, server_id: &str) -> Vec<Orphan> {
    let rows = table::all();
    let by_pid: HashMap<i32, &Row> = rows.iter().map(|row| (row.pid, row)).collect();
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut orphans: Vec<Orphan> = Vec::new();
    let mut add = |row: &Row, execution_id: &str| {
        if row.is_zombie || row.pid == own || orphans.iter().any(|known| known.pid == row.pid) {
            return;
        }
        orphans.push(Orphan {
            pid: row.pid,
            start_time: row.start,
            execution_id: execution_id.to_owned(),
            server_id: server_id.to_owned(),
        });
    };
    for entry in entries(run_dir) {
        match by_pid.get(&entry.leader) {
            Some(leader) if leader.start != entry.start => {}
            Some(leader) if !leader.is_zombie => add(leader, &entry.execution_id),
            // The kernel gives a number to no new process while a group or session bears it, so
            // these are the members of the old one.
            _ => rows
                .iter()
                .filter(|row| row.group == entry.leader || row.session == entry.leader)
                .for_each(|row| add(row, &entry.execution_id)),
        }
    }
    for row in &rows {
        let [execution, server] = table::environment(row.pid, [EXECUTION_MARK, SERVER_MARK]);
        if let Some(execution_id) = execution.filter(|_| server.as_deref() == Some(server_id)) {
            add(row, &execution_id);
        }
    }
    orphans
}

/// Ends `orphans` with their trees, and clears the journal of them. Returns how many processes
/// could not be ended; each is logged.
pub async fn end_orphans(
    run_dir: &Path,
    orphans: &[Orphan],
    env: &dyn Env,
    grace: Duration,
) -> usize {
    let ends = orphans.iter().map(|orphan| async move {
        let same = table::row(orphan.pid).is_some_and(|row| row.start == orphan.start_time);
        let tree = Tree {
            leader: if same { orphan.pid } else { 0 },
            execution_id: orphan.execution_id.clone(),
            server_id: orphan.server_id.clone(),
            sudo: Some(super::tree::Sudo {
                program: crate::host::find_program("sudo")
                    .unwrap_or_else(|| PathBuf::from("/usr/bin/sudo")),
                password: None,
            }),
        };
        let left = if same {
            tree.end(env, grace).await.len()
        } else {
            0
        };
        remove(&path(run_dir, &orphan.execution_id));
        left
    });
    futures::future::join_all(ends).await.into_iter().sum()
}
