//! Lists, counts and the stream show what the caller may see.

use axum::body::Body;
use axum::http::Request;
use squall_auth::rbac::Lists;
use squall_value::Value;
use tokio_stream::StreamExt as _;
use tower::ServiceExt;

use super::world::{Wishes, World};

/// The names of what a list holds, and its length; each must agree with `X-Total-Count`.
async fn listed(world: &World, user: &str, path: &str, member: &[&str]) -> String {
    let request = Request::builder()
        .uri(path)
        .header("x-auth-token", world.token(user).await)
        .body(Body::empty())
        .unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    let total = response.headers().get("x-total-count").cloned();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 24)
        .await
        .unwrap();
    let value = squall_value::json::read_bytes(&bytes).unwrap();
    let items = value
        .as_list()
        .unwrap_or_else(|| panic!("{}", value.to_json()));
    if let Some(total) = total {
        assert_eq!(
            total.to_str().unwrap(),
            items.len().to_string(),
            "{user} {path}"
        );
    }
    let name = |item: &Value| {
        item.get_path(member)
            .and_then(Value::as_str)
            .unwrap_or("?")
            .to_owned()
    };
    let mut names: Vec<String> = items.iter().map(name).collect();
    names.sort();
    names.dedup();
    names.join(" ")
}

async fn used(wishes: Wishes) -> World {
    let world = World::new(wishes).await;
    for (action, user) in [
        ("p.noop", "admin"),
        ("q.noop", "admin"),
        ("q.noop", "runner"),
    ] {
        let body = format!(r#"{{"action":"{action}","user":"{user}"}}"#);
        world.make("POST", "/v1/executions", &body).await;
    }
    for pack in ["p", "q"] {
        let body = format!(r#"{{"trigger":"{pack}.event","payload":{{}}}}"#);
        world.make("POST", "/v1/webhooks/st2", &body).await;
        world
            .make("PUT", &format!("/v1/keys/{pack}k"), r#"{"value":"v"}"#)
            .await;
    }
    world
}

#[tokio::test]
async fn lists_and_counts_hold_what_may_be_seen() {
    let world = used(Wishes::default()).await;
    let action = &["action", "ref"][..];
    for (user, path, member, expect) in [
        ("admin", "/v1/executions", action, "p.noop q.noop"),
        ("observer", "/v1/executions", action, "p.noop q.noop"),
        ("runner", "/v1/executions", action, "p.noop q.noop"),
        (
            "runner",
            "/v1/executions",
            &["context", "user"],
            "admin runner stanley",
        ),
        ("editor", "/v1/executions", action, "p.noop"),
        ("editor", "/v1/executions?action=q.noop", action, ""),
        ("editor", "/v1/actions", &["ref"], "p.ask p.flow p.noop"),
        ("runner", "/v1/rules", &["ref"], "p.hook p.r p.timer"),
        ("observer", "/v1/rules", &["pack"], "p q"),
        ("runner", "/v1/ruleenforcements", &["rule", "ref"], "p.r"),
        ("runner", "/v1/triggerinstances", &["trigger"], ""),
        ("editor", "/v1/triggerinstances", &["trigger"], "p.event"),
        ("editor", "/v1/keys", &["name"], "pk"),
        ("nobody", "/v1/keys", &["name"], ""),
        ("editor", "/v1/webhooks", &["parameters", "url"], "p-hook"),
        ("runner", "/v1/packs", &["ref"], "p"),
        ("runner", "/v1/sensortypes", &["ref"], "p.S"),
        ("runner", "/v1/actionalias", &["ref"], "p.a"),
        ("editor", "/v1/policies", &["ref"], "p.c"),
    ] {
        assert_eq!(
            listed(&world, user, path, member).await,
            expect,
            "{user} {path}"
        );
    }
}

#[tokio::test]
async fn lists_show_everything_where_the_operator_says_so() {
    let wishes = Wishes {
        lists: Lists::All,
        ..Wishes::default()
    };
    let world = used(wishes).await;
    let all = "p.ask p.flow p.noop q.ask q.flow q.noop";
    assert_eq!(listed(&world, "runner", "/v1/actions", &["ref"]).await, all);
    let (status, _) = world.ask("runner", "GET", "/v1/actions/q.noop", "").await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn users_are_kept_apart_where_the_operator_says_so() {
    let wishes = Wishes {
        lists: Lists::Own,
        ..Wishes::default()
    };
    let world = used(wishes).await;
    let rule =
        r#"{"pack":"p","name":"own","trigger":{"type":"p.event"},"action":{"ref":"p.noop"}}"#;
    let (status, made) = world.ask("editor", "POST", "/v1/rules", rule).await;
    assert_eq!(status, 201, "{}", made.to_json());
    let user = &["context", "user"][..];
    for (asker, path, member, expect) in [
        ("runner", "/v1/executions", user, "runner"),
        ("observer", "/v1/executions", user, ""),
        ("runner", "/v1/executions?user=admin", user, ""),
        ("admin", "/v1/executions", user, "admin runner stanley"),
        ("editor", "/v1/rules", &["ref"], "p.own"),
        ("observer", "/v1/rules", &["ref"], ""),
        ("runner", "/v1/actions", &["ref"], "p.ask p.flow p.noop"),
    ] {
        let found = listed(&world, asker, path, member).await;
        assert_eq!(found, expect, "{asker} {path}");
    }
    let all = world
        .make("GET", "/v1/executions?user=admin&limit=1", "")
        .await;
    let foreign = super::world::text(&all.as_list().unwrap()[0], "id");
    for (asker, method, path, expect) in [
        ("observer", "GET", format!("/v1/executions/{foreign}"), 403),
        ("admin", "GET", format!("/v1/executions/{foreign}"), 200),
        ("runner", "DELETE", format!("/v1/executions/{foreign}"), 403),
        ("editor", "GET", "/v1/rules/p.r".to_owned(), 403),
        ("editor", "GET", "/v1/rules/p.own".to_owned(), 200),
        ("editor", "DELETE", "/v1/rules/p.own".to_owned(), 204),
    ] {
        let (status, _) = world.ask(asker, method, &path, "").await;
        assert_eq!(status, expect, "{asker} {method} {path}");
    }
}

#[tokio::test]
async fn the_stream_tells_what_may_be_seen() {
    let world = used(Wishes::default()).await;
    for (user, expect) in [("editor", ["p.noop", "-"]), ("admin", ["p.noop", "q.noop"])] {
        let request = Request::builder()
            .uri("/stream/v1/stream?events=st2.execution__create,st2.rule_enforcement__create&last_event_id=0")
            .header("x-auth-token", world.token(user).await)
            .body(Body::empty())
            .unwrap();
        let response = world.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut body = response.into_body().into_data_stream();
        let mut text = String::new();
        // One more execution ends the wait: what comes before it has been told by then.
        let body_of_end = r#"{"action":"p.ask","user":"admin"}"#;
        world.make("POST", "/v1/executions", body_of_end).await;
        while !text.contains("\"p.ask\"") {
            let piece = body.next().await.expect("the stream goes on").unwrap();
            text.push_str(&String::from_utf8_lossy(&piece));
        }
        let told = |reference: &str| text.contains(&format!("\"ref\":\"{reference}\""));
        let [seen, other] = expect;
        assert!(told(seen), "{user}: {text}");
        assert_eq!(told("q.noop"), other == "q.noop", "{user}");
        assert_eq!(told("q.r"), other == "q.noop", "{user}");
    }
}
