//! Event sources: timers, sensor processes and native sources, each singleton work under a lease.
//!
//! [`run`] follows the definitions: whatever rules wait for that a source can make, and every
//! enabled sensor, has a source; each source is run by whichever server holds its lease. What a
//! source sees goes through the ingest stage together with its position, and only while the lease
//! is held, so that a server that was taken for dead adds nothing.
//!
//! A source that no rule asks for any more forgets where it stood: one that is asked for anew
//! begins anew.

mod hold;
mod native;
mod port;
mod sensors;
mod state;
mod timers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use squall_sensors::sensor::Limits;
use squall_sensors::timer::Misfire;
use squall_value::{Str, Value, dict};
use tokio::sync::{oneshot, watch};

use crate::Engine;
use hold::{StopSignal, Work};

pub(crate) use state::Board;
pub use state::{RestartError, SourceKind, SourcePhase, SourceState};

/// How often the definitions are looked at without a signal: other servers may change them.
const PERIOD: Duration = Duration::from_secs(30);

/// What sources need on this machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A directory for what can be made again: mirrors of repositories, the host of sensors.
    pub cache: PathBuf,
    /// The git program, by its absolute path; without it repositories are not watched.
    pub git: Option<PathBuf>,
    /// What git may need to log in, such as `GIT_SSH_COMMAND`.
    pub git_environment: Vec<(String, String)>,
    /// The Python for sensors of packs that have no virtual environment.
    pub python: PathBuf,
    /// The virtual environment with the libraries that stand behind those of every pack; it need
    /// not be there.
    pub shared_environment: Option<PathBuf>,
    /// What the environment of sensors has beyond the server's, such as `ST2_API_URL`.
    pub sensor_environment: Vec<(String, String)>,
    /// Bounds on sensors.
    pub sensor_limits: Limits,
    /// The time zone of timers that name none.
    pub time_zone: TimeZone,
    /// What happens to times that timers missed.
    pub misfire: Misfire,
}

impl Settings {
    /// The defaults: git and Python by the `PATH` of this process, times in UTC.
    #[must_use]
    pub fn new(cache: impl Into<PathBuf>) -> Settings {
        Settings {
            cache: cache.into(),
            git: program("git"),
            git_environment: Vec::new(),
            python: program("python3").unwrap_or_else(|| PathBuf::from("/usr/bin/python3")),
            shared_environment: None,
            sensor_environment: Vec::new(),
            sensor_limits: Limits::default(),
            time_zone: TimeZone::UTC,
            misfire: Misfire::default(),
        }
    }
}

/// The absolute path of a program by the `PATH` of this process.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_absolute() && candidate.is_file())
}

/// Runs the event sources until `stop` becomes true or its sender is gone; then ends them in an
/// orderly way, sensors included, gives their leases up, and returns. To be called once for each
/// engine, after [`Engine::reload`].
pub async fn run(engine: Arc<Engine>, settings: Settings, stop: watch::Receiver<bool>) {
    let mut changes = engine.definition_changes();
    let mut stop = StopSignal(stop);
    let mut keeper = Keeper {
        engine,
        settings: Arc::new(settings),
        running: BTreeMap::new(),
    };
    loop {
        changes.mark_unchanged();
        keeper.keep_in_step().await;
        tokio::select! {
            () = stop.stopped() => break,
            changed = changes.changed() => {
                if changed.is_err() {
                    break;
                }
            }
            () = keeper.engine.env.sleep(PERIOD) => {}
        }
    }
    let all = keeper.running.keys().cloned().collect();
    keeper.end(all).await;
}

/// A source that there should be.
struct Wanted {
    kind: SourceKind,
    subject: Str,
    /// A source whose definition has another one is replaced.
    fingerprint: Value,
    make: Make,
}

/// What the work of a source is made from.
enum Make {
    Timers,
    Sensor(Box<sensors::Definition>),
    Native(Arc<crate::Trigger>),
}

/// A source that has been started: it works, or waits for its lease.
struct Running {
    fingerprint: Value,
    stop: watch::Sender<bool>,
    done: oneshot::Receiver<()>,
    /// Whether its position means something to nobody but its trigger.
    is_native: bool,
}

struct Keeper {
    engine: Arc<Engine>,
    settings: Arc<Settings>,
    running: BTreeMap<Str, Running>,
}

impl Keeper {
    /// Starts what is wanted and does not run, and ends what runs and is not wanted.
    async fn keep_in_step(&mut self) {
        let wanted = match self.wanted().await {
            Ok(wanted) => wanted,
            Err(error) => {
                tracing::warn!(%error, "the sensors could not be listed; the sources stay as they are");
                return;
            }
        };
        let is_over = |key: &Str, running: &Running| {
            let found = wanted.get(key);
            found.is_none_or(|wanted| wanted.fingerprint != running.fingerprint)
        };
        let over = self
            .running
            .iter()
            .filter(|(key, running)| is_over(key, running))
            .map(|(key, _)| key.clone())
            .collect();
        let forgotten = self.end(over).await;
        for key in forgotten.iter().filter(|key| !wanted.contains_key(*key)) {
            if let Err(error) = self.engine.forget_position(key).await {
                tracing::warn!(source = &**key, %error, "the position of a source was not forgotten");
            }
        }
        for (key, wanted) in wanted {
            if !self.running.contains_key(&key) {
                self.start(key, wanted);
            }
        }
    }

    async fn wanted(&self) -> Result<BTreeMap<Str, Wanted>, squall_store::Error> {
        let mut wanted = BTreeMap::new();
        let catalog = self.engine.catalog();
        for trigger in catalog.triggers() {
            if timers::is_timer(&trigger.kind) {
                if !catalog.rules.listens(&trigger.reference.text()) {
                    continue;
                }
                wanted.entry(Str::from("timers")).or_insert_with(|| Wanted {
                    kind: SourceKind::Timers,
                    subject: Str::from("all timers"),
                    fingerprint: Value::Null,
                    make: Make::Timers,
                });
            } else if let Some(kind) = native::kind_of(&trigger.kind) {
                let subject = trigger.reference.text();
                // A rule that is not in force must not make the server reach out to anything.
                if !catalog.rules.listens(&subject) {
                    continue;
                }
                let key = Str::from(format!("{}:{subject}", kind.as_str()));
                let source = Wanted {
                    kind,
                    subject,
                    fingerprint: Value::Null,
                    make: Make::Native(Arc::clone(trigger)),
                };
                wanted.insert(key, source);
            }
        }
        for definition in sensors::definitions(&self.engine, &catalog).await? {
            let key = Str::from(format!("sensor:{}", definition.reference));
            let source = Wanted {
                kind: SourceKind::Sensor,
                subject: definition.reference.clone(),
                fingerprint: dict! {
                    "definition" => definition.fingerprint(),
                    "generation" => self.engine.sources.generation(&key),
                },
                make: Make::Sensor(Box::new(definition)),
            };
            wanted.insert(key, source);
        }
        Ok(wanted)
    }

    fn start(&mut self, key: Str, wanted: Wanted) {
        let engine = Arc::clone(&self.engine);
        engine.sources.enter(&key, wanted.kind, &wanted.subject);
        let settings = Arc::clone(&self.settings);
        let is_native = matches!(wanted.make, Make::Native(_));
        let work: Arc<dyn Work> = match wanted.make {
            Make::Timers => Arc::new(timers::Timers {
                engine: Arc::clone(&engine),
                settings,
            }),
            Make::Sensor(definition) => Arc::new(sensors::Sensor {
                engine: Arc::clone(&engine),
                settings,
                key: key.clone(),
                definition: *definition,
            }),
            Make::Native(trigger) => Arc::new(native::Native {
                engine: Arc::clone(&engine),
                settings,
                key: key.clone(),
                trigger,
            }),
        };
        let (stop, stopped) = watch::channel(false);
        let (tell, done) = oneshot::channel();
        let spawn = Arc::clone(&engine.spawn);
        let name = key.clone();
        spawn.spawn(Box::pin(async move {
            hold::hold(engine, name, work, StopSignal(stopped)).await;
            // Nobody waits when the keeper was dropped.
            let _ = tell.send(());
        }));
        let running = Running {
            fingerprint: wanted.fingerprint,
            stop,
            done,
            is_native,
        };
        self.running.insert(key, running);
    }

    /// Ends sources, all at the same time; returns those with a position of their own.
    async fn end(&mut self, keys: Vec<Str>) -> Vec<Str> {
        let ending: Vec<_> = keys
            .into_iter()
            .filter_map(|key| self.running.remove_entry(&key))
            .collect();
        for (_, running) in &ending {
            running.stop.send_replace(true);
        }
        let mut native = Vec::new();
        for (key, running) in ending {
            // An error says that the source is gone, which is all that is asked for.
            let _ = running.done.await;
            self.engine.sources.leave(&key);
            native.extend(running.is_native.then_some(key));
        }
        native
    }
}

/// The text of an error and of all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
