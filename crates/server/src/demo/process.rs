//! Processes that files tell of.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use squall_env::Env;
use squall_value::{Value, dict};

/// A process, and when it started: a later one with the same number is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    started: i64,
}

impl Process {
    /// This one.
    pub(super) fn own() -> Result<Process> {
        let pid = i32::try_from(std::process::id()).context("this process has no usable number")?;
        let started = started(pid).context("/proc does not tell about this process")?;
        Ok(Process { pid, started })
    }

    /// The process that a file names.
    pub(super) fn load(path: &Path) -> Option<Process> {
        let entry = super::read_json(path)?;
        let number = |member| entry.get(member).and_then(Value::as_int);
        Some(Process {
            pid: number("pid")?.try_into().ok().filter(|pid| *pid > 1)?,
            started: number("started")?,
        })
    }

    pub(super) fn store(&self, path: &Path) -> Result<()> {
        let entry = dict! { "pid" => i64::from(self.pid), "started" => self.started };
        std::fs::write(path, entry.to_json())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    pub(super) fn is_alive(&self) -> bool {
        started(self.pid) == Some(self.started)
    }

    /// Asks the process to end and waits for that; returns whether it did.
    pub(super) async fn end(&self, env: &dyn Env, wait: Duration) -> Result<bool> {
        self.signal(Signal::SIGTERM)?;
        Ok(self.gone(env, wait).await)
    }

    /// Ends the process whatever it does.
    pub(super) async fn kill(&self, env: &dyn Env, wait: Duration) -> Result<bool> {
        self.signal(Signal::SIGKILL)?;
        Ok(self.gone(env, wait).await)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot end process {}", self.pid)),
        }
    }

    async fn gone(&self, env: &dyn Env, wait: Duration) -> bool {
        let mut waited = Duration::ZERO;
        while self.is_alive() && waited < wait {
            env.sleep(super::LOOK).await;
            waited += super::LOOK;
        }
        !self.is_alive()
    }
}

/// When a process started, in ticks after boot; `None` when it does not run.
fn started(pid: i32) -> Option<i64> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name before the last bracket may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    fields.get(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_number_and_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let own = Process::own().unwrap();
        own.store(&path).unwrap();
        assert_eq!(Process::load(&path), Some(own));
        assert!(own.is_alive());
        let other = Process {
            started: own.started - 1,
            ..own
        };
        assert!(!other.is_alive());
        std::fs::write(&path, r#"{"pid": -1, "started": 0}"#).unwrap();
        assert_eq!(Process::load(&path), None);
    }
}
