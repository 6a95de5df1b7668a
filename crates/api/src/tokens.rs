//! Signing in.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use squall_auth::Method;
use squall_value::{Dict, Value, dict};

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::reply::{Json, object};
use crate::{Api, State};

pub(crate) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/tokens", post(create))
        .route("/tokens/validate", post(validate))
        .route("/sso", get(sso))
}

/// A token for a name and a password (HTTP basic, RFC 7617).
async fn create(Extract(api): State, headers: HeaderMap, bytes: Bytes) -> Result<Response> {
    let wrong = || Error::new(StatusCode::UNAUTHORIZED, "Invalid or missing credentials");
    let (user, password) = basic(&headers).ok_or_else(wrong)?;
    let body = object(&bytes)?;
    api.directory.check_password(&user, &password).await?;
    let life = match body.get("ttl") {
        None | Some(Value::Null) => None,
        Some(Value::Int(seconds)) if *seconds > 0 => {
            Some(Duration::from_secs(seconds.unsigned_abs()))
        }
        Some(_) => return Err(Error::bad("\"ttl\" must be a positive number of seconds.")),
    };
    let issued = api
        .directory
        .issue(&user, life, Value::empty_dict())
        .await?;
    let answer = dict! {
        "user" => user,
        "token" => issued.token.as_str(),
        "expiry" => squall_wire::timestamp(issued.expires),
        "metadata" => Value::empty_dict(),
        "service" => false,
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

async fn validate(Extract(api): State, _: Caller, bytes: Bytes) -> Result<Json> {
    let body = object(&bytes)?;
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
pub(crate) async fn user(caller: Caller) -> Json {
    let method = match caller.identity.method {
        Method::Token => "authentication token",
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
        "rbac" => dict! { "enabled" => false, "roles" => Value::empty_list(), "is_admin" => true },
    })
}
