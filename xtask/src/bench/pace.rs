//! A steady load beside what is measured: so many executions per second, whatever each takes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::drive::Asked;
use crate::clock::Stopwatch;
use crate::server::Server;

/// How many executions are asked for per second.
pub(crate) const PER_SECOND: f64 = 500.0;

/// How many connections share the load.
const CALLERS: u32 = 4;

/// A load that has been put on.
#[derive(Debug)]
pub(crate) struct Paced {
    over: AtomicBool,
    ids: Mutex<Vec<String>>,
    failure: Mutex<Option<String>>,
    watch: Stopwatch,
}

/// What a load came to.
#[derive(Debug)]
pub(crate) struct Past {
    /// The executions, in no order.
    pub(crate) ids: Vec<String>,
    /// How many there were per second.
    pub(crate) per_second: f64,
}

/// Does `work` while executions of `core.noop` come at [`PER_SECOND`], and returns what it gave and
/// what the load came to.
///
/// # Errors
///
/// That of the work, or when the server refused an execution.
pub(crate) fn beside<T>(server: &Server, work: impl FnOnce() -> Result<T>) -> Result<(T, Past)> {
    let paced = Paced {
        over: AtomicBool::new(false),
        ids: Mutex::default(),
        failure: Mutex::default(),
        watch: Stopwatch::start(),
    };
    let done = std::thread::scope(|threads| {
        for lane in 0..CALLERS {
            let paced = &paced;
            threads.spawn(move || {
                if let Err(error) = paced.drive(server, lane) {
                    let mut failure = paced.failure.lock().unwrap_or_else(PoisonError::into_inner);
                    failure.get_or_insert(format!("{error:#}"));
                }
            });
        }
        let done = work();
        paced.over.store(true, Ordering::SeqCst);
        done
    })?;
    let seconds = paced.watch.seconds();
    let failure = paced.failure.into_inner();
    if let Some(text) = failure.unwrap_or_else(PoisonError::into_inner) {
        anyhow::bail!("the load beside failed: {text}");
    }
    let ids = paced
        .ids
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    // Counts here are far below the precision of a float.
    #[allow(clippy::cast_precision_loss)]
    let per_second = ids.len() as f64 / seconds;
    Ok((done, Past { ids, per_second }))
}

impl Paced {
    /// One connection's part: it asks when it is time, or at once when it is late.
    fn drive(&self, server: &Server, lane: u32) -> Result<()> {
        let mut client = server.client();
        let body = json!({ "action": "core.noop" });
        let period = f64::from(CALLERS) / PER_SECOND;
        let mut next = f64::from(lane) / PER_SECOND;
        while !self.over.load(Ordering::SeqCst) {
            let wait = next - self.watch.seconds();
            if wait > 0.0 {
                std::thread::sleep(Duration::from_secs_f64(wait));
            }
            next += period;
            let answer = client.post("/v1/executions", &[], &body)?;
            ensure!(
                answer.is_success(),
                "it was answered with {}",
                answer.status
            );
            let shown: Asked = answer.read()?;
            let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
            ids.push(shown.id);
        }
        Ok(())
    }
}
