//! TLS: with the server's own certificate and with one from files; what is wrong is said at the
//! start.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, outside their functions"
)]

mod serving;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serving::Server;

/// A client that believes nobody but who has the certificate in this file.
fn client(authority: &Path) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pem = std::fs::read(authority).unwrap();
    let authority = reqwest::Certificate::from_pem(&pem).unwrap();
    let builder = reqwest::Client::builder().no_proxy();
    builder.tls_certs_only([authority]).build().unwrap()
}

/// The session cookie of a request with the token of the data directory.
async fn cookie(server: &Server, client: &reqwest::Client, url: &str) -> String {
    let token = std::fs::read_to_string(server.data.path().join("data/local-token")).unwrap();
    let request = client.get(format!("{url}/api/v1/user"));
    let answer = request.header("x-auth-token", token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    cookie.to_owned()
}

#[tokio::test]
async fn a_server_speaks_tls_with_a_certificate_of_its_own() {
    let server = Server::start(&["--tls-self-signed", "--listen-auth", "127.0.0.1:0"]);
    assert!(
        server.url.starts_with("https://127.0.0.1:"),
        "{}",
        server.url
    );
    let authority = server.data.path().join("data/tls/cert.pem");
    let client = client(&authority);
    assert!(
        cookie(&server, &client, &server.url)
            .await
            .contains("; secure;")
    );

    // Commands of this machine need no certificate, nor do actions.
    let local = std::fs::read_to_string(server.data.path().join("data/address")).unwrap();
    assert!(local.starts_with("http://127.0.0.1:"), "{local}");
    assert!(!cookie(&server, &client, &local).await.contains("secure"));
    let echo = server.squall(&["run", "core.local", "cmd=echo $ST2_ACTION_API_URL"]);
    assert!(echo.contains(&format!("{local}/api/v1")), "{echo}");

    // Others do.
    let authority = authority.to_str().unwrap();
    let ask = |more: &[&str]| server.run(&[&["whoami", "--server", &server.url], more].concat());
    let (code, _, told) = ask(&[]);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("--cacert FILE or SQUALL_CACERT"), "{told}");
    for trust in [&["--cacert", authority][..], &["--insecure"]] {
        let (code, out, told) = ask(trust);
        assert_eq!(code, Some(0), "{told}");
        assert!(out.contains("admin"), "{out}");
    }
    let (code, _, told) = ask(&["--cacert", "/dev/null"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("there is no certificate in it"), "{told}");
    let plain = server.url.replace("https:", "http:");
    let (code, _, told) = server.run(&["whoami", "--server", &plain]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("the address begins with https"), "{told}");
    let encrypted = local.replace("http:", "https:");
    let (code, _, told) = server.run(&["whoami", "--server", &encrypted, "--insecure"]);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("it does not speak TLS"), "{told}");
}

#[tokio::test]
async fn a_proxy_that_is_trusted_tells_of_encryption() {
    let trusting = Server::start(&["--trusted-proxy", "127.0.0.0/8"]);
    let doubting = Server::start(&[]);
    let never = Server::start(&["--trusted-proxy", "127.0.0.1", "--secure-cookies", "never"]);
    let _ = rustls::crypto::ring::default_provider().install_default();
    for (server, expect) in [(&trusting, true), (&doubting, false), (&never, false)] {
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        let client = reqwest::Client::builder().default_headers(headers);
        let client = client.no_proxy().build().unwrap();
        let cookie = cookie(server, &client, &server.url).await;
        assert_eq!(cookie.contains("; secure;"), expect, "{cookie}");
    }
}

/// A certificate and its key, as PEM; it ends in this year.
fn pair(end: i32) -> (String, String) {
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(end, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn certificates_that_cannot_be_used_are_explained() {
    let directory = tempfile::tempdir().unwrap();
    let (good, key) = pair(4000);
    let (expired, expired_key) = pair(2020);
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let broken = good.replace("MII", "M*I");
    for (name, text) in [
        ("good.pem", &*good),
        ("good.key", &*key),
        ("expired.pem", &*expired),
        ("expired.key", &*expired_key),
        ("encrypted.key", &*encrypted),
        ("broken.pem", &*broken),
        ("words", "nothing of use"),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    for (options, expect) in [
        ("--tls-cert good.pem", "--tls-cert needs --tls-key"),
        ("--tls-key good.key", "--tls-key needs --tls-cert"),
        (
            "--tls-cert good.pem --tls-key good.key --tls-self-signed",
            "exclude each other",
        ),
        (
            "--tls-cert none.pem --tls-key good.key",
            "cannot read the certificate in none.pem: No such file",
        ),
        (
            "--tls-cert good.pem --tls-key none.key",
            "cannot read the private key in none.key: No such file",
        ),
        (
            "--tls-cert good.pem --tls-key expired.key",
            "the private key in expired.key is not that of the certificate in good.pem",
        ),
        (
            "--tls-cert expired.pem --tls-key expired.key",
            "the certificate in expired.pem has expired at 2020-01-01T00:00:00Z: renew it",
        ),
        (
            "--tls-cert good.pem --tls-key encrypted.key",
            "the private key in encrypted.key is encrypted",
        ),
        (
            "--tls-cert words --tls-key good.key",
            "there is no certificate in words",
        ),
        (
            "--tls-cert good.pem --tls-key words",
            "there is no private key in words",
        ),
        (
            "--tls-cert broken.pem --tls-key good.key",
            "the certificate in broken.pem is broken",
        ),
    ] {
        serving::check_refused(directory.path(), options, expect);
    }
}

#[tokio::test]
async fn files_that_are_right_are_used() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = pair(4000);
    let path = directory.path().join("both.pem");
    // One file may hold both.
    std::fs::write(&path, key + &certificate).unwrap();
    let server = Server::start_in(
        directory,
        &["--tls-cert", "both.pem", "--tls-key", "both.pem"],
    );
    let port = server.url.rsplit(':').next().unwrap();
    let url = format!("https://localhost:{port}/health");
    let answer = client(&path).get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// A connection, over which `ask` asks one thing after the other.
struct Talk(TcpStream);

impl Talk {
    fn ask(&mut self) {
        self.0
            .write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
            .unwrap();
    }

    fn answer(&mut self) -> String {
        let mut bytes = [0; 2048];
        let length = self.0.read(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }
}

#[test]
fn more_connections_than_may_be_open_wait_for_their_turn() {
    let server = Server::start(&["--max-connections", "1"]);
    let address = server.url.strip_prefix("http://").unwrap();
    let connect = || Talk(TcpStream::connect(address).unwrap());
    let mut first = connect();
    first.ask();
    assert!(first.answer().starts_with("HTTP/1.1 200"));
    let mut second = connect();
    second.ask();
    first.ask();
    assert!(first.answer().starts_with("HTTP/1.1 200"));
    second.0.set_nonblocking(true).unwrap();
    let waiting = second.0.peek(&mut [0]).unwrap_err();
    assert_eq!(waiting.kind(), std::io::ErrorKind::WouldBlock);
    second.0.set_nonblocking(false).unwrap();
    drop(first);
    assert!(second.answer().starts_with("HTTP/1.1 200"));
}
