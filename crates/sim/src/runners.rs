//! Runners without processes: what they would do to the world stands in the ledger.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::Either;
use squall_env::{Env, FakeEnv};
use squall_model::OutputStream;
use squall_runners::{CancelSignal, Job, Outcome, OutputSink, Runner};
use squall_value::{Str, Value, dict};

use crate::chance::Chance;
use crate::ledger::Ledger;

/// Answers at once, without effects; fails when its parameter `n` is 3.
pub(crate) struct Quick {
    parameters: Value,
}

impl Quick {
    pub(crate) fn new() -> Quick {
        Quick {
            parameters: Value::empty_dict(),
        }
    }

    fn outcome(&self, job: &Job) -> Outcome {
        let n = job.action_parameters.get("n").and_then(Value::as_int);
        let outcome = match n {
            Some(3) => squall_model::Outcome::Failed,
            _ => squall_model::Outcome::Succeeded,
        };
        Outcome::ended(outcome, dict! { "n" => n })
    }
}

#[async_trait]
impl Runner for Quick {
    fn name(&self) -> &str {
        "quick"
    }

    fn parameters(&self) -> &Value {
        &self.parameters
    }

    fn is_effect_free(&self) -> bool {
        true
    }

    fn evaluate(&self, job: &Job) -> Option<Outcome> {
        Some(self.outcome(job))
    }

    async fn run(&self, job: Job, _output: OutputSink, _cancel: CancelSignal) -> Outcome {
        self.outcome(&job)
    }
}

/// Takes its time, prints now and then, and ends one way or another.
pub(crate) struct Process {
    pub(crate) env: Arc<FakeEnv>,
    pub(crate) chance: Arc<Chance>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) parameters: Value,
}

#[async_trait]
impl Runner for Process {
    fn name(&self) -> &str {
        "process"
    }

    fn parameters(&self) -> &Value {
        &self.parameters
    }

    async fn run(&self, job: Job, output: OutputSink, cancel: CancelSignal) -> Outcome {
        self.ledger.start(&job.execution_id, gate(&job));
        let end = match self.chance.below(20) {
            0..=3 => squall_model::Outcome::Failed,
            4 => squall_model::Outcome::TimedOut,
            _ => squall_model::Outcome::Succeeded,
        };
        let mut end = Some(end);
        for _ in 0..self.chance.between(1, 3) {
            let wait = Duration::from_millis(self.chance.between(0, 2_000));
            let sleep = self.env.sleep(wait);
            let canceled = cancel.canceled();
            futures::pin_mut!(sleep, canceled);
            if let Either::Right(_) = futures::future::select(sleep, canceled).await {
                end = None;
                break;
            }
            if self.chance.per_mille(200) {
                output
                    .write(OutputStream::Stdout, Str::from("line\n"))
                    .await;
            }
        }
        if end.is_none() {
            // It heeds the signal a little later.
            self.env
                .sleep(Duration::from_millis(self.chance.between(0, 300)))
                .await;
        }
        self.ledger.end(&job.execution_id);
        let outcome = end.unwrap_or(squall_model::Outcome::Canceled);
        Outcome::ended(outcome, dict! { "execution" => job.execution_id })
    }
}

/// What the process has to share with others, by the policies that the simulation registers.
fn gate(job: &Job) -> Option<String> {
    match job.action.as_str() {
        "sim.narrow" => Some("narrow".to_owned()),
        "sim.strict" => Some("strict".to_owned()),
        "sim.keyed" => {
            let key = job.action_parameters.get("key").and_then(Value::as_int);
            Some(format!("keyed {key:?}"))
        }
        _ => None,
    }
}
