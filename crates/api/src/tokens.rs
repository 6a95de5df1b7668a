//! Signing in.

use std::time::Duration;

use axum::Extension;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use squall_auth::Method;
use squall_store::audit::Entry;
use squall_value::{Dict, Str, Value, dict};

use crate::audit;
use crate::caller::Caller;
use crate::endpoint::{Endpoint, Shape, get, post};
use crate::error::{Error, Result};
use crate::front::Source;
use crate::reply::{Json, Sent};
use crate::{Api, State};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        post("/tokens", create)
            .summary("Signs in: a token for a name and a password (HTTP basic, RFC 7617).")
            .open()
            .json("TokenRequest")
            .also(401, Shape::One("Error"))
            .gives(Shape::One("Token")),
        post("/tokens/validate", validate)
            .summary("Tells whether a token is valid.")
            .json("TokenValidation")
            .status(200)
            .gives(Shape::One("TokenValidity")),
        get("/sso", sso)
            .summary("Tells whether there is single sign-on.")
            .open()
            .gives(Shape::One("SingleSignOn")),
    ]
}

/// What the caller can learn of itself.
pub(crate) fn caller_endpoints() -> Vec<Endpoint> {
    vec![
        get("/user", user)
            .summary("Tells who the caller is.")
            .gives(Shape::One("User")),
    ]
}

/// A token for a name and a password (HTTP basic, RFC 7617), or for whom a trusted proxy names.
async fn create(
    Extract(api): State,
    Extension(source): Extension<Source>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Response> {
    let body = sent.object()?;
    let mut user = signed_in(&api, source, &headers).await?;
    let life = match body.get("ttl") {
        None | Some(Value::Null) => None,
        Some(Value::Int(seconds)) if *seconds > 0 => {
            Some(Duration::from_secs(seconds.unsigned_abs()))
        }
        Some(_) => return Err(Error::bad("\"ttl\" must be a positive number of seconds.")),
    };
    refuse_nickname(&body)?;
    let (service, metadata) = match body.get("user").and_then(Value::as_str) {
        Some(other) if other != user => {
            let known = api.directory.user(&user).await?;
            if !known.is_some_and(|known| squall_auth::users::is_service(&known)) {
                return Err(Error::denied(format!(
                    "User \"{user}\" is no service account and gets no tokens of other users."
                )));
            }
            let service = std::mem::replace(&mut user, other.to_owned());
            (true, dict! { "service" => service })
        }
        _ => (false, Value::empty_dict()),
    };
    let of_another = service.then(|| Str::from(format!("user:{user}")));
    audit::note(Entry::done("sign_in", of_another));
    let issued = api.directory.issue(&user, life, metadata.clone()).await?;
    let answer = dict! {
        "user" => user,
        "token" => issued.token.as_str(),
        "expiry" => squall_wire::timestamp(issued.expires),
        "metadata" => metadata,
        "service" => service,
        "id" => issued.document.id.to_string(),
    };
    let mut response = (StatusCode::CREATED, Json(answer)).into_response();
    if let Ok(url) = HeaderValue::from_str(&api.url) {
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-api-url"), url);
    }
    Ok(response)
}

/// Refuses to sign in for whoever has a nickname in chat: no nicknames are kept. Who asks for the
/// token of somebody else must not get their own without a word.
fn refuse_nickname(body: &Dict) -> Result<()> {
    let text = |member| body.get(member).and_then(Value::as_str);
    let (None, Some(nickname)) = (text("user"), text("impersonate_user")) else {
        return Ok(());
    };
    let origin = text("nickname_origin").unwrap_or_default();
    Err(Error::bad(format!(
        "Could not locate user {nickname}@{origin}: no nicknames are kept here. A service account \
         names the user itself, by \"user\"."
    )))
}

/// Who signs in.
async fn signed_in(api: &Api, source: Source, headers: &HeaderMap) -> Result<String> {
    let wrong = || Error::new(StatusCode::UNAUTHORIZED, "Invalid or missing credentials");
    if api.front.proxies_sign_in {
        let named = source.is_proxied.then(|| forwarded_user(headers)).flatten();
        let user = named.ok_or_else(wrong)?;
        audit::claims(&user, "proxy");
        api.directory.welcome(&user).await?;
        return Ok(user);
    }
    let (user, password) = basic(headers).ok_or_else(wrong)?;
    audit::claims(&user, "password");
    let checked = api
        .directory
        .check_password(&user, &password, source.address);
    checked.await?;
    Ok(user)
}

/// The user that a proxy names. What it says twice could be the client's word: it counts for
/// nothing.
fn forwarded_user(headers: &HeaderMap) -> Option<String> {
    let names = ["remote-user", "remote_user", "x-forwarded-user"];
    let mut found = names.iter().flat_map(|name| headers.get_all(*name));
    let user = found.next()?.to_str().ok()?.trim();
    (found.next().is_none() && squall_auth::users::is_name(user)).then(|| user.to_owned())
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let text = headers.get("authorization")?.to_str().ok()?;
    let encoded = text
        .get(..6)
        .filter(|scheme| scheme.eq_ignore_ascii_case("basic "))?;
    let decoded = STANDARD.decode(text[encoded.len()..].trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, password) = decoded.split_once(':')?;
    (!user.is_empty()).then(|| (user.to_owned(), password.to_owned()))
}

async fn validate(Extract(api): State, _: Caller, sent: Sent) -> Result<Json> {
    let body = sent.object()?;
    let token = body
        .get("token")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let known = api.directory.by_token(token).await?;
    Ok(Json(dict! { "valid" => known.is_some() }))
}

async fn sso() -> Json {
    Json(dict! { "enabled" => false })
}

/// Who the caller is.
async fn user(Extract(api): State, caller: Caller) -> Json {
    let method = match caller.identity.method {
        Method::Token | Method::ActionToken => "authentication token",
        Method::ApiKey => "API key",
    };
    let mut authentication = Dict::new();
    authentication.insert("method", method);
    authentication.insert("location", caller.place);
    if let Some(expires) = caller.identity.expires {
        authentication.insert("token_expire", squall_wire::seconds(expires));
    }
    Json(dict! {
        "username" => caller.user(),
        "authentication" => authentication,
        "rbac" => dict! {
            "enabled" => api.roles.settings().enabled,
            "roles" => caller.roles().iter().cloned().map(Value::from).collect::<Value>(),
            "is_admin" => caller.is_admin(),
        },
    })
}
