//! HTTP requests against a server that answers with what it was asked.

mod support;

use std::sync::Arc;

use squall_model::Outcome as Ending;
use squall_value::{Value, json};
use support::{Fixture, dict, job};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Answers `/echo` with the request as JSON, `/text` with text, `/moved` with a redirect,
/// `/status/<code>` with that status, and `/silent` never.
async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    format!("http://{address}")
}

async fn answer(stream: TcpStream) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = squall_value::Dict::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().ok()?;
        }
        headers.insert(name.to_lowercase(), value);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let path = target.split('?').next()?;
    let (status, kind, content) = match path {
        "/echo" => {
            let body = String::from_utf8_lossy(&body).into_owned();
            let echo = squall_value::dict! {
                "method" => method, "target" => target.as_str(), "headers" => headers, "body" => body
            };
            (
                "200 OK".to_owned(),
                "application/json; charset=utf-8",
                echo.to_json(),
            )
        }
        "/moved" => (
            "302 Found\r\nLocation: /echo?moved".to_owned(),
            "text/plain",
            String::new(),
        ),
        "/broken" => ("200 OK".to_owned(), "application/json", "{".to_owned()),
        "/silent" => std::future::pending().await,
        _ => (
            path.rsplit('/').next()?.to_owned() + " X",
            "text/plain",
            "t\u{e4}xt".to_owned(),
        ),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(content.as_bytes()).await.ok()
}

/// Runs with the parameters of runner and action; `BASE` is the address of the server. Gives the
/// ending, and what stands at `path` in the result.
async fn ask(runner: &str, action: &str, path: &[&str]) -> (Ending, String) {
    let fixture = Fixture::new();
    let base = serve().await;
    let runner = json::read(&runner.replace("BASE", &base)).expect("JSON");
    let mut job = job(runner);
    job.action = "core.http".to_owned();
    job.action_parameters = dict(&action.replace("BASE", &base));
    job.secrets = vec![Arc::from("t0psecret")];
    let ran = fixture.run("http-request", job).await;
    let found = ran.outcome.result.get_path(path).map(Value::to_json);
    let found = found.unwrap_or_else(|| ran.result());
    (ran.ending(), found.replace(&base, "BASE"))
}

#[tokio::test]
async fn requests_and_what_comes_of_them() {
    use Ending::{Failed, Succeeded, TimedOut};
    let body: &[&str] = &["body", "body"];
    for (runner, action, path, ending, expected) in [
        (
            r#"{"url": "BASE/status/200"}"#,
            "{}",
            &[][..],
            Succeeded,
            r#"{"status_code":200,"body":"täxt","parsed":false,"headers":{"Content-Type":"text/plain","Content-Length":"5","Connection":"close"}}"#,
        ),
        (
            r#"{"url": "BASE/status/206"}"#,
            "{}",
            &["status_code"],
            Succeeded,
            "206",
        ),
        (
            r#"{"url": "BASE/status/207"}"#,
            "{}",
            &["status_code"],
            Failed,
            "207",
        ),
        (
            r#"{"url": "BASE/status/404"}"#,
            "{}",
            &["status_code"],
            Failed,
            "404",
        ),
        (
            r#"{"url": "BASE/broken"}"#,
            "{}",
            &["parsed"],
            Succeeded,
            "false",
        ),
        (
            r#"{"url": "BASE/broken"}"#,
            "{}",
            &["body"],
            Succeeded,
            r#""{""#,
        ),
        (
            r#"{"url": "BASE/echo"}"#,
            r#"{"params": {"a": "1 2", "l": [1, 2]}}"#,
            &["body", "target"],
            Succeeded,
            r#""/echo?a=1+2&l=1&l=2""#,
        ),
        (
            r#"{"url": "BASE/echo"}"#,
            "{}",
            &["body", "method"],
            Succeeded,
            r#""GET""#,
        ),
        (
            r#"{"url": "BASE/echo"}"#,
            r#"{"body": "x=1"}"#,
            &["body", "method"],
            Succeeded,
            r#""POST""#,
        ),
        (
            r#"{"url": "BASE/echo"}"#,
            r#"{"body": "x=1", "method": "put"}"#,
            &["body", "method"],
            Succeeded,
            r#""PUT""#,
        ),
        (
            r#"{"url": "BASE/echo", "headers": {"content-type": "application/json"}}"#,
            r#"{"body": "{\"a\": [1]}"}"#,
            body,
            Succeeded,
            r#""{\"a\":[1]}""#,
        ),
        (
            r#"{"url": "BASE/echo", "headers": {"content-type": "application/json"}}"#,
            r#"{"body": "{'a': True, 'b': (None, 'it\\'s')}"}"#,
            body,
            Succeeded,
            r#""{\"a\":true,\"b\":[null,\"it's\"]}""#,
        ),
        (
            r#"{"url": "BASE/echo", "headers": {"Content-Type": "application/json"}}"#,
            r#"{"body": "oops"}"#,
            &["status_code"],
            Failed,
            r#"{"error":"the body is to be JSON, or a literal of Python, which it is not: "#,
        ),
        (
            r#"{"url": "BASE/echo", "cookies": {"a": "b", "c": 1}}"#,
            "{}",
            &["body", "headers", "cookie"],
            Succeeded,
            r#""a=b; c=1""#,
        ),
        (
            r#"{"url": "BASE/echo", "username": "u", "password": "p"}"#,
            "{}",
            &["body", "headers", "authorization"],
            Succeeded,
            r#""Basic dTpw""#,
        ),
        (
            r#"{"url": "BASE/echo", "headers": {"X-Key": "t0psecret"}}"#,
            "{}",
            &["body", "headers", "x-key"],
            Succeeded,
            r#""********""#,
        ),
        (
            r#"{"url": "BASE/echo"}"#,
            "{}",
            &["body", "headers", "x-stanley-action"],
            Succeeded,
            r#""http""#,
        ),
        (
            r#"{"url": "BASE/echo"}"#,
            r#"{"file_name": "f", "file_content": "hello", "file_content_type": "text/x"}"#,
            body,
            Succeeded,
            "Content-Type: text/x\\r\\n\\r\\nhello\\r\\n--",
        ),
        (
            r#"{"url": "BASE/moved"}"#,
            "{}",
            &["status_code"],
            Failed,
            "302",
        ),
        (
            r#"{"url": "BASE/moved", "allow_redirects": true}"#,
            r#"{"body": "x"}"#,
            &["body", "target"],
            Succeeded,
            r#""/echo?moved""#,
        ),
        (
            r#"{"url": "BASE/echo", "url_hosts_blacklist": ["127.0.0.1"]}"#,
            "{}",
            &["error"],
            Failed,
            r#""URL \"BASE/echo\" is blacklisted""#,
        ),
        (
            r#"{"url": "BASE/echo", "url_hosts_whitelist": ["example.com"]}"#,
            "{}",
            &["error"],
            Failed,
            r#""URL \"BASE/echo\" is not whitelisted""#,
        ),
        (
            r#"{"url": "BASE/echo", "url_hosts_whitelist": ["a"], "url_hosts_blacklist": ["b"]}"#,
            "{}",
            &["error"],
            Failed,
            "mutually exclusive",
        ),
        (
            r#"{"url": "BASE/silent"}"#,
            r#"{"timeout": 0.2}"#,
            &["error"],
            TimedOut,
            r#""the request timed out after 0.2 seconds""#,
        ),
        (
            r#"{"url": "http://127.0.0.1:1/"}"#,
            "{}",
            &["error"],
            Failed,
            "the server could not be reached",
        ),
        (
            r#"{"url": "file:///etc/passwd"}"#,
            "{}",
            &["error"],
            Failed,
            "can't be asked",
        ),
        (r#"{"url": "no"}"#, "{}", &["error"], Failed, "is invalid"),
        (
            "{}",
            "{}",
            &["error"],
            Failed,
            r#""URL must be specified.""#,
        ),
    ] {
        let (got_ending, got) = ask(runner, action, path).await;
        assert!(got.contains(expected), "{runner} {action}: {got}");
        assert_eq!(got_ending, ending, "{runner} {action}");
    }
}
