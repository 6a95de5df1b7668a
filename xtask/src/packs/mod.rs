//! Packs as others wrote them: installed, registered, tested, run against the services that they
//! are for, and removed, on a real server.
//!
//! The packs are not part of the repository. What each one has to do is in `acceptance/runs`; a pack
//! that has no file there does all the rest.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::server;

/// What to do with which packs.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A directory of fetched packs: directories with a pack.yaml, or git repositories.
    directory: PathBuf,
    /// Only these packs.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Leave the server's data behind, to look at.
    #[arg(long)]
    keep: bool,
    /// Where the environments of the tests are kept for the next time.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

/// Takes the packs through their life; true when nothing failed.
///
/// # Errors
///
/// When the server can't be built, or there is no Python.
pub(crate) fn run(root: &Path, options: &Options) -> Result<bool> {
    let binary = server::build(root, false)?;
    let scripts = root.join("xtask/src/packs/acceptance");
    let cache = options.cache.clone().unwrap_or_else(|| {
        let target = binary.parent().and_then(Path::parent);
        target.unwrap_or(root).join("packs-cache")
    });
    let mut command = Command::new("python3");
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(&scripts)
        .arg(&options.directory)
        .arg("--squall")
        .arg(&binary)
        .arg("--cache")
        .arg(std::path::absolute(&cache)?)
        .args(options.keep.then_some("--keep"));
    for name in &options.only {
        command.args(["--only", name]);
    }
    let status = command
        .status()
        .context("cannot start python3: install it, with venv")?;
    Ok(status.success())
}
