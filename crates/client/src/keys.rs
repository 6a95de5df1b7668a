//! `/keys`: the datastore.

use std::time::Duration;

use squall_value::{Dict, Value};

use crate::{Client, Error, Page, Query};

/// Whose part of the datastore is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeyScope {
    /// Everybody's.
    #[default]
    System,
    /// That of a user; of the caller if none is named.
    User(Option<String>),
}

impl KeyScope {
    fn query(&self) -> Query {
        match self {
            KeyScope::System => Query::new().with("scope", "system"),
            KeyScope::User(user) => Query::new()
                .with("scope", "user")
                .maybe("user", user.as_deref()),
        }
    }
}

/// An item to be kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewKey {
    /// The value, a text.
    pub value: String,
    /// Whether it is encrypted.
    pub secret: bool,
    /// Whether the value is ciphertext already, of the server's own key.
    pub encrypted: bool,
    /// How long it is kept; for good if absent.
    pub ttl: Option<Duration>,
}

impl Client {
    /// Lists items whose names begin with `prefix`.
    ///
    /// # Errors
    ///
    /// [`Error`] when the server is not reached or refuses.
    pub async fn keys(
        &self,
        scope: &KeyScope,
        prefix: Option<&str>,
        limit: Option<i64>,
    ) -> Result<Page<Value>, Error> {
        let query = scope.query().maybe("prefix", prefix).maybe("limit", limit);
        self.page(&["keys"], &query).await
    }

    /// One item. `decrypt` asks for the plain text of a secret.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when there is none.
    pub async fn key(&self, scope: &KeyScope, name: &str, decrypt: bool) -> Result<Value, Error> {
        let query = scope.query().maybe("decrypt", decrypt.then_some("true"));
        self.get(&["keys", name], &query).await
    }

    /// Keeps an item, in place of one of that name.
    ///
    /// # Errors
    ///
    /// [`Error`] when the server is not reached or refuses.
    pub async fn set_key(
        &self,
        scope: &KeyScope,
        name: &str,
        key: &NewKey,
    ) -> Result<Value, Error> {
        let mut body = Dict::new();
        body.insert("name", name);
        body.insert("value", key.value.as_str());
        match scope {
            KeyScope::System => {
                body.insert("scope", "system");
            }
            KeyScope::User(user) => {
                body.insert("scope", "user");
                if let Some(user) = user {
                    body.insert("user", user.as_str());
                }
            }
        }
        if key.secret {
            body.insert("secret", true);
        }
        if key.encrypted {
            body.insert("encrypted", true);
        }
        if let Some(ttl) = key.ttl {
            body.insert("ttl", ttl.as_secs());
        }
        self.put(&["keys", name], &Value::from(body)).await
    }

    /// Seals the secret items with a fresh key; gives how many there were.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the last rotation is not finished.
    pub async fn rotate_key(&self) -> Result<i64, Error> {
        let path = ["datastore", "rotate_key"];
        let answer = self
            .post(&path, &Query::new(), &Value::empty_dict())
            .await?;
        Ok(answer.get("sealed").and_then(Value::as_int).unwrap_or(0))
    }

    /// Removes an item.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when there is none.
    pub async fn delete_key(&self, scope: &KeyScope, name: &str) -> Result<(), Error> {
        self.delete(&["keys", name], &scope.query()).await.map(drop)
    }
}
