//! The notify stage: an end, or another happening inside, becomes an event where rules listen.

use std::sync::Arc;

use squall_env::fresh_id;
use squall_model::{Execution, Outcome, TriggerInstance, TriggerInstanceStatus, TriggerRef};
use squall_store::Command;
use squall_value::{Dict, Str, Value, dict};

use crate::Engine;
use crate::plan::{After, Plan};

/// Fires at the end of every execution.
const ACTION_TRIGGER: &str = "core.st2.generic.actiontrigger";
/// Fires when an execution asks for a notification.
const NOTIFY_TRIGGER: &str = "core.st2.generic.notifytrigger";

impl Engine {
    /// Adds the events that the end of an execution makes to the plan that records the end.
    pub(crate) fn announce(&self, execution: &Arc<Execution>, result: &Value, plan: &mut Plan) {
        if self.is_listened_to(ACTION_TRIGGER) {
            let payload = action_payload(execution, result);
            self.emit(ACTION_TRIGGER, payload, execution, plan);
        }
        if execution
            .request
            .notify
            .as_dict()
            .is_some_and(|notify| !notify.is_empty())
        {
            self.notify(execution, result, plan);
        }
    }

    /// Whether an internal trigger would be noticed: an event that no rule waits for costs nothing.
    pub(crate) fn is_listened_to(&self, trigger: &str) -> bool {
        self.settings.all_internal_triggers || self.catalog().rules.listens(&Str::from(trigger))
    }

    /// Adds an internal event to a plan; it is matched once the plan is committed.
    pub(crate) fn emit(
        &self,
        trigger: &str,
        payload: Value,
        source: &Arc<Execution>,
        plan: &mut Plan,
    ) {
        let Ok(trigger) = TriggerRef::parse(trigger) else {
            return;
        };
        let instance = TriggerInstance {
            id: fresh_id(&*self.env),
            trigger,
            payload,
            occurred: self.env.now(),
            status: TriggerInstanceStatus::Pending,
            trace_tag: source.request.trace_tag.clone(),
            source_execution: Some(source.id()),
        };
        plan.then(After::Match(instance.id));
        plan.push(Command::InsertTriggerInstance(Arc::new(instance)));
    }

    /// StackStorm's `notify`: one event for each route of each section that fits the outcome.
    fn notify(&self, execution: &Arc<Execution>, result: &Value, plan: &mut Plan) {
        let sections = match execution.state().outcome() {
            Some(Outcome::Succeeded) => ["on-complete", "on-success"],
            Some(_) => ["on-complete", "on-failure"],
            None => return,
        };
        for section in sections {
            let notify = &execution.request.notify;
            // Stored notifications use underscores, files hyphens.
            let underscored = section.replace('-', "_");
            let Some(section) = notify.get(section).or_else(|| notify.get(&underscored)) else {
                continue;
            };
            let routes = section.get("routes").or_else(|| section.get("channels"));
            for route in routes.and_then(Value::as_list).unwrap_or_default() {
                let payload = notify_payload(execution, result, section, route);
                self.emit(NOTIFY_TRIGGER, payload, execution, plan);
            }
        }
    }
}

/// What `core.st2.generic.actiontrigger` tells.
fn action_payload(execution: &Execution, result: &Value) -> Value {
    dict! {
        "execution_id" => execution.id().to_string(),
        "status" => execution.state().status().as_str(),
        "start_timestamp" => execution.request.requested.to_string(),
        "action_name" => execution.request.action.name(),
        "action_ref" => execution.request.action.text(),
        "runner_ref" => execution.request.runner.clone(),
        "parameters" => parameters(execution),
        "result" => result.clone(),
    }
}

/// What `core.st2.generic.notifytrigger` tells.
fn notify_payload(execution: &Execution, result: &Value, section: &Value, route: &Value) -> Value {
    let mut data = match section.get("data") {
        Some(Value::Dict(data)) => (**data).clone(),
        _ => Dict::new(),
    };
    data.insert("result", result.clone());
    let message = section.get("message").cloned().unwrap_or_else(|| {
        let status = execution.state().status();
        Value::from(format!("Action {} {status}.", execution.request.action))
    });
    dict! {
        "execution_id" => execution.id().to_string(),
        "status" => execution.state().status().as_str(),
        "start_timestamp" => execution.request.requested.to_string(),
        "end_timestamp" => execution.progress.ended.map(|ended| ended.to_string()),
        "action_ref" => execution.request.action.text(),
        "runner_ref" => execution.request.runner.clone(),
        "route" => route.clone(),
        "channel" => route.clone(),
        "message" => message,
        "data" => data,
    }
}

/// Parameters as they are kept: secrets stay sealed, and a rule sees only that there is one.
fn parameters(execution: &Execution) -> Value {
    crate::vault::mask_sealed(&execution.request.parameters)
}
