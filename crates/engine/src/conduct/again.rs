//! Workflows that go on: failed tasks that run again.

use std::sync::Arc;

use squall_model::{Execution, ExecutionId, Origin};
use squall_store::Command;
use squall_value::{Str, Value, dict};
use squall_workflow::{Conductor, RerunRequest};

use super::ControlError;
use super::children::Note;
use super::live::Loaded;
use crate::Engine;
use crate::control::Error;
use crate::plan::Plan;
use crate::request::{Ask, Prepared};

impl Engine {
    /// Runs tasks of an ended Orquesta workflow again: those in `tasks`, or all that failed at the
    /// end of their branches. Of tasks with items only the failed ones run, unless the task is in
    /// `reset`. As in `StackStorm` the old execution stays as it is; a new one goes on from where
    /// the old one ended, and its context says so (`re-run`).
    ///
    /// # Errors
    ///
    /// [`Error`]: the workflow is unknown, has not ended, has nothing to run again, or the store
    /// failed. Nothing was made then.
    pub async fn rerun(
        self: &Arc<Engine>,
        id: ExecutionId,
        tasks: &[Str],
        reset: &[Str],
        user: &str,
    ) -> Result<Arc<Execution>, Error> {
        let refused = |reason: String| Error::Conduct(ControlError::Refused(reason));
        let old = self.store.execution(id).await?.ok_or(Error::Unknown(id))?;
        if !old.request.runner.contains("orquesta") {
            return Err(refused(
                "only tasks of Orquesta workflows can be run again".to_owned(),
            ));
        }
        if !old.state().is_ended() {
            let status = old.state().status();
            return Err(refused(format!(
                "the workflow is still {status}; its tasks can be run again once it has ended"
            )));
        }
        if let Some(name) = reset.iter().find(|name| !tasks.contains(name)) {
            return Err(refused(format!(
                "`{name}` is to be reset, but is not among the tasks to run again"
            )));
        }
        let action = self.definition(&old).await?.ok_or_else(|| {
            refused("the definition of the workflow is not kept any more".to_owned())
        })?;
        let definition = self.workflow_definition(&action).map_err(refused)?;
        let stored = self.store.pieces(id).await?;
        let mut loaded = self
            .restore(&old, definition, &stored)
            .map_err(|reason| refused(format!("the workflow's state cannot be read: {reason}")))?;
        let requests = requests(&loaded.conductor, tasks, reset);
        if requests.is_empty() && !loaded.conductor.has_reruns() {
            return Err(refused(
                "no task has failed, so there is nothing to run again; name the tasks".to_owned(),
            ));
        }
        loaded
            .conductor
            .rerun(&requests)
            .map_err(|refusal| refused(refusal.to_string()))?;
        let ask = self.ask_again(&old, tasks, reset, user);
        let prepared = Arc::new(Prepared {
            live: ask.parameters.clone(),
            context: ask.context.clone(),
            ancestors: Vec::new(),
            action,
        });
        let mut plan = Plan::default();
        let placed = self.place(ask, &prepared, self.env.now(), &mut plan);
        let beginning = beginning(&mut loaded);
        plan.push(Command::AppendPieces {
            execution: placed.execution.id(),
            at: 0,
            pieces: vec![self.state_text(loaded.is_secret, &beginning)],
        });
        self.carry_out(plan).await?;
        Ok(placed.execution)
    }

    fn ask_again(&self, old: &Execution, tasks: &[Str], reset: &[Str], user: &str) -> Ask {
        let request = &old.request;
        let mut ask = Ask::new(request.action.text(), user);
        ask.parameters = self.parameters(old);
        let mut context = request.context.as_dict().cloned().unwrap_or_default();
        context.remove("parent");
        context.insert("user", user);
        context.insert(
            "re-run",
            dict! {
                "ref" => old.id().to_string(),
                "tasks" => tasks.iter().cloned().map(Value::from).collect::<Value>(),
                "reset" => reset.iter().cloned().map(Value::from).collect::<Value>(),
            },
        );
        ask.context = Value::from(context);
        ask.origin = Origin::Rerun(old.id());
        ask.trace_tag = Some(request.trace());
        ask.notify = request.notify.clone();
        ask.tags = request.tags.clone();
        ask
    }
}

/// What is asked of the conductor: a task runs again on every route where it failed, or where it ran
/// last if it failed on none.
fn requests(conductor: &Conductor, tasks: &[Str], reset: &[Str]) -> Vec<RerunRequest> {
    let all = conductor.tasks();
    let mut requests = Vec::new();
    for name in tasks {
        let runs: Vec<_> = all.iter().filter(|run| run.task == *name).collect();
        let failed = runs.iter().filter(|run| run.status.is_abended());
        let mut routes: Vec<usize> = failed.map(|run| run.route).collect();
        if routes.is_empty() {
            // One that never ran is the conductor's to refuse.
            routes.push(runs.last().map_or(0, |run| run.route));
        }
        requests.extend(routes.into_iter().map(|route| RerunRequest {
            task: name.clone(),
            route,
            reset_items: reset.contains(name),
        }));
    }
    requests
}

/// The first piece of a workflow that goes on from another one's state. Actions that the old one
/// left running are not the new one's.
fn beginning(loaded: &mut Loaded) -> Value {
    let left: Vec<ExecutionId> = loaded.children.active().map(|(id, _)| *id).collect();
    for id in left {
        loaded.children.apply(&Note::Ended(id));
    }
    let own = [loaded.conductor.snapshot().to_value()];
    let notes = loaded.children.notes();
    let all = own.into_iter().chain(notes.iter().map(Note::to_value));
    all.collect()
}
