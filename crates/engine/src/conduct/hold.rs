//! Failed tasks that wait for a person (`on_failure: hold`): which there are, and what is decided.

use std::collections::HashMap;
use std::sync::Arc;

use squall_model::{Execution, ExecutionId, Origin, Timestamp};
use squall_value::{Str, dict};
use squall_workflow::{Decision, LogEntry, Status};
use tokio::sync::oneshot;

use super::live::Loaded;
use super::{ControlError, Inbound};
use crate::Engine;
use crate::control::Error;

/// What somebody decided about a failed task.
#[derive(Debug)]
pub(crate) struct Verdict {
    task: Str,
    route: usize,
    decision: Decision,
    user: Str,
}

/// A failed task that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldTask {
    /// The task.
    pub task: Str,
    /// The route on which it ran.
    pub route: usize,
    /// How it failed.
    pub status: Status,
    /// Its latest execution, which says why; `None` when the action could not even be asked for.
    pub execution: Option<ExecutionId>,
    /// Since when it waits.
    pub since: Option<Timestamp>,
}

impl Engine {
    /// The failed tasks of a workflow that wait for a decision, in the order of their start.
    ///
    /// # Errors
    ///
    /// [`Error`]: the workflow is unknown, its state cannot be read, or the store failed.
    pub async fn held_tasks(self: &Arc<Engine>, id: ExecutionId) -> Result<Vec<HeldTask>, Error> {
        let refused = |reason: String| Error::Conduct(ControlError::Refused(reason));
        let execution = self.store.execution(id).await?.ok_or(Error::Unknown(id))?;
        let stored = self.store.pieces(id).await?;
        if execution.state().is_ended() || stored.is_empty() {
            return Ok(Vec::new());
        }
        let action = self.definition(&execution).await?.ok_or_else(|| {
            refused("the definition of the workflow is not kept any more".to_owned())
        })?;
        let definition = self.workflow_definition(&action).map_err(refused)?;
        let loaded = self
            .restore(&execution, definition, &stored)
            .map_err(|reason| refused(format!("the workflow's state cannot be read: {reason}")))?;
        let held = loaded.conductor.held();
        if held.is_empty() {
            return Ok(Vec::new());
        }
        let mut latest: HashMap<(Str, usize), Arc<Execution>> = HashMap::new();
        for child in self.store.children(id).await? {
            if let Origin::Task(origin) = &child.request.origin {
                latest.insert((origin.task.clone(), origin.route), child);
            }
        }
        let tasks = held.into_iter().map(|held| {
            let child = latest.get(&(held.task.clone(), held.route));
            HeldTask {
                execution: child.map(|child| child.id()),
                since: child.and_then(|child| child.progress.ended),
                task: held.task,
                route: held.route,
                status: held.status,
            }
        });
        Ok(tasks.collect())
    }

    /// Decides about a failed task that waits (`on_failure: hold`), on behalf of `user`. Returns
    /// once the decision is durable; it stands in the workflow's log.
    ///
    /// # Errors
    ///
    /// [`ControlError::Refused`] when the task does not wait for a decision or the workflow has
    /// ended, [`ControlError::Unavailable`] when the store failed.
    pub async fn decide(
        self: &Arc<Engine>,
        id: ExecutionId,
        task: &str,
        route: usize,
        decision: Decision,
        user: &str,
    ) -> Result<Arc<Execution>, ControlError> {
        let (reply, answer) = oneshot::channel();
        let verdict = Verdict {
            task: Str::from(task),
            route,
            decision,
            user: Str::from(user),
        };
        let (task, kind) = (verdict.task.clone(), verdict.decision.name());
        self.deliver(id, Inbound::Decide(verdict, reply));
        let gone = |_| ControlError::Unavailable("the server is stopping".to_owned());
        let decided = answer.await.map_err(gone)?;
        if decided.is_ok() {
            tracing::info!(%id, %task, route, decision = kind, user, "a held task was decided about");
        }
        decided
    }

    /// Tells the conductor a decision.
    pub(super) fn take_decision(
        self: &Arc<Engine>,
        loaded: &mut Loaded,
        verdict: Verdict,
    ) -> Result<(), ControlError> {
        let Verdict {
            task,
            route,
            decision,
            user,
        } = verdict;
        let kind = decision.name();
        self.with_world(loaded, |conductor, world| {
            conductor.decide(&task, route, decision, world)
        })
        .map_err(|refusal| ControlError::Refused(refusal.to_string()))?;
        let entry = LogEntry {
            kind: Str::from("info"),
            message: format!("The failed task was decided about: {kind}."),
            data: dict! {
                "decision" => kind, "user" => user, "at" => self.env.now().to_string(),
            },
            ..LogEntry::default()
        };
        loaded
            .conductor
            .log_entry(entry.at(&task, route))
            .expect("the kind of entry is a known one");
        Ok(())
    }
}
