//! Rotation of the datastore's key.

use std::io;
use std::sync::Arc;

use squall_expr::crypto::Key;
use squall_model::DocumentKind;
use squall_store::{DocumentFilter, Page, audit};
use squall_value::{Dict, Value};

use crate::Engine;
use crate::register::{Change, PutError};

/// Where the datastore's key is kept.
pub trait KeyKeeper: Send + Sync {
    /// Keeps `key` in the place of the one that is in use, which stays findable until
    /// [`KeyKeeper::forget_previous`].
    ///
    /// # Errors
    ///
    /// The key could not be written; nothing has changed. [`io::ErrorKind::AlreadyExists`]: an
    /// earlier one is still kept.
    fn replace(&self, key: &Key) -> io::Result<()>;

    /// Forgets the key of before: nothing is sealed with it any more.
    ///
    /// # Errors
    ///
    /// It could not be removed.
    fn forget_previous(&self) -> io::Result<()>;
}

/// Why the key was not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// No key is in use.
    #[error("the datastore has no key")]
    NoKey,
    /// The last rotation is not finished.
    #[error(
        "the key was rotated before, and the one of before is still kept; it is forgotten when the \
         server starts"
    )]
    Unfinished,
    /// The key file could not be written.
    #[error("the key file could not be replaced: {0}")]
    File(#[from] io::Error),
    /// The items could not be sealed anew. Both keys are known, and the next start tries again.
    #[error("the new key is in use, but items are still sealed with the old one")]
    Items(#[from] PutError),
}

impl Engine {
    /// Says where the key is kept, and which was in use before if a rotation was not finished; then
    /// finishes it.
    ///
    /// # Errors
    ///
    /// Items could not be sealed anew, or the key of before not be forgotten.
    pub async fn keep_datastore_key(
        self: &Arc<Engine>,
        keeper: Arc<dyn KeyKeeper>,
        previous: Option<Key>,
    ) -> Result<(), RotateError> {
        let unfinished = previous.is_some();
        self.datastore.keep(Arc::clone(&keeper), previous);
        if unfinished {
            self.reseal().await?;
            // Nobody is served yet: what is sealed from now on is sealed with the new key.
            keeper.forget_previous()?;
        }
        Ok(())
    }

    /// Puts a fresh key in the place of the one that seals secret items, and seals all items anew.
    /// Gives how many there were.
    ///
    /// The key of before is kept until the next start: a request may have sealed an item with it
    /// and not yet stored it.
    ///
    /// # Errors
    ///
    /// [`RotateError`].
    pub async fn rotate_datastore_key(self: &Arc<Engine>) -> Result<usize, RotateError> {
        let keeper = self.datastore.keeper().ok_or(RotateError::NoKey)?;
        let bytes = || -> Vec<u8> {
            let numbers = (0..4).flat_map(|_| self.env.random().to_le_bytes());
            numbers.collect()
        };
        let key = Key::new(bytes(), bytes()).map_err(|_| RotateError::NoKey)?;
        keeper.replace(&key).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => RotateError::Unfinished,
            _ => RotateError::File(error),
        })?;
        self.datastore.renew(key);
        Ok(self.reseal().await?)
    }

    /// Seals the items anew that another key than the current one has sealed, in one commit.
    async fn reseal(self: &Arc<Engine>) -> Result<usize, PutError> {
        // Changes of items wait meanwhile, so none is undone.
        let _guard = self.registering.lock().await;
        let now = self.env.now();
        let filter = DocumentFilter::default();
        let kind = DocumentKind::Key;
        let found = self.store.documents(kind, &filter, Page::ALL, now).await;
        let mut applied = Vec::new();
        for item in found.map_err(PutError::from)?.items {
            let secret = item.body.get("secret").and_then(Value::as_bool) == Some(true);
            let sealed = item.body.get("value").and_then(Value::as_str);
            let Some(sealed) = sealed.filter(|_| secret) else {
                continue;
            };
            let value = match self.datastore.resealed(sealed) {
                Ok(Some(value)) => value,
                Ok(None) => continue,
                Err(error) => {
                    // It could not be opened before either.
                    let error = error.message;
                    tracing::warn!(item = &*item.key, error, "a secret item opens with no key");
                    continue;
                }
            };
            let mut body = item.body.as_dict().cloned().unwrap_or_else(Dict::new);
            body.insert("value", value);
            let change = Change::Put {
                kind,
                key: item.key.clone(),
                pack: item.pack.clone(),
                body: Value::from(body),
                expires: item.expires,
                new: false,
            };
            let (command, effect, _) = self.command_for(change, now).await?;
            applied.push((command, effect));
        }
        let count = applied.len();
        // Each item says what it said before.
        audit::quietly(self.apply(applied)).await?;
        Ok(count)
    }
}
