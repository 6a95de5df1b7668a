//! What must hold, whatever was killed: the server's records against the ledger.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result};
use serde_json::Value;

use super::ledger::{Kind, Ledger};
use crate::http::Client;

/// How many records a page of a list has at most.
const PAGE: usize = 100;

/// How executions are asked for: without what no check reads.
const EXECUTION: &str = "exclude_attributes=result,runner,trigger_type,trigger";

/// Statuses that nothing follows.
const ENDED: [&str; 5] = ["succeeded", "failed", "timeout", "abandoned", "canceled"];

/// The children of a workflow that succeeded: task and item.
const TASKS: [(&str, Option<u64>); 8] = [
    ("first", None),
    ("items", Some(0)),
    ("items", Some(1)),
    ("items", Some(2)),
    ("items", Some(3)),
    ("items", Some(4)),
    ("last", None),
    ("work", None),
];

/// Everything that the server is known to know.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// Ids by the number of the event.
    events: BTreeMap<u64, BTreeSet<String>>,
    /// By their ids: a list that grows while its pages are read may show one twice.
    enforcements: HashMap<String, Value>,
    executions: HashMap<String, Value>,
    /// The time of the newest execution in the last reading, and in the one before it.
    newest: String,
    newest_before: String,
}

impl Records {
    /// Reads all lists.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub(crate) fn read(client: &mut Client) -> Result<Self> {
        let mut records = Self::default();
        records.read_on(client)?;
        Ok(records)
    }

    /// Reads what may have changed since the last reading: executions that had not ended, and all
    /// records that are younger than the newest of the reading before. Whatever was committed
    /// before a kill is there at the next start, so one reading's overlap leaves nothing out.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub(crate) fn read_on(&mut self, client: &mut Client) -> Result<()> {
        let since = |name: &str, time: &str| match time {
            "" => String::new(),
            time => format!("{name}={time}&"),
        };
        let from = std::mem::take(&mut self.newest_before);
        let young = since("timestamp_gt", &from);
        let events = list(client, &format!("/v1/triggerinstances?{young}"))?;
        let enforced = since("enforced_at_gt", &from);
        let enforcements = list(client, &format!("/v1/ruleenforcements?{enforced}"))?;
        let executions = list(client, &format!("/v1/executions?{EXECUTION}&{young}"))?;
        let shown: BTreeSet<String> = executions.iter().map(|one| text(one, "id")).collect();
        let open = |(id, one): (&String, &Value)| {
            (!ENDED.contains(&status(one)) && !shown.contains(id)).then(|| id.clone())
        };
        let open: Vec<String> = self.executions.iter().filter_map(open).collect();
        self.newest_before = std::mem::take(&mut self.newest);
        self.newest.clone_from(&self.newest_before);
        self.add(events, enforcements, executions);
        for id in open {
            let answer = client.get(&format!("/v1/executions/{id}?{EXECUTION}"))?;
            if answer.status == 404 {
                self.executions.remove(&id);
            } else {
                self.executions.insert(id, answer.json()?);
            }
        }
        Ok(())
    }

    /// What the lists say.
    #[cfg(test)]
    pub(crate) fn of(
        instances: Vec<Value>,
        enforcements: Vec<Value>,
        executions: Vec<Value>,
    ) -> Self {
        let mut records = Self::default();
        records.add(instances, enforcements, executions);
        records
    }

    fn add(&mut self, instances: Vec<Value>, enforcements: Vec<Value>, executions: Vec<Value>) {
        for event in instances {
            // Others than ours have no number.
            if let Some(number) = event["payload"]["body"]["number"].as_u64() {
                let ids = self.events.entry(number).or_default();
                ids.insert(text(&event, "id"));
            }
        }
        let named = |record: Value| (text(&record, "id"), record);
        self.enforcements
            .extend(enforcements.into_iter().map(named));
        for execution in executions {
            let time = text(&execution, "start_timestamp");
            if time > self.newest {
                self.newest = time;
            }
            self.executions.insert(text(&execution, "id"), execution);
        }
    }

    /// How many executions there are.
    pub(crate) fn executions(&self) -> usize {
        self.executions.len()
    }

    /// What holds at any moment.
    pub(crate) fn check_always(&self, ledger: &Ledger) -> Vec<String> {
        let mut wrong = self.check_events(ledger);
        wrong.extend(self.check_pairs(ledger));
        for (id, execution) in &self.executions {
            wrong.extend(check_log(id, execution));
        }
        wrong.extend(self.check_tasks());
        wrong.extend(self.check_requests(ledger));
        wrong
    }

    /// What holds once everything is quiet.
    pub(crate) fn check_at_the_end(&self, ledger: &Ledger, effects: &str) -> Vec<String> {
        let mut wrong = self.check_always(ledger);
        wrong.extend(self.check_enforced(ledger));
        for (id, execution) in &self.executions {
            let status = status(execution);
            if !ENDED.contains(&status) {
                wrong.push(format!("execution {id} never ended: it is {status}"));
            }
        }
        wrong.extend(self.check_workflows());
        wrong.extend(self.check_effects(effects));
        wrong
    }

    fn check_events(&self, ledger: &Ledger) -> Vec<String> {
        let mut wrong = Vec::new();
        for (number, sent) in &ledger.events {
            let found = self.events.get(number);
            let found: Vec<&String> = found.into_iter().flatten().collect();
            match (&sent.acknowledged, &found[..]) {
                (Some(id), []) => {
                    wrong.push(format!(
                        "event {number} was acknowledged as {id} and is lost"
                    ));
                }
                (Some(id), [found]) if id != *found => {
                    wrong.push(format!(
                        "event {number} was acknowledged as {id} and is {found}"
                    ));
                }
                (_, [_, _, ..]) => {
                    wrong.push(format!("event {number} is there {} times", found.len()));
                }
                _ => {}
            }
        }
        wrong
    }

    /// No (event, rule) has two enforcements or two executions.
    fn check_pairs(&self, ledger: &Ledger) -> Vec<String> {
        let mut wrong = Vec::new();
        let numbers = self.numbers();
        let mut pairs = BTreeSet::new();
        for enforcement in self.enforcements.values() {
            let pair = (
                text(enforcement, "trigger_instance_id"),
                text(&enforcement["rule"], "ref"),
            );
            let execution = enforcement["execution_id"].as_str();
            match (execution, enforcement["failure_reason"].as_str()) {
                (Some(id), None) if !self.executions.contains_key(id) => wrong.push(format!(
                    "the enforcement of {pair:?} holds execution {id}, which is lost"
                )),
                (Some(_), None) | (None, Some(_)) => {}
                _ => wrong.push(format!(
                    "the enforcement of {pair:?} must hold either an execution or a reason"
                )),
            }
            let sent = numbers
                .get(pair.0.as_str())
                .and_then(|number| ledger.events.get(number));
            if sent.is_some_and(|sent| !sent.kind.rules().contains(&&*pair.1)) {
                wrong.push(format!(
                    "{pair:?} has an enforcement, and the rule doesn't match"
                ));
            }
            if !pairs.insert(pair.clone()) {
                wrong.push(format!("{pair:?} has two enforcements"));
            }
        }
        let mut answered = BTreeSet::new();
        for (id, execution) in &self.executions {
            let event = execution["trigger_instance"]["id"].as_str();
            let rule = execution["rule"]["ref"].as_str();
            if let (Some(event), Some(rule)) = (event, rule)
                && !answered.insert((event, rule))
            {
                wrong.push(format!("{event} and {rule} have a second execution, {id}"));
            }
        }
        wrong
    }

    fn numbers(&self) -> HashMap<&str, u64> {
        let events = self.events.iter();
        let numbered = events.flat_map(|(number, ids)| ids.iter().map(|id| (id.as_str(), *number)));
        numbered.collect()
    }

    /// Every event that is there has one enforcement for each of its rules.
    fn check_enforced(&self, ledger: &Ledger) -> Vec<String> {
        let mut wrong = Vec::new();
        let enforced: HashMap<(&str, &str), &Value> = self
            .enforcements
            .values()
            .filter_map(|one| {
                let pair = (
                    one["trigger_instance_id"].as_str()?,
                    one["rule"]["ref"].as_str()?,
                );
                Some((pair, one))
            })
            .collect();
        for (id, number) in self.numbers() {
            let Some(sent) = ledger.events.get(&number) else {
                wrong.push(format!("event {number} was never sent"));
                continue;
            };
            for rule in sent.kind.rules() {
                match enforced.get(&(id, rule)) {
                    None => wrong.push(format!("event {number} and {rule} have no enforcement")),
                    Some(one) => {
                        let refused = sent.kind == Kind::Broken && *rule == "crash.broken";
                        if one["failure_reason"].is_string() != refused {
                            wrong.push(format!("event {number} and {rule} ended wrongly: {one}"));
                        }
                    }
                }
            }
        }
        wrong
    }

    /// What was asked for directly is there, and what was canceled did not end otherwise.
    fn check_requests(&self, ledger: &Ledger) -> Vec<String> {
        let lost = ledger
            .executions
            .iter()
            .filter(|id| !self.executions.contains_key(*id))
            .map(|id| format!("execution {id} was accepted and is lost"));
        let uncanceled = ledger.canceled.iter().filter_map(|id| {
            let status = self.executions.get(id).map_or("lost", status);
            let stopped = matches!(status, "canceling" | "canceled");
            (!stopped).then(|| format!("execution {id} was canceled, and is {status}"))
        });
        lost.chain(uncanceled).collect()
    }

    /// The executions below each workflow, by its id.
    fn children(&self) -> BTreeMap<&str, Vec<&Value>> {
        let mut children: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for execution in self.executions.values() {
            if let Some(parent) = execution["parent"].as_str() {
                children.entry(parent).or_default().push(execution);
            }
        }
        children
    }

    /// No task of a workflow has run twice: these workflows have no cycles and no retries.
    fn check_tasks(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (parent, children) in self.children() {
            if !self.executions.contains_key(parent) {
                wrong.push(format!("workflow {parent} is lost, and its tasks are not"));
            }
            let mut turns = BTreeSet::new();
            for child in children {
                let task = &child["context"]["orquesta"];
                let turn = (
                    text(task, "task_id"),
                    task["task_route"].as_u64(),
                    task["item_id"].as_u64(),
                );
                if !turns.insert(turn.clone()) {
                    wrong.push(format!("workflow {parent} ran {turn:?} twice"));
                }
            }
        }
        wrong
    }

    /// A workflow that succeeded forgot no task; one that failed has a task that did.
    fn check_workflows(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let children = self.children();
        let workflows = self
            .executions
            .iter()
            .filter(|(_, execution)| execution["action"]["ref"] == "crash.sequence");
        for (id, workflow) in workflows {
            let children = children.get(id.as_str()).map_or(&[][..], Vec::as_slice);
            let mut tasks: Vec<(String, Option<u64>)> = children
                .iter()
                .map(|child| {
                    let task = &child["context"]["orquesta"];
                    (text(task, "task_id"), task["item_id"].as_u64())
                })
                .collect();
            tasks.sort();
            let all = tasks
                .iter()
                .map(|(task, item)| (task.as_str(), *item))
                .eq(TASKS);
            let unsuccessful = children.iter().any(|child| status(child) != "succeeded");
            match status(workflow) {
                "succeeded" if !all || unsuccessful => wrong.push(format!(
                    "workflow {id} succeeded with these tasks: {tasks:?}"
                )),
                "failed" if !unsuccessful => {
                    wrong.push(format!("workflow {id} failed, and none of its tasks did"));
                }
                _ => {}
            }
        }
        wrong
    }

    /// Each process left at most one trace, and one that succeeded left exactly one.
    fn check_effects(&self, effects: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut traces: HashMap<&str, usize> = HashMap::new();
        for line in effects.lines() {
            *traces.entry(line).or_default() += 1;
        }
        for (line, count) in &traces {
            if *count > 1 {
                wrong.push(format!(
                    "the process that writes `{line}` ran {count} times"
                ));
            }
        }
        let numbers = self.numbers();
        for (id, execution) in &self.executions {
            let prefix = match execution["rule"]["ref"].as_str() {
                Some("crash.shell") => "shell",
                Some("crash.workflow") => "work",
                _ => continue,
            };
            let event = execution["trigger_instance"]["id"]
                .as_str()
                .unwrap_or_default();
            let Some(number) = numbers.get(event) else {
                continue;
            };
            let line = format!("{prefix}-{number}");
            if status(execution) == "succeeded" && !traces.contains_key(line.as_str()) {
                wrong.push(format!(
                    "execution {id} succeeded, and `{line}` was never written"
                ));
            }
        }
        wrong
    }
}

/// Statuses moved along the table, and the end was recorded once.
fn check_log(id: &str, execution: &Value) -> Option<String> {
    let log = execution["log"].as_array()?;
    let steps: Vec<&str> = log.iter().map(status).collect();
    let first = steps.first() == Some(&"requested");
    let last = steps.last() == Some(&status(execution));
    let moves = steps.windows(2).all(|pair| allows(pair[0], pair[1]));
    let fine = first && last && moves;
    (!fine).then(|| {
        format!(
            "execution {id} is {}, and came there by {steps:?}",
            status(execution)
        )
    })
}

/// The table of transitions as clients can see it. It is written down here once more on purpose: a
/// check that asked the code under test would agree with it in everything.
fn allows(from: &str, to: &str) -> bool {
    let next: &[&str] = match from {
        "requested" | "delayed" => &["delayed", "scheduled", "paused", "canceled", "failed"],
        "scheduled" => &["running", "paused", "canceled", "failed"],
        "running" => &[
            "requested",
            "pending",
            "pausing",
            "paused",
            "canceling",
            "succeeded",
            "failed",
            "timeout",
            "abandoned",
            "canceled",
        ],
        "pending" => &[
            "pausing",
            "running",
            "canceling",
            "succeeded",
            "failed",
            "timeout",
        ],
        "pausing" => &["paused", "resuming", "canceling", "succeeded", "failed"],
        "paused" => &["resuming", "canceling", "succeeded", "failed"],
        "resuming" => &[
            "running",
            "pausing",
            "paused",
            "canceling",
            "succeeded",
            "failed",
        ],
        "canceling" => &["canceled"],
        _ => &[],
    };
    next.contains(&to)
}

/// Whether nothing is under way: no execution that has not ended, no event that waits.
///
/// # Errors
///
/// When the server does not answer.
pub(crate) fn is_quiet(client: &mut Client) -> Result<bool> {
    let open = "requested,delayed,scheduled,running,pending,pausing,paused,resuming,canceling";
    let executions = format!("/v1/executions?status={open}&limit=1&include_attributes=id");
    let answer = client.get(&executions)?;
    if answer
        .json()?
        .as_array()
        .is_none_or(|found| !found.is_empty())
    {
        return Ok(false);
    }
    let events = list(client, "/v1/triggerinstances?include_attributes=status&")?;
    let waiting = |event: &Value| matches!(status(event), "pending" | "processing");
    Ok(!events.iter().any(waiting))
}

fn list(client: &mut Client, path: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    loop {
        let page = client.get(&format!("{path}limit={PAGE}&offset={}", all.len()))?;
        let Value::Array(page) = page.json()? else {
            anyhow::bail!("{path} is no list");
        };
        let last = page.len() < PAGE;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

fn text(record: &Value, member: &str) -> String {
    record[member].as_str().unwrap_or_default().to_owned()
}

fn status(record: &Value) -> &str {
    record["status"].as_str().unwrap_or_default()
}

/// The effects that processes have left, as far as they have.
///
/// # Errors
///
/// When the file is there and can't be read.
pub(crate) fn read_effects(path: &std::path::Path) -> Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => other.with_context(|| format!("cannot read {}", path.display())),
    }
}
