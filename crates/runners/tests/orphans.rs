//! A server is killed; its successor finds and ends what it left running.
//!
//! This file brings its own `main`, because it is also the program that is killed, and the program
//! that processes are started through.

#![allow(clippy::print_stdout)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use squall_env::SystemEnv;
use squall_runners::{
    DiscardOutput, Host, Isolation, Registry, Settings, end_orphans, find_orphans, spawn_entry,
};
use squall_value::dict;
use support::lives;

const SERVER: &str = "__server";
/// Each runs for long, and first writes the pid of what must not survive into a file.
const COMMANDS: &[&str] = &[
    "echo $$ > DIR/pid; sleep 1000; true",
    "env -i sleep 1000 & echo $! > DIR/pid; wait",
    "setsid bash -c 'trap \"\" TERM; echo $$ > DIR/pid; sleep 1000; true' & wait",
];

fn main() {
    spawn_entry(std::env::args_os());
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if args.get(1).is_some_and(|arg| arg == SERVER) {
        let (dir, kind) = (Path::new(&args[2]), &args[3]);
        return runtime.block_on(server(dir, kind, args[4] == "session"));
    }
    run_cases(&args, |kind, mode| runtime.block_on(check(kind, mode)));
}

/// The part of the test harness's command line that its callers use: `--list` names the cases,
/// `--exact` picks some, `--ignored` asks for those that are left out, of which there are none.
fn run_cases(args: &[String], mut check: impl FnMut(&str, &str)) {
    let mut cases = Vec::new();
    for mode in ["session", "group"] {
        for (at, command) in COMMANDS.iter().enumerate() {
            cases.push((format!("command_{at}_{mode}"), *command, mode));
        }
    }
    for kind in ["python-fork", "python-process"] {
        cases.push((kind.to_owned(), kind, "session"));
    }
    let given = |flag: &str| args.iter().any(|arg| arg == flag);
    if given("--ignored") {
        return;
    }
    for (name, kind, mode) in &cases {
        if given("--list") {
            println!("{name}: test");
        } else if !given("--exact") || given(name) {
            check(kind, mode);
            println!("test {name} ... ok");
        }
    }
    if !given("--list") {
        println!(
            "test result: ok. {} passed; 0 failed; 0 ignored",
            cases.len()
        );
    }
}

fn settings(dir: &Path) -> Settings {
    let mut settings = Settings::new(dir.display().to_string(), dir.join("run"));
    settings.helper = std::env::current_exe().ok();
    settings
}

/// Runs the one job and is killed while it does.
async fn server(dir: &Path, kind: &str, always_session: bool) {
    let mut settings = settings(dir);
    settings.always_session = always_session;
    let host = Host::new(settings, Arc::new(SystemEnv::new())).expect("a host");
    let registry = Registry::new(&host);
    let command = kind.replace("DIR", &dir.display().to_string());
    let mut job = support::job(dict! { "cmd" => command, "timeout" => 1000 });
    let mut runner = "local-shell-cmd";
    if kind.starts_with("python") {
        runner = "python-script";
        let source = format!(
            "import os, time\nclass A:\n  def __init__(self, **kw): pass\n  def run(self):\n    open('{}/pid', 'w').write('%d\\n' % os.getpid())\n    time.sleep(1000)\n",
            dir.display()
        );
        let entry_point = dir.join("action.py");
        std::fs::write(&entry_point, source).expect("a file");
        job.entry_point = Some(entry_point);
        job.isolation = match kind {
            "python-fork" => Isolation::Fork,
            _ => Isolation::Process,
        };
    }
    println!("{}", job.execution_id);
    let runner = registry.runner(runner).expect("a runner");
    let never = squall_runners::CancelSignal::never();
    runner.run(job, Arc::new(DiscardOutput), never).await;
}

async fn check(kind: &str, mode: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Command::new(std::env::current_exe().expect("this program"))
        .args([
            SERVER.as_ref(),
            dir.path().as_os_str(),
            kind.as_ref(),
            mode.as_ref(),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a server");
    let mut execution_id = String::new();
    let stdout = server.stdout.take().expect("its output");
    BufReader::new(stdout)
        .read_line(&mut execution_id)
        .expect("an id");
    let pid = wait_for(&dir.path().join("pid")).await;
    server.kill().expect("SIGKILL");
    server.wait().expect("its end");
    assert!(lives(&pid), "`{kind}` survives its server");

    let run_dir = dir.path().join("run");
    let server_id = dir.path().display().to_string();
    assert!(find_orphans(dir.path(), "another server").is_empty());
    let orphans = find_orphans(&run_dir, &server_id);
    assert!(!orphans.is_empty(), "`{kind}`: nothing found");
    for orphan in &orphans {
        assert_eq!(orphan.execution_id, execution_id.trim(), "`{kind}`");
    }
    let grace = Duration::from_millis(200);
    let left = end_orphans(&run_dir, &orphans, &SystemEnv::new(), grace).await;
    assert_eq!(left, 0, "`{kind}`");
    assert!(!lives(&pid), "`{kind}`: {pid} lives");
    assert!(find_orphans(&run_dir, &server_id).is_empty(), "`{kind}`");
}

/// The first line of `path`, as soon as it is whole.
async fn wait_for(path: &Path) -> String {
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => tokio::task::yield_now().await,
        }
    }
}
