//! Keys in etcd: an event for every change of a key that begins with a prefix.
//!
//! The source watches from the revision behind its position, so no change is missed while nobody
//! looks. etcd keeps a bounded history: when the position lies before it, the source lists all keys
//! once, tells those that changed since, and says in every such event that others may be missing.

mod client;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use squall_env::Env;
use squall_value::{Dict, Str, Value, dict};

use crate::event::{DispatchError, Event, Position, Sink};
use crate::native::{Source, StepError};
use client::{Change, Client, Entry, Message, Watch, encode, text};

/// The trigger type of the events.
pub const KEY_CHANGED: &str = "core.etcd.key_changed";

/// Keys that one source lists at most.
const KEYS_MAX: usize = 200_000;

/// etcd tells its progress every ten minutes; a watch that is silent for longer is dead.
const SILENCE_MAX: Duration = Duration::from_secs(15 * 60);

/// Which keys to watch, and where.
#[derive(Clone)]
pub struct Settings {
    /// The address of a server: scheme, host and port.
    pub endpoint: String,
    /// Keys that begin so are watched; all of them when it is empty.
    pub prefix: String,
    /// Name and password, where etcd asks for them.
    pub user: Option<(String, String)>,
    /// More certificates to trust, as PEM.
    pub ca_file: Option<PathBuf>,
}

/// Why a step failed. The next one may succeed; nothing was lost.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file with certificates cannot be used.
    #[error("the certificates in {} can't be used: {reason}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// etcd could not be reached, or the connection broke.
    #[error("etcd does not answer")]
    Request(#[source] reqwest::Error),
    /// It took too long.
    #[error("etcd did not answer within {0:?}")]
    Timeout(Duration),
    /// etcd said no.
    #[error("etcd refused with status {status}: {message}")]
    Refused {
        /// The status of the response.
        status: u16,
        /// What it said.
        message: String,
    },
    /// etcd ended the watch.
    #[error("etcd ended the watch: {0}")]
    Canceled(String),
    /// The connection of a watch was closed.
    #[error("the connection to etcd was closed")]
    Closed,
    /// An answer is not what etcd says it is.
    #[error("etcd's answer can't be read: {0}")]
    Answer(String),
    /// The prefix covers too much.
    #[error("more than {0} keys begin with this prefix; watch a longer one")]
    TooManyKeys(usize),
    /// The event was not accepted.
    #[error("an event was not accepted")]
    Dispatch(#[from] DispatchError),
}

/// Watches one prefix.
pub struct KeySource {
    client: Client,
    env: Arc<dyn Env>,
    sink: Arc<dyn Sink>,
    /// The name of its position.
    name: Str,
    /// Everything up to this revision was told.
    seen: Option<i64>,
    /// Tells stores apart that count from the beginning at the same address: the time at which
    /// this source saw the store first.
    epoch: i64,
    watch: Option<Watch>,
}

impl KeySource {
    /// A source that continues at `position`, its last one; without one it begins with the next
    /// change.
    ///
    /// # Errors
    ///
    /// [`Error::Certificates`] or [`Error::Request`] when there can be no client with these
    /// settings.
    pub fn new(
        name: Str,
        settings: Settings,
        position: Option<&Value>,
        env: Arc<dyn Env>,
        sink: Arc<dyn Sink>,
    ) -> Result<KeySource, Error> {
        let number = |name| position.and_then(|position| position.get(name)?.as_int());
        let (seen, epoch) = (number("revision"), number("epoch"));
        Ok(KeySource {
            client: Client::new(settings, Arc::clone(&env))?,
            epoch: epoch.unwrap_or_else(|| env.now().as_microsecond()),
            env,
            sink,
            name,
            seen,
            watch: None,
        })
    }

    async fn advance(&mut self) -> Result<(), Error> {
        if self.watch.is_none() {
            self.watch = Some(self.connect().await?);
            return Ok(());
        }
        let Some(watch) = &mut self.watch else {
            return Ok(());
        };
        let message = tokio::select! {
            message = watch.next() => message?,
            () = self.env.sleep(SILENCE_MAX) => return Err(Error::Timeout(SILENCE_MAX)),
        };
        match message {
            Message::Changes { revision, changes } => self.tell(revision, changes).await,
            Message::Canceled(reason) => Err(Error::Canceled(reason)),
            Message::Compacted => {
                self.watch = None;
                self.relist().await
            }
        }
    }

    /// Opens a watch behind what was told.
    async fn connect(&mut self) -> Result<Watch, Error> {
        self.client.log_in().await?;
        let now = self.client.revision().await?;
        match self.seen {
            None => self.settle(now).await?,
            // A store that was made anew counts from the beginning; what was told of the former
            // one says nothing about it.
            Some(seen) if seen > now => {
                self.epoch = self.env.now().as_microsecond();
                self.settle(0).await?;
                self.relist().await?;
            }
            Some(_) => {}
        }
        self.client.watch(self.seen.unwrap_or(now) + 1).await
    }

    async fn tell(&mut self, revision: i64, changes: Vec<Change>) -> Result<(), Error> {
        let seen = self.seen.unwrap_or(0);
        // Only a message without changes tells progress: one with changes bears the revision of
        // the store, while further changes up to it are still to come.
        let is_progress = changes.is_empty();
        let changes: Vec<_> = changes
            .into_iter()
            .filter(|change| change.entry.modified > seen)
            .collect();
        for (index, change) in changes.iter().enumerate() {
            let done = change.entry.modified;
            // A revision is told when all of its changes are.
            let next = changes.get(index + 1);
            let told = match next {
                Some(next) if next.entry.modified == done => done - 1,
                _ => done,
            };
            self.dispatch(&change.entry, change.is_deletion, false, told)
                .await?;
        }
        if is_progress && revision > self.seen.unwrap_or(0) {
            self.settle(revision).await?;
        }
        Ok(())
    }

    /// Tells what is there now and was changed since, for want of a history.
    async fn relist(&mut self) -> Result<(), Error> {
        let seen = self.seen.unwrap_or(0);
        let (revision, mut entries) = self.client.list(KEYS_MAX).await?;
        entries.retain(|entry| entry.modified > seen);
        entries.sort_by_key(|entry| entry.modified);
        tracing::warn!(
            source = &*self.name,
            from = seen,
            to = revision,
            changed = entries.len(),
            "etcd has thrown its history away; the keys were listed, and deletions may be missed"
        );
        for entry in &entries {
            // The place stays where it was until all are told: a repetition is known by its key.
            self.dispatch(entry, false, true, seen).await?;
        }
        self.settle(revision).await
    }

    async fn settle(&mut self, revision: i64) -> Result<(), Error> {
        self.sink.advance(self.position(revision)).await?;
        self.seen = Some(revision);
        Ok(())
    }

    fn position(&self, revision: i64) -> Position {
        Position {
            source: self.name.clone(),
            value: dict! { "revision" => revision, "epoch" => self.epoch },
        }
    }

    async fn dispatch(
        &mut self,
        entry: &Entry,
        is_deletion: bool,
        relisted: bool,
        told: i64,
    ) -> Result<(), Error> {
        let key = encode(&entry.key);
        let event = Event {
            trigger: KEY_CHANGED.into(),
            parameters: None,
            payload: payload(entry, is_deletion, relisted, self.seen),
            trace_tag: None,
            dedupe_key: Some(format!("{}:{}:{key}", self.epoch, entry.modified).into()),
            position: Some(self.position(told)),
            occurred_at: self.env.now(),
        };
        self.sink.dispatch(event).await?;
        if !relisted {
            self.seen = Some(told);
        }
        Ok(())
    }
}

fn payload(entry: &Entry, is_deletion: bool, relisted: bool, seen: Option<i64>) -> Value {
    let is_new = if relisted {
        entry.created > seen.unwrap_or(0)
    } else {
        entry.created == entry.modified
    };
    let change = match (is_deletion, is_new) {
        (true, _) => "deleted",
        (false, true) => "created",
        (false, false) => "modified",
    };
    let mut payload = Dict::new();
    payload.insert("key", String::from_utf8_lossy(&entry.key).into_owned());
    payload.insert("change", change);
    match text(&entry.value).filter(|_| !is_deletion) {
        Some(text) => payload.insert("value", text),
        None => payload.insert("value", Value::Null),
    };
    if !is_deletion && text(&entry.value).is_none() {
        payload.insert("value_base64", encode(&entry.value));
    }
    payload.insert("revision", entry.modified);
    payload.insert("relisted", relisted);
    Value::from(payload)
}

#[async_trait]
impl Source for KeySource {
    async fn step(&mut self) -> Result<(), StepError> {
        match self.advance().await {
            Ok(()) => Ok(()),
            Err(error) => {
                // Whatever it was, the next step begins with a new connection.
                self.watch = None;
                Err(match error {
                    Error::Dispatch(error) => error.into(),
                    error => StepError::of(&error),
                })
            }
        }
    }
}
