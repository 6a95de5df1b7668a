//! What happens around every request: its path is made plain, its caller recognised, its parameters
//! checked against the endpoint's, and its answer gets the headers that clients expect.

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use squall_auth::rbac::Permission;

use squall_value::Str;

use crate::Api;
use crate::audit;
use crate::caller::{self, Caller};
use crate::endpoint::{Access, Body, Endpoint, Kind, Parameter};
use crate::error::Error;
use crate::front::{Peer, Source};
use crate::limits;
use crate::params::Params;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A path as the routes know it: no slash at the end, `%2F` a slash like any other, and the old
/// name of executions replaced.
pub(crate) fn normalise(mut request: Request) -> Request {
    let path = request.uri().path();
    let mut plain = path.replace("%2F", "/").replace("%2f", "/");
    plain = plain.replace("/actionexecutions", "/executions");
    while plain.len() > 1 && plain.ends_with('/') {
        plain.pop();
    }
    if plain != path {
        let text = match request.uri().query() {
            Some(query) => format!("{plain}?{query}"),
            None => plain,
        };
        if let Ok(uri) = text.parse::<Uri>() {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// A path whose escapes are no text leads nowhere.
pub(crate) async fn refuse_bad_paths(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let text = percent_decode_str(path).decode_utf8();
    if !text.is_ok_and(|text| !text.contains('\0')) {
        return crate::reply::not_found().await.into_response();
    }
    next.run(request).await
}

/// What is checked before an endpoint's handler is called.
#[derive(Clone)]
pub(crate) struct Rules {
    api: Arc<Api>,
    access: Access,
    /// The permission that the access names.
    permission: Option<Permission>,
    query: Arc<[Parameter]>,
    body: Body,
    makes_work: bool,
    pub(crate) path: &'static str,
}

impl Rules {
    /// What somebody who uses the endpoint does, for the audit record.
    pub(crate) fn action(&self, method: &Method) -> Str {
        match self.permission {
            Some(permission) => Str::from(permission.name()),
            None => Str::from(format!("{method} {}", self.path)),
        }
    }

    pub(crate) fn of(api: Arc<Api>, endpoint: &Endpoint) -> Rules {
        Rules {
            api,
            access: endpoint.access,
            permission: endpoint.access.permission(),
            query: endpoint.query.as_slice().into(),
            body: endpoint.body,
            makes_work: endpoint.makes_work,
            path: endpoint.path,
        }
    }
}

/// Turns away what is too much, and counts and times what is answered.
pub(crate) async fn admit(
    Extract(rules): Extract<Rules>,
    request: Request,
    next: Next,
) -> Response {
    let (api, method) = (Arc::clone(&rules.api), request.method().clone());
    let began = api.engine.env().now();
    let response = match limits::admit(&api, rules.makes_work, rules.access == Access::Open) {
        Ok(_present) => {
            let scope = audit::scope(&request);
            let answered = Arc::clone(&scope).run(next.run(request)).await;
            audit::finish(&api, &rules, &method, &scope, answered).await
        }
        Err(refused) => refused.into_response(),
    };
    let took = api.engine.env().now().duration_since(began).unsigned_abs();
    let status = response.status().as_u16();
    api.metrics
        .answered(method.as_str(), rules.path, status, took);
    response
}

/// Recognises the caller, unless anybody may ask, and checks the query by what the endpoint takes.
pub(crate) async fn check(
    Extract(rules): Extract<Rules>,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    // What reads the body checks it, too.
    request.extensions_mut().insert(rules.body);
    if matches!(rules.access, Access::Open | Access::Signed) {
        check_query(&rules.query, &request)?;
        return Ok(next.run(request).await);
    }
    let (parts, body) = request.into_parts();
    let source = Source::of(&parts);
    let mut caller = caller::recognise(&rules.api, &parts).await?;
    caller.permission = rules.permission;
    request = Request::from_parts(parts, body);
    match (rules.access, rules.permission) {
        (Access::Any(_), Some(permission)) => caller.rights.check_any(permission)?,
        (Access::Admin, _) => {
            caller.rights.check_admin()?;
            if request.method() != Method::GET {
                audit::intends(&rules.action(request.method()));
            }
        }
        _ => {}
    }
    check_query(&rules.query, &request)?;
    let cookie = cookie(&rules.api, &caller, source);
    request.extensions_mut().insert(caller.clone());
    let mut response = next.run(request).await;
    if matches!(rules.access, Access::Object(_))
        && response.status().is_success()
        && !caller.is_checked()
    {
        // What nobody has asked rights for is not shown: better no answer than a wrong one.
        tracing::error!(access = ?rules.access, "an endpoint answered without asking for rights");
        let text = "Internal Server Error";
        return Err(Error::new(StatusCode::INTERNAL_SERVER_ERROR, text));
    }
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

fn check_query(declared: &[Parameter], request: &Request) -> Result<(), Error> {
    let Some(query) = request.uri().query().filter(|query| !query.is_empty()) else {
        return Ok(());
    };
    let params = Params::read(query)?;
    for parameter in declared {
        let name = parameter.name;
        match parameter.kind {
            Kind::List if name == "id" => crate::params::few_ids(&params)?,
            Kind::Text | Kind::List => {}
            Kind::Integer => drop(crate::params::integer(&params, name)?),
            Kind::Boolean => drop(crate::params::truth(&params, name)?),
            Kind::Time => drop(crate::params::time(&params, name)?),
            Kind::Word(words) => crate::params::one_of(&params, name, words)?,
        }
    }
    Ok(())
}

/// A browser can't put a token into the header of an event stream, so it gets it as a cookie.
fn cookie(api: &Api, caller: &Caller, source: Source) -> Option<HeaderValue> {
    let token = caller.token().filter(|_| caller.place != "cookie")?;
    let now = api.engine.env().now();
    let left = caller
        .identity
        .expires
        .map_or(0, |expires| expires.duration_since(now).as_secs().max(0));
    let expires = caller.identity.expires.unwrap_or(now);
    let date = expires.strftime("%a, %d %b %Y %H:%M:%S GMT");
    let secure = if api.front.is_cookie_secure(source) {
        "secure; "
    } else {
        ""
    };
    let text = format!(
        "auth-token={token}; Max-Age={left}; Path=/; expires={date}; {secure}HttpOnly; SameSite=lax"
    );
    HeaderValue::from_str(&text).ok()
}

/// Notes where a request comes from, answers what a browser asks before it asks, and puts the
/// headers on every answer that every answer has.
pub(crate) async fn headers(
    Extract(api): Extract<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>();
    let source = api.front.source(peer, request.headers());
    request.extensions_mut().insert(source);
    let id = request.headers().get(REQUEST_ID).cloned();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::OK.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    let fresh = || HeaderValue::from_str(&uuid(&api)).ok();
    if let Some(id) = id.or_else(fresh) {
        headers.insert(REQUEST_ID, id);
    }
    // What an action prints must not become a page by a browser's guess.
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    cross_origin(&api.allowed_origins, origin.as_ref(), headers);
    response
}

/// A random UUID (RFC 9562, version 4).
fn uuid(api: &Api) -> String {
    let env = api.engine.env();
    let bits = u128::from(env.random()) << 64 | u128::from(env.random());
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let text = format!("{bits:032x}");
    let parts = [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ];
    parts.join("-")
}

/// Cross-origin resource sharing (WHATWG Fetch, section 3.2) for the origins that are allowed.
fn cross_origin(allowed: &[String], origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    let origin = origin.and_then(|origin| origin.to_str().ok());
    let listed =
        origin.filter(|origin| allowed.iter().any(|known| known == "*" || known == origin));
    let answered = listed.or_else(|| allowed.first().map(String::as_str));
    let Some(answered) = answered.and_then(|origin| HeaderValue::from_str(origin).ok()) else {
        return;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, answered);
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    let fixed = [
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET,POST,PUT,DELETE,OPTIONS",
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Content-Type,Authorization,X-Auth-Token,St2-Api-Key,X-Request-ID",
        ),
        (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "Content-Type,X-Limit,X-Total-Count,X-Request-ID",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
