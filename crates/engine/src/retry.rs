//! Retry policies: an end that is not accepted is followed by another attempt.

use std::sync::Arc;

use squall_model::{Execution, ExecutionId, Origin};
use squall_policy::PolicyKind;
use squall_value::{Dict, Value, dict};

use crate::Engine;
use crate::plan::Plan;
use crate::request::{Ask, Placed, Templates};

impl Engine {
    /// Adds the next attempt to the plan that records an end, if a policy asks for one. Where the
    /// action is a task, the attempt takes its place in the workflow; `ancestors` are the workflows
    /// above, the nearest first.
    pub(crate) fn retry(
        self: &Arc<Engine>,
        ended: &Arc<Execution>,
        ancestors: Vec<ExecutionId>,
        plan: &mut Plan,
    ) -> Option<Placed> {
        let outcome = ended.state().outcome()?;
        let request = &ended.request;
        let catalog = self.catalog();
        let tried = request
            .context
            .get_path(&["policies", "retry", "retry_count"])
            .and_then(Value::as_int)
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(0);
        let (policy, delay) = catalog
            .policies(request.action.as_str())
            .find_map(|policy| match &policy.kind {
                PolicyKind::Retry(retry) => Some((policy, retry.after(outcome, tried)?)),
                PolicyKind::Concurrency(_) => None,
            })?;
        let mut ask = Ask::new(request.action.text(), request.user.clone());
        ask.parameters = self.parameters(ended);
        ask.templates = Templates::none();
        ask.context = with_attempt(
            &request.context,
            dict! {
                "applied_policy" => policy.reference.clone(),
                "retry_count" => tried + 1,
                "retried_liveaction_id" => ended.id().to_string(),
            },
        );
        ask.origin = match &request.origin {
            task @ Origin::Task(_) => task.clone(),
            _ => Origin::Rerun(ended.id()),
        };
        ask.parent = request.parent.map(|parent| (parent, request.root));
        ask.trace_tag = Some(request.trace());
        ask.notify = request.notify.clone();
        ask.tags.clone_from(&request.tags);
        ask.delay = Some(delay).filter(|delay| !delay.is_zero());
        match self.prepare(&catalog, &ask) {
            Ok(mut prepared) => {
                prepared.ancestors = ancestors;
                Some(self.place(ask, &Arc::new(prepared), self.env.now(), plan))
            }
            Err(error) => {
                let id = ended.id();
                tracing::warn!(%id, %error, "an execution could not be tried again");
                None
            }
        }
    }
}

/// The context of an execution, with what a retry policy has done so far.
fn with_attempt(context: &Value, attempt: Value) -> Value {
    let mut context = context.as_dict().cloned().unwrap_or_default();
    let mut policies = match context.get("policies") {
        Some(Value::Dict(policies)) => Dict::clone(policies),
        _ => Dict::new(),
    };
    policies.insert("retry", attempt);
    context.insert("policies", policies);
    Value::from(context)
}
