//! The WinRM runners against a host of the tests' own, which the published client of WinRM has been
//! proven with first.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside their functions"
)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use squall_model::Outcome as Ending;
use squall_runners::Job;
use squall_value::{Str, Value, json};
use support::{Fixture, Ran, dict};

const USER: &str = "ann";
const PASSWORD: &str = "s3cret-word";

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/winrm")
}

/// A host; it ends when it is dropped.
struct WindowsHost {
    child: Child,
    port: String,
}

impl WindowsHost {
    fn start() -> WindowsHost {
        let mut command = Command::new("python3");
        command.arg(tests().join("server.py"));
        command
            .arg(tests().join("server.pem"))
            .args([USER, PASSWORD]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 is needed");
        let mut port = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut port).unwrap();
        let port = port.trim().to_owned();
        assert!(!port.is_empty(), "the host does not start");
        WindowsHost { child, port }
    }

    /// What is open and running.
    async fn state(&self) -> Value {
        let client = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .no_proxy()
            .build()
            .unwrap();
        let url = format!("https://127.0.0.1:{}/state", self.port);
        let text = client.get(url).send().await.unwrap().text().await.unwrap();
        json::read(&text).unwrap()
    }

    fn job(&self, parameters: &str) -> Job {
        let mut all = Arc::unwrap_or_clone(dict(&format!(
            r#"{{"host": "127.0.0.1", "port": {}, "username": "{USER}", "password": "{PASSWORD}",
                "timeout": 60, "verify_ssl_cert": false, "transport": "ntlm", "kwarg_op": "-"}}"#,
            self.port
        )));
        all.extend(Arc::unwrap_or_clone(dict(parameters)));
        Job {
            execution_id: "65a14aa820cb20148ff0e99a".to_owned(),
            action: "p.a".to_owned(),
            runner_parameters: Arc::new(all),
            secrets: vec![Str::from(PASSWORD)],
            ..Job::default()
        }
    }
}

impl Drop for WindowsHost {
    fn drop(&mut self) {
        // The end of its input is the end of the host.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

async fn run(runner: &str, job: Job) -> Ran {
    Fixture::new().run(runner, job).await
}

#[test]
fn the_published_client_understands_the_host() {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pywinrm-0.5.0");
    let python = environment.join("bin/python");
    let is_there = |python: &Path| {
        let mut command = Command::new(python);
        let found = command
            .args(["-c", "import winrm"])
            .stderr(Stdio::null())
            .status();
        found.is_ok_and(|status| status.success())
    };
    if !is_there(&python) {
        let made = Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment)
            .status();
        assert!(
            made.unwrap().success(),
            "python3 -m venv is needed: apt-get install python3-venv"
        );
        let pip = ["-m", "pip", "install", "--quiet", "pywinrm==0.5.0"];
        let installed = Command::new(&python).args(pip).status().unwrap();
        assert!(installed.success(), "pywinrm 0.5.0 from PyPI is needed");
    }
    let host = WindowsHost::start();
    let mut proof = Command::new(python);
    proof
        .arg(tests().join("prove.py"))
        .args([&host.port, USER, PASSWORD]);
    assert!(proof.status().unwrap().success());
}

#[tokio::test]
async fn commands_run_with_their_directory_and_environment() {
    let host = WindowsHost::start();
    for transport in ["ntlm", "basic"] {
        let job = host.job(&format!(
            r#"{{"cmd": "pwd; echo $GREETING; echo no >&2; exit 3", "cwd": "/",
                "env": {{"GREETING": "h\u00ea & <co>"}}, "transport": "{transport}"}}"#
        ));
        let ran = run("winrm-cmd", job).await;
        assert_eq!(ran.ending(), Ending::Failed);
        assert_eq!(
            ran.result(),
            r#"{"failed":true,"succeeded":false,"return_code":3,"stdout":"/\nhê & <co>","stderr":"no"}"#
        );
    }
    // JSON is given as the datum that it is; a secret is not shown.
    let job = host.job(&format!(
        r#"{{"cmd": "echo '{{\"n\": 1, \"p\": \"{PASSWORD}\"}}'"}}"#
    ));
    let ran = run("winrm-cmd", job).await;
    assert_eq!(ran.ending(), Ending::Succeeded);
    let stdout = ran.outcome.result.get("stdout").unwrap().to_json();
    assert_eq!(stdout, r#"{"n":1,"p":"********"}"#);
    let state = host.state().await;
    assert_eq!(state.get("shells").and_then(Value::as_int), Some(0));
    assert_eq!(state.get("code_pages").unwrap().to_json(), r#"["65001"]"#);
}

#[tokio::test]
async fn a_command_that_takes_its_time_is_waited_for() {
    let host = WindowsHost::start();
    // The host has to say meanwhile that there is nothing to tell yet.
    let job = host.job(r#"{"cmd": "sleep 1.5; echo done"}"#);
    let ran = run("winrm-cmd", job).await;
    assert_eq!(ran.outcome.result.get("stdout"), Some(&Value::from("done")));
}

#[tokio::test]
async fn what_is_not_wanted_any_more_is_ended_over_there() {
    let host = WindowsHost::start();
    let ran = run(
        "winrm-cmd",
        host.job(r#"{"cmd": "echo a; sleep 1000", "timeout": 1}"#),
    )
    .await;
    assert_eq!(ran.ending(), Ending::TimedOut);
    assert_eq!(
        ran.result(),
        r#"{"failed":true,"succeeded":false,"return_code":-1,"stdout":"a","stderr":"","error":"Action failed to complete in 1 seconds"}"#
    );
    let job = host.job(r#"{"cmd": "echo started; sleep 1000"}"#);
    let ran = Fixture::new().cancel_at("winrm-cmd", job, "started").await;
    assert_eq!(ran.ending(), Ending::Canceled);
    let state = host.state().await;
    assert_eq!(
        state.get("ended").unwrap().to_json(),
        r#"["killed","killed"]"#
    );
    for (name, expect) in [("shells", 0), ("running", 0)] {
        assert_eq!(
            state.get(name).and_then(Value::as_int),
            Some(expect),
            "{name}"
        );
    }
}

#[tokio::test]
async fn powershell_gets_its_commands_whole() {
    let host = WindowsHost::start();
    let ran = run("winrm-ps-cmd", host.job(r#"{"cmd": "Get-Item 'ä \"b\"'"}"#)).await;
    let stdout = Value::from("Get-Item 'ä \"b\"'");
    assert_eq!(ran.outcome.result.get("stdout"), Some(&stdout));
    let job = host.job(r#"{"cmd": "Write-Error 'no such thing'; exit 4"}"#);
    let ran = run("winrm-ps-cmd", job).await;
    assert_eq!(
        ran.result(),
        r#"{"failed":true,"succeeded":false,"return_code":4,"stdout":"","stderr":"no such thing"}"#
    );
    // One that is too long for a command line goes through a file, which is gone afterwards.
    let long = "x".repeat(20_000);
    let ran = run("winrm-ps-cmd", host.job(&format!(r#"{{"cmd": "{long}"}}"#))).await;
    let stdout = Value::from(format!("\u{feff}{long}"));
    assert_eq!(ran.outcome.result.get("stdout"), Some(&stdout));
    let state = host.state().await;
    for name in ["files", "directories"] {
        assert_eq!(state.get(name), Some(&Value::empty_list()), "{name}");
    }
}

#[tokio::test]
async fn scripts_get_their_parameters() {
    let host = WindowsHost::start();
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("greet.ps1");
    std::fs::write(&script, "param($who)\n").unwrap();
    let job = Job {
        entry_point: Some(script),
        parameters_schema: dict(
            r#"{"who": {"type": "string"}, "often": {"type": "boolean"},
                "place": {"type": "string", "position": 0}}"#,
        ),
        action_parameters: dict(r#"{"who": "O'Hara $x", "often": false, "place": "a b"}"#),
        ..host.job("{}")
    };
    let ran = run("winrm-ps-script", job).await;
    let expect = "& {param($who)\n} -who \"O`'Hara `$x\" -often $false \"a b\"";
    assert_eq!(ran.outcome.result.get("stdout"), Some(&Value::from(expect)));
    let ran = run("winrm-ps-script", host.job("{}")).await;
    let error = "Missing entry_point action metadata attribute";
    assert_eq!(ran.outcome.result.get("error"), Some(&Value::from(error)));
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let host = WindowsHost::start();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for (parameters, expect) in [
        (
            r#"{"password": "wrong-word"}"#.to_owned(),
            "the user or the password is refused",
        ),
        (
            r#"{"password": "wrong-word", "transport": "basic"}"#.to_owned(),
            "the user or the password is refused",
        ),
        (r#"{"verify_ssl_cert": true}"#.to_owned(), "certificate"),
        (
            r#"{"transport": "kerberos"}"#.to_owned(),
            "take ntlm or basic",
        ),
        (r#"{"scheme": "ftp"}"#.to_owned(), "neither http nor https"),
        (
            r#"{"cwd": "/nowhere"}"#.to_owned(),
            "The directory name is invalid.",
        ),
        (format!(r#"{{"port": {closed}}}"#), "could not be reached"),
        (r#"{"username": ""}"#.to_owned(), "`username` is missing"),
    ] {
        let mut all = Arc::unwrap_or_clone(dict(r#"{"cmd": "true"}"#));
        all.extend(Arc::unwrap_or_clone(dict(&parameters)));
        let ran = run("winrm-cmd", host.job(&Value::from(all).to_json())).await;
        assert_eq!(ran.ending(), Ending::Failed);
        let error = ran.text("error");
        assert!(error.contains(expect), "{parameters}: {error}");
    }
}

#[test]
fn the_host_ends_with_its_input() {
    let mut host = WindowsHost::start();
    drop(host.child.stdin.take());
    let mut rest = String::new();
    if let Some(mut output) = host.child.stdout.take() {
        output.read_to_string(&mut rest).unwrap();
    }
    assert!(host.child.wait().unwrap().success());
}
