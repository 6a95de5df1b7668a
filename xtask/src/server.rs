//! A real server, started for a task and ended with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::clock::Stopwatch;
use crate::command;
use crate::http::Client;

/// How long a start may take before it counts as a hang, in seconds.
const START_MAX: f64 = 300.0;

/// How often is looked whether the server is ready.
const LOOK_PERIOD: Duration = Duration::from_millis(5);

/// Builds the server's binary and returns its path.
///
/// # Errors
///
/// When it can't be built.
pub(crate) fn build(root: &Path, release: bool) -> Result<PathBuf> {
    build_with(root, release, &[])
}

/// Builds the server's binary with these features and returns its path. The next build without them
/// replaces it.
///
/// # Errors
///
/// When it can't be built.
pub(crate) fn build_with(root: &Path, release: bool, features: &[&str]) -> Result<PathBuf> {
    let mut cargo = command::cargo_command(root);
    cargo.args(["build", "--quiet", "-p", "squall-server"]);
    if !features.is_empty() {
        cargo.args(["--features", &features.join(",")]);
    }
    if release {
        cargo.arg("--release");
    }
    let status = cargo.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("the server can't be built");
    }
    let profile = if release { "release" } else { "debug" };
    let target = command::target_directory(root);
    Ok(target.join(profile).join("squall"))
}

/// How a server is started.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// The binary.
    pub(crate) binary: PathBuf,
    /// Where it keeps its state.
    pub(crate) data: PathBuf,
    /// More packs.
    pub(crate) packs: Option<PathBuf>,
    /// More arguments.
    pub(crate) arguments: Vec<String>,
    /// More variables.
    pub(crate) variables: Vec<(String, String)>,
    /// Where its log goes; appended to.
    pub(crate) log: PathBuf,
}

/// A user for a task, whose password is the name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person {
    /// The name.
    pub(crate) name: &'static str,
    /// `NAME:NAME` in base64, as HTTP's basic credentials are.
    pub(crate) credentials: &'static str,
}

/// A server that runs. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: String,
    token: String,
    /// How long it took until it was ready, in seconds.
    pub(crate) ready_seconds: f64,
}

impl Server {
    /// Starts a server and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it can't be started, ends by itself, or isn't ready in time.
    pub(crate) fn start(setup: &Setup) -> Result<Self> {
        let address_file = setup.data.with_extension("address");
        let _ = fs::remove_file(&address_file);
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&setup.log)?;
        let mut command = Command::new(&setup.binary);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn"])
            .arg("--data")
            .arg(&setup.data)
            .arg("--address-file")
            .arg(&address_file)
            .args(&setup.arguments)
            .envs(setup.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if let Some(packs) = &setup.packs {
            command.arg("--packs").arg(packs);
        }
        let watch = Stopwatch::start();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", setup.binary.display()))?;
        let mut server = Self {
            child,
            address: String::new(),
            token: String::new(),
            ready_seconds: 0.0,
        };
        server.wait_until_ready(setup, &address_file, watch)?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, setup: &Setup, file: &Path, watch: Stopwatch) -> Result<()> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(&setup.log).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                bail!("the server ended by itself ({status}); its last words: {last:?}");
            }
            let text = fs::read_to_string(file).unwrap_or_default();
            if let Some(address) = text.strip_prefix("http://")
                && !address.is_empty()
            {
                self.ready_seconds = watch.seconds();
                self.address = address.trim().to_owned();
                let token = setup.data.join("local-token");
                self.token = fs::read_to_string(&token)
                    .with_context(|| format!("cannot read {}", token.display()))?;
                if self.client().get("/ready").is_ok() {
                    return Ok(());
                }
            }
            if watch.seconds() > START_MAX {
                bail!("the server was not ready after {START_MAX} s");
            }
            std::thread::sleep(LOOK_PERIOD);
        }
    }

    /// A client with all rights.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.address, self.token.trim())
    }

    /// A client with somebody's rights.
    pub(crate) fn client_with(&self, token: &str) -> Client {
        Client::new(&self.address, token)
    }

    /// Makes a user, who has the roles that were assigned to the name; returns a token.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub(crate) fn sign_up(&self, person: &Person) -> Result<String> {
        let name = person.name;
        let mut client = self.client();
        let user = json!({ "name": name, "password": name });
        let made = client.post("/api/v1/users", &[], &user)?;
        if !made.is_success() {
            bail!("the user {name} cannot be made: {}", made.json()?);
        }
        let credentials = format!("Basic {}", person.credentials);
        let header = [("Authorization", &*credentials)];
        let given = client.post("/auth/v1/tokens", &header, &json!({}))?;
        let given = given.json()?;
        if given["user"] != name {
            bail!("the token is not that of {name}: {given}");
        }
        let token = given["token"].as_str();
        let token = token.with_context(|| format!("{name} gets no token"))?;
        Ok(token.to_owned())
    }

    /// What another thread needs for a client of its own.
    pub(crate) fn address_and_token(&self) -> (String, String) {
        (self.address.clone(), self.token.trim().to_owned())
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the server's process, and nothing that it has started.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the server to stop and waits until it has.
    ///
    /// # Errors
    ///
    /// When it can't be asked, or does not stop in time.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let status = Command::new("kill")
            .args(["-TERM", &self.pid().to_string()])
            .status()
            .context("cannot start kill")?;
        if !status.success() {
            bail!("the server can't be asked to stop");
        }
        let watch = Stopwatch::start();
        while self.child.try_wait()?.is_none() {
            if watch.seconds() > START_MAX {
                bail!("the server did not stop within {START_MAX} s after SIGTERM");
            }
            std::thread::sleep(LOOK_PERIOD);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.kill();
    }
}
