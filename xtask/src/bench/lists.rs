//! Lists of executions over a full store, while more executions come.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Measured;
use super::drive::quantile;
use super::fill::{self, ACTIONS, USERS};
use super::pace::{self, Past};
use super::viewer::{self, VIEWER};
use crate::clock::Stopwatch;
use crate::http::{Answer, Client};
use crate::server::Server;

/// How many pages of each list are turned.
const PAGES: u64 = 100;

/// How long a page is, as `st2` and the web UI ask for it.
const PAGE: u64 = 50;

/// What `st2 execution list` asks for.
const COMMAND: &str = "sort_desc=True&include_attributes=id,action.ref,context.user,status,\
                       start_timestamp,end_timestamp";

/// What the history of the web UI asks for.
const WEB: &str = "exclude_attributes=result,trigger_instance";

/// Filters with which the first pages are turned. `FROM` and `TO` are a range of time in which a
/// third of the executions lie.
const FIRST: &[(&str, &str)] = &[
    (COMMAND, "parent=null"),
    (COMMAND, ""),
    (COMMAND, "parent=null&action=bench.noop_3"),
    (COMMAND, "parent=null&status=succeeded"),
    (COMMAND, "parent=null&status=failed"),
    (COMMAND, "parent=null&status=running"),
    (COMMAND, "parent=null&timestamp_gt=FROM"),
    (COMMAND, "parent=null&timestamp_lt=TO"),
    (COMMAND, "timestamp_gt=FROM&timestamp_lt=TO"),
    (COMMAND, "parent=null&sort_asc=True"),
    (WEB, "parent=null"),
    (WEB, "parent=null&status=failed"),
    (WEB, "parent=null&action=bench.noop_3"),
    (WEB, "parent=null&action=bench.noop_3&status=succeeded"),
    (WEB, "parent=null&rule=matching"),
    (WEB, "parent=null&trigger_type=core.st2.webhook"),
    (WEB, "parent=null&runner=noop"),
    (WEB, "parent=null&runner=orquesta"),
    (WEB, "parent=null&user=bench-3"),
    (WEB, "parent=null&user=bench-3&status=failed"),
    (WEB, "parent=null&user=bench-3&action=bench.noop_3"),
];

/// Other pages and filters, one request each. `WORKFLOW` and `EVENT` stand for ids, `BEHIND_1` and
/// its like for so many tenths of all that is seen.
const OTHER: &[&str] = &[
    "/v1/executions?limit=50&offset=BEHIND_1&parent=null",
    "/v1/executions?limit=50&offset=BEHIND_5",
    "/v1/executions?limit=50&offset=BEHIND_9&parent=null",
    "/v1/executions?limit=50&offset=BEHIND_1&user=bench-3",
    "/v1/executions?limit=50&offset=BEHIND_9&status=succeeded",
    "/v1/executions?limit=100&parent=WORKFLOW",
    "/v1/executions?limit=100&parent=WORKFLOW&status=failed",
    "/v1/executions?limit=50&trigger_instance=EVENT",
    "/v1/executions?limit=50&status=failed,timeout,abandoned,canceled&parent=null",
    "/v1/executions?limit=50&status=canceled&parent=null",
    "/v1/executions?limit=50&action=bench.unknown",
    "/v1/executions?limit=50&user=nobody",
    "/v1/executions?limit=50&user=bench-3&timestamp_gt=FROM&timestamp_lt=TO",
    "/v1/executions?limit=50&action=bench.noop_3&timestamp_gt=FROM&timestamp_lt=TO",
    "/v1/executions?limit=50&runner=orquesta&status=failed&timestamp_lt=TO",
    "/v1/executions?limit=50&rule=matching&timestamp_gt=FROM&timestamp_lt=TO",
    "/v1/executions/WORKFLOW/children",
    "/v1/ruleenforcements?limit=50",
    "/v1/ruleenforcements?limit=50&rule_ref=bench.matching",
    "/v1/ruleenforcements?limit=50&rule_ref=bench.matching&offset=30000",
    "/v1/triggerinstances?limit=50",
    "/v1/triggerinstances?limit=50&offset=30000",
    "/v1/triggerinstances?limit=50&timestamp_gt=FROM&timestamp_lt=TO",
];

/// What was measured, in milliseconds.
#[derive(Debug)]
pub(crate) struct Lists {
    /// The first pages, sorted.
    first: Vec<f64>,
    /// The slowest of the other requests.
    other: f64,
    /// What took longest among the first pages, and among the others.
    slowest: [(f64, String); 2],
    load: f64,
}

impl Lists {
    /// Median and 99 of 100 of the first pages, the slowest of the others, and what belongs beside
    /// them.
    pub(crate) fn measured(&self, name: &str) -> Measured {
        let [first, other] = &self.slowest;
        let note = format!(
            "{name}: {} first pages beside {:.0} executions per second; slowest {:.1} ms {}, other \
             {:.1} ms {}",
            self.first.len(),
            self.load,
            first.0,
            first.1,
            other.0,
            other.1
        );
        Measured {
            values: vec![
                quantile(&self.first, 0.5),
                quantile(&self.first, 0.99),
                self.other,
            ],
            note: Some(note),
        }
    }
}

/// Measures as one who sees everything.
///
/// # Errors
///
/// When the server refuses, or a total is wrong.
pub(crate) fn measure(server: &Server) -> Result<Lists> {
    let mut client = server.client();
    let places = Places::find(&mut server.client(), &mut client)?;
    measure_as(server, &mut client, &places)
}

/// Measures as one who may see a tenth of all.
///
/// # Errors
///
/// When the server refuses, or a total is wrong.
pub(crate) fn measure_tenth(server: &Server) -> Result<Lists> {
    let mut viewer = viewer::appoint(server)?;
    let mut all = server.client();
    let places = Places::find(&mut all, &mut viewer)?;
    viewer::check_share(&mut all, &mut viewer, &places.from)?;
    measure_as(server, &mut viewer, &places)
}

/// Turns the first pages of each list, and asks for the others, while executions come steadily. The
/// totals must be those that were filled in.
fn measure_as(server: &Server, client: &mut Client, places: &Places) -> Result<Lists> {
    check_totals(client)?;
    let ((first, other), Past { per_second, .. }) = pace::beside(server, || {
        let first = first_pages(client, places)?;
        let other = OTHER.iter().map(|path| {
            let path = places.put_into(path);
            Ok((timed(client, &path)?.0, path))
        });
        Ok((first, other.collect::<Result<Vec<_>>>()?))
    })?;
    let slowest = |times: &[(f64, String)]| {
        let slowest = times.iter().max_by(|one, two| one.0.total_cmp(&two.0));
        slowest.cloned().unwrap_or_default()
    };
    let slowest = [slowest(&first), slowest(&other)];
    let mut first: Vec<f64> = first.into_iter().map(|(time, _)| time).collect();
    first.sort_by(f64::total_cmp);
    Ok(Lists {
        first,
        other: slowest[1].0,
        slowest,
        load: per_second,
    })
}

/// Every first page of every list: milliseconds and path.
fn first_pages(client: &mut Client, places: &Places) -> Result<Vec<(f64, String)>> {
    let mut times = Vec::new();
    for (members, filter) in FIRST {
        let list = places.put_into(&format!("/v1/executions?limit={PAGE}&{members}&{filter}"));
        for page in 0..PAGES {
            let path = format!("{list}&offset={}", page * PAGE);
            let (time, answer) = timed(client, &path)?;
            let total = total_of(&answer)?;
            let left = total.saturating_sub(page * PAGE).min(PAGE);
            let found = answer.json()?.as_array().map_or(0, Vec::len) as u64;
            ensure!(found == left, "{path} has {found} items of {total}");
            times.push((time, path));
            if left < PAGE {
                break;
            }
        }
    }
    Ok(times)
}

fn timed(client: &mut Client, path: &str) -> Result<(f64, Answer)> {
    let watch = Stopwatch::start();
    let answer = client.get(path)?;
    Ok((watch.seconds() * 1e3, answer))
}

fn total_of(answer: &Answer) -> Result<u64> {
    let total = answer
        .header("x-total-count")
        .and_then(|total| total.parse().ok());
    total.context("a list has a total")
}

/// The parts of a whole, counted in several ways, are as many as the whole.
fn check_totals(client: &mut Client) -> Result<()> {
    let whole = fill::total(client, "")?;
    let mut users = fill::total(client, "user=admin")?;
    users += fill::total(client, &format!("user={VIEWER}"))?;
    for user in 0..USERS {
        users += fill::total(client, &format!("user=bench-{user}"))?;
    }
    // Those that a rule asked for belong to the system's own user.
    let by_rule = fill::total(client, "rule=matching")?;
    let mut states = 0;
    for status in ["succeeded", "failed"] {
        states += fill::total(client, &format!("status={status}"))?;
    }
    ensure!(states == whole, "{states} executions have ended of {whole}");
    ensure!(
        (whole - by_rule..=whole).contains(&users),
        "the users have {users} executions of {whole}, {by_rule} of them by the rule"
    );
    let mut actions = 0;
    for number in 0..ACTIONS {
        actions += fill::total(
            client,
            &format!("action=bench.noop_{number}&status=succeeded"),
        )?;
    }
    let runner = fill::total(client, "runner=noop")?;
    let core = fill::total(client, "action=core.noop")?;
    ensure!(
        actions + core == runner,
        "the actions have {actions} and {core} executions of {runner}"
    );
    Ok(())
}

/// What stands in the paths for names.
struct Places {
    whole: u64,
    from: String,
    to: String,
    workflow: String,
    event: String,
}

impl Places {
    /// Finds them for one who asks; ids are those that one who sees everything finds.
    fn find(all: &mut Client, client: &mut Client) -> Result<Self> {
        let whole = fill::total(client, "")?;
        let mut at = |offset: u64| one(client, &format!("offset={offset}"), "start_timestamp");
        Ok(Self {
            whole,
            from: at(whole * 2 / 3)?,
            to: at(whole / 3)?,
            workflow: one(all, "action=bench.items", "id")?,
            event: one(all, "rule=matching", "trigger_instance.id")?,
        })
    }

    fn put_into(&self, path: &str) -> String {
        let mut path = path.to_owned();
        for tenths in [1, 5, 9] {
            let behind = self.whole * tenths / 10;
            path = path.replace(&format!("BEHIND_{tenths}"), &behind.to_string());
        }
        path.replace("FROM", &self.from)
            .replace("TO", &self.to)
            .replace("WORKFLOW", &self.workflow)
            .replace("EVENT", &self.event)
    }
}

/// A member of the first execution of a list.
fn one(client: &mut Client, filter: &str, member: &str) -> Result<String> {
    let found = client
        .get(&format!("/v1/executions?limit=1&{filter}"))?
        .json()?;
    let pointer = format!("/0/{}", member.replace('.', "/"));
    let text = found.pointer(&pointer).and_then(Value::as_str);
    Ok(text
        .with_context(|| format!("no execution has {member} with {filter}"))?
        .to_owned())
}
