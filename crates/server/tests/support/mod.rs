//! A server of a test's own, in a directory of its own.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use squall_value::{Value, json};
use tempfile::TempDir;

/// A running `squall serve`; dropping it ends it.
pub struct Server {
    running: Running,
    log: JoinHandle<()>,
    directory: TempDir,
    url: String,
    token: String,
    client: reqwest::Client,
}

/// A command of `squall`, as it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Server {
    /// Starts a server that has these files below `packs/`, beside the packs that ship.
    pub fn start(files: &[(&str, &str)]) -> Server {
        Server::start_with(files, &[])
    }

    /// As [`Server::start`], with more options.
    pub fn start_with(files: &[(&str, &str)], options: &[&str]) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let packs = directory.path().join("packs");
        std::fs::create_dir(&packs).unwrap();
        for (name, text) in files {
            let path = packs.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Server::on(directory, options)
    }

    /// Starts a server in a directory that has been used before, or that was prepared.
    fn on(directory: TempDir, options: &[&str]) -> Server {
        let data = directory.path().join("data");
        let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
        command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--durability",
                "process",
            ])
            .arg("--data")
            .arg(&data)
            .arg("--packs")
            .arg(directory.path().join("packs"))
            .args(options)
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map(|line| line.unwrap())
            .find_map(|line| {
                let rest = line.strip_prefix("squall is ready: ")?;
                Some(rest.split(' ').next().unwrap().to_owned())
            })
            .expect("the server starts");
        // What it prints later must not stop it.
        let mut log = std::fs::File::create(directory.path().join("log")).unwrap();
        let log = std::thread::spawn(move || {
            for line in lines {
                writeln!(log, "{}", line.unwrap()).unwrap();
            }
        });
        let _ = rustls::crypto::ring::default_provider().install_default();
        Server {
            running: Running(child),
            log,
            url,
            token: std::fs::read_to_string(data.join("local-token")).unwrap(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            directory,
        }
    }

    /// Stops the server and starts it again on the same data.
    pub fn restarted(self) -> Server {
        Server::on(self.stopped(), &[])
    }

    /// Stops the server and gives its directory, in which `log` is whole now.
    pub fn stopped(self) -> TempDir {
        drop(self.running);
        self.log.join().unwrap();
        self.directory
    }

    /// The directory of the test, which holds `data`, `packs` and `log`: what was logged since the
    /// server was ready.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}{path}", self.url));
        request.header("X-Auth-Token", self.token.trim())
    }

    /// Asks the API; an empty body is none.
    pub async fn send(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut request = self.request(method, &format!("/api/v1{path}"));
        if !body.is_empty() {
            request = request.header("Content-Type", "application/json");
            request = request.body(body.to_owned());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, json::read(&text).unwrap_or(Value::from(text)))
    }

    /// Asks for any path of the server, with one header in place of the test's own credential, and
    /// gives the text of the answer.
    pub async fn with_header(
        &self,
        (method, path): (&str, &str),
        (name, value): (&str, &str),
        body: &str,
    ) -> (u16, String) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}{path}", self.url));
        let request = request.header("Content-Type", "application/json");
        let request = request.header(name, value).body(body.to_owned());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Signs in by a password: the status, the answer, and the header that was sent.
    pub async fn sign_in(&self, user: &str, password: &str) -> (u16, Value, String) {
        let request = self.client.post(format!("{}/auth/v1/tokens", self.url));
        let request = request.basic_auth(user, Some(password)).build().unwrap();
        let header = request.headers()["authorization"].to_str().unwrap();
        let header = header.strip_prefix("Basic ").unwrap().to_owned();
        let answer = self.client.execute(request).await.unwrap();
        let status = answer.status().as_u16();
        let answer = json::read(&answer.text().await.unwrap()).unwrap();
        (status, answer, header)
    }

    /// Asks for any path of the server, and gives the text of the answer.
    pub async fn text(&self, path: &str) -> String {
        let answer = self.request("GET", path).send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// Asks for what must succeed.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, "").await;
        assert_eq!(status, 200, "{path}: {body:?}");
        body
    }

    /// Reads the stream until `is_last` holds for what was read, or the server closes it.
    pub async fn stream(&self, query: &str, is_last: impl Fn(&str) -> bool) -> String {
        let path = format!("/stream/v1/stream?{query}");
        let mut answer = self.request("GET", &path).send().await.unwrap();
        let mut text = String::new();
        while !is_last(&text) {
            match answer.chunk().await.unwrap() {
                Some(chunk) => text.push_str(&String::from_utf8_lossy(&chunk)),
                None => break,
            }
        }
        text
    }

    /// The execution, once it has ended.
    pub async fn ended(&self, id: &str) -> Value {
        let query = format!("end_execution_id={id}&end_event=st2.execution__update");
        self.stream(&query, |_| false).await;
        self.get(&format!("/executions/{id}")).await
    }

    /// Runs a command of `squall` against the server.
    pub fn squall(&self, arguments: &[&str]) -> Ran {
        self.squall_with(&[], arguments)
    }

    /// The same with more variables.
    pub fn squall_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_squall"))
            .current_dir(self.directory())
            .env("SQUALL_DATA", self.directory().join("data"))
            .envs(variables.iter().copied())
            .args(arguments)
            .output()
            .unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The server's process, which is told to end, and ends what runs below it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.0.wait();
    }
}

/// The text at a path of names.
#[track_caller]
pub fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    let found = value.get_path(path).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text at {path:?} of {value:?}"))
}
