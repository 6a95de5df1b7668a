//! Removal of what is old: one statement per kind, under the lane's lock.

use squall_store::codec::micros;
use squall_store::{Error, Purge};

use crate::connect::{Call, Session};

/// Carries out a purge; returns how many things of its kind went.
pub(crate) async fn run(session: &Session, purge: Purge) -> Result<u64, Error> {
    let (sql, at, limit) = match purge {
        Purge::Executions {
            ended_before,
            limit,
        } => (EXECUTIONS, ended_before, limit),
        Purge::Output {
            ended_before,
            limit,
        } => (OUTPUT, ended_before, limit),
        Purge::TriggerInstances {
            occurred_before,
            limit,
        } => (TRIGGER_INSTANCES, occurred_before, limit),
        Purge::Changes { before, limit } => (CHANGES, before, limit),
        Purge::Audit { before, limit } => (AUDIT, before, limit),
        Purge::Expired { now, limit } => (EXPIRED, now, limit),
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let calls = [
        Call {
            sql: "SELECT position FROM appender FOR UPDATE",
            parameters: Vec::new(),
        },
        Call {
            sql,
            parameters: vec![Box::new(micros(at)), Box::new(limit)],
        },
    ];
    let rows = session.pipeline("BEGIN", &calls, "COMMIT").await?;
    let count: i64 = rows
        .get(1)
        .and_then(|rows| rows.first())
        .map_or(0, |row| row.get(0));
    Ok(count.cast_unsigned())
}

/// Nothing ends before it is requested, so what was requested later need not be looked at.
const EXECUTIONS: &str = "
    WITH RECURSIVE top AS (
        SELECT id FROM execution
        WHERE parent IS NULL AND requested < $1 AND open IS NULL AND ended < $1
            AND NOT EXISTS (
                WITH RECURSIVE below (id, open) AS (
                    SELECT child.id, child.open FROM execution AS child
                    WHERE child.parent = execution.id
                    UNION ALL
                    SELECT child.id, child.open
                    FROM below JOIN execution AS child ON child.parent = below.id)
                SELECT 1 FROM below WHERE open = 1)
        ORDER BY requested LIMIT $2),
    tree (id) AS (
        SELECT id FROM top
        UNION ALL
        SELECT child.id FROM tree JOIN execution AS child ON child.parent = tree.id),
    results AS (DELETE FROM result WHERE execution IN (SELECT id FROM tree)),
    pieces AS (DELETE FROM piece WHERE execution IN (SELECT id FROM tree)),
    outputs AS (DELETE FROM output WHERE execution IN (SELECT id FROM tree)),
    gone AS (
        DELETE FROM execution WHERE id IN (SELECT id FROM tree)
        RETURNING action, status, \"user\", runner, (parent IS NULL)::int AS top, requested),
    counted AS (
        SELECT action, status, \"user\", runner, top, count(*) AS count FROM gone
        GROUP BY action, status, \"user\", runner, top),
    tally AS (
        UPDATE execution_tally AS old SET count = old.count - counted.count FROM counted
        WHERE old.action = counted.action AND old.status = counted.status
            AND old.\"user\" = counted.\"user\" AND old.runner = counted.runner
            AND old.top = counted.top),
    times AS (
        SELECT bits, requested >> bits AS bucket, status, top, count(*) AS count
        FROM gone CROSS JOIN (VALUES (27), (22)) AS sizes (bits) GROUP BY 1, 2, 3, 4),
    time_tally AS (
        UPDATE execution_time_tally AS old SET count = old.count - times.count FROM times
        WHERE old.bits = times.bits AND old.bucket = times.bucket
            AND old.status = times.status AND old.top = times.top),
    emptied AS (DELETE FROM execution_time_tally WHERE count = 0 AND bucket < $1 >> bits::int)
    SELECT count(*) FROM top";

const OUTPUT: &str = "
    WITH old AS (
        SELECT DISTINCT execution.id FROM output JOIN execution ON execution.id = output.execution
        WHERE execution.open IS NULL AND execution.ended < $1
        ORDER BY execution.id LIMIT $2),
    gone AS (DELETE FROM output WHERE execution IN (SELECT id FROM old))
    SELECT count(*) FROM old";

const TRIGGER_INSTANCES: &str = "
    WITH old AS (
        SELECT id FROM trigger_instance
        WHERE occurred < $1 AND status <> 'pending' AND NOT EXISTS (
            SELECT 1 FROM enforcement JOIN execution ON execution.id = enforcement.execution
            WHERE enforcement.trigger_instance = trigger_instance.id AND execution.open = 1)
        ORDER BY occurred LIMIT $2),
    enforcements AS (
        DELETE FROM enforcement WHERE trigger_instance IN (SELECT id FROM old) RETURNING rule),
    rules AS (SELECT rule, count(*) AS count FROM enforcements GROUP BY rule),
    rule_tally AS (
        UPDATE enforcement_tally AS old SET count = old.count - rules.count FROM rules
        WHERE old.rule = rules.rule),
    gone AS (
        DELETE FROM trigger_instance WHERE id IN (SELECT id FROM old)
        RETURNING \"trigger\", status),
    kinds AS (SELECT \"trigger\", status, count(*) AS count FROM gone GROUP BY \"trigger\", status),
    tally AS (
        UPDATE trigger_instance_tally AS old SET count = old.count - kinds.count FROM kinds
        WHERE old.\"trigger\" = kinds.\"trigger\" AND old.status = kinds.status)
    SELECT count(*) FROM old";

/// From the oldest on, and no further than the first that must stay: the feed has no gaps.
const CHANGES: &str = "
    WITH old AS (
        SELECT position FROM change
        WHERE position < coalesce(
            (SELECT position FROM change WHERE at >= $1 ORDER BY position LIMIT 1),
            9223372036854775807)
        ORDER BY position LIMIT $2),
    gone AS (DELETE FROM change WHERE position IN (SELECT position FROM old))
    SELECT count(*) FROM old";

/// From the oldest on, no further than the first that must stay, and never the newest of all.
const AUDIT: &str = "
    WITH old AS (
        SELECT number FROM audit
        WHERE number < (SELECT max(number) FROM audit) AND number < coalesce(
            (SELECT number FROM audit WHERE at >= $1 ORDER BY number LIMIT 1),
            9223372036854775807)
        ORDER BY number LIMIT $2),
    gone AS (DELETE FROM audit WHERE number IN (SELECT number FROM old))
    SELECT count(*) FROM old";

const EXPIRED: &str = "
    WITH old_keys AS (
        SELECT key FROM remembered WHERE expires <= $1 ORDER BY expires LIMIT $2),
    old_documents AS (
        SELECT seq FROM document WHERE expires <= $1 ORDER BY expires
        LIMIT $2 - (SELECT count(*) FROM old_keys)),
    keys AS (DELETE FROM remembered WHERE key IN (SELECT key FROM old_keys)),
    documents AS (DELETE FROM document WHERE seq IN (SELECT seq FROM old_documents))
    SELECT (SELECT count(*) FROM old_keys) + (SELECT count(*) FROM old_documents)";
