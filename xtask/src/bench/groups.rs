//! The keys, and how each is measured.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::drive::{self, Work, fsync_ms, latencies, quantile};
use super::{Bench, Measured, fill, lists, pack, stream, workflows};
use crate::clock::Stopwatch;

/// After a start, the server is left alone so long before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

/// How many rules that match nothing there are beside the one that does.
const UNRELATED: usize = 10_000;

/// How many actions are generated.
const ACTIONS: usize = 3_500;

/// How many events are sent to learn what matching one costs.
const EVENTS: u64 = 20_000;

/// How often a start is measured.
const STARTS: usize = 5;

/// Keys that are measured together.
pub(super) struct Group {
    /// What they are called together.
    pub(super) name: &'static str,
    /// The keys, in the order of their values.
    pub(super) keys: &'static [&'static str],
    /// Measures them.
    pub(super) run: fn(&Bench) -> Result<Measured>,
}

impl Group {
    /// Whether a name means this group or one of its keys.
    pub(super) fn has(&self, name: &str) -> bool {
        self.name == name || self.keys.contains(&name)
    }
}

pub(super) const GROUPS: &[Group] = &[
    Group {
        name: "fsync",
        keys: &["fsync_ms_p50"],
        run: |bench| Ok(vec![fsync_ms(&bench.home)?].into()),
    },
    Group {
        name: "start",
        keys: &["ready_first_ms", "ready_ms", "idle_rss_mib"],
        run: start,
    },
    Group {
        name: "definitions",
        keys: &[
            "register_3500_ms",
            "register_10000_rules_ms",
            "ready_many_ms",
        ],
        run: definitions,
    },
    Group {
        name: "noop_latency",
        keys: &["noop_latency_ms_p50", "noop_latency_ms_p99"],
        run: |bench| latency(bench, &Work::noop(), 100, 1000),
    },
    Group {
        name: "noop_rate",
        keys: &["noop_per_s_64", "noop_cpu_us"],
        run: |bench| {
            let rate = bench.rate(&Work::noop())?;
            Ok(vec![rate.per_second, rate.cpu_us].into())
        },
    },
    Group {
        name: "shell_latency",
        keys: &["shell_latency_ms_p50"],
        run: |bench| latency(bench, &Work::shell(), 20, 300),
    },
    Group {
        name: "shell_rate",
        keys: &["shell_per_s"],
        run: |bench| Ok(vec![bench.rate(&Work::shell())?.per_second].into()),
    },
    Group {
        name: "python_latency",
        keys: &["python_latency_ms_p50"],
        run: |bench| latency(bench, &Work::python(), 20, 300),
    },
    Group {
        name: "python_first",
        keys: &["python_first_ms"],
        run: first,
    },
    Group {
        name: "python_rate",
        keys: &["python_per_s"],
        run: |bench| Ok(vec![bench.rate(&Work::python())?.per_second].into()),
    },
    Group {
        name: "event_latency",
        keys: &["event_latency_ms_p50"],
        run: |bench| latency(bench, &Work::Event, 100, 1000),
    },
    Group {
        name: "event_rate",
        keys: &["event_to_execution_per_s"],
        run: |bench| Ok(vec![bench.rate(&Work::Event)?.per_second].into()),
    },
    Group {
        name: "match",
        keys: &["match_us_1_rule", "match_us_10000_unrelated"],
        run: |bench| {
            let alone = matching(bench, 0)?;
            Ok(vec![alone, matching(bench, UNRELATED)?].into())
        },
    },
    Group {
        name: "sequence",
        keys: &["sequence_100_ms"],
        run: |bench| latency(bench, &Work::action("bench.sequence", json!({})), 2, 11),
    },
    Group {
        name: "sequence_shell",
        keys: &["sequence_100_shell_ms"],
        run: |bench| {
            latency(
                bench,
                &Work::action("bench.sequence_shell", json!({})),
                1,
                5,
            )
        },
    },
    Group {
        name: "with_items",
        keys: &["with_items_1000_ms"],
        run: |bench| latency(bench, &Work::action("bench.items", json!({})), 2, 11),
    },
    Group {
        name: "workflows",
        keys: workflows::KEYS,
        run: workflows::measure,
    },
    Group {
        name: "noop_rate_full",
        keys: &["noop_per_s_64_full"],
        run: full,
    },
    Group {
        name: "lists",
        keys: &["list_ms_p50", "list_ms_p99", "list_other_ms_max"],
        run: |bench| Ok(bench.with_full(lists::measure)?.measured("lists")),
    },
    Group {
        name: "lists_tenth",
        keys: &[
            "list_tenth_ms_p50",
            "list_tenth_ms_p99",
            "list_tenth_other_ms_max",
        ],
        run: |bench| {
            let lists = bench.with_full(lists::measure_tenth)?;
            Ok(lists.measured("lists_tenth"))
        },
    },
    Group {
        name: "stream",
        keys: &["stream_missed", "stream_growth_mib", "stream_cpu_us"],
        run: |bench| {
            let seconds = bench.options.seconds;
            let heard = bench.with_full(|server| stream::measure(server, seconds))?;
            Ok(Measured {
                values: heard.values(),
                note: Some(heard.note()),
            })
        },
    },
];

fn latency(bench: &Bench, work: &Work, warm: usize, count: usize) -> Result<Measured> {
    let running = bench.server(0)?;
    let times = latencies(&running.server, work, warm, count)?;
    Ok(vec![quantile(&times, 0.5), quantile(&times, 0.99)].into())
}

/// The first start on an empty store, those that follow, and the memory some time after the last.
fn start(bench: &Bench) -> Result<Measured> {
    let mut first = Vec::new();
    for _ in 0..STARTS {
        first.push(bench.server(0)?.server.ready_seconds * 1e3);
    }
    let mut running = bench.server(0)?;
    let mut later = Vec::new();
    for _ in 0..STARTS {
        running.restart()?;
        later.push(running.server.ready_seconds * 1e3);
    }
    std::thread::sleep(IDLE);
    let memory = drive::rss_mib(running.server.pid())?;
    Ok(vec![median(first), median(later), memory].into())
}

/// How long a running server takes to register many definitions, and how long a later start takes
/// that has them all.
fn definitions(bench: &Bench) -> Result<Measured> {
    let mut running = bench.server(0)?;
    let register = |write: &dyn Fn(&std::path::Path) -> Result<()>, name: &str| {
        let packs = running.setup.packs.clone().unwrap_or_default();
        write(&packs)?;
        let body = json!({ "types": ["all"], "packs": [name] });
        let watch = Stopwatch::start();
        let answer = running
            .server
            .client()
            .post("/v1/packs/register", &[], &body)?;
        let took = watch.seconds() * 1e3;
        ensure!(
            answer.is_success(),
            "the registration was answered with {}",
            answer.status
        );
        Ok(took)
    };
    let actions = register(&|packs| pack::write_actions(packs, ACTIONS), "many_actions")?;
    let rules = register(&|packs| pack::write_rules(packs, UNRELATED), "many_rules")?;
    let mut later = Vec::new();
    for _ in 0..STARTS {
        running.restart()?;
        later.push(running.server.ready_seconds * 1e3);
    }
    Ok(vec![actions, rules, median(later)].into())
}

/// The median time of the first Python action of a pack, on servers that were just started.
fn first(bench: &Bench) -> Result<Measured> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let running = bench.server(0)?;
        times.extend(latencies(&running.server, &Work::python(), 0, 1)?);
    }
    Ok(vec![median(times)].into())
}

/// Microseconds of the server's CPU per event while nobody listens, from its acceptance to the
/// `core.noop` of the one rule that matches.
fn matching(bench: &Bench, unrelated: usize) -> Result<f64> {
    let running = bench.server(unrelated)?;
    let before = drive::cpu_seconds(running.server.pid())?;
    drive::send_all(&running.server, &Work::Event, EVENTS)?;
    let mut client = running.server.client();
    fill::settle(&mut client)?;
    let cpu = drive::cpu_seconds(running.server.pid())? - before;
    let done = fill::total(&mut client, "rule=matching&status=succeeded")?;
    ensure!(done == EVENTS, "{EVENTS} events gave {done} executions");
    #[allow(
        clippy::cast_precision_loss,
        reason = "the count is far below its precision"
    )]
    let count = EVENTS as f64;
    Ok(cpu * 1e6 / count)
}

fn full(bench: &Bench) -> Result<Measured> {
    let seconds = bench.options.seconds;
    let rate =
        bench.with_full(|server| drive::rate(server, &Work::noop(), super::CALLERS, seconds))?;
    let held = bench.full.borrow().as_ref().map_or(0, |(_, held)| *held);
    Ok(Measured {
        values: vec![rate.per_second],
        note: Some(format!("the full store held {held} executions")),
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::GROUPS;

    #[test]
    fn no_name_means_two_things() {
        let mut names: Vec<&str> = GROUPS
            .iter()
            .flat_map(|group| group.keys)
            .copied()
            .collect();
        names.extend(GROUPS.iter().map(|group| group.name));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
