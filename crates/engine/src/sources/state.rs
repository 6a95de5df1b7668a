//! How the sources are, for people to see.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use squall_model::Timestamp;
use squall_sensors::sensor::{Handle, Phase};
use squall_value::Str;

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// All timers together.
    Timers,
    /// A sensor in a process of its own.
    Sensor,
    /// A repository whose branches are watched.
    Git,
    /// Keys in etcd.
    Etcd,
    /// A watched directory.
    Directory,
    /// Files whose lines are read.
    File,
}

impl SourceKind {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SourceKind::Timers => "timers",
            SourceKind::Sensor => "sensor",
            SourceKind::Git => "git",
            SourceKind::Etcd => "etcd",
            SourceKind::Directory => "directory",
            SourceKind::File => "file",
        }
    }
}

/// What a source does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourcePhase {
    /// Another server runs it, or the store does not say who may.
    Elsewhere,
    /// It is being started.
    Starting,
    /// It runs here.
    Running,
    /// It failed and is tried again.
    BackingOff,
    /// It failed too often, or cannot run as it is defined, and stays down.
    Failed,
    /// It ended by itself.
    Finished,
}

impl SourcePhase {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SourcePhase::Elsewhere => "elsewhere",
            SourcePhase::Starting => "starting",
            SourcePhase::Running => "running",
            SourcePhase::BackingOff => "backing_off",
            SourcePhase::Failed => "failed",
            SourcePhase::Finished => "finished",
        }
    }
}

/// How a source is, on this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    /// Its name: its lease is `source:<key>`.
    pub key: Str,
    /// What it is.
    pub kind: SourceKind,
    /// The sensor or trigger that it stands for; for the timers their number.
    pub subject: Str,
    /// What it does.
    pub phase: SourcePhase,
    /// How often it was tried again after a failure.
    pub restarts: u64,
    /// Why it failed last; kept while it runs again.
    pub last_error: Option<Str>,
    /// When a sensor that failed is started again, while it waits for that.
    pub next_start: Option<Timestamp>,
    /// The process of a sensor, while there is one.
    pub pid: Option<u32>,
}

/// Why a sensor was not started anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestartError {
    /// Nothing of this name has a process to start: it is unknown, or disabled.
    #[error("no such sensor is enabled on this server")]
    Unknown,
    /// Its lease is another server's.
    #[error("another server runs the sensor, or it is about to start here: ask that one, or again")]
    Elsewhere,
}

/// The states of all sources of a server.
#[derive(Debug, Default)]
pub(crate) struct Board {
    entries: Mutex<BTreeMap<Str, Entry>>,
    /// How often people asked for each sensor to be started anew.
    generations: Mutex<BTreeMap<Str, i64>>,
}

#[derive(Debug)]
struct Entry {
    state: SourceState,
    /// Knows better than `state`, while the source runs here.
    sensor: Option<Handle>,
}

impl Board {
    /// Makes a source known.
    pub(super) fn enter(&self, key: &Str, kind: SourceKind, subject: &Str) {
        let state = SourceState {
            key: key.clone(),
            kind,
            subject: subject.clone(),
            phase: SourcePhase::Elsewhere,
            restarts: 0,
            last_error: None,
            next_start: None,
            pid: None,
        };
        let entry = Entry {
            state,
            sensor: None,
        };
        self.entries.lock().insert(key.clone(), entry);
    }

    /// Forgets a source.
    pub(super) fn leave(&self, key: &str) {
        self.entries.lock().remove(key);
    }

    /// Changes what is known; does nothing when the source is not.
    pub(super) fn change(&self, key: &str, change: impl FnOnce(&mut SourceState)) {
        if let Some(entry) = self.entries.lock().get_mut(key) {
            change(&mut entry.state);
        }
    }

    /// Says who knows how a sensor is, or that nobody does any more.
    pub(super) fn set_sensor(&self, key: &str, handle: Option<Handle>) {
        if let Some(entry) = self.entries.lock().get_mut(key) {
            if let (Some(former), None) = (&entry.sensor, &handle) {
                overlay(&mut entry.state, former);
                entry.state.pid = None;
            }
            entry.sensor = handle;
        }
    }

    /// Notes that a sensor is to be started anew; whoever keeps the sources in step does it.
    pub(crate) fn restart_sensor(&self, reference: &str) -> Result<(), RestartError> {
        let states = self.states();
        let state = states
            .iter()
            .find(|state| state.kind == SourceKind::Sensor && &*state.subject == reference)
            .ok_or(RestartError::Unknown)?;
        if state.phase == SourcePhase::Elsewhere {
            return Err(RestartError::Elsewhere);
        }
        *self
            .generations
            .lock()
            .entry(state.key.clone())
            .or_default() += 1;
        Ok(())
    }

    /// How often the source was asked to start anew.
    pub(super) fn generation(&self, key: &str) -> i64 {
        self.generations.lock().get(key).copied().unwrap_or(0)
    }

    /// All states, by key.
    pub(crate) fn states(&self) -> Vec<SourceState> {
        let entries = self.entries.lock();
        let state = |entry: &Entry| {
            let mut state = entry.state.clone();
            if let Some(handle) = &entry.sensor {
                overlay(&mut state, handle);
            }
            state
        };
        entries.values().map(state).collect()
    }
}

fn overlay(state: &mut SourceState, handle: &Handle) {
    let sensor = handle.state();
    state.phase = match sensor.phase {
        Phase::Starting => SourcePhase::Starting,
        Phase::Running => SourcePhase::Running,
        Phase::BackingOff { .. } => SourcePhase::BackingOff,
        Phase::Failed => SourcePhase::Failed,
        Phase::Finished => SourcePhase::Finished,
        Phase::Stopped => SourcePhase::Elsewhere,
    };
    state.next_start = match sensor.phase {
        Phase::BackingOff { until } => Some(until),
        _ => None,
    };
    state.restarts = sensor.restarts;
    state.last_error = sensor.last_error;
    state.pid = sensor.pid;
}
