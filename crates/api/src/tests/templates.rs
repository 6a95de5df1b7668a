//! Templates read the datastore with the rights of whoever wrote them, and data are no templates.

use axum::http::StatusCode;
use squall_value::{Value, dict};

use super::world::{Wishes, World, text};

/// What no answer to anybody but administrators may hold.
const SECRET: &str = "hush-hush-hush";

/// A world with items of the datastore, and `p.say`, which has a free and a secret parameter.
async fn world() -> World {
    let world = World::new(Wishes::default()).await;
    for (user, name, more) in [
        ("admin", "secret", r#", "secret": true"#),
        ("admin", "plain", ""),
        ("admin", "pk", ""),
        ("admin", "mine", r#", "scope": "user", "secret": true"#),
        ("runner", "mine", r#", "scope": "user", "secret": true"#),
    ] {
        let value = match user {
            "runner" => "the runner's own",
            _ => SECRET,
        };
        let body = format!(r#"{{"value": "{value}"{more}}}"#);
        let path = format!("/v1/keys/{name}");
        let (status, answer) = world.ask(user, "PUT", &path, &body).await;
        assert_eq!(status, StatusCode::OK, "{}", answer.to_json());
    }
    let config = format!(r#"{{"token": "{SECRET}"}}"#);
    world.make("PUT", "/v1/configs/p", &config).await;
    let secret = "{{ st2kv.system.secret | decrypt_kv }}";
    world.make("POST", "/v1/actions", &say("say", secret)).await;
    world
}

/// A request that publishes an action whose secret parameter has that default.
fn say(name: &str, password: &str) -> String {
    dict! {
        "pack" => "p", "name" => name, "runner_type" => "noop",
        "parameters" => dict! {
            "message" => dict! { "type" => "string" },
            "password" => dict! { "type" => "string", "secret" => true, "default" => password },
        },
    }
    .to_json()
}

/// What becomes of a request for an action with a message: the message, or the refusal.
async fn said(world: &World, user: &str, action: &str, message: &str) -> String {
    let body = dict! { "action" => action, "parameters" => dict! { "message" => message } };
    let (status, answer) = world
        .ask(user, "POST", "/v1/executions", &body.to_json())
        .await;
    match answer.get_path(&["parameters", "message"]) {
        Some(message) => message.as_str().unwrap_or_default().to_owned(),
        None => format!("{status} {}", text(&answer, "faultstring")),
    }
}

#[tokio::test]
async fn what_is_given_reads_what_its_giver_may_see() {
    let world = world().await;
    for (user, message, expect) in [
        (
            "runner",
            "{{ st2kv.system.secret | decrypt_kv }}",
            "400 Bad Request Failed to render parameter \"message\": User \"runner\" doesn't have \
             required permission \"key_value_pair_view\" on resource \
             \"key_value_pair:st2kv.system:secret\"",
        ),
        (
            "runner",
            "{{ st2kv.system.plain }}",
            "400 Bad Request Failed to render parameter \"message\": User \"runner\" doesn't have \
             required permission \"key_value_pair_view\" on resource \
             \"key_value_pair:st2kv.system:plain\"",
        ),
        (
            "runner",
            "{{ password }}",
            "400 Bad Request Failed to render parameter \"message\": the parameter \"password\" \
             is secret, and can't be read by another one",
        ),
        ("runner", "{{ config_context.token }}", "********"),
        (
            "runner",
            "{{ st2kv.user.mine | decrypt_kv }}",
            "the runner's own",
        ),
        ("editor", "{{ st2kv.system.pk }}", SECRET),
        ("admin", "{{ st2kv.system.secret | decrypt_kv }}", SECRET),
        ("admin", "{{ st2kv.user.mine | decrypt_kv }}", SECRET),
        ("admin", "{{ config_context.token }}", SECRET),
    ] {
        let got = said(&world, user, "p.say", message).await;
        assert_eq!(got, expect, "{user} {message}");
    }
    // To see an item is not to see its secret.
    let secret = format!(r#"{{"value": "{SECRET}", "secret": true}}"#);
    world.make("PUT", "/v1/keys/pk", &secret).await;
    let got = said(
        &world,
        "editor",
        "p.say",
        "{{ st2kv.system.pk | decrypt_kv }}",
    )
    .await;
    assert!(got.ends_with("that takes an administrator"), "{got}");
    let body = r#"{"action":"p.say","context":{"api_user":"admin"},
                   "parameters":{"message":"{{ st2kv.user.mine | decrypt_kv }}"}}"#;
    let (status, _) = world.ask("runner", "POST", "/v1/executions", body).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_definition_reads_what_its_publisher_may_see() {
    let world = world().await;
    let secret = "{{ st2kv.system.secret | decrypt_kv }}";
    let (status, answer) = world
        .ask("editor", "POST", "/v1/actions", &say("sneak", secret))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{}", answer.to_json());
    for user in ["editor", "runner", "admin"] {
        let got = said(&world, user, "p.sneak", "x").await;
        assert!(
            got.contains("User \"editor\" doesn't have"),
            "{user}: {got}"
        );
        assert_eq!(said(&world, user, "p.say", "x").await, "x");
    }
    // A rule hands on what its publisher may see, and matches by nothing else.
    let rule = |name: &str, message: &str, pattern: &str| {
        dict! {
            "pack" => "p", "name" => name, "trigger" => dict! { "type" => "p.event" },
            "criteria" => dict! {
                "trigger.n" => dict! { "type" => "equals", "pattern" => pattern },
            },
            "action" => dict! {
                "ref" => "p.say", "parameters" => dict! { "message" => message },
            },
        }
        .to_json()
    };
    let (status, _) = world
        .ask("editor", "POST", "/v1/rules", &rule("a", secret, "1"))
        .await;
    assert_eq!(status, StatusCode::CREATED);
    for pattern in [secret, "{{ system.plain }}"] {
        let body = rule("b", "x", pattern);
        let (status, _) = world.ask("editor", "POST", "/v1/rules", &body).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{pattern}");
    }
    let event = r#"{"trigger":"p.event","payload":{"n":"1"}}"#;
    world.make("POST", "/v1/webhooks/st2", event).await;
    let done = world
        .make("GET", "/v1/ruleenforcements?rule_ref=p.a", "")
        .await;
    let reason = text(&done.as_list().unwrap()[0], "failure_reason");
    assert!(reason.contains("User \"editor\" doesn't have"), "{reason}");
    // Who tries a rule learns what its criteria read as far as that may be seen.
    world
        .make("POST", "/v1/rules", &rule("c", "x", secret))
        .await;
    let event = r#"{"payload":{"n":"1"}}"#;
    let told = world.make("POST", "/v1/rules/p.c/test", event).await;
    assert!(told.to_json().contains(SECRET), "{}", told.to_json());
    let (status, told) = world
        .ask("runner", "POST", "/v1/rules/p.c/test", event)
        .await;
    assert_eq!(status, StatusCode::OK);
    assert!(!told.to_json().contains(SECRET), "{}", told.to_json());
}

#[tokio::test]
async fn data_are_no_templates() {
    let world = world().await;
    // What a template gives is data, also when it is run again.
    let message = "{{ '{' }}{ st2kv.system.plain }}";
    let data = "{{ st2kv.system.plain }}";
    assert_eq!(said(&world, "admin", "p.say", message).await, data);
    let last = world.make("GET", "/v1/executions/last", "").await;
    let again = format!("/v1/executions/{}/re_run", text(&last, "id"));
    for (body, expect) in [
        ("{}", data),
        (
            r#"{"parameters":{"message":"{{ st2kv.system.plain }}"}}"#,
            SECRET,
        ),
    ] {
        let made = world.make("POST", &again, body).await;
        let got = made.get_path(&["parameters", "message"]);
        assert_eq!(got.and_then(Value::as_str), Some(expect), "{body}");
    }
    // So is what somebody says in chat.
    let alias = r#"{"pack":"p","name":"say","action_ref":"p.say","formats":["say {{ message }}"]}"#;
    world.make("POST", "/v1/actionalias", alias).await;
    let command = format!(r#"{{"command":"say {data}","user":"x","source_channel":"y"}}"#);
    let told = world
        .make("POST", "/v1/aliasexecution/match_and_execute", &command)
        .await;
    let told = told.get("results").and_then(Value::as_list).unwrap()[0].clone();
    let got = told.get_path(&["execution", "parameters", "message"]);
    assert_eq!(got.and_then(Value::as_str), Some(data));
}

/// The message that the one task of a workflow was given, and the workflow's errors.
async fn passed(world: &World, workflow: &str, name: &str) -> (String, String) {
    let body = dict! { "action" => workflow, "parameters" => dict! { "name" => name } };
    let made = world.make("POST", "/v1/executions", &body.to_json()).await;
    let path = format!("/v1/executions/{}", text(&made, "id"));
    let mut shown = made;
    while !matches!(&*text(&shown, "status"), "succeeded" | "failed") {
        tokio::task::yield_now().await;
        shown = world.make("GET", &path, "").await;
    }
    let tasks = world.make("GET", &format!("{path}/children"), "").await;
    let task = tasks.as_list().unwrap().first();
    let message = task.and_then(|task| task.get_path(&["parameters", "message"])?.as_str());
    let errors = shown.get_path(&["result", "errors"]);
    (
        message.unwrap_or_default().to_owned(),
        errors.map(Value::to_json).unwrap_or_default(),
    )
}

#[tokio::test]
async fn what_flows_through_a_workflow_is_data() {
    let world = world().await;
    let publish = async |user: &str, name: &str, message: &str| {
        let file = format!("workflows/{name}.yaml");
        let flow = format!(
            "version: 1.0\ninput: [name]\ntasks:\n  one:\n    action: p.say\n    input:\n      \
             message: \"{message}\"\n"
        );
        let body = dict! {
            "pack" => "p", "name" => name, "runner_type" => "orquesta",
            "entry_point" => file.as_str(),
            "parameters" => dict! { "name" => dict! { "type" => "string" } },
            "data_files" => vec![
                dict! { "file_path" => format!("actions/{file}"), "content" => flow },
            ],
        };
        let (status, answer) = world
            .ask(user, "POST", "/v1/actions", &body.to_json())
            .await;
        assert_eq!(status, StatusCode::CREATED, "{}", answer.to_json());
    };
    publish("admin", "pass", "<% ctx().name %>").await;
    publish("admin", "jinja", "{{ ctx().name }}").await;
    let data = "{{ st2kv.system.plain }}";
    let given = "{{ '{' }}{ st2kv.system.plain }}";
    assert_eq!(passed(&world, "p.pass", given).await.0, data);
    for (workflow, name) in [
        ("p.pass", "<% st2kv('system.plain') %>"),
        ("p.jinja", "{{ '{' }}{ st2kv('system.plain') }}"),
    ] {
        let (message, errors) = passed(&world, workflow, name).await;
        assert_eq!(message, "", "{workflow} {name}");
        assert!(errors.contains("came as data"), "{workflow}: {errors}");
    }
    // What the workflow itself writes is not.
    let raw = "{% raw %}{{ st2kv.system.plain }}{% endraw %}";
    publish("admin", "raw", raw).await;
    assert_eq!(passed(&world, "p.raw", "x").await.0, SECRET);
    let own = "<% st2kv('system.secret', decrypt => true) %>";
    publish("admin", "own", own).await;
    assert_eq!(passed(&world, "p.own", "x").await.0, SECRET);
    publish("editor", "sneak", own).await;
    let (message, errors) = passed(&world, "p.sneak", "x").await;
    assert_eq!(message, "");
    assert!(errors.contains("User \\\"editor\\\""), "{errors}");
}
