//! The port to where passwords are checked. The store's own users always stand first; behind them
//! may stand a password file ([`crate::Htpasswd`]), or what else knows names and passwords.

use std::fmt::Debug;

use async_trait::async_trait;

/// What a back end says about a name and a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The name is known, and the password is its.
    Right,
    /// The name is known, and the password is another.
    Wrong,
    /// The name is not known: the next back end is asked.
    Unknown,
}

/// A back end that can't tell now.
#[derive(Debug, thiserror::Error)]
#[error("{place} cannot be asked")]
pub struct Unavailable {
    /// What was asked, such as a file.
    pub place: String,
    /// Why it does not answer.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Somewhere that knows names and passwords.
///
/// A check takes about as long for a name that is not known as for one that is, so that time tells
/// nobody which names there are. Failures are counted by the caller.
#[async_trait]
pub trait Backend: Debug + Send + Sync {
    /// Checks a name and a password.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]; nobody is let in then.
    async fn check(&self, user: &str, password: &str) -> Result<Verdict, Unavailable>;
}
