//! A workflow's live state and its inbox.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use squall_model::{Execution, ExecutionId, State, Timestamp};
use squall_workflow::{Conductor, Status};

use super::children::Children;

use super::Inbound;

/// A workflow that is live here.
pub(crate) struct Live {
    id: ExecutionId,
    inbox: Mutex<Inbox>,
    /// The state between turns; `None` until it was read, and after a commit of which nobody knows
    /// whether it happened.
    pub(super) state: tokio::sync::Mutex<Option<Loaded>>,
}

#[derive(Debug, Default)]
struct Inbox {
    items: Vec<Inbound>,
    /// Whether somebody takes turns.
    busy: bool,
    /// Whether the workflow has ended, so that it need not be kept.
    over: bool,
}

/// A workflow's state in memory.
pub(super) struct Loaded {
    pub(super) execution: Arc<Execution>,
    pub(super) conductor: Conductor,
    pub(super) children: Children,
    /// The number of the next piece.
    pub(super) next_piece: u64,
    /// What the store has of this state.
    pub(super) stored: Stored,
    /// The workflows above this one, the nearest first.
    pub(super) ancestors: Vec<ExecutionId>,
    /// Who published the definition, unless it came from files.
    pub(super) publisher: Option<squall_value::Str>,
    /// Whether its state holds secrets, so that it is kept sealed.
    pub(super) is_secret: bool,
    /// Secrets in answers to its questions, and in the configuration that it may name.
    pub(super) answers: Vec<squall_value::Str>,
    /// Whether it has ended.
    pub(super) ended: bool,
    /// The status that the workflow above was last told.
    pub(super) told: Option<squall_model::Status>,
}

/// How much the store has of a workflow's state: a snapshot, and the pieces since.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stored {
    /// How many pieces there are, the snapshot counted.
    pieces: u64,
    /// The bytes of the snapshot, or of the first piece.
    snapshot: usize,
    /// The bytes of what came behind it.
    appended: usize,
}

impl Stored {
    /// What was read, by the bytes of each piece in order.
    pub(super) fn of(sizes: impl IntoIterator<Item = usize>) -> Stored {
        let mut stored = Stored::default();
        for size in sizes {
            stored.append(size);
        }
        stored
    }

    /// One more piece.
    pub(super) fn append(&mut self, bytes: usize) {
        if self.pieces == 0 {
            self.snapshot = bytes;
        } else {
            self.appended += bytes;
        }
        self.pieces += 1;
    }

    /// A snapshot in the place of all.
    pub(super) fn replace(&mut self, bytes: usize) {
        *self = Stored::of([bytes]);
    }

    /// Whether the next piece should be a snapshot instead: there are `pieces_max` pieces, and as
    /// many bytes behind the last snapshot as it has itself. The second keeps the cost of a long
    /// workflow linear: its state is written whole only when it has doubled.
    pub(super) fn is_due(self, pieces_max: u64) -> bool {
        self.pieces >= pieces_max && self.appended >= self.snapshot
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Loaded {
    pub(super) fn new(
        execution: Arc<Execution>,
        conductor: Conductor,
        children: Children,
        next_piece: u64,
    ) -> Loaded {
        Loaded {
            execution,
            conductor,
            children,
            next_piece,
            stored: Stored::default(),
            ancestors: Vec::new(),
            publisher: None,
            is_secret: false,
            answers: Vec::new(),
            ended: false,
            told: Some(squall_model::Status::Running),
        }
    }

    /// The status to which the workflow's own execution is brought. One that was canceled, or whose
    /// time is up, ends after its tasks: they were told to stop, and who told them must not forget.
    pub(super) fn settled_status(&self, now: Timestamp) -> Status {
        let status = match self.conductor.status() {
            // As StackStorm has it.
            Status::Failed if self.children.ended_late() => Status::Timeout,
            status => status,
        };
        if self.children.active().next().is_none() {
            return status;
        }
        let deadline = self.execution.progress.deadline;
        let is_canceled = matches!(self.execution.state(), State::Canceling { .. });
        match status {
            Status::Canceled => Status::Canceling,
            _ if is_canceled => Status::Canceling,
            Status::Failed if deadline.is_some_and(|deadline| deadline <= now) => Status::Running,
            _ => status,
        }
    }
}

impl Live {
    pub(super) fn new(id: ExecutionId) -> Live {
        Live {
            id,
            inbox: Mutex::default(),
            state: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn id(&self) -> ExecutionId {
        self.id
    }

    /// Adds to the inbox. `true` when nobody takes turns, and the caller must see to it.
    pub(super) fn deliver(&self, inbound: Inbound) -> bool {
        let mut inbox = self.inbox.lock();
        inbox.items.push(inbound);
        !std::mem::replace(&mut inbox.busy, true)
    }

    /// Empties the inbox; `None` when it is empty.
    pub(super) fn take(&self) -> Option<Vec<Inbound>> {
        let mut inbox = self.inbox.lock();
        (!inbox.items.is_empty()).then(|| std::mem::take(&mut inbox.items))
    }

    /// Stops taking turns if nothing has arrived meanwhile. The second answer says whether the
    /// workflow has ended and can be forgotten.
    pub(super) fn rest(&self) -> (bool, bool) {
        let mut inbox = self.inbox.lock();
        if inbox.items.is_empty() {
            inbox.busy = false;
        }
        (inbox.items.is_empty(), inbox.over)
    }

    /// The workflow is under way.
    pub(super) fn begin(&self) {
        self.inbox.lock().over = false;
    }

    /// The workflow has ended.
    pub(super) fn end(&self) {
        self.inbox.lock().over = true;
    }

    /// Whether an end of this execution waits in the inbox.
    pub(super) fn expects(&self, child: ExecutionId) -> bool {
        let inbox = self.inbox.lock();
        inbox.items.iter().any(|inbound| match inbound {
            Inbound::Ended(end) => end.execution.id() == child,
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Stored;

    /// Writes a state that grows by `piece` bytes a turn; what the snapshots took in all, and the
    /// most pieces there ever were.
    fn written(turns: usize, piece: usize, pieces_max: u64) -> (usize, u64) {
        let (mut stored, mut snapshots, mut most) = (Stored::default(), 0, 0);
        for turn in 1..=turns {
            if stored.is_due(pieces_max) {
                stored.replace(turn * piece);
                snapshots += turn * piece;
            } else {
                stored.append(piece);
            }
            most = most.max(stored.pieces);
        }
        (snapshots, most)
    }

    #[test]
    fn snapshots_of_a_growing_state_take_as_much_as_its_pieces() {
        for turns in [1_000, 10_000, 100_000] {
            let (snapshots, _) = written(turns, 300, 100);
            assert!(snapshots <= 2 * turns * 300, "{turns}: {snapshots}");
        }
    }

    #[test]
    fn a_state_that_does_not_grow_is_replaced_every_so_many_pieces() {
        let mut stored = Stored::of([500; 100]);
        assert!(stored.is_due(100));
        stored.replace(400);
        assert!(!stored.is_due(100));
        for _ in 0..99 {
            assert!(!stored.is_due(100));
            stored.append(500);
        }
        assert!(stored.is_due(100));
    }
}
