//! A server that starts, dies and starts again, and the line by which clients reach it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, Either};
use parking_lot::Mutex;
use squall_engine::{Engine, EverybodyMay, NoTokens, Parts, Settings, Spawn, Vault};
use squall_env::{Env, FakeEnv};
use squall_expr::Expressions;
use squall_model::Timestamp;
use squall_runners::Registry;
use squall_store::{MemoryStore, Store};
use squall_value::Value;
use tokio::sync::oneshot;

use crate::chance::Chance;
use crate::executor::{Executor, Group, Spawner};
use crate::faulty::{FaultyStore, Rates};
use crate::ledger::Ledger;
use crate::runners::{Process, Quick};
use crate::trace::Trace;
use crate::{Options, Plant};

/// How often the simulated server looks through its store.
const WATCH: Duration = Duration::from_secs(10);

/// The line to the server that is up, if one is.
#[derive(Default)]
pub(crate) struct Line {
    up: Mutex<Option<(Arc<Engine>, Spawner)>>,
}

/// Everything outside the engine.
pub(crate) struct World {
    pub(crate) env: Arc<FakeEnv>,
    pub(crate) chance: Arc<Chance>,
    pub(crate) trace: Arc<Trace>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) memory: Arc<MemoryStore>,
    pub(crate) store: Arc<FaultyStore>,
    pub(crate) line: Line,
    /// Whether the server is to be started anew, because its start failed.
    pub(crate) failed_start: Arc<AtomicBool>,
    expressions: Arc<Expressions>,
    settings: Settings,
    starts: AtomicU64,
    plant: Plant,
}

impl World {
    pub(crate) fn new(seed: u64, options: &Options) -> World {
        let env = Arc::new(FakeEnv::new(seed));
        let chance = Arc::new(Chance::new(seed ^ 0x5157_4c4c));
        let trace = Arc::new(Trace::new(Arc::clone(&env), options.trace_lines));
        let memory = Arc::new(MemoryStore::new());
        let lost = options.plant == Plant::LostSignals;
        let rates = Rates {
            commit_fails: chance.below(30),
            answer_lost: if lost { 100 } else { chance.below(30) },
            read_fails: chance.below(20),
            slow: chance.below(300),
        };
        let ledger = Arc::new(Ledger::new(Arc::clone(&trace)));
        let store = Arc::new(FaultyStore {
            inner: Arc::clone(&memory),
            env: Arc::clone(&env),
            chance: Arc::clone(&chance),
            trace: Arc::clone(&trace),
            ledger: Arc::clone(&ledger),
            rates,
            plant: options.plant,
            faults: AtomicBool::new(false),
            injected: AtomicU64::new(0),
        });
        let settings = Settings {
            slots: chance.index(6) + 2,
            pieces_max: if chance.per_mille(500) { 3 } else { 2_000 },
            ..Settings::default()
        };
        World {
            ledger,
            env,
            chance,
            trace,
            memory,
            store,
            line: Line::default(),
            failed_start: Arc::default(),
            expressions: Arc::new(Expressions::default()),
            settings,
            starts: AtomicU64::new(0),
            plant: options.plant,
        }
    }

    pub(crate) fn group(&self) -> Group {
        Group::Server(self.starts.load(Ordering::SeqCst))
    }

    /// The engine that is up.
    pub(crate) fn engine(&self) -> Option<Arc<Engine>> {
        let up = self.line.up.lock();
        up.as_ref().map(|(engine, _)| Arc::clone(engine))
    }

    /// The server's process dies.
    pub(crate) fn crash(&self, executor: &mut Executor) {
        self.trace.add("the server dies");
        *self.line.up.lock() = None;
        executor.kill(self.group());
    }

    /// A new server starts on what the last one left.
    pub(crate) fn start(self: &Arc<World>, executor: &Executor) {
        let number = self.starts.fetch_add(1, Ordering::SeqCst) + 1;
        self.trace.add(format!("server {number} starts"));
        self.failed_start.store(false, Ordering::SeqCst);
        let spawner = executor.spawner(Group::Server(number));
        let world = Arc::clone(self);
        let own = spawner.clone();
        spawner.spawn(Box::pin(async move {
            if let Err(error) = world.serve(own).await {
                world.trace.add(format!("the start failed: {error}"));
                world.failed_start.store(true, Ordering::SeqCst);
            }
        }));
    }

    async fn serve(self: &Arc<World>, spawner: Spawner) -> Result<(), squall_store::Error> {
        self.ledger.end_all();
        let now = self.env.now();
        let until = now.checked_add(self.settings.lease).unwrap_or(now);
        let server = self.store.register_server("sim", "boot", until).await?;
        let mut runners = Registry::default();
        runners.add(Arc::new(Quick::new()));
        runners.add(Arc::new(Process {
            env: Arc::clone(&self.env),
            chance: Arc::clone(&self.chance),
            ledger: Arc::clone(&self.ledger),
            parameters: Value::empty_dict(),
        }));
        let env: Arc<dyn Env> = Arc::clone(&self.env) as Arc<dyn Env>;
        let engine = Engine::new(Parts {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            vault: Vault::new(&[1; 32], Arc::clone(&env)),
            env,
            spawn: Arc::new(spawner.clone()),
            runners: Arc::new(runners),
            expressions: Arc::clone(&self.expressions),
            crypto: None,
            tokens: Arc::new(NoTokens),
            rights: Arc::new(EverybodyMay),
            settings: self.settings.clone(),
            lease: server.lease,
        });
        engine.reload().await?;
        let recovered = engine.recover().await?;
        self.trace.add(format!("recovered: {recovered:?}"));
        if self.plant != Plant::LostSignals {
            spawner.spawn(Box::pin(Arc::clone(&engine).keep_time()));
        }
        spawner.spawn(Box::pin(Arc::clone(&engine).keep_watch(WATCH)));
        spawner.spawn(Box::pin(Arc::clone(&engine).keep_alive()));
        *self.line.up.lock() = Some((engine, spawner));
        Ok(())
    }

    /// Asks the server for something; `None` when the connection broke. The caller cannot know then
    /// whether it was done.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        ask: impl FnOnce(Arc<Engine>) -> BoxFuture<'static, T>,
    ) -> Option<T> {
        let (engine, spawner) = self.line.up.lock().clone()?;
        let (reply, answer) = oneshot::channel();
        let work = ask(engine);
        let is_impatient = self.store.faults.load(Ordering::SeqCst) && self.chance.per_mille(40);
        let patience = is_impatient.then(|| self.chance.between(0, 40));
        let env = Arc::clone(&self.env);
        spawner.spawn(Box::pin(async move {
            // A client that hangs up takes the handler with it, wherever that stands.
            let Some(patience) = patience else {
                let _ = reply.send(work.await);
                return;
            };
            let patience = env.sleep(Duration::from_millis(patience));
            futures::pin_mut!(patience);
            if let Either::Left((result, _)) = futures::future::select(work, patience).await {
                let _ = reply.send(result);
            }
        }));
        answer.await.ok()
    }

    pub(crate) async fn pause(&self, low_ms: u64, high_ms: u64) {
        let wait = self.chance.between(low_ms, high_ms);
        self.env.sleep(Duration::from_millis(wait)).await;
    }

    pub(crate) fn after(&self, wait: Duration) -> Timestamp {
        let now = self.env.now();
        now.checked_add(wait).unwrap_or(now)
    }
}
