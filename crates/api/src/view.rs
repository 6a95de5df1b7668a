//! What a caller sees of a record: secrets are masked, and what belongs to it is fetched with it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use squall_engine::{Action, Catalog, is_workflow, mask_sealed};
use squall_model::{
    Document, Execution, ExecutionId, Origin, Payload, TriggerInstance, TriggerInstanceId,
};
use squall_runners::Registry;
use squall_store::{Page, TriggerInstanceFilter};
use squall_value::{Str, Value, dict};
use squall_wire::ExecutionView;

use crate::Api;
use crate::error::Result;
use crate::params::{Members, Secrets};

/// Actions whose text is kept, and events that are; when there are more, the keeping begins anew.
const TEXTS_MAX: usize = 256;
const INSTANCES_MAX: usize = 4096;

/// What the executions of a stream have in common.
///
/// The descriptions of an action and of its runner are most of an execution's text: they are
/// written once. The event behind an execution is read once for all that is told of it.
#[derive(Default)]
pub(crate) struct Texts {
    actions: HashMap<Str, (Arc<Document>, String)>,
    instances: HashMap<TriggerInstanceId, Arc<TriggerInstance>>,
}

impl Texts {
    /// One execution as the API shows it, as JSON.
    pub(crate) async fn execution(
        &mut self,
        api: &Api,
        execution: &Arc<Execution>,
    ) -> Result<String> {
        let catalog = api.engine.catalog();
        let request = &execution.request;
        let related = Related {
            result: result_so_far(api, execution).await?,
            children: children(api, std::slice::from_ref(execution))
                .await?
                .remove(&execution.id())
                .unwrap_or_default(),
            instance: self.instance(api, execution).await?,
            secrets: Secrets::Masked,
        };
        let mut view = related.view(api, &catalog, execution);
        let action = catalog.action(request.action.as_str());
        let Some(action) = action.filter(|action| action.runner == request.runner) else {
            return Ok(squall_wire::execution(execution, &view).to_json());
        };
        (view.action, view.runner) = (None, Some(Value::Null));
        let Value::Dict(mut shown) = squall_wire::execution(execution, &view) else {
            return Ok("{}".to_owned());
        };
        let members = Arc::make_mut(&mut shown);
        members.remove("action");
        members.remove("runner");
        let mut text = Value::Dict(shown).to_json();
        // In place of the brace at the end: an execution is never without members.
        text.pop();
        text.push_str(self.documents(action));
        Ok(text)
    }

    /// Remembers an event that is about to be asked for.
    pub(crate) fn remember(&mut self, instance: &Arc<TriggerInstance>) {
        if self.instances.len() >= INSTANCES_MAX {
            self.instances.clear();
        }
        self.instances.insert(instance.id, Arc::clone(instance));
    }

    async fn instance(
        &mut self,
        api: &Api,
        execution: &Execution,
    ) -> Result<Option<Arc<TriggerInstance>>> {
        let Some(id) = event_behind(execution) else {
            return Ok(None);
        };
        if let Some(known) = self.instances.get(&id) {
            return Ok(Some(Arc::clone(known)));
        }
        let found = api.engine.store().trigger_instance(id).await?;
        if let Some(found) = &found {
            self.remember(found);
        }
        Ok(found)
    }

    /// The members `action` and `runner`, and the end of the object.
    fn documents(&mut self, action: &Action) -> &str {
        let document = &action.shown;
        let is_known = |known: &(Arc<Document>, String)| Arc::ptr_eq(&known.0, document);
        if !self.actions.get(&document.key).is_some_and(is_known) {
            if self.actions.len() >= TEXTS_MAX {
                self.actions.clear();
            }
            let text = format!(
                ", \"action\": {}, \"runner\": {}}}",
                squall_wire::definition(document).to_json(),
                runner_type(&action.runner).unwrap_or_default().to_json(),
            );
            let entry = (Arc::clone(document), text);
            self.actions.insert(document.key.clone(), entry);
        }
        let found = self.actions.get(&document.key);
        found.map_or("}", |(_, text)| text)
    }
}

/// The result, unless the execution is at a point where it can't have one yet.
async fn result_so_far(api: &Api, execution: &Execution) -> Result<Option<Payload>> {
    let status = execution.state().status();
    if matches!(
        status.as_str(),
        "requested" | "scheduled" | "delayed" | "running"
    ) {
        return Ok(None);
    }
    let results = api.engine.store().results(&[execution.id()]).await?;
    Ok(results.into_iter().next().map(|(_, payload)| payload))
}

/// Executions as the API shows them, with what is asked for.
pub(crate) async fn executions(
    api: &Api,
    executions: &[Arc<Execution>],
    members: &Members,
    secrets: Secrets,
) -> Result<Vec<Value>> {
    let store = api.engine.store();
    let mut results = HashMap::new();
    if members.wants("result") {
        let ids: Vec<ExecutionId> = executions.iter().map(|execution| execution.id()).collect();
        results.extend(store.results(&ids).await?);
    }
    let catalog = api.engine.catalog();
    let mut children = if members.wants("children") {
        children(api, executions).await?
    } else {
        HashMap::new()
    };
    let instances = if members.wants("trigger_instance") {
        instances(api, executions.iter().filter_map(|one| event_behind(one))).await?
    } else {
        HashMap::new()
    };
    let mut views = Vec::with_capacity(executions.len());
    for execution in executions {
        let instance = event_behind(execution).and_then(|id| instances.get(&id));
        let related = Related {
            result: results.remove(&execution.id()),
            children: children.remove(&execution.id()).unwrap_or_default(),
            instance: instance.map(Arc::clone),
            secrets,
        };
        let view = related.view(api, &catalog, execution);
        views.push(members.of(squall_wire::execution(execution, &view)));
    }
    Ok(views)
}

/// The executions directly below those of some that are workflows.
async fn children(
    api: &Api,
    executions: &[Arc<Execution>],
) -> Result<HashMap<ExecutionId, Vec<ExecutionId>>> {
    let parents = executions.iter();
    let parents = parents.filter(|execution| is_workflow(&execution.request.runner));
    let parents: Vec<ExecutionId> = parents.map(|parent| parent.id()).collect();
    let mut children: HashMap<_, Vec<_>> = HashMap::new();
    if !parents.is_empty() {
        for (parent, child) in api.engine.store().child_ids(&parents).await? {
            children.entry(parent).or_default().push(child);
        }
    }
    Ok(children)
}

/// The event that a rule answered with the execution.
fn event_behind(execution: &Execution) -> Option<TriggerInstanceId> {
    match &execution.request.origin {
        Origin::Rule(origin) => Some(origin.trigger_instance),
        _ => None,
    }
}

/// Events by their ids, those that are there.
pub(crate) async fn instances(
    api: &Api,
    ids: impl Iterator<Item = TriggerInstanceId>,
) -> Result<HashMap<TriggerInstanceId, Arc<TriggerInstance>>> {
    let ids: HashSet<TriggerInstanceId> = ids.collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let filter = TriggerInstanceFilter {
        ids: ids.into_iter().collect(),
        ..TriggerInstanceFilter::default()
    };
    let found = api.engine.store().trigger_instances(&filter, Page::ALL);
    let found = found.await?.items.into_iter();
    Ok(found.map(|instance| (instance.id, instance)).collect())
}

/// One execution as the API shows it.
pub(crate) async fn execution(
    api: &Api,
    execution: &Arc<Execution>,
    members: &Members,
    secrets: Secrets,
) -> Result<Value> {
    let shown = executions(api, std::slice::from_ref(execution), members, secrets).await?;
    Ok(shown.into_iter().next().unwrap_or_default())
}

/// What belongs to an execution and is kept apart from it.
struct Related {
    result: Option<Payload>,
    children: Vec<ExecutionId>,
    instance: Option<Arc<TriggerInstance>>,
    secrets: Secrets,
}

impl Related {
    fn view<'a>(
        &'a self,
        api: &Api,
        catalog: &'a Catalog,
        execution: &Execution,
    ) -> ExecutionView<'a> {
        let request = &execution.request;
        let action = catalog.action(request.action.as_str());
        let in_clear = self.secrets == Secrets::Shown;
        let parameters = if in_clear {
            Value::from(api.engine.parameters(execution))
        } else {
            let shown = mask_sealed(&request.parameters);
            match action {
                Some(action) => action.parameters.mask().apply(&shown),
                None => shown,
            }
        };
        let result = self.result.as_ref().map(|payload| &*payload.json);
        let key = Registry::runner_type(&request.runner).and_then(|kind| kind.output_key.clone());
        let visible = result
            .map(squall_wire::visible_result)
            .map(|result| match (action, &key) {
                _ if &*request.runner == "inquirer" && in_clear => api.engine.open_answer(&result),
                _ if &*request.runner == "inquirer" => api.engine.masked_answer(&result),
                (Some(action), Some(key)) if !in_clear => action.output.mask_result(&result, key),
                _ => result,
            });
        let rule = match &request.origin {
            Origin::Rule(origin) => catalog.rule(origin.rule.as_str()),
            _ => None,
        };
        let instance = self.instance.as_deref();
        let kind = instance.and_then(|instance| {
            let trigger = instance.trigger.as_str();
            let kind = catalog
                .trigger(trigger)
                .map_or(trigger, |trigger| trigger.kind.as_str());
            catalog.trigger_type(kind)
        });
        ExecutionView {
            action: action.map(|action| match in_clear {
                true => &*action.document,
                false => &*action.shown,
            }),
            runner: runner_type(&request.runner),
            result: visible,
            result_size: result.map(str::len),
            parameters,
            children: self.children.clone(),
            rule: rule.map(|rule| self::rule(api, rule, self.secrets)),
            trigger_instance: instance
                .map(|instance| (instance, payload(api, instance, self.secrets))),
            trigger_type: kind.map(|kind| &*kind.document),
            parent: None,
            web_url: Some(api.url.clone()),
        }
    }
}

/// A payload with what its type calls secret masked.
pub(crate) fn payload(api: &Api, instance: &TriggerInstance, secrets: Secrets) -> Value {
    if secrets == Secrets::Shown {
        return api.engine.payload(instance);
    }
    match api.engine.catalog().type_of(&instance.trigger) {
        Some(kind) if !kind.secrets.is_open() => {
            kind.secrets.apply(&mask_sealed(&instance.payload))
        }
        _ => instance.payload.clone(),
    }
}

/// A rule with what its action calls secret masked in the parameters, or in clear.
pub(crate) fn rule<'a>(api: &Api, rule: &'a Document, secrets: Secrets) -> Cow<'a, Document> {
    let given = rule.body.get_path(&["action", "parameters"]);
    let action = rule
        .body
        .get_path(&["action", "ref"])
        .and_then(Value::as_str);
    let catalog = api.engine.catalog();
    let action = action.and_then(|action| catalog.action(action));
    let (Some(given @ Value::Dict(_)), Some(action)) = (given, action) else {
        return Cow::Borrowed(rule);
    };
    let mask = action.parameters.mask();
    if mask.is_open() {
        return Cow::Borrowed(rule);
    }
    let shown = match secrets {
        Secrets::Masked => mask.apply(&mask_sealed(given)),
        Secrets::Shown => api.engine.opened(given),
    };
    let mut rule = rule.clone();
    rule.body = with_parameters(&rule.body, shown);
    Cow::Owned(rule)
}

/// The body of a rule with other parameters of its action.
pub(crate) fn with_parameters(rule: &Value, parameters: Value) -> Value {
    let mut body = rule.as_dict().cloned().unwrap_or_default();
    let mut action = body
        .get("action")
        .and_then(Value::as_dict)
        .cloned()
        .unwrap_or_default();
    action.insert("parameters", parameters);
    body.insert("action", Value::from(action));
    Value::from(body)
}

/// The description of a runner type.
pub(crate) fn runner_type(name: &str) -> Option<Value> {
    let kind = Registry::runner_type(name)?;
    Some(dict! {
        "name" => kind.name.as_str(),
        "description" => kind.description.as_str(),
        "uid" => format!("runner_type:{}", kind.name),
        "enabled" => true,
        "runner_package" => kind.package.as_str(),
        "runner_module" => kind.module.as_str(),
        "runner_parameters" => kind.parameters.clone(),
        "output_key" => kind.output_key.clone(),
        "output_schema" => kind.output_schema.clone(),
        "id" => stable_id(&kind.name),
    })
}

/// An id for what has no record: the same for the same name on every server.
pub(crate) fn stable_id(name: &str) -> String {
    // FNV-1a, 128 bits (draft-eastlake-fnv): spreads well, and is not meant to resist anybody.
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in name.bytes() {
        hash ^= u128::from(byte);
        hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    format!("{:024x}", hash & ((1 << 96) - 1))
}
