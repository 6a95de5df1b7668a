//! A batch's plan as statements: one per table, rows as arrays.

use std::borrow::Cow;

use squall_model::{DocumentKind, EnforcementOutcome, Id, Origin};
use squall_store::codec::{self, ChangeRow, Packed, micros};

use crate::connect::{Call, Parameter};
use crate::plan::{LeaseWrite, Plan};
use crate::text::escape;

/// One array per column: `columns!(rows, row => a, b)`.
macro_rules! columns {
    ($rows:expr, $row:pat => $($value:expr),+ $(,)?) => {{
        let rows = $rows;
        // Each column looks at only a part of the row.
        #[allow(unused_variables)]
        let parameters: Vec<Parameter<'_>> =
            vec![$(Box::new(rows.iter().map(|$row| $value).collect::<Vec<_>>())),+];
        parameters
    }};
}

fn bytes<K>(id: Id<K>) -> Vec<u8> {
    id.to_bytes().to_vec()
}

fn packed(packed: Option<&Packed>) -> Option<&[u8]> {
    packed.map(Packed::bytes)
}

/// The statements that write the plan, in an order in which none is in another's way.
pub(crate) fn calls(plan: &Plan, last_position: u64) -> Vec<Call<'_>> {
    let mut calls = Vec::new();
    let mut call = |sql: &'static str, parameters| calls.push(Call { sql, parameters });
    events(plan, &mut call);
    executions(plan, &mut call);
    streams(plan, &mut call);
    documents(plan, &mut call);
    singletons(plan, &mut call);
    audit(plan, &mut call);
    tally(plan, &mut call);
    changes(plan, last_position, &mut call);
    calls
}

type Push<'a, 'b> = &'b mut dyn FnMut(&'static str, Vec<Parameter<'a>>);

fn events<'a>(plan: &'a Plan, call: Push<'a, '_>) {
    if !plan.trigger_instances.is_empty() {
        call(
            "INSERT INTO trigger_instance
                 (id, \"trigger\", occurred, status, trace_tag, source_execution, body)
             SELECT * FROM UNNEST($1::bytea[], $2::text[], $3::bigint[], $4::text[], $5::text[],
                 $6::bytea[], $7::bytea[])",
            columns!(&plan.trigger_instances, (instance, status, body) =>
                bytes(instance.id),
                escape(instance.trigger.as_str()),
                micros(instance.occurred),
                status.as_str(),
                instance.trace_tag.as_deref().map(escape),
                instance.source_execution.map(bytes),
                body.bytes(),
            ),
        );
    }
    if !plan.finished.is_empty() {
        call(
            "UPDATE trigger_instance SET status = new.status
             FROM UNNEST($1::bytea[], $2::text[]) AS new (id, status)
             WHERE trigger_instance.id = new.id",
            columns!(&plan.finished, (id, status) => bytes(*id), status.as_str()),
        );
    }
    if !plan.enforcements.is_empty() {
        let execution = |outcome: &EnforcementOutcome| match outcome {
            EnforcementOutcome::Execution(execution) => Some(bytes(*execution)),
            EnforcementOutcome::Failed(_) => None,
        };
        fn reason(outcome: &EnforcementOutcome) -> Option<Cow<'_, str>> {
            match outcome {
                EnforcementOutcome::Execution(_) => None,
                EnforcementOutcome::Failed(reason) => Some(escape(reason)),
            }
        }
        call(
            "INSERT INTO enforcement (id, rule, trigger_instance, enforced, execution, reason)
             SELECT * FROM UNNEST($1::bytea[], $2::text[], $3::bytea[], $4::bigint[], $5::bytea[],
                 $6::text[])",
            columns!(&plan.enforcements, one =>
                bytes(one.id),
                escape(one.rule.as_str()),
                bytes(one.trigger_instance),
                micros(one.enforced),
                execution(&one.outcome),
                reason(&one.outcome),
            ),
        );
    }
}

fn executions<'a>(plan: &'a Plan, call: Push<'a, '_>) {
    if !plan.inserts.is_empty() {
        insert_executions(plan, call);
    }
    if !plan.updates.is_empty() {
        call(
            "UPDATE execution SET revision = new.revision, status = new.status, open = new.open,
                 lease = new.lease, until = new.until, started = new.started, ended = new.ended,
                 deadline = new.deadline, log = new.log
             FROM UNNEST($1::bytea[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[],
                 $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[])
                 AS new (id, revision, status, open, lease, until, started, ended, deadline, log)
             WHERE execution.id = new.id",
            columns!(&plan.updates, (id, new) =>
                bytes(*id),
                new.execution.progress.revision.cast_signed(),
                new.execution.state().status().as_str(),
                (!new.execution.state().is_ended()).then_some(1_i64),
                codec::lease_of(new.execution.state()),
                codec::until_of(new.execution.state()),
                new.execution.progress.started.map(micros),
                new.execution.progress.ended.map(micros),
                new.execution.progress.deadline.map(micros),
                new.log.as_str(),
            ),
        );
    }
    if !plan.results.is_empty() {
        call(
            "INSERT INTO result (execution, body)
             SELECT * FROM UNNEST($1::bytea[], $2::bytea[])
             ON CONFLICT (execution) DO UPDATE SET body = excluded.body",
            columns!(&plan.results, (id, result) => bytes(*id), result.bytes()),
        );
    }
}

fn insert_executions<'a>(plan: &'a Plan, call: Push<'a, '_>) {
    fn task(origin: &Origin) -> Option<Cow<'_, str>> {
        match origin {
            Origin::Task(task) => Some(escape(&task.task)),
            _ => None,
        }
    }
    fn rule(origin: &Origin) -> Option<&squall_model::RuleOrigin> {
        match origin {
            Origin::Rule(rule) => Some(rule),
            _ => None,
        }
    }
    call(
        "INSERT INTO execution (id, action, runner, \"user\", parent, rule, trigger_instance, task,
             trace_tag, requested, revision, status, open, lease, until, started, ended, deadline,
             log, body)
         SELECT * FROM UNNEST($1::bytea[], $2::text[], $3::text[], $4::text[], $5::bytea[],
             $6::text[], $7::bytea[], $8::text[], $9::text[], $10::bigint[], $11::bigint[],
             $12::text[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
             $17::bigint[], $18::bigint[], $19::text[], $20::bytea[])",
        columns!(&plan.inserts, new =>
            bytes(new.execution.id()),
            escape(new.execution.request.action.as_str()),
            escape(&new.execution.request.runner),
            escape(&new.execution.request.user),
            new.execution.request.parent.map(bytes),
            rule(&new.execution.request.origin).map(|rule| escape(rule.rule.as_str())),
            rule(&new.execution.request.origin).map(|rule| bytes(rule.trigger_instance)),
            task(&new.execution.request.origin),
            new.execution.request.trace_tag.as_deref().map(escape),
            micros(new.execution.request.requested),
            new.execution.progress.revision.cast_signed(),
            new.execution.state().status().as_str(),
            (!new.execution.state().is_ended()).then_some(1_i64),
            codec::lease_of(new.execution.state()),
            codec::until_of(new.execution.state()),
            new.execution.progress.started.map(micros),
            new.execution.progress.ended.map(micros),
            new.execution.progress.deadline.map(micros),
            new.log.as_str(),
            packed(new.body.as_ref()),
        ),
    );
}

fn streams<'a>(plan: &'a Plan, call: Push<'a, '_>) {
    let replaced: Vec<_> = plan
        .pieces
        .iter()
        .filter(|(_, pieces)| pieces.replace)
        .map(|(id, _)| bytes(*id))
        .collect();
    if !replaced.is_empty() {
        call(
            "DELETE FROM piece WHERE execution = ANY($1::bytea[])",
            vec![Box::new(replaced)],
        );
    }
    let pieces: Vec<_> = plan
        .pieces
        .iter()
        .flat_map(|(id, pieces)| pieces.pieces.iter().map(|(at, piece)| (*id, *at, piece)))
        .collect();
    if !pieces.is_empty() {
        call(
            "INSERT INTO piece (execution, number, body)
             SELECT * FROM UNNEST($1::bytea[], $2::bigint[], $3::bytea[])",
            columns!(pieces, (id, at, piece) => bytes(*id), at.cast_signed(), piece.bytes()),
        );
    }
    if !plan.output.is_empty() {
        call(
            "INSERT INTO output (execution, number, stream, at, body)
             SELECT * FROM UNNEST($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[],
                 $5::bytea[])",
            columns!(&plan.output, (id, at, chunk, text) =>
                bytes(*id),
                at.cast_signed(),
                i64::from(codec::stream_code(chunk.stream)),
                micros(chunk.at),
                text.bytes(),
            ),
        );
    }
}

fn documents<'a>(plan: &'a Plan, call: Push<'a, '_>) {
    let gone: Vec<&(DocumentKind, squall_value::Str)> = plan
        .documents
        .iter()
        .filter(|(_, document)| document.is_none())
        .map(|(key, _)| key)
        .collect();
    if !gone.is_empty() {
        call(
            "DELETE FROM document
             WHERE (kind, key) IN (SELECT * FROM UNNEST($1::text[], $2::text[]))",
            columns!(gone, (kind, key) => kind.as_str(), escape(key)),
        );
    }
    let kept: Vec<_> = plan.documents.values().flatten().collect();
    if !kept.is_empty() {
        call(
            "INSERT INTO document (kind, key, id, pack, revision, changed, expires, body)
             SELECT * FROM UNNEST($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bigint[],
                 $6::bigint[], $7::bigint[], $8::bytea[])
             ON CONFLICT (kind, key) DO UPDATE SET id = excluded.id, pack = excluded.pack,
                 revision = excluded.revision, changed = excluded.changed,
                 expires = excluded.expires, body = excluded.body",
            columns!(kept, (document, body) =>
                document.kind.as_str(),
                escape(&document.key),
                bytes(document.id),
                document.pack.as_deref().map(escape),
                document.revision.cast_signed(),
                micros(document.changed),
                document.expires.map(micros),
                body.bytes(),
            ),
        );
    }
    if !plan.contents.is_empty() {
        call(
            "INSERT INTO content (hash, body) SELECT * FROM UNNEST($1::text[], $2::bytea[])
             ON CONFLICT DO NOTHING",
            columns!(&plan.contents, (hash, body) => escape(hash), body.bytes()),
        );
    }
}

fn singletons<'a>(plan: &'a Plan, call: Push<'a, '_>) {
    if !plan.remembered.is_empty() {
        call(
            "INSERT INTO remembered (key, id, expires)
             SELECT * FROM UNNEST($1::text[], $2::bytea[], $3::bigint[])
             ON CONFLICT (key) DO UPDATE SET id = excluded.id, expires = excluded.expires",
            columns!(&plan.remembered, (key, (id, expires)) =>
                escape(key), bytes(*id), micros(*expires)),
        );
    }
    if plan.leases.is_empty() {
        return;
    }
    // A holder of null stands for whoever it is.
    let gone: Vec<_> = plan
        .leases
        .iter()
        .filter_map(|(name, write)| match write {
            LeaseWrite::Hold(..) => None,
            LeaseWrite::Release(holder) => Some((name, Some(holder.0.cast_signed()))),
            LeaseWrite::Free => Some((name, None)),
        })
        .collect();
    if !gone.is_empty() {
        call(
            "DELETE FROM lease USING UNNEST($1::text[], $2::bigint[]) AS gone (name, holder)
             WHERE lease.name = gone.name
                 AND (gone.holder IS NULL OR lease.holder = gone.holder)",
            columns!(gone, (name, holder) => escape(name), *holder),
        );
    }
    let held: Vec<_> = plan
        .leases
        .iter()
        .filter_map(|(name, write)| match write {
            LeaseWrite::Hold(holder, until) => Some((name, holder.0.cast_signed(), *until)),
            LeaseWrite::Release(_) | LeaseWrite::Free => None,
        })
        .collect();
    if !held.is_empty() {
        call(
            "INSERT INTO lease (name, holder, until)
             SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[])
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until",
            columns!(held, (name, holder, until) => escape(name), *holder, micros(*until)),
        );
    }
}

/// The lock of the lane makes sure that nobody else gives the same numbers.
fn audit<'a>(plan: &'a Plan, call: Push<'a, '_>) {
    if plan.audit.is_empty() {
        return;
    }
    call(
        "INSERT INTO audit (number, at, \"user\", action, resource, result, body)
         SELECT last.number + new.place, at, \"user\", action, resource, result, body
         FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[])
                 WITH ORDINALITY AS new (at, \"user\", action, resource, result, body, place),
             (SELECT coalesce(max(number), 0) AS number FROM audit) AS last",
        columns!(&plan.audit, (record, body) =>
            micros(record.at),
            escape(&record.author.user),
            escape(&record.action),
            record.resource.as_deref().map(escape),
            record.result.as_str(),
            body.bytes(),
        ),
    );
}

fn tally<'a>(plan: &'a Plan, call: Push<'a, '_>) {
    let executions: Vec<_> = plan
        .tally
        .executions
        .iter()
        .filter(|(_, by)| **by != 0)
        .collect();
    if !executions.is_empty() {
        call(
            "INSERT INTO execution_tally AS old (action, status, \"user\", runner, top, count)
             SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[],
                 $6::bigint[])
             ON CONFLICT (action, status, \"user\", runner, top)
                 DO UPDATE SET count = old.count + excluded.count",
            columns!(executions, (kind, by) =>
                escape(kind.action.as_str()),
                kind.status.as_str(),
                escape(&kind.user),
                escape(&kind.runner),
                i64::from(kind.top),
                **by,
            ),
        );
    }
    let times: Vec<_> = plan
        .tally
        .times
        .iter()
        .filter(|(_, by)| **by != 0)
        .collect();
    if !times.is_empty() {
        call(
            "INSERT INTO execution_time_tally AS old (bits, bucket, status, top, count)
             SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::bigint[],
                 $5::bigint[])
             ON CONFLICT (bits, bucket, status, top)
             DO UPDATE SET count = old.count + excluded.count",
            columns!(times, (kind, by) =>
                i64::from(kind.bits), kind.bucket, kind.status.as_str(), i64::from(kind.top), **by),
        );
    }
    if !plan.tally.trigger_instances.is_empty() {
        call(
            "INSERT INTO trigger_instance_tally AS old (\"trigger\", status, count)
             SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[])
             ON CONFLICT (\"trigger\", status) DO UPDATE SET count = old.count + excluded.count",
            columns!(&plan.tally.trigger_instances, ((trigger, status), by) =>
                escape(trigger.as_str()), status.as_str(), *by),
        );
    }
    if !plan.tally.enforcements.is_empty() {
        call(
            "INSERT INTO enforcement_tally AS old (rule, count)
             SELECT * FROM UNNEST($1::text[], $2::bigint[])
             ON CONFLICT (rule) DO UPDATE SET count = old.count + excluded.count",
            columns!(&plan.tally.enforcements, (rule, by) => escape(rule.as_str()), *by),
        );
    }
}

fn changes<'a>(plan: &'a Plan, last_position: u64, call: Push<'a, '_>) {
    if plan.changes.is_empty() {
        return;
    }
    let rows: Vec<ChangeRow<'a>> = plan.changes.iter().map(ChangeRow::of).collect();
    let text = |text: &Option<Cow<'a, str>>| text.as_deref().map(|text| escape(text).into_owned());
    call(
        "INSERT INTO change (position, at, operation, subject, id, detail, first, count)
         SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bytea[],
             $6::text[], $7::bigint[], $8::bigint[])",
        columns!(&rows, row =>
            row.position,
            row.at,
            row.operation.to_string(),
            row.subject.to_string(),
            row.id.to_vec(),
            text(&row.detail),
            row.first,
            row.count,
        ),
    );
    call(
        "UPDATE appender SET position = $1",
        vec![Box::new(last_position.cast_signed())],
    );
    call(
        "SELECT pg_notify('squall_change', $1)",
        vec![Box::new(last_position.to_string())],
    );
}
