//! The complete stage: a runner has answered, and the execution's end becomes durable.

use std::sync::Arc;
use std::time::Duration;

use squall_model::{Event, Execution, Outcome};
use squall_store::{Command, CommitError, Refusal};
use squall_value::Value;

use crate::Engine;
use crate::conduct::ChildEnd;
use crate::plan::{After, Plan};

/// The first wait after a store that did not answer; it doubles up to [`BACK_OFF_MAX`].
const BACK_OFF: Duration = Duration::from_millis(50);
pub(crate) const BACK_OFF_MAX: Duration = Duration::from_secs(5);

impl Engine {
    /// Records how a process ended. `execution` is its latest state.
    pub(crate) async fn complete(
        self: &Arc<Engine>,
        execution: Arc<Execution>,
        outcome: Outcome,
        result: Value,
    ) {
        let finish = Event::Finish {
            lease: self.lease,
            outcome,
        };
        match execution.progress.clone().after(finish, self.env.now()) {
            Ok(progress) => {
                let request = Arc::clone(&execution.request);
                let ended = Execution { request, progress };
                self.commit_end(execution.progress.revision, ended, result)
                    .await;
            }
            Err(error) => {
                // Another server took the execution over; this result may explain a side effect
                // that happened twice.
                tracing::warn!(id = %execution.id(), %error, "a stale result is dropped");
                self.after_end(execution.id());
            }
        }
    }

    /// Commits an end, as part of the workflow above if there is one. Never gives up while the store
    /// is away: the result exists only here.
    pub(crate) async fn commit_end(self: &Arc<Engine>, from: u64, ended: Execution, result: Value) {
        let execution = Arc::new(Execution {
            progress: ended.progress.revised(),
            ..ended
        });
        if let Some(parent) = execution.request.parent {
            self.child_ended(
                parent,
                ChildEnd {
                    execution,
                    from: Some(from),
                    result,
                },
            );
            return;
        }
        self.commit_end_alone(ChildEnd {
            execution,
            from: Some(from),
            result,
        })
        .await;
    }

    /// Commits an end on its own.
    pub(crate) async fn commit_end_alone(self: &Arc<Engine>, mut end: ChildEnd) {
        let mut wait = BACK_OFF;
        loop {
            let mut plan = Plan::default();
            let execution = Arc::clone(&end.execution);
            let id = execution.id();
            let Some(from) = end.from else { return };
            self.announce(&execution, &end.result, &mut plan);
            self.retry(&execution, Vec::new(), &mut plan);
            plan.push(Command::UpdateExecution {
                execution: Arc::clone(&execution),
                from,
                result: Some(crate::payload(&end.result)),
            });
            plan.then(After::Ended(execution));
            match self.carry_out_here(plan).await {
                Ok(()) => return,
                Err(CommitError::Refused {
                    refusal: Refusal::Changed,
                    ..
                }) => match self.end_again(&end).await {
                    Some(again) => end = again,
                    None => return,
                },
                Err(CommitError::Refused {
                    refusal: refusal @ Refusal::Invalid(_),
                    ..
                }) if end.result != unstorable() => {
                    tracing::error!(%id, %refusal, "a result cannot be stored and is replaced");
                    end.result = unstorable();
                }
                Err(CommitError::Refused { refusal, .. }) => {
                    tracing::error!(%id, %refusal, "an end could not be recorded");
                    return self.after_end(id);
                }
                Err(CommitError::Store(error)) => {
                    tracing::warn!(%id, %error, "the store is away; the end is kept and tried again");
                    self.env.sleep(wait).await;
                    wait = (wait * 2).min(BACK_OFF_MAX);
                }
            }
        }
    }

    /// The same end decided again on the record as it is now; `None` when the record has ended
    /// already, or was taken over. What it held here is given up then.
    pub(crate) async fn end_again(self: &Arc<Engine>, end: &ChildEnd) -> Option<ChildEnd> {
        let id = end.execution.id();
        let wanted = end.execution.progress.state.outcome()?;
        let current = loop {
            match self.store.execution(id).await {
                Ok(Some(current)) => break current,
                Ok(None) => {
                    self.after_end(id);
                    return None;
                }
                Err(error) => {
                    tracing::warn!(%id, %error, "an execution could not be read; it is tried again");
                    self.env.sleep(BACK_OFF_MAX).await;
                }
            }
        };
        let lease = match current.state() {
            squall_model::State::Running { lease } | squall_model::State::Canceling { lease } => {
                lease
            }
            _ => squall_model::Lease::NONE,
        };
        if lease != self.lease && lease != squall_model::Lease::NONE {
            tracing::warn!(%id, "another server took the execution over; its result is dropped here");
            self.after_end(id);
            return None;
        }
        let finish = Event::Finish {
            lease,
            outcome: wanted,
        };
        let Ok(progress) = current.progress.clone().after(finish, self.env.now()) else {
            // It has ended: an earlier attempt was done although its answer was lost, or somebody
            // was quicker.
            self.after_end(id);
            return None;
        };
        let execution = Arc::new(Execution {
            request: Arc::clone(&current.request),
            progress: progress.revised(),
        });
        let from = Some(current.progress.revision);
        Some(ChildEnd {
            execution,
            from,
            result: end.result.clone(),
        })
    }
}

/// Stands for a result that nests too deeply to be read again.
fn unstorable() -> Value {
    squall_value::dict! { "error" => "the result nests too deeply to be stored" }
}
