//! `/webhooks`: events from outside.
//!
//! A webhook is open to whoever may call the API, and to a forge that signs what it sends with the
//! secret that an operator set for the hook.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, Request, State as Extract};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use squall_auth::rbac::{Permission, Resource, ResourceType};
use squall_engine::{Change, Incoming, Receipt, ReportError};
use squall_model::DocumentKind;
use squall_store::{DocumentFilter, Page};
use squall_value::{Dict, Str, Value, dict};

use crate::caller::Caller;
use crate::definitions::triggers_of;
use crate::endpoint::{Endpoint, Shape, delete, get, post, put};
use crate::error::{Error, Result};
use crate::reply::{self, Json, Sent};
use crate::{Api, State, audit, signature};

/// The trigger type of webhooks.
const WEBHOOK: &str = "core.st2.webhook";

/// What stands before the name of a tool whose reports a hook takes.
const REPORTS: &str = "reports/";

/// The shortest secret that is taken, in bytes: a shorter one can be guessed.
const SECRET_BYTES_MIN: usize = 8;

/// Headers that are credentials, and never part of a payload.
const CREDENTIALS: [&str; 5] = [
    "x-auth-token",
    "st2-api-key",
    "authorization",
    "cookie",
    "proxy-authorization",
];

/// The headers in which forges name a delivery: a repeated one is the same event.
const DELIVERIES: [&str; 5] = [
    "idempotency-key",
    "x-github-delivery",
    "x-gitea-delivery",
    "x-gitlab-event-uuid",
    "x-gogs-delivery",
];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/webhooks", list)
            .summary("Lists the webhooks that rules wait for.")
            .any("webhook_list")
            .gives(Shape::Many("Trigger")),
        put("/webhooks/{*hook}", set_secret)
            .summary("Sets the secret with which deliveries to a webhook are signed.")
            .object("webhook_all")
            .json("WebhookSecret")
            .gives(Shape::One("WebhookSecretState")),
        delete("/webhooks/{*hook}", remove_secret)
            .summary("Removes the secret of a webhook; only callers who sign in are heard then.")
            .object("webhook_all"),
        get("/webhooks/{*hook}", one)
            .summary("Shows a webhook, by its URL.")
            .object("webhook_view")
            .gives(Shape::One("Trigger")),
        post("/webhooks/{*hook}", receive)
            .makes_work()
            .summary("Takes an event. A signature with the hook's secret stands in for a caller.")
            .signed()
            .json_or_form("WebhookBody")
            .status(202)
            .gives(Shape::One("WebhookBody")),
    ]
}

async fn list(Extract(api): State, caller: Caller) -> Result<Json> {
    let view = Permission::WebhookView;
    let mut hooks = triggers_of(&api, Some(&[WEBHOOK]));
    let now = api.engine.env().now();
    let (kind, filter) = (DocumentKind::Webhook, DocumentFilter::default());
    let store = api.engine.store();
    let secrets = store.documents(kind, &filter, Page::ALL, now).await?.items;
    hooks.retain_mut(|hook| {
        let url = hook.get_path(&["parameters", "url"]);
        let url = Str::from(url.and_then(Value::as_str).unwrap_or_default());
        let has_secret = secrets.iter().any(|secret| secret.key == url);
        if let Value::Dict(hook) = hook {
            Arc::make_mut(hook).insert("has_secret", has_secret);
        }
        let hook = Resource::named(ResourceType::Webhook, &url);
        caller.rights.sees_all(view) || caller.rights.may(view, &hook)
    });
    Ok(Json(Value::from(hooks)))
}

async fn one(Extract(api): State, caller: Caller, Path(url): Path<String>) -> Result<Json> {
    caller.may(&Resource::named(ResourceType::Webhook, &url))?;
    let is_meant = |hook: &Value| {
        hook.get_path(&["parameters", "url"])
            .and_then(Value::as_str)
            == Some(&*url)
    };
    let found = triggers_of(&api, Some(&[WEBHOOK]))
        .into_iter()
        .find(is_meant);
    found.map(Json).ok_or_else(|| Error::unknown(&url))
}

async fn receive(
    Extract(api): State,
    Path(hook): Path<String>,
    request: Request,
) -> Result<Response> {
    let (mut parts, inner) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, &api).await;
    let bytes = reply::read(inner, &api).await?;
    let allowed = caller.and_then(|caller| {
        let hook = Resource::named(ResourceType::Webhook, &hook);
        caller.check(Permission::WebhookSend, &hook)
    });
    if let Err(refused) = allowed {
        // Only a signature can stand in for a caller; without one the refusal holds.
        if !is_signed(&api, &hook, &parts.headers, &bytes).await? {
            return Err(refused);
        }
        audit::signed();
    }
    if let Some(tool) = hook.strip_prefix(REPORTS) {
        return report(&api, tool, &hook, &parts.headers, bytes).await;
    }
    let sent = parse(&parts.headers, &bytes)?;
    if hook == "st2" {
        return generic(&api, &parts.headers, sent).await;
    }
    let parameters = dict! { "url" => hook.as_str() };
    let trigger = squall_packs::trigger_reference(WEBHOOK, &parameters);
    let trigger = trigger.map_err(|error| Error::bad(error.to_string()))?;
    if api.engine.catalog().trigger(trigger.as_str()).is_none() {
        return Err(Error::missing(format!(
            "Webhook {hook} not registered with st2"
        )));
    }
    let (headers, lower) = visible_headers(&parts.headers);
    let payload = dict! { "headers" => headers, "headers_lower" => lower, "body" => sent.clone() };
    let mut incoming = Incoming::new(trigger.text(), payload);
    incoming.trace_tag = trace_tag(&api, &parts.headers, &hook);
    incoming.dedupe_key = delivery(&parts.headers);
    accepted(&api, incoming, sent).await
}

async fn accepted(api: &Arc<Api>, incoming: Incoming, sent: Value) -> Result<Response> {
    let receipt = api.engine.accept(incoming).await?;
    Ok(acknowledged(receipt, sent))
}

fn acknowledged(receipt: Receipt, told: Value) -> Response {
    let mut response = (StatusCode::ACCEPTED, Json(told)).into_response();
    // The event's id, so that a sender can find what became of it.
    if let Ok(id) = receipt.id.to_string().parse() {
        response.headers_mut().insert("x-squall-event", id);
    }
    response
}

/// The hooks that take what configuration tools write, whatever they call its type. The answer is
/// what was made of it, without the details.
async fn report(
    api: &Arc<Api>,
    tool: &str,
    hook: &str,
    headers: &HeaderMap,
    bytes: Bytes,
) -> Result<Response> {
    let (trace, key) = (trace_tag(api, headers, hook), delivery(headers));
    let taken = api.engine.accept_report(tool, bytes.to_vec(), trace, key);
    let (receipt, report) = taken.await.map_err(|error| match error {
        ReportError::Ingest(error) => error.into(),
        ReportError::Unreadable(_) => Error::bad(error.to_string()),
        ReportError::UnknownTool(_) | ReportError::NotAwaited(_) => {
            Error::missing(error.to_string())
        }
    })?;
    let told = ["tool", "status", "changed", "failed", "total"];
    let told = told.map(|name| (name, report.get(name).cloned().unwrap_or_default()));
    Ok(acknowledged(receipt, Value::from(Dict::from_iter(told))))
}

/// Keeps the secret of a hook, sealed. It is never shown again.
async fn set_secret(
    Extract(api): State,
    caller: Caller,
    Path(hook): Path<Str>,
    sent: Sent,
) -> Result<Json> {
    caller.may(&Resource::named(ResourceType::Webhook, &hook))?;
    let body = sent.object()?;
    let secret = body.get("secret").and_then(Value::as_str);
    let secret = secret.ok_or_else(|| Error::bad("'secret' is a required property, a text"))?;
    if secret.len() < SECRET_BYTES_MIN {
        return Err(Error::bad(format!(
            "A secret must have at least {SECRET_BYTES_MIN} bytes."
        )));
    }
    let sealed = api.engine.vault().seal_value(&Value::from(secret));
    let change = Change::Put {
        kind: DocumentKind::Webhook,
        key: hook.clone(),
        pack: None,
        body: dict! { "url" => hook.clone(), "secret" => sealed },
        expires: None,
        new: false,
    };
    api.engine.change(vec![change]).await?;
    Ok(Json(dict! { "url" => hook, "has_secret" => true }))
}

async fn remove_secret(
    Extract(api): State,
    caller: Caller,
    Path(hook): Path<Str>,
) -> Result<StatusCode> {
    caller.may(&Resource::named(ResourceType::Webhook, &hook))?;
    let change = Change::Delete {
        kind: DocumentKind::Webhook,
        key: hook.clone(),
    };
    match api.engine.change(vec![change]).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(squall_engine::PutError::Missing { .. }) => {
            Err(Error::missing(format!("The webhook {hook} has no secret.")))
        }
        Err(error) => Err(error.into()),
    }
}

/// The hook that takes any event: `{"trigger": "pack.name", "payload": {...}}`.
async fn generic(api: &Arc<Api>, headers: &HeaderMap, sent: Value) -> Result<Response> {
    let trigger = sent.get("trigger").and_then(Value::as_str);
    let trigger = trigger.ok_or_else(|| Error::bad("Trigger not specified."))?;
    let payload = sent
        .get("payload")
        .cloned()
        .unwrap_or_else(Value::empty_dict);
    audit::emits();
    let mut incoming = Incoming::new(trigger, payload);
    incoming.trace_tag = trace_tag(api, headers, "st2");
    incoming.dedupe_key = delivery(headers);
    accepted(api, incoming, sent).await
}

/// The body by its type: JSON, or a form whose values become lists.
fn parse(headers: &HeaderMap, bytes: &Bytes) -> Result<Value> {
    let kind = reply::media_type(headers);
    match &*kind {
        "application/x-www-form-urlencoded" => {
            let text = std::str::from_utf8(bytes)
                .map_err(|_| Error::bad("Failed to parse request body: the form is not UTF-8"))?;
            let mut form: Vec<(String, Vec<Value>)> = Vec::new();
            for pair in text.split('&').filter(|pair| !pair.is_empty()) {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let (name, value) = (decode(name), Value::from(decode(value)));
                match form.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, values)) => values.push(value),
                    None => form.push((name, vec![value])),
                }
            }
            Ok(Value::from(form.into_iter().collect::<Dict>()))
        }
        "application/json" | "" if bytes.is_empty() => Ok(Value::empty_dict()),
        "application/json" | "" => reply::json(bytes),
        other if other.ends_with("+json") => reply::json(bytes),
        other => Err(reply::unsupported(other)),
    }
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8_lossy()
        .into_owned()
}

fn visible_headers(headers: &HeaderMap) -> (Dict, Dict) {
    let mut shown = Dict::new();
    let mut lower = Dict::new();
    for (name, value) in headers {
        let name = name.as_str();
        if CREDENTIALS.contains(&name) || signature::SECRETS.contains(&name) {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        shown.insert(title_case(name), value.as_str());
        lower.insert(name, value);
    }
    (shown, lower)
}

/// `x-github-event` as `X-Github-Event`, which is how StackStorm's payloads spell headers.
fn title_case(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join("-")
}

fn trace_tag(api: &Api, headers: &HeaderMap, hook: &str) -> Option<Str> {
    let given = headers
        .get("st2-trace-tag")
        .and_then(|tag| tag.to_str().ok());
    Some(given.map_or_else(
        || {
            Str::from(format!(
                "webhook-{hook}-{:032x}",
                u128::from(api.engine.env().random())
            ))
        },
        Str::from,
    ))
}

fn delivery(headers: &HeaderMap) -> Option<Str> {
    let found = DELIVERIES.iter().find_map(|name| headers.get(*name));
    found
        .and_then(|id| id.to_str().ok())
        .filter(|id| !id.is_empty())
        .map(Str::from)
}

/// Whether the delivery is signed with the hook's secret.
async fn is_signed(api: &Api, hook: &str, headers: &HeaderMap, bytes: &Bytes) -> Result<bool> {
    let now = api.engine.env().now();
    let document = api
        .engine
        .store()
        .document(DocumentKind::Webhook, hook, now);
    let Some(document) = document.await? else {
        return Ok(false);
    };
    let sealed = document.body.get("secret").cloned().unwrap_or_default();
    let opened = api.engine.vault().open_value(&sealed);
    let secret = opened.as_str().filter(|secret| !secret.is_empty());
    Ok(secret.is_some_and(|secret| signature::is_right(headers, bytes, secret.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_become_lists() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "content-type",
            "application/x-www-form-urlencoded".parse().unwrap(),
        );
        let parsed = parse(&headers, &Bytes::from_static(b"a=1&b=x+y%21&a=2")).unwrap();
        assert_eq!(parsed.to_json(), r#"{"a":["1","2"],"b":["x y!"]}"#);
    }

    #[test]
    fn credentials_never_reach_a_payload() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer abc".parse().unwrap());
        headers.insert("x-github-event", "push".parse().unwrap());
        let (shown, lower) = visible_headers(&headers);
        assert_eq!(Value::from(shown).to_json(), r#"{"X-Github-Event":"push"}"#);
        assert_eq!(Value::from(lower).to_json(), r#"{"x-github-event":"push"}"#);
    }
}
