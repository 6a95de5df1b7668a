//! A PostgreSQL server of one's own, for tests and benchmarks: in a temporary directory, on a Unix
//! socket, without a port, ended when it is dropped.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// Where Debian and others keep the server's programs.
const PLACES: [&str; 4] = [
    "/usr/lib/postgresql",
    "/usr/pgsql",
    "/usr/local/pgsql",
    "/opt/homebrew/opt/postgresql",
];

/// A server that runs for as long as this value lives.
#[derive(Debug)]
pub struct PrivateServer {
    directory: TempDir,
    server: Child,
    programs: PathBuf,
    databases: AtomicU64,
}

impl PrivateServer {
    /// Makes a cluster and starts its server. Blocks until it answers.
    ///
    /// # Errors
    ///
    /// An [`io::Error`] for people: what to install when the programs are missing, or what the
    /// program said that failed.
    pub fn start() -> io::Result<PrivateServer> {
        let programs = programs()?;
        let directory = tempfile::Builder::new().prefix("squall-pg").tempdir()?;
        let data = directory.path().join("data");
        std::fs::create_dir(&data)?;
        if is_root() {
            // The server refuses to run as root, and its user must reach the directory.
            run(Command::new("chown")
                .arg("-R")
                .arg("nobody")
                .arg(directory.path()))?;
        }
        run(unprivileged(&programs.join("initdb"))
            .args([
                "--auth=trust",
                "--username=squall",
                "--encoding=UTF8",
                "--no-sync",
            ])
            .args(["--locale=C", "--pgdata"])
            .arg(&data))?;
        let server = unprivileged(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(directory.path())
            .args(["-c", "listen_addresses=", "-c", "max_connections=400"])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(directory.path().join("log"))?)
            .spawn()?;
        let mut server = PrivateServer {
            directory,
            server,
            programs,
            databases: AtomicU64::new(0),
        };
        server.wait()?;
        Ok(server)
    }

    /// Makes an empty database; returns its URL.
    ///
    /// # Errors
    ///
    /// An [`io::Error`] with what `createdb` said.
    pub fn database(&self) -> io::Result<String> {
        let count = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("squall_{count}");
        run(Command::new(self.programs.join("createdb"))
            .args(["-U", "squall", "-h"])
            .arg(self.directory.path())
            .arg(&name))?;
        Ok(self.url(&name))
    }

    /// The URL of a database by name, whether it exists or not.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let socket = self
            .directory
            .path()
            .display()
            .to_string()
            .replace('/', "%2F");
        format!("postgres://squall@{socket}/{database}")
    }

    /// The number of the server's first process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.id()
    }

    fn wait(&mut self) -> io::Result<()> {
        for _ in 0..600 {
            let ready = Command::new(self.programs.join("pg_isready"))
                .args(["-q", "-h"])
                .arg(self.directory.path())
                .status()?;
            if ready.success() {
                return Ok(());
            }
            if self.server.try_wait()?.is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let log = std::fs::read_to_string(self.directory.path().join("log"));
        Err(io::Error::other(format!(
            "PostgreSQL does not start: {}",
            log.unwrap_or_default()
        )))
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        // SIGQUIT ends at once and takes the server's own processes along. By its number, and
        // through `kill`, since it may run as another user.
        let pid = self.server.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        let _ = self.server.wait();
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// A command that runs as an ordinary user.
fn unprivileged(program: &Path) -> Command {
    if is_root() {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"])
            .arg(program);
        command.current_dir("/");
        command
    } else {
        Command::new(program)
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output().map_err(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        io::Error::other(format!("{program} cannot be run: {error}"))
    })?;
    if output.status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "{} failed: {}",
            command.get_program().to_string_lossy(),
            String::from_utf8_lossy(&output.stderr)
        )))
    }
}

/// The directory of `initdb` and the others: the newest version that is installed.
fn programs() -> io::Result<PathBuf> {
    let mut found = Vec::new();
    for place in PLACES {
        let place = Path::new(place);
        let versions = std::fs::read_dir(place).into_iter().flatten().flatten();
        let mut candidates: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
        candidates.push(place.join("bin"));
        found.extend(
            candidates
                .into_iter()
                .filter(|bin| bin.join("initdb").exists()),
        );
    }
    let version = |bin: &PathBuf| {
        let name = bin
            .parent()
            .and_then(Path::file_name)
            .and_then(OsStr::to_str);
        name.and_then(|name| name.parse::<u32>().ok()).unwrap_or(0)
    };
    found.into_iter().max_by_key(version).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "PostgreSQL's server is not installed: run `apt-get install postgresql` (or \
             `dnf install postgresql-server`), then try again",
        )
    })
}
