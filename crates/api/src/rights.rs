//! The caller's rights, as handlers ask for them.
//!
//! The table of endpoints names the permission; a handler names the object, once it has found it.
//! An endpoint on an object whose handler asks for nothing answers nothing: see [`crate::guard`].

use std::borrow::Cow;
use std::sync::Arc;

use squall_auth::rbac::{Permission, Resource, ResourceType, Roles};
use squall_engine::Rights;
use squall_model::{ActionRef, Document, DocumentKind, Execution};
use squall_store::audit::Scope;
use squall_value::Value;

use crate::caller::Caller;
use crate::error::{Error, Result};

/// The roles as the engine asks for them.
#[derive(Debug)]
pub struct RoleRights(pub Arc<Roles>);

impl Rights for RoleRights {
    fn may_run(&self, user: &str, action: &ActionRef) -> std::result::Result<(), String> {
        let rights = self.0.rights(user);
        let checked = rights.check(Permission::ActionExecute, &Resource::action(action));
        checked.map_err(|denied| denied.to_string())
    }

    fn sees_everything(&self, user: &str) -> bool {
        self.0.rights(user).is_admin()
    }

    fn may_see_key(&self, user: &str, key: &str) -> std::result::Result<(), String> {
        let rights = self.0.rights(user);
        let checked = rights.check(Permission::KeyValuePairView, &Resource::key(key));
        checked.map_err(|denied| denied.to_string())
    }
}

impl Caller {
    /// Asks for the endpoint's permission on an object.
    pub(crate) fn may(&self, resource: &Resource) -> Result<()> {
        let Some(permission) = self.permission else {
            return Err(Error::denied("the endpoint names no permission"));
        };
        self.check(permission, resource)?;
        if let Some(scope) = Scope::current() {
            scope.about(&named(resource));
            if !permission.is_read() {
                scope.intend(permission.name());
            }
        }
        Ok(())
    }

    /// Asks for a permission on an object.
    pub(crate) fn check(&self, permission: Permission, resource: &Resource) -> Result<()> {
        self.was_asked();
        self.rights.check(permission, resource).map_err(|denied| {
            if let Some(scope) = Scope::current() {
                scope.denied(permission.name(), Some(&named(resource)));
            }
            Error::from(denied)
        })
    }

    /// Asks for the endpoint's permission on a definition or another record.
    pub(crate) fn may_with(&self, document: &Document) -> Result<()> {
        self.may(&resource_of(document))
    }

    /// Whether the caller may see a definition, for lists.
    pub(crate) fn sees(&self, document: &Document) -> bool {
        let Some(view) = view_of(document.kind) else {
            return true;
        };
        self.rights.sees_all(view) || self.rights.may(view, &resource_of(document))
    }

    /// Whether the caller may see a trigger, and its events.
    pub(crate) fn sees_trigger(&self, reference: &str) -> bool {
        let view = Permission::TriggerView;
        self.rights.sees_all(view) || self.rights.may(view, &Resource::trigger(reference))
    }

    /// Refuses to act for somebody else, unless to administrators.
    pub(crate) fn check_user(&self, user: &str) -> Result<()> {
        if *self.user() == *user || self.is_admin() {
            return Ok(());
        }
        Err(Error::denied(
            "\"user\" attribute can only be provided by admins",
        ))
    }

    /// Asks for the right to run an action.
    pub(crate) fn may_run(&self, action: &str) -> Result<()> {
        match ActionRef::parse(action) {
            Ok(action) => self.check(Permission::ActionExecute, &Resource::action(&action)),
            // Nobody can run what can't exist; the engine says so.
            Err(_) => {
                self.was_asked();
                Ok(())
            }
        }
    }
}

/// The resource as the audit record names it: without the hash of an API key.
fn named(resource: &Resource) -> Cow<'_, str> {
    let uid = resource.uid();
    match uid.strip_prefix("api_key:") {
        Some(_) => Cow::Owned(format!(
            "api_key:of:{}",
            resource.owner().unwrap_or_default()
        )),
        None => Cow::Borrowed(uid),
    }
}

/// The permission to see documents of a kind; `None` for what everybody may know.
fn view_of(kind: DocumentKind) -> Option<Permission> {
    match kind {
        DocumentKind::Action => Some(Permission::ActionView),
        DocumentKind::Rule => Some(Permission::RuleView),
        DocumentKind::Sensor => Some(Permission::SensorTypeView),
        DocumentKind::Alias => Some(Permission::ActionAliasView),
        DocumentKind::Policy => Some(Permission::PolicyView),
        DocumentKind::Pack | DocumentKind::Config | DocumentKind::ConfigSchema => {
            Some(Permission::PackView)
        }
        DocumentKind::Key => Some(Permission::KeyValuePairView),
        DocumentKind::ApiKey => Some(Permission::ApiKeyView),
        _ => None,
    }
}

/// The resource that a document is.
pub(crate) fn resource_of(document: &Document) -> Resource {
    match document.kind {
        DocumentKind::Key => Resource::key(&document.key),
        DocumentKind::ApiKey => {
            let user = document.body.get("user").and_then(Value::as_str);
            Resource::api_key(&document.key, user.unwrap_or_default())
        }
        DocumentKind::Rule => {
            let publisher = document.body.get(squall_engine::PUBLISHER);
            resource(DocumentKind::Rule, &document.key).owned_by(publisher.and_then(Value::as_str))
        }
        kind => resource(kind, &document.key),
    }
}

/// The resource that a definition of that kind and key is, or will be.
pub(crate) fn resource(kind: DocumentKind, key: &str) -> Resource {
    let content = |kind| Resource::by_reference(kind, key);
    match kind {
        DocumentKind::Action => content(ResourceType::Action),
        DocumentKind::Rule => content(ResourceType::Rule),
        DocumentKind::Sensor => content(ResourceType::SensorType),
        DocumentKind::Alias => content(ResourceType::ActionAlias),
        DocumentKind::Policy => content(ResourceType::Policy),
        DocumentKind::Pack | DocumentKind::Config | DocumentKind::ConfigSchema => {
            Resource::pack(key)
        }
        // Trigger types have no permissions of their own: they are part of their pack.
        DocumentKind::TriggerType | DocumentKind::Trigger => {
            Resource::pack(key.split('.').next().unwrap_or_default())
        }
        other => Resource::named(ResourceType::Trigger, &format!("{}:{key}", other.as_str())),
    }
}

/// The resource that an execution is.
pub(crate) fn execution(execution: &Execution) -> Resource {
    let request = &execution.request;
    Resource::execution(&request.id.to_string(), &request.action, &request.user)
}
