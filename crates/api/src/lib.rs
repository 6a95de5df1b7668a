//! HTTP: the API, authentication, the stream, webhooks.
//!
//! The shapes are StackStorm's, so that its clients work. Everything but health, sign-in and signed
//! webhooks asks who is calling.

mod actions;
mod aliases;
mod apikeys;
mod aside;
mod audit;
mod caller;
mod changes;
mod chat_results;
mod configs;
mod decisions;
mod definitions;
mod endpoint;
mod error;
mod events;
mod execution_views;
mod executions;
mod files;
mod front;
mod guard;
mod health;
mod inquiries;
mod keys;
mod limits;
mod listing;
mod live;
mod metrics;
mod openapi;
mod pack_files;
mod pack_index;
mod packs;
mod params;
mod policies;
mod publish;
mod registry;
mod reply;
mod rights;
mod roles;
mod routes;
mod rules;
mod runner_types;
mod signature;
mod stream;
mod tokens;
mod traces;
mod users;
mod view;
mod webhooks;
mod workflows;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use squall_auth::Directory;
use squall_auth::rbac::Roles;
use squall_engine::Engine;

pub use audit::Refusals;
pub use front::{Front, Peer, SecureCookies};
pub use limits::Limits;
pub use live::Followers;
pub use metrics::Metrics;
pub use rights::RoleRights;

/// What the API works with.
#[derive(Debug)]
pub struct Api {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Who is known.
    pub directory: Arc<Directory>,
    /// Who may do what.
    pub roles: Arc<Roles>,
    /// Where roles are defined, if they are.
    pub role_directory: Option<PathBuf>,
    /// Where packs lie, the later ones over the earlier.
    pub pack_directories: Vec<PathBuf>,
    /// What is turned away.
    pub limits: Limits,
    /// What is counted of requests.
    pub metrics: Metrics,
    /// The address under which clients reach the API.
    pub url: String,
    /// The name of this machine, as events about its files tell it.
    pub host_name: String,
    /// Origins whose pages may call the API from a browser; `*` is any.
    pub allowed_origins: Vec<String>,
    /// What stands in front of the server.
    pub front: Front,
    /// What was refused of late.
    pub refusals: Refusals,
    /// Who follows single executions.
    pub followers: Arc<Followers>,
}

type State = axum::extract::State<Arc<Api>>;

/// Which of StackStorm's services a port serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// All of them: the API under `/api/v1` and `/v1`, sign-in under `/auth/v1`, the stream under
    /// `/stream/v1`.
    All,
    /// The API, also without a prefix.
    Api,
    /// Sign-in, also without a prefix.
    Auth,
    /// The stream, also without a prefix.
    Stream,
}

/// What answers requests on a port.
pub fn router(api: Arc<Api>, service: Service) -> Router {
    routes::router(api, service)
}
