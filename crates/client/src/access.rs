//! Users, their roles, and API keys.

use squall_value::{Value, dict};

use crate::{Client, Error, Query};

impl Client {
    /// Makes a user.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 409 when there is one of that name.
    pub async fn create_user(&self, user: &Value) -> Result<Value, Error> {
        self.post(&["users"], &Query::new(), user).await
    }

    /// Changes a user: the password, or whether it is a service account.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when there is none, 401 when the old password is wrong.
    pub async fn update_user(&self, name: &str, change: &Value) -> Result<Value, Error> {
        self.put(&["users", name], change).await
    }

    /// Removes a user, with all tokens and API keys.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when there is none.
    pub async fn delete_user(&self, name: &str) -> Result<(), Error> {
        self.delete(&["users", name], &Query::new()).await.map(drop)
    }

    /// Gives a user roles by hand, and takes all others away that were given so.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when there is no such role.
    pub async fn assign_roles(&self, user: &str, roles: &[String]) -> Result<Value, Error> {
        let roles: Value = roles
            .iter()
            .map(|role| Value::from(role.as_str()))
            .collect();
        let path = ["rbac", "users", user, "roles"];
        self.put(&path, &dict! { "roles" => roles }).await
    }

    /// Puts definitions of roles in force: files by path and content, or those in the server's own
    /// directory.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with everything that is wrong in them.
    pub async fn apply_roles(&self, files: Option<&[(String, String)]>) -> Result<Value, Error> {
        let file = |(path, content): &(String, String)| {
            dict! { "path" => path.as_str(), "content" => content.as_str() }
        };
        let body = match files {
            Some(files) => dict! { "files" => files.iter().map(file).collect::<Value>() },
            None => Value::empty_dict(),
        };
        self.post(&["rbac", "apply"], &Query::new(), &body).await
    }

    /// Makes an API key; the answer is the only place where it is ever shown.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when it is for somebody else and the caller no administrator.
    pub async fn create_api_key(
        &self,
        user: Option<&str>,
        metadata: &Value,
    ) -> Result<Value, Error> {
        let body = dict! { "user" => user, "metadata" => metadata.clone() };
        self.post(&["apikeys"], &Query::new(), &body).await
    }

    /// Switches an API key on or off.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when there is none.
    pub async fn switch_api_key(&self, id: &str, enabled: bool) -> Result<Value, Error> {
        self.put(&["apikeys", id], &dict! { "enabled" => enabled })
            .await
    }

    /// Removes an API key.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when there is none.
    pub async fn delete_api_key(&self, id: &str) -> Result<(), Error> {
        self.delete(&["apikeys", id], &Query::new()).await.map(drop)
    }
}
