//! Commands and scripts, with real processes, friendly and hostile.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use squall_model::Outcome as Ending;
use squall_runners::{Job, TRUNCATED};
use squall_value::dict;
use support::{Fixture, dict, job, lives};

fn command(text: &str) -> Job {
    job(dict! { "cmd" => text, "timeout" => 30 })
}

#[tokio::test]
async fn results_of_commands() {
    let fixture = Fixture::new();
    for (text, expected) in [
        (
            "echo hi; echo oops >&2",
            r#"{"failed":false,"succeeded":true,"return_code":0,"stdout":"hi","stderr":"oops"}"#,
        ),
        (
            "exit 3",
            r#"{"failed":true,"succeeded":false,"return_code":3,"stdout":"","stderr":""}"#,
        ),
        (
            r#"echo '{"a": [1, 2.5]}'; echo 7 >&2"#,
            r#"{"failed":false,"succeeded":true,"return_code":0,"stdout":{"a":[1,2.5]},"stderr":7}"#,
        ),
        (
            "printf 'a\\n\\n'",
            r#"{"failed":false,"succeeded":true,"return_code":0,"stdout":"a\n","stderr":""}"#,
        ),
        (
            "printf 'a\\r\\n'",
            r#"{"failed":false,"succeeded":true,"return_code":0,"stdout":"a","stderr":""}"#,
        ),
        (
            "cat; read x; echo \"$0,$#,${c-unset},$?\"",
            r#"{"failed":false,"succeeded":true,"return_code":0,"stdout":"bash,0,unset,1","stderr":""}"#,
        ),
        (
            "kill -9 $$",
            r#"{"failed":true,"succeeded":false,"return_code":-9,"stdout":"","stderr":""}"#,
        ),
        (
            "printf '\\377\\376ok'",
            r#"{"failed":false,"succeeded":true,"return_code":0,"stdout":"��ok","stderr":""}"#,
        ),
        (
            "pwd; echo $ST2_ACTION_PACK_NAME; echo \"$GREETING\" # a comment",
            r#"{"failed":false,"succeeded":true,"return_code":0,"stdout":"/usr\ntests\ngrüße 😀","stderr":""}"#,
        ),
    ] {
        let mut job = command(text);
        let env = dict! { "GREETING" => "grüße 😀" };
        Arc::make_mut(&mut job.runner_parameters).insert("env", env);
        Arc::make_mut(&mut job.runner_parameters).insert("cwd", "/usr");
        let ran = fixture.run("local-shell-cmd", job).await;
        assert_eq!(ran.result(), expected, "{text}");
    }
}

#[tokio::test]
async fn the_command_is_on_no_command_line() {
    let fixture = Fixture::new();
    let ran = fixture
        .run(
            "local-shell-cmd",
            command("cat /proc/$$/cmdline | tr '\\0' ' '; : s3cr3t-word"),
        )
        .await;
    assert_eq!(ran.ending(), Ending::Succeeded);
    assert!(
        !ran.text("stdout").contains("s3cr3t-word"),
        "{}",
        ran.result()
    );
}

#[tokio::test]
async fn large_commands_and_parameters() {
    let fixture = Fixture::new();
    let long = "x".repeat(200 << 10);
    let ran = fixture
        .run(
            "local-shell-cmd",
            command(&format!("c=\"{long}\"; echo ${{#c}}")),
        )
        .await;
    assert_eq!(
        ran.outcome.result.get("stdout").and_then(|v| v.as_int()),
        Some(204_800)
    );
}

#[tokio::test]
async fn secrets_are_masked_in_output_and_result() {
    let fixture = Fixture::new();
    let mut job = command("printf 'pass'; printf 'w0rd!\\n'; echo '{\"k\": \"passw0rd!\"}' >&2");
    job.secrets = vec!["passw0rd!".into()];
    let ran = fixture.run("local-shell-cmd", job).await;
    assert_eq!(
        ran.result(),
        r#"{"failed":false,"succeeded":true,"return_code":0,"stdout":"********","stderr":{"k":"********"}}"#
    );
    assert!(
        ran.lines
            .all()
            .iter()
            .all(|(_, text)| !text.contains("passw0rd"))
    );
}

#[tokio::test]
async fn a_flood_of_output_is_cut_and_does_not_stall() {
    let fixture = Fixture::with(|settings| settings.output_bytes_max = 1 << 20);
    let ran = fixture
        .run(
            "local-shell-cmd",
            command("head -c 1000000000 /dev/zero | tr '\\0' x; echo end >&2"),
        )
        .await;
    assert_eq!(ran.ending(), Ending::Succeeded);
    let stdout = ran.text("stdout");
    assert!(stdout.ends_with(TRUNCATED.trim_end()), "{}", stdout.len());
    assert!(stdout.len() <= (1 << 20) + TRUNCATED.len());
}

#[tokio::test]
async fn a_timeout_ends_even_what_ignores_sigterm() {
    let fixture = Fixture::new();
    let mut job = command("trap '' TERM; sleep 100 & echo $! >&2; echo $$; wait; sleep 100");
    Arc::make_mut(&mut job.runner_parameters).insert("timeout", 1);
    let ran = fixture.run("local-shell-cmd", job).await;
    assert_eq!(ran.ending(), Ending::TimedOut);
    assert_eq!(ran.text("error"), "Action failed to complete in 1 seconds");
    assert_eq!(ran.outcome.exit_code, Some(-9));
    for stream in ["stdout", "stderr"] {
        let pid = ran.outcome.result.get(stream).expect("a pid").to_json();
        assert!(!lives(&pid), "{pid} lives");
    }
}

#[tokio::test]
async fn a_cancel_reaches_daemons_that_left_the_group() {
    let fixture = Fixture::new();
    for text in [
        "(setsid bash -c 'trap \"\" TERM; echo $$ >&2; echo ready; sleep 100' &) ; sleep 100",
        "setsid setsid bash -c 'echo $$ >&2; (exec -c sleep 99) & echo ready; wait' & sleep 100",
        "env -i sleep 100 & echo $! >&2; echo ready; wait",
    ] {
        let ran = fixture
            .cancel_at("local-shell-cmd", command(text), "ready")
            .await;
        assert_eq!(ran.ending(), Ending::Canceled, "{text}");
        let pid = ran.outcome.result.get("stderr").expect("a pid").to_json();
        assert!(!lives(&pid), "{pid} of `{text}` lives");
    }
}

#[tokio::test]
async fn a_background_process_that_holds_the_output_does_not_hold_the_end() {
    let fixture = Fixture::new();
    let ran = fixture
        .run("local-shell-cmd", command("sleep 1000 & echo $!"))
        .await;
    assert_eq!(ran.ending(), Ending::Succeeded);
    let pid = ran.outcome.result.get("stdout").expect("a pid").to_json();
    assert!(
        lives(&pid),
        "what was left in the background on purpose stays"
    );
    let orphans = squall_runners::find_orphans(
        &fixture.path("run"),
        &fixture.dir.path().display().to_string(),
    );
    assert_eq!(orphans.len(), 1);
    let left = squall_runners::end_orphans(
        &fixture.path("run"),
        &orphans,
        &squall_env::SystemEnv::new(),
        Duration::from_millis(100),
    )
    .await;
    assert_eq!(left, 0);
    assert!(!lives(&pid));
}

#[tokio::test]
async fn scripts_get_arguments_and_need_no_execute_bit() {
    let fixture = Fixture::new();
    let print = "for a in \"$@\"; do echo \"<$a>\"; done\n";
    for (name, head) in [
        ("a.sh", "#!/bin/bash\n"),
        ("b.sh", ""),
        ("c", "#!/usr/bin/env bash\n"),
    ] {
        let script = fixture.file(name, &format!("{head}{print}"));
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o644)).expect("mode");
        let mut job = job(dict! { "timeout" => 30 });
        job.entry_point = Some(script);
        job.parameters_schema = dict(r#"{"first": {"position": 0, "type": "string"}, "s": {}}"#);
        job.action_parameters =
            dict(r#"{"s": "a 'b' $HOME", "on": true, "off": false, "first": "1 2"}"#);
        let ran = fixture.run("local-shell-script", job).await;
        assert_eq!(
            ran.text("stdout"),
            "<--s=a 'b' $HOME>\n<--on>\n<1 2>",
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_cannot_start_says_so() {
    let fixture = Fixture::new();
    let missing = fixture.file("bad.sh", "#!/no/such/interpreter\n");
    for (entry_point, code) in [(missing, 127), (fixture.path("absent.sh"), 127)] {
        let mut job = job(dict! { "timeout" => 30 });
        job.entry_point = Some(entry_point);
        let ran = fixture.run("local-shell-script", job).await;
        assert_eq!(ran.outcome.exit_code, Some(code), "{}", ran.result());
        assert!(!ran.text("stderr").is_empty());
    }
    let mut job = command("true");
    Arc::make_mut(&mut job.runner_parameters).insert("cwd", "/no/such/dir");
    let ran = fixture.run("local-shell-cmd", job).await;
    assert!(ran.text("stderr").contains("/no/such/dir"));
    let mut job = command("true");
    job.entry_point = Some(fixture.file("meant.sh", "true\n"));
    let ran = fixture.run("local-shell-cmd", job).await;
    let refused = "entry_point is only valid for local-shell-script runner";
    assert!(ran.result().contains(refused), "{}", ran.result());
}

#[tokio::test]
async fn output_comes_line_by_line_while_the_command_runs() {
    let fixture = Fixture::new();
    let ran = fixture
        .cancel_at(
            "local-shell-cmd",
            command("echo one; echo two; exec sleep 100"),
            "two",
        )
        .await;
    let lines: Vec<String> = ran
        .lines
        .all()
        .iter()
        .map(|(_, text)| text.to_string())
        .collect();
    assert_eq!(lines, ["one\n", "two\n"]);
}
