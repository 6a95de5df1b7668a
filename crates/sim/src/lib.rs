//! The engine on a virtual clock and a faulty store, from one seed.
//!
//! A run makes a server out of the real engine, a store that fails and loses answers, and processes
//! that are entries in a ledger. Clients send events, ask for actions and meddle with them; the
//! server dies and starts again. Then everything is healed, the run goes on until nothing moves any
//! more, and what is found must be what the promises say. The same seed takes the same steps, so a
//! failure can be looked at as often as it takes.

mod chance;
mod check;
mod clients;
mod definitions;
mod executor;
mod faulty;
mod ledger;
mod runners;
mod trace;
mod workflows;
mod world;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use squall_engine::Spawn;
use squall_env::Env;
use squall_store::Store;

use executor::{Executor, Group};
use world::World;

/// A mistake made on purpose, to see whether the checks find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plant {
    /// None.
    #[default]
    Nothing,
    /// The store acknowledges what it never keeps. Must be found.
    Forget,
    /// The store keeps only half of a transaction. Must be found.
    Half,
    /// Signals are lost: nobody keeps the time, and every tenth commit is done without an answer.
    /// Must do no harm.
    LostSignals,
}

/// How a run is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// The mistake.
    pub plant: Plant,
    /// How many of the last steps a failure tells.
    pub trace_lines: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            plant: Plant::Nothing,
            trace_lines: 120,
        }
    }
}

/// A run that kept all promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// How many events were accepted.
    pub events: usize,
    /// How many executions there were.
    pub executions: usize,
    /// How many processes were started.
    pub processes: usize,
    /// How many times the server died.
    pub crashes: u64,
    /// How many calls of the store went wrong.
    pub faults: u64,
    /// How many steps were taken.
    pub steps: u64,
    /// The same for two runs only if they took the same steps.
    pub digest: u64,
}

/// A run that broke a promise.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// Which promises, and by what.
    pub problems: Vec<String>,
    /// The workflows that were in force.
    pub workflows: Vec<String>,
    /// The last steps.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, text) in self.workflows.iter().enumerate() {
            writeln!(f, "--- sim.wf{number}\n{text}")?;
        }
        writeln!(f, "--- the last {} steps", self.trace.len())?;
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "--- seed {}", self.seed)?;
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// How long things go wrong, at least and at most, in seconds.
const TROUBLE: (u64, u64) = (10, 60);
/// How long the server may take until nothing moves any more, once nothing goes wrong.
const HEALING: Duration = Duration::from_secs(60 * 60);
/// How many steps a run may take: far more than any needs that does not turn in circles.
const STEPS_MAX: u64 = 3_000_000;

/// Makes the run of a seed.
///
/// # Errors
///
/// [`Failure`] when a promise was broken.
pub fn simulate(seed: u64, options: &Options) -> Result<Report, Box<Failure>> {
    let world = Arc::new(World::new(seed, options));
    let executor = Executor::new(Arc::clone(&world.env), seed);
    let mut run = Run {
        world,
        executor,
        workflows: Vec::new(),
        crashes: 0,
    };
    match run.play() {
        Ok(report) => Ok(report),
        Err(problems) => Err(Box::new(Failure {
            seed,
            problems,
            workflows: run.workflows,
            trace: run.world.trace.lines(),
        })),
    }
}

struct Run {
    world: Arc<World>,
    executor: Executor,
    workflows: Vec<String>,
    crashes: u64,
}

impl Run {
    fn play(&mut self) -> Result<Report, Vec<String>> {
        let world = Arc::clone(&self.world);
        self.set_up()?;
        let told = Arc::new(clients::Told::default());
        let spawner = self.executor.spawner(Group::World);
        clients::start(&world, &spawner, &told);
        world.store.faults.store(true, Ordering::SeqCst);
        self.trouble();
        world.store.faults.store(false, Ordering::SeqCst);
        world.trace.add("from now on nothing goes wrong");
        self.heal(&told)?;
        let found = check::check(&world, &told, &self.workflows);
        let problems = found.problems;
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Report {
            events: found.events,
            executions: found.executions,
            processes: world.ledger.starts().len(),
            crashes: self.crashes,
            faults: world.store.injected.load(Ordering::SeqCst),
            steps: self.executor.steps,
            digest: world.trace.digest(),
        })
    }

    fn set_up(&mut self) -> Result<(), Vec<String>> {
        let world = Arc::clone(&self.world);
        world.start(&self.executor);
        let until = world.after(Duration::from_secs(1));
        self.executor
            .run(until, STEPS_MAX, || world.engine().is_some());
        let chance = Arc::clone(&world.chance);
        let (send, mut texts) = tokio::sync::oneshot::channel();
        let engine = world.engine().ok_or(vec!["no server came up".to_owned()])?;
        self.executor
            .spawner(world.group())
            .spawn(Box::pin(async move {
                let _ = send.send(definitions::register(&engine, &chance).await);
            }));
        self.executor
            .run(world.after(Duration::from_secs(1)), STEPS_MAX, || false);
        self.workflows = match texts.try_recv() {
            Ok(Ok(texts)) => texts,
            Ok(Err(error)) => return Err(vec![format!("the pack was refused: {error}")]),
            Err(error) => return Err(vec![format!("the pack was not registered: {error}")]),
        };
        Ok(())
    }

    /// Lets the server work and die, work and die.
    fn trouble(&mut self) {
        let world = Arc::clone(&self.world);
        let (low, high) = TROUBLE;
        let end = world.after(Duration::from_secs(world.chance.between(low, high)));
        let often = *world.chance.pick(&[500, 5_000, 20_000, 100_000]);
        while world.env.now() < end {
            let life = Duration::from_millis(world.chance.between(1, often));
            let until = world.after(life).min(end);
            self.executor.run(until, STEPS_MAX, || {
                world.failed_start.load(Ordering::SeqCst)
            });
            // Not only where time stands still.
            let more = world.chance.below(60);
            self.executor.run(end, more, || false);
            self.restart(world.chance.between(0, 3_000));
        }
    }

    fn restart(&mut self, pause_ms: u64) {
        let world = Arc::clone(&self.world);
        self.crashes += 1;
        world.crash(&mut self.executor);
        let until = world.after(Duration::from_millis(pause_ms));
        self.executor.run(until, STEPS_MAX, || false);
        world.start(&self.executor);
    }

    /// Runs until nothing moves any more.
    fn heal(&mut self, told: &Arc<clients::Told>) -> Result<(), Vec<String>> {
        const LOOK: Duration = Duration::from_secs(5);
        let world = Arc::clone(&self.world);
        if world.failed_start.load(Ordering::SeqCst) {
            self.restart(0);
        }
        let end = world.after(HEALING);
        loop {
            let calm = self.calm(LOOK)?;
            if calm && told.is_over() && self.is_done() {
                break;
            }
            if world.env.now() >= end {
                return Err(self.unfinished());
            }
            if told.is_over() {
                let resuming = clients::resume_all(Arc::clone(&world));
                let spawner = self.executor.spawner(Group::World);
                spawner.spawn(Box::pin(resuming));
            }
        }
        // Several looks of the slow period: nothing may come of them.
        self.calm(Duration::from_secs(45))?;
        let before = self.position();
        self.calm(Duration::from_secs(45))?;
        if self.position() != before {
            return Err(vec!["the store still changes when all is done".to_owned()]);
        }
        Ok(())
    }

    /// Runs for a while; an error when the engine turns in circles.
    fn calm(&mut self, time: Duration) -> Result<bool, Vec<String>> {
        let until = self.world.after(time);
        self.executor.run(until, STEPS_MAX, || false);
        if self.world.env.now() < until {
            let reason = format!("{STEPS_MAX} steps were taken without an end");
            return Err(vec![reason]);
        }
        Ok(true)
    }

    fn is_done(&self) -> bool {
        let memory = &self.world.memory;
        let unfinished = memory.unfinished(None, 1).now_or_never();
        let pending = memory.pending_trigger_instances(1).now_or_never();
        matches!((unfinished, pending), (Some(Ok(unfinished)), Some(Ok(pending)))
            if unfinished.is_empty() && pending.is_empty())
    }

    fn position(&self) -> Option<u64> {
        let bounds = self.world.memory.change_bounds().now_or_never()?;
        bounds.ok().map(|(_, last)| last)
    }

    fn unfinished(&self) -> Vec<String> {
        let mut problems = vec!["after an hour without faults something is left to do".to_owned()];
        problems.extend(check::describe_unfinished(&self.world));
        problems
    }
}
