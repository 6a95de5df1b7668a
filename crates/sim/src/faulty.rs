//! A store that fails, in every way that a real one can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use squall_env::{Env, FakeEnv};
use squall_model::{
    AuditRecord, Document, DocumentKind, Enforcement, EnforcementId, Execution, ExecutionId, Lease,
    OutputChunk, Payload, RawId, Timestamp, TriggerInstance, TriggerInstanceId,
};
use squall_store::{
    AuditFilter, Change, Command, CommitError, Committed, DocumentFilter, EnforcementFilter, Error,
    ExecutionFilter, Listing, MemoryStore, Page, Purge, Server, Store, Subscription, Transaction,
    TriggerInstanceFilter,
};
use squall_value::Str;

use crate::Plant;
use crate::chance::Chance;
use crate::executor::step_aside;
use crate::ledger::Ledger;
use crate::trace::{Trace, short};

/// How often what goes wrong, per thousand calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    /// A commit fails and nothing was done.
    pub(crate) commit_fails: u64,
    /// A commit is done, but the answer is lost.
    pub(crate) answer_lost: u64,
    /// A read fails.
    pub(crate) read_fails: u64,
    /// A call takes long.
    pub(crate) slow: u64,
}

/// A store in memory behind a line that fails.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    pub(crate) inner: Arc<MemoryStore>,
    pub(crate) env: Arc<FakeEnv>,
    pub(crate) chance: Arc<Chance>,
    pub(crate) trace: Arc<Trace>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) rates: Rates,
    pub(crate) plant: Plant,
    /// Whether anything goes wrong now.
    pub(crate) faults: AtomicBool,
    pub(crate) injected: AtomicU64,
}

impl FaultyStore {
    fn is_faulty(&self) -> bool {
        self.faults.load(Ordering::SeqCst)
    }

    fn hits(&self, rate: u64) -> bool {
        let hit = self.is_faulty() && self.chance.per_mille(rate);
        self.injected.fetch_add(u64::from(hit), Ordering::SeqCst);
        hit
    }

    async fn travel(&self) {
        for _ in 0..self.chance.below(3) {
            step_aside().await;
        }
        if self.hits(self.rates.slow) {
            let wait = self.chance.between(1, 400);
            self.env.sleep(Duration::from_millis(wait)).await;
        }
    }

    async fn read(&self) -> Result<(), Error> {
        self.travel().await;
        if self.hits(self.rates.read_fails) {
            return Err(unavailable("the simulation lets a read fail"));
        }
        Ok(())
    }

    fn describe(&self, transaction: &Transaction) -> String {
        let parts = transaction.commands.iter().filter_map(describe);
        parts.collect::<Vec<_>>().join(", ")
    }
}

fn unavailable(reason: &str) -> Error {
    Error::Unavailable(reason.to_owned())
}

/// The executions that a transaction writes.
fn executions(transaction: &Transaction) -> Vec<Arc<Execution>> {
    let written = transaction
        .commands
        .iter()
        .filter_map(|command| match command {
            Command::InsertExecution { execution, .. }
            | Command::UpdateExecution { execution, .. } => Some(Arc::clone(execution)),
            _ => None,
        });
    written.collect()
}

fn describe(command: &Command) -> Option<String> {
    Some(match command {
        Command::InsertExecution { execution, .. } => format!(
            "new {} {} {}",
            short(&execution.id().to_string()),
            execution.request.action,
            execution.state()
        ),
        Command::UpdateExecution {
            execution, from, ..
        } => format!(
            "{}@{from} {}",
            short(&execution.id().to_string()),
            execution.state()
        ),
        Command::InsertTriggerInstance(event) => {
            format!("event {}", short(&event.id.to_string()))
        }
        Command::FinishTriggerInstance { id, .. } => {
            format!("matched {}", short(&id.to_string()))
        }
        Command::InsertEnforcement(enforcement) => format!("enforced {}", enforcement.rule),
        Command::AppendPieces { execution, at, .. } => {
            format!("pieces {}#{at}", short(&execution.to_string()))
        }
        Command::ReplacePieces { execution, at, .. } => {
            format!("snapshot {}#{at}", short(&execution.to_string()))
        }
        Command::AppendOutput { execution, at, .. } => {
            format!("output {}#{at}", short(&execution.to_string()))
        }
        Command::Remember { .. }
        | Command::PutDocument { .. }
        | Command::DeleteDocument { .. }
        | Command::PutContent { .. }
        | Command::HoldLease { .. }
        | Command::ReleaseLease { .. }
        | Command::RequireServer(_)
        | Command::Record(_) => return None,
    })
}

#[async_trait]
impl Store for FaultyStore {
    async fn commit(&self, mut transaction: Transaction) -> Result<Committed, CommitError> {
        self.travel().await;
        let text = self.describe(&transaction);
        if self.hits(self.rates.commit_fails) {
            self.trace.add(format!("commit fails: {text}"));
            return Err(unavailable("the simulation lets a commit fail").into());
        }
        match self.plant {
            Plant::Forget if self.hits(20) => {
                self.trace.add(format!("commit forgotten: {text}"));
                return Ok(Committed { position: 1 });
            }
            Plant::Half if transaction.commands.len() > 1 && self.hits(50) => {
                let half = transaction.commands.len() / 2;
                transaction.commands.truncate(half);
                self.trace.add(format!("commit halved: {text}"));
            }
            _ => {}
        }
        let updates = executions(&transaction);
        let done = self.inner.commit(transaction).await;
        if done.is_ok() {
            self.ledger.committed(&updates);
        }
        let lost = self.hits(self.rates.answer_lost);
        match &done {
            Ok(_) if lost => self.trace.add(format!("commit, answer lost: {text}")),
            Ok(_) => self.trace.add(format!("commit: {text}")),
            Err(error) => self.trace.add(format!("commit refused, {error}: {text}")),
        }
        if lost {
            return Err(unavailable("the simulation loses an answer").into());
        }
        self.travel().await;
        done
    }

    fn subscribe(&self) -> Subscription {
        self.inner.subscribe()
    }

    async fn changes_after(&self, position: u64, limit: usize) -> Result<Vec<Change>, Error> {
        self.read().await?;
        self.inner.changes_after(position, limit).await
    }

    async fn change_bounds(&self) -> Result<(u64, u64), Error> {
        self.read().await?;
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
        self.read().await?;
        self.inner.renew_server(lease, now, until).await
    }

    async fn retire_server(&self, lease: Lease) -> Result<(), Error> {
        self.read().await?;
        self.inner.retire_server(lease).await
    }

    async fn servers(&self) -> Result<Vec<Server>, Error> {
        self.read().await?;
        self.inner.servers().await
    }

    async fn execution(&self, id: ExecutionId) -> Result<Option<Arc<Execution>>, Error> {
        self.read().await?;
        let found = self.inner.execution(id).await;
        self.travel().await;
        found
    }

    async fn executions(
        &self,
        filter: &ExecutionFilter,
        page: Page,
    ) -> Result<Listing<Arc<Execution>>, Error> {
        self.read().await?;
        self.inner.executions(filter, page).await
    }

    async fn unfinished(
        &self,
        after: Option<ExecutionId>,
        limit: usize,
    ) -> Result<Vec<Arc<Execution>>, Error> {
        self.read().await?;
        // Small pages, so that the list is not of one moment.
        let found = self.inner.unfinished(after, limit.min(5)).await;
        self.travel().await;
        found
    }

    async fn children(&self, parent: ExecutionId) -> Result<Vec<Arc<Execution>>, Error> {
        self.read().await?;
        self.inner.children(parent).await
    }

    async fn child_ids(
        &self,
        parents: &[ExecutionId],
    ) -> Result<Vec<(ExecutionId, ExecutionId)>, Error> {
        self.read().await?;
        self.inner.child_ids(parents).await
    }

    async fn result(&self, id: ExecutionId) -> Result<Option<Payload>, Error> {
        self.read().await?;
        self.inner.result(id).await
    }

    async fn results(&self, ids: &[ExecutionId]) -> Result<Vec<(ExecutionId, Payload)>, Error> {
        self.read().await?;
        self.inner.results(ids).await
    }

    async fn pieces(&self, id: ExecutionId) -> Result<Vec<(u64, Str)>, Error> {
        self.read().await?;
        let found = self.inner.pieces(id).await;
        self.travel().await;
        found
    }

    async fn output(
        &self,
        id: ExecutionId,
        first: u64,
        limit: usize,
    ) -> Result<Vec<OutputChunk>, Error> {
        self.read().await?;
        self.inner.output(id, first, limit).await
    }

    async fn trigger_instance(
        &self,
        id: TriggerInstanceId,
    ) -> Result<Option<Arc<TriggerInstance>>, Error> {
        self.read().await?;
        self.inner.trigger_instance(id).await
    }

    async fn trigger_instances(
        &self,
        filter: &TriggerInstanceFilter,
        page: Page,
    ) -> Result<Listing<Arc<TriggerInstance>>, Error> {
        self.read().await?;
        self.inner.trigger_instances(filter, page).await
    }

    async fn pending_trigger_instances(
        &self,
        limit: usize,
    ) -> Result<Vec<Arc<TriggerInstance>>, Error> {
        self.read().await?;
        let found = self.inner.pending_trigger_instances(limit).await;
        self.travel().await;
        found
    }

    async fn enforcement(&self, id: EnforcementId) -> Result<Option<Arc<Enforcement>>, Error> {
        self.read().await?;
        self.inner.enforcement(id).await
    }

    async fn enforcements(
        &self,
        filter: &EnforcementFilter,
        page: Page,
    ) -> Result<Listing<Arc<Enforcement>>, Error> {
        self.read().await?;
        self.inner.enforcements(filter, page).await
    }

    async fn document(
        &self,
        kind: DocumentKind,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<Document>>, Error> {
        self.read().await?;
        self.inner.document(kind, key, now).await
    }

    async fn document_by_id(
        &self,
        kind: DocumentKind,
        id: RawId,
        now: Timestamp,
    ) -> Result<Option<Arc<Document>>, Error> {
        self.read().await?;
        self.inner.document_by_id(kind, id, now).await
    }

    async fn documents(
        &self,
        kind: DocumentKind,
        filter: &DocumentFilter,
        page: Page,
        now: Timestamp,
    ) -> Result<Listing<Arc<Document>>, Error> {
        self.read().await?;
        self.inner.documents(kind, filter, page, now).await
    }

    async fn content(&self, hash: &str) -> Result<Option<Str>, Error> {
        self.read().await?;
        self.inner.content(hash).await
    }

    async fn audit(
        &self,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Listing<Arc<AuditRecord>>, Error> {
        self.read().await?;
        self.inner.audit(filter, page).await
    }

    async fn purge(&self, purge: Purge) -> Result<u64, Error> {
        self.read().await?;
        self.inner.purge(purge).await
    }
}
