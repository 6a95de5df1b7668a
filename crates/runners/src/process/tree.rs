//! The processes of one job, wherever they went, and their end.

use std::collections::HashSet;
use std::process::Stdio;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use squall_env::Env;

use super::table::{self, Row};
use super::{EXECUTION_MARK, SERVER_MARK};

/// How long killed processes may take to vanish; longer means that the kernel holds them.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What the processes of a job have in common.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    /// The leader of the group, or of the session, that the job was started in.
    pub(crate) leader: i32,
    pub(crate) execution_id: String,
    pub(crate) server_id: String,
    /// For processes of another user.
    pub(crate) sudo: Option<Sudo>,
}

/// How to signal processes that belong to another user.
#[derive(Debug, Clone)]
pub(crate) struct Sudo {
    pub(crate) program: std::path::PathBuf,
    pub(crate) password: Option<String>,
}

impl Tree {
    /// The living processes of the job: those of its group and session, those that carry its mark,
    /// and the descendants and the sessions of all of these.
    pub(crate) fn members(&self) -> Vec<Row> {
        // Every process whose parent is out of sight has 0 for a parent, and so has no leader.
        if self.leader <= 1 {
            return Vec::new();
        }
        let rows = table::all();
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let mut members: Vec<Row> = Vec::new();
        let mut pids: HashSet<i32> = HashSet::from([self.leader]);
        let mut rest: Vec<Row> = Vec::with_capacity(rows.len());
        for row in rows {
            if row.pid == own || row.pid == 1 {
                continue;
            }
            let is_member = row.pid == self.leader
                || row.group == self.leader
                || row.session == self.leader
                || self.is_marked(row.pid);
            if is_member {
                pids.insert(row.pid);
                members.push(row);
            } else {
                rest.push(row);
            }
        }
        loop {
            let (found, others): (Vec<Row>, Vec<Row>) = rest
                .into_iter()
                .partition(|row| pids.contains(&row.parent) || pids.contains(&row.session));
            if found.is_empty() {
                break;
            }
            pids.extend(found.iter().map(|row| row.pid));
            members.extend(found);
            rest = others;
        }
        members.retain(|row| !row.is_zombie || row.parent == own);
        members
    }

    fn is_marked(&self, pid: i32) -> bool {
        let [execution, server] = table::environment(pid, [EXECUTION_MARK, SERVER_MARK]);
        execution.as_deref() == Some(&*self.execution_id)
            && server.as_deref() == Some(&*self.server_id)
    }

    /// Asks all processes to end, waits for `grace`, then kills what is left. Returns the
    /// processes that could not be ended.
    pub(crate) async fn end(&self, env: &dyn Env, grace: Duration) -> Vec<Row> {
        self.signal(&self.members(), Signal::SIGTERM).await;
        if self.gone(env, grace, None).await.is_empty() {
            return Vec::new();
        }
        let left = self.gone(env, KILL_PATIENCE, Some(Signal::SIGKILL)).await;
        if !left.is_empty() {
            tracing::error!(
                execution = self.execution_id,
                pids = ?left.iter().map(|row| row.pid).collect::<Vec<_>>(),
                "processes survived SIGKILL; end them by hand"
            );
        }
        left
    }

    /// Waits until no member lives, repeating `signal`: new ones may be forked meanwhile.
    async fn gone(&self, env: &dyn Env, patience: Duration, signal: Option<Signal>) -> Vec<Row> {
        let mut waited = Duration::ZERO;
        let mut pause = Duration::from_millis(1);
        loop {
            let mut members = self.members();
            members.retain(|row| !(row.is_zombie && self.reap(row)));
            if members.is_empty() || waited >= patience {
                return members;
            }
            if let Some(signal) = signal {
                self.signal(&members, signal).await;
            }
            env.sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(LOOK_EVERY);
        }
    }

    /// Takes away a zombie that fell to this process. The leader is left to whoever started it.
    fn reap(&self, row: &Row) -> bool {
        row.pid == self.leader
            || waitpid(Pid::from_raw(row.pid), Some(WaitPidFlag::WNOHANG)).is_ok()
    }

    async fn signal(&self, rows: &[Row], signal: Signal) {
        let mut refused: Vec<String> = Vec::new();
        for row in rows.iter().filter(|row| !row.is_zombie) {
            // Between the look and the signal the pid may have passed to another process.
            if table::row(row.pid).is_none_or(|now| now.start != row.start) {
                continue;
            }
            if kill(Pid::from_raw(row.pid), signal) == Err(Errno::EPERM) {
                refused.push(row.pid.to_string());
            }
        }
        if let (Some(sudo), false) = (&self.sudo, refused.is_empty()) {
            sudo.kill(&refused, signal).await;
        }
    }
}

impl Sudo {
    async fn kill(&self, pids: &[String], signal: Signal) {
        use tokio::io::AsyncWriteExt;
        let mut command = tokio::process::Command::new(&self.program);
        match self.password {
            Some(_) => command.args(["-S", "-p", ""]).stdin(Stdio::piped()),
            None => command.arg("-n").stdin(Stdio::null()),
        };
        command
            .args([
                "--",
                "/bin/kill",
                "-s",
                &signal.as_str()["SIG".len()..],
                "--",
            ])
            .args(pids)
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else {
            return;
        };
        if let (Some(password), Some(mut stdin)) = (&self.password, child.stdin.take()) {
            // A `sudo` that asks for nothing may be gone already.
            let _ = stdin.write_all(format!("{password}\n").as_bytes()).await;
        }
        if let Err(error) = child.wait().await {
            tracing::warn!(%error, "waiting for sudo failed while it signaled processes");
        }
    }
}
