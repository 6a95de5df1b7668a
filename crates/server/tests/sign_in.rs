//! Signing in by a password file, and by a proxy that is trusted.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside their functions"
)]

mod serving;

use serving::Server;
use squall_value::{Value, json};

/// `myPassword` by SHA-1, for its quickness.
const HASH: &str = "{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=";

/// Asks for a token: the status, and the body as data.
async fn sign_in(
    server: &Server,
    password: Option<(&str, &str)>,
    headers: &[(&'static str, &str)],
) -> (u16, Value) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.post(format!("{}/auth/v1/tokens", server.url));
    if let Some((user, password)) = password {
        request = request.basic_auth(user, Some(password));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, json::read(&answer.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn names_of_a_password_file_sign_in_beside_those_of_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("htpasswd");
    std::fs::write(&file, format!("ann:{HASH}\nadmin:{HASH}\n")).unwrap();
    let server = Server::start_in(directory, &["--auth-htpasswd", "htpasswd"]);
    let check = async |user, password, expect| {
        let (status, body) = sign_in(&server, Some((user, password)), &[]).await;
        assert_eq!(status, expect, "{user}: {body:?}");
        body
    };
    let token = check("ann", "myPassword", 201).await;
    assert_eq!(token.get("user"), Some(&Value::from("ann")));
    check("ann", "another", 401).await;
    check("bob", "myPassword", 401).await;
    // The store has a password for this name, so the file does not count.
    check("admin", "myPassword", 401).await;

    // Who signed in is a user, whose password can't be set here to outlive the file's line.
    let users = server.squall(&["user", "list"]);
    assert!(users.contains("ann"), "{users}");
    let text = token.get("token").and_then(Value::as_str).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = r#"{"password": "mine", "old_password": "myPassword"}"#;
    let request = client.put(format!("{}/api/v1/users/ann", server.url));
    let request = request.header("x-auth-token", text).body(body);
    let request = request.header("content-type", "application/json");
    assert_eq!(request.send().await.unwrap().status(), 409);

    // The file has changed.
    std::fs::write(&file, format!("# nobody else\nbob:{HASH}\n")).unwrap();
    check("ann", "myPassword", 401).await;
    check("bob", "myPassword", 201).await;
    for _ in 0..10 {
        check("bob", "another", 401).await;
    }
    check("bob", "myPassword", 429).await;
    std::fs::remove_file(&file).unwrap();
    check("carol", "myPassword", 503).await;
}

#[tokio::test]
async fn a_trusted_proxy_says_who_signs_in() {
    let options = ["--auth-mode", "proxy", "--trusted-proxy"];
    let trusting = Server::start(&[&options[..], &["127.0.0.1"]].concat());
    let doubting = Server::start(&[&options[..], &["192.0.2.0/24"]].concat());
    let standalone = Server::start(&["--trusted-proxy", "127.0.0.1"]);
    let ann = &[("x-forwarded-user", "ann")][..];
    for (server, headers, expect) in [
        (&trusting, ann, 201),
        (&trusting, &[("remote-user", "ann")], 201),
        (&trusting, &[], 401),
        (&trusting, &[("x-forwarded-user", "")], 401),
        (&trusting, &[("x-forwarded-user", "a/b")], 401),
        (
            &trusting,
            &[("x-forwarded-user", "eve"), ("x-forwarded-user", "ann")],
            401,
        ),
        (&doubting, ann, 401),
        (&standalone, ann, 401),
    ] {
        let (status, body) = sign_in(server, None, headers).await;
        assert_eq!(status, expect, "{headers:?}: {body:?}");
        if status == 201 {
            assert_eq!(body.get("user"), Some(&Value::from("ann")));
        }
    }
    // No password opens what a proxy guards.
    let (status, _) = sign_in(&trusting, Some(("admin", "any")), &[]).await;
    assert_eq!(status, 401);
}

#[test]
fn what_cannot_be_used_is_said_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    for (options, expect) in [
        (
            "--auth-mode proxy",
            "--auth-mode proxy needs --trusted-proxy",
        ),
        (
            "--auth-htpasswd nowhere",
            "cannot use the password file nowhere: No such file",
        ),
        ("--trusted-proxy home", "10.0.0.0/8 is expected"),
        (
            "--public-url squall.example.com",
            "https://squall.example.com is expected",
        ),
    ] {
        serving::check_refused(directory.path(), options, expect);
    }
}
