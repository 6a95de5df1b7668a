//! `/apikeys`: keys with which programs sign in.

use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use squall_auth::rbac::Resource;
use squall_model::Document;
use squall_value::{Dict, Value};

use crate::caller::Caller;
use crate::endpoint::{Endpoint, PAGE, SHOW_SECRETS, Shape, delete, get, post, put};
use crate::error::{Error, Result};
use crate::listing::listing;
use crate::params::{self, Params, Secrets};
use crate::reply::{Json, List, Sent};
use crate::{Api, State};

const MASK: &str = "********";

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/apikeys", list)
            .summary("Lists API keys, without the keys themselves, which nobody knows any more.")
            .any("api_key_list")
            .query(PAGE)
            .query(SHOW_SECRETS)
            .gives(Shape::Page("ApiKey")),
        post("/apikeys", create)
            .summary("Makes an API key; the answer is the only place where it is ever shown.")
            .object("api_key_create")
            .json("ApiKeyRequest")
            .gives(Shape::One("NewApiKey")),
        get("/apikeys/{id}", one)
            .summary("Shows an API key, by id or by the key itself.")
            .object("api_key_view")
            .query(SHOW_SECRETS)
            .gives(Shape::One("ApiKey")),
        put("/apikeys/{id}", update)
            .summary("Changes the owner, the metadata or the switch of an API key.")
            .object("api_key_modify")
            .json("ApiKeyRequest")
            .gives(Shape::One("ApiKey")),
        delete("/apikeys/{id}", remove)
            .summary("Removes an API key.")
            .object("api_key_delete"),
    ]
}

/// A key's record as it is shown: its hash, by which it is known, is as good as masked.
fn shown(document: &Document, with_secrets: bool) -> Value {
    let member = |name: &str| document.body.get(name).cloned();
    let secret = |text: String| if with_secrets { text } else { MASK.to_owned() };
    let mut body = Dict::new();
    body.insert("uid", secret(format!("api_key:{}", document.key)));
    body.insert("user", member("user").unwrap_or_default());
    body.insert("key_hash", secret(document.key.to_string()));
    body.insert("metadata", metadata(&document.body));
    body.insert("created_at", created_at(document));
    body.insert("enabled", member("enabled").unwrap_or(Value::Bool(true)));
    body.insert("id", document.id.to_string());
    Value::from(body)
}

fn metadata(body: &Value) -> Value {
    match body.get("metadata") {
        Some(metadata @ Value::Dict(_)) => metadata.clone(),
        _ => Value::empty_dict(),
    }
}

fn created_at(document: &Document) -> Value {
    let known = document.body.get("created_at").and_then(Value::as_str);
    let known = known.and_then(squall_wire::parse);
    Value::from(squall_wire::timestamp(known.unwrap_or(document.changed)))
}

async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let with_secrets = params::secrets(&params, &caller)? == Secrets::Shown;
    let keys = api.directory.api_keys().await?;
    let items = keys.iter().filter(|key| caller.sees(key));
    let items = items.map(|key| shown(key, with_secrets)).collect();
    listing(items, &params, &caller, Some(50), &[])
}

async fn find(api: &Api, id: &str) -> Result<Arc<Document>> {
    let found = api.directory.api_key(id).await?;
    found.ok_or_else(|| Error::missing(format!("ApiKey with key_hash or id \"{id}\" not found.")))
}

async fn one(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json> {
    let with_secrets = params::secrets(&params, &caller)? == Secrets::Shown;
    let found = find(&api, &id).await?;
    caller.may_with(&found)?;
    Ok(Json(shown(&found, with_secrets)))
}

/// The members that a request may set.
fn request(sent: &Dict) -> Result<(Option<&str>, Option<Dict>, Option<bool>)> {
    let user = match sent.get("user") {
        None | Some(Value::Null) => None,
        Some(Value::String(user)) if !user.is_empty() => Some(&**user),
        Some(_) => return Err(Error::bad("'user' must be a text")),
    };
    let metadata = match sent.get("metadata") {
        None | Some(Value::Null) => None,
        Some(Value::Dict(metadata)) => Some(Dict::clone(metadata)),
        Some(_) => return Err(Error::bad("'metadata' must be an object")),
    };
    let enabled = match sent.get("enabled") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(enabled)) => Some(*enabled),
        Some(_) => return Err(Error::bad("'enabled' must be true or false")),
    };
    Ok((user, metadata, enabled))
}

async fn create(Extract(api): State, caller: Caller, sent: Sent) -> Result<Response> {
    let sent = sent.object()?;
    let (user, metadata, enabled) = request(&sent)?;
    let own = caller.user();
    let user = user.unwrap_or(&own);
    caller.may(&Resource::api_key("", user))?;
    caller.check_user(user)?;
    let metadata = metadata.unwrap_or_default();
    let enabled = enabled.unwrap_or(true);
    // A key that moves over from elsewhere is known by its hash alone.
    if let Some(hash) = sent.get("key_hash").and_then(Value::as_str) {
        if let Some(known) = api.directory.api_key(hash).await? {
            // Whoever knew another's hash would make the key one's own.
            return Err(Error {
                status: StatusCode::CONFLICT,
                text: "There is an API key with that hash already.".to_owned(),
                more: Some(("conflict-id", Value::from(known.id.to_string()))),
                retry_after: None,
            });
        }
        let document = api
            .directory
            .adopt_api_key(user, hash, metadata, enabled)
            .await?;
        return Ok((StatusCode::CREATED, Json(shown(&document, false))).into_response());
    }
    let (key, document) = api.directory.make_api_key(user, metadata, enabled).await?;
    let Value::Dict(mut body) = shown(&document, true) else {
        return Err(Error::bad("the key has no record"));
    };
    let members = Arc::make_mut(&mut body);
    members.remove("key_hash");
    members.insert("key", key);
    Ok((StatusCode::CREATED, Json(Value::Dict(body))).into_response())
}

async fn update(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Json> {
    let known = find(&api, &id).await?;
    caller.may_with(&known)?;
    let sent = sent.object()?;
    match sent.get("key_hash").and_then(Value::as_str) {
        None | Some("" | MASK) => {}
        Some(hash) if *hash == *known.key => {}
        Some(_) => return Err(Error::bad("Changing of key_hash is not allowed.")),
    }
    let (user, metadata, enabled) = request(&sent)?;
    // Clients send the whole record back: an owner that stays the same is no change.
    let owner = known.body.get("user").and_then(Value::as_str);
    if let Some(user) = user.filter(|user| Some(*user) != owner) {
        caller.check_user(user)?;
    }
    let document = api
        .directory
        .change_api_key(&known, user, metadata, enabled)
        .await?;
    Ok(Json(shown(&document, false)))
}

async fn remove(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    let known = find(&api, &id).await?;
    caller.may_with(&known)?;
    api.directory.remove_api_key(&known).await?;
    Ok(StatusCode::NO_CONTENT)
}
