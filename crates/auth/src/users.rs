//! Users: people, and service accounts that may ask for the tokens of others.

use std::sync::Arc;

use squall_model::{Document, DocumentKind, Timestamp};
use squall_store::{Command, DocumentFilter, Page};
use squall_value::{Dict, Str, Value, dict};

use crate::directory::{Directory, Error};

/// What is to become of a user. What is `None` stays as it is.
#[derive(Clone, Default)]
pub struct UserChange {
    /// The password.
    pub password: Option<String>,
    /// Whether it is a service account, which may ask for tokens of other users.
    pub service: Option<bool>,
}

/// How long a name may be, in bytes.
pub const NAME_MAX: usize = 256;

/// Whether a text can be a user's name: not empty, at most [`NAME_MAX`] bytes, without control
/// characters, colon and slash. A colon ends the name in HTTP basic credentials (RFC 7617), and in
/// grants and keys.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let fits = |letter: char| !letter.is_control() && !matches!(letter, ':' | '/');
    !text.is_empty() && text.len() <= NAME_MAX && text.chars().all(fits)
}

/// Whether there is a password for a user here; that of others is kept elsewhere.
#[must_use]
pub fn has_password(user: &Document) -> bool {
    user.body.get("password_hash").is_some()
}

/// Whether a record is that of a service account.
#[must_use]
pub fn is_service(user: &Document) -> bool {
    user.body.get("service").and_then(Value::as_bool) == Some(true)
}

impl Directory {
    /// All users, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn users(&self) -> Result<Vec<Arc<Document>>, Error> {
        let (filter, now) = (DocumentFilter::default(), self.env.now());
        let found = self
            .store
            .documents(DocumentKind::User, &filter, Page::ALL, now)
            .await?;
        Ok(found.items)
    }

    /// A user.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn user(&self, name: &str) -> Result<Option<Arc<Document>>, Error> {
        let (kind, now) = (DocumentKind::User, self.env.now());
        Ok(self.store.document(kind, name, now).await?)
    }

    /// Makes a user, or changes one. Who gets a new password is signed out.
    ///
    /// # Errors
    ///
    /// [`Error::Password`], [`Error::Store`].
    pub async fn put_user(&self, name: &str, change: UserChange) -> Result<Arc<Document>, Error> {
        let known = self.user(name).await?;
        let body = known.as_ref().and_then(|known| known.body.as_dict());
        let mut body = body.cloned().unwrap_or_default();
        body.insert("name", name);
        if let Some(service) = change.service {
            body.insert("service", service);
        }
        let signs_out = known.is_some() && change.password.is_some();
        if let Some(password) = change.password {
            body.insert("password_hash", self.hash(password).await?);
        }
        let put = self
            .put(DocumentKind::User, name, Value::from(body), None)
            .await?;
        if signs_out {
            let tokens = self.of_user(DocumentKind::Token, name).await?;
            self.delete(tokens, Vec::new()).await?;
        }
        Ok(put)
    }

    /// Makes a user of somebody who was recognised elsewhere, by a password file or a proxy, unless
    /// the user is known already.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn welcome(&self, name: &str) -> Result<(), Error> {
        if self.user(name).await?.is_none() {
            self.put_user(name, UserChange::default()).await?;
        }
        Ok(())
    }

    /// Removes a user, with all tokens and API keys. `false` when there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn remove_user(&self, name: &str) -> Result<bool, Error> {
        let Some(known) = self.user(name).await? else {
            return Ok(false);
        };
        let mut gone = self.of_user(DocumentKind::Token, name).await?;
        gone.extend(self.of_user(DocumentKind::ApiKey, name).await?);
        gone.push(known);
        // Tokens of actions are not stored; they end by what is kept of the removal until the last
        // of them would have ended by itself.
        let (kind, body) = (DocumentKind::RemovedUser, dict! { "name" => name });
        let expires = self.env.now().checked_add(self.action_token_life());
        let expires = Some(expires.unwrap_or(Timestamp::MAX));
        let (removal, _) = self.written(kind, name, body, expires).await?;
        self.delete(gone, vec![removal]).await?;
        self.forget(|_, identity| *identity.user == *name);
        Ok(true)
    }

    /// The tokens or API keys of a user.
    async fn of_user(&self, kind: DocumentKind, user: &str) -> Result<Vec<Arc<Document>>, Error> {
        let (filter, now) = (DocumentFilter::default(), self.env.now());
        let all = self.store.documents(kind, &filter, Page::ALL, now).await?;
        let of_user = |document: &Arc<Document>| {
            document.body.get("user").and_then(Value::as_str) == Some(user)
        };
        Ok(all.items.into_iter().filter(of_user).collect())
    }

    /// Removes documents, together with what else is to be done.
    async fn delete(&self, documents: Vec<Arc<Document>>, more: Vec<Command>) -> Result<(), Error> {
        if documents.is_empty() {
            return Ok(());
        }
        let commands = documents.iter().map(|document| Command::DeleteDocument {
            kind: document.kind,
            key: document.key.clone(),
            from: document.revision,
        });
        self.commit(commands.chain(more).collect()).await?;
        self.forget(|hash, _| documents.iter().any(|document| *document.key == *hash));
        Ok(())
    }
}

/// A user as it is shown: nothing that signs in.
#[must_use]
pub fn shown(user: &Document) -> Dict {
    let mut body = Dict::new();
    body.insert("name", user.key.clone());
    body.insert("service", is_service(user));
    body.insert("has_password", has_password(user));
    body.insert("id", Str::from(user.id.to_string()));
    body
}
