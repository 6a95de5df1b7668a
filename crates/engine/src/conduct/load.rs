//! A workflow's live state from the store.

use std::collections::HashMap;
use std::sync::Arc;

use squall_model::{Execution, ExecutionId, State};
use squall_value::{Dict, Str, Value, dict, json, python};
use squall_workflow::definition::Language;
use squall_workflow::{Conductor, Definition};

use super::children::{Children, Note};
use super::live::{Loaded, Stored};
use super::{ChildEnd, Inbound, Live, world::Datastore};
use crate::Engine;
use crate::catalog::Action;
use crate::request::Prepared;
use crate::vault::is_sealed_within;

/// From how many earlier runs of a workflow that was run again something is read.
const RERUNS_MAX: usize = 64;

/// Why a workflow's state cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// The store does not answer; it is tried again.
    #[error(transparent)]
    Store(#[from] squall_store::Error),
    /// It will never be had; the workflow fails with this reason.
    #[error("{reason}")]
    Broken {
        execution: Arc<Execution>,
        reason: String,
    },
}

impl Engine {
    /// Reads a workflow's state, or begins it. `None` when it has ended or is gone.
    pub(super) async fn load_workflow(
        self: &Arc<Engine>,
        live: &Arc<Live>,
    ) -> Result<Option<Loaded>, LoadError> {
        let id = live.id();
        let Some(execution) = self.store.execution(id).await? else {
            return Ok(None);
        };
        let begun = !matches!(
            execution.state(),
            State::Ended(_) | State::Requested | State::Delayed { .. } | State::Scheduled
        );
        if !begun {
            return Ok(None);
        }
        let broken = |reason: String| LoadError::Broken {
            execution: Arc::clone(&execution),
            reason,
        };
        let Some(action) = self.definition(&execution).await? else {
            return Err(broken(
                "the definition of the workflow is not kept any more".to_owned(),
            ));
        };
        let definition = self.workflow_definition(&action).map_err(&broken)?;
        let pieces = self.store.pieces(id).await?;
        let mut loaded = if pieces.is_empty() {
            self.begin(&execution, &action, definition)
                .map_err(&broken)?
        } else {
            self.restore(&execution, definition, &pieces)
                .map_err(&broken)?
        };
        self.learn_config(&mut loaded);
        loaded.ancestors = self.ancestors(&execution).await?;
        loaded.publisher = crate::rights::publisher(&action.document.body);
        self.reconcile(live, &mut loaded).await?;
        let deadlines = loaded.children.active().map(|(_, place)| place.deadline);
        for deadline in deadlines.chain([execution.progress.deadline]).flatten() {
            self.wakes.set(deadline, id);
        }
        Ok(Some(loaded))
    }

    /// The compiled definition of a workflow action.
    pub(super) fn workflow_definition(
        &self,
        action: &Arc<Action>,
    ) -> Result<Arc<Definition>, String> {
        if let Some(known) = self.workflows.definitions.lock().get(&action.content) {
            return Ok(Arc::clone(known));
        }
        let text = action.document.body.get("workflow").and_then(Value::as_str);
        let text = text.ok_or_else(|| {
            format!(
                "the workflow file `{}` is not in the pack",
                action.entry_point
            )
        })?;
        let parsed = match &*action.runner {
            "action-chain" => Definition::parse_chain(text),
            _ => Definition::parse(text),
        };
        let definition = Arc::new(parsed.map_err(|diagnostics| {
            let texts = diagnostics.iter().map(|diagnostic| {
                let (line, column) = (diagnostic.line, diagnostic.column);
                format!(
                    "{}:{line}:{column}: {}",
                    action.entry_point, diagnostic.message
                )
            });
            texts.collect::<Vec<_>>().join("; ")
        })?);
        let mut definitions = self.workflows.definitions.lock();
        if definitions.len() >= super::DEFINITIONS_MAX {
            definitions.clear();
        }
        definitions.insert(action.content.clone(), Arc::clone(&definition));
        Ok(definition)
    }

    fn begin(
        self: &Arc<Engine>,
        execution: &Arc<Execution>,
        action: &Arc<Action>,
        definition: Arc<Definition>,
    ) -> Result<Loaded, String> {
        let live = self.vault.open(&execution.request.parameters);
        let context = execution.request.context.clone();
        let prepared = Prepared {
            action: Arc::clone(action),
            live,
            context,
            ancestors: Vec::new(),
        };
        let parameters = self
            .finalize(&prepared)
            .map_err(|error| error.to_string())?;
        check_notify(&definition, &parameters.runner)?;
        let inputs = parameters.action;
        let children = Children::new(
            names_task_function(&definition),
            definition.language == Language::Chain,
        );
        let publisher = crate::rights::publisher(&action.document.body);
        let host = Datastore {
            eyes: self.eyes_of(publisher.as_deref(), &execution.request.user),
            engine: self,
            execution,
            children: &children,
        };
        let world = squall_workflow::World {
            expressions: &self.expressions,
            host: &host,
            joins: self.settings.joins,
        };
        let context = self.workflow_context(execution);
        let mut conductor = Conductor::start(definition, &inputs, &context, world);
        // A run whose inputs cannot be rendered is failed already, and refuses to run.
        let _ = conductor.request_status(squall_workflow::Status::Running);
        let mut loaded = Loaded::new(Arc::clone(execution), conductor, children, 0);
        loaded.is_secret = is_sealed_within(&execution.request.parameters);
        Ok(loaded)
    }

    /// What expressions of the workflow see beside its inputs: StackStorm's `st2` and `parent`.
    fn workflow_context(&self, execution: &Execution) -> Dict {
        let request = &execution.request;
        let mut context = Dict::new();
        let mut st2 = Dict::new();
        st2.insert("action_execution_id", request.id.to_string());
        st2.insert("workflow_execution_id", request.id.to_string());
        st2.insert("api_url", self.settings.api_url.as_str());
        st2.insert("user", request.user.clone());
        st2.insert("pack", request.action.pack());
        st2.insert("action", request.action.text());
        st2.insert("runner", request.runner.clone());
        context.insert("st2", st2);
        if let Some(parent) = request.context.get("parent") {
            context.insert("parent", parent.clone());
        }
        context
    }

    /// A chain may name its pack's configuration: then it knows the secrets in it.
    fn learn_config(&self, loaded: &mut Loaded) {
        let definition = loaded.conductor.definition();
        let is_chain = definition.language == Language::Chain;
        if !is_chain || !definition.source.to_json().contains("config_context") {
            return;
        }
        let request = &loaded.execution.request;
        let (pack, catalog) = (request.action.pack(), self.catalog());
        let config = self.pack_config(&catalog, pack, &request.user, &mut loaded.answers);
        if let Err(error) = config {
            tracing::debug!(%pack, %error, "the configuration of a chain's pack cannot be used");
        }
        loaded.is_secret |= !loaded.answers.is_empty();
    }

    /// The state of a workflow as it is kept. That of one that knows secrets is sealed: its
    /// variables and the results of its tasks hold them.
    pub(super) fn state_text(&self, is_secret: bool, state: &Value) -> Str {
        if is_secret {
            Str::from(self.vault.seal_value(state).to_json())
        } else {
            Str::from(state.to_json())
        }
    }

    pub(super) fn restore(
        &self,
        execution: &Arc<Execution>,
        definition: Arc<Definition>,
        stored: &[(u64, Str)],
    ) -> Result<Loaded, String> {
        let mut children = Children::new(
            names_task_function(&definition),
            definition.language == Language::Chain,
        );
        let mut pieces = Vec::new();
        let mut is_secret = is_sealed_within(&execution.request.parameters);
        for (number, text) in stored {
            let damaged =
                |error| format!("piece {number} of the workflow's state is damaged: {error}");
            let kept = json::read(text).map_err(damaged)?;
            let turn = self.vault.open_value(&kept);
            // What is sealed is no list.
            is_secret |= kept.as_list().is_none();
            for value in turn.as_list().unwrap_or_default() {
                match Note::from_value(value) {
                    Some(note) => children.apply(&note),
                    None => pieces.push(value.clone()),
                }
            }
        }
        let conductor =
            Conductor::restore_values(definition, &pieces).map_err(|error| error.to_string())?;
        let next = stored.last().map_or(0, |(number, _)| number + 1);
        let mut loaded = Loaded::new(Arc::clone(execution), conductor, children, next);
        loaded.stored = Stored::of(stored.iter().map(|(_, text)| text.len()));
        loaded.is_secret = is_secret;
        Ok(loaded)
    }

    /// Finds what has ended while nobody listened, and reads what is kept only in memory.
    async fn reconcile(
        self: &Arc<Engine>,
        live: &Arc<Live>,
        loaded: &mut Loaded,
    ) -> Result<(), squall_store::Error> {
        let mut results = HashMap::new();
        for (id, payload) in self.store.results(&loaded.children.item_ids()).await? {
            let result = json::read_python(&payload.json).unwrap_or_default();
            let result = match loaded.is_secret {
                true => self.open_answer(&result),
                false => result,
            };
            results.insert(id, result);
        }
        loaded.children.restore_results(&results);
        if loaded.is_secret {
            self.restore_answers(loaded).await?;
        }
        if loaded.children.keeps_records() {
            self.restore_records(loaded).await?;
        }
        let active: Vec<ExecutionId> = loaded.children.active().map(|(id, _)| *id).collect();
        for id in active {
            if let Some(end) = self.end_of(id).await? {
                live.deliver(Inbound::Ended(end));
            }
        }
        Ok(())
    }

    /// The end of an execution, if the store has it.
    pub(super) async fn end_of(
        &self,
        id: ExecutionId,
    ) -> Result<Option<ChildEnd>, squall_store::Error> {
        let execution = self.store.execution(id).await?;
        let Some(execution) = execution.filter(|execution| execution.state().is_ended()) else {
            return Ok(None);
        };
        let result = self.result_value(id).await?;
        let from = None;
        Ok(Some(ChildEnd {
            execution,
            from,
            result,
        }))
    }

    /// A workflow and the earlier runs of which it is a further one, the first first.
    pub(super) async fn runs(
        &self,
        execution: &Execution,
    ) -> Result<Vec<ExecutionId>, squall_store::Error> {
        let mut runs = vec![execution.id()];
        let mut origin = execution.request.origin.clone();
        while let squall_model::Origin::Rerun(before) = origin
            && runs.len() < RERUNS_MAX
        {
            runs.push(before);
            let before = self.store.execution(before).await?;
            origin = before.map_or(squall_model::Origin::User, |before| {
                before.request.origin.clone()
            });
        }
        runs.reverse();
        Ok(runs)
    }

    async fn restore_records(
        self: &Arc<Engine>,
        loaded: &mut Loaded,
    ) -> Result<(), squall_store::Error> {
        for run in self.runs(&loaded.execution).await? {
            for child in self.store.children(run).await? {
                let squall_model::Origin::Task(origin) = &child.request.origin else {
                    continue;
                };
                if child.state().is_ended() {
                    let result = self.result_value(child.id()).await?;
                    let told = self.confidence(&child, &result, &mut Vec::new());
                    let result = told.unwrap_or(result);
                    loaded.children.record(&child, origin, &result);
                }
            }
        }
        Ok(())
    }

    pub(super) async fn result_value(&self, id: ExecutionId) -> Result<Value, squall_store::Error> {
        let payload = self.store.result(id).await?;
        Ok(payload.map_or(Value::Null, |payload| {
            json::read_python(&payload.json).unwrap_or_else(|_| dict! { "error" => "damaged" })
        }))
    }

    /// The workflows above an execution, the nearest first.
    pub(crate) async fn ancestors(
        &self,
        execution: &Execution,
    ) -> Result<Vec<ExecutionId>, squall_store::Error> {
        let mut ancestors = Vec::new();
        let mut above = execution.request.parent;
        while let Some(id) = above.filter(|_| ancestors.len() <= self.settings.nesting_max) {
            ancestors.push(id);
            above = self
                .store
                .execution(id)
                .await?
                .and_then(|parent| parent.request.parent);
        }
        Ok(ancestors)
    }
}

/// Refuses a run whose `notify` names tasks that the workflow does not have: somebody would wait
/// for news that never comes.
fn check_notify(definition: &Definition, parameters: &Dict) -> Result<(), String> {
    let named = parameters.get("notify").and_then(Value::as_list);
    let named = named.unwrap_or_default().iter().map(python::str);
    let unknown: Vec<_> = named
        .filter(|task| !definition.tasks.contains_key(task.as_str()))
        .collect();
    match definition.language {
        Language::Orquesta if !unknown.is_empty() => Err(format!(
            "The following tasks in the notify parameter do not exist in the workflow definition: {}.",
            unknown.join(", ")
        )),
        _ => Ok(()),
    }
}

/// Whether any expression of the workflow may ask for the record of another task; only then are
/// results of tasks kept in memory.
fn names_task_function(definition: &Definition) -> bool {
    definition.source.to_json().contains("task(")
}
