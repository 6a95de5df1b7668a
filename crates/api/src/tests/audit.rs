//! What the audit record holds of requests.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use expect_test::{Expect, expect};
use squall_auth::users::UserChange;
use squall_value::Value;

use super::world::{Wishes, World, text};

/// What a query finds, a line each, the oldest first. Ids are shown as `ID`.
async fn recorded(world: &World, query: &str) -> String {
    let path = format!("/v1/audit?sort_asc=true&limit=-1&{query}");
    let found = world.make("GET", &path, "").await;
    let mut lines = String::new();
    for entry in found.as_list().unwrap() {
        let member = |name: &str| match entry.get(name) {
            Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
            Some(Value::String(text)) => text.to_string(),
            Some(Value::Null) | None => "-".to_owned(),
            Some(other) => other.to_json(),
        };
        let names = ["user", "method", "delegate", "action", "resource", "result"];
        let line: Vec<_> = names.into_iter().map(member).collect();
        lines += &line.join(" ");
        if member("before") != "-" || member("after") != "-" {
            lines += &format!("\n  {} -> {}", member("before"), member("after"));
        }
        if member("reason") != "-" {
            lines += &format!("\n  {}", member("reason"));
        }
        lines.push('\n');
    }
    without_ids(&lines)
}

pub(super) fn without_ids(text: &str) -> String {
    let mut shown = String::new();
    let mut word = String::new();
    for letter in text.chars().chain(['\n']) {
        if letter.is_ascii_alphanumeric() {
            word.push(letter);
            continue;
        }
        let is_id = word.len() == 24 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        shown += if is_id { "ID" } else { &word };
        word.clear();
        shown.push(letter);
    }
    shown.pop();
    shown
}

/// Makes requests, a line each (`STATUS USER METHOD PATH BODY`), and compares what is recorded of
/// each.
async fn check(world: &World, script: &str, expect: Expect) {
    let mut text = String::new();
    for line in script.lines() {
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        let [status, user, method, path] = words[..4] else {
            panic!("`{line}` is no request");
        };
        let seen = world.make("GET", "/v1/audit?limit=1", "").await;
        let last = seen.as_list().unwrap().first();
        let last = last.map_or_else(|| "0".to_owned(), |entry| super::world::text(entry, "id"));
        let body = words.get(4).copied().unwrap_or_default();
        let (got, answer) = world.ask(user, method, path, body).await;
        assert_eq!(got.as_str(), status, "{line}: {}", answer.to_json());
        text += &format!("{user} {method} {path}\n");
        for entry in recorded(world, &format!("offset={last}")).await.lines() {
            text += &format!("  {entry}\n");
        }
    }
    expect.assert_eq(&without_ids(&text));
}

#[tokio::test]
async fn changes_tell_who_made_what_of_what() {
    let world = World::new(Wishes::default()).await;
    let script = r#"201 editor POST /v1/rules {"pack":"p","name":"new","trigger":{"type":"p.event"},"action":{"ref":"p.noop"},"enabled":false}
200 editor PUT /v1/rules/p.new {"pack":"p","name":"new","trigger":{"type":"p.event"},"action":{"ref":"p.noop"},"enabled":true}
200 editor PUT /v1/rules/p.new {"pack":"p","name":"new","trigger":{"type":"p.event"},"action":{"ref":"p.noop"},"enabled":true}
204 admin DELETE /v1/rules/p.new
200 admin PUT /v1/keys/db {"value":"hunter2-hunter2","secret":true}
200 admin PUT /v1/keys/db {"value":"hunter3-hunter2","secret":true}
200 editor PUT /v1/configs/p {"token":"hunter2-hunter2"}
201 admin POST /v1/users {"name":"ann","password":"hunter2-hunter2"}
200 admin PUT /v1/users/ann {"password":"hunter3-hunter2"}
200 admin PUT /v1/rbac/users/ann/roles {"roles":["runner"]}
200 admin PUT /v1/rbac/users/ann/roles {"roles":[]}
204 admin DELETE /v1/users/ann
200 editor PUT /v1/sensortypes/p.S {"enabled":true}"#;
    check(&world, script, expect![[r#"
        editor POST /v1/rules
          editor token - rule_create rule:p:new done
            - -> {"tags":[],"uid":"rule:p:new","name":"new","ref":"p.new","pack":"p","type":{"ref":"standard","parameters":{}},"trigger":{"type":"p.event","parameters":{},"ref":"p.event"},"criteria":{},"action":{"ref":"p.noop","parameters":{}},"context":{},"enabled":false,"published_by":"editor"}
        editor PUT /v1/rules/p.new
          editor token - rule_modify rule:p:new done
            {"enabled":false} -> {"enabled":true}
        editor PUT /v1/rules/p.new
          editor token - rule_modify rule:p:new done
        admin DELETE /v1/rules/p.new
          admin token - rule_delete rule:p:new done
            {"tags":[],"uid":"rule:p:new","name":"new","ref":"p.new","pack":"p","type":{"ref":"standard","parameters":{}},"trigger":{"type":"p.event","parameters":{},"ref":"p.event"},"criteria":{},"action":{"ref":"p.noop","parameters":{}},"context":{},"enabled":true,"published_by":"editor"} -> -
        admin PUT /v1/keys/db
          admin token - key_value_pair_set key_value_pair:st2kv.system:db done
            - -> {"name":"db","value":"********","secret":true}
        admin PUT /v1/keys/db
          admin token - key_value_pair_set key_value_pair:st2kv.system:db done
            {"value":"********"} -> {"value":"********"}
        editor PUT /v1/configs/p
          editor token - pack_config pack:p done
            - -> {"pack":"p","values":{"token":"********"},"file":null}
        admin POST /v1/users
          admin token - user_create user:ann done
            - -> {"name":"ann","password_hash":"********"}
        admin PUT /v1/users/ann
          admin token - user_modify user:ann done
            {"password_hash":"********"} -> {"password_hash":"********"}
        admin PUT /v1/rbac/users/ann/roles
          admin token - role_assignment_create role_assignment:ann:runner:API done
            - -> {"user":"ann","role":"runner","description":"","is_remote":false,"source":"API"}
        admin PUT /v1/rbac/users/ann/roles
          admin token - role_assignment_delete role_assignment:ann:runner:API done
            {"user":"ann","role":"runner","description":"","is_remote":false,"source":"API"} -> -
        admin DELETE /v1/users/ann
          admin token - user_delete user:ann done
            {"name":"ann","password_hash":"********"} -> -
        editor PUT /v1/sensortypes/p.S
          editor token - sensor_type_modify sensor_type:p:S done
            {"enabled":false} -> {"enabled":true}
    "#]]).await;
    let found = world.make("GET", "/v1/audit?limit=-1", "").await;
    assert!(!found.to_json().contains("hunter"), "no secret is recorded");
    assert!(!found.to_json().contains("$2b$"), "no hash is recorded");
}

#[tokio::test]
async fn requests_for_executions_and_their_control_are_recorded() {
    let world = World::new(Wishes::default()).await;
    let asked = world.make(
        "POST",
        "/v1/executions",
        r#"{"action":"p.ask","user":"runner"}"#,
    );
    let id = text(&asked.await, "id");
    let script = r#"201 runner POST /v1/executions {"action":"p.noop"}
201 admin POST /v1/executions {"action":"p.noop","user":"runner"}
201 runner POST /v1/executions {"action":"p.flow"}
200 runner DELETE /v1/executions/EXECUTION
201 admin POST /v1/executions/EXECUTION/re_run {}
202 admin POST /v1/webhooks/st2 {"trigger":"p.event","payload":{}}
200 admin GET /v1/rules
200 admin POST /v1/rules/p.r/test {}
200 admin POST /v1/actionalias/match {"command":"do p"}"#;
    // What rules and workflows start has its own trail, and what is only looked at leaves none.
    check(
        &world,
        &script.replace("EXECUTION", &id),
        expect![[r#"
        runner POST /v1/executions
          runner token - action_execute action:p:noop done
            - -> {"execution":"ID"}
        admin POST /v1/executions
          admin token - action_execute action:p:noop done
            - -> {"execution":"ID","user":"runner"}
        runner POST /v1/executions
          runner token - action_execute action:p:flow done
            - -> {"execution":"ID"}
        runner DELETE /v1/executions/ID
          runner token - execution_stop execution:ID done
        admin POST /v1/executions/ID/re_run
          admin token - execution_rerun action:p:ask done
            - -> {"execution":"ID"}
        admin POST /v1/webhooks/st2
          admin token - trigger_emit trigger:p:event done
            - -> {"trigger_instance":"ID"}
        admin GET /v1/rules
        admin POST /v1/rules/p.r/test
        admin POST /v1/actionalias/match
    "#]],
    )
    .await;
}

#[tokio::test]
async fn secrets_that_are_shown_are_recorded() {
    let world = World::new(Wishes::default()).await;
    for (name, body) in [
        ("db", r#"{"value":"hunter2-hunter2","secret":true}"#),
        ("db2", r#"{"value":"hunter2-hunter2","secret":true}"#),
        ("open", r#"{"value":"v"}"#),
    ] {
        world.make("PUT", &format!("/v1/keys/{name}"), body).await;
    }
    let script = "200 admin GET /v1/keys/db?decrypt=true
200 admin GET /v1/keys/db
200 admin GET /v1/keys/open?decrypt=true
200 admin GET /v1/keys?decrypt=true
403 editor GET /v1/keys/db?decrypt=true
200 admin GET /v1/rules/p.r?show_secrets=true
200 observer GET /v1/rules/p.r?show_secrets=true
200 admin GET /v1/executions?show_secrets=1";
    check(&world, script, expect![[r#"
        admin GET /v1/keys/db?decrypt=true
          admin token - secret_read key_value_pair:st2kv.system:db done
        admin GET /v1/keys/db
        admin GET /v1/keys/open?decrypt=true
        admin GET /v1/keys?decrypt=true
          admin token - secret_read - done
            - -> {"count":2,"resources":["key_value_pair:st2kv.system:db","key_value_pair:st2kv.system:db2"]}
        editor GET /v1/keys/db?decrypt=true
          editor token - key_value_pair_view - refused
            Decrypt option requires administrator access
        admin GET /v1/rules/p.r?show_secrets=true
          admin token - secret_read rule:p:r done
        observer GET /v1/rules/p.r?show_secrets=true
        admin GET /v1/executions?show_secrets=1
          admin token - secret_read - done
    "#]]).await;
}

#[tokio::test]
async fn refusals_are_recorded_and_counted_when_they_are_many() {
    let world = World::new(Wishes::default()).await;
    let script = r#"403 editor POST /v1/rules {"pack":"q","name":"new","trigger":{"type":"p.event"},"action":{"ref":"p.noop"}}
403 editor POST /v1/rules {"pack":"q","name":"new","trigger":{"type":"p.event"},"action":{"ref":"p.noop"}}
403 editor POST /v1/rules {"pack":"p","name":"new","trigger":{"type":"p.event"},"action":{"ref":"q.noop"}}
403 nobody GET /v1/rules
403 observer GET /v1/users
403 editor POST /v1/apikeys {"user":"ann"}
403 observer GET /v1/audit"#;
    check(
        &world,
        script,
        expect![[r#"
            editor POST /v1/rules
              editor token - rule_create rule:q:new refused
                User "editor" doesn't have required permission "rule_create" on resource "rule:q:new"
            editor POST /v1/rules
              editor - - rule_create - refused
                1 more of the same kind, which came too fast for entries of their own
            editor POST /v1/rules
              editor token - action_execute action:q:noop refused
                User "editor" doesn't have required (action_execute) permission to use action q.noop
            nobody GET /v1/rules
              nobody token - rule_list - refused
                User "nobody" doesn't have required permission "rule_list"
            observer GET /v1/users
              observer token - GET /users - refused
                Administrator access required
            editor POST /v1/apikeys
              editor token - api_key_create api_key:of:ann refused
                "user" attribute can only be provided by admins
            observer GET /v1/audit
              observer token - audit_list - refused
                User "observer" doesn't have required permission "audit_list"
        "#]],
    )
    .await;
}

#[tokio::test]
async fn sign_ins_tell_who_and_on_whose_behalf() {
    let world = World::new(Wishes::default()).await;
    let change = |service| UserChange {
        password: Some("right".to_owned()),
        service: Some(service),
    };
    world
        .directory
        .put_user("ann", change(false))
        .await
        .unwrap();
    world.directory.put_user("bot", change(true)).await.unwrap();
    let basic = |user: &str, password: &str| {
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    };
    let sign_in = async |user, password, body: &str| {
        let basic = basic(user, password);
        let credential = ("authorization", &*basic);
        world
            .ask_with(credential, "POST", "/auth/v1/tokens", body)
            .await
    };
    let (status, _) = sign_in("ann", "wrong", "{}").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, _) = sign_in("ann", "right", "{}").await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, _) = sign_in("ann", "right", r#"{"user":"runner"}"#).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, issued) = sign_in("bot", "right", r#"{"user":"runner"}"#).await;
    assert_eq!(status, StatusCode::CREATED);
    let (token, noop) = (text(&issued, "token"), r#"{"action":"p.noop"}"#);
    let ask = async |token: &str| {
        let credential = ("x-auth-token", token);
        world
            .ask_with(credential, "POST", "/v1/executions", noop)
            .await
            .0
    };
    assert_eq!(ask(&token).await, StatusCode::CREATED);
    let token = world
        .action_tokens
        .make("runner", "6532c0ffee00000000000001");
    assert_eq!(ask(&token).await, StatusCode::CREATED);
    assert_eq!(ask("nonsense").await, StatusCode::UNAUTHORIZED);
    // Who presents nothing has done nothing.
    let (status, _) = world
        .ask_with(("accept", "*/*"), "GET", "/v1/rules", "")
        .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let got = [
        "action=sign_in",
        "action=action_execute",
        "action=authenticate",
    ];
    let mut lines = String::new();
    for query in got {
        lines += &recorded(&world, query).await;
    }
    expect![[r#"
        ann password - sign_in - refused
          Invalid or missing credentials
        ann password - sign_in - done
        bot password - sign_in user:runner done
        ann - - sign_in - refused
          1 more of the same kind, which came too fast for entries of their own
        runner token user:bot action_execute action:p:noop done
          - -> {"execution":"ID"}
        runner action_token execution:ID action_execute action:p:noop done
          - -> {"execution":"ID"}
        - token - authenticate - refused
          Unauthorized - Token with the provided value not found or has expired.
    "#]]
    .assert_eq(&lines);
}

#[tokio::test]
async fn an_event_tells_who_sent_it() {
    let world = World::new(Wishes::default()).await;
    let token = world
        .action_tokens
        .make("admin", "6532c0ffee00000000000001");
    let body = r#"{"trigger":"p.event","payload":{}}"#;
    world.make("POST", "/v1/webhooks/st2", body).await;
    let (status, _) = world
        .ask_with(("x-auth-token", &token), "POST", "/v1/webhooks/st2", body)
        .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let found = world.make("GET", "/v1/triggerinstances", "").await;
    let mut lines = String::new();
    for event in found.as_list().unwrap() {
        let sender = event.get("sender").map(Value::to_json);
        lines += &format!("{}\n", sender.unwrap_or_default());
    }
    expect![[r#"
        {"user":"admin","method":"action_token","delegate":"execution:ID","address":null,"agent":"a test","request":"POST /v1/webhooks/st2"}
        {"user":"admin","method":"token","delegate":null,"address":null,"agent":"a test","request":"POST /v1/webhooks/st2"}
    "#]].assert_eq(&without_ids(&lines));
}

#[tokio::test]
async fn the_record_is_filtered_and_says_from_where() {
    let world = World::new(Wishes::default()).await;
    world
        .ask("runner", "POST", "/v1/executions", r#"{"action":"p.noop"}"#)
        .await;
    world
        .ask("nobody", "POST", "/v1/executions", r#"{"action":"p.noop"}"#)
        .await;
    let (status, found) = world
        .ask(
            "admin",
            "GET",
            "/v1/audit?resource=action:p:*&user=nobody",
            "",
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    let [entry] = found.as_list().unwrap() else {
        panic!("one entry is expected: {}", found.to_json());
    };
    assert_eq!(text(entry, "agent"), "a test");
    assert_eq!(text(entry, "request"), "POST /v1/executions");
    for (query, count) in [
        ("result=refused", 1),
        ("result=done&user=runner", 1),
        ("resource=action:p:noop&action=action_execute", 2),
        ("resource=action:p", 0),
        ("action=action_execute&timestamp_lt=2020-01-01T00:00:00Z", 0),
        ("action=action_execute&timestamp_gt=2020-01-01T00:00:00Z", 2),
    ] {
        let found = world.make("GET", &format!("/v1/audit?{query}"), "").await;
        assert_eq!(found.as_list().unwrap().len(), count, "{query}");
    }
    let (status, _) = world.ask("admin", "GET", "/v1/audit?result=odd", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    for method in ["POST", "PUT", "DELETE"] {
        let (status, _) = world.ask("admin", method, "/v1/audit", "{}").await;
        assert_eq!(
            status,
            StatusCode::METHOD_NOT_ALLOWED,
            "nothing changes the record"
        );
    }
    // Files of packs and roles are read on the server's own account.
    let path = "/v1/audit?user=server:&resource=rule:p:r";
    assert_eq!(
        world.make("GET", path, "").await.as_list().unwrap().len(),
        1
    );
}
