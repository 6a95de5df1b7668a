//! `squall demo --once`, from the first push to the last process.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside their functions"
)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the demo in a directory of its own with these files; fails when anything is left of it.
fn demo(files: &[&str]) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
    command.current_dir(dir.path()).args(["demo", "--once"]);
    for (number, text) in files.iter().enumerate() {
        let path = dir.path().join(format!("{number}.yaml"));
        std::fs::write(&path, text).unwrap();
        command.arg("--file").arg(path);
    }
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    assert!(
        !dir.path().join("squall-demo").exists(),
        "the directory is left"
    );
    assert_eq!(
        processes_of(dir.path()),
        Vec::<String>::new(),
        "processes are left"
    );
    Ran {
        code: status.code(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// Command lines of the demo's servers that belong to a directory.
fn processes_of(directory: &Path) -> Vec<String> {
    let directory = directory.to_str().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let line = |path: &Path| {
        let line = std::fs::read(path.join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (line.contains(directory) && line.contains("http_server.py")).then_some(line)
    };
    entries.filter_map(|entry| line(&entry.path())).collect()
}

/// Ports that were free a moment ago.
fn ports<const N: usize>() -> [u16; N] {
    let listeners = std::array::from_fn::<_, N, _>(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

#[track_caller]
fn check(ran: &Ran, code: i32, said: &[&str]) {
    let Ran { stdout, stderr, .. } = ran;
    assert_eq!(ran.code, Some(code), "{stdout}\n{stderr}");
    for text in said {
        assert!(
            stdout.contains(text),
            "`{text}` is missing in:\n{stdout}\n{stderr}"
        );
    }
}

#[test]
fn the_first_push_is_applied() {
    check(
        &demo(&[]),
        0,
        &[
            "core.git.branch_moved: main of servers",
            "demo.apply_on_push matches",
            "3 added, 0 changed, 0 removed, 0 unchanged",
            "the report is in",
        ],
    );
}

#[test]
fn servers_are_added_changed_moved_and_removed() {
    let [a, b, c] = ports();
    let before = format!(
        "servers:\n  kept: {{port: {a}, settings: {{n: 1}}}}\n  gone: {{port: {b}}}\n  moved: {{port: {c}}}\n"
    );
    // `new` takes the port of the one that goes, in the same push.
    let [d] = ports();
    let after = format!(
        "servers:\n  kept: {{port: {a}, settings: {{n: 2}}}}\n  new: {{port: {b}}}\n  moved: {{port: {d}}}\n"
    );
    let ran = demo(&[&before, &after]);
    check(
        &ran,
        0,
        &[
            "3 added, 0 changed, 0 removed, 0 unchanged",
            "1 added, 2 changed, 1 removed, 0 unchanged",
            &format!(
                r#"http://127.0.0.1:{a}/ answers {{"name":"kept","port":{a},"settings":{{"n":2}}}}"#
            ),
            "stopped gone",
            "changed kept",
        ],
    );
}

#[test]
fn a_bad_file_fails_and_touches_nothing() {
    let [a, b] = ports();
    let good = format!("servers:\n  web: {{port: {a}}}\n");
    let answers =
        format!(r#"http://127.0.0.1:{a}/ answers {{"name":"web","port":{a},"settings":{{}}}}"#);
    for (bad, reason) in [
        (
            "servers: {web: {port: many}}\n".to_owned(),
            "`web`: `port` must be a number",
        ),
        (
            format!("servers: {{one: {{port: {b}}}, two: {{port: {b}}}}}\n"),
            "`one` and `two` both want port",
        ),
        ("servers: [web\n".to_owned(), "from_yaml_string"),
        ("server: {}\n".to_owned(), "there is no `servers` in it"),
    ] {
        let ran = demo(&[&good, &bad]);
        check(
            &ran,
            1,
            &[reason, "demo.apply failed", "what ran before still runs"],
        );
        assert_eq!(
            ran.stdout.matches(&*answers).count(),
            2,
            "{bad}\n{}",
            ran.stdout
        );
    }
}

#[test]
fn a_directory_of_somebody_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [&["demo", "--down"][..], &["demo", "--once"]] {
        let ran = Command::new(env!("CARGO_BIN_EXE_squall"))
            .args(arguments)
            .arg("--dir")
            .arg(dir.path())
            .output()
            .unwrap();
        assert_eq!(ran.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&ran.stderr).contains("not from an earlier demo"));
    }
    assert!(dir.path().exists());
}
