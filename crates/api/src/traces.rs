//! `/traces`: what belongs together, from the first event to the last execution.
//!
//! A trace is no record of its own: everything that belongs to one bears its tag, or lies below the
//! same topmost execution. It is put together when somebody asks.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use squall_auth::rbac::{Permission, Resource, ResourceType};
use squall_model::{
    Execution, ExecutionId, Id, Origin, Timestamp, TriggerInstance, TriggerInstanceId,
};
use squall_store::{
    EnforcementFilter, ExecutionFilter, ExecutionOrder, Page, ParentFilter, TriggerInstanceFilter,
};
use squall_value::{Str, Value, dict};

use crate::caller::Caller;
use crate::endpoint::{CHOICE, Endpoint, MEMBERS, PAGE, Parameter, Shape, get};
use crate::error::{Error, Result};
use crate::params::{self, Params};
use crate::reply::{Json, List};
use crate::{Api, State, executions};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/traces", list)
            .summary("Lists traces, the newest first.")
            .any("trace_list")
            .query(FILTERS)
            .query(CHOICE)
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("Trace")),
        get("/traces/{id}", one)
            .summary("Shows a trace.")
            .object("trace_view")
            .gives(Shape::One("Trace")),
    ]
}

const FILTERS: &[Parameter] = &[
    Parameter::text("trace_tag", "The one with this tag."),
    Parameter::text("execution", "The one that this execution belongs to."),
    Parameter::text("trigger_instance", "The one that this event belongs to."),
    Parameter::text(
        "rule",
        "Those in which this rule, by id, asked for something.",
    ),
    Parameter::text(
        "sort_asc",
        "The oldest first; the presence counts, not the value.",
    ),
    Parameter::text("sort_desc", "The newest first, as without it."),
];

/// How many events and executions a trace shows at most, each.
const ELEMENTS_MAX: u64 = 1_000;

/// In which bit the id of a trace differs from that of its first element.
const TRACE: u128 = 1 << 30;

/// What holds a trace together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Thread {
    /// A tag.
    Tag(Str),
    /// The topmost execution, of those without a tag.
    Root(ExecutionId),
    /// A single event without a tag that led to nothing.
    Event(TriggerInstanceId),
}

fn thread_of(execution: &Execution) -> Thread {
    match &execution.request.trace_tag {
        Some(tag) => Thread::Tag(tag.clone()),
        None => Thread::Root(execution.request.root),
    }
}

fn thread_of_event(instance: &TriggerInstance) -> Thread {
    match &instance.trace_tag {
        Some(tag) => Thread::Tag(tag.clone()),
        None => Thread::Event(instance.id),
    }
}

/// What belongs to a thread.
struct Elements {
    instances: Vec<Arc<TriggerInstance>>,
    executions: Vec<Arc<Execution>>,
}

impl Elements {
    /// Those that the caller may see.
    async fn of(api: &Api, caller: &Caller, thread: &Thread) -> Result<Elements> {
        let store = api.engine.store();
        let page = Page::first(ELEMENTS_MAX);
        let mut filter = ExecutionFilter {
            order: ExecutionOrder::OldestFirst,
            visibility: caller.rights.executions(),
            ..ExecutionFilter::default()
        };
        let mut instances = Vec::new();
        match thread {
            Thread::Tag(tag) => {
                filter.trace_tag = Some(tag.clone());
                let wanted = TriggerInstanceFilter {
                    trace_tag: Some(tag.clone()),
                    visible: caller.rights.triggers(),
                    oldest_first: true,
                    ..TriggerInstanceFilter::default()
                };
                instances = store.trigger_instances(&wanted, page).await?.items;
            }
            Thread::Root(root) => filter.root = Some(*root),
            Thread::Event(id) => {
                filter.trigger_instance = Some(*id);
                let found = store.trigger_instance(*id).await?;
                let seen = found.filter(|instance| caller.sees_trigger(instance.trigger.as_str()));
                instances.extend(seen);
            }
        }
        let executions = store.executions(&filter, page).await?.items;
        Ok(Elements {
            instances,
            executions,
        })
    }

    fn start(&self) -> Option<Timestamp> {
        let events = self.instances.iter().map(|instance| instance.occurred);
        let requests = self.executions.iter();
        let requests = requests.map(|execution| execution.request.requested);
        events.chain(requests).min()
    }

    /// The trace's id is made of its first element's, so that it can be found again.
    fn id(&self) -> Option<u128> {
        let event = self.instances.first();
        let event = event.map(|instance| (instance.occurred, instance.id.raw()));
        let execution = self.executions.first();
        let execution =
            execution.map(|execution| (execution.request.requested, execution.id().raw()));
        let first = event.into_iter().chain(execution).min()?;
        Some(first.1 ^ TRACE)
    }

    async fn shown(&self, api: &Api, caller: &Caller, thread: &Thread) -> Result<Option<Value>> {
        let (Some(id), Some(start)) = (self.id(), self.start()) else {
            return Ok(None);
        };
        let id = Id::<()>::from_raw(id).to_string();
        let tag = match thread {
            Thread::Tag(tag) => tag.to_string(),
            Thread::Root(root) => format!("execution-{root}"),
            Thread::Event(id) => format!("trigger_instance-{id}"),
        };
        Ok(Some(dict! {
            "uid" => format!("trace:{id}"),
            "trace_tag" => tag,
            "trigger_instances" => self.instances.iter().map(|one| event(one)).collect::<Value>(),
            "rules" => self.rules(api, caller).await?,
            "action_executions" => self
                .executions
                .iter()
                .map(|one| execution(api, one))
                .collect::<Value>(),
            "start_timestamp" => squall_wire::timestamp(start),
            "id" => id,
        }))
    }

    /// The rules that answered the events.
    async fn rules(&self, api: &Api, caller: &Caller) -> Result<Value> {
        let mut rules = Vec::new();
        for instance in &self.instances {
            let filter = EnforcementFilter {
                trigger_instance: Some(instance.id),
                visibility: caller.rights.enforcements(),
                ..EnforcementFilter::default()
            };
            let page = Page::first(ELEMENTS_MAX);
            let found = api.engine.store().enforcements(&filter, page).await?;
            rules.extend(found.items.iter().map(|enforcement| {
                dict! {
                    "object_id" => rule_id(api, enforcement.rule.as_str()),
                    "ref" => enforcement.rule.text(),
                    "updated_at" => squall_wire::timestamp(enforcement.enforced),
                    "caused_by" => cause("trigger_instance", &instance.id.to_string()),
                }
            }));
        }
        Ok(Value::from(rules))
    }
}

fn cause(kind: &str, id: &str) -> Value {
    dict! { "type" => kind, "id" => id }
}

fn rule_id(api: &Api, reference: &str) -> Option<String> {
    let catalog = api.engine.catalog();
    catalog.rule(reference).map(|rule| rule.id.to_string())
}

fn event(instance: &TriggerInstance) -> Value {
    let caused_by = instance
        .source_execution
        .map_or_else(|| dict! {}, |id| cause("action_execution", &id.to_string()));
    dict! {
        "object_id" => instance.id.to_string(),
        "ref" => instance.trigger.text(),
        "updated_at" => squall_wire::timestamp(instance.occurred),
        "caused_by" => caused_by,
    }
}

fn execution(api: &Api, execution: &Execution) -> Value {
    let request = &execution.request;
    let caused_by = match (&request.origin, request.parent) {
        (Origin::Rule(origin), _) => {
            let rule = rule_id(api, origin.rule.as_str()).unwrap_or_default();
            cause("rule", &format!("{rule}:{}", origin.trigger_instance))
        }
        (_, Some(parent)) => cause("action_execution", &parent.to_string()),
        _ => dict! {},
    };
    dict! {
        "object_id" => request.id.to_string(),
        "ref" => request.action.text(),
        "updated_at" => squall_wire::timestamp(request.requested),
        "caused_by" => caused_by,
    }
}

async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let (page, limit) = params::page(&params, &caller, Some(100))?;
    let members = params::members(&params)?;
    let (threads, total) = threads(&api, &caller, &params, page).await?;
    let mut items = Vec::new();
    for thread in &threads {
        let elements = Elements::of(&api, &caller, thread).await?;
        items.extend(elements.shown(&api, &caller, thread).await?);
    }
    let total = total.unwrap_or(items.len() as u64);
    let items = items.into_iter().map(|item| members.of(item));
    Ok(List {
        items: items.collect(),
        total,
        limit,
    })
}

/// The threads that are asked for; with how many there are in all, when these are but a page.
async fn threads(
    api: &Api,
    caller: &Caller,
    params: &Params,
    page: Page,
) -> Result<(Vec<Thread>, Option<u64>)> {
    let store = api.engine.store();
    if let Some(tag) = params::text(params, "trace_tag") {
        return Ok((vec![Thread::Tag(Str::from(tag))], None));
    }
    if let Some(id) = params::text(params, "execution") {
        let found = executions::named(api, caller, id).await.ok();
        let thread = found.map(|execution| thread_of(&execution));
        return Ok((thread.into_iter().collect(), None));
    }
    if let Some(id) = params::text(params, "trigger_instance") {
        let found = match id.parse() {
            Ok(id) => store.trigger_instance(id).await?,
            Err(_) => None,
        };
        let thread = found.map(|instance| thread_of_event(&instance));
        return Ok((thread.into_iter().collect(), None));
    }
    let mut filter = ExecutionFilter {
        parent: ParentFilter::Top,
        visibility: caller.rights.executions(),
        ..ExecutionFilter::default()
    };
    if params.has("sort_asc") {
        filter.order = ExecutionOrder::OldestFirst;
    }
    if let Some(id) = params::text(params, "rule") {
        let catalog = api.engine.catalog();
        let is_meant =
            |rule: &&Arc<squall_model::Document>| rule.id.to_string() == id || *rule.key == *id;
        let rule = catalog.rules().find(is_meant);
        let Some(Ok(rule)) = rule.map(|rule| rule.key.parse()) else {
            return Ok((Vec::new(), None));
        };
        filter.rules = vec![rule];
    }
    let found = store.executions(&filter, page).await?;
    let mut seen = HashSet::new();
    let threads = found.items.iter().map(|execution| thread_of(execution));
    let threads = threads.filter(|thread| seen.insert(thread.clone()));
    Ok((threads.collect(), Some(found.total)))
}

async fn one(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let missing = || Error::unknown(&id);
    let parsed: Id<()> = id.parse().map_err(|_| missing())?;
    let raw = parsed.raw() ^ TRACE;
    let store = api.engine.store();
    let thread = match store.trigger_instance(Id::from_raw(raw)).await? {
        Some(instance) => Some(thread_of_event(&instance)),
        None => {
            let found = store.execution(Id::from_raw(raw)).await?;
            found.map(|execution| thread_of(&execution))
        }
    };
    let thread = thread.ok_or_else(missing)?;
    let trace = Resource::named(ResourceType::Trace, &id);
    // Who may list traces may see each, as far as it holds what they may see.
    if !caller.rights.has(Permission::TraceList) {
        caller.may(&trace)?;
    }
    caller.was_asked();
    let elements = Elements::of(&api, &caller, &thread).await?;
    let shown = elements.shown(&api, &caller, &thread).await?;
    shown.map(Json).ok_or_else(missing)
}
