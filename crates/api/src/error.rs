//! Errors as clients read them: a status, and `{"faultstring": "..."}`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use squall_engine::{ControlFailure, IngestError, PutError, RequestError};
use squall_value::{Str, Value, dict};

use crate::audit::Reason;
use crate::reply::Json;

/// Why a request is not answered as wished.
#[derive(Debug)]
pub(crate) struct Error {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    pub(crate) more: Option<(&'static str, Value)>,
    /// After how many seconds it may be tried again (RFC 9110, section 10.2.3), with 429.
    pub(crate) retry_after: Option<u64>,
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Error {
        Error {
            status,
            text: text.into(),
            more: None,
            retry_after: None,
        }
    }

    pub(crate) fn bad(text: impl Into<String>) -> Error {
        Error::new(StatusCode::BAD_REQUEST, text)
    }

    /// Too much for now.
    pub(crate) fn busy(text: impl Into<String>, seconds: u64) -> Error {
        let mut error = Error::new(StatusCode::TOO_MANY_REQUESTS, text);
        error.retry_after = Some(seconds);
        error
    }

    /// The caller is known, and may not.
    pub(crate) fn denied(text: impl Into<String>) -> Error {
        Error::new(StatusCode::FORBIDDEN, text)
    }

    pub(crate) fn missing(text: impl Into<String>) -> Error {
        Error::new(StatusCode::NOT_FOUND, text)
    }

    /// StackStorm's text for an id or reference that leads nowhere.
    pub(crate) fn unknown(id: &str) -> Error {
        let id: String = id.chars().take(200).collect();
        Error::missing(format!("Unable to identify resource with id \"{id}\"."))
    }

    /// StackStorm's text for a reference or id of a definition that leads nowhere.
    pub(crate) fn unknown_reference(id: &str) -> Error {
        let id: String = id.chars().take(200).collect();
        Error::missing(format!(
            "Resource with a reference or id \"{id}\" not found"
        ))
    }

    /// A fault of ours: clients learn nothing but that it was not theirs.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Error {
        tracing::error!(error = %chain(error), "a request failed");
        Error::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The server cannot answer now; try again.",
        )
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let refuses = matches!(
            self.status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
        );
        let reason = refuses.then(|| Reason(Str::from(&*self.text)));
        let mut body = dict! { "faultstring" => self.text };
        if let (Some((name, value)), Value::Dict(inner)) = (self.more, &mut body) {
            std::sync::Arc::make_mut(inner).insert(name, value);
        }
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            let seconds = HeaderValue::from(self.retry_after.unwrap_or(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if let Some(reason) = reason {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

impl From<squall_store::Error> for Error {
    fn from(error: squall_store::Error) -> Error {
        Error::internal(&error)
    }
}

impl From<squall_store::CommitError> for Error {
    fn from(error: squall_store::CommitError) -> Error {
        Error::internal(&error)
    }
}

impl From<squall_auth::rbac::Denied> for Error {
    fn from(denied: squall_auth::rbac::Denied) -> Error {
        Error::denied(denied.to_string())
    }
}

impl From<squall_auth::Error> for Error {
    fn from(error: squall_auth::Error) -> Error {
        use squall_auth::Error as E;
        match error {
            E::Credentials => Error::new(StatusCode::UNAUTHORIZED, error.to_string()),
            E::Disabled => Error::new(StatusCode::UNAUTHORIZED, format!("Unauthorized - {error}")),
            E::Throttled { seconds } => Error::busy(error.to_string(), seconds),
            E::TooLong { .. } | E::Password => Error::bad(error.to_string()),
            E::Store(_) | E::Unavailable(_) => Error::internal(&error),
        }
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Error {
        match error {
            RequestError::Store(_) => Error::internal(&error),
            RequestError::Stopping => {
                Error::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            }
            RequestError::TooLarge { .. } => {
                Error::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
            }
            RequestError::UnknownAction(_)
            | RequestError::Disabled(_)
            | RequestError::RunnerDisabled(_)
            | RequestError::Invalid(_)
            | RequestError::Immutable(_)
            | RequestError::Render(_)
            | RequestError::TooDeep(_) => Error::bad(error.to_string()),
        }
    }
}

impl From<IngestError> for Error {
    fn from(error: IngestError) -> Error {
        match error {
            IngestError::Store(_) => Error::internal(&error),
            IngestError::Stopping => Error::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            IngestError::TooLarge { .. } => {
                Error::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
            }
            IngestError::UnknownTrigger(_) => Error::missing(error.to_string()),
            IngestError::InvalidPayload { .. } => Error::bad(error.to_string()),
        }
    }
}

impl From<ControlFailure> for Error {
    fn from(error: ControlFailure) -> Error {
        match &error {
            ControlFailure::Store(_) => Error::internal(&error),
            ControlFailure::Unknown(id) => Error::unknown(&id.to_string()),
            ControlFailure::Ended(_)
            | ControlFailure::NotAWorkflow
            | ControlFailure::Transition(_)
            | ControlFailure::Conduct(_) => Error::bad(error.to_string()),
        }
    }
}

impl From<PutError> for Error {
    fn from(error: PutError) -> Error {
        match &error {
            PutError::Exists { id, .. } => Error {
                status: StatusCode::CONFLICT,
                text: error.to_string(),
                more: Some(("conflict-id", Value::from(id.to_string()))),
                retry_after: None,
            },
            PutError::Missing { .. } => Error::missing(error.to_string()),
            PutError::Conflict => Error::new(StatusCode::CONFLICT, error.to_string()),
            PutError::Store(_) => Error::internal(&error),
        }
    }
}
