//! The datastore as expressions see it: a copy in memory that follows the store.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use squall_env::Env;
use squall_expr::{Host, HostError, KeyScope};
use squall_model::{Document, Timestamp};
use squall_value::{Str, Value};

/// Opens what StackStorm's datastore encrypted.
pub trait Decrypt: std::fmt::Debug + Send + Sync {
    /// The clear text.
    ///
    /// # Errors
    ///
    /// A text that says why: no key, or not encrypted with it.
    fn decrypt(&self, ciphertext: &str) -> Result<String, String>;
}

/// The datastore in memory.
#[derive(Debug)]
pub struct Datastore {
    items: RwLock<HashMap<Str, Arc<Document>>>,
    env: Arc<dyn Env>,
    crypto: Option<Arc<dyn Decrypt>>,
}

impl Datastore {
    pub(crate) fn new(env: Arc<dyn Env>, crypto: Option<Arc<dyn Decrypt>>) -> Datastore {
        Datastore {
            items: RwLock::default(),
            env,
            crypto,
        }
    }

    /// The store's key of a datastore item.
    #[must_use]
    pub fn key_of(scope: &KeyScope, name: &str) -> String {
        match scope {
            KeyScope::System => format!("st2kv.system:{name}"),
            KeyScope::User(user) => format!("st2kv.user:{user}:{name}"),
        }
    }

    pub(crate) fn replace(&self, documents: impl IntoIterator<Item = Arc<Document>>) {
        let items = documents
            .into_iter()
            .map(|document| (document.key.clone(), document));
        *self.items.write() = items.collect();
    }

    pub(crate) fn put(&self, document: Arc<Document>) {
        self.items.write().insert(document.key.clone(), document);
    }

    pub(crate) fn remove(&self, key: &str) {
        self.items.write().remove(key);
    }
}

impl Host for Datastore {
    fn key(&self, scope: &KeyScope, name: &str, decrypt: bool) -> Result<Option<Value>, HostError> {
        let document = self
            .items
            .read()
            .get(&*Datastore::key_of(scope, name))
            .cloned();
        let now = self.env.now();
        let Some(document) =
            document.filter(|document| document.expires.is_none_or(|expires| expires > now))
        else {
            return Ok(None);
        };
        let value = document.body.get("value").cloned().unwrap_or_default();
        let secret = document
            .body
            .get("secret")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        match value.as_str() {
            Some(text) if decrypt && secret => self.decrypt(text).map(|text| Some(text.into())),
            _ => Ok(Some(value)),
        }
    }

    fn decrypt(&self, ciphertext: &str) -> Result<String, HostError> {
        let error = |message| HostError {
            class: "ValueError",
            message,
        };
        let crypto = self.crypto.as_ref().ok_or_else(|| {
            error(
                "no encryption key is configured for the datastore; set `encryption_key_path`"
                    .to_owned(),
            )
        })?;
        crypto.decrypt(ciphertext).map_err(error)
    }

    fn now(&self) -> Timestamp {
        self.env.now()
    }

    fn random(&self) -> u64 {
        self.env.random()
    }
}
