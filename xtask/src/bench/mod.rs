//! `cargo xtask bench`: how fast the server is, measured from outside.
//!
//! The end of an execution is always taken from the event stream, and a rate is that of finished
//! executions.

mod drive;
mod ends;
mod pack;
mod postgres;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::server::{self, Server, Setup};
use drive::{Work, fsync_ms, latencies, quantile, rate};
use postgres::Postgres;

/// How many callers a rate is measured with.
const CALLERS: usize = 64;

/// After a start, the server is left alone so long before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The keys to measure; all when none is named.
    names: Vec<String>,
    /// Measure the expression languages beside Python's, instead of the server. Needs a network.
    #[arg(long)]
    pub(crate) peers: bool,
    /// Write the values to this file as JSON.
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

/// Keys that are measured together.
struct Group {
    keys: &'static [&'static str],
    run: fn(&Bench) -> Result<Vec<f64>>,
}

const GROUPS: &[Group] = &[
    Group {
        keys: &["fsync_ms_p50"],
        run: |bench| Ok(vec![fsync_ms(&bench.home)?]),
    },
    Group {
        keys: &["ready_ms", "idle_rss_mib"],
        run: Bench::start,
    },
    Group {
        keys: &["noop_latency_ms_p50", "noop_latency_ms_p99"],
        run: |bench| bench.latency(&Work::noop(), 100, 1000),
    },
    Group {
        keys: &["noop_per_s_64", "noop_cpu_us"],
        run: |bench| bench.rate(&Work::noop(), 0),
    },
    Group {
        keys: &["noop_per_s_64_full"],
        run: Bench::full,
    },
    Group {
        keys: &["shell_latency_ms_p50"],
        run: |bench| bench.latency(&Work::shell(), 20, 300),
    },
    Group {
        keys: &["shell_per_s"],
        run: |bench| bench.rate(&Work::shell(), 0),
    },
    Group {
        keys: &["python_latency_ms_p50"],
        run: |bench| bench.latency(&Work::python(), 20, 300),
    },
    Group {
        keys: &["python_first_ms"],
        run: Bench::first,
    },
    Group {
        keys: &["python_per_s"],
        run: |bench| bench.rate(&Work::python(), 0),
    },
    Group {
        keys: &["event_latency_ms_p50"],
        run: |bench| bench.latency(&Work::Event, 100, 1000),
    },
    Group {
        keys: &["event_to_execution_per_s", "match_us_1_rule"],
        run: |bench| bench.rate(&Work::Event, 0),
    },
    Group {
        keys: &["match_us_10000_unrelated"],
        run: |bench| Ok(vec![bench.rate(&Work::Event, 10_000)?[1]]),
    },
    Group {
        keys: &["sequence_100_ms"],
        run: |bench| bench.latency(&Work::action("bench.sequence", json!({})), 2, 11),
    },
    Group {
        keys: &["sequence_100_shell_ms"],
        run: |bench| bench.latency(&Work::action("bench.sequence_shell", json!({})), 1, 5),
    },
    Group {
        keys: &["with_items_1000_ms"],
        run: |bench| bench.latency(&Work::action("bench.items", json!({})), 2, 11),
    },
];

/// Measures and prints the table; always true, since slowness is no failure.
///
/// # Errors
///
/// When a name is no key, the server can't be built, or what is measured fails.
pub(crate) fn run(root: &Path, options: &Options) -> Result<bool> {
    let known: Vec<&str> = GROUPS
        .iter()
        .flat_map(|group| group.keys)
        .copied()
        .collect();
    for name in &options.names {
        if !known.contains(&name.as_str()) {
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
    };
    let load_before = load_average()?;
    let fsync = fsync_ms(&bench.home)?;
    println!("{:<28} {:>12}", "key", "value");
    let mut values = serde_json::Map::new();
    for group in GROUPS {
        let wanted = |key: &&&str| {
            options.names.is_empty() || options.names.iter().any(|name| name == **key)
        };
        if !group.keys.iter().any(|key| wanted(&key)) {
            continue;
        }
        let measured = (group.run)(&bench).with_context(|| group.keys.join(", "))?;
        for (key, value) in group.keys.iter().zip(measured) {
            if wanted(&key) {
                println!("{key:<28} {value:>12.3}");
                values.insert((*key).to_owned(), json!(value));
            }
        }
    }
    let load_after = load_average()?;
    let cores = std::thread::available_parallelism()?;
    let store = options.database.as_deref().map_or("sqlite", |_| "postgres");
    println!(
        "measured on {cores} cores, store {store}, load {load_before} before and {load_after} after, \
         fsync of 4 KiB p50 {fsync:.3} ms before"
    );
    values.insert(
        "conditions".to_owned(),
        json!({
            "cores": cores.get(), "store": store, "load_before": load_before,
            "load_after": load_after, "fsync_ms_p50_before": fsync,
            "seconds": options.seconds, "full": options.full,
        }),
    );
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&values)?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(true)
}

/// How busy the machine was in the last minute.
fn load_average() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg").context("cannot read the load")?;
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().context("/proc/loadavg has no such form")
}

struct Bench {
    binary: PathBuf,
    home: PathBuf,
    options: Options,
}

/// A server on an empty store, and what goes with it.
struct Running {
    server: Server,
    /// Dropped after the server.
    _database: Option<Postgres>,
    _place: tempfile::TempDir,
}

impl Bench {
    /// Starts a server on an empty store, with so many rules that match nothing.
    fn server(&self, unrelated: usize) -> Result<Running> {
        let place = tempfile::tempdir_in(&self.home)?;
        let packs = place.path().join("packs");
        pack::write(&packs, unrelated)?;
        let database = match self.options.database.as_deref() {
            Some("postgres") => Some(Postgres::start()?),
            _ => None,
        };
        let url = match (&database, self.options.database.as_deref()) {
            (Some(database), _) => Some(database.url()),
            (None, url) => url.map(str::to_owned),
        };
        let arguments = url.map_or_else(Vec::new, |url| vec!["--database".to_owned(), url]);
        let setup = Setup {
            binary: self.binary.clone(),
            data: place.path().join("data"),
            packs: Some(packs),
            arguments,
            variables: Vec::new(),
            log: place.path().join("server.log"),
        };
        Ok(Running {
            server: Server::start(&setup)?,
            _database: database,
            _place: place,
        })
    }

    fn latency(&self, work: &Work, warm: usize, count: usize) -> Result<Vec<f64>> {
        let running = self.server(0)?;
        let times = latencies(&running.server, work, warm, count)?;
        Ok(vec![quantile(&times, 0.5), quantile(&times, 0.99)])
    }

    fn rate(&self, work: &Work, unrelated: usize) -> Result<Vec<f64>> {
        let running = self.server(unrelated)?;
        let rate = rate(&running.server, work, CALLERS, self.options.seconds)?;
        Ok(vec![rate.per_second, rate.cpu_us])
    }

    fn full(&self) -> Result<Vec<f64>> {
        let running = self.server(0)?;
        drive::fill(&running.server, self.options.full)?;
        let rate = rate(
            &running.server,
            &Work::noop(),
            CALLERS,
            self.options.seconds,
        )?;
        Ok(vec![rate.per_second])
    }

    /// The median time of the first Python action of a pack, on servers that were just started.
    fn first(&self) -> Result<Vec<f64>> {
        let mut times = Vec::new();
        for _ in 0..5 {
            let running = self.server(0)?;
            times.extend(latencies(&running.server, &Work::python(), 0, 1)?);
        }
        times.sort_by(f64::total_cmp);
        Ok(vec![quantile(&times, 0.5)])
    }

    /// The median of starts on an empty store, and the memory some time after the last.
    fn start(&self) -> Result<Vec<f64>> {
        let mut times = Vec::new();
        for _ in 0..5 {
            times.push(self.server(0)?.server.ready_seconds * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let running = self.server(0)?;
        std::thread::sleep(IDLE);
        let memory = drive::rss_mib(running.server.pid())?;
        Ok(vec![quantile(&times, 0.5), memory])
    }
}
