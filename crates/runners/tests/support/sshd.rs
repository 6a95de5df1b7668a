//! A real `sshd` on a free port, with a host key and a user key of its own.

#![allow(dead_code)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use squall_runners::SshSettings;

const SSHD: &str = "/usr/sbin/sshd";

pub(crate) struct Sshd {
    child: Child,
    pub(crate) port: u16,
    pub(crate) dir: tempfile::TempDir,
    log: Arc<Mutex<String>>,
}

impl Sshd {
    pub(crate) fn start() -> Sshd {
        Sshd::with("")
    }

    /// Starts one with further lines in its configuration.
    pub(crate) fn with(config: &str) -> Sshd {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for name in ["host_key", "other_host_key", "user_key"] {
            make_key(&dir.path().join(name), "");
        }
        let public = fs::read(dir.path().join("user_key.pub")).expect("a key");
        fs::write(dir.path().join("authorized_keys"), public).expect("a file");
        // Where root's sshd separates privileges; a fresh machine does not have it yet. Nobody else
        // can make it, and nobody else needs it.
        let _ = fs::create_dir_all("/run/sshd");
        // Another process may take the port before sshd does.
        for _ in 0..20 {
            if let Some((child, port, log)) = try_start(dir.path(), config) {
                return Sshd {
                    child,
                    port,
                    dir,
                    log,
                };
            }
        }
        panic!("sshd did not start");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The settings of one who signs in with the user key and knows the host key.
    pub(crate) fn settings(&self, settings: &mut SshSettings) {
        let known = self.path("known_hosts");
        let key = fs::read_to_string(self.path("host_key.pub")).expect("a key");
        fs::write(&known, format!("* {key}")).expect("a file");
        settings.known_hosts = vec![known];
        settings.host_keys = squall_runners::HostKeys::Strict;
        settings.key_file = Some(self.path("user_key"));
        settings.agent = None;
    }

    /// How many have signed in.
    pub(crate) fn sign_ins(&self) -> usize {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.matches("Accepted publickey").count()
    }

    /// `hosts` with its port at each.
    pub(crate) fn hosts(&self, hosts: &[&str]) -> String {
        let hosts = hosts.iter().map(|host| format!("{host}:{}", self.port));
        hosts.collect::<Vec<_>>().join(",")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn make_key(path: &Path, passphrase: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", passphrase, "-f"])
        .arg(path)
        .status();
    assert!(made.expect("ssh-keygen is installed").success());
}

type Started = (Child, u16, Arc<Mutex<String>>);

fn try_start(dir: &Path, config: &str) -> Option<Started> {
    let free = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let shown = dir.display();
    // What the login shell of whoever runs the tests does at its start is no matter of ours.
    let text = format!(
        "{config}\nSetEnv HOME={shown}\nListenAddress 0.0.0.0:{port}\nHostKey {shown}/host_key\nPidFile none\n\
         AuthorizedKeysFile {shown}/authorized_keys\nStrictModes no\nUsePAM no\n\
         PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PubkeyAuthentication yes\nUseDNS no\nLogLevel VERBOSE\nMaxStartups 1000\n\
         Subsystem sftp internal-sftp\n"
    );
    let path = dir.join("sshd_config");
    fs::write(&path, text).expect("a file");
    let mut child = Command::new(SSHD)
        .args(["-D", "-e", "-f"])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{SSHD}: {error}; install openssh-server"));
    let log = Arc::new(Mutex::new(String::new()));
    let mut said = String::new();
    let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
    for line in lines.by_ref().map_while(Result::ok) {
        if line.contains("Server listening on") {
            let kept = Arc::clone(&log);
            std::thread::spawn(move || {
                for line in lines.map_while(Result::ok) {
                    let mut log = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    log.push_str(&line);
                    log.push('\n');
                }
            });
            return Some((child, port, log));
        }
        said.push_str(&line);
        said.push('\n');
    }
    let _ = child.kill();
    let _ = child.wait();
    assert!(said.contains("in use"), "sshd does not start: {said}");
    None
}
