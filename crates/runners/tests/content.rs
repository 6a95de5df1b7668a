//! Actions as a revision of their pack has them. Needs `git` and `python3`.

mod support;

use std::path::Path;
use std::process::Command;

use squall_model::Outcome as Ending;
use squall_runners::Job;
use squall_value::{Value, dict};
use support::{Fixture, Ran, job};

fn git(directory: &Path, words: &[&str]) {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory);
    command.args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]);
    let status = command.args(words).status().expect("git is installed");
    assert!(status.success(), "git {words:?}");
}

/// A pack with two versions: the first is tagged, the second in force, a third on a branch.
fn pack(fixture: &Fixture, root: &str) {
    let write = |version: &str| {
        fixture.file(
            &format!("{root}/actions/say.sh"),
            &format!("#!/bin/sh\necho {version} $PWD\n"),
        );
        fixture.file(
            &format!("{root}/actions/lib/words.py"),
            &format!("WORDS = '{version}'\n"),
        );
    };
    let say = concat!(
        "from lib.words import WORDS\nfrom st2common.runners.base_action import Action\n\n",
        "class Say(Action):\n    def run(self):\n        return WORDS\n",
    );
    fixture.file(&format!("{root}/actions/say.py"), say);
    let repository = fixture.path("repository");
    git(&repository, &["init", "-q", "-b", "main"]);
    let commit = |version: &str| {
        write(version);
        git(&repository, &["add", "-A"]);
        git(&repository, &["commit", "-qm", version]);
    };
    commit("first");
    git(&repository, &["tag", "v1"]);
    commit("second");
    git(&repository, &["checkout", "-qb", "next"]);
    commit("third");
    git(&repository, &["checkout", "-q", "main"]);
}

async fn run(fixture: &Fixture, root: &str, runner: &str, version: Option<&str>) -> Ran {
    let name = if runner == "python-script" {
        "say.py"
    } else {
        "say.sh"
    };
    let pack_dir = fixture.path(root);
    let job = Job {
        entry_point: Some(pack_dir.join("actions").join(name)),
        pack_dir,
        ..job(
            dict! { "content_version" => version.map_or(Value::Null, Value::from), "timeout" => 60 },
        )
    };
    fixture.run(runner, job).await
}

/// What the action says, wherever the runner puts it.
fn said(ran: &Ran) -> String {
    let stdout = ran.outcome.result.get("stdout").and_then(Value::as_str);
    match ran.outcome.result.get("result").and_then(Value::as_str) {
        Some(result) if result != "None" => result.to_owned(),
        _ => stdout.unwrap_or_default().to_owned(),
    }
}

#[tokio::test]
async fn an_action_runs_as_a_revision_has_it() {
    let fixture = Fixture::new();
    // The pack need not be the root of its repository.
    let root = "repository/packs/tests";
    pack(&fixture, root);
    for runner in ["python-script", "local-shell-script"] {
        for (version, expected) in [
            (None, "second"),
            (Some(""), "second"),
            (Some("v1"), "first"),
            (Some("next"), "third"),
            (Some("HEAD"), "second"),
            (Some("main~1"), "first"),
        ] {
            let ran = run(&fixture, root, runner, version).await;
            let said = said(&ran);
            assert!(
                said.starts_with(expected),
                "{runner} {version:?}: {}",
                ran.result()
            );
        }
    }
    // Nothing has changed for others.
    let output = Command::new("git")
        // Scripts are made executable where they lie, as always.
        .args(["-c", "core.fileMode=false", "status", "--porcelain"])
        .current_dir(fixture.path("repository"))
        .output();
    assert_eq!(output.expect("git is installed").stdout, b"");
}

#[tokio::test]
async fn a_revision_that_is_not_there_fails_the_action() {
    let fixture = Fixture::new();
    let root = "repository/packs/tests";
    pack(&fixture, root);
    fixture.file(
        "plain/actions/say.py",
        "class Say:\n    def run(self):\n        return 1\n",
    );
    for (root, version, reason) in [
        (root, "v9", "has no such commit, tag or branch"),
        (root, "--output=x", "does not begin with a hyphen"),
        ("plain", "v1", "does not come from a git repository"),
    ] {
        let ran = run(&fixture, root, "python-script", Some(version)).await;
        assert_eq!(ran.ending(), Ending::Failed);
        let told = ran.result();
        assert!(told.contains(reason) && told.contains("`tests`"), "{told}");
    }
}
