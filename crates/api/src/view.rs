//! What a caller sees of a record: secrets are masked, and what belongs to it is fetched with it.

use std::collections::HashMap;
use std::sync::Arc;

use squall_engine::{Catalog, mask_sealed};
use squall_model::{Execution, ExecutionId, Origin, TriggerInstance};
use squall_runners::Registry;
use squall_value::{Value, dict};
use squall_wire::ExecutionView;

use crate::Api;
use crate::error::Result;
use crate::params::Members;

/// Executions as the API shows them, with what is asked for.
pub(crate) async fn executions(
    api: &Api,
    executions: &[Arc<Execution>],
    members: &Members,
) -> Result<Vec<Value>> {
    let store = api.engine.store();
    let mut results = HashMap::new();
    if members.wants("result") {
        let ids: Vec<ExecutionId> = executions.iter().map(|execution| execution.id()).collect();
        results.extend(store.results(&ids).await?);
    }
    let catalog = api.engine.catalog();
    let mut views = Vec::with_capacity(executions.len());
    for execution in executions {
        let workflow = matches!(&*execution.request.runner, "orquesta" | "action-chain");
        let children = if workflow && members.wants("children") {
            let children = store.children(execution.id()).await?;
            children.iter().map(|child| child.id()).collect()
        } else {
            Vec::new()
        };
        let instance = match &execution.request.origin {
            Origin::Rule(origin) if members.wants("trigger_instance") => {
                store.trigger_instance(origin.trigger_instance).await?
            }
            _ => None,
        };
        let result = results.get(&execution.id()).map(|payload| &*payload.json);
        let shown = execution_with(
            api,
            &catalog,
            execution,
            result,
            children,
            instance.as_deref(),
        );
        views.push(members.of(shown));
    }
    Ok(views)
}

/// One execution as the API shows it.
pub(crate) async fn execution(
    api: &Api,
    execution: &Arc<Execution>,
    members: &Members,
) -> Result<Value> {
    let shown = executions(api, std::slice::from_ref(execution), members).await?;
    Ok(shown.into_iter().next().unwrap_or_default())
}

fn execution_with(
    api: &Api,
    catalog: &Catalog,
    execution: &Execution,
    result: Option<&str>,
    children: Vec<ExecutionId>,
    instance: Option<&TriggerInstance>,
) -> Value {
    let request = &execution.request;
    let action = catalog.action(request.action.as_str());
    let shown = mask_sealed(&request.parameters);
    let parameters = action.map_or_else(
        || shown.clone(),
        |action| action.parameters.mask().apply(&shown),
    );
    let key = Registry::runner_type(&request.runner).and_then(|kind| kind.output_key.clone());
    let visible = result
        .map(squall_wire::visible_result)
        .map(|result| match (action, &key) {
            (Some(action), Some(key)) => action.output.mask_result(&result, key),
            _ => result,
        });
    let rule = match &request.origin {
        Origin::Rule(origin) => catalog.rule(origin.rule.as_str()),
        _ => None,
    };
    let kind = instance.and_then(|instance| {
        let trigger = instance.trigger.as_str();
        let kind = catalog
            .trigger(trigger)
            .map_or(trigger, |trigger| trigger.kind.as_str());
        catalog.trigger_type(kind)
    });
    let view = ExecutionView {
        action: action.map(|action| &*action.document),
        runner: runner_type(&request.runner),
        result: visible,
        result_size: result.map(str::len),
        parameters,
        children,
        rule: rule.map(|rule| &**rule),
        trigger_instance: instance.map(|instance| (instance, payload(catalog, instance))),
        trigger_type: kind.map(|kind| &*kind.document),
        parent: None,
        web_url: Some(api.url.clone()),
    };
    squall_wire::execution(execution, &view)
}

/// A payload with what its type calls secret masked.
pub(crate) fn payload(catalog: &Catalog, instance: &TriggerInstance) -> Value {
    let trigger = instance.trigger.as_str();
    let kind = catalog
        .trigger(trigger)
        .map_or(trigger, |trigger| trigger.kind.as_str());
    let schema = catalog
        .trigger_type(kind)
        .and_then(|kind| kind.document.body.get("payload_schema"));
    match schema {
        Some(schema) => squall_schema::Mask::new(schema).apply(&instance.payload),
        None => instance.payload.clone(),
    }
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
