//! Definitions that another server on the same store has changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use squall_model::DocumentKind;
use squall_store::{Change, Operation, Record, Subject};
use squall_value::Str;
use tokio::sync::broadcast::error::RecvError;

use crate::Engine;
use crate::register::{Applied, CATALOGUED};

/// From how many changed documents on all definitions are read instead of each for itself.
const MANY: usize = 200;

/// How long a store that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(1);

impl Engine {
    /// Puts in force what other servers change, until the store is closed. Run it once, beside an
    /// engine that shares its store.
    pub async fn follow_definitions(self: Arc<Engine>) {
        let mut feed = self.store.subscribe();
        // What was changed between the reading at the start and this moment is in no message.
        let mut changes = None;
        loop {
            while let Err(error) = self.refresh(changes.as_deref().map(Vec::as_slice)).await {
                tracing::warn!(%error, "definitions that another server changed could not be read");
                self.env.sleep(PAUSE).await;
            }
            changes = match feed.recv().await {
                Ok(changes) => Some(changes),
                Err(RecvError::Lagged(_)) => None,
                Err(RecvError::Closed) => return,
            };
        }
    }

    /// Puts in force what the store has of the documents that these changes concern; `None` for all
    /// that there are.
    async fn refresh(
        self: &Arc<Engine>,
        changes: Option<&[Change]>,
    ) -> Result<(), squall_store::Error> {
        if changes.is_some_and(|changes| !changes.iter().any(is_followed)) {
            return Ok(());
        }
        // A change that is made here meanwhile would be undone by what was read before it.
        let _guard = self.registering.lock().await;
        let stale = changes.map(|changes| self.stale(changes));
        let Some(stale) = stale.filter(|stale| stale.len() < MANY) else {
            let before = self.catalog();
            self.reload().await?;
            self.revise_gates(&before);
            return Ok(());
        };
        let now = self.env.now();
        let mut effects = Vec::with_capacity(stale.len());
        for ((_, key), kind) in stale {
            effects.push(match self.store.document(kind, &key, now).await? {
                Some(document) => Applied::Put(document),
                None => Applied::Deleted(kind, key),
            });
        }
        self.put_in_force(&effects);
        Ok(())
    }

    /// The documents of which these changes tell something that is not in force here.
    fn stale(&self, changes: &[Change]) -> BTreeMap<(&'static str, Str), DocumentKind> {
        let stale = changes.iter().filter_map(|change| match &change.subject {
            Subject::Document { kind, key, .. }
                if is_followed(change) && !self.is_in_force(change, *kind, key) =>
            {
                Some(((kind.as_str(), key.clone()), *kind))
            }
            _ => None,
        });
        stale.collect()
    }

    /// Whether a change is in force already: most likely because it was made here.
    fn is_in_force(&self, change: &Change, kind: DocumentKind, key: &str) -> bool {
        let catalog = self.catalog();
        let known = match kind {
            DocumentKind::Key => self.datastore.document(key),
            DocumentKind::Action => catalog.action(key).map(|found| Arc::clone(&found.document)),
            DocumentKind::Rule => catalog.rule(key).cloned(),
            // The others change seldom, and their documents are not kept.
            _ => return false,
        };
        match (change.operation, known, &change.record) {
            (Operation::Deleted, known, _) => known.is_none(),
            (_, Some(known), Some(Record::Document(document))) => {
                known.id == document.id && known.revision >= document.revision
            }
            _ => false,
        }
    }
}

/// Whether a change concerns a document that is kept in memory, or read by whoever follows
/// [`Engine::definition_changes`].
fn is_followed(change: &Change) -> bool {
    match change.subject {
        Subject::Document { kind, .. } => {
            matches!(kind, DocumentKind::Key | DocumentKind::Sensor) || CATALOGUED.contains(&kind)
        }
        _ => false,
    }
}
