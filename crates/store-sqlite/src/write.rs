//! Commands to rows. Every command was decided before: nothing here looks at conditions.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params};
use squall_model::{
    AuditRecord, Document, Enforcement, EnforcementOutcome, Execution, ExecutionId, Lease, Origin,
    OutputChunk, Timestamp, TriggerInstance,
};
use squall_store::codec::{self, ChangeRow, Encoded, Packed, micros};
use squall_store::decide::Accepted;
use squall_store::tally::Tally;
use squall_store::{Change, Command};

/// Writes the new numbers of a batch.
pub(crate) fn tally(connection: &Connection, tally: Tally) -> rusqlite::Result<()> {
    for (kind, by) in tally.executions {
        if by != 0 {
            connection
                .prepare_cached(
                    "INSERT INTO execution_tally (action, status, \"user\", runner, top, count)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                         ON CONFLICT DO UPDATE SET count = count + excluded.count",
                )?
                .execute(params![
                    kind.action.as_str(),
                    kind.status.as_str(),
                    &*kind.user,
                    &*kind.runner,
                    kind.top,
                    by
                ])?;
        }
    }
    for (kind, by) in tally.times {
        if by != 0 {
            connection
                .prepare_cached(
                    "INSERT INTO execution_time_tally (bits, bucket, status, top, count)
                         VALUES (?1, ?2, ?3, ?4, ?5)
                         ON CONFLICT DO UPDATE SET count = count + excluded.count",
                )?
                .execute(params![
                    kind.bits,
                    kind.bucket,
                    kind.status.as_str(),
                    kind.top,
                    by
                ])?;
        }
    }
    for ((trigger, status), by) in tally.trigger_instances {
        if by != 0 {
            connection
                .prepare_cached(
                    "INSERT INTO trigger_instance_tally (\"trigger\", status, count)
                         VALUES (?1, ?2, ?3)
                         ON CONFLICT DO UPDATE SET count = count + excluded.count",
                )?
                .execute(params![trigger.as_str(), status.as_str(), by])?;
        }
    }
    for (rule, by) in tally.enforcements {
        connection
            .prepare_cached(
                "INSERT INTO enforcement_tally (rule, count) VALUES (?1, ?2)
                     ON CONFLICT DO UPDATE SET count = count + excluded.count",
            )?
            .execute(params![rule.as_str(), by])?;
    }
    Ok(())
}

/// A packed text as a parameter: text as it is, or bytes.
struct Body<'a>(&'a Packed);

impl ToSql for Body<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Packed::Plain(text) => ValueRef::Text(text.as_bytes()),
            Packed::Compressed(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn body(encoded: &Encoded) -> Option<Body<'_>> {
    encoded.body.as_ref().map(Body)
}

/// Writes what an accepted transaction holds.
pub(crate) fn transaction(
    connection: &Connection,
    commands: &[Command],
    encoded: &[Encoded],
    accepted: &Accepted,
    tally: &mut Tally,
) -> rusqlite::Result<()> {
    tally.add(commands, accepted);
    for (command, encoded) in commands.iter().zip(encoded) {
        self::command(connection, command, encoded)?;
    }
    for change in &accepted.changes {
        self::change(connection, change)?;
    }
    Ok(())
}

fn command(connection: &Connection, command: &Command, encoded: &Encoded) -> rusqlite::Result<()> {
    match command {
        Command::Remember { key, id, expires } => {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO remembered (key, id, expires) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![&**key, id.to_bytes(), micros(*expires)])?;
        }
        Command::InsertTriggerInstance(instance) => {
            trigger_instance(connection, instance, encoded)?;
        }
        Command::FinishTriggerInstance { id, status } => {
            connection
                .prepare_cached("UPDATE trigger_instance SET status = ?2 WHERE id = ?1")?
                .execute(params![id.to_bytes(), status.as_str()])?;
        }
        Command::InsertEnforcement(enforcement) => {
            self::enforcement(connection, enforcement)?;
        }
        Command::InsertExecution { execution, .. } => {
            insert_execution(connection, execution, encoded)?;
        }
        Command::UpdateExecution { execution, .. } => {
            update_execution(connection, execution, encoded)?;
        }
        Command::AppendPieces { execution, at, .. } => {
            pieces(connection, *execution, *at, &encoded.parts)?;
        }
        Command::ReplacePieces { execution, at, .. } => {
            connection
                .prepare_cached("DELETE FROM piece WHERE execution = ?1")?
                .execute([execution.to_bytes()])?;
            pieces(connection, *execution, *at, &encoded.parts)?;
        }
        Command::AppendOutput {
            execution,
            at,
            chunks,
        } => output(connection, *execution, *at, chunks, &encoded.parts)?,
        Command::PutDocument { document, .. } => put_document(connection, document, encoded)?,
        Command::DeleteDocument { kind, key, .. } => {
            connection
                .prepare_cached("DELETE FROM document WHERE kind = ?1 AND key = ?2")?
                .execute(params![kind.as_str(), &**key])?;
        }
        Command::PutContent { hash, .. } => {
            connection
                .prepare_cached(
                    "INSERT INTO content (hash, body) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                )?
                .execute(params![&**hash, body(encoded)])?;
        }
        Command::HoldLease {
            name,
            holder,
            until,
        } => hold_lease(connection, name, *holder, *until)?,
        Command::ReleaseLease { name, holder } => {
            connection
                .prepare_cached("DELETE FROM lease WHERE name = ?1 AND holder = ?2")?
                .execute(params![&**name, holder.0.cast_signed()])?;
        }
        Command::RequireServer(_) => {}
        Command::Record(record) => self::audit(connection, record, encoded)?,
    }
    Ok(())
}

fn hold_lease(
    connection: &Connection,
    name: &str,
    holder: Lease,
    until: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO lease (name, holder, until) VALUES (?1, ?2, ?3)")?
        .execute(params![name, holder.0.cast_signed(), micros(until)])?;
    Ok(())
}

fn trigger_instance(
    connection: &Connection,
    instance: &TriggerInstance,
    encoded: &Encoded,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO trigger_instance
                 (id, \"trigger\", occurred, status, trace_tag, source_execution, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            instance.id.to_bytes(),
            instance.trigger.as_str(),
            micros(instance.occurred),
            instance.status.as_str(),
            instance.trace_tag.as_deref(),
            instance.source_execution.map(squall_model::Id::to_bytes),
            body(encoded),
        ])?;
    Ok(())
}

fn enforcement(connection: &Connection, enforcement: &Enforcement) -> rusqlite::Result<()> {
    let (execution, reason) = match &enforcement.outcome {
        EnforcementOutcome::Execution(execution) => (Some(execution.to_bytes()), None),
        EnforcementOutcome::Failed(reason) => (None, Some(&**reason)),
    };
    connection
        .prepare_cached(
            "INSERT INTO enforcement (id, rule, trigger_instance, enforced, execution, reason)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            enforcement.id.to_bytes(),
            enforcement.rule.as_str(),
            enforcement.trigger_instance.to_bytes(),
            micros(enforcement.enforced),
            execution,
            reason,
        ])?;
    Ok(())
}

/// 1 until the execution has ended: the condition of the index of those that have not.
fn open_flag(execution: &Execution) -> Option<i64> {
    (!execution.state().is_ended()).then_some(1)
}

fn insert_execution(
    connection: &Connection,
    execution: &Execution,
    encoded: &Encoded,
) -> rusqlite::Result<()> {
    let (request, progress) = (&*execution.request, &execution.progress);
    let (rule, task) = match &request.origin {
        Origin::Rule(rule) => (Some(rule), None),
        Origin::Task(task) => (None, Some(&*task.task)),
        Origin::User | Origin::Rerun(_) => (None, None),
    };
    connection
        .prepare_cached(
            "INSERT INTO execution (id, action, runner, user, parent, rule, trigger_instance,
                 task, trace_tag, requested, revision, status, open, lease, until, started, ended,
                 deadline, log, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
                 ?18, ?19, ?20)",
        )?
        .execute(params![
            request.id.to_bytes(),
            request.action.as_str(),
            &*request.runner,
            &*request.user,
            request.parent.map(squall_model::Id::to_bytes),
            rule.map(|rule| rule.rule.as_str()),
            rule.map(|rule| rule.trigger_instance.to_bytes()),
            task,
            request.trace_tag.as_deref(),
            micros(request.requested),
            progress.revision.cast_signed(),
            progress.state.status().as_str(),
            open_flag(execution),
            codec::lease_of(progress.state),
            codec::until_of(progress.state),
            progress.started.map(micros),
            progress.ended.map(micros),
            progress.deadline.map(micros),
            encoded.log.as_deref(),
            body(encoded),
        ])?;
    if let Some(result) = &encoded.result {
        connection
            .prepare_cached("INSERT INTO result (seq, body) VALUES (?1, ?2)")?
            .execute(params![connection.last_insert_rowid(), Body(result)])?;
    }
    Ok(())
}

fn update_execution(
    connection: &Connection,
    execution: &Execution,
    encoded: &Encoded,
) -> rusqlite::Result<()> {
    let progress = &execution.progress;
    let id = execution.id().to_bytes();
    connection
        .prepare_cached(
            "UPDATE execution SET revision = ?2, status = ?3, open = ?4, lease = ?5, until = ?6,
                 started = ?7, ended = ?8, deadline = ?9, log = ?10
             WHERE id = ?1",
        )?
        .execute(params![
            id,
            progress.revision.cast_signed(),
            progress.state.status().as_str(),
            open_flag(execution),
            codec::lease_of(progress.state),
            codec::until_of(progress.state),
            progress.started.map(micros),
            progress.ended.map(micros),
            progress.deadline.map(micros),
            encoded.log.as_deref(),
        ])?;
    if let Some(result) = &encoded.result {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO result (seq, body)
                 SELECT seq, ?2 FROM execution WHERE id = ?1",
            )?
            .execute(params![id, Body(result)])?;
    }
    Ok(())
}

fn pieces(
    connection: &Connection,
    execution: ExecutionId,
    at: u64,
    pieces: &[Packed],
) -> rusqlite::Result<()> {
    let mut insert = connection
        .prepare_cached("INSERT INTO piece (execution, number, body) VALUES (?1, ?2, ?3)")?;
    for (number, piece) in (at..).zip(pieces) {
        insert.execute(params![
            execution.to_bytes(),
            number.cast_signed(),
            Body(piece)
        ])?;
    }
    Ok(())
}

fn output(
    connection: &Connection,
    execution: ExecutionId,
    at: u64,
    chunks: &[OutputChunk],
    texts: &[Packed],
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO output (execution, number, stream, at, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (number, (chunk, text)) in (at..).zip(chunks.iter().zip(texts)) {
        insert.execute(params![
            execution.to_bytes(),
            number.cast_signed(),
            codec::stream_code(chunk.stream),
            micros(chunk.at),
            Body(text)
        ])?;
    }
    Ok(())
}

fn put_document(
    connection: &Connection,
    document: &Document,
    encoded: &Encoded,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO document (kind, key, id, pack, revision, changed, expires, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (kind, key) DO UPDATE SET id = excluded.id, pack = excluded.pack,
                 revision = excluded.revision, changed = excluded.changed,
                 expires = excluded.expires, body = excluded.body",
        )?
        .execute(params![
            document.kind.as_str(),
            &*document.key,
            document.id.to_bytes(),
            document.pack.as_deref(),
            document.revision.cast_signed(),
            micros(document.changed),
            document.expires.map(micros),
            body(encoded),
        ])?;
    Ok(())
}

fn audit(connection: &Connection, record: &AuditRecord, encoded: &Encoded) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO audit (at, user, action, resource, result, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            micros(record.at),
            &*record.author.user,
            &*record.action,
            record.resource.as_deref(),
            record.result.as_str(),
            body(encoded),
        ])?;
    Ok(())
}

fn change(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    let row = ChangeRow::of(change);
    connection
        .prepare_cached(
            "INSERT INTO change (position, at, operation, subject, id, detail, first, count)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            row.position,
            row.at,
            &*row.operation,
            &*row.subject,
            row.id,
            row.detail.as_deref(),
            row.first,
            row.count,
        ])?;
    Ok(())
}
