//! Figures: how long actions take and how many a second there can be.
//!
//! Run with `cargo run --release -p squall-runners --example bench`.

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use squall_env::SystemEnv;
use squall_runners::{
    CancelSignal, DiscardOutput, Host, Isolation, Job, Registry, Runner, Settings, spawn_entry,
};
use squall_value::dict;

fn main() {
    spawn_entry(std::env::args_os());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(all());
}

async fn all() {
    let dir = tempfile::tempdir().expect("a directory");
    let registry = |always_session: bool| {
        let mut settings = Settings::new("bench", dir.path().join("run"));
        settings.always_session = always_session;
        settings.helper = std::env::current_exe().ok();
        let host = Host::new(settings, Arc::new(SystemEnv::new())).expect("a host");
        Registry::new(&host)
    };
    let source = "class A:\n  def __init__(self, **kw): pass\n  def run(self, **kw): return 1\n";
    let entry_point = dir.path().join("action.py");
    std::fs::write(&entry_point, source).expect("a file");
    let shell = Job {
        runner_parameters: Arc::new(
            [("cmd", "true")]
                .into_iter()
                .collect::<squall_value::Dict>(),
        ),
        ..Job::default()
    };
    let python = Job {
        entry_point: Some(entry_point),
        config: dict! {},
        ..Job::default()
    };
    let fresh = Job {
        isolation: Isolation::Process,
        ..python.clone()
    };
    let (group, session) = (registry(false), registry(true));
    for (name, registry, runner, job, count) in [
        ("noop", &group, "noop", &Job::default(), 100_000),
        ("shell true", &group, "local-shell-cmd", &shell, 1000),
        (
            "shell true, session",
            &session,
            "local-shell-cmd",
            &shell,
            500,
        ),
        ("python, warm", &group, "python-script", &python, 500),
        ("python, fresh", &group, "python-script", &fresh, 50),
    ] {
        let runner = registry.runner(runner).expect("a runner");
        run(&*runner, job, 3, 1).await;
        for at_once in [1, 8] {
            let mut times = run(&*runner, job, count, at_once).await;
            let total = times.pop().expect("a total");
            times.sort();
            let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
            let rate = f64::from(count) / total.as_secs_f64();
            println!("{name:20} {at_once} at once: p50 {p50:>9.2?} p99 {p99:>9.2?} {rate:>9.0}/s");
        }
    }
}

/// The time of each, and last the time of all.
async fn run(runner: &dyn Runner, job: &Job, count: u32, at_once: usize) -> Vec<Duration> {
    let start = Instant::now();
    let one = |number: u32| async move {
        let mut job = job.clone();
        job.execution_id = format!("{number:024x}");
        let start = Instant::now();
        let outcome = runner.run(job, Arc::new(DiscardOutput), CancelSignal::never());
        let outcome = outcome.await;
        assert_eq!(outcome.exit_code, Some(0), "{:?}", outcome.result);
        start.elapsed()
    };
    let times = futures::stream::iter(0..count)
        .map(one)
        .buffer_unordered(at_once);
    let mut times: Vec<Duration> = times.collect().await;
    times.push(start.elapsed());
    times
}
