//! `/keys`: the datastore.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use squall_auth::rbac::{Permission, Resource};
use squall_engine::{Change, Datastore, RotateError};
use squall_expr::{Host as _, KeyScope};
use squall_model::{Document, DocumentKind, Id};
use squall_store::{DocumentFilter, Page};
use squall_value::{Dict, Str, Value, dict};

use crate::audit;
use crate::caller::Caller;
use crate::endpoint::{Endpoint, PAGE, Parameter, Shape, delete, get, post, put};
use crate::error::{Error, Result};
use crate::params::{self, Params};
use crate::reply::{Json, List, Sent};
use crate::{Api, State};

const SCOPE: &[Parameter] = &[
    Parameter::text(
        "scope",
        "`system`, or `user` for the items of a user; lists take `all`.",
    ),
    Parameter::text(
        "user",
        "Whose items; only administrators may name somebody else.",
    ),
];

const DECRYPT: &[Parameter] = &[Parameter::flag(
    "decrypt",
    "Show secret values in clear; only administrators may, but for their own.",
)];

const CHOICE: &[Parameter] = &[
    Parameter::text("prefix", "Those whose names begin so."),
    Parameter::list("id", "Those with one of these ids, 100 at most."),
    Parameter::list("name", "Those with one of these names."),
    Parameter::list("sort", "`name`, which is the order without it, or `-name`."),
];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/keys", list)
            .summary("Lists the items of the datastore.")
            .any("key_value_pair_list")
            .query(CHOICE)
            .query(SCOPE)
            .query(DECRYPT)
            .query(PAGE)
            .gives(Shape::Page("KeyValuePair")),
        get("/keys/{*name}", one)
            .summary("Shows an item of the datastore.")
            .object("key_value_pair_view")
            .query(SCOPE)
            .query(DECRYPT)
            .gives(Shape::One("KeyValuePair")),
        put("/keys/{*name}", write)
            .summary("Makes an item of the datastore, or replaces it.")
            .object("key_value_pair_set")
            .json("KeyValuePairRequest")
            .gives(Shape::One("KeyValuePair")),
        delete("/keys/{*name}", remove)
            .summary("Removes an item of the datastore.")
            .object("key_value_pair_delete")
            .query(SCOPE),
        post("/datastore/rotate_key", rotate)
            .summary("Seals the secret items of the datastore with a fresh key.")
            .admin()
            .status(200)
            .gives(Shape::One("KeyRotation")),
    ]
}

fn scope(caller: &Caller, scope: Option<&str>, user: Option<&str>) -> Result<KeyScope> {
    match scope {
        None | Some("system" | "st2kv.system") => Ok(KeyScope::System),
        Some("user" | "st2kv.user") => {
            let user = user.map_or_else(|| caller.user(), Str::from);
            caller.check_user(&user)?;
            Ok(KeyScope::User(user))
        }
        Some(other) => Err(Error::bad(format!(
            "Scope \"{other}\" is not valid. Allowed scopes are: system, user"
        ))),
    }
}

/// Where the one item is that a request names: `all` is for lists, and means the system's, as in
/// StackStorm.
fn scope_of_one(caller: &Caller, params: &Params) -> Result<KeyScope> {
    let wanted = params::text(params, "scope").filter(|wanted| *wanted != "all");
    scope(caller, wanted, params::text(params, "user"))
}

fn shown(document: &Document) -> Value {
    let value = document.body.get("value").cloned().unwrap_or_default();
    let secret = document
        .body
        .get("secret")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    squall_wire::key_value_pair(document, value, secret)
}

/// Whether the caller may read secrets of a scope: administrators may, and everybody their own.
fn check_decrypt(caller: &Caller, scope: &KeyScope, params: &Params) -> Result<bool> {
    let decrypt = params::truth(params, "decrypt")?;
    if decrypt && !caller.is_admin() && *scope == KeyScope::System {
        return Err(Error::denied(
            "Decrypt option requires administrator access",
        ));
    }
    Ok(decrypt)
}

/// Records that the secrets among these items are shown in clear.
fn note_secrets<'a>(items: impl IntoIterator<Item = &'a Document>) {
    let secret = |item: &&Document| item.body.get("secret").and_then(Value::as_bool) == Some(true);
    let secrets = items.into_iter().filter(secret);
    let names = secrets.map(|item| Str::from(Resource::key(&item.key).uid()));
    let names: Vec<Str> = names.collect();
    if !names.is_empty() {
        audit::secrets_read(&names);
    }
}

/// An item with its secret opened, if that is asked for.
fn opened(api: &Api, document: &Document, decrypt: bool) -> Result<Value> {
    let secret = document.body.get("secret").and_then(Value::as_bool) == Some(true);
    let sealed = document.body.get("value").and_then(Value::as_str);
    match sealed {
        Some(sealed) if secret && decrypt => {
            let clear = api.engine.datastore().decrypt(sealed).map_err(|error| {
                let name = document.body.get("name").and_then(Value::as_str);
                Error::bad(format!(
                    "the secret item \"{}\" can't be decrypted: {}",
                    name.unwrap_or_default(),
                    error.message
                ))
            })?;
            Ok(squall_wire::key_value_pair(
                document,
                Value::from(clear),
                false,
            ))
        }
        _ => Ok(shown(document)),
    }
}

/// The value as it is kept, and whether it is a secret.
///
/// `encrypted` brings ciphertext of the same key, for example from another server's export; it is
/// kept only if it opens.
fn kept(api: &Api, name: &str, value: &str, body: &Dict) -> Result<(String, bool)> {
    let flag = |member: &str| body.get(member).and_then(Value::as_bool) == Some(true);
    if flag("encrypted") {
        api.engine.datastore().decrypt(value).map_err(|error| {
            Error::bad(format!(
                "Failed to verify the integrity of the provided value for key \"{name}\". Ensure \
                 that the value is encrypted with the correct key and not corrupted: {}",
                error.message
            ))
        })?;
        return Ok((value.to_owned(), true));
    }
    if flag("secret") {
        let sealed = api.engine.datastore().encrypt(value);
        let sealed = sealed.map_err(|error| Error::bad(error.message))?;
        return Ok((sealed, true));
    }
    Ok((value.to_owned(), false))
}

/// The items of a scope, or with `all` those of the system and then the caller's own, each half
/// with the same limit, and without a total.
async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<Response> {
    let (page, limit) = params::page(&params, &caller, Some(100))?;
    let user = params::text(&params, "user");
    let wanted = params::text(&params, "scope");
    let scopes = match wanted {
        Some("all") => vec![KeyScope::System, scope(&caller, Some("user"), user)?],
        given => vec![scope(&caller, given, user)?],
    };
    let mut items = Vec::new();
    let mut total = 0;
    for scope in &scopes {
        let decrypt = check_decrypt(&caller, scope, &params)?;
        let found = items_of(&api, &caller, scope, &params, page, decrypt).await?;
        total += found.1;
        items.extend(found.0);
    }
    if wanted == Some("all") {
        return Ok(Json(Value::from(items)).into_response());
    }
    Ok(List {
        items,
        total,
        limit,
    }
    .into_response())
}

async fn items_of(
    api: &Api,
    caller: &Caller,
    scope: &KeyScope,
    params: &Params,
    page: Page,
    decrypt: bool,
) -> Result<(Vec<Value>, u64)> {
    let prefix = params::text(params, "prefix").unwrap_or_default();
    let key_prefix = Some(Str::from(Datastore::key_of(scope, prefix)));
    let filter = DocumentFilter {
        pack: None,
        key_prefix,
    };
    let names = params::list(params, "name");
    let ids: Option<Vec<Id<()>>> = params::ids(params);
    let sort = params::list(params, "sort").unwrap_or_default();
    let is_reversed = sort.contains(&"-name");
    // The store knows neither names without their scope nor grants: with such a filter all are read.
    let sees_all = caller.rights.sees_all(Permission::KeyValuePairView)
        || matches!(scope, KeyScope::User(user) if *user == caller.user());
    let filtered = names.is_some() || ids.is_some() || is_reversed || !sees_all;
    let read = if filtered { Page::ALL } else { page };
    let (kind, now) = (DocumentKind::Key, api.engine.env().now());
    let mut found = api
        .engine
        .store()
        .documents(kind, &filter, read, now)
        .await?;
    if filtered {
        let is_named = |document: &Document| {
            let name = document.body.get("name").and_then(Value::as_str);
            let (names, ids) = (names.as_ref(), ids.as_ref());
            names.is_none_or(|names| name.is_some_and(|name| names.contains(&name)))
                && ids.is_none_or(|ids| ids.contains(&document.id.cast()))
        };
        found
            .items
            .retain(|document| is_named(document) && caller.sees(document));
        if is_reversed {
            found.items.reverse();
        }
        found.total = found.items.len() as u64;
        found.items = params::cut(found.items, page);
    }
    let items = found.items.iter();
    let items = items.map(|document| opened(api, document, decrypt));
    let items = items.collect::<Result<_>>()?;
    if decrypt {
        note_secrets(found.items.iter().map(|item| &**item));
    }
    Ok((items, found.total))
}

async fn find(api: &Api, scope: &KeyScope, name: &str) -> Result<Arc<Document>> {
    let now = api.engine.env().now();
    let key = Datastore::key_of(scope, name);
    let found = api
        .engine
        .store()
        .document(DocumentKind::Key, &key, now)
        .await?;
    found.ok_or_else(|| {
        let scope = match scope {
            KeyScope::System => "st2kv.system",
            KeyScope::User(_) => "st2kv.user",
        };
        Error::missing(format!(
            "KeyValuePair with name: {name} and scope: {scope} not found in db."
        ))
    })
}

async fn one(
    Extract(api): State,
    caller: Caller,
    Path(name): Path<String>,
    params: Params,
) -> Result<Json> {
    let scope = scope_of_one(&caller, &params)?;
    let decrypt = check_decrypt(&caller, &scope, &params)?;
    caller.may(&Resource::key(&Datastore::key_of(&scope, &name)))?;
    let document = find(&api, &scope, &name).await?;
    if decrypt {
        note_secrets([&*document]);
    }
    Ok(Json(opened(&api, &document, decrypt)?))
}

async fn write(
    Extract(api): State,
    caller: Caller,
    Path(name): Path<String>,
    sent: Sent,
) -> Result<Json> {
    let body = sent.object()?;
    let text = |member: &str| body.get(member).and_then(Value::as_str);
    let scope = scope(&caller, text("scope"), text("user"))?;
    caller.may(&Resource::key(&Datastore::key_of(&scope, &name)))?;
    let value =
        text("value").ok_or_else(|| Error::bad("'value' is a required property, a text"))?;
    if body.get("encrypted").and_then(Value::as_bool) == Some(true) && !caller.is_admin() {
        // Who may put ciphertext among what is theirs could read what is not.
        return Err(Error::denied(
            "Pre-encrypted option requires administrator access",
        ));
    }
    let (value, secret) = kept(&api, &name, value, &body)?;
    let now = api.engine.env().now();
    let expires = match body.get("ttl") {
        None | Some(Value::Null) => None,
        Some(Value::Int(seconds)) if *seconds > 0 => now
            .checked_add(Duration::from_secs(seconds.unsigned_abs()))
            .ok(),
        Some(_) => return Err(Error::bad("'ttl' must be a positive number of seconds")),
    };
    let mut item = Dict::new();
    item.insert("name", name.as_str());
    item.insert("value", value);
    item.insert("secret", secret);
    if let KeyScope::User(user) = &scope {
        item.insert("user", user.clone());
    }
    let change = Change::Put {
        kind: DocumentKind::Key,
        key: Str::from(Datastore::key_of(&scope, &name)),
        pack: None,
        body: Value::from(item),
        expires,
        new: false,
    };
    let put = api.engine.change(vec![change]).await?;
    let document = put
        .first()
        .ok_or_else(|| Error::bad("nothing was changed"))?;
    Ok(Json(shown(document)))
}

async fn rotate(Extract(api): State, _: Caller) -> Result<Json> {
    audit::intends("datastore_key_rotate");
    let count = api
        .engine
        .rotate_datastore_key()
        .await
        .map_err(|error| match error {
            RotateError::NoKey | RotateError::Unfinished => Error::bad(error.to_string()),
            RotateError::File(_) | RotateError::Items(_) => Error::internal(&error),
        })?;
    Ok(Json(dict! { "sealed" => count }))
}

async fn remove(
    Extract(api): State,
    caller: Caller,
    Path(name): Path<String>,
    params: Params,
) -> Result<StatusCode> {
    let scope = scope_of_one(&caller, &params)?;
    caller.may(&Resource::key(&Datastore::key_of(&scope, &name)))?;
    let known = find(&api, &scope, &name).await?;
    let change = Change::Delete {
        kind: DocumentKind::Key,
        key: known.key.clone(),
    };
    api.engine.change(vec![change]).await?;
    Ok(StatusCode::NO_CONTENT)
}
