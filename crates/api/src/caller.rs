//! Who is calling.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use squall_auth::rbac::{Permission, Rights};
use squall_auth::{Identity, Method};
use squall_store::audit::Scope;
use squall_value::Str;

use crate::error::Error;
use crate::{Api, audit};

/// A token or a key in clear, which is never printed.
#[derive(Clone)]
struct Credential(Arc<str>);

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

/// Somebody who was recognised. A handler that takes one answers nobody else.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    /// Where the credential was found: `header`, `query` or `cookie`.
    pub(crate) place: &'static str,
    /// What was presented.
    credential: Credential,
    /// What the caller may do.
    pub(crate) rights: Arc<Rights>,
    /// The permission that the endpoint asks for.
    pub(crate) permission: Option<Permission>,
    /// Whether rights were asked for while the request was answered.
    asked: Arc<AtomicBool>,
}

impl Caller {
    /// Whether the caller may do everything.
    pub(crate) fn is_admin(&self) -> bool {
        self.rights.is_admin()
    }

    /// The names of the caller's roles.
    pub(crate) fn roles(&self) -> &[Str] {
        self.rights.roles()
    }

    /// Notes that rights were asked for.
    pub(crate) fn was_asked(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether rights were asked for.
    pub(crate) fn is_checked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn user(&self) -> Str {
        self.identity.user.clone()
    }

    /// The token that was presented, if it was one.
    pub(crate) fn token(&self) -> Option<&str> {
        match self.identity.method {
            Method::Token | Method::ActionToken => Some(&self.credential.0),
            Method::ApiKey => None,
        }
    }

    /// Whether what was presented still opens: for whoever is answered for longer than a moment.
    pub(crate) async fn is_still_known(&self, api: &Api) -> Result<bool, Error> {
        let found = match self.identity.method {
            Method::Token | Method::ActionToken => api.directory.by_token(&self.credential.0).await,
            Method::ApiKey => api.directory.by_api_key(&self.credential.0).await,
        };
        match found {
            Ok(found) => Ok(found.is_some()),
            Err(squall_auth::Error::Disabled) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// A credential, and where it was found. The first that is present decides.
fn credential(parts: &Parts) -> Option<(Method, String, &'static str)> {
    let header = |name: &str| text(&parts.headers, name);
    let query = |name: &str| {
        let query = parts.uri.query().unwrap_or_default();
        query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let decoded = percent_encoding::percent_decode_str(value)
                .decode_utf8()
                .ok()?;
            key.eq_ignore_ascii_case(name).then(|| decoded.into_owned())
        })
    };
    let cookie = || {
        let cookies = text(&parts.headers, "cookie")?;
        let found = cookies
            .split(';')
            .find_map(|cookie| cookie.trim().strip_prefix("auth-token="));
        found.map(str::to_owned)
    };
    None.or_else(|| header("x-auth-token").map(|token| (Method::Token, token, "header")))
        .or_else(|| header("st2-api-key").map(|key| (Method::ApiKey, key, "header")))
        .or_else(|| bearer(&parts.headers).map(|token| (Method::Token, token, "header")))
        .or_else(|| query("x-auth-token").map(|token| (Method::Token, token, "query")))
        .or_else(|| query("st2-api-key").map(|key| (Method::ApiKey, key, "query")))
        .or_else(|| cookie().map(|token| (Method::Token, token, "cookie")))
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    text(headers, "authorization")?
        .strip_prefix("Bearer ")
        .map(str::to_owned)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

/// Whether a browser sends a request on behalf of a page of another origin (Fetch Metadata, or else
/// the header `Origin`). Origins that the operator names are not foreign; `*` names none.
fn is_foreign(api: &Api, parts: &Parts) -> bool {
    let origin = text(&parts.headers, "origin");
    if let Some(origin) = &origin
        && api.allowed_origins.contains(origin)
    {
        return false;
    }
    if let Some(site) = text(&parts.headers, "sec-fetch-site") {
        return !matches!(&*site, "same-origin" | "none");
    }
    let host = text(&parts.headers, "host");
    let host = host.or_else(|| parts.uri.authority().map(ToString::to_string));
    origin.is_some_and(|origin| {
        let named = origin.split_once("://").map(|(_, named)| named);
        !named
            .zip(host.as_deref())
            .is_some_and(|(named, host)| named.eq_ignore_ascii_case(host))
    })
}

/// Recognises whoever presents a credential.
pub(crate) async fn recognise(api: &Api, parts: &Parts) -> Result<Caller, Error> {
    let refused =
        |reason: &str| Error::new(StatusCode::UNAUTHORIZED, format!("Unauthorized - {reason}"));
    let (method, text, place) =
        credential(parts).ok_or_else(|| refused("One of Token or API key required."))?;
    // A browser sends its cookie along whoever has written the page.
    if place == "cookie" && !parts.method.is_safe() && is_foreign(api, parts) {
        return Err(Error::denied(
            "A page of another origin can't act by a browser's cookie: it has to send the token \
             itself, in X-Auth-Token.",
        ));
    }
    let by = match method {
        Method::Token | Method::ActionToken => "token",
        Method::ApiKey => "api_key",
    };
    audit::claims("", by);
    let identity = match method {
        Method::Token | Method::ActionToken => api.directory.by_token(&text).await?,
        Method::ApiKey => api.directory.by_api_key(&text).await?,
    };
    let unknown = match method {
        Method::Token | Method::ActionToken => {
            "Token with the provided value not found or has expired."
        }
        Method::ApiKey => "ApiKey with the provided value not found.",
    };
    let identity = identity.ok_or_else(|| refused(unknown))?;
    if let Some(scope) = Scope::current() {
        let by = match identity.method {
            Method::ActionToken => "action_token",
            Method::Token | Method::ApiKey => by,
        };
        scope.recognised(&identity.user, by, identity.delegate.clone());
    }
    Ok(Caller {
        rights: api.roles.rights(&identity.user),
        permission: None,
        asked: Arc::default(),
        identity,
        place,
        credential: Credential(Arc::from(text)),
    })
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Caller, Error> {
        // The endpoint's check has recognised whoever calls, but for endpoints that anybody may use.
        match parts.extensions.get::<Caller>() {
            Some(caller) => Ok(caller.clone()),
            None => recognise(api, parts).await,
        }
    }
}
