//! Beside the path: what a crash left behind, and what a lost signal forgot.
//!
//! The store is the truth. At a start, and on a slow period, the engine looks at everything that
//! has not ended and makes sure that somebody cares for it.

use std::collections::HashSet;
use std::sync::Arc;

use squall_model::{Execution, ExecutionId, Lease, State};
use squall_value::Str;

use crate::{Catalog, Engine};

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
        for server in self.store.servers().await? {
            if self.is_predecessor(&server) {
                self.store.retire_server(server.lease).await?;
            }
        }
        self.restore_gates(None).await?;
        self.look_after_all().await
    }

    /// Whether a server's entry is an earlier start on this very data: an embedded store has one
    /// server at a time, so whoever is entered there is gone.
    fn is_predecessor(&self, server: &squall_store::Server) -> bool {
        self.settings.single_server && server.lease < self.lease
    }

    /// Enters those that have passed the gates of concurrency policies: before this start, which
    /// must happen before anybody asks a gate, or before there was one, of these actions.
    pub(crate) async fn restore_gates(
        self: &Arc<Engine>,
        only: Option<&HashSet<Str>>,
    ) -> Result<(), squall_store::Error> {
        let catalog = self.catalog();
        let mut after: Option<ExecutionId> = None;
        loop {
            let batch = self.store.unfinished(after, BATCH).await?;
            let Some(last) = batch.last() else {
                return Ok(());
            };
            after = Some(last.id());
            for execution in &batch {
                let waits = matches!(execution.state(), State::Requested | State::Delayed { .. });
                let action = execution.request.action.text();
                let is_meant = only.is_none_or(|only| only.contains(&action));
                if !waits && is_meant && catalog.is_limited(&action) {
                    self.restore_gates_of(execution, &catalog);
                }
            }
        }
    }

    fn restore_gates_of(&self, execution: &Execution, catalog: &Catalog) {
        let action = execution.request.action.text();
        let parameters = self.vault.open(&execution.request.parameters);
        let definition = catalog.action(&action);
        let mask = definition.map(|action| action.parameters.mask().clone());
        let mask = mask.unwrap_or_default();
        for policy in catalog.policies(&action) {
            if let Some(limit) = policy.limit() {
                let key = crate::gates::key(policy, limit, &parameters, &mask);
                self.gates.restore(&key, execution.id(), limit);
            }
        }
    }

    /// The servers that are alive. The entries of others, which stopped renewing them, are retired.
    async fn servers_alive(&self) -> Result<HashSet<Lease>, squall_store::Error> {
        let now = self.env.now();
        let mut alive = HashSet::new();
        for server in self.store.servers().await? {
            if server.lease == self.lease || server.until >= now {
                alive.insert(server.lease);
            } else {
                self.store.retire_server(server.lease).await?;
            }
        }
        Ok(alive)
    }

    /// Looks at everything that has not ended.
    pub(crate) async fn look_after_all(
        self: &Arc<Engine>,
    ) -> Result<Recovered, squall_store::Error> {
        let mut recovered = Recovered::default();
        let alive = self.servers_alive().await?;
        let holders = self.gates.holders();
        let mut unfinished = HashSet::new();
        let mut workflows = Vec::new();
        let mut after: Option<ExecutionId> = None;
        loop {
            let batch = self.store.unfinished(after, BATCH).await?;
            let Some(last) = batch.last() else { break };
            after = Some(last.id());
            for execution in &batch {
                unfinished.insert(execution.id());
                if is_conducted(execution.state()) {
                    workflows.push(execution.id());
                } else {
                    self.look_after(execution, &alive, &mut recovered).await;
                }
            }
        }
        recovered.workflows = workflows.len();
        let unfinished = Arc::new(unfinished);
        for id in workflows {
            self.audit_workflow(id, &unfinished);
        }
        self.look_after_gates(holders, &unfinished).await?;
        recovered.matched = self.look_after_events().await?;
        Ok(recovered)
    }

    /// Matches events that wait, and returns how many.
    async fn look_after_events(self: &Arc<Engine>) -> Result<usize, squall_store::Error> {
        let mut total = 0;
        loop {
            let pending = self.store.pending_trigger_instances(BATCH).await?;
            let is_last = pending.len() < BATCH;
            let mut matched = 0;
            for instance in pending {
                matched += usize::from(self.match_pending(instance).await);
            }
            total += matched;
            if is_last || matched == 0 {
                return Ok(total);
            }
        }
    }

    /// Gives up the gates of those that are not there any more: they ended, or never came to be, in
    /// a commit of which the answer was lost.
    async fn look_after_gates(
        self: &Arc<Engine>,
        holders: Vec<ExecutionId>,
        unfinished: &HashSet<ExecutionId>,
    ) -> Result<(), squall_store::Error> {
        for id in holders {
            if unfinished.contains(&id) || self.claims.contains(id) {
                continue;
            }
            let execution = self.store.execution(id).await?;
            if execution.is_none_or(|execution| execution.state().is_ended()) {
                self.leave_gates(id);
            }
        }
        Ok(())
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
                if !self.slots.is_waiting(id) {
                    self.advance(id).await;
                }
            }
            // Its answer, or its end, may be on the way into the workflow that waits for it.
            State::Pending if self.workflows.expects(id) => {}
            State::Pending => self.look_after_inquiry(execution).await,
            State::Running { lease } | State::Canceling { lease } if lease != Lease::NONE => {
                // The order matters: an execution gets from one of these to the next.
                let running = self.running.lock().get(&id).cloned();
                let is_here = self.claims.contains(id)
                    || running.is_some()
                    || self.ending.lock().contains(&id);
                if let (State::Canceling { .. }, Some(running)) = (execution.state(), running) {
                    // The commit that says so may have had no answer.
                    running.cancel.cancel();
                }
                // Ours, but without a process: the commit that put it there was thought to have
                // failed. Nothing was started then, and nothing will end it.
                let is_forgotten = lease == self.lease && !is_here && !self.workflows.expects(id);
                if alive.contains(&lease) && !is_forgotten {
                    return;
                }
                recovered.lost += 1;
                let again = is_forgotten || self.may_run_again(execution).await;
                self.abandon(execution, again).await;
            }
            _ => {}
        }
    }

    async fn may_run_again(self: &Arc<Engine>, execution: &Arc<Execution>) -> bool {
        match self.definition(execution).await {
            Ok(action) => action.is_some_and(|action| action.retry_on_worker_loss),
            Err(_) => false,
        }
    }
}

/// Whether a conductor cares for an execution in this state.
fn is_conducted(state: State) -> bool {
    match state {
        State::Running { lease } | State::Canceling { lease } => lease == Lease::NONE,
        State::Pausing | State::Paused | State::Resuming => true,
        State::Requested
        | State::Delayed { .. }
        | State::Scheduled
        | State::Pending
        | State::Ended(_) => false,
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
