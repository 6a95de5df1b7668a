//! The port to durable state.
//!
//! All change goes through [`Store::commit`]: a [`Transaction`] is a list of [`Command`]s that holds
//! wholly or not at all. Every command is conditional by itself: it names the revision it was
//! decided on, and is refused when somebody else was quicker. So callers never hold a lock or an
//! open transaction, and a back end is free to gather what arrived while the last commit was under
//! way into one (group commit). A refused transaction never fails its neighbours.
//!
//! What [`Store::commit`] acknowledged is durable: it survives the death of the process and the
//! loss of power.
//!
//! Every change is also a [`Change`] in the feed, written in the same transaction and numbered
//! without gaps in the order of commits, so that a reader who remembers the last position it saw
//! misses nothing.

pub mod audit;
mod change;
pub mod codec;
mod command;
pub mod contract;
pub mod decide;
mod memory;
pub mod migrate;
mod query;
pub mod sql;
pub mod tally;
pub mod visible;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use squall_model::{
    AuditRecord, Document, DocumentKind, Enforcement, EnforcementId, Execution, ExecutionId, Lease,
    OutputChunk, Payload, RawId, Timestamp, TriggerInstance, TriggerInstanceId,
};
use squall_value::Str;

pub use change::{Change, Operation, Record, Subject, Subscription};
pub use command::{Command, CommitError, Committed, Refusal, Transaction};
pub use memory::{BACKLOG, MemoryStore};
pub use query::{
    AuditFilter, DocumentFilter, EnforcementFilter, ExecutionFilter, ExecutionOrder, Listing, Page,
    ParentFilter, Purge, RuleVisibility, TriggerInstanceFilter, Visibility,
};

/// The store could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The back end failed; the same call may succeed later.
    #[error("the store did not answer: {0}")]
    Unavailable(String),
    /// What was read is not what was written.
    #[error("the store holds a damaged record: {0}")]
    Damaged(String),
    /// The store was written by a newer program, or is not a store of Squall.
    #[error("the store cannot be used: {0}")]
    Unusable(String),
}

/// A server that takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The number of this incarnation; no two starts share one.
    pub lease: Lease,
    /// A name for people: host and process.
    pub name: Str,
    /// The boot of the machine it runs on.
    pub boot: Str,
    /// Until when it is taken to be alive.
    pub until: Timestamp,
}

/// Durable state. Implementations are cheap to share and safe to call from many tasks.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// Carries out a transaction; returns when it is durable.
    ///
    /// # Errors
    ///
    /// [`CommitError::Refused`] when a condition did not hold: nothing of it was done.
    /// [`CommitError::Store`] when the back end failed: it may have been done or not, and the
    /// caller finds out by reading, or by trying again what can only be done once.
    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError>;

    /// All changes from now on. A subscriber that falls too far behind is told so and reads on from
    /// [`Store::changes_after`].
    fn subscribe(&self) -> Subscription;

    /// Changes with a position greater than `position`, oldest first, at most `limit`. Records are
    /// not included: read them.
    async fn changes_after(&self, position: u64, limit: usize) -> Result<Vec<Change>, Error>;

    /// The oldest and the newest position that the feed still holds; both 0 when it is empty.
    async fn change_bounds(&self) -> Result<(u64, u64), Error>;

    /// Enters a server that starts; `until` as in [`Server`].
    async fn register_server(
        &self,
        name: &str,
        boot: &str,
        until: Timestamp,
    ) -> Result<Server, Error>;

    /// Keeps a server's entry alive. `false` when it was already taken for dead: the server must
    /// stop what it runs.
    async fn renew_server(
        &self,
        lease: Lease,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Error>;

    /// Ends a server's entry: at its orderly stop, or when it is known to be gone.
    async fn retire_server(&self, lease: Lease) -> Result<(), Error>;

    /// All servers that are entered, dead ones included.
    async fn servers(&self) -> Result<Vec<Server>, Error>;

    /// One execution.
    async fn execution(&self, id: ExecutionId) -> Result<Option<Arc<Execution>>, Error>;

    /// Executions that satisfy the filter, and how many there are in all.
    async fn executions(
        &self,
        filter: &ExecutionFilter,
        page: Page,
    ) -> Result<Listing<Arc<Execution>>, Error>;

    /// Executions that have not ended, by id, from after `after` on, at most `limit`.
    async fn unfinished(
        &self,
        after: Option<ExecutionId>,
        limit: usize,
    ) -> Result<Vec<Arc<Execution>>, Error>;

    /// All direct children of an execution, by id.
    async fn children(&self, parent: ExecutionId) -> Result<Vec<Arc<Execution>>, Error>;

    /// The direct children of some executions, each behind its parent, by id.
    async fn child_ids(
        &self,
        parents: &[ExecutionId],
    ) -> Result<Vec<(ExecutionId, ExecutionId)>, Error>;

    /// The result of an execution that has one.
    async fn result(&self, id: ExecutionId) -> Result<Option<Payload>, Error>;

    /// The results of several executions, for those that have one.
    async fn results(&self, ids: &[ExecutionId]) -> Result<Vec<(ExecutionId, Payload)>, Error>;

    /// The state pieces of a workflow execution with their numbers, in order.
    async fn pieces(&self, id: ExecutionId) -> Result<Vec<(u64, Str)>, Error>;

    /// Output chunks of an execution from number `first` on, at most `limit`. Chunks are numbered
    /// from 0.
    async fn output(
        &self,
        id: ExecutionId,
        first: u64,
        limit: usize,
    ) -> Result<Vec<OutputChunk>, Error>;

    /// One event.
    async fn trigger_instance(
        &self,
        id: TriggerInstanceId,
    ) -> Result<Option<Arc<TriggerInstance>>, Error>;

    /// Events that satisfy the filter.
    async fn trigger_instances(
        &self,
        filter: &TriggerInstanceFilter,
        page: Page,
    ) -> Result<Listing<Arc<TriggerInstance>>, Error>;

    /// Events that are not matched yet, oldest first, at most `limit`.
    async fn pending_trigger_instances(
        &self,
        limit: usize,
    ) -> Result<Vec<Arc<TriggerInstance>>, Error>;

    /// One enforcement.
    async fn enforcement(&self, id: EnforcementId) -> Result<Option<Arc<Enforcement>>, Error>;

    /// Enforcements that satisfy the filter.
    async fn enforcements(
        &self,
        filter: &EnforcementFilter,
        page: Page,
    ) -> Result<Listing<Arc<Enforcement>>, Error>;

    /// One document by its key. Expired ones are not found.
    async fn document(
        &self,
        kind: DocumentKind,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<Document>>, Error>;

    /// One document by its id. Expired ones are not found.
    async fn document_by_id(
        &self,
        kind: DocumentKind,
        id: RawId,
        now: Timestamp,
    ) -> Result<Option<Arc<Document>>, Error>;

    /// Documents of a kind that satisfy the filter, by key. Expired ones are not found.
    async fn documents(
        &self,
        kind: DocumentKind,
        filter: &DocumentFilter,
        page: Page,
        now: Timestamp,
    ) -> Result<Listing<Arc<Document>>, Error>;

    /// A text that was kept under its hash.
    async fn content(&self, hash: &str) -> Result<Option<Str>, Error>;

    /// Entries of the audit record that satisfy the filter, by their times and numbers, newest
    /// first unless the filter says otherwise.
    async fn audit(
        &self,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Listing<Arc<AuditRecord>>, Error>;

    /// Removes old records, at most as many as the purge says, and returns how many went. Nothing
    /// that an unfinished execution needs is removed.
    ///
    /// The count is of what the purge limits: trees, executions whose output went, events, changes,
    /// entries of the audit record, keys and documents. What goes by age makes no change in the feed.
    async fn purge(&self, purge: Purge) -> Result<u64, Error>;

    /// Ends the store's own work in an orderly way: what was handed in is carried out, files and
    /// connections are closed. Every call that comes later fails with [`Error::Unavailable`] where
    /// there is something to close.
    async fn close(&self) {}
}
