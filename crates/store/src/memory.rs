//! The store that keeps everything in memory, for tests, for the simulation and for trying things
//! out. It keeps every promise of the port but one: nothing survives the process.

mod state;

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use squall_model::{
    AuditRecord, Document, DocumentKind, Enforcement, EnforcementId, Execution, ExecutionId, Lease,
    OutputChunk, Payload, RawId, Timestamp, TriggerInstance, TriggerInstanceId,
};
use squall_value::Str;
use tokio::sync::broadcast;

use crate::decide::{self, Overlay};
use crate::{
    AuditFilter, Change, CommitError, Committed, DocumentFilter, EnforcementFilter, Error,
    ExecutionFilter, Listing, Page, Purge, Server, Store, Subscription, Transaction,
    TriggerInstanceFilter,
};

use state::State;

/// How many commits a subscriber may fall behind before it is told to read from the store.
pub const BACKLOG: usize = 4096;

/// A store in memory: ordered maps behind one lock.
///
/// A transaction is decided on an overlay first and applied only when all of it holds, so there is
/// never anything to undo.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    feed: broadcast::Sender<Arc<Vec<Change>>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> MemoryStore {
        MemoryStore {
            state: Mutex::default(),
            feed: broadcast::Sender::new(BACKLOG),
        }
    }
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::new()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let mut state = self.state.lock();
        let mut changes = Overlay::new().decide(&mut &*state, &transaction)?.changes;
        for command in transaction.commands {
            state.apply(command);
        }
        let position = state.record(&mut changes);
        if position > 0 {
            // Under the lock, so that the order of the feed is the order of commits. An error only
            // says that nobody listens.
            let _ = self.feed.send(Arc::new(changes));
        }
        Ok(Committed { position })
    }

    fn subscribe(&self) -> Subscription {
        Subscription::new(self.feed.subscribe())
    }

    async fn changes_after(&self, position: u64, limit: usize) -> Result<Vec<Change>, Error> {
        Ok(self.state.lock().changes_after(position, limit))
    }

    async fn change_bounds(&self) -> Result<(u64, u64), Error> {
        Ok(self.state.lock().change_bounds())
    }

    async fn register_server(
        &self,
        name: &str,
        boot: &str,
        until: Timestamp,
    ) -> Result<Server, Error> {
        Ok(self.state.lock().register_server(name, boot, until))
    }

    async fn renew_server(
        &self,
        lease: Lease,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Error> {
        Ok(self.state.lock().renew_server(lease, now, until))
    }

    async fn retire_server(&self, lease: Lease) -> Result<(), Error> {
        self.state.lock().servers.remove(&lease);
        Ok(())
    }

    async fn servers(&self) -> Result<Vec<Server>, Error> {
        Ok(self.state.lock().servers.values().cloned().collect())
    }

    async fn execution(&self, id: ExecutionId) -> Result<Option<Arc<Execution>>, Error> {
        Ok(self.state.lock().executions.get(&id).cloned())
    }

    async fn executions(
        &self,
        filter: &ExecutionFilter,
        page: Page,
    ) -> Result<Listing<Arc<Execution>>, Error> {
        Ok(self.state.lock().list_executions(filter, page))
    }

    async fn unfinished(
        &self,
        after: Option<ExecutionId>,
        limit: usize,
    ) -> Result<Vec<Arc<Execution>>, Error> {
        Ok(self.state.lock().list_unfinished(after, limit))
    }

    async fn children(&self, parent: ExecutionId) -> Result<Vec<Arc<Execution>>, Error> {
        Ok(self.state.lock().list_children(parent))
    }

    async fn child_ids(
        &self,
        parents: &[ExecutionId],
    ) -> Result<Vec<(ExecutionId, ExecutionId)>, Error> {
        Ok(self.state.lock().list_child_ids(parents))
    }

    async fn result(&self, id: ExecutionId) -> Result<Option<Payload>, Error> {
        Ok(self.state.lock().results.get(&id).cloned())
    }

    async fn results(&self, ids: &[ExecutionId]) -> Result<Vec<(ExecutionId, Payload)>, Error> {
        let state = self.state.lock();
        let found = ids
            .iter()
            .filter_map(|id| Some((*id, state.results.get(id)?.clone())));
        Ok(found.collect())
    }

    async fn pieces(&self, id: ExecutionId) -> Result<Vec<(u64, Str)>, Error> {
        let state = self.state.lock();
        Ok(state.pieces.get(&id).cloned().unwrap_or_default())
    }

    async fn output(
        &self,
        id: ExecutionId,
        first: u64,
        limit: usize,
    ) -> Result<Vec<OutputChunk>, Error> {
        let state = self.state.lock();
        let chunks = state.output.get(&id).map_or(&[][..], Vec::as_slice);
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        Ok(chunks.iter().skip(first).take(limit).cloned().collect())
    }

    async fn trigger_instance(
        &self,
        id: TriggerInstanceId,
    ) -> Result<Option<Arc<TriggerInstance>>, Error> {
        Ok(self.state.lock().trigger_instances.get(&id).cloned())
    }

    async fn trigger_instances(
        &self,
        filter: &TriggerInstanceFilter,
        page: Page,
    ) -> Result<Listing<Arc<TriggerInstance>>, Error> {
        Ok(self.state.lock().list_trigger_instances(filter, page))
    }

    async fn pending_trigger_instances(
        &self,
        limit: usize,
    ) -> Result<Vec<Arc<TriggerInstance>>, Error> {
        Ok(self.state.lock().list_pending(limit))
    }

    async fn enforcement(&self, id: EnforcementId) -> Result<Option<Arc<Enforcement>>, Error> {
        Ok(self.state.lock().enforcements.get(&id).cloned())
    }

    async fn enforcements(
        &self,
        filter: &EnforcementFilter,
        page: Page,
    ) -> Result<Listing<Arc<Enforcement>>, Error> {
        Ok(self.state.lock().list_enforcements(filter, page))
    }

    async fn document(
        &self,
        kind: DocumentKind,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<Document>>, Error> {
        let state = self.state.lock();
        let document = state.documents.get(&(kind, Arc::from(key)));
        Ok(document
            .filter(|document| decide::is_live(document, now))
            .cloned())
    }

    async fn document_by_id(
        &self,
        kind: DocumentKind,
        id: RawId,
        now: Timestamp,
    ) -> Result<Option<Arc<Document>>, Error> {
        let state = self.state.lock();
        let key = state.document_ids.get(&(kind, id)).cloned();
        let document = key.and_then(|key| state.documents.get(&(kind, key)));
        Ok(document
            .filter(|document| decide::is_live(document, now))
            .cloned())
    }

    async fn documents(
        &self,
        kind: DocumentKind,
        filter: &DocumentFilter,
        page: Page,
        now: Timestamp,
    ) -> Result<Listing<Arc<Document>>, Error> {
        Ok(self.state.lock().list_documents(kind, filter, page, now))
    }

    async fn content(&self, hash: &str) -> Result<Option<Str>, Error> {
        Ok(self.state.lock().contents.get(hash).cloned())
    }

    async fn audit(
        &self,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Listing<Arc<AuditRecord>>, Error> {
        Ok(self.state.lock().list_audit(filter, page))
    }

    async fn purge(&self, purge: Purge) -> Result<u64, Error> {
        Ok(self.state.lock().purge(purge) as u64)
    }
}
