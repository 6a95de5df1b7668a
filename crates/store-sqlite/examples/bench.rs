//! Rates of the embedded store: `cargo run --release -p squall-store-sqlite --example bench`.
//!
//! Each caller inserts executions that have ended already, with a result of one kilobyte, one
//! transaction each, and waits for each to be durable. Arguments: seconds per run (default 3), the
//! directory (default: a temporary one in the current directory, since `/tmp` may be memory), and
//! how many executions to fill in before the last run (default 0).

#![allow(clippy::print_stdout)]
#![allow(clippy::disallowed_methods)] // A benchmark reads the clock.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use squall_model::{Execution, Outcome, Payload, Status};
use squall_store::contract::{World, at_first, ended, requested};
use squall_store::{Command, ExecutionFilter, Page, ParentFilter, Store, Transaction};
use squall_store_sqlite::{Options, SqliteStore};
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// CPU time of this process, user and system.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

fn execution(world: &World, n: u64) -> Arc<Execution> {
    let actions = [
        "core.local",
        "core.noop",
        "core.http",
        "acme.restart",
        "acme.check",
    ];
    let users = ["stanley", "ann", "bob"];
    let mut request = world.request(actions[n as usize % actions.len()], n as i64 / 100);
    request.user = squall_store::contract::text(users[n as usize % users.len()]);
    let outcome = if n.is_multiple_of(50) {
        Outcome::Failed
    } else {
        Outcome::Succeeded
    };
    at_first(&ended(&requested(request), outcome, n as i64 / 100 + 1))
}

fn insert(execution: Arc<Execution>, result: &Payload) -> Transaction {
    let at = execution.request.requested;
    let result = Some(result.clone());
    Transaction::new(at, vec![Command::InsertExecution { execution, result }])
}

fn fsync(directory: &Path) -> Result<()> {
    let path = directory.join("fsync");
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..300 {
        file.write_all(&[1; 4096])?;
        let begin = Instant::now();
        file.sync_data()?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    let (p50, p99) = (percentile(&times, 50), percentile(&times, 99));
    println!("append + fdatasync of 4 KiB: p50 {p50:.2?}, p99 {p99:.2?}");
    std::fs::remove_file(path)?;
    Ok(())
}

async fn run(world: &Arc<World>, count: &Arc<AtomicU64>, callers: usize, seconds: u64) {
    let result = Payload {
        json: Arc::from(format!("{{\"stdout\":\"{}\"}}", "x".repeat(1000))),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let (begin, cpu_before) = (Instant::now(), cpu());
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (world, stop, result) = (Arc::clone(world), Arc::clone(&stop), result.clone());
        let count = Arc::clone(count);
        tasks.spawn(async move {
            let mut times = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let execution = execution(&world, count.fetch_add(1, Ordering::Relaxed));
                let begin = Instant::now();
                let committed = world.store.commit(insert(execution, &result)).await;
                committed.expect("the insert holds");
                times.push(begin.elapsed());
            }
            times
        });
    }
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    stop.store(true, Ordering::Relaxed);
    let mut times: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let (elapsed, used) = (begin.elapsed(), cpu() - cpu_before);
    times.sort_unstable();
    println!(
        "{callers:>4} callers: {:>7.0}/s, p50 {:.2?}, p99 {:.2?}, {:.1} CPU µs each",
        times.len() as f64 / elapsed.as_secs_f64(),
        percentile(&times, 50),
        percentile(&times, 99),
        used.as_micros() as f64 / times.len() as f64,
    );
}

async fn fill(world: &World, count: &AtomicU64, wanted: u64) {
    let result = Payload {
        json: Arc::from(format!("{{\"stdout\":\"{}\"}}", "x".repeat(1000))),
    };
    while count.load(Ordering::Relaxed) < wanted {
        let commands = (0..500).map(|_| Command::InsertExecution {
            execution: execution(world, count.fetch_add(1, Ordering::Relaxed)),
            result: Some(result.clone()),
        });
        let transaction = Transaction::new(squall_store::contract::at(0), commands.collect());
        let committed = world.store.commit(transaction).await;
        committed.expect("the inserts hold");
    }
}

/// The filters that people use most.
fn filters() -> Result<Vec<(&'static str, ExecutionFilter)>> {
    let action = squall_model::ActionRef::parse("acme.restart")?;
    let none = ExecutionFilter::default;
    Ok(vec![
        ("all", none()),
        (
            "top",
            ExecutionFilter {
                parent: ParentFilter::Top,
                ..none()
            },
        ),
        (
            "action",
            ExecutionFilter {
                action: Some(action.clone()),
                ..none()
            },
        ),
        (
            "pack",
            ExecutionFilter {
                pack: Some(Arc::from("acme")),
                ..none()
            },
        ),
        (
            "succeeded",
            ExecutionFilter {
                statuses: vec![Status::Succeeded],
                ..none()
            },
        ),
        (
            "failed",
            ExecutionFilter {
                statuses: vec![Status::Failed],
                ..none()
            },
        ),
        (
            "running",
            ExecutionFilter {
                statuses: vec![Status::Running],
                ..none()
            },
        ),
        (
            "user",
            ExecutionFilter {
                user: Some(Arc::from("ann")),
                ..none()
            },
        ),
        (
            "action, failed",
            ExecutionFilter {
                action: Some(action),
                statuses: vec![Status::Failed],
                ..none()
            },
        ),
        (
            "user, top, failed",
            ExecutionFilter {
                user: Some(Arc::from("ann")),
                parent: ParentFilter::Top,
                statuses: vec![Status::Failed],
                ..none()
            },
        ),
    ])
}

async fn lists(store: &dyn Store) -> Result<()> {
    for (name, filter) in filters()? {
        let mut times = Vec::new();
        let mut total = 0;
        for page in 0..100 {
            let page = Page {
                offset: page * 50,
                limit: 50,
            };
            let begin = Instant::now();
            total = store.executions(&filter, page).await?.total;
            times.push(begin.elapsed());
        }
        times.sort_unstable();
        let (p50, p99) = (percentile(&times, 50), percentile(&times, 99));
        println!("list {name:<18} of {total:>8}: p50 {p50:.2?}, p99 {p99:.2?}");
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let parent = arguments.next().unwrap_or_else(|| ".".to_owned());
    let rows: u64 = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let directory = tempfile::tempdir_in(parent)?;
    fsync(directory.path())?;
    let path = directory.path().join("squall.db");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, Options::default())?);
    let world = Arc::new(World::new(Arc::clone(&store)));
    let count = Arc::new(AtomicU64::new(0));
    for callers in [1, 16, 64, 256] {
        run(&world, &count, callers, seconds).await;
    }
    if rows > 0 {
        fill(&world, &count, rows).await;
        println!("with {} executions:", count.load(Ordering::Relaxed));
        for callers in [1, 64] {
            run(&world, &count, callers, seconds).await;
        }
        lists(&*store).await?;
    }
    let size = std::fs::metadata(&path)?.len() / count.load(Ordering::Relaxed).max(1);
    println!("{size} bytes of file per execution");
    store.close().await;
    Ok(())
}
