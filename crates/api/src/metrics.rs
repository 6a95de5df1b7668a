//! `/metrics`: what the server does, for Prometheus (OpenMetrics 1.0), and what admission needs to
//! know of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State as Extract;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use squall_model::{Status, Timestamp, TriggerInstanceStatus};
use squall_store::{ExecutionFilter, ExecutionOrder, Page, TriggerInstanceFilter};

use crate::endpoint::{Endpoint, Shape, get};
use crate::error::{Error, Result};
use crate::{Api, State};

/// Bounds of the time that an answer takes, in seconds.
const ANSWER_BOUNDS: [f64; 9] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

type Place = [(&'static str, String); 2];
type Answer = [(&'static str, String); 3];

/// What is counted of requests.
#[derive(Debug)]
pub struct Metrics {
    answers: Family<Answer, Counter>,
    times: Family<Place, Histogram>,
    refused: Counter,
    in_flight: AtomicUsize,
    streams: AtomicUsize,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            answers: Family::default(),
            times: Family::new_with_constructor(|| Histogram::new(ANSWER_BOUNDS)),
            refused: Counter::default(),
            in_flight: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
        }
    }
}

/// One of those that are counted while they are there.
pub(crate) struct Present<'a>(&'a AtomicUsize);

impl<'a> Present<'a> {
    fn new(count: &'a AtomicUsize) -> Present<'a> {
        count.fetch_add(1, Ordering::Relaxed);
        Present(count)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// A request that comes in, unless there are `most` already.
    pub(crate) fn enter(&self, most: usize) -> Option<Present<'_>> {
        let present = Present::new(&self.in_flight);
        if self.in_flight.load(Ordering::Relaxed) > most {
            self.refused();
            return None;
        }
        Some(present)
    }

    /// A client that follows a stream.
    pub(crate) fn follow(&self) -> Present<'_> {
        Present::new(&self.streams)
    }

    /// A request was turned away because there is too much to do.
    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    /// A request to an endpoint was answered.
    pub(crate) fn answered(&self, method: &str, path: &str, status: u16, took: Duration) {
        let (method, path) = (method.to_owned(), path.to_owned());
        let place = [("method", method.clone()), ("path", path.clone())];
        let answer = [
            ("method", method),
            ("path", path),
            ("status", status.to_string()),
        ];
        self.answers.get_or_create(&answer).inc();
        self.times.get_or_create(&place).observe(took.as_secs_f64());
    }

    fn register(&self, registry: &mut Registry) {
        let (answers, refused) = (self.answers.clone(), self.refused.clone());
        registry.register("http_requests", "Requests, by answer.", answers);
        let help = "Requests that were answered 429 because there was too much to do.";
        registry.register("http_requests_refused", help, refused);
        let help = "Until a request was answered; of streams, until they began.";
        registry.register_with_unit("http_request_time", help, Unit::Seconds, self.times.clone());
        let gauges = [
            (
                "http_requests_in_flight",
                "Requests that are being answered.",
                &self.in_flight,
            ),
            (
                "stream_clients",
                "Clients that follow the event stream.",
                &self.streams,
            ),
        ];
        for (name, help, count) in gauges {
            gauge(registry, name, help, count.load(Ordering::Relaxed));
        }
    }
}

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/metrics", metrics)
            .summary("Measures what the server does, for Prometheus (OpenMetrics).")
            .gives(Shape::Text(OPEN_METRICS)),
    ]
}

const OPEN_METRICS: &str = "application/openmetrics-text";

/// States in which an execution waits for something, or is at work.
const UNFINISHED: [Status; 9] = [
    Status::Requested,
    Status::Delayed,
    Status::Scheduled,
    Status::Running,
    Status::Pending,
    Status::Pausing,
    Status::Paused,
    Status::Resuming,
    Status::Canceling,
];

async fn metrics(Extract(api): State) -> Result<Response> {
    let mut registry = Registry::with_prefix("squall");
    api.metrics.register(&mut registry);
    api.engine.metrics().register(&mut registry);
    now(&api, &mut registry);
    backlog(&api, &mut registry).await?;
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| Error::internal(&error))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: usize) {
    let gauge: Gauge = Gauge::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    registry.register(name, help, gauge);
}

/// What this server does now.
fn now(api: &Api, registry: &mut Registry) {
    let (running, queued) = api.engine.load();
    let slots = api.engine.settings().slots;
    for (name, help, value) in [
        ("slots", "How many actions may have a process.", slots),
        ("slots_taken", "Actions that have a process.", running),
        ("slots_queue", "Executions that wait for a slot.", queued),
    ] {
        gauge(registry, name, help, value);
    }
    let sources: Family<[(&str, String); 2], Gauge> = Family::default();
    for source in api.engine.source_states() {
        let labels = [
            ("kind", source.kind.as_str().to_owned()),
            ("state", source.phase.as_str().to_owned()),
        ];
        sources.get_or_create(&labels).inc();
    }
    let help = "Event sources of this server: sensors, timers, native ones.";
    registry.register("sources", help, sources);
}

/// How much waits at each stage, and for how long already: asked of the store, which is the truth.
async fn backlog(api: &Arc<Api>, registry: &mut Registry) -> Result<()> {
    let (store, now) = (api.engine.store(), api.engine.env().now());
    let age = |since: Timestamp| now.duration_since(since).as_secs().max(0);
    let counts: Family<[(&str, &str); 1], Gauge> = Family::default();
    let ages: Family<[(&str, &str); 1], Gauge> = Family::default();
    for status in UNFINISHED {
        let filter = ExecutionFilter {
            statuses: vec![status],
            order: ExecutionOrder::OldestFirst,
            ..ExecutionFilter::default()
        };
        let found = store.executions(&filter, Page::first(1)).await?;
        let oldest = found.items.first();
        let oldest = oldest.map_or(0, |oldest| age(oldest.request.requested));
        let label = [("status", status.as_str())];
        counts
            .get_or_create(&label)
            .set(i64::try_from(found.total).unwrap_or(i64::MAX));
        ages.get_or_create(&label).set(oldest);
    }
    let help = "Executions that have not ended, by status.";
    registry.register("executions", help, counts);
    let help = "Age of the oldest of them, since it was asked for.";
    registry.register_with_unit("executions_oldest", help, Unit::Seconds, ages);
    let pending = TriggerInstanceFilter {
        status: Some(TriggerInstanceStatus::Pending),
        oldest_first: true,
        ..TriggerInstanceFilter::default()
    };
    let found = store.trigger_instances(&pending, Page::first(1)).await?;
    let total = usize::try_from(found.total).unwrap_or(usize::MAX);
    let oldest = found.items.first().map_or(0, |event| age(event.occurred));
    let oldest = usize::try_from(oldest).unwrap_or(usize::MAX);
    gauge(
        registry,
        "events_pending",
        "Events that no rule has seen yet.",
        total,
    );
    let help = "Age of the oldest of them, in seconds.";
    gauge(registry, "events_pending_oldest_seconds", help, oldest);
    let (_, newest) = store.change_bounds().await?;
    let newest = usize::try_from(newest).unwrap_or(usize::MAX);
    gauge(
        registry,
        "change_position",
        "The newest position of the change feed.",
        newest,
    );
    Ok(())
}
