//! Commands in a remote shell, from its opening to its closing.

use std::time::Duration;

use squall_env::Env;
use squall_model::{OutputStream, Timestamp};

use super::connection::{Connection, Error};
use super::powershell;
use super::soap::{self, Fault, Message};
use crate::output::Collector;
use crate::port::CancelSignal;

/// How long a host may take to end what is no longer wanted.
const GRACE: Duration = Duration::from_secs(10);

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Exited(i64),
    TimedOut,
    Canceled,
}

/// What came of a command.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) end: End,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ended {
    fn before_its_start(end: End) -> Ended {
        Ended {
            end,
            stdout: String::new(),
            stderr: String::new(),
        }
    }
}

/// Until when a job may go on.
pub(super) struct Limit<'a> {
    env: &'a dyn Env,
    until: Option<Timestamp>,
    cancel: CancelSignal,
}

impl<'a> Limit<'a> {
    pub(super) fn new(
        env: &'a dyn Env,
        after: Option<Duration>,
        cancel: CancelSignal,
    ) -> Limit<'a> {
        let until = after.and_then(|after| env.now().checked_add(after).ok());
        Limit { env, until, cancel }
    }

    /// What `work` gives, unless the job has to end before.
    async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, End> {
        let over = async {
            let Some(until) = self.until else {
                return std::future::pending().await;
            };
            let left = until.duration_since(self.env.now());
            self.env
                .sleep(Duration::try_from(left).unwrap_or(Duration::ZERO))
                .await;
        };
        tokio::select! {
            biased;
            () = self.cancel.canceled() => Err(End::Canceled),
            done = work => Ok(done),
            () = over => Err(End::TimedOut),
        }
    }
}

/// What the commands of one job have in common.
pub(super) struct Session<'a> {
    pub(super) env: &'a dyn Env,
    pub(super) connection: &'a Connection,
    pub(super) directory: Option<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) stdout: Collector,
    pub(super) stderr: Collector,
    /// For commands that only prepare.
    pub(super) silent: Collector,
    pub(super) limit: Limit<'a>,
}

impl Session<'_> {
    /// Runs a command in a shell of its own, and shows what it prints.
    pub(super) async fn run(&self, command: &str) -> Result<Ended, Error> {
        self.run_in_shell(command, &self.stdout, &self.stderr).await
    }

    /// Runs a PowerShell script that is too long for a command: it is written to a file, which is
    /// removed however the script ends.
    pub(super) async fn run_as_file(&self, script: &str, arguments: &str) -> Result<Ended, Error> {
        let made = self.prepare(powershell::MAKE_DIRECTORY).await?;
        if made.end != End::Exited(0) {
            return Ok(made);
        }
        let directory = made.stdout.trim();
        let file = format!("{directory}\\script.ps1");
        let ended = self.run_file(&file, script, arguments).await;
        // Whatever has become of the job, this has a time of its own.
        let remove = powershell::command(&powershell::remove_directory(directory));
        let limit = Limit::new(self.env, Some(GRACE), CancelSignal::never());
        let removed = self
            .in_shell(&remove, &self.silent, &self.silent, &limit)
            .await;
        if !matches!(&removed, Ok(removed) if removed.end == End::Exited(0)) {
            tracing::warn!(
                url = self.connection.url,
                directory,
                "a directory was not removed"
            );
        }
        ended
    }

    async fn run_file(&self, file: &str, script: &str, arguments: &str) -> Result<Ended, Error> {
        // Windows PowerShell takes a file for UTF-8 only if it begins with the mark.
        let content = [&b"\xef\xbb\xbf"[..], script.as_bytes()].concat();
        for piece in powershell::write_file(file, &content) {
            let written = self.prepare(&piece).await?;
            if written.end != End::Exited(0) {
                return Ok(written);
            }
        }
        let command = powershell::run_file(file, arguments);
        self.run(&powershell::command(&command)).await
    }

    async fn prepare(&self, script: &str) -> Result<Ended, Error> {
        let command = powershell::command(script);
        self.run_in_shell(&command, &self.silent, &self.silent)
            .await
    }

    async fn run_in_shell(
        &self,
        command: &str,
        stdout: &Collector,
        stderr: &Collector,
    ) -> Result<Ended, Error> {
        self.in_shell(command, stdout, stderr, &self.limit).await
    }

    async fn in_shell(
        &self,
        command: &str,
        stdout: &Collector,
        stderr: &Collector,
        limit: &Limit<'_>,
    ) -> Result<Ended, Error> {
        let open = Message::Open {
            directory: self.directory.as_deref(),
            environment: &self.environment,
        };
        let opened = limit.within(self.connection.ask(&open, soap::opened)).await;
        let shell = match opened {
            Ok(opened) => opened?,
            Err(end) => return Ok(Ended::before_its_start(end)),
        };
        let ended = self.command(&shell, command, stdout, stderr, limit).await;
        // Ends what still runs in it. The command's own end does not depend on it.
        let close = Message::Close { shell: &shell };
        self.shortly(self.connection.ask(&close, soap::heeded))
            .await;
        ended
    }

    async fn command(
        &self,
        shell: &str,
        command: &str,
        stdout: &Collector,
        stderr: &Collector,
        limit: &Limit<'_>,
    ) -> Result<Ended, Error> {
        let run = Message::Run { shell, command };
        let started = limit.within(self.connection.ask(&run, soap::started)).await;
        let id = match started {
            Ok(started) => started?,
            Err(end) => return Ok(Ended::before_its_start(end)),
        };
        let mut out = stdout.reader(OutputStream::Stdout);
        let mut err = stderr.reader(OutputStream::Stderr);
        let receive = Message::Receive {
            shell,
            command: &id,
        };
        let end = loop {
            let received = limit
                .within(self.connection.ask(&receive, soap::received))
                .await;
            let received = match received {
                Ok(Ok(received)) => received,
                Ok(Err(Error::Fault(Fault::TimedOut))) => continue,
                Ok(Err(error)) => return Err(error),
                Err(end) => break end,
            };
            out.take(&received.stdout).await;
            err.take(&received.stderr).await;
            if let Some(code) = received.exit_code {
                break End::Exited(code);
            }
        };
        let terminate = Message::Terminate {
            shell,
            command: &id,
        };
        self.shortly(self.connection.ask(&terminate, soap::heeded))
            .await;
        Ok(Ended {
            end,
            stdout: out.finish().await,
            stderr: err.finish().await,
        })
    }

    /// Asks for something on which nothing depends any more.
    async fn shortly(&self, work: impl Future<Output = Result<(), Error>>) {
        let limit = Limit::new(self.env, Some(GRACE), CancelSignal::never());
        match limit.within(work).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(url = self.connection.url, %error, "a shell was not closed");
            }
            Err(_) => tracing::debug!(url = self.connection.url, "a shell was not closed in time"),
        }
    }
}
