//! The datastore as expressions see it: a copy in memory that follows the store.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use squall_env::Env;
use squall_expr::crypto::Key;
use squall_expr::{Host, HostError, KeyScope};
use squall_model::{Document, Timestamp};
use squall_value::{Str, Value};

/// The datastore in memory.
#[derive(Debug)]
pub struct Datastore {
    items: RwLock<HashMap<Str, Arc<Document>>>,
    env: Arc<dyn Env>,
    crypto: Option<Key>,
}

impl Datastore {
    pub(crate) fn new(env: Arc<dyn Env>, crypto: Option<Key>) -> Datastore {
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

    fn crypto(&self) -> Result<&Key, HostError> {
        self.crypto.as_ref().ok_or_else(|| {
            value_error(
                "no encryption key is configured for the datastore; name a key file with \
                 --datastore-key-file"
                    .to_owned(),
            )
        })
    }

    /// A text as a secret item keeps it: StackStorm's ciphertext, in upper-case hexadecimal digits.
    ///
    /// # Errors
    ///
    /// There is no key.
    pub fn encrypt(&self, text: &str) -> Result<String, HostError> {
        let key = self.crypto()?;
        let mut vector = [0; 16];
        vector[..8].copy_from_slice(&self.env.random().to_le_bytes());
        vector[8..].copy_from_slice(&self.env.random().to_le_bytes());
        Ok(key.encrypt(text, vector))
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

fn value_error(message: String) -> HostError {
    HostError {
        class: "ValueError",
        message,
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
        let opened = self.crypto()?.decrypt(ciphertext);
        opened.map_err(|error| value_error(error.to_string()))
    }

    fn now(&self) -> Timestamp {
        self.env.now()
    }

    fn random(&self) -> u64 {
        self.env.random()
    }
}
