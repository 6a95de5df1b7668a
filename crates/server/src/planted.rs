//! Bugs on purpose, so that the crash test can show that it finds them. Only a build with the feature
//! `planted` holds them: none that is shipped.
//!
//! The engine stays as it is; the store between it and the disk breaks its promises.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use squall_env::Env;
use squall_model::{
    AuditRecord, Document, DocumentKind, Enforcement, EnforcementId, Execution, ExecutionId, Lease,
    OutputChunk, Payload, RawId, State, Timestamp, TriggerInstance, TriggerInstanceId,
};
use squall_store::{
    AuditFilter, Change, Command, CommitError, Committed, DocumentFilter, EnforcementFilter, Error,
    ExecutionFilter, Listing, Page, Purge, Server, Store, Subscription, Transaction,
    TriggerInstanceFilter,
};
use squall_value::Str;
use tokio::sync::RwLock;

/// How long a commit is late.
const LATE: Duration = Duration::from_millis(30);

/// What is wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Bug {
    /// The store answers before the commit that puts an execution into `running`, so that its
    /// process starts before the commit does.
    StartBeforeCommit,
    /// Nothing that waits is ever found in the store: what no signal tells of is forgotten.
    SignalAsTruth,
}

/// A store that breaks its promises.
#[derive(Debug)]
pub(crate) struct PlantedStore {
    inner: Arc<dyn Store>,
    env: Arc<dyn Env>,
    bug: Bug,
    /// Held for reading while a commit is late: the others keep their order behind it.
    order: Arc<RwLock<()>>,
}

impl PlantedStore {
    /// Puts `bug` between the engine and its store.
    pub(crate) fn new(inner: Arc<dyn Store>, env: Arc<dyn Env>, bug: Bug) -> Self {
        let order = Arc::default();
        Self {
            inner,
            env,
            bug,
            order,
        }
    }

    async fn commit_late(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        if !starts_a_process(&transaction) {
            let _in_order = self.order.write().await;
            return self.inner.commit(transaction).await;
        }
        let in_order = Arc::clone(&self.order).read_owned().await;
        let (inner, env) = (Arc::clone(&self.inner), Arc::clone(&self.env));
        tokio::spawn(async move {
            env.sleep(LATE).await;
            if let Err(error) = inner.commit(transaction).await {
                tracing::warn!(%error, "a late commit failed");
            }
            drop(in_order);
        });
        Ok(Committed { position: 0 })
    }
}

/// Whether a process follows the commit, and no sender waits for it: an event that is lost would
/// show another bug.
fn starts_a_process(transaction: &Transaction) -> bool {
    let takes_event = |command: &Command| matches!(command, Command::InsertTriggerInstance(_));
    let starts = |command: &Command| match command {
        Command::InsertExecution { execution, .. } | Command::UpdateExecution { execution, .. } => {
            matches!(execution.state(), State::Running { lease } if lease != Lease::NONE)
        }
        _ => false,
    };
    !transaction.commands.iter().any(takes_event) && transaction.commands.iter().any(starts)
}

#[async_trait]
impl Store for PlantedStore {
    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        if self.bug == Bug::StartBeforeCommit {
            return self.commit_late(transaction).await;
        }
        self.inner.commit(transaction).await
    }

    fn subscribe(&self) -> Subscription {
        self.inner.subscribe()
    }

    async fn changes_after(&self, position: u64, limit: usize) -> Result<Vec<Change>, Error> {
        self.inner.changes_after(position, limit).await
    }

    async fn change_bounds(&self) -> Result<(u64, u64), Error> {
        self.inner.change_bounds().await
    }

    async fn register_server(
        &self,
        name: &str,
        boot: &str,
        until: Timestamp,
    ) -> Result<Server, Error> {
        self.inner.register_server(name, boot, until).await
    }

    async fn renew_server(
        &self,
        lease: Lease,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Error> {
        self.inner.renew_server(lease, now, until).await
    }

    async fn retire_server(&self, lease: Lease) -> Result<(), Error> {
        self.inner.retire_server(lease).await
    }

    async fn servers(&self) -> Result<Vec<Server>, Error> {
        self.inner.servers().await
    }

    async fn execution(&self, id: ExecutionId) -> Result<Option<Arc<Execution>>, Error> {
        self.inner.execution(id).await
    }

    async fn executions(
        &self,
        filter: &ExecutionFilter,
        page: Page,
    ) -> Result<Listing<Arc<Execution>>, Error> {
        self.inner.executions(filter, page).await
    }

    async fn unfinished(
        &self,
        after: Option<ExecutionId>,
        limit: usize,
    ) -> Result<Vec<Arc<Execution>>, Error> {
        if self.bug == Bug::SignalAsTruth {
            return Ok(Vec::new());
        }
        self.inner.unfinished(after, limit).await
    }

    async fn children(&self, parent: ExecutionId) -> Result<Vec<Arc<Execution>>, Error> {
        self.inner.children(parent).await
    }

    async fn child_ids(
        &self,
        parents: &[ExecutionId],
    ) -> Result<Vec<(ExecutionId, ExecutionId)>, Error> {
        self.inner.child_ids(parents).await
    }

    async fn result(&self, id: ExecutionId) -> Result<Option<Payload>, Error> {
        self.inner.result(id).await
    }

    async fn results(&self, ids: &[ExecutionId]) -> Result<Vec<(ExecutionId, Payload)>, Error> {
        self.inner.results(ids).await
    }

    async fn pieces(&self, id: ExecutionId) -> Result<Vec<(u64, Str)>, Error> {
        self.inner.pieces(id).await
    }

    async fn output(
        &self,
        id: ExecutionId,
        first: u64,
        limit: usize,
    ) -> Result<Vec<OutputChunk>, Error> {
        self.inner.output(id, first, limit).await
    }

    async fn trigger_instance(
        &self,
        id: TriggerInstanceId,
    ) -> Result<Option<Arc<TriggerInstance>>, Error> {
        self.inner.trigger_instance(id).await
    }

    async fn trigger_instances(
        &self,
        filter: &TriggerInstanceFilter,
        page: Page,
    ) -> Result<Listing<Arc<TriggerInstance>>, Error> {
        self.inner.trigger_instances(filter, page).await
    }

    async fn pending_trigger_instances(
        &self,
        limit: usize,
    ) -> Result<Vec<Arc<TriggerInstance>>, Error> {
        if self.bug == Bug::SignalAsTruth {
            return Ok(Vec::new());
        }
        self.inner.pending_trigger_instances(limit).await
    }

    async fn enforcement(&self, id: EnforcementId) -> Result<Option<Arc<Enforcement>>, Error> {
        self.inner.enforcement(id).await
    }

    async fn enforcements(
        &self,
        filter: &EnforcementFilter,
        page: Page,
    ) -> Result<Listing<Arc<Enforcement>>, Error> {
        self.inner.enforcements(filter, page).await
    }

    async fn document(
        &self,
        kind: DocumentKind,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<Document>>, Error> {
        self.inner.document(kind, key, now).await
    }

    async fn document_by_id(
        &self,
        kind: DocumentKind,
        id: RawId,
        now: Timestamp,
    ) -> Result<Option<Arc<Document>>, Error> {
        self.inner.document_by_id(kind, id, now).await
    }

    async fn documents(
        &self,
        kind: DocumentKind,
        filter: &DocumentFilter,
        page: Page,
        now: Timestamp,
    ) -> Result<Listing<Arc<Document>>, Error> {
        self.inner.documents(kind, filter, page, now).await
    }

    async fn content(&self, hash: &str) -> Result<Option<Str>, Error> {
        self.inner.content(hash).await
    }

    async fn audit(
        &self,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Listing<Arc<AuditRecord>>, Error> {
        self.inner.audit(filter, page).await
    }

    async fn purge(&self, purge: Purge) -> Result<u64, Error> {
        self.inner.purge(purge).await
    }

    async fn close(&self) {
        self.inner.close().await
    }
}
