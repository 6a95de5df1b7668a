//! The API as clients see it, on the store in memory.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use squall_api::{Api, Service, router};
use squall_auth::rbac::Roles;
use squall_auth::{ActionTokens, Directory};
use squall_engine::{Engine, EverybodyMay, NoTokens, Parts, Settings, TokioSpawn, Vault};
use squall_env::{Env, SystemEnv};
use squall_expr::Expressions;
use squall_model::Timestamp;
use squall_runners::{Host, Registry};
use squall_store::{MemoryStore, Store};
use squall_value::{Value, json};
use tokio_stream::StreamExt;
use tower::ServiceExt;

struct World {
    router: Router,
    token: String,
    _dir: tempfile::TempDir,
}

const PACK: [(&str, &str); 7] = [
    ("pack.yaml", "name: p\nref: p\nversion: 1.0.0\n"),
    (
        "actions/noop.yaml",
        "name: noop\nrunner_type: noop\nenabled: true\n",
    ),
    (
        "actions/secret.yaml",
        "name: secret\nrunner_type: noop\nparameters:\n  password: {type: string, secret: true}\n  n: {type: integer}\n",
    ),
    (
        "actions/held.yaml",
        "name: held\nrunner_type: orquesta\nentry_point: workflows/held.yaml\nenabled: true\n",
    ),
    (
        "actions/workflows/held.yaml",
        "version: 1.0\ntasks:\n  a:\n    action: p.unknown\n    on_failure: hold\n",
    ),
    (
        "triggers/event.yaml",
        "name: event\npayload_schema:\n  type: object\n  properties:\n    n: {type: integer, required: true}\n",
    ),
    ("actions/broken.yaml", "name: broken\nrunner_type: [\n"),
];

async fn world() -> World {
    world_with(squall_api::Limits::default(), Settings::default()).await
}

async fn world_with(limits: squall_api::Limits, settings: Settings) -> World {
    let dir = tempfile::tempdir().unwrap();
    for (file, text) in PACK {
        let path = dir.path().join("packs/p").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let env: Arc<dyn Env> = Arc::new(SystemEnv::new());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let runner_settings = squall_runners::Settings::new("test", dir.path().join("run"));
    let host = Host::new(runner_settings, Arc::clone(&env)).unwrap();
    let server = store
        .register_server("test", "boot", Timestamp::MAX)
        .await
        .unwrap();
    let engine = Engine::new(Parts {
        store: Arc::clone(&store),
        vault: Vault::new(&[1; 32], Arc::clone(&env)),
        env: Arc::clone(&env),
        spawn: Arc::new(TokioSpawn),
        runners: Arc::new(Registry::new(&host)),
        expressions: Arc::new(Expressions::default()),
        crypto: Some(squall_expr::crypto::Key::new(vec![3; 32], vec![4; 32]).unwrap()),
        tokens: Arc::new(NoTokens),
        rights: Arc::new(EverybodyMay),
        settings,
        lease: server.lease,
    });
    let life = Duration::from_secs(60);
    let tokens = Arc::new(ActionTokens::new([2; 32], life, Arc::clone(&env)));
    let settings = squall_auth::Settings {
        bcrypt_cost: 4,
        ..Default::default()
    };
    let roles = Roles::open(Arc::clone(&store), Arc::clone(&env), Default::default());
    let roles = Arc::new(roles.await.unwrap());
    let directory = Directory::new(store, env, settings, tokens);
    directory.set_password("ann", "right").await.unwrap();
    let token = directory
        .issue("ann", None, Value::empty_dict())
        .await
        .unwrap()
        .token;
    let api = Arc::new(Api {
        engine,
        directory: Arc::new(directory),
        roles,
        role_directory: None,
        pack_directories: vec![dir.path().join("packs")],
        limits: squall_api::Limits {
            body_bytes: 1 << 20,
            ..limits
        },
        metrics: squall_api::Metrics::default(),
        url: "http://test".to_owned(),
        host_name: "box".to_owned(),
        allowed_origins: vec!["http://ui.test".to_owned()],
        front: squall_api::Front::default(),
        refusals: squall_api::Refusals::default(),
        followers: Arc::default(),
    });
    let router = router(api, Service::All);
    World {
        router,
        token,
        _dir: dir,
    }
}

impl World {
    async fn send(&self, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("x-auth-token", &self.token)
            .body(Body::from(body.to_owned()))
            .unwrap();
        self.answer(request).await
    }

    async fn answer(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 24)
            .await
            .unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (
            status,
            json::read(&text).unwrap_or_else(|_| Value::from(text)),
        )
    }

    async fn registered() -> World {
        let world = world().await;
        let (status, counts) = world.send("POST", "/api/v1/packs/register", "").await;
        assert_eq!(status, StatusCode::OK, "{counts:?}");
        assert_eq!(counts.get("actions").unwrap().as_int(), Some(3));
        let finding = &counts.get("findings").unwrap().as_list().unwrap()[0];
        assert_eq!(
            finding.get("file").unwrap().as_str(),
            Some("actions/broken.yaml")
        );
        world
    }
}

#[tokio::test]
async fn nobody_is_answered_without_a_credential() {
    let world = world().await;
    for path in [
        "/api/v1/actions",
        "/v1/executions",
        "/stream/v1/stream",
        "/api/v1/keys",
    ] {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let (status, body) = world.answer(request).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(
            body.get("faultstring")
                .unwrap()
                .as_str()
                .unwrap()
                .starts_with("Unauthorized - ")
        );
    }
    let request = Request::builder()
        .uri("/health")
        .body(Body::empty())
        .unwrap();
    assert_eq!(world.answer(request).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_password_gives_a_token() {
    let world = world().await;
    for (password, expect) in [
        ("right", StatusCode::CREATED),
        ("wrong", StatusCode::UNAUTHORIZED),
    ] {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(format!("ann:{password}"));
        let request = Request::builder()
            .method("POST")
            .uri("/auth/v1/tokens")
            .header("authorization", format!("Basic {text}"))
            .body(Body::empty())
            .unwrap();
        assert_eq!(world.answer(request).await.0, expect);
    }
}

#[tokio::test]
async fn an_execution_is_made_shown_and_listed() {
    let world = World::registered().await;
    let body = r#"{"action":"p.secret","parameters":{"password":"hunter2hunter2","n":"7"}}"#;
    let (status, made) = world.send("POST", "/api/v1/executions", body).await;
    assert_eq!(status, StatusCode::CREATED, "{made:?}");
    assert!(!made.to_json().contains("hunter2"), "{made:?}");
    assert_eq!(
        made.get_path(&["parameters", "password"]).unwrap().as_str(),
        Some("********")
    );
    assert_eq!(
        made.get_path(&["parameters", "n"]).unwrap().as_int(),
        Some(7)
    );
    let id = made.get("id").unwrap().as_str().unwrap();
    let (_, shown) = world.send("GET", &format!("/v1/executions/{id}"), "").await;
    assert_eq!(shown.get("status").unwrap().as_str(), Some("succeeded"));
    let liveaction = shown
        .get_path(&["liveaction", "id"])
        .unwrap()
        .as_str()
        .unwrap();
    assert_ne!(liveaction, id);
    let (_, listed) = world
        .send(
            "GET",
            "/v1/executions?action=p.secret&include_attributes=status",
            "",
        )
        .await;
    assert_eq!(listed.as_list().unwrap().len(), 1);
    let (status, text) = world
        .send("DELETE", &format!("/v1/executions/{id}"), "")
        .await;
    assert_eq!(status, StatusCode::OK);
    let text = text.get("faultstring").unwrap().as_str().unwrap();
    assert_eq!(text, "Action cannot be canceled. State = succeeded.");
}

#[tokio::test]
async fn refusals_say_why() {
    let world = World::registered().await;
    for (method, path, body, status, text) in [
        (
            "POST",
            "/v1/executions",
            r#"{"action":"p.nope"}"#,
            400,
            "Action \"p.nope\" cannot be found.",
        ),
        (
            "POST",
            "/v1/executions",
            "{",
            400,
            "Failed to parse request body",
        ),
        ("POST", "/v1/executions", "[]", 400, "must be a JSON object"),
        (
            "POST",
            "/v1/executions",
            r#"{"action":"p.secret","parameters":{"x":1}}"#,
            400,
            "Additional properties are not allowed",
        ),
        (
            "GET",
            "/v1/executions/nonsense",
            "",
            404,
            "Unable to identify resource with id \"nonsense\".",
        ),
        (
            "GET",
            "/v1/executions?limit=0",
            "",
            400,
            "must be a positive number",
        ),
        (
            "GET",
            "/v1/actions/p.nope",
            "",
            404,
            "Resource with a reference or id \"p.nope\" not found",
        ),
        (
            "POST",
            "/v1/webhooks/none",
            "{}",
            404,
            "Webhook none not registered with st2",
        ),
        (
            "POST",
            "/v1/webhooks/st2",
            r#"{"trigger":"p.event","payload":{}}"#,
            400,
            "'n' is a required property",
        ),
        (
            "POST",
            "/v1/rules",
            r#"{"name":"r","trigger":{"type":"p.none"},"action":{"ref":"p.noop"}}"#,
            400,
            "Trigger \"p.none\" defined in the rule does not exist",
        ),
        (
            "GET",
            "/v1/nothing",
            "",
            404,
            "The resource could not be found.",
        ),
    ] {
        let (got, answer) = world.send(method, path, body).await;
        assert_eq!(got.as_u16(), status, "{path} {answer:?}");
        let fault = answer.get("faultstring").unwrap().as_str().unwrap();
        assert!(fault.contains(text), "{path}: {fault}");
    }
}

#[tokio::test]
async fn deep_and_large_bodies_are_refused() {
    let world = World::registered().await;
    let deep = format!("{{\"action\":{}", "[".repeat(100_000));
    let (status, answer) = world.send("POST", "/v1/executions", &deep).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer.to_json().contains("nest deeper"), "{answer:?}");
    let large = "x".repeat(2 << 20);
    let (status, _) = world.send("POST", "/v1/executions", &large).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    // Every format of every alias would be tried on it.
    let command = format!(
        r#"{{"command":"{}","user":"u","source_channel":"c"}}"#,
        "a ".repeat(10_000)
    );
    for path in [
        "/v1/actionalias/match",
        "/v1/aliasexecution/match_and_execute",
    ] {
        let (status, answer) = world.send("POST", path, &command).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.to_json().contains("20000 bytes"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_rule_answers_an_event_once_for_each_delivery() {
    let world = World::registered().await;
    let rule = r#"{"name":"r","pack":"p","trigger":{"type":"p.event"},
        "criteria":{"trigger.n":{"type":"gt","pattern":1}},"action":{"ref":"p.noop"}}"#;
    let (status, made) = world.send("POST", "/v1/rules", rule).await;
    assert_eq!(status, StatusCode::CREATED, "{made:?}");
    let (status, conflict) = world.send("POST", "/v1/rules", rule).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(conflict.get("conflict-id"), made.get("id"));
    for _ in 0..2 {
        let request = Request::builder()
            .method("POST")
            .uri("/v1/webhooks/st2")
            .header("x-auth-token", &world.token)
            .header("idempotency-key", "one")
            .body(Body::from(r#"{"trigger":"p.event","payload":{"n":5}}"#))
            .unwrap();
        assert_eq!(world.answer(request).await.0, StatusCode::ACCEPTED);
    }
    let (_, enforcements) = world
        .send("GET", "/v1/ruleenforcements?rule_ref=p.r", "")
        .await;
    assert_eq!(enforcements.as_list().unwrap().len(), 1);
    let (_, tested) = world
        .send("POST", "/v1/rules/p.r/test", r#"{"payload":{"n":1}}"#)
        .await;
    assert_eq!(tested.get("matches").unwrap().as_bool(), Some(false));
    let (status, _) = world.send("DELETE", "/v1/rules/p.r", "").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_stream_that_waits_for_a_past_end_is_told_at_once() {
    let world = World::registered().await;
    let (_, made) = world
        .send("POST", "/v1/executions", r#"{"action":"p.noop"}"#)
        .await;
    let id = made.get("id").unwrap().as_str().unwrap();
    let path = format!("/stream/v1/stream?end_execution_id={id}&end_event=st2.execution__update");
    let (_, text) = world.send("GET", &path, "").await;
    let text = text.as_str().unwrap();
    assert!(text.contains("event: st2.execution__update"), "{text}");
    let (_, text) = world
        .send("GET", &format!("/stream/v1/executions/{id}/output"), "")
        .await;
    assert!(text.as_str().unwrap().ends_with("event: EOF\ndata: ''\n\n"));
}

#[tokio::test]
async fn who_follows_one_execution_hears_of_no_other() {
    let world = World::registered().await;
    let make = |body| world.send("POST", "/v1/executions", body);
    let (_, made) = make(r#"{"action":"p.noop","delay":3600000}"#).await;
    let id = made.get("id").unwrap().as_str().unwrap();
    let path = format!("/stream/v1/stream?execution_ids={id}&end_execution_id={id}");
    let request = Request::get(path).header("x-auth-token", &world.token);
    let request = request.body(Body::empty()).unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    let mut body = response.into_body().into_data_stream();
    // Once it has begun, nothing is missed.
    assert_eq!(body.next().await.unwrap().unwrap(), "\n");
    let (_, other) = make(r#"{"action":"p.noop"}"#).await;
    let other = other.get("id").unwrap().as_str().unwrap();
    world
        .send("DELETE", &format!("/v1/executions/{id}"), "")
        .await;
    let mut text = String::new();
    while let Some(Ok(piece)) = body.next().await {
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    assert!(text.contains(id) && text.contains("canceled"), "{text}");
    assert!(!text.contains(other), "{text}");
    assert!(!text.contains("st2.trigger_instance"), "{text}");
}

#[tokio::test]
async fn keys_are_kept_and_forgotten() {
    let world = world().await;
    let (status, put) = world
        .send("PUT", "/v1/keys/color", r#"{"value":"red"}"#)
        .await;
    assert_eq!(status, StatusCode::OK, "{put:?}");
    let (_, shown) = world.send("GET", "/v1/keys/color", "").await;
    assert_eq!(shown.get("value").unwrap().as_str(), Some("red"));
    assert_eq!(
        world.send("DELETE", "/v1/keys/color", "").await.0,
        StatusCode::NO_CONTENT
    );
    let (status, gone) = world.send("GET", "/v1/keys/color", "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let text = gone.get("faultstring").unwrap().as_str().unwrap();
    assert_eq!(
        text,
        "KeyValuePair with name: color and scope: st2kv.system not found in db."
    );
}

#[tokio::test]
async fn secret_keys_are_sealed_and_opened_on_demand() {
    let world = world().await;
    let (status, put) = world
        .send(
            "PUT",
            "/v1/keys/pw",
            r#"{"value":"topsecret","secret":true}"#,
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{put:?}");
    let sealed = put.get("value").unwrap().as_str().unwrap().to_owned();
    assert!(
        sealed
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'))
    );
    assert!(put.to_json().contains(r#""encrypted":true"#));
    for path in ["/v1/keys/pw?decrypt=true", "/v1/keys?decrypt=true"] {
        let (_, open) = world.send("GET", path, "").await;
        assert!(
            open.to_json().contains(r#""value":"topsecret""#),
            "{open:?}"
        );
    }
    let body = format!(r#"{{"value":"{sealed}","encrypted":true}}"#);
    assert_eq!(
        world.send("PUT", "/v1/keys/copy", &body).await.0,
        StatusCode::OK
    );
    let (_, open) = world.send("GET", "/v1/keys/copy?decrypt=true", "").await;
    assert_eq!(open.get("value").unwrap().as_str(), Some("topsecret"));
    let (status, _) = world
        .send("PUT", "/v1/keys/bad", r#"{"value":"00","encrypted":true}"#)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

/// Checks an answer against what the description says of a request.
#[track_caller]
fn check_described(document: &serde_json::Value, path: &str, status: u16, answer: &Value) {
    let schema = &document["paths"][path]["get"]["responses"][status.to_string()]["content"]["application/json"]
        ["schema"];
    assert!(schema.is_object(), "{path}: {status} is not described");
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let answer = serde_json::from_str(&answer.to_json()).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&answer)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert_eq!(errors, Vec::<String>::new(), "{path}: {answer}");
}

#[tokio::test]
async fn answers_are_as_the_description_says() {
    let world = World::registered().await;
    for (method, path, body) in [
        ("POST", "/api/v1/executions", r#"{"action": "p.noop"}"#),
        ("PUT", "/api/v1/keys/k", r#"{"value": "v"}"#),
        ("POST", "/api/v1/apikeys", "{}"),
        (
            "POST",
            "/api/v1/rules",
            r#"{"name": "r", "pack": "p", "trigger": {"type": "p.event"}, "action": {"ref": "p.noop"}}"#,
        ),
        (
            "POST",
            "/api/v1/actionalias",
            r#"{"name": "a", "pack": "p", "action_ref": "p.noop", "formats": ["do it"]}"#,
        ),
        (
            "POST",
            "/api/v1/webhooks/st2",
            r#"{"trigger": "p.event", "payload": {"n": 1}}"#,
        ),
    ] {
        let (status, answer) = world.send(method, path, body).await;
        assert!(status.is_success(), "{path}: {answer:?}");
    }
    let (_, document) = world.send("GET", "/openapi.json", "").await;
    let document: serde_json::Value = serde_json::from_str(&document.to_json()).unwrap();
    let mut objects = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let is_json = &methods["get"]["responses"]["200"]["content"]["application/json"];
        // Packs are looked up in an index, which this server does not have.
        let is_index = path.starts_with("/api/v1/packs/index");
        if path.contains('{') || is_json.is_null() || is_index {
            continue;
        }
        let (status, answer) = world.send("GET", path, "").await;
        check_described(&document, path, status.as_u16(), &answer);
        // The first of a list, by its id, name or pack: whatever stands in the path.
        let Some(first) = answer.as_list().and_then(<[Value]>::first) else {
            continue;
        };
        for name in ["id", "name", "pack"] {
            let one = format!("{path}/{{{name}}}");
            if document["paths"].get(&one).is_some() {
                let id = first.get(name).unwrap().as_str().unwrap();
                let (status, answer) = world.send("GET", &format!("{path}/{id}"), "").await;
                assert_eq!(status, StatusCode::OK, "{one}: {answer:?}");
                check_described(&document, &one, 200, &answer);
                objects += 1;
            }
        }
    }
    assert!(objects > 12, "only {objects} objects were looked at");
    for path in ["/api/v1/actions/{id}", "/api/v1/executions/{id}"] {
        let concrete = path.replace("{id}", "p.none");
        let (status, _) = world.send("GET", &concrete, "").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(document["paths"][path]["get"]["responses"]["404"].is_object());
    }
}

#[tokio::test]
async fn failed_tasks_wait_for_decisions() {
    let world = World::registered().await;
    let body = r#"{"action":"p.held"}"#;
    let (_, made) = world.send("POST", "/v1/executions", body).await;
    let path = format!(
        "/v1/executions/{}",
        made.get("id").unwrap().as_str().unwrap()
    );
    let reaches = async |wanted: &str| {
        for _ in 0..10_000 {
            let (_, shown) = world.send("GET", &path, "").await;
            if shown.get("status").unwrap().as_str() == Some(wanted) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("the workflow never becomes {wanted}");
    };
    reaches("paused").await;
    let decisions = format!("{path}/decisions");
    let (status, held) = world.send("GET", &decisions, "").await;
    assert_eq!(status, StatusCode::OK, "{held:?}");
    let [task] = held.as_list().unwrap() else {
        panic!("{held:?}");
    };
    assert_eq!(task.get("task").unwrap().as_str(), Some("a"));
    for (body, text) in [
        (r#"{"decision":"skip"}"#, "'task'"),
        (r#"{"task":"a","decision":"wait"}"#, "is not one of"),
        (
            r#"{"task":"a","decision":"result"}"#,
            "'result' must be given",
        ),
        (
            r#"{"task":"a","decision":"skip","result":1}"#,
            "and only with it",
        ),
        (r#"{"task":"a","decision":"skip","route":-1}"#, "route"),
        (
            r#"{"task":"b","decision":"skip"}"#,
            "task `b` on route 0 does not wait",
        ),
    ] {
        let (status, refused) = world.send("POST", &decisions, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        let fault = refused.get("faultstring").unwrap().as_str().unwrap();
        assert!(fault.contains(text), "{body}: {fault}");
    }
    let body = r#"{"task":"a","decision":"skip"}"#;
    let (status, after) = world.send("POST", &decisions, body).await;
    assert_eq!(status, StatusCode::OK, "{after:?}");
    reaches("succeeded").await;
    let (_, held) = world.send("GET", &decisions, "").await;
    assert_eq!(held, Value::empty_list());
    let (status, _) = world.send("POST", &decisions, body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "decided after the end");
}

#[tokio::test]
async fn inspection_knows_the_registered_actions() {
    let world = World::registered().await;
    let text = "version: 1.0\ntasks:\n  a:\n    action: p.secrt\n    input: {x: <% ctx().st2.user %>}\n  b:\n    action: p.secret\n    timeout: 5\n    input: {m: 1}\n";
    let request = Request::builder()
        .method("POST")
        .uri("/v1/workflows/inspect")
        .header("content-type", "text/plain")
        .header("x-auth-token", &world.token)
        .body(Body::from(text))
        .unwrap();
    let (status, findings) = world.answer(request).await;
    assert_eq!(status, StatusCode::OK);
    let messages: Vec<&str> = findings
        .as_list()
        .unwrap()
        .iter()
        .map(|finding| finding.get("message").unwrap().as_str().unwrap())
        .collect();
    assert_eq!(
        messages,
        [
            "The action \"p.secrt\" is not registered in the database.",
            "Action \"p.secret\" has unexpected input \"m\".",
        ]
    );
}

#[tokio::test]
async fn what_is_too_much_is_told_to_come_again() {
    let none = squall_api::Limits {
        requests: 0,
        ..squall_api::Limits::default()
    };
    let no_work = squall_api::Limits {
        queued: 0,
        ..squall_api::Limits::default()
    };
    let run = r#"{"action": "p.noop"}"#;
    for (limits, method, path, body, expect) in [
        (&none, "GET", "/v1/executions", "", 429),
        (&none, "GET", "/health", "", 200),
        (&no_work, "POST", "/v1/executions", run, 429),
        (&no_work, "POST", "/v1/webhooks/st2", "{}", 429),
        (&no_work, "GET", "/v1/executions", "", 200),
    ] {
        let world = world_with(limits.clone(), Settings::default()).await;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-auth-token", &world.token)
            .body(Body::from(body))
            .unwrap();
        let response = world.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), expect, "{method} {path}");
        let wait = response.headers().get("retry-after");
        let wait = wait.and_then(|wait| wait.to_str().ok()?.parse::<u64>().ok());
        assert_eq!(wait.is_some_and(|wait| wait > 0), expect == 429, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let limits = squall_api::Limits {
        body_time: Duration::ZERO,
        ..squall_api::Limits::default()
    };
    let world = world_with(limits, Settings::default()).await;
    let never = tokio_stream::pending::<Result<String, std::io::Error>>();
    let request = Request::builder()
        .method("POST")
        .uri("/v1/executions")
        .header("x-auth-token", &world.token)
        .body(Body::from_stream(never))
        .unwrap();
    let (status, answer) = world.answer(request).await;
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT, "{answer:?}");
}

#[tokio::test]
async fn metrics_tell_what_was_done() {
    let world = World::registered().await;
    for (path, body) in [
        ("/api/v1/executions", r#"{"action": "p.noop"}"#),
        (
            "/api/v1/webhooks/st2",
            r#"{"trigger": "p.event", "payload": {"n": 1}}"#,
        ),
        ("/api/v1/executions", "{}"),
    ] {
        world.send("POST", path, body).await;
    }
    let (status, _) = world
        .answer(Request::get("/metrics").body(Body::empty()).unwrap())
        .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, text) = world.send("GET", "/metrics", "").await;
    assert_eq!(status, StatusCode::OK);
    let text = text.as_str().unwrap();
    for line in [
        "squall_events_total 1",
        "squall_executions_requested_total 1",
        "squall_executions_ended_total{status=\"succeeded\"} 1",
        "squall_executions{status=\"running\"} 0",
        "squall_events_pending 0",
        "squall_http_requests_total{method=\"POST\",path=\"/executions\",status=\"201\"} 1",
        "squall_http_requests_total{method=\"POST\",path=\"/executions\",status=\"400\"} 1",
        "squall_http_requests_total{method=\"GET\",path=\"/metrics\",status=\"401\"} 1",
        "squall_slots_queue 0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
}

#[tokio::test]
async fn a_stream_that_is_taken_up_again_has_no_gap() {
    let world = World::registered().await;
    let (_, before) = world
        .send("POST", "/v1/executions", r#"{"action": "p.noop"}"#)
        .await;
    let (_, after) = world
        .send("POST", "/v1/executions", r#"{"action": "p.noop"}"#)
        .await;
    let id = |made: &Value| made.get("id").unwrap().as_str().unwrap().to_owned();
    let (before, after) = (id(&before), id(&after));
    // Both have ended; whoever had seen nothing yet is told of both, and then of the end.
    let path = format!("/stream/v1/stream?end_execution_id={after}");
    let request = |last: &str| {
        Request::get(&path)
            .header("x-auth-token", &world.token)
            .header("last-event-id", last)
            .body(Body::empty())
            .unwrap()
    };
    let (_, told) = world.answer(request("0")).await;
    let told = told.as_str().unwrap();
    let place = |id: &str| told.find(id).unwrap_or(usize::MAX);
    assert!(place(&before) < place(&after), "{told}");
    assert!(place(&after) < told.len(), "{told}");
    assert!(!told.contains("squall.stream__gap"), "{told}");
    // Who has seen all but the end is told of the end alone.
    let ids: Vec<&str> = told
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect();
    let (_, rest) = world.answer(request(ids[ids.len() - 2])).await;
    let rest = rest.as_str().unwrap();
    assert!(!rest.contains(&before), "{rest}");
    assert_eq!(rest.matches("event: ").count(), 1, "{rest}");
}

/// A rule on a trigger, whose type is made with it.
async fn define_rule(world: &World, name: &str, kind: &str, parameters: &str) {
    let (pack, type_name) = kind.split_once('.').unwrap();
    let body = format!(r#"{{"name":"{type_name}","pack":"{pack}"}}"#);
    let (status, made) = world.send("POST", "/v1/triggertypes", &body).await;
    let is_there = [StatusCode::CREATED, StatusCode::CONFLICT].contains(&status);
    assert!(is_there, "{made:?}");
    let body = format!(
        r#"{{"name":"{name}","pack":"p","enabled":true,"criteria":{{}},
            "trigger":{{"type":"{kind}","parameters":{parameters}}},
            "action":{{"ref":"p.noop"}}}}"#
    );
    let (status, made) = world.send("POST", "/v1/rules", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{made:?}");
}

/// A request without a token.
fn unsigned(path: &str, header: (&str, &str), body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method("POST")
        .uri(path)
        .header("content-type", "application/json")
        .header(header.0, header.1)
        .body(body.into())
        .unwrap()
}

#[tokio::test]
async fn a_webhook_hears_whoever_knows_its_secret() {
    let world = World::registered().await;
    define_rule(&world, "pushed", "core.st2.webhook", r#"{"url":"a/b"}"#).await;
    let hook = "/v1/webhooks/a/b";
    let right = ("x-gitlab-token", "long enough");
    let answer = world.answer(unsigned(hook, right, "{}")).await;
    assert_eq!(answer.0, StatusCode::UNAUTHORIZED);
    let (status, short) = world.send("PUT", hook, r#"{"secret":"short"}"#).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{short:?}");
    let (_, hooks) = world.send("GET", "/v1/webhooks", "").await;
    assert!(
        hooks.to_json().contains(r#""has_secret":false"#),
        "{hooks:?}"
    );

    let secret = r#"{"secret":"long enough"}"#;
    let (status, set) = world.send("PUT", hook, secret).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(set.to_json(), r#"{"url":"a/b","has_secret":true}"#);
    assert_eq!(
        world.answer(unsigned(hook, right, "{}")).await.0,
        StatusCode::ACCEPTED
    );
    let wrong = ("x-gitlab-token", "long enoughh");
    assert_eq!(
        world.answer(unsigned(hook, wrong, "{}")).await.0,
        StatusCode::UNAUTHORIZED
    );
    let (_, hooks) = world.send("GET", "/v1/webhooks", "").await;
    assert!(
        hooks.to_json().contains(r#""has_secret":true"#),
        "{hooks:?}"
    );
    // The event tells neither the secret nor the header that bore it.
    let (_, events) = world.send("GET", "/v1/triggerinstances", "").await;
    let [event] = events.as_list().unwrap() else {
        panic!("one event is expected: {}", events.to_json());
    };
    assert!(!events.to_json().contains("long enough"), "{events:?}");
    let sender = |name| event.get_path(&["sender", name]).and_then(Value::as_str);
    assert_eq!(
        (sender("user"), sender("method")),
        (Some(""), Some("signature"))
    );

    let gone = world.send("DELETE", hook, "").await;
    assert_eq!(gone.0, StatusCode::NO_CONTENT);
    assert_eq!(
        world.answer(unsigned(hook, right, "{}")).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        world.send("DELETE", hook, "").await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_report_of_a_run_becomes_an_event_for_the_rules_on_its_tool() {
    let world = World::registered().await;
    let door = "/v1/webhooks/reports/ansible";
    let report =
        r#"{"plays":[],"stats":{"web1":{"ok":3,"changed":2,"failures":0,"unreachable":0}}}"#;
    let (status, nobody) = world.send("POST", door, report).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{nobody:?}");
    let kind = "core.report.run";
    define_rule(&world, "all", kind, "{}").await;
    define_rule(&world, "ansible", kind, r#"{"tool":"ansible"}"#).await;
    define_rule(&world, "puppet", kind, r#"{"tool":"puppet"}"#).await;
    let secret = r#"{"secret":"long enough"}"#;
    world.send("PUT", door, secret).await;
    let mut signed = unsigned(door, ("x-gitlab-token", "long enough"), report);
    signed
        .headers_mut()
        .insert("idempotency-key", "run-1".parse().unwrap());
    let (status, told) = world.answer(signed).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told:?}");
    assert_eq!(
        told.to_json(),
        r#"{"tool":"ansible","status":"changed","changed":2,"failed":0,"total":3}"#
    );
    let mut again = unsigned(door, ("x-gitlab-token", "long enough"), report);
    again
        .headers_mut()
        .insert("idempotency-key", "run-1".parse().unwrap());
    assert_eq!(world.answer(again).await.0, StatusCode::ACCEPTED);
    let (_, made) = world.send("GET", "/v1/ruleenforcements", "").await;
    let mut rules: Vec<_> = made
        .as_list()
        .unwrap()
        .iter()
        .map(|made| made.get_path(&["rule", "ref"]).unwrap().to_json())
        .collect();
    rules.sort();
    assert_eq!(rules, [r#""p.all""#, r#""p.ansible""#]);
    for (door, body, expected) in [
        (door, "{", StatusCode::BAD_REQUEST),
        (door, "{}", StatusCode::BAD_REQUEST),
        ("/v1/webhooks/reports/chef", "{}", StatusCode::NOT_FOUND),
    ] {
        let (status, told) = world.send("POST", door, body).await;
        assert_eq!(status, expected, "{told:?}");
    }
}

#[tokio::test]
async fn hostile_bodies_get_a_bounded_answer() {
    let world = World::registered().await;
    define_rule(&world, "any", "core.st2.webhook", r#"{"url":"any"}"#).await;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let open = "{\"a\":".repeat(100_000);
    let wide = format!("[{}1]", "1,".repeat(400_000));
    let cases: [(&[u8], StatusCode); 6] = [
        (deep.as_bytes(), StatusCode::BAD_REQUEST),
        (open.as_bytes(), StatusCode::BAD_REQUEST),
        (b"{\"a\": \"\xff\xfe\"}", StatusCode::BAD_REQUEST),
        (b"\xff", StatusCode::BAD_REQUEST),
        (wide.as_bytes(), StatusCode::ACCEPTED),
        (b"{\"a\": 1e999999999}", StatusCode::ACCEPTED),
    ];
    for path in ["/v1/webhooks/any", "/v1/webhooks/reports/puppet"] {
        for (body, expected) in &cases {
            let request = Request::builder()
                .method("POST")
                .uri(path)
                .header("content-type", "application/json")
                .header("x-auth-token", &world.token)
                .body(Body::from(body.to_vec()))
                .unwrap();
            let (status, told) = world.answer(request).await;
            let told = told.to_json();
            let shown: String = told.chars().take(300).collect();
            if path.ends_with("any") {
                assert_eq!(status, *expected, "{shown}");
            } else {
                assert!(status.is_client_error(), "{status} {shown}");
            }
            assert!(told.len() < 2 << 20, "{shown}");
        }
    }
    // 100 MB that never end: no more is read than is accepted.
    let piece = || Ok::<_, std::convert::Infallible>(bytes::Bytes::from(vec![b' '; 64 << 10]));
    let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let endless = futures::stream::iter(0..1600).map(move |_| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        piece()
    });
    let request = Request::builder()
        .method("POST")
        .uri("/v1/webhooks/any")
        .header("content-type", "application/json")
        .header("x-auth-token", &world.token)
        .body(Body::from_stream(endless))
        .unwrap();
    let (status, told) = world.answer(request).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{told:?}");
    assert!(sent.load(std::sync::atomic::Ordering::Relaxed) < 100);
    // And the server goes on.
    let (status, _) = world.send("POST", "/v1/webhooks/any", "{}").await;
    assert_eq!(status, StatusCode::ACCEPTED);
}
