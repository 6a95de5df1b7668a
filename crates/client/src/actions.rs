//! `/actions`.

use squall_value::{Dict, Value};

use crate::{Client, Error, Query};

impl Client {
    /// The parameters of an action together with its runner's: names to attributes.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when there is no such action.
    pub async fn action_parameters(&self, reference: &str) -> Result<Dict, Error> {
        let path = ["actions", "views", "parameters", reference];
        let answer = self.get(&path, &Query::new()).await?;
        match answer.get("parameters") {
            Some(Value::Dict(parameters)) => Ok((**parameters).clone()),
            _ => Ok(Dict::new()),
        }
    }
}
