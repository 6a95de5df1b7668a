//! Event sources inside a running engine: what they see becomes events and executions. Needs `git`
//! and `python3` on the path.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use squall_engine::sources::{self, RestartError, SourcePhase};
use squall_engine::{
    Change, Engine, EverybodyMay, NoTokens, Parts, Settings, TokioSpawn, Vault, action_body,
    sources::SourceKind,
};
use squall_env::{Env, SystemEnv};
use squall_expr::Expressions;
use squall_model::{DocumentKind, Timestamp, TriggerInstance};
use squall_runners::{Host, Registry};
use squall_store::{ExecutionFilter, MemoryStore, Page, Store, TriggerInstanceFilter};
use squall_value::{Dict, Str, Value, dict, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One server's life on a store and a directory that outlive it.
struct Server {
    engine: Arc<Engine>,
    store: Arc<dyn Store>,
    stop: watch::Sender<bool>,
    sources: JoinHandle<()>,
}

impl Server {
    async fn start(store: &Arc<dyn Store>, directory: &Path) -> Server {
        Server::start_with(store, directory, &[]).await
    }

    /// A server whose definitions are known before its sources begin.
    async fn start_with(
        store: &Arc<dyn Store>,
        directory: &Path,
        definitions: &[(DocumentKind, &str, &str)],
    ) -> Server {
        let env: Arc<dyn Env> = Arc::new(SystemEnv::new());
        let run_dir = directory.join("run");
        std::fs::create_dir_all(&run_dir).unwrap();
        let runners = squall_runners::Settings::new("test", run_dir);
        let host = Host::new(runners, Arc::clone(&env)).unwrap();
        let entry = store.register_server("test", "boot", Timestamp::MAX).await;
        let engine = Engine::new(Parts {
            store: Arc::clone(store),
            vault: Vault::new(&[1; 32], Arc::clone(&env)),
            env,
            spawn: Arc::new(TokioSpawn),
            runners: Arc::new(Registry::new(&host)),
            expressions: Arc::new(Expressions::default()),
            crypto: None,
            tokens: Arc::new(NoTokens),
            rights: Arc::new(EverybodyMay),
            settings: Settings {
                lease: Duration::from_secs(3),
                ..Settings::default()
            },
            lease: entry.unwrap().lease,
        });
        engine.reload().await.unwrap();
        for (kind, key, body) in definitions {
            define(&engine, *kind, key, json::read(body).unwrap()).await;
        }
        let (stop, stopped) = watch::channel(false);
        let settings = sources::Settings::new(directory.join("cache"));
        let sources = tokio::spawn(sources::run(Arc::clone(&engine), settings, stopped));
        Server {
            engine,
            store: Arc::clone(store),
            stop,
            sources,
        }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.sources.await.unwrap();
        assert_eq!(self.engine.source_states(), []);
    }

    /// Looks again at every change in the store until there is what is wanted.
    async fn wait<T>(&self, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let mut changes = self.store.subscribe();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            changes.next().await;
        }
    }

    async fn events(&self) -> Vec<Arc<TriggerInstance>> {
        let filter = TriggerInstanceFilter {
            oldest_first: true,
            ..TriggerInstanceFilter::default()
        };
        let found = self.store.trigger_instances(&filter, Page::ALL).await;
        found.unwrap().items
    }

    async fn wait_for_events(&self, count: usize) -> Vec<Arc<TriggerInstance>> {
        self.wait(async || Some(self.events().await).filter(|events| events.len() >= count))
            .await
    }

    /// Waits until a source has stored where it stands.
    async fn wait_for_position(&self, prefix: &str) {
        let filter = squall_store::DocumentFilter {
            pack: None,
            key_prefix: Some(prefix.into()),
        };
        let kind = DocumentKind::Position;
        self.wait(async || {
            let now = self.engine.env().now();
            let found = self.store.documents(kind, &filter, Page::ALL, now).await;
            (found.unwrap().total > 0).then_some(())
        })
        .await;
    }
}

async fn define(engine: &Arc<Engine>, kind: DocumentKind, key: &str, body: Value) {
    let body = match kind {
        DocumentKind::Action => action_body(body.as_dict().unwrap(), None),
        _ => body,
    };
    let put = Change::Put {
        kind,
        key: key.into(),
        pack: key.split('.').next().map(Str::from),
        body,
        expires: None,
        new: false,
    };
    engine.change(vec![put]).await.unwrap();
}

const NOOP: (DocumentKind, &str, &str) = (
    DocumentKind::Action,
    "core.noop",
    r#"{"name":"noop","runner_type":"noop","parameters":{}}"#,
);

fn rule(trigger: &str, parameters: Value) -> Value {
    dict! {
        "name" => "x", "pack" => "p", "enabled" => true,
        "trigger" => dict! { "type" => trigger, "parameters" => parameters },
        "criteria" => Value::empty_dict(),
        "action" => dict! { "ref" => "core.noop" },
    }
}

#[tokio::test]
async fn a_timer_makes_events_and_executions() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let server = Server::start_with(&store, directory.path(), &[NOOP]).await;
    let every_second = json::read(r#"{"unit":"seconds","delta":1}"#).unwrap();
    let body = rule("core.st2.IntervalTimer", every_second.clone());
    define(&server.engine, DocumentKind::Rule, "p.tick", body).await;
    let events = server.wait_for_events(2).await;
    let between = events[1].occurred.duration_since(events[0].occurred);
    assert_eq!(between.as_nanos() % 1_000_000_000, 0, "a grid of seconds");
    assert_eq!(events[0].payload.get("schedule"), Some(&every_second));
    let filter = ExecutionFilter::default();
    let executions = server.store.executions(&filter, Page::ALL).await.unwrap();
    assert!(executions.total >= 2);
    let states = server.engine.source_states();
    assert_eq!(states.len(), 1);
    assert_eq!(
        (&*states[0].key, states[0].kind),
        ("timers", SourceKind::Timers)
    );
    assert_eq!(states[0].phase, SourcePhase::Running);
    server.stop().await;
}

#[tokio::test]
async fn a_timer_that_makes_no_schedule_is_told_and_harms_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let server = Server::start_with(&store, directory.path(), &[NOOP]).await;
    for (key, parameters) in [
        ("p.bad", r#"{"unit":"fortnights","delta":1}"#),
        ("p.good", r#"{"unit":"seconds","delta":1}"#),
    ] {
        let body = rule("core.st2.IntervalTimer", json::read(parameters).unwrap());
        define(&server.engine, DocumentKind::Rule, key, body).await;
    }
    server.wait_for_events(1).await;
    let states = server.engine.source_states();
    let error = states[0].last_error.as_deref().unwrap_or_default();
    assert!(error.contains("`unit` is \"fortnights\""), "{error}");
    assert_eq!(&*states[0].subject, "1 timers, and 1 that cannot be used");
    server.stop().await;
}

fn git(directory: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "Ada")))
        .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "ada@example.com")))
        .output()
        .expect("this test needs the program git");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {complaint}");
}

#[tokio::test]
async fn every_move_of_a_branch_is_one_event_also_across_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    git(path, &["init", "-q", "--bare", "-b", "main", "origin"]);
    git(path, &["clone", "-q", "origin", "work"]);
    let work = path.join("work");
    let push = |message: &str| {
        git(&work, &["commit", "-q", "--allow-empty", "-m", message]);
        git(&work, &["push", "-q", "origin", "HEAD:main"]);
    };
    push("first");
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let server = Server::start_with(&store, path, &[NOOP]).await;
    let origin = path.join("origin").to_string_lossy().into_owned();
    let parameters = dict! { "url" => origin, "repository" => "infra", "interval" => 1 };
    let body = rule("core.git.branch_moved", parameters);
    define(&server.engine, DocumentKind::Rule, "p.pushed", body).await;
    server.wait_for_position("git:core.git.branch_moved-").await;
    push("second");
    server.wait_for_events(1).await;
    server.stop().await;
    push("third");
    let server = Server::start(&store, path).await;
    server.wait_for_events(2).await;
    push("fourth");
    let events = server.wait_for_events(3).await;
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            let commits = event.payload.get("commits").unwrap().as_list().unwrap();
            let messages = commits.iter().map(|commit| commit.get("message").unwrap());
            messages.cloned().collect::<Value>().to_json()
        })
        .collect();
    assert_eq!(told, [r#"["second"]"#, r#"["third"]"#, r#"["fourth"]"#]);
    let filter = ExecutionFilter::default();
    let executions = store.executions(&filter, Page::ALL).await.unwrap();
    assert_eq!(executions.total, 3);
    server.stop().await;
}

#[tokio::test]
async fn a_rule_that_goes_takes_its_source_and_position_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    git(path, &["init", "-q", "--bare", "-b", "main", "origin"]);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let server = Server::start_with(&store, path, &[NOOP]).await;
    let url = path.join("origin").to_string_lossy().into_owned();
    let body = rule("core.git.branch_moved", dict! { "url" => url });
    define(&server.engine, DocumentKind::Rule, "p.pushed", body).await;
    server.wait_for_position("git:").await;
    let delete = Change::Delete {
        kind: DocumentKind::Rule,
        key: "p.pushed".into(),
    };
    server.engine.change(vec![delete]).await.unwrap();
    let filter = squall_store::DocumentFilter::default();
    let kind = DocumentKind::Position;
    server
        .wait(async || {
            let now = server.engine.env().now();
            let found = store.documents(kind, &filter, Page::ALL, now).await;
            (found.unwrap().total == 0).then_some(())
        })
        .await;
    assert_eq!(server.engine.source_states(), []);
    server.stop().await;
}

const SENSOR: &str = r#"
from st2reactor.sensor.base import PollingSensor

class Counter(PollingSensor):
    def setup(self):
        pass
    def poll(self):
        count = int(self.sensor_service.get_value("count") or 0) + 1
        self.sensor_service.set_value("count", count)
        self.sensor_service.dispatch("p.counted", {"n": count, "color": self.config["color"]})
    def cleanup(self):
        pass
    def add_trigger(self, trigger):
        pass
    def update_trigger(self, trigger):
        pass
    def remove_trigger(self, trigger):
        pass
"#;

#[tokio::test]
async fn a_polling_sensor_dispatches_and_remembers_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::create_dir_all(path.join("p/sensors")).unwrap();
    std::fs::write(path.join("p/sensors/counter.py"), SENSOR).unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let pack = dict! { "name" => "p", "path" => path.join("p").to_string_lossy().into_owned() };
    let (pack, counted) = (
        pack.to_json(),
        rule("p.counted", Value::from(Dict::new())).to_json(),
    );
    let definitions = [
        NOOP,
        (DocumentKind::Pack, "p", &*pack),
        (
            DocumentKind::Config,
            "p",
            r#"{"pack":"p","values":{"color":"red"}}"#,
        ),
        (
            DocumentKind::TriggerType,
            "p.counted",
            r#"{"name":"counted"}"#,
        ),
        (DocumentKind::Rule, "p.counted", &*counted),
        (
            DocumentKind::Sensor,
            "p.Counter",
            r#"{"class_name":"Counter","entry_point":"counter.py","enabled":true,
                "trigger_types":["p.counted"],"poll_interval":3600}"#,
        ),
    ];
    for expected in [
        r#"[{"n":1,"color":"red"}]"#,
        r#"[{"n":1,"color":"red"},{"n":2,"color":"red"}]"#,
    ] {
        let server = Server::start_with(&store, path, &definitions).await;
        let count = expected.matches("color").count();
        let events = server.wait_for_events(count).await;
        let payloads = events.iter().map(|event| event.payload.clone());
        assert_eq!(payloads.collect::<Value>().to_json(), expected);
        let states = server.engine.source_states();
        assert_eq!(states.len(), 1);
        assert_eq!(&*states[0].key, "sensor:p.Counter");
        assert!(states[0].pid.is_some(), "{states:?}");
        server.stop().await;
    }
    let server = Server::start_with(&store, path, &definitions).await;
    server.wait_for_events(3).await;
    server.engine.restart_sensor("p.Counter").unwrap();
    // Its interval is an hour: only a process that is new polls again.
    server.wait_for_events(4).await;
    let unknown = server.engine.restart_sensor("p.Nobody").unwrap_err();
    assert_eq!(unknown, RestartError::Unknown);
    server.stop().await;
}

#[tokio::test]
async fn a_sensor_that_starts_and_ends_makes_events_for_rules_that_listen() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::create_dir_all(path.join("p/sensors")).unwrap();
    std::fs::write(path.join("p/sensors/brief.py"), "raise SystemExit(3)").unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let pack = dict! { "name" => "p", "path" => path.join("p").to_string_lossy().into_owned() };
    let any = || Value::from(Dict::new());
    let (spawn, exit) = (
        rule("core.st2.sensor.process_spawn", any()).to_json(),
        rule("core.st2.sensor.process_exit", any()).to_json(),
    );
    let definitions = [
        NOOP,
        (DocumentKind::Pack, "p", &*pack.to_json()),
        (
            DocumentKind::TriggerType,
            "core.st2.sensor.process_spawn",
            r#"{"name":"st2.sensor.process_spawn"}"#,
        ),
        (
            DocumentKind::TriggerType,
            "core.st2.sensor.process_exit",
            r#"{"name":"st2.sensor.process_exit"}"#,
        ),
        (DocumentKind::Rule, "p.spawn", &*spawn),
        (DocumentKind::Rule, "p.exit", &*exit),
        (
            DocumentKind::Sensor,
            "p.Brief",
            r#"{"class_name":"Brief","entry_point":"brief.py","enabled":true,"trigger_types":[]}"#,
        ),
    ];
    let server = Server::start_with(&store, path, &definitions).await;
    let events = server.wait_for_events(2).await;
    let shown = |event: &TriggerInstance| {
        let member = |name: &str| event.payload.get(name).cloned().unwrap_or_default();
        assert!(member("timestamp").as_int().is_some(), "{event:?}");
        assert_eq!(member("id").as_str(), Some("Brief"));
        (event.trigger.as_str().to_owned(), member("exit_code"))
    };
    let (first, second) = (shown(&events[0]), shown(&events[1]));
    assert_eq!(first.0, "core.st2.sensor.process_spawn");
    assert!(events[0].payload.get("pid").is_some());
    assert_eq!(second.0, "core.st2.sensor.process_exit");
    assert_eq!(second.1.as_int(), Some(1));
    server.stop().await;
}

#[tokio::test]
async fn a_source_runs_on_one_of_two_servers_and_goes_over_when_that_one_stops() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let body = rule(
        "core.st2.IntervalTimer",
        json::read(r#"{"unit":"seconds","delta":1}"#).unwrap(),
    );
    let body = body.to_json();
    let definitions = [NOOP, (DocumentKind::Rule, "p.tick", &*body)];
    let first = Server::start_with(&store, &directory.path().join("1"), &definitions).await;
    first.wait_for_events(1).await;
    let second = Server::start(&store, &directory.path().join("2")).await;
    let seen = second.wait_for_events(3).await.len();
    assert_eq!(
        second.engine.source_states()[0].phase,
        SourcePhase::Elsewhere
    );
    first.stop().await;
    second.wait_for_events(seen + 2).await;
    assert_eq!(second.engine.source_states()[0].phase, SourcePhase::Running);
    let events = second.events().await;
    let mut due: Vec<_> = events.iter().map(|event| event.occurred).collect();
    due.dedup();
    assert_eq!(due.len(), events.len(), "no tick is told twice");
    second.stop().await;
}

#[tokio::test]
async fn files_and_directories_make_events_and_a_wrong_path_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::create_dir(path.join("d")).unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let server = Server::start_with(&store, path, &[NOOP]).await;
    let log = path.join("d/log").to_string_lossy().into_owned();
    let watched = path.join("d").to_string_lossy().into_owned();
    for (key, trigger, parameters) in [
        ("p.line", "core.file.line", dict! { "path" => log.clone() }),
        (
            "p.changed",
            "core.directory.changed",
            dict! { "path" => watched },
        ),
        ("p.wrong", "core.file.line", dict! { "path" => "log" }),
        (
            "p.linux",
            "linux.file_watch.line",
            dict! { "file_path" => log.clone() },
        ),
    ] {
        define(
            &server.engine,
            DocumentKind::Rule,
            key,
            rule(trigger, parameters),
        )
        .await;
    }
    server.wait_for_position("file:core.").await;
    server.wait_for_position("file:linux.").await;
    server.wait_for_position("directory:").await;
    std::fs::write(&log, "one\n").unwrap();
    let events = server.wait_for_events(3).await;
    let payload = |member: &str| events.iter().find_map(|event| event.payload.get(member));
    let lines = events.iter().filter_map(|event| event.payload.get("line"));
    assert_eq!(lines.collect::<Vec<_>>(), [&Value::from("one"); 2]);
    assert_eq!(payload("path"), Some(&Value::from("log")));
    let states = server.engine.source_states();
    let failed: Vec<_> = states
        .iter()
        .filter(|state| state.phase == SourcePhase::Failed)
        .map(|state| state.last_error.clone().unwrap_or_default())
        .collect();
    assert_eq!(states.len(), 4);
    assert_eq!(failed.len(), 1);
    assert!(failed[0].contains("must be absolute"), "{failed:?}");
    server.stop().await;
}
