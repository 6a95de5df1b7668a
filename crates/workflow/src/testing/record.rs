//! From a run that took place to a test that expects the same again.

use std::collections::HashMap;

use squall_value::{Dict, Str, Value};

use super::run::label;
use crate::status::Status;

/// A run that took place, as its host saw it.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The path of the workflow, as the test shall name it.
    pub workflow: String,
    /// The inputs that were supplied.
    pub inputs: Dict,
    /// What the parent execution handed down, as far as the workflow uses it.
    pub context: Dict,
    /// How actions ended, in that order.
    pub results: Vec<RecordedResult>,
    /// The tasks with their routes, in the order in which they started.
    pub sequence: Vec<(Str, usize)>,
    /// The routes.
    pub routes: Vec<Vec<Str>>,
    /// The status of the workflow.
    pub status: Status,
    /// Its output.
    pub output: Value,
}

/// How one execution of an action ended.
#[derive(Clone, Debug)]
pub struct RecordedResult {
    /// The task.
    pub task: Str,
    /// The route.
    pub route: usize,
    /// The number of the task's entry in the sequence; the same for all results where it is not
    /// known: then they are handed out in their order.
    pub entry: usize,
    /// The item, for a task with items.
    pub item: Option<usize>,
    /// The status.
    pub status: Status,
    /// What the action returned. Mask secrets before they come here.
    pub result: Value,
}

/// The recording as a test, in YAML.
#[must_use]
pub fn record(recording: &Recording) -> String {
    let mut test = Dict::new();
    test.insert("workflow", recording.workflow.clone());
    for (key, dict) in [
        ("inputs", &recording.inputs),
        ("context", &recording.context),
    ] {
        if !dict.is_empty() {
            test.insert(key, dict.clone());
        }
    }
    let mut entries: HashMap<&str, Vec<usize>> = HashMap::new();
    for result in &recording.results {
        let known = entries.entry(&result.task).or_default();
        if !known.contains(&result.entry) {
            known.push(result.entry);
        }
    }
    let mut routes: HashMap<&str, Vec<usize>> = HashMap::new();
    for result in &recording.results {
        let known = routes.entry(&result.task).or_default();
        if !known.contains(&result.route) {
            known.push(result.route);
        }
    }
    let mocks: Vec<Value> = recording
        .results
        .iter()
        .map(|result| {
            let is_repeated = entries[&*result.task].len() > 1;
            let is_routed = routes[&*result.task].len() > 1;
            mock(result, is_repeated, is_routed)
        })
        .collect();
    test.insert("mock_action_executions", mocks);
    let sequence = recording.sequence.iter();
    test.insert(
        "expected_task_sequence",
        sequence
            .map(|(task, route)| Value::from(label(task, *route)))
            .collect::<Value>(),
    );
    if recording.routes.len() > 1 {
        let route = |route: &Vec<Str>| route.iter().cloned().map(Value::from).collect::<Value>();
        test.insert(
            "expected_routes",
            recording.routes.iter().map(route).collect::<Value>(),
        );
    }
    test.insert("expected_workflow_status", recording.status.as_str());
    if !recording.output.is_null() {
        test.insert("expected_output", recording.output.clone());
    }
    squall_yaml::to_yaml(&Value::from(test))
}

fn mock(result: &RecordedResult, is_repeated: bool, is_routed: bool) -> Value {
    let mut mock = Dict::new();
    mock.insert("task_id", result.task.clone());
    if is_routed {
        mock.insert("route", result.route);
    }
    if is_repeated {
        mock.insert("seq_id", result.entry);
    }
    if let Some(item) = result.item {
        mock.insert("item_id", item);
    }
    if result.status != Status::Succeeded {
        mock.insert("status", result.status.as_str());
    }
    if !result.result.is_null() {
        mock.insert("result", result.result.clone());
    }
    Value::from(mock)
}
