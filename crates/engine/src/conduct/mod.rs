//! The conduct stage: workflows, task by task.
//!
//! A workflow under way has an inbox. Whatever concerns it goes there: tasks that ended, requests
//! of people, deadlines. A turn empties the inbox, lets the conductor decide, and commits the ends
//! of tasks, the workflow's new state and the next tasks in one transaction. While that commit is
//! under way the inbox fills again, so that a thousand items take far fewer turns than a thousand.
//!
//! The live state is a cache: any server can rebuild it from the store's pieces.

mod again;
mod answers;
mod children;
mod hold;
mod live;
mod load;
mod tasks;
mod turn;
mod world;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use squall_model::{Execution, ExecutionId};
use squall_value::{Str, Value};
use squall_workflow::Definition;
use tokio::sync::oneshot;

use crate::Engine;
pub use hold::HeldTask;
use hold::Verdict;
use live::Live;

/// How a task's execution ended.
#[derive(Debug, Clone)]
pub(crate) struct ChildEnd {
    /// The execution as it is after the end.
    pub(crate) execution: Arc<Execution>,
    /// The revision that the end was decided on; `None` when it is committed already.
    pub(crate) from: Option<u64>,
    /// What it returned.
    pub(crate) result: Value,
}

/// What a person, or the workflow above, asks of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    Cancel,
    Pause,
    Resume,
}

/// Why a workflow does not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ControlError {
    /// It is in no state for it.
    #[error("{0}")]
    Refused(String),
    /// It cannot be read or written now.
    #[error("the workflow cannot be reached now: {0}")]
    Unavailable(String),
}

type Reply = oneshot::Sender<Result<Arc<Execution>, ControlError>>;

/// What concerns a workflow.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// It begins, or shall look whether there is something to do.
    Look,
    /// It shall make sure that it knows what has become of its tasks: none of them is under way
    /// that is not among these.
    Audit(Arc<HashSet<ExecutionId>>),
    /// A task's execution ended.
    Ended(ChildEnd),
    /// A task's execution, a workflow itself, has paused or goes on.
    Changed(Arc<Execution>),
    /// Somebody asks for something.
    Control(Control, Reply),
    /// Somebody decides about a failed task that waits.
    Decide(Verdict, Reply),
    /// A deadline may have passed.
    Due,
}

/// The workflows that are live here.
#[derive(Debug, Default)]
pub(crate) struct Workflows {
    live: Mutex<HashMap<ExecutionId, Arc<Live>>>,
    /// Compiled definitions by content hash.
    definitions: Mutex<HashMap<Str, Arc<Definition>>>,
}

/// How many compiled definitions are kept; a full cache is begun anew.
const DEFINITIONS_MAX: usize = 1_000;

impl Workflows {
    /// Whether an end of this execution waits in some inbox.
    pub(crate) fn expects(&self, child: ExecutionId) -> bool {
        self.live.lock().values().any(|live| live.expects(child))
    }

    /// How many are live.
    pub(crate) fn count(&self) -> usize {
        self.live.lock().len()
    }

    /// Adds to a workflow's inbox. Gives the workflow when nobody takes its turns, and the caller
    /// must see to it.
    fn deliver(&self, id: ExecutionId, inbound: Inbound) -> Option<Arc<Live>> {
        // Under the lock, or it could be forgotten before it has what was delivered.
        let mut all = self.live.lock();
        let live = all.entry(id).or_insert_with(|| Arc::new(Live::new(id)));
        live.deliver(inbound).then(|| Arc::clone(live))
    }

    /// Ends a run of turns if nothing has arrived meanwhile, and forgets a workflow that has ended.
    fn rest(&self, live: &Live) -> bool {
        let mut all = self.live.lock();
        let (rests, over) = live.rest();
        if rests && over {
            all.remove(&live.id());
        }
        rests
    }
}

impl Engine {
    /// A task of the workflow `parent` has ended.
    pub(crate) fn child_ended(self: &Arc<Engine>, parent: ExecutionId, end: ChildEnd) {
        self.deliver(parent, Inbound::Ended(end));
    }

    /// A workflow shall look whether there is something to do.
    pub(crate) fn wake_workflow(self: &Arc<Engine>, id: ExecutionId) {
        self.deliver(id, Inbound::Look);
    }

    /// A workflow shall make sure that it knows what has become of its tasks; `unfinished` are all
    /// executions that have not ended.
    pub(crate) fn audit_workflow(
        self: &Arc<Engine>,
        id: ExecutionId,
        unfinished: &Arc<HashSet<ExecutionId>>,
    ) {
        self.deliver(id, Inbound::Audit(Arc::clone(unfinished)));
    }

    /// A deadline of a workflow may have passed.
    pub(crate) fn workflow_is_due(self: &Arc<Engine>, id: ExecutionId) {
        self.deliver(id, Inbound::Due);
    }

    /// Asks something of a workflow, and waits until the answer is durable.
    pub(crate) async fn control(
        self: &Arc<Engine>,
        id: ExecutionId,
        control: Control,
    ) -> Result<Arc<Execution>, ControlError> {
        let (reply, answer) = oneshot::channel();
        self.deliver(id, Inbound::Control(control, reply));
        let gone = |_| ControlError::Unavailable("the server is stopping".to_owned());
        answer.await.map_err(gone)?
    }

    pub(crate) fn deliver(self: &Arc<Engine>, id: ExecutionId, inbound: Inbound) {
        if let Some(live) = self.workflows.deliver(id, inbound) {
            let engine = Arc::clone(self);
            self.spawn
                .spawn(Box::pin(async move { engine.take_turns(live).await }));
        }
    }

    async fn take_turns(self: Arc<Engine>, live: Arc<Live>) {
        loop {
            let Some(inbox) = live.take() else {
                if self.workflows.rest(&live) {
                    return;
                }
                continue;
            };
            self.turn(&live, inbox).await;
        }
    }
}
