//! Pack configurations: from files or the API, checked against their schema, secrets sealed before
//! they are stored.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use squall_model::DocumentKind;
use squall_packs::Finding;
use squall_schema::Invalid;
use squall_value::{Dict, Str, Value, dict};
use squall_yaml::{Diagnostic, Node, Position};

use crate::register::{Change, PutError};
use crate::{Catalog, Engine};

/// Why a configuration was not stored.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such pack.
    #[error("no pack `{0}` is registered")]
    UnknownPack(Str),
    /// The values are not what the schema asks for.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It could not be stored.
    #[error(transparent)]
    Put(#[from] PutError),
}

impl Engine {
    /// Replaces the values of a pack's configuration. Texts with templates are stored as they are
    /// and rendered for each action.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]; nothing was changed then.
    pub async fn put_config(
        self: &Arc<Engine>,
        pack: &str,
        values: Dict,
    ) -> Result<(), ConfigError> {
        // What its file says next is compared with what it said last, not with this.
        let file = self.catalog().config_file(pack);
        self.store_config(pack, values, file).await
    }

    async fn store_config(
        self: &Arc<Engine>,
        pack: &str,
        values: Dict,
        file: Option<Str>,
    ) -> Result<(), ConfigError> {
        let catalog = self.catalog();
        if catalog.pack_directory(pack).is_none() {
            return Err(ConfigError::UnknownPack(Str::from(pack)));
        }
        let stored = match catalog.config_schema(pack) {
            None => Value::from(values),
            Some(schema) => {
                schema.validate(&values)?;
                self.vault.seal(&values, schema.mask())
            }
        };
        let change = Change::Put {
            kind: DocumentKind::Config,
            key: Str::from(pack),
            pack: Some(Str::from(pack)),
            body: dict! { "pack" => pack, "values" => stored, "file" => file },
            expires: None,
            new: false,
        };
        self.change(vec![change]).await?;
        Ok(())
    }

    /// The values of a pack's configuration as they were given, secrets and templates included.
    #[must_use]
    pub fn config_as_given(&self, catalog: &Catalog, pack: &str) -> Dict {
        self.vault.open(&Value::from(catalog.config_values(pack)))
    }

    /// Reads the configuration of a pack from its file in the directory of configurations. A file
    /// that says what it said when it was read last is left alone: what was set through the API
    /// since then stays. Returns what is wrong in it; the configuration is as before then.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub(crate) async fn read_config(
        self: &Arc<Engine>,
        pack: &str,
    ) -> Result<Vec<Finding>, PutError> {
        let Some(directory) = &self.settings.configs else {
            return Ok(Vec::new());
        };
        let path = directory.join(format!("{pack}.yaml"));
        let found = |diagnostic| Finding {
            // It lies elsewhere than the pack.
            file: Str::from(path.to_string_lossy()),
            diagnostic,
        };
        let file = path.clone();
        let read = tokio::task::spawn_blocking(move || read_file(&file)).await;
        let text = match read.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(Some(text)) => text,
            Ok(None) => return Ok(Vec::new()),
            Err(reason) => {
                return Ok(vec![found(Diagnostic::error(Position::START, reason))]);
            }
        };
        let version = version(&text);
        if self.catalog().config_file(pack).as_deref() == Some(&*version) {
            return Ok(Vec::new());
        }
        let (document, values) = match parse(&text) {
            Ok(parsed) => parsed,
            Err(diagnostics) => {
                let findings = diagnostics.into_iter();
                return Ok(findings.map(found).collect());
            }
        };
        let warnings = document.warnings.into_iter();
        let mut findings: Vec<_> = warnings.map(found).collect();
        match self.store_config(pack, values, Some(version)).await {
            // Whoever has no usable `pack.yaml` is told so already.
            Ok(()) | Err(ConfigError::UnknownPack(_)) => {}
            Err(ConfigError::Put(error)) => return Err(error),
            Err(ConfigError::Invalid(invalid)) => {
                findings.extend(invalid.violations.into_iter().map(|violation| {
                    let place = place(&document.root, &violation.path);
                    found(Diagnostic::error(place, violation.message))
                }));
            }
        }
        Ok(findings)
    }
}

/// How large a configuration may be, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

fn read_file(path: &Path) -> Result<Option<String>, String> {
    let file = match std::fs::metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("the file cannot be read: {error}")),
    };
    if file.len() > FILE_BYTES_MAX {
        return Err(format!("the file has more than {FILE_BYTES_MAX} bytes"));
    }
    let text = std::fs::read_to_string(path);
    text.map(Some)
        .map_err(|error| format!("the file cannot be read: {error}"))
}

fn version(text: &str) -> Str {
    let digest = Sha256::digest(text.as_bytes());
    let digits = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
    Str::from(digits.collect::<String>())
}

/// The document, and the values in it.
fn parse(text: &str) -> Result<(squall_yaml::Document, Dict), Vec<Diagnostic>> {
    let document = squall_yaml::load(text, &squall_yaml::Options::default());
    let document = document.map_err(|failure| failure.diagnostics)?;
    let values = match document.root.to_value() {
        Value::Dict(values) => Arc::unwrap_or_clone(values),
        Value::Null => Dict::new(),
        _ => {
            let place = document.root.position();
            let message = "a configuration must be a mapping of names to values";
            return Err(vec![Diagnostic::error(place, message)]);
        }
    };
    Ok((document, values))
}

/// Where the innermost thing on the way stands.
fn place(root: &Node, path: &[Str]) -> Position {
    let mut node = root;
    for step in path {
        let index = step.parse::<usize>().ok();
        let item = index.and_then(|index| node.as_sequence()?.get(index));
        match node.get(step).or(item) {
            Some(inner) => node = inner,
            None => break,
        }
    }
    node.position()
}
