//! What can be asked of a store.

use squall_model::{
    ActionRef, AuditRecord, AuditResult, Document, Enforcement, EnforcementId, EnforcementOutcome,
    Execution, ExecutionId, Origin, RuleRef, Status, Timestamp, TriggerInstance, TriggerInstanceId,
    TriggerInstanceStatus, TriggerRef,
};
use squall_value::Str;

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many records are passed over.
    pub offset: u64,
    /// How many are wanted at most.
    pub limit: u64,
}

impl Page {
    /// The whole list.
    pub const ALL: Page = Page {
        offset: 0,
        limit: u64::MAX,
    };

    /// The first `limit` records.
    #[must_use]
    pub fn first(limit: u64) -> Page {
        Page { offset: 0, limit }
    }
}

/// A part of a list, and how long the whole is.
#[derive(Debug, Clone)]
pub struct Listing<T> {
    /// The part.
    pub items: Vec<T>,
    /// How many records satisfy the filter in all.
    pub total: u64,
}

impl<T> Listing<T> {
    /// No part of a list of so many records.
    #[must_use]
    pub fn empty(total: u64) -> Self {
        let items = Vec::new();
        Listing { items, total }
    }
}

/// Which executions a caller may see; part of the query, so that counts and pages are right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Visibility {
    /// All of them.
    #[default]
    All,
    /// Those that satisfy any of these.
    Only {
        /// Run on behalf of these users.
        users: Vec<Str>,
        /// Of these actions.
        actions: Vec<ActionRef>,
        /// Of actions in these packs.
        packs: Vec<Str>,
        /// These themselves.
        ids: Vec<ExecutionId>,
    },
}

/// Of which rules a caller may see the doings; part of the query as [`Visibility`] is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RuleVisibility {
    /// Of all rules.
    #[default]
    All,
    /// Of those that satisfy any of these.
    Only {
        /// These rules.
        rules: Vec<RuleRef>,
        /// Rules in these packs.
        packs: Vec<Str>,
    },
}

/// Executions by their place in a tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ParentFilter {
    /// Anywhere.
    #[default]
    Any,
    /// At the top only.
    Top,
    /// Directly below this one.
    Of(ExecutionId),
}

/// The order of a list of executions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExecutionOrder {
    /// Newest request first (StackStorm's default).
    #[default]
    NewestFirst,
    /// Oldest request first.
    OldestFirst,
}

/// Which executions are wanted; what is empty or `None` does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// One of these.
    pub ids: Vec<ExecutionId>,
    /// Of this action.
    pub action: Option<ActionRef>,
    /// Of an action in this pack.
    pub pack: Option<Str>,
    /// Of an action with this runner type.
    pub runner: Option<Str>,
    /// With one of these statuses.
    pub statuses: Vec<Status>,
    /// On behalf of this user.
    pub user: Option<Str>,
    /// By place in the tree.
    pub parent: ParentFilter,
    /// Below this topmost execution, itself included.
    pub root: Option<ExecutionId>,
    /// Made for one of these rules.
    pub rules: Vec<RuleRef>,
    /// Made for this event.
    pub trigger_instance: Option<TriggerInstanceId>,
    /// Made for this task name of its parent.
    pub task: Option<Str>,
    /// With this trace tag.
    pub trace_tag: Option<Str>,
    /// Requested after this moment.
    pub requested_after: Option<Timestamp>,
    /// Requested before this moment.
    pub requested_before: Option<Timestamp>,
    /// Ended after this moment.
    pub ended_after: Option<Timestamp>,
    /// Ended before this moment.
    pub ended_before: Option<Timestamp>,
    /// What the caller may see.
    pub visibility: Visibility,
    /// In which order.
    pub order: ExecutionOrder,
}

/// Which events are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TriggerInstanceFilter {
    /// One of these.
    pub ids: Vec<TriggerInstanceId>,
    /// Of this trigger.
    pub trigger: Option<TriggerRef>,
    /// With this status.
    pub status: Option<TriggerInstanceStatus>,
    /// Occurred after this moment.
    pub occurred_after: Option<Timestamp>,
    /// Occurred before this moment.
    pub occurred_before: Option<Timestamp>,
    /// With this trace tag.
    pub trace_tag: Option<Str>,
    /// Of these triggers, which are those that the caller may see; of all without it.
    pub visible: Option<Vec<Str>>,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
}

/// Which enforcements are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnforcementFilter {
    /// One of these.
    pub ids: Vec<EnforcementId>,
    /// Of this rule.
    pub rule: Option<RuleRef>,
    /// Of this event.
    pub trigger_instance: Option<TriggerInstanceId>,
    /// Holding this execution.
    pub execution: Option<ExecutionId>,
    /// Enforced after this moment.
    pub enforced_after: Option<Timestamp>,
    /// Enforced before this moment.
    pub enforced_before: Option<Timestamp>,
    /// What the caller may see.
    pub visibility: RuleVisibility,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
}

/// Which documents are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentFilter {
    /// Of this pack.
    pub pack: Option<Str>,
    /// With a key that begins so.
    pub key_prefix: Option<Str>,
}

/// Which entries of the audit record are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// On account of this user.
    pub user: Option<Str>,
    /// About this action.
    pub action: Option<Str>,
    /// About this resource.
    pub resource: Option<Str>,
    /// About resources whose names begin so.
    pub resource_prefix: Option<Str>,
    /// That ended so.
    pub result: Option<AuditResult>,
    /// Made after this moment.
    pub after: Option<Timestamp>,
    /// Made before this moment.
    pub before: Option<Timestamp>,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
}

/// What is to be removed because of its age. Each variant removes at most `limit` records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purge {
    /// Trees of executions whose topmost ended before the moment, with results, output and pieces.
    Executions {
        /// The moment.
        ended_before: Timestamp,
        /// How many trees at most.
        limit: usize,
    },
    /// Output of executions that ended before the moment; the executions stay.
    Output {
        /// The moment.
        ended_before: Timestamp,
        /// Of how many executions at most.
        limit: usize,
    },
    /// Matched events that occurred before the moment, with their enforcements.
    TriggerInstances {
        /// The moment.
        occurred_before: Timestamp,
        /// How many at most.
        limit: usize,
    },
    /// Changes older than the moment.
    Changes {
        /// The moment.
        before: Timestamp,
        /// How many at most.
        limit: usize,
    },
    /// Entries of the audit record older than the moment, from the oldest on and never the newest
    /// of all, so that their numbers go on.
    Audit {
        /// The moment.
        before: Timestamp,
        /// How many at most.
        limit: usize,
    },
    /// Remembered keys and documents that have expired.
    Expired {
        /// The present.
        now: Timestamp,
        /// How many at most.
        limit: usize,
    },
}

fn within(at: Timestamp, after: Option<Timestamp>, before: Option<Timestamp>) -> bool {
    after.is_none_or(|after| at > after) && before.is_none_or(|before| at < before)
}

fn wanted<T: PartialEq + ?Sized>(want: Option<&T>, have: Option<&T>) -> bool {
    want.is_none() || want == have
}

impl Visibility {
    /// Whether the caller may see the execution.
    #[must_use]
    pub fn shows(&self, execution: &Execution) -> bool {
        let request = &execution.request;
        match self {
            Visibility::All => true,
            Visibility::Only {
                users,
                actions,
                packs,
                ids,
            } => {
                users.contains(&request.user)
                    || ids.contains(&request.id)
                    || actions.contains(&request.action)
                    || packs.iter().any(|pack| **pack == *request.action.pack())
            }
        }
    }
}

impl RuleVisibility {
    /// Whether the caller may see what the rule did.
    #[must_use]
    pub fn shows(&self, rule: &RuleRef) -> bool {
        match self {
            RuleVisibility::All => true,
            RuleVisibility::Only { rules, packs } => {
                rules.contains(rule) || packs.iter().any(|pack| **pack == *rule.pack())
            }
        }
    }
}

impl AuditFilter {
    /// Whether an entry satisfies the filter.
    #[must_use]
    pub fn matches(&self, record: &AuditRecord) -> bool {
        let resource = record.resource.as_ref();
        let begins = |prefix: &Str| resource.is_some_and(|name| name.starts_with(&**prefix));
        wanted(self.user.as_ref(), Some(&record.author.user))
            && wanted(self.action.as_ref(), Some(&record.action))
            && wanted(self.resource.as_ref(), resource)
            && self.resource_prefix.as_ref().is_none_or(begins)
            && wanted(self.result.as_ref(), Some(&record.result))
            && within(record.at, self.after, self.before)
    }

    /// Whether it wants all there are.
    #[must_use]
    pub fn is_all(&self) -> bool {
        let any_order = AuditFilter {
            oldest_first: false,
            ..self.clone()
        };
        any_order == AuditFilter::default()
    }
}

impl ExecutionFilter {
    /// Whether an execution satisfies the filter: what every back end's query must agree with, and
    /// what tells whether a change concerns a live view.
    #[must_use]
    pub fn matches(&self, execution: &Execution) -> bool {
        let (request, progress) = (&*execution.request, &execution.progress);
        let (rule, task) = match &request.origin {
            Origin::Rule(rule) => (Some(rule), None),
            Origin::Task(task) => (None, Some(task)),
            Origin::User | Origin::Rerun(_) => (None, None),
        };
        let parent = match self.parent {
            ParentFilter::Any => true,
            ParentFilter::Top => request.parent.is_none(),
            ParentFilter::Of(parent) => request.parent == Some(parent),
        };
        let ended = self.ended_after.is_none() && self.ended_before.is_none()
            || progress
                .ended
                .is_some_and(|ended| within(ended, self.ended_after, self.ended_before));
        parent
            && ended
            && (self.ids.is_empty() || self.ids.contains(&request.id))
            && wanted(self.action.as_ref(), Some(&request.action))
            && wanted(self.pack.as_deref(), Some(request.action.pack()))
            && wanted(self.runner.as_deref(), Some(&request.runner))
            && (self.statuses.is_empty() || self.statuses.contains(&progress.state.status()))
            && wanted(self.user.as_deref(), Some(&request.user))
            && wanted(self.root.as_ref(), Some(&request.root))
            && (self.rules.is_empty() || rule.is_some_and(|rule| self.rules.contains(&rule.rule)))
            && wanted(
                self.trigger_instance.as_ref(),
                rule.map(|rule| &rule.trigger_instance),
            )
            && wanted(self.task.as_deref(), task.map(|task| &*task.task))
            && wanted(self.trace_tag.as_deref(), request.trace_tag.as_deref())
            && within(
                request.requested,
                self.requested_after,
                self.requested_before,
            )
            && self.visibility.shows(execution)
    }
}

impl TriggerInstanceFilter {
    /// Whether an event satisfies the filter.
    #[must_use]
    pub fn matches(&self, instance: &TriggerInstance) -> bool {
        (self.ids.is_empty() || self.ids.contains(&instance.id))
            && wanted(self.trigger.as_ref(), Some(&instance.trigger))
            && self.status.is_none_or(|status| status == instance.status)
            && wanted(self.trace_tag.as_deref(), instance.trace_tag.as_deref())
            && within(instance.occurred, self.occurred_after, self.occurred_before)
            && self.visible.as_ref().is_none_or(|visible| {
                visible
                    .iter()
                    .any(|one| **one == *instance.trigger.as_str())
            })
    }
}

impl EnforcementFilter {
    /// Whether an enforcement satisfies the filter.
    #[must_use]
    pub fn matches(&self, enforcement: &Enforcement) -> bool {
        let execution = match &enforcement.outcome {
            EnforcementOutcome::Execution(execution) => Some(execution),
            EnforcementOutcome::Failed(_) => None,
        };
        (self.ids.is_empty() || self.ids.contains(&enforcement.id))
            && wanted(self.rule.as_ref(), Some(&enforcement.rule))
            && wanted(
                self.trigger_instance.as_ref(),
                Some(&enforcement.trigger_instance),
            )
            && wanted(self.execution.as_ref(), execution)
            && within(
                enforcement.enforced,
                self.enforced_after,
                self.enforced_before,
            )
            && self.visibility.shows(&enforcement.rule)
    }
}

impl DocumentFilter {
    /// Whether a document satisfies the filter.
    #[must_use]
    pub fn matches(&self, document: &Document) -> bool {
        wanted(self.pack.as_deref(), document.pack.as_deref())
            && self
                .key_prefix
                .as_deref()
                .is_none_or(|prefix| document.key.starts_with(prefix))
    }
}
