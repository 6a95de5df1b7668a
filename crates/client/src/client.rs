//! Requests and answers.

use std::fmt;
use std::time::Duration;

use futures::StreamExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response};
use squall_value::{Value, json};

use crate::{Endpoints, Error, Page, Query};

/// The largest answer that is read, in bytes. A server sends no page of this size; something else
/// might.
pub const ANSWER_BYTES_MAX: usize = 1 << 30;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Registering packs is the slowest thing that a server does before it answers.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// What stays as it is in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Who is asking.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A token, as sign-in gives it.
    Token(String),
    /// An API key.
    ApiKey(String),
}

/// Only the kind: credentials have no place in logs.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credential::Token(_) => "Token",
            Credential::ApiKey(_) => "ApiKey",
        })
    }
}

/// Whom to believe that it is the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Whoever has a certificate of the authorities that this machine trusts.
    #[default]
    System,
    /// Whoever has one of these certificates or authorities, in PEM.
    Authorities(Vec<u8>),
    /// Anybody: what is sent may go to somebody else than the server.
    Anybody,
}

/// A connection pool to one server, under one credential. Clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    endpoints: Endpoints,
}

impl Client {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Credential`] when no header can hold the credential; [`Error::Setup`] when the
    /// machine lacks what TLS needs.
    pub fn new(endpoints: Endpoints, credential: Option<&Credential>) -> Result<Client, Error> {
        Client::trusting(endpoints, credential, &Trust::System)
    }

    /// As [`Client::new`], where it is said whom to believe that it is the server.
    ///
    /// # Errors
    ///
    /// Besides those of [`Client::new`], [`Error::Authorities`] when there is no certificate in the
    /// given text.
    pub fn trusting(
        endpoints: Endpoints,
        credential: Option<&Credential>,
        trust: &Trust,
    ) -> Result<Client, Error> {
        // Whoever comes first in the process decides; a second try changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        if let Some(credential) = credential {
            let (name, text) = match credential {
                Credential::Token(token) => ("x-auth-token", token),
                Credential::ApiKey(key) => ("st2-api-key", key),
            };
            let mut value = HeaderValue::from_str(text).map_err(|_| Error::Credential)?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        let builder = match trust {
            Trust::System => reqwest::Client::builder(),
            Trust::Authorities(pem) => {
                let authorities = reqwest::Certificate::from_pem_bundle(pem);
                let authorities = authorities.unwrap_or_default();
                if authorities.is_empty() {
                    return Err(Error::Authorities);
                }
                reqwest::Client::builder().tls_certs_only(authorities)
            }
            Trust::Anybody => reqwest::Client::builder().tls_danger_accept_invalid_certs(true),
        };
        let http = builder
            .user_agent(concat!("squall/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(Error::Setup)?;
        Ok(Client { http, endpoints })
    }

    /// Where it asks.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// # Errors
    ///
    /// [`Error::Name`]: a part of the path would lead elsewhere.
    pub(crate) fn request(
        &self,
        method: Method,
        base: &str,
        path: &[&str],
        query: &Query,
    ) -> Result<RequestBuilder, Error> {
        let mut url = base.to_owned();
        for segment in path {
            if matches!(*segment, "" | "." | "..") {
                return Err(Error::Name((*segment).to_owned()));
            }
            url.push('/');
            url.extend(utf8_percent_encode(segment, SEGMENT));
        }
        let request = self.http.request(method, url);
        Ok(if query.pairs().is_empty() {
            request
        } else {
            request.query(query.pairs())
        })
    }

    fn api(&self, method: Method, path: &[&str], query: &Query) -> Result<RequestBuilder, Error> {
        let request = self.request(method, self.endpoints.api(), path, query)?;
        Ok(request.timeout(ANSWER_WITHIN))
    }

    pub(crate) async fn get(&self, path: &[&str], query: &Query) -> Result<Value, Error> {
        value(send(self.api(Method::GET, path, query)?).await?).await
    }

    pub(crate) async fn get_text(&self, path: &[&str], query: &Query) -> Result<String, Error> {
        let response = send(self.api(Method::GET, path, query)?).await?;
        let bytes = bytes(response).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(crate) async fn page(&self, path: &[&str], query: &Query) -> Result<Page<Value>, Error> {
        let response = send(self.api(Method::GET, path, query)?).await?;
        let total = response.headers().get("x-total-count");
        let total = total.and_then(|total| total.to_str().ok()?.parse().ok());
        let url = response.url().to_string();
        match value(response).await? {
            Value::List(items) => Ok(Page {
                items: std::sync::Arc::unwrap_or_clone(items),
                total,
            }),
            other => Err(Error::Answer {
                url,
                reason: format!("a list was expected, not {}", other.kind()),
            }),
        }
    }

    pub(crate) async fn post(
        &self,
        path: &[&str],
        query: &Query,
        body: &Value,
    ) -> Result<Value, Error> {
        value(send(with_json(self.api(Method::POST, path, query)?, body)).await?).await
    }

    pub(crate) async fn put(&self, path: &[&str], body: &Value) -> Result<Value, Error> {
        let request = self.api(Method::PUT, path, &Query::new())?;
        value(send(with_json(request, body)).await?).await
    }

    /// What the server says to a deletion; null when it says nothing.
    pub(crate) async fn delete(&self, path: &[&str], query: &Query) -> Result<Value, Error> {
        let response = send(self.api(Method::DELETE, path, query)?).await?;
        if response.status() == reqwest::StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        value(response).await
    }
}

pub(crate) fn with_json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request
        .header(reqwest::header::CONTENT_TYPE, "application/json")
        .body(body.to_json())
}

/// Sends a request; an answer that is not a success is an error.
pub(crate) async fn send(request: RequestBuilder) -> Result<Response, Error> {
    let response = request.send().await.map_err(|source| {
        let url = source.url().map(ToString::to_string).unwrap_or_default();
        Error::Unreachable {
            url,
            source: source.without_url(),
        }
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let url = response.url().to_string();
    if status.is_redirection() {
        let to = response.headers().get(reqwest::header::LOCATION);
        let to = to
            .map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned())
            .unwrap_or_default();
        let reason = format!("it redirects ({status}) to `{to}`; name that server if you trust it");
        return Err(Error::Answer { url, reason });
    }
    let request_id = response.headers().get("x-request-id");
    let request_id = request_id
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let body = bytes(response).await.unwrap_or_default();
    Err(Error::Refused {
        status: status.as_u16(),
        message: fault(&body).unwrap_or_else(|| status.to_string()),
        url,
        request_id,
    })
}

/// The text of a refusal: the `faultstring`, or a short plain text.
fn fault(body: &[u8]) -> Option<String> {
    const PLAIN_MAX: usize = 500;
    if let Ok(body) = json::read_bytes(body) {
        return body
            .get("faultstring")
            .and_then(Value::as_str)
            .map(str::to_owned);
    }
    let text = std::str::from_utf8(body).ok()?.trim();
    (!text.is_empty() && text.len() <= PLAIN_MAX && !text.starts_with('<')).then(|| text.to_owned())
}

async fn bytes(response: Response) -> Result<Vec<u8>, Error> {
    let url = response.url().to_string();
    let mut body = Vec::new();
    let mut parts = response.bytes_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|source| Error::Broken {
            url: url.clone(),
            source: source.without_url(),
        })?;
        if body.len() + part.len() > ANSWER_BYTES_MAX {
            let reason = format!("it is longer than {ANSWER_BYTES_MAX} bytes");
            return Err(Error::Answer { url, reason });
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

async fn value(response: Response) -> Result<Value, Error> {
    let url = response.url().to_string();
    let body = bytes(response).await?;
    let text = String::from_utf8_lossy(&body);
    json::read_python(&text).map_err(|error| Error::Answer {
        url,
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_give_their_text() {
        for (body, expect) in [
            (r#"{"faultstring": "no such rule"}"#, Some("no such rule")),
            (r#"{"detail": 1}"#, None),
            ("upstream down", Some("upstream down")),
            ("<html>502</html>", None),
            ("", None),
        ] {
            assert_eq!(fault(body.as_bytes()).as_deref(), expect, "{body}");
        }
    }

    #[test]
    fn credentials_are_never_shown() {
        let credential = Credential::Token("8f14e45f".into());
        assert_eq!(format!("{credential:?}"), "Token");
    }

    #[test]
    fn what_holds_no_certificate_is_no_authority() {
        for text in ["", "-----BEGIN CERTIFICATE-----\nnonsense", "a word"] {
            let endpoints = Endpoints::from_base("https://h").unwrap();
            let trust = Trust::Authorities(text.into());
            let refused = Client::trusting(endpoints, None, &trust);
            assert!(matches!(refused, Err(Error::Authorities)), "{text}");
        }
    }

    #[test]
    fn segments_are_escaped() {
        let endpoints = Endpoints::from_base("http://h").unwrap();
        let client = Client::new(endpoints, None).unwrap();
        let query = Query::new().with("scope", "a b");
        let request = client
            .api(Method::GET, &["keys", "a/b c?"], &query)
            .unwrap();
        assert_eq!(
            request.build().unwrap().url().as_str(),
            "http://h/api/v1/keys/a%2Fb%20c%3F?scope=a+b"
        );
        for name in ["", ".", ".."] {
            let refused = client.api(Method::PUT, &["keys", name], &query);
            assert!(matches!(refused, Err(Error::Name(_))), "{name:?}");
        }
    }
}
