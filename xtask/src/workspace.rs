//! Where the repository lies, and what its manifests say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("the crate lies one directory below the root")
        .to_owned()
}

/// One manifest of the workspace.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// The directory's name: `engine` for `crates/engine`.
    pub(crate) name: String,
    /// The path from the root, with `/`.
    pub(crate) path: String,
    /// What it says.
    pub(crate) table: toml::Table,
}

impl Manifest {
    /// What stands in a manifest.
    ///
    /// # Errors
    ///
    /// When the text is not TOML.
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self> {
        let table = text
            .parse()
            .with_context(|| format!("{path} is not a manifest"))?;
        let directory = path.strip_suffix("/Cargo.toml").unwrap_or(path);
        let name = directory.rsplit('/').next().unwrap_or(directory);
        Ok(Self {
            name: name.to_owned(),
            path: path.to_owned(),
            table,
        })
    }

    /// The dependencies of a kind (`dependencies`, `dev-dependencies`, `build-dependencies`), those
    /// for single targets included.
    pub(crate) fn dependencies(&self, kind: &str) -> BTreeMap<&str, &toml::Value> {
        let targets = self.table.get("target").and_then(toml::Value::as_table);
        let sections = targets
            .into_iter()
            .flat_map(toml::Table::values)
            .filter_map(toml::Value::as_table)
            .chain([&self.table]);
        sections
            .filter_map(|section| section.get(kind)?.as_table())
            .flatten()
            .map(|(name, value)| (name.as_str(), value))
            .collect()
    }
}

/// The manifests of all crates.
///
/// # Errors
///
/// When a directory or a manifest can't be read.
pub(crate) fn manifests(root: &Path) -> Result<Vec<Manifest>> {
    let mut paths = vec!["xtask/Cargo.toml".to_owned()];
    for entry in std::fs::read_dir(root.join("crates")).context("cannot list crates/")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let path = format!("crates/{name}/Cargo.toml");
        if root.join(&path).is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(root.join(path))
                .with_context(|| format!("cannot read {path}"))?;
            Manifest::parse(path, &text)
        })
        .collect()
}

/// The files that belong to the repository: what git tracks, and what it would track.
///
/// # Errors
///
/// When git can't be started or fails.
pub(crate) fn files(root: &Path) -> Result<Vec<String>> {
    let output = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot start git")?;
    anyhow::ensure!(
        output.status.success(),
        "git ls-files failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let text = String::from_utf8(output.stdout).context("a path is not UTF-8")?;
    let mut files: Vec<String> = text.lines().map(str::to_owned).collect();
    files.sort();
    files.dedup();
    files.retain(|file| root.join(file).is_file());
    Ok(files)
}
