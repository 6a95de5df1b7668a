//! `/users`: who may sign in.

use axum::Extension;
use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use squall_auth::users::{self, NAME_MAX, UserChange};
use squall_value::{Dict, Value};

use crate::State;
use crate::caller::Caller;
use crate::endpoint::{CHOICE, Endpoint, PAGE, Shape, delete, get, post, put};
use crate::error::{Error, Result};
use crate::front::Source;
use crate::listing::listing;
use crate::params::Params;
use crate::reply::{Json, List, Sent};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/users", list)
            .summary("Lists users.")
            .admin()
            .query(CHOICE)
            .query(PAGE)
            .gives(Shape::Page("Account")),
        post("/users", create)
            .summary("Makes a user. A service account may ask for tokens of other users.")
            .admin()
            .json("AccountRequest")
            .gives(Shape::One("Account")),
        get("/users/{name}", one)
            .summary("Shows a user; administrators see all, others themselves.")
            .gives(Shape::One("Account")),
        put("/users/{name}", update)
            .summary("Changes a user; others than administrators change their own password.")
            .json("AccountChange")
            .gives(Shape::One("Account")),
        delete("/users/{name}", remove)
            .summary("Removes a user, with all tokens and API keys.")
            .admin(),
    ]
}

async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let users = api.directory.users().await?;
    let items = users.iter().map(|user| Value::from(users::shown(user)));
    listing(items.collect(), &params, &caller, Some(100), &[])
}

fn unknown(name: &str) -> Error {
    Error::missing(format!("There is no user \"{name}\"."))
}

/// Administrators see and change everybody, others themselves.
fn check_self(caller: &Caller, name: &str) -> Result<()> {
    if caller.is_admin() || *caller.user() == *name {
        return Ok(());
    }
    Err(Error::denied("Administrator or self access required"))
}

fn change(sent: &Dict) -> UserChange {
    let password = sent.get("password").and_then(Value::as_str);
    UserChange {
        password: password.map(str::to_owned),
        service: sent.get("service").and_then(Value::as_bool),
    }
}

async fn create(Extract(api): State, _: Caller, sent: Sent) -> Result<Response> {
    let sent = sent.object()?;
    let name = sent.get("name").and_then(Value::as_str).unwrap_or_default();
    if !users::is_name(name) {
        return Err(Error::bad(format!(
            "'name' must have 1 to {NAME_MAX} bytes, without control characters, colon and slash"
        )));
    }
    if let Some(known) = api.directory.user(name).await? {
        return Err(Error {
            status: StatusCode::CONFLICT,
            text: format!("There is a user \"{name}\" already."),
            more: Some(("conflict-id", Value::from(known.id.to_string()))),
            retry_after: None,
        });
    }
    let user = api.directory.put_user(name, change(&sent)).await?;
    Ok((StatusCode::CREATED, Json(Value::from(users::shown(&user)))).into_response())
}

async fn one(Extract(api): State, caller: Caller, Path(name): Path<String>) -> Result<Json> {
    check_self(&caller, &name)?;
    let found = api.directory.user(&name).await?;
    let found = found.ok_or_else(|| unknown(&name))?;
    Ok(Json(Value::from(users::shown(&found))))
}

async fn update(
    Extract(api): State,
    Extension(source): Extension<Source>,
    caller: Caller,
    Path(name): Path<String>,
    sent: Sent,
) -> Result<Json> {
    check_self(&caller, &name)?;
    let sent = sent.object()?;
    let change = change(&sent);
    if !caller.is_admin() && change.service.is_some() {
        return Err(Error::denied("Administrator access required"));
    }
    let known = api.directory.user(&name).await?;
    let known = known.ok_or_else(|| unknown(&name))?;
    if change.password.is_some() && *caller.user() == *name {
        if !users::has_password(&known) {
            // It would outlive the user's entry there.
            return Err(Error::new(
                StatusCode::CONFLICT,
                format!("The password of \"{name}\" is kept elsewhere and is changed there."),
            ));
        }
        // Whoever found a token must not be able to keep what it opens.
        let old = sent.get("old_password").and_then(Value::as_str);
        api.directory
            .check_password(&name, old.unwrap_or_default(), source.address)
            .await?;
    }
    let user = api.directory.put_user(&name, change).await?;
    Ok(Json(Value::from(users::shown(&user))))
}

async fn remove(
    Extract(api): State,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode> {
    if *caller.user() == *name {
        return Err(Error::new(
            StatusCode::CONFLICT,
            "Nobody removes the account that is signed in.",
        ));
    }
    if !api.directory.remove_user(&name).await? {
        return Err(unknown(&name));
    }
    api.roles.forget(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
