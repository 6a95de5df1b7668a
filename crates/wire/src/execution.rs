//! Executions, in the two shapes that StackStorm's clients read at once.

use std::borrow::Cow;

use squall_model::{Document, Execution, ExecutionId, Id, Origin, OutputChunk, TriggerInstance};
use squall_value::{Dict, Value, dict};

use crate::definition::definition;
use crate::time::{millis, timestamp};

/// What an execution is shown with.
#[derive(Debug, Default)]
pub struct ExecutionView<'a> {
    /// The action's document, while there is one.
    pub action: Option<&'a Document>,
    /// The description of the runner type.
    pub runner: Option<Value>,
    /// The result, as the caller may see it.
    pub result: Option<Value>,
    /// How long the result's JSON text is.
    pub result_size: Option<usize>,
    /// The parameters, as the caller may see them.
    pub parameters: Value,
    /// The executions directly below, for workflows.
    pub children: Vec<ExecutionId>,
    /// The rule behind it, while there is one.
    pub rule: Option<Cow<'a, Document>>,
    /// The event behind it, with the payload that the caller may see.
    pub trigger_instance: Option<(&'a TriggerInstance, Value)>,
    /// The type of that event's trigger.
    pub trigger_type: Option<&'a Document>,
    /// The parent's action, for a task.
    pub parent: Option<&'a Execution>,
    /// The address under which people find it, without the id.
    pub web_url: Option<String>,
}

/// The id of the *liveaction* that older clients expect beside the execution: the same moment,
/// another number.
fn liveaction_id(id: ExecutionId) -> ExecutionId {
    Id::from_raw(id.raw() ^ (1 << 31))
}

/// An execution as the API shows it. Members that are empty are left out.
#[must_use]
pub fn execution(execution: &Execution, view: &ExecutionView<'_>) -> Value {
    let (request, progress) = (&execution.request, &execution.progress);
    let mut body = Dict::new();
    body.insert("action", action(execution, view));
    body.insert(
        "runner",
        view.runner
            .clone()
            .unwrap_or_else(|| runner_stub(&request.runner)),
    );
    body.insert("liveaction", liveaction(execution, view));
    body.insert("status", progress.state.status().as_str());
    body.insert("start_timestamp", timestamp(request.requested));
    if let Some(ended) = progress.ended {
        body.insert("end_timestamp", timestamp(ended));
    }
    body.insert("parameters", view.parameters.clone());
    body.insert("context", context(execution, view));
    origin(execution, view, &mut body);
    if let Some(parent) = request.parent {
        body.insert("parent", parent.to_string());
        body.insert("workflow_execution", parent.to_string());
        body.insert("task_execution", request.id.to_string());
    }
    if !view.children.is_empty() {
        let children: Value = view
            .children
            .iter()
            .map(|id| Value::from(id.to_string()))
            .collect();
        body.insert("children", children);
    }
    let log = progress.log.iter().map(|entry| {
        dict! { "timestamp" => millis(entry.at), "status" => entry.status.as_str() }
    });
    body.insert("log", log.collect::<Value>());
    if let Some(url) = &view.web_url {
        body.insert("web_url", format!("{url}/#/history/{}/general", request.id));
    }
    body.insert("id", request.id.to_string());
    if let Some(size) = view.result_size {
        body.insert("result_size", size);
    }
    if let Some(result) = view.result.clone().filter(Value::is_truthy) {
        body.insert("result", result);
    }
    if let Some(ended) = progress.ended {
        let micros = ended.as_microsecond() - request.requested.as_microsecond();
        #[allow(clippy::cast_precision_loss)]
        body.insert("elapsed_seconds", micros as f64 / 1e6);
    }
    Value::from(body)
}

fn action(execution: &Execution, view: &ExecutionView<'_>) -> Value {
    view.action.map_or_else(
        || {
            let reference = &execution.request.action;
            dict! {
                "name" => reference.name(),
                "ref" => reference.text(),
                "pack" => reference.pack(),
                "runner_type" => execution.request.runner.clone(),
            }
        },
        definition,
    )
}

fn runner_stub(name: &str) -> Value {
    dict! { "name" => name, "uid" => format!("runner_type:{name}") }
}

fn liveaction(execution: &Execution, view: &ExecutionView<'_>) -> Value {
    let request = &execution.request;
    let mut body = Dict::new();
    body.insert("action", request.action.text());
    let is_workflow = matches!(&*request.runner, "orquesta" | "action-chain");
    body.insert("action_is_workflow", is_workflow);
    body.insert("parameters", view.parameters.clone());
    body.insert("callback", Value::empty_dict());
    body.insert("runner_info", Value::empty_dict());
    if request.notify.is_truthy() {
        body.insert("notify", request.notify.clone());
    }
    body.insert("id", liveaction_id(request.id).to_string());
    Value::from(body)
}

/// StackStorm's context, completed with what is a member of its own here.
fn context(execution: &Execution, view: &ExecutionView<'_>) -> Value {
    let request = &execution.request;
    let mut context = match &request.context {
        Value::Dict(context) => Dict::clone(context),
        _ => Dict::new(),
    };
    let is_workflow = matches!(&*request.runner, "orquesta");
    if is_workflow {
        context.insert("workflow_execution", request.id.to_string());
    }
    if let Origin::Task(task) = &request.origin {
        let parent = request.parent.map(|parent| parent.to_string());
        let chain = view
            .parent
            .is_some_and(|parent| &*parent.request.runner == "action-chain");
        if chain {
            let told = dict! { "name" => task.task.clone(), "parent" => parent };
            context.insert("chain", told);
        } else {
            let told = dict! {
                "workflow_execution_id" => parent,
                "task_execution_id" => request.id.to_string(),
                "task_name" => task.task.clone(),
                "task_id" => task.task.clone(),
                "task_route" => task.route,
                "item_id" => task.item,
            };
            context.insert("orquesta", told);
        }
    }
    Value::from(context)
}

fn origin(execution: &Execution, view: &ExecutionView<'_>, body: &mut Dict) {
    let Origin::Rule(origin) = &execution.request.origin else {
        return;
    };
    if let Some(rule) = &view.rule {
        body.insert("rule", definition(rule));
    }
    if let Some((instance, payload)) = &view.trigger_instance {
        body.insert(
            "trigger_instance",
            crate::trigger_instance(instance, payload.clone()),
        );
        let (pack, name) = (instance.trigger.pack(), instance.trigger.name());
        let trigger = dict! {
            "ref" => instance.trigger.text(),
            "name" => name,
            "pack" => pack,
            "type" => view.trigger_type.map(|kind| kind.key.clone()),
        };
        body.insert("trigger", trigger);
    } else {
        let id = origin.trigger_instance.to_string();
        body.insert("trigger_instance", dict! { "id" => id });
    }
    if let Some(kind) = view.trigger_type {
        body.insert("trigger_type", definition(kind));
    }
}

/// A piece of output as an event of the stream.
#[must_use]
pub fn output_event(execution: &Execution, number: u64, chunk: &OutputChunk) -> Value {
    let request = &execution.request;
    // Chunks have numbers, not ids; this makes one that is unique and sorts by time.
    let id: ExecutionId = Id::from_raw(request.id.raw() + u128::from(number) + 1);
    dict! {
        "id" => id.to_string(),
        "execution_id" => request.id.to_string(),
        "action_ref" => request.action.text(),
        "runner_ref" => request.runner.clone(),
        "timestamp" => timestamp(chunk.at),
        "output_type" => chunk.stream.as_str(),
        "data" => chunk.text.clone(),
    }
}

/// A result as clients see it: what is not a dictionary is shown as it is.
#[must_use]
pub fn visible_result(json: &str) -> Value {
    squall_value::json::read_python(json).unwrap_or_else(|_| Value::from(json))
}
