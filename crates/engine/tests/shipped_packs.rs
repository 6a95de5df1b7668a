//! The shipped packs at work: registered as the server does it, and run. Needs `python3` on the
//! path.
#![allow(clippy::unwrap_used)]

#[path = "../../runners/tests/support/sshd.rs"]
mod sshd;

use std::path::Path;
use std::sync::Arc;

use squall_engine::{
    Ask, Engine, EverybodyMay, Incoming, NoTokens, Parts, Settings, TokioSpawn, Vault,
};
use squall_env::{Env, SystemEnv};
use squall_expr::Expressions;
use squall_model::{Execution, ExecutionId, Outcome, State, Timestamp};
use squall_runners::{Host, Registry};
use squall_store::{ExecutionFilter, MemoryStore, Page, Store};
use squall_value::{Value, dict, json};

struct World {
    engine: Arc<Engine>,
    store: Arc<dyn Store>,
    directory: tempfile::TempDir,
}

impl World {
    async fn new() -> World {
        World::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut squall_runners::Settings)) -> World {
        let env: Arc<dyn Env> = Arc::new(SystemEnv::new());
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let directory = tempfile::tempdir().unwrap();
        let mut runners = squall_runners::Settings::new("test", directory.path());
        change(&mut runners);
        let host = Host::new(runners, Arc::clone(&env)).unwrap();
        let entry = store.register_server("test", "boot", Timestamp::MAX).await;
        let engine = Engine::new(Parts {
            store: Arc::clone(&store),
            vault: Vault::new(&[1; 32], Arc::clone(&env)),
            env,
            spawn: Arc::new(TokioSpawn),
            runners: Arc::new(Registry::new(&host)),
            expressions: Arc::new(Expressions::default()),
            crypto: None,
            tokens: Arc::new(NoTokens),
            rights: Arc::new(EverybodyMay),
            settings: Settings {
                configs: Some(directory.path().join("configs")),
                overrides: Some(directory.path().join("overrides")),
                ..Settings::default()
            },
            lease: entry.unwrap().lease,
        });
        engine.reload().await.unwrap();
        let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packs");
        for pack in ["core", "chatops", "default", "examples", "linux"] {
            let report = engine.register_directory(&packs.join(pack)).await.unwrap();
            assert_eq!(report.findings, [], "in packs/{pack}");
            assert_eq!(report.pack.as_deref(), Some(pack));
        }
        assert_eq!(engine.catalog().broken, []);
        World {
            engine,
            store,
            directory,
        }
    }

    async fn ended(&self, id: ExecutionId) -> (Arc<Execution>, Value) {
        let mut changes = self.store.subscribe();
        loop {
            let execution = self.store.execution(id).await.unwrap().unwrap();
            if execution.state().is_ended() {
                let result = self.store.result(id).await.unwrap();
                let result = result.map(|payload| json::read(&payload.json).unwrap());
                return (execution, result.unwrap_or_default());
            }
            changes.next().await;
        }
    }

    /// Runs an action that must succeed; the part of its result at `path`.
    async fn run(&self, action: &str, parameters: &str, path: &str) -> Value {
        let (outcome, result) = self.try_run(action, parameters).await;
        assert_eq!(
            outcome,
            Outcome::Succeeded,
            "{action}: {}",
            result.to_json()
        );
        let mut found = result;
        for member in path.split('.').filter(|member| !member.is_empty()) {
            found = found.get(member).cloned().unwrap_or_default();
        }
        found
    }

    async fn try_run(&self, action: &str, parameters: &str) -> (Outcome, Value) {
        let mut ask = Ask::new(action, "ann");
        ask.parameters = json::read(parameters).unwrap().as_dict().unwrap().clone();
        let execution = self.engine.request(ask).await.unwrap();
        let (execution, result) = self.ended(execution.id()).await;
        let State::Ended(outcome) = execution.state() else {
            panic!("{action} has not ended");
        };
        (outcome, result)
    }

    /// Runs an action and compares a part of its result.
    async fn check(&self, action: &str, parameters: &str, path: &str, expected: &str) {
        let found = self.run(action, parameters, path).await;
        assert_eq!(found.to_json(), expected, "{action} {parameters}");
    }
}

#[tokio::test]
async fn actions_of_core() {
    let world = World::new().await;
    world
        .check(
            "core.local",
            r#"{"cmd":"echo a; echo b >&2"}"#,
            "stderr",
            r#""b""#,
        )
        .await;
    world
        .check(
            "core.echo",
            r#"{"message":"hello"}"#,
            "stdout",
            r#""hello""#,
        )
        .await;
    world
        .check("core.error", r#"{"message":"oh"}"#, "stderr", r#""oh""#)
        .await;
    world
        .check("core.pause", r#"{"max_pause":0}"#, "result", "0")
        .await;
    let first = world.run("core.uuid", "{}", "result").await;
    let second = world
        .run("core.uuid", r#"{"uuid_type":"uuid1"}"#, "result")
        .await;
    assert_eq!(first.as_str().unwrap().len(), 36);
    assert_ne!(first, second);
    world.run("core.noop", "{}", "").await;
    let (outcome, result) = world.try_run("core.inject_trigger", "{}").await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        result.to_json().contains("`trigger_name` is missing"),
        "{}",
        result.to_json()
    );
}

/// A message often holds what a stranger wrote: the payload of an event.
#[tokio::test]
async fn a_message_is_printed_and_never_run() {
    let world = World::new().await;
    for message in [
        "$(echo run) `echo run` $HOME",
        r#"a "quoted" 'word' \n \"#,
        "'; echo run; '",
        "'''",
        "-n",
        "%s %d",
        "two\nlines",
        "{'a': \"b\"}",
    ] {
        for (action, stream) in [("core.echo", "stdout"), ("core.error", "stderr")] {
            let parameters = dict! { "message" => message }.to_json();
            let printed = world.run(action, &parameters, stream).await;
            assert_eq!(printed.as_str(), Some(message), "{action}");
        }
    }
}

#[tokio::test]
async fn mail_is_composed_and_handed_over() {
    let world = World::new().await;
    let attachment = world.directory.path().join("notes.txt");
    std::fs::write(&attachment, "noted").unwrap();
    let parameters = format!(
        r#"{{"sendmail_binary":"cat","to":"ann@example.com","from":"bot@example.com",
            "subject":"Grüße\nBcc: eve@example.com","body":"<b>hello</b>",
            "attachments":"{},/nowhere"}}"#,
        attachment.display()
    );
    let result = world.run("core.sendmail", &parameters, "").await;
    let member = |name: &str| {
        result
            .get(name)
            .unwrap()
            .as_str()
            .unwrap()
            .replace('\r', "")
    };
    let (stdout, stderr) = (member("stdout"), member("stderr"));
    for expected in [
        "To: ann@example.com\n",
        "From: bot@example.com\n",
        "Subject: =?utf-8?",
        "<b>hello</b>\n",
        "filename=\"notes.txt\"",
        "The mail to ann@example.com was handed over.",
    ] {
        assert!(stdout.contains(expected), "{expected} in {stdout}");
    }
    assert!(!stdout.contains("\nBcc:"), "{stdout}");
    assert_eq!(
        stderr,
        "The attachment /nowhere is not there; the mail goes without it."
    );
    let nothing = r#"{"to":"a@b","subject":"s","body":" ","send_empty_body":false}"#;
    let text = r#""The body is empty: nothing is sent.""#;
    world.check("core.sendmail", nothing, "stdout", text).await;
}

#[tokio::test]
async fn actions_of_linux_and_remote_ones_of_core() {
    let sshd = sshd::Sshd::start();
    let world = World::with(|settings| sshd.settings(&mut settings.ssh)).await;
    let path = |name: &str| world.directory.path().join(name).display().to_string();
    let (one, two, three) = (path("one"), path("two"), path("three"));
    let on_host = |parameters: Value| {
        let mut parameters = parameters.as_dict().unwrap().clone();
        parameters.insert("hosts", "127.0.0.1");
        parameters.insert("port", i64::from(sshd.port));
        Value::from(parameters).to_json()
    };
    let run = async |action: &str, parameters: Value| {
        let result = world.run(action, &on_host(parameters), "").await;
        let of_host = result.get("127.0.0.1").unwrap();
        of_host.get("stdout").unwrap().clone()
    };
    run("linux.file_touch", dict! { "file" => &*one }).await;
    let pair = |from: &str, to: &str| dict! { "source" => from, "destination" => to };
    run("linux.cp", pair(&one, &two)).await;
    run("linux.mv", pair(&two, &three)).await;
    run("linux.rm", dict! { "target" => &*one, "force" => true }).await;
    let exist = [&one, &two, &three].map(|path| Path::new(path).exists());
    assert_eq!(exist, [false, false, true]);
    let loads = run("linux.check_loadavg", dict! {}).await;
    assert_eq!(loads.as_dict().unwrap().len(), 3);
    let own = std::process::id().to_string();
    let own = dict! { "search" => "pid", "criteria" => own };
    let found = run("linux.check_processes", own).await;
    assert_eq!(found.as_dict().unwrap().len(), 1, "{found:?}");
    let said = run("core.remote", dict! { "cmd" => "echo far away" }).await;
    assert_eq!(said.to_json(), "\"far away\"");
    let there = dict! { "hostname" => "127.0.0.1", "port" => i64::from(sshd.port) };
    world.run("linux.wait_for_ssh", &there.to_json(), "").await;
    let gone = r#"{"hostname":"127.0.0.1","port":1,"retries":1,"sleep_delay":0}"#;
    let (outcome, _) = world.try_run("linux.wait_for_ssh", gone).await;
    assert_eq!(outcome, Outcome::Failed);
}

#[tokio::test]
async fn examples_do_what_they_say() {
    let world = World::new().await;
    let expected = r#"{"greeting":"Hello, Ada!","prime":null}"#;
    world
        .check("examples.greet", r#"{"name":"Ada"}"#, "output", expected)
        .await;
    let expected = r#"{"greeting":"Hello, world!","prime":true}"#;
    world
        .check("examples.greet", r#"{"born":1999}"#, "output", expected)
        .await;
    let result = world.run("examples.fan_out", "{}", "output").await;
    assert_eq!(result.get("primes").unwrap().to_json(), "[true,true,false]");
    // What a command prints is data when it is JSON, as with StackStorm.
    let disk = result.get("disk").unwrap().as_int().unwrap();
    assert!((0..=100).contains(&disk));
    let (outcome, result) = world
        .try_run("examples.disk_usage", r#"{"limit":-1}"#)
        .await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        result.to_json().contains("more than the -1%"),
        "{}",
        result.to_json()
    );
}

#[tokio::test]
async fn the_webhook_example_answers() {
    let world = World::new().await;
    let parameters = json::read(r#"{"url":"examples"}"#).unwrap();
    let trigger = squall_packs::trigger_reference("core.st2.webhook", &parameters).unwrap();
    for name in ["Grace", "a; rm -rf /"] {
        let payload = json::read(&format!(r#"{{"headers":{{}},"body":{{"name":"{name}"}}}}"#));
        let incoming = Incoming::new(trigger.text(), payload.unwrap());
        world.engine.accept(incoming).await.unwrap();
    }
    let filter = ExecutionFilter {
        action: Some("examples.greet".parse().unwrap()),
        ..ExecutionFilter::default()
    };
    let found = world.store.executions(&filter, Page::ALL).await.unwrap();
    assert_eq!(found.total, 1, "only a name that is one is greeted");
    let (_, result) = world.ended(found.items[0].id()).await;
    let output = result.get("output").unwrap();
    assert_eq!(
        output.get("greeting").unwrap().as_str(),
        Some("Hello, Grace!")
    );
}

#[tokio::test]
async fn a_pack_is_registered_again_only_when_its_files_change() {
    let world = World::new().await;
    let pack = world.directory.path().join("small");
    std::fs::create_dir_all(pack.join("actions")).unwrap();
    let write = |path: &str, text: &str| std::fs::write(pack.join(path), text).unwrap();
    write(
        "pack.yaml",
        "ref: small\nname: small\ndescription: A pack.\nversion: 1.0.0\nauthor: a\nemail: a@b.c\n",
    );
    let action = |description: &str| {
        format!("name: one\nrunner_type: noop\nentry_point: ''\ndescription: {description}\n")
    };
    write("actions/one.yaml", &action("first"));
    let described = || {
        let catalog = world.engine.catalog();
        let action = catalog.action("small.one").map(|action| &action.document);
        let text = action.and_then(|document| document.body.get("description"));
        text.and_then(Value::as_str).map(str::to_owned)
    };
    let changed = async || {
        let report = world.engine.register_if_changed(&pack).await.unwrap();
        assert_eq!(report.pack.as_deref(), Some("small"));
        (
            report.registered.changed,
            report.registered.removed,
            report.findings.len(),
        )
    };
    assert_eq!(changed().await, (2, 0, 0));
    assert_eq!(changed().await, (0, 0, 0));
    assert_eq!(described().as_deref(), Some("first"));

    // One action and the pack's version.
    write("actions/one.yaml", &action("second"));
    assert_eq!(changed().await, (2, 0, 0));
    assert_eq!(described().as_deref(), Some("second"));

    // Half a file stops nothing that works.
    write("actions/one.yaml", "name: one\nrunner_type: [");
    assert_eq!(changed().await, (1, 0, 1));
    assert_eq!(described().as_deref(), Some("second"));
    write("actions/one.yaml", &action("second"));
    assert_eq!(changed().await, (1, 0, 0));

    // What is wrong is told at every start, and the rest is left alone.
    write("actions/two.yaml", "name: two\nrunner_type: nothing\n");
    assert_eq!(changed().await, (1, 0, 1));
    assert_eq!(changed().await, (0, 0, 1));

    // A file that goes takes its definition with it.
    std::fs::remove_file(pack.join("actions/one.yaml")).unwrap();
    assert_eq!(changed().await, (1, 1, 1));
    assert_eq!(described(), None);

    // Asked for by name, nothing is taken on trust.
    let report = world.engine.register_directory(&pack).await.unwrap();
    assert_eq!(report.registered.changed, 0);
    assert!(!report.registered.defined.is_empty());
}

#[tokio::test]
async fn a_configuration_comes_from_its_file_when_that_has_changed() {
    let world = World::new().await;
    let base = world.directory.path();
    let (pack, configs) = (base.join("small"), base.join("configs"));
    std::fs::create_dir_all(&pack).unwrap();
    std::fs::create_dir_all(&configs).unwrap();
    let about =
        "ref: small\nname: small\ndescription: A pack.\nversion: 1.0.0\nauthor: a\nemail: a@b.c\n";
    std::fs::write(pack.join("pack.yaml"), about).unwrap();
    let schema = "region:\n  type: string\n  required: true\ntoken:\n  type: string\n  secret: true\n\
        hosts:\n  type: array\n  items: {type: string}\n";
    std::fs::write(pack.join("config.schema.yaml"), schema).unwrap();
    let write = |text: &str| std::fs::write(configs.join("small.yaml"), text).unwrap();
    let given = || {
        let catalog = world.engine.catalog();
        Value::from(world.engine.config_as_given(&catalog, "small")).to_json()
    };
    let register = async || {
        let report = world.engine.register_if_changed(&pack).await.unwrap();
        let findings = report.findings.iter().map(ToString::to_string);
        findings.collect::<Vec<_>>()
    };
    assert_eq!(register().await, [""; 0]);
    assert_eq!(given(), "{}");

    write("---\nregion: eu\ntoken: s3cret\n");
    assert_eq!(register().await, [""; 0]);
    assert_eq!(given(), r#"{"region":"eu","token":"s3cret"}"#);
    let kept = world.engine.catalog().config_values("small");
    assert!(!Value::from(kept).to_json().contains("s3cret"));

    // What is set otherwise stays, until the file says something else.
    let values = dict! { "region" => "us" };
    let values = values.as_dict().unwrap().clone();
    world.engine.put_config("small", values).await.unwrap();
    assert_eq!(register().await, [""; 0]);
    assert_eq!(given(), r#"{"region":"us"}"#);
    write("region: asia\n");
    register().await;
    assert_eq!(given(), r#"{"region":"asia"}"#);

    // What is wrong is told with its place, each time, and changes nothing.
    for (text, place) in [
        ("region: [", "configs/small.yaml:1:"),
        (
            "region: eu\nhosts:\n  - a\n  - {b: 1}\n",
            "configs/small.yaml:4:5: error",
        ),
        ("- region\n", "configs/small.yaml:1:1: error"),
        ("{}", "configs/small.yaml:1:1: error"),
    ] {
        write(text);
        for _ in 0..2 {
            let findings = register().await;
            assert!(
                findings.len() == 1 && findings[0].contains(place),
                "{findings:?}"
            );
        }
        assert_eq!(given(), r#"{"region":"asia"}"#);
    }
}

#[tokio::test]
async fn overrides_hold_at_registration_and_wait_for_their_mending() {
    let world = World::new().await;
    let base = world.directory.path();
    let (pack, overrides) = (base.join("small"), base.join("overrides"));
    std::fs::create_dir_all(pack.join("actions")).unwrap();
    std::fs::create_dir_all(&overrides).unwrap();
    std::fs::write(pack.join("pack.yaml"), "name: small\nversion: 1.0.0\n").unwrap();
    let action = "name: one\nrunner_type: noop\n";
    std::fs::write(pack.join("actions/one.yaml"), action).unwrap();
    let say = |file: &str, text: &str| std::fs::write(overrides.join(file), text).unwrap();
    let register = async || {
        let report = world.engine.register_if_changed(&pack).await.unwrap();
        let findings = report.findings.iter().map(ToString::to_string).collect();
        let catalog = world.engine.catalog();
        let enabled = catalog.action("small.one").map(|action| action.enabled);
        (enabled, findings)
    };
    let nothing: Vec<String> = Vec::new();

    say("_global.yaml", "actions: {defaults: {enabled: false}}\n");
    assert_eq!(register().await, (Some(false), nothing.clone()));
    say("small.yaml", "actions: {defaults: {enabled: true}}\n");
    assert_eq!(register().await, (Some(true), nothing.clone()));

    // What cannot be read keeps the pack as it is, and is told each time.
    say("small.yaml", "actions: {defaults: {enabled: [}}\n");
    for _ in 0..2 {
        let (enabled, findings) = register().await;
        assert_eq!(enabled, Some(true));
        assert!(
            findings[0].contains("overrides/small.yaml:1:"),
            "{findings:?}"
        );
    }

    std::fs::remove_file(overrides.join("small.yaml")).unwrap();
    assert_eq!(register().await, (Some(false), nothing));
}
