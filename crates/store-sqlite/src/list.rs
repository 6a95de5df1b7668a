//! Filters to SQL.

use std::fmt::Write;

use rusqlite::types::Value;
use squall_model::Status;
use squall_store::codec::{self, micros};
use squall_store::{
    DocumentFilter, EnforcementFilter, ExecutionFilter, ParentFilter, TriggerInstanceFilter,
    Visibility,
};

/// Conditions, joined by AND, with their parameters.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    sql: String,
    pub(crate) parameters: Vec<Value>,
}

impl Conditions {
    /// The `WHERE` clause, empty without conditions.
    pub(crate) fn clause(&self) -> &str {
        &self.sql
    }

    fn begin(&mut self) {
        self.sql.push_str(if self.sql.is_empty() {
            " WHERE "
        } else {
            " AND "
        });
    }

    /// A condition without parameters.
    fn plain(&mut self, condition: &str) {
        self.begin();
        self.sql.push_str(condition);
    }

    /// A condition on one parameter: `with("a = ", x)`.
    fn with(&mut self, condition: &str, value: impl Into<Value>) {
        self.begin();
        self.sql.push_str(condition);
        self.parameter(value);
    }

    fn parameter(&mut self, value: impl Into<Value>) {
        self.parameters.push(value.into());
        let _ = write!(self.sql, "?{}", self.parameters.len());
    }

    fn text(&mut self, condition: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.with(condition, text.to_owned());
        }
    }

    fn time(&mut self, condition: &str, at: Option<squall_model::Timestamp>) {
        if let Some(at) = at {
            self.with(condition, micros(at));
        }
    }

    fn id<K>(&mut self, condition: &str, id: Option<squall_model::Id<K>>) {
        if let Some(id) = id {
            self.with(condition, id.to_bytes().to_vec());
        }
    }

    /// `column IN (…)`.
    fn any(&mut self, column: &str, values: impl Iterator<Item = Value>) {
        self.begin();
        self.in_list(column, values);
    }

    fn in_list(&mut self, column: &str, values: impl Iterator<Item = Value>) {
        self.sql.push_str(column);
        self.sql.push_str(" IN (");
        for (index, value) in values.enumerate() {
            if index > 0 {
                self.sql.push(',');
            }
            self.parameter(value);
        }
        self.sql.push(')');
    }

    fn ids<K>(&mut self, ids: &[squall_model::Id<K>]) {
        if !ids.is_empty() {
            self.any("id", ids.iter().map(|id| id.to_bytes().to_vec().into()));
        }
    }

    /// `column` begins with `prefix`.
    fn prefix(&mut self, column: &str, prefix: &str) {
        self.with(&format!("{column} >= "), prefix.to_owned());
        if let Some(end) = codec::prefix_end(prefix) {
            self.with(&format!("{column} < "), end);
        }
    }
}

/// Statuses that have an index of their own, because they are few and looked for.
const UNSUCCESSFUL: [Status; 4] = [
    Status::Failed,
    Status::Timeout,
    Status::Abandoned,
    Status::Canceled,
];

/// What both the table of executions and their tally can answer.
fn common(conditions: &mut Conditions, filter: &ExecutionFilter) {
    conditions.text(
        "action = ",
        filter.action.as_ref().map(|action| action.as_str()),
    );
    if let Some(pack) = &filter.pack {
        conditions.prefix("action", &format!("{pack}."));
    }
    conditions.text("runner = ", filter.runner.as_deref());
    conditions.text("user = ", filter.user.as_deref());
    if !filter.statuses.is_empty() {
        let words = filter.statuses.iter().map(|status| status.as_str());
        conditions.any("status", words.map(|word| word.to_owned().into()));
    }
    if let Visibility::Only {
        users,
        actions,
        packs,
    } = &filter.visibility
    {
        conditions.begin();
        conditions.sql.push('(');
        conditions.in_list("user", users.iter().map(|user| user.to_string().into()));
        conditions.sql.push_str(" OR ");
        let actions = actions
            .iter()
            .map(|action| action.as_str().to_owned().into());
        conditions.in_list("action", actions);
        for pack in packs {
            // One parameter more than it looks: the dot ends the pack, and the slash follows it.
            conditions.sql.push_str(" OR (action >= ");
            conditions.parameter(format!("{pack}."));
            conditions.sql.push_str(" AND action < ");
            conditions.parameter(format!("{pack}/"));
            conditions.sql.push(')');
        }
        conditions.sql.push(')');
    }
}

/// The conditions on the table of executions.
pub(crate) fn executions(filter: &ExecutionFilter) -> Conditions {
    let mut conditions = Conditions::default();
    common(&mut conditions, filter);
    if !filter.statuses.is_empty() {
        // Literal repetitions of an index's condition, by which the planner knows that it may use it.
        if filter.statuses.iter().all(|status| !status.is_ended()) {
            conditions.plain("open = 1");
        } else if filter
            .statuses
            .iter()
            .all(|status| UNSUCCESSFUL.contains(status))
        {
            conditions.plain("status IN ('failed', 'timeout', 'abandoned', 'canceled')");
        }
    }
    conditions.ids(&filter.ids);
    match filter.parent {
        ParentFilter::Any => {}
        ParentFilter::Top => conditions.plain("parent IS NULL"),
        ParentFilter::Of(parent) => conditions.with("parent = ", parent.to_bytes().to_vec()),
    }
    if let Some(root) = filter.root {
        // Only the topmost has no parent: from elsewhere in a tree nothing is below its root.
        conditions.with(
            "id IN (WITH RECURSIVE tree (id) AS (SELECT id FROM execution WHERE parent IS NULL \
             AND id = ",
            root.to_bytes().to_vec(),
        );
        conditions.sql.push_str(
            " UNION ALL SELECT child.id FROM tree JOIN execution AS child ON child.parent = \
             tree.id) SELECT id FROM tree)",
        );
    }
    conditions.text("rule = ", filter.rule.as_ref().map(|rule| rule.as_str()));
    conditions.id("trigger_instance = ", filter.trigger_instance);
    conditions.text("task = ", filter.task.as_deref());
    conditions.text("trace_tag = ", filter.trace_tag.as_deref());
    conditions.time("requested > ", filter.requested_after);
    conditions.time("requested < ", filter.requested_before);
    conditions.time("ended > ", filter.ended_after);
    conditions.time("ended < ", filter.ended_before);
    conditions
}

/// The conditions on the tally of executions; `None` when it cannot tell.
pub(crate) fn execution_tally(filter: &ExecutionFilter) -> Option<Conditions> {
    let other = ExecutionFilter {
        action: None,
        pack: None,
        runner: None,
        user: None,
        statuses: Vec::new(),
        visibility: Visibility::All,
        parent: match filter.parent {
            ParentFilter::Top => ParentFilter::Any,
            parent => parent,
        },
        order: Default::default(),
        ..filter.clone()
    };
    if other != ExecutionFilter::default() {
        return None;
    }
    let mut conditions = Conditions::default();
    common(&mut conditions, filter);
    if filter.parent == ParentFilter::Top {
        conditions.plain("top = 1");
    }
    Some(conditions)
}

/// The conditions on the table of events.
pub(crate) fn trigger_instances(filter: &TriggerInstanceFilter) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.text(
        "\"trigger\" = ",
        filter.trigger.as_ref().map(|trigger| trigger.as_str()),
    );
    if let Some(status) = filter.status {
        // Literal, so that the partial indexes serve.
        conditions.plain(&format!("status = '{}'", status.as_str()));
    }
    conditions.text("trace_tag = ", filter.trace_tag.as_deref());
    conditions.time("occurred > ", filter.occurred_after);
    conditions.time("occurred < ", filter.occurred_before);
    conditions
}

/// The conditions on the tally of events; `None` when it cannot tell.
pub(crate) fn trigger_instance_tally(filter: &TriggerInstanceFilter) -> Option<Conditions> {
    let simple = filter.trace_tag.is_none()
        && filter.occurred_after.is_none()
        && filter.occurred_before.is_none();
    simple.then(|| trigger_instances(filter))
}

/// The conditions on the table of enforcements.
pub(crate) fn enforcements(filter: &EnforcementFilter) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.ids(&filter.ids);
    conditions.text("rule = ", filter.rule.as_ref().map(|rule| rule.as_str()));
    conditions.id("trigger_instance = ", filter.trigger_instance);
    conditions.id("execution = ", filter.execution);
    conditions.time("enforced > ", filter.enforced_after);
    conditions.time("enforced < ", filter.enforced_before);
    conditions
}

/// The conditions on the tally of enforcements; `None` when it cannot tell.
pub(crate) fn enforcement_tally(filter: &EnforcementFilter) -> Option<Conditions> {
    let other = EnforcementFilter {
        rule: None,
        oldest_first: false,
        ..filter.clone()
    };
    (other == EnforcementFilter::default()).then(|| enforcements(filter))
}

/// The conditions on the table of documents.
pub(crate) fn documents(
    kind: squall_model::DocumentKind,
    filter: &DocumentFilter,
    now: squall_model::Timestamp,
) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.with("kind = ", kind.as_str().to_owned());
    conditions.text("pack = ", filter.pack.as_deref());
    if let Some(prefix) = &filter.key_prefix {
        conditions.prefix("key", prefix);
    }
    conditions.with("(expires IS NULL OR expires > ", micros(now));
    conditions.sql.push(')');
    conditions
}
