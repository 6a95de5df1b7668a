//! `/runnertypes`.

use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use squall_auth::rbac::{Permission, Resource, ResourceType};
use squall_engine::{Change, runner_setting};
use squall_model::DocumentKind;
use squall_runners::Registry;
use squall_value::{Str, Value, dict};

use crate::caller::Caller;
use crate::endpoint::{CHOICE, Endpoint, MEMBERS, PAGE, Shape, get, put};
use crate::error::{Error, Result};
use crate::listing::listing;
use crate::params::Params;
use crate::reply::{Json, List, Sent};
use crate::{Api, State, view};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/runnertypes", list)
            .summary("Lists runner types: the ways in which actions can be run.")
            .any("runner_type_list")
            .query(CHOICE)
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("RunnerType")),
        get("/runnertypes/{id}", one)
            .summary("Shows a runner type, by name or id.")
            .object("runner_type_view")
            .gives(Shape::One("RunnerType")),
        put("/runnertypes/{id}", switch)
            .summary("Switches a runner on or off; nothing else of it can be changed.")
            .object("runner_type_modify")
            .json("RunnerTypeRequest")
            .gives(Shape::One("RunnerType")),
    ]
}

/// A runner type as it is now: its executions show it as it was when they ran.
fn shown(api: &Api, name: &str) -> Option<Value> {
    let Value::Dict(mut shown) = view::runner_type(name)? else {
        return None;
    };
    let enabled = api.engine.catalog().is_runner_enabled(name);
    Arc::make_mut(&mut shown).insert("enabled", enabled);
    Some(Value::Dict(shown))
}

/// The name of the runner type that a path names by its name or id.
fn named(id: &str) -> Result<&'static str> {
    let mut types = Registry::runner_types().iter();
    let found = types.find(|kind| kind.name == id || view::stable_id(&kind.name) == id);
    let found = found.ok_or_else(|| Error::unknown(id))?;
    Ok(&found.name)
}

async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let types = Registry::runner_types().iter();
    let items = types.filter_map(|kind| shown(&api, &kind.name));
    listing(items.collect(), &params, &caller, Some(100), &[])
}

async fn one(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let name = named(&id)?;
    // Who may list them all may see each.
    if !caller.rights.has(Permission::RunnerTypeList) {
        caller.may(&Resource::named(ResourceType::RunnerType, name))?;
    }
    caller.was_asked();
    let shown = shown(&api, name);
    shown.map(Json).ok_or_else(|| Error::unknown(&id))
}

/// Switches a runner on or off. What was asked for before runs all the same.
async fn switch(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Json> {
    let name = named(&id)?;
    caller.may(&Resource::named(ResourceType::RunnerType, name))?;
    let enabled = sent.object()?.get("enabled").and_then(Value::as_bool);
    let enabled = enabled.ok_or_else(|| Error::bad("'enabled' is a required property"))?;
    let change = Change::Put {
        kind: DocumentKind::Setting,
        key: Str::from(runner_setting(name)),
        pack: None,
        body: dict! { "enabled" => enabled },
        expires: None,
        new: false,
    };
    api.engine.change(vec![change]).await?;
    let shown = shown(&api, name);
    shown.map(Json).ok_or_else(|| Error::unknown(&id))
}
