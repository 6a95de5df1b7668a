//! Actions in any language, which speak in lines of JSON.

mod support;

use squall_model::{Outcome as Ending, OutputStream};
use squall_runners::Job;
use squall_value::{Value, dict};
use support::Fixture;

fn job(fixture: &Fixture, program: &str, timeout: i64) -> Job {
    let entry_point = fixture.file("pack/actions/program", program);
    Job {
        entry_point: Some(entry_point),
        pack_dir: fixture.path("pack"),
        action_parameters: support::dict(r#"{"who": "Ann \"A\"", "token": "abracadabra"}"#),
        config: dict! { "color" => "red" },
        secrets: vec!["abracadabra".into()],
        ..support::job(dict! { "timeout" => timeout, "env" => dict! { "GREETING" => "hi" } })
    }
}

#[tokio::test]
async fn a_program_is_told_what_to_do_and_tells_what_came_of_it() {
    let fixture = Fixture::new();
    // Without its execute bit, as files of packs often come.
    let program = r#"#!/usr/bin/env python3
import json, os, sys
told = json.loads(sys.stdin.readline())
assert sys.stdin.read() == ""
print("first")
print(json.dumps({"type": "log", "level": "ERROR", "message": "hm"}))
print(json.dumps({"type": "result", "result": "not the last"}))
told.pop("execution_id")
print(json.dumps({"type": "result", "result": [told, os.environ["GREETING"], os.getcwd()[-5:]]}))
print('{"type": "unknown"}')
"#;
    let ran = fixture.run("stdio", job(&fixture, program, 60)).await;
    assert_eq!(ran.ending(), Ending::Succeeded, "{}", ran.result());
    assert_eq!(
        ran.result(),
        r#"{"stdout":"first\n{\"type\": \"unknown\"}\n","stderr":"ERROR: hm\n","exit_code":0,"result":[{"type":"run","protocol":1,"action":"tests.one","pack":"tests","user":"ann","parameters":{"who":"Ann \"A\"","token":"********"},"config":{"color":"red"}},"hi","/pack"]}"#
    );
    let lines: Vec<String> = ran
        .lines
        .all()
        .iter()
        .map(|(stream, text)| format!("{} {}", stream.as_str(), text.trim()))
        .collect();
    assert_eq!(
        lines,
        [
            "stdout first",
            "stderr ERROR: hm",
            r#"stdout {"type": "unknown"}"#
        ]
    );
}

#[tokio::test]
async fn the_program_says_whether_it_succeeded() {
    for (program, ending, result) in [
        (
            "echo '{\"type\": \"result\", \"status\": \"failed\", \"result\": 1}'",
            Ending::Failed,
            "1",
        ),
        (
            "echo '{\"type\": \"result\", \"result\": 2}'; exit 3",
            Ending::Failed,
            "2",
        ),
        // The last line needs no end.
        (
            "printf '{\"type\": \"result\", \"result\": 3}'",
            Ending::Succeeded,
            "3",
        ),
        ("true", Ending::Succeeded, "null"),
    ] {
        let fixture = Fixture::new();
        let ran = fixture
            .run(
                "stdio",
                job(&fixture, &format!("#!/bin/sh\n{program}\n"), 60),
            )
            .await;
        assert_eq!(ran.ending(), ending, "{program}");
        let shown = ran.outcome.result.get("result").map(Value::to_json);
        assert_eq!(shown.as_deref(), Some(result), "{program}");
        assert_eq!(ran.text("stdout"), "", "{program}");
    }
}

#[tokio::test]
async fn a_long_result_is_no_output() {
    let fixture = Fixture::new();
    let program = r#"#!/usr/bin/env python3
import json
print(json.dumps({"type": "result", "result": "x" * 1000000}))
"#;
    let ran = fixture.run("stdio", job(&fixture, program, 60)).await;
    assert_eq!(ran.text("result").len(), 1_000_000);
    assert_eq!(ran.lines.all(), []);
}

#[tokio::test]
async fn a_program_is_ended_in_time() {
    let fixture = Fixture::new();
    let ran = fixture
        .run("stdio", job(&fixture, "#!/bin/sh\nsleep 1000\n", 1))
        .await;
    assert_eq!(ran.ending(), Ending::TimedOut);
    assert_eq!(ran.text("error"), "Action failed to complete in 1 seconds");
    let fixture = Fixture::new();
    let job = job(&fixture, "#!/bin/sh\necho on\nsleep 1000\n", 60);
    let ran = fixture.cancel_at("stdio", job, "on").await;
    assert_eq!(ran.ending(), Ending::Canceled);
    let stdout = (OutputStream::Stdout, "on\n".into());
    assert_eq!(ran.lines.all(), [stdout]);
}

#[tokio::test]
async fn what_can_not_be_started_is_told() {
    let fixture = Fixture::new();
    let broken = job(&fixture, "#!/no/such/interpreter\n", 60);
    let ran = fixture.run("stdio", broken.clone()).await;
    assert_eq!(ran.ending(), Ending::Failed);
    assert!(
        ran.text("error").contains("can't be started"),
        "{}",
        ran.result()
    );
    let none = Job {
        entry_point: None,
        ..broken
    };
    let ran = fixture.run("stdio", none).await;
    assert_eq!(
        ran.text("error"),
        "Missing entry_point action metadata attribute"
    );
}
