//! The router, made from the table of endpoints.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tower::Layer as _;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;

use crate::endpoint::Endpoint;
use crate::{Api, Service};
use crate::{guard, reply};

/// The endpoints of the API proper.
pub(crate) fn core() -> Vec<Endpoint> {
    [
        crate::executions::endpoints(),
        crate::execution_views::endpoints(),
        crate::decisions::endpoints(),
        crate::actions::endpoints(),
        crate::runner_types::endpoints(),
        crate::rules::endpoints(),
        crate::events::endpoints(),
        crate::definitions::endpoints(),
        crate::webhooks::endpoints(),
        crate::keys::endpoints(),
        crate::packs::endpoints(),
        crate::pack_files::endpoints(),
        crate::pack_index::endpoints(),
        crate::configs::endpoints(),
        crate::apikeys::endpoints(),
        crate::traces::endpoints(),
        crate::aliases::endpoints(),
        crate::chat_results::endpoints(),
        crate::policies::endpoints(),
        crate::inquiries::endpoints(),
        crate::workflows::endpoints(),
        crate::registry::endpoints(),
        crate::roles::endpoints(),
        crate::users::endpoints(),
        crate::audit::endpoints(),
        crate::tokens::caller_endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Makes the endpoints of a service.
type Endpoints = fn() -> Vec<Endpoint>;

/// Every endpoint once, at the address under which it is described.
pub(crate) const PUBLISHED: [(&str, Endpoints); 6] = [
    ("", crate::health::endpoints),
    ("", crate::metrics::endpoints),
    ("", crate::openapi::endpoints),
    ("/api/v1", core),
    ("/auth/v1", crate::tokens::endpoints),
    ("/stream/v1", crate::stream::endpoints),
];

/// Where a service's endpoints are found. Some clients put a version behind a service's address,
/// others don't.
const API: [&str; 3] = ["/api/v1", "/api", "/v1"];
const AUTH: [&str; 2] = ["/auth/v1", "/auth"];
const STREAM: [&str; 2] = ["/stream/v1", "/stream"];

/// The router of one service on a port of its own, or of all on one.
pub(crate) fn router(api: Arc<Api>, service: Service) -> Router {
    let mut router = Router::new();
    let mut mount = |prefixes: &[&str], endpoints: Endpoints| {
        for prefix in prefixes {
            for endpoint in endpoints() {
                router = add(std::mem::take(&mut router), &api, prefix, endpoint);
            }
        }
    };
    mount(&[""], crate::health::endpoints);
    mount(&[""], crate::metrics::endpoints);
    mount(&[""], crate::openapi::endpoints);
    match service {
        Service::All => {
            mount(&API, core);
            mount(&AUTH, crate::tokens::endpoints);
            mount(&["/api/v1", "/v1"], crate::tokens::endpoints);
            mount(&STREAM, crate::stream::endpoints);
        }
        Service::Api => {
            mount(&API, core);
            mount(&[""], core);
        }
        Service::Auth => {
            mount(&AUTH, crate::tokens::endpoints);
            mount(&["/v1", ""], crate::tokens::endpoints);
        }
        Service::Stream => mount(&["/stream/v1", "/v1", ""], crate::stream::endpoints),
    }
    let routed = router
        .fallback(reply::not_found)
        .method_not_allowed_fallback(reply::not_allowed)
        .layer(CatchPanicLayer::custom(reply::panicked))
        .with_state(Arc::clone(&api));
    // What changes the path must come before the routes are looked up, so it stands around them.
    let service = MapRequestLayer::new(guard::normalise).layer(routed);
    Router::new()
        .fallback_service(service)
        .layer(from_fn(guard::refuse_bad_paths))
        .layer(from_fn_with_state(api, guard::headers))
}

fn add(
    router: Router<Arc<Api>>,
    api: &Arc<Api>,
    prefix: &str,
    endpoint: Endpoint,
) -> Router<Arc<Api>> {
    let path = match endpoint.path {
        "/" if !prefix.is_empty() => prefix.to_owned(),
        path => format!("{prefix}{path}"),
    };
    let rules = guard::Rules::of(Arc::clone(api), &endpoint);
    let handler = endpoint
        .handler
        .route_layer(from_fn_with_state(rules.clone(), guard::check))
        .route_layer(from_fn_with_state(rules, guard::admit));
    router.route(&path, handler)
}
