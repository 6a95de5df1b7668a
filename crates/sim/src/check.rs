//! What must be true when nothing moves any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::FutureExt;
use squall_model::{
    Enforcement, EnforcementOutcome, Event, Execution, ExecutionId, Lease, Origin, Outcome, State,
    TriggerInstance, TriggerInstanceId, TriggerInstanceStatus,
};
use squall_store::{
    EnforcementFilter, ExecutionFilter, Page, ParentFilter, Store, TriggerInstanceFilter,
};
use squall_value::Value;

use crate::clients::Told;
use crate::definitions::{ACTION_TRIGGER, PROCESSES, RULES, TRIGGER, WATCHED, WATCHER};
use crate::world::World;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) problems: Vec<String>,
    pub(crate) events: usize,
    pub(crate) executions: usize,
}

/// All that the store holds at the end.
struct Records {
    events: Vec<Arc<TriggerInstance>>,
    enforcements: BTreeMap<TriggerInstanceId, Vec<Arc<Enforcement>>>,
    executions: BTreeMap<ExecutionId, Arc<Execution>>,
}

/// Holds the end of a run against the promises.
pub(crate) fn check(world: &World, told: &Told, workflows: &[String]) -> Found {
    let mut found = Found::default();
    let Some(records) = read(world) else {
        found
            .problems
            .push("the store could not be read".to_owned());
        return found;
    };
    found.events = records.events.len();
    found.executions = records.executions.len();
    let problems = &mut found.problems;
    problems.extend(world.ledger.violations());
    acknowledged(&records, told, problems);
    enforced(&records, problems);
    for execution in records.executions.values() {
        ended_by_the_table(execution, problems);
        in_its_place(execution, &records, problems);
    }
    processes(world, &records, problems);
    tasks(&records, workflows, problems);
    at_rest(world, problems);
    problems.truncate(40);
    found
}

fn read(world: &World) -> Option<Records> {
    let (memory, page) = (&world.memory, Page::ALL);
    let filter = ExecutionFilter {
        parent: ParentFilter::Any,
        ..ExecutionFilter::default()
    };
    let executions = memory.executions(&filter, page).now_or_never()?.ok()?;
    let filter = TriggerInstanceFilter::default();
    let events = memory
        .trigger_instances(&filter, page)
        .now_or_never()?
        .ok()?;
    let filter = EnforcementFilter::default();
    let all = memory.enforcements(&filter, page).now_or_never()?.ok()?;
    let mut enforcements: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for enforcement in all.items {
        let of = enforcements.entry(enforcement.trigger_instance);
        of.or_default().push(enforcement);
    }
    let executions = executions.items.into_iter();
    Some(Records {
        events: events.items,
        enforcements,
        executions: executions.map(|record| (record.id(), record)).collect(),
    })
}

/// No acknowledged event is lost, none is there twice.
fn acknowledged(records: &Records, told: &Told, problems: &mut Vec<String>) {
    let mut by_tag: BTreeMap<&str, Vec<&TriggerInstance>> = BTreeMap::new();
    for event in &records.events {
        if let Some(tag) = event.payload.get("tag").and_then(Value::as_str) {
            by_tag.entry(tag).or_default().push(event);
        }
    }
    for sent in told.sent.lock().iter() {
        let kept = by_tag.get(sent.tag.as_str()).map_or(&[][..], Vec::as_slice);
        if kept.len() > 1 {
            problems.push(format!("event {} is there {} times", sent.tag, kept.len()));
        }
        for receipt in &sent.receipts {
            if !kept.iter().any(|event| event.id == *receipt) {
                let tag = &sent.tag;
                problems.push(format!("event {tag}, acknowledged as {receipt}, is lost"));
            }
        }
        for event in kept {
            if event.payload.get("n").and_then(Value::as_int) != Some(sent.n) {
                problems.push(format!("event {} has another payload", sent.tag));
            }
        }
    }
}

/// Every rule that an event concerns has one enforcement, and that one execution or a reason.
fn enforced(records: &Records, problems: &mut Vec<String>) {
    let none = Vec::new();
    for event in &records.events {
        if event.status != TriggerInstanceStatus::Processed {
            problems.push(format!("event {} is {:?}", event.id, event.status));
        }
        let enforcements = records.enforcements.get(&event.id).unwrap_or(&none);
        for (rule, works) in expected(event) {
            let of_rule: Vec<_> = enforcements
                .iter()
                .filter(|enforcement| enforcement.rule.as_str() == rule)
                .collect();
            let fits = match of_rule.as_slice() {
                [one] => one.outcome_fits(works, records),
                _ => false,
            };
            if !fits {
                let outcomes: Vec<_> = of_rule.iter().map(|one| &one.outcome).collect();
                problems.push(format!("event {}, rule {rule}: {outcomes:?}", event.id));
            }
        }
        let count = expected(event).len();
        if enforcements.len() != count {
            let (id, there) = (event.id, enforcements.len());
            problems.push(format!(
                "event {id}: {there} enforcements instead of {count}"
            ));
        }
    }
    let reported: BTreeSet<_> = records.events.iter().filter_map(reported).collect();
    for execution in records.executions.values() {
        if execution.request.action.as_str() == WATCHED && !reported.contains(&execution.id()) {
            problems.push(format!("the end of {} made no event", execution.id()));
        }
    }
    let reports: Vec<_> = records.events.iter().filter_map(reported_any).collect();
    let distinct: BTreeSet<_> = reports.iter().collect();
    if distinct.len() != reports.len() {
        problems.push("the end of an execution made two events".to_owned());
    }
}

fn reported_any(event: &Arc<TriggerInstance>) -> Option<ExecutionId> {
    (event.trigger.as_str() == ACTION_TRIGGER)
        .then_some(event.source_execution)
        .flatten()
}

fn reported(event: &Arc<TriggerInstance>) -> Option<ExecutionId> {
    reported_any(event).filter(|_| is_watched(event))
}

fn is_watched(event: &TriggerInstance) -> bool {
    event.payload.get("action_ref").and_then(Value::as_str) == Some(WATCHED)
}

fn expected(event: &TriggerInstance) -> Vec<(&'static str, bool)> {
    match event.trigger.as_str() {
        TRIGGER => {
            let n = event.payload.get("n").and_then(Value::as_int);
            let wanting = RULES.iter().filter(|rule| n.is_some_and(rule.wants));
            wanting.map(|rule| (rule.key, rule.works)).collect()
        }
        _ if is_watched(event) => vec![(WATCHER, true)],
        _ => Vec::new(),
    }
}

trait Fits {
    fn outcome_fits(&self, works: bool, records: &Records) -> bool;
}

impl Fits for Enforcement {
    fn outcome_fits(&self, works: bool, records: &Records) -> bool {
        match &self.outcome {
            EnforcementOutcome::Failed(reason) => !works && !reason.is_empty(),
            EnforcementOutcome::Execution(id) => {
                let origin = records.executions.get(id).map(|it| &it.request.origin);
                works
                    && matches!(origin, Some(Origin::Rule(origin)) if origin.enforcement == self.id)
            }
        }
    }
}

/// It ended, once, and its log moved only along the table.
fn ended_by_the_table(execution: &Execution, problems: &mut Vec<String>) {
    let id = execution.id();
    let log = &execution.progress.log;
    let words: Vec<_> = log.iter().map(|entry| entry.status.as_str()).collect();
    if !execution.state().is_ended() {
        problems.push(format!("{id} has not ended: {words:?}"));
        return;
    }
    let ends = log.iter().filter(|entry| entry.status.is_ended()).count();
    let last = log.last().map(|entry| entry.status);
    if ends != 1 || last != Some(execution.state().status()) {
        problems.push(format!("{id} did not end exactly once: {words:?}"));
    }
    if !log.is_sorted_by_key(|entry| entry.at) {
        problems.push(format!("{id} went back in time: {log:?}"));
    }
    let mut states = vec![State::Requested];
    for entry in log.iter().skip(1) {
        let reached = states.iter().flat_map(|state| successors(*state));
        states = reached
            .filter(|state| state.status() == entry.status)
            .collect();
    }
    if states.is_empty() {
        problems.push(format!("{id} left the table: {words:?}"));
    }
}

fn successors(state: State) -> impl Iterator<Item = State> {
    const OUTCOMES: [Outcome; 5] = [
        Outcome::Succeeded,
        Outcome::Failed,
        Outcome::TimedOut,
        Outcome::Abandoned,
        Outcome::Canceled,
    ];
    let mut events = vec![
        Event::Delay { until: None },
        Event::Admit,
        Event::Ask,
        Event::Pause,
        Event::Rest,
        Event::Resume,
        Event::Cancel,
        Event::Abandon,
        Event::Requeue,
    ];
    for lease in [Lease::NONE, Lease(1)] {
        events.push(Event::Start { lease });
        events.extend(OUTCOMES.map(|outcome| Event::Finish { lease, outcome }));
    }
    events
        .into_iter()
        .filter_map(move |event| state.apply(event).ok())
}

/// It has its parent, and did not begin after that had ended.
fn in_its_place(execution: &Execution, records: &Records, problems: &mut Vec<String>) {
    let Some(parent) = execution.request.parent else {
        return;
    };
    let id = execution.id();
    let Some(parent) = records.executions.get(&parent) else {
        problems.push(format!("{id} has no parent"));
        return;
    };
    let over = parent.progress.ended;
    if over.is_some_and(|over| execution.request.requested > over) {
        problems.push(format!("{id} began after {} had ended", parent.id()));
    }
    // One that failed leaves what runs beside the failed task to its end.
    let waits = matches!(
        parent.state().outcome(),
        Some(Outcome::Succeeded | Outcome::Canceled)
    );
    if waits && over < execution.progress.ended {
        problems.push(format!("{} ended before its task {id}", parent.id()));
    }
}

/// A process is started at most once, unless its action allows more; and none is left.
fn processes(world: &World, records: &Records, problems: &mut Vec<String>) {
    for (id, count) in world.ledger.starts() {
        let execution = id.parse().ok().and_then(|id| records.executions.get(&id));
        let Some(execution) = execution else {
            problems.push(format!("a process ran for {id}, which does not exist"));
            continue;
        };
        let action = execution.request.action.to_string();
        if count > 1 && action != "sim.again" {
            problems.push(format!("{id} of {action} was started {count} times"));
        }
        if !PROCESSES.contains(&action.as_str()) {
            problems.push(format!("{id} of {action} has no business with a process"));
        }
    }
    let starts = world.ledger.starts();
    for execution in records.executions.values() {
        let id = execution.id().to_string();
        let action = execution.request.action.to_string();
        let succeeded = execution.state() == State::Ended(Outcome::Succeeded);
        if succeeded && PROCESSES.contains(&action.as_str()) && !starts.contains_key(&id) {
            problems.push(format!("{id} succeeded without a process"));
        }
    }
    for id in world.ledger.alive() {
        problems.push(format!("the process of {id} is left behind"));
    }
}

/// No task ran twice, unless its workflow tries it again; and then not at the same time.
fn tasks(records: &Records, workflows: &[String], problems: &mut Vec<String>) {
    let mut places: BTreeMap<_, Vec<&Arc<Execution>>> = BTreeMap::new();
    for execution in records.executions.values() {
        if let (Some(parent), Origin::Task(origin)) =
            (execution.request.parent, &execution.request.origin)
        {
            let place = (parent, origin.task.clone(), origin.route, origin.item);
            places.entry(place).or_default().push(execution);
        }
    }
    for ((parent, task, route, item), mut runs) in places {
        runs.sort_by_key(|run| run.id());
        let workflow = records.executions.get(&parent);
        let name = workflow.map(|workflow| workflow.request.action.name().to_owned());
        let retries = name.and_then(|name| retries(&name, &task, workflows));
        let place = format!("task {task} (route {route}, item {item:?}) of {parent}");
        if runs.len() > 1 + retries.unwrap_or(0) {
            problems.push(format!("{place} ran {} times", runs.len()));
        }
        for pair in runs.windows(2) {
            if pair[0].progress.ended > Some(pair[1].request.requested) {
                problems.push(format!("{place} ran again before it had ended"));
            }
        }
    }
}

/// How often a task is tried again, by the workflow's text.
fn retries(workflow: &str, task: &str, workflows: &[String]) -> Option<usize> {
    let number: usize = workflow.strip_prefix("wf")?.parse().ok()?;
    let text = workflows.get(number)?;
    let (_, rest) = text.split_once(&format!("  {task}:\n"))?;
    let mut own = rest
        .lines()
        .take_while(|line| line.starts_with("    "))
        .skip_while(|line| !line.starts_with("    retry:"));
    let count = own.nth(1)?.trim().strip_prefix("count: ")?;
    count.parse().ok()
}

/// The engine holds nothing for anybody.
fn at_rest(world: &World, problems: &mut Vec<String>) {
    let Some(engine) = world.engine() else {
        problems.push("no server is up".to_owned());
        return;
    };
    let held = engine.held();
    if !held.is_at_rest() {
        problems.push(format!("the engine is not at rest: {held:?}"));
    }
}

/// What has not ended, for the report of a run that does not end.
pub(crate) fn describe_unfinished(world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    let unfinished = world.memory.unfinished(None, usize::MAX).now_or_never();
    for execution in unfinished.and_then(Result::ok).unwrap_or_default() {
        let parent = execution.request.parent.map(|id| id.to_string());
        lines.push(format!(
            "{} of {} is {:?}, parent {parent:?}",
            execution.id(),
            execution.request.action,
            execution.state()
        ));
    }
    if let Some(engine) = world.engine() {
        lines.push(format!("{:?}", engine.held()));
    }
    lines
}
