//! Moves of branches in real repositories. Needs `git` on the path.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::{MemorySink, fake_env, run};
use expect_test::{Expect, expect};
use squall_sensors::Source;
use squall_sensors::git::{Limits, Pattern, RepositorySource, RepositorySpec};
use squall_value::{Value, json};

struct Lab {
    directory: tempfile::TempDir,
    sink: Arc<MemorySink>,
}

impl Lab {
    /// A bare repository `origin` with one commit on `main`, and a clone `work` of it.
    fn new() -> Lab {
        let directory = tempfile::tempdir().unwrap();
        let lab = Lab {
            directory,
            sink: MemorySink::new(),
        };
        run(
            lab.path(),
            "git",
            &["init", "-q", "--bare", "-b", "main", "origin"],
        );
        run(lab.path(), "git", &["clone", "-q", "origin", "work"]);
        lab.commit("first", &[("README", "one\n")]);
        lab.git(&["push", "-q", "origin", "HEAD:main"]);
        lab
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn git(&self, arguments: &[&str]) -> String {
        run(&self.path().join("work"), "git", arguments)
    }

    fn commit(&self, message: &str, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.path().join("work").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }

    /// A source as after a start: with the position that was stored last.
    fn source(&self, mirror: &str, limits: Limits) -> RepositorySource {
        let found = run(self.path(), "sh", &["-c", "command -v git"]);
        let spec = RepositorySpec {
            name: "infra".into(),
            url: self.path().join("origin").to_str().unwrap().to_owned(),
            branches: vec![Pattern::new("main"), Pattern::new("topic/*")],
            contents: vec![Pattern::new("**/*.yaml")],
            interval: Duration::from_secs(60),
            git: PathBuf::from(found),
            mirror: self.path().join(mirror),
            environment: Vec::new(),
            limits,
        };
        let position = self.sink.position("infra");
        RepositorySource::new(spec, position.as_ref(), fake_env(), self.sink.clone())
    }

    /// Looks once with a new source; returns the new payloads, commits by the names they have.
    async fn look(&self) -> String {
        let seen = self.sink.events().len();
        self.source("mirror", Limits::default())
            .look()
            .await
            .unwrap();
        self.shown(seen)
    }

    fn shown(&self, from: usize) -> String {
        let mut text = String::new();
        for event in &self.sink.events()[from..] {
            text += &json::write(&event.payload);
            text.push('\n');
        }
        let log = self.git(&["log", "--all", "--reflog", "--format=%H %s"]);
        for line in log.lines() {
            let (id, subject) = line.split_once(' ').unwrap();
            text = text.replace(id, subject);
        }
        text
    }
}

async fn check(lab: &Lab, expected: Expect) {
    expected.assert_eq(&lab.look().await);
}

#[tokio::test]
async fn a_repository_begins_without_a_past_and_tells_every_move_once() {
    let lab = Lab::new();
    check(&lab, expect![""]).await;
    lab.commit("second", &[("a.yaml", "a: 1\n"), ("b.txt", "b")]);
    lab.commit("third", &[("a.yaml", "a: 2\n"), ("README", "two\n")]);
    lab.git(&["push", "-q", "origin", "HEAD:main"]);
    check(&lab, expect![[r#"
        {"repository":"infra","branch":"main","before":"first","after":"third","forced":false,"commits_truncated":false,"commits":[{"id":"third","author":"Ada","email":"ada@example.com","message":"third","timestamp":"2026-01-02T03:04:05Z"},{"id":"second","author":"Ada","email":"ada@example.com","message":"second","timestamp":"2026-01-02T03:04:05Z"}],"files_truncated":false,"files":[{"path":"README","status":"modified"},{"path":"a.yaml","status":"added"},{"path":"b.txt","status":"added"}],"contents":{"a.yaml":{"before":null,"after":"a: 2\n"}}}
    "#]]).await;
    check(&lab, expect![""]).await;
}

#[tokio::test]
async fn a_push_to_a_local_repository_makes_a_look() {
    let lab = Lab::new();
    // The time of this world stands still, so only the system can make the second look.
    let mut source = lab.source("mirror", Limits::default());
    source.step().await.unwrap();
    lab.commit("second", &[]);
    lab.git(&["push", "-q", "origin", "HEAD:main"]);
    while lab.sink.events().is_empty() {
        source.step().await.unwrap();
    }
    let after = lab.sink.events()[0].payload.get("after").cloned();
    assert_eq!(after, Some(Value::from(lab.git(&["rev-parse", "HEAD"]))));
}

#[tokio::test]
async fn branches_come_and_go() {
    let lab = Lab::new();
    check(&lab, expect![""]).await;
    lab.commit("topic", &[("dir/x.yaml", "x\n")]);
    lab.git(&["push", "-q", "origin", "HEAD:topic/x", "HEAD:unwatched"]);
    check(&lab, expect![[r#"
        {"repository":"infra","branch":"topic/x","before":null,"after":"topic","forced":false,"commits_truncated":false,"commits":[{"id":"topic","author":"Ada","email":"ada@example.com","message":"topic","timestamp":"2026-01-02T03:04:05Z"}],"files_truncated":false,"files":[{"path":"dir/x.yaml","status":"added"}],"contents":{"dir/x.yaml":{"before":null,"after":"x\n"}}}
    "#]]).await;
    lab.git(&["push", "-q", "origin", ":topic/x"]);
    check(&lab, expect![[r#"
        {"repository":"infra","branch":"topic/x","before":"topic","after":null,"forced":false,"commits_truncated":false,"commits":[],"files_truncated":false,"files":[],"contents":{}}
    "#]]).await;
}

#[tokio::test]
async fn a_forced_push_is_told_with_what_it_changed() {
    let lab = Lab::new();
    lab.commit(
        "wrong",
        &[("a.yaml", "wrong\n"), ("old name.txt", "1\n2\n3\n4\n5\n")],
    );
    lab.git(&["push", "-q", "origin", "HEAD:main"]);
    check(&lab, expect![""]).await;
    lab.git(&["reset", "-q", "--hard", "HEAD~1"]);
    lab.commit(
        "right",
        &[("a.yaml", "right\n"), ("new é.txt", "1\n2\n3\n4\n5\n")],
    );
    lab.git(&["push", "-q", "-f", "origin", "HEAD:main"]);
    check(&lab, expect![[r#"
        {"repository":"infra","branch":"main","before":"wrong","after":"right","forced":true,"commits_truncated":false,"commits":[{"id":"right","author":"Ada","email":"ada@example.com","message":"right","timestamp":"2026-01-02T03:04:05Z"}],"files_truncated":false,"files":[{"path":"a.yaml","status":"modified"},{"path":"new é.txt","status":"renamed","old_path":"old name.txt"}],"contents":{"a.yaml":{"before":"wrong\n","after":"right\n"}}}
    "#]]).await;
}

#[tokio::test]
async fn a_lost_mirror_loses_no_move() {
    let lab = Lab::new();
    lab.look().await;
    lab.commit("second", &[]);
    lab.git(&["push", "-q", "origin", "HEAD:main"]);
    fs::remove_dir_all(lab.path().join("mirror")).unwrap();
    check(&lab, expect![[r#"
        {"repository":"infra","branch":"main","before":"first","after":"second","forced":false,"commits_truncated":false,"commits":[{"id":"second","author":"Ada","email":"ada@example.com","message":"second","timestamp":"2026-01-02T03:04:05Z"}],"files_truncated":false,"files":[],"contents":{}}
    "#]]).await;
}

#[tokio::test]
async fn an_event_is_bounded() {
    let lab = Lab::new();
    lab.look().await;
    for name in ["a.yaml", "b.yaml", "c.yaml"] {
        lab.commit(name, &[(name, &"x".repeat(100))]);
    }
    lab.git(&["push", "-q", "origin", "HEAD:main"]);
    let limits = Limits {
        commits_max: 2,
        files_max: 2,
        contents_max: 1,
        text_bytes_max: 10,
        ..Limits::default()
    };
    lab.source("mirror", limits).look().await.unwrap();
    expect![[r#"
        {"repository":"infra","branch":"main","before":"first","after":"c.yaml","forced":false,"commits_truncated":true,"commits":[{"id":"c.yaml","author":"Ada","email":"ada@example.com","message":"c.yaml","timestamp":"2026-01-02T03:04:05Z"},{"id":"b.yaml","author":"Ada","email":"ada@example.com","message":"b.yaml","timestamp":"2026-01-02T03:04:05Z"}],"files_truncated":true,"files":[{"path":"a.yaml","status":"added"},{"path":"b.yaml","status":"added"}],"contents":{"a.yaml":{"before":null,"after":null}}}
    "#]].assert_eq(&lab.shown(0));
}

#[tokio::test]
async fn a_crash_between_two_events_repeats_none_and_loses_none() {
    let lab = Lab::new();
    lab.look().await;
    lab.commit("second", &[]);
    lab.git(&[
        "push",
        "-q",
        "origin",
        "HEAD:main",
        "HEAD:topic/a",
        "HEAD:topic/b",
    ]);
    let unavailable = squall_sensors::DispatchError::Unavailable {
        reason: "down".to_owned(),
    };
    let mut source = lab.source("mirror", Limits::default());
    // The sink takes the last error first: the second event fails.
    lab.sink.errors.lock().push(unavailable.clone());
    source.look().await.unwrap_err();
    assert_eq!(lab.sink.events().len(), 0);
    lab.look().await;
    lab.look().await;
    let branches: Vec<Value> = lab
        .sink
        .events()
        .iter()
        .map(|event| event.payload.get("branch").unwrap().clone())
        .collect();
    assert_eq!(branches, ["main", "topic/a", "topic/b"].map(Value::from));
}

#[tokio::test]
async fn a_repository_that_can_not_be_read_is_told() {
    let lab = Lab::new();
    fs::remove_dir_all(lab.path().join("origin")).unwrap();
    let error = lab
        .source("mirror", Limits::default())
        .look()
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("`git fetch` failed: ")
            && text.contains("does not appear to be a git repository"),
        "{text}"
    );
}
