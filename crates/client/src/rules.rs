//! `/rules`.

use squall_value::{Value, dict};

use crate::{Client, Error, Query, RuleTest};

impl Client {
    /// Puts a rule in force.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 409 when there is one of that name, 400 when it cannot be.
    pub async fn create_rule(&self, rule: &Value) -> Result<Value, Error> {
        self.post(&["rules"], &Query::new(), rule).await
    }

    /// Puts a rule in the place of one that exists.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when there is none, 400 when it cannot be.
    pub async fn update_rule(&self, reference: &str, rule: &Value) -> Result<Value, Error> {
        self.put(&["rules", reference], rule).await
    }

    /// Takes a rule out of force for good.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when there is none.
    pub async fn delete_rule(&self, reference: &str) -> Result<(), Error> {
        let path = ["rules", reference];
        self.delete(&path, &Query::new()).await.map(drop)
    }

    /// Tries an event against a rule. Nothing is run and nothing recorded.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when there is no such rule.
    pub async fn test_rule(&self, reference: &str, payload: &Value) -> Result<RuleTest, Error> {
        let body = dict! { "payload" => payload.clone() };
        let path = ["rules", reference, "test"];
        Ok(RuleTest::new(self.post(&path, &Query::new(), &body).await?))
    }
}
