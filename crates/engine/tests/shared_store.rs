//! Two engines on one store: what one changes is in force at the other.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use squall_engine::{Change, Engine, EverybodyMay, NoTokens, Parts, Settings, TokioSpawn, Vault};
use squall_env::{Env, SystemEnv};
use squall_expr::{Expressions, Host as _, KeyScope};
use squall_model::{DocumentKind, Timestamp};
use squall_runners::{Host, Registry};
use squall_store::{MemoryStore, Store};
use squall_value::{Str, Value, json};

struct Server {
    engine: Arc<Engine>,
    _run_dir: tempfile::TempDir,
}

async fn server(store: &Arc<dyn Store>, name: &str) -> Server {
    let env: Arc<dyn Env> = Arc::new(SystemEnv::new());
    let run_dir = tempfile::tempdir().unwrap();
    let settings = squall_runners::Settings::new(name, run_dir.path());
    let host = Host::new(settings, Arc::clone(&env)).unwrap();
    let entry = store.register_server(name, "boot", Timestamp::MAX).await;
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
        settings: Settings::default(),
        lease: entry.unwrap().lease,
    });
    engine.reload().await.unwrap();
    Server {
        engine,
        _run_dir: run_dir,
    }
}

fn put(kind: DocumentKind, key: &str, body: &str) -> Change {
    Change::Put {
        kind,
        key: key.into(),
        pack: key.split('.').next().map(Str::from),
        body: json::read(body).unwrap(),
        expires: None,
        new: false,
    }
}

fn rule(trigger: &str) -> Change {
    let body = format!(
        r#"{{"name":"r","pack":"p","enabled":true,"trigger":{{"type":"{trigger}","parameters":{{}},
            "ref":"{trigger}"}},"criteria":{{}},"action":{{"ref":"core.noop","parameters":{{}}}}}}"#
    );
    put(DocumentKind::Rule, "p.r", &body)
}

impl Server {
    /// Waits until something is so, looking whenever definitions have changed.
    async fn until(&self, what: impl Fn(&Engine) -> bool) {
        let mut changes = self.engine.definition_changes();
        while !what(&self.engine) {
            changes.changed().await.unwrap();
        }
    }

    fn item(&self, name: &str) -> Option<Value> {
        let found = self.engine.datastore().key(&KeyScope::System, name, false);
        found.unwrap()
    }
}

#[tokio::test]
async fn what_one_server_changes_is_in_force_at_the_other() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let here = server(&store, "here").await;
    let there = server(&store, "there").await;
    // Changed between the reading at the start of `there` and its following.
    let action = r#"{"name":"a","runner_type":"noop","parameters":{},"content":"1"}"#;
    let change = |change| here.engine.change(vec![change]);
    change(put(DocumentKind::Action, "p.a", action))
        .await
        .unwrap();
    let following = tokio::spawn(Arc::clone(&there.engine).follow_definitions());
    there
        .until(|engine| engine.catalog().action("p.a").is_some())
        .await;

    change(rule("p.first")).await.unwrap();
    there
        .until(|engine| engine.catalog().trigger("p.first").is_some())
        .await;
    change(rule("p.second")).await.unwrap();
    let moved = |engine: &Engine| {
        let catalog = engine.catalog();
        catalog.trigger("p.second").is_some() && catalog.trigger("p.first").is_none()
    };
    there.until(moved).await;

    // A datastore item tells nobody; the rule behind it does.
    let item = r#"{"name":"k","value":"1","secret":false}"#;
    let changes = vec![
        put(DocumentKind::Key, "st2kv.system:k", item),
        rule("p.third"),
    ];
    here.engine.change(changes).await.unwrap();
    there
        .until(|engine| engine.catalog().trigger("p.third").is_some())
        .await;
    assert_eq!(there.item("k"), Some(Value::from("1")));

    // As many as are not read one by one.
    let many = (0..300).map(|n| put(DocumentKind::Action, &format!("p.n{n}"), action));
    here.engine.change(many.collect()).await.unwrap();
    there
        .until(|engine| engine.catalog().action("p.n299").is_some())
        .await;

    let delete = |kind, key: &str| Change::Delete {
        kind,
        key: key.into(),
    };
    let gone = vec![
        delete(DocumentKind::Key, "st2kv.system:k"),
        delete(DocumentKind::Action, "p.a"),
    ];
    here.engine.change(gone).await.unwrap();
    there
        .until(|engine| engine.catalog().action("p.a").is_none())
        .await;
    assert_eq!(there.item("k"), None);

    // Its own changes stay in force.
    let own = r#"{"name":"own","runner_type":"noop","parameters":{},"content":"2"}"#;
    there
        .engine
        .change(vec![put(DocumentKind::Action, "p.own", own)])
        .await
        .unwrap();
    change(rule("p.last")).await.unwrap();
    there
        .until(|engine| engine.catalog().trigger("p.last").is_some())
        .await;
    assert!(there.engine.catalog().action("p.own").is_some());

    store.close().await;
    following.abort();
}
