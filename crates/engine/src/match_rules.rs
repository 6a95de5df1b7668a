//! The match stage: an event, and the rules that it concerns.

use std::sync::Arc;

use squall_env::fresh_id;
use squall_model::{
    Enforcement, EnforcementId, EnforcementOutcome, Origin, RuleOrigin, RuleRef, Timestamp,
    TriggerInstance, TriggerInstanceId, TriggerInstanceStatus,
};
use squall_rules::{Matched, Surroundings};
use squall_store::{Command, CommitError, Refusal};
use squall_value::{Dict, Str, Value, dict};

use crate::plan::Plan;
use crate::request::{Ask, Prepared, Templates, Writer};
use crate::rights::publisher;
use crate::{Catalog, Engine};

/// What one rule makes of an event.
pub(crate) struct Match {
    rule: RuleRef,
    trigger_instance: TriggerInstanceId,
    enforcement: EnforcementId,
    /// The request to carry out, or the reason why there is none.
    answer: Result<(Ask, Arc<Prepared>), String>,
}

impl Engine {
    /// The rules that an event matches, and what each asks for. Decides only.
    pub(crate) fn match_event(&self, catalog: &Catalog, instance: &TriggerInstance) -> Vec<Match> {
        let surroundings = Surroundings {
            expressions: &self.expressions,
            host: &self.datastore,
        };
        let trigger = instance.trigger.text();
        let found = catalog
            .rules
            .matches(&trigger, &instance.payload, &surroundings);
        let mut matches = Vec::with_capacity(found.len());
        for found in found {
            let Ok(rule) = RuleRef::parse(&found.rule) else {
                continue;
            };
            let enforcement = fresh_id(&*self.env);
            let answer = if found.outcome.is_match {
                self.answer(catalog, &rule, instance, enforcement)
            } else {
                // A criterion that fails is no match, but leaves a record that says why.
                Err(failures(&found, instance))
            };
            let answer = answer.map_err(|reason| without_secrets(catalog, instance, reason));
            matches.push(Match {
                rule,
                trigger_instance: instance.id,
                enforcement,
                answer,
            });
        }
        matches
    }

    /// The request that a rule makes in answer to an event.
    fn answer(
        &self,
        catalog: &Catalog,
        rule: &RuleRef,
        instance: &TriggerInstance,
        enforcement: EnforcementId,
    ) -> Result<(Ask, Arc<Prepared>), String> {
        let body = catalog.rule(rule.as_str()).map(|document| &document.body);
        let body = body.ok_or("the rule was removed")?;
        let action = body.get("action").cloned().unwrap_or_default();
        let reference = action
            .get("ref")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let given = action
            .get("parameters")
            .and_then(Value::as_dict)
            .cloned()
            .unwrap_or_default();
        let mut ask = Ask::new(reference, self.settings.system_user.clone());
        ask.parameters = self.vault.open(&Value::from(given));
        // What a rule writes may be a template; what stands in the event never is.
        ask.templates = Templates {
            writer: Writer::Publisher(publisher(body)),
            only: None,
        };
        ask.variables = Dict::from_iter([("trigger", instance.payload.clone())]);
        ask.trace_tag = Some(instance.trace());
        ask.context = self.rule_context(catalog, body, rule.as_str(), instance);
        ask.origin = Origin::Rule(RuleOrigin {
            rule: rule.clone(),
            trigger_instance: instance.id,
            enforcement,
        });
        let prepared = self
            .prepare(catalog, &ask)
            .map_err(|error| error.to_string())?;
        Ok((ask, Arc::new(prepared)))
    }

    /// The parameters of a rule's action as they are kept: what the action calls secret is sealed.
    /// A mask in the place of a secret, as clients that change a rule send back what they were
    /// shown, stands for the secret of the rule as it was.
    #[must_use]
    pub fn sealed_rule(&self, rule: &Dict, before: Option<&Value>) -> Dict {
        let parameters = |rule: Option<&Value>| {
            let found = rule.and_then(|action| action.get("parameters"));
            found.and_then(Value::as_dict).cloned()
        };
        let Some(action) = rule.get("action").and_then(Value::as_dict) else {
            return rule.clone();
        };
        let reference = action.get("ref").and_then(Value::as_str);
        let catalog = self.catalog();
        let known = reference.and_then(|reference| catalog.action(reference));
        let given = parameters(rule.get("action"));
        let (Some(known), Some(mut given)) = (known, given) else {
            return rule.clone();
        };
        let mask = known.parameters.mask();
        if mask.is_open() {
            return rule.clone();
        }
        let before = parameters(before.and_then(|rule| rule.get("action"))).unwrap_or_default();
        for (name, value) in given.iter_mut() {
            let is_masked = value.as_str() == Some(squall_schema::MASKED);
            if let Some(kept) = before.get(name).filter(|_| is_masked) {
                *value = self.vault.open_value(kept);
            }
        }
        let mut action = action.clone();
        action.insert("parameters", self.vault.seal(&given, mask));
        let mut sealed = rule.clone();
        sealed.insert("action", Value::from(action));
        sealed
    }

    /// Parameters that were kept sealed, in clear.
    #[must_use]
    pub fn opened(&self, parameters: &Value) -> Value {
        Value::from(self.vault.open(parameters))
    }

    fn rule_context(
        &self,
        catalog: &Catalog,
        body: &Value,
        reference: &str,
        instance: &TriggerInstance,
    ) -> Value {
        let rule_id = catalog
            .rule(reference)
            .map(|document| document.id.to_string());
        let mut context = Dict::new();
        context.insert(
            "trigger_instance",
            dict! { "id" => instance.id.to_string(), "name" => Value::Null },
        );
        context.insert(
            "rule",
            dict! { "id" => rule_id, "name" => body.get("name").cloned() },
        );
        if let Some(Value::Dict(given)) = body.get("context") {
            context.extend(
                given
                    .iter()
                    .map(|(key, value)| (key.clone(), value.clone())),
            );
        }
        Value::from(context)
    }

    /// Adds the enforcements of an event to a plan: one for each rule, each with one execution or
    /// the reason why there is none.
    pub(crate) fn enforce(
        self: &Arc<Engine>,
        matches: Vec<Match>,
        now: Timestamp,
        plan: &mut Plan,
    ) {
        for found in matches {
            let outcome = match found.answer {
                Ok((ask, prepared)) => {
                    let placed = self.place(ask, &prepared, now, plan);
                    EnforcementOutcome::Execution(placed.execution.id())
                }
                Err(reason) => EnforcementOutcome::Failed(Str::from(reason)),
            };
            plan.push(Command::InsertEnforcement(Arc::new(Enforcement {
                id: found.enforcement,
                rule: found.rule,
                trigger_instance: found.trigger_instance,
                enforced: now,
                outcome,
            })));
        }
    }

    /// Matches an event that was stored as pending: an internal one, or one left by a crash.
    /// `false` when it is still pending.
    pub(crate) async fn match_pending(self: &Arc<Engine>, instance: Arc<TriggerInstance>) -> bool {
        let now = self.env.now();
        let id = instance.id;
        let catalog = self.catalog();
        let matches = self.match_event(&catalog, &instance);
        let mut plan = Plan::default();
        let status = TriggerInstanceStatus::Processed;
        plan.push(Command::FinishTriggerInstance { id, status });
        self.enforce(matches, now, &mut plan);
        match self.carry_out_here(plan).await {
            Ok(())
            | Err(CommitError::Refused {
                refusal: Refusal::Changed | Refusal::Missing,
                ..
            }) => true,
            Err(CommitError::Refused {
                refusal: refusal @ Refusal::Invalid(_),
                ..
            }) => {
                // It would be refused for ever.
                tracing::error!(%id, %refusal, "the answer to an event cannot be stored");
                let status = TriggerInstanceStatus::ProcessingFailed;
                let finish = Command::FinishTriggerInstance { id, status };
                self.commit(vec![finish]).await.is_ok()
            }
            Err(error) => {
                tracing::warn!(%id, %error, "an event was not matched; it is tried again");
                false
            }
        }
    }
}

/// Why a rule asked for nothing, without the event's secrets: they may be what it failed over.
fn without_secrets(catalog: &Catalog, instance: &TriggerInstance, reason: String) -> String {
    let mut secrets = Vec::new();
    if let Some(kind) = catalog.type_of(&instance.trigger) {
        kind.secrets.collect(&instance.payload, &mut secrets);
    }
    if secrets.is_empty() {
        return reason;
    }
    let masked = squall_runners::mask_values(&secrets, &Value::from(reason));
    masked.as_str().unwrap_or_default().to_owned()
}

fn failures(found: &Matched<Str>, instance: &TriggerInstance) -> String {
    let instance = instance.id.to_string();
    let reasons = found
        .outcome
        .failures
        .iter()
        .map(|failure| failure.reason(&found.rule, &instance));
    reasons.collect::<Vec<_>>().join("; ")
}
