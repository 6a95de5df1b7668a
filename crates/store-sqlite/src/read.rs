//! Rows to records.

use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::ValueRef;
use squall_model::{
    AuditRecord, Document, DocumentKind, Enforcement, EnforcementOutcome, Execution, Id, RuleRef,
    TriggerInstance, TriggerRef,
};
use squall_store::Change;
use squall_store::codec::{self, AuditRow, ChangeRow, Damage, ExecutionRow};

/// The columns that [`execution`] reads.
pub(crate) const EXECUTION: &str = "id, action, runner, user, parent, rule, trigger_instance, \
     task, trace_tag, requested, revision, status, lease, until, started, ended, deadline, log, \
     body";

/// The columns that [`trigger_instance`] reads.
pub(crate) const TRIGGER_INSTANCE: &str =
    "id, \"trigger\", occurred, status, trace_tag, source_execution, body";

/// One event.
pub(crate) const TRIGGER_INSTANCE_BY_ID: &str = "SELECT id, \"trigger\", occurred, status, \
     trace_tag, source_execution, body FROM trigger_instance WHERE id = ?1";

/// The columns that [`enforcement`] reads.
pub(crate) const ENFORCEMENT: &str = "id, rule, trigger_instance, enforced, execution, reason";

/// The columns that [`document`] reads.
pub(crate) const DOCUMENT: &str = "kind, key, id, pack, revision, changed, expires, body";

/// One document, even if expired.
pub(crate) const DOCUMENT_BY_KEY: &str = "SELECT kind, key, id, pack, revision, changed, expires, \
     body FROM document WHERE kind = ?1 AND key = ?2";

fn value<'a>(row: &'a Row<'_>, column: usize) -> Result<ValueRef<'a>, Damage> {
    row.get_ref(column)
        .map_err(|_| Damage::from("a column is missing"))
}

/// The bytes of a text or blob.
pub(crate) fn bytes<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a [u8], Damage> {
    optional_bytes(row, column)?.ok_or(Damage::from("a column is null"))
}

fn optional_bytes<'a>(row: &'a Row<'_>, column: usize) -> Result<Option<&'a [u8]>, Damage> {
    match value(row, column)? {
        ValueRef::Null => Ok(None),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(Some(bytes)),
        ValueRef::Integer(_) | ValueRef::Real(_) => Err("a column holds a number".into()),
    }
}

/// A text.
pub(crate) fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, Damage> {
    optional_text(row, column)?.ok_or(Damage::from("a column is null"))
}

fn optional_text<'a>(row: &'a Row<'_>, column: usize) -> Result<Option<&'a str>, Damage> {
    optional_bytes(row, column)?
        .map(|bytes| std::str::from_utf8(bytes).map_err(|_| "a column is not UTF-8".into()))
        .transpose()
}

/// An integer.
pub(crate) fn integer(row: &Row<'_>, column: usize) -> Result<i64, Damage> {
    optional_integer(row, column)?.ok_or(Damage::from("a column is null"))
}

fn optional_integer(row: &Row<'_>, column: usize) -> Result<Option<i64>, Damage> {
    match value(row, column)? {
        ValueRef::Null => Ok(None),
        ValueRef::Integer(number) => Ok(Some(number)),
        ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => {
            Err("a column does not hold an integer".into())
        }
    }
}

/// An id.
pub(crate) fn id<K>(row: &Row<'_>, column: usize) -> Result<Id<K>, Damage> {
    Id::from_bytes(bytes(row, column)?).ok_or("an id is damaged".into())
}

fn optional_id<K>(row: &Row<'_>, column: usize) -> Result<Option<Id<K>>, Damage> {
    optional_bytes(row, column)?
        .map(|bytes| Id::from_bytes(bytes).ok_or("an id is damaged".into()))
        .transpose()
}

/// An execution from the columns [`EXECUTION`].
pub(crate) fn execution(row: &Row<'_>) -> Result<Execution, Damage> {
    ExecutionRow {
        id: bytes(row, 0)?,
        action: text(row, 1)?,
        runner: text(row, 2)?,
        user: text(row, 3)?,
        parent: optional_bytes(row, 4)?,
        rule: optional_text(row, 5)?,
        trigger_instance: optional_bytes(row, 6)?,
        task: optional_text(row, 7)?,
        trace_tag: optional_text(row, 8)?,
        requested: integer(row, 9)?,
        revision: integer(row, 10)?,
        status: text(row, 11)?,
        lease: optional_integer(row, 12)?,
        until: optional_integer(row, 13)?,
        started: optional_integer(row, 14)?,
        ended: optional_integer(row, 15)?,
        deadline: optional_integer(row, 16)?,
        log: text(row, 17)?,
        body: bytes(row, 18)?,
    }
    .execution()
}

/// An event from the columns [`TRIGGER_INSTANCE`].
pub(crate) fn trigger_instance(row: &Row<'_>) -> Result<TriggerInstance, Damage> {
    let (payload, sender) = codec::decode_trigger_instance(bytes(row, 6)?)?;
    Ok(TriggerInstance {
        id: id(row, 0)?,
        trigger: TriggerRef::parse(text(row, 1)?)
            .map_err(|_| Damage::from("its trigger is damaged"))?,
        occurred: codec::moment(integer(row, 2)?)?,
        status: codec::trigger_instance_status(text(row, 3)?)?,
        trace_tag: optional_text(row, 4)?.map(Arc::from),
        source_execution: optional_id(row, 5)?,
        payload,
        sender,
    })
}

/// An enforcement from the columns [`ENFORCEMENT`].
pub(crate) fn enforcement(row: &Row<'_>) -> Result<Enforcement, Damage> {
    let outcome = match optional_id(row, 4)? {
        Some(execution) => EnforcementOutcome::Execution(execution),
        None => EnforcementOutcome::Failed(Arc::from(text(row, 5)?)),
    };
    Ok(Enforcement {
        id: id(row, 0)?,
        rule: RuleRef::parse(text(row, 1)?).map_err(|_| Damage::from("its rule is damaged"))?,
        trigger_instance: id(row, 2)?,
        enforced: codec::moment(integer(row, 3)?)?,
        outcome,
    })
}

/// A document from the columns [`DOCUMENT`].
pub(crate) fn document(row: &Row<'_>) -> Result<Document, Damage> {
    Ok(Document {
        kind: DocumentKind::from_name(text(row, 0)?).ok_or(Damage::from("its kind is unknown"))?,
        key: Arc::from(text(row, 1)?),
        id: id(row, 2)?,
        pack: optional_text(row, 3)?.map(Arc::from),
        revision: integer(row, 4)?.cast_unsigned(),
        changed: codec::moment(integer(row, 5)?)?,
        expires: optional_integer(row, 6)?.map(codec::moment).transpose()?,
        body: codec::decode_document(bytes(row, 7)?)?,
    })
}

/// The columns that [`audit`] reads.
pub(crate) const AUDIT: &str = "number, at, user, action, resource, result, body";

/// An entry of the audit record from the columns [`AUDIT`].
pub(crate) fn audit(row: &Row<'_>) -> Result<AuditRecord, Damage> {
    AuditRow {
        number: integer(row, 0)?,
        at: integer(row, 1)?,
        user: text(row, 2)?,
        action: text(row, 3)?,
        resource: optional_text(row, 4)?,
        result: text(row, 5)?,
        body: bytes(row, 6)?,
    }
    .record()
}

/// A change from the columns of its table, in order.
pub(crate) fn change(row: &Row<'_>) -> Result<Change, Damage> {
    ChangeRow {
        position: integer(row, 0)?,
        at: integer(row, 1)?,
        operation: text(row, 2)?.into(),
        subject: text(row, 3)?.into(),
        id: id::<()>(row, 4)?.to_bytes(),
        detail: optional_text(row, 5)?.map(Into::into),
        first: optional_integer(row, 6)?,
        count: optional_integer(row, 7)?,
    }
    .change()
}
