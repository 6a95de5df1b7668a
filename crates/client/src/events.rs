//! What happens on the server, as it happens.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use reqwest::Method;
use squall_value::{Value, json};

use crate::client::send;
use crate::sse::Parser;
use crate::{Client, Error, Query};

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The kind, such as `st2.execution__update`; `EOF` at the end of an execution's output.
    pub name: String,
    /// The text that came with it, JSON but for `EOF`.
    pub data: String,
    /// The position in the stream, to go on from there.
    pub id: Option<String>,
}

impl Event {
    /// The data; null when they are not JSON.
    #[must_use]
    pub fn value(&self) -> Value {
        json::read_python(&self.data).unwrap_or_default()
    }
}

/// Which events to hear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Kinds, with `*` for any text; empty means the server's choice.
    pub events: Vec<String>,
    /// Only of these executions; empty means all.
    pub executions: Vec<String>,
    /// Ends the stream once this execution has ended.
    pub end_execution: Option<String>,
    /// Goes on behind this position.
    pub after: Option<String>,
}

/// Events, as they come.
pub struct EventStream {
    url: String,
    body: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>,
    parser: Parser,
    ready: VecDeque<Event>,
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl EventStream {
    /// The next event; `None` when the server has ended the stream. May be dropped at any time
    /// without loss of events.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`] when the connection breaks: connect again with the last event's id.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let Some(bytes) = self.body.next().await else {
                return Ok(None);
            };
            let bytes = bytes.map_err(|source| Error::Broken {
                url: self.url.clone(),
                source: source.without_url(),
            })?;
            let mut events = Vec::new();
            let read = self.parser.push(&bytes, &mut events);
            self.ready.extend(events);
            read.map_err(|_| Error::Answer {
                url: self.url.clone(),
                reason: "an event is longer than any server sends".to_owned(),
            })?;
        }
    }
}

impl Client {
    /// Follows what happens from now on, or from a position on.
    ///
    /// # Errors
    ///
    /// [`Error`] when the server is not reached or refuses.
    pub async fn events(&self, query: &EventQuery) -> Result<EventStream, Error> {
        let list = |items: &[String]| (!items.is_empty()).then(|| items.join(","));
        let parameters = Query::new()
            .maybe("events", list(&query.events))
            .maybe("execution_ids", list(&query.executions))
            .maybe("end_execution_id", query.end_execution.as_deref())
            .maybe(
                "end_event",
                query
                    .end_execution
                    .as_ref()
                    .map(|_| "st2.execution__update"),
            );
        let base = self.endpoints().stream();
        let mut request = self.request(Method::GET, base, &["stream"], &parameters)?;
        if let Some(after) = &query.after {
            request = request.header("last-event-id", after);
        }
        open(request).await
    }

    /// Follows what one execution prints: first what there is, then what comes. The stream ends
    /// with an `EOF` event once the execution has ended.
    ///
    /// # Errors
    ///
    /// [`Error`] when the server is not reached or refuses.
    pub async fn output_events(&self, execution: &str) -> Result<EventStream, Error> {
        let path = ["executions", execution, "output"];
        let base = self.endpoints().stream();
        open(self.request(Method::GET, base, &path, &Query::new())?).await
    }
}

async fn open(request: reqwest::RequestBuilder) -> Result<EventStream, Error> {
    let response = send(request).await?;
    let url = response.url().to_string();
    let kind = response.headers().get(reqwest::header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("text/event-stream") {
        let reason = format!("a stream of events was expected, not `{kind}`");
        return Err(Error::Answer { url, reason });
    }
    Ok(EventStream {
        url,
        body: Box::pin(response.bytes_stream()),
        parser: Parser::new(),
        ready: VecDeque::new(),
    })
}
