//! A PostgreSQL server for a task: fresh, with its default settings, on a free port.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A database server that ends with this value.
#[derive(Debug)]
pub(crate) struct Postgres {
    programs: PathBuf,
    place: tempfile::TempDir,
    port: u16,
}

impl Postgres {
    /// Makes an empty database and starts it.
    ///
    /// # Errors
    ///
    /// When PostgreSQL isn't installed, or doesn't start.
    pub(crate) fn start() -> Result<Self> {
        let programs = programs()?;
        // Not below the task's own directory: another user has to reach it.
        let place = tempfile::Builder::new().prefix("squall-pg-").tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let database = Self {
            programs,
            place,
            port,
        };
        if is_root()? {
            let chown = Command::new("chown")
                .arg("postgres")
                .arg(database.place.path())
                .status();
            if !chown.context("cannot start chown")?.success() {
                bail!("there is no user `postgres` to run the database as");
            }
        }
        database.run(
            "initdb",
            &["-A", "trust", "-U", "squall", "--no-instructions"],
        )?;
        database.run_server()?;
        Ok(database)
    }

    fn run_server(&self) -> Result<()> {
        let port = self.port;
        let options =
            format!("-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''");
        let log = self.place.path().join("log");
        let log = log.to_string_lossy();
        self.run("pg_ctl", &["-w", "-o", &options, "-l", &log, "start"])
    }

    /// Ends all its processes at once, without a checkpoint, and starts it again: it has to recover
    /// from what it had synced.
    ///
    /// # Errors
    ///
    /// When it doesn't start again.
    pub(crate) fn crash(&self) -> Result<()> {
        self.run("pg_ctl", &["-w", "-m", "immediate", "stop"])?;
        self.run_server()
    }

    /// Where the empty database is reached.
    pub(crate) fn url(&self) -> String {
        format!("postgres://squall@127.0.0.1:{}/postgres", self.port)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let path = self.programs.join(program);
        let mut command = if is_root()? {
            // The database refuses to run as root.
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        let status = command
            .arg("-D")
            .arg(self.place.path().join("data"))
            .args(arguments)
            .current_dir("/")
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("cannot start {program}"))?;
        if !status.success() {
            bail!("{program} failed");
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The directory goes whether or not the server still answered.
        let _ = self.run("pg_ctl", &["-m", "immediate", "stop"]);
    }
}

/// Where the newest PostgreSQL has its programs.
fn programs() -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<PathBuf> = versions
        .map(|version| version.path().join("bin"))
        .filter(|programs| programs.join("initdb").exists())
        .collect();
    let version =
        |programs: &Path| -> Option<u32> { programs.parent()?.file_name()?.to_str()?.parse().ok() };
    found.sort_by_key(|programs| version(programs));
    found
        .pop()
        .context("PostgreSQL is not installed (apt-get install postgresql)")
}

fn is_root() -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    // The owner of /proc/self is who runs this program.
    Ok(std::fs::metadata("/proc/self")?.uid() == 0)
}
