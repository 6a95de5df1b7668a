//! `cargo xtask bench`: how fast the server is, measured from outside.
//!
//! The end of an execution is always taken from the event stream, and a rate is that of finished
//! executions.

mod drive;
mod ends;
mod fill;
mod groups;
mod lists;
mod pace;
mod pack;
mod report;
mod stream;
mod viewer;
mod workflows;

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::clock::Stopwatch;
use crate::postgres::Postgres;
use crate::server::{self, Server, Setup};
use drive::{Rate, Work};
use groups::GROUPS;
use report::Report;

/// How many callers a rate is measured with.
const CALLERS: usize = 64;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The keys or groups of keys to measure, such as `noop_per_s_64` or `lists`; all when none is
    /// named.
    names: Vec<String>,
    /// Measure the expression languages beside Python's, instead of the server. Needs a network.
    #[arg(long)]
    pub(crate) peers: bool,
    /// With `--peers`: measure the conductor, too, beside the Orquesta of which this directory holds
    /// the sources. Takes some minutes.
    #[arg(long, value_name = "DIRECTORY", requires = "peers")]
    pub(crate) orquesta: Option<PathBuf>,
    /// Write the values to this file as JSON, after each group of keys.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Use a database server: `postgres` starts one for the benchmark, a URL names one that is there
    /// and empty.
    #[arg(long)]
    database: Option<String>,
    /// How long a rate is measured, in seconds.
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// How many executions the full store holds.
    #[arg(long, default_value_t = 1_000_000)]
    full: u64,
    /// Measure this server instead of building one.
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// Measures and prints the table; slowness is no failure. False when some keys could not be
/// measured.
///
/// # Errors
///
/// When a name is no key, or the server can't be built.
pub(crate) fn run(root: &Path, options: &Options) -> Result<bool> {
    for name in &options.names {
        if !GROUPS.iter().any(|group| group.has(name)) {
            let known = GROUPS.iter().flat_map(|group| group.keys);
            let known: Vec<&str> = known.copied().collect();
            bail!(
                "nothing is called `{name}`: choose among {}",
                known.join(", ")
            );
        }
    }
    let binary = match &options.binary {
        Some(binary) => fs::canonicalize(binary).context("the server's binary")?,
        None => server::build(root, true)?,
    };
    let place = tempfile::Builder::new().prefix("squall-bench-").tempdir()?;
    let bench = Bench {
        binary,
        home: fs::canonicalize(place.path())?,
        options: options.clone(),
        full: RefCell::new(None),
    };
    let watch = Stopwatch::start();
    let mut report = Report::begin(&bench.home, options)?;
    for group in GROUPS {
        let wanted = |key: &str| {
            let mut names = options.names.iter();
            options.names.is_empty() || names.any(|name| name == key || name == group.name)
        };
        if !group.keys.iter().any(|key| wanted(key)) {
            continue;
        }
        match (group.run)(&bench) {
            Ok(measured) => report.add(group.keys, &measured, wanted),
            Err(error) => report.fail(group.name, &error),
        }
        report.write(options.json.as_deref())?;
    }
    report.end(options.json.as_deref(), watch.seconds())
}

/// What a group of keys came to: its values, in the order of the keys, and what belongs beside them.
#[derive(Debug, Default)]
struct Measured {
    values: Vec<f64>,
    note: Option<String>,
}

impl From<Vec<f64>> for Measured {
    fn from(values: Vec<f64>) -> Self {
        Self { values, note: None }
    }
}

struct Bench {
    binary: PathBuf,
    home: PathBuf,
    options: Options,
    /// The server whose store is full, once one was asked for, and how many executions it holds.
    full: RefCell<Option<(Running, u64)>>,
}

/// A server, and what goes with it.
struct Running {
    server: Server,
    setup: Setup,
    /// Dropped after the server.
    _database: Option<Postgres>,
    _place: tempfile::TempDir,
}

impl Running {
    /// Stops the server in an orderly way and starts it on the same data.
    fn restart(&mut self) -> Result<()> {
        self.server.stop()?;
        self.server = Server::start(&self.setup)?;
        Ok(())
    }
}

impl Bench {
    /// Starts a server on an empty store, with the pack of the benchmark, with so many rules that
    /// match nothing.
    fn server(&self, unrelated: usize) -> Result<Running> {
        self.server_with(&[], |packs| pack::write(packs, unrelated))
    }

    /// Starts a server on an empty store, with more arguments, and with the packs that are written.
    fn server_with(
        &self,
        arguments: &[&str],
        write: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Running> {
        let place = tempfile::tempdir_in(&self.home)?;
        let packs = place.path().join("packs");
        fs::create_dir_all(&packs)?;
        write(&packs)?;
        let database = match self.options.database.as_deref() {
            Some("postgres") => Some(Postgres::start()?),
            _ => None,
        };
        let url = match (&database, self.options.database.as_deref()) {
            (Some(database), _) => Some(database.url()),
            (None, url) => url.map(str::to_owned),
        };
        let database_arguments = url.iter().flat_map(|url| ["--database", url]);
        let arguments = arguments.iter().copied().chain(database_arguments);
        let setup = Setup {
            binary: self.binary.clone(),
            data: place.path().join("data"),
            packs: Some(packs),
            arguments: arguments.map(str::to_owned).collect(),
            variables: Vec::new(),
            log: place.path().join("server.log"),
        };
        Ok(Running {
            server: Server::start(&setup)?,
            setup,
            _database: database,
            _place: place,
        })
    }

    fn rate(&self, work: &Work) -> Result<Rate> {
        let running = self.server(0)?;
        drive::rate(&running.server, work, CALLERS, self.options.seconds)
    }

    /// Does something with the server whose store is full; fills it when it is the first. Roles are
    /// switched on there: those who ask have all rights, but for the viewer.
    fn with_full<T>(&self, work: impl FnOnce(&Server) -> Result<T>) -> Result<T> {
        let mut full = self.full.borrow_mut();
        let (running, _) = match &mut *full {
            Some(full) => full,
            none => {
                let running = self.server_with(&["--rbac"], |packs| pack::write(packs, 0))?;
                let held = fill::fill(&running.server, self.options.full)?;
                none.insert((running, held))
            }
        };
        work(&running.server)
    }
}
