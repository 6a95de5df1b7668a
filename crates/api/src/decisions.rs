//! `/executions/{id}/decisions`: failed tasks of a workflow that wait for a person.

use axum::extract::{Path, State as Extract};
use squall_engine::{Decision, HeldTask};
use squall_model::Execution;
use squall_value::{Dict, Str, Value, dict};

use crate::State;
use crate::caller::Caller;
use crate::endpoint::{Endpoint, SHOW_SECRETS, Shape, get, post};
use crate::error::{Error, Result};
use crate::params::{self, Members, Params};
use crate::reply::{Json, Sent};
use crate::{executions, view};

/// What can be decided, as the errors say it.
const DECISIONS: [&str; 4] = ["retry", "skip", "result", "abort"];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/executions/{id}/decisions", list)
            .summary("Lists the failed tasks of a workflow that wait for a decision.")
            .object("execution_view")
            .gives(Shape::Many("HeldTask")),
        post("/executions/{id}/decisions", decide)
            .summary("Decides about a failed task that waits: retry, skip, result or abort.")
            .object("execution_rerun")
            .query(SHOW_SECRETS)
            .json("Decision")
            .status(200)
            .gives(Shape::One("Execution")),
    ]
}

fn shown(held: &HeldTask) -> Value {
    dict! {
        "task" => held.task.clone(),
        "route" => held.route,
        "status" => held.status.as_str(),
        "execution_id" => held.execution.map(|id| id.to_string()),
        "since" => held.since.map(|since| since.to_string()),
        "decisions" => DECISIONS.into_iter().map(Value::from).collect::<Value>(),
    }
}

async fn list(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let execution = workflow(executions::find(&api, &caller, &id).await?)?;
    let held = api.engine.held_tasks(execution.id()).await?;
    Ok(Json(held.iter().map(shown).collect()))
}

async fn decide(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
    sent: Sent,
) -> Result<Json> {
    let secrets = params::secrets(&params, &caller)?;
    let execution = workflow(executions::find(&api, &caller, &id).await?)?;
    let wish = Wish::read(sent.object()?)?;
    let id = execution.id();
    let after = api
        .engine
        .decide(id, &wish.task, wish.route, wish.decision, &caller.user())
        .await
        .map_err(squall_engine::ControlFailure::from)?;
    Ok(Json(
        view::execution(&api, &after, &Members::All, secrets).await?,
    ))
}

fn workflow(execution: std::sync::Arc<Execution>) -> Result<std::sync::Arc<Execution>> {
    match &*execution.request.runner {
        "orquesta" => Ok(execution),
        other => Err(Error::bad(format!(
            "Only tasks of Orquesta workflows wait for decisions; this is an execution of runner \
             \"{other}\"."
        ))),
    }
}

/// A decision as it is sent.
struct Wish {
    task: Str,
    route: usize,
    decision: Decision,
}

impl Wish {
    fn read(mut sent: Dict) -> Result<Wish> {
        let Some(Value::String(task)) = sent.remove("task") else {
            return Err(Error::bad("'task' must be the name of the task that waits"));
        };
        let route = match sent.remove("route") {
            None | Some(Value::Null) => Some(0),
            Some(route) => route.as_int().and_then(|route| usize::try_from(route).ok()),
        };
        let route =
            route.ok_or_else(|| Error::bad("'route' must be the number of a route, 0 or more"))?;
        let name = sent.remove("decision").unwrap_or_default();
        let name = name
            .as_str()
            .filter(|name| DECISIONS.contains(name))
            .ok_or_else(|| {
                Error::bad(format!(
                    "'decision' must be one of {}",
                    DECISIONS.join(", ")
                ))
            })?;
        let decision = Decision::parse(
            name,
            sent.remove("result").filter(|result| !result.is_null()),
        )
        .ok_or_else(|| {
            Error::bad("'result' must be given with the decision \"result\", and only with it")
        })?;
        Ok(Wish {
            task,
            route,
            decision,
        })
    }
}
