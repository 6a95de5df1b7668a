//! Rows to records.

use std::borrow::Cow;
use std::sync::Arc;

use squall_model::{
    AuditRecord, Document, DocumentKind, Enforcement, EnforcementOutcome, Execution, Id, RuleRef,
    TriggerInstance, TriggerRef,
};
use squall_store::Change;
use squall_store::codec::{self, AuditRow, ChangeRow, Damage, ExecutionRow};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::text::unescape;

/// The columns that [`execution`] reads.
pub(crate) const EXECUTION: &str = "id, action, runner, \"user\", parent, rule, \
     trigger_instance, task, trace_tag, requested, revision, status, lease, until, started, ended, \
     deadline, log, body";

/// The columns that [`trigger_instance`] reads.
pub(crate) const TRIGGER_INSTANCE: &str =
    "id, \"trigger\", occurred, status, trace_tag, source_execution, body";

/// The columns that [`enforcement`] reads.
pub(crate) const ENFORCEMENT: &str = "id, rule, trigger_instance, enforced, execution, reason";

/// The columns that [`document`] reads.
pub(crate) const DOCUMENT: &str = "kind, key, id, pack, revision, changed, expires, body";

/// The columns that [`audit`] reads.
pub(crate) const AUDIT: &str = "number, at, \"user\", action, resource, result, body";

/// A value of a column.
pub(crate) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, Damage> {
    row.try_get(column)
        .map_err(|error| Damage(Cow::Owned(format!("column {column}: {error}"))))
}

/// A text.
pub(crate) fn text(row: &Row, column: usize) -> Result<Cow<'_, str>, Damage> {
    Ok(unescape(get(row, column)?))
}

fn optional_text(row: &Row, column: usize) -> Result<Option<Cow<'_, str>>, Damage> {
    Ok(get::<Option<&str>>(row, column)?.map(unescape))
}

/// An id.
pub(crate) fn id<K>(row: &Row, column: usize) -> Result<Id<K>, Damage> {
    Id::from_bytes(get(row, column)?).ok_or("an id is damaged".into())
}

fn optional_id<K>(row: &Row, column: usize) -> Result<Option<Id<K>>, Damage> {
    get::<Option<&[u8]>>(row, column)?
        .map(|bytes| Id::from_bytes(bytes).ok_or("an id is damaged".into()))
        .transpose()
}

/// An execution from the columns [`EXECUTION`].
pub(crate) fn execution(row: &Row) -> Result<Execution, Damage> {
    ExecutionRow {
        id: get(row, 0)?,
        action: &text(row, 1)?,
        runner: &text(row, 2)?,
        user: &text(row, 3)?,
        parent: get(row, 4)?,
        rule: optional_text(row, 5)?.as_deref(),
        trigger_instance: get(row, 6)?,
        task: optional_text(row, 7)?.as_deref(),
        trace_tag: optional_text(row, 8)?.as_deref(),
        requested: get(row, 9)?,
        revision: get(row, 10)?,
        status: get(row, 11)?,
        lease: get(row, 12)?,
        until: get(row, 13)?,
        started: get(row, 14)?,
        ended: get(row, 15)?,
        deadline: get(row, 16)?,
        log: get(row, 17)?,
        body: get(row, 18)?,
    }
    .execution()
}

/// An event from the columns [`TRIGGER_INSTANCE`].
pub(crate) fn trigger_instance(row: &Row) -> Result<TriggerInstance, Damage> {
    let (payload, sender) = codec::decode_trigger_instance(get(row, 6)?)?;
    Ok(TriggerInstance {
        id: id(row, 0)?,
        trigger: TriggerRef::parse(&text(row, 1)?)
            .map_err(|_| Damage::from("its trigger is damaged"))?,
        occurred: codec::moment(get(row, 2)?)?,
        status: codec::trigger_instance_status(get(row, 3)?)?,
        trace_tag: optional_text(row, 4)?.map(Arc::from),
        source_execution: optional_id(row, 5)?,
        payload,
        sender,
    })
}

/// An enforcement from the columns [`ENFORCEMENT`].
pub(crate) fn enforcement(row: &Row) -> Result<Enforcement, Damage> {
    let outcome = match optional_id(row, 4)? {
        Some(execution) => EnforcementOutcome::Execution(execution),
        None => EnforcementOutcome::Failed(Arc::from(text(row, 5)?)),
    };
    Ok(Enforcement {
        id: id(row, 0)?,
        rule: RuleRef::parse(&text(row, 1)?).map_err(|_| Damage::from("its rule is damaged"))?,
        trigger_instance: id(row, 2)?,
        enforced: codec::moment(get(row, 3)?)?,
        outcome,
    })
}

/// A document from the columns [`DOCUMENT`].
pub(crate) fn document(row: &Row) -> Result<Document, Damage> {
    Ok(Document {
        kind: DocumentKind::from_name(get(row, 0)?).ok_or(Damage::from("its kind is unknown"))?,
        key: Arc::from(text(row, 1)?),
        id: id(row, 2)?,
        pack: optional_text(row, 3)?.map(Arc::from),
        revision: get::<i64>(row, 4)?.cast_unsigned(),
        changed: codec::moment(get(row, 5)?)?,
        expires: get::<Option<i64>>(row, 6)?.map(codec::moment).transpose()?,
        body: codec::decode_document(get(row, 7)?)?,
    })
}

/// An entry of the audit record from the columns [`AUDIT`].
pub(crate) fn audit(row: &Row) -> Result<AuditRecord, Damage> {
    AuditRow {
        number: get(row, 0)?,
        at: get(row, 1)?,
        user: &text(row, 2)?,
        action: &text(row, 3)?,
        resource: optional_text(row, 4)?.as_deref(),
        result: get(row, 5)?,
        body: get(row, 6)?,
    }
    .record()
}

/// A change from the columns of its table, in order.
pub(crate) fn change(row: &Row) -> Result<Change, Damage> {
    ChangeRow {
        position: get(row, 0)?,
        at: get(row, 1)?,
        operation: get::<&str>(row, 2)?.into(),
        subject: get::<&str>(row, 3)?.into(),
        id: id::<()>(row, 4)?.to_bytes(),
        detail: optional_text(row, 5)?,
        first: get(row, 6)?,
        count: get(row, 7)?,
    }
    .change()
}
