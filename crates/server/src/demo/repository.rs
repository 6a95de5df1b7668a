//! The repository of a demo.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::place::Place;

/// What stands in the repository before the first push.
const EMPTY: &str = "# Servers that should run on this machine.\nservers: {}\n";

/// Finds out what the demo needs, before anything is made.
pub(super) async fn check_machine() -> Result<()> {
    for (program, why) in [
        ("git", "the demo watches a git repository"),
        ("python3", "the demo's actions and servers are Python"),
    ] {
        let ran = Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
        if !ran.is_ok_and(|status| status.success()) {
            bail!("there is no working `{program}` on the PATH: {why}. Install it and try again");
        }
    }
    if !Path::new("/proc/self/stat").is_file() {
        bail!("the demo needs Linux: there is no /proc on this machine");
    }
    Ok(())
}

/// A bare repository, and a clone of it from which the demo pushes.
pub(super) struct Repository {
    bare: PathBuf,
    clone: PathBuf,
}

impl Repository {
    pub(super) fn new(place: &Place) -> Repository {
        Repository {
            bare: place.root.join("servers.git"),
            clone: place.root.join("first-push"),
        }
    }

    /// The repository that is watched.
    pub(super) fn bare(&self) -> &Path {
        &self.bare
    }

    /// Makes the repository with a `servers.yaml` that names no server.
    pub(super) async fn create(&self) -> Result<()> {
        let root = self
            .bare
            .parent()
            .context("the repository has a directory")?;
        git(
            root,
            [
                OsStr::new("init"),
                "--quiet".as_ref(),
                "--bare".as_ref(),
                self.bare.as_ref(),
            ],
        )
        .await?;
        // Older gits know no option for the first branch's name.
        git(&self.bare, ["symbolic-ref", "HEAD", "refs/heads/main"]).await?;
        git(
            root,
            [
                OsStr::new("clone"),
                "--quiet".as_ref(),
                self.bare.as_ref(),
                self.clone.as_ref(),
            ],
        )
        .await?;
        git(&self.clone, ["symbolic-ref", "HEAD", "refs/heads/main"]).await?;
        self.commit(EMPTY, "Begin with no servers").await?;
        Ok(())
    }

    /// Pushes a `servers.yaml`; returns the commit.
    pub(super) async fn push(&self, text: &str) -> Result<String> {
        self.commit(text, "Change the servers").await
    }

    async fn commit(&self, text: &str, message: &str) -> Result<String> {
        let file = self.clone.join("servers.yaml");
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        git(&self.clone, ["add", "servers.yaml"]).await?;
        if git(&self.clone, ["status", "--porcelain"])
            .await?
            .is_empty()
        {
            bail!("this servers.yaml is the one that is there already: there is nothing to push");
        }
        git(&self.clone, ["commit", "--quiet", "--message", message]).await?;
        git(
            &self.clone,
            ["push", "--quiet", "origin", "HEAD:refs/heads/main"],
        )
        .await?;
        git(&self.clone, ["rev-parse", "HEAD"]).await
    }
}

async fn git<S: AsRef<OsStr>>(
    directory: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> Result<String> {
    let mut command = Command::new("git");
    // The newcomer's own settings (hooks, signatures, templates) are not for this repository.
    command
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .args([
            "-c",
            "user.name=Squall demo",
            "-c",
            "user.email=demo@localhost",
        ])
        .args(arguments)
        .stdin(Stdio::null());
    let shown = format!("{:?}", command.as_std());
    let output = command.output().await.context("cannot run git")?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!("{shown} failed: {}", message.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
