//! The git program: no shell, no questions at a terminal, no end without a time limit.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use squall_env::Env;
use squall_value::{Str, Value};
use tokio::process::Command;

use super::moves::{self, File, Heads, Move};
use super::{Error, Limits, RepositorySpec};

/// The tree without files, which every repository knows.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
/// How much of git's complaint is kept.
const MESSAGE_BYTES_MAX: usize = 2_000;

/// git on one mirror.
pub(super) struct Git {
    program: PathBuf,
    mirror: PathBuf,
    url: String,
    environment: Vec<(String, String)>,
    limits: Limits,
    env: Arc<dyn Env>,
}

/// What a move changed.
#[derive(Default)]
pub(super) struct Change {
    /// Whether commits that the branch had are no longer part of it.
    pub(super) forced: bool,
    /// One more than allowed when there are too many.
    pub(super) commits: Vec<Value>,
    pub(super) files: Vec<File>,
    /// What the files were compared with; `None` if that is unknown or nothing.
    pub(super) base: Option<Str>,
}

impl Git {
    pub(super) fn new(spec: &RepositorySpec, env: Arc<dyn Env>) -> Git {
        Git {
            program: spec.git.clone(),
            mirror: spec.mirror.clone(),
            url: spec.url.clone(),
            environment: spec.environment.clone(),
            limits: spec.limits.clone(),
            env,
        }
    }

    /// Brings the mirror up to date. Commits that no branch holds any more stay in it.
    pub(super) async fn fetch(&self) -> Result<(), Error> {
        if !self.mirror.join("HEAD").is_file() {
            let path = self.mirror.to_string_lossy().into_owned();
            self.text(&["init", "--quiet", "--bare", "--", &path])
                .await?;
        }
        let refs = "+refs/heads/*:refs/heads/*";
        let arguments = [
            "fetch",
            "--quiet",
            "--prune",
            "--no-tags",
            "--no-auto-gc",
            "--",
            &self.url,
            refs,
        ];
        self.text(&arguments).await.map(drop)
    }

    pub(super) async fn heads(&self) -> Result<Heads, Error> {
        let format = "--format=%(objectname) %(refname:lstrip=2)";
        let output = self.text(&["for-each-ref", format, "refs/heads/"]).await?;
        let line = |line: &str| {
            line.split_once(' ')
                .map(|(id, name)| (name.into(), id.into()))
        };
        Ok(output.lines().filter_map(line).collect())
    }

    pub(super) async fn change(&self, moved: &Move, known: &Heads) -> Result<Change, Error> {
        let Some(after) = &moved.after else {
            return Ok(Change::default());
        };
        let mut bases: Vec<&str> = match &moved.before {
            Some(before) => vec![before],
            None => known.values().map(|commit| &**commit).collect(),
        };
        // A mirror that was made anew lacks what was thrown away before.
        let mut present = Vec::new();
        for base in bases.drain(..) {
            if self.succeeds(&["cat-file", "-e", base]).await? {
                present.push(base);
            }
        }
        let is_lost = moved.before.is_some() && present.is_empty();
        let forced = is_lost
            || match &moved.before {
                Some(before) => {
                    !self
                        .succeeds(&["merge-base", "--is-ancestor", before, after])
                        .await?
                }
                None => false,
            };
        let base: Option<Str> = match (&moved.before, &present[..]) {
            (_, []) => None,
            (Some(before), _) => Some(before.clone()),
            (None, present) => {
                let mut arguments = vec!["merge-base", after];
                arguments.extend(present);
                let output = self.run(&arguments).await?;
                let text = String::from_utf8_lossy(&output.stdout);
                text.lines().next().map(Str::from)
            }
        };
        let files = if is_lost {
            Vec::new()
        } else {
            let from = base.as_deref().unwrap_or(EMPTY_TREE);
            moves::files(
                &self
                    .text(&["diff", "--name-status", "-z", "-M", from, after, "--"])
                    .await?,
            )
        };
        Ok(Change {
            forced,
            commits: self.commits(after, &present).await?,
            files,
            base,
        })
    }

    async fn commits(&self, after: &str, without: &[&str]) -> Result<Vec<Value>, Error> {
        let count = format!("--max-count={}", self.limits.commits_max + 1);
        let format = "--format=%H%x1f%an%x1f%ae%x1f%cI%x1f%B";
        let mut arguments = vec![
            "log",
            "-z",
            "--no-show-signature",
            &count,
            format,
            after,
            "--not",
        ];
        arguments.extend(without);
        arguments.push("--");
        Ok(moves::commits(
            &self.text(&arguments).await?,
            self.limits.text_bytes_max,
        ))
    }

    /// The text of a file in a commit; null when it is not there, too long, or no text.
    pub(super) async fn content(&self, commit: Option<&str>, path: &str) -> Result<Value, Error> {
        let Some(commit) = commit else {
            return Ok(Value::Null);
        };
        let object = format!("{commit}:{path}");
        let size = self.run(&["cat-file", "-s", &object]).await?;
        let size = String::from_utf8_lossy(&size.stdout)
            .trim()
            .parse::<usize>();
        if !size.is_ok_and(|size| size <= self.limits.text_bytes_max) {
            return Ok(Value::Null);
        }
        let output = self.run(&["cat-file", "blob", &object]).await?;
        let is_there = output.status.success();
        Ok(String::from_utf8(output.stdout)
            .ok()
            .filter(|_| is_there)
            .into())
    }

    async fn succeeds(&self, arguments: &[&str]) -> Result<bool, Error> {
        Ok(self.run(arguments).await?.status.success())
    }

    async fn text(&self, arguments: &[&str]) -> Result<String, Error> {
        let output = self.run(arguments).await?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let message = String::from_utf8_lossy(&output.stderr);
        let message = message.trim();
        let start = message.ceil_char_boundary(message.len().saturating_sub(MESSAGE_BYTES_MAX));
        Err(Error::Git {
            command: arguments[0].to_owned(),
            message: message[start..].to_owned(),
        })
    }

    async fn run(&self, arguments: &[&str]) -> Result<Output, Error> {
        let mut command = Command::new(&self.program);
        if arguments[0] != "init" {
            command.arg("--git-dir").arg(&self.mirror);
        }
        let running = command
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("SSH_ASKPASS", "true")
            .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
            .env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
            .env("LC_ALL", "C")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .output();
        let timeout: Duration = self.limits.timeout;
        tokio::select! {
            output = running => output.map_err(|source| Error::Start {
                git: self.program.clone(),
                source,
            }),
            () = self.env.sleep(timeout) => Err(Error::Timeout {
                command: arguments[0].to_owned(),
                timeout,
            }),
        }
    }
}
