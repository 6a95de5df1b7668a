//! The stream under load: many who follow one execution each, some who follow all, and one who does
//! not read.

use std::collections::HashSet;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::json;

use super::drive::{cpu_seconds, rss_mib};
use super::{fill, pace};
use crate::clock::Stopwatch;
use crate::http::{Event, Events};
use crate::server::Server;

/// How many follow one execution each.
const ONES: u64 = 1000;

/// How many follow all.
const ALL: usize = 5;

/// How long after it was asked for the first of the followed executions starts, in milliseconds:
/// until then all who follow have to be there.
const DELAY: u64 = 20_000;

/// How often the server's memory is looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(250);

/// How much a thread of a follower needs.
const STACK: usize = 256 << 10;

/// Statuses that nothing follows.
const ENDED: [&str; 5] = ["succeeded", "failed", "timeout", "abandoned", "canceled"];

/// What was measured.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Ends and beginnings that somebody who keeps up was not told, or was told twice.
    missed: u64,
    /// The same of the one who read nothing until the load was over.
    late_missed: u64,
    /// By how much the server's memory grew while all listened, in MiB.
    growth_mib: f64,
    /// The server's CPU time per execution, in microseconds.
    cpu_us: f64,
    executions: usize,
    load: f64,
}

impl Heard {
    /// What was missed by those who keep up, the growth of memory, CPU time per execution.
    #[allow(
        clippy::cast_precision_loss,
        reason = "counts are far below its precision"
    )]
    pub(crate) fn values(&self) -> Vec<f64> {
        vec![self.missed as f64, self.growth_mib, self.cpu_us]
    }

    /// What belongs beside the values.
    pub(crate) fn note(&self) -> String {
        format!(
            "stream: {ONES} followers of one execution, {ALL} of all, {} executions, {:.0} per \
             second; one who read nothing until the end missed {}",
            self.executions, self.load, self.late_missed
        )
    }
}

/// Puts the load on for some seconds while all listen.
///
/// # Errors
///
/// When the server refuses.
pub(crate) fn measure(server: &Server, seconds: f64) -> Result<Heard> {
    let window = Duration::from_secs_f64(seconds);
    let followed = ask_for_followed(server, window)?;
    let memory_before = rss_mib(server.pid())?;
    let ones = followed.iter().map(|id| Follower::of_one(server, id));
    let ones: Vec<_> = ones.collect::<Result<_>>()?;
    let all = (0..ALL).map(|_| Follower::of_all(server));
    let all: Vec<_> = all.collect::<Result<_>>()?;
    let late = server.client().events(EVERYTHING)?;

    let cpu = cpu_seconds(server.pid())?;
    let (memory, past) = pace::beside(server, || watch_memory(server, window))?;
    let cpu = cpu_seconds(server.pid())? - cpu;
    finish(server)?;

    let executions = past.ids.len() + followed.len();
    let begun: HashSet<&str> = past.ids.iter().map(String::as_str).collect();
    let ended = begun.iter().copied();
    let ended: HashSet<&str> = ended.chain(followed.iter().map(String::as_str)).collect();
    let mut missed = 0;
    for (follower, id) in ones.into_iter().zip(&followed) {
        missed += follower
            .end()?
            .missed(&HashSet::new(), &HashSet::from([id.as_str()]));
    }
    for follower in all {
        missed += follower.end()?.missed(&begun, &ended);
    }
    let late_missed = Follower::start(late)?.end()?.missed(&begun, &ended);
    #[allow(clippy::cast_precision_loss)]
    let cpu_us = cpu * 1e6 / executions as f64;
    Ok(Heard {
        missed,
        late_missed,
        growth_mib: memory - memory_before,
        cpu_us,
        executions,
        load: past.per_second,
    })
}

/// What a stream of all executions asks for.
const EVERYTHING: &str = "/stream/v1/stream?events=st2.execution__create,st2.execution__update";

/// The action of the very last execution, by which those who follow all know that it is over.
const LAST: &str = "bench.noop_0";

/// How long it may take until everybody was told that it is over, in seconds.
const OVER_MAX: f64 = 120.0;

/// Asks for executions that start during the window, spread over it; returns their ids.
fn ask_for_followed(server: &Server, window: Duration) -> Result<Vec<String>> {
    let mut client = server.client();
    let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
    let mut ids = Vec::new();
    for number in 0..ONES {
        let delay = DELAY + window * number / ONES;
        let body = json!({ "action": "core.noop", "delay": delay });
        let answer = client.post("/v1/executions", &[], &body)?;
        ensure!(
            answer.is_success(),
            "a delayed execution was answered with {}",
            answer.status
        );
        ids.push(answer.read::<Shown>()?.id);
    }
    Ok(ids)
}

/// The greatest memory of the server while the followed ones start.
fn watch_memory(server: &Server, window: Duration) -> Result<f64> {
    let watch = Stopwatch::start();
    let until = (Duration::from_millis(DELAY) + window).as_secs_f64();
    let mut most: f64 = 0.0;
    while watch.seconds() < until {
        most = most.max(rss_mib(server.pid())?);
        std::thread::sleep(LOOK_PERIOD);
    }
    Ok(most)
}

/// Waits until all that was delayed has started, and then has the last execution run.
fn finish(server: &Server) -> Result<()> {
    let mut client = server.client();
    fill::settle(&mut client)?;
    let answer = client.post("/v1/executions", &[], &json!({ "action": LAST }))?;
    ensure!(
        answer.is_success(),
        "the last execution was answered with {}",
        answer.status
    );
    Ok(())
}

/// What is read of an event.
#[derive(Debug, Deserialize)]
struct Shown {
    id: String,
    #[serde(default)]
    status: String,
    action: Action,
}

#[derive(Debug, Deserialize)]
struct Action {
    r#ref: String,
}

/// What a follower was told.
#[derive(Debug, Default)]
struct Told {
    /// Executions whose beginning it was told.
    begun: Vec<String>,
    /// Executions whose end it was told.
    ended: Vec<String>,
    /// The number of the newest event.
    newest: u64,
    /// How many events were not newer than the one before. A beginning and an end that were one
    /// commit share their number.
    disordered: u64,
}

impl Told {
    /// Takes an event down; true when it is the very last.
    fn hear(&mut self, event: &Event) -> Result<bool> {
        let shown: Shown = serde_json::from_str(&event.data).context("an event says nothing")?;
        self.disordered += u64::from(event.id < self.newest);
        self.newest = event.id;
        let is_begun = event.name == "st2.execution__create";
        let is_ended = !is_begun && ENDED.contains(&shown.status.as_str());
        if shown.action.r#ref == LAST {
            return Ok(is_ended);
        }
        if is_begun {
            self.begun.push(shown.id);
        } else if is_ended {
            self.ended.push(shown.id);
        }
        Ok(false)
    }

    /// How much was missed, told twice, or told in another order, of what had to be told.
    fn missed(&self, begun: &HashSet<&str>, ended: &HashSet<&str>) -> u64 {
        difference(&self.begun, begun) + difference(&self.ended, ended) + self.disordered
    }
}

/// How many of `wanted` were not told, and how many times too often something was.
fn difference(told: &[String], wanted: &HashSet<&str>) -> u64 {
    let distinct: HashSet<&str> = told.iter().map(String::as_str).collect();
    let missing = wanted.difference(&distinct).count();
    let foreign = distinct.difference(wanted).count();
    let twice = told.len() - distinct.len();
    (missing + foreign + twice) as u64
}

/// One who listens, on a thread of its own.
struct Follower(JoinHandle<Result<Told>>);

impl Follower {
    /// Who follows one execution until it ends.
    fn of_one(server: &Server, id: &str) -> Result<Self> {
        let path = format!(
            "/stream/v1/stream?events=st2.execution__update&execution_ids={id}&end_execution_id={id}"
        );
        let events = server.client().events(&path)?;
        Self::start(events)
    }

    /// Who follows everything, until the very last.
    fn of_all(server: &Server) -> Result<Self> {
        Self::start(server.client().events(EVERYTHING)?)
    }

    fn start(events: Events) -> Result<Self> {
        let thread = Builder::new()
            .stack_size(STACK)
            .spawn(move || listen(events));
        Ok(Self(
            thread.context("cannot start a thread for a follower")?,
        ))
    }

    /// What it was told, once it is over.
    fn end(self) -> Result<Told> {
        let watch = Stopwatch::start();
        while !self.0.is_finished() {
            ensure!(
                watch.seconds() < OVER_MAX,
                "a follower was not told within {OVER_MAX} s that it is over"
            );
            std::thread::sleep(LOOK_PERIOD);
        }
        self.0
            .join()
            .unwrap_or_else(|_| bail!("a follower broke down"))
    }
}

/// Listens until the stream ends or the very last execution has.
fn listen(mut events: Events) -> Result<Told> {
    let mut told = Told::default();
    while let Some(event) = events.next()? {
        if told.hear(&event)? {
            break;
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: u64, name: &str, execution: &str, status: &str) -> Event {
        let data = json!({ "id": execution, "status": status, "action": { "ref": "core.noop" } });
        Event {
            id,
            name: format!("st2.execution__{name}"),
            data: data.to_string(),
        }
    }

    #[track_caller]
    fn missed(events: &[Event], expected: u64) {
        let mut told = Told::default();
        for event in events {
            assert!(!told.hear(event).unwrap());
        }
        let wanted = HashSet::from(["a", "b"]);
        assert_eq!(told.missed(&wanted, &wanted), expected, "{events:?}");
    }

    #[test]
    fn what_is_missing_double_or_in_disorder_counts() {
        let [a, b] = [(1, "a"), (2, "b")].map(|(at, id)| event(at, "create", id, "succeeded"));
        let [x, y] = [(1, "a"), (2, "b")].map(|(at, id)| event(at, "update", id, "succeeded"));
        missed(&[a.clone(), x.clone(), b.clone(), y.clone()], 0);
        missed(&[a.clone(), x.clone(), b.clone()], 1);
        missed(&[a.clone(), x.clone(), b.clone(), y.clone(), y.clone()], 1);
        missed(&[b, y, a, x], 1);
        missed(&[event(3, "update", "c", "failed")], 5);
        missed(&[event(3, "update", "a", "running")], 4);
    }
}
