//! Definitions that are only shown: trigger types, triggers, sensors, policies.

use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use squall_engine::Trigger;
use squall_engine::sources::SourceState;
use squall_model::{Document, DocumentKind};
use squall_store::{DocumentFilter, Page};
use squall_value::{Str, Value, dict};

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::params::{self, Params};
use crate::reply::{Json, List};
use crate::{Api, State, view};

/// The timers among the trigger types.
const TIMERS: [&str; 3] = [
    "core.st2.IntervalTimer",
    "core.st2.DateTimer",
    "core.st2.CronTimer",
];

/// A page of documents of a kind, by the usual filters.
pub(crate) async fn documents(
    api: &Api,
    kind: DocumentKind,
    params: &Params,
    default: Option<u64>,
) -> Result<List> {
    let (page, limit) = params::page(params, default)?;
    let members = params::members(params)?;
    let filter = DocumentFilter {
        pack: params::text(params, "pack").map(Str::from),
        key_prefix: None,
    };
    let now = api.engine.env().now();
    let name = params::text(params, "name");
    // A filter that the store does not know is applied to the whole list.
    let read = if name.is_some() { Page::ALL } else { page };
    let mut found = api
        .engine
        .store()
        .documents(kind, &filter, read, now)
        .await?;
    if let Some(names) = name {
        let fits = |document: &Arc<Document>| {
            let own = document
                .body
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or(&document.key);
            names.split(',').any(|name| name == own)
        };
        found.items.retain(fits);
        found.total = found.items.len() as u64;
        let skip = usize::try_from(page.offset).unwrap_or(usize::MAX);
        let take = usize::try_from(page.limit).unwrap_or(usize::MAX);
        found.items = found.items.into_iter().skip(skip).take(take).collect();
    }
    let items = found
        .items
        .iter()
        .map(|document| members.of(squall_wire::definition(document)));
    Ok(List {
        items: items.collect(),
        total: found.total,
        limit,
    })
}

/// The document that a path names by reference or id.
pub(crate) async fn document(api: &Api, kind: DocumentKind, id: &str) -> Result<Arc<Document>> {
    let (store, now) = (api.engine.store(), api.engine.env().now());
    if let Some(found) = store.document(kind, id, now).await? {
        return Ok(found);
    }
    let by_id = match id.parse() {
        Ok(id) => store.document_by_id(kind, id, now).await?,
        Err(_) => None,
    };
    by_id.ok_or_else(|| Error::unknown(id))
}

pub(crate) async fn trigger_types(Extract(api): State, _: Caller, params: Params) -> Result<List> {
    documents(&api, DocumentKind::TriggerType, &params, Some(100)).await
}

pub(crate) async fn trigger_type(
    Extract(api): State,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json> {
    let document = document(&api, DocumentKind::TriggerType, &id).await?;
    Ok(Json(squall_wire::definition(&document)))
}

pub(crate) async fn sensors(Extract(api): State, _: Caller, params: Params) -> Result<List> {
    let mut list = documents(&api, DocumentKind::Sensor, &params, None).await?;
    let states = api.engine.source_states();
    list.items = list
        .items
        .into_iter()
        .map(|item| with_state(item, &states))
        .collect();
    Ok(list)
}

pub(crate) async fn sensor(Extract(api): State, _: Caller, Path(id): Path<String>) -> Result<Json> {
    let document = document(&api, DocumentKind::Sensor, &id).await?;
    let shown = squall_wire::definition(&document);
    Ok(Json(with_state(shown, &api.engine.source_states())))
}

/// Ends a sensor's process and starts it anew, for the person who has mended what it failed for.
pub(crate) async fn restart_sensor(
    Extract(api): State,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json> {
    let document = document(&api, DocumentKind::Sensor, &id).await?;
    if let Err(error) = api.engine.restart_sensor(&document.key) {
        return Err(Error::new(StatusCode::CONFLICT, error.to_string()));
    }
    let shown = squall_wire::definition(&document);
    Ok(Json(with_state(shown, &api.engine.source_states())))
}

/// A sensor with how its process fares, in a member of its own that StackStorm does not have.
fn with_state(shown: Value, states: &[SourceState]) -> Value {
    let reference = shown.get("ref").and_then(Value::as_str).unwrap_or_default();
    let state = states
        .iter()
        .find(|state| &*state.subject == reference)
        .map(source);
    match (shown, state) {
        (Value::Dict(mut dict), Some(state)) => {
            Arc::make_mut(&mut dict).insert("process", state);
            Value::Dict(dict)
        }
        (shown, _) => shown,
    }
}

fn source(state: &SourceState) -> Value {
    dict! {
        "key" => state.key.clone(),
        "kind" => state.kind.as_str(),
        "subject" => state.subject.clone(),
        "state" => state.phase.as_str(),
        "restarts" => state.restarts,
        "last_error" => state.last_error.clone(),
        "pid" => state.pid,
    }
}

/// Every event source of this server and how it fares: sensors, timers, native sources.
pub(crate) async fn sources(Extract(api): State, _: Caller) -> Json {
    Json(api.engine.source_states().iter().map(source).collect())
}

pub(crate) async fn policies(Extract(api): State, _: Caller, params: Params) -> Result<List> {
    documents(&api, DocumentKind::Policy, &params, Some(100)).await
}

/// A trigger as the API shows it.
pub(crate) fn trigger(trigger: &Trigger) -> Value {
    let reference = trigger.reference.as_str();
    let hash = squall_packs::parameters_hash(&trigger.parameters);
    let id = view::stable_id(reference);
    squall_wire::trigger(
        reference,
        trigger.kind.as_str(),
        &trigger.parameters,
        &hash,
        &id,
    )
}

/// The triggers of the given types that rules wait for, by reference.
pub(crate) fn triggers_of(api: &Api, types: Option<&[&str]>) -> Vec<Value> {
    let catalog = api.engine.catalog();
    let wanted =
        |found: &&Arc<Trigger>| types.is_none_or(|types| types.contains(&found.kind.as_str()));
    let mut found: Vec<_> = catalog.triggers().filter(wanted).cloned().collect();
    found.sort_by(|a, b| a.reference.cmp(&b.reference));
    found.iter().map(|found| trigger(found)).collect()
}

pub(crate) async fn triggers(Extract(api): State, _: Caller) -> Json {
    Json(Value::from(triggers_of(&api, None)))
}

pub(crate) async fn timers(Extract(api): State, _: Caller, params: Params) -> Result<Json> {
    let types: Vec<&str> = match params::text(&params, "timer_type") {
        None => TIMERS.to_vec(),
        Some(kind) => match TIMERS.iter().find(|known| **known == kind) {
            Some(kind) => vec![*kind],
            None => {
                return Err(Error::bad(format!(
                    "Timer type {kind} not in supported types - {}.",
                    TIMERS.join(", ")
                )));
            }
        },
    };
    Ok(Json(Value::from(triggers_of(&api, Some(&types)))))
}
