//! `/actions`, `/runnertypes`.

use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use squall_engine::Action;
use squall_runners::Registry;
use squall_value::{Dict, Value, dict, python};

use crate::caller::Caller;
use crate::endpoint::{CHOICE, Endpoint, MEMBERS, PACK, PAGE, Parameter, Shape, get};
use crate::error::{Error, Result};
use crate::listing::{BY_PACK, listing};
use crate::params::{self, Params};
use crate::reply::{Json, List};
use crate::{Api, State, view};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/actions", list)
            .summary("Lists actions.")
            .any("action_list")
            .query(FILTER_PARAMETERS)
            .query(PACK)
            .query(CHOICE)
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("Action")),
        get("/actions/{id}", one)
            .summary("Shows an action, by reference or id.")
            .object("action_view")
            .gives(Shape::One("Action")),
        get("/actions/views/overview", list)
            .summary("Lists actions, as /actions does.")
            .any("action_list")
            .query(FILTER_PARAMETERS)
            .query(PACK)
            .query(CHOICE)
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("Action")),
        get("/actions/views/overview/{id}", one)
            .summary("Shows an action, as /actions/{id} does.")
            .object("action_view")
            .gives(Shape::One("Action")),
        get("/actions/views/parameters/{id}", parameters)
            .summary("Shows the parameters of an action together with its runner's.")
            .object("action_view")
            .gives(Shape::One("ActionParameters")),
        get("/runnertypes", runner_types)
            .summary("Lists runner types: the ways in which actions can be run.")
            .any("runner_type_list")
            .query(CHOICE)
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("RunnerType")),
        get("/runnertypes/{id}", runner_type)
            .summary("Shows a runner type, by name or id.")
            .object("runner_type_view")
            .gives(Shape::One("RunnerType")),
    ]
}

const FILTER_PARAMETERS: &[Parameter] = &[Parameter::text(
    "tags",
    "Those with a tag of this name, or `name:value`.",
)];

async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let catalog = api.engine.catalog();
    let tag = params::text(&params, "tags");
    let mut actions: Vec<_> = catalog
        .actions()
        .filter(|action| tag.is_none_or(|tag| has_tag(&action.document.body, tag)))
        .collect();
    actions.sort_by(|a, b| a.reference.cmp(&b.reference));
    let items = actions
        .into_iter()
        .map(|action| squall_wire::definition(&action.document));
    listing(items.collect(), &params, &caller, None, &[BY_PACK])
}

fn has_tag(body: &Value, wanted: &str) -> bool {
    let (name, value) = match wanted.split_once(':') {
        Some((name, value)) => (name, Some(value)),
        None => (wanted, None),
    };
    let text = |tag: &Value, member: &str| tag.get(member).map(python::str);
    let tags = body.get("tags").and_then(Value::as_list);
    tags.unwrap_or_default().iter().any(|tag| {
        text(tag, "name").as_deref() == Some(name)
            && value.is_none_or(|value| text(tag, "value").as_deref() == Some(value))
    })
}

fn find(api: &Api, id: &str) -> Result<Arc<Action>> {
    let catalog = api.engine.catalog();
    let by_id = || id.parse().ok().and_then(|id| catalog.action_by_id(id));
    catalog
        .action(id)
        .or_else(by_id)
        .cloned()
        .ok_or_else(|| Error::unknown(id))
}

async fn one(Extract(api): State, _: Caller, Path(id): Path<String>) -> Result<Json> {
    Ok(Json(squall_wire::definition(&find(&api, &id)?.document)))
}

/// The parameters of an action together with its runner's.
async fn parameters(Extract(api): State, _: Caller, Path(id): Path<String>) -> Result<Json> {
    let action = find(&api, &id)?;
    let merged = action.parameters.merged().iter();
    let merged: Dict = merged
        .map(|(name, parameter)| (name.clone(), parameter.attributes().clone()))
        .collect();
    Ok(Json(dict! { "parameters" => merged }))
}

async fn runner_types(caller: Caller, params: Params) -> Result<List> {
    let types = Registry::runner_types().iter();
    let items = types.filter_map(|kind| view::runner_type(&kind.name));
    listing(items.collect(), &params, &caller, Some(100), &[])
}

async fn runner_type(_: Caller, Path(id): Path<String>) -> Result<Json> {
    let mut types = Registry::runner_types().iter();
    let found = types.find(|kind| kind.name == id || view::stable_id(&kind.name) == id);
    let found = found.and_then(|kind| view::runner_type(&kind.name));
    found.map(Json).ok_or_else(|| Error::unknown(&id))
}
