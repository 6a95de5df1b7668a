//! `workflow test --record`: from a past run to a test that expects the same again.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use squall_client::{Client, Execution};
use squall_expr::Expressions;
use squall_value::{Dict, Str, Value, dict};
use squall_workflow::testing::{self, RecordedResult, Recording};
use squall_workflow::{Definition, Status};

use super::execution::full_id;
use super::{DONE, Invocation};
use crate::failure::FAILED;
use crate::input;

/// Prints the test. Gives [`FAILED`] where the test would not pass, and says why.
pub(super) async fn record(
    invocation: &mut Invocation,
    id: String,
    workflow: Option<String>,
) -> Result<u8> {
    let client = invocation.client()?;
    let id = full_id(&client, id).await?;
    let execution = client.execution(&id).await?;
    check(&execution)?;
    let path = match workflow {
        Some(path) => path,
        None => found(&execution)?,
    };
    let text = input::text(&path)?;
    let mut recording = Recording {
        workflow: path,
        inputs: inputs(&client, &execution, &text).await?,
        context: context(&execution, &text),
        results: results(&execution, &client.children(&id).await?),
        status: Status::parse(execution.status()).unwrap_or(Status::Failed),
        output: member(&execution, &["result", "output"]),
        ..Recording::default()
    };
    let failures = rehearse(&mut recording, &text)?;
    invocation.console.write(&testing::record(&recording))?;
    if failures.is_empty() {
        return Ok(DONE);
    }
    let why = failures.join("\n");
    invocation.console.note(&format!(
        "error: the run was written, but does not pass as a test: {why}\n\
         help: the workflow may have changed since, read the datastore (give the test a \
         `datastore`), or have been decided on by a person"
    ));
    Ok(FAILED)
}

/// Whether an execution is the whole run of an Orquesta workflow.
fn check(execution: &Execution) -> Result<()> {
    let (id, action, status) = (execution.id(), execution.action(), execution.status());
    ensure!(
        execution.runner() == "orquesta",
        "{id} ran {action}, which is no Orquesta workflow: only those are recorded"
    );
    if let Some(before) = execution.value().get_path(&["context", "re-run", "ref"]) {
        let before = before.as_str().unwrap_or("another run");
        bail!(
            "{id} goes on from {before} and has only a part of the tasks: a whole run is recorded"
        );
    }
    ensure!(
        matches!(status, "succeeded" | "failed"),
        "{id} is {status}: only a run that succeeded or failed by itself can be repeated as a test"
    );
    Ok(())
}

/// The workflow's file, which is looked for where it lies in a pack and beside packs.
fn found(execution: &Execution) -> Result<String> {
    let entry = member(execution, &["action", "entry_point"]);
    let entry = entry.as_str().unwrap_or_default();
    let pack = execution.action().split('.').next().unwrap_or_default();
    let places = [
        format!("actions/{entry}"),
        format!("{pack}/actions/{entry}"),
        format!("packs/{pack}/actions/{entry}"),
    ];
    let is_there = |place: &&String| !entry.is_empty() && Path::new(place).is_file();
    match places.iter().find(is_there) {
        Some(place) => Ok(place.clone()),
        None => bail!(
            "the workflow of {} is not here: none of {} is a file; name it with --workflow FILE",
            execution.action(),
            places.join(", ")
        ),
    }
}

/// The workflow's inputs: what was given, and the defaults of the action for the others. Templates
/// among those were rendered by the server and are left out.
async fn inputs(client: &Client, execution: &Execution, text: &str) -> Result<Dict> {
    let given = execution.parameters().and_then(Value::as_dict);
    let known = client.action_parameters(execution.action()).await?;
    let Ok(definition) = Definition::parse(text) else {
        // The rehearsal tells what is wrong with it.
        return Ok(given.cloned().unwrap_or_default());
    };
    let mut inputs = Dict::new();
    for input in &definition.input {
        let default = known
            .get(&input.name)
            .and_then(|known| known.get("default"));
        let is_template = |value: &&Value| value.to_json().contains("{{");
        let default = default.filter(|value| !value.is_null() && !is_template(value));
        let value = given.and_then(|given| given.get(&input.name)).or(default);
        if let Some(value) = value {
            inputs.insert(input.name.clone(), value.clone());
        }
    }
    Ok(inputs)
}

/// What the workflow's expressions saw beside its inputs, as far as its text names it.
fn context(execution: &Execution, text: &str) -> Dict {
    let mut context = Dict::new();
    // The functions of the datastore begin with the same letters.
    if text.replace("st2kv", "").contains("st2") {
        let reference = execution.action();
        let seen = dict! {
            "action_execution_id" => execution.id(),
            "workflow_execution_id" => execution.id(),
            "user" => execution.user(),
            "pack" => reference.split('.').next().unwrap_or_default(),
            "action" => reference,
            "runner" => execution.runner(),
        };
        context.insert("st2", seen);
    }
    let parent = member(execution, &["context", "parent"]);
    if text.contains("parent") && !parent.is_null() {
        context.insert("parent", parent);
    }
    context
}

/// How the actions ended, in that order.
fn results(execution: &Execution, below: &[Execution]) -> Vec<RecordedResult> {
    let mut tasks: Vec<&Execution> = below
        .iter()
        .filter(|child| child.parent() == execution.id())
        .collect();
    tasks.sort_by_key(|child| child.ended().to_owned());
    // Of the attempts of a retry policy the workflow hears only the last.
    let retried: Vec<&str> = tasks
        .iter()
        .filter_map(|child| attempt_before(child))
        .collect();
    let mut results: Vec<RecordedResult> = tasks
        .iter()
        .filter(|child| !retried.contains(&child.id()))
        .filter_map(|child| result(child))
        .collect();
    // A task whose action could not be asked for has no execution, but an error.
    let errors = member(execution, &["result", "errors"]);
    for error in errors.as_list().unwrap_or_default() {
        let task = error.get("task_id").and_then(Value::as_str);
        let told = error.get("result").filter(|told| !told.is_null());
        let (Some(task), Some(told)) = (task, told) else {
            continue;
        };
        if !results.iter().any(|known| &*known.task == task) {
            results.push(RecordedResult {
                task: Str::from(task),
                route: 0,
                entry: 0,
                item: None,
                status: Status::Failed,
                result: told.clone(),
            });
        }
    }
    results
}

fn attempt_before(child: &Execution) -> Option<&str> {
    let path = ["context", "policies", "retry", "retried_liveaction_id"];
    child.value().get_path(&path)?.as_str()
}

fn result(child: &Execution) -> Option<RecordedResult> {
    let place = child.task()?;
    let route = child
        .value()
        .get_path(&["context", "orquesta", "task_route"]);
    let number = |value: i64| usize::try_from(value).ok();
    Some(RecordedResult {
        task: Str::from(place.name),
        route: route.and_then(Value::as_int).and_then(number).unwrap_or(0),
        entry: 0,
        item: place.item.and_then(number),
        status: Status::parse(child.status())?,
        result: child.result().cloned().unwrap_or_default(),
    })
}

/// Lets the recording run as a test and takes from that the order of the tasks, which in a test is
/// always the same. Gives what is not as it was.
fn rehearse(recording: &mut Recording, text: &str) -> Result<Vec<String>> {
    let test = testing::record(recording);
    let cases = testing::parse(&test).map_err(|findings| {
        let texts = findings
            .iter()
            .map(|finding| finding.render("<test>", &test));
        anyhow::anyhow!("{}", texts.collect::<String>())
    })?;
    let mut failures = Vec::new();
    for mut case in cases {
        case.expected.sequence = None;
        case.expected.routes = None;
        let read = |_: &str| Ok(text.to_owned());
        let (outcome, rehearsed) = testing::rehearse(&case, &Expressions::default(), &read);
        failures.extend(outcome.failures);
        recording.sequence = rehearsed.sequence;
        recording.routes = rehearsed.routes;
    }
    Ok(failures)
}

fn member(execution: &Execution, path: &[&str]) -> Value {
    execution
        .value()
        .get_path(path)
        .cloned()
        .unwrap_or_default()
}
