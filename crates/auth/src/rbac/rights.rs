//! What somebody may do: the union of what their roles grant.

use std::collections::HashMap;

use squall_model::{ActionRef, RuleRef};
use squall_store::{RuleVisibility, Visibility};
use squall_value::Str;

use super::{Grant, Permission, Permissions, Resource, ResourceType, Role};

/// On whose behalf rules act, where nobody else is named. It is never kept apart from others'.
const SYSTEM_USER: &str = "stanley";

/// The roles that always exist.
pub mod system {
    /// May do everything; the first administrator's, and cannot be taken away by files.
    pub const SYSTEM_ADMIN: &str = "system_admin";
    /// May do everything.
    pub const ADMIN: &str = "admin";
    /// May see everything.
    pub const OBSERVER: &str = "observer";
    /// All of them.
    pub const ROLES: [&str; 3] = [SYSTEM_ADMIN, ADMIN, OBSERVER];
}

/// Refused: the permission is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// `Display` is StackStorm's text.
    #[error("User \"{user}\" doesn't have required permission \"{permission}\"")]
    Any {
        /// Who was refused.
        user: Str,
        /// What is missing.
        permission: Permission,
    },
    /// `Display` is StackStorm's text.
    #[error(
        "User \"{user}\" doesn't have required permission \"{permission}\" on resource \"{uid}\""
    )]
    On {
        /// Who was refused.
        user: Str,
        /// What is missing.
        permission: Permission,
        /// Where it is missing.
        uid: String,
    },
    /// Only administrators may.
    #[error("Administrator access required")]
    Admin,
}

/// What lists show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lists {
    /// What the caller may see.
    #[default]
    Visible,
    /// Everything, to who may list, as in StackStorm.
    All,
    /// Of executions and rules none but the caller's own, which are also all that can be seen and
    /// used by its name, as with StackStorm's `permission_isolation`.
    Own,
}

/// What a user may do. Made once from the roles, and asked without a lock.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rights {
    user: Str,
    roles: Vec<Str>,
    is_admin: bool,
    is_observer: bool,
    lists: Lists,
    /// Granted without naming a resource.
    global: Permissions,
    /// Granted on anything at all.
    anywhere: Permissions,
    /// Granted on a resource, by its uid.
    on: HashMap<Str, Permissions>,
}

impl Rights {
    /// The rights of one who may do everything: of everybody, when roles are switched off.
    #[must_use]
    pub fn everything(user: Str) -> Rights {
        Rights {
            user,
            is_admin: true,
            ..Rights::default()
        }
    }

    /// The rights that roles give. Roles that do not exist give none.
    #[must_use]
    pub fn of<'a>(user: Str, roles: impl IntoIterator<Item = &'a Role>, lists: Lists) -> Rights {
        let mut rights = Rights {
            user,
            lists,
            ..Rights::default()
        };
        for role in roles {
            rights.roles.push(role.name.clone());
            match &*role.name {
                system::SYSTEM_ADMIN | system::ADMIN => rights.is_admin = true,
                system::OBSERVER => rights.is_observer = true,
                _ => {}
            }
            role.grants.iter().for_each(|grant| rights.add(grant));
        }
        rights
    }

    fn add(&mut self, grant: &Grant) {
        let granted: Permissions = grant.permissions.iter().copied().collect();
        self.anywhere.extend(granted);
        match &grant.resource {
            Some(uid) => {
                // A trigger's uid ends with the hash of its parameters, which its name has already.
                let parts = if uid.starts_with("trigger:") {
                    3
                } else {
                    usize::MAX
                };
                let uid: Vec<&str> = uid.split(':').take(parts).collect();
                let place = self.on.entry(Str::from(uid.join(":")));
                place.or_default().extend(granted);
            }
            None => self.global.extend(granted),
        }
    }

    /// Whose rights these are.
    #[must_use]
    pub fn user(&self) -> &Str {
        &self.user
    }

    /// The names of the roles that give them.
    #[must_use]
    pub fn roles(&self) -> &[Str] {
        &self.roles
    }

    /// Whether everything is allowed.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.is_admin
    }

    /// Whether a permission that concerns no single object is there: that to list, above all.
    #[must_use]
    pub fn has(&self, permission: Permission) -> bool {
        let alias = match permission {
            // As in StackStorm, whose rules' list opens that of what they did.
            Permission::RuleEnforcementList => Permission::RuleList,
            other => other,
        };
        self.is_admin
            || self.is_observer && permission.is_read()
            // Everybody lists the datastore, and finds there what is theirs to see.
            || permission == Permission::KeyValuePairList
            || self.anywhere.contains(permission)
            || self.anywhere.contains(alias)
    }

    /// Whether a permission is there on an object.
    #[must_use]
    pub fn may(&self, permission: Permission, resource: &Resource) -> bool {
        if self.is_admin || self.owns(permission, resource) {
            return true;
        }
        if self.is_kept_apart(permission) && resource.owner() != Some(&*self.user) {
            return false;
        }
        let is_foreign_key =
            permission.resource_type() == ResourceType::KeyValuePair && resource.owner().is_some();
        if is_foreign_key {
            return false;
        }
        if self.is_observer && permission.is_read() {
            return true;
        }
        if permission.is_global() && self.global.has_any(permission.granted_by()) {
            return true;
        }
        if self.on.is_empty() {
            return false;
        }
        let places = resource.places(permission);
        places
            .iter()
            .any(|(uid, permission)| self.is_granted_at(uid, *permission))
    }

    /// Whether this concerns what belongs to one user, and others' is none of this user's business.
    fn is_kept_apart(&self, permission: Permission) -> bool {
        let is_own = matches!(
            permission.resource_type(),
            ResourceType::Execution | ResourceType::Rule
        );
        let is_isolated = self.lists == Lists::Own && !self.is_admin && &*self.user != SYSTEM_USER;
        is_isolated && is_own && permission != Permission::RuleCreate && !permission.is_global()
    }

    fn is_granted_at(&self, uid: &str, permission: Permission) -> bool {
        let granted = self.on.get(uid);
        granted.is_some_and(|granted| granted.has_any(permission.granted_by()))
    }

    /// What the owner may do without a grant: with keys everything, with executions see and stop.
    fn owns(&self, permission: Permission, resource: &Resource) -> bool {
        use Permission as P;
        if resource.owner() != Some(&*self.user) {
            return false;
        }
        match permission.resource_type() {
            ResourceType::KeyValuePair => true,
            ResourceType::ApiKey => permission != P::ApiKeyCreate,
            ResourceType::Execution => matches!(permission, P::ExecutionView | P::ExecutionStop),
            ResourceType::Inquiry => permission == P::InquiryView,
            _ => false,
        }
    }

    /// Asks for a permission that concerns no single object.
    ///
    /// # Errors
    ///
    /// [`Denied`] when it is missing.
    pub fn check_any(&self, permission: Permission) -> Result<(), Denied> {
        if self.has(permission) {
            return Ok(());
        }
        Err(Denied::Any {
            user: self.user.clone(),
            permission,
        })
    }

    /// Asks for a permission on an object.
    ///
    /// # Errors
    ///
    /// [`Denied`] when it is missing.
    pub fn check(&self, permission: Permission, resource: &Resource) -> Result<(), Denied> {
        if self.may(permission, resource) {
            return Ok(());
        }
        let user = self.user.clone();
        Err(match permission.is_global() {
            true => Denied::Any { user, permission },
            false => Denied::On {
                user,
                permission,
                uid: resource.uid().to_owned(),
            },
        })
    }

    /// Asks for an administrator.
    ///
    /// # Errors
    ///
    /// [`Denied::Admin`].
    pub fn check_admin(&self) -> Result<(), Denied> {
        if self.is_admin {
            Ok(())
        } else {
            Err(Denied::Admin)
        }
    }

    /// Whether a list shows everything of a type; otherwise each object has to be asked for.
    #[must_use]
    pub fn sees_all(&self, view: Permission) -> bool {
        if self.is_kept_apart(view) {
            return false;
        }
        if self.is_admin || self.is_observer && view.is_read() {
            return true;
        }
        let list = Permission::from_name(&format!("{}_list", view.resource_type().name()));
        self.lists == Lists::All && list.is_some_and(|list| self.has(list))
            || view.is_global() && self.global.has_any(view.granted_by())
    }

    /// The names that follow `prefix` in the uids on which a permission is granted.
    fn names<'a>(
        &'a self,
        prefix: &'a str,
        permission: Permission,
    ) -> impl Iterator<Item = &'a str> {
        let wanted = permission.granted_by();
        self.on
            .iter()
            .filter(move |(_, granted)| granted.has_any(wanted))
            .filter_map(move |(uid, _)| uid.strip_prefix(prefix)?.strip_prefix(':'))
    }

    /// The packs, and the names within packs, on which a permission is granted.
    fn placed<T>(
        &self,
        kind: &str,
        permission: Permission,
        parse: fn(&str, &str) -> Option<T>,
    ) -> (Vec<Str>, Vec<T>) {
        let packs = self.names("pack", permission).map(Str::from);
        let named = self.names(kind, permission);
        let named = named.filter_map(|name| {
            let (pack, name) = name.split_once(':')?;
            parse(pack, name)
        });
        (packs.collect(), named.collect())
    }

    /// Which executions may be seen, as part of a query: one's own, and those of actions that one
    /// may see.
    #[must_use]
    pub fn executions(&self) -> Visibility {
        if self.sees_all(Permission::ExecutionView) {
            return Visibility::All;
        }
        if self.is_kept_apart(Permission::ExecutionView) {
            return Visibility::Only {
                users: vec![self.user.clone()],
                actions: Vec::new(),
                packs: Vec::new(),
                ids: Vec::new(),
            };
        }
        let parse = |pack: &str, name: &str| ActionRef::new(pack, name).ok();
        let (packs, actions) = self.placed("action", Permission::ActionView, parse);
        let ids = self.names("execution", Permission::ExecutionView);
        Visibility::Only {
            users: vec![self.user.clone()],
            actions,
            packs,
            ids: ids.filter_map(|id| id.parse().ok()).collect(),
        }
    }

    /// Of which rules the doings may be seen, as part of a query.
    #[must_use]
    pub fn enforcements(&self) -> RuleVisibility {
        if self.sees_all(Permission::RuleEnforcementView) {
            return RuleVisibility::All;
        }
        let parse = |pack: &str, name: &str| RuleRef::new(pack, name).ok();
        let (packs, rules) = self.placed("rule", Permission::RuleView, parse);
        RuleVisibility::Only { rules, packs }
    }

    /// Of which triggers the events may be seen, as part of a query; `None` for all.
    #[must_use]
    pub fn triggers(&self) -> Option<Vec<Str>> {
        if self.sees_all(Permission::TriggerView) {
            return None;
        }
        let uids = self.names("trigger", Permission::TriggerView);
        let named = uids.filter_map(|name| {
            let (pack, name) = name.split_once(':')?;
            Some(Str::from(format!("{pack}.{name}")))
        });
        Some(named.collect())
    }
}
