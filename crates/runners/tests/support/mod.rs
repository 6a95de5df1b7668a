//! What the tests with real processes share: a host in a directory of its own, and its output.

#![allow(dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use squall_env::SystemEnv;
use squall_model::{Outcome as Ending, OutputStream};
use squall_runners::{
    CancelHandle, CancelSignal, Host, Job, Outcome, Output, Registry, Settings, Verdict,
};
use squall_value::{Dict, Str, Value, json};
use tokio::sync::watch;

pub struct Fixture {
    pub dir: tempfile::TempDir,
    pub host: Arc<Host>,
    pub registry: Registry,
}

impl Fixture {
    pub fn new() -> Fixture {
        Fixture::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Settings)) -> Fixture {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let id = dir.path().display().to_string();
        let mut settings = Settings::new(id, dir.path().join("run"));
        settings.grace = Duration::from_millis(300);
        settings.drain = Duration::from_millis(300);
        settings.cwd = dir.path().to_owned();
        change(&mut settings);
        let host = Host::new(settings, Arc::new(SystemEnv::new())).expect("a run directory");
        let registry = Registry::new(&host);
        Fixture {
            dir,
            host,
            registry,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file; parents are made.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(&path, text).expect("a file");
        path
    }

    pub async fn run(&self, runner: &str, job: Job) -> Ran {
        self.run_until(runner, job, CancelSignal::never()).await
    }

    pub async fn run_until(&self, runner: &str, job: Job, cancel: CancelSignal) -> Ran {
        let lines = Lines::new();
        let runner = self.registry.runner(runner).expect("a known runner");
        let outcome = runner.run(job, lines.clone(), cancel).await;
        Ran { outcome, lines }
    }

    /// Runs `job` and cancels it as soon as it has printed `line`.
    pub async fn cancel_at(&self, runner: &str, job: Job, line: &str) -> Ran {
        let (handle, signal) = CancelSignal::new();
        let lines = Lines::new();
        let runner = self.registry.runner(runner).expect("a known runner");
        let (outcome, ()) = tokio::join!(
            runner.run(job, lines.clone(), signal),
            cancel_when(&lines, line, handle)
        );
        Ran { outcome, lines }
    }
}

async fn cancel_when(lines: &Lines, line: &str, handle: CancelHandle) {
    lines.wait_for(line).await;
    handle.cancel();
}

pub struct Ran {
    pub outcome: Outcome,
    pub lines: Arc<Lines>,
}

impl Ran {
    pub fn ending(&self) -> Ending {
        match self.outcome.verdict {
            Verdict::Ended(ending) => ending,
            Verdict::Pending => panic!("pending"),
        }
    }

    pub fn result(&self) -> String {
        self.outcome.result.to_json()
    }

    pub fn text(&self, key: &str) -> &str {
        let found = self.outcome.result.get(key).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no text `{key}` in {}", self.result()))
    }
}

/// Keeps what a job prints, and tells when a line has come.
pub struct Lines(watch::Sender<Vec<(OutputStream, Str)>>);

impl Lines {
    pub fn new() -> Arc<Lines> {
        Arc::new(Lines(watch::channel(Vec::new()).0))
    }

    pub fn all(&self) -> Vec<(OutputStream, Str)> {
        self.0.borrow().clone()
    }

    pub async fn wait_for(&self, line: &str) {
        let mut receiver = self.0.subscribe();
        let found = receiver.wait_for(|lines| lines.iter().any(|(_, text)| text.trim() == line));
        found.await.expect("the sender lives");
    }
}

#[async_trait]
impl Output for Lines {
    async fn write(&self, stream: OutputStream, text: Str) {
        self.0.send_modify(|lines| lines.push((stream, text)));
    }
}

pub fn dict(text: &str) -> Arc<Dict> {
    let value = json::read(text).expect("JSON");
    Arc::new(value.as_dict().expect("a dictionary").clone())
}

pub fn job(runner_parameters: Value) -> Job {
    Job {
        execution_id: format!("{:024x}", rand_id()),
        action: "tests.one".to_owned(),
        pack: "tests".to_owned(),
        user: "ann".to_owned(),
        runner_parameters: Arc::new(runner_parameters.as_dict().expect("a dictionary").clone()),
        ..Job::default()
    }
}

fn rand_id() -> u128 {
    use squall_env::Env;
    u128::from(SystemEnv::new().random())
}

/// Whether a process with this pid lives (zombies do not).
pub fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
}
