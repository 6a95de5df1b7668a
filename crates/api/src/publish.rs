//! What publishing takes: who makes or changes a workflow or a rule needs the right to run every
//! action that it names, because whoever starts it later needs none of them.

use squall_auth::rbac::{Permission, Resource, ResourceType};
use squall_model::{ActionRef, DocumentKind};
use squall_value::{Dict, Value};

use crate::Api;
use crate::caller::Caller;
use crate::error::{Error, Result};

/// The trigger type of webhooks.
const WEBHOOK: &str = "core.st2.webhook";

/// Checks what a definition names before it is stored.
pub(crate) fn check(api: &Api, caller: &Caller, kind: DocumentKind, body: &Dict) -> Result<()> {
    match kind {
        DocumentKind::Rule => rule(api, caller, body),
        DocumentKind::Action => {
            let text = |member| body.get(member).and_then(Value::as_str);
            let (runner, workflow) = (text("runner_type"), text("workflow"));
            workflow_text(
                api,
                caller,
                runner.unwrap_or_default(),
                workflow.unwrap_or_default(),
            )
        }
        _ => Ok(()),
    }
}

/// Checks the actions that the text of a workflow names.
pub(crate) fn workflow_text(api: &Api, caller: &Caller, runner: &str, text: &str) -> Result<()> {
    for action in api.engine.actions_named(runner, text) {
        caller.check(Permission::ActionExecute, &Resource::action(&action))?;
    }
    Ok(())
}

fn rule(api: &Api, caller: &Caller, body: &Dict) -> Result<()> {
    let reads = body.get("criteria").is_some_and(reads_datastore);
    if reads && api.engine.eyes(&caller.user()).is_some() {
        // Whether a rule matches tells what its criteria have read.
        return Err(Error::denied(
            "Administrator access required to publish criteria that read the datastore",
        ));
    }
    let member = |part: &str, name: &str| body.get(part).and_then(|part| part.get(name));
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let user = caller.user();
    let kind = text(member("trigger", "type"));
    if kind == WEBHOOK {
        let url = text(member("trigger", "parameters").and_then(|given| given.get("url")));
        let permission = Permission::WebhookCreate;
        let hook = Resource::named(ResourceType::Webhook, &url);
        if caller.check(permission, &hook).is_err() {
            return Err(Error::denied(format!(
                "User \"{user}\" doesn't have required permission ({permission}) to use trigger {kind}"
            )));
        }
    }
    let action = text(member("action", "ref"));
    let permission = Permission::ActionExecute;
    let allowed = match ActionRef::parse(&action) {
        Ok(action) => caller.check(permission, &Resource::action(&action)).is_ok(),
        Err(_) => caller.is_admin(),
    };
    if allowed {
        return Ok(());
    }
    Err(Error::denied(format!(
        "User \"{user}\" doesn't have required ({permission}) permission to use action {action}"
    )))
}

/// Whether criteria read the datastore: by their patterns, or by a key such as `system.limit`.
fn reads_datastore(criteria: &Value) -> bool {
    match criteria {
        Value::String(text) => {
            let is_template = text.contains("{{") || text.contains("{%");
            let names = ["st2kv", "system", "decrypt_kv"];
            is_template && names.into_iter().any(|name| text.contains(name))
        }
        Value::List(items) => items.iter().any(reads_datastore),
        Value::Dict(members) => members
            .iter()
            .any(|(key, member)| key.starts_with("system.") || reads_datastore(member)),
        _ => false,
    }
}
