//! What a sensor's process and the server say to each other: one JSON object a line.
//!
//! | from the server | meaning |
//! |---|---|
//! | `start` | first message: which sensor, its config, its triggers, the limits |
//! | `trigger_added`, `trigger_updated`, `trigger_removed` | `trigger` has changed |
//! | `answer` | to the request `id`: `result`, or `error` with `kind` and `message` |
//! | `stop` | clean up and end |
//!
//! | from the sensor | meaning |
//! |---|---|
//! | `ready` | set up; runs from now on |
//! | `dispatch` | an event: `trigger`, `payload`, and perhaps `trace_tag`, `dedupe_key`; with `id`, answered when it is durable |
//! | `get_value`, `set_value`, `delete_value`, `list_values` with `id` | the datastore |
//! | `log` | a line for the log: `level`, `logger`, `message` |
//! | `failed` | it can't go on: `stage`, `message`, `details` |
//! | `finished` | it has nothing more to do |

use squall_value::{Str, Value, dict, json};

use super::SensorSpec;
use crate::event::{DatastoreError, DispatchError, KeyListing, KeyWrite};

/// How serious a line of a sensor's log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For who mends the sensor.
    Debug,
    /// Ordinary.
    Info,
    /// Something to look at.
    Warning,
    /// Something failed.
    Error,
}

/// A message from a sensor.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    Ready,
    /// It has entered the pack's code, by this name, or left it.
    Doing(Option<Str>),
    Finished,
    Failed {
        stage: Str,
        message: Str,
        details: Str,
    },
    Log {
        level: Level,
        logger: Str,
        message: Str,
    },
    Request {
        /// What the answer is to be known by; `None` where none is wanted.
        id: Option<Value>,
        request: Request,
    },
}

/// What a sensor asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    Dispatch {
        trigger: Str,
        payload: Value,
        trace_tag: Option<Str>,
        dedupe_key: Option<Str>,
    },
    Get {
        name: Str,
        decrypt: bool,
    },
    Set(KeyWrite),
    Delete {
        name: Str,
    },
    List(KeyListing),
}

/// Reads a line.
///
/// # Errors
///
/// What is wrong with it; the sensor does not keep to the protocol.
pub(super) fn read(line: &[u8]) -> Result<Message, String> {
    let text = std::str::from_utf8(line).map_err(|_| "a message is not UTF-8".to_owned())?;
    let message =
        json::read_python(text).map_err(|error| format!("a message is no JSON: {error}"))?;
    let text = |key: &str| message.get(key).and_then(Value::as_str).map(Str::from);
    let required = |key: &str| text(key).ok_or_else(|| format!("a message has no text `{key}`"));
    let number = |key: &str| {
        message
            .get(key)
            .and_then(Value::as_int)
            .and_then(|n| u64::try_from(n).ok())
    };
    let truth = |key: &str| message.get(key).and_then(Value::as_bool).unwrap_or(false);
    let request = match &*required("type")? {
        "ready" => return Ok(Message::Ready),
        "doing" => return Ok(Message::Doing(text("what"))),
        "finished" => return Ok(Message::Finished),
        "failed" => {
            return Ok(Message::Failed {
                stage: required("stage")?,
                message: required("message")?,
                details: text("details").unwrap_or_default(),
            });
        }
        "log" => {
            return Ok(Message::Log {
                level: level(&text("level").unwrap_or_default()),
                logger: text("logger").unwrap_or_default(),
                message: required("message")?,
            });
        }
        "dispatch" => Request::Dispatch {
            trigger: required("trigger")?,
            payload: message
                .get("payload")
                .cloned()
                .unwrap_or_else(Value::empty_dict),
            trace_tag: text("trace_tag"),
            dedupe_key: text("dedupe_key"),
        },
        "get_value" => Request::Get {
            name: required("name")?,
            decrypt: truth("decrypt"),
        },
        "set_value" => Request::Set(KeyWrite {
            name: required("name")?,
            value: required("value")?,
            ttl_seconds: number("ttl"),
            encrypt: truth("encrypt"),
        }),
        "delete_value" => Request::Delete {
            name: required("name")?,
        },
        "list_values" => Request::List(KeyListing {
            prefix: text("prefix"),
            limit: number("limit"),
            offset: number("offset").unwrap_or(0),
        }),
        other => return Err(format!("a message has the unknown type `{other}`")),
    };
    let id = message.get("id").filter(|id| !id.is_null()).cloned();
    if id.is_none() && !matches!(request, Request::Dispatch { .. }) {
        return Err("a request has no `id`".to_owned());
    }
    Ok(Message::Request { id, request })
}

fn level(name: &str) -> Level {
    match name {
        "DEBUG" => Level::Debug,
        "WARNING" => Level::Warning,
        "ERROR" | "CRITICAL" => Level::Error,
        _ => Level::Info,
    }
}

/// The first message.
pub(super) fn start(spec: &SensorSpec, triggers: &[Value], message_bytes_max: usize) -> Value {
    let texts = |paths: &[std::path::PathBuf]| -> Value {
        paths
            .iter()
            .map(|path| Value::from(path.to_string_lossy().as_ref()))
            .collect()
    };
    dict! {
        "type" => "start",
        "protocol" => 1,
        "sensor" => spec.reference.clone(),
        "pack" => spec.pack.clone(),
        "class_name" => spec.class_name.clone(),
        "entry_point" => spec.entry_point.to_string_lossy().as_ref(),
        "python_path" => texts(&spec.python_path),
        "config" => spec.config.clone(),
        "poll_interval" => spec.poll_interval_seconds,
        "triggers" => triggers.to_vec(),
        "message_bytes_max" => message_bytes_max,
        "log_level" => match spec.log_level {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
        },
    }
}

pub(super) fn answer(id: Value, result: Result<Value, Refusal>) -> Value {
    match result {
        Ok(result) => dict! { "type" => "answer", "id" => id, "result" => result },
        Err(refusal) => dict! {
            "type" => "answer",
            "id" => id,
            "error" => dict! { "kind" => refusal.kind, "message" => refusal.message },
        },
    }
}

/// Why a request was refused: a word for programs and a sentence for people.
pub(super) struct Refusal {
    kind: &'static str,
    message: String,
}

impl Refusal {
    /// The sentence for people.
    pub(super) fn message(&self) -> &str {
        &self.message
    }
}

impl From<DispatchError> for Refusal {
    fn from(error: DispatchError) -> Refusal {
        Refusal {
            kind: match &error {
                DispatchError::UnknownTrigger { .. } => "unknown_trigger",
                DispatchError::InvalidPayload { .. } => "invalid_payload",
                DispatchError::TooLarge { .. } => "too_large",
                DispatchError::LeaseLost => "lease_lost",
                DispatchError::Unavailable { .. } => "unavailable",
            },
            message: error.to_string(),
        }
    }
}

impl From<DatastoreError> for Refusal {
    fn from(error: DatastoreError) -> Refusal {
        Refusal {
            kind: "datastore",
            message: error.to_string(),
        }
    }
}
