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
use crate::endpoint::{Endpoint, MEMBERS, PAGE, Parameter, Shape, get};
use crate::error::{Error, Result};
use crate::events::IDS;
use crate::params::{self, Params};
use crate::reply::{Json, List};
use crate::{Api, State, executions};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/traces", list)
            .summary("Lists traces, the newest first.")
            .any("trace_list")
            .query(FILTERS)
            .query(IDS)
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

/// What began a trace that nobody named: it bears no tag itself, only what came after it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Beginning {
    /// The topmost execution; all below it bear no tag either.
    Execution(ExecutionId),
    /// A single event.
    Event(TriggerInstanceId),
}

/// What holds a trace together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Thread {
    tag: Str,
    beginning: Option<Beginning>,
}

impl Thread {
    /// The thread with this tag, be it a name or made of an id.
    fn tagged(tag: &str) -> Thread {
        let execution = tag.strip_prefix("execution-");
        let execution = execution.and_then(|id| id.parse().ok());
        let event = tag.strip_prefix("trigger_instance-");
        let event = event.and_then(|id| id.parse().ok());
        let beginning = execution.map(Beginning::Execution);
        Thread {
            tag: Str::from(tag),
            beginning: beginning.or_else(|| event.map(Beginning::Event)),
        }
    }

    fn of(execution: &Execution) -> Thread {
        Thread::tagged(&execution.request.trace())
    }

    fn of_event(instance: &TriggerInstance) -> Thread {
        Thread::tagged(&instance.trace())
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
        let visible = ExecutionFilter {
            order: ExecutionOrder::OldestFirst,
            visibility: caller.rights.executions(),
            ..ExecutionFilter::default()
        };
        let (mut instances, mut executions) = (Vec::new(), Vec::new());
        match thread.beginning {
            Some(Beginning::Execution(root)) => {
                let tree = ExecutionFilter {
                    root: Some(root),
                    ..visible.clone()
                };
                executions = store.executions(&tree, page).await?.items;
                // Those of a tree that was started with a tag belong to that one.
                executions.retain(|execution| execution.request.trace() == thread.tag);
            }
            Some(Beginning::Event(id)) => {
                let found = store.trigger_instance(id).await?;
                instances.extend(found.filter(|instance| {
                    instance.trace() == thread.tag && caller.sees_trigger(instance.trigger.as_str())
                }));
            }
            None => {}
        }
        let tagged = ExecutionFilter {
            trace_tag: Some(thread.tag.clone()),
            ..visible
        };
        executions.extend(store.executions(&tagged, page).await?.items);
        let tagged = TriggerInstanceFilter {
            trace_tag: Some(thread.tag.clone()),
            visible: caller.rights.triggers(),
            oldest_first: true,
            ..TriggerInstanceFilter::default()
        };
        instances.extend(store.trigger_instances(&tagged, page).await?.items);
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
        Ok(Some(dict! {
            "uid" => format!("trace:{id}"),
            "trace_tag" => thread.tag.clone(),
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
    let (items, total) = match total {
        Some(total) => (items, total),
        None => {
            let total = items.len() as u64;
            (params::cut(items, page), total)
        }
    };
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
    if let Some(ids) = params::ids(params) {
        let mut threads = Vec::new();
        for id in ids {
            threads.extend(named(api, id).await?);
        }
        return Ok((threads, None));
    }
    if let Some(tag) = params::text(params, "trace_tag") {
        return Ok((vec![Thread::tagged(tag)], None));
    }
    if let Some(id) = params::text(params, "execution") {
        let found = executions::named(api, caller, id).await.ok();
        let thread = found.map(|execution| Thread::of(&execution));
        return Ok((thread.into_iter().collect(), None));
    }
    if let Some(id) = params::text(params, "trigger_instance") {
        let found = match id.parse() {
            Ok(id) => store.trigger_instance(id).await?,
            Err(_) => None,
        };
        let thread = found.map(|instance| Thread::of_event(&instance));
        return Ok((thread.into_iter().collect(), None));
    }
    let mut filter = ExecutionFilter {
        parent: ParentFilter::Top,
        visibility: caller.rights.executions(),
        ..ExecutionFilter::default()
    };
    let oldest_first = params::oldest_first(params, &["start_timestamp"]);
    if oldest_first.unwrap_or_else(|| params.has("sort_asc")) {
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
    let threads = found.items.iter().map(|execution| Thread::of(execution));
    let threads = threads.filter(|thread| seen.insert(thread.clone()));
    Ok((threads.collect(), Some(found.total)))
}

/// The thread of the trace with this id.
async fn named(api: &Api, id: Id<()>) -> Result<Option<Thread>> {
    let raw = id.raw() ^ TRACE;
    let store = api.engine.store();
    if let Some(instance) = store.trigger_instance(Id::from_raw(raw)).await? {
        return Ok(Some(Thread::of_event(&instance)));
    }
    let found = store.execution(Id::from_raw(raw)).await?;
    Ok(found.map(|execution| Thread::of(&execution)))
}

/// The tag of the trace that an execution is to join, as its request says: by the tag itself, or by
/// the trace's id, which must be one.
pub(crate) async fn tag_of(api: &Api, context: Option<&Value>) -> Result<Option<Str>> {
    let text = |member| {
        let text = context?.get(member).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    };
    let Some(id) = text("id_") else {
        return Ok(text("trace_tag").map(Str::from));
    };
    let thread = match id.parse() {
        Ok(id) => named(api, id).await?,
        Err(_) => None,
    };
    match thread {
        Some(thread) => Ok(Some(thread.tag)),
        None => Err(Error::bad(format!("Unable to find Trace with id=\"{id}\""))),
    }
}

async fn one(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let missing = || Error::unknown(&id);
    let parsed: Id<()> = id.parse().map_err(|_| missing())?;
    let thread = named(&api, parsed).await?.ok_or_else(missing)?;
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
