//! Packs from their directories: read, compared with what is registered, registered.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use squall_packs::{Files, Finding, Loaded};
use squall_value::Str;

use crate::Engine;
use crate::register::{PutError, Registered};

/// What came of registering a directory.
#[derive(Debug, Clone, Default)]
pub struct PackReport {
    /// The pack's reference, if its `pack.yaml` can be used.
    pub pack: Option<Str>,
    /// What was done.
    pub registered: Registered,
    /// What is wrong in its files.
    pub findings: Vec<Finding>,
}

/// Why a directory was not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The directory cannot be read.
    #[error(transparent)]
    Read(#[from] squall_packs::ReadError),
    /// Its definitions were not stored.
    #[error(transparent)]
    Put(#[from] PutError),
}

impl Engine {
    /// Reads a pack's directory and registers what its files define. A link is followed first, so
    /// that what runs keeps the version it began with when the link leads elsewhere later.
    ///
    /// # Errors
    ///
    /// [`RegisterError`]. Broken files are no error: they are told in the report, and what they
    /// defined before stays.
    pub async fn register_directory(
        self: &Arc<Engine>,
        directory: &Path,
    ) -> Result<PackReport, RegisterError> {
        let (directory, files) = self.read_pack(directory).await?;
        let loaded = self.read_definitions(&files).await;
        let registered = self.register(&directory, &files, &loaded).await?;
        self.with_config(report(loaded, registered)).await
    }

    /// As [`Engine::register_directory`], but a pack whose files are those that were registered last
    /// is left as it is, changes through the API included. What is wrong in it is told again.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn register_if_changed(
        self: &Arc<Engine>,
        directory: &Path,
    ) -> Result<PackReport, RegisterError> {
        let (directory, files) = self.read_pack(directory).await?;
        let version = self.pack_version(&files);
        let catalog = self.catalog();
        let Some((pack, has_findings)) = catalog.pack_registered(&directory, &version) else {
            let loaded = self.read_definitions(&files).await;
            let registered = self.register(&directory, &files, &loaded).await?;
            return self.with_config(report(loaded, registered)).await;
        };
        let report = if has_findings {
            report(self.read_definitions(&files).await, Registered::default())
        } else {
            PackReport {
                pack: Some(pack.clone()),
                ..PackReport::default()
            }
        };
        self.with_config(report).await
    }

    /// The report with what is wrong in the file of the pack's configuration, which is read now.
    async fn with_config(
        self: &Arc<Engine>,
        mut report: PackReport,
    ) -> Result<PackReport, RegisterError> {
        if let Some(pack) = &report.pack {
            report.findings.extend(self.read_config(pack).await?);
        }
        Ok(report)
    }

    /// The directory itself, links followed, what it holds, and what the operator says over it.
    async fn read_pack(
        &self,
        directory: &Path,
    ) -> Result<(PathBuf, Files), squall_packs::ReadError> {
        let path = directory.to_owned();
        let overrides = self.settings.overrides.clone();
        let read = move || {
            let found = std::fs::canonicalize(&path);
            let found = found.map_err(|source| squall_packs::ReadError { path, source })?;
            let mut files = squall_packs::read(&found)?;
            if let (Some(directory), Some(pack)) = (overrides, files.pack()) {
                files.overrides = squall_packs::read_overrides(&directory, &pack);
            }
            Ok((found, files))
        };
        let failed = |source: tokio::task::JoinError| squall_packs::ReadError {
            path: directory.to_owned(),
            source: source.into(),
        };
        tokio::task::spawn_blocking(read).await.map_err(failed)?
    }

    /// What the files define. Away from the threads that serve: thousands of files take long.
    async fn read_definitions(&self, files: &Files) -> Loaded {
        let (files, known) = (files.clone(), self.known());
        tokio::task::spawn_blocking(move || squall_packs::load(&files, &known))
            .await
            .unwrap_or_default()
    }

    /// A hash of a pack's files, of what is said over them, and of the program that reads them.
    pub(crate) fn pack_version(&self, files: &Files) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            // With the length first, no two sequences of texts are one.
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        add(&self.settings.build);
        add(&files.directory);
        files.names.iter().for_each(|name| add(name));
        for (name, text) in &files.texts {
            add(name);
            add(text);
        }
        for (name, reason) in &files.unreadable {
            add(name);
            add(reason);
        }
        for said in &files.overrides {
            add(&said.file);
            add(said.text.as_deref().unwrap_or_else(|reason| reason));
        }
        let digest = hash.finalize();
        let bytes = digest.iter().take(16);
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }

    /// What definitions may refer to on this server.
    #[must_use]
    pub fn known(&self) -> squall_packs::Known {
        let types = squall_runners::Registry::runner_types().iter();
        let names = types.flat_map(|kind| std::iter::once(&kind.name).chain(&kind.aliases));
        squall_packs::Known {
            runners: names.map(|name| Str::from(name.as_str())).collect(),
        }
    }
}

fn report(loaded: Loaded, registered: Registered) -> PackReport {
    PackReport {
        pack: loaded.pack,
        registered,
        findings: loaded.findings,
    }
}
