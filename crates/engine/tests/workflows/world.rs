//! A server whose steps are the test's: work is polled one piece at a time, in order, and time
//! stands still until it is moved.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{Either, select};
use squall_engine::{
    Ask, Change, Engine, EverybodyMay, NoTokens, Parts, Settings, Spawn, Vault, Work, action_body,
};
use squall_env::{Env, FakeEnv};
use squall_expr::Expressions;
use squall_model::{DocumentKind, Execution, ExecutionId, Status, Timestamp};
use squall_runners::{CancelSignal, Host, Job, Outcome, OutputSink, Registry, Runner};
use squall_store::{ExecutionFilter, MemoryStore, Page, Store};
use squall_value::{Str, Value, json};

/// Says that a piece of work can go on.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Flag>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Work that waits to be polled, in order.
#[derive(Default)]
pub(crate) struct Steps(Mutex<Vec<(Arc<Flag>, Work)>>);

impl std::fmt::Debug for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Steps")
    }
}

impl Spawn for Steps {
    fn spawn(&self, work: Work) {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        self.0.lock().unwrap().push((flag, work));
    }
}

fn poll<F: Future + ?Sized>(flag: &Arc<Flag>, work: Pin<&mut F>) -> Poll<F::Output> {
    flag.0.store(false, Ordering::SeqCst);
    work.poll(&mut Context::from_waker(&Waker::from(Arc::clone(flag))))
}

impl Steps {
    /// Polls the first piece of work that can go on; `false` when none can.
    pub(crate) fn step(&self) -> bool {
        let next = {
            let mut all = self.0.lock().unwrap();
            let at = all
                .iter()
                .position(|(flag, _)| flag.0.load(Ordering::SeqCst));
            at.map(|at| all.remove(at))
        };
        let Some((flag, mut work)) = next else {
            return false;
        };
        if poll(&flag, work.as_mut()).is_pending() {
            self.0.lock().unwrap().push((flag, work));
        }
        true
    }

    pub(crate) fn settle(&self) {
        let steps = (0..2_000_000).take_while(|_| self.step()).count();
        assert!(steps < 2_000_000, "the work never ends");
    }

    /// Takes steps until `work` is done.
    pub(crate) fn drive<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        loop {
            if flag.0.load(Ordering::SeqCst)
                && let Poll::Ready(done) = poll(&flag, work.as_mut())
            {
                return done;
            }
            let can_go_on = self.step() || flag.0.load(Ordering::SeqCst);
            assert!(can_go_on, "nothing can go on");
        }
    }
}

pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) env: Arc<FakeEnv>,
    pub(crate) steps: Arc<Steps>,
    /// How many processes are alive.
    pub(crate) alive: Arc<AtomicUsize>,
    _run_dir: tempfile::TempDir,
}

/// Stands for a process: takes seconds, of which it has too few if it is `late`, and stops at once
/// when it is asked to.
struct Slow {
    parameters: Value,
    env: Arc<FakeEnv>,
    alive: Arc<AtomicUsize>,
}

/// A process that is alive, until it ends or is killed with its server.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Runner for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    fn parameters(&self) -> &Value {
        &self.parameters
    }

    async fn run(&self, job: Job, _output: OutputSink, cancel: CancelSignal) -> Outcome {
        self.alive.fetch_add(1, Ordering::SeqCst);
        let _alive = Alive(Arc::clone(&self.alive));
        let ended = self.env.sleep(Duration::from_secs(2));
        let canceled = cancel.canceled();
        futures::pin_mut!(ended, canceled);
        let outcome = match select(ended, canceled).await {
            Either::Left(_) if job.action_parameters.get("late").is_some() => {
                squall_model::Outcome::TimedOut
            }
            Either::Left(_) => squall_model::Outcome::Succeeded,
            Either::Right(_) => squall_model::Outcome::Canceled,
        };
        Outcome::ended(outcome, Value::Null)
    }
}

impl World {
    /// A server on a store; the first of its tasks keeps time.
    pub(crate) fn on(store: Arc<dyn Store>, env: Arc<FakeEnv>) -> World {
        let steps = Arc::new(Steps::default());
        let run_dir = tempfile::tempdir().unwrap();
        let settings = squall_runners::Settings::new("test", run_dir.path());
        let host = Host::new(settings, Arc::clone(&env) as Arc<dyn Env>).unwrap();
        let alive = Arc::new(AtomicUsize::new(0));
        let mut runners = Registry::new(&host);
        runners.add(Arc::new(Slow {
            parameters: Value::empty_dict(),
            env: Arc::clone(&env),
            alive: Arc::clone(&alive),
        }));
        let server = steps.drive(store.register_server("test", "boot", Timestamp::MAX));
        let engine = Engine::new(Parts {
            store: Arc::clone(&store),
            vault: Vault::new(&[1; 32], Arc::clone(&env) as Arc<dyn Env>),
            env: Arc::clone(&env) as Arc<dyn Env>,
            spawn: Arc::clone(&steps) as Arc<dyn Spawn>,
            runners: Arc::new(runners),
            expressions: Arc::new(Expressions::default()),
            crypto: None,
            tokens: Arc::new(NoTokens),
            rights: Arc::new(EverybodyMay),
            // One process at a time, so that others wait for it.
            settings: Settings {
                slots: 1,
                ..Settings::default()
            },
            lease: server.unwrap().lease,
        });
        steps.drive(engine.reload()).unwrap();
        steps.spawn(Box::pin(Arc::clone(&engine).keep_time()));
        World {
            engine,
            store,
            env,
            steps,
            alive,
            _run_dir: run_dir,
        }
    }

    pub(crate) fn new(workflows: &[(&str, String)]) -> World {
        let world = World::on(Arc::new(MemoryStore::new()), Arc::new(FakeEnv::new(1)));
        let put = |key: &str, body: &str, text: Option<Str>| {
            let body = json::read(body).unwrap();
            let change = Change::Put {
                kind: DocumentKind::Action,
                key: key.into(),
                pack: key.split('.').next().map(Str::from),
                body: action_body(body.as_dict().unwrap(), text.as_ref()),
                expires: None,
                new: true,
            };
            world
                .steps
                .drive(world.engine.change(vec![change]))
                .unwrap();
        };
        put(
            "core.noop",
            r#"{"name":"noop","runner_type":"noop","parameters":{}}"#,
            None,
        );
        // The runner checks the parameter, so a value that is none fails the execution.
        put(
            "core.strict",
            r#"{"name":"strict","runner_type":"noop","parameters":{"n":{"type":"integer"}}}"#,
            None,
        );
        put(
            "core.late",
            r#"{"name":"late","runner_type":"slow","parameters":{"late":{"default":true}},"retry_on_worker_loss":true}"#,
            None,
        );
        put(
            "core.slow",
            r#"{"name":"slow","runner_type":"slow","parameters":{},"retry_on_worker_loss":true}"#,
            None,
        );
        for (key, text) in workflows {
            let name = key.split('.').nth(1).unwrap();
            let runner = match text.trim_start().starts_with("chain:") {
                true => "action-chain",
                false => "orquesta",
            };
            let body = format!(
                r#"{{"name":"{name}","runner_type":"{runner}","entry_point":"{name}.yaml",
                    "parameters":{{"n":{{}}}}}}"#
            );
            put(key, &body, Some(Str::from(text.as_str())));
        }
        world
    }

    /// The server is gone, whatever it was about to do; another one starts.
    pub(crate) fn restarted(self) -> World {
        let World { store, env, .. } = self;
        let world = World::on(store, env);
        world.steps.drive(world.engine.recover()).unwrap();
        world
    }

    pub(crate) fn ask(&self, action: &str, parameters: Value) -> ExecutionId {
        let mut ask = Ask::new(action, "ann");
        ask.parameters = parameters.as_dict().cloned().unwrap_or_default();
        self.steps.drive(self.engine.request(ask)).unwrap().id()
    }

    pub(crate) fn run(&self, action: &str) -> ExecutionId {
        let id = self.ask(action, Value::empty_dict());
        self.steps.settle();
        id
    }

    pub(crate) fn execution(&self, id: ExecutionId) -> Arc<Execution> {
        self.steps.drive(self.store.execution(id)).unwrap().unwrap()
    }

    pub(crate) fn status(&self, id: ExecutionId) -> Status {
        self.execution(id).state().status()
    }

    pub(crate) fn children(&self, id: ExecutionId) -> Vec<Arc<Execution>> {
        self.steps.drive(self.store.children(id)).unwrap()
    }

    pub(crate) fn result(&self, id: ExecutionId) -> String {
        let result = self.steps.drive(self.store.result(id)).unwrap();
        result.map_or_else(String::new, |payload| payload.json.to_string())
    }

    pub(crate) fn all(&self) -> Vec<Arc<Execution>> {
        let filter = ExecutionFilter::default();
        self.steps
            .drive(self.store.executions(&filter, Page::ALL))
            .unwrap()
            .items
    }

    pub(crate) fn unfinished(&self) -> Vec<String> {
        let all = self.all().into_iter();
        all.filter(|execution| !execution.state().is_ended())
            .map(|execution| format!("{} {:?}", execution.request.action, execution.state()))
            .collect()
    }
}
