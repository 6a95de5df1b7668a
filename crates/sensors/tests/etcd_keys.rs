//! Changes of keys in a real etcd. Needs the program `etcd`, which Debian has in the package
//! `etcd-server`.
#![allow(clippy::unwrap_used)]

mod common;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use common::{MemorySink, fake_env};
use expect_test::{Expect, expect};
use squall_sensors::Source;
use squall_sensors::etcd::{KeySource, Settings};
use squall_value::{Value, dict, json};

/// An etcd of its own, which ends with the test.
struct Etcd {
    child: Child,
    endpoint: String,
    _directory: tempfile::TempDir,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Etcd {
    fn start() -> Etcd {
        // A port that was free a moment ago may be taken when etcd wants it.
        let tries = (0..5).find_map(|_| Etcd::try_start());
        tries.expect("etcd ended at once, five times")
    }

    fn try_start() -> Option<Etcd> {
        let directory = tempfile::tempdir().unwrap();
        let ports = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [client, peer] = ports
            .each_ref()
            .map(|port| format!("http://{}", port.local_addr().unwrap()));
        drop(ports);
        let mut child = Command::new("etcd")
            .args([
                "--name",
                "test",
                "--logger",
                "zap",
                "--log-outputs",
                "stderr",
            ])
            .arg("--data-dir")
            .arg(directory.path().join("data"))
            .args([
                "--listen-client-urls",
                &client,
                "--advertise-client-urls",
                &client,
            ])
            .args([
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
            ])
            .args(["--initial-cluster", &format!("test={peer}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this test needs the program etcd; install the package etcd-server");
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut lines = log.lines().map_while(Result::ok);
        let is_ready = lines.any(|line| {
            line.contains("serving insecure client requests")
                || line.contains("serving client traffic insecurely")
        });
        if !is_ready {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        // Whoever writes to a log that nobody reads stops in the end.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Etcd {
            child,
            endpoint: client,
            _directory: directory,
        })
    }

    async fn ask(&self, path: &str, body: &Value) -> Value {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = format!("{}/v3/{path}", self.endpoint);
        let request = reqwest::Client::new().post(url).body(json::write(body));
        let response = request.send().await.unwrap();
        json::read(&response.text().await.unwrap()).unwrap()
    }

    async fn put(&self, key: &str, value: &[u8]) {
        let body = dict! { "key" => BASE64.encode(key), "value" => BASE64.encode(value) };
        self.ask("kv/put", &body).await;
    }

    async fn delete(&self, key: &str) {
        let body = dict! { "key" => BASE64.encode(key) };
        self.ask("kv/deleterange", &body).await;
    }

    async fn revision(&self) -> i64 {
        let body = dict! { "key" => BASE64.encode("x"), "count_only" => true };
        let answer = self.ask("kv/range", &body).await;
        let revision = answer
            .get("header")
            .unwrap()
            .get("revision")
            .unwrap()
            .clone();
        revision.as_str().unwrap().parse().unwrap()
    }

    /// A source as after a start: with the position that was stored last.
    fn source(&self, prefix: &str, sink: &Arc<MemorySink>) -> KeySource {
        self.source_as(prefix, None, sink)
    }

    fn source_as(
        &self,
        prefix: &str,
        user: Option<(&str, &str)>,
        sink: &Arc<MemorySink>,
    ) -> KeySource {
        let settings = Settings {
            endpoint: self.endpoint.clone(),
            prefix: prefix.to_owned(),
            user: user.map(|(name, password)| (name.to_owned(), password.to_owned())),
            ca_file: None,
        };
        let position = sink.position("keys");
        let sink = sink.clone();
        KeySource::new("keys".into(), settings, position.as_ref(), fake_env(), sink).unwrap()
    }
}

/// Steps until there are `count` events.
async fn follow(source: &mut KeySource, sink: &MemorySink, count: usize) {
    while sink.events().len() < count {
        source.step().await.unwrap();
    }
}

fn check(sink: &MemorySink, expected: &Expect) {
    let mut text = String::new();
    for event in sink.events() {
        let member = |name: &str| {
            event
                .payload
                .get(name)
                .map_or("-".to_owned(), Value::to_json)
        };
        let (change, key, value) = (member("change"), member("key"), member("value"));
        write!(text, "{change} {key} = {value}").unwrap();
        if member("value_base64") != "-" {
            write!(text, " {}", member("value_base64")).unwrap();
        }
        let relisted = event.payload.get("relisted") == Some(&Value::Bool(true));
        text += if relisted { " relisted\n" } else { "\n" };
    }
    expected.assert_eq(&text);
}

#[tokio::test]
async fn changes_are_told_from_the_first_look_on_and_after_a_restart() {
    let etcd = Etcd::start();
    let sink = MemorySink::new();
    etcd.put("app/old", b"0").await;
    let mut source = etcd.source("app/", &sink);
    source.step().await.unwrap();
    etcd.put("app/a", b"1").await;
    etcd.put("other/a", b"1").await;
    etcd.put("app/a", b"2").await;
    etcd.put("app/bytes", b"\xff\x00").await;
    etcd.delete("app/a").await;
    follow(&mut source, &sink, 4).await;
    drop(source);
    etcd.put("app/while-away", "é".as_bytes()).await;
    etcd.put("app/a", b"3").await;
    follow(&mut etcd.source("app/", &sink), &sink, 6).await;
    check(
        &sink,
        &expect![[r#"
            "created" "app/a" = "1"
            "modified" "app/a" = "2"
            "created" "app/bytes" = null "/wA="
            "deleted" "app/a" = null
            "created" "app/while-away" = "é"
            "created" "app/a" = "3"
        "#]],
    );
    let position = sink.position("keys").unwrap();
    assert_eq!(
        position.get("revision").unwrap().as_int(),
        Some(etcd.revision().await)
    );
}

#[tokio::test]
async fn the_changes_of_one_transaction_move_the_place_together() {
    let etcd = Etcd::start();
    let sink = MemorySink::new();
    let mut source = etcd.source("", &sink);
    source.step().await.unwrap();
    let put = |key: &str| {
        let put = dict! { "key" => BASE64.encode(key), "value" => BASE64.encode("1") };
        dict! { "request_put" => put }
    };
    let both = Value::from(vec![put("a"), put("b")]);
    etcd.ask("kv/txn", &dict! { "success" => both }).await;
    follow(&mut source, &sink, 2).await;
    let revision = etcd.revision().await;
    let told: Vec<_> = sink
        .events()
        .iter()
        .map(|event| event.position.clone().unwrap().value)
        .map(|place| place.get("revision").unwrap().as_int().unwrap() - revision)
        .collect();
    assert_eq!(told, [-1, 0]);
    let keys: Vec<_> = sink
        .events()
        .into_iter()
        .map(|event| event.dedupe_key)
        .collect();
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test]
async fn a_history_that_is_gone_is_told() {
    let etcd = Etcd::start();
    let sink = MemorySink::new();
    etcd.put("app/same", b"0").await;
    etcd.put("app/changed", b"0").await;
    etcd.put("app/gone", b"0").await;
    let mut source = etcd.source("app/", &sink);
    source.step().await.unwrap();
    drop(source);
    etcd.put("app/changed", b"1").await;
    etcd.put("app/changed", b"2").await;
    etcd.delete("app/gone").await;
    etcd.put("app/new", b"1").await;
    let revision = etcd.revision().await;
    let compacted = etcd
        .ask(
            "kv/compaction",
            &dict! { "revision" => revision.to_string() },
        )
        .await;
    assert!(compacted.get("error").is_none(), "{compacted:?}");
    let mut source = etcd.source("app/", &sink);
    follow(&mut source, &sink, 2).await;
    source.step().await.unwrap();
    etcd.put("app/changed", b"3").await;
    follow(&mut source, &sink, 3).await;
    check(
        &sink,
        &expect![[r#"
            "modified" "app/changed" = "2" relisted
            "created" "app/new" = "1" relisted
            "modified" "app/changed" = "3"
        "#]],
    );
}

#[tokio::test]
async fn a_store_that_was_made_anew_is_listed() {
    let first = Etcd::start();
    let sink = MemorySink::new();
    for n in 0..5 {
        first.put("app/a", format!("{n}").as_bytes()).await;
    }
    first.source("app/", &sink).step().await.unwrap();
    drop(first);
    let second = Etcd::start();
    second.put("app/a", b"new").await;
    let mut source = second.source("app/", &sink);
    follow(&mut source, &sink, 1).await;
    check(
        &sink,
        &expect![[r#"
            "created" "app/a" = "new" relisted
        "#]],
    );
}

#[tokio::test]
async fn etcd_that_asks_for_a_user_gets_one() {
    let etcd = Etcd::start();
    for (path, body) in [
        (
            "auth/user/add",
            dict! { "name" => "root", "password" => "secret" },
        ),
        ("auth/role/add", dict! { "name" => "root" }),
        (
            "auth/user/grant",
            dict! { "user" => "root", "role" => "root" },
        ),
        ("auth/enable", Value::empty_dict()),
    ] {
        let answer = etcd.ask(path, &body).await;
        assert!(answer.get("error").is_none(), "{path}: {answer:?}");
    }
    let sink = MemorySink::new();
    let without = etcd.source("", &sink).step().await.unwrap_err().to_string();
    assert!(without.contains("user name is empty"), "{without}");
    let mut wrong = etcd.source_as("", Some(("root", "wrong")), &sink);
    let wrong = wrong.step().await.unwrap_err().to_string();
    assert!(wrong.contains("authentication failed"), "{wrong}");
    assert!(!wrong.contains("wrong"), "{wrong}");
    let mut source = etcd.source_as("", Some(("root", "secret")), &sink);
    source.step().await.unwrap();
}

#[tokio::test]
async fn an_etcd_that_is_away_is_told_and_found_again() {
    let sink = MemorySink::new();
    let etcd = Etcd::start();
    let mut source = etcd.source("", &sink);
    source.step().await.unwrap();
    drop(etcd);
    // What it said before it went is read first.
    let error = loop {
        if let Err(error) = source.step().await {
            break error.to_string();
        }
    };
    assert!(
        error.starts_with("etcd does not answer")
            || error.contains("connection to etcd was closed"),
        "{error}"
    );
    let error = source.step().await.unwrap_err().to_string();
    assert!(error.starts_with("etcd does not answer"), "{error}");
}
