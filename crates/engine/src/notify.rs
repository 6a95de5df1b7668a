//! The notify stage: an end, or another happening inside, becomes an event where rules listen.

use std::sync::Arc;

use squall_env::fresh_id;
use squall_expr::Context;
use squall_model::{Execution, Outcome, TriggerInstance, TriggerInstanceStatus, TriggerRef};
use squall_store::Command;
use squall_value::{Dict, Str, Value, dict};

use crate::inquiry::INQUIRER;
use crate::plan::{After, Plan};
use crate::rights::publisher;
use crate::{Engine, Eyes, Incoming, IngestError};

/// Fires at the end of every execution.
const ACTION_TRIGGER: &str = "core.st2.generic.actiontrigger";
/// Fires when an execution asks for a notification.
const NOTIFY_TRIGGER: &str = "core.st2.generic.notifytrigger";

impl Engine {
    /// Adds the events that the end of an execution makes to the plan that records the end.
    pub(crate) fn announce(&self, execution: &Arc<Execution>, result: &Value, plan: &mut Plan) {
        let masked;
        let result = if &*execution.request.runner == INQUIRER {
            masked = self.masked_answer(result);
            &masked
        } else {
            result
        };
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
            trace_tag: Some(source.request.trace()),
            source_execution: Some(source.id()),
            sender: None,
        };
        plan.then(After::Match(instance.id));
        plan.push(Command::InsertTriggerInstance(Arc::new(instance)));
    }

    /// Makes an internal event of what no execution did, if rules listen for it. Returns when it is
    /// durable; one that could not be stored is told to the log and lost, as nobody was promised it.
    pub async fn happened(self: &Arc<Engine>, trigger: &str, payload: impl FnOnce() -> Value) {
        if !self.is_listened_to(trigger) {
            return;
        }
        let mut incoming = Incoming::new(trigger, payload());
        incoming.strict = false;
        match self.accept(incoming).await {
            Ok(_) | Err(IngestError::Stopping) => {}
            Err(error) => tracing::warn!(trigger, %error, "an internal event was not stored"),
        }
    }

    /// StackStorm's `notify`: one event for each route of each section that fits the outcome.
    fn notify(&self, execution: &Arc<Execution>, result: &Value, plan: &mut Plan) {
        let Some(outcome) = execution.state().outcome() else {
            return;
        };
        if !self.is_listened_to(NOTIFY_TRIGGER) {
            return;
        }
        let sections: &[(&str, &str)] = match outcome {
            Outcome::Succeeded => &[("on-complete", "completed"), ("on-success", "succeeded")],
            Outcome::Canceled => &[("on-complete", "completed")],
            Outcome::Failed | Outcome::TimedOut | Outcome::Abandoned => {
                &[("on-complete", "completed"), ("on-failure", "failed")]
            }
        };
        for (name, word) in sections {
            let notify = &execution.request.notify;
            // Stored notifications use underscores, files hyphens.
            let section = notify
                .get(name)
                .or_else(|| notify.get(&name.replace('-', "_")));
            let Some(section) = section else { continue };
            let routes = section.get("routes").filter(|routes| routes.is_truthy());
            let routes = routes.or_else(|| section.get("channels"));
            let routes = routes.and_then(Value::as_list).unwrap_or_default();
            // A command in chat without a route tells nobody.
            let mut routes = routes.iter().filter(|route| !route.is_null()).peekable();
            if routes.peek().is_none() {
                continue;
            }
            let (message, data) = self.say(execution, result, section, word);
            for route in routes {
                let payload = notify_payload(execution, &message, &data, route);
                self.emit(NOTIFY_TRIGGER, payload, execution, plan);
            }
        }
    }

    /// The message and the data of a section, rendered; what can't be rendered stays as it is.
    fn say(
        &self,
        execution: &Execution,
        result: &Value,
        section: &Value,
        word: &str,
    ) -> (Value, Dict) {
        let request = &execution.request;
        let mut variables = Dict::new();
        variables.insert("action_parameters", parameters(execution));
        variables.insert("action_context", request.context.clone());
        variables.insert("action_results", result.clone());
        let catalog = self.catalog();
        let own = catalog.action(request.action.as_str());
        let own = own.map(|action| &action.document.body);
        // What the definition says is its publisher's, anything else the asker's.
        let eyes = match own.filter(|own| own.get("notify") == Some(&request.notify)) {
            Some(own) => self.eyes_of(publisher(own).as_deref(), &request.user),
            None => self.eyes(&request.user),
        };
        let host = Eyes::or_all(eyes.as_ref(), &self.datastore);
        let context = Context::new(&variables).with_datastore(host, None);
        let rendered = |given: Dict| {
            let rendered = self.expressions.render_values(&given, &context);
            rendered.unwrap_or_else(|error| {
                tracing::warn!(id = %request.id, %error, "a notification is told as it is written");
                given
            })
        };
        let message = section.get("message").filter(|message| message.is_truthy());
        let message = message
            .cloned()
            .unwrap_or_else(|| Value::from(format!("Action {} {word}.", request.action)));
        let message = rendered([(Str::from("message"), message)].into_iter().collect());
        let data = section.get("data").and_then(Value::as_dict).cloned();
        let mut data = rendered(data.unwrap_or_default());
        // As text: a template that passes it on would else write it as Python does, not as JSON.
        data.insert("result", result.to_json());
        (message.get("message").cloned().unwrap_or_default(), data)
    }
}

/// What `core.st2.generic.actiontrigger` tells.
fn action_payload(execution: &Execution, result: &Value) -> Value {
    dict! {
        "execution_id" => execution.id().to_string(),
        "status" => execution.state().status().as_str(),
        "start_timestamp" => execution.request.requested.to_string(),
        "action_name" => execution.request.action.text(),
        "action_ref" => execution.request.action.text(),
        "runner_ref" => execution.request.runner.clone(),
        "parameters" => parameters(execution),
        "result" => result.clone(),
    }
}

/// What `core.st2.generic.notifytrigger` tells.
fn notify_payload(execution: &Execution, message: &Value, data: &Dict, route: &Value) -> Value {
    dict! {
        "execution_id" => execution.id().to_string(),
        "status" => execution.state().status().as_str(),
        "start_timestamp" => execution.request.requested.to_string(),
        "end_timestamp" => execution.progress.ended.map(|ended| ended.to_string()),
        "action_ref" => execution.request.action.text(),
        "runner_ref" => execution.request.runner.clone(),
        "route" => route.clone(),
        "channel" => route.clone(),
        "message" => message.clone(),
        "data" => data.clone(),
    }
}

/// Parameters as they are kept: secrets stay sealed, and a rule sees only that there is one.
fn parameters(execution: &Execution) -> Value {
    crate::vault::mask_sealed(&execution.request.parameters)
}
