//! Sensors in processes of their own: started, heard, restarted, ended.
//!
//! Each sensor has one process, which talks to the server in lines of JSON over a socket that is
//! its standard input when it starts. One request is answered before the next is read, so a sensor
//! that reports more than the server can store waits, and the server's memory stays bounded.

mod conversation;
mod lines;
mod notice;
mod process;
mod protocol;
mod service;
mod tree;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use squall_env::Env;
use squall_value::{Str, Value};

use crate::event::{Datastore, Sink};

pub use protocol::Level;
pub use service::{Handle, Service, sensor};

/// Which sensor to run, and with what.
#[derive(Debug, Clone)]
pub struct SensorSpec {
    /// `pack.Class`: names the sensor in logs.
    pub reference: Str,
    /// The pack it belongs to; part of the names of its own datastore items.
    pub pack: Str,
    /// The class in the entry point.
    pub class_name: Str,
    /// The Python file. Its directory is the first place that imports are looked for in.
    pub entry_point: PathBuf,
    /// Who speaks for the sensor.
    pub protocol: Protocol,
    /// The interpreter, that of the pack's virtual environment.
    pub interpreter: PathBuf,
    /// The unpacked Python files, which hold the host.
    pub host: PathBuf,
    /// More directories for imports, behind those of the pack's environment: shared libraries.
    pub python_path: Vec<PathBuf>,
    /// The pack's configuration, a dictionary.
    pub config: Value,
    /// The pause between two polls; `None` leaves it to the class.
    pub poll_interval_seconds: Option<u64>,
    /// The triggers of its types that exist now, each a dictionary as the API shows it.
    pub triggers: Vec<Value>,
    /// What its environment has beyond the server's: `ST2_API_URL`, `ST2_AUTH_TOKEN`, the pack's
    /// `PATH`. Variables of the server that begin with `SQUALL_` are not passed on.
    pub environment: Vec<(String, String)>,
    /// The working directory; `None` is the root directory.
    pub working_directory: Option<PathBuf>,
    /// The least serious messages that it sends to the log.
    pub log_level: Level,
}

/// Who speaks the lines of JSON with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// The host for Python, which loads the class from the entry point.
    #[default]
    Python,
    /// The entry point itself, a program in any language: it reads its standard input and writes
    /// its standard output. Lines that are no objects go to the log.
    Stdio,
}

/// Takes the lines that sensors log.
pub trait Log: Send + Sync {
    /// One line of `sensor`; `logger` is the name within it, `stdout` or `stderr`.
    fn line(&self, sensor: &str, level: Level, logger: &str, message: &str);
}

/// Sends the lines of sensors to the server's own log, with the sensor's name.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServerLog;

impl Log for ServerLog {
    fn line(&self, sensor: &str, level: Level, logger: &str, message: &str) {
        match level {
            Level::Debug => tracing::debug!(sensor, logger, "{message}"),
            Level::Info => tracing::info!(sensor, logger, "{message}"),
            Level::Warning => tracing::warn!(sensor, logger, "{message}"),
            Level::Error => tracing::error!(sensor, logger, "{message}"),
        }
    }
}

/// Is told when processes of a sensor come and go. A sensor starts, and starts again, only after
/// it has answered.
#[async_trait]
pub trait Witness: Send + Sync {
    /// A process was started, by this command line.
    async fn spawned(&self, pid: u32, command: String);

    /// The process has ended: with its exit status, or the number of the signal that ended it,
    /// negative, as Python counts.
    async fn exited(&self, status: Option<i32>);
}

/// What a sensor is connected to.
#[derive(Clone)]
pub struct Ports {
    /// Time and chance.
    pub env: Arc<dyn Env>,
    /// Where events go.
    pub sink: Arc<dyn Sink>,
    /// The datastore.
    pub datastore: Arc<dyn Datastore>,
    /// Where its log goes.
    pub log: Arc<dyn Log>,
    /// Who is told about its processes.
    pub witness: Arc<dyn Witness>,
}

/// Bounds on a sensor.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest message, and so the largest payload, in bytes of JSON.
    pub message_bytes_max: usize,
    /// The pause before the first restart; each further one in a row is twice as long.
    pub backoff: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
    /// After so many failures in a row the sensor is given up until it is started anew.
    pub failures_max: u32,
    /// A sensor that ran this long has not failed in a row.
    pub stable_after: Duration,
    /// After so long in the pack's `setup` or `poll`, or the import of its file, a sensor is said to
    /// hang perhaps.
    pub overdue_after: Duration,
    /// So many events within [`Limits::flood_within`] are a flood, which is told.
    pub flood_events: u32,
    /// See [`Limits::flood_events`].
    pub flood_within: Duration,
    /// How long a sensor that was told to stop may take.
    pub stop_grace: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message_bytes_max: 4 << 20,
            backoff: Duration::from_millis(2_500),
            backoff_max: Duration::from_secs(300),
            failures_max: 10,
            stable_after: Duration::from_secs(60),
            overdue_after: Duration::from_secs(60),
            // A loop that waits for nothing comes to some hundreds in a second, as each event is
            // stored before the next; what watches something seldom has so many for long.
            flood_events: 2_000,
            flood_within: Duration::from_secs(10),
            stop_grace: Duration::from_secs(5),
        }
    }
}

impl Limits {
    /// The pause after so many failures in a row, at least one.
    #[must_use]
    pub fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.backoff
            .saturating_mul(1 << doublings)
            .min(self.backoff_max)
    }
}

/// How a sensor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SensorState {
    /// What it does.
    pub phase: Phase,
    /// How often it was started again after a failure.
    pub restarts: u64,
    /// Why it failed last; kept while it runs again.
    pub last_error: Option<Str>,
    /// Its process, while there is one.
    pub pid: Option<u32>,
}

/// What a sensor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its process is being started, imports the pack's code or sets up.
    Starting,
    /// It runs.
    Running,
    /// It failed and is started again at this time.
    BackingOff {
        /// When.
        until: Timestamp,
    },
    /// It failed too often, for `last_error`, and stays down.
    Failed,
    /// It ended by itself, without an error.
    Finished,
    /// It was stopped, or another node runs it now.
    Stopped,
}
