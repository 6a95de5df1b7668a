//! HTTP: the API, authentication, the stream, webhooks.
//!
//! The shapes are StackStorm's, so that its clients work. Everything but health, sign-in and signed
//! webhooks asks who is calling.

mod actions;
mod caller;
mod configs;
mod definitions;
mod error;
mod events;
mod executions;
mod health;
mod keys;
mod packs;
mod params;
mod reply;
mod rules;
mod stream;
mod tokens;
mod view;
mod webhooks;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use squall_auth::Directory;
use squall_engine::Engine;
use tower_http::catch_panic::CatchPanicLayer;

/// What the API works with.
#[derive(Debug)]
pub struct Api {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Who is known.
    pub directory: Arc<Directory>,
    /// Where packs lie, the later ones over the earlier.
    pub pack_directories: Vec<PathBuf>,
    /// The largest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// The address under which clients reach the API.
    pub url: String,
}

type State = axum::extract::State<Arc<Api>>;

/// All routes: the API under `/api/v1` and `/v1`, sign-in under `/auth/v1`, the stream under
/// `/stream/v1`, health at the top.
pub fn router(api: Arc<Api>) -> Router {
    let limit = api.body_bytes_max;
    let core = core_routes().merge(tokens::routes());
    let stream = stream::routes();
    Router::new()
        .merge(health::routes())
        .nest("/api/v1", core.clone())
        .nest("/v1", core)
        .nest("/auth/v1", tokens::routes())
        .nest("/auth", tokens::routes())
        .nest("/stream/v1", stream.clone())
        .nest("/stream", stream)
        .fallback(reply::not_found)
        .layer(DefaultBodyLimit::max(limit))
        .layer(CatchPanicLayer::new())
        .with_state(api)
}

fn core_routes() -> Router<Arc<Api>> {
    Router::new()
        .route(
            "/executions",
            get(executions::list).post(executions::create),
        )
        .route(
            "/executions/{id}",
            get(executions::one)
                .delete(executions::cancel)
                .put(executions::update),
        )
        .route("/executions/{id}/children", get(executions::children))
        .route("/executions/{id}/output", get(executions::output))
        .route("/executions/{id}/result", get(executions::result))
        .route("/executions/{id}/re_run", post(executions::run_again))
        .route("/actions", get(actions::list))
        .route("/actions/{id}", get(actions::one))
        .route("/actions/views/overview", get(actions::list))
        .route("/actions/views/overview/{id}", get(actions::one))
        .route("/actions/views/parameters/{id}", get(actions::parameters))
        .route("/runnertypes", get(actions::runner_types))
        .route("/runnertypes/{id}", get(actions::runner_type))
        .route("/rules", get(rules::list).post(rules::create))
        .route(
            "/rules/{id}",
            get(rules::one).put(rules::update).delete(rules::delete),
        )
        .route("/rules/{id}/test", post(rules::test))
        .route("/ruleenforcements", get(events::enforcements))
        .route("/ruleenforcements/{id}", get(events::enforcement))
        .route("/triggerinstances", get(events::trigger_instances))
        .route("/triggerinstances/{id}", get(events::trigger_instance))
        .route("/triggerinstances/{id}/re_emit", post(events::emit_again))
        .route("/triggertypes", get(definitions::trigger_types))
        .route("/triggertypes/{id}", get(definitions::trigger_type))
        .route("/triggers", get(definitions::triggers))
        .route("/timers", get(definitions::timers))
        .route("/sensortypes", get(definitions::sensors))
        .route("/sensortypes/{id}", get(definitions::sensor))
        .route(
            "/sensortypes/{id}/restart",
            post(definitions::restart_sensor),
        )
        .route("/sources", get(definitions::sources))
        .route("/policies", get(definitions::policies))
        .route("/webhooks", get(webhooks::list))
        .route("/webhooks/{*hook}", post(webhooks::receive))
        .route("/keys", get(keys::list))
        .route(
            "/keys/{name}",
            get(keys::one).put(keys::put).delete(keys::delete),
        )
        .route("/packs", get(packs::list))
        .route("/packs/{id}", get(packs::one).delete(packs::unregister))
        .route("/packs/register", post(packs::register))
        .route("/packs/install", post(packs::install))
        .route("/packs/uninstall", post(packs::uninstall))
        .route("/configs", get(configs::list))
        .route("/configs/{pack}", get(configs::one).put(configs::put))
        .route("/config_schemas", get(configs::schemas))
        .route("/config_schemas/{pack}", get(configs::schema))
        .route("/user", get(tokens::user))
}
