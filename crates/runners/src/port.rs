//! What a runner is given, what it gives back, and how it is stopped.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use squall_model::OutputStream;
use squall_value::{Dict, Str, Value};
use tokio::sync::watch;

/// A way to run actions. One instance serves all executions at once.
#[async_trait]
pub trait Runner: Send + Sync {
    /// The name of the runner type, without aliases.
    fn name(&self) -> &str;

    /// The runner's own parameters: names to `{type, description, default, ...}`, in the words of
    /// StackStorm's runner types.
    fn parameters(&self) -> &Value;

    /// Whether running has no effect outside the returned outcome. Such a job may be evaluated
    /// inside the commit that starts it, see [`Runner::evaluate`].
    fn is_effect_free(&self) -> bool {
        false
    }

    /// The outcome at once, for a runner that is free of effects; `None` for all others.
    fn evaluate(&self, job: &Job) -> Option<Outcome> {
        let _ = job;
        None
    }

    /// Runs `job` to its end. Every failure is an [`Outcome`]; there is no other error.
    ///
    /// When this returns after a timeout or a cancel, the processes of the job are gone. Dropping
    /// the future leaves them running; use `cancel` to stop a job.
    async fn run(&self, job: Job, output: OutputSink, cancel: CancelSignal) -> Outcome;
}

/// How isolated a Python action runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// A process forked from a warm interpreter.
    #[default]
    Fork,
    /// A fresh interpreter, for packs whose imports do not survive a fork.
    Process,
}

/// One execution of one action, ready to run: parameters are merged, cast and decrypted.
#[derive(Clone, Default)]
pub struct Job {
    /// The id of the execution, as its users see it.
    pub execution_id: String,
    /// The full reference of the action, `pack.name`.
    pub action: String,
    /// The pack of the action.
    pub pack: String,
    /// Where the pack's files are.
    pub pack_dir: PathBuf,
    /// The absolute path of the script or module, for runners that run one.
    pub entry_point: Option<PathBuf>,
    /// The virtual environment of the pack; `None` for packs that run on the host's Python.
    pub virtualenv: Option<PathBuf>,
    /// The parameters' metadata of the action: gives scripts their positions and types.
    pub parameters_schema: Arc<Dict>,
    /// The values of the runner's own parameters, defaults applied.
    pub runner_parameters: Arc<Dict>,
    /// The values of the action's parameters, defaults applied, in order.
    pub action_parameters: Arc<Dict>,
    /// The configuration of the pack; null when there is none.
    pub config: Value,
    /// Additions to the environment, such as the address of the API and the token.
    pub env: Vec<(String, String)>,
    /// An upper bound on the time to run, beside the runner's own `timeout` parameter.
    pub timeout: Option<Duration>,
    /// Who runs the action.
    pub user: String,
    /// The level from which on the logger of a Python action writes; `None` for the default.
    pub log_level: Option<String>,
    /// Values that must not appear in output or results.
    pub secrets: Vec<Str>,
    /// How a Python action is run.
    pub isolation: Isolation,
}

/// Only what names the job: parameters, environment and configuration hold secrets.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("execution_id", &self.execution_id)
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is over.
    Ended(squall_model::Outcome),
    /// It waits for somebody else (an inquiry).
    Pending,
}

/// What came of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// The result, in the shape that the runner's StackStorm namesake has; secrets are masked.
    pub result: Value,
    /// The exit code, or the negated number of the signal that ended the process.
    pub exit_code: Option<i32>,
}

impl Outcome {
    /// An end without a process.
    #[must_use]
    pub fn ended(outcome: squall_model::Outcome, result: Value) -> Outcome {
        Outcome {
            verdict: Verdict::Ended(outcome),
            result,
            exit_code: None,
        }
    }

    /// A failure before there was anything to report but its reason.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Outcome {
        let result = squall_value::dict! { "error" => reason.into() };
        Outcome::ended(squall_model::Outcome::Failed, result)
    }
}

/// Where the output of a job goes while it runs.
///
/// A chunk is a line or several, or a piece of a very long line. A slow `write` slows the process
/// down, which is the intended back-pressure; it must end at some time.
#[async_trait]
pub trait Output: Send + Sync {
    /// Takes a chunk, with secrets masked.
    async fn write(&self, stream: OutputStream, text: Str);
}

/// A shared [`Output`].
pub type OutputSink = Arc<dyn Output>;

/// Takes all and keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiscardOutput;

#[async_trait]
impl Output for DiscardOutput {
    async fn write(&self, _stream: OutputStream, _text: Str) {}
}

/// Asks a job to stop.
#[derive(Debug, Clone)]
pub struct CancelHandle(Arc<watch::Sender<bool>>);

/// Says when a job was asked to stop.
#[derive(Debug, Clone)]
pub struct CancelSignal(watch::Receiver<bool>);

impl CancelHandle {
    /// Asks for the end; asking again changes nothing.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

impl CancelSignal {
    /// A signal and the handle that gives it. Dropping all handles does not cancel.
    #[must_use]
    pub fn new() -> (CancelHandle, CancelSignal) {
        let (sender, receiver) = watch::channel(false);
        (CancelHandle(Arc::new(sender)), CancelSignal(receiver))
    }

    /// A signal that never comes.
    #[must_use]
    pub fn never() -> CancelSignal {
        CancelSignal::new().1
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the end is asked for.
    pub async fn canceled(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|canceled| *canceled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
