//! `cargo xtask crash`: kills a real server at random moments and checks what it had promised.
//!
//! Load comes from a seed: events with an `Idempotency-Key`, executions, cancels. After each restart
//! what is new or had not ended, and at the end everything that the server knows, is held against
//! what it had acknowledged. The machine
//! decides which request the kill hits, so a seed gives the same load, not the same run.

mod check;
mod ledger;
mod load;
mod power;
mod processes;
mod random;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::clock::Stopwatch;
use crate::postgres::Postgres;
use crate::server::{self, Server, Setup};
use check::Records;
use load::Load;
use power::Power;
use processes::Process;
use random::Random;

/// How many threads send.
const THREADS: u64 = 3;

/// How long a server may live before it is killed, in milliseconds.
const LIFE: std::ops::Range<u64> = 20..1000;

/// How long it may take until nothing is under way any more, in seconds.
const QUIET_MAX: f64 = 120.0;

/// The same with a bug planted, when nothing else was found until then.
const QUIET_MAX_PLANTED: f64 = 15.0;

/// How often is looked whether it is quiet.
const QUIET_PERIOD: Duration = Duration::from_millis(200);

/// How many violations are printed.
const SHOWN_MAX: usize = 20;

/// What is built into the server on purpose, to see that the test finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Planted {
    /// The store does not wait for the disk.
    DurabilityNone,
    /// A process starts before the commit that says so.
    StartBeforeCommit,
    /// What no signal tells of is forgotten.
    SignalAsTruth,
}

impl Planted {
    /// The arguments that plant it.
    fn arguments(self) -> Vec<String> {
        let words = match self {
            Self::DurabilityNone => ["--durability", "none"],
            Self::StartBeforeCommit => ["--planted", "start-before-commit"],
            Self::SignalAsTruth => ["--planted", "signal-as-truth"],
        };
        words.map(str::to_owned).to_vec()
    }

    /// Whether only a build with the feature `planted` holds it.
    fn needs_feature(self) -> bool {
        self != Self::DurabilityNone
    }
}

/// What the test does.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// How often the server is killed.
    #[arg(long, default_value_t = 10)]
    pub(crate) kills: u64,
    /// Decides the load and when the server is killed.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// With each kill, the files of the store lose what was not synced to the disk.
    #[arg(long)]
    pub(crate) power_cut: bool,
    /// Keep the state in a PostgreSQL that the test starts for itself. With `--power-cut`, it
    /// crashes with each kill and has to recover.
    #[arg(long)]
    pub(crate) postgres: bool,
    /// Plants a bug that the test has to find.
    #[arg(long)]
    pub(crate) planted: Option<Planted>,
    /// Use the release build of the server.
    #[arg(long)]
    pub(crate) release: bool,
    /// Test this server instead of building one.
    #[arg(long)]
    pub(crate) binary: Option<PathBuf>,
    /// Keep the directory with the data and the server's log, and say where it is.
    #[arg(long)]
    pub(crate) keep: bool,
}

impl Options {
    /// A run of some kills with the default build of the server.
    pub(crate) fn short(kills: u64) -> Self {
        Self {
            kills,
            seed: 1,
            power_cut: false,
            postgres: false,
            planted: None,
            release: false,
            binary: None,
            keep: false,
        }
    }
}

/// The files of the pack that the load runs.
const PACK: &[(&str, &str)] = &[
    ("pack.yaml", include_str!("pack/pack.yaml")),
    (
        "actions/sequence.yaml",
        include_str!("pack/actions/sequence.yaml"),
    ),
    (
        "actions/workflows/sequence.yaml",
        include_str!("pack/actions/workflows/sequence.yaml"),
    ),
    ("rules/every.yaml", include_str!("pack/rules/every.yaml")),
    ("rules/shell.yaml", include_str!("pack/rules/shell.yaml")),
    (
        "rules/workflow.yaml",
        include_str!("pack/rules/workflow.yaml"),
    ),
    ("rules/broken.yaml", include_str!("pack/rules/broken.yaml")),
];

/// Runs the test and prints the verdict as the last line; true when everything held.
///
/// # Errors
///
/// When the server can't be built or started at all: then nothing was tested.
pub(crate) fn run(root: &Path, options: &Options) -> Result<bool> {
    let binary = match &options.binary {
        Some(binary) => fs::canonicalize(binary).context("the server's binary")?,
        None if options.planted.is_some_and(Planted::needs_feature) => {
            server::build_with(root, options.release, &["planted"])?
        }
        None => server::build(root, options.release)?,
    };
    let place = tempfile::Builder::new().prefix("squall-crash-").tempdir()?;
    let home = fs::canonicalize(place.path())?;
    write_pack(&home.join("packs"))?;
    let database = options.postgres.then(Postgres::start).transpose()?;
    let power = (options.power_cut && database.is_none())
        .then(|| Power::new(&home))
        .transpose()?;
    let mut arguments = options.planted.map(Planted::arguments).unwrap_or_default();
    if let Some(database) = &database {
        arguments.extend(["--database".to_owned(), database.url()]);
    }
    let setup = Setup {
        binary,
        data: home.join("data"),
        packs: Some(home.join("packs")),
        arguments,
        variables: power.as_ref().map(Power::variables).unwrap_or_default(),
        log: home.join("server.log"),
    };
    let mut test = Test {
        load: Load::new(options.seed, &home.join("effects")),
        effects: home.join("effects"),
        setup,
        power,
        database,
        wrong: Vec::new(),
        records: Records::default(),
    };
    // A server that never started has shown nothing, and no planted bug either.
    let server = Server::start(&test.setup)?;
    let executions = test.run(options, server);
    let verdict = test.verdict(options, executions);
    if options.keep || (verdict.is_err() && options.planted.is_none()) {
        println!(
            "crash: the data and the log are in {}",
            place.keep().display()
        );
    }
    match verdict {
        Ok(line) => {
            println!("{line}");
            Ok(true)
        }
        Err(line) => {
            println!("{line}");
            Ok(false)
        }
    }
}

fn write_pack(packs: &Path) -> Result<()> {
    for (name, text) in PACK {
        let path = packs.join("crash").join(name);
        let directory = path.parent().context("a file lies in a directory")?;
        fs::create_dir_all(directory)?;
        fs::write(&path, text)?;
    }
    Ok(())
}

struct Test {
    load: Load,
    effects: PathBuf,
    setup: Setup,
    power: Option<Power>,
    database: Option<Postgres>,
    wrong: Vec<String>,
    records: Records,
}

impl Test {
    /// The whole run; returns how many executions there were in the end.
    fn run(&mut self, options: &Options, mut server: Server) -> Result<usize> {
        let Self {
            load,
            effects,
            setup,
            power,
            database,
            wrong,
            records,
        } = self;
        let crashes = database.as_ref().filter(|_| options.power_cut);
        let outage = Outage {
            power: power.as_ref(),
            database: crashes,
        };
        let load = &*load;
        std::thread::scope(|threads| {
            for lane in 1..=THREADS {
                threads.spawn(move || load.drive(lane));
            }
            let mut kills = || -> Result<()> {
                let mut random = Random::new(options.seed, 0);
                for kill in 1..=options.kills {
                    load.open(&server);
                    let life = LIFE.start + random.below(LIFE.end - LIFE.start);
                    std::thread::sleep(Duration::from_millis(life));
                    wrong.extend(restart(&mut server, load, setup, &outage, records)?);
                    let acknowledged = load.ledger().acknowledged();
                    println!(
                        "crash: kill {kill} after {life} ms, ready again in {:.2} s, {acknowledged} events",
                        server.ready_seconds
                    );
                    if !wrong.is_empty() {
                        break;
                    }
                }
                Ok(())
            };
            let done = kills();
            load.end();
            done
        })?;
        let quiet_max = match options.planted {
            // What such a bug leaves lying never comes to an end.
            Some(_) => QUIET_MAX_PLANTED,
            None => QUIET_MAX,
        };
        let executions = settle(&mut server, load, effects, quiet_max, wrong)?;
        server.stop()?;
        let left = processes::marked(&setup.data);
        if !left.is_empty() {
            wrong.push(format!(
                "{} processes are left after the stop: {left:?}",
                left.len()
            ));
        }
        Ok(executions)
    }

    /// The last line: what was done and that it held, or the first thing that did not.
    fn verdict(&mut self, options: &Options, executions: Result<usize>) -> Result<String, String> {
        let ledger = self.load.ledger();
        let mut wrong = ledger.violations.clone();
        wrong.append(&mut self.wrong);
        for line in wrong.iter().take(SHOWN_MAX) {
            println!("crash: {line}");
        }
        let cut = if options.power_cut {
            " with a loss of power"
        } else {
            ""
        };
        match (executions, wrong.first()) {
            (Ok(executions), None) => Ok(format!(
                "crash: {} kills{cut}, {} events acknowledged, {executions} executions, seed {}: ok",
                options.kills,
                ledger.acknowledged(),
                options.seed
            )),
            (_, Some(first)) => Err(format!(
                "FAILED: seed {}: {first} ({} violations)",
                options.seed,
                wrong.len()
            )),
            (Err(error), None) => Err(format!("FAILED: seed {}: {error:#}", options.seed)),
        }
    }
}

/// What happens beside the kill of the server.
struct Outage<'a> {
    /// The files of the store lose what was not synced.
    power: Option<&'a Power>,
    /// The database crashes.
    database: Option<&'a Postgres>,
}

impl Outage<'_> {
    /// Ends what the power kept alive, and takes what was not synced.
    fn strike(&self, orphans: &BTreeSet<Process>, data: &Path) -> Result<()> {
        if self.power.is_some() || self.database.is_some() {
            processes::end(orphans)?;
        }
        if let Some(power) = self.power {
            power.cut(data)?;
        }
        self.database.map_or(Ok(()), Postgres::crash)
    }
}

/// Kills the server under load, starts it again, and checks what holds at any moment.
fn restart(
    server: &mut Server,
    load: &Load,
    setup: &Setup,
    outage: &Outage<'_>,
    records: &mut Records,
) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    server.kill()?;
    load.close();
    let orphans = processes::marked(&setup.data);
    outage.strike(&orphans, &setup.data)?;
    *server = Server::start(setup).context("the server doesn't start after a kill")?;
    let left = processes::marked(&setup.data);
    let orphans: Vec<_> = left.intersection(&orphans).collect();
    if !orphans.is_empty() {
        wrong.push(format!(
            "processes of a killed server are left: {orphans:?}"
        ));
    }
    records.read_on(&mut server.client())?;
    wrong.extend(records.check_always(&load.ledger()));
    Ok(wrong)
}

/// Waits until nothing is under way, then checks everything.
fn settle(
    server: &mut Server,
    load: &Load,
    effects: &Path,
    quiet_max: f64,
    wrong: &mut Vec<String>,
) -> Result<usize> {
    let mut client = server.client();
    let watch = Stopwatch::start();
    while !check::is_quiet(&mut client)? && watch.seconds() < quiet_max {
        std::thread::sleep(QUIET_PERIOD);
    }
    let records = Records::read(&mut client)?;
    let effects = check::read_effects(effects)?;
    let found = records.check_at_the_end(&load.ledger(), &effects);
    // What was found after a restart may be found again.
    let fresh: Vec<String> = found
        .into_iter()
        .filter(|line| !wrong.contains(line))
        .collect();
    wrong.extend(fresh);
    Ok(records.executions())
}
