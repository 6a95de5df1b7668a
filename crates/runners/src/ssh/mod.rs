//! Remote machines, by SSH.
//!
//! A job runs on all its hosts at once. Connections are shared: all that runs on one host as one
//! user goes over the same few ([`pool`]). Each session runs a small supervisor on the other side
//! ([`program`]), which ends the command with its whole tree when the input of the session is
//! closed: by a timeout, by a cancel, or because this server is gone.

mod connection;
mod credentials;
mod hosts;
mod known_hosts;
mod pool;
mod program;
mod remote;
mod session;
mod settings;
mod upload;

pub(crate) use pool::Pool;
pub(crate) use remote::{Kind, Remote};
pub use settings::{HostKeys, SshSettings};
