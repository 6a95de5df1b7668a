//! The port on SQLite.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params};
use squall_model::{
    AuditRecord, Document, DocumentKind, Enforcement, EnforcementId, Execution, ExecutionId, Lease,
    OutputChunk, Payload, RawId, Timestamp, TriggerInstance, TriggerInstanceId,
};
use squall_store::codec::{self, Damage, Encoded, micros};
use squall_store::sql;
use squall_store::{
    AuditFilter, BACKLOG, Change, CommitError, Committed, DocumentFilter, EnforcementFilter, Error,
    ExecutionFilter, Listing, Page, Purge, Server, Store, Subscription, Transaction,
    TriggerInstanceFilter,
};
use squall_value::Str;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot};

use crate::list::{self, DIALECT, DOCUMENTS, ENFORCEMENTS, EXECUTIONS, TRIGGER_INSTANCES};
use crate::open::{self, Options, describe};
use crate::writer::{Commit, Job, QUEUE_MAX, Writer};
use crate::{purge, read};

/// A store in one SQLite file.
///
/// Needs a tokio runtime for its calls. When it is dropped without [`Store::close`], what was handed
/// in is still carried out.
pub struct SqliteStore {
    path: PathBuf,
    jobs: mpsc::Sender<Job>,
    feed: broadcast::Sender<Arc<Vec<Change>>>,
    readers: Arc<Readers>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Readers {
    idle: Mutex<Vec<Connection>>,
    slots: Semaphore,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn closed() -> Error {
    Error::Unavailable("the store is closed".to_owned())
}

impl SqliteStore {
    /// Opens the database at `path`, or creates it, and brings its schema up to date. Blocks.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] when the file is not a store of Squall, was written by a newer program,
    /// or is used by another server; [`Error::Unavailable`] when the file cannot be read or written.
    pub fn open(path: &Path, options: Options) -> Result<SqliteStore, Error> {
        let opened = open::open(path, options)?;
        let idle = (0..options.readers.max(1))
            .map(|_| open::open_reader(path))
            .collect::<rusqlite::Result<Vec<_>>>()
            .map_err(|error| describe(&error))?;
        let slots = Semaphore::new(idle.len());
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        let feed = broadcast::Sender::new(BACKLOG);
        let writer = Writer::new(opened.writer, queue, feed.clone())?;
        let lock: File = opened.lock;
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                writer.run();
                // The lock is given up after the last write.
                drop(lock);
            })
            .map_err(|error| Error::Unavailable(format!("no thread could be started: {error}")))?;
        Ok(SqliteStore {
            path: path.to_owned(),
            jobs,
            feed,
            readers: Arc::new(Readers {
                idle: Mutex::new(idle),
                slots,
            }),
            writer: Mutex::new(Some(thread)),
        })
    }

    /// Reads on a connection of the pool, on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let readers = Arc::clone(&self.readers);
        let slot = self.readers.slots.acquire().await.map_err(|_| closed())?;
        let connection = readers.idle.lock().pop().ok_or_else(closed)?;
        let done = tokio::task::spawn_blocking(move || {
            let answer = read(&connection);
            readers.idle.lock().push(connection);
            answer
        })
        .await;
        drop(slot);
        done.map_err(|error| Error::Unavailable(format!("a read was given up: {error}")))?
    }

    async fn act(
        &self,
        act: impl FnOnce(&Connection) -> rusqlite::Result<u64> + Send + 'static,
    ) -> Result<u64, Error> {
        let (reply, answer) = oneshot::channel();
        let act = Box::new(act);
        self.jobs
            .send(Job::Act { act, reply })
            .await
            .map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

pub(crate) fn limit_of(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn blob<K>(id: squall_model::Id<K>) -> Value {
    Value::Blob(id.to_bytes().to_vec())
}

/// Rows of some columns that are not a table's whole record.
fn rows<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    table: &str,
    id: &dyn fmt::Display,
    decode: impl Fn(&Row<'_>) -> Result<T, Damage>,
) -> Result<Vec<T>, Error> {
    let fail = |error: rusqlite::Error| describe(&error);
    let mut statement = connection.prepare_cached(sql).map_err(fail)?;
    let mut rows = statement.query(parameters).map_err(fail)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(fail)? {
        found.push(decode(row).map_err(|damage| damage.of(table, id))?);
    }
    Ok(found)
}

fn result(connection: &Connection, id: ExecutionId) -> Result<Option<Payload>, Error> {
    let found = rows(
        connection,
        "SELECT body FROM result WHERE seq = (SELECT seq FROM execution WHERE id = ?1)",
        [id.to_bytes()],
        "result",
        &id,
        |row| {
            let json = Arc::from(codec::unpack(read::bytes(row, 0)?)?);
            Ok(Payload { json })
        },
    )?;
    Ok(found.into_iter().next())
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let (reply, answer) = oneshot::channel();
        let commit = Box::new(Commit {
            encoded: transaction.commands.iter().map(Encoded::of).collect(),
            transaction,
            reply,
        });
        self.jobs
            .send(Job::Commit(commit))
            .await
            .map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    fn subscribe(&self) -> Subscription {
        Subscription::new(self.feed.subscribe())
    }

    async fn changes_after(&self, position: u64, limit: usize) -> Result<Vec<Change>, Error> {
        self.read(move |connection| {
            rows(
                connection,
                "SELECT position, at, operation, subject, id, detail, first, count FROM change
                 WHERE position > ?1 ORDER BY position LIMIT ?2",
                [limit_of(position), limit_of(limit)],
                "change",
                &format!("after position {position}"),
                read::change,
            )
        })
        .await
    }

    async fn change_bounds(&self) -> Result<(u64, u64), Error> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT coalesce((SELECT min(position) FROM change), 0),
                         coalesce((SELECT max(position) FROM change), 0)",
                    [],
                    |row| {
                        let bounds: (i64, i64) = (row.get(0)?, row.get(1)?);
                        Ok((bounds.0.cast_unsigned(), bounds.1.cast_unsigned()))
                    },
                )
                .map_err(|error| describe(&error))
        })
        .await
    }

    async fn register_server(
        &self,
        name: &str,
        boot: &str,
        until: Timestamp,
    ) -> Result<Server, Error> {
        let (name, boot): (Str, Str) = (Arc::from(name), Arc::from(boot));
        let (named, booted) = (Arc::clone(&name), Arc::clone(&boot));
        let lease = self
            .act(move |connection| {
                connection.execute(
                    "INSERT INTO server (name, boot, until) VALUES (?1, ?2, ?3)",
                    params![&*named, &*booted, micros(until)],
                )?;
                Ok(connection.last_insert_rowid().cast_unsigned())
            })
            .await?;
        Ok(Server {
            lease: Lease(lease),
            name,
            boot,
            until,
        })
    }

    async fn renew_server(
        &self,
        lease: Lease,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Error> {
        let renewed = self.act(move |connection| {
            let renewed = connection.execute(
                "UPDATE server SET until = ?3 WHERE lease = ?1 AND until > ?2",
                params![lease.0.cast_signed(), micros(now), micros(until)],
            )?;
            Ok(renewed as u64)
        });
        Ok(renewed.await? > 0)
    }

    async fn retire_server(&self, lease: Lease) -> Result<(), Error> {
        let retired = self.act(move |connection| {
            let sql = "DELETE FROM server WHERE lease = ?1";
            Ok(connection.execute(sql, [lease.0.cast_signed()])? as u64)
        });
        retired.await.map(|_| ())
    }

    async fn servers(&self) -> Result<Vec<Server>, Error> {
        self.read(|connection| {
            let sql = "SELECT lease, name, boot, until FROM server ORDER BY lease";
            rows(connection, sql, [], "server", &"list", |row| {
                Ok(Server {
                    lease: Lease(read::integer(row, 0)?.cast_unsigned()),
                    name: Arc::from(read::text(row, 1)?),
                    boot: Arc::from(read::text(row, 2)?),
                    until: codec::moment(read::integer(row, 3)?)?,
                })
            })
        })
        .await
    }

    async fn execution(&self, id: ExecutionId) -> Result<Option<Arc<Execution>>, Error> {
        self.read(move |connection| EXECUTIONS.one(connection, " WHERE id = ?1", &[blob(id)]))
            .await
    }

    async fn executions(
        &self,
        filter: &ExecutionFilter,
        page: Page,
    ) -> Result<Listing<Arc<Execution>>, Error> {
        let filter = filter.clone();
        self.read(move |connection| list::executions(connection, &filter, page))
            .await
    }

    async fn unfinished(
        &self,
        after: Option<ExecutionId>,
        limit: usize,
    ) -> Result<Vec<Arc<Execution>>, Error> {
        let after = after.map_or_else(|| Value::Blob(Vec::new()), blob);
        self.read(move |connection| {
            let tail = " WHERE open = 1 AND id > ?1 ORDER BY id LIMIT ?2";
            EXECUTIONS.all(connection, tail, &[after, limit_of(limit).into()])
        })
        .await
    }

    async fn children(&self, parent: ExecutionId) -> Result<Vec<Arc<Execution>>, Error> {
        self.read(move |connection| {
            let tail = " WHERE parent = ?1 ORDER BY id";
            EXECUTIONS.all(connection, tail, &[blob(parent)])
        })
        .await
    }

    async fn child_ids(
        &self,
        parents: &[ExecutionId],
    ) -> Result<Vec<(ExecutionId, ExecutionId)>, Error> {
        let parents = parents.to_vec();
        self.read(move |connection| {
            let sql = "SELECT id FROM execution WHERE parent = ?1";
            let mut pairs = Vec::new();
            for parent in parents {
                let child = |row: &Row<'_>| Ok((parent, read::id(row, 0)?));
                let key = [parent.to_bytes()];
                pairs.extend(rows(connection, sql, key, "execution", &parent, child)?);
            }
            pairs.sort_by_key(|(_, child)| *child);
            Ok(pairs)
        })
        .await
    }

    async fn result(&self, id: ExecutionId) -> Result<Option<Payload>, Error> {
        self.read(move |connection| result(connection, id)).await
    }

    async fn results(&self, ids: &[ExecutionId]) -> Result<Vec<(ExecutionId, Payload)>, Error> {
        let ids = ids.to_vec();
        self.read(move |connection| {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                if let Some(payload) = result(connection, id)? {
                    found.push((id, payload));
                }
            }
            Ok(found)
        })
        .await
    }

    async fn pieces(&self, id: ExecutionId) -> Result<Vec<(u64, Str)>, Error> {
        self.read(move |connection| {
            let sql = "SELECT number, body FROM piece WHERE execution = ?1 ORDER BY number";
            rows(connection, sql, [id.to_bytes()], "piece", &id, |row| {
                let text = codec::unpack(read::bytes(row, 1)?)?;
                Ok((read::integer(row, 0)?.cast_unsigned(), Arc::from(text)))
            })
        })
        .await
    }

    async fn output(
        &self,
        id: ExecutionId,
        first: u64,
        limit: usize,
    ) -> Result<Vec<OutputChunk>, Error> {
        self.read(move |connection| {
            rows(
                connection,
                "SELECT stream, at, body FROM output WHERE execution = ?1 AND number >= ?2
                 ORDER BY number LIMIT ?3",
                params![id.to_bytes(), limit_of(first), limit_of(limit)],
                "output",
                &id,
                |row| {
                    let (stream, at) = (read::integer(row, 0)?, read::integer(row, 1)?);
                    codec::decode_chunk(stream, at, read::bytes(row, 2)?)
                },
            )
        })
        .await
    }

    async fn trigger_instance(
        &self,
        id: TriggerInstanceId,
    ) -> Result<Option<Arc<TriggerInstance>>, Error> {
        self.read(move |connection| {
            TRIGGER_INSTANCES.one(connection, " WHERE id = ?1", &[blob(id)])
        })
        .await
    }

    async fn trigger_instances(
        &self,
        filter: &TriggerInstanceFilter,
        page: Page,
    ) -> Result<Listing<Arc<TriggerInstance>>, Error> {
        let conditions = sql::trigger_instances(DIALECT, filter);
        let tally = sql::trigger_instance_tally(DIALECT, filter);
        let order = if filter.oldest_first {
            "occurred, id"
        } else {
            "occurred DESC, id DESC"
        };
        self.read(move |connection| {
            TRIGGER_INSTANCES.list(connection, conditions, tally, order, page)
        })
        .await
    }

    async fn pending_trigger_instances(
        &self,
        limit: usize,
    ) -> Result<Vec<Arc<TriggerInstance>>, Error> {
        self.read(move |connection| {
            let tail = " WHERE status = 'pending' ORDER BY occurred, id LIMIT ?1";
            TRIGGER_INSTANCES.all(connection, tail, &[limit_of(limit).into()])
        })
        .await
    }

    async fn enforcement(&self, id: EnforcementId) -> Result<Option<Arc<Enforcement>>, Error> {
        self.read(move |connection| ENFORCEMENTS.one(connection, " WHERE id = ?1", &[blob(id)]))
            .await
    }

    async fn enforcements(
        &self,
        filter: &EnforcementFilter,
        page: Page,
    ) -> Result<Listing<Arc<Enforcement>>, Error> {
        let conditions = sql::enforcements(DIALECT, filter);
        let tally = sql::enforcement_tally(DIALECT, filter);
        let order = if filter.oldest_first {
            "enforced, id"
        } else {
            "enforced DESC, id DESC"
        };
        self.read(move |connection| ENFORCEMENTS.list(connection, conditions, tally, order, page))
            .await
    }

    async fn document(
        &self,
        kind: DocumentKind,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<Document>>, Error> {
        let key = key.to_owned();
        self.read(move |connection| {
            let tail = " WHERE kind = ?1 AND key = ?2 AND (expires IS NULL OR expires > ?3)";
            let kind = kind.as_str().to_owned();
            DOCUMENTS.one(
                connection,
                tail,
                &[kind.into(), key.into(), micros(now).into()],
            )
        })
        .await
    }

    async fn document_by_id(
        &self,
        kind: DocumentKind,
        id: RawId,
        now: Timestamp,
    ) -> Result<Option<Arc<Document>>, Error> {
        self.read(move |connection| {
            let tail = " WHERE kind = ?1 AND id = ?2 AND (expires IS NULL OR expires > ?3)";
            let kind = kind.as_str().to_owned();
            DOCUMENTS.one(
                connection,
                tail,
                &[kind.into(), blob(id), micros(now).into()],
            )
        })
        .await
    }

    async fn documents(
        &self,
        kind: DocumentKind,
        filter: &DocumentFilter,
        page: Page,
        now: Timestamp,
    ) -> Result<Listing<Arc<Document>>, Error> {
        let conditions = sql::documents(DIALECT, kind, filter, now);
        self.read(move |connection| DOCUMENTS.list(connection, conditions, None, "key", page))
            .await
    }

    async fn content(&self, hash: &str) -> Result<Option<Str>, Error> {
        let hash = hash.to_owned();
        self.read(move |connection| {
            let sql = "SELECT body FROM content WHERE hash = ?1";
            let found = rows(connection, sql, [&hash], "content", &hash, |row| {
                Ok(Arc::from(codec::unpack(read::bytes(row, 0)?)?))
            })?;
            Ok(found.into_iter().next())
        })
        .await
    }

    async fn audit(
        &self,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Listing<Arc<AuditRecord>>, Error> {
        let filter = filter.clone();
        self.read(move |connection| list::audit(connection, &filter, page))
            .await
    }

    async fn purge(&self, purge: Purge) -> Result<u64, Error> {
        let count = self
            .act(move |connection| purge::run(connection, purge))
            .await?;
        if count > 0 {
            let vacuum = |connection: &Connection| purge::vacuum(connection).map(|()| 0);
            self.act(vacuum).await?;
        }
        Ok(count)
    }

    async fn close(&self) {
        // An error says that the writer is gone already.
        let _ = self.jobs.send(Job::Close).await;
        let thread = self.writer.lock().take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        self.readers.slots.close();
        self.readers.idle.lock().clear();
    }
}
