//! The datastore as expressions see it: a copy in memory that follows the store.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use squall_env::Env;
use squall_expr::crypto::Key;
use squall_expr::{Host, HostError, KeyScope};
use squall_model::{Document, Timestamp};
use squall_value::{Dict, Str, Value};

use crate::rotate::KeyKeeper;

/// The datastore in memory.
pub struct Datastore {
    items: RwLock<HashMap<Str, Arc<Document>>>,
    env: Arc<dyn Env>,
    keys: RwLock<Keys>,
}

/// The keys of secret items.
#[derive(Default)]
struct Keys {
    current: Option<Key>,
    /// Opens what was sealed before the last rotation.
    previous: Option<Key>,
    keeper: Option<Arc<dyn KeyKeeper>>,
}

/// Only how much there is: items and keys are secret.
impl fmt::Debug for Datastore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datastore")
            .field("items", &self.items.read().len())
            .finish_non_exhaustive()
    }
}

impl Datastore {
    pub(crate) fn new(env: Arc<dyn Env>, crypto: Option<Key>) -> Datastore {
        Datastore {
            items: RwLock::default(),
            env,
            keys: RwLock::new(Keys {
                current: crypto,
                ..Keys::default()
            }),
        }
    }

    /// Where the key is kept, and the one of before.
    pub(crate) fn keep(&self, keeper: Arc<dyn KeyKeeper>, previous: Option<Key>) {
        let mut keys = self.keys.write();
        keys.keeper = Some(keeper);
        keys.previous = previous;
    }

    pub(crate) fn keeper(&self) -> Option<Arc<dyn KeyKeeper>> {
        self.keys.read().keeper.clone()
    }

    /// Seals with another key from now on.
    pub(crate) fn renew(&self, key: Key) {
        let mut keys = self.keys.write();
        keys.previous = keys.current.replace(key);
    }

    /// A ciphertext of the key of before as one of the current key; `None` when it is one already.
    pub(crate) fn resealed(&self, ciphertext: &str) -> Result<Option<String>, HostError> {
        if self.crypto()?.decrypt(ciphertext).is_ok() {
            return Ok(None);
        }
        let text = self.decrypt(ciphertext)?;
        self.encrypt(&text).map(Some)
    }

    /// The store's key of a datastore item.
    #[must_use]
    pub fn key_of(scope: &KeyScope, name: &str) -> String {
        match scope {
            KeyScope::System => format!("st2kv.system:{name}"),
            KeyScope::User(user) => format!("st2kv.user:{user}:{name}"),
        }
    }

    fn crypto(&self) -> Result<Key, HostError> {
        self.keys.read().current.clone().ok_or_else(|| {
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

    /// Whether a ciphertext is that of a secret item of a user's own.
    pub(crate) fn is_secret_of(&self, user: &str, ciphertext: &str) -> bool {
        let own = Datastore::key_of(&KeyScope::User(Str::from(user)), "");
        self.items.read().iter().any(|(key, item)| {
            key.starts_with(&own)
                && is_secret(item)
                && item.body.get("value").and_then(Value::as_str) == Some(ciphertext)
        })
    }

    /// The document of an item, by its key.
    pub(crate) fn document(&self, key: &str) -> Option<Arc<Document>> {
        self.items.read().get(key).cloned()
    }

    pub(crate) fn put(&self, document: Arc<Document>) {
        self.items.write().insert(document.key.clone(), document);
    }

    pub(crate) fn remove(&self, key: &str) {
        self.items.write().remove(key);
    }
}

/// Whether an item is kept encrypted.
pub(crate) fn is_secret(item: &Document) -> bool {
    let secret = item.body.get("secret").and_then(Value::as_bool);
    secret.unwrap_or(false)
}

/// An item as StackStorm shows it to sensors and rules: what is secret stays encrypted.
pub(crate) fn item_shown(item: &Document) -> Value {
    let member = |name: &str| item.body.get(name).cloned().unwrap_or_default();
    let scope = item.key.split(':').next().unwrap_or_default();
    let mut shown = Dict::new();
    shown.insert("id", item.id.to_string());
    shown.insert("uid", format!("key_value_pair:{}", item.key));
    shown.insert("name", member("name"));
    shown.insert("value", member("value"));
    shown.insert("scope", scope);
    if let user @ Value::String(_) = member("user") {
        shown.insert("user", user);
    }
    shown.insert("secret", is_secret(item));
    shown.insert("encrypted", is_secret(item));
    let expires = item.expires.map(|expires| expires.to_string());
    shown.insert("expire_timestamp", expires);
    Value::from(shown)
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
        match value.as_str() {
            Some(text) if decrypt && is_secret(&document) => {
                self.decrypt(text).map(|text| Some(text.into()))
            }
            _ => Ok(Some(value)),
        }
    }

    fn decrypt(&self, ciphertext: &str) -> Result<String, HostError> {
        let opened = self.crypto()?.decrypt(ciphertext);
        let opened = opened.or_else(|error| {
            let previous = self.keys.read().previous.clone();
            previous.ok_or(error)?.decrypt(ciphertext)
        });
        opened.map_err(|error| value_error(error.to_string()))
    }

    fn now(&self) -> Timestamp {
        self.env.now()
    }

    fn random(&self) -> u64 {
        self.env.random()
    }
}
