//! The port on PostgreSQL.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use squall_env::Env;
use squall_model::{
    AuditRecord, Document, DocumentKind, Enforcement, EnforcementId, Execution, ExecutionId, Lease,
    OutputChunk, Payload, RawId, Timestamp, TriggerInstance, TriggerInstanceId,
};
use squall_store::codec::{self, Encoded, micros};
use squall_store::sql;
use squall_store::{
    AuditFilter, BACKLOG, Change, CommitError, Committed, DocumentFilter, EnforcementFilter, Error,
    ExecutionFilter, Listing, Page, Purge, Server, Store, Subscription, Transaction,
    TriggerInstanceFilter,
};
use squall_value::Str;
use tokio::sync::{Mutex, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_postgres::Config;

use crate::connect::{self, CHANNEL, Parameter, Session};
use crate::feed::Feed;
use crate::lane::{Commit, Job, Lane, QUEUE_MAX};
use crate::list::{
    AUDIT, DIALECT, DOCUMENTS, ENFORCEMENTS, EXECUTIONS, TRIGGER_INSTANCES, limit_of, rows,
};
use crate::text::escape;
use crate::{list, read};

/// How many connections read.
const READERS: usize = 3;

/// How long a change of another server may stay unseen when the hint about it was lost.
const POLL: Duration = Duration::from_secs(1);

/// A store in a PostgreSQL database that many servers share.
///
/// Needs a tokio runtime. Its tasks end with [`Store::close`], or when it is dropped.
pub struct PostgresStore {
    jobs: mpsc::Sender<Job>,
    subscribers: broadcast::Sender<Arc<Vec<Change>>>,
    reader: Arc<Reader>,
    lane: Mutex<Option<JoinHandle<()>>>,
    listener: JoinHandle<()>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

/// Connections that read, used by turns; several reads share one at a time.
#[derive(Debug)]
pub(crate) struct Reader {
    config: Config,
    sessions: [Mutex<Option<Arc<Session>>>; READERS],
    next: AtomicUsize,
}

impl Reader {
    /// A connection; a new one when the former was lost.
    pub(crate) async fn session(&self) -> Result<Arc<Session>, Error> {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % READERS;
        let mut slot = self.sessions[index].lock().await;
        if let Some(session) = slot.as_ref().filter(|session| !session.is_closed()) {
            return Ok(Arc::clone(session));
        }
        let session = Session::open(&self.config, None).await?;
        // A plan for any values would be a bad one for most lists, and to compile one costs more
        // than to run it.
        session
            .batch("SET plan_cache_mode = force_custom_plan; SET jit = off")
            .await?;
        let session = Arc::new(session);
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }
}

fn closed() -> Error {
    Error::Unavailable("the store is closed".to_owned())
}

impl PostgresStore {
    /// Connects to the database of a `postgres://` URL and brings its schema up to date.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] when the URL cannot be read, the user is refused, the database does not
    /// exist or belongs to a newer program; [`Error::Unavailable`] when nobody answers. No message
    /// holds a password.
    pub async fn connect(url: &str, env: Arc<dyn Env>) -> Result<PostgresStore, Error> {
        let config = connect::parse(url)?;
        let session = Session::open(&config, None).await?;
        connect::migrate(&session).await?;
        let rows = session.query("SELECT position FROM appender", &[]).await?;
        let last = rows.first().map_or(0, |row| row.get::<_, i64>(0));

        let subscribers = broadcast::Sender::new(BACKLOG);
        let feed = Feed::new(last.cast_unsigned(), subscribers.clone());
        let feed = Arc::new(Mutex::new(feed));
        let reader = Arc::new(Reader {
            config: config.clone(),
            sessions: Default::default(),
            next: AtomicUsize::new(0),
        });
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        let lane = Lane {
            config: config.clone(),
            env: Arc::clone(&env),
            session: Some(session),
            jobs: queue,
            feed: Arc::clone(&feed),
            reader: Arc::clone(&reader),
        };
        let listener = listen(config, env, feed, Arc::clone(&reader));
        Ok(PostgresStore {
            jobs,
            subscribers,
            reader,
            lane: Mutex::new(Some(tokio::spawn(lane.run()))),
            listener: tokio::spawn(listener),
        })
    }

    async fn act(
        &self,
        sql: &'static str,
        parameters: Vec<Parameter<'static>>,
    ) -> Result<i64, Error> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Act {
            sql,
            parameters,
            reply,
        };
        self.jobs.send(job).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    async fn session(&self) -> Result<Arc<Session>, Error> {
        if self.jobs.is_closed() {
            return Err(closed());
        }
        self.reader.session().await
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Reads what other servers commit: when a hint comes, and now and then without one.
async fn listen(config: Config, env: Arc<dyn Env>, feed: Arc<Mutex<Feed>>, reader: Arc<Reader>) {
    let (send, mut hints) = watch::channel(0);
    let mut session: Option<Session> = None;
    loop {
        if session.as_ref().is_none_or(Session::is_closed) {
            session = match Session::open(&config, Some(send.clone())).await {
                Ok(session) => {
                    let listening = session.batch(&format!("LISTEN {CHANNEL}")).await;
                    listening.is_ok().then_some(session)
                }
                Err(error) => {
                    tracing::warn!(%error, "changes of other servers are found by polling");
                    None
                }
            };
        }
        let is_told = tokio::select! {
            told = hints.changed() => told.is_ok(),
            () = env.sleep(POLL) => false,
        };
        let mut feed = feed.lock().await;
        if is_told && *hints.borrow_and_update() <= feed.last() {
            // This server's own commit, most likely.
            continue;
        }
        let read = feed.read_all(&reader).await;
        drop(feed);
        if let Err(error) = read {
            tracing::warn!(%error, "changes of other servers were not read");
            env.sleep(POLL).await;
        }
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let (reply, answer) = oneshot::channel();
        let commit = Commit {
            encoded: transaction.commands.iter().map(Encoded::of).collect(),
            transaction,
            reply,
        };
        let sent = self.jobs.send(Job::Commit(commit)).await;
        sent.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    fn subscribe(&self) -> Subscription {
        Subscription::new(self.subscribers.subscribe())
    }

    async fn changes_after(&self, position: u64, limit: usize) -> Result<Vec<Change>, Error> {
        rows(
            &*self.session().await?,
            "SELECT position, at, operation, subject, id, detail, first, count FROM change
             WHERE position > $1 ORDER BY position LIMIT $2",
            &[&limit_of(position), &limit_of(limit)],
            "change",
            &format!("after position {position}"),
            read::change,
        )
        .await
    }

    async fn change_bounds(&self) -> Result<(u64, u64), Error> {
        let sql = "SELECT coalesce(min(position), 0), coalesce(max(position), 0) FROM change";
        let rows = self.session().await?.query(sql, &[]).await?;
        let bounds = rows.first().map(|row| (row.get(0), row.get(1)));
        let (first, last): (i64, i64) = bounds.unwrap_or_default();
        Ok((first.cast_unsigned(), last.cast_unsigned()))
    }

    async fn register_server(
        &self,
        name: &str,
        boot: &str,
        until: Timestamp,
    ) -> Result<Server, Error> {
        let lease = self
            .act(
                "INSERT INTO server (name, boot, until) VALUES ($1, $2, $3) RETURNING lease",
                vec![
                    Box::new(escape(name).into_owned()),
                    Box::new(escape(boot).into_owned()),
                    Box::new(micros(until)),
                ],
            )
            .await?;
        Ok(Server {
            lease: Lease(lease.cast_unsigned()),
            name: Arc::from(name),
            boot: Arc::from(boot),
            until,
        })
    }

    async fn renew_server(
        &self,
        lease: Lease,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Error> {
        let renewed = self
            .act(
                "UPDATE server SET until = $3 WHERE lease = $1 AND until > $2 RETURNING lease",
                vec![
                    Box::new(lease.0.cast_signed()),
                    Box::new(micros(now)),
                    Box::new(micros(until)),
                ],
            )
            .await?;
        Ok(renewed > 0)
    }

    async fn retire_server(&self, lease: Lease) -> Result<(), Error> {
        let sql = "DELETE FROM server WHERE lease = $1 RETURNING lease";
        let retired = self.act(sql, vec![Box::new(lease.0.cast_signed())]);
        retired.await.map(|_| ())
    }

    async fn servers(&self) -> Result<Vec<Server>, Error> {
        let sql = "SELECT lease, name, boot, until FROM server ORDER BY lease";
        let session = self.session().await?;
        rows(&session, sql, &[], "server", &"list", |row| {
            Ok(Server {
                lease: Lease(read::get::<i64>(row, 0)?.cast_unsigned()),
                name: Arc::from(read::text(row, 1)?),
                boot: Arc::from(read::text(row, 2)?),
                until: codec::moment(read::get(row, 3)?)?,
            })
        })
        .await
    }

    async fn execution(&self, id: ExecutionId) -> Result<Option<Arc<Execution>>, Error> {
        EXECUTIONS.by_id(&*self.session().await?, id).await
    }

    async fn executions(
        &self,
        filter: &ExecutionFilter,
        page: Page,
    ) -> Result<Listing<Arc<Execution>>, Error> {
        let session = self.session().await?;
        list::executions(&session, filter, page).await
    }

    async fn unfinished(
        &self,
        after: Option<ExecutionId>,
        limit: usize,
    ) -> Result<Vec<Arc<Execution>>, Error> {
        let after = after.map_or_else(Vec::new, |after| after.to_bytes().to_vec());
        let tail = " WHERE open = 1 AND id > $1 ORDER BY id LIMIT $2";
        let session = self.session().await?;
        EXECUTIONS
            .all(&session, tail, &[&after, &limit_of(limit)])
            .await
    }

    async fn children(&self, parent: ExecutionId) -> Result<Vec<Arc<Execution>>, Error> {
        let parent = parent.to_bytes().to_vec();
        let tail = " WHERE parent = $1 ORDER BY id";
        EXECUTIONS
            .all(&*self.session().await?, tail, &[&parent])
            .await
    }

    async fn child_ids(
        &self,
        parents: &[ExecutionId],
    ) -> Result<Vec<(ExecutionId, ExecutionId)>, Error> {
        if parents.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<Vec<u8>> = parents.iter().map(|id| id.to_bytes().to_vec()).collect();
        let sql = "SELECT parent, id FROM execution WHERE parent = ANY($1) ORDER BY id";
        let session = self.session().await?;
        rows(&session, sql, &[&keys], "execution", &"list", |row| {
            Ok((read::id(row, 0)?, read::id(row, 1)?))
        })
        .await
    }

    async fn result(&self, id: ExecutionId) -> Result<Option<Payload>, Error> {
        let found = self.results(&[id]).await?;
        Ok(found.into_iter().next().map(|(_, payload)| payload))
    }

    async fn results(&self, ids: &[ExecutionId]) -> Result<Vec<(ExecutionId, Payload)>, Error> {
        let keys: Vec<Vec<u8>> = ids.iter().map(|id| id.to_bytes().to_vec()).collect();
        let sql = "SELECT execution, body FROM result WHERE execution = ANY($1)";
        let session = self.session().await?;
        let mut found = Vec::new();
        for row in session.query(sql, &[&keys]).await? {
            let id = read::id(&row, 0).map_err(|damage| damage.of("result", &"list"))?;
            let json = read::get(&row, 1).and_then(codec::unpack);
            let json = json.map_err(|damage| damage.of("result", &id))?;
            let json = Arc::from(json);
            found.push((id, Payload { json }));
        }
        found.sort_by_key(|(id, _)| ids.iter().position(|wanted| wanted == id));
        Ok(found)
    }

    async fn pieces(&self, id: ExecutionId) -> Result<Vec<(u64, Str)>, Error> {
        let key = id.to_bytes().to_vec();
        let sql = "SELECT number, body FROM piece WHERE execution = $1 ORDER BY number";
        let session = self.session().await?;
        rows(&session, sql, &[&key], "piece", &id, |row| {
            let text = codec::unpack(read::get(row, 1)?)?;
            let number: i64 = read::get(row, 0)?;
            Ok((number.cast_unsigned(), Arc::from(text)))
        })
        .await
    }

    async fn output(
        &self,
        id: ExecutionId,
        first: u64,
        limit: usize,
    ) -> Result<Vec<OutputChunk>, Error> {
        list::output(&*self.session().await?, id, first, limit).await
    }

    async fn trigger_instance(
        &self,
        id: TriggerInstanceId,
    ) -> Result<Option<Arc<TriggerInstance>>, Error> {
        TRIGGER_INSTANCES.by_id(&*self.session().await?, id).await
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
        let session = self.session().await?;
        TRIGGER_INSTANCES
            .list(&session, conditions, tally, order, page)
            .await
    }

    async fn pending_trigger_instances(
        &self,
        limit: usize,
    ) -> Result<Vec<Arc<TriggerInstance>>, Error> {
        let tail = " WHERE status = 'pending' ORDER BY occurred, id LIMIT $1";
        let session = self.session().await?;
        TRIGGER_INSTANCES
            .all(&session, tail, &[&limit_of(limit)])
            .await
    }

    async fn enforcement(&self, id: EnforcementId) -> Result<Option<Arc<Enforcement>>, Error> {
        ENFORCEMENTS.by_id(&*self.session().await?, id).await
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
        let session = self.session().await?;
        ENFORCEMENTS
            .list(&session, conditions, tally, order, page)
            .await
    }

    async fn document(
        &self,
        kind: DocumentKind,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<Document>>, Error> {
        let tail = " WHERE kind = $1 AND key = $2 AND (expires IS NULL OR expires > $3)";
        let session = self.session().await?;
        DOCUMENTS
            .one(
                &session,
                tail,
                &[&kind.as_str(), &escape(key), &micros(now)],
            )
            .await
    }

    async fn document_by_id(
        &self,
        kind: DocumentKind,
        id: RawId,
        now: Timestamp,
    ) -> Result<Option<Arc<Document>>, Error> {
        let tail = " WHERE kind = $1 AND id = $2 AND (expires IS NULL OR expires > $3)";
        let id = id.to_bytes().to_vec();
        let session = self.session().await?;
        DOCUMENTS
            .one(&session, tail, &[&kind.as_str(), &id, &micros(now)])
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
        let session = self.session().await?;
        DOCUMENTS
            .list(&session, conditions, None, "key", page)
            .await
    }

    async fn content(&self, hash: &str) -> Result<Option<Str>, Error> {
        let sql = "SELECT body FROM content WHERE hash = $1";
        let session = self.session().await?;
        let found = rows(&session, sql, &[&escape(hash)], "content", &hash, |row| {
            Ok(Arc::from(codec::unpack(read::get(row, 0)?)?))
        })
        .await?;
        Ok(found.into_iter().next())
    }

    async fn audit(
        &self,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Listing<Arc<AuditRecord>>, Error> {
        let session = self.session().await?;
        let conditions = sql::audit(DIALECT, filter);
        let total = if filter.is_all() {
            // Numbers have no gaps.
            let select = "SELECT coalesce(max(number) - min(number) + 1, 0) FROM audit";
            list::number(&session, select, conditions.clone()).await?
        } else {
            list::count(&session, "audit", conditions.clone()).await?
        };
        let order = if filter.oldest_first {
            "at, number"
        } else {
            "at DESC, number DESC"
        };
        AUDIT.page(&session, conditions, order, page, total).await
    }

    async fn purge(&self, purge: Purge) -> Result<u64, Error> {
        let (reply, answer) = oneshot::channel();
        let sent = self.jobs.send(Job::Purge { purge, reply }).await;
        sent.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    async fn close(&self) {
        // An error says that the lane is gone already.
        let _ = self.jobs.send(Job::Close).await;
        let lane = self.lane.lock().await.take();
        if let Some(lane) = lane {
            let _ = lane.await;
        }
        self.listener.abort();
        for slot in &self.reader.sessions {
            slot.lock().await.take();
        }
    }
}
