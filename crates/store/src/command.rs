//! Commands: the only way in which state changes.

use std::sync::Arc;

use squall_model::{
    AuditRecord, Document, DocumentKind, Enforcement, Execution, ExecutionId, Lease, OutputChunk,
    Payload, RawId, Timestamp, TriggerInstance, TriggerInstanceId, TriggerInstanceStatus,
};
use squall_value::Str;

use crate::Error;

/// Commands that hold together or not at all.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// The time at which it was decided; changes bear it, and expiry is judged by it.
    pub at: Timestamp,
    /// The commands, in order. A later one sees what an earlier one did.
    pub commands: Vec<Command>,
}

/// One conditional change.
#[derive(Debug, Clone)]
pub enum Command {
    /// Keeps `id` under `key` until `expires`. Refused while the key is taken, with the id that
    /// took it: this is how an event that is sent again finds the first one.
    Remember {
        /// What is unique.
        key: Str,
        /// What it stands for.
        id: RawId,
        /// Until when.
        expires: Timestamp,
    },
    /// A new event. Refused when the id exists.
    InsertTriggerInstance(Arc<TriggerInstance>),
    /// An event that is matched now. Refused unless it is `pending`.
    FinishTriggerInstance {
        /// The event.
        id: TriggerInstanceId,
        /// Anything but `pending`.
        status: TriggerInstanceStatus,
    },
    /// A new enforcement. Refused when there is one for the same event and rule.
    InsertEnforcement(Arc<Enforcement>),
    /// A new execution, at whatever state its first commit finds it. Refused when the id exists.
    InsertExecution {
        /// The execution.
        execution: Arc<Execution>,
        /// Its result, when it has ended already.
        result: Option<Payload>,
    },
    /// An execution that got further. Refused unless its revision is `from`; the new progress has
    /// the next one.
    UpdateExecution {
        /// The whole execution as it will be: back ends write only the progress.
        execution: Arc<Execution>,
        /// The revision on which the change was decided.
        from: u64,
        /// Its result, when it has one now. Replaces an earlier one.
        result: Option<Payload>,
    },
    /// State pieces of a workflow. Refused unless the next free number is `at`. Whether the
    /// execution exists is not asked: whoever appends also updates it, or fences with its lease.
    AppendPieces {
        /// The workflow execution.
        execution: ExecutionId,
        /// The number of the first piece; the first of all is 0.
        at: u64,
        /// The pieces.
        pieces: Vec<Str>,
    },
    /// One piece that stands for all earlier ones, which go. Refused unless the next free number is
    /// `at`; the snapshot takes it.
    ReplacePieces {
        /// The workflow execution.
        execution: ExecutionId,
        /// The number of the snapshot.
        at: u64,
        /// The snapshot.
        snapshot: Str,
    },
    /// Output of a running action. Refused unless the next free number is `at`.
    AppendOutput {
        /// The execution.
        execution: ExecutionId,
        /// The number of the first chunk; the first of all is 0.
        at: u64,
        /// The chunks.
        chunks: Arc<Vec<OutputChunk>>,
    },
    /// A document that is new (`from` is `None`: refused when the key or the id is taken) or changed
    /// (refused unless its revision is `from`). The id of a document never changes. An expired
    /// document counts as gone.
    PutDocument {
        /// The document as it will be, with its new revision: 1, or the one after `from`.
        document: Arc<Document>,
        /// The revision on which the change was decided.
        from: Option<u64>,
    },
    /// A document that goes. Refused unless its revision is `from`.
    DeleteDocument {
        /// Its kind.
        kind: DocumentKind,
        /// Its key.
        key: Str,
        /// The revision on which the change was decided.
        from: u64,
    },
    /// A text to be found under its hash; nothing happens when it is there already.
    PutContent {
        /// The hash by which it is asked for.
        hash: Str,
        /// The text.
        text: Str,
    },
    /// Takes or keeps singleton work. Refused while another holds it.
    HoldLease {
        /// The work.
        name: Str,
        /// Who wants it.
        holder: Lease,
        /// Until when.
        until: Timestamp,
    },
    /// Gives singleton work up; nothing happens when another holds it.
    ReleaseLease {
        /// The work.
        name: Str,
        /// Who had it.
        holder: Lease,
    },
    /// Refused unless the server is entered and its entry has not expired: what else the
    /// transaction holds is then not done by a server that was taken for dead.
    RequireServer(Lease),
    /// An entry of the audit record, which gets the next number. Never refused by itself; it is
    /// there exactly when the rest of the transaction is.
    Record(Arc<AuditRecord>),
}

/// A transaction that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The position of its last change in the feed; 0 when it made none.
    pub position: u64,
}

/// Why a transaction was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// A condition did not hold; nothing was done.
    #[error("{refusal}")]
    Refused {
        /// The command, by its place in the transaction.
        command: usize,
        /// What was found instead.
        refusal: Refusal,
    },
    /// The back end failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// What was found instead of what a command expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The key is remembered already.
    #[error("the key was used before, for {0}")]
    Duplicate(RawId),
    /// The record to be made exists.
    #[error("the record exists already")]
    Exists,
    /// The record to be changed does not exist.
    #[error("the record does not exist")]
    Missing,
    /// Somebody else was quicker; the record is at another revision, number or status.
    #[error("the record has changed meanwhile")]
    Changed,
    /// Another server holds the lease, or the server's own entry has expired.
    #[error("the lease is held by another server or has expired")]
    Leased,
    /// The command contradicts itself, so no repetition will carry it out: a bug of the caller, or
    /// a value that nests deeper than JSON can be read again.
    #[error("the command cannot be carried out: {0}")]
    Invalid(&'static str),
}

impl Transaction {
    /// A transaction of the given commands.
    #[must_use]
    pub fn new(at: Timestamp, commands: Vec<Command>) -> Transaction {
        Transaction { at, commands }
    }
}

impl CommitError {
    /// The refusal, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            CommitError::Refused { refusal, .. } => Some(refusal),
            CommitError::Store(_) => None,
        }
    }
}
