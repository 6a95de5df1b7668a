//! Lists and single objects of all kinds, and what can be done with events and packs.

use squall_value::{Value, dict};

use crate::{Client, Error, Page, Query};

/// A kind of object that the server lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Actions.
    Actions,
    /// API keys.
    ApiKeys,
    /// Entries of the audit record.
    Audit,
    /// Packs.
    Packs,
    /// Policies.
    Policies,
    /// Action aliases.
    Aliases,
    /// Who has which role.
    RoleAssignments,
    /// Roles.
    Roles,
    /// Enforcements of rules.
    RuleEnforcements,
    /// Questions that wait for an answer.
    Inquiries,
    /// Rules.
    Rules,
    /// Runner types.
    RunnerTypes,
    /// Sensor types.
    SensorTypes,
    /// Timers that rules wait for.
    Timers,
    /// Trigger instances.
    TriggerInstances,
    /// Trigger types.
    TriggerTypes,
    /// Users.
    Users,
    /// Webhooks that rules wait for.
    Webhooks,
}

impl Resource {
    /// Its place under the API's address.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Resource::Actions => "actions",
            Resource::ApiKeys => "apikeys",
            Resource::Audit => "audit",
            Resource::Packs => "packs",
            Resource::Policies => "policies",
            Resource::Aliases => "actionalias",
            Resource::RoleAssignments => "rbac/role_assignments",
            Resource::Roles => "rbac/roles",
            Resource::RuleEnforcements => "ruleenforcements",
            Resource::Inquiries => "inquiries",
            Resource::Rules => "rules",
            Resource::RunnerTypes => "runnertypes",
            Resource::SensorTypes => "sensortypes",
            Resource::Timers => "timers",
            Resource::TriggerInstances => "triggerinstances",
            Resource::TriggerTypes => "triggertypes",
            Resource::Users => "users",
            Resource::Webhooks => "webhooks",
        }
    }
}

/// What registering packs gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    /// How many of each kind were registered.
    pub counts: Vec<(String, i64)>,
    /// What is wrong or doubtful in the packs' files.
    pub findings: Vec<Value>,
    /// All that the server sent.
    pub value: Value,
}

impl Client {
    /// Lists objects.
    ///
    /// # Errors
    ///
    /// [`Error`] when the server is not reached or refuses.
    pub async fn list(&self, resource: Resource, query: &Query) -> Result<Page<Value>, Error> {
        self.page(&[resource.path()], query).await
    }

    /// One object by reference, name or id.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when there is none.
    pub async fn one(&self, resource: Resource, id: &str) -> Result<Value, Error> {
        self.get(&[resource.path(), id], &Query::new()).await
    }

    /// Switches an action, a rule, a sensor or a runner on or off; all else of it stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when there is none, 400 when it belongs to the server.
    pub async fn switch(
        &self,
        resource: Resource,
        id: &str,
        enabled: bool,
    ) -> Result<Value, Error> {
        let found = self.one(resource, id).await?;
        let mut members = found.as_dict().cloned().unwrap_or_default();
        members.insert("enabled", enabled);
        self.put(&[resource.path(), id], &Value::from(members))
            .await
    }

    /// Hands an event to the server, as a sensor would.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the trigger is unknown or the payload does not fit it.
    pub async fn emit(
        &self,
        trigger: &str,
        payload: &Value,
        trace_tag: Option<&str>,
    ) -> Result<Value, Error> {
        let body = dict! { "trigger" => trigger, "payload" => payload.clone() };
        self.generic_webhook(&body, trace_tag).await
    }

    /// Ends a sensor's process and starts it anew; returns the sensor as it is then.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when there is no such sensor, 409 when it is disabled or
    /// another server runs it.
    pub async fn restart_sensor(&self, sensor: &str) -> Result<Value, Error> {
        let path = ["sensortypes", sensor, "restart"];
        self.post(&path, &Query::new(), &Value::empty_dict()).await
    }

    /// Sets the secret with which deliveries to a webhook are signed.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 400 when the secret is too short.
    pub async fn set_webhook_secret(&self, url: &str, secret: &str) -> Result<Value, Error> {
        self.put(&["webhooks", url], &dict! { "secret" => secret })
            .await
    }

    /// Removes the secret of a webhook.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when it has none.
    pub async fn remove_webhook_secret(&self, url: &str) -> Result<(), Error> {
        let gone = self.delete(&["webhooks", url], &Query::new()).await;
        gone.map(drop)
    }

    /// Hands an event in once more, as a new one.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 404 when there is no such trigger instance.
    pub async fn emit_again(&self, trigger_instance: &str) -> Result<Value, Error> {
        let path = ["triggerinstances", trigger_instance, "re_emit"];
        self.post(&path, &Query::new(), &Value::empty_dict()).await
    }

    /// Reads packs' files again; all packs if `names` is empty.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when there is no such pack.
    pub async fn register_packs(&self, names: &[String]) -> Result<Registered, Error> {
        let body = if names.is_empty() {
            Value::empty_dict()
        } else {
            dict! { "packs" => names.iter().map(Value::from).collect::<Value>() }
        };
        let path = ["packs", "register"];
        let value = self.post(&path, &Query::new(), &body).await?;
        let members = value
            .as_dict()
            .into_iter()
            .flat_map(|members| members.iter());
        let counts = members.filter_map(|(name, count)| Some((name.to_string(), count.as_int()?)));
        let findings = value.get("findings").and_then(Value::as_list);
        Ok(Registered {
            counts: counts.collect(),
            findings: findings.unwrap_or_default().to_vec(),
            value,
        })
    }

    /// Who the server takes the caller for.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with status 401 when it does not know the caller.
    pub async fn user(&self) -> Result<Value, Error> {
        self.get(&["user"], &Query::new()).await
    }
}
