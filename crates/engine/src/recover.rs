//! Beside the path: what a crash left behind, and what a lost signal forgot.
//!
//! The store is the truth. At a start, and on a slow period, the engine looks at everything that
//! has not ended and makes sure that somebody cares for it.

use std::collections::HashSet;
use std::sync::Arc;

use squall_model::{Execution, ExecutionId, Lease, State};

use crate::Engine;

/// How many records are read at a time.
const BATCH: usize = 1_000;

impl Engine {
    /// Takes up whatever earlier servers left: their entries are retired, their running executions
    /// become `abandoned` or are asked for again, workflows go on, events are matched.
    ///
    /// The processes of those servers must have been ended before.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn recover(self: &Arc<Engine>) -> Result<Recovered, squall_store::Error> {
        let now = self.env.now();
        for server in self.store.servers().await? {
            let dead = server.until < now || self.is_predecessor(&server);
            if server.lease != self.lease && dead {
                self.store.retire_server(server.lease).await?;
            }
        }
        self.look_after_all().await
    }

    /// Whether a server's entry is an earlier start on this very data: an embedded store has one
    /// server at a time, so whoever is entered there is gone.
    fn is_predecessor(&self, server: &squall_store::Server) -> bool {
        self.settings.single_server && server.lease < self.lease
    }

    /// Looks at everything that has not ended.
    pub(crate) async fn look_after_all(
        self: &Arc<Engine>,
    ) -> Result<Recovered, squall_store::Error> {
        let mut recovered = Recovered::default();
        let alive: HashSet<Lease> = self
            .store
            .servers()
            .await?
            .into_iter()
            .map(|server| server.lease)
            .collect();
        let mut after: Option<ExecutionId> = None;
        loop {
            let batch = self.store.unfinished(after, BATCH).await?;
            let Some(last) = batch.last() else { break };
            after = Some(last.id());
            for execution in &batch {
                self.look_after(execution, &alive, &mut recovered).await;
            }
        }
        loop {
            let pending = self.store.pending_trigger_instances(BATCH).await?;
            let count = pending.len();
            recovered.matched += count;
            for instance in pending {
                self.match_pending(instance).await;
            }
            if count < BATCH {
                break;
            }
        }
        Ok(recovered)
    }

    async fn look_after(
        self: &Arc<Engine>,
        execution: &Arc<Execution>,
        alive: &HashSet<Lease>,
        recovered: &mut Recovered,
    ) {
        let id = execution.id();
        match execution.state() {
            State::Requested | State::Delayed { .. } | State::Scheduled => {
                recovered.waiting += 1;
                self.advance(id).await;
            }
            State::Running { lease } | State::Canceling { lease } if lease != Lease::NONE => {
                let here =
                    self.running.lock().contains_key(&id) || self.ending.lock().contains(&id);
                // Ours, but without a process: the commit that put it there was thought to have
                // failed. Nothing was started then, and nothing will end it.
                let forgotten = lease == self.lease && !here && !self.workflows.expects(id);
                if alive.contains(&lease) && !forgotten {
                    return;
                }
                recovered.lost += 1;
                let again = match self.definition(execution).await {
                    Ok(action) => action.is_some_and(|action| action.retry_on_worker_loss),
                    Err(_) => false,
                };
                self.abandon(execution, again).await;
            }
            State::Running { .. }
            | State::Canceling { .. }
            | State::Pausing
            | State::Paused
            | State::Resuming
            | State::Pending => {
                recovered.workflows += 1;
                self.wake_workflow(id);
            }
            State::Ended(_) => {}
        }
    }
}

/// What a look at the store found to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Executions that had not started.
    pub waiting: usize,
    /// Executions whose server was lost.
    pub lost: usize,
    /// Workflows under way.
    pub workflows: usize,
    /// Events that were not matched.
    pub matched: usize,
}
