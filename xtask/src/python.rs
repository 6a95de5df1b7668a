//! Programs from PyPI, each in a virtual environment of its own beside what cargo builds.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;

/// Installs a package, unless it is there, and returns the directory of its programs.
///
/// # Errors
///
/// When Python cannot make virtual environments, or the package cannot be had.
pub(crate) fn install(root: &Path, requirement: &str) -> Result<PathBuf> {
    let place = command::target_directory(root).join("venv");
    let place = place.join(requirement.replace("==", "-"));
    let (programs, done) = (place.join("bin"), place.join(".complete"));
    if done.exists() {
        return Ok(programs);
    }
    // One that was left half done is made anew.
    let _ = std::fs::remove_dir_all(&place);
    println!("installing {requirement} into {}", place.display());
    let made = Command::new("python3")
        .args(["-m", "venv"])
        .arg(&place)
        .status()
        .context("python3 cannot be started: install the package python3-venv")?;
    if !made.success() {
        bail!("python3 cannot make a virtual environment: install the package python3-venv");
    }
    let installed = Command::new(programs.join("python"))
        .args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check", requirement])
        .status()?;
    if !installed.success() {
        bail!(
            "{requirement} cannot be installed from PyPI: this suite needs the network once, or a \
             mirror that pip is told of"
        );
    }
    std::fs::write(done, "")?;
    Ok(programs)
}
