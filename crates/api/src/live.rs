//! What a client of the stream hears of: everything, or a few executions.
//!
//! Who subscribes to the feed is woken by every commit. That is right for the few who follow
//! everything, and waste for the many who follow one execution each: for all of these together, one
//! task reads the feed and hands each change to whoever follows its execution.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use squall_model::ExecutionId;
use squall_store::{Change, Store, Subject, Subscription};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;

/// How many changes wait for a follower before it has to read them from the store.
const WAITING_MAX: usize = 256;

/// Why there is no change to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missed {
    /// Changes after this position were dropped; the store has them.
    Behind(u64),
    /// The store is closed.
    Over,
}

/// The feed as one client hears it.
#[derive(Debug)]
pub(crate) enum Live {
    /// All of it.
    Whole(Subscription),
    /// What concerns some executions.
    Some(Followed),
}

impl Live {
    /// The next changes, in order.
    ///
    /// # Errors
    ///
    /// [`Missed`].
    pub(crate) async fn next(&mut self) -> Result<Arc<Vec<Change>>, Missed> {
        match self {
            Live::Whole(feed) => feed.recv().await.map_err(|error| match error {
                RecvError::Lagged(_) => Missed::Behind(0),
                RecvError::Closed => Missed::Over,
            }),
            Live::Some(followed) => followed.next().await.map(Arc::new),
        }
    }
}

/// Everybody who follows single executions.
#[derive(Debug, Default)]
pub struct Followers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    by_execution: HashMap<ExecutionId, Vec<Arc<Queue>>>,
    /// Whether the feed is being read: it is while somebody follows.
    is_reading: bool,
}

/// What waits for one follower.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: VecDeque<Change>,
    /// Everything after this position was dropped.
    behind: Option<u64>,
    is_over: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds such a lock leaves anything half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    fn push(&self, change: &Change) {
        let mut waiting = lock(&self.waiting);
        if waiting.behind.is_none() {
            if waiting.changes.len() < WAITING_MAX {
                waiting.changes.push_back(change.clone());
            } else {
                waiting.behind = Some(change.position.saturating_sub(1));
            }
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    fn fall_behind(&self, position: u64) {
        lock(&self.waiting).behind.get_or_insert(position);
        self.arrived.notify_one();
    }

    fn close(&self) {
        lock(&self.waiting).is_over = true;
        self.arrived.notify_one();
    }

    /// What there is; `None` when it has to be waited for.
    fn take(&self) -> Option<Result<Vec<Change>, Missed>> {
        let mut waiting = lock(&self.waiting);
        if !waiting.changes.is_empty() {
            return Some(Ok(std::mem::take(&mut waiting.changes).into()));
        }
        if let Some(position) = waiting.behind.take() {
            return Some(Err(Missed::Behind(position)));
        }
        waiting.is_over.then_some(Err(Missed::Over))
    }
}

impl Followers {
    /// Follows some executions from now on.
    pub(crate) fn follow(self: &Arc<Self>, store: &dyn Store, ids: Vec<ExecutionId>) -> Followed {
        let queue = Arc::<Queue>::default();
        let mut state = lock(&self.0);
        for id in &ids {
            let followers = state.by_execution.entry(*id).or_default();
            followers.push(Arc::clone(&queue));
        }
        if !state.is_reading {
            state.is_reading = true;
            tokio::spawn(Arc::clone(self).read(store.subscribe()));
        }
        drop(state);
        Followed {
            followers: Arc::clone(self),
            ids,
            queue,
        }
    }

    /// Hands out what the feed brings, until nobody follows any more or the store is closed.
    async fn read(self: Arc<Self>, mut feed: Subscription) {
        let mut position = 0;
        loop {
            let received = feed.recv().await;
            let mut state = lock(&self.0);
            if state.by_execution.is_empty() {
                state.is_reading = false;
                return;
            }
            let everybody = || state.by_execution.values().flatten();
            match received {
                Ok(changes) => {
                    for change in changes.iter() {
                        let followers = subject(change).and_then(|id| state.by_execution.get(&id));
                        let followers = followers.into_iter().flatten();
                        followers.for_each(|queue| queue.push(change));
                        position = change.position;
                    }
                }
                Err(RecvError::Lagged(_)) => {
                    everybody().for_each(|queue| queue.fall_behind(position));
                }
                Err(RecvError::Closed) => {
                    everybody().for_each(|queue| queue.close());
                    state.is_reading = false;
                    return;
                }
            }
        }
    }
}

/// The execution that a change is about.
fn subject(change: &Change) -> Option<ExecutionId> {
    match change.subject {
        Subject::Execution { id, .. } => Some(id),
        Subject::Output { execution, .. } => Some(execution),
        _ => None,
    }
}

/// The changes of some executions, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Followed {
    followers: Arc<Followers>,
    ids: Vec<ExecutionId>,
    queue: Arc<Queue>,
}

impl Followed {
    async fn next(&mut self) -> Result<Vec<Change>, Missed> {
        loop {
            if let Some(taken) = self.queue.take() {
                return taken;
            }
            self.queue.arrived.notified().await;
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let mut state = lock(&self.followers.0);
        for id in &self.ids {
            if let Some(followers) = state.by_execution.get_mut(id) {
                followers.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
                if followers.is_empty() {
                    state.by_execution.remove(id);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use squall_model::{Id, Status, Timestamp};
    use squall_store::Operation;
    use tokio::sync::broadcast;

    use super::*;

    fn change(position: u64, execution: u128) -> Change {
        Change {
            position,
            at: Timestamp::UNIX_EPOCH,
            operation: Operation::Updated,
            subject: Subject::Execution {
                id: Id::from_raw(execution),
                status: Status::Running,
            },
            record: None,
        }
    }

    /// Followers that are fed by the test, and who follows executions 1 and 2.
    fn followed(feed: &broadcast::Sender<Arc<Vec<Change>>>) -> (Arc<Followers>, Followed) {
        let followers = Arc::<Followers>::default();
        let queue = Arc::<Queue>::default();
        let ids = vec![Id::from_raw(1), Id::from_raw(2)];
        let mut state = lock(&followers.0);
        for id in &ids {
            state.by_execution.insert(*id, vec![Arc::clone(&queue)]);
        }
        state.is_reading = true;
        drop(state);
        tokio::spawn(Arc::clone(&followers).read(Subscription::new(feed.subscribe())));
        let followed = Followed {
            followers: Arc::clone(&followers),
            ids,
            queue,
        };
        (followers, followed)
    }

    async fn positions(followed: &mut Followed) -> Result<Vec<u64>, Missed> {
        let changes = followed.next().await?;
        Ok(changes.iter().map(|change| change.position).collect())
    }

    #[tokio::test]
    async fn only_what_concerns_a_follower_gets_to_it() {
        let feed = broadcast::Sender::new(4);
        let (followers, mut followed) = followed(&feed);
        let commit = vec![change(1, 3), change(2, 1), change(3, 4), change(4, 2)];
        feed.send(Arc::new(commit)).unwrap();
        assert_eq!(positions(&mut followed).await, Ok(vec![2, 4]));
        drop(followed);
        assert!(lock(&followers.0).by_execution.is_empty());
    }

    #[tokio::test]
    async fn who_does_not_read_is_told_from_where_to_read_on() {
        let feed = broadcast::Sender::new(4096);
        let (_followers, mut followed) = followed(&feed);
        let (kept, sent) = (WAITING_MAX as u64, WAITING_MAX as u64 + 50);
        let commit = (1..=sent).map(|position| change(position, 1));
        feed.send(Arc::new(commit.collect())).unwrap();
        assert_eq!(positions(&mut followed).await, Ok((1..=kept).collect()));
        assert_eq!(positions(&mut followed).await, Err(Missed::Behind(kept)));
        // From here on nothing is dropped again.
        feed.send(Arc::new(vec![change(sent + 1, 2)])).unwrap();
        assert_eq!(positions(&mut followed).await, Ok(vec![sent + 1]));
    }

    #[tokio::test]
    async fn a_reader_that_lags_and_the_end_are_told_to_all() {
        let feed = broadcast::Sender::new(1);
        let (_followers, mut followed) = followed(&feed);
        for position in 1..=3 {
            feed.send(Arc::new(vec![change(position, 1)])).unwrap();
        }
        // What came meanwhile is in the store as well.
        assert_eq!(positions(&mut followed).await, Err(Missed::Behind(0)));
        feed.send(Arc::new(vec![change(4, 1)])).unwrap();
        assert_eq!(positions(&mut followed).await, Ok(vec![4]));
        drop(feed);
        assert_eq!(positions(&mut followed).await, Err(Missed::Over));
    }
}
