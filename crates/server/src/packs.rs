//! The packs that ship with the binary, and those in the operator's directories.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use include_dir::{Dir, include_dir};
use squall_engine::Engine;
use std::sync::Arc;

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../packs");

/// Writes the shipped packs to `base` and returns their directories. Files that are there with the
/// same content are left alone.
pub(crate) fn unpack(base: &Path) -> Result<PathBuf> {
    let root = base.join("packs");
    unpack_directory(&SHIPPED, &root)
        .with_context(|| format!("cannot write the shipped packs to {}", root.display()))?;
    Ok(root)
}

fn unpack_directory(directory: &Dir<'_>, target: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(target)?;
    for file in directory.files() {
        let Some(name) = file.path().file_name() else {
            continue;
        };
        let path = target.join(name);
        if std::fs::read(&path).is_ok_and(|found| found == file.contents()) {
            continue;
        }
        std::fs::write(&path, file.contents())?;
        if file.contents().starts_with(b"#!") {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        }
    }
    for inner in directory.dirs() {
        if let Some(name) = inner.path().file_name() {
            unpack_directory(inner, &target.join(name))?;
        }
    }
    Ok(())
}

/// Registers every pack in the directories whose files have changed since they were registered. A
/// pack that cannot be used is told and passed over.
pub(crate) async fn register_all(engine: &Arc<Engine>, directories: &[PathBuf]) {
    let found = squall_packs::find(directories);
    for pack in &found.replaced {
        tracing::warn!(pack = %pack.display(), "a pack of the same name is used in its place");
    }
    for pack in &found.packs {
        match engine.register_if_changed(pack).await {
            Ok(report) => {
                for finding in &report.findings {
                    tracing::warn!(pack = %pack.display(), "{finding}");
                }
            }
            Err(error) => {
                tracing::error!(pack = %pack.display(), error = %anyhow::Error::new(error), "a pack was not registered");
            }
        }
    }
}
