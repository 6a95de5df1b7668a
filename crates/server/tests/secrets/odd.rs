//! Ways that a secret takes when something goes wrong, waits, or is only tried.

use squall_value::Value;

use super::support::{Ran, Server, text};
use super::{Planter, check_masked, run};

/// A request that has to be refused, whose answer may not repeat what it brought.
async fn refused(server: &Server, method: &str, path: &str, body: &str) {
    let (status, told) = server.send(method, path, body).await;
    assert!((400..500).contains(&status), "{method} {path}: {status}");
    check_masked(&told);
}

/// Executions that wait, cannot be made, or are tried again.
pub(crate) async fn through_executions(server: &Server, planter: &mut Planter) {
    // One that waits for an hour, and is there when everything is searched.
    let body = format!(
        r#"{{"action": "vault.shell", "delay": 3600000, "parameters": {{"password": "{}"}}}}"#,
        planter.plant("delayed")
    );
    let (status, made) = server.send("POST", "/executions", &body).await;
    assert_eq!(status, 201, "{made:?}");
    check_masked(&made);
    // What cannot be put together tells why, and not of what.
    for action in ["vault.misread", "vault.missing"] {
        let secret = planter.plant(&action[6..]);
        let body = format!(r#"{{"action": "{action}", "parameters": {{"password": "{secret}"}}}}"#);
        refused(server, "POST", "/executions", &body).await;
    }
    for (place, action, status) in [
        ("items", "vault.items", "succeeded"),
        ("retried", "vault.retried", "failed"),
    ] {
        let ended = run(server, action, "", &planter.plant(place)).await;
        assert_eq!(text(&ended, &["status"]), status, "{action}: {ended:?}");
    }
    // Another secret in the place of the one before.
    let first = run(server, "vault.shell", "", &planter.plant("first")).await;
    let again = format!("/executions/{}/re_run", text(&first, &["id"]));
    let body = format!(
        r#"{{"parameters": {{"password": "{}"}}}}"#,
        planter.plant("other")
    );
    let (status, made) = server.send("POST", &again, &body).await;
    assert_eq!(status, 201, "{made:?}");
    check_masked(&made);
    server.ended(text(&made, &["id"])).await;
}

/// What is refused or only tried, by every door.
pub(crate) async fn through_refusals(server: &Server, planter: &mut Planter) {
    let payload = format!(
        r#"{{"trigger": "vault.told", "payload": {{"password": ["{}"]}}}}"#,
        planter.plant("event-refused")
    );
    refused(server, "POST", "/webhooks/st2", &payload).await;
    let event = format!(
        r#"{{"payload": {{"password": "{}"}}}}"#,
        planter.plant("event-tried")
    );
    let (status, _) = server.send("POST", "/rules/vault.told/test", &event).await;
    assert_eq!(status, 200);
    let command = format!(
        r#"{{"command": "choose {}", "user": "ann", "source_channel": "ops"}}"#,
        planter.plant("chat-refused")
    );
    refused(
        server,
        "POST",
        "/aliasexecution/match_and_execute",
        &command,
    )
    .await;
    let rule = format!(
        r#"{{"name": "none", "pack": "vault", "trigger": {{"type": "vault.none"}},
            "action": {{"ref": "vault.shell", "parameters": {{"password": "{}"}}}}}}"#,
        planter.plant("rule-refused")
    );
    refused(server, "POST", "/rules", &rule).await;
    // Passwords: the old one is asked for, and a long one is refused.
    for (old, new) in [
        (planter.plant("old-wrong"), planter.plant("new")),
        (planter.plant("old"), planter.plant(&"long".repeat(20))),
    ] {
        let body = format!(r#"{{"old_password": "{old}", "password": "{new}"}}"#);
        refused(server, "PUT", "/users/admin", &body).await;
    }
    // Bodies and queries that nobody asked for.
    let secret = planter.plant("nowhere");
    refused(server, "POST", &format!("/nowhere?x={secret}"), &secret).await;
    refused(server, "DELETE", "/executions", &planter.plant("method")).await;
    let list = format!("/rules?password={}", planter.plant("query"));
    let (status, _) = server.send("GET", &list, "").await;
    assert_eq!(status, 200);
    for scheme in ["Bearer", "Basic"] {
        let value = format!("{scheme} {}", planter.plant(scheme));
        let (status, told) = server
            .with_header(("GET", "/api/v1/rules"), ("Authorization", &value), "")
            .await;
        assert_eq!(status, 401, "{told}");
        check_masked(&Value::from(told));
    }
}

/// The command line, which gets the secret on its own, and tells it nobody else. Gives what it said.
pub(crate) fn through_commands(server: &Server, planter: &mut Planter) -> Vec<String> {
    let mut said = Vec::new();
    let mut add = |ran: Ran| said.extend([ran.stdout, ran.stderr]);
    let secret = format!("password={}", planter.plant("command"));
    add(server.squall(&["run", "vault.shell", &secret]));
    add(server.squall(&["run", "vault.python", &secret, "mode=raise", "--json"]));
    let wrong = format!("pin={}", planter.plant("command-refused"));
    add(server.squall(&["run", "vault.choice", &wrong]));
    add(server.squall(&["audit", "list", "--json"]));
    said
}
