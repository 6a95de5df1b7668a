//! `/actions`.

use std::sync::Arc;

use axum::extract::{Path, Request, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use squall_auth::rbac::Permission;
use squall_engine::Action;
use squall_model::{Document, DocumentKind};
use squall_value::{Dict, Value, dict, python};

use crate::caller::Caller;
use crate::endpoint::{
    CHOICE, Endpoint, MEMBERS, PACK, PAGE, Parameter, Shape, delete, get, post, put,
};
use crate::error::{Error, Result};
use crate::listing::{BY_PACK, listing};
use crate::params::{self, Params};
use crate::reply::{self, Json, List, Sent};
use crate::{Api, State, changes, files, publish, rights};

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
        post("/actions", create)
            .summary("Makes an action; `data_files` are written into its pack.")
            .object("action_create")
            .json("ActionRequest")
            .gives(Shape::One("Action")),
        put("/actions/{id}", update)
            .summary("Replaces an action.")
            .object("action_modify")
            .json("ActionRequest")
            .gives(Shape::One("Action")),
        delete("/actions/{id}", remove)
            .summary("Removes an action, and its files if that is asked for.")
            .object("action_delete")
            .json("ActionRemoval"),
        post("/actions/{id}/clone", duplicate)
            .summary("Copies an action, with its files, to another name or pack.")
            .object("action_create")
            .json("ActionCopy")
            .gives(Shape::One("Action")),
        get("/actions/views/entry_point/{id}", entry_point)
            .summary("Gives the text of the file that an action runs.")
            .object("action_view")
            .gives(Shape::Text("text/plain")),
        get("/actions/views/overview", overview)
            .summary("Lists actions, with the parameters of their runners among theirs.")
            .any("action_list")
            .query(FILTER_PARAMETERS)
            .query(PACK)
            .query(CHOICE)
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("Action")),
        get("/actions/views/overview/{id}", one_overview)
            .summary("Shows an action, with its runner's parameters among its own.")
            .object("action_view")
            .gives(Shape::One("Action")),
        get("/actions/views/parameters/{id}", parameters)
            .summary("Shows the parameters of an action together with its runner's.")
            .object("action_view")
            .gives(Shape::One("ActionParameters")),
    ]
}

const FILTER_PARAMETERS: &[Parameter] = &[Parameter::text(
    "tags",
    "Those with a tag of this name, or `name:value`.",
)];

async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let shown = |action: &Action| squall_wire::definition(&action.document);
    listed(&api, &caller, &params, shown)
}

async fn overview(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    listed(&api, &caller, &params, with_all_parameters)
}

/// An action with all that a caller may set: its parameters and its runner's, but for those whose
/// value is fixed.
fn with_all_parameters(action: &Action) -> Value {
    let merged = action.parameters.merged().iter();
    let parameters: Dict = merged
        .map(|(name, parameter)| (name, parameter.attributes()))
        .filter(|(_, attributes)| attributes.get("immutable") != Some(&Value::Bool(true)))
        .map(|(name, attributes)| (name.clone(), attributes.clone()))
        .collect();
    let shown = squall_wire::definition(&action.document);
    let mut shown = shown.as_dict().cloned().unwrap_or_default();
    shown.insert("parameters", parameters);
    Value::from(shown)
}

fn listed(
    api: &Api,
    caller: &Caller,
    params: &Params,
    shown: impl Fn(&Action) -> Value,
) -> Result<List> {
    let catalog = api.engine.catalog();
    let tag = params::text(params, "tags");
    let mut actions: Vec<_> = catalog
        .actions()
        .filter(|action| tag.is_none_or(|tag| has_tag(&action.document.body, tag)))
        .filter(|action| caller.sees(&action.document))
        .collect();
    actions.sort_by(|a, b| a.reference.cmp(&b.reference));
    let items = actions.into_iter().map(|action| shown(action));
    listing(items.collect(), params, caller, None, &[BY_PACK])
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
        .ok_or_else(|| Error::unknown_reference(id))
}

async fn one(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let found = find(&api, &id)?;
    caller.may_with(&found.document)?;
    Ok(Json(squall_wire::definition(&found.document)))
}

async fn one_overview(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let found = find(&api, &id)?;
    caller.may_with(&found.document)?;
    Ok(Json(with_all_parameters(&found)))
}

async fn create(Extract(api): State, caller: Caller, sent: Sent) -> Result<Response> {
    let body = sent.object()?;
    changes::check_pack(body.get("pack").and_then(Value::as_str))?;
    files::may_name(&api, &caller, &body, None)?;
    let document = changes::make(&api, &caller, DocumentKind::Action, &body).await?;
    Ok(created(&document))
}

fn created(document: &Document) -> Response {
    let shown = Json(squall_wire::definition(document));
    (StatusCode::CREATED, shown).into_response()
}

async fn update(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Json> {
    let known = Arc::clone(&find(&api, &id)?.document);
    caller.may_with(&known)?;
    changes::check_pack(known.pack.as_deref())?;
    let mut body = sent.object()?;
    if body.get("pack").is_none() {
        body.insert("pack", known.pack.clone());
    }
    changes::check_pack(body.get("pack").and_then(Value::as_str))?;
    files::may_name(&api, &caller, &body, Some(&known))?;
    let document = changes::replace(&api, &caller, DocumentKind::Action, &known, &body).await?;
    Ok(Json(squall_wire::definition(&document)))
}

async fn remove(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<StatusCode> {
    let known = Arc::clone(&find(&api, &id)?.document);
    caller.may_with(&known)?;
    changes::check_pack(known.pack.as_deref())?;
    // StackStorm's own client sends the body without saying that it is JSON.
    let bytes = reply::read(request.into_body(), &api).await?;
    let body = if bytes.is_empty() {
        Value::empty_dict()
    } else {
        reply::json(&bytes)?
    };
    let status = changes::remove(&api, &caller, &known).await?;
    if body.get("remove_files").and_then(Value::as_bool) == Some(true) {
        files::remove_action(&api, &caller, &known)?;
    }
    Ok(status)
}

async fn duplicate(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Response> {
    let from = Arc::clone(&find(&api, &id)?.document);
    let sent = sent.object()?;
    let text = |member: &str| {
        let given = sent.get(member).and_then(Value::as_str);
        given.ok_or_else(|| Error::bad(format!("'{member}' is a required property")))
    };
    let (pack, name) = (text("dest_pack")?, text("dest_action")?);
    changes::check_pack(Some(pack))?;
    caller.check(Permission::ActionView, &rights::resource_of(&from))?;
    caller.may(&rights::resource(
        DocumentKind::Action,
        &format!("{pack}.{name}"),
    ))?;
    if api.engine.catalog().pack_directory(pack).is_none() {
        return Err(Error::bad(format!(
            "Destination pack '{pack}' doesn't exist"
        )));
    }
    let reference = format!("{pack}.{name}");
    let there = api
        .engine
        .catalog()
        .action(&reference)
        .map(|action| Arc::clone(&action.document));
    let overwrite = sent.get("overwrite").and_then(Value::as_bool) == Some(true);
    if let Some(known) = &there {
        if !overwrite {
            return Err(Error::bad(format!(
                "The requested destination action already exists: {reference}"
            )));
        }
        caller.check(Permission::ActionModify, &rights::resource_of(known))?;
    }
    let Value::Dict(body) = squall_wire::definition(&from) else {
        return Err(Error::unknown_reference(&id));
    };
    let mut body = Arc::unwrap_or_clone(body);
    for derived in ["id", "uid", "ref"] {
        body.remove(derived);
    }
    body.insert("pack", pack);
    body.insert("name", name);
    // Before the files: what may not be published must not lie there for the next registration.
    if let Some(body) = from.body.as_dict() {
        publish::check(&api, &caller, DocumentKind::Action, body)?;
    }
    files::copy_action(&api, &caller, &from, pack, &mut body)?;
    let kind = DocumentKind::Action;
    let document = match there {
        Some(known) => changes::replace(&api, &caller, kind, &known, &body).await?,
        None => changes::make(&api, &caller, kind, &body).await?,
    };
    Ok(created(&document))
}

async fn entry_point(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<String> {
    let found = find(&api, &id)?;
    caller.may_with(&found.document)?;
    files::entry_point_text(&api, &found.document)
}

/// The parameters of an action together with its runner's.
async fn parameters(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let action = find(&api, &id)?;
    caller.may_with(&action.document)?;
    let merged = action.parameters.merged().iter();
    let merged: Dict = merged
        .map(|(name, parameter)| (name.clone(), parameter.attributes().clone()))
        .collect();
    Ok(Json(dict! { "parameters" => merged }))
}
