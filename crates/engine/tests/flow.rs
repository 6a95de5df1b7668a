//! An event's way through the stages, on the store in memory.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use squall_engine::{
    Ask, Change, Engine, EverybodyMay, Incoming, NoTokens, Parts, Settings, TokioSpawn, Vault,
    action_body,
};
use squall_env::{Env, SystemEnv};
use squall_expr::Expressions;
use squall_model::{
    DocumentKind, Execution, ExecutionId, Outcome, State, Timestamp, TriggerInstance,
};
use squall_runners::{Host, Registry};
use squall_store::{
    EnforcementFilter, ExecutionFilter, MemoryStore, Page, Store, TriggerInstanceFilter,
};
use squall_value::{Str, Value, json};

struct World {
    engine: Arc<Engine>,
    store: Arc<dyn Store>,
    _run_dir: tempfile::TempDir,
}

async fn engine_on(store: Arc<dyn Store>) -> World {
    let env: Arc<dyn Env> = Arc::new(SystemEnv::new());
    let run_dir = tempfile::tempdir().unwrap();
    let host = Host::new(
        squall_runners::Settings::new("test", run_dir.path()),
        Arc::clone(&env),
    )
    .unwrap();
    let server = store
        .register_server("test", "boot", Timestamp::MAX)
        .await
        .unwrap();
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
        settings: Settings::default(),
        lease: server.lease,
    });
    engine.reload().await.unwrap();
    World {
        engine,
        store,
        _run_dir: run_dir,
    }
}

impl World {
    async fn define(&self, kind: DocumentKind, key: &str, body: &str, workflow: Option<&str>) {
        let mut body = json::read(body).unwrap();
        if kind == DocumentKind::Action {
            body = action_body(body.as_dict().unwrap(), workflow.map(Str::from).as_ref());
        }
        let pack = key.split('.').next().map(Str::from);
        let put = Change::Put {
            kind,
            key: key.into(),
            pack,
            body,
            expires: None,
            new: true,
        };
        self.engine.change(vec![put]).await.unwrap();
    }

    /// The execution once it has ended, and its result.
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
}

async fn world() -> World {
    let world = engine_on(Arc::new(MemoryStore::new())).await;
    for (key, body) in [
        (
            "core.noop",
            r#"{"name":"noop","runner_type":"noop","parameters":{}}"#,
        ),
        (
            "core.local",
            r#"{"name":"local","runner_type":"local-shell-cmd","parameters":{"cmd":{"type":"string","required":true}}}"#,
        ),
    ] {
        world.define(DocumentKind::Action, key, body, None).await;
    }
    world
}

#[tokio::test]
async fn a_request_without_side_effects_ends_in_its_first_commit() {
    let world = world().await;
    let execution = world
        .engine
        .request(Ask::new("core.noop", "ann"))
        .await
        .unwrap();
    assert_eq!(execution.state(), State::Ended(Outcome::Succeeded));
    let statuses: Vec<_> = execution
        .progress
        .log
        .iter()
        .map(|entry| entry.status.as_str())
        .collect();
    assert_eq!(statuses, ["requested", "scheduled", "running", "succeeded"]);
}

#[tokio::test]
async fn a_command_runs_and_its_output_is_kept() {
    let world = world().await;
    let mut ask = Ask::new("core.local", "ann");
    ask.parameters.insert("cmd", "echo hello; exit 3");
    let execution = world.engine.request(ask).await.unwrap();
    let (execution, result) = world.ended(execution.id()).await;
    assert_eq!(execution.state(), State::Ended(Outcome::Failed));
    assert_eq!(result.get("stdout").unwrap().as_str(), Some("hello"));
    assert_eq!(result.get("return_code").unwrap().as_int(), Some(3));
    let output = world.store.output(execution.id(), 0, 100).await.unwrap();
    assert_eq!(&*output[0].text, "hello\n");
}

#[tokio::test]
async fn unknown_actions_and_wrong_parameters_are_refused() {
    let world = world().await;
    let refused = world
        .engine
        .request(Ask::new("core.nope", "ann"))
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "Action \"core.nope\" cannot be found.");
    let refused = world
        .engine
        .request(Ask::new("core.local", "ann"))
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("'cmd' is a required property"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_event_makes_one_enforcement_and_one_execution_for_each_rule() {
    let world = world().await;
    world
        .define(
            DocumentKind::TriggerType,
            "p.event",
            r#"{"name":"event"}"#,
            None,
        )
        .await;
    for (key, value) in [("p.one", 1), ("p.two", 2)] {
        let body = format!(
            r#"{{"name":"x","pack":"p","enabled":true,"trigger":{{"type":"p.event"}},
                "criteria":{{"trigger.n":{{"type":"equals","pattern":{value}}}}},
                "action":{{"ref":"core.noop"}}}}"#
        );
        world.define(DocumentKind::Rule, key, &body, None).await;
    }
    let mut incoming = Incoming::new("p.event", json::read(r#"{"n":2}"#).unwrap());
    incoming.dedupe_key = Some("delivery-1".into());
    let first = world.engine.accept(incoming.clone()).await.unwrap();
    let again = world.engine.accept(incoming).await.unwrap();
    assert_eq!((again.id, again.duplicate), (first.id, true));
    let page = Page::ALL;
    let all = world
        .store
        .enforcements(&EnforcementFilter::default(), page)
        .await
        .unwrap();
    assert_eq!(all.total, 1);
    assert_eq!(all.items[0].rule.as_str(), "p.two");
    let executions = world
        .store
        .executions(&ExecutionFilter::default(), page)
        .await
        .unwrap();
    assert_eq!(executions.total, 1);
}

#[tokio::test]
async fn a_notification_is_rendered_and_sent_only_where_a_rule_listens() {
    let world = world().await;
    let mut ask = Ask::new("core.noop", "ann");
    ask.notify = json::read(
        r#"{"on-complete": {"routes": ["ops", "dev"],
              "message": "{{action_results.succeeded}} for {{action_context.user}}",
              "data": {"code": "{{action_results.return_code}}"}},
            "on-success": {"routes": ["ops"]},
            "on-failure": {"routes": ["never"]}}"#,
    )
    .unwrap();
    let events = async || {
        let filter = TriggerInstanceFilter {
            oldest_first: true,
            ..TriggerInstanceFilter::default()
        };
        let found = world.store.trigger_instances(&filter, Page::ALL).await;
        found.unwrap().items
    };
    world.engine.request(ask.clone()).await.unwrap();
    assert_eq!(events().await, []);
    let kind = "core.st2.generic.notifytrigger";
    world
        .define(
            DocumentKind::Rule,
            "p.told",
            &format!(
                r#"{{"name":"told","pack":"p","enabled":true,"trigger":{{"type":"{kind}"}},
                    "criteria":{{}},"action":{{"ref":"core.noop"}}}}"#
            ),
            None,
        )
        .await;
    world.engine.request(ask).await.unwrap();
    let shown = |event: &TriggerInstance| {
        let member = |name: &str| event.payload.get(name).cloned().unwrap_or_default();
        assert_eq!(member("channel"), member("route"));
        let data = event.payload.get_path(&["data", "result"]).unwrap();
        assert!(data.as_str().unwrap().contains("\"succeeded\":true"));
        let code = event.payload.get_path(&["data", "code"]).cloned();
        let shown = [member("route"), member("message"), code.unwrap_or_default()];
        Value::from(shown.to_vec()).to_json()
    };
    let shown: Vec<String> = events().await.iter().map(|event| shown(event)).collect();
    assert_eq!(
        shown,
        [
            r#"["ops","True for ann","0"]"#,
            r#"["dev","True for ann","0"]"#,
            r#"["ops","Action core.noop succeeded.",null]"#,
        ]
    );
}

const SEQUENCE: &str = "
version: 1.0
tasks:
  a:
    action: core.noop
    next: [{do: b}]
  b:
    action: core.local
    input: {cmd: 'echo b'}
    next: [{do: [c, d]}]
  c: {action: core.noop}
  d: {action: core.noop}
";

#[tokio::test]
async fn a_workflow_runs_its_tasks() {
    let world = world().await;
    let body = r#"{"name":"w","runner_type":"orquesta","parameters":{},"entry_point":"w.yaml"}"#;
    world
        .define(DocumentKind::Action, "p.w", body, Some(SEQUENCE))
        .await;
    let execution = world.engine.request(Ask::new("p.w", "ann")).await.unwrap();
    let (execution, result) = world.ended(execution.id()).await;
    assert_eq!(
        execution.state(),
        State::Ended(Outcome::Succeeded),
        "{result:?}"
    );
    let children = world.store.children(execution.id()).await.unwrap();
    assert_eq!(children.len(), 4);
    assert!(
        children
            .iter()
            .all(|child| child.state() == State::Ended(Outcome::Succeeded))
    );
}

#[tokio::test]
async fn cancel_reaches_the_process_below_a_workflow() {
    let world = world().await;
    let body = r#"{"name":"s","runner_type":"orquesta","parameters":{},"entry_point":"s.yaml"}"#;
    let text = "version: 1.0\ntasks:\n  a:\n    action: core.local\n    input: {cmd: 'echo up; sleep 600'}\n";
    world
        .define(DocumentKind::Action, "p.s", body, Some(text))
        .await;
    let execution = world.engine.request(Ask::new("p.s", "ann")).await.unwrap();
    let mut changes = world.store.subscribe();
    let child = loop {
        let children = world.store.children(execution.id()).await.unwrap();
        if let Some(child) = children.first()
            && !world
                .store
                .output(child.id(), 0, 1)
                .await
                .unwrap()
                .is_empty()
        {
            break child.id();
        }
        changes.next().await;
    };
    world.engine.cancel(execution.id(), "ann").await.unwrap();
    let (execution, _) = world.ended(execution.id()).await;
    assert_eq!(execution.state(), State::Ended(Outcome::Canceled));
    let (child, _) = world.ended(child).await;
    assert_eq!(child.state(), State::Ended(Outcome::Canceled));
}

#[tokio::test]
async fn an_action_chain_lists_its_tasks() {
    let world = world().await;
    let body =
        r#"{"name":"c","runner_type":"action-chain","parameters":{},"entry_point":"c.yaml"}"#;
    let text = "
chain:
  - {name: a, ref: core.local, parameters: {cmd: 'echo one'}, on-success: b, publish: {said: '{{ a.stdout }}'}}
  - {name: b, ref: core.local, parameters: {cmd: 'echo {{ said }} two'}}
default: a
";
    world
        .define(DocumentKind::Action, "p.c", body, Some(text))
        .await;
    let execution = world.engine.request(Ask::new("p.c", "ann")).await.unwrap();
    let (execution, result) = world.ended(execution.id()).await;
    assert_eq!(
        execution.state(),
        State::Ended(Outcome::Succeeded),
        "{result:?}"
    );
    let tasks = result.get("tasks").unwrap().as_list().unwrap();
    let said: Vec<_> = tasks
        .iter()
        .map(|task| {
            task.get_path(&["result", "stdout"])
                .unwrap()
                .as_str()
                .unwrap()
        })
        .collect();
    assert_eq!(said, ["one", "one two"]);
    assert_eq!(
        result.get("published").unwrap().to_json(),
        r#"{"said":"one"}"#
    );
}
