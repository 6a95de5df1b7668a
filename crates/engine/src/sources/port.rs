//! What sources are connected to: the way into the ingest stage, and the datastore.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use squall_expr::{Host, KeyScope};
use squall_model::DocumentKind;
use squall_sensors::sensor::Witness;
use squall_sensors::{
    DatastoreError, DispatchError, Event, KeyListing, KeyWrite, Position, Receipt, Sink,
};
use squall_store::{CommitError, DocumentFilter, Page, Refusal};
use squall_value::{Str, Value, dict};

use crate::datastore::{is_secret, item_shown};
use crate::register::{Change, PutError};
use crate::{Datastore, Engine, Incoming, IngestError};

/// How many keys a sensor gets that asks for no limit, as from StackStorm's API.
const KEYS_MAX: u64 = 100;

/// Takes the events of one source, for as long as this server holds its lease.
pub(super) struct Door {
    pub(super) engine: Arc<Engine>,
    /// The lease under which the source runs; its events and positions are refused without it.
    pub(super) lease: Str,
    /// The trigger that all its events are for, where the source does not know it.
    pub(super) trigger: Option<Str>,
    /// The name of its position, where the source does not know it.
    pub(super) position: Option<Str>,
}

impl Door {
    fn place(&self, position: Position) -> (Str, Value) {
        let name = self.position.clone().unwrap_or(position.source);
        (name, position.value)
    }

    fn trigger(&self, event: &Event) -> Result<Str, DispatchError> {
        if let Some(trigger) = &self.trigger {
            return Ok(trigger.clone());
        }
        let Some(parameters) = &event.parameters else {
            return Ok(event.trigger.clone());
        };
        let unknown = |_| DispatchError::UnknownTrigger {
            trigger: event.trigger.clone(),
        };
        let reference = squall_packs::trigger_reference(&event.trigger, parameters);
        Ok(reference.map_err(unknown)?.text())
    }
}

#[async_trait]
impl Sink for Door {
    async fn dispatch(&self, event: Event) -> Result<Receipt, DispatchError> {
        let trigger = self.trigger(&event)?;
        let position = event.position.map(|position| self.place(position));
        let incoming = Incoming {
            trigger: trigger.clone(),
            payload: event.payload,
            occurred: Some(event.occurred_at),
            trace_tag: event.trace_tag,
            dedupe_key: event.dedupe_key,
            position: position.clone(),
            source_execution: None,
            lease: Some(self.lease.clone()),
            strict: false,
        };
        let receipt = self.engine.accept(incoming).await;
        let receipt = receipt.map_err(|error| refused(error, &trigger))?;
        // A repeated event changed nothing, so its position is not stored yet.
        if let Some((name, place)) = position.filter(|_| receipt.duplicate) {
            self.engine
                .advance_held(&name, &place, Some(&self.lease))
                .await
                .map_err(|error| refused(error, &trigger))?;
        }
        Ok(Receipt {
            event_id: Str::from(receipt.id.to_string()),
            duplicate: receipt.duplicate,
        })
    }

    async fn advance(&self, position: Position) -> Result<(), DispatchError> {
        let (name, place) = self.place(position);
        self.engine
            .advance_held(&name, &place, Some(&self.lease))
            .await
            .map_err(|error| refused(error, &name))
    }
}

fn refused(error: IngestError, trigger: &Str) -> DispatchError {
    let trigger = trigger.clone();
    match error {
        IngestError::UnknownTrigger(trigger) => DispatchError::UnknownTrigger { trigger },
        IngestError::InvalidPayload { reason, .. } => DispatchError::InvalidPayload {
            trigger,
            reason: reason.to_string(),
        },
        IngestError::TooLarge { bytes_max, .. } => DispatchError::TooLarge { trigger, bytes_max },
        IngestError::Store(CommitError::Refused {
            refusal: Refusal::Leased,
            ..
        }) => DispatchError::LeaseLost,
        IngestError::Stopping | IngestError::Store(_) => DispatchError::Unavailable {
            reason: super::chain(&error),
        },
    }
}

/// Makes events of what happens to the processes of a sensor, where rules listen for them.
pub(super) struct Life {
    pub(super) engine: Arc<Engine>,
    pub(super) class_name: Str,
}

#[async_trait]
impl Witness for Life {
    async fn spawned(&self, pid: u32, command: String) {
        let payload = || {
            dict! {
                "id" => self.class_name.clone(),
                "timestamp" => self.engine.env.now().as_second(),
                "pid" => i64::from(pid),
                "cmd" => command.as_str(),
            }
        };
        self.engine
            .happened("core.st2.sensor.process_spawn", payload)
            .await;
    }

    async fn exited(&self, status: Option<i32>) {
        let payload = || {
            dict! {
                "id" => self.class_name.clone(),
                "timestamp" => self.engine.env.now().as_second(),
                "exit_code" => status.map(i64::from),
            }
        };
        self.engine
            .happened("core.st2.sensor.process_exit", payload)
            .await;
    }
}

/// The datastore for sensors: system scope.
pub(super) struct Keys {
    pub(super) engine: Arc<Engine>,
}

fn failed(error: &dyn std::error::Error) -> DatastoreError {
    DatastoreError {
        reason: super::chain(error),
    }
}

fn key_of(name: &str) -> Str {
    Str::from(Datastore::key_of(&KeyScope::System, name))
}

#[async_trait]
impl squall_sensors::Datastore for Keys {
    async fn get(&self, name: &str, decrypt: bool) -> Result<Option<Value>, DatastoreError> {
        // From the store and not from the copy in memory: another server may have written it.
        let now = self.engine.env.now();
        let document = self
            .engine
            .store
            .document(DocumentKind::Key, &key_of(name), now)
            .await
            .map_err(|error| failed(&error))?;
        let Some(document) = document else {
            return Ok(None);
        };
        let value = document.body.get("value").cloned().unwrap_or_default();
        match value.as_str() {
            Some(text) if decrypt && is_secret(&document) => self
                .engine
                .datastore
                .decrypt(text)
                .map(|text| Some(Value::from(text)))
                .map_err(|error| DatastoreError {
                    reason: error.message,
                }),
            _ => Ok(Some(value)),
        }
    }

    async fn set(&self, write: KeyWrite) -> Result<(), DatastoreError> {
        let value = if write.encrypt {
            let sealed = self.engine.datastore.encrypt(&write.value);
            Str::from(sealed.map_err(|error| DatastoreError {
                reason: format!("`{}` was not written: {}", write.name, error.message),
            })?)
        } else {
            write.value
        };
        let expires = match write.ttl_seconds {
            None => None,
            Some(seconds) => self
                .engine
                .env
                .now()
                .checked_add(Duration::from_secs(seconds))
                .ok(),
        };
        let change = Change::Put {
            kind: DocumentKind::Key,
            key: key_of(&write.name),
            pack: None,
            body: dict! { "name" => write.name, "value" => value, "secret" => write.encrypt },
            expires,
            new: false,
        };
        let put = self.engine.change(vec![change]).await;
        put.map(drop).map_err(|error| failed(&error))
    }

    async fn delete(&self, name: &str) -> Result<bool, DatastoreError> {
        let change = Change::Delete {
            kind: DocumentKind::Key,
            key: key_of(name),
        };
        match self.engine.change(vec![change]).await {
            Ok(_) => Ok(true),
            Err(PutError::Missing { .. }) => Ok(false),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn list(&self, listing: &KeyListing) -> Result<Vec<Value>, DatastoreError> {
        let prefix = listing.prefix.as_deref().unwrap_or_default();
        let filter = DocumentFilter {
            pack: None,
            key_prefix: Some(key_of(prefix)),
        };
        let page = Page {
            offset: listing.offset,
            limit: listing.limit.unwrap_or(KEYS_MAX),
        };
        let now = self.engine.env.now();
        let found = self
            .engine
            .store
            .documents(DocumentKind::Key, &filter, page, now)
            .await;
        let found = found.map_err(|error| failed(&error))?;
        Ok(found.items.iter().map(|item| item_shown(item)).collect())
    }
}
