//! The calls that the clients people have make, and what of the answers they read: StackStorm's web
//! UI (which calls through st2client.js), the chat adapters hubot-stackstorm and err-stackstorm.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside their functions"
)]

mod serving;

use std::collections::HashMap;

use serving::Server;
use squall_value::{Value, json};

/// One call: method and path, the body, the status, and what the client reads of the answer.
///
/// What is read is a list of words: a dotted path of members; `[]` for a list that has at least one
/// item, of whose first the paths after it are read; `x-...` for a header; `name=path` for a member
/// that later calls have as `{name}`; `path==text` for a member or header that is this text.
type Call = (&'static str, &'static str, u16, &'static str);

/// st2client.js takes no other status than these for a success: 201 for tokens and what is made, 202
/// for what is asked of packs, 204 for what is removed.
const WEB_UI: &[Call] = &[
    (
        "POST /auth/tokens",
        "{}",
        201,
        "token user expiry x-request-id",
    ),
    ("GET /api/v1/user", "", 200, "username authentication rbac"),
    (
        "GET /api/v1/actions/views/overview?limit=-1",
        "",
        200,
        "[] id ref name pack runner_type parameters enabled x-total-count x-request-id",
    ),
    (
        "GET /api/v1/actions?limit=50&offset=0",
        "",
        200,
        "[] id ref parameters entry_point x-total-count x-limit",
    ),
    (
        "GET /api/v1/actions/views/overview/core.local",
        "",
        200,
        "ref parameters.cmd.description parameters.timeout runner_type",
    ),
    (
        "GET /api/v1/actions/views/entry_point/examples.is_prime",
        "",
        200,
        "",
    ),
    (
        "POST /api/v1/executions",
        r#"{"action": "core.local", "parameters": {"cmd": "echo hi"}}"#,
        201,
        "run=id action.ref status start_timestamp web_url",
    ),
    (
        "POST /api/v1/executions",
        r#"{"action": "core.local", "parameters": {"bogus": 1}}"#,
        400,
        "faultstring",
    ),
    (
        "GET /api/v1/executions?limit=50&offset=0&exclude_attributes=result,trigger_instance&parent=null",
        "",
        200,
        "[] id action.ref action.runner_type status start_timestamp context.user liveaction.id \
         parameters x-total-count x-limit",
    ),
    (
        "GET /api/v1/executions?limit=50&filter=status:succeeded+action:core.local&parent=null",
        "",
        200,
        "x-total-count x-limit",
    ),
    (
        "GET /api/v1/executions/views/filters?types=action,rule,trigger_type,user,status",
        "",
        200,
        "action status user",
    ),
    (
        "GET /api/v1/executions/{run}?max_result_size=102400",
        "",
        200,
        "id action.ref action.parameters runner.name parameters log context.user liveaction.action \
         web_url",
    ),
    (
        "GET /api/v1/executions/{run}/children?result_fmt=sorted",
        "",
        200,
        "",
    ),
    (
        "GET /api/v1/executions/{run}/output?output_type=all",
        "",
        200,
        "",
    ),
    (
        "POST /api/v1/executions/{run}/re_run",
        r#"{"parameters": {"cmd": "sleep 600"}}"#,
        201,
        "again=id context.re-run.ref",
    ),
    ("DELETE /api/v1/executions/{again}", "", 200, "id status"),
    (
        "POST /api/v1/executions",
        r#"{"action": "core.ask", "parameters": {"route": "dev"}}"#,
        201,
        "ask=id",
    ),
    (
        "GET /api/v1/executions?runner=inquirer",
        "",
        200,
        "[] id status action.ref",
    ),
    (
        "GET /api/v1/triggertypes",
        "",
        200,
        "[] id ref name pack parameters_schema",
    ),
    (
        "POST /api/v1/rules",
        r#"{"name": "ui", "pack": "default", "enabled": true,
            "trigger": {"type": "core.st2.webhook", "parameters": {"url": "ui"}}, "criteria": {},
            "action": {"ref": "core.noop", "parameters": {}}}"#,
        201,
        "rule=id ref trigger.type trigger.ref action.ref enabled",
    ),
    (
        "POST /api/v1/rules",
        r#"{"name": "ui", "pack": "default", "trigger": {"type": "core.st2.webhook",
            "parameters": {"url": "ui"}}, "action": {"ref": "core.noop"}}"#,
        409,
        "faultstring conflict-id",
    ),
    (
        "GET /api/v1/rules/views",
        "",
        200,
        "[] id ref trigger.type trigger.description action.ref action.description enabled",
    ),
    (
        "GET /api/v1/rules/views/default.ui",
        "",
        200,
        "ref trigger.type action.ref criteria",
    ),
    (
        "GET /api/v1/rules/default.ui",
        "",
        200,
        "ref trigger.type action.ref id",
    ),
    (
        "PUT /api/v1/rules/default.ui",
        r#"{"id": "{rule}", "uid": "rule:default:ui", "ref": "default.ui", "name": "ui", "type":
            {"ref": "standard", "parameters": {}}, "tags": [], "context": {}, "metadata_file": "",
            "pack": "default", "enabled": false, "trigger": {"type": "core.st2.webhook",
            "parameters": {"url": "ui"}, "ref": "core.x"}, "criteria": {}, "description": "",
            "action": {"ref": "core.noop", "parameters": {}}}"#,
        200,
        "ref enabled",
    ),
    (
        "POST /api/v1/webhooks/examples",
        r#"{"name": "Ada"}"#,
        202,
        "name",
    ),
    (
        "GET /api/v1/ruleenforcements/views?rule_ref=examples.on_webhook&limit=50",
        "",
        200,
        "[] id rule.ref trigger_instance.id enforced_at execution.id x-total-count x-limit",
    ),
    (
        "GET /api/v1/triggerinstances?trigger_type=core.st2.webhook&limit=50",
        "",
        200,
        "[] event=id trigger occurrence_time status x-total-count",
    ),
    (
        "GET /api/v1/triggerinstances/{event}",
        "",
        200,
        "payload.body.name",
    ),
    ("DELETE /api/v1/rules/default.ui", "", 204, ""),
    ("GET /api/v1/rules/default.ui", "", 404, "faultstring"),
    (
        "GET /api/v1/packs",
        "",
        200,
        "[] id ref name version files x-total-count x-limit",
    ),
    (
        "GET /api/v1/packs/core",
        "",
        200,
        "ref name version description",
    ),
    (
        "GET /api/v1/packs/views/files/core",
        "",
        200,
        "[] file_path content",
    ),
    (
        "GET /api/v1/packs/views/file/core/pack.yaml",
        "",
        200,
        "etag last-modified",
    ),
    (
        "GET /api/v1/configs?show_secrets=true",
        "",
        200,
        "x-total-count",
    ),
    ("GET /api/v1/config_schemas", "", 200, "x-total-count"),
    (
        "PUT /api/v1/configs/examples?show_secrets=true",
        "{}",
        200,
        "pack values",
    ),
    (
        "POST /api/v1/packs/uninstall",
        r#"{"packs": ["nothing"]}"#,
        202,
        "execution_id",
    ),
    (
        "GET /api/v1/sensortypes",
        "",
        200,
        "[] id ref pack trigger_types enabled",
    ),
    (
        "PUT /api/v1/sensortypes/examples.SpoolSensor",
        r#"{"enabled": false}"#,
        200,
        "ref enabled",
    ),
    (
        "POST /api/v1/workflows/inspect",
        "version: 1.0\ntasks: {}\n",
        200,
        "",
    ),
    ("GET /api/v1/policytypes", "", 200, "[] ref parameters"),
    (
        "GET /api/v1/policies?limit=50",
        "",
        200,
        "x-total-count x-limit",
    ),
    ("GET /auth/sso", "", 200, "enabled"),
];

const HUBOT: &[Call] = &[
    ("POST /auth/v1/tokens", "{}", 201, "token user expiry"),
    (
        "GET /api/v1/actionalias?limit=-1&offset=0",
        "",
        200,
        "[] name ref pack formats enabled description action_ref",
    ),
    (
        "POST /api/v1/aliasexecution",
        r#"{"name": "pack_get", "format": "pack get {{ pack }}", "command": "pack get core",
            "user": "ann", "source_channel": "general", "notification_route": "hubot",
            "source_context": {"message": {"text": "pack get core"}}}"#,
        201,
        "execution.id execution.web_url actionalias.ack actionalias.ref",
    ),
    (
        "POST /api/v1/aliasexecution/match_and_execute",
        r#"{"command": "pack get core", "user": "ann", "source_channel": "general",
            "notification_route": "hubot"}"#,
        201,
        "results",
    ),
];

const ERRBOT: &[Call] = &[
    (
        "POST /auth/v1/tokens",
        r#"{"ttl": 3600}"#,
        201,
        "token user expiry",
    ),
    (
        "POST /auth/v1/tokens",
        r#"{"impersonate_user": "bob", "nickname_origin": "slack"}"#,
        400,
        "faultstring",
    ),
    (
        "POST /auth/v1/tokens/validate",
        r#"{"token": "nonsense"}"#,
        200,
        "valid",
    ),
    (
        "GET /api/v1/actionalias/help",
        "",
        200,
        "available helpstrings",
    ),
    (
        "GET /api/v1/actionalias/help?pack=packs&filter=get",
        "",
        200,
        "available helpstrings",
    ),
    (
        "POST /api/v1/actionalias/match",
        r#"{"command": "pack get core"}"#,
        200,
        "actionalias.name actionalias.action_ref display representation",
    ),
    (
        "POST /api/v1/actionalias/match",
        r#"{"command": "make me a sandwich"}"#,
        400,
        "faultstring",
    ),
    (
        "POST /api/v1/aliasexecution/match_and_execute",
        r#"{"command": "pack get core", "user": "ann", "source_channel": "general",
            "notification_route": "errbot", "notification_channel": "general"}"#,
        201,
        "results",
    ),
    (
        "POST /api/v1/apikeys",
        r#"{"user": "admin", "metadata": {"bot": true}}"#,
        201,
        "key=key id",
    ),
    ("GET /api/v1/executions?limit=1", "", 200, "[] id web_url"),
    (
        "PUT /api/v1/keys/errbot.session",
        r#"{"name": "errbot.session", "value": "x", "ttl": 60}"#,
        200,
        "name value expire_timestamp",
    ),
    (
        "GET /api/v1/keys/errbot.session",
        "",
        200,
        "name value scope",
    ),
    ("DELETE /api/v1/keys/errbot.session", "", 204, ""),
    ("GET /api/v1/keys/errbot.session", "", 404, "faultstring"),
];

/// The official command line client, and scripts that were written with the same library.
const COMMAND_LINE: &[Call] = &[
    // Traces: by id, and through what is run again.
    (
        "POST /api/v1/executions",
        r#"{"action": "core.noop"}"#,
        201,
        "first=id",
    ),
    (
        "GET /api/v1/traces?execution={first}",
        "",
        200,
        "[] trace=id trace_tag==execution-{first}",
    ),
    (
        "POST /api/v1/executions",
        r#"{"action": "core.noop", "context": {"trace_context": {"id_": "{trace}"}}}"#,
        201,
        "second=id",
    ),
    (
        "GET /api/v1/traces?execution={second}",
        "",
        200,
        "[] id=={trace} trace_tag==execution-{first}",
    ),
    (
        "POST /api/v1/executions/{second}/re_run",
        r#"{"parameters": {}, "tasks": [], "reset": [], "delay": 0}"#,
        201,
        "again=id context.re-run.ref=={second}",
    ),
    (
        "GET /api/v1/traces?execution={again}",
        "",
        200,
        "[] id=={trace}",
    ),
    (
        "GET /api/v1/traces?id={trace}",
        "",
        200,
        "x-total-count==1 [] id=={trace}",
    ),
    (
        "POST /api/v1/executions",
        r#"{"action": "core.noop", "context": {"trace_context": {"id_": "nonsense"}}}"#,
        400,
        "faultstring",
    ),
    // What is asked for with a run that is done again.
    (
        "POST /api/v1/executions/{first}/re_run",
        r#"{"delay": 600000}"#,
        201,
        "late=id status==delayed",
    ),
    ("DELETE /api/v1/executions/{late}", "", 200, "id=={late}"),
    (
        "POST /api/v1/executions/{first}/re_run",
        r#"{"reset": ["a"]}"#,
        400,
        "faultstring",
    ),
    (
        "POST /api/v1/executions/{first}/re_run",
        r#"{"tasks": ["a"], "reset": ["a"], "parameters": {"x": 1}}"#,
        400,
        "faultstring",
    ),
    // Which executions, and in which order.
    (
        "GET /api/v1/executions?timestamp_gt=2020-01-01T00:00:00Z",
        "",
        200,
        "[] id=={first}",
    ),
    (
        "GET /api/v1/executions?timestamp_gt=2020-01-01T00:00:00Z&sort_desc=True",
        "",
        200,
        "[] id=={late}",
    ),
    (
        "GET /api/v1/executions?sort=timestamp&limit=1",
        "",
        200,
        "[] id=={first} moment=start_timestamp",
    ),
    (
        "GET /api/v1/executions?sort=-id&limit=1",
        "",
        200,
        "[] id=={late}",
    ),
    (
        "GET /api/v1/executions?timestamp={moment}",
        "",
        200,
        "x-total-count==1 [] id=={first}",
    ),
    (
        "GET /api/v1/executions?id=nonsense,{second}",
        "",
        200,
        "x-total-count==1 [] id=={second}",
    ),
    (
        "GET /api/v1/executions?id=nonsense",
        "",
        200,
        "x-total-count==0",
    ),
    ("GET /api/v1/executions?limit=", "", 400, "faultstring"),
    (
        "GET /api/v1/executions?show_secrets=",
        "",
        400,
        "faultstring",
    ),
    (
        "GET /api/v1/executions/last/result?download=1&compress=1",
        "",
        200,
        "content-disposition message",
    ),
    // Events and what rules made of them.
    (
        "POST /api/v1/webhooks/examples",
        r#"{"name": "Ada"}"#,
        202,
        "",
    ),
    (
        "POST /api/v1/webhooks/examples",
        r#"{"name": "Bob"}"#,
        202,
        "",
    ),
    (
        "GET /api/v1/triggerinstances?trigger_type=core.st2.webhook&sort=id&limit=1",
        "",
        200,
        "[] event=id payload.body.name==Ada",
    ),
    (
        "GET /api/v1/triggerinstances?id={event},nonsense",
        "",
        200,
        "x-total-count==1 [] id=={event}",
    ),
    (
        "GET /api/v1/triggerinstances?id=nonsense",
        "",
        200,
        "x-total-count==0",
    ),
    (
        "GET /api/v1/ruleenforcements?sort=id&limit=1",
        "",
        200,
        "[] enforcement=id trigger_instance_id=={event}",
    ),
    (
        "GET /api/v1/ruleenforcements/views?id={enforcement}",
        "",
        200,
        "x-total-count==1 [] id=={enforcement}",
    ),
    (
        "GET /api/v1/ruleenforcements?id=nonsense",
        "",
        200,
        "x-total-count==0",
    ),
    // Runners are switched off and on; the client sends all that it was given.
    (
        "GET /api/v1/runnertypes/?name=noop",
        "",
        200,
        "[] runner=id enabled",
    ),
    (
        "PUT /api/v1/runnertypes/{runner}",
        r#"{"id": "{runner}", "name": "noop", "uid": "runner_type:noop", "enabled": false,
            "description": "", "runner_module": "x", "runner_package": "x",
            "runner_parameters": {}, "output_schema": {}}"#,
        200,
        "name==noop",
    ),
    (
        "POST /api/v1/executions",
        r#"{"action": "core.noop"}"#,
        400,
        "faultstring",
    ),
    ("PUT /api/v1/runnertypes/noop", "{}", 400, "faultstring"),
    (
        "PUT /api/v1/runnertypes/noop",
        r#"{"enabled": true}"#,
        200,
        "name==noop",
    ),
    (
        "POST /api/v1/executions",
        r#"{"action": "core.noop"}"#,
        201,
        "id",
    ),
    (
        "PUT /api/v1/runnertypes/nonsense",
        r#"{"enabled": true}"#,
        404,
        "faultstring",
    ),
    // The datastore.
    (
        "PUT /api/v1/keys/a1",
        r#"{"name": "a1", "value": "1"}"#,
        200,
        "one=id",
    ),
    (
        "PUT /api/v1/keys/a2",
        r#"{"name": "a2", "value": "2"}"#,
        200,
        "name==a2",
    ),
    (
        "GET /api/v1/keys?id={one}",
        "",
        200,
        "x-total-count==1 [] name==a1",
    ),
    (
        "GET /api/v1/keys?sort=-name&limit=1",
        "",
        200,
        "x-total-count==2 [] name==a2",
    ),
    ("GET /api/v1/keys/a1?scope=all", "", 200, "name==a1"),
    // Secret defaults are shown with the action, for who changes it, not with what it did.
    (
        "POST /api/v1/actions",
        r#"{"name": "secret", "pack": "examples", "runner_type": "noop", "parameters":
            {"word": {"type": "string", "secret": true, "default": "swordfish"}}}"#,
        201,
        "parameters.word.default==swordfish",
    ),
    (
        "POST /api/v1/executions",
        r#"{"action": "examples.secret"}"#,
        201,
        "kept=id action.parameters.word.default==********",
    ),
    (
        "GET /api/v1/executions/{kept}?show_secrets=true",
        "",
        200,
        "action.parameters.word.default==swordfish",
    ),
    (
        "POST /api/v1/actions",
        r#"{"name": "odd", "pack": "examples", "runner_type": "noop", "parameters": {"x": null}}"#,
        400,
        "faultstring",
    ),
    // A rule with an operator that is not there would never answer.
    (
        "POST /api/v1/rules",
        r#"{"name": "odd", "pack": "examples", "trigger": {"type": "core.st2.webhook",
            "parameters": {"url": "odd"}}, "action": {"ref": "core.noop"},
            "criteria": {"trigger.body.x": {"type": "equalz", "pattern": 1}}}"#,
        400,
        "faultstring",
    ),
    // Packs, and what belongs to the server.
    ("PUT /api/v1/configs/examples", "{}", 200, "pack==examples"),
    (
        "GET /api/v1/configs?name=examples",
        "",
        200,
        "x-total-count==1 [] pack==examples",
    ),
    (
        "GET /api/v1/config_schemas?name=nonsense",
        "",
        200,
        "x-total-count==0",
    ),
    (
        "GET /api/v1/packs?ref=core",
        "",
        200,
        "x-total-count==1 [] ref==core",
    ),
    (
        "GET /api/v1/packs?ref=nonsense",
        "",
        200,
        "x-total-count==0",
    ),
    (
        "PUT /api/v1/triggertypes/core.st2.webhook",
        r#"{"name": "st2.webhook", "pack": "core"}"#,
        400,
        "faultstring",
    ),
    (
        "DELETE /api/v1/triggertypes/core.st2.webhook",
        "",
        400,
        "faultstring",
    ),
];

/// The headers that are read, besides those whose names begin with `x-`.
const HEADERS: &[&str] = &["etag", "last-modified", "content-disposition"];

/// A client that has signed in, and what it has read so far.
struct Client<'a> {
    server: &'a Server,
    http: reqwest::Client,
    token: String,
    read: HashMap<String, String>,
}

impl Client<'_> {
    fn filled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.read {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }

    /// Makes a call; what is wrong with the answer, if anything is.
    async fn call(&mut self, (call, body, status, reads): Call) -> Result<(), String> {
        let (method, path) = call.split_once(' ').unwrap();
        let url = format!("{}{}", self.server.url, self.filled(path));
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, url);
        request = match path.starts_with("/auth/") && path.ends_with("/tokens") {
            true => request.basic_auth("ann", Some("myPassword")),
            false => request.header("x-auth-token", &self.token),
        };
        if !body.is_empty() {
            let kind = if body.starts_with('{') {
                "application/json"
            } else {
                "text/plain"
            };
            request = request.header("content-type", kind).body(self.filled(body));
        }
        let answer = request.send().await.unwrap();
        let (got, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        let failed = |what: &str| Err(format!("{call}: {what}\n  {got} {text}"));
        if got != status {
            return failed(&format!("{status} was expected"));
        }
        let mut value = json::read(&text).unwrap_or(Value::Null);
        for word in reads.split_whitespace() {
            let (word, expect) = match word.split_once("==") {
                Some((word, expect)) => (word, Some(self.filled(expect))),
                None => (word, None),
            };
            let (name, path) = word.split_once('=').unwrap_or(("", word));
            if word == "[]" {
                match value.as_list().and_then(|items| items.first().cloned()) {
                    Some(first) => value = first,
                    None => return failed("a list with items was expected"),
                }
            } else if word.starts_with("x-") || HEADERS.contains(&word) {
                let Some(found) = headers.get(word) else {
                    return failed(&format!("no header {word}"));
                };
                if expect.is_some_and(|expect| found != &*expect) {
                    return failed(&format!("another {word}: {found:?}"));
                }
            } else {
                let path: Vec<_> = path.split('.').collect();
                let Some(found) = value.get_path(&path) else {
                    return failed(&format!("no member {word}"));
                };
                if expect.is_some_and(|expect| found.as_str() != Some(&*expect)) {
                    return failed(&format!("another {word}: {found:?}"));
                }
                if !name.is_empty() {
                    self.read
                        .insert(name.to_owned(), found.as_str().unwrap().to_owned());
                }
            }
        }
        Ok(())
    }
}

/// A server with a user for the clients.
fn server() -> Server {
    let directory = tempfile::tempdir().unwrap();
    let line = "ann:{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=\n";
    std::fs::write(directory.path().join("htpasswd"), line).unwrap();
    Server::start_in(directory, &["--auth-htpasswd", "htpasswd"])
}

async fn check(calls: &[Call]) {
    let server = server();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let token = std::fs::read_to_string(server.data.path().join("data/local-token")).unwrap();
    let mut client = Client {
        server: &server,
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
        token,
        read: HashMap::new(),
    };
    let mut wrong = Vec::new();
    for call in calls {
        wrong.extend(client.call(*call).await.err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn the_web_ui_is_answered() {
    check(WEB_UI).await;
}

#[tokio::test]
async fn hubot_is_answered() {
    check(HUBOT).await;
}

#[tokio::test]
async fn errbot_is_answered() {
    check(ERRBOT).await;
}

#[tokio::test]
async fn the_command_line_is_answered() {
    check(COMMAND_LINE).await;
}

/// By the commands that switch; what belongs to the server is not switched, and nothing has no name.
#[test]
fn what_can_be_switched_is_switched_off_and_on() {
    let server = Server::start(&[]);
    for (kind, name) in [
        ("action", "examples.is_prime"),
        ("sensor", "examples.SpoolSensor"),
        ("rule", "examples.on_webhook"),
        ("runner", "noop"),
    ] {
        let told = server.squall(&[kind, "disable", name]);
        assert_eq!(told, format!("{name} is disabled\n"));
        let shown = server.json(&[kind, "get", name]);
        assert_eq!(shown.get("enabled"), Some(&Value::Bool(false)), "{name}");
    }
    for action in ["examples.is_prime", "core.noop"] {
        let (code, _, err) = server.run(&["run", action]);
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains("disabled"), "{err}");
    }
    server.squall(&["runner", "enable", "noop"]);
    server.squall(&["run", "core.noop"]);
    for (arguments, expect) in [
        (["action", "disable", "core.local"], 1),
        (["rule", "get", ""], 2),
        (["key", "get", ".."], 2),
    ] {
        let (code, _, err) = server.run(&arguments);
        assert_eq!(code, Some(expect), "{arguments:?}: {err}");
    }
    let broken = server.data.path().join("broken.yaml");
    std::fs::write(&broken, "name: [").unwrap();
    let (code, _, err) = server.run(&["rule", "create", &broken.to_string_lossy()]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.starts_with("error: a `[` is never closed"), "{err}");
}

/// A browser's event source sends no header: the cookie of an earlier answer lets it in.
#[tokio::test]
async fn a_browser_follows_the_stream_by_its_cookie() {
    let server = server();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().cookie_store(true);
    let http = http.build().unwrap();
    let stream = format!("{}/stream/stream", server.url);
    assert_eq!(http.get(&stream).send().await.unwrap().status(), 401);
    let token = std::fs::read_to_string(server.data.path().join("data/local-token")).unwrap();
    let user = http.get(format!("{}/api/v1/user", server.url));
    let user = user.header("x-auth-token", token).send().await.unwrap();
    assert_eq!(user.status(), 200);
    let mut answer = http.get(&stream).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("text/event-stream"), "{kind}");
    let (status, _) = server.request("POST", "/api/v1/webhooks/examples", b"{\"name\": \"Ada\"}");
    assert_eq!(status, 202);
    server.squall(&["run", "core.noop"]);
    let mut text = String::new();
    while !text.contains("event: st2.execution__update") {
        let chunk = answer.chunk().await.unwrap().unwrap();
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    // The event's payload is for who asks for it.
    assert!(!text.contains("event: st2.trigger_instance__"), "{text}");
}
