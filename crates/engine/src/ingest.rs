//! The ingest stage: something happened, and it becomes an event that is never lost.
//!
//! Nothing has to wait here as a rule, so one commit takes an event from the door to the executions
//! that answer it: the event, an enforcement for each rule that matches, and each one's execution.

use std::sync::Arc;
use std::time::Duration;

use squall_env::fresh_id;
use squall_model::{
    Document, DocumentKind, ExecutionId, RawId, Timestamp, TriggerInstance, TriggerInstanceId,
    TriggerInstanceStatus, TriggerRef,
};
use squall_store::audit::Scope;
use squall_store::{Command, CommitError, Refusal};
use squall_value::{Str, Value, dict};

use crate::plan::Plan;
use crate::{Catalog, Engine};

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The trigger: the reference of a type, or of a trigger made of one.
    pub trigger: Str,
    /// What the source tells; a dictionary.
    pub payload: Value,
    /// When it happened, if the source knows.
    pub occurred: Option<Timestamp>,
    /// The trace it belongs to.
    pub trace_tag: Option<Str>,
    /// Two events of one trigger with the same key within 24 hours are one event.
    pub dedupe_key: Option<Str>,
    /// Where a native source stands once this event is accepted: its name and its place.
    pub position: Option<(Str, Value)>,
    /// The execution that emitted it.
    pub source_execution: Option<ExecutionId>,
    /// The lease under which its source runs: refused when another server holds it now.
    pub lease: Option<Str>,
    /// Whether a payload that does not fit the trigger type's schema is refused (what people send)
    /// or let through with a warning.
    pub strict: bool,
}

impl Incoming {
    /// A plain event.
    #[must_use]
    pub fn new(trigger: impl Into<Str>, payload: Value) -> Incoming {
        Incoming {
            trigger: trigger.into(),
            payload,
            occurred: None,
            trace_tag: None,
            dedupe_key: None,
            position: None,
            source_execution: None,
            lease: None,
            strict: true,
        }
    }
}

/// The engine's word that an event is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The event; the first one, when it was sent before.
    pub id: TriggerInstanceId,
    /// Whether it was sent before.
    pub duplicate: bool,
}

/// Why an event is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such trigger.
    #[error("no trigger or trigger type `{0}` is registered")]
    UnknownTrigger(Str),
    /// The payload is not what the type's schema asks for.
    #[error("the payload for `{trigger}` does not fit its schema: {reason}")]
    InvalidPayload {
        /// The trigger.
        trigger: Str,
        /// What does not fit.
        reason: squall_schema::Invalid,
    },
    /// The payload is too large.
    #[error(
        "the payload for `{trigger}` has more than the {bytes_max} bytes that are accepted; send a reference to the data instead"
    )]
    TooLarge {
        /// The trigger.
        trigger: Str,
        /// The limit.
        bytes_max: usize,
    },
    /// The server is about to stop.
    #[error("the server is stopping and takes no new events")]
    Stopping,
    /// The store failed, or another server has this source now.
    #[error("the event could not be stored")]
    Store(#[from] CommitError),
}

impl Engine {
    /// Accepts an event. Returns when it is durable, and with it its position and the executions
    /// that answer it.
    ///
    /// # Errors
    ///
    /// [`Error`]; nothing was stored then, unless the store itself failed, which a `dedupe_key`
    /// makes harmless to repeat.
    pub async fn accept(self: &Arc<Engine>, incoming: Incoming) -> Result<Receipt, Error> {
        if self.is_stopping() {
            return Err(Error::Stopping);
        }
        let catalog = self.catalog();
        let trigger = self.check(&catalog, &incoming)?;
        let now = self.env.now();
        let id: TriggerInstanceId = fresh_id(&*self.env);
        let mut plan = Plan::default();
        plan.commands
            .extend(self.fence(incoming.lease.as_ref(), now));
        if let Some(key) = &incoming.dedupe_key {
            let expires = now
                .checked_add(self.settings.dedupe)
                .unwrap_or(Timestamp::MAX);
            let key = Str::from(format!("event {trigger} {key}"));
            plan.push(Command::Remember {
                key,
                id: id.cast(),
                expires,
            });
        }
        if let Some((source, place)) = &incoming.position {
            let command = self.position_command(source, place, now).await?;
            plan.push(command);
        }
        let mut instance = TriggerInstance {
            id,
            trigger,
            payload: incoming.payload,
            occurred: incoming.occurred.unwrap_or(now),
            status: TriggerInstanceStatus::Processed,
            trace_tag: incoming.trace_tag,
            source_execution: incoming.source_execution,
            sender: Scope::current().map(|scope| Arc::new(scope.author())),
        };
        let matched = self.match_event(&catalog, &instance);
        // Rules have seen the payload as it came; it is kept with its secrets sealed.
        if let Some(sealed) = self.sealed_payload(&catalog, &instance) {
            instance.payload = sealed;
        }
        plan.push(Command::InsertTriggerInstance(Arc::new(instance)));
        self.enforce(matched, now, &mut plan);
        match self.carry_out(plan).await {
            Ok(()) => Ok(Receipt {
                id,
                duplicate: false,
            }),
            Err(CommitError::Refused {
                refusal: Refusal::Duplicate(first),
                ..
            }) => Ok(Receipt {
                id: first.cast(),
                duplicate: true,
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Remembers where a native source stands, without an event.
    ///
    /// # Errors
    ///
    /// [`Error::Store`]; nothing was stored.
    pub async fn advance_source(&self, source: &str, place: &Value) -> Result<(), Error> {
        self.advance_held(source, place, None).await
    }

    /// Like [`Engine::advance_source`], refused when another server holds the lease now.
    pub(crate) async fn advance_held(
        &self,
        source: &str,
        place: &Value,
        lease: Option<&Str>,
    ) -> Result<(), Error> {
        let now = self.env.now();
        let mut commands = Vec::from_iter(self.fence(lease, now));
        commands.push(self.position_command(source, place, now).await?);
        self.commit(commands).await.map_err(Error::from)
    }

    /// What makes a transaction hold only while this server holds the lease.
    fn fence(&self, lease: Option<&Str>, now: Timestamp) -> Option<Command> {
        let until = now.checked_add(self.settings.lease);
        lease.map(|name| Command::HoldLease {
            name: name.clone(),
            holder: self.lease,
            until: until.unwrap_or(Timestamp::MAX),
        })
    }

    /// Forgets where a native source stood, so that it begins anew.
    pub(crate) async fn forget_position(&self, source: &str) -> Result<(), Error> {
        let now = self.env.now();
        let known = self
            .store
            .document(DocumentKind::Position, source, now)
            .await;
        let Some(known) = known.map_err(CommitError::from)? else {
            return Ok(());
        };
        let command = Command::DeleteDocument {
            kind: DocumentKind::Position,
            key: known.key.clone(),
            from: known.revision,
        };
        self.commit(vec![command]).await.map_err(Error::from)
    }

    /// Where a native source stands.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn source_position(
        &self,
        source: &str,
    ) -> Result<Option<Value>, squall_store::Error> {
        let document = self
            .store
            .document(DocumentKind::Position, source, self.env.now())
            .await?;
        Ok(document.and_then(|document| document.body.get("place").cloned()))
    }

    async fn position_command(
        &self,
        source: &str,
        place: &Value,
        now: Timestamp,
    ) -> Result<Command, Error> {
        let known = self
            .store
            .document(DocumentKind::Position, source, now)
            .await;
        let known = known.map_err(CommitError::from)?;
        let id: RawId = known
            .as_ref()
            .map_or_else(|| fresh_id(&*self.env), |known| known.id);
        let from = known.as_ref().map(|known| known.revision);
        let document = Document {
            kind: DocumentKind::Position,
            key: Str::from(source),
            id,
            pack: None,
            body: dict! { "place" => place.clone() },
            revision: from.unwrap_or(0) + 1,
            changed: now,
            expires: None,
        };
        Ok(Command::PutDocument {
            document: Arc::new(document),
            from,
        })
    }

    /// The payload with what its type calls secret sealed, if there is anything secret in it.
    fn sealed_payload(&self, catalog: &Catalog, instance: &TriggerInstance) -> Option<Value> {
        let secrets = &catalog.type_of(&instance.trigger)?.secrets;
        let payload = instance.payload.as_dict()?;
        (!secrets.is_open()).then(|| self.vault.seal(payload, secrets))
    }

    /// The payload of an event, secrets opened.
    #[must_use]
    pub fn payload(&self, instance: &TriggerInstance) -> Value {
        match &instance.payload {
            payload @ Value::Dict(_) => Value::from(self.vault.open(payload)),
            other => other.clone(),
        }
    }

    /// Whether the event can be accepted; the trigger it is for.
    fn check(&self, catalog: &Catalog, incoming: &Incoming) -> Result<TriggerRef, Error> {
        let unknown = || Error::UnknownTrigger(incoming.trigger.clone());
        let reference = TriggerRef::parse(&incoming.trigger).map_err(|_| unknown())?;
        let kind = match catalog.trigger(&incoming.trigger) {
            Some(trigger) => catalog.trigger_type(trigger.kind.as_str()),
            None => Some(
                catalog
                    .trigger_type(&incoming.trigger)
                    .ok_or_else(unknown)?,
            ),
        };
        let bytes_max = self.settings.payload_bytes_max;
        if crate::request::weigh(&incoming.payload, bytes_max) > bytes_max {
            return Err(Error::TooLarge {
                trigger: incoming.trigger.clone(),
                bytes_max,
            });
        }
        let payload = kind.and_then(|kind| kind.payload.as_ref());
        if let Some(Err(reason)) = payload.map(|schema| schema.validate(&incoming.payload)) {
            if incoming.strict {
                let trigger = incoming.trigger.clone();
                return Err(Error::InvalidPayload { trigger, reason });
            }
            tracing::warn!(trigger = %incoming.trigger, %reason, "a payload does not fit its schema");
        }
        Ok(reference)
    }
}

/// How long the engine waits between looks at a source of work that failed.
pub(crate) const RETRY: Duration = Duration::from_millis(200);
