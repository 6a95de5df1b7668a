//! What people do to executions that exist: cancel, pause, resume, run again.

use std::sync::Arc;

use squall_model::{Event, Execution, ExecutionId, InvalidTransition, Lease, Outcome, State};
use squall_store::{Command, CommitError, Refusal};
use squall_value::{Value, dict};

use crate::Engine;
use crate::conduct::{Control, ControlError};
use crate::plan::{After, Plan};

/// Why an execution cannot be controlled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such execution.
    #[error("there is no execution {0}")]
    Unknown(ExecutionId),
    /// It is over.
    #[error("the execution has ended: it is {0}")]
    Ended(squall_model::Status),
    /// Only workflows can pause.
    #[error("only workflows can be paused and resumed, and this is a single action")]
    NotAWorkflow,
    /// It is in a state that does not allow it.
    #[error(transparent)]
    Transition(#[from] InvalidTransition),
    /// The conductor refused.
    #[error(transparent)]
    Conduct(#[from] ControlError),
    /// The store failed.
    #[error("the request could not be stored")]
    Store(#[from] CommitError),
}

impl From<squall_store::Error> for Error {
    fn from(error: squall_store::Error) -> Error {
        Error::Store(error.into())
    }
}

impl Error {
    /// Whether somebody else was quicker.
    fn is_changed(&self) -> bool {
        matches!(self, Error::Store(error) if error.refusal() == Some(&Refusal::Changed))
    }

    /// Whether the same request may be granted a little later.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(
            self,
            Error::Store(_) | Error::Conduct(ControlError::Unavailable(_))
        )
    }
}

/// How often a change is decided again because somebody else was quicker.
const ATTEMPTS_MAX: usize = 16;

impl Engine {
    /// Asks an execution, and everything below it, to stop. Returns its state once the request is
    /// durable; processes end a little later.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn cancel(
        self: &Arc<Engine>,
        id: ExecutionId,
        by: &str,
    ) -> Result<Arc<Execution>, Error> {
        let (engine, by) = (Arc::clone(self), by.to_owned());
        let done = self.detached(async move { engine.cancel_here(id, &by).await });
        done.await.unwrap_or_else(|| {
            let reason = "the server is stopping".to_owned();
            Err(squall_store::Error::Unavailable(reason).into())
        })
    }

    pub(crate) async fn cancel_here(
        self: &Arc<Engine>,
        id: ExecutionId,
        by: &str,
    ) -> Result<Arc<Execution>, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let running = self.running.lock().get(&id).cloned();
            if let Some(running) = running {
                let mut current = running.execution.lock().await;
                let still = self.running.lock().contains_key(&id);
                if still {
                    match self.cancel_running(&current).await {
                        Ok(canceling) => *current = canceling,
                        // An earlier request was stored although its answer was lost.
                        Err(error) if error.is_changed() => {
                            let stored = self.store.execution(id).await?;
                            *current = stored.ok_or(Error::Unknown(id))?;
                            continue;
                        }
                        Err(error) => return Err(error),
                    }
                    running.cancel.cancel();
                    return Ok(Arc::clone(&current));
                }
            }
            let execution = self.store.execution(id).await?.ok_or(Error::Unknown(id))?;
            let attempt = match execution.state() {
                State::Ended(_) => return Err(Error::Ended(execution.state().status())),
                State::Canceling { .. } => return Ok(execution),
                State::Requested | State::Delayed { .. } | State::Scheduled => {
                    self.cancel_waiting(&execution, by).await
                }
                State::Running { lease } if lease != Lease::NONE => {
                    // Its end is on the way into the store, or another server runs it, which
                    // sees the change and stops it.
                    self.cancel_running(&execution).await
                }
                State::Pending => {
                    let question = Value::from(self.inquiry(id).await?);
                    self.end_inquiry(&execution, Outcome::Canceled, question)
                        .await;
                    return self.store.execution(id).await?.ok_or(Error::Unknown(id));
                }
                State::Running { .. } | State::Pausing | State::Paused | State::Resuming => {
                    return Ok(self.control(id, Control::Cancel).await?);
                }
            };
            match attempt {
                Err(error) if error.is_changed() => {}
                other => return other,
            }
        }
        let execution = self.store.execution(id).await?.ok_or(Error::Unknown(id))?;
        Ok(execution)
    }

    async fn cancel_running(
        self: &Arc<Engine>,
        execution: &Arc<Execution>,
    ) -> Result<Arc<Execution>, Error> {
        if matches!(execution.state(), State::Canceling { .. }) {
            return Ok(Arc::clone(execution));
        }
        let from = execution.progress.revision;
        let progress = execution
            .progress
            .clone()
            .after(Event::Cancel, self.env.now())?
            .revised();
        let request = Arc::clone(&execution.request);
        let after = Arc::new(Execution { request, progress });
        let execution = Arc::clone(&after);
        self.commit(vec![Command::UpdateExecution {
            execution,
            from,
            result: None,
        }])
        .await?;
        Ok(after)
    }

    /// Nothing of it runs, so it ends at once.
    async fn cancel_waiting(
        self: &Arc<Engine>,
        execution: &Arc<Execution>,
        by: &str,
    ) -> Result<Arc<Execution>, Error> {
        let from = execution.progress.revision;
        let progress = execution
            .progress
            .clone()
            .after(Event::Cancel, self.env.now())?
            .revised();
        let request = Arc::clone(&execution.request);
        let ended = Arc::new(Execution { request, progress });
        let result = dict! { "message" => format!("Action canceled by {by}.") };
        let mut plan = Plan::default();
        plan.push(Command::UpdateExecution {
            execution: Arc::clone(&ended),
            from,
            result: Some(crate::payload(&result)),
        });
        self.announce(&ended, &result, &mut plan);
        plan.then(After::Ended(Arc::clone(&ended)));
        if ended.request.parent.is_some() {
            plan.then(After::ChildEnded(Arc::clone(&ended), result));
        }
        self.carry_out_here(plan).await?;
        Ok(ended)
    }

    /// Asks a workflow to pause: nothing new is started, what runs may end.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn pause(self: &Arc<Engine>, id: ExecutionId) -> Result<Arc<Execution>, Error> {
        self.workflow_control(id, Control::Pause).await
    }

    /// Asks a paused workflow to go on.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn resume(self: &Arc<Engine>, id: ExecutionId) -> Result<Arc<Execution>, Error> {
        self.workflow_control(id, Control::Resume).await
    }

    async fn workflow_control(
        self: &Arc<Engine>,
        id: ExecutionId,
        control: Control,
    ) -> Result<Arc<Execution>, Error> {
        let execution = self.store.execution(id).await?.ok_or(Error::Unknown(id))?;
        if execution.state().is_ended() {
            return Err(Error::Ended(execution.state().status()));
        }
        if !crate::catalog::is_workflow(&execution.request.runner) {
            return Err(Error::NotAWorkflow);
        }
        Ok(self.control(id, control).await?)
    }

    /// Ends executions that a dead server ran: `abandoned`, or asked for again where the action
    /// says that it may run twice.
    pub(crate) async fn abandon(self: &Arc<Engine>, execution: &Arc<Execution>, again: bool) {
        let event = if again {
            Event::Requeue
        } else {
            Event::Abandon
        };
        let Ok(progress) = execution.progress.clone().after(event, self.env.now()) else {
            return;
        };
        let from = execution.progress.revision;
        let request = Arc::clone(&execution.request);
        let after = Execution { request, progress };
        if after.progress.state.is_ended() {
            let result = match after.progress.state {
                State::Ended(Outcome::Abandoned) => dict! {
                    "error" => "the server that ran this was lost; how it ended is not known",
                },
                _ => Value::Null,
            };
            self.commit_end(from, after, result).await;
            return;
        }
        let execution = Arc::new(Execution {
            progress: after.progress.revised(),
            ..after
        });
        let id = execution.id();
        let update = Command::UpdateExecution {
            execution,
            from,
            result: None,
        };
        if let Err(error) = self.commit(vec![update]).await {
            tracing::warn!(%id, %error, "a lost execution could not be queued again");
            return;
        }
        self.advance(id).await;
    }
}
