//! The run stage: an execution's process.

use std::sync::Arc;

use squall_model::{Event, Execution, ExecutionId, Outcome, State};
use squall_runners::{CancelHandle, CancelSignal, Job, Runner, Verdict};
use squall_schema::render;
use squall_store::Command;
use squall_value::Value;

use crate::Engine;
use crate::plan::{After, Plan};
use crate::request::{Placed, Prepared, failure, step};

/// An execution that has a process here.
#[derive(Debug)]
pub(crate) struct Running {
    /// The execution; the lock orders its end and a cancel.
    pub(crate) execution: tokio::sync::Mutex<Arc<Execution>>,
    /// Stops the process.
    pub(crate) cancel: CancelHandle,
}

/// Why a runner cannot be given its job.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error("there is no runner `{0}` on this server")]
    UnknownRunner(squall_value::Str),
    #[error(transparent)]
    Render(#[from] render::Error),
    #[error("the pack's configuration cannot be used")]
    Config(#[source] squall_schema::config::ResolveError),
}

impl Engine {
    /// Starts the process of an execution that was committed as `running` and holds a slot. It is
    /// known as running when this returns.
    pub(crate) fn run(self: &Arc<Engine>, execution: Arc<Execution>, prepared: Arc<Prepared>) {
        let engine = Arc::clone(self);
        let (cancel, signal) = CancelSignal::new();
        let running = Arc::new(Running {
            execution: tokio::sync::Mutex::new(Arc::clone(&execution)),
            cancel,
        });
        self.running
            .lock()
            .insert(execution.id(), Arc::clone(&running));
        self.spawn.spawn(Box::pin(async move {
            engine
                .run_to_end(execution, prepared, running, signal)
                .await
        }));
    }

    async fn run_to_end(
        self: Arc<Engine>,
        execution: Arc<Execution>,
        prepared: Arc<Prepared>,
        running: Arc<Running>,
        signal: CancelSignal,
    ) {
        let id = execution.id();
        let (outcome, result) = match self.job(&execution, &prepared) {
            Err(error) => (Outcome::Failed, failure(&error)),
            Ok((runner, job)) => {
                let sink = crate::output::Sink::new(&self, id);
                let outcome = runner.run(job, sink.port(), signal).await;
                sink.close().await;
                ended(outcome)
            }
        };
        self.slots.release();
        self.fill_slots();
        let current = running.execution.lock().await;
        self.ending.lock().insert(id);
        self.running.lock().remove(&id);
        let current = Arc::clone(&current);
        self.complete(current, outcome, result).await;
    }

    /// Everything that a runner must know.
    pub(crate) fn job(
        &self,
        execution: &Execution,
        prepared: &Prepared,
    ) -> Result<(Arc<dyn Runner>, Job), JobError> {
        let action = &prepared.action;
        let runner = self
            .runners
            .runner(&action.runner)
            .ok_or_else(|| JobError::UnknownRunner(action.runner.clone()))?;
        let parameters = self.finalize(prepared)?;
        let job = self.assemble(execution, prepared, parameters)?;
        Ok((runner, job))
    }

    /// Gives free slots to those that wait for one.
    pub(crate) fn fill_slots(self: &Arc<Engine>) {
        while let Some((execution, prepared)) = self.slots.next() {
            let engine = Arc::clone(self);
            self.spawn.spawn(Box::pin(async move {
                engine.start_queued(execution, prepared).await;
            }));
        }
    }

    /// Commits that a queued execution runs now, and starts it. It holds a slot.
    async fn start_queued(
        self: Arc<Engine>,
        execution: Arc<Execution>,
        prepared: Option<Arc<Prepared>>,
    ) {
        let id = execution.id();
        // Somebody else who advances it now sees for himself that there is a slot.
        let Some(claim) = self.claims.enter(id) else {
            self.slots.release();
            return self.fill_slots();
        };
        let prepared = match prepared {
            Some(prepared) => Some(prepared),
            None => self.prepare_again(&execution).await,
        };
        let Some(prepared) = prepared else {
            self.slots.release();
            return self.fill_slots();
        };
        let now = self.env.now();
        let lease = self.lease;
        let from = execution.progress.revision;
        let Ok(progress) = execution
            .progress
            .clone()
            .after(Event::Start { lease }, now)
        else {
            self.slots.release();
            return self.fill_slots();
        };
        let execution = Arc::new(Execution {
            request: Arc::clone(&execution.request),
            progress: progress.revised(),
        });
        let mut plan = Plan {
            claims: vec![claim],
            ..Plan::default()
        };
        plan.push(Command::RequireServer(lease));
        let execution_after = Arc::clone(&execution);
        plan.push(Command::UpdateExecution {
            execution,
            from,
            result: None,
        });
        plan.then(After::Run(execution_after, prepared));
        if let Err(error) = self.carry_out_here(plan).await {
            // Canceled meanwhile, or the store is away: the slow period looks again.
            tracing::debug!(%id, %error, "a queued execution did not start");
        }
    }

    /// Takes an execution that waits in the store up again: after a start, or when a policy or
    /// time lets it go.
    pub(crate) async fn advance(self: &Arc<Engine>, id: ExecutionId) {
        let Some(claim) = self.claims.enter(id) else {
            return;
        };
        let execution = match self.store.execution(id).await {
            Ok(Some(execution)) => execution,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%id, %error, "an execution could not be read; it is tried again");
                return;
            }
        };
        let until = match execution.state() {
            State::Requested | State::Scheduled => None,
            State::Delayed { until } => until,
            _ => return,
        };
        let now = self.env.now();
        if let Some(until) = until.filter(|until| *until > now) {
            return self.wakes.set(until, id);
        }
        if self.slots.is_waiting(id) {
            return;
        }
        let Some(prepared) = self.prepare_again(&execution).await else {
            return;
        };
        let before = execution.progress.state;
        let mut plan = Plan {
            claims: vec![claim],
            ..Plan::default()
        };
        let placed = self.settle((*execution).clone(), &prepared, None, now, &mut plan);
        if placed.execution.progress.state == before {
            // Still waits: for a slot, which the plan's consequences remember, or for a gate. It is
            // asked once more if the gate let it pass just now.
            self.follow(plan.after);
            for claim in plan.claims {
                if claim.end() {
                    self.advance_later(id);
                }
            }
            return;
        }
        self.carry_out_advance(&execution, placed, plan).await;
    }

    async fn carry_out_advance(
        self: &Arc<Engine>,
        before: &Arc<Execution>,
        placed: Placed,
        mut plan: Plan,
    ) {
        let id = before.id();
        let execution = Arc::new(Execution {
            request: Arc::clone(&placed.execution.request),
            progress: placed.execution.progress.clone().revised(),
        });
        for after in &mut plan.after {
            after.renew(&execution);
        }
        plan.push(Command::UpdateExecution {
            execution,
            from: before.progress.revision,
            result: placed.result.as_ref().map(crate::payload),
        });
        if let Err(error) = self.carry_out_here(plan).await {
            tracing::debug!(%id, %error, "an execution did not advance; the slow period looks again");
        }
    }

    /// Prepares an execution that was requested earlier, from its own definition. One that cannot
    /// be prepared any more fails.
    async fn prepare_again(
        self: &Arc<Engine>,
        execution: &Arc<Execution>,
    ) -> Option<Arc<Prepared>> {
        match self.definition(execution).await {
            Ok(Some(action)) => {
                let live = self.vault.open(&execution.request.parameters);
                let context = execution.request.context.clone();
                let ancestors = match self.ancestors(execution).await {
                    Ok(ancestors) => ancestors,
                    Err(error) => {
                        let id = execution.id();
                        tracing::warn!(%id, %error, "what is above an execution could not be read");
                        return None;
                    }
                };
                Some(Arc::new(Prepared {
                    action,
                    live,
                    context,
                    ancestors,
                }))
            }
            Ok(None) => {
                let result = squall_value::dict! {
                    "error" => "the definition of the action is not kept any more",
                };
                self.fail_waiting(execution, result).await;
                None
            }
            Err(error) => {
                tracing::warn!(id = %execution.id(), %error, "a definition could not be read");
                None
            }
        }
    }

    async fn fail_waiting(self: &Arc<Engine>, execution: &Arc<Execution>, result: Value) {
        let finish = Event::Finish {
            lease: squall_model::Lease::NONE,
            outcome: Outcome::Failed,
        };
        let progress = step(execution.progress.clone(), finish, self.env.now());
        let ended = Execution {
            request: Arc::clone(&execution.request),
            progress,
        };
        self.commit_end(execution.progress.revision, ended, result)
            .await;
    }
}

/// A runner's answer as the end of an execution.
pub(crate) fn ended(outcome: squall_runners::Outcome) -> (Outcome, Value) {
    match outcome.verdict {
        Verdict::Ended(end) => (end, outcome.result),
        Verdict::Pending => {
            let result = squall_value::dict! {
                "error" => "the runner asks a person, which this server cannot do yet",
                "result" => outcome.result,
            };
            (Outcome::Failed, result)
        }
    }
}
