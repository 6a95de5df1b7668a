//! Sources inside the server: one for each trigger that rules wait for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use squall_expr::{Host, KeyScope};
use squall_model::TriggerRef;
use squall_sensors::directory::{self, DIRECTORY_CHANGED, DirectorySource};
use squall_sensors::etcd::{self, KEY_CHANGED, KeySource};
use squall_sensors::file::{self, FILE_LINE, LineSource};
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

/// What StackStorm's pack `linux` calls [`FILE_LINE`].
const FILE_WATCH_LINE: &str = "linux.file_watch.line";

/// What kind of source makes the events of a trigger type, if one inside the server does.
pub(super) fn kind_of(kind: &TriggerRef) -> Option<SourceKind> {
    match kind.as_str() {
        BRANCH_MOVED => Some(SourceKind::Git),
        KEY_CHANGED => Some(SourceKind::Etcd),
        DIRECTORY_CHANGED => Some(SourceKind::Directory),
        FILE_LINE | FILE_WATCH_LINE => Some(SourceKind::File),
        _ => None,
    }
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
        let position = position.as_ref();
        let made = match kind_of(&self.trigger.kind) {
            Some(SourceKind::Git) => self.repository(position, sink),
            Some(SourceKind::Etcd) => self.keys(position, sink),
            Some(SourceKind::Directory) => self.directory(position, sink),
            Some(SourceKind::File) => self.lines(position, sink),
            Some(SourceKind::Timers | SourceKind::Sensor) | None => {
                Err(format!("no source makes events of {}", self.trigger.kind))
            }
        };
        made.map_err(Unmade::Definition)
    }

    fn keys(&self, position: Option<&Value>, sink: Arc<dyn Sink>) -> Made {
        let parameters = Parameters(&self.trigger.parameters);
        let user = parameters.text("username");
        let settings = etcd::Settings {
            endpoint: parameters.required("endpoint")?.to_owned(),
            // An empty prefix is all keys, so it must be written down.
            prefix: match parameters.0.get("prefix").and_then(Value::as_str) {
                Some(prefix) => prefix.to_owned(),
                None => parameters.required("prefix")?.to_owned(),
            },
            user: user
                .map(|user| Ok::<_, String>((user.to_owned(), self.password(&parameters)?)))
                .transpose()?,
            ca_file: parameters.text("ca_file").map(Into::into),
        };
        let env = Arc::clone(&self.engine.env);
        let source = KeySource::new(self.key.clone(), settings, position, env, sink);
        Ok(Box::new(source.map_err(|error| chain(&error))?))
    }

    /// The password, from the datastore: a rule is no place for secrets.
    fn password(&self, parameters: &Parameters<'_>) -> Result<String, String> {
        let name = parameters.required("password_key")?;
        let found = self.engine.datastore.key(&KeyScope::System, name, true);
        let found = found.map_err(|error| format!("the password `{name}`: {}", error.message))?;
        let text = found.as_ref().and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| {
            format!("the datastore has no text `{name}` with the password; set it, and enable the rule again")
        })
    }

    fn directory(&self, position: Option<&Value>, sink: Arc<dyn Sink>) -> Made {
        let parameters = Parameters(&self.trigger.parameters);
        let recursive = parameters.0.get("recursive").and_then(Value::as_bool);
        let settings = directory::Settings {
            path: parameters.path("path")?,
            recursive: recursive.unwrap_or(false),
            files: parameters.patterns("files"),
            interval: parameters.seconds("interval", 10),
        };
        let env = Arc::clone(&self.engine.env);
        let source = DirectorySource::new(self.key.clone(), settings, position, env, sink);
        Ok(Box::new(source))
    }

    fn lines(&self, position: Option<&Value>, sink: Arc<dyn Sink>) -> Made {
        let parameters = Parameters(&self.trigger.parameters);
        let path = match self.trigger.kind.as_str() {
            FILE_WATCH_LINE => parameters.path("file_path")?,
            _ => parameters.path("path")?,
        };
        let settings = file::Settings {
            path,
            interval: parameters.seconds("interval", 10),
        };
        let env = Arc::clone(&self.engine.env);
        let source = LineSource::new(self.key.clone(), settings, position, env, sink);
        Ok(Box::new(source))
    }

    fn repository(&self, position: Option<&Value>, sink: Arc<dyn Sink>) -> Made {
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

/// A source, or why its definition makes none.
type Made = Result<Box<dyn Source>, String>;

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

    fn path(&self, name: &str) -> Result<PathBuf, String> {
        let path = PathBuf::from(self.required(name)?);
        if path.is_absolute() {
            return Ok(path);
        }
        Err(format!(
            "the `{name}` of the rule's trigger must be absolute, so begin with a slash"
        ))
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
