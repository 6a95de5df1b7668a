//! How load is made and measured.

use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::ends::Ends;
use crate::clock::Stopwatch;
use crate::http::Client;
use crate::server::Server;

/// Before a rate is measured, it runs for as long.
const WARM_UP: Duration = Duration::from_secs(3);

/// What is asked of the server.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// An execution of an action.
    Execution {
        /// The action's reference.
        action: &'static str,
        /// Its parameters.
        parameters: Value,
    },
    /// An event at the webhook `bench`.
    Event,
}

impl Work {
    /// `core.noop`.
    pub(crate) fn noop() -> Self {
        Self::action("core.noop", json!({}))
    }

    /// `core.local` with the command `true`.
    pub(crate) fn shell() -> Self {
        Self::action("core.local", json!({ "cmd": "true" }))
    }

    /// A Python action that returns its parameter.
    pub(crate) fn python() -> Self {
        Self::action("bench.python", json!({ "number": 1 }))
    }

    /// An execution of an action.
    pub(crate) fn action(action: &'static str, parameters: Value) -> Self {
        Self::Execution { action, parameters }
    }

    /// The action whose end is waited for.
    fn awaited(&self) -> &'static str {
        match self {
            Self::Execution { action, .. } => action,
            Self::Event => "core.noop",
        }
    }

    /// Sends it and returns what its end is known by.
    fn send(&self, client: &mut Client) -> Result<String> {
        match self {
            Self::Execution { action, parameters } => {
                let body = json!({ "action": action, "parameters": parameters });
                let answer = client.post("/v1/executions", &[], &body)?;
                ensure!(
                    answer.is_success(),
                    "{action} was refused: {}",
                    answer.status
                );
                Ok(answer.read::<Asked>()?.id)
            }
            Self::Event => {
                let body = super::fill::event();
                let answer = client.post("/v1/webhooks/bench", &[], &body)?;
                ensure!(
                    answer.is_success(),
                    "the event was refused: {}",
                    answer.status
                );
                let id = answer.header("x-squall-event");
                Ok(id.context("an event has an id")?.to_owned())
            }
        }
    }
}

/// What is read of an execution.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Asked {
    /// What its end is known by.
    pub(super) id: String,
}

/// Milliseconds from the request to the end in the stream, one after the other, sorted.
///
/// # Errors
///
/// When the server refuses or the work doesn't succeed.
pub(crate) fn latencies(
    server: &Server,
    work: &Work,
    warm: usize,
    count: usize,
) -> Result<Vec<f64>> {
    let mut client = server.client();
    let ends = Ends::listen(&client, work.awaited())?;
    let mut times = Vec::with_capacity(count);
    for round in 0..warm + count {
        let watch = Stopwatch::start();
        let key = work.send(&mut client)?;
        ends.wait(&key)?;
        if round >= warm {
            times.push(watch.seconds() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// The value below which a share of sorted values lies.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    // The lists here are short, and the share is between 0 and 1.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    let index = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// What a time under full load has shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// Finished executions per second.
    pub(crate) per_second: f64,
    /// Microseconds of the server's own CPU per finished execution.
    pub(crate) cpu_us: f64,
}

/// Keeps so many requests under way for some seconds, each until its end is told by the stream.
///
/// # Errors
///
/// When the server refuses or some work doesn't succeed.
pub(crate) fn rate(server: &Server, work: &Work, callers: usize, seconds: f64) -> Result<Rate> {
    let load = Load::new(server, work)?;
    std::thread::scope(|threads| {
        for _ in 0..callers {
            threads.spawn(|| load.drive(server));
        }
        let measured = measure(&load, server, seconds);
        // Before anything else: the threads have to end, and the scope waits for them.
        load.over.store(true, Ordering::SeqCst);
        load.failure()?;
        measured
    })
}

fn measure(load: &Load<'_>, server: &Server, seconds: f64) -> Result<Rate> {
    std::thread::sleep(WARM_UP);
    let (finished, cpu) = (load.finished(), cpu_seconds(server.pid())?);
    let watch = Stopwatch::start();
    std::thread::sleep(Duration::from_secs_f64(seconds));
    let took = watch.seconds();
    let (finished, cpu) = (load.finished() - finished, cpu_seconds(server.pid())? - cpu);
    ensure!(finished > 0, "nothing was finished within {took:.0} s");
    // Counts here are far below the precision of a float.
    #[allow(clippy::cast_precision_loss)]
    let finished = finished as f64;
    Ok(Rate {
        per_second: finished / took,
        cpu_us: cpu * 1e6 / finished,
    })
}

/// Sends so much work without waiting for its ends, while nobody listens.
///
/// # Errors
///
/// When the server refuses.
pub(crate) fn send_all(server: &Server, work: &Work, count: u64) -> Result<()> {
    /// Enough to keep the server busy, few enough to leave it the cores.
    const CALLERS: usize = 16;
    std::thread::scope(|threads| {
        let callers = (0..CALLERS as u64).map(|lane| {
            threads.spawn(move || -> Result<()> {
                let mut client = server.client();
                for _ in (lane..count).step_by(CALLERS) {
                    work.send(&mut client)?;
                }
                Ok(())
            })
        });
        let callers: Vec<_> = callers.collect();
        let done = callers.into_iter().map(|caller| {
            caller
                .join()
                .unwrap_or_else(|_| Err(anyhow::anyhow!("a caller broke down")))
        });
        done.collect()
    })
}

struct Load<'a> {
    work: &'a Work,
    ends: std::sync::Arc<Ends>,
    finished: AtomicU64,
    over: AtomicBool,
    failure: Mutex<Option<String>>,
}

impl<'a> Load<'a> {
    fn new(server: &Server, work: &'a Work) -> Result<Self> {
        Ok(Self {
            work,
            ends: Ends::listen(&server.client(), work.awaited())?,
            finished: AtomicU64::new(0),
            over: AtomicBool::new(false),
            failure: Mutex::default(),
        })
    }

    fn finished(&self) -> u64 {
        self.finished.load(Ordering::SeqCst)
    }

    fn failure(&self) -> Result<()> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match &*failure {
            None => Ok(()),
            Some(text) => anyhow::bail!("{text}"),
        }
    }

    /// One caller, until the load is over or something fails.
    fn drive(&self, server: &Server) {
        let mut client = server.client();
        while !self.over.load(Ordering::SeqCst) {
            let done = self
                .work
                .send(&mut client)
                .and_then(|key| self.ends.wait(&key));
            match done {
                Ok(()) => drop(self.finished.fetch_add(1, Ordering::SeqCst)),
                Err(error) => {
                    let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                    failure.get_or_insert(format!("{error:#}"));
                    return;
                }
            }
        }
    }
}

/// The CPU time of a process so far, its children's not counted, in seconds.
///
/// # Errors
///
/// When the process is gone.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat =
        std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the server is gone")?;
    let fields = stat.rsplit_once(')').context("/proc has no such form")?.1;
    let ticks: Vec<f64> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse().ok())
        .collect();
    // Linux counts in hundredths of a second for programs, whatever its own tick is.
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

/// The memory of a process, in MiB.
///
/// # Errors
///
/// When the process is gone.
pub(crate) fn rss_mib(pid: u32) -> Result<f64> {
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).context("the server is gone")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.context("/proc has no such form")? / 1024.0)
}

/// The median time of a sync of 4 KiB to this directory's disk, in milliseconds.
///
/// # Errors
///
/// When the directory can't be written to.
pub(crate) fn fsync_ms(directory: &Path) -> Result<f64> {
    use std::io::Write;
    let mut file = std::fs::File::create(directory.join("fsync"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        file.write_all(&[7; 4096])?;
        let watch = Stopwatch::start();
        file.sync_data()?;
        times.push(watch.seconds() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(quantile(&times, 0.5))
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_of_sorted_values() {
        let values: Vec<f64> = (1..=101).map(f64::from).collect();
        assert!((quantile(&values, 0.5) - 51.0).abs() < 1e-9);
        assert!((quantile(&values, 0.99) - 100.0).abs() < 1e-9);
        assert!((quantile(&values, 1.0) - 101.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
