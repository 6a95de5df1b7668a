//! The one task of a server that writes: batches.

use std::sync::Arc;
use std::time::Duration;

use squall_env::Env;
use squall_store::codec::Encoded;
use squall_store::decide::{self, Overlay};
use squall_store::{Change, CommitError, Committed, Error, Transaction};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_postgres::Config;

use crate::connect::{Call, Session};
use crate::facts::{ReadAhead, Wanted};
use crate::feed::Feed;
use crate::plan::Plan;
use crate::store::Reader;
use crate::{purge, write};

/// How many transactions a batch takes at most.
const BATCH_MAX: usize = 1024;

/// After how many bytes of records a batch takes no more.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// How many jobs may wait before whoever brings another has to wait as well.
pub(crate) const QUEUE_MAX: usize = 4096;

/// The first statement of everything that writes: from here on this connection is alone.
const LOCK: &str = "SELECT position FROM appender FOR UPDATE";

/// Work for the lane.
pub(crate) enum Job {
    /// A transaction of the port.
    Commit(Commit),
    /// One statement under the lock; the answer is the first number of its first row, or 0.
    Act {
        sql: &'static str,
        parameters: Vec<crate::connect::Parameter<'static>>,
        reply: oneshot::Sender<Result<i64, Error>>,
    },
    /// A removal of what is old.
    Purge {
        purge: squall_store::Purge,
        reply: oneshot::Sender<Result<u64, Error>>,
    },
    /// The last job.
    Close,
}

/// A transaction that waits.
pub(crate) struct Commit {
    pub(crate) transaction: Transaction,
    pub(crate) encoded: Vec<Encoded>,
    pub(crate) reply: Reply,
}

type Reply = oneshot::Sender<Result<Committed, CommitError>>;

impl Commit {
    fn size(&self) -> usize {
        self.encoded.iter().map(Encoded::size).sum()
    }
}

/// The lane's state.
pub(crate) struct Lane {
    pub(crate) config: Config,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) session: Option<Session>,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) feed: Arc<Mutex<Feed>>,
    pub(crate) reader: Arc<Reader>,
}

/// What came of each transaction of a batch.
type Decided = Vec<Result<(Committed, Vec<Change>), CommitError>>;

impl Lane {
    /// Works until it is told to close or nobody can bring work any more.
    pub(crate) async fn run(mut self) {
        let mut carried = None;
        loop {
            let job = match carried.take() {
                Some(job) => Some(job),
                None => self.jobs.recv().await,
            };
            match job {
                None | Some(Job::Close) => break,
                Some(Job::Act {
                    sql,
                    parameters,
                    reply,
                }) => {
                    let answer = self.act(Call { sql, parameters }).await;
                    // Whoever asked may be gone; what was done stays done.
                    let _ = reply.send(answer);
                }
                Some(Job::Purge { purge, reply }) => {
                    let answer = self.purge(purge).await;
                    let _ = reply.send(answer);
                }
                Some(Job::Commit(first)) => {
                    let mut batch = vec![first];
                    carried = self.gather(&mut batch);
                    self.commit(batch).await;
                }
            }
        }
        self.jobs.close();
    }

    fn gather(&mut self, batch: &mut Vec<Commit>) -> Option<Job> {
        let mut bytes = batch[0].size();
        while batch.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
            match self.jobs.try_recv() {
                Ok(Job::Commit(commit)) => {
                    bytes += commit.size();
                    batch.push(commit);
                }
                Ok(other) => return Some(other),
                Err(_) => break,
            }
        }
        None
    }

    /// The connection; a new one when the former was lost.
    async fn session(&mut self) -> Result<&Session, Error> {
        if self.session.as_ref().is_none_or(Session::is_closed) {
            self.session = None;
            let mut pause = Duration::from_millis(50);
            let mut attempts = 0;
            let session = loop {
                attempts += 1;
                match Session::open(&self.config, None).await {
                    Ok(session) => break session,
                    Err(error) if attempts == 4 => return Err(error),
                    Err(error) => tracing::warn!(%error, "connecting again"),
                }
                self.env.sleep(pause).await;
                pause *= 3;
            };
            self.session = Some(session);
        }
        self.session
            .as_ref()
            .ok_or_else(|| Error::Unavailable("no connection to PostgreSQL".to_owned()))
    }

    async fn act(&mut self, call: Call<'static>) -> Result<i64, Error> {
        let session = self.session().await?;
        let lock = Call {
            sql: LOCK,
            parameters: Vec::new(),
        };
        let answer = session.pipeline("BEGIN", &[lock, call], "COMMIT").await;
        if answer.is_err() {
            self.roll_back().await;
        }
        let rows = answer?;
        Ok(rows
            .get(1)
            .and_then(|rows| rows.first())
            .map_or(0, |row| row.get(0)))
    }

    async fn purge(&mut self, purge: squall_store::Purge) -> Result<u64, Error> {
        let session = self.session().await?;
        let count = purge::run(session, purge).await;
        if count.is_err() {
            self.roll_back().await;
        }
        count
    }

    /// Leaves a failed transaction, or else the connection.
    async fn roll_back(&mut self) {
        let failed = match &self.session {
            Some(session) => session.batch("ROLLBACK").await.is_err(),
            None => false,
        };
        if failed {
            self.session = None;
        }
    }

    async fn commit(&mut self, mut batch: Vec<Commit>) {
        let outcome = self.try_commit(&mut batch).await;
        let alive = self
            .session
            .as_ref()
            .is_some_and(|session| !session.is_closed());
        match outcome {
            Ok(()) => {}
            // The database refused something. Whose it was shows when each stands alone.
            Err(_) if alive && batch.len() > 1 => {
                for commit in batch {
                    let mut alone = vec![commit];
                    if let Err(error) = self.try_commit(&mut alone).await {
                        fail(alone, &error);
                    }
                }
            }
            Err(error) => fail(batch, &error),
        }
    }

    /// Carries the batch out and answers; on an error nobody was answered.
    async fn try_commit(&mut self, batch: &mut Vec<Commit>) -> Result<(), Error> {
        let feed = Arc::clone(&self.feed);
        let reader = Arc::clone(&self.reader);
        let session = self.session().await?;
        let result = write_batch(session, batch, &feed, &reader).await;
        match result {
            Ok(decided) => {
                for (commit, decided) in batch.drain(..).zip(decided) {
                    let _ = commit.reply.send(decided.map(|(committed, _)| committed));
                }
                Ok(())
            }
            Err(error) => {
                self.roll_back().await;
                Err(error)
            }
        }
    }
}

fn fail(batch: Vec<Commit>, error: &Error) {
    tracing::error!(%error, "a batch of transactions was not committed");
    for commit in batch {
        let _ = commit.reply.send(Err(CommitError::Store(error.clone())));
    }
}

async fn write_batch(
    session: &Session,
    batch: &[Commit],
    feed: &Mutex<Feed>,
    reader: &Reader,
) -> Result<Decided, Error> {
    let wanted = Wanted::of(batch.iter().map(|commit| &commit.transaction));
    let mut calls = vec![Call {
        sql: LOCK,
        parameters: Vec::new(),
    }];
    calls.extend(wanted.calls());
    let mut answers = session.pipeline("BEGIN", &calls, "").await?;
    drop(calls);
    let position: i64 = answers
        .remove(0)
        .first()
        .map(|row| row.get(0))
        .ok_or_else(|| Error::Damaged("table appender is empty".to_owned()))?;
    let mut overlay = Overlay::new();
    wanted.enter(&answers, &mut overlay);

    let mut next = position.cast_unsigned() + 1;
    let mut plan = Plan::default();
    let mut decided: Decided = Vec::with_capacity(batch.len());
    for commit in batch {
        let accepted = overlay.decide(&mut ReadAhead, &commit.transaction);
        decided.push(accepted.map(|mut accepted| {
            decide::number(&mut accepted.changes, &mut next);
            let commands = &commit.transaction.commands;
            plan.add(commands, commit.encoded.clone(), &accepted);
            let last = accepted.changes.last();
            let position = last.map_or(0, |change| change.position);
            (Committed { position }, accepted.changes)
        }));
    }
    let calls = write::calls(&plan, next - 1);
    let mut feed = feed.lock().await;
    session.pipeline("", &calls, "COMMIT").await?;
    let transactions = decided.iter_mut().filter_map(|decided| {
        let (_, changes) = decided.as_mut().ok()?;
        Some(std::mem::take(changes))
    });
    feed.own(reader, transactions.collect()).await;
    Ok(decided)
}
