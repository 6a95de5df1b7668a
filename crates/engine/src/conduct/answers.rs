//! Secrets that people have told a workflow in answer to its questions: kept sealed, open to the
//! workflow, and in nothing that it gives.

use std::sync::Arc;

use squall_model::Execution;
use squall_value::{Str, Value};

use super::ChildEnd;
use super::live::Loaded;
use crate::Engine;
use crate::inquiry::INQUIRER;

impl Engine {
    /// The end of a question whose answer holds secrets as the workflow is told it; `None` for every
    /// other end.
    pub(super) fn told_in_confidence(
        &self,
        loaded: &mut Loaded,
        end: &ChildEnd,
    ) -> Option<ChildEnd> {
        let result = self.confidence(&end.execution, &end.result, &mut loaded.answers)?;
        loaded.is_secret = true;
        Some(ChildEnd {
            execution: Arc::clone(&end.execution),
            from: end.from,
            result,
        })
    }

    /// The result in clear of a question whose answer holds secrets. Those are added to `secrets`.
    pub(super) fn confidence(
        &self,
        execution: &Execution,
        result: &Value,
        secrets: &mut Vec<Str>,
    ) -> Option<Value> {
        let is_sealed =
            &*execution.request.runner == INQUIRER && crate::vault::is_sealed_within(result);
        is_sealed.then(|| {
            self.with_answer(result, |answer, schema| {
                schema.collect(&answer, secrets);
                answer
            })
        })
    }

    /// Finds the secrets anew that a workflow was told before it was loaded.
    pub(super) async fn restore_answers(
        &self,
        loaded: &mut Loaded,
    ) -> Result<(), squall_store::Error> {
        for run in self.runs(&loaded.execution).await? {
            for child in self.store.children(run).await? {
                if &*child.request.runner == INQUIRER && child.state().is_ended() {
                    let result = self.result_value(child.id()).await?;
                    self.confidence(&child, &result, &mut loaded.answers);
                }
            }
        }
        Ok(())
    }
}
