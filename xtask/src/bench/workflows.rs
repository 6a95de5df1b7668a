//! Workflows of every size: whether a task costs the same in a long one as in a short one.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::drive::{self, Asked, Work, latencies, quantile};
use super::ends::Ends;
use super::{Bench, Measured, pack};
use crate::clock::Stopwatch;
use crate::server::Server;

/// The keys, in the order of their values.
pub(super) const KEYS: &[&str] = &[
    "sequence_10_ms",
    "sequence_1000_ms",
    "sequence_10000_ms",
    "fan_out_1000_ms",
    "with_items_10000_ms",
    "nesting_50_ms",
    "workflows_500_ms",
    "task_cpu_us_100",
    "task_cpu_us_1000",
    "task_cpu_us_10000",
    "task_cpu_growth",
    "workflows_rss_growth_mib",
];

/// The pack, and with it the first part of its actions' references.
const PACK: &str = "workflows";

/// Workflows that are timed, and how often: so that each takes some seconds together.
const TIMED: &[(&str, usize)] = &[
    ("workflows.sequence_10", 21),
    ("workflows.sequence_1000", 3),
    ("workflows.sequence_10000", 1),
    ("workflows.fan_out_1000", 3),
    ("workflows.with_items_10000", 1),
    ("workflows.nesting_1", 11),
];

/// Workflows of which each task publishes a variable, how many tasks they have, and how often they
/// run.
const PUBLISHING: &[(&str, u32, usize)] = &[
    ("workflows.publishing_100", 100, 50),
    ("workflows.publishing_1000", 1_000, 5),
    ("workflows.publishing_10000", 10_000, 1),
];

/// How deep workflows are nested.
const DEPTH: usize = 50;

/// How many workflows run at once, of ten tasks each.
const AT_ONCE: usize = 500;

/// Measures the keys on one server.
///
/// # Errors
///
/// When the server refuses, or a workflow does not succeed.
pub(super) fn measure(bench: &Bench) -> Result<Measured> {
    let running = bench.server_with(&[], write)?;
    let server = &running.server;
    // The first ones fill caches and grow the heap to what it takes anyway.
    time(server, "workflows.sequence_10", 5)?;
    let before = drive::rss_mib(server.pid())?;
    let mut values = Vec::with_capacity(KEYS.len());
    for (action, times) in TIMED {
        values.push(time(server, action, *times)?);
    }
    values.push(at_once(server)?);
    let mut costs = Vec::new();
    for (action, tasks, times) in PUBLISHING {
        costs.push(cost_of_task(server, action, *tasks, *times)?);
    }
    let growth = costs[costs.len() - 1] / costs[0];
    values.extend(costs);
    values.push(growth);
    values.push(drive::rss_mib(server.pid())? - before);
    Ok(values.into())
}

/// The median time of a workflow, in milliseconds.
fn time(server: &Server, action: &'static str, times: usize) -> Result<f64> {
    let work = Work::action(action, json!({}));
    Ok(quantile(&latencies(server, &work, 0, times)?, 0.5))
}

/// From the first request until all have ended, in milliseconds.
fn at_once(server: &Server) -> Result<f64> {
    const ACTION: &str = "workflows.sequence_10";
    let mut client = server.client();
    let ends = Ends::listen(&client, ACTION)?;
    let watch = Stopwatch::start();
    let mut asked = Vec::with_capacity(AT_ONCE);
    for _ in 0..AT_ONCE {
        let answer = client.post("/v1/executions", &[], &json!({ "action": ACTION }))?;
        anyhow::ensure!(
            answer.is_success(),
            "{ACTION} was refused: {}",
            answer.status
        );
        asked.push(answer.read::<Asked>()?.id);
    }
    for id in asked {
        ends.wait(&id)?;
    }
    Ok(watch.seconds() * 1e3)
}

/// Microseconds of the server's CPU per task.
fn cost_of_task(server: &Server, action: &'static str, tasks: u32, times: usize) -> Result<f64> {
    let work = Work::action(action, json!({}));
    let before = drive::cpu_seconds(server.pid())?;
    let times = latencies(server, &work, 0, times)?.len();
    let cpu = drive::cpu_seconds(server.pid())? - before;
    let times = u32::try_from(times)?;
    Ok(cpu * 1e6 / f64::from(tasks * times))
}

/// Writes the pack of these workflows.
fn write(packs: &Path) -> Result<()> {
    let directory = pack::begin(packs, PACK)?;
    let mut workflows = Vec::new();
    for count in [10, 1_000, 10_000] {
        workflows.push((format!("sequence_{count}"), sequence(count, false)));
    }
    for count in [100, 1_000, 10_000] {
        workflows.push((format!("publishing_{count}"), sequence(count, true)));
    }
    workflows.push(("fan_out_1000".to_owned(), fan_out(1_000)));
    workflows.push((
        "with_items_10000".to_owned(),
        "version: 1.0\ntasks:\n  each:\n    with:\n      items: <% range(10000) %>\n      \
         concurrency: 100\n    action: core.noop\n"
            .to_owned(),
    ));
    for level in 1..=DEPTH {
        let action = match level {
            DEPTH => "core.noop".to_owned(),
            _ => format!("{PACK}.nesting_{}", level + 1),
        };
        let text = format!("version: 1.0\ntasks:\n  only:\n    action: {action}\n");
        workflows.push((format!("nesting_{level}"), text));
    }
    for (name, text) in workflows {
        let path = directory.join(format!("actions/workflows/{name}.yaml"));
        fs::write(path, text)?;
        fs::write(
            directory.join(format!("actions/{name}.yaml")),
            pack::action(&name),
        )?;
    }
    Ok(())
}

/// Tasks one after the other; each publishes a variable of its own, if they shall.
fn sequence(count: usize, publishes: bool) -> String {
    let mut text = "version: 1.0\ntasks:\n".to_owned();
    for number in 1..=count {
        // Writing to a text cannot fail.
        let _ = write!(text, "  t{number}:\n    action: core.noop\n");
        if number == count {
            break;
        }
        let _ = write!(text, "    next:\n      - do: t{}\n", number + 1);
        if publishes {
            let _ = write!(
                text,
                "        publish:\n          - v{number}: <% task_status(t{number}) %>\n"
            );
        }
    }
    text
}

/// Tasks side by side, and one that waits for all of them.
fn fan_out(count: usize) -> String {
    let mut text = "version: 1.0\ntasks:\n  first:\n    action: core.noop\n    next:\n".to_owned();
    for number in 1..=count {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "      - do: t{number}");
    }
    for number in 1..=count {
        let _ = write!(
            text,
            "  t{number}:\n    action: core.noop\n    next:\n      - do: last\n"
        );
    }
    text.push_str("  last:\n    join: all\n    action: core.noop\n");
    text
}
