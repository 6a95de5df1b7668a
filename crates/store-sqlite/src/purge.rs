//! Removal of what is old, inside the writer.

use rusqlite::{Connection, OptionalExtension, params};
use squall_model::Timestamp;
use squall_store::codec::micros;
use squall_store::{Purge, sql};

/// Carries out a purge; returns how many things of its kind went.
pub(crate) fn run(connection: &Connection, purge: Purge) -> rusqlite::Result<u64> {
    let count = match purge {
        Purge::Executions {
            ended_before,
            limit,
        } => executions(connection, ended_before, limit)?,
        Purge::Output {
            ended_before,
            limit,
        } => output(connection, ended_before, limit)?,
        Purge::TriggerInstances {
            occurred_before,
            limit,
        } => trigger_instances(connection, occurred_before, limit)?,
        Purge::Changes { before, limit } => changes(connection, before, limit)?,
        Purge::Audit { before, limit } => audit(connection, before, limit)?,
        Purge::Expired { now, limit } => expired(connection, now, limit)?,
    };
    Ok(count as u64)
}

/// Gives pages that are no longer needed back to the file system, a few at a time.
pub(crate) fn vacuum(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("PRAGMA incremental_vacuum(1000)")?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

fn executions(connection: &Connection, before: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    // Nothing ends before it is requested, so what was requested later need not be looked at.
    let mut tops = connection.prepare_cached(
        "SELECT id FROM execution
         WHERE parent IS NULL AND requested < ?1 AND open IS NULL AND ended < ?1
             AND NOT EXISTS (
                 WITH RECURSIVE tree (id, open) AS (
                     SELECT child.id, child.open FROM execution AS child
                     WHERE child.parent = execution.id
                     UNION ALL
                     SELECT child.id, child.open
                     FROM tree JOIN execution AS child ON child.parent = tree.id)
                 SELECT 1 FROM tree WHERE open = 1)
         ORDER BY requested LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let tops: Vec<[u8; 12]> = tops
        .query_map(params![micros(before), limit], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for top in &tops {
        tree(connection, *top)?;
    }
    Ok(tops.len())
}

/// Removes a tree with all it has, and takes it out of the tally.
fn tree(connection: &Connection, top: [u8; 12]) -> rusqlite::Result<()> {
    let mut members = connection.prepare_cached(
        "WITH RECURSIVE tree (seq, id) AS (
             SELECT seq, id FROM execution WHERE id = ?1
             UNION ALL
             SELECT child.seq, child.id FROM tree JOIN execution AS child ON child.parent = tree.id)
         SELECT seq, id FROM tree",
    )?;
    let members: Vec<(i64, [u8; 12])> = members
        .query_map([top], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (seq, id) in members {
        for bits in sql::BUCKETS {
            for sql in [
                "UPDATE execution_time_tally SET count = count - 1
                 WHERE bits = ?2 AND (bucket, status, top) =
                     (SELECT requested >> ?2, status, parent IS NULL FROM execution
                      WHERE seq = ?1)",
                "DELETE FROM execution_time_tally
                 WHERE bits = ?2 AND (bucket, status, top) =
                     (SELECT requested >> ?2, status, parent IS NULL FROM execution
                      WHERE seq = ?1) AND count = 0",
            ] {
                connection
                    .prepare_cached(sql)?
                    .execute([seq, bits.into()])?;
            }
        }
        for sql in [
            "UPDATE execution_tally SET count = count - 1
             WHERE (action, status, user, runner, top) =
                 (SELECT action, status, user, runner, parent IS NULL FROM execution
                  WHERE seq = ?1)",
            "DELETE FROM execution_tally
             WHERE (action, status, user, runner, top) =
                 (SELECT action, status, user, runner, parent IS NULL FROM execution
                  WHERE seq = ?1) AND count = 0",
            "DELETE FROM result WHERE seq = ?1",
            "DELETE FROM execution WHERE seq = ?1",
        ] {
            connection.prepare_cached(sql)?.execute([seq])?;
        }
        for sql in [
            "DELETE FROM piece WHERE execution = ?1",
            "DELETE FROM output WHERE execution = ?1",
        ] {
            connection.prepare_cached(sql)?.execute([id])?;
        }
    }
    Ok(())
}

fn output(connection: &Connection, before: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    // From one execution to the next in the key, without reading the chunks between.
    let mut next = connection.prepare_cached(
        "SELECT execution FROM output WHERE execution > ?1 ORDER BY execution LIMIT 1",
    )?;
    let mut old = connection
        .prepare_cached("SELECT open IS NULL AND ended < ?2 FROM execution WHERE id = ?1")?;
    let mut delete = connection.prepare_cached("DELETE FROM output WHERE execution = ?1")?;
    let (mut at, mut count) = (Vec::new(), 0);
    while count < limit {
        let found: Option<Vec<u8>> = next.query_row([&at], |row| row.get(0)).optional()?;
        let Some(id) = found else { break };
        let ended = old
            .query_row(params![id, micros(before)], |row| {
                row.get::<_, Option<bool>>(0)
            })
            .optional()?;
        if ended.flatten() == Some(true) {
            delete.execute([&id])?;
            count += 1;
        }
        at = id;
    }
    Ok(count)
}

fn trigger_instances(
    connection: &Connection,
    before: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    let mut old = connection.prepare_cached(
        "SELECT seq, id FROM trigger_instance
         WHERE occurred < ?1 AND status <> 'pending' AND NOT EXISTS (
             SELECT 1 FROM enforcement JOIN execution ON execution.id = enforcement.execution
             WHERE enforcement.trigger_instance = trigger_instance.id AND execution.open = 1)
         ORDER BY occurred LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let old: Vec<(i64, [u8; 12])> = old
        .query_map(params![micros(before), limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (seq, id) in &old {
        for sql in [
            "UPDATE enforcement_tally SET count = count - (
                 SELECT count(*) FROM enforcement
                 WHERE trigger_instance = ?1 AND rule = enforcement_tally.rule)
             WHERE rule IN (SELECT rule FROM enforcement WHERE trigger_instance = ?1)",
            "DELETE FROM enforcement WHERE trigger_instance = ?1",
        ] {
            connection.prepare_cached(sql)?.execute([id])?;
        }
        for sql in [
            "UPDATE trigger_instance_tally SET count = count - 1
             WHERE (\"trigger\", status) =
                 (SELECT \"trigger\", status FROM trigger_instance WHERE seq = ?1)",
            "DELETE FROM trigger_instance WHERE seq = ?1",
        ] {
            connection.prepare_cached(sql)?.execute([seq])?;
        }
    }
    Ok(old.len())
}

/// From the oldest on, and no further than the first that must stay: the feed has no gaps.
fn changes(connection: &Connection, before: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    let mut rows =
        connection.prepare_cached("SELECT position, at FROM change ORDER BY position")?;
    let mut rows = rows.query([])?;
    let (mut last, mut count) = (None, 0);
    while count < limit
        && let Some(row) = rows.next()?
        && row.get::<_, i64>(1)? < micros(before)
    {
        last = Some(row.get::<_, i64>(0)?);
        count += 1;
    }
    drop(rows);
    if let Some(last) = last {
        connection.execute("DELETE FROM change WHERE position <= ?1", [last])?;
        connection.execute(
            "INSERT OR REPLACE INTO counter (name, value) VALUES ('position', ?1)",
            [last],
        )?;
    }
    Ok(count)
}

/// From the oldest on, no further than the first that must stay, and never the newest of all.
fn audit(connection: &Connection, before: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "DELETE FROM audit WHERE number IN (
                 SELECT number FROM audit
                 WHERE number < (SELECT max(number) FROM audit) AND number < coalesce(
                     (SELECT number FROM audit WHERE at >= ?1 ORDER BY number LIMIT 1),
                     9223372036854775807)
                 ORDER BY number LIMIT ?2)",
        )?
        .execute(params![micros(before), limit])
}

fn expired(connection: &Connection, now: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    let mut left = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut count = 0;
    for sql in [
        "DELETE FROM remembered WHERE key IN (
             SELECT key FROM remembered WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
        "DELETE FROM document WHERE seq IN (
             SELECT seq FROM document WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
    ] {
        let gone = connection
            .prepare_cached(sql)?
            .execute(params![micros(now), left])?;
        count += gone;
        left -= i64::try_from(gone).unwrap_or(i64::MAX);
    }
    Ok(count)
}
