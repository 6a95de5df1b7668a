//! An API with two packs of the same content, and users with different roles; all in memory.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use squall_auth::rbac::{self, Definitions, Permission, Roles, Text};
use squall_auth::{ActionTokens, Directory};
use squall_engine::{Engine, NoTokens, Parts, Settings, TokioSpawn, Vault};
use squall_env::{Env, SystemEnv};
use squall_expr::Expressions;
use squall_model::Timestamp;
use squall_runners::{Host, Registry};
use squall_store::{MemoryStore, Store};
use squall_value::{Str, Value, json};
use tower::ServiceExt;

use crate::{Api, RoleRights, Service, router};

/// The content of a pack; `PACK` stands for its name.
const CONTENT: &[(&str, &str)] = &[
    ("pack.yaml", "name: PACK\nref: PACK\nversion: 1.0.0\n"),
    (
        "config.schema.yaml",
        "token:\n  type: string\n  secret: true\n",
    ),
    (
        "actions/noop.yaml",
        "name: noop\nrunner_type: noop\nentry_point: noop.py\n",
    ),
    ("actions/noop.py", "print('nothing')\n"),
    (
        "actions/ask.yaml",
        "name: ask\nrunner_type: inquirer\nparameters:\n  schema: {default: {type: object}}\n",
    ),
    (
        "actions/flow.yaml",
        "name: flow\nrunner_type: orquesta\nentry_point: workflows/flow.yaml\nparameters:\n  action: {type: string, default: q.noop}\n",
    ),
    (
        "actions/workflows/flow.yaml",
        "version: 1.0\ninput: [action]\ntasks:\n  fixed:\n    action: q.noop\n    next:\n      - do: [named]\n  named:\n    action: <% ctx(action) %>\n",
    ),
    ("triggers/event.yaml", "name: event\n"),
    (
        "rules/r.yaml",
        "name: r\nenabled: true\ntrigger: {type: PACK.event}\naction: {ref: PACK.noop}\n",
    ),
    (
        "rules/hook.yaml",
        "name: hook\nenabled: true\ntrigger: {type: core.st2.webhook, parameters: {url: PACK-hook}}\naction: {ref: PACK.noop}\n",
    ),
    (
        "rules/timer.yaml",
        "name: timer\nenabled: true\ntrigger: {type: core.st2.IntervalTimer, parameters: {unit: hours, delta: 1}}\naction: {ref: PACK.noop}\n",
    ),
    (
        "sensors/s.yaml",
        "class_name: S\nentry_point: s.py\nenabled: false\ntrigger_types: []\n",
    ),
    ("sensors/s.py", "class S: pass\n"),
    (
        "aliases/a.yaml",
        "name: a\naction_ref: PACK.noop\nformats: ['do PACK']\n",
    ),
    (
        "policies/c.yaml",
        "name: c\nresource_ref: PACK.noop\npolicy_type: action.concurrency\nparameters: {threshold: 5}\n",
    ),
];

/// What the roles grant, as StackStorm's files.
const ROLES: &[(&str, &str)] = &[
    (
        "roles/runner.yaml",
        "name: runner\npermission_grants:\n- resource_uid: pack:p\n  permission_types: [pack_view, action_execute, rule_view, sensor_type_view, action_alias_view]\n- permission_types: [LISTS]\n",
    ),
    (
        "roles/editor.yaml",
        "name: editor\npermission_grants:\n- resource_uid: pack:p\n  permission_types: [pack_all, action_all, rule_all, sensor_type_all, action_alias_all, policy_all]\n- resource_uid: webhook:p-hook\n  permission_types: [webhook_all]\n- resource_uid: trigger:p:event\n  permission_types: [trigger_all]\n- resource_uid: key_value_pair:st2kv.system:pk\n  permission_types: [key_value_pair_all]\n- permission_types: [LISTS, action_alias_match, action_alias_help, api_key_create]\n",
    ),
    (
        "roles/coder.yaml",
        "name: coder\npermission_grants:\n- resource_uid: pack:p\n  permission_types: [action_all]\n",
    ),
    (
        "roles/maker.yaml",
        "name: maker\npermission_grants:\n- resource_uid: pack:p\n  permission_types: [action_create]\n",
    ),
    (
        "assignments/maker.yaml",
        "username: maker\nroles: [maker]\n",
    ),
    (
        "assignments/coder.yaml",
        "username: coder\nroles: [coder]\n",
    ),
    (
        "assignments/runner.yaml",
        "username: runner\nroles: [runner]\n",
    ),
    (
        "assignments/editor.yaml",
        "username: editor\nroles: [editor]\n",
    ),
    (
        "assignments/observer.yaml",
        "username: observer\nroles: [observer]\n",
    ),
    (
        "assignments/admin.yaml",
        "username: admin\nroles: [admin]\n",
    ),
];

/// Who asks, from the fewest rights to the most.
pub(crate) const USERS: [&str; 5] = ["nobody", "runner", "editor", "observer", "admin"];

/// What a world differs in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wishes {
    /// Whether every step of a workflow is checked against the asker.
    pub(crate) every_step: bool,
    /// What lists show.
    pub(crate) lists: rbac::Lists,
}

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) directory: Arc<Directory>,
    pub(crate) action_tokens: Arc<ActionTokens>,
    pub(crate) dir: tempfile::TempDir,
}

fn definitions() -> Definitions {
    let lists = Permission::ALL
        .iter()
        .filter(|one| one.verb().ends_with("list"));
    let lists: Vec<_> = lists.map(|one| one.name()).chain(["stream_view"]).collect();
    let texts = ROLES.iter().map(|(path, text)| Text {
        path: Str::from(*path),
        content: Str::from(text.replace("LISTS", &lists.join(", "))),
    });
    let read = Definitions::read(&texts.collect::<Vec<_>>());
    read.unwrap_or_else(|findings| panic!("{}", findings[0]))
}

impl World {
    pub(crate) async fn new(wishes: Wishes) -> World {
        let dir = tempfile::tempdir().unwrap();
        for (pack, (file, text)) in ["p", "q"]
            .into_iter()
            .flat_map(|pack| CONTENT.iter().map(move |content| (pack, content)))
        {
            let path = dir.path().join("packs").join(pack).join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text.replace("PACK", pack)).unwrap();
        }
        let env: Arc<dyn Env> = Arc::new(SystemEnv::new());
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let settings = rbac::Settings {
            enabled: true,
            lists: wishes.lists,
        };
        let roles = Roles::open(Arc::clone(&store), Arc::clone(&env), settings).await;
        let roles = Arc::new(roles.unwrap());
        roles.apply(&definitions()).await.unwrap();
        let settings = squall_runners::Settings::new("test", dir.path().join("run"));
        let host = Host::new(settings, Arc::clone(&env)).unwrap();
        let server = store.register_server("test", "boot", Timestamp::MAX).await;
        let engine = Engine::new(Parts {
            store: Arc::clone(&store),
            vault: Vault::new(&[1; 32], Arc::clone(&env)),
            env: Arc::clone(&env),
            spawn: Arc::new(TokioSpawn),
            runners: Arc::new(Registry::new(&host)),
            expressions: Arc::new(Expressions::default()),
            crypto: Some(squall_expr::crypto::Key::new(vec![3; 32], vec![4; 32]).unwrap()),
            tokens: Arc::new(NoTokens),
            rights: Arc::new(RoleRights(Arc::clone(&roles))),
            settings: Settings {
                check_every_step: wishes.every_step,
                ..Settings::default()
            },
            lease: server.unwrap().lease,
        });
        for pack in ["p", "q"] {
            let report = engine
                .register_directory(&dir.path().join("packs").join(pack))
                .await;
            let report = report.unwrap();
            let findings: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
            assert_eq!(findings, Vec::<String>::new());
        }
        let tokens = Arc::new(ActionTokens::new(
            [2; 32],
            Duration::from_secs(60),
            Arc::clone(&env),
        ));
        let settings = squall_auth::Settings {
            bcrypt_cost: 4,
            ..Default::default()
        };
        let directory = Directory::new(Arc::clone(&store), env, settings, Arc::clone(&tokens));
        let directory = Arc::new(directory);
        let api = Arc::new(Api {
            engine,
            directory: Arc::clone(&directory),
            roles: Arc::clone(&roles),
            role_directory: None,
            pack_directories: vec![dir.path().join("packs")],
            limits: crate::Limits {
                body_bytes: 1 << 20,
                ..crate::Limits::default()
            },
            metrics: crate::Metrics::default(),
            url: "http://test".to_owned(),
            host_name: "box".to_owned(),
            allowed_origins: Vec::new(),
            front: crate::Front::default(),
            refusals: crate::Refusals::default(),
            followers: Arc::default(),
        });
        World {
            router: router(api, Service::All),
            directory,
            action_tokens: tokens,
            dir,
        }
    }

    pub(crate) async fn token(&self, user: &str) -> String {
        let issued = self.directory.issue(user, None, Value::empty_dict()).await;
        issued.unwrap().token
    }

    /// What a user is answered.
    pub(crate) async fn ask(
        &self,
        user: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> (StatusCode, Value) {
        let token = self.token(user).await;
        self.ask_with(("x-auth-token", &token), method, path, body)
            .await
    }

    /// What whoever presents a credential is answered.
    pub(crate) async fn ask_with(
        &self,
        credential: (&str, &str),
        method: &str,
        path: &str,
        body: &str,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("user-agent", "a test")
            .header(credential.0, credential.1)
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let is_stream = response.headers().get("content-type").is_some_and(|kind| {
            kind.to_str()
                .is_ok_and(|kind| kind.starts_with("text/event-stream"))
        });
        if is_stream {
            return (status, Value::Null);
        }
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 24)
            .await
            .unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (
            status,
            json::read(&text).unwrap_or_else(|_| Value::from(text)),
        )
    }

    /// As `ask`, of the administrator, who must be answered.
    pub(crate) async fn make(&self, method: &str, path: &str, body: &str) -> Value {
        let (status, answer) = self.ask("admin", method, path, body).await;
        assert!(
            status.is_success(),
            "{method} {path}: {status} {}",
            answer.to_json()
        );
        answer
    }
}

/// The text of a member of an answer.
pub(crate) fn text(value: &Value, member: &str) -> String {
    let text = value.get(member).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no `{member}` in {}", value.to_json()))
        .to_owned()
}
