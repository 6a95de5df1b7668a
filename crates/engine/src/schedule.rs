//! The schedule stage: consequences of commits, and work whose time has come.

use std::sync::Arc;
use std::time::Duration;

use squall_model::{ExecutionId, State};
use squall_store::{CommitError, audit};
use tokio::sync::oneshot;

use crate::Engine;
use crate::conduct::{ChildEnd, Inbound};
use crate::plan::{After, Plan};

impl Engine {
    /// Commits a plan, and then lets its consequences happen, also when whoever asked goes away
    /// meanwhile: a commit that is under way cannot be taken back.
    pub(crate) async fn carry_out(self: &Arc<Engine>, plan: Plan) -> Result<(), CommitError> {
        let is_plain = |after: &After| matches!(after, After::Ended(_));
        if plan.claims.is_empty() && plan.gated.is_empty() && plan.after.iter().all(is_plain) {
            return self.carry_out_here(plan).await;
        }
        let engine = Arc::clone(self);
        self.detached(async move { engine.carry_out_here(plan).await })
            .await
            .unwrap_or_else(|| {
                let reason = "the server is stopping".to_owned();
                Err(squall_store::Error::Unavailable(reason).into())
            })
    }

    /// Runs `work` to its end even if the caller is dropped. `None` when the server is torn down.
    pub(crate) async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (done, answer) = oneshot::channel();
        // On the account of whoever asked.
        let work = audit::carried(work);
        self.spawn.spawn(Box::pin(async move {
            // Whoever asked may have gone.
            let _ = done.send(work.await);
        }));
        answer.await.ok()
    }

    /// Commits a plan, and then lets its consequences happen. When the commit fails nothing
    /// happens, and what the plan had reserved is given back.
    pub(crate) async fn carry_out_here(self: &Arc<Engine>, plan: Plan) -> Result<(), CommitError> {
        let done = match self.commit(plan.commands).await {
            Ok(()) => {
                self.follow(plan.after);
                Ok(())
            }
            Err(error) => {
                self.give_back(&plan.after);
                if error.refusal().is_some() {
                    plan.gated.into_iter().for_each(|id| self.leave_gates(id));
                }
                Err(error)
            }
        };
        for claim in plan.claims {
            let id = claim.id();
            if claim.end() {
                self.advance_later(id);
            }
        }
        done
    }

    pub(crate) fn follow(self: &Arc<Engine>, after: Vec<After>) {
        for after in after {
            match after {
                After::Run(execution, prepared) => self.run(execution, prepared),
                After::Queue(execution, prepared) => {
                    self.slots.wait(execution, Some(prepared));
                    self.fill_slots();
                }
                After::Conduct(id) => self.wake_workflow(id),
                After::ChildEnded(execution, result) => {
                    if let Some(parent) = execution.request.parent {
                        self.child_ended(
                            parent,
                            ChildEnd {
                                execution,
                                from: None,
                                result,
                            },
                        );
                    }
                }
                After::Changed(execution) => {
                    if let Some(parent) = execution.request.parent {
                        self.deliver(parent, Inbound::Changed(execution));
                    }
                }
                After::Match(id) => self.match_later(id),
                After::Wake(at, id) => self.wakes.set(at, id),
                After::Ended(execution) => self.after_end(execution.id()),
            }
        }
    }

    /// Undoes what a plan that was not committed had reserved. Gates stay as they are unless the
    /// plan was refused: a commit without an answer may have been done, and the slow period finds
    /// out.
    fn give_back(self: &Arc<Engine>, after: &[After]) {
        let started = after
            .iter()
            .filter(|after| matches!(after, After::Run(..)))
            .count();
        for _ in 0..started {
            self.slots.release();
        }
        if started > 0 {
            self.fill_slots();
        }
    }

    /// An execution has ended: whoever waited for its place may go on. Does no harm a second time.
    pub(crate) fn after_end(self: &Arc<Engine>, id: ExecutionId) {
        self.ending.lock().remove(&id);
        self.slots.forget(id);
        self.leave_gates(id);
    }

    /// Gives up the gates of an execution, and tells those who pass them now.
    pub(crate) fn leave_gates(self: &Arc<Engine>, id: ExecutionId) {
        for admitted in self.gates.leave(id) {
            self.advance_later(admitted);
        }
    }

    pub(crate) fn advance_later(self: &Arc<Engine>, id: ExecutionId) {
        let engine = Arc::clone(self);
        self.spawn
            .spawn(Box::pin(async move { engine.advance(id).await }));
    }

    fn match_later(self: &Arc<Engine>, id: squall_model::TriggerInstanceId) {
        let engine = Arc::clone(self);
        self.spawn.spawn(Box::pin(async move {
            match engine.store.trigger_instance(id).await {
                Ok(Some(instance)) => drop(engine.match_pending(instance).await),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%id, %error, "an event could not be read; the slow period looks again");
                }
            }
        }));
    }

    /// Waits for the next moment at which something is due and takes it up; for ever. Run it once.
    pub async fn keep_time(self: Arc<Engine>) {
        // A bound on one sleep keeps the arithmetic honest when the clock is set.
        const SLEEP_MAX: Duration = Duration::from_secs(60);
        loop {
            let now = self.env.now();
            for id in self.wakes.due(now) {
                let engine = Arc::clone(&self);
                self.spawn
                    .spawn(Box::pin(async move { engine.wake(id).await }));
            }
            let wait = self.wakes.next().map_or(SLEEP_MAX, |next| {
                Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO)
            });
            let sleep = self.env.sleep(wait.min(SLEEP_MAX));
            let changed = self.wakes.changed();
            futures::pin_mut!(sleep, changed);
            futures::future::select(sleep, changed).await;
        }
    }

    /// Something about an execution is due: its delay is over, or its workflow has a deadline.
    async fn wake(self: &Arc<Engine>, id: ExecutionId) {
        match self.store.execution(id).await {
            Ok(Some(execution))
                if crate::catalog::is_workflow(&execution.request.runner)
                    && execution.progress.started.is_some() =>
            {
                self.workflow_is_due(id);
            }
            Ok(Some(execution)) if execution.state() == State::Pending => {
                self.look_after_inquiry(&execution).await;
            }
            Ok(Some(_)) => self.advance(id).await,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%id, %error, "an execution could not be read; the slow period looks again");
            }
        }
    }

    /// Looks at everything that has not ended, every `period`; for ever. Run it once. This is what
    /// makes a lost signal cost time and never an event.
    pub async fn keep_watch(self: Arc<Engine>, period: Duration) {
        loop {
            self.env.sleep(period).await;
            if self.is_stopping() {
                return;
            }
            if let Err(error) = self.look_after_all().await {
                tracing::warn!(%error, "the store could not be looked through");
            }
        }
    }
}

impl Engine {
    /// Keeps this server's entry in the store alive; for ever. Run it once. A server that was taken
    /// for dead ends its processes: another may run them already.
    pub async fn keep_alive(self: Arc<Engine>) {
        let lease = self.settings.lease;
        loop {
            self.env.sleep(lease / 4).await;
            let now = self.env.now();
            let until = now.checked_add(lease).unwrap_or(now);
            match self.store.renew_server(self.lease, now, until).await {
                Ok(true) => {}
                Ok(false) if self.is_stopping() => return,
                Ok(false) => {
                    tracing::error!("this server was taken for dead; it ends what it runs");
                    self.stop_intake();
                    self.cancel_processes();
                    return;
                }
                Err(error) => tracing::warn!(%error, "the server's entry could not be renewed"),
            }
        }
    }

    /// Waits for what runs here, at most for the grace time, and then ends what is left. Call after
    /// [`Engine::stop_intake`].
    pub async fn settle_down(self: &Arc<Engine>) {
        const LOOK: Duration = Duration::from_millis(50);
        let mut waited = Duration::ZERO;
        let mut told = false;
        while self.load().0 > 0 || !self.ending.lock().is_empty() {
            self.env.sleep(LOOK).await;
            waited += LOOK;
            if waited >= self.settings.grace && !told {
                told = true;
                let count = self.cancel_processes();
                tracing::warn!(count, "ended the actions that were still running");
            }
            if waited >= self.settings.grace * 3 {
                return;
            }
        }
    }
}
