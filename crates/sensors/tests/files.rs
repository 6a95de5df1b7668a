//! Directories and files of this machine as sources.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::{MemorySink, fake_env};
use squall_sensors::directory::{self, DirectorySource};
use squall_sensors::file::{self, LineSource};
use squall_sensors::git::Pattern;
use squall_sensors::{DispatchError, Source};
use squall_value::Value;

struct Lab {
    directory: tempfile::TempDir,
    sink: Arc<MemorySink>,
}

impl Lab {
    fn new() -> Lab {
        Lab {
            directory: tempfile::tempdir().unwrap(),
            sink: MemorySink::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path(name));
        file.unwrap().write_all(text.as_ref()).unwrap();
    }

    /// A source as after a start: with the position that was stored last.
    fn directory(&self, recursive: bool, files: &[&str]) -> DirectorySource {
        let settings = directory::Settings {
            path: self.path("d"),
            recursive,
            files: files.iter().map(|pattern| Pattern::new(pattern)).collect(),
            interval: Duration::from_secs(10),
        };
        let position = self.sink.position("d");
        let sink = self.sink.clone();
        DirectorySource::new("d".into(), settings, position.as_ref(), fake_env(), sink)
    }

    fn file(&self) -> LineSource {
        let settings = file::Settings {
            path: self.path("d/log"),
            interval: Duration::from_secs(10),
        };
        let position = self.sink.position("f");
        let sink = self.sink.clone();
        LineSource::new("f".into(), settings, position.as_ref(), fake_env(), sink)
    }

    /// What was told since there were `from` events, as `change path` or as the lines.
    fn told(&self, from: usize) -> Vec<String> {
        let events = self.sink.events();
        let text = |event: &squall_sensors::Event, name: &str| {
            let member = event.payload.get(name).and_then(Value::as_str);
            member.unwrap_or("-").to_owned()
        };
        let mut told: Vec<_> = events[from..]
            .iter()
            .map(|event| match event.payload.get("line") {
                Some(_) => text(event, "line"),
                None => format!("{} {}", text(event, "change"), text(event, "path")),
            })
            .collect();
        if events
            .iter()
            .any(|event| event.payload.get("path").is_some())
        {
            told.sort();
        }
        told
    }

    async fn look_directory(&self, recursive: bool, files: &[&str]) -> Vec<String> {
        let from = self.sink.events().len();
        self.directory(recursive, files).look().await.unwrap();
        self.told(from)
    }

    async fn look_file(&self) -> Vec<String> {
        let from = self.sink.events().len();
        self.file().look().await.unwrap();
        self.told(from)
    }
}

#[tokio::test]
async fn files_are_told_when_they_come_change_and_go() {
    let lab = Lab::new();
    lab.write("d/old", "1");
    lab.write("d/inner/x", "1");
    assert!(lab.look_directory(true, &[]).await.is_empty());
    lab.write("d/new", "1");
    lab.write("d/old", "12");
    lab.write("d/inner/y", "1");
    assert_eq!(
        lab.look_directory(true, &[]).await,
        ["created inner/y", "created new", "modified old"]
    );
    assert!(lab.look_directory(true, &[]).await.is_empty());
    fs::remove_dir_all(lab.path("d/inner")).unwrap();
    assert_eq!(
        lab.look_directory(true, &[]).await,
        ["removed inner/x", "removed inner/y"]
    );
    // A file that goes and comes back is told both times, though it is the very same.
    for _ in 0..2 {
        fs::rename(lab.path("d/new"), lab.path("away")).unwrap();
        assert_eq!(lab.look_directory(true, &[]).await, ["removed new"]);
        fs::rename(lab.path("away"), lab.path("d/new")).unwrap();
        assert_eq!(lab.look_directory(true, &[]).await, ["created new"]);
    }
    let events = lab.sink.events();
    let mut keys: Vec<_> = events
        .iter()
        .map(|event| event.dedupe_key.clone())
        .collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), events.len());
}

#[tokio::test]
async fn only_what_was_asked_for_is_watched() {
    let lab = Lab::new();
    lab.write("d/a.yaml", "1");
    assert!(lab.look_directory(false, &["*.yaml"]).await.is_empty());
    lab.write("d/b.yaml", "1");
    lab.write("d/b.txt", "1");
    lab.write("d/inner/c.yaml", "1");
    assert_eq!(
        lab.look_directory(false, &["*.yaml"]).await,
        ["created b.yaml"]
    );
}

#[tokio::test]
async fn a_directory_may_come_later_and_go() {
    let lab = Lab::new();
    assert!(lab.look_directory(false, &[]).await.is_empty());
    lab.write("d/a", "1");
    assert_eq!(lab.look_directory(false, &[]).await, ["created a"]);
    fs::remove_dir_all(lab.path("d")).unwrap();
    assert_eq!(lab.look_directory(false, &[]).await, ["removed a"]);
}

#[tokio::test]
async fn what_a_crash_repeats_has_the_same_key() {
    let lab = Lab {
        sink: MemorySink::with_permits(1),
        ..Lab::new()
    };
    lab.write("d/a", "1");
    lab.look_directory(false, &[]).await;
    lab.write("d/b", "1");
    lab.write("d/c", "1");
    let mut source = lab.directory(false, &[]);
    // The second event is never stored, and neither is the place behind both.
    tokio::select! {
        _ = source.look() => panic!("there is no permit for the second event"),
        _ = lab.sink.wait_for(1) => {}
    }
    drop(source);
    lab.sink.permit(2);
    lab.look_directory(false, &[]).await;
    assert_eq!(lab.told(0), ["created b", "created b", "created c"]);
    let events = lab.sink.events();
    assert_eq!(events[0].dedupe_key, events[1].dedupe_key);
    assert_ne!(events[0].dedupe_key, events[2].dedupe_key);
    assert_eq!(events[1].position, None);
    assert!(events[2].position.is_some());
}

#[tokio::test]
async fn a_message_of_the_system_makes_a_look() {
    let lab = Lab::new();
    lab.write("d/a", "1");
    // The time of this world stands still, so only the system can make the second look.
    let mut source = lab.directory(false, &[]);
    source.step().await.unwrap();
    lab.write("d/b", "1");
    while lab.sink.events().is_empty() {
        source.step().await.unwrap();
    }
    assert_eq!(lab.told(0), ["created b"]);
}

#[tokio::test]
async fn lines_are_told_once_they_are_whole() {
    let lab = Lab::new();
    lab.write("d/log", "old\n");
    assert!(lab.look_file().await.is_empty());
    lab.append("d/log", "one\ntwo\r\nthr");
    assert_eq!(lab.look_file().await, ["one", "two"]);
    assert!(lab.look_file().await.is_empty());
    lab.append("d/log", "ee\n\n");
    lab.append("d/log", b"\xff\n");
    assert_eq!(lab.look_file().await, ["three", "", "\u{fffd}"]);
}

#[tokio::test]
async fn a_rotated_file_is_read_to_its_end() {
    let lab = Lab::new();
    lab.write("d/log", "");
    lab.look_file().await;
    lab.append("d/log", "one\n");
    assert_eq!(lab.look_file().await, ["one"]);
    lab.append("d/log", "two\n");
    fs::rename(lab.path("d/log"), lab.path("d/log.1")).unwrap();
    assert_eq!(lab.look_file().await, ["two"]);
    lab.append("d/log.1", "three\n");
    lab.append("d/log", "four\n");
    assert_eq!(lab.look_file().await, ["three", "four"]);
    // Cut short in place.
    fs::write(lab.path("d/log"), "5\n").unwrap();
    assert_eq!(lab.look_file().await, ["5"]);
}

#[tokio::test]
async fn a_file_that_comes_later_is_read_from_its_beginning() {
    let lab = Lab::new();
    fs::create_dir(lab.path("d")).unwrap();
    assert!(lab.look_file().await.is_empty());
    lab.append("d/log", "one\n");
    assert_eq!(lab.look_file().await, ["one"]);
    fs::remove_file(lab.path("d/log")).unwrap();
    assert!(lab.look_file().await.is_empty());
    lab.append("d/log", "two\n");
    assert_eq!(lab.look_file().await, ["two"]);
}

#[tokio::test]
async fn a_file_in_the_place_of_a_removed_one_is_a_new_one() {
    let lab = Lab::new();
    lab.write("d/log", "one\ntwo\n");
    lab.look_file().await;
    // The new file may get the number of the old one, and is as long.
    fs::remove_file(lab.path("d/log")).unwrap();
    lab.write("d/log", "1\n2\n3\n4\n");
    assert_eq!(lab.look_file().await, ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn long_lines_are_cut_and_many_lines_are_all_read() {
    let lab = Lab::new();
    lab.write("d/log", "");
    lab.look_file().await;
    lab.append("d/log", "x".repeat(200_000));
    assert!(lab.look_file().await.is_empty());
    lab.append("d/log", "\nshort\n");
    let lines = lab.look_file().await;
    assert_eq!(
        lines.iter().map(String::len).collect::<Vec<_>>(),
        [64 << 10, 5]
    );
    let truncated = lab.sink.events()[0].payload.get("truncated").cloned();
    assert_eq!(truncated, Some(Value::Bool(true)));
    let line = "y".repeat(999);
    lab.append("d/log", format!("{line}\n").repeat(3_000));
    assert_eq!(lab.look_file().await.len(), 3_000);
}

#[tokio::test]
async fn a_line_that_was_not_stored_is_told_by_the_next_look() {
    let lab = Lab::new();
    lab.write("d/log", "");
    lab.look_file().await;
    lab.append("d/log", "one\ntwo\n");
    let down = DispatchError::Unavailable {
        reason: "down".to_owned(),
    };
    lab.sink.errors.lock().push(down);
    lab.file().look().await.unwrap_err();
    assert_eq!(lab.look_file().await, ["one", "two"]);
}

#[tokio::test]
async fn what_is_no_file_is_told() {
    let lab = Lab::new();
    fs::create_dir_all(lab.path("d/log")).unwrap();
    let error = lab.file().step().await.unwrap_err().to_string();
    assert!(
        error.ends_with("d/log can't be read: it is no regular file"),
        "{error}"
    );
}
