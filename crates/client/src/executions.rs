//! `/executions`.

use std::time::Duration;

use squall_value::{Dict, Value, dict};

use crate::{Client, Error, Execution, Page, Query};

/// Which executions to list, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionQuery {
    /// How many at most.
    pub limit: Option<u64>,
    /// How many to skip.
    pub offset: Option<u64>,
    /// Only of this action.
    pub action: Option<String>,
    /// Only in one of these statuses.
    pub statuses: Vec<String>,
    /// Only of this user.
    pub user: Option<String>,
    /// Only directly below this execution; `null` for those below none.
    pub parent: Option<String>,
    /// Only asked for after this time.
    pub after: Option<String>,
    /// Only asked for before this time.
    pub before: Option<String>,
    /// Oldest first.
    pub oldest_first: bool,
    /// Members to send; empty means all.
    pub members: Vec<String>,
}

impl ExecutionQuery {
    fn query(&self) -> Query {
        let list = |items: &[String]| (!items.is_empty()).then(|| items.join(","));
        // What came after a moment begins with the oldest, unless the request says otherwise.
        let newest_first = self.after.is_some() && !self.oldest_first;
        Query::new()
            .maybe("limit", self.limit)
            .maybe("offset", self.offset)
            .maybe("action", self.action.as_deref())
            .maybe("status", list(&self.statuses))
            .maybe("user", self.user.as_deref())
            .maybe("parent", self.parent.as_deref())
            .maybe("timestamp_gt", self.after.as_deref())
            .maybe("timestamp_lt", self.before.as_deref())
            .maybe("sort_asc", self.oldest_first.then_some("true"))
            .maybe("sort_desc", newest_first.then_some("true"))
            .maybe("include_attributes", list(&self.members))
    }
}

/// What to execute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecutionRequest {
    /// The action's reference.
    pub action: String,
    /// Its parameters.
    pub parameters: Dict,
    /// For whom; nobody means the caller.
    pub user: Option<String>,
    /// A tag under which the trace is found again.
    pub trace_tag: Option<String>,
    /// How long to wait before it starts.
    pub delay: Option<Duration>,
}

impl ExecutionRequest {
    fn body(&self) -> Value {
        let mut body = Dict::new();
        body.insert("action", self.action.as_str());
        body.insert("parameters", self.parameters.clone());
        if let Some(user) = &self.user {
            body.insert("user", user.as_str());
        }
        if let Some(tag) = &self.trace_tag {
            let trace = dict! { "trace_tag" => tag.as_str() };
            body.insert("context", dict! { "trace_context" => trace });
        }
        if let Some(delay) = self.delay {
            let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            body.insert("delay", millis);
        }
        Value::from(body)
    }
}

/// What an execution shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Begin no further task.
    Pause,
    /// Go on.
    Resume,
}

/// How to run an execution again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunAgain {
    /// Parameters that differ from the first time.
    pub parameters: Dict,
    /// Takes none of the first time's parameters.
    pub fresh: bool,
    /// Runs only these tasks of a workflow again, and what follows them.
    pub tasks: Vec<String>,
}

impl Client {
    /// Lists executions.
    ///
    /// # Errors
    ///
    /// [`Error`] when the server is not reached or refuses.
    pub async fn executions(&self, query: &ExecutionQuery) -> Result<Page<Execution>, Error> {
        let page = self.page(&["executions"], &query.query()).await?;
        Ok(page.map(Execution::new))
    }

    /// One execution by its id; `last` is the newest.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when there is none.
    pub async fn execution(&self, id: &str) -> Result<Execution, Error> {
        let value = self.get(&["executions", id], &Query::new()).await?;
        Ok(Execution::new(value))
    }

    /// All executions below one, depth first.
    ///
    /// # Errors
    ///
    /// As [`Client::execution`].
    pub async fn children(&self, id: &str) -> Result<Vec<Execution>, Error> {
        let query = Query::new().with("depth", -1);
        let page = self.page(&["executions", id, "children"], &query).await?;
        Ok(page.map(Execution::new).items)
    }

    /// Asks for an execution.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the action is unknown or the parameters do not fit it.
    pub async fn execute(&self, request: &ExecutionRequest) -> Result<Execution, Error> {
        let body = request.body();
        let value = self.post(&["executions"], &Query::new(), &body).await?;
        Ok(Execution::new(value))
    }

    /// Cancels an execution and all below it.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] also when it has ended already: the server says so with status 200, which
    /// is then the error's.
    pub async fn cancel(&self, id: &str) -> Result<Execution, Error> {
        let path = ["executions", id];
        let value = self.delete(&path, &Query::new()).await?;
        match value.get("faultstring").and_then(Value::as_str) {
            Some(fault) => Err(Error::Refused {
                status: 200,
                message: fault.to_owned(),
                url: format!("{}/executions/{id}", self.endpoints().api()),
                request_id: None,
            }),
            None => Ok(Execution::new(value)),
        }
    }

    /// Pauses a workflow, or lets it go on.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when its status does not allow that.
    pub async fn wish(&self, id: &str, wish: Wish) -> Result<Execution, Error> {
        let status = match wish {
            Wish::Pause => "pausing",
            Wish::Resume => "resuming",
        };
        let body = dict! { "status" => status };
        Ok(Execution::new(self.put(&["executions", id], &body).await?))
    }

    /// Runs an execution again, as a new one.
    ///
    /// # Errors
    ///
    /// As [`Client::execute`].
    pub async fn run_again(&self, id: &str, again: &RunAgain) -> Result<Execution, Error> {
        let tasks: Value = again.tasks.iter().map(Value::from).collect();
        let body = dict! { "parameters" => again.parameters.clone(), "tasks" => tasks };
        let query = Query::new().maybe("no_merge", again.fresh.then_some("true"));
        let path = ["executions", id, "re_run"];
        Ok(Execution::new(self.post(&path, &query, &body).await?))
    }

    /// The failed tasks of a workflow that wait for a decision.
    ///
    /// # Errors
    ///
    /// As [`Client::execution`]; [`Error::Refused`] also when it is no workflow.
    pub async fn held_tasks(&self, id: &str) -> Result<Vec<Value>, Error> {
        let value = self
            .get(&["executions", id, "decisions"], &Query::new())
            .await?;
        Ok(value.as_list().unwrap_or_default().to_vec())
    }

    /// Decides about a failed task that waits. `decision` is `retry`, `skip`, `abort` or `result`,
    /// the last one with what the task shall have returned.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the task does not wait, or the decision makes no sense.
    pub async fn decide(
        &self,
        id: &str,
        task: &str,
        route: u64,
        decision: &str,
        result: Option<&Value>,
    ) -> Result<Execution, Error> {
        let mut body = dict! { "task" => task, "route" => route, "decision" => decision };
        if let (Value::Dict(body), Some(result)) = (&mut body, result) {
            std::sync::Arc::make_mut(body).insert("result", result.clone());
        }
        let path = ["executions", id, "decisions"];
        Ok(Execution::new(
            self.post(&path, &Query::new(), &body).await?,
        ))
    }

    /// What an execution printed so far.
    ///
    /// # Errors
    ///
    /// As [`Client::execution`].
    pub async fn output(&self, id: &str) -> Result<String, Error> {
        let path = ["executions", id, "output"];
        self.get_text(&path, &Query::new()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_leaves_out_what_is_not_asked_for() {
        let mut request = ExecutionRequest {
            action: "core.local".into(),
            ..ExecutionRequest::default()
        };
        assert_eq!(
            request.body().to_json(),
            r#"{"action":"core.local","parameters":{}}"#
        );
        request.trace_tag = Some("deploy-42".into());
        request.delay = Some(Duration::from_secs(2));
        assert_eq!(
            request.body().to_json(),
            concat!(
                r#"{"action":"core.local","parameters":{},"#,
                r#""context":{"trace_context":{"trace_tag":"deploy-42"}},"delay":2000}"#
            )
        );
    }
}
