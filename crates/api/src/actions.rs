//! `/actions`, `/runnertypes`.

use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use squall_engine::Action;
use squall_runners::Registry;
use squall_value::{Dict, Value, dict};

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::params::{self, Params};
use crate::reply::{Json, List};
use crate::{Api, State, view};

pub(crate) async fn list(Extract(api): State, _: Caller, params: Params) -> Result<List> {
    let (page, limit) = params::page(&params, None)?;
    let members = params::members(&params)?;
    let catalog = api.engine.catalog();
    let wanted = |action: &&Arc<Action>| {
        let reference = &action.reference;
        params::text(&params, "pack").is_none_or(|pack| pack == reference.pack())
            && params::text(&params, "name")
                .is_none_or(|names| names.split(',').any(|name| name == reference.name()))
    };
    let mut actions: Vec<_> = catalog.actions().filter(wanted).collect();
    actions.sort_by(|a, b| a.reference.cmp(&b.reference));
    let total = actions.len() as u64;
    let skip = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let take = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let items = actions.into_iter().skip(skip).take(take);
    let items = items.map(|action| members.of(squall_wire::definition(&action.document)));
    Ok(List {
        items: items.collect(),
        total,
        limit,
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

pub(crate) async fn one(Extract(api): State, _: Caller, Path(id): Path<String>) -> Result<Json> {
    Ok(Json(squall_wire::definition(&find(&api, &id)?.document)))
}

/// The parameters of an action together with its runner's.
pub(crate) async fn parameters(
    Extract(api): State,
    _: Caller,
    Path(id): Path<String>,
) -> Result<Json> {
    let action = find(&api, &id)?;
    let merged = action.parameters.merged().iter();
    let merged: Dict = merged
        .map(|(name, parameter)| (name.clone(), parameter.attributes().clone()))
        .collect();
    Ok(Json(dict! { "parameters" => merged }))
}

pub(crate) async fn runner_types(_: Caller, params: Params) -> Result<List> {
    let (_, limit) = params::page(&params, Some(100))?;
    let members = params::members(&params)?;
    let name = params::text(&params, "name");
    let types = Registry::runner_types()
        .iter()
        .filter(|kind| name.is_none_or(|name| kind.name == name));
    let items: Vec<Value> = types
        .filter_map(|kind| view::runner_type(&kind.name))
        .map(|kind| members.of(kind))
        .collect();
    Ok(List {
        total: items.len() as u64,
        items,
        limit,
    })
}

pub(crate) async fn runner_type(_: Caller, Path(id): Path<String>) -> Result<Json> {
    let mut types = Registry::runner_types().iter();
    let found = types.find(|kind| kind.name == id || view::stable_id(&kind.name) == id);
    let found = found.and_then(|kind| view::runner_type(&kind.name));
    found.map(Json).ok_or_else(|| Error::unknown(&id))
}
