//! Bodies of answers and requests.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use squall_value::{Dict, Value, json};

use crate::Api;
use crate::endpoint::Body as Expected;
use crate::error::{Error, Result};

/// A JSON body.
pub(crate) struct Json(pub(crate) Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        let kind = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, kind)], self.0.to_json()).into_response()
    }
}

/// A part of a list, with the headers from which clients know the rest.
pub(crate) struct List {
    pub(crate) items: Vec<Value>,
    pub(crate) total: u64,
    pub(crate) limit: Option<u64>,
}

impl IntoResponse for List {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static("x-total-count"),
            HeaderValue::from(self.total),
        );
        if let Some(limit) = self.limit {
            headers.insert(HeaderName::from_static("x-limit"), HeaderValue::from(limit));
        }
        (headers, Json(Value::from(self.items))).into_response()
    }
}

/// The JSON that a request brings; no body counts as an empty object.
pub(crate) struct Sent(pub(crate) Value);

impl Sent {
    /// The body as a JSON object.
    pub(crate) fn object(self) -> Result<Dict> {
        match self.0 {
            Value::Dict(dict) => Ok(Arc::unwrap_or_clone(dict)),
            other => Err(Error::bad(format!(
                "The body must be a JSON object, not {}.",
                other.kind()
            ))),
        }
    }
}

impl FromRequest<Arc<Api>> for Sent {
    type Rejection = Error;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Sent> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, api).await?;
        let checked = |value: Value| {
            // What is no object at all is refused where the object is taken out.
            if let (Some(Expected::Json(shape)), Value::Dict(_)) =
                (parts.extensions.get::<Expected>(), &value)
            {
                crate::openapi::check(shape, &value)?;
            }
            Ok(Sent(value))
        };
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return checked(Value::empty_dict());
        }
        match &*media_type(&parts.headers) {
            "application/json" | "" => {}
            kind if kind.ends_with("+json") => {}
            other => return Err(unsupported(other)),
        }
        json(&bytes).and_then(checked)
    }
}

/// The whole body of a request.
pub(crate) async fn read(body: Body, api: &Api) -> Result<Bytes> {
    let limit = api.limits.body_bytes;
    let seconds = api.limits.body_time.as_secs();
    let read = axum::body::to_bytes(body, limit);
    match tokio::time::timeout(api.limits.body_time, read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => {
            let text = format!("The body has more than the {limit} bytes that are accepted.");
            Err(Error::new(StatusCode::PAYLOAD_TOO_LARGE, text))
        }
        Err(_) => {
            let text = format!("The body did not arrive within {seconds} s.");
            Err(Error::new(StatusCode::REQUEST_TIMEOUT, text))
        }
    }
}

/// The media type of a body, in small letters and without its parameters; empty when it has none.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// StackStorm's answer to a body of a kind that an endpoint does not take.
pub(crate) fn unsupported(kind: &str) -> Error {
    Error::bad(format!(
        "Failed to parse request body: Unsupported Content-Type: \"{kind}\"."
    ))
}

/// Bytes as JSON.
pub(crate) fn json(bytes: &[u8]) -> Result<Value> {
    json::read_bytes(bytes)
        .map_err(|error| Error::bad(format!("Failed to parse request body: {error}")))
}

pub(crate) async fn not_found() -> Error {
    Error::new(StatusCode::NOT_FOUND, "The resource could not be found.")
}

/// The path is known, but not with this method; the router adds the header `Allow`.
pub(crate) async fn not_allowed() -> Error {
    Error::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "The method is not allowed for this resource.",
    )
}

/// A fault of ours that ended the request, but not the server.
pub(crate) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request failed by a fault of the server");
    Error::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").into_response()
}
