//! `/triggerinstances`, `/ruleenforcements`.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use squall_auth::rbac::Resource;
use squall_engine::Incoming;
use squall_model::{Enforcement, EnforcementOutcome, ExecutionId, TriggerInstance};
use squall_store::{EnforcementFilter, ExecutionFilter, Page, TriggerInstanceFilter};
use squall_value::{Str, Value, dict};

use crate::caller::Caller;
use crate::endpoint::{Endpoint, MEMBERS, PAGE, Parameter, Shape, get, post};
use crate::error::{Error, Result};
use crate::params::{self, Members, Params, Secrets};
use crate::reply::{Json, List};
use crate::{Api, State, audit, view};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/triggerinstances", trigger_instances)
            .summary("Lists events, the newest first.")
            .any("trigger_list")
            .query(INSTANCE_FILTERS)
            .query(IDS)
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("TriggerInstance")),
        get("/triggerinstances/{id}", trigger_instance)
            .summary("Shows an event.")
            .object("trigger_view")
            .gives(Shape::One("TriggerInstance")),
        post("/triggerinstances/{id}/re_emit", emit_again)
            .makes_work()
            .summary("Sends the same event once more, as a new one.")
            .object("trigger_all")
            .status(200)
            .gives(Shape::One("ReEmitted")),
        get("/ruleenforcements", enforcements)
            .summary("Lists what rules did, the newest first.")
            .any("rule_enforcement_list")
            .query(ENFORCEMENT_FILTERS)
            .query(IDS)
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("RuleEnforcement")),
        get("/ruleenforcements/{id}", enforcement)
            .summary("Shows what a rule did with an event.")
            .object("rule_enforcement_view")
            .gives(Shape::One("RuleEnforcement")),
        get("/ruleenforcements/views", enforcement_views)
            .summary("Lists what rules did, each with its event and execution.")
            .any("rule_enforcement_list")
            .query(ENFORCEMENT_FILTERS)
            .query(IDS)
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("RuleEnforcement")),
        get("/ruleenforcements/views/{id}", enforcement_view)
            .summary("Shows what a rule did, with its event and execution.")
            .object("rule_enforcement_view")
            .gives(Shape::One("RuleEnforcement")),
    ]
}

/// Of a list by time.
pub(crate) const IDS: &[Parameter] = &[
    Parameter::list("id", "Those with one of these ids, 100 at most."),
    Parameter::list("sort", "`id` for the oldest first, `-id` for the newest."),
];

const INSTANCE_FILTERS: &[Parameter] = &[
    Parameter::text("trigger", "Those of this trigger."),
    Parameter::text("trigger_type", "Those of this trigger type."),
    Parameter::time("timestamp_gt", "Those that occurred later."),
    Parameter::time("timestamp_lt", "Those that occurred earlier."),
];

const ENFORCEMENT_FILTERS: &[Parameter] = &[
    Parameter::text("rule_ref", "Those of the rule with this reference."),
    Parameter::text("rule_id", "Those of the rule with this id."),
    Parameter::text("trigger_instance", "Those for this event."),
    Parameter::text("execution", "The one that asked for this execution."),
    Parameter::time("enforced_at_gt", "Those that were made later."),
    Parameter::time("enforced_at_lt", "Those that were made earlier."),
];

fn shown(api: &Api, instance: &TriggerInstance) -> Value {
    let mut shown =
        squall_wire::trigger_instance(instance, view::payload(api, instance, Secrets::Masked));
    if let (Some(sender), Value::Dict(body)) = (&instance.sender, &mut shown) {
        Arc::make_mut(body).insert("sender", audit::author(sender));
    }
    shown
}

/// The trigger that a type without parameters is, and those that rules make of it with parameters.
fn triggers_of_type(api: &Api, kind: &str) -> Vec<Str> {
    let catalog = api.engine.catalog();
    let made = catalog
        .triggers()
        .filter(|found| found.kind.as_str() == kind);
    let made = made.map(|found| Str::from(found.reference.as_str()));
    std::iter::once(Str::from(kind)).chain(made).collect()
}

async fn trigger_instances(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let (page, limit) = params::page(&params, &caller, Some(100))?;
    let members = params::members(&params)?;
    let trigger = params::text(&params, "trigger");
    let mut visible = caller.rights.triggers();
    if let Some(kind) = params::text(&params, "trigger_type") {
        let mut of_type = triggers_of_type(&api, kind);
        if let Some(visible) = &visible {
            of_type.retain(|trigger| visible.contains(trigger));
        }
        visible = Some(of_type);
    }
    let ids = params::ids(&params);
    let filter = TriggerInstanceFilter {
        ids: ids.clone().unwrap_or_default(),
        trigger: trigger.and_then(|trigger| trigger.parse().ok()),
        occurred_after: params::time(&params, "timestamp_gt")?,
        occurred_before: params::time(&params, "timestamp_lt")?,
        visible,
        oldest_first: params::oldest_first(&params, &["timestamp"]) == Some(true),
        ..TriggerInstanceFilter::default()
    };
    let is_nothing = ids.is_some_and(|ids| ids.is_empty());
    if is_nothing || (trigger.is_some() && filter.trigger.is_none()) {
        return Ok(List {
            items: Vec::new(),
            total: 0,
            limit,
        });
    }
    let found = api.engine.store().trigger_instances(&filter, page).await?;
    let items = found
        .items
        .iter()
        .map(|instance| members.of(shown(&api, instance)));
    Ok(List {
        items: items.collect(),
        total: found.total,
        limit,
    })
}

async fn trigger_instance(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json> {
    let instance = find_instance(&api, &caller, &id).await?;
    Ok(Json(shown(&api, &instance)))
}

/// The event that is asked for, if the caller may do that with it.
async fn find_instance(api: &Api, caller: &Caller, id: &str) -> Result<Arc<TriggerInstance>> {
    let parsed = id.parse().map_err(|_| Error::unknown(id))?;
    let instance = api.engine.store().trigger_instance(parsed).await?;
    let instance = instance.ok_or_else(|| Error::unknown(id))?;
    caller.may(&Resource::trigger(instance.trigger.as_str()))?;
    Ok(instance)
}

/// The enforcement that is asked for, if the caller may see it.
async fn find_enforcement(api: &Api, caller: &Caller, id: &str) -> Result<Arc<Enforcement>> {
    let parsed = id.parse().map_err(|_| Error::unknown(id))?;
    let found = api.engine.store().enforcement(parsed).await?;
    let found = found.ok_or_else(|| Error::unknown(id))?;
    caller.may(&Resource::enforcement(id, &found.rule))?;
    Ok(found)
}

/// The same event once more, as a new one.
async fn emit_again(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let instance = find_instance(&api, &caller, &id).await?;
    audit::emits();
    let again = |payload: Value| {
        let mut payload = payload.as_dict().cloned().unwrap_or_default();
        payload.insert("__context", dict! { "original_id" => id.as_str() });
        Value::from(payload)
    };
    let payload = again(api.engine.payload(&instance));
    let mut incoming = Incoming::new(instance.trigger.text(), payload);
    incoming.trace_tag.clone_from(&instance.trace_tag);
    // It was accepted once; a context beside its payload does not make it unfit.
    incoming.strict = false;
    api.engine.accept(incoming).await?;
    Ok(Json(dict! {
        "message" => format!("Trigger instance {id} succesfully re-sent."),
        "payload" => again(view::payload(&api, &instance, Secrets::Masked)),
    }))
}

fn enforcement_shown(api: &Api, enforcement: &Enforcement) -> Value {
    let catalog = api.engine.catalog();
    let rule = catalog
        .rule(enforcement.rule.as_str())
        .map(|rule| rule.id.to_string());
    squall_wire::enforcement(enforcement, rule)
}

/// A parameter that names something, if it is given. An error is a name that nothing can have: a
/// filter that matches nothing must not become one that matches everything.
fn parsed<T: FromStr>(params: &Params, name: &str) -> std::result::Result<Option<T>, T::Err> {
    params::text(params, name).map(str::parse).transpose()
}

async fn enforcements(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let members = params::members(&params)?;
    let (found, total, limit) = chosen(&api, &caller, &params).await?;
    let items = found
        .iter()
        .map(|found| members.of(enforcement_shown(&api, found)));
    Ok(List {
        items: items.collect(),
        total,
        limit,
    })
}

async fn enforcement_views(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let members = params::members(&params)?;
    let (found, total, limit) = chosen(&api, &caller, &params).await?;
    let items = with_what_they_led_to(&api, &caller, &found).await?;
    Ok(List {
        items: items.into_iter().map(|item| members.of(item)).collect(),
        total,
        limit,
    })
}

async fn enforcement_view(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json> {
    let found = find_enforcement(&api, &caller, &id).await?;
    let shown = with_what_they_led_to(&api, &caller, &[found]).await?;
    Ok(Json(shown.into_iter().next().unwrap_or_default()))
}

/// The members of an execution that StackStorm's view of an enforcement has.
const EXECUTION_MEMBERS: [&str; 6] = [
    "action.ref",
    "runner.name",
    "status",
    "start_timestamp",
    "parameters",
    "parent",
];

/// Enforcements with their events, and with the executions cut down, as far as the caller may see
/// them.
async fn with_what_they_led_to(
    api: &Api,
    caller: &Caller,
    enforcements: &[Arc<Enforcement>],
) -> Result<Vec<Value>> {
    let events = enforcements.iter().map(|one| one.trigger_instance);
    let mut events = view::instances(api, events).await?;
    events.retain(|_, event| caller.sees_trigger(event.trigger.as_str()));
    let executions = executions_of(api, caller, enforcements).await?;
    let shown = enforcements.iter().map(|enforcement| {
        let mut body = enforcement_shown(api, enforcement)
            .as_dict()
            .cloned()
            .unwrap_or_default();
        if let Some(event) = events.get(&enforcement.trigger_instance) {
            body.insert("trigger_instance", shown(api, event));
        }
        if let EnforcementOutcome::Execution(id) = &enforcement.outcome
            && let Some(execution) = executions.get(id)
        {
            body.insert("execution", execution.clone());
        }
        Value::from(body)
    });
    Ok(shown.collect())
}

/// The executions that rules asked for, those that the caller may see.
async fn executions_of(
    api: &Api,
    caller: &Caller,
    enforcements: &[Arc<Enforcement>],
) -> Result<HashMap<ExecutionId, Value>> {
    let ids = enforcements.iter().filter_map(|one| match &one.outcome {
        EnforcementOutcome::Execution(id) => Some(*id),
        EnforcementOutcome::Failed(_) => None,
    });
    let filter = ExecutionFilter {
        ids: ids.collect(),
        visibility: caller.rights.executions(),
        ..ExecutionFilter::default()
    };
    if filter.ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found = api
        .engine
        .store()
        .executions(&filter, Page::ALL)
        .await?
        .items;
    let members = Members::Only(EXECUTION_MEMBERS.map(str::to_owned).to_vec());
    let shown = view::executions(api, &found, &members, Secrets::Masked).await?;
    let ids = found.iter().map(|execution| execution.id());
    Ok(ids.zip(shown).collect())
}

/// The enforcements that are asked for, how many there are in all, and the limit to tell.
async fn chosen(
    api: &Api,
    caller: &Caller,
    params: &Params,
) -> Result<(Vec<Arc<Enforcement>>, u64, Option<u64>)> {
    let (page, limit) = params::page(params, caller, Some(50))?;
    let (Ok(rule), Ok(trigger_instance), Ok(execution)) = (
        parsed(params, "rule_ref"),
        parsed(params, "trigger_instance"),
        parsed(params, "execution"),
    ) else {
        return Ok((Vec::new(), 0, limit));
    };
    let ids = params::ids(params);
    if ids.as_ref().is_some_and(Vec::is_empty) {
        return Ok((Vec::new(), 0, limit));
    }
    let rule = match params::text(params, "rule_id") {
        None => rule,
        Some(id) => {
            let catalog = api.engine.catalog();
            let mut rules = catalog.rules();
            let named = rules.find(|rule| rule.id.to_string() == id);
            let named = named.and_then(|rule| rule.key.parse().ok());
            let both_fit = rule.is_none() || rule == named;
            match named.filter(|_| both_fit) {
                Some(named) => Some(named),
                None => return Ok((Vec::new(), 0, limit)),
            }
        }
    };
    let filter = EnforcementFilter {
        ids: ids.unwrap_or_default(),
        rule,
        trigger_instance,
        execution,
        enforced_after: params::time(params, "enforced_at_gt")?,
        enforced_before: params::time(params, "enforced_at_lt")?,
        visibility: caller.rights.enforcements(),
        oldest_first: params::oldest_first(params, &["enforced_at"]) == Some(true),
    };
    let found = api.engine.store().enforcements(&filter, page).await?;
    Ok((found.items, found.total, limit))
}

async fn enforcement(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let found = find_enforcement(&api, &caller, &id).await?;
    Ok(Json(enforcement_shown(&api, &found)))
}
