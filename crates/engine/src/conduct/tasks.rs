//! The tasks that a turn starts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use squall_env::fresh_id;
use squall_model::{Origin, TaskOrigin, Timestamp};
use squall_value::{Dict, Str, Value, dict};
use squall_workflow::definition::Language;
use squall_workflow::{ActionRequest, Status, TaskEvent, TaskRequest};

use super::children::{Note, Place};
use super::live::Loaded;
use super::turn::Turn;
use crate::Engine;
use crate::catalog::Action;
use crate::plan::After;
use crate::request::{Ask, Templates, Writer};

/// How often one turn asks the conductor for more: tasks without an action end at once, and a cycle
/// of such tasks would never let the turn end.
const POLLS_MAX: usize = 200;

/// How many executions one turn starts at most, so that no transaction grows without bound.
const STARTS_MAX: usize = 1_000;

impl Engine {
    /// Starts whatever the conductor hands out.
    pub(super) fn start_tasks(self: &Arc<Engine>, loaded: &mut Loaded, turn: &mut Turn) {
        let mut started = 0;
        for _ in 0..POLLS_MAX {
            let mut requests =
                self.with_world(loaded, |conductor, world| conductor.next_tasks(world));
            requests.retain(|request| !runs_already(loaded, request));
            if requests.is_empty() {
                return;
            }
            for request in requests {
                started += request.actions.len();
                self.start_task(loaded, &request, turn);
                if started >= STARTS_MAX {
                    turn.again = true;
                    return;
                }
            }
        }
        turn.again = true;
    }

    fn start_task(self: &Arc<Engine>, loaded: &mut Loaded, request: &TaskRequest, turn: &mut Turn) {
        if request.actions.is_empty() {
            self.pass(loaded, request, Value::empty_list());
            return;
        }
        let now = self.env.now();
        let limit = request
            .timeout
            .and_then(|seconds| u64::try_from(seconds).ok());
        let fresh = limit.and_then(|seconds| now.checked_add(Duration::from_secs(seconds)).ok());
        // Later items of the same run have no more time than the first.
        let entry = loaded.conductor.task(&request.task, request.route);
        let goes_on = request.items_count.is_some()
            && entry.is_some_and(|entry| entry.status == Status::Running);
        let known = loaded.children.items_deadline(&request.task, request.route);
        let deadline = known.filter(|_| goes_on).or(fresh);
        if let Some(deadline) = deadline {
            turn.plan.then(After::Wake(deadline, loaded.execution.id()));
        }
        for action in &request.actions {
            if action.action.is_null() && action.item.is_none() {
                self.pass(loaded, request, Value::Null);
            } else {
                self.start_action(loaded, request, action, deadline, turn);
            }
        }
    }

    /// A task that has nothing to run is over at once.
    fn pass(self: &Arc<Engine>, loaded: &mut Loaded, request: &TaskRequest, result: Value) {
        for status in [Status::Running, Status::Succeeded] {
            let event = TaskEvent::new(request.task.clone(), request.route, status);
            let event = event.with_result(result.clone());
            let told = self.with_world(loaded, |conductor, world| {
                conductor.task_event(event, world)
            });
            if let Err(refusal) = told {
                tracing::warn!(task = %request.task, %refusal, "a task without an action did not pass");
            }
        }
    }

    fn start_action(
        self: &Arc<Engine>,
        loaded: &mut Loaded,
        request: &TaskRequest,
        action: &ActionRequest,
        deadline: Option<Timestamp>,
        turn: &mut Turn,
    ) {
        let place = Place {
            task: request.task.clone(),
            route: request.route,
            item: action.item,
            items: request.items_count,
            deadline,
        };
        let ask = self.ask_for_task(loaded, request, action);
        let catalog = self.catalog();
        let prepared = ask.and_then(|ask| match self.prepare(&catalog, &ask) {
            Ok(mut prepared) => {
                prepared.ancestors.push(loaded.execution.id());
                prepared.ancestors.extend(&loaded.ancestors);
                Ok((ask, Arc::new(prepared)))
            }
            Err(error) => Err(error.to_string()),
        });
        match prepared {
            Ok((mut ask, prepared)) => {
                ask.notify = self.task_notify(loaded, &request.task, &prepared.action);
                let placed = self.place(ask, &prepared, self.env.now(), &mut turn.plan);
                let note = Note::Started(placed.execution.id(), place.clone());
                loaded.children.apply(&note);
                turn.notes.push(note);
                self.tell(loaded, &place, Status::Running, Value::Null);
            }
            Err(reason) => self.refuse(loaded, &place, &reason, turn),
        }
    }

    /// A task whose action can't be asked for fails without an execution.
    fn refuse(
        self: &Arc<Engine>,
        loaded: &mut Loaded,
        place: &Place,
        reason: &str,
        turn: &mut Turn,
    ) {
        let mut notes = Vec::new();
        if place.item.is_some() {
            // An item still needs its place in the list.
            let id = fresh_id(&*self.env);
            notes.extend([Note::Started(id, place.clone()), Note::Ended(id)]);
        }
        let result = match loaded.conductor.definition().language {
            Language::Orquesta => {
                dict! { "errors" => squall_value::list![dict! { "message" => reason }] }
            }
            Language::Chain => {
                let task = &place.task;
                let error = format!("Failed running task \"{task}\". {reason}");
                let result = dict! { "error" => error };
                let now = self.env.now();
                notes.push(loaded.children.refusal(task, now, result.clone()));
                result
            }
        };
        for note in notes {
            loaded.children.apply(&note);
            turn.notes.push(note);
        }
        self.tell(loaded, place, Status::Running, Value::Null);
        self.tell(loaded, place, Status::Failed, result);
    }

    /// Whom the end of a task is told: whom its action names, else whom the workflow was asked to
    /// tell. A task of a chain tells unless it is to be skipped; a task of an Orquesta workflow
    /// only if the workflow's parameter `notify` names it.
    fn task_notify(&self, loaded: &Loaded, task: &str, action: &Action) -> Value {
        let workflow = &loaded.execution.request;
        let definition = loaded.conductor.definition();
        let is_named_in = |parameter: &str| {
            let tasks = self.workflow_parameter(loaded, parameter);
            let tasks = tasks.as_ref().and_then(Value::as_list);
            tasks.is_some_and(|tasks| tasks.iter().any(|name| name.as_str() == Some(task)))
        };
        let inherited = match definition.language {
            Language::Chain if is_named_in("skip_notify") => return Value::empty_dict(),
            Language::Chain => definition.notify(task).unwrap_or(&workflow.notify),
            Language::Orquesta if is_named_in("notify") => &workflow.notify,
            Language::Orquesta => return Value::empty_dict(),
        };
        let own = action.document.body.get("notify");
        match own.filter(|own| own.is_truthy()).unwrap_or(inherited) {
            Value::Null => Value::empty_dict(),
            notify => notify.clone(),
        }
    }

    /// A parameter of the workflow's runner, as it was given, or else its default.
    pub(super) fn workflow_parameter(&self, loaded: &Loaded, parameter: &str) -> Option<Value> {
        let workflow = &loaded.execution.request;
        let given = workflow.parameters.get(parameter);
        if let Some(given) = given.filter(|given| !given.is_null()) {
            return Some(given.clone());
        }
        let catalog = self.catalog();
        let metadata = catalog.action(workflow.action.as_str())?;
        let metadata = metadata.parameters.merged().get(parameter)?;
        metadata.attributes().get("default").cloned()
    }

    fn ask_for_task(
        self: &Arc<Engine>,
        loaded: &Loaded,
        request: &TaskRequest,
        action: &ActionRequest,
    ) -> Result<Ask, String> {
        if loaded.ancestors.len() >= self.settings.nesting_max {
            return Err(crate::RequestError::TooDeep(self.settings.nesting_max).to_string());
        }
        let reference = action.action.as_str().ok_or_else(|| {
            let got = squall_value::python::repr(&action.action);
            format!(
                "the action of task `{}` must be a text, not {got}",
                request.task
            )
        })?;
        let parameters = match &action.input {
            Value::Null => Dict::new(),
            Value::Dict(input) => (**input).clone(),
            other => {
                let kind = other.kind();
                return Err(format!(
                    "the input of task `{}` must be a dictionary, not {kind}",
                    request.task
                ));
            }
        };
        let workflow = &loaded.execution.request;
        let written = loaded.conductor.definition().tasks.get(&request.task);
        let written = written.and_then(|task| task.action.as_ref()?.source().as_str());
        self.check_step(
            &workflow.user,
            loaded.publisher.as_deref(),
            written,
            reference,
        )?;
        let entry = loaded.conductor.task(&request.task, request.route);
        let mut ask = Ask::new(reference, workflow.user.clone());
        ask.templates = Templates {
            writer: Writer::Publisher(loaded.publisher.clone()),
            only: Some(written_templates(loaded, &request.task)),
        };
        ask.parameters = parameters;
        ask.context = child_context(workflow);
        ask.origin = Origin::Task(TaskOrigin {
            task: request.task.clone(),
            route: request.route,
            item: action.item,
            turn: entry.map_or(0, |entry| entry.entry as u64),
        });
        ask.parent = Some((workflow.id, workflow.root));
        ask.trace_tag = workflow.trace_tag.clone();
        // With a limit on items, only the first wave is delayed; the others wait for a place anyway.
        let first = match (action.item, request.concurrency) {
            (Some(item), Some(limit)) => i64::try_from(item).is_ok_and(|item| item < limit.max(1)),
            _ => true,
        };
        let delay = request
            .delay
            .filter(|_| first)
            .and_then(|seconds| u64::try_from(seconds).ok());
        ask.delay = delay
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs);
        Ok(ask)
    }
}

/// Whether the task is under way: a further branch has arrived at it meanwhile, and it runs again
/// when it is over. The end of a second action beside the first would be ignored. Further items are
/// no second run.
fn runs_already(loaded: &Loaded, request: &TaskRequest) -> bool {
    let known = loaded.conductor.task(&request.task, request.route);
    request.items_count.is_none() && known.is_some_and(|task| task.status.is_under_way())
}

/// The parameters that a workflow hands to a task's action as templates, by `{% raw %}`. All others
/// are values by now, and what stands in them came from anywhere.
fn written_templates(loaded: &Loaded, task: &str) -> BTreeSet<Str> {
    let task = loaded.conductor.definition().tasks.get(task);
    let input = task.and_then(|task| task.input.as_ref()?.source().as_dict());
    let input = input.into_iter().flat_map(Dict::iter);
    let raw = input.filter(|(_, value)| has_raw_block(value));
    raw.map(|(name, _)| name.clone()).collect()
}

fn has_raw_block(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{% raw %}"),
        Value::List(items) => items.iter().any(has_raw_block),
        Value::Dict(members) => members.iter().any(|(_, member)| has_raw_block(member)),
        _ => false,
    }
}

/// What a task's execution is told about the workflow above it.
fn child_context(workflow: &squall_model::ExecutionRequest) -> Value {
    let mut parent = match &workflow.context {
        Value::Dict(context) => (**context).clone(),
        _ => Dict::new(),
    };
    parent.insert("execution_id", workflow.id.to_string());
    parent.insert("pack", workflow.action.pack());
    parent.remove("parent");
    let mut context = Dict::new();
    for name in ["trace_context", "api_user", "source_channel"] {
        if let Some(value) = workflow.context.get(name) {
            context.insert(Str::from(name), value.clone());
        }
    }
    context.insert("parent", parent);
    Value::from(context)
}
