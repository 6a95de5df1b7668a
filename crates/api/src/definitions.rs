//! Trigger types, triggers, timers and sensors.

use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use squall_auth::rbac::{Permission, Resource, ResourceType};
use squall_engine::Trigger;
use squall_engine::sources::SourceState;
use squall_model::{Document, DocumentKind};
use squall_store::{DocumentFilter, Page};
use squall_value::{Str, Value, dict};

use crate::caller::Caller;
use crate::endpoint::{
    CHOICE, Endpoint, MEMBERS, PACK, PAGE, Parameter, Shape, delete, get, post, put,
};
use crate::error::{Error, Result};
use crate::listing::{BY_PACK, Filter, listing};
use crate::params::{self, Params};
use crate::reply::{Json, List, Sent};
use crate::{Api, State, changes, view};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let mut all = trigger_endpoints();
    all.extend(sensor_endpoints());
    all
}

fn trigger_endpoints() -> Vec<Endpoint> {
    vec![
        get("/triggertypes", trigger_types)
            .summary("Lists the kinds of events that rules can wait for.")
            .query(PACK)
            .query(CHOICE)
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("TriggerType")),
        get("/triggertypes/{id}", trigger_type)
            .summary("Shows a trigger type, by reference or id.")
            .gives(Shape::One("TriggerType")),
        post("/triggertypes", create_trigger_type)
            .summary("Makes a trigger type.")
            .object("pack_modify")
            .json("TriggerTypeRequest")
            .gives(Shape::One("TriggerType")),
        put("/triggertypes/{id}", update_trigger_type)
            .summary("Replaces a trigger type.")
            .object("pack_modify")
            .json("TriggerTypeRequest")
            .gives(Shape::One("TriggerType")),
        delete("/triggertypes/{id}", remove_trigger_type)
            .summary("Removes a trigger type.")
            .object("pack_modify"),
        get("/triggers", triggers)
            .summary("Lists the triggers that rules wait for: trigger types with their parameters.")
            .any("trigger_list")
            .gives(Shape::Many("Trigger")),
        get("/triggers/{id}", one_trigger)
            .summary("Shows a trigger, by reference or id.")
            .object("trigger_view")
            .gives(Shape::One("Trigger")),
        get("/timers", timers)
            .summary("Lists the timers that rules wait for.")
            .any("timer_list")
            .query(&[Parameter::text("timer_type", "Those of this trigger type.")])
            .gives(Shape::Many("Trigger")),
        get("/timers/{id}", timer)
            .summary("Shows a timer, by reference or id.")
            .object("timer_view")
            .gives(Shape::One("Trigger")),
    ]
}

fn sensor_endpoints() -> Vec<Endpoint> {
    vec![
        get("/sensortypes", sensors)
            .summary("Lists sensors, each with how its process fares.")
            .any("sensor_type_list")
            .query(SENSOR_FILTERS)
            .query(PACK)
            .query(CHOICE)
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("SensorType")),
        get("/sensortypes/{id}", sensor)
            .summary("Shows a sensor, by reference or id.")
            .object("sensor_type_view")
            .gives(Shape::One("SensorType")),
        put("/sensortypes/{id}", switch_sensor)
            .summary("Switches a sensor on or off; nothing else of it can be changed.")
            .object("sensor_type_modify")
            .json("SensorTypeRequest")
            .gives(Shape::One("SensorType")),
        post("/sensortypes/{id}/restart", restart_sensor)
            .summary("Ends a sensor's process and starts it anew.")
            .object("sensor_type_modify")
            .status(200)
            .gives(Shape::One("SensorType")),
        get("/sources", sources)
            .summary("Lists this server's event sources and how each fares.")
            .any("sensor_type_list")
            .gives(Shape::Many("Source")),
    ]
}

const SENSOR_FILTERS: &[Parameter] = &[
    Parameter::text("trigger", "Those that emit events of this trigger type."),
    Parameter::flag("enabled", "Those that are switched on, or off."),
];

/// The timers among the trigger types.
const TIMERS: [&str; 3] = [
    "core.st2.IntervalTimer",
    "core.st2.DateTimer",
    "core.st2.CronTimer",
];

/// A page of the documents of a kind, by the usual filters.
pub(crate) async fn documents(
    api: &Api,
    kind: DocumentKind,
    params: &Params,
    caller: &Caller,
    default: Option<u64>,
    filters: &[Filter],
) -> Result<List> {
    let filter = DocumentFilter {
        pack: params::text(params, "pack").map(Str::from),
        key_prefix: None,
    };
    let now = api.engine.env().now();
    let store = api.engine.store();
    let found = store.documents(kind, &filter, Page::ALL, now).await?;
    let items = found
        .items
        .iter()
        .filter(|document| caller.sees(document))
        .map(|document| squall_wire::definition(document));
    listing(items.collect(), params, caller, default, filters)
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
    by_id.ok_or_else(|| Error::unknown_reference(id))
}

async fn trigger_types(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let kind = DocumentKind::TriggerType;
    documents(&api, kind, &params, &caller, Some(100), &[BY_PACK]).await
}

async fn trigger_type(Extract(api): State, _: Caller, Path(id): Path<String>) -> Result<Json> {
    let document = document(&api, DocumentKind::TriggerType, &id).await?;
    Ok(Json(squall_wire::definition(&document)))
}

async fn create_trigger_type(Extract(api): State, caller: Caller, sent: Sent) -> Result<Response> {
    let body = sent.object()?;
    let document = changes::make(&api, &caller, DocumentKind::TriggerType, &body).await?;
    let shown = Json(squall_wire::definition(&document));
    Ok((StatusCode::CREATED, shown).into_response())
}

async fn update_trigger_type(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Json> {
    let kind = DocumentKind::TriggerType;
    let known = document(&api, kind, &id).await?;
    changes::check_pack(known.pack.as_deref())?;
    let document = changes::replace(&api, &caller, kind, &known, &sent.object()?).await?;
    Ok(Json(squall_wire::definition(&document)))
}

async fn remove_trigger_type(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let known = document(&api, DocumentKind::TriggerType, &id).await?;
    caller.may_with(&known)?;
    changes::check_pack(known.pack.as_deref())?;
    changes::remove(&api, &caller, &known).await
}

async fn switch_sensor(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Json> {
    let sent = sent.object()?;
    let document = changes::switch(&api, &caller, DocumentKind::Sensor, &id, &sent).await?;
    let states = api.engine.source_states();
    Ok(Json(sensor_shown(&api, &document, &states)))
}

/// A sensor with where its file is and how its process fares.
fn sensor_shown(api: &Api, document: &Document, states: &[SourceState]) -> Value {
    let shown = with_state(squall_wire::definition(document), states);
    let catalog = api.engine.catalog();
    let directory = document
        .pack
        .as_deref()
        .and_then(|pack| catalog.pack_directory(pack));
    let text = |name| shown.get(name).and_then(Value::as_str);
    let (Some(entry), Some(class)) = (text("entry_point"), text("class_name")) else {
        return shown;
    };
    let file = format!("sensors/{entry}");
    // `sensors.tick_sensor.TickSensor`: modules, and the class in the last of them.
    let modules = file.strip_suffix(".py").unwrap_or(&file).replace('/', ".");
    let entry = format!("{modules}.{class}");
    let uri = directory.map(|directory| format!("file://{}", directory.join(&file).display()));
    let Value::Dict(mut body) = shown.clone() else {
        return shown;
    };
    let members = Arc::make_mut(&mut body);
    members.remove("class_name");
    members.insert("entry_point", entry);
    members.insert("artifact_uri", uri);
    Value::Dict(body)
}

async fn sensors(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let (store, now) = (api.engine.store(), api.engine.env().now());
    let (kind, filter) = (DocumentKind::Sensor, DocumentFilter::default());
    let found = store.documents(kind, &filter, Page::ALL, now).await?;
    let states = api.engine.source_states();
    let trigger = params::text(&params, "trigger");
    let items = found
        .items
        .iter()
        .filter(|document| caller.sees(document))
        .map(|document| sensor_shown(&api, document, &states))
        .filter(|sensor| trigger.is_none_or(|trigger| emits(sensor, trigger)));
    let filters = [BY_PACK, ("enabled", &["enabled"][..])];
    listing(items.collect(), &params, &caller, None, &filters)
}

fn emits(sensor: &Value, trigger: &str) -> bool {
    let types = sensor.get("trigger_types").and_then(Value::as_list);
    let mut types = types.unwrap_or_default().iter();
    types.any(|kind| kind.as_str() == Some(trigger))
}

async fn sensor(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let document = document(&api, DocumentKind::Sensor, &id).await?;
    caller.may_with(&document)?;
    let states = api.engine.source_states();
    Ok(Json(sensor_shown(&api, &document, &states)))
}

/// Ends a sensor's process and starts it anew, for the person who has mended what it failed for.
async fn restart_sensor(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json> {
    let document = document(&api, DocumentKind::Sensor, &id).await?;
    caller.may_with(&document)?;
    if let Err(error) = api.engine.restart_sensor(&document.key) {
        return Err(Error::new(StatusCode::CONFLICT, error.to_string()));
    }
    let states = api.engine.source_states();
    Ok(Json(sensor_shown(&api, &document, &states)))
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
        "next_start" => state.next_start.map(squall_wire::timestamp),
        "pid" => state.pid,
    }
}

/// Every event source of this server and how it fares: sensors, timers, native sources.
async fn sources(Extract(api): State, caller: Caller) -> Json {
    // Timers and native sources are the server's own; sensors are shown to who may see them.
    let view = Permission::SensorTypeView;
    let sees = |state: &&SourceState| {
        let sensor = Resource::by_reference(ResourceType::SensorType, &state.subject);
        caller.rights.sees_all(view) || caller.rights.may(view, &sensor)
    };
    Json(
        api.engine
            .source_states()
            .iter()
            .filter(sees)
            .map(source)
            .collect(),
    )
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

async fn triggers(Extract(api): State, caller: Caller) -> Json {
    let mut found = triggers_of(&api, None);
    found.retain(|trigger| caller.sees_trigger(reference(trigger)));
    Json(Value::from(found))
}

fn reference(trigger: &Value) -> &str {
    trigger
        .get("ref")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The resource that a timer is.
fn timer_resource(timer: &Value) -> Resource {
    let name = reference(timer).replacen('.', ":", 1);
    Resource::named(ResourceType::Timer, &name)
}

async fn timers(Extract(api): State, caller: Caller, params: Params) -> Result<Json> {
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
    let mut found = triggers_of(&api, Some(&types));
    let view = Permission::TimerView;
    found.retain(|timer| {
        caller.rights.sees_all(view) || caller.rights.may(view, &timer_resource(timer))
    });
    Ok(Json(Value::from(found)))
}

/// A trigger of one of the given types, by reference or id.
pub(crate) fn find_trigger(api: &Api, types: Option<&[&str]>, id: &str) -> Result<Value> {
    let is_meant = |trigger: &Value| {
        let text = |name| trigger.get(name).and_then(Value::as_str);
        text("ref") == Some(id) || text("id") == Some(id)
    };
    let found = triggers_of(api, types).into_iter().find(is_meant);
    found.ok_or_else(|| Error::unknown(id))
}

async fn one_trigger(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let found = find_trigger(&api, None, &id)?;
    caller.may(&Resource::trigger(reference(&found)))?;
    Ok(Json(found))
}

async fn timer(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let found = find_trigger(&api, Some(&TIMERS), &id)?;
    caller.may(&timer_resource(&found))?;
    Ok(Json(found))
}
