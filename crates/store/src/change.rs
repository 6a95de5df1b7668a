//! The change feed.

use std::sync::Arc;

use squall_model::{
    Document, DocumentKind, Enforcement, EnforcementId, Execution, ExecutionId, OutputChunk, RawId,
    Status, Timestamp, TriggerInstance, TriggerInstanceId,
};
use squall_value::Str;
use tokio::sync::broadcast;

/// Something changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its place in the order of commits, from 1, without gaps.
    pub position: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened to the subject.
    pub operation: Operation,
    /// What changed.
    pub subject: Subject,
    /// The subject after the change (before it, when it was deleted). Live changes carry it; those
    /// read from the store do not.
    pub record: Option<Record>,
}

/// What happened to a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// It is new.
    Created,
    /// It is different.
    Updated,
    /// It is gone.
    Deleted,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An execution, and the status it has now.
    Execution {
        /// Its id.
        id: ExecutionId,
        /// Its status after the change.
        status: Status,
    },
    /// An event.
    TriggerInstance(TriggerInstanceId),
    /// An enforcement.
    Enforcement(EnforcementId),
    /// A document.
    Document {
        /// Its kind.
        kind: DocumentKind,
        /// Its key.
        key: Str,
        /// Its id.
        id: RawId,
    },
    /// Output of an execution.
    Output {
        /// The execution.
        execution: ExecutionId,
        /// The number of the first new chunk.
        first: u64,
        /// How many chunks are new.
        count: u64,
    },
}

/// The record behind a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// An execution.
    Execution(Arc<Execution>),
    /// An event.
    TriggerInstance(Arc<TriggerInstance>),
    /// An enforcement.
    Enforcement(Arc<Enforcement>),
    /// A document.
    Document(Arc<Document>),
    /// New output.
    Output(Arc<Vec<OutputChunk>>),
}

/// A live view of the feed.
#[derive(Debug)]
pub struct Subscription {
    receiver: broadcast::Receiver<Arc<Vec<Change>>>,
}

impl Subscription {
    /// A subscription to what `receiver` brings: one message holds the changes of one commit.
    #[must_use]
    pub fn new(receiver: broadcast::Receiver<Arc<Vec<Change>>>) -> Subscription {
        Subscription { receiver }
    }

    /// The changes of the next commit. `None` when the subscriber fell behind and changes were
    /// dropped (read on from the store, then call again), or when the store is gone.
    pub async fn next(&mut self) -> Option<Arc<Vec<Change>>> {
        self.receiver.recv().await.ok()
    }

    /// As [`Subscription::next`], telling apart why there is nothing.
    ///
    /// # Errors
    ///
    /// [`broadcast::error::RecvError`]: lagged or closed.
    pub async fn recv(&mut self) -> Result<Arc<Vec<Change>>, broadcast::error::RecvError> {
        self.receiver.recv().await
    }
}
