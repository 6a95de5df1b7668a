//! The server's side of the conversation with one process of a sensor.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use squall_value::{Str, Value, json};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;

use super::lines::{Line, read_line};
use super::notice::{Flood, Notice};
use super::protocol::{self, Message, Refusal, Request};
use super::{Level, Ports, Protocol, SensorSpec};
use crate::event::{DispatchError, Event};

/// The longest pause between two attempts to store an event.
const DISPATCH_PAUSE_MAX: Duration = Duration::from_secs(5);

/// How a conversation ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The process closed its end without a word.
    Closed,
    /// It said that it has nothing more to do.
    Finished,
    /// It said why it can't go on, or broke the protocol.
    Failed(String),
    /// Another node runs this sensor now.
    LeaseLost,
}

/// Sends messages to the process.
#[derive(Clone)]
pub(super) struct Speaker {
    writer: Arc<Mutex<OwnedWriteHalf>>,
}

impl Speaker {
    pub(super) fn new(writer: OwnedWriteHalf) -> Speaker {
        Speaker {
            writer: Arc::new(Mutex::new(writer)),
        }
    }

    /// Sends one message. A process that is gone is noticed elsewhere.
    pub(super) async fn say(&self, message: &Value) {
        let mut line = json::write(message);
        line.push('\n');
        if let Err(error) = self.writer.lock().await.write_all(line.as_bytes()).await {
            tracing::debug!(%error, "a sensor's process takes no message");
        }
    }
}

/// Hears a process and answers it, one message after the other.
pub(super) struct Conversation {
    pub(super) reader: BufReader<OwnedReadHalf>,
    pub(super) speaker: Speaker,
    pub(super) spec: Arc<SensorSpec>,
    pub(super) ports: Ports,
    pub(super) message_bytes_max: usize,
    pub(super) doing: Arc<Doing>,
    pub(super) flood: Flood,
    pub(super) notice: Notice,
}

/// Which of the pack's code has been entered and not left, and since when.
#[derive(Debug, Default)]
pub(super) struct Doing(parking_lot::Mutex<Option<(Str, Timestamp)>>);

impl Doing {
    fn set(&self, what: Option<Str>, now: Timestamp) {
        *self.0.lock() = what.map(|what| (what, now));
    }

    /// What has not returned for so long, told for the person who has to decide about it.
    pub(super) fn overdue(&self, now: Timestamp, after: Duration) -> Option<String> {
        let doing = self.0.lock();
        let (what, since) = doing.as_ref()?;
        let is_overdue = now.duration_since(*since).unsigned_abs() >= after;
        is_overdue.then(|| {
            format!("{what} has been going on since {since:.0} and has not returned: it may hang")
        })
    }
}

impl Conversation {
    /// Goes on until the process is silent for good. `ready` is called when it has set up.
    pub(super) async fn run(&mut self, ready: impl Fn()) -> Outcome {
        let mut line = Vec::new();
        let mut outcome = Outcome::Closed;
        loop {
            match read_line(&mut self.reader, &mut line, self.message_bytes_max).await {
                Ok(Line::Whole) => {}
                Ok(Line::End) | Err(_) => return outcome,
                Ok(Line::Part) => {
                    let max = self.message_bytes_max;
                    return Outcome::Failed(format!(
                        "it sent a message of more than {max} bytes against the protocol"
                    ));
                }
            }
            if self.spec.protocol == Protocol::Stdio && line.first() != Some(&b'{') {
                let text = String::from_utf8_lossy(&line);
                let log = &self.ports.log;
                log.line(&self.spec.reference, Level::Info, "stdout", text.trim_end());
                continue;
            }
            match protocol::read(&line) {
                Err(reason) => return Outcome::Failed(reason),
                Ok(Message::Ready) => ready(),
                Ok(Message::Doing(what)) => self.doing.set(what, self.ports.env.now()),
                Ok(Message::Finished) => outcome = Outcome::Finished,
                Ok(Message::Failed {
                    stage,
                    message,
                    details,
                }) => {
                    let log = &self.ports.log;
                    for line in details.lines() {
                        log.line(&self.spec.reference, Level::Error, "host", line);
                    }
                    if stage.as_ref() == "cleanup" {
                        log.line(&self.spec.reference, Level::Error, "host", &message);
                    } else {
                        outcome = Outcome::Failed(failure(&stage, &message));
                    }
                }
                Ok(Message::Log {
                    level,
                    logger,
                    message,
                }) => {
                    self.ports
                        .log
                        .line(&self.spec.reference, level, &logger, &message);
                }
                Ok(Message::Request { id, request }) => {
                    self.count(&request);
                    let result = self.answer(request).await;
                    let lost = matches!(result, Err(Failure::LeaseLost));
                    let result = result.map_err(Failure::into_refusal);
                    match (id, result) {
                        (Some(id), result) => self.speaker.say(&protocol::answer(id, result)).await,
                        (None, Ok(_)) => {}
                        // Who does not ask for an answer is not told, but somebody is.
                        (None, Err(refusal)) => {
                            let log = &self.ports.log;
                            let text = refusal.message();
                            log.line(&self.spec.reference, Level::Warning, "host", text);
                        }
                    }
                    if lost {
                        return Outcome::LeaseLost;
                    }
                }
            }
        }
    }

    fn count(&mut self, request: &Request) {
        if matches!(request, Request::Dispatch { .. })
            && let Some(reason) = self.flood.sent(self.ports.env.now())
        {
            self.notice.tell(reason);
        }
    }

    async fn answer(&self, request: Request) -> Result<Value, Failure> {
        let datastore = &self.ports.datastore;
        match request {
            Request::Dispatch {
                trigger,
                payload,
                trace_tag,
                dedupe_key,
            } => {
                let event = Event {
                    trigger,
                    parameters: None,
                    payload,
                    trace_tag,
                    dedupe_key,
                    position: None,
                    occurred_at: self.ports.env.now(),
                };
                self.dispatch(event).await
            }
            Request::Get { name, decrypt } => {
                let value = datastore.get(&name, decrypt).await;
                Ok(value
                    .map_err(|error| Failure::Refused(error.into()))?
                    .unwrap_or_default())
            }
            Request::Set(write) => {
                datastore
                    .set(write)
                    .await
                    .map_err(|error| Failure::Refused(error.into()))?;
                Ok(Value::Bool(true))
            }
            Request::Delete { name } => {
                let found = datastore.delete(&name).await;
                Ok(Value::Bool(
                    found.map_err(|error| Failure::Refused(error.into()))?,
                ))
            }
            Request::List(listing) => {
                let items = datastore.list(&listing).await;
                Ok(Value::from(
                    items.map_err(|error| Failure::Refused(error.into()))?,
                ))
            }
        }
    }

    /// Stores an event; while that is impossible for the moment, the sensor waits.
    async fn dispatch(&self, event: Event) -> Result<Value, Failure> {
        let mut pause = Duration::from_millis(100);
        loop {
            let error = match self.ports.sink.dispatch(event.clone()).await {
                Ok(receipt) => return Ok(Value::from(receipt.event_id)),
                Err(DispatchError::LeaseLost) => return Err(Failure::LeaseLost),
                Err(error) if !error.is_transient() => return Err(Failure::Refused(error.into())),
                Err(error) => error,
            };
            self.notice.tell(format!("its events wait: {error}"));
            self.ports.env.sleep(pause).await;
            pause = (pause * 2).min(DISPATCH_PAUSE_MAX);
        }
    }
}

enum Failure {
    Refused(Refusal),
    LeaseLost,
}

impl Failure {
    fn into_refusal(self) -> Refusal {
        match self {
            Failure::Refused(refusal) => refusal,
            Failure::LeaseLost => DispatchError::LeaseLost.into(),
        }
    }
}

/// What a person should read about a failure at `stage`.
fn failure(stage: &str, message: &str) -> String {
    match stage {
        "import" => format!("importing the sensor's file failed: {message}"),
        "construct" => format!("making the sensor failed, perhaps for its config: {message}"),
        "setup" => format!("its setup failed: {message}"),
        "add_trigger" => format!("it failed in add_trigger: {message}"),
        "run" => format!("it failed while running: {message}"),
        _ => message.to_owned(),
    }
}
