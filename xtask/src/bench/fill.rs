//! A full store: some of everything that lists tell apart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::viewer::VIEWER;
use crate::clock::Stopwatch;
use crate::http::Client;
use crate::server::Server;

/// How many connections fill it.
const CALLERS: usize = 32;

/// How many users and actions there are.
pub(crate) const USERS: u64 = 10;
/// How many actions without effect the pack has.
pub(crate) const ACTIONS: u64 = 20;

/// Of how many requests one is for a workflow of [`ITEMS`] items, and one for a workflow that fails.
const WORKFLOW_IN: u64 = 10_000;
const FAILURE_IN: u64 = 500;
/// Of how many requests one is an event that a rule answers.
const EVENT_IN: u64 = 20;

/// How many executions a workflow with items has below it.
const ITEMS: u64 = 1000;

/// How long it may take: then the store is as full as it got, and the report says how full.
const SECONDS_MAX: f64 = 900.0;

/// How long what was asked for may take to end.
const QUIET_MAX: f64 = 120.0;

/// Runs at least `count` executions, as fast as they are accepted, and waits until all have ended.
/// Returns how many there are.
///
/// # Errors
///
/// When the server refuses, or does not come to an end.
pub(crate) fn fill(server: &Server, count: u64) -> Result<u64> {
    let (numbers, wanted) = (AtomicU64::new(0), AtomicU64::new(0));
    let failure = Mutex::new(None);
    let watch = Stopwatch::start();
    let drive = || -> Result<()> {
        let mut client = server.client();
        while wanted.load(Ordering::Relaxed) < count && watch.seconds() < SECONDS_MAX {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            wanted.fetch_add(ask(&mut client, number)?, Ordering::Relaxed);
        }
        Ok(())
    };
    std::thread::scope(|threads| {
        for _ in 0..CALLERS {
            threads.spawn(|| {
                if let Err(error) = drive() {
                    wanted.fetch_max(count, Ordering::Relaxed);
                    let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                    failure.get_or_insert(error);
                }
            });
        }
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error.context("the store could not be filled"));
    }
    settle(&mut server.client())
}

/// Sends one request; returns how many executions it makes.
fn ask(client: &mut Client, number: u64) -> Result<u64> {
    let user = user(number);
    let action = |action: &str| json!({ "action": action, "user": user });
    let (path, body, makes) = match number {
        n if n % WORKFLOW_IN == 1 => ("/v1/executions", action("bench.items"), ITEMS + 1),
        n if n % FAILURE_IN == 2 => ("/v1/executions", action("bench.failing"), 2),
        n if n % EVENT_IN == 3 => ("/v1/webhooks/bench", event(), 1),
        n => {
            let reference = format!("bench.noop_{}", n / USERS % ACTIONS);
            ("/v1/executions", action(&reference), 1)
        }
    };
    let answer = client.post(path, &[], &body)?;
    ensure!(
        answer.is_success(),
        "{body} was answered with {}",
        answer.status
    );
    Ok(makes)
}

/// On whose behalf a request is: every twentieth is the viewer's. Scattered, so that everybody has
/// some of every kind.
fn user(number: u64) -> String {
    match number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 {
        scattered if scattered.is_multiple_of(20) => VIEWER.to_owned(),
        scattered => format!("bench-{}", scattered % USERS),
    }
}

/// An event that the rule `bench.matching` answers.
pub(crate) fn event() -> Value {
    json!({ "kind": "go", "number": 1, "repository": "org/none" })
}

/// Waits until everything has ended; returns how many executions there are.
///
/// # Errors
///
/// When the server does not answer, or something does not end in time.
pub(crate) fn settle(client: &mut Client) -> Result<u64> {
    let watch = Stopwatch::start();
    loop {
        let open = total(client, "status=requested,scheduled,running,delayed")?;
        if open == 0 {
            return total(client, "");
        }
        if watch.seconds() > QUIET_MAX {
            bail!("{open} executions did not end within {QUIET_MAX} s");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// How many executions a filter selects.
///
/// # Errors
///
/// When the server does not answer.
pub(crate) fn total(client: &mut Client, filter: &str) -> Result<u64> {
    let path = format!("/v1/executions?limit=1&include_attributes=id&{filter}");
    let answer = client.get(&path)?;
    let total = answer
        .header("x-total-count")
        .and_then(|total| total.parse().ok());
    total.context("a list has a total")
}
