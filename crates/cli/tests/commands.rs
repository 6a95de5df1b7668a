//! Commands against a small server that answers with recorded JSON.

// What tests call is test code too, which the lint does not see outside of test functions.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use clap::{CommandFactory, Parser};
use expect_test::{Expect, expect};
use jiff::tz::TimeZone;
use squall_cli::{Cli, Console, Screen, Surroundings, run_with};
use squall_env::FakeEnv;

/// What was asked: method, path with query, token, body.
type Asked = Arc<Mutex<Vec<String>>>;

const EXECUTION: &str = r#"{
    "id": "65a14b2135b6ad228a105f2d", "status": "STATUS",
    "action": {"ref": "core.local"}, "runner": {"name": "local-shell-cmd"},
    "context": {"user": "alice"}, "parameters": {"cmd": "date"},
    "start_timestamp": "2026-03-14T09:26:53.589793Z",
    "end_timestamp": "2026-03-14T09:26:55.089793Z",
    "result": {"stdout": "hello", "return_code": 0, "hosts": ["a", "b"]},
    "log": [{"timestamp": "2026-03-14T09:26:53.590000Z", "status": "requested"},
            {"timestamp": "2026-03-14T09:26:55.089000Z", "status": "STATUS"}]
}"#;

const WORKFLOW: &str = r#"{
    "id": "65a100000000000000000001", "status": "STATUS",
    "action": {"ref": "shop.deploy"}, "runner": {"name": "orquesta"},
    "start_timestamp": "2026-03-14T09:26:53.000000Z", "parameters": {}
}"#;

const TASK: &str = r#"{
    "id": "65a100000000000000000002", "status": "STATUS",
    "action": {"ref": "core.local"}, "runner": {"name": "local-shell-cmd"},
    "start_timestamp": "2026-03-14T09:26:54.000000Z",
    "end_timestamp": "2026-03-14T09:26:56.000000Z",
    "parent": "65a100000000000000000001",
    "context": {"orquesta": {"task_name": "build"}}
}"#;

/// A workflow that ended: a task that a policy tried twice, two items, and a task that failed.
const GREETED: &str = r#"{
    "id": "65a200000000000000000001", "status": "failed",
    "action": {"ref": "shop.greet", "entry_point": "workflows/greet.yaml"},
    "runner": {"name": "orquesta"}, "parameters": {"name": "Stanley"},
    "result": {"output": {"greeting": "hello"}, "errors": []}
}"#;

const GREETED_TASKS: &str = r#"[
    {"id": "1", "status": "failed", "parent": "65a200000000000000000001", "result": "busy",
     "end_timestamp": "2026-03-14T09:26:54Z", "context": {"orquesta": {"task_name": "ask"}}},
    {"id": "2", "status": "succeeded", "parent": "65a200000000000000000001", "result": "hello",
     "end_timestamp": "2026-03-14T09:26:55Z", "context": {"orquesta": {"task_name": "ask"},
     "policies": {"retry": {"retry_count": 1, "retried_liveaction_id": "1"}}}},
    {"id": "3", "status": "succeeded", "parent": "65a200000000000000000001", "result": "b",
     "end_timestamp": "2026-03-14T09:26:56Z",
     "context": {"orquesta": {"task_name": "each", "task_route": 0, "item_id": 1}}},
    {"id": "4", "status": "succeeded", "parent": "65a200000000000000000001", "result": "a",
     "end_timestamp": "2026-03-14T09:26:57Z",
     "context": {"orquesta": {"task_name": "each", "task_route": 0, "item_id": 0}}},
    {"id": "5", "status": "failed", "parent": "65a200000000000000000001", "result": "no disk",
     "end_timestamp": "2026-03-14T09:26:58Z", "context": {"orquesta": {"task_name": "log"}}},
    {"id": "6", "status": "succeeded", "parent": "5", "result": "not a task of this workflow",
     "end_timestamp": "2026-03-14T09:26:58Z", "context": {"orquesta": {"task_name": "inner"}}}
]"#;

fn one_line(text: &str) -> String {
    text.split('\n').map(str::trim).collect()
}

fn with_status(text: &str, status: &str) -> String {
    one_line(text).replace("STATUS", status)
}

/// The stream of a workflow whose only task starts, ends, and ends the workflow.
fn workflow_events() -> String {
    let mut text = String::from("\n");
    for (name, data) in [
        ("create", with_status(TASK, "running")),
        ("update", with_status(TASK, "succeeded")),
        ("update", with_status(WORKFLOW, "succeeded")),
    ] {
        text.push_str(&format!(
            "event: st2.execution__{name}\nid: 1\ndata: {data}\n\n"
        ));
    }
    text
}

const OUTPUT: &str = concat!(
    "event: st2.execution.output__create\nid: 0\n",
    r#"data: {"execution_id": "65a100000000000000000002", "output_type": "stdout", "data": "one\ntw"}"#,
    "\n\nevent: st2.execution.output__create\nid: 1\n",
    r#"data: {"execution_id": "65a100000000000000000002", "output_type": "stdout", "data": "o\n"}"#,
    "\n\nevent: EOF\ndata: ''\n\n",
);

fn json(status: u16, body: impl Into<String>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        body.into(),
    )
        .into_response()
}

fn events(text: impl Into<String>) -> Response {
    ([(header::CONTENT_TYPE, "text/event-stream")], text.into()).into_response()
}

fn answer(method: &Method, path: &str, headers: &HeaderMap, asked: &[String]) -> Response {
    let token = headers
        .get("x-auth-token")
        .and_then(|token| token.to_str().ok());
    if path == "/auth/v1/tokens" {
        return match headers.get("authorization").map(|basic| basic.as_bytes()) {
            // alice:wonder
            Some(b"Basic YWxpY2U6d29uZGVy") => json(
                201,
                r#"{"user": "alice", "token": "good", "expiry": "2026-03-15T09:26:53.000000Z"}"#,
            ),
            _ => json(401, r#"{"faultstring": "Invalid or missing credentials"}"#),
        };
    }
    if token != Some("good") {
        return json(
            401,
            r#"{"faultstring": "Unauthorized - One of Token or API key required."}"#,
        );
    }
    match (method.as_str(), path) {
        ("GET", "/api/v1/executions/last" | "/api/v1/executions/65a14b2135b6ad228a105f2d") => {
            json(200, with_status(EXECUTION, "failed"))
        }
        ("GET", "/api/v1/executions") => {
            let list = format!("[{}]", with_status(EXECUTION, "succeeded"));
            let mut response = json(200, list);
            let headers = response.headers_mut();
            headers.insert("x-total-count", 7.into());
            response
        }
        ("POST", "/api/v1/executions") => json(201, with_status(WORKFLOW, "requested")),
        ("GET", "/api/v1/executions/65a100000000000000000001") => {
            // Ended once the task's output was read; before, only the stream knows.
            let over = asked.iter().any(|line| line.ends_with("/output"));
            let status = if over { "succeeded" } else { "running" };
            json(200, with_status(WORKFLOW, status))
        }
        ("GET", "/api/v1/executions/65a100000000000000000001/children") => {
            json(200, format!("[{}]", with_status(TASK, "succeeded")))
        }
        ("GET", "/api/v1/executions/65a100000000000000000001/decisions") => json(
            200,
            r#"[{"task": "deploy", "route": 0, "status": "failed", "since": "2026-03-14T09:26:53Z",
                 "execution_id": "65a100000000000000000002"}]"#,
        ),
        ("POST", "/api/v1/executions/65a100000000000000000001/decisions") => {
            json(200, with_status(WORKFLOW, "running"))
        }
        ("GET", "/api/v1/executions/65a200000000000000000001") => json(200, GREETED),
        ("GET", "/api/v1/executions/65a200000000000000000001/children") => json(200, GREETED_TASKS),
        ("GET", "/api/v1/actions/views/parameters/shop.greet") => json(
            200,
            r#"{"parameters": {"name": {"type": "string"},
                "loud": {"type": "boolean", "default": false}}}"#,
        ),
        ("GET", "/stream/v1/stream") => events(workflow_events()),
        ("GET", "/stream/v1/executions/65a100000000000000000002/output") => events(OUTPUT),
        ("GET", "/api/v1/actions/views/parameters/shop.deploy") => json(
            200,
            r#"{"parameters": {"count": {"type": "integer"}, "hosts": {"type": "array"}}}"#,
        ),
        ("DELETE", "/api/v1/executions/65a14b2135b6ad228a105f2d") => json(
            200,
            r#"{"faultstring": "Action cannot be canceled. State = succeeded."}"#,
        ),
        ("GET", "/api/v1/rules") => json(
            200,
            r#"[{"ref": "shop.on_order", "enabled": true, "trigger": {"type": "shop.order"},
                 "action": {"ref": "shop.deploy"}, "description": "Ships."}]"#,
        ),
        ("GET", "/api/v1/rules/shop.on_order") => json(
            200,
            r#"{"ref": "shop.on_order", "enabled": true, "id": "1"}"#,
        ),
        ("PUT", "/api/v1/rules/shop.on_order") => json(
            200,
            r#"{"ref": "shop.on_order", "enabled": false, "id": "1"}"#,
        ),
        ("POST", "/api/v1/rules/shop.on_order/test") => json(
            200,
            r#"{"matches": true, "text": "the rule matches", "criteria": []}"#,
        ),
        ("POST", "/api/v1/webhooks/st2") => json(202, r#"{"trigger": "shop.order"}"#),
        ("POST", "/api/v1/packs/register") => json(
            200,
            r#"{"actions": 2, "findings": [{"pack": "shop", "file": "a.yaml", "line": 2,
                "column": 1, "severity": "error", "message": "no runner"}]}"#,
        ),
        ("GET", "/api/v1/keys/shop.region") => {
            json(200, r#"{"name": "shop.region", "value": "eu"}"#)
        }
        _ => json(
            404,
            r#"{"faultstring": "The resource could not be found."}"#,
        ),
    }
}

async fn serve(
    State(asked): State<Asked>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = String::from_utf8_lossy(&body);
    let line = format!("{method} {uri} {body}");
    let mut asked = asked.lock().unwrap();
    asked.push(line.trim_end().to_owned());
    answer(&method, uri.path(), &headers, &asked)
}

struct Server {
    url: String,
    asked: Asked,
    home: tempfile::TempDir,
}

impl Server {
    async fn start() -> Server {
        let asked = Asked::default();
        let router = Router::new().fallback(serve).with_state(Arc::clone(&asked));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Server {
            url,
            asked,
            home: tempfile::tempdir().unwrap(),
        }
    }

    /// The exit code and what was printed, places of the machine left out.
    async fn run(&self, line: &str, variables: &[(&str, &str)]) -> String {
        let home = self.home.path().to_str().unwrap();
        let words = std::iter::once("squall").chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).unwrap();
        let mut all = vec![
            ("SQUALL_SERVER", self.url.as_str()),
            ("XDG_CONFIG_HOME", home),
        ];
        all.extend(variables);
        let screen = Screen::plain(TimeZone::UTC);
        let (console, out, err) = Console::captured(cli.options.format(), screen);
        let surroundings = Surroundings::with(&all);
        let env = Arc::new(FakeEnv::new(1));
        let run = run_with(
            cli.command,
            cli.options,
            Cli::command(),
            surroundings,
            console,
            env,
        );
        let code = Box::pin(run).await;
        let mut shown = format!("{}-- {code}\n{}", out.text(), err.text());
        shown = shown.replace(&self.url, "http://server").replace(home, "~");
        shown
    }

    async fn check(&self, line: &str, expect: Expect) {
        expect.assert_eq(&self.run(line, &[("SQUALL_TOKEN", "good")]).await);
    }

    /// What was asked since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

#[tokio::test]
async fn executions_are_listed_and_shown() {
    let server = Server::start().await;
    server
        .check(
            "execution list -n 1 --status failed,timeout",
            expect![[r#"
            ID                        ACTION      USER   STATUS     STARTED              TOOK
            65a14b2135b6ad228a105f2d  core.local  alice  succeeded  2026-03-14 09:26:53  1.5s
            -- 0
            1 of 7 executions; -n shows more
        "#]],
        )
        .await;
    assert_eq!(
        server.asked(),
        [
            "GET /api/v1/executions?limit=1&status=failed%2Ctimeout&parent=null\
          &include_attributes=id%2Caction.ref%2Ccontext.user%2Cstatus%2Cstart_timestamp\
          %2Cend_timestamp"
        ]
    );
    server
        .check(
            "execution get last",
            expect![[r#"
        id:      65a14b2135b6ad228a105f2d
        action:  core.local
        status:  failed
        user:    alice
        started: 2026-03-14 09:26:53 UTC
        ended:   2026-03-14 09:26:55 UTC
        took:    1.5s
        parameters:
          cmd: date
        result:
          stdout: hello
          return_code: 0
          hosts:
            - a
            - b
        log:
          2026-03-14 09:26:53 UTC  requested
          2026-03-14 09:26:55 UTC  failed
        -- 0
    "#]],
        )
        .await;
    server
        .check(
            "execution get last --key hosts.1",
            expect![[r#"
            b
            -- 0
        "#]],
        )
        .await;
    server
        .check(
            "execution get last --key gone",
            expect![[r#"
            -- 1
            error: the result has no `gone`: it has stdout, return_code, hosts
        "#]],
        )
        .await;
    server
        .check(
            "execution get last --key hosts --json",
            expect![[r#"
            [
                "a",
                "b"
            ]
            -- 0
        "#]],
        )
        .await;
    server
        .check(
            "execution cancel 65a14b2135b6ad228a105f2d",
            expect![[r#"
            -- 1
            error: 65a14b2135b6ad228a105f2d: Action cannot be canceled. State = succeeded.
        "#]],
        )
        .await;
}

#[tokio::test]
async fn a_workflow_is_followed_to_its_end() {
    let server = Server::start().await;
    server
        .check(
            "run shop.deploy count=3 hosts=a,b --tail",
            expect![[r#"
                build | one
                build | two
                -- 0
                succeeded  build  2.0s
                65a100000000000000000001 succeeded
            "#]],
        )
        .await;
    let asked = server.asked();
    assert!(asked.contains(
        &r#"POST /api/v1/executions {"action":"shop.deploy","parameters":{"count":3,"hosts":["a","b"]}}"#
            .to_owned()
    ));
    server
        .check(
            "run shop.deploy count=x",
            expect![[r#"
        -- 2
        error: parameter `count`: `x` is no integer
    "#]],
        )
        .await;
    server.check("run shop.deploy --async", expect![[r#"
        65a100000000000000000001
        -- 0
        follow it with `squall execution tail 65a100000000000000000001`, see it with `squall execution get 65a100000000000000000001`
    "#]]).await;
}

#[tokio::test]
async fn rules_are_listed_switched_and_tested() {
    let server = Server::start().await;
    server
        .check(
            "rule list",
            expect![[r#"
        REF            ENABLED  TRIGGER     ACTION       DESCRIPTION
        shop.on_order  yes      shop.order  shop.deploy  Ships.
        -- 0
    "#]],
        )
        .await;
    server
        .check(
            "rule list --action shop.other",
            expect![[r#"
            -- 0
            no rules
        "#]],
        )
        .await;
    server
        .check(
            "rule disable shop.on_order",
            expect![[r#"
            shop.on_order is disabled
            -- 0
        "#]],
        )
        .await;
    let put = r#"PUT /api/v1/rules/shop.on_order {"ref":"shop.on_order","enabled":false,"id":"1"}"#;
    assert_eq!(server.asked().last().map(String::as_str), Some(put));
    server
        .check(
            "rule test shop.on_order --payload {}",
            expect![[r#"
            shop.on_order matches: it would run its action
            -- 0
        "#]],
        )
        .await;
    server
        .check(
            "rule get shop.gone",
            expect![[r#"
        -- 1
        error: The resource could not be found.
    "#]],
        )
        .await;
}

#[tokio::test]
async fn events_packs_and_keys() {
    let server = Server::start().await;
    server
        .check(
            r#"trigger emit shop.order --payload {"id":7}"#,
            expect![[r#"
                the event is accepted
                -- 0
            "#]],
        )
        .await;
    assert_eq!(
        server.asked(),
        [r#"POST /api/v1/webhooks/st2 {"trigger":"shop.order","payload":{"id":7}}"#]
    );
    server
        .check(
            "pack register shop",
            expect![[r#"
        shop/a.yaml:2:1: error: no runner
        registered: 2 actions
        -- 1
    "#]],
        )
        .await;
    server
        .check(
            "key get shop.region",
            expect![[r#"
        eu
        -- 0
    "#]],
        )
        .await;
    server
        .check(
            "key get shop.region --yaml",
            expect![[r#"
            name: shop.region
            value: eu
            -- 0
        "#]],
        )
        .await;
}

#[tokio::test]
async fn a_token_is_kept_used_and_forgotten() {
    let server = Server::start().await;
    let nobody = server.run("key get shop.region", &[]).await;
    expect![[r#"
        -- 1
        error: Unauthorized - One of Token or API key required.
          no credential is configured
          the server's address http://server comes from the environment variable SQUALL_SERVER
          sign in with `squall login USER`, or set SQUALL_TOKEN or ST2_API_KEY
    "#]]
    .assert_eq(&nobody);
    let wrong = server
        .run("login alice", &[("SQUALL_PASSWORD", "oops")])
        .await;
    expect![[r#"
        -- 1
        error: Invalid or missing credentials
          the server's address http://server comes from the environment variable SQUALL_SERVER
          are the user and the password those of this server?
    "#]]
    .assert_eq(&wrong);
    let login = server
        .run("login alice", &[("SQUALL_PASSWORD", "wonder")])
        .await;
    expect![[r#"
        signed in at http://server as alice until 2026-03-15 09:26:53 UTC
        -- 0
        the token is kept in ~/squall/tokens/default.toml
    "#]]
    .assert_eq(&login);
    assert!(
        server
            .run("key get shop.region", &[])
            .await
            .starts_with("eu\n-- 0")
    );
    assert!(server.run("logout", &[]).await.contains("forgotten"));
    assert!(
        server
            .run("key get shop.region", &[])
            .await
            .contains("-- 1")
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_explained() {
    let server = Server::start().await;
    // The port was free a moment ago, and nobody listens on it.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let shown = server.run(&format!("rule list --server {gone}"), &[]).await;
    let shown = shown.replace(&gone, "http://gone");
    let first = shown.lines().nth(1).unwrap_or_default().to_owned();
    assert!(shown.starts_with("-- 3\n"), "{shown}");
    assert!(
        first.starts_with("error: no answer from http://gone/api/v1/rules: "),
        "{first}"
    );
    assert!(
        shown.contains("the server's address http://gone comes from --server"),
        "{shown}"
    );
    assert!(
        shown.contains("squall context set NAME --server URL"),
        "{shown}"
    );
}

#[tokio::test]
async fn contexts_are_made_and_chosen() {
    let server = Server::start().await;
    let none: &[(&str, &str)] = &[];
    server
        .run("context set lab --server http://lab:9101", none)
        .await;
    server
        .run("context set prod --server prod.example.com", none)
        .await;
    let used = server.run("context use prod", none).await;
    assert_eq!(used, "using context `prod`\n-- 0\n");
    expect![[r#"
           NAME  SERVER                    SIGNED IN AS
           lab   http://lab:9101
        *  prod  https://prod.example.com
        -- 0
    "#]]
    .assert_eq(&server.run("context list", none).await);
    assert!(server.run("context use gone", none).await.contains("-- 2"));
}

#[tokio::test]
async fn completions_know_all_commands() {
    let server = Server::start().await;
    for shell in ["bash", "zsh", "fish"] {
        let script = server.run(&format!("completion {shell}"), &[]).await;
        assert!(script.contains("trigger-instance"), "{shell}");
    }
}

#[tokio::test]
async fn held_tasks_are_listed_and_decided_about() {
    let server = Server::start().await;
    let id = "65a100000000000000000001";
    server
        .check(
            &format!("execution held {id}"),
            expect![[r#"
            TASK    ROUTE  STATUS  SINCE                EXECUTION
            deploy  0      failed  2026-03-14 09:26:53  65a100000000000000000002
            -- 0
        "#]],
        )
        .await;
    server
        .check(
            &format!("execution decide {id} deploy result {{\"version\":2}} --route 1"),
            expect![[r#"
                65a100000000000000000001 is running
                -- 0
            "#]],
        )
        .await;
    let asked = server.asked();
    assert!(
        asked
            .last()
            .unwrap()
            .ends_with(r#"{"task":"deploy","route":1,"decision":"result","result":{"version":2}}"#),
        "{asked:?}"
    );
    server
        .check(
            &format!("execution decide {id} deploy skip now"),
            expect![[r#"
                -- 2
                error: `skip` takes no result
            "#]],
        )
        .await;
}

#[tokio::test]
async fn workflows_are_checked_drawn_and_tested_without_a_server() {
    let server = Server::start().await;
    let home = server.home.path().join("pack");
    std::fs::create_dir_all(home.join("workflows")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(home.join(name), text).unwrap();
    write(
        "workflows/deploy.yaml",
        "version: 1.0\ninput: [name]\ntasks:\n  a:\n    action: core.echo message=<% ctx().st2.user %>\n    timeout: 5\n    next: [{do: b}]\n  b:\n    action: core.noop\n",
    );
    write(
        "workflows/chain.yaml",
        "chain:\n  - {name: one, ref: core.noop, on-success: two}\n  - {name: two, ref: core.noop}\n",
    );
    write(
        "tests.yaml",
        "name: it deploys\nworkflow: workflows/deploy.yaml\ncontext: {st2: {user: ann}}\nexpected_task_sequence: [a, b]\n---\nname: it does not\nworkflow: workflows/deploy.yaml\ncontext: {st2: {user: ann}}\nexpected_task_sequence: [b]\n",
    );
    let workflows = home.join("workflows");
    let workflows = workflows.to_str().unwrap();
    server
        .check(
            &format!("workflow check {workflows}"),
            expect![[r#"
            ~/pack/workflows/chain.yaml: fine
            ~/pack/workflows/deploy.yaml: fine
            -- 0
        "#]],
        )
        .await;
    server
        .check(
            &format!("workflow check {workflows} --orquesta"),
            expect![[r#"
                ~/pack/workflows/chain.yaml: fine
                error: Additional properties are not allowed ('timeout' was unexpected)
                 --> ~/pack/workflows/deploy.yaml:6:5
                  |
                6 |     timeout: 5
                  |     ^
                  = at: tasks.a
                  = help: known here: delay, join, with, action, input, retry, next

                ~/pack/workflows/deploy.yaml: 1 error
                -- 1
            "#]],
        )
        .await;
    server
        .check(
            &format!("workflow graph {workflows}/chain.yaml"),
            expect![[r#"
                * one  (core.noop)
                    -> two  if succeeded
                    -> continue  if failed
                  two  (core.noop)
                    -> continue  if succeeded
                    -> continue  if failed
                -- 0
            "#]],
        )
        .await;
    let home = home.to_str().unwrap();
    server
        .check(
            &format!("workflow test {home}"),
            expect![[r#"
            ok   it deploys
            FAIL it does not
                   the order of tasks
                   expected: b
                   got:      a, b
            1 passed, 1 failed
            -- 1
        "#]],
        )
        .await;
    let nowhere = format!("workflow check {home}/none");
    let shown = server.run(&nowhere, &[]).await;
    assert!(shown.contains("none"), "{shown}");
}

#[tokio::test]
async fn expressions_are_evaluated_without_a_server() {
    let server = Server::start().await;
    let file = server.home.path().join("vars.yaml");
    std::fs::write(&file, "vms: [{name: a, up: true}, {name: b}]\n").unwrap();
    let file = file.to_str().unwrap();
    for option in ["--vars", "--context-file", "--context"] {
        let line = format!("expr eval ctx().vms.name {option} {file} --json");
        let shown = server.run(&line, &[]).await;
        assert_eq!(one_line(&shown), r#"["a","b"]-- 0"#, "{option}");
    }
    server
        .check(
            &format!("expr eval ctx().vms.where($.up --context {file}"),
            expect![[r#"
                -- 1
                error: YaqlEvaluationException: Unable to evaluate expression '<% ctx().vms.where($.up %>'. YaqlGrammarException: Parse error: unexpected end of statement
                  | <% ctx().vms.where($.up %>
                  |                        ^
            "#]],
        )
        .await;
    let shown = server
        .run("expr eval 1 --context no-such-file.yaml", &[])
        .await;
    assert!(shown.contains("no-such-file.yaml"), "{shown}");
    assert_eq!(server.asked(), Vec::<String>::new());
}

const GREET: &str = "version: 1.0
input: [name, loud]
output:
  - greeting: <% ctx(greeting) %>
tasks:
  ask:
    action: core.ask name=<% ctx(name) %>
    next:
      - when: <% succeeded() %>
        publish: greeting=<% result() %>
        do: each
  each:
    with: <% list(1, 2) %>
    action: core.noop
    next:
      - do: log
  log:
    action: core.log message=<% ctx(loud) %>
";

#[tokio::test]
async fn a_past_run_becomes_a_test() {
    let server = Server::start().await;
    let home = server.home.path().to_str().unwrap();
    let (workflow, test) = (format!("{home}/greet.yaml"), format!("{home}/test.yaml"));
    std::fs::write(&workflow, GREET).unwrap();
    let token = [("SQUALL_TOKEN", "good")];
    let record = format!("workflow test --record 65a200000000000000000001 --workflow {workflow}");
    let recorded = server.run(&record, &token).await;
    expect![[r#"
        workflow: ~/greet.yaml
        inputs:
          name: Stanley
          loud: false
        mock_action_executions:
          - task_id: ask
            result: hello
          - task_id: each
            item_id: 1
            result: b
          - task_id: each
            item_id: 0
            result: a
          - task_id: log
            status: failed
            result: no disk
        expected_task_sequence:
          - ask
          - each
          - log
        expected_workflow_status: failed
        expected_output:
          greeting: hello
        -- 0
    "#]]
    .assert_eq(&recorded);
    let (text, _) = recorded.split_once("-- 0").unwrap();
    std::fs::write(&test, text.replace('~', home)).unwrap();
    let again = server.run(&format!("workflow test {test}"), &token).await;
    assert!(again.contains("1 passed, 0 failed"), "{again}");

    // A workflow that has changed since is told apart.
    std::fs::write(
        &workflow,
        GREET.replace("greeting=<% result() %>", "greeting=changed"),
    )
    .unwrap();
    let changed = server.run(&record, &token).await;
    assert!(
        changed.contains("-- 1\nerror: the run was written, but"),
        "{changed}"
    );
}

#[tokio::test]
async fn what_is_no_whole_run_of_a_workflow_is_not_recorded() {
    let server = Server::start().await;
    server
        .check(
            "workflow test --record 65a14b2135b6ad228a105f2d",
            expect![[r#"
                -- 1
                error: 65a14b2135b6ad228a105f2d ran core.local, which is no Orquesta workflow: only those are recorded
            "#]],
        )
        .await;
    server
        .check(
            "workflow test --record 65a200000000000000000001",
            expect![[r#"
                -- 1
                error: the workflow of shop.greet is not here: none of actions/workflows/greet.yaml, shop/actions/workflows/greet.yaml, packs/shop/actions/workflows/greet.yaml is a file; name it with --workflow FILE
            "#]],
        )
        .await;
}
