//! A real server for tests: started as people start it, stopped by its pid.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use squall_value::{Value, json};

/// A server with these options, parted by blanks, does not start in `directory`, and says why.
#[track_caller]
pub fn check_refused(directory: &Path, options: &str, expect: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_squall"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data", "data"])
        .args(options.split(' '))
        .current_dir(directory)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{options}");
    assert!(told.contains(expect), "{options}: {told}");
}

/// A server with a data directory of its own.
pub struct Server {
    process: Child,
    pub url: String,
    /// Holds the data directory, and whatever a test puts there.
    pub data: tempfile::TempDir,
}

impl Server {
    /// A server that is ready, started with more options.
    pub fn start(options: &[&str]) -> Server {
        Server::start_in(tempfile::tempdir().unwrap(), options)
    }

    /// As [`Server::start`], in a directory in which something lies already.
    pub fn start_in(data: tempfile::TempDir, options: &[&str]) -> Server {
        let mut process = Command::new(env!("CARGO_BIN_EXE_squall"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path().join("data"))
            .args(options)
            .current_dir(data.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut lines = lines.map(Result::unwrap);
        let ready = lines.find_map(|line| {
            let rest = line.strip_prefix("squall is ready: ")?;
            rest.split(' ').next().map(str::to_owned)
        });
        let url = ready.expect("the server says when it is ready");
        // What it says later is of no interest, but must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Server { process, url, data }
    }

    /// What a command that works prints.
    pub fn squall(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {out}{err}");
        out
    }

    /// How a command exits, and what it prints and tells.
    pub fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_squall"))
            .arg("--data")
            .arg(self.data.path().join("data"))
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// What a command that works prints, as data.
    pub fn json(&self, arguments: &[&str]) -> Value {
        json::read(&self.squall(&[arguments, &["--json"]].concat())).unwrap()
    }
}

impl Server {
    /// The most memory that the server ever had at once, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB").trim();
        kib.parse::<u64>().unwrap() << 10
    }

    /// A request with the token of the data directory; the status and the body of the answer.
    pub fn request(&self, method: &str, path: &str, body: &[u8]) -> (u16, String) {
        let token = std::fs::read_to_string(self.data.path().join("data/local-token")).unwrap();
        let address = self.url.strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nx-auth-token: {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        // A server that refuses a body need not read it to its end.
        let _ = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let body = answer
            .split_once("\r\n\r\n")
            .map(|(_, body)| body.to_owned());
        (status.unwrap_or(0), body.unwrap_or_default())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.process.wait().unwrap();
    }
}
