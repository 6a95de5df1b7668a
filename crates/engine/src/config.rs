//! Pack configurations: checked against their schema, secrets sealed before they are stored.

use std::sync::Arc;

use squall_model::DocumentKind;
use squall_schema::Invalid;
use squall_value::{Dict, Str, Value, dict};

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
            body: dict! { "pack" => pack, "values" => stored },
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
}
