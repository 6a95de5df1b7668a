//! Whether the server lives, and whether it serves.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use squall_value::dict;

use crate::State;
use crate::endpoint::{Endpoint, Shape, get};
use crate::reply::Json;

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/health", health)
            .summary("Tells that the server lives.")
            .open()
            .gives(Shape::One("Health")),
        get("/ready", ready)
            .summary("Tells whether the server serves: 503 when it does not.")
            .open()
            .gives(Shape::One("Readiness"))
            .also(503, Shape::One("Readiness")),
    ]
}

async fn health() -> Json {
    Json(dict! { "status" => "alive" })
}

/// Ready means: the store answers and new work is taken.
async fn ready(Extract(api): State) -> Response {
    let answers = api.engine.store().change_bounds().await;
    let (running, queued) = api.engine.load();
    let taking = !api.engine.is_stopping();
    let status = match answers {
        Ok(_) if taking => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = dict! {
        "ready" => status == StatusCode::OK,
        "store" => if answers.is_ok() { "answers" } else { "does not answer" },
        "stopping" => !taking,
        "running" => running,
        "queued" => queued,
    };
    (status, Json(body)).into_response()
}
