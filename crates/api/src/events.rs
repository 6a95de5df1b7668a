//! `/triggerinstances`, `/ruleenforcements`.

use std::str::FromStr;

use axum::extract::{Path, State as Extract};
use squall_engine::Incoming;
use squall_model::{Enforcement, TriggerInstance};
use squall_store::{EnforcementFilter, TriggerInstanceFilter};
use squall_value::{Value, dict};

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::params::{self, Params};
use crate::reply::{Json, List};
use crate::{Api, State, view};

fn time(params: &Params, name: &str) -> Result<Option<jiff::Timestamp>> {
    let wrong = |text| Error::bad(format!("Parameter \"{name}\" is not a time: {text}"));
    let text = params::text(params, name);
    text.map(|text| squall_wire::parse(text).ok_or_else(|| wrong(text)))
        .transpose()
}

fn shown(api: &Api, instance: &TriggerInstance) -> Value {
    squall_wire::trigger_instance(instance, view::payload(&api.engine.catalog(), instance))
}

pub(crate) async fn trigger_instances(
    Extract(api): State,
    _: Caller,
    params: Params,
) -> Result<List> {
    let (page, limit) = params::page(&params, Some(100))?;
    let members = params::members(&params)?;
    let trigger =
        params::text(&params, "trigger").or_else(|| params::text(&params, "trigger_type"));
    let filter = TriggerInstanceFilter {
        trigger: trigger.and_then(|trigger| trigger.parse().ok()),
        occurred_after: time(&params, "timestamp_gt")?,
        occurred_before: time(&params, "timestamp_lt")?,
        ..TriggerInstanceFilter::default()
    };
    if trigger.is_some() && filter.trigger.is_none() {
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

pub(crate) async fn trigger_instance(
    Extract(api): State,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json> {
    let parsed = id.parse().map_err(|_| Error::unknown(&id))?;
    let instance = api.engine.store().trigger_instance(parsed).await?;
    instance
        .map(|instance| Json(shown(&api, &instance)))
        .ok_or_else(|| Error::unknown(&id))
}

/// The same event once more, as a new one.
pub(crate) async fn emit_again(
    Extract(api): State,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json> {
    let parsed = id.parse().map_err(|_| Error::unknown(&id))?;
    let instance = api
        .engine
        .store()
        .trigger_instance(parsed)
        .await?
        .ok_or_else(|| Error::unknown(&id))?;
    let mut payload = instance.payload.as_dict().cloned().unwrap_or_default();
    payload.insert("__context", dict! { "original_id" => id.as_str() });
    let payload = Value::from(payload);
    let mut incoming = Incoming::new(instance.trigger.text(), payload.clone());
    incoming.trace_tag.clone_from(&instance.trace_tag);
    // It was accepted once; a context beside its payload does not make it unfit.
    incoming.strict = false;
    api.engine.accept(incoming).await?;
    Ok(Json(dict! {
        "message" => format!("Trigger instance {id} succesfully re-sent."),
        "payload" => payload,
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

pub(crate) async fn enforcements(Extract(api): State, _: Caller, params: Params) -> Result<List> {
    let (page, limit) = params::page(&params, Some(50))?;
    let members = params::members(&params)?;
    let (Ok(rule), Ok(trigger_instance), Ok(execution)) = (
        parsed(&params, "rule_ref"),
        parsed(&params, "trigger_instance"),
        parsed(&params, "execution"),
    ) else {
        return Ok(List {
            items: Vec::new(),
            total: 0,
            limit,
        });
    };
    let filter = EnforcementFilter {
        rule,
        trigger_instance,
        execution,
        enforced_after: time(&params, "enforced_at_gt")?,
        enforced_before: time(&params, "enforced_at_lt")?,
        ..EnforcementFilter::default()
    };
    let found = api.engine.store().enforcements(&filter, page).await?;
    let items = found
        .items
        .iter()
        .map(|found| members.of(enforcement_shown(&api, found)));
    Ok(List {
        items: items.collect(),
        total: found.total,
        limit,
    })
}

pub(crate) async fn enforcement(
    Extract(api): State,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json> {
    let parsed = id.parse().map_err(|_| Error::unknown(&id))?;
    let found = api.engine.store().enforcement(parsed).await?;
    found
        .map(|found| Json(enforcement_shown(&api, &found)))
        .ok_or_else(|| Error::unknown(&id))
}
