//! The `noop` runner: succeeds without doing anything.

use async_trait::async_trait;
use squall_value::{Value, dict};

use crate::port::{CancelSignal, Job, Outcome, OutputSink, Runner};
use crate::registry;

/// Succeeds at once, whatever it is given.
pub(crate) struct Noop {
    result: Value,
}

impl Noop {
    pub(crate) fn new() -> Noop {
        Noop {
            result: dict! { "failed" => false, "succeeded" => true, "return_code" => 0 },
        }
    }

    fn outcome(&self) -> Outcome {
        Outcome {
            exit_code: Some(0),
            ..Outcome::ended(squall_model::Outcome::Succeeded, self.result.clone())
        }
    }
}

#[async_trait]
impl Runner for Noop {
    fn name(&self) -> &str {
        "noop"
    }

    fn parameters(&self) -> &Value {
        registry::parameters_of(self.name())
    }

    fn is_effect_free(&self) -> bool {
        true
    }

    fn evaluate(&self, _job: &Job) -> Option<Outcome> {
        Some(self.outcome())
    }

    async fn run(&self, _job: Job, _output: OutputSink, _cancel: CancelSignal) -> Outcome {
        self.outcome()
    }
}
