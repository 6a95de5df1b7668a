//! Branches of a source repository: an event for every move of a branch head.
//!
//! The source keeps a bare mirror of the repository below a cache directory, fetches into it at an
//! interval or when it is poked, and compares the heads with those of its position. The mirror is
//! a cache: without it the next fetch makes a new one, and nothing is lost but the old side of
//! moves that threw commits away.

mod cli;
mod glob;
mod moves;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use squall_env::Env;
use squall_value::{Dict, Str, Value, dict};
use tokio::sync::Notify;

use crate::event::{DispatchError, Event, Position, Sink};
use crate::native::{Source, StepError};
use crate::quicken::Quickener;
use cli::Git;
use moves::{Heads, Move};

pub use glob::Pattern;

/// The trigger type of the events.
pub const BRANCH_MOVED: &str = "core.git.branch_moved";

/// Which repository to watch, and what to tell about it.
#[derive(Debug, Clone)]
pub struct RepositorySpec {
    /// The name in payloads, and of the source's position; stays the same over restarts.
    pub name: Str,
    /// A URL (`https`, `ssh`, `git`, `file`) or the absolute path of a local repository.
    pub url: String,
    /// Branches that match one of these are watched; all of them when there are none.
    pub branches: Vec<Pattern>,
    /// Both versions of files that match one of these are part of the payload.
    pub contents: Vec<Pattern>,
    /// The pause between two looks.
    pub interval: Duration,
    /// The git program, by its absolute path.
    pub git: PathBuf,
    /// The directory for the mirror; created when it is absent.
    pub mirror: PathBuf,
    /// What git may need to log in, such as `GIT_SSH_COMMAND`.
    pub environment: Vec<(String, String)>,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds on one event and one call of git.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Commits listed in an event, the newest.
    pub commits_max: usize,
    /// Files listed in an event.
    pub files_max: usize,
    /// Files whose contents are part of an event.
    pub contents_max: usize,
    /// The longest of these contents, and the longest message of a commit, in bytes.
    pub text_bytes_max: usize,
    /// How long one call of git may take.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            commits_max: 100,
            files_max: 1_000,
            contents_max: 50,
            text_bytes_max: 64 << 10,
            timeout: Duration::from_secs(300),
        }
    }
}

/// Why a look at a repository failed. The next one may succeed; nothing was lost.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// git could not be run.
    #[error("running {} failed", .git.display())]
    Start {
        /// The program.
        git: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// git said no.
    #[error("`git {command}` failed: {message}")]
    Git {
        /// The sub-command.
        command: String,
        /// The end of what it wrote.
        message: String,
    },
    /// git took too long and was ended.
    #[error("`git {command}` took longer than {timeout:?}")]
    Timeout {
        /// The sub-command.
        command: String,
        /// The limit.
        timeout: Duration,
    },
    /// The event was not accepted.
    #[error("an event was not accepted")]
    Dispatch(#[from] DispatchError),
}

/// Watches one repository.
pub struct RepositorySource {
    spec: RepositorySpec,
    git: Git,
    env: Arc<dyn Env>,
    sink: Arc<dyn Sink>,
    poke: Arc<Notify>,
    quickener: Quickener,
    heads: Option<Heads>,
    looked: bool,
}

impl RepositorySource {
    /// A source that continues at `position`, its last one; without one it begins with what the
    /// repository holds at the first look, and tells nothing about the past.
    #[must_use]
    pub fn new(
        spec: RepositorySpec,
        position: Option<&Value>,
        env: Arc<dyn Env>,
        sink: Arc<dyn Sink>,
    ) -> RepositorySource {
        let poke: Arc<Notify> = Arc::default();
        RepositorySource {
            git: Git::new(&spec, Arc::clone(&env)),
            heads: position.and_then(moves::heads_of_position),
            quickener: Quickener::new(Arc::clone(&poke)),
            poke,
            looked: false,
            spec,
            env,
            sink,
        }
    }

    /// Lets the source look at once: for a forge's webhook, or a hook of a local repository.
    #[must_use]
    pub fn poke(&self) -> Arc<Notify> {
        Arc::clone(&self.poke)
    }

    /// Looks once and reports what has moved; returns how many events that were.
    ///
    /// # Errors
    ///
    /// [`Error`]; what was not reported is reported by the next look.
    pub async fn look(&mut self) -> Result<usize, Error> {
        self.watch_refs();
        self.git.fetch().await?;
        let now = self.watched(self.git.heads().await?);
        let Some(mut before) = self.heads.clone() else {
            self.sink.advance(self.position(&now)).await?;
            self.heads = Some(now);
            return Ok(0);
        };
        let moves = moves::moves(&before, &now);
        let count = moves.len();
        for moved in moves {
            let payload = self.payload(&moved, &before).await?;
            moves::apply(&mut before, &moved);
            self.sink
                .dispatch(Event {
                    trigger: BRANCH_MOVED.into(),
                    parameters: Some(dict! { "repository" => self.spec.name.clone() }),
                    payload,
                    trace_tag: None,
                    dedupe_key: None,
                    position: Some(self.position(&before)),
                    occurred_at: self.env.now(),
                })
                .await?;
            self.heads = Some(before.clone());
        }
        Ok(count)
    }

    /// Lets a push to a local repository make the next look, instead of the interval.
    fn watch_refs(&mut self) {
        let url = &self.spec.url;
        let path = Path::new(url.strip_prefix("file://").unwrap_or(url));
        if !path.is_absolute() {
            return;
        }
        let inner = path.join(".git");
        let repository = if inner.is_dir() { &*inner } else { path };
        // Heads are files below `refs`, or lines of `packed-refs`.
        self.quickener.watch(repository, false);
        self.quickener.watch(&repository.join("refs"), true);
    }

    fn watched(&self, heads: Heads) -> Heads {
        let patterns = &self.spec.branches;
        let mut heads = heads;
        heads.retain(|branch, _| patterns.is_empty() || patterns.iter().any(|p| p.matches(branch)));
        heads
    }

    fn position(&self, heads: &Heads) -> Position {
        Position {
            source: self.spec.name.clone(),
            value: moves::position_of_heads(heads),
        }
    }

    async fn payload(&self, moved: &Move, known: &Heads) -> Result<Value, Error> {
        let limits = &self.spec.limits;
        let mut payload = Dict::new();
        payload.insert("repository", self.spec.name.clone());
        payload.insert("branch", moved.branch.clone());
        payload.insert("before", moved.before.clone());
        payload.insert("after", moved.after.clone());
        let change = self.git.change(moved, known).await?;
        payload.insert("forced", change.forced);
        payload.insert(
            "commits_truncated",
            change.commits.len() > limits.commits_max,
        );
        let commits = change.commits.into_iter().take(limits.commits_max);
        payload.insert("commits", commits.collect::<Value>());
        payload.insert("files_truncated", change.files.len() > limits.files_max);
        let files = &change.files[..change.files.len().min(limits.files_max)];
        payload.insert(
            "files",
            files.iter().map(moves::File::to_value).collect::<Value>(),
        );
        let wanted = files.iter().filter(|file| {
            self.spec
                .contents
                .iter()
                .any(|pattern| pattern.matches(&file.path))
        });
        let mut contents = BTreeMap::new();
        for file in wanted.take(limits.contents_max) {
            let old_path = file.old_path.as_ref().unwrap_or(&file.path);
            let before = self.git.content(change.base.as_deref(), old_path).await?;
            let after = self.git.content(moved.after.as_deref(), &file.path).await?;
            contents.insert(
                file.path.clone(),
                dict! { "before" => before, "after" => after },
            );
        }
        payload.insert("contents", Value::from(Dict::from_iter(contents)));
        Ok(payload.into())
    }
}

#[async_trait]
impl Source for RepositorySource {
    async fn step(&mut self) -> Result<(), StepError> {
        if self.looked {
            tokio::select! {
                () = self.poke.notified() => {}
                () = self.env.sleep(self.spec.interval) => {}
            }
        }
        self.looked = true;
        match self.look().await {
            Ok(_) => Ok(()),
            Err(Error::Dispatch(error)) => Err(error.into()),
            Err(error) => Err(StepError::of(&error)),
        }
    }
}

/// A time as git writes it, in UTC; the text itself if it is none.
fn utc(text: &str) -> String {
    text.parse::<Timestamp>()
        .map_or_else(|_| text.to_owned(), |time| time.to_string())
}
