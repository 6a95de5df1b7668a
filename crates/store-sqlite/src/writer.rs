//! The one thread that writes: group commit.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use squall_store::codec::Encoded;
use squall_store::decide::{self, Accepted, Key, Overlay};
use squall_store::tally::Tally;
use squall_store::{Change, CommitError, Committed, Error, Transaction};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::facts::Stored;
use crate::open::describe;
use crate::write;

/// How many transactions one commit takes at most.
const BATCH_MAX: usize = 1024;

/// After how many bytes of records a batch takes no more.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// From how many transactions in the last batch on the next one waits for company. Each commit
/// writes the same hot pages anew, so under load few large ones cost less than many small ones;
/// whoever writes alone never waits.
const COMPANY_MIN: usize = 4;

/// How often is looked, and how many times at most, whether as many wait as the last batch had.
const COMPANY_LOOK: Duration = Duration::from_micros(250);
const COMPANY_LOOKS_MAX: u32 = 4;

/// How many facts the writer keeps from one batch to the next.
const FACTS_MAX: usize = 50_000;

/// How many jobs may wait before whoever brings another has to wait as well.
pub(crate) const QUEUE_MAX: usize = 4096;

type Act = Box<dyn FnOnce(&Connection) -> rusqlite::Result<u64> + Send>;

/// Work for the writer.
pub(crate) enum Job {
    /// A transaction of the port.
    Commit(Box<Commit>),
    /// Something else that writes, in a commit of its own.
    Act {
        /// What to do; the number is the answer.
        act: Act,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<u64, Error>>,
    },
    /// The last job.
    Close,
}

/// A transaction that waits to be decided and written.
pub(crate) struct Commit {
    pub(crate) transaction: Transaction,
    pub(crate) encoded: Vec<Encoded>,
    pub(crate) reply: oneshot::Sender<Result<Committed, CommitError>>,
}

impl Commit {
    fn size(&self) -> usize {
        self.encoded.iter().map(Encoded::size).sum()
    }
}

/// The writer's state.
pub(crate) struct Writer {
    connection: Connection,
    jobs: mpsc::Receiver<Job>,
    feed: broadcast::Sender<Arc<Vec<Change>>>,
    /// Facts that are known to hold: nobody else writes.
    overlay: Overlay,
    next_position: u64,
    /// How many transactions the last batch had.
    last_batch: usize,
}

/// What came of each transaction of a batch.
type Decided = Vec<Result<(Committed, Vec<Change>), CommitError>>;

impl Writer {
    /// A writer on a connection, fed by `jobs`.
    pub(crate) fn new(
        connection: Connection,
        jobs: mpsc::Receiver<Job>,
        feed: broadcast::Sender<Arc<Vec<Change>>>,
    ) -> Result<Writer, Error> {
        let last: i64 = connection
            .query_row(
                "SELECT max(coalesce((SELECT max(position) FROM change), 0),
                     coalesce((SELECT value FROM counter WHERE name = 'position'), 0))",
                [],
                |row| row.get(0),
            )
            .map_err(|error| describe(&error))?;
        Ok(Writer {
            connection,
            jobs,
            feed,
            overlay: Overlay::new(),
            next_position: last.cast_unsigned() + 1,
            last_batch: 0,
        })
    }

    /// Works until it is told to close or nobody can bring work any more.
    pub(crate) fn run(mut self) {
        let mut carried = None;
        loop {
            let Some(first) = carried.take().or_else(|| self.jobs.blocking_recv()) else {
                break;
            };
            match first {
                Job::Close => break,
                Job::Act { act, reply } => {
                    let answer = self.act(act);
                    // Whoever asked may be gone; what was done stays done.
                    let _ = reply.send(answer);
                }
                Job::Commit(first) => {
                    let mut batch = vec![*first];
                    self.wait_for_company();
                    carried = self.gather(&mut batch);
                    self.last_batch = batch.len();
                    self.batch(batch);
                }
            }
        }
        self.jobs.close();
        // Fold the log into the file, so that a copy of the file alone is complete.
        let _ = self
            .connection
            .pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()));
    }

    /// Lets those come back whom the last batch has just answered.
    fn wait_for_company(&self) {
        if self.last_batch < COMPANY_MIN {
            return;
        }
        for _ in 0..COMPANY_LOOKS_MAX {
            if self.jobs.len() + 1 >= self.last_batch {
                return;
            }
            thread::sleep(COMPANY_LOOK);
        }
    }

    /// Takes what waits into the batch; returns a job that does not belong there.
    fn gather(&mut self, batch: &mut Vec<Commit>) -> Option<Job> {
        let mut bytes = batch[0].size();
        while batch.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
            match self.jobs.try_recv() {
                Ok(Job::Commit(commit)) => {
                    bytes += commit.size();
                    batch.push(*commit);
                }
                Ok(other) => return Some(other),
                Err(_) => break,
            }
        }
        None
    }

    fn act(&mut self, act: Act) -> Result<u64, Error> {
        self.overlay = Overlay::new();
        let transaction = self
            .connection
            .unchecked_transaction()
            .map_err(|error| describe(&error))?;
        let answer = act(&transaction).map_err(|error| describe(&error))?;
        transaction.commit().map_err(|error| describe(&error))?;
        Ok(answer)
    }

    fn batch(&mut self, batch: Vec<Commit>) {
        match self.write(&batch) {
            Ok(decided) => self.publish(batch, decided),
            // SQLite refused something. Whose it was shows when each stands alone.
            Err(_) if batch.len() > 1 => {
                for commit in batch {
                    self.batch(vec![commit]);
                }
            }
            Err(error) => {
                tracing::error!(%error, "a transaction was not committed");
                for commit in batch {
                    let _ = commit.reply.send(Err(CommitError::Store(error.clone())));
                }
            }
        }
        self.forget();
    }

    /// Commits the batch; when that fails, the file and the writer are as before.
    fn write(&mut self, batch: &[Commit]) -> Result<Decided, Error> {
        let first_position = self.next_position;
        let decided = self.write_all(batch);
        if decided.is_err() {
            self.overlay = Overlay::new();
            self.next_position = first_position;
        }
        decided
    }

    fn write_all(&mut self, batch: &[Commit]) -> Result<Decided, Error> {
        let fail = |error: rusqlite::Error| describe(&error);
        let transaction = self.connection.unchecked_transaction().map_err(fail)?;
        let mut tally = Tally::default();
        let mut decided = Decided::with_capacity(batch.len());
        for commit in batch {
            let wanted = &commit.transaction;
            let mut accepted = match self.overlay.decide(&mut Stored(&transaction), wanted) {
                Ok(accepted) => accepted,
                Err(error) => {
                    decided.push(Err(error));
                    continue;
                }
            };
            let committed = number(&mut accepted, &mut self.next_position);
            let (commands, encoded) = (&wanted.commands, &commit.encoded);
            write::transaction(&transaction, commands, encoded, &accepted, &mut tally)
                .map_err(fail)?;
            decided.push(Ok((committed, accepted.changes)));
        }
        write::tally(&transaction, tally).map_err(fail)?;
        transaction.commit().map_err(fail)?;
        Ok(decided)
    }

    fn publish(&mut self, batch: Vec<Commit>, decided: Decided) {
        for (commit, decided) in batch.into_iter().zip(decided) {
            let answer = decided.map(|(committed, changes)| {
                if !changes.is_empty() {
                    // An error only says that nobody listens.
                    let _ = self.feed.send(Arc::new(changes));
                }
                committed
            });
            let _ = commit.reply.send(answer);
        }
    }

    /// Keeps the small facts that the next batches are likely to ask for again.
    fn forget(&mut self) {
        if self.overlay.len() > FACTS_MAX {
            self.overlay = Overlay::new();
        } else {
            self.overlay.forget(|key| {
                matches!(
                    key,
                    Key::Execution(_)
                        | Key::Pieces(_)
                        | Key::Output(_)
                        | Key::Lease(_)
                        | Key::Server(_)
                )
            });
        }
    }
}

fn number(accepted: &mut Accepted, next: &mut u64) -> Committed {
    decide::number(&mut accepted.changes, next);
    let position = accepted.changes.last().map_or(0, |change| change.position);
    Committed { position }
}
