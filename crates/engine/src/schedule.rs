//! The schedule stage: consequences of commits, and work whose time has come.

use std::sync::Arc;
use std::time::Duration;

use squall_model::{Execution, ExecutionId};
use squall_store::CommitError;

use crate::Engine;
use crate::conduct::ChildEnd;
use crate::plan::{After, Plan};

impl Engine {
    /// Commits a plan, and then lets its consequences happen. When the commit fails nothing
    /// happens, and what the plan had reserved is given back.
    pub(crate) async fn carry_out(self: &Arc<Engine>, plan: Plan) -> Result<(), CommitError> {
        match self.commit(plan.commands).await {
            Ok(()) => {
                self.follow(plan.after);
                Ok(())
            }
            Err(error) => {
                self.give_back(&plan.after);
                Err(error)
            }
        }
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
                After::Match(id) => self.match_later(id),
                After::Wake(at, id) => self.wakes.set(at, id),
                After::Ended(execution) => self.after_end(&execution),
            }
        }
    }

    /// Undoes what a plan that was not committed had reserved.
    pub(crate) fn give_back(self: &Arc<Engine>, after: &[After]) {
        let mut freed = false;
        for after in after {
            match after {
                After::Run(execution, _) => {
                    self.slots.release();
                    self.gates.leave(execution.id());
                    freed = true;
                }
                After::Queue(execution, _) | After::Ended(execution) => {
                    self.gates.leave(execution.id());
                }
                After::Conduct(id) => drop(self.gates.leave(*id)),
                After::ChildEnded(..) | After::Match(_) | After::Wake(..) => {}
            }
        }
        if freed {
            self.fill_slots();
        }
    }

    /// An execution has ended: whoever waited for its place may go on.
    fn after_end(self: &Arc<Engine>, execution: &Execution) {
        let id = execution.id();
        self.ending.lock().remove(&id);
        for admitted in self.gates.leave(id) {
            let engine = Arc::clone(self);
            self.spawn
                .spawn(Box::pin(async move { engine.advance(admitted).await }));
        }
    }

    fn match_later(self: &Arc<Engine>, id: squall_model::TriggerInstanceId) {
        let engine = Arc::clone(self);
        self.spawn.spawn(Box::pin(async move {
            match engine.store.trigger_instance(id).await {
                Ok(Some(instance)) => engine.match_pending(instance).await,
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
