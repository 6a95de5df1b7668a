//! API keys: made, shown, changed and removed. The key itself is never kept, only its hash.

use std::sync::Arc;

use squall_model::{Document, DocumentKind};
use squall_store::{Command, DocumentFilter, Page};
use squall_value::{Dict, Value, dict};

use crate::directory::{Directory, Error};
use crate::secret::{api_key_hash, fresh_token};

impl Directory {
    /// Makes an API key for a user; returns its text, which is not kept, and its record.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn make_api_key(
        &self,
        user: &str,
        metadata: Dict,
        enabled: bool,
    ) -> Result<(String, Arc<Document>), Error> {
        let key = fresh_token(&*self.env);
        let document = self
            .adopt_api_key(user, &api_key_hash(&key), metadata, enabled)
            .await?;
        Ok((key, document))
    }

    /// Takes a key over that was made elsewhere and of which only the hash is known.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn adopt_api_key(
        &self,
        user: &str,
        hash: &str,
        metadata: Dict,
        enabled: bool,
    ) -> Result<Arc<Document>, Error> {
        let body = dict! {
            "user" => user,
            "metadata" => metadata,
            "enabled" => enabled,
            "created_at" => self.env.now().to_string(),
        };
        self.put(DocumentKind::ApiKey, hash, body, None).await
    }

    /// All API keys, by hash.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn api_keys(&self) -> Result<Vec<Arc<Document>>, Error> {
        let (filter, now) = (DocumentFilter::default(), self.env.now());
        let kind = DocumentKind::ApiKey;
        let found = self.store.documents(kind, &filter, Page::ALL, now).await?;
        Ok(found.items)
    }

    /// An API key by its id, its hash or itself.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn api_key(&self, id: &str) -> Result<Option<Arc<Document>>, Error> {
        let (kind, now) = (DocumentKind::ApiKey, self.env.now());
        if let Ok(id) = id.parse()
            && let Some(found) = self.store.document_by_id(kind, id, now).await?
        {
            return Ok(Some(found));
        }
        if let Some(found) = self.store.document(kind, id, now).await? {
            return Ok(Some(found));
        }
        Ok(self.store.document(kind, &api_key_hash(id), now).await?)
    }

    /// Changes what is given. A key that is switched off is refused from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn change_api_key(
        &self,
        known: &Document,
        user: Option<&str>,
        metadata: Option<Dict>,
        enabled: Option<bool>,
    ) -> Result<Arc<Document>, Error> {
        let mut body = known.body.as_dict().cloned().unwrap_or_default();
        if let Some(user) = user {
            body.insert("user", user);
        }
        if let Some(metadata) = metadata {
            body.insert("metadata", metadata);
        }
        if let Some(enabled) = enabled {
            body.insert("enabled", enabled);
        }
        let changed = self
            .put(DocumentKind::ApiKey, &known.key, Value::from(body), None)
            .await?;
        self.forget(|hash, _| *hash == *known.key);
        Ok(changed)
    }

    /// Removes a key. Whoever uses it is refused from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn remove_api_key(&self, known: &Document) -> Result<(), Error> {
        let command = Command::DeleteDocument {
            kind: DocumentKind::ApiKey,
            key: known.key.clone(),
            from: known.revision,
        };
        self.commit(vec![command]).await?;
        self.forget(|hash, _| *hash == *known.key);
        Ok(())
    }
}
