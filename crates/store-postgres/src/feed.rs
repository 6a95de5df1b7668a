//! The live feed: what this server commits, and what it reads of the others, in one order.

use std::sync::Arc;

use squall_model::Id;
use squall_store::{Change, Error, Operation, Record, Subject};
use tokio::sync::broadcast;

use crate::connect::Session;
use crate::list;
use crate::read;
use crate::store::Reader;

/// How many changes of other servers are read at once.
const READ_MAX: i64 = 1000;

/// What was published. Whoever holds it alone may publish: the lane from before its commit until
/// its changes are out, the listener while it reads. So nobody publishes a change twice, or before
/// an earlier one.
#[derive(Debug)]
pub(crate) struct Feed {
    last: u64,
    subscribers: broadcast::Sender<Arc<Vec<Change>>>,
}

impl Feed {
    /// A feed that begins after `last`.
    pub(crate) fn new(last: u64, subscribers: broadcast::Sender<Arc<Vec<Change>>>) -> Feed {
        Feed { last, subscribers }
    }

    /// The position of the newest change that was published.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Publishes what this server committed, after what others committed before it.
    pub(crate) async fn own(&mut self, reader: &Reader, transactions: Vec<Vec<Change>>) {
        for changes in transactions {
            let (Some(first), Some(last)) = (changes.first(), changes.last()) else {
                continue;
            };
            if first.position > self.last + 1
                && let Err(error) = self.read_to(reader, first.position - 1).await
            {
                // The listener reads on from here, and finds ours as well.
                tracing::warn!(%error, "changes are delivered late");
                return;
            }
            if first.position == self.last + 1 {
                self.last = last.position;
                // An error only says that nobody listens.
                let _ = self.subscribers.send(Arc::new(changes));
            }
        }
    }

    /// Publishes what is stored and was not published yet, up to `to`.
    pub(crate) async fn read_to(&mut self, reader: &Reader, to: u64) -> Result<(), Error> {
        while self.last < to {
            let session = reader.session().await?;
            let after = self.last.cast_signed();
            let rows = session
                .query(
                    "SELECT position, at, operation, subject, id, detail, first, count FROM change
                     WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3",
                    &[&after, &to.cast_signed(), &READ_MAX],
                )
                .await?;
            let Some(row) = rows.last() else {
                // Purged before anybody saw them.
                self.last = to;
                return Ok(());
            };
            let last = row.get::<_, i64>(0).cast_unsigned();
            let mut changes = Vec::with_capacity(rows.len());
            for row in &rows {
                match read::change(row) {
                    Ok(change) => changes.push(change),
                    Err(damage) => {
                        let error = damage.of("change", &row.get::<_, i64>(0));
                        tracing::error!(%error, "a change is not delivered");
                    }
                }
            }
            for change in &mut changes {
                change.record = record(&session, change).await?;
            }
            self.last = last;
            let _ = self.subscribers.send(Arc::new(changes));
        }
        Ok(())
    }

    /// Publishes everything that is stored.
    pub(crate) async fn read_all(&mut self, reader: &Reader) -> Result<(), Error> {
        let session = reader.session().await?;
        let rows = session.query("SELECT position FROM appender", &[]).await?;
        let to = rows.first().map_or(0, |row| row.get::<_, i64>(0));
        self.read_to(reader, to.cast_unsigned()).await
    }
}

/// The record behind a change of another server, as it is now: at least as new as the change.
/// `None` when it is gone.
async fn record(session: &Session, change: &Change) -> Result<Option<Record>, Error> {
    if change.operation == Operation::Deleted {
        return Ok(None);
    }
    Ok(match &change.subject {
        Subject::Execution { id, .. } => {
            let found = list::EXECUTIONS.by_id(session, *id).await?;
            found.map(Record::Execution)
        }
        Subject::TriggerInstance(id) => {
            let found = list::TRIGGER_INSTANCES.by_id(session, *id).await?;
            found.map(Record::TriggerInstance)
        }
        Subject::Enforcement(id) => {
            let found = list::ENFORCEMENTS.by_id(session, *id).await?;
            found.map(Record::Enforcement)
        }
        Subject::Document { kind, id, .. } => {
            let tail = " WHERE kind = $1 AND id = $2";
            let id: Id<_> = *id;
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
                [&kind.as_str(), &id.to_bytes().to_vec()];
            let found = list::DOCUMENTS.one(session, tail, &parameters).await?;
            found.map(Record::Document)
        }
        Subject::Output {
            execution,
            first,
            count,
        } => {
            let limit = usize::try_from(*count).unwrap_or(usize::MAX);
            let chunks = list::output(session, *execution, *first, limit).await?;
            Some(Record::Output(Arc::new(chunks)))
        }
    })
}
