//! Filters as SQL: what the SQL back ends have in common, which is all but placeholders and how a
//! text is written.

use std::borrow::Cow;
use std::fmt::Write;

use squall_model::{AuditResult, DocumentKind, Id, Status, Timestamp};
use squall_value::Str;

use crate::codec::{self, micros};
use crate::visible::Part;
use crate::{
    AuditFilter, DocumentFilter, EnforcementFilter, ExecutionFilter, ParentFilter, RuleVisibility,
    TriggerInstanceFilter, Visibility,
};

/// What differs between databases.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// What stands before the number of a parameter.
    pub placeholder: char,
    /// How a text is written, if the database cannot hold every text. Must keep the order of texts
    /// and their prefixes.
    pub text: fn(&str) -> Cow<'_, str>,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// A text, already as the dialect writes it.
    Text(String),
    /// An integer.
    Integer(i64),
    /// An id.
    Bytes(Vec<u8>),
}

/// Conditions, joined by AND, with their parameters.
#[derive(Debug, Clone)]
pub struct Conditions {
    dialect: Dialect,
    sql: String,
    /// How many parameters stand before these in the statement.
    before: usize,
    /// The parameters, in order.
    pub parameters: Vec<Parameter>,
}

impl Conditions {
    fn new(dialect: Dialect) -> Conditions {
        Conditions::after(dialect, 0)
    }

    fn after(dialect: Dialect, before: usize) -> Conditions {
        Conditions {
            dialect,
            sql: String::new(),
            before,
            parameters: Vec::new(),
        }
    }

    /// The `WHERE` clause, empty without conditions.
    #[must_use]
    pub fn clause(&self) -> &str {
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
    fn with(&mut self, condition: &str, value: Parameter) {
        self.begin();
        self.sql.push_str(condition);
        self.parameter(value);
    }

    fn parameter(&mut self, value: Parameter) {
        self.parameters.push(value);
        let _ = write!(
            self.sql,
            "{}{}",
            self.dialect.placeholder,
            self.before + self.parameters.len()
        );
    }

    fn written(&self, text: &str) -> Parameter {
        Parameter::Text((self.dialect.text)(text).into_owned())
    }

    fn text(&mut self, condition: &str, text: Option<&str>) {
        if let Some(text) = text {
            let text = self.written(text);
            self.with(condition, text);
        }
    }

    fn time(&mut self, condition: &str, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.with(condition, Parameter::Integer(micros(at)));
        }
    }

    fn id<K>(&mut self, condition: &str, id: Option<Id<K>>) {
        if let Some(id) = id {
            self.with(condition, Parameter::Bytes(id.to_bytes().to_vec()));
        }
    }

    /// `column IN (…)`; nothing is in an empty list.
    fn in_list(&mut self, column: &str, values: Vec<Parameter>) {
        if values.is_empty() {
            self.sql.push_str("1 = 0");
            return;
        }
        self.sql.push_str(column);
        self.sql.push_str(" IN (");
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.sql.push(',');
            }
            self.parameter(value);
        }
        self.sql.push(')');
    }

    /// ` OR` the reference in `column` begins with one of the packs.
    fn or_in_packs(&mut self, column: &str, packs: &[Str]) {
        for pack in packs {
            // The dot ends the pack; the slash is the character after it.
            let from = self.written(&format!("{pack}."));
            let to = self.written(&format!("{pack}/"));
            let _ = write!(self.sql, " OR ({column} >= ");
            self.parameter(from);
            let _ = write!(self.sql, " AND {column} < ");
            self.parameter(to);
            self.sql.push(')');
        }
    }

    fn texts<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Vec<Parameter> {
        texts.map(|text| self.written(text)).collect()
    }

    fn ids<K>(&mut self, ids: &[Id<K>]) {
        if !ids.is_empty() {
            let ids = ids
                .iter()
                .map(|id| Parameter::Bytes(id.to_bytes().to_vec()));
            self.begin();
            self.in_list("id", ids.collect());
        }
    }

    /// `column` from `from` on and, unless there is no end, before `to`.
    fn range(&mut self, column: &str, from: &str, to: Option<&str>) {
        self.text(&format!("{column} >= "), Some(from));
        self.text(&format!("{column} < "), to);
    }

    /// `column` begins with `prefix`.
    fn prefix(&mut self, column: &str, prefix: &str) {
        self.range(column, prefix, codec::prefix_end(prefix).as_deref());
    }
}

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
    conditions.text("\"user\" = ", filter.user.as_deref());
    if !filter.statuses.is_empty() {
        let words = conditions.texts(filter.statuses.iter().map(|status| status.as_str()));
        conditions.begin();
        conditions.in_list("status", words);
    }
    if let Visibility::Only {
        users,
        actions,
        packs,
        ids,
    } = &filter.visibility
    {
        conditions.begin();
        conditions.sql.push('(');
        let users = conditions.texts(users.iter().map(|user| &**user));
        conditions.in_list("\"user\"", users);
        conditions.sql.push_str(" OR ");
        let actions = conditions.texts(actions.iter().map(|action| action.as_str()));
        conditions.in_list("action", actions);
        conditions.or_in_packs("action", packs);
        if !ids.is_empty() {
            conditions.sql.push_str(" OR ");
            let ids = ids
                .iter()
                .map(|id| Parameter::Bytes(id.to_bytes().to_vec()));
            conditions.in_list("id", ids.collect());
        }
        conditions.sql.push(')');
    }
}

/// The conditions on the table of executions.
#[must_use]
pub fn executions(dialect: Dialect, filter: &ExecutionFilter) -> Conditions {
    let mut conditions = Conditions::new(dialect);
    all_of_executions(&mut conditions, filter);
    conditions
}

/// A union of the parts of a filter, each with what stands before and behind its conditions: the
/// text, and the parameters.
#[must_use]
pub fn execution_union<'a>(
    dialect: Dialect,
    parts: impl IntoIterator<Item = (&'a Part, String)>,
    behind: &str,
) -> (String, Vec<Parameter>) {
    let (mut sql, mut parameters) = (String::new(), Vec::new());
    for (part, before) in parts {
        let mut conditions = Conditions::after(dialect, parameters.len());
        all_of_executions(&mut conditions, &part.filter);
        for user in &part.without {
            conditions.text("\"user\" <> ", Some(user));
        }
        if !sql.is_empty() {
            sql.push_str(" UNION ALL ");
        }
        sql.push_str(&before);
        sql.push_str(&conditions.sql);
        sql.push_str(behind);
        parameters.append(&mut conditions.parameters);
    }
    (sql, parameters)
}

/// The statement that sums up the numbers `n` of a union.
#[must_use]
pub fn sum_of(union: &str) -> String {
    format!("SELECT CAST(coalesce(sum(n), 0) AS bigint) FROM ({union}) AS part")
}

/// The statement that reads the actions in some packs that executions are of, and its parameters;
/// `None` when there are no packs.
#[must_use]
pub fn actions_in_packs(dialect: Dialect, packs: &[Str]) -> Option<(String, Vec<Parameter>)> {
    if packs.is_empty() {
        return None;
    }
    let mut conditions = Conditions::new(dialect);
    // A beginning that holds for none, so that each pack is one more way.
    conditions.plain("(1 = 0");
    conditions.or_in_packs("action", packs);
    conditions.sql.push(')');
    let sql = format!(
        "SELECT DISTINCT action FROM execution_tally{}",
        conditions.sql
    );
    Some((sql, conditions.parameters))
}

fn all_of_executions(conditions: &mut Conditions, filter: &ExecutionFilter) {
    common(conditions, filter);
    if !filter.statuses.is_empty() {
        // Literal repetitions of an index's condition, by which the planner knows that it may use it.
        if filter.statuses.iter().all(|status| !status.is_ended()) {
            conditions.plain("open = 1");
        } else if filter.statuses.iter().all(|status| status.is_ended()) {
            conditions
                .plain("status IN ('succeeded', 'failed', 'timeout', 'abandoned', 'canceled')");
        }
    }
    conditions.ids(&filter.ids);
    match filter.parent {
        ParentFilter::Any => {}
        ParentFilter::Top => conditions.plain("parent IS NULL"),
        ParentFilter::Of(parent) => conditions.id("parent = ", Some(parent)),
    }
    if let Some(root) = filter.root {
        // Only the topmost has no parent: from elsewhere in a tree nothing is below its root.
        conditions.id(
            "id IN (WITH RECURSIVE tree (id) AS (SELECT id FROM execution WHERE parent IS NULL \
             AND id = ",
            Some(root),
        );
        conditions.sql.push_str(
            " UNION ALL SELECT child.id FROM tree JOIN execution AS child ON child.parent = \
             tree.id) SELECT id FROM tree)",
        );
    }
    if let [rule] = filter.rules.as_slice() {
        conditions.text("rule = ", Some(rule.as_str()));
    } else if !filter.rules.is_empty() {
        let rules = filter.rules.iter();
        let rules = rules.map(|rule| Parameter::Text(rule.as_str().to_owned()));
        conditions.begin();
        conditions.in_list("rule", rules.collect());
    }
    conditions.id("trigger_instance = ", filter.trigger_instance);
    conditions.text("task = ", filter.task.as_deref());
    conditions.text("trace_tag = ", filter.trace_tag.as_deref());
    conditions.time("requested > ", filter.requested_after);
    conditions.time("requested < ", filter.requested_before);
    conditions.time("ended > ", filter.ended_after);
    conditions.time("ended < ", filter.ended_before);
}

/// How many microseconds the buckets of the tally by time hold, as powers of two: some two minutes,
/// so that long ranges are few numbers, and some four seconds, so that little is left to count at
/// their ends.
pub const BUCKETS: [u32; 2] = [27, 22];

/// The bucket of the tally by time that a moment belongs to, in buckets of so many bits.
#[must_use]
pub fn bucket(at: Timestamp, bits: u32) -> i64 {
    micros(at) >> bits
}

/// A total over a range of time, taken apart: sums of whole buckets of the tally by time, and what
/// has to be counted.
#[derive(Debug, Default)]
pub struct TimeTotal {
    /// Conditions on the tally by time, which knows executions that have ended.
    pub sums: Vec<Conditions>,
    /// What is counted: the beginning and the end of the range, and what is open between.
    pub counted: Vec<ExecutionFilter>,
}

/// How a total over a range of time is found without counting it all; `None` when the tally by time
/// cannot help.
#[must_use]
pub fn execution_time_total(dialect: Dialect, filter: &ExecutionFilter) -> Option<TimeTotal> {
    let other = ExecutionFilter {
        statuses: Vec::new(),
        parent: match filter.parent {
            ParentFilter::Top => ParentFilter::Any,
            parent => parent,
        },
        requested_after: None,
        requested_before: None,
        order: Default::default(),
        ..filter.clone()
    };
    let is_range = filter.requested_after.is_some() || filter.requested_before.is_some();
    if other != ExecutionFilter::default() || !is_range {
        return None;
    }
    let mut total = TimeTotal::default();
    total.take_apart(dialect, filter.clone(), &BUCKETS);
    Some(total)
}

impl TimeTotal {
    /// Adds what a range holds: whole buckets of the widest sort, and its ends by the narrower ones.
    fn take_apart(&mut self, dialect: Dialect, range: ExecutionFilter, buckets: &[u32]) {
        let Some((&bits, narrower)) = buckets.split_first() else {
            self.counted.push(range);
            return;
        };
        let Some(parts) = Parts::of(&range, bits) else {
            self.take_apart(dialect, range, narrower);
            return;
        };
        self.sums.push(parts.sum(dialect, &range, bits));
        self.counted.extend(parts.open(&range));
        for end in parts.ends {
            self.take_apart(dialect, end, narrower);
        }
    }
}

/// A range of time with at least one whole bucket in it.
struct Parts {
    /// The first whole bucket; none when the range has no beginning.
    from: Option<i64>,
    /// The bucket behind the last whole one; none when the range has no end.
    to: Option<i64>,
    /// The whole buckets, as a range.
    whole: ExecutionFilter,
    /// What lies before and behind them.
    ends: Vec<ExecutionFilter>,
}

impl Parts {
    fn of(range: &ExecutionFilter, bits: u32) -> Option<Self> {
        let from = range.requested_after.map(|after| bucket(after, bits) + 1);
        let to = range.requested_before.map(|before| bucket(before, bits));
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return None;
        }
        let begin = |bucket: i64| codec::moment(bucket << bits).ok();
        let just_before = |bucket: i64| codec::moment((bucket << bits) - 1).ok();
        let mut whole = range.clone();
        let mut ends = Vec::new();
        if let Some(from) = from {
            whole.requested_after = Some(just_before(from)?);
            ends.push(ExecutionFilter {
                requested_before: Some(begin(from)?),
                ..range.clone()
            });
        }
        if let Some(to) = to {
            whole.requested_before = Some(begin(to)?);
            ends.push(ExecutionFilter {
                requested_after: Some(just_before(to)?),
                ..range.clone()
            });
        }
        Some(Self {
            from,
            to,
            whole,
            ends,
        })
    }

    /// What the tally knows of the whole buckets.
    fn sum(&self, dialect: Dialect, range: &ExecutionFilter, bits: u32) -> Conditions {
        let mut sum = Conditions::new(dialect);
        sum.with("bits = ", Parameter::Integer(bits.into()));
        if let Some(from) = self.from {
            sum.with("bucket >= ", Parameter::Integer(from));
        }
        if let Some(to) = self.to {
            sum.with("bucket < ", Parameter::Integer(to));
        }
        if range.parent == ParentFilter::Top {
            sum.plain("top = 1");
        }
        if !range.statuses.is_empty() {
            let words = sum.texts(range.statuses.iter().map(|status| status.as_str()));
            sum.begin();
            sum.in_list("status", words);
        }
        sum
    }

    /// What the tally does not know of the whole buckets: executions that have not ended.
    fn open(&self, range: &ExecutionFilter) -> Option<ExecutionFilter> {
        let mut statuses = range.statuses.clone();
        if statuses.is_empty() {
            statuses = Status::ALL.to_vec();
        }
        statuses.retain(|status| !status.is_ended());
        let is_any = !statuses.is_empty();
        is_any.then(|| ExecutionFilter {
            statuses,
            ..self.whole.clone()
        })
    }
}

/// An index of the table of executions by which lists are found, most of them in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionIndex {
    /// All, by the time of the request.
    Requested,
    /// By action.
    Action,
    /// By user.
    User,
    /// Those that have ended, by status.
    Ended,
    /// By rule.
    Rule,
    /// By runner.
    Runner,
    /// Those that have not ended, in no order: they are few.
    Open,
}

impl ExecutionIndex {
    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ExecutionIndex::Requested => "execution_requested",
            ExecutionIndex::Action => "execution_action",
            ExecutionIndex::User => "execution_user",
            ExecutionIndex::Ended => "execution_ended",
            ExecutionIndex::Rule => "execution_rule",
            ExecutionIndex::Runner => "execution_runner",
            ExecutionIndex::Open => "execution_open",
        }
    }

    /// Whether the index itself has all that the filter looks at, so that rows that it does not
    /// want need not be read. What each one has stands in the schema of the embedded database, which
    /// is told by what index to go; a database server decides for itself.
    #[must_use]
    pub fn covers(self, filter: &ExecutionFilter) -> bool {
        let status = filter.statuses.is_empty() || self == ExecutionIndex::Ended;
        let rule = filter.rules.is_empty()
            || matches!(
                self,
                ExecutionIndex::Requested | ExecutionIndex::Ended | ExecutionIndex::Rule
            );
        let runner = filter.runner.is_none()
            || matches!(self, ExecutionIndex::Requested | ExecutionIndex::Runner);
        status && rule && runner
    }
}

/// The indexes that a list can be walked by. None when other conditions select more than these, and
/// the planner decides.
#[must_use]
pub fn execution_indexes(filter: &ExecutionFilter) -> Vec<ExecutionIndex> {
    let is_selected = !filter.ids.is_empty()
        || matches!(filter.parent, ParentFilter::Of(_))
        || filter.root.is_some()
        || filter.trigger_instance.is_some()
        || filter.task.is_some()
        || filter.trace_tag.is_some();
    let is_open = !filter.statuses.is_empty() && !filter.statuses.iter().any(|one| one.is_ended());
    if is_selected {
        return Vec::new();
    }
    if is_open {
        return vec![ExecutionIndex::Open];
    }
    let is_ended = matches!(&filter.statuses[..], [status] if status.is_ended());
    let mut indexes = Vec::new();
    let mut offer = |index, offered| indexes.extend(Some(index).filter(|_| offered));
    offer(ExecutionIndex::Action, filter.action.is_some());
    offer(ExecutionIndex::User, filter.user.is_some());
    offer(ExecutionIndex::Ended, is_ended);
    offer(ExecutionIndex::Rule, filter.rules.len() == 1);
    offer(ExecutionIndex::Runner, filter.runner.is_some());
    if indexes.is_empty() {
        indexes.push(ExecutionIndex::Requested);
    }
    indexes
}

/// Whether a list is walked by an index in its order, entry by entry, until the page is full.
pub(crate) fn is_walked(filter: &ExecutionFilter) -> bool {
    let indexes = execution_indexes(filter);
    !indexes.is_empty() && indexes != [ExecutionIndex::Open]
}

/// The conditions on the tally that tell how many executions an index gives for a filter; for
/// [`ExecutionIndex::Rule`] on the tally of enforcements, which has as many or more.
#[must_use]
pub fn execution_share(
    dialect: Dialect,
    index: ExecutionIndex,
    filter: &ExecutionFilter,
) -> Conditions {
    let mut conditions = Conditions::new(dialect);
    match index {
        ExecutionIndex::Requested => {}
        ExecutionIndex::Action => conditions.text(
            "action = ",
            filter.action.as_ref().map(|action| action.as_str()),
        ),
        ExecutionIndex::User => conditions.text("\"user\" = ", filter.user.as_deref()),
        ExecutionIndex::Ended => conditions.text(
            "status = ",
            filter.statuses.first().map(|status| status.as_str()),
        ),
        ExecutionIndex::Rule => {
            conditions.text("rule = ", filter.rules.first().map(|rule| rule.as_str()));
        }
        ExecutionIndex::Runner => conditions.text("runner = ", filter.runner.as_deref()),
        ExecutionIndex::Open => {
            let open = Status::ALL.iter().filter(|status| !status.is_ended());
            let words = conditions.texts(open.map(|status| status.as_str()));
            conditions.begin();
            conditions.in_list("status", words);
        }
    }
    conditions
}

/// The conditions on the tally of executions; `None` when it cannot tell.
#[must_use]
pub fn execution_tally(dialect: Dialect, filter: &ExecutionFilter) -> Option<Conditions> {
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
    let by_id = matches!(&filter.visibility, Visibility::Only { ids, .. } if !ids.is_empty());
    if by_id || other != ExecutionFilter::default() {
        return None;
    }
    let mut conditions = Conditions::new(dialect);
    common(&mut conditions, filter);
    if filter.parent == ParentFilter::Top {
        conditions.plain("top = 1");
    }
    Some(conditions)
}

/// The conditions on the table of events.
#[must_use]
pub fn trigger_instances(dialect: Dialect, filter: &TriggerInstanceFilter) -> Conditions {
    let mut conditions = Conditions::new(dialect);
    conditions.ids(&filter.ids);
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
    if let Some(visible) = &filter.visible {
        let visible = conditions.texts(visible.iter().map(|one| &**one));
        conditions.begin();
        conditions.in_list("\"trigger\"", visible);
    }
    conditions
}

/// The conditions on the tally of events; `None` when it cannot tell.
#[must_use]
pub fn trigger_instance_tally(
    dialect: Dialect,
    filter: &TriggerInstanceFilter,
) -> Option<Conditions> {
    let simple = filter.ids.is_empty()
        && filter.trace_tag.is_none()
        && filter.occurred_after.is_none()
        && filter.occurred_before.is_none();
    simple.then(|| trigger_instances(dialect, filter))
}

/// The conditions on the table of enforcements.
#[must_use]
pub fn enforcements(dialect: Dialect, filter: &EnforcementFilter) -> Conditions {
    let mut conditions = Conditions::new(dialect);
    conditions.ids(&filter.ids);
    conditions.text("rule = ", filter.rule.as_ref().map(|rule| rule.as_str()));
    conditions.id("trigger_instance = ", filter.trigger_instance);
    conditions.id("execution = ", filter.execution);
    conditions.time("enforced > ", filter.enforced_after);
    conditions.time("enforced < ", filter.enforced_before);
    if let RuleVisibility::Only { rules, packs } = &filter.visibility {
        conditions.begin();
        conditions.sql.push('(');
        let rules = conditions.texts(rules.iter().map(|rule| rule.as_str()));
        conditions.in_list("rule", rules);
        conditions.or_in_packs("rule", packs);
        conditions.sql.push(')');
    }
    conditions
}

/// The conditions on the tally of enforcements; `None` when it cannot tell.
#[must_use]
pub fn enforcement_tally(dialect: Dialect, filter: &EnforcementFilter) -> Option<Conditions> {
    let other = EnforcementFilter {
        rule: None,
        visibility: RuleVisibility::All,
        oldest_first: false,
        ..filter.clone()
    };
    (other == EnforcementFilter::default()).then(|| enforcements(dialect, filter))
}

/// The conditions on the audit record.
#[must_use]
pub fn audit(dialect: Dialect, filter: &AuditFilter) -> Conditions {
    let mut conditions = Conditions::new(dialect);
    conditions.text("\"user\" = ", filter.user.as_deref());
    conditions.text("action = ", filter.action.as_deref());
    conditions.text("resource = ", filter.resource.as_deref());
    if let Some(prefix) = &filter.resource_prefix {
        conditions.prefix("resource", prefix);
    }
    conditions.text("result = ", filter.result.map(AuditResult::as_str));
    conditions.time("at > ", filter.after);
    conditions.time("at < ", filter.before);
    conditions
}

/// The conditions on the table of documents.
#[must_use]
pub fn documents(
    dialect: Dialect,
    kind: DocumentKind,
    filter: &DocumentFilter,
    now: Timestamp,
) -> Conditions {
    let mut conditions = Conditions::new(dialect);
    conditions.text("kind = ", Some(kind.as_str()));
    conditions.text("pack = ", filter.pack.as_deref());
    if let Some(prefix) = &filter.key_prefix {
        conditions.prefix("key", prefix);
    }
    conditions.time("(expires IS NULL OR expires > ", Some(now));
    conditions.sql.push(')');
    conditions
}
