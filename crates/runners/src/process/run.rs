//! Runs one process to its end, or ends it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use squall_model::OutputStream;
use tokio::process::{Child, Command};

use super::journal;
use super::tree::{Sudo, Tree};
use crate::host::Host;
use crate::mask::Masker;
use crate::output::Collector;
use crate::port::{CancelSignal, Job, OutputSink};

/// A process to be started.
pub(crate) struct Launch {
    /// An absolute path.
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// The whole environment.
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: PathBuf,
    pub(crate) stdin: Stdio,
    /// Set when it will not run as the server's user.
    pub(crate) sudo: Option<Sudo>,
    pub(crate) timeout: Option<Duration>,
}

/// Why a process is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The exit code, or the negated number of a signal.
    Exited(i32),
    TimedOut,
    Canceled,
}

/// What came of a process.
pub(crate) struct Ended {
    pub(crate) end: End,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| -status.signal().unwrap_or(0))
}

/// Starts `launch` and stays with it until it ended, timed out or was canceled. After a timeout or
/// a cancel nothing of it runs any more.
///
/// # Errors
///
/// The process could not be started.
pub(crate) async fn run(
    host: &Host,
    job: &Job,
    launch: Launch,
    masker: &Masker,
    output: OutputSink,
    cancel: CancelSignal,
) -> io::Result<Ended> {
    let collector = Collector::new(output, masker.clone(), host.settings.output_bytes_max);
    let (sudo, timeout) = (launch.sudo.clone(), launch.timeout);
    let mut child = start(host, job, launch)?;
    let leader = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .unwrap_or(0);
    let tree = Tree {
        leader,
        execution_id: job.execution_id.clone(),
        server_id: host.settings.server_id.clone(),
        sudo,
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let watched = async {
        let end = tokio::select! {
            biased;
            status = child.wait() => End::Exited(status.map_or(-1, exit_code)),
            () = cancel.canceled() => End::Canceled,
            () = after(host, timeout) => End::TimedOut,
        };
        if !matches!(end, End::Exited(_)) {
            tree.end(&*host.env, host.settings.grace).await;
            // Its status says only how it was ended; it is taken so that no zombie stays. A
            // process that survives SIGKILL must not hold the execution for ever.
            tokio::select! {
                _ = child.wait() => {}
                () = host.env.sleep(host.settings.grace) => {}
            }
        }
        journal::remove(&host.journal_path(&job.execution_id));
        end
    };
    let (end, stdout, stderr) = collect(host, &collector, stdout, stderr, watched).await;
    Ok(Ended {
        end,
        stdout,
        stderr,
    })
}

/// Reads both streams while `watched` waits for the process, and a bounded time longer: a process
/// left in the background may hold them open for ever.
pub(crate) async fn collect<T>(
    host: &Host,
    collector: &Collector,
    stdout: Option<impl tokio::io::AsyncRead + Unpin>,
    stderr: Option<impl tokio::io::AsyncRead + Unpin>,
    watched: impl Future<Output = T>,
) -> (T, String, String) {
    let (stop, stopped) = CancelSignal::new();
    let (done, all_read) = CancelSignal::new();
    let reading = async {
        let stdout = read(collector, stdout, OutputStream::Stdout, stopped.clone());
        let stderr = read(collector, stderr, OutputStream::Stderr, stopped.clone());
        let texts = tokio::join!(stdout, stderr);
        done.cancel();
        texts
    };
    let control = async {
        let ended = watched.await;
        tokio::select! {
            () = all_read.canceled() => {}
            () = host.env.sleep(host.settings.drain) => stop.cancel(),
        }
        ended
    };
    let ((stdout, stderr), ended) = tokio::join!(reading, control);
    (ended, stdout, stderr)
}

async fn read(
    collector: &Collector,
    source: Option<impl tokio::io::AsyncRead + Unpin>,
    stream: OutputStream,
    stop: CancelSignal,
) -> String {
    match source {
        Some(source) => collector.read(source, stream, stop).await,
        None => String::new(),
    }
}

/// Ends after `timeout`; never without one.
pub(crate) async fn after(host: &Host, timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => host.env.sleep(timeout).await,
        None => std::future::pending().await,
    }
}

fn start(host: &Host, job: &Job, launch: Launch) -> io::Result<Child> {
    // Sudo may ask at a terminal or change the group; a terminal would stop a background process.
    let needs_session = host.settings.always_session || host.has_terminal || launch.sudo.is_some();
    let journal_path = host.journal_path(&job.execution_id);
    let mut command = match (&host.settings.helper, needs_session) {
        (Some(helper), true) => {
            let mut command = Command::new(helper);
            command
                .arg(super::spawn_entry::SPAWN_COMMAND)
                .arg(&journal_path)
                .arg(&job.execution_id)
                .arg(&launch.program);
            command
        }
        _ => {
            let mut command = Command::new(&launch.program);
            command.process_group(0);
            command
        }
    };
    command
        .args(&launch.args)
        .env_clear()
        .envs(launch.env)
        .current_dir(&launch.cwd)
        .stdin(launch.stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn()?;
    // With the helper the entry is written twice with the same text: here so that it is there when
    // this returns, there so that it is there before the program runs.
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok())
        && let Err(error) = journal::write(&journal_path, pid, &job.execution_id)
    {
        tracing::warn!(%error, path = %journal_path.display(),
            "a process is not in the journal; its mark in the environment must do");
    }
    Ok(child)
}
