//! The words of Squall: ids, references, definitions' documents, events, executions and how an
//! execution's state may change.
//!
//! Nothing here does I/O, reads a clock or knows a wire format. Formats belong to `wire`, `packs`
//! and the stores.

mod audit;
mod document;
mod event;
mod execution;
mod id;
mod output;
mod reference;
mod state;

pub use audit::{AuditRecord, AuditResult, Author};
pub use document::{Document, DocumentKind};
pub use event::{Enforcement, EnforcementOutcome, TriggerInstance, TriggerInstanceStatus};
pub use execution::{
    Execution, ExecutionRequest, LogEntry, Origin, Payload, Progress, RuleOrigin, TaskOrigin,
};
pub use id::{EnforcementId, ExecutionId, Id, ParseIdError, RawId, TriggerInstanceId, kind};
pub use output::{OutputChunk, OutputStream};
pub use reference::{ActionRef, ParseRefError, Ref, RuleRef, SensorRef, TriggerRef};
pub use state::{Event, InvalidTransition, Lease, Outcome, State, Status};

/// A moment in time, with microseconds where it is stored.
pub type Timestamp = jiff::Timestamp;
