//! The port: what sources give to the engine, and what they may ask of it.

use async_trait::async_trait;
use jiff::Timestamp;
use squall_value::{Str, Value};

/// Something that happened, as a source reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What kind of event this is: the reference of a trigger type or of a trigger, `pack.name`.
    pub trigger: Str,
    /// The parameters of the trigger, where the trigger type alone does not name it (a timer's
    /// schedule, a webhook's URL); `None` when `trigger` says it all.
    pub parameters: Option<Value>,
    /// What happened: the data that rules see as `trigger`. A dictionary.
    pub payload: Value,
    /// The trace this event belongs to, as the source named it.
    pub trace_tag: Option<Str>,
    /// Two events of one trigger with the same key within 24 hours are one event.
    pub dedupe_key: Option<Str>,
    /// Where the source stands once this event is accepted; committed together with the event.
    pub position: Option<Position>,
    /// When it happened, by the clock of whoever saw it.
    pub occurred_at: Timestamp,
}

/// How far a source has read. The engine stores the latest one of each source, in the transaction
/// that stores the event, and hands it back when the source is started again.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// The source, by a name that stays the same over restarts and nodes.
    pub source: Str,
    /// The source's own notion of a place; only the source reads it.
    pub value: Value,
}

/// The engine's word that an event is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The id of the trigger instance, as text; of the first one when the event was a repetition.
    pub event_id: Str,
    /// Whether the same `dedupe_key` had been seen before, so that nothing new was stored.
    pub duplicate: bool,
}

/// Why an event was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DispatchError {
    /// No trigger type or trigger of this name is known. Repeating does not help.
    #[error(
        "no trigger type `{trigger}` is registered; is it listed in the sensor's `trigger_types`?"
    )]
    UnknownTrigger {
        /// The name in the event.
        trigger: Str,
    },
    /// The payload does not fit the schema of its trigger type. Repeating does not help.
    #[error("the payload for `{trigger}` does not fit its schema: {reason}")]
    InvalidPayload {
        /// The name in the event.
        trigger: Str,
        /// Where it does not fit, and what was expected.
        reason: String,
    },
    /// The payload is larger than the server accepts. Repeating does not help.
    #[error(
        "the payload for `{trigger}` has more than the {bytes_max} bytes that are accepted; send a reference to the data instead"
    )]
    TooLarge {
        /// The name in the event.
        trigger: Str,
        /// The limit.
        bytes_max: usize,
    },
    /// The lease on this source was lost: another node runs it now, and this one must stop.
    #[error("another node has taken over this source")]
    LeaseLost,
    /// The event could not be stored now; the source repeats it, or waits.
    #[error("the event could not be stored: {reason}")]
    Unavailable {
        /// What the store said.
        reason: String,
    },
}

impl DispatchError {
    /// Whether the same event may be accepted later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            DispatchError::Unavailable { .. } => true,
            DispatchError::UnknownTrigger { .. }
            | DispatchError::InvalidPayload { .. }
            | DispatchError::TooLarge { .. }
            | DispatchError::LeaseLost => false,
        }
    }
}

/// Takes events. Implemented by the engine.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Stores `event`, and with it its position. Returns only when both are durable; a future
    /// dropped before that may or may not have stored them, which a `dedupe_key` makes harmless.
    ///
    /// # Errors
    ///
    /// [`DispatchError`]; neither the event nor its position was stored.
    async fn dispatch(&self, event: Event) -> Result<Receipt, DispatchError>;

    /// Stores a position without an event: the first sight of a system, or a stretch in which
    /// nothing was worth an event.
    ///
    /// # Errors
    ///
    /// [`DispatchError::LeaseLost`] or [`DispatchError::Unavailable`]; nothing was stored.
    async fn advance(&self, position: Position) -> Result<(), DispatchError>;
}

/// Which keys a sensor wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyListing {
    /// Only names that begin so.
    pub prefix: Option<Str>,
    /// At most so many; `None` leaves it to the server's page size.
    pub limit: Option<u64>,
    /// Leaves out so many first.
    pub offset: u64,
}

/// A key to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyWrite {
    /// The full name; for a sensor's own keys it begins with `pack.Class:`.
    pub name: Str,
    /// The value; StackStorm's datastore holds texts.
    pub value: Str,
    /// After so many seconds the key is gone.
    pub ttl_seconds: Option<u64>,
    /// Whether the value is kept encrypted.
    pub encrypt: bool,
}

/// Why the datastore did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DatastoreError {
    /// What went wrong, for the sensor's log.
    pub reason: String,
}

/// The datastore as sensors see it: system scope, full names. Implemented by the engine.
#[async_trait]
pub trait Datastore: Send + Sync {
    /// The value of `name`, decrypted when asked; `None` when there is no such key.
    ///
    /// # Errors
    ///
    /// [`DatastoreError`] when it could not be read.
    async fn get(&self, name: &str, decrypt: bool) -> Result<Option<Value>, DatastoreError>;

    /// Sets a key; returns when that is durable.
    ///
    /// # Errors
    ///
    /// [`DatastoreError`]; nothing was written.
    async fn set(&self, write: KeyWrite) -> Result<(), DatastoreError>;

    /// Deletes a key; `false` when there was none.
    ///
    /// # Errors
    ///
    /// [`DatastoreError`]; nothing was deleted.
    async fn delete(&self, name: &str) -> Result<bool, DatastoreError>;

    /// The items that `listing` asks for, in order of name, each a dictionary as the API shows it
    /// (`name`, `value`, `scope`, `encrypted` ...); values of encrypted items stay encrypted.
    ///
    /// # Errors
    ///
    /// [`DatastoreError`] when it could not be read.
    async fn list(&self, listing: &KeyListing) -> Result<Vec<Value>, DatastoreError>;
}
