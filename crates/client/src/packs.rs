//! The index of packs, and what packs are configured with.

use squall_value::{Value, dict};

use crate::{Client, Error, Query};

impl Client {
    /// The packs of the index that have `text` in their name, description or keywords.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the server has no index or can't read it.
    pub async fn search_packs(&self, text: &str) -> Result<Value, Error> {
        let path = ["packs", "index", "search"];
        self.post(&path, &Query::new(), &dict! { "query" => text })
            .await
    }

    /// What the index says of one pack; an empty answer when it has none of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the server has no index or can't read it.
    pub async fn indexed_pack(&self, pack: &str) -> Result<Value, Error> {
        let path = ["packs", "index", "search"];
        self.post(&path, &Query::new(), &dict! { "pack" => pack })
            .await
    }

    /// A pack's configuration.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when it has none.
    pub async fn pack_config(&self, pack: &str, show_secrets: bool) -> Result<Value, Error> {
        let query = Query::new().maybe("show_secrets", show_secrets.then_some(true));
        self.get(&["configs", pack], &query).await
    }

    /// Replaces a pack's configuration; returns it as it is then, secrets masked.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the values are not what the pack's schema asks for.
    pub async fn put_pack_config(&self, pack: &str, values: &Value) -> Result<Value, Error> {
        self.put(&["configs", pack], values).await
    }
}
