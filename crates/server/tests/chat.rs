//! Chat: commands find their alias, run, and their results reach the bots on the event stream.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside their functions"
)]

mod support;

use squall_value::{Value, json};
use support::{Server, text};

const PACK: &[(&str, &str)] = &[
    ("shop/pack.yaml", "name: shop\nref: shop\nversion: 1.0.0\n"),
    (
        "shop/aliases/say.yaml",
        "name: say\naction_ref: core.local\nformats: ['say {{ cmd }}']\n\
         ack: {format: 'on it, {{ execution.context.api_user }}'}\n\
         result: {format: 'said {{ execution.result.stdout }} {~}', \
         extra: {slack: {color: '{{ execution.status }}'}}}\n",
    ),
    (
        "shop/aliases/quiet.yaml",
        "name: quiet\naction_ref: core.noop\nformats: ['hush']\nresult: {enabled: false}\n",
    ),
];

fn command(text: &str, route: &str) -> String {
    format!(
        r#"{{"command": "{text}", "user": "ann", "source_channel": "general",
            "notification_route": "{route}", "source_context": {{"kind": "room"}}}}"#
    )
}

fn result(body: &Value) -> &Value {
    &body.get("results").and_then(Value::as_list).unwrap()[0]
}

/// The data of the events of a stream.
fn data(stream: &str) -> Vec<Value> {
    let lines = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    lines.map(|line| json::read(line).unwrap()).collect()
}

#[tokio::test]
async fn results_of_commands_are_told_to_bots() {
    let server = Server::start(PACK);
    for (route, name) in [("hubot", "chatops"), ("errbot", "errbot")] {
        let first = server.get("/executions?limit=1").await;
        let path = "/aliasexecution/match_and_execute";
        // A stream without a position begins now: the events of the command are read by theirs.
        let (status, body) = server
            .send("POST", path, &command("say 'echo hi'", route))
            .await;
        assert_eq!(status, 201, "{body:?} {first:?}");
        let ack = result(&body);
        assert_eq!(text(ack, &["message"]), "on it, ann");
        let alias = text(ack, &["actionalias", "id"]);
        let context = ["execution", "context", "action_alias_ref", "id"];
        assert_eq!(text(ack, &context), alias);
        let query = format!("events=st2.announcement__{name}&last_event_id=0");
        let stream = server
            .stream(&query, |text| text.ends_with("\n\n") && text.len() > 2)
            .await;
        assert!(stream.contains(&format!("event: st2.announcement__{name}\n")));
        let told = data(&stream);
        let payload = told[0].get("payload").unwrap().to_json();
        assert_eq!(
            payload,
            r#"{"message":"said hi {~}","extra":{"slack":{"color":"succeeded"}},"channel":"general","user":"ann","whisper":false,"context":{"kind":"room"}}"#
        );
    }
}

#[tokio::test]
async fn an_alias_may_keep_its_result_to_itself() {
    let server = Server::start(PACK);
    let body = r#"{"name": "quiet", "format": "hush", "command": "hush", "user": "ann"}"#;
    let (status, body) = server.send("POST", "/aliasexecution", body).await;
    assert_eq!(status, 201, "{body:?}");
    let id = text(&body, &["execution", "id"]).to_owned();
    let notify = body.get_path(&["execution", "liveaction", "notify", "on-complete", "routes"]);
    assert_eq!(notify.map(Value::to_json).as_deref(), Some("[null]"));
    server.ended(&id).await;
    let said = server.get(&format!("/aliasexecution/{id}/result")).await;
    assert_eq!(said.get("enabled"), Some(&Value::from(false)));
    let run = format!(
        r#"{{"action": "chatops.post_result", "parameters": {{"execution_id": "{id}", "channel": "c"}}}}"#
    );
    let (_, posted) = server.send("POST", "/executions", &run).await;
    let posted = server.ended(text(&posted, &["id"])).await;
    let note = text(&posted, &["result", "output", "note"]);
    assert_eq!(note, "The result is not posted, as its alias wants it.");
}

#[tokio::test]
async fn commands_are_run_by_an_action_too() {
    let server = Server::start(PACK);
    let run = |command: &str| {
        server.squall(&[
            "run",
            "chatops.run",
            "channel=c",
            &format!("text={command}"),
            "--json",
        ])
    };
    let ran = run("say 'echo hi'");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = run("nothing of that kind");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("matched no patterns"), "{ran:?}");
}
