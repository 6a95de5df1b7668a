//! `/inquiries` and `/actionalias`: what people are asked, and what they write.

use squall_value::{Value, dict};

use crate::{Client, Error, Query};

impl Client {
    /// Answers a question; what waited for the answer goes on.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when nobody asks that, 403 when somebody else is asked,
    /// 400 when the answer does not fit or was given already.
    pub async fn respond(&self, inquiry: &str, response: &Value) -> Result<Value, Error> {
        let body = dict! { "id" => inquiry, "response" => response.clone() };
        self.put(&["inquiries", inquiry], &body).await
    }

    /// The alias that a command in chat means.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 400 when it means none, or more than one.
    pub async fn match_alias(&self, command: &str) -> Result<Value, Error> {
        let body = dict! { "command" => command };
        self.post(&["actionalias", "match"], &Query::new(), &body)
            .await
    }
}
