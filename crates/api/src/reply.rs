//! Bodies of answers and requests.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use squall_value::{Dict, Value, json};

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

/// The body of a request as JSON; no body counts as an empty object.
pub(crate) fn body(bytes: &[u8]) -> Result<Value> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::empty_dict());
    }
    json::read_bytes(bytes)
        .map_err(|error| Error::bad(format!("Failed to parse request body: {error}")))
}

/// The body of a request as a JSON object.
pub(crate) fn object(bytes: &[u8]) -> Result<Dict> {
    match body(bytes)? {
        Value::Dict(dict) => Ok(std::sync::Arc::unwrap_or_clone(dict)),
        other => Err(Error::bad(format!(
            "The body must be a JSON object, not {}.",
            other.kind()
        ))),
    }
}

pub(crate) async fn not_found() -> Error {
    Error::new(StatusCode::NOT_FOUND, "The resource could not be found.")
}
