//! What people are asked, and the datastore by command.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside their functions"
)]

mod support;

use squall_value::{Value, json};
use support::{Ran, Server, text};

const PACK: &[(&str, &str)] = &[
    ("shop/pack.yaml", "name: shop\nref: shop\nversion: 1.0.0\n"),
    (
        "shop/actions/outer.yaml",
        "name: outer\nrunner_type: orquesta\nentry_point: workflows/outer.yaml\n",
    ),
    (
        "shop/actions/workflows/outer.yaml",
        "version: 1.0\ntasks:\n  inner:\n    action: shop.inner\n",
    ),
    (
        "shop/actions/inner.yaml",
        "name: inner\nrunner_type: orquesta\nentry_point: workflows/inner.yaml\n",
    ),
    (
        "shop/actions/workflows/inner.yaml",
        "version: 1.0\ntasks:\n  ask:\n    action: core.ask\n    input:\n      users: [admin, local]\n      \
         schema:\n        type: object\n        properties:\n          count: {type: integer, required: true}\n          \
         word: {type: string, secret: true}\n    next: [{when: <% succeeded() %>, do: told}]\n  \
         told:\n    action: core.echo\n    input: {message: <% str(task(ask).result.response.count) %>}\n",
    ),
];

#[track_caller]
fn data(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    json::read(&ran.stdout).unwrap()
}

/// The only inquiry, once it is there.
async fn inquiry(server: &Server) -> String {
    let query = "events=st2.execution__*&last_event_id=0";
    let is_asked = |text: &str| {
        text.contains("\"status\":\"pending\"") || text.contains("\"status\": \"pending\"")
    };
    server.stream(query, is_asked).await;
    let list = data(&server.squall(&["inquiry", "list", "--json"]));
    let [one] = list.as_list().unwrap() else {
        panic!("{list:?}");
    };
    text(one, &["id"]).to_owned()
}

#[tokio::test]
async fn an_answer_lets_all_workflows_above_go_on_and_its_secrets_stay_secret() {
    let server = Server::start(PACK);
    let (_, outer) = server
        .send("POST", "/executions", r#"{"action": "shop.outer"}"#)
        .await;
    let outer = text(&outer, &["id"]).to_owned();
    let id = inquiry(&server).await;
    for (words, expect) in [
        (&["count=many"][..], "is no integer"),
        (&["word=sesame-open"][..], "did not pass schema validation"),
        (&[][..], "the question asks for count, word"),
    ] {
        let respond = [&["inquiry", "respond", &id][..], words].concat();
        let ran = server.squall(&respond);
        assert_ne!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stderr.contains(expect), "{ran:?}");
    }
    let ran = server.squall(&["inquiry", "respond", &id, "count=3", "word=sesame-open"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ended = server.ended(&outer).await;
    assert_eq!(text(&ended, &["status"]), "succeeded", "{ended:?}");
    let shown = server.get(&format!("/executions/{id}")).await;
    let response = shown.get_path(&["result", "response"]).map(Value::to_json);
    assert_eq!(
        response.as_deref(),
        Some(r#"{"count":3,"word":"********"}"#)
    );
    let again = server.squall(&["inquiry", "respond", &id, "--response", "{\"count\": 1}"]);
    assert!(
        again.stderr.contains("has already been responded to"),
        "{again:?}"
    );
}

#[tokio::test]
async fn the_key_of_the_datastore_is_rotated_without_losing_a_secret() {
    let server = Server::start(&[]);
    let get = |server: &Server, name: &str| {
        let ran = server.squall(&["key", "get", name, "--decrypt"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout.trim_end().to_owned()
    };
    for name in ["a", "b"] {
        let value = format!("secret of {name}");
        assert_eq!(
            server
                .squall(&["key", "set", name, &value, "--encrypt"])
                .code,
            Some(0)
        );
    }
    assert_eq!(
        server.squall(&["key", "set", "plain", "value"]).code,
        Some(0)
    );
    let sealed = data(&server.squall(&["key", "get", "a", "--json"]));
    let key_file = server.directory().join("data.datastore-key.json");
    let old_file = server.directory().join("data.datastore-key.json.old");
    let first = std::fs::read_to_string(&key_file).unwrap();
    let ran = server.squall(&["key", "rotate"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("sealed with it: 2"), "{ran:?}");
    assert_ne!(std::fs::read_to_string(&key_file).unwrap(), first);
    assert_eq!(std::fs::read_to_string(&old_file).unwrap(), first);
    let resealed = data(&server.squall(&["key", "get", "a", "--json"]));
    assert_ne!(text(&sealed, &["value"]), text(&resealed, &["value"]));
    assert_eq!(get(&server, "a"), "secret of a");
    // It is recorded once, not for each item, and so is the secret that was just shown.
    for (action, resource) in [
        ("datastore_key_rotate", None),
        ("secret_read", Some("key_value_pair:st2kv.system:a")),
    ] {
        let entries = data(&server.squall(&["audit", "list", "--action", action, "--json"]));
        let [entry] = entries.as_list().unwrap() else {
            panic!("{entries:?}");
        };
        assert_eq!(entry.get("resource").and_then(Value::as_str), resource);
        assert_eq!(text(entry, &["address"]), "127.0.0.1");
    }
    let ran = server.squall(&["key", "rotate"]);
    assert!(ran.stderr.contains("the key was rotated before"), "{ran:?}");
    let server = server.restarted();
    assert!(!old_file.exists());
    assert_eq!(
        (get(&server, "a"), get(&server, "b")),
        ("secret of a".into(), "secret of b".into())
    );
    assert_eq!(server.squall(&["key", "rotate"]).code, Some(0));
    // The server died before it had sealed anything anew: the next start does.
    let server = server.restarted();
    let second = std::fs::read_to_string(&key_file).unwrap();
    std::fs::write(&old_file, second).unwrap();
    std::fs::write(&key_file, first).unwrap();
    let server = server.restarted();
    assert!(!old_file.exists());
    assert_eq!(get(&server, "b"), "secret of b");
}

#[tokio::test]
async fn items_are_exported_and_imported() {
    let server = Server::start(&[]);
    assert_eq!(
        server
            .squall(&["key", "set", "shop.word", "sesame-open", "--encrypt"])
            .code,
        Some(0)
    );
    assert_eq!(
        server
            .squall(&["key", "set", "shop.region", "eu", "--ttl", "3600"])
            .code,
        Some(0)
    );
    for flags in [&["key", "export"][..], &["key", "export", "--decrypt"][..]] {
        let ran = server.squall(flags);
        let items = data(&ran);
        assert_eq!(items.as_list().unwrap().len(), 2);
        assert_eq!(
            ran.stdout.contains("sesame-open"),
            flags.len() == 3,
            "{ran:?}"
        );
        std::fs::write(server.directory().join("items.json"), &ran.stdout).unwrap();
        for name in ["shop.word", "shop.region"] {
            assert_eq!(server.squall(&["key", "delete", name]).code, Some(0));
        }
        let ran = server.squall(&["key", "import", "items.json"]);
        assert!(ran.stderr.contains("2 items are kept"), "{ran:?}");
        let ran = server.squall(&["key", "get", "shop.word", "--decrypt"]);
        assert_eq!(ran.stdout, "sesame-open\n");
        let region = data(&server.squall(&["key", "get", "shop.region", "--json"]));
        assert!(region.get("expire_timestamp").is_some());
    }
    std::fs::write(
        server.directory().join("bad.yaml"),
        "- {name: a, value: 1}\n",
    )
    .unwrap();
    let ran = server.squall(&["key", "import", "bad.yaml"]);
    assert!(
        ran.stderr
            .contains("item 1 of bad.yaml: the value of `a` must be a text"),
        "{ran:?}"
    );
    assert_eq!(
        server
            .squall(&["key", "import", "bad.yaml", "--convert"])
            .code,
        Some(0)
    );
}

#[tokio::test]
async fn links_name_the_address_that_others_know() {
    let server = Server::start_with(&[], &["--public-url", "https://squall.example.com/ops/"]);
    let body = r#"{"action": "core.noop"}"#;
    let (status, execution) = server.send("POST", "/executions", body).await;
    assert_eq!(status, 201);
    let id = text(&execution, &["id"]);
    assert_eq!(
        text(&execution, &["web_url"]),
        format!("https://squall.example.com/ops/#/history/{id}/general")
    );
    // Commands of this machine go where it listens.
    let who = server.squall(&["whoami"]);
    assert_eq!(who.code, Some(0), "{}", who.stderr);
    assert!(who.stdout.contains("127.0.0.1"), "{}", who.stdout);
}

#[tokio::test]
async fn who_may_run_but_not_listen_sees_the_end_nevertheless() {
    let server = Server::start_with(PACK, &["--rbac"]);
    let files = r#"{"files": [{"path": "roles/runner.yaml", "content":
        "name: runner\npermission_grants:\n- resource_uid: action:core:echo\n  permission_types: [action_execute]\n"}]}"#;
    let (status, applied) = server.send("POST", "/rbac/apply", files).await;
    assert_eq!(status, 200, "{applied:?}");
    let add = |role| {
        let password = [("SQUALL_PASSWORD", "hunter2-hunter2")];
        server.squall_with(&password, &["user", "add", "ann", "--role", role])
    };
    // A role that is not there leaves no user without it.
    assert_eq!(add("runer").code, Some(1));
    let added = add("runner");
    assert_eq!(added.code, Some(0), "{added:?}");

    let (_, token, _) = server.sign_in("ann", "hunter2-hunter2").await;
    let token = [("SQUALL_TOKEN", text(&token, &["token"]))];
    let ran = server.squall_with(&token, &["run", "core.echo", "message=here"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("here"), "{ran:?}");
}
