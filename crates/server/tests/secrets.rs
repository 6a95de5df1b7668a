//! Secrets that go through every path there is, and are then looked for everywhere.
//!
//! Positional and named arguments of scripts are not among the paths: StackStorm's contract is that
//! they are arguments of a process, which everybody sees (docs/security.md). Needs `python3`.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside their functions"
)]

#[path = "secrets/odd.rs"]
mod odd;
#[path = "secrets/pack.rs"]
mod pack;
mod support;

use std::io::Write;
use std::path::{Path, PathBuf};

use squall_value::Value;
use support::{Server, text};

/// What every planted secret begins with.
const BEGINNING: &str = "planted-";

/// Hands out secrets, each of which says where it was planted.
#[derive(Default)]
struct Planter(Vec<String>);

impl Planter {
    fn plant(&mut self, place: &str) -> String {
        let secret = format!("planted-{:03}-{place}-secret", self.0.len());
        self.0.push(secret.clone());
        secret
    }
}

/// Asks for an action with a fresh secret and waits for its end.
async fn run(server: &Server, action: &str, more: &str, secret: &str) -> Value {
    let body =
        format!(r#"{{"action": "{action}", "parameters": {{"password": "{secret}"{more}}}}}"#);
    let (status, made) = server.send("POST", "/executions", &body).await;
    assert_eq!(status, 201, "{action}: {made:?}");
    server.ended(text(&made, &["id"])).await
}

/// Every way in which an action or a workflow gets a secret.
async fn through_actions(server: &Server, planter: &mut Planter) {
    for (place, action, more, status) in [
        ("shell", "vault.shell", "", "succeeded"),
        ("shell-fails", "vault.shell", r#", "code": 3"#, "failed"),
        ("python", "vault.python", "", "succeeded"),
        ("raise", "vault.python", r#", "mode": "raise""#, "failed"),
        ("returns", "vault.python", r#", "mode": "fail""#, "failed"),
        ("http", "vault.ask", "", "failed"),
        ("limited", "vault.limited", "", "succeeded"),
        ("flow", "vault.flow", "", "succeeded"),
        ("flow-fails", "vault.flow", r#", "code": 3"#, "failed"),
        ("nested", "vault.outer", "", "failed"),
        ("expression", "vault.wrong", "", "failed"),
        ("chain", "vault.chain", "", "failed"),
    ] {
        for _ in 0..2 {
            let secret = planter.plant(place);
            let ended = run(server, action, more, &secret).await;
            assert_eq!(text(&ended, &["status"]), status, "{action}: {ended:?}");
        }
        let secret = planter.plant(&format!("{place}-again"));
        let ended = run(server, action, more, &secret).await;
        let again = format!("/executions/{}/re_run", text(&ended, &["id"]));
        let (code, made) = server.send("POST", &again, "{}").await;
        assert_eq!(code, 201, "{made:?}");
        server.ended(text(&made, &["id"])).await;
    }
    // What is refused is not told either.
    for member in ["password", "pin"] {
        let secret = planter.plant("refused");
        let body =
            format!(r#"{{"action": "vault.choice", "parameters": {{"{member}": "{secret}"}}}}"#);
        let (status, refused) = server.send("POST", "/executions", &body).await;
        assert_eq!(status, 400);
        check_masked(&refused);
    }
}

/// Whether an answer to whoever sent a secret tells it.
#[track_caller]
fn check_masked(answer: &Value) {
    assert!(!answer.to_json().contains("planted-"), "{answer:?}");
}

/// The datastore, configurations, and what a workflow takes from them.
async fn through_what_is_kept(server: &Server, planter: &mut Planter) {
    let secret = planter.plant("datastore");
    let body = format!(r#"{{"value": "{secret}", "secret": true}}"#);
    let (status, _) = server.send("PUT", "/keys/vault_key", &body).await;
    assert_eq!(status, 200);
    // A configuration is replaced: neither the old one nor the new may be found.
    for _ in 0..2 {
        let (token, password) = (planter.plant("config"), planter.plant("config-deep"));
        let body = format!(
            r#"{{"token": "{token}", "login": {{"name": "n", "password": "{password}"}}}}"#
        );
        let (status, shown) = server.send("PUT", "/configs/vault", &body).await;
        assert_eq!(status, 200, "{shown:?}");
        check_masked(&shown);
    }
    let wrong = format!(r#"{{"token": ["{}"]}}"#, planter.plant("config-refused"));
    let (status, refused) = server.send("PUT", "/configs/vault", &wrong).await;
    assert_eq!(status, 400);
    check_masked(&refused);
    let (_, made) = server
        .send("POST", "/executions", r#"{"action": "vault.stored"}"#)
        .await;
    let ended = server.ended(text(&made, &["id"])).await;
    assert_eq!(text(&ended, &["status"]), "succeeded", "{ended:?}");
}

/// Events, rules, chat, and the answer to a question.
async fn through_events(server: &Server, planter: &mut Planter) {
    for _ in 0..2 {
        let payload = format!(
            r#"{{"trigger": "vault.told", "payload": {{"password": "{}"}}}}"#,
            planter.plant("event")
        );
        let (status, _) = server.send("POST", "/webhooks/st2", &payload).await;
        assert_eq!(status, 202);
    }
    let rule = format!(
        r#"{{"name": "own", "pack": "vault", "enabled": true,
            "trigger": {{"type": "core.st2.webhook", "parameters": {{"url": "vault"}}}},
            "action": {{"ref": "vault.shell", "parameters": {{"password": "{}"}}}}}}"#,
        planter.plant("rule")
    );
    let (status, made) = server.send("POST", "/rules", &rule).await;
    assert_eq!(status, 201, "{made:?}");
    check_masked(&made);
    // Whoever sends back what was shown leaves the secret as it is.
    let (status, changed) = server
        .send("PUT", "/rules/vault.own", &made.to_json())
        .await;
    assert_eq!(status, 200, "{changed:?}");
    check_masked(&changed);
    let open = server.get("/rules/vault.own?show_secrets=true").await;
    let kept = text(&open, &["action", "parameters", "password"]);
    assert!(kept.starts_with(BEGINNING), "{open:?}");
    let (status, _) = server.send("POST", "/webhooks/vault", "{}").await;
    assert_eq!(status, 202);
    let signed = planter.plant("webhook");
    let body = format!(r#"{{"secret": "{signed}"}}"#);
    let (status, _) = server.send("PUT", "/webhooks/vault", &body).await;
    assert_eq!(status, 200);
    let hook = ("POST", "/api/v1/webhooks/vault");
    let (status, _) = server
        .with_header(hook, ("X-Gitlab-Token", &signed), "{}")
        .await;
    assert_eq!(status, 202);
    let wrong = planter.plant("webhook-wrong");
    let (status, _) = server
        .with_header(hook, ("X-Gitlab-Token", &wrong), "{}")
        .await;
    assert_eq!(status, 401);

    let command = format!(
        r#"{{"command": "open vault with {}", "user": "ann", "source_channel": "ops"}}"#,
        planter.plant("chat")
    );
    let (status, made) = server
        .send("POST", "/aliasexecution/match_and_execute", &command)
        .await;
    assert_eq!(status, 201, "{made:?}");
    check_masked(&made);

    let (_, asked) = server
        .send("POST", "/executions", r#"{"action": "vault.question"}"#)
        .await;
    let is_asked = |text: &str| text.contains("\"status\":\"pending\"");
    server
        .stream("events=st2.execution__*&last_event_id=0", is_asked)
        .await;
    let inquiries = server.get("/inquiries").await;
    let id = text(&inquiries.as_list().unwrap()[0], &["id"]).to_owned();
    let body = format!(
        r#"{{"response": {{"password": "{}"}}}}"#,
        planter.plant("inquiry")
    );
    let (status, told) = server.send("PUT", &format!("/inquiries/{id}"), &body).await;
    assert_eq!(status, 200, "{told:?}");
    check_masked(&told);
    let ended = server.ended(text(&asked, &["id"])).await;
    assert_eq!(text(&ended, &["status"]), "succeeded", "{ended:?}");
}

/// Passwords, tokens and keys; what is right, and what is refused. Gives what the server made itself.
async fn through_sign_in(server: &Server, planter: &mut Planter) -> Vec<String> {
    let password = planter.plant("password");
    let user = format!(r#"{{"name": "bob", "password": "{password}"}}"#);
    let (status, made) = server.send("POST", "/users", &user).await;
    assert_eq!(status, 201, "{made:?}");
    check_masked(&made);
    let (status, token, header) = server.sign_in("bob", &password).await;
    assert_eq!(status, 201);
    let mut made = vec![header, text(&token, &["token"]).to_owned()];
    for _ in 0..2 {
        let wrong = planter.plant("password-wrong");
        let (status, _, header) = server.sign_in("bob", &wrong).await;
        assert_eq!(status, 401);
        made.push(header);
    }
    for name in ["X-Auth-Token", "St2-Api-Key", "Cookie"] {
        let secret = planter.plant(name);
        let hook = ("POST", "/api/v1/webhooks/st2");
        let (status, answer) = server.with_header(hook, (name, &secret), "{}").await;
        assert_eq!(status, 401, "{name}: {answer}");
    }
    for name in ["x-auth-token", "st2-api-key"] {
        let path = format!("/api/v1/actions?{name}={}", planter.plant(name));
        let (status, _) = server
            .with_header(("GET", &path), ("Accept", "*/*"), "")
            .await;
        assert_eq!(status, 401, "{name}");
    }
    let body = format!(r#"{{"token": "{}"}}"#, planter.plant("validate"));
    let (status, _) = server.send("POST", "/tokens/validate", &body).await;
    assert_eq!(status, 200);
    let (status, key) = server.send("POST", "/apikeys", "{}").await;
    assert_eq!(status, 201);
    made.push(text(&key, &["key"]).to_owned());
    // What can't be read is not repeated.
    let broken = format!(r#"{{"password": "{}""#, planter.plant("broken"));
    let (status, told) = server.send("POST", "/executions", &broken).await;
    assert_eq!(status, 400);
    check_masked(&told);
    made
}

/// All that was looked for, and where it was found.
struct Search {
    secrets: Vec<String>,
    finds: Vec<String>,
}

impl Search {
    fn look(&mut self, place: &str, bytes: &[u8]) {
        // All that is looked for is ASCII, which this leaves as it is.
        let text = String::from_utf8_lossy(bytes);
        // The common beginning first: hardly any file has it.
        let any_planted = text.contains(BEGINNING);
        for secret in &self.secrets {
            let is_planted = secret.starts_with(BEGINNING);
            if (any_planted || !is_planted) && text.contains(secret) {
                self.finds.push(format!("{secret} in {place}"));
            }
        }
    }

    fn look_in_files(&mut self, directory: &Path) {
        for file in files_below(directory) {
            let bytes = std::fs::read(&file).unwrap_or_default();
            self.look(&file.display().to_string(), &bytes);
        }
    }

    /// What all users of the machine see of processes, and the environment of all of them.
    fn look_at_processes(&mut self) {
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            for part in ["cmdline", "environ"] {
                let path = entry.path().join(part);
                let bytes = std::fs::read(&path).unwrap_or_default();
                self.look(&path.display().to_string(), &bytes);
            }
        }
    }

    /// What the server answers: all lists, each execution with all that belongs to it, the stream,
    /// the metrics.
    async fn look_at_answers(&mut self, server: &Server) {
        for path in LISTS {
            self.look(path, server.text(path).await.as_bytes());
        }
        let executions = server.get("/executions?limit=-1").await;
        let executions = executions.as_list().unwrap();
        for execution in executions {
            let id = text(execution, &["id"]);
            for part in ["", "/output", "/result", "/children", "/attribute/result"] {
                let path = format!("/api/v1/executions/{id}{part}");
                self.look(&path, server.text(&path).await.as_bytes());
            }
        }
        let ended = |one: &&Value| text(one, &["status"]) != "delayed";
        let last = text(executions.iter().find(ended).unwrap(), &["id"]);
        let all = format!("events=*&last_event_id=0&show_secrets=true&end_execution_id={last}");
        let stream = server.stream(&all, |_| false).await;
        assert!(stream.contains("st2.execution.output__create"));
        self.look("the stream", stream.as_bytes());
    }
}

const LISTS: [&str; 26] = [
    "/metrics",
    "/openapi.json",
    "/api/v1/actions",
    "/api/v1/actions/views/overview",
    "/api/v1/actionalias",
    "/api/v1/actionalias/help",
    "/api/v1/apikeys",
    "/api/v1/audit?limit=-1",
    "/api/v1/config_schemas",
    "/api/v1/configs",
    "/api/v1/executions?limit=-1",
    "/api/v1/executions/views/filters",
    "/api/v1/inquiries",
    "/api/v1/keys",
    "/api/v1/packs",
    "/api/v1/policies",
    "/api/v1/ruleenforcements/views?limit=-1",
    "/api/v1/rules",
    "/api/v1/rules/views",
    "/api/v1/traces?limit=-1",
    "/api/v1/triggers",
    "/api/v1/triggertypes",
    "/api/v1/timers",
    "/api/v1/triggerinstances?limit=-1",
    "/api/v1/users",
    "/api/v1/webhooks",
];

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files.extend(files_below(&entry.path()));
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files
}

/// Looks at the machine's processes while actions run that hold a secret each.
async fn look_while_they_run(server: &Server, planter: &mut Planter, search: &mut Search) {
    for (action, parameter) in [("vault.wait", "fifo"), ("vault.python", "mode")] {
        let secret = planter.plant("running");
        search.secrets.push(secret.clone());
        let fifo = server.directory().join(&action[6..]);
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        let body = format!(
            r#"{{"action": "{action}", "parameters": {{"password": "{secret}", "{parameter}": "{}"}}}}"#,
            fifo.display()
        );
        let (status, made) = server.send("POST", "/executions", &body).await;
        assert_eq!(status, 201, "{made:?}");
        // Whoever opens it waits for the one that reads: then the action runs.
        let path = fifo.clone();
        let opened = move || std::fs::File::options().write(true).open(path).unwrap();
        let mut writer = tokio::task::spawn_blocking(opened).await.unwrap();
        search.look_at_processes();
        writer.write_all(b"\n").unwrap();
        drop(writer);
        let ended = server.ended(text(&made, &["id"])).await;
        assert_eq!(text(&ended, &["status"]), "succeeded", "{ended:?}");
        std::fs::remove_file(fifo).unwrap();
    }
}

#[tokio::test]
async fn planted_secrets_are_found_nowhere() {
    let server = Server::start_with(pack::PACK, &["--log-level", "trace"]);
    let mut planter = Planter::default();
    through_what_is_kept(&server, &mut planter).await;
    through_actions(&server, &mut planter).await;
    through_events(&server, &mut planter).await;
    odd::through_executions(&server, &mut planter).await;
    odd::through_refusals(&server, &mut planter).await;
    let said = odd::through_commands(&server, &mut planter);
    let made = through_sign_in(&server, &mut planter).await;
    let mut search = Search {
        secrets: [made, planter.0.clone()].concat(),
        finds: Vec::new(),
    };
    look_while_they_run(&server, &mut planter, &mut search).await;
    let planted = planter.0.len();
    assert!(planted >= 80, "only {planted} were planted");
    for text in &said {
        search.look("what a command printed", text.as_bytes());
    }

    search.look_at_answers(&server).await;
    search.look_at_processes();
    // With the log of changes beside the database, and again when all has been written to it.
    search.look_in_files(server.directory());
    let directory = server.stopped();
    let log = std::fs::read(directory.path().join("log")).unwrap();
    assert!(!log.is_empty(), "nothing was logged");
    search.look_in_files(directory.path());
    assert_eq!(search.finds, Vec::<String>::new());
}

/// A search that finds nothing must be able to find.
#[test]
fn a_search_finds_what_is_there() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("deep")).unwrap();
    std::fs::write(place.path().join("deep/file"), b"\0planted-0-x\xff").unwrap();
    std::fs::write(place.path().join("other"), b"a token").unwrap();
    let mut search = Search {
        secrets: vec!["planted-0-x".to_owned(), "token".to_owned()],
        finds: Vec::new(),
    };
    search.look_in_files(place.path());
    assert_eq!(search.finds.len(), 2, "{:?}", search.finds);
}
