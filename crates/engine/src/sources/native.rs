//! Sources inside the server: one for each trigger that rules wait for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use squall_model::TriggerRef;
use squall_sensors::git::{BRANCH_MOVED, Limits, Pattern, RepositorySource, RepositorySpec};
use squall_sensors::{Sink, Source, StepError};
use squall_value::{Str, Value};

use super::hold::{Ended, StopSignal, Work, lease_name};
use super::port::Door;
use super::state::{SourceKind, SourcePhase};
use super::{Settings, chain};
use crate::{Engine, Trigger};

/// The pause after a failure; twice as long after each further one.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What kind of source makes the events of a trigger type, if one inside the server does.
pub(super) fn kind_of(kind: &TriggerRef) -> Option<SourceKind> {
    (kind.as_str() == BRANCH_MOVED).then_some(SourceKind::Git)
}

/// The work of one source.
pub(super) struct Native {
    pub(super) engine: Arc<Engine>,
    pub(super) settings: Arc<Settings>,
    pub(super) key: Str,
    pub(super) trigger: Arc<Trigger>,
}

#[async_trait]
impl Work for Native {
    async fn run(&self, mut stop: StopSignal) -> Ended {
        tokio::select! {
            () = stop.stopped() => Ended::ForGood,
            ended = self.watch() => ended,
        }
    }
}

impl Native {
    async fn watch(&self) -> Ended {
        let mut pause = PAUSE;
        let mut source = loop {
            match self.make().await {
                Ok(source) => break source,
                Err(Unmade::Definition(reason)) => {
                    self.failed(&reason, SourcePhase::Failed);
                    return Ended::ForGood;
                }
                Err(Unmade::Store(reason)) => {
                    self.failed(&reason, SourcePhase::BackingOff);
                    self.rest(&mut pause).await;
                }
            }
        };
        let board = &self.engine.sources;
        board.change(&self.key, |state| state.phase = SourcePhase::Starting);
        loop {
            match source.step().await {
                Ok(()) => {
                    pause = PAUSE;
                    board.change(&self.key, |state| state.phase = SourcePhase::Running);
                }
                Err(StepError::LeaseLost) => return Ended::LeaseLost,
                Err(StepError::Failed { reason }) => {
                    self.failed(&reason, SourcePhase::BackingOff);
                    self.rest(&mut pause).await;
                }
            }
        }
    }

    async fn rest(&self, pause: &mut Duration) {
        self.engine.env.sleep(*pause).await;
        *pause = (*pause * 2).min(PAUSE_MAX);
    }

    fn failed(&self, reason: &str, phase: SourcePhase) {
        tracing::warn!(source = &*self.key, reason, "an event source failed");
        self.engine.sources.change(&self.key, |state| {
            state.phase = phase;
            state.restarts += u64::from(phase == SourcePhase::BackingOff);
            state.last_error = Some(Str::from(reason));
        });
    }

    async fn make(&self) -> Result<Box<dyn Source>, Unmade> {
        let position = self.engine.source_position(&self.key).await;
        let position = position.map_err(|error| Unmade::Store(chain(&error)))?;
        let sink: Arc<dyn Sink> = Arc::new(Door {
            engine: Arc::clone(&self.engine),
            lease: lease_name(&self.key),
            trigger: Some(self.trigger.reference.text()),
            position: Some(self.key.clone()),
        });
        self.repository(position.as_ref(), sink)
            .map_err(Unmade::Definition)
    }

    fn repository(
        &self,
        position: Option<&Value>,
        sink: Arc<dyn Sink>,
    ) -> Result<Box<dyn Source>, String> {
        let Some(git) = &self.settings.git else {
            return Err(
                "there is no `git` on this server's PATH; install git and restart the server"
                    .to_owned(),
            );
        };
        let parameters = Parameters(&self.trigger.parameters);
        let url = parameters.required("url")?;
        let spec = RepositorySpec {
            name: parameters.text("repository").unwrap_or(url).into(),
            url: url.to_owned(),
            branches: parameters.patterns("branches"),
            contents: parameters.patterns("contents"),
            interval: parameters.seconds("interval", 60),
            git: git.clone(),
            mirror: self
                .settings
                .cache
                .join("mirrors")
                .join(self.trigger.reference.name()),
            environment: self.settings.git_environment.clone(),
            limits: Limits::default(),
        };
        let env = Arc::clone(&self.engine.env);
        Ok(Box::new(RepositorySource::new(spec, position, env, sink)))
    }
}

/// Why there is no source.
enum Unmade {
    /// Only another definition helps.
    Definition(String),
    /// The store did not answer.
    Store(String),
}

/// The parameters of a trigger. Rules can be stored before their trigger's type is, so nothing has
/// checked them yet.
struct Parameters<'a>(&'a Value);

impl<'a> Parameters<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    fn required(&self, name: &str) -> Result<&'a str, String> {
        self.text(name).ok_or_else(|| {
            format!("the rule's trigger has no text `{name}` among its `parameters`; add it")
        })
    }

    fn patterns(&self, name: &str) -> Vec<Pattern> {
        let list = self.0.get(name).and_then(Value::as_list);
        let texts = list.unwrap_or_default().iter().filter_map(Value::as_str);
        texts.map(Pattern::new).collect()
    }

    /// A number of seconds, at least one.
    fn seconds(&self, name: &str, default: u64) -> Duration {
        let given = self.0.get(name).and_then(Value::as_int);
        let given = given.and_then(|seconds| u64::try_from(seconds).ok());
        Duration::from_secs(given.unwrap_or(default).max(1))
    }
}
