//! Why a request did not get what it asked for.

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answered: no route, refused, no name, no TLS, or not in time.
    #[error("no answer from {url}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What the network said.
        #[source]
        source: reqwest::Error,
    },
    /// The server answered that it will not.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's text.
        message: String,
        /// What was asked for.
        url: String,
        /// The number under which the server's log has it.
        request_id: Option<String>,
    },
    /// Something else than an API server answered.
    #[error("the answer of {url} is not that of an API server: {reason}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The connection broke while the answer came.
    #[error("the connection to {url} broke off")]
    Broken {
        /// What was asked for.
        url: String,
        /// What the network said.
        #[source]
        source: reqwest::Error,
    },
    /// The HTTP client cannot be set up on this machine.
    #[error("the HTTP client cannot be set up")]
    Setup(#[source] reqwest::Error),
    /// The credential cannot be sent: it holds characters that no header can.
    #[error("the credential holds characters that cannot be sent")]
    Credential,
}

impl Error {
    /// The HTTP status, if the server answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Error::Refused { status, .. } => Some(*status),
            Error::Unreachable { .. }
            | Error::Answer { .. }
            | Error::Broken { .. }
            | Error::Setup(_)
            | Error::Credential => None,
        }
    }

    /// Whether the network failed, so that the same request may succeed later.
    #[must_use]
    pub fn is_network(&self) -> bool {
        matches!(self, Error::Unreachable { .. } | Error::Broken { .. })
    }
}
