//! Events and enforcements.

use squall_model::{Enforcement, EnforcementOutcome, TriggerInstance};
use squall_value::{Dict, Value, dict};

use crate::time::{millis, timestamp};

/// A trigger instance. `payload` is what the caller may see of the payload.
#[must_use]
pub fn trigger_instance(instance: &TriggerInstance, payload: Value) -> Value {
    dict! {
        "trigger" => instance.trigger.text(),
        "occurrence_time" => millis(instance.occurred),
        "status" => instance.status.as_str(),
        "id" => instance.id.to_string(),
        "payload" => payload,
    }
}

/// An enforcement. `rule_id` is the id of the rule's document, while there is one.
#[must_use]
pub fn enforcement(enforcement: &Enforcement, rule_id: Option<String>) -> Value {
    let mut body = Dict::new();
    body.insert(
        "trigger_instance_id",
        enforcement.trigger_instance.to_string(),
    );
    let status = match &enforcement.outcome {
        EnforcementOutcome::Execution(id) => {
            body.insert("execution_id", id.to_string());
            "succeeded"
        }
        EnforcementOutcome::Failed(reason) => {
            body.insert("failure_reason", reason.clone());
            "failed"
        }
    };
    let mut rule = Dict::new();
    rule.insert("ref", enforcement.rule.text());
    if let Some(id) = rule_id {
        rule.insert("id", id);
    }
    let (pack, name) = (enforcement.rule.pack(), enforcement.rule.name());
    rule.insert("uid", format!("rule:{pack}:{name}"));
    body.insert("rule", rule);
    body.insert("enforced_at", timestamp(enforcement.enforced));
    body.insert("status", status);
    body.insert("id", enforcement.id.to_string());
    Value::from(body)
}
