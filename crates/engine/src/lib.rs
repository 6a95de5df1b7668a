//! The stages: the only place where logic meets ports.
//!
//! An event goes `ingest` -> `match_rules` -> `request` -> (`schedule`) -> `run` -> `complete` ->
//! `conduct` and `notify`, which make new requests and events. Every stage takes what waits for it,
//! lets a pure crate decide, commits the new states together with the next stage's work in one
//! transaction, and only then lets the consequences happen. Where nothing has to wait, one
//! transaction takes an item through several stages.
//!
//! Nothing here reads a clock, makes an id or starts a task by itself: [`squall_env::Env`] and
//! [`Spawn`] come in from outside, so that a simulation can own them.

mod catalog;
mod claims;
mod complete;
mod conduct;
mod config;
mod control;
mod datastore;
mod directory;
mod expire;
mod eyes;
mod follow;
mod gates;
mod held;
mod ingest;
mod inquiry;
mod inspect;
mod job;
mod match_rules;
mod metrics;
mod notify;
mod output;
mod plan;
mod recover;
mod register;
mod report;
mod request;
mod retry;
mod rights;
mod rotate;
mod run;
mod schedule;
mod settings;
mod slots;
pub mod sources;
mod spawn;
mod vault;
mod wake;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use squall_env::Env;
use squall_expr::Expressions;
use squall_model::{ExecutionId, Lease, Payload};
use squall_runners::Registry;
use squall_store::{Command, CommitError, Store, Transaction, audit};
use squall_value::{Str, Value};

pub use catalog::{Action, Catalog, Nature, Trigger, TriggerType, is_workflow, runner_setting};
pub use conduct::{ControlError, HeldTask};
pub use config::ConfigError;
pub use control::Error as ControlFailure;
pub use datastore::Datastore;
pub use directory::{PackReport, RegisterError};
pub use eyes::Eyes;
pub use gates::QueuePlace;
pub use held::Held;
pub use ingest::{Error as IngestError, Incoming, Receipt};
pub use inquiry::RespondError;
pub use metrics::Metrics;
pub use recover::Recovered;
pub use register::{Change, PutError, Registered, action_body};
pub use report::ReportError;
pub use request::{Ask, Error as RequestError, Templates, Writer};
pub use rights::{EverybodyMay, PUBLISHER, Rights};
pub use rotate::{KeyKeeper, RotateError};
pub use settings::{Retention, Settings};
pub use spawn::{Spawn, TokioSpawn, Work};
pub use squall_workflow::{Decision, Joins};
pub use vault::{Vault, mask_sealed};

/// Makes the token with which an action may call the API on its asker's behalf.
pub trait Tokens: fmt::Debug + Send + Sync {
    /// A token for an execution; `None` when there is no API to call.
    fn token(&self, user: &str, execution: ExecutionId) -> Option<String>;
}

/// No tokens: the engine alone, without an API.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTokens;

impl Tokens for NoTokens {
    fn token(&self, _user: &str, _execution: ExecutionId) -> Option<String> {
        None
    }
}

/// What an engine is made of.
pub struct Parts {
    /// Durable state.
    pub store: Arc<dyn Store>,
    /// Time, ids and chance.
    pub env: Arc<dyn Env>,
    /// How work is set going.
    pub spawn: Arc<dyn Spawn>,
    /// The runners of this server.
    pub runners: Arc<Registry>,
    /// The languages.
    pub expressions: Arc<Expressions>,
    /// Seals and opens the datastore's secrets, if there is a key.
    pub crypto: Option<squall_expr::crypto::Key>,
    /// Seals secret parameters.
    pub vault: Vault,
    /// Tokens for actions.
    pub tokens: Arc<dyn Tokens>,
    /// Who may run what.
    pub rights: Arc<dyn Rights>,
    /// What the operator set.
    pub settings: Settings,
    /// This server's entry in the store.
    pub lease: Lease,
}

/// The engine of one server.
pub struct Engine {
    store: Arc<dyn Store>,
    env: Arc<dyn Env>,
    spawn: Arc<dyn Spawn>,
    runners: Arc<Registry>,
    expressions: Arc<Expressions>,
    datastore: Datastore,
    vault: Vault,
    tokens: Arc<dyn Tokens>,
    rights: Arc<dyn Rights>,
    settings: Settings,
    lease: Lease,
    catalog: ArcSwap<Catalog>,
    definitions: Mutex<HashMap<Str, Arc<Action>>>,
    slots: slots::Slots,
    gates: gates::Gates,
    wakes: wake::Wakes,
    claims: Arc<claims::Claims>,
    running: Mutex<HashMap<ExecutionId, Arc<run::Running>>>,
    /// Executions whose end is on its way into the store.
    ending: Mutex<HashSet<ExecutionId>>,
    workflows: conduct::Workflows,
    registering: tokio::sync::Mutex<()>,
    /// Counts the times that definitions changed.
    changes: tokio::sync::watch::Sender<u64>,
    sources: sources::Board,
    metrics: Metrics,
    stopping: AtomicBool,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine over a store. It does nothing until it is asked; call [`Engine::reload`] to read
    /// the definitions and [`Engine::recover`] to take up what earlier servers left.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Engine> {
        Arc::new(Engine {
            datastore: Datastore::new(Arc::clone(&parts.env), parts.crypto),
            slots: slots::Slots::new(parts.settings.slots),
            store: parts.store,
            env: parts.env,
            spawn: parts.spawn,
            runners: parts.runners,
            expressions: parts.expressions,
            vault: parts.vault,
            tokens: parts.tokens,
            rights: parts.rights,
            settings: parts.settings,
            lease: parts.lease,
            catalog: ArcSwap::default(),
            definitions: Mutex::default(),
            gates: gates::Gates::default(),
            wakes: wake::Wakes::default(),
            claims: Arc::default(),
            running: Mutex::default(),
            ending: Mutex::default(),
            workflows: conduct::Workflows::default(),
            registering: tokio::sync::Mutex::default(),
            changes: tokio::sync::watch::Sender::default(),
            sources: sources::Board::default(),
            metrics: Metrics::default(),
            stopping: AtomicBool::new(false),
        })
    }

    /// The definitions in force.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// Changes whenever the catalogue or a sensor's definition does.
    #[must_use]
    pub fn definition_changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How the event sources of this server are, by key.
    #[must_use]
    pub fn source_states(&self) -> Vec<sources::SourceState> {
        self.sources.states()
    }

    /// Ends a sensor's process, if it has one, and starts it anew at once, with a clean slate of
    /// failures.
    ///
    /// # Errors
    ///
    /// [`sources::RestartError`] when this server does not run it.
    pub fn restart_sensor(&self, reference: &str) -> Result<(), sources::RestartError> {
        self.sources.restart_sensor(reference)?;
        self.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Durable state, for reading.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Time, ids and chance.
    #[must_use]
    pub fn env(&self) -> &Arc<dyn Env> {
        &self.env
    }

    /// The runners of this server.
    #[must_use]
    pub fn runners(&self) -> &Arc<Registry> {
        &self.runners
    }

    /// The languages.
    #[must_use]
    pub fn expressions(&self) -> &Arc<Expressions> {
        &self.expressions
    }

    /// Where an execution that has not started waits on this server; empty when it does not, or
    /// only for its time to come.
    #[must_use]
    pub fn places(&self, id: ExecutionId) -> Vec<QueuePlace> {
        let mut places = self.gates.places(id);
        places.extend(self.slots.place(id).map(|place| QueuePlace {
            gate: Str::from("slots"),
            place,
            running: self.slots.taken(),
        }));
        places
    }

    /// The datastore as expressions see it.
    #[must_use]
    pub fn datastore(&self) -> &Datastore {
        &self.datastore
    }

    /// What the operator set.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Seals and opens secrets.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The number of this start.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.lease
    }

    /// What happened since the start.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// How many executions have a process here, and how many wait for a slot.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        (self.running.lock().len(), self.slots.queued())
    }

    /// Takes no new work from now on.
    pub fn stop_intake(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether the intake has been stopped.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Ends every process of this server: at its orderly stop, after the grace time. Returns how
    /// many there were.
    pub fn cancel_processes(&self) -> usize {
        let running: Vec<_> = self.running.lock().values().cloned().collect();
        for running in &running {
            running.cancel.cancel();
        }
        running.len()
    }

    /// Commits commands that have no consequences.
    pub(crate) async fn commit(&self, commands: Vec<Command>) -> Result<(), CommitError> {
        if commands.is_empty() {
            return Ok(());
        }
        let tally = metrics::Tally::of(&commands);
        let began = self.env.now();
        let transaction = Transaction::new(began, commands);
        let done = audit::commit(&*self.store, transaction).await.map(drop);
        let took = self.env.now().duration_since(began).unsigned_abs();
        self.metrics.record(&tally, took, done.as_ref().copied());
        done
    }
}

/// A result as the store keeps it.
pub(crate) fn payload(result: &Value) -> Payload {
    Payload {
        json: Arc::from(result.to_json()),
    }
}
