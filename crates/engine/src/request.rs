//! The request stage: somebody asks for an action, and it becomes an execution or a refusal.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use squall_env::fresh_id;
use squall_expr::Host;
use squall_model::{
    Event, Execution, ExecutionId, ExecutionRequest, Origin, Outcome, Progress, Timestamp,
};
use squall_policy::Excess;
use squall_schema::{Final, Given, ImmutableOverride, Invalid, Seen, render};
use squall_store::{Command, CommitError};
use squall_value::{Dict, Str, Value, dict};

use crate::catalog::{Action, Nature};
use crate::plan::{After, Plan};
use crate::rights::publisher;
use crate::{Catalog, Engine, Eyes};

/// What somebody asks for.
#[derive(Clone)]
pub struct Ask {
    /// The action, `pack.name`.
    pub action: Str,
    /// Its parameters as given.
    pub parameters: Dict,
    /// Which of them may be templates.
    pub templates: Templates,
    /// On whose behalf.
    pub user: Str,
    /// StackStorm's action context, as far as the caller knows it; a dictionary.
    pub context: Value,
    /// Who or what asks.
    pub origin: Origin,
    /// The execution above it: its id, and the topmost of its tree.
    pub parent: Option<(ExecutionId, ExecutionId)>,
    /// The trace it belongs to.
    pub trace_tag: Option<Str>,
    /// Whom to notify, in StackStorm's shape, or null.
    pub notify: Value,
    /// How long to wait before it starts.
    pub delay: Option<Duration>,
    /// Free-form tags.
    pub tags: Vec<Str>,
    /// Further variables for templates in parameters, such as `trigger` for a rule's.
    pub variables: Dict,
}

/// Which parameters of an [`Ask`] may be templates. The others are data, whatever they look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Templates {
    /// Whose they are: they see what their writer may see.
    pub writer: Writer,
    /// The names of those that may be templates; `None` for all.
    pub only: Option<BTreeSet<Str>>,
}

/// Who has written a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writer {
    /// The one who asks.
    Asker,
    /// Who published the definition that asks, if it came through the API; files of packs are
    /// trusted.
    Publisher(Option<Str>),
}

impl Templates {
    /// There are none: everything was rendered before, or comes from outside.
    #[must_use]
    pub fn none() -> Templates {
        Templates {
            writer: Writer::Asker,
            only: Some(BTreeSet::new()),
        }
    }
}

impl Ask {
    /// A plain request of a user, without parameters.
    #[must_use]
    pub fn new(action: impl Into<Str>, user: impl Into<Str>) -> Ask {
        Ask {
            action: action.into(),
            parameters: Dict::new(),
            templates: Templates {
                writer: Writer::Asker,
                only: None,
            },
            user: user.into(),
            context: Value::empty_dict(),
            origin: Origin::User,
            parent: None,
            trace_tag: None,
            notify: Value::Null,
            delay: None,
            tags: Vec::new(),
            variables: Dict::new(),
        }
    }
}

/// Why a request is refused. `Display` is StackStorm's text where clients know one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such action.
    #[error("Action \"{0}\" cannot be found.")]
    UnknownAction(Str),
    /// The action is switched off.
    #[error("Unable to execute. Action \"{0}\" is disabled.")]
    Disabled(Str),
    /// The runner of the action is switched off.
    #[error("Unable to execute. Runner \"{0}\" has been disabled by the administrator.")]
    RunnerDisabled(Str),
    /// The parameters are not what the action asks for.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// A parameter may not be set by callers.
    #[error("{0}")]
    Immutable(#[from] ImmutableOverride),
    /// A template in a parameter failed, or a value cannot be cast.
    #[error("{0}")]
    Render(#[from] render::Error),
    /// The parameters are too large.
    #[error(
        "the parameters have {bytes} bytes, more than the {bytes_max} that are accepted; pass a reference to the data instead"
    )]
    TooLarge {
        /// Their size as JSON.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Workflows call each other without end.
    #[error("executions nest deeper than {0}: does a workflow call itself?")]
    TooDeep(usize),
    /// The server is about to stop.
    #[error("the server is stopping and takes no new work")]
    Stopping,
    /// The store failed.
    #[error("the request could not be stored")]
    Store(#[from] CommitError),
}

/// A request that was found to be in order.
pub(crate) struct Prepared {
    pub(crate) action: Arc<Action>,
    /// The parameters as they are kept: given ones rendered and cast.
    pub(crate) live: Dict,
    /// The context that templates see.
    pub(crate) context: Value,
    /// The workflows above it, the nearest first.
    pub(crate) ancestors: Vec<ExecutionId>,
}

// Parameters hold secrets, so neither prints them.

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("action", &self.action.reference)
            .finish_non_exhaustive()
    }
}

/// What came of an execution at its first commit.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) execution: Arc<Execution>,
    pub(crate) result: Option<Value>,
}

impl Engine {
    /// Asks for an action. Returns when the execution is durable.
    ///
    /// # Errors
    ///
    /// [`Error`]; nothing was made then.
    pub async fn request(self: &Arc<Engine>, ask: Ask) -> Result<Arc<Execution>, Error> {
        if self.is_stopping() {
            return Err(Error::Stopping);
        }
        let catalog = self.catalog();
        let prepared = Arc::new(self.prepare(&catalog, &ask)?);
        let mut plan = Plan::default();
        let placed = self.place(ask, &prepared, self.env.now(), &mut plan);
        self.carry_out(plan).await?;
        Ok(placed.execution)
    }

    /// Checks a request and renders its parameters; changes nothing.
    pub(crate) fn prepare(&self, catalog: &Catalog, ask: &Ask) -> Result<Prepared, Error> {
        let action = catalog
            .action(&ask.action)
            .ok_or_else(|| Error::UnknownAction(ask.action.clone()))?;
        if !action.enabled {
            return Err(Error::Disabled(ask.action.clone()));
        }
        if !catalog.is_runner_enabled(&action.runner) {
            return Err(Error::RunnerDisabled(action.runner.clone()));
        }
        let bytes_max = self.settings.payload_bytes_max;
        let mut bytes = 0;
        for value in ask.parameters.values() {
            bytes += weigh(value, bytes_max - bytes.min(bytes_max));
        }
        if bytes > bytes_max {
            return Err(Error::TooLarge { bytes, bytes_max });
        }
        action.parameters.check_immutable(&ask.parameters)?;
        let context = self.context_of(ask);
        let live = self.live(catalog, action, ask, &context)?;
        action.parameters.validate(&live)?;
        Ok(Prepared {
            action: Arc::clone(action),
            live,
            context,
            ancestors: Vec::new(),
        })
    }

    /// The parameters as they are kept. Templates that were given see what their writer may see, and
    /// those of the definition what its publisher may.
    fn live(
        &self,
        catalog: &Catalog,
        action: &Action,
        ask: &Ask,
        context: &Value,
    ) -> Result<Dict, render::Error> {
        let pack = action.reference.pack();
        let config = || self.config_context(catalog, pack, &ask.user);
        let shown = || match catalog.config_schema(pack) {
            Some(schema) => schema.mask().apply(&config()),
            None => config(),
        };
        let writer = match &ask.templates.writer {
            Writer::Asker => self.eyes(&ask.user),
            Writer::Publisher(publisher) => self.eyes_of(publisher.as_deref(), &ask.user),
        };
        let only = ask.templates.only.as_ref();
        let given = Given {
            values: &ask.parameters,
            // What the action does not know is refused below, and need not be rendered for that.
            is_data: &|name| {
                only.is_some_and(|only| !only.contains(name))
                    || action.parameters.merged().get(name).is_none()
            },
            seen: writer.as_ref().map(|eyes| Seen {
                host: eyes,
                config: &shown,
            }),
        };
        let publisher = publisher(&action.document.body);
        let own = self.eyes_of(publisher.as_deref(), &ask.user);
        let host = Eyes::or_all(own.as_ref(), &self.datastore);
        let sources = self.sources(context, &config, &ask.variables, host);
        action.parameters.live(given, &sources)
    }

    /// The configuration of an action's pack as templates see it: as the action does.
    fn config_context(&self, catalog: &Catalog, pack: &str, user: &Str) -> Value {
        let config = self.pack_config(catalog, pack, user, &mut Vec::new());
        config.unwrap_or_else(|error| {
            tracing::warn!(%pack, %error, "templates can't read the configuration of their pack");
            Value::empty_dict()
        })
    }

    fn context_of(&self, ask: &Ask) -> Value {
        let mut context = match &ask.context {
            Value::Dict(given) => (**given).clone(),
            _ => Dict::new(),
        };
        context.insert("user", ask.user.clone());
        if let Some(pack) = ask.action.split('.').next() {
            context.insert("pack", pack);
        }
        if let Some(tag) = &ask.trace_tag
            && context.get("trace_context").is_none()
        {
            context.insert("trace_context", dict! { "trace_tag" => tag.clone() });
        }
        Value::from(context)
    }

    pub(crate) fn sources<'a>(
        &'a self,
        context: &'a Value,
        config: &'a dyn Fn() -> Value,
        additional: &'a Dict,
        host: &'a dyn Host,
    ) -> squall_schema::Sources<'a> {
        squall_schema::Sources {
            action_context: context,
            config,
            additional,
            system_user: &self.settings.system_user,
            expressions: &self.expressions,
            host,
        }
    }

    /// The parameters with which an execution runs: defaults applied, split into the runner's and
    /// the action's.
    pub(crate) fn finalize(&self, prepared: &Prepared) -> Result<Final, render::Error> {
        let catalog = self.catalog();
        let action = &prepared.action;
        let variables = Dict::new();
        let asker = prepared.context.get("user").and_then(Value::as_str);
        let asker = Str::from(asker.unwrap_or_default());
        let config = || self.config_context(&catalog, action.reference.pack(), &asker);
        let publisher = publisher(&action.document.body);
        let own = self.eyes_of(publisher.as_deref(), &asker);
        let host = Eyes::or_all(own.as_ref(), &self.datastore);
        let sources = self.sources(&prepared.context, &config, &variables, host);
        action.parameters.finalize(&prepared.live, &sources)
    }

    /// Makes an execution of a prepared request and lets it get as far as it can in one commit.
    pub(crate) fn place(
        self: &Arc<Engine>,
        ask: Ask,
        prepared: &Arc<Prepared>,
        now: Timestamp,
        plan: &mut Plan,
    ) -> Placed {
        let id: ExecutionId = fresh_id(&*self.env);
        let action = &prepared.action;
        let (parent, root) = match ask.parent {
            Some((parent, root)) => (Some(parent), root),
            None => (None, id),
        };
        let notify = match ask.notify {
            Value::Null => action
                .document
                .body
                .get("notify")
                .cloned()
                .unwrap_or_default(),
            given => given,
        };
        let request = ExecutionRequest {
            id,
            action: action.reference.clone(),
            runner: action.runner.clone(),
            definition: action.content.clone(),
            parameters: self.vault.seal(&prepared.live, action.parameters.mask()),
            context: prepared.context.clone(),
            origin: ask.origin,
            user: ask.user,
            parent,
            root,
            trace_tag: ask.trace_tag,
            notify,
            requested: now,
            tags: ask.tags,
        };
        let execution = Execution {
            request: Arc::new(request),
            progress: Progress::requested(now),
        };
        let until = ask.delay.and_then(|delay| now.checked_add(delay).ok());
        let is_limited = self.catalog().is_limited(&action.reference.text());
        if is_limited {
            plan.gated.push(id);
        }
        // What starts and ends in this very commit needs no claim.
        if is_limited || until.is_some() || action.nature != Nature::Immediate {
            plan.claims.extend(self.claims.enter(id));
        }
        let placed = self.settle(execution, prepared, until, now, plan);
        plan.push(Command::InsertExecution {
            execution: Arc::clone(&placed.execution),
            result: placed.result.as_ref().map(crate::payload),
        });
        placed
    }

    /// Lets an execution that has not started get as far as it can, and notes what follows.
    pub(crate) fn settle(
        self: &Arc<Engine>,
        mut execution: Execution,
        prepared: &Arc<Prepared>,
        until: Option<Timestamp>,
        now: Timestamp,
        plan: &mut Plan,
    ) -> Placed {
        let id = execution.id();
        let mut result = None;
        let progress = execution.progress.clone();
        let (progress, after) = if let Some(until) = until.filter(|until| *until > now) {
            (
                step(progress, Event::Delay { until: Some(until) }, now),
                After::Wake(until, id),
            )
        } else {
            match self.admit(&execution.request, prepared) {
                Verdict::Wait => {
                    execution.progress = step(progress, Event::Delay { until: None }, now);
                    return Placed {
                        execution: Arc::new(execution),
                        result: None,
                    };
                }
                Verdict::Cancel => {
                    result = Some(dict! { "error" => "canceled by a concurrency policy" });
                    let progress = step(progress, Event::Cancel, now);
                    execution.progress = progress;
                    let execution = Arc::new(execution);
                    plan.then(After::Ended(Arc::clone(&execution)));
                    self.tell_parent(&execution, result.as_ref(), plan);
                    if let Some(result) = &result {
                        self.announce(&execution, result, plan);
                    }
                    return Placed { execution, result };
                }
                Verdict::Go => {}
            }
            let progress = match progress.state {
                squall_model::State::Scheduled => progress,
                _ => step(progress, Event::Admit, now),
            };
            return self.start(execution, progress, prepared, now, plan);
        };
        execution.progress = progress;
        plan.then(after);
        Placed {
            execution: Arc::new(execution),
            result,
        }
    }

    /// Starts an admitted execution, if its nature and the slots allow.
    fn start(
        self: &Arc<Engine>,
        mut execution: Execution,
        progress: Progress,
        prepared: &Arc<Prepared>,
        now: Timestamp,
        plan: &mut Plan,
    ) -> Placed {
        let lease = self.lease;
        match prepared.action.nature {
            Nature::Workflow => {
                let lease = squall_model::Lease::NONE;
                execution.progress = step(progress, Event::Start { lease }, now);
                plan.then(After::Conduct(execution.id()));
                Placed {
                    execution: Arc::new(execution),
                    result: None,
                }
            }
            Nature::Inquiry => {
                execution.progress = progress;
                self.ask(execution, prepared, now, plan)
            }
            Nature::Immediate => {
                execution.progress = step(progress, Event::Start { lease }, now);
                let (outcome, result) = self.evaluate(&execution, prepared);
                let finish = Event::Finish { lease, outcome };
                execution.progress = step(execution.progress, finish, self.env.now());
                let execution = Arc::new(execution);
                plan.then(After::Ended(Arc::clone(&execution)));
                self.tell_parent(&execution, Some(&result), plan);
                self.announce(&execution, &result, plan);
                Placed {
                    execution,
                    result: Some(result),
                }
            }
            Nature::External if self.slots.take() => {
                execution.progress = step(progress, Event::Start { lease }, now);
                let execution = Arc::new(execution);
                plan.then(After::Run(Arc::clone(&execution), Arc::clone(prepared)));
                Placed {
                    execution,
                    result: None,
                }
            }
            Nature::External => {
                execution.progress = progress;
                let execution = Arc::new(execution);
                plan.then(After::Queue(Arc::clone(&execution), Arc::clone(prepared)));
                Placed {
                    execution,
                    result: None,
                }
            }
        }
    }

    fn tell_parent(&self, execution: &Arc<Execution>, result: Option<&Value>, plan: &mut Plan) {
        if execution.request.parent.is_some() {
            let result = result.cloned().unwrap_or_default();
            plan.then(After::ChildEnded(Arc::clone(execution), result));
        }
    }

    /// Asks every concurrency policy of the action.
    fn admit(self: &Arc<Engine>, request: &ExecutionRequest, prepared: &Prepared) -> Verdict {
        let catalog = self.catalog();
        let action = prepared.action.reference.as_str();
        if !catalog.is_limited(action) {
            return Verdict::Go;
        }
        for policy in catalog.policies(action) {
            let Some(limit) = policy.limit() else {
                continue;
            };
            let mask = prepared.action.parameters.mask();
            let key = crate::gates::key(policy, limit, &prepared.live, mask);
            let above = &prepared.ancestors;
            match self.gates.ask(&key, request.id, above, limit) {
                squall_policy::Admission::Admitted => {}
                squall_policy::Admission::Waiting(_) if limit.excess == Excess::Delay => {
                    return Verdict::Wait;
                }
                squall_policy::Admission::Waiting(_) => {
                    self.leave_gates(request.id);
                    return Verdict::Cancel;
                }
            }
        }
        Verdict::Go
    }

    fn evaluate(&self, execution: &Execution, prepared: &Prepared) -> (Outcome, Value) {
        match self.job(execution, prepared) {
            Err(error) => (Outcome::Failed, failure(&error)),
            Ok((runner, job)) => match runner.evaluate(&job) {
                Some(outcome) => crate::run::ended(outcome),
                None => (
                    Outcome::Failed,
                    dict! { "error" => "the runner gave no answer" },
                ),
            },
        }
    }
}

/// What the policies say.
enum Verdict {
    Go,
    Wait,
    Cancel,
}

/// The result of an execution that failed before its runner had it.
pub(crate) fn failure(error: &dyn std::error::Error) -> Value {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    dict! { "error" => text, "traceback" => Value::Null }
}

/// A transition that the engine knows to be in the table.
pub(crate) fn step(progress: Progress, event: Event, now: Timestamp) -> Progress {
    let before = progress.clone();
    progress.after(event, now).unwrap_or_else(|error| {
        // Every caller has matched on the state; a mistake there must not take the server down.
        tracing::error!(%error, "a transition outside the table was asked for");
        before
    })
}

/// About how many bytes the JSON text of `value` has; stops counting once it is more than `enough`.
pub(crate) fn weigh(value: &Value, enough: usize) -> usize {
    let mut total = 0;
    // Values are at most as deep as the JSON reader and the languages let them be, but a list of
    // what is left to weigh needs no such promise.
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        total += match value {
            Value::String(text) => text.len() + 2,
            Value::List(items) => {
                pending.extend(items.iter());
                2 + items.len()
            }
            Value::Dict(dict) => {
                pending.extend(dict.values());
                2 + dict.keys().map(|key| key.len() + 4).sum::<usize>()
            }
            Value::BigInt(number) => usize::try_from(number.bits() / 3).unwrap_or(usize::MAX),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => 8,
        };
        if total > enough {
            return total;
        }
    }
    total
}

impl Engine {
    /// The parameters with which an execution was asked for, secrets opened.
    #[must_use]
    pub fn parameters(&self, execution: &Execution) -> Dict {
        self.vault.open(&execution.request.parameters)
    }

    /// A workflow's result as it is kept and handed on: without the secrets that the workflow was
    /// given, as runners do for what actions give.
    pub(crate) fn without_secrets(&self, execution: &Execution, result: &Value) -> Value {
        let catalog = self.catalog();
        let action = catalog.action(execution.request.action.as_str());
        let Some(mask) = action.map(|action| action.parameters.mask()) else {
            return result.clone();
        };
        if mask.is_open() {
            return result.clone();
        }
        let mut secrets = Vec::new();
        mask.collect(&Value::from(self.parameters(execution)), &mut secrets);
        squall_runners::mask_values(&secrets, result)
    }
}
