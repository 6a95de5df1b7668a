//! A typed client of the API.
//!
//! [`Client`] speaks to a server over HTTP: it asks, follows streams of events, and turns refusals
//! into [`Error`]s that say what was asked of whom. What the server sends is kept whole; the records
//! ([`Execution`] and its kind) are typed views of it, so that a newer server's members reach
//! programs that show or store them.
//!
//! The client never retries, never follows redirects (they would carry the credential elsewhere) and
//! knows no configuration: where the server is and who is asking come in as arguments.

mod access;
mod actions;
mod chat;
mod client;
mod endpoints;
mod error;
mod events;
mod executions;
mod keys;
mod packs;
mod query;
mod record;
mod resources;
mod rules;
mod sign_in;
mod sse;

pub use client::{ANSWER_BYTES_MAX, Client, Credential, Trust};
pub use endpoints::{Endpoints, EndpointsError};
pub use error::{Error, TlsFailure};
pub use events::{Event, EventQuery, EventStream};
pub use executions::{ExecutionQuery, ExecutionRequest, RunAgain, Wish};
pub use keys::{KeyScope, NewKey};
pub use query::{Page, Query};
pub use record::{CriterionReport, Execution, LogEntry, Output, RuleTest, TaskPlace, Token};
pub use resources::{Registered, Resource};
