//! Events and what rules made of them.

use std::sync::Arc;

use squall_value::{Str, Value};

use crate::{
    Author, EnforcementId, ExecutionId, RuleRef, Timestamp, TriggerInstanceId, TriggerRef,
};

/// Where a trigger instance stands. The words are StackStorm's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TriggerInstanceStatus {
    /// Accepted, not yet matched against the rules.
    Pending,
    /// Matched: its enforcements exist.
    Processed,
    /// Matching failed for a reason that is not a rule's own.
    ProcessingFailed,
}

impl TriggerInstanceStatus {
    /// StackStorm's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            TriggerInstanceStatus::Pending => "pending",
            TriggerInstanceStatus::Processed => "processed",
            TriggerInstanceStatus::ProcessingFailed => "processing_failed",
        }
    }
}

/// An event: something happened that rules may answer.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerInstance {
    /// Its id.
    pub id: TriggerInstanceId,
    /// The trigger that fired: a trigger type, or a trigger made of one with parameters.
    pub trigger: TriggerRef,
    /// What the source tells.
    pub payload: Value,
    /// When it happened, by the source's word or else the time of acceptance.
    pub occurred: Timestamp,
    /// Where it stands.
    pub status: TriggerInstanceStatus,
    /// The trace it belongs to, if the source named one.
    pub trace_tag: Option<Str>,
    /// The execution whose end it reports, or that emitted it.
    pub source_execution: Option<ExecutionId>,
    /// Who sent it, if it came by the API.
    pub sender: Option<Arc<Author>>,
}

impl TriggerInstance {
    /// The tag of its trace: the one that the source named, or else one made of its own id. What it
    /// leads to bears this tag.
    #[must_use]
    pub fn trace(&self) -> Str {
        let named = self.trace_tag.clone();
        named.unwrap_or_else(|| Str::from(format!("trigger_instance-{}", self.id)))
    }
}

/// What became of one rule that matched one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Enforcement {
    /// Its id.
    pub id: EnforcementId,
    /// The rule that matched.
    pub rule: RuleRef,
    /// The event that it matched.
    pub trigger_instance: TriggerInstanceId,
    /// When.
    pub enforced: Timestamp,
    /// One execution, or the reason why there is none.
    pub outcome: EnforcementOutcome,
}

/// The one thing that an enforcement holds.
#[derive(Debug, Clone, PartialEq)]
pub enum EnforcementOutcome {
    /// The execution that answers the event.
    Execution(ExecutionId),
    /// Why no execution could be made.
    Failed(Str),
}
