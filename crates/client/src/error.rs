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
    /// No address can hold a name like this, be it empty or one of the two that mean a place.
    #[error("`{0}` is no name that can be asked for")]
    Name(String),
    /// Nothing in the text of trusted authorities is a certificate.
    #[error("there is no certificate in it: PEM with a section CERTIFICATE is expected")]
    Authorities,
}

/// What about TLS kept a request from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// The server's certificate is not to be believed: unknown, expired, or another's.
    Certificate,
    /// What answered does not speak TLS.
    NotSpoken,
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
            | Error::Credential
            | Error::Name(_)
            | Error::Authorities => None,
        }
    }

    /// What about TLS kept the request from the server, if that is what did.
    #[must_use]
    pub fn tls_failure(&self) -> Option<TlsFailure> {
        let Error::Unreachable { source, .. } = self else {
            return None;
        };
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(source);
        while let Some(cause) = next {
            match cause.downcast_ref::<rustls::Error>() {
                Some(rustls::Error::InvalidCertificate(_)) => return Some(TlsFailure::Certificate),
                Some(rustls::Error::InvalidMessage(_)) => return Some(TlsFailure::NotSpoken),
                _ => {}
            }
            // What an I/O error was made of is no `source` of it.
            let wrapped = cause.downcast_ref::<std::io::Error>();
            let wrapped = wrapped.and_then(|error| error.get_ref());
            next = match wrapped {
                Some(wrapped) => Some(wrapped),
                None => cause.source(),
            };
        }
        None
    }

    /// Whether the network failed, so that the same request may succeed later.
    #[must_use]
    pub fn is_network(&self) -> bool {
        matches!(self, Error::Unreachable { .. } | Error::Broken { .. })
    }
}
