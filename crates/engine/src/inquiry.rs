//! Inquiries: executions that wait for a person's answer.

use std::sync::Arc;
use std::time::Duration;

use squall_model::{Event, Execution, ExecutionId, Lease, Outcome, State, Timestamp};
use squall_schema::{Mask, Nullable, Validator};
use squall_store::{Command, CommitError, Refusal};
use squall_value::{Dict, Str, Value, dict};

use crate::Engine;
use crate::plan::{After, Plan};
use crate::request::{Placed, Prepared, failure, step};

/// The runner type of inquiries.
pub(crate) const INQUIRER: &str = "inquirer";

/// Fires when somebody is asked, so that a rule can tell them.
const TRIGGER: &str = "core.st2.generic.inquiry";

/// Why an answer is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RespondError {
    /// There is no such execution.
    #[error("Inquiry with id \"{0}\" not found.")]
    Unknown(ExecutionId),
    /// The execution asks nobody.
    #[error("\"{0}\" is not an inquiry")]
    NotAnInquiry(ExecutionId),
    /// Somebody has answered, or the time for it is over.
    #[error("Inquiry \"{0}\" has already been responded to")]
    Answered(ExecutionId),
    /// Others are asked, not this user.
    #[error("Requesting user does not have permission to respond to inquiry \"{0}\".")]
    Denied(ExecutionId),
    /// The answer does not fit the question.
    #[error("Response for inquiry \"{id}\" did not pass schema validation: {reason}")]
    Invalid {
        /// The inquiry.
        id: ExecutionId,
        /// What is wrong.
        reason: String,
    },
    /// The store failed.
    #[error("the answer could not be stored")]
    Store(#[from] CommitError),
}

impl From<squall_store::Error> for RespondError {
    fn from(error: squall_store::Error) -> RespondError {
        RespondError::Store(error.into())
    }
}

impl Engine {
    /// Starts an inquiry: it is `pending` from its first moment.
    pub(crate) fn ask(
        &self,
        mut execution: Execution,
        prepared: &Prepared,
        now: Timestamp,
        plan: &mut Plan,
    ) -> Placed {
        let lease = Lease::NONE;
        let started = step(execution.progress.clone(), Event::Start { lease }, now);
        let parameters = match self.finalize(prepared) {
            Ok(parameters) => parameters.runner,
            Err(error) => {
                let outcome = Outcome::Failed;
                execution.progress = step(started, Event::Finish { lease, outcome }, now);
                let (execution, result) = (Arc::new(execution), failure(&error));
                plan.then(After::Ended(Arc::clone(&execution)));
                if execution.request.parent.is_some() {
                    plan.then(After::ChildEnded(Arc::clone(&execution), result.clone()));
                }
                self.announce(&execution, &result, plan);
                let result = Some(result);
                return Placed { execution, result };
            }
        };
        let mut progress = step(started, Event::Ask, now);
        let member = |name: &str| parameters.get(name).cloned().unwrap_or_default();
        let ttl = member("ttl");
        progress.deadline = ttl
            .as_int()
            .and_then(|minutes| u64::try_from(minutes).ok())
            .filter(|minutes| *minutes > 0)
            .and_then(|minutes| now.checked_add(Duration::from_secs(minutes * 60)).ok());
        let id = execution.id();
        if let Some(deadline) = progress.deadline {
            plan.then(After::Wake(deadline, id));
        }
        execution.progress = progress;
        let execution = Arc::new(execution);
        let question = dict! {
            "schema" => member("schema"),
            "roles" => member("roles"),
            "users" => member("users"),
            "route" => member("route"),
            "ttl" => ttl,
        };
        if self.is_listened_to(TRIGGER) {
            let payload = dict! { "id" => id.to_string(), "route" => member("route") };
            self.emit(TRIGGER, payload, &execution, plan);
        }
        plan.then(After::Changed(Arc::clone(&execution)));
        Placed {
            execution,
            result: Some(question),
        }
    }

    /// The question of an inquiry, and with it the answer if there is one.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn inquiry(&self, id: ExecutionId) -> Result<Dict, squall_store::Error> {
        let found = self.store.results(&[id]).await?.into_iter().next();
        let read = |(_, payload): (ExecutionId, squall_model::Payload)| {
            squall_value::json::read_python(&payload.json).ok()
        };
        let question = found.and_then(read);
        Ok(question
            .and_then(|value| value.as_dict().cloned())
            .unwrap_or_default())
    }

    /// Answers an inquiry on behalf of `user`, who has `roles`. Returns the answer as everybody may
    /// see it when it is durable; what waited for it goes on.
    ///
    /// # Errors
    ///
    /// [`RespondError`].
    pub async fn respond(
        self: &Arc<Engine>,
        id: ExecutionId,
        response: Value,
        user: &str,
        roles: &[Str],
    ) -> Result<Value, RespondError> {
        let execution = self.store.execution(id).await?;
        let execution = execution.ok_or(RespondError::Unknown(id))?;
        if &*execution.request.runner != INQUIRER {
            return Err(RespondError::NotAnInquiry(id));
        }
        let mut inquiry = self.inquiry(id).await?;
        if execution.state() != State::Pending || inquiry.get("response").is_some() {
            return Err(RespondError::Answered(id));
        }
        check_asked(id, &inquiry, user, roles)?;
        check_answer(id, &inquiry, &response)?;
        let schema = inquiry.get("schema").map(Mask::new).unwrap_or_default();
        let shown = schema.apply(&response);
        let kept = match schema.is_open() {
            true => response,
            // As a whole: what is secret in it may depend on its own content.
            false => self.vault.seal_value(&response),
        };
        inquiry.insert("response", kept);
        // First the answer, alone: it is acknowledged as soon as it is durable, and whatever
        // happens then, the slow period ends what has one.
        let from = execution.progress.revision;
        let answered = Arc::new(Execution {
            request: Arc::clone(&execution.request),
            progress: execution.progress.clone().revised(),
        });
        let result = Value::from(inquiry);
        let command = Command::UpdateExecution {
            execution: Arc::clone(&answered),
            from,
            result: Some(crate::payload(&result)),
        };
        match self.commit(vec![command]).await {
            Ok(()) => {}
            Err(CommitError::Refused {
                refusal: Refusal::Changed,
                ..
            }) => return Err(RespondError::Answered(id)),
            Err(error) => return Err(error.into()),
        }
        self.end_inquiry(&answered, Outcome::Succeeded, result)
            .await;
        Ok(shown)
    }

    /// A question with its answer in clear.
    #[must_use]
    pub fn open_answer(&self, inquiry: &Value) -> Value {
        self.with_answer(inquiry, |answer, _| answer)
    }

    /// A question with its answer as everybody may see it.
    #[must_use]
    pub fn masked_answer(&self, inquiry: &Value) -> Value {
        self.with_answer(inquiry, |answer, secrets| secrets.apply(&answer))
    }

    /// A question whose answer, in clear, is replaced; what has none stays as it is.
    pub(crate) fn with_answer(
        &self,
        inquiry: &Value,
        replace: impl FnOnce(Value, &Mask) -> Value,
    ) -> Value {
        let (Some(members), Some(answer)) = (inquiry.as_dict(), inquiry.get("response")) else {
            return inquiry.clone();
        };
        let schema = members.get("schema").map(Mask::new).unwrap_or_default();
        let mut members = members.clone();
        members.insert("response", replace(self.vault.open_value(answer), &schema));
        Value::from(members)
    }

    /// Ends a pending inquiry.
    pub(crate) async fn end_inquiry(
        self: &Arc<Engine>,
        execution: &Execution,
        outcome: Outcome,
        result: Value,
    ) {
        let lease = Lease::NONE;
        let now = self.env.now();
        let progress = execution.progress.clone();
        let progress = match outcome {
            Outcome::Canceled => step(progress, Event::Cancel, now),
            _ => progress,
        };
        let progress = step(progress, Event::Finish { lease, outcome }, now);
        let ended = Execution {
            request: Arc::clone(&execution.request),
            progress,
        };
        self.commit_end(execution.progress.revision, ended, result)
            .await;
    }

    /// Looks at a pending inquiry: one that was answered ends, one whose time is up times out, the
    /// others are looked at again when it is.
    pub(crate) async fn look_after_inquiry(self: &Arc<Engine>, execution: &Execution) {
        let id = execution.id();
        let inquiry = match self.inquiry(id).await {
            Ok(inquiry) => inquiry,
            Err(error) => {
                tracing::warn!(%id, %error, "an inquiry could not be read; the slow period looks again");
                return;
            }
        };
        let is_answered = inquiry.get("response").is_some();
        let deadline = execution.progress.deadline;
        if is_answered || deadline.is_some_and(|deadline| deadline <= self.env.now()) {
            let outcome = if is_answered {
                Outcome::Succeeded
            } else {
                Outcome::TimedOut
            };
            self.end_inquiry(execution, outcome, Value::from(inquiry))
                .await;
        } else if let Some(deadline) = deadline {
            self.wakes.set(deadline, id);
        }
    }
}

/// Whether it is this user who is asked. Nobody named means everybody.
fn check_asked(
    id: ExecutionId,
    inquiry: &Dict,
    user: &str,
    roles: &[Str],
) -> Result<(), RespondError> {
    let names = |member: &str| -> Vec<Str> {
        let list = inquiry.get(member).and_then(Value::as_list);
        let texts = list.unwrap_or_default().iter().filter_map(Value::as_str);
        texts.map(Str::from).collect()
    };
    let (users, wanted) = (names("users"), names("roles"));
    let is_user = users.is_empty() || users.iter().any(|name| **name == *user);
    let has_role = wanted.is_empty() || wanted.iter().any(|role| roles.contains(role));
    if is_user && has_role {
        Ok(())
    } else {
        Err(RespondError::Denied(id))
    }
}

fn check_answer(id: ExecutionId, inquiry: &Dict, response: &Value) -> Result<(), RespondError> {
    let invalid = |reason: String| RespondError::Invalid { id, reason };
    let Some(schema) = inquiry.get("schema") else {
        return Ok(());
    };
    let validator = Validator::new(schema, Nullable::Optional);
    let validator = validator.map_err(|error| invalid(error.to_string()))?;
    validator
        .validate(response)
        .map_err(|error| invalid(error.to_string()))
}
