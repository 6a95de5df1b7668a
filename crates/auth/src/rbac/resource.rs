//! What a permission is asked for.

use std::fmt;

use squall_model::{ActionRef, RuleRef};

use super::{Permission, ResourceType};

/// Something that somebody wants to see, use or change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    uid: String,
    /// The pack it belongs to: what is granted there holds for it, too.
    pack: Option<String>,
    /// Whose it is, where owners have rights.
    owner: Option<String>,
    /// The action or rule whose rights it inherits.
    of: Option<Box<Resource>>,
}

impl Resource {
    fn new(uid: String) -> Resource {
        Resource {
            uid,
            pack: None,
            owner: None,
            of: None,
        }
    }

    /// A definition in a pack: an action, a rule, a sensor, an alias, a policy.
    #[must_use]
    pub fn content(kind: ResourceType, pack: &str, name: &str) -> Resource {
        Resource {
            pack: Some(pack.to_owned()),
            ..Resource::new(format!("{}:{pack}:{name}", kind.name()))
        }
    }

    /// A definition in a pack by its reference, `pack.name`.
    #[must_use]
    pub fn by_reference(kind: ResourceType, reference: &str) -> Resource {
        let (pack, name) = reference.split_once('.').unwrap_or(("", reference));
        Resource::content(kind, pack, name)
    }

    /// An action.
    #[must_use]
    pub fn action(action: &ActionRef) -> Resource {
        Resource::content(ResourceType::Action, action.pack(), action.name())
    }

    /// A rule.
    #[must_use]
    pub fn rule(rule: &RuleRef) -> Resource {
        Resource::content(ResourceType::Rule, rule.pack(), rule.name())
    }

    /// A pack.
    #[must_use]
    pub fn pack(pack: &str) -> Resource {
        Resource::new(format!("pack:{pack}"))
    }

    /// Something that has a name and belongs to nothing: a runner type, a webhook, a policy type.
    #[must_use]
    pub fn named(kind: ResourceType, name: &str) -> Resource {
        Resource::new(format!("{}:{name}", kind.name()))
    }

    /// The same, with its owner, where it has one.
    #[must_use]
    pub fn owned_by(self, owner: Option<&str>) -> Resource {
        Resource {
            owner: owner.map(str::to_owned),
            ..self
        }
    }

    /// An execution of an action that somebody asked for.
    #[must_use]
    pub fn execution(id: &str, action: &ActionRef, user: &str) -> Resource {
        Resource {
            owner: Some(user.to_owned()),
            of: Some(Box::new(Resource::action(action))),
            ..Resource::new(format!("execution:{id}"))
        }
    }

    /// What a rule did with an event.
    #[must_use]
    pub fn enforcement(id: &str, rule: &RuleRef) -> Resource {
        Resource {
            of: Some(Box::new(Resource::rule(rule))),
            ..Resource::new(format!("rule_enforcement:{id}"))
        }
    }

    /// A question that a workflow asked, which somebody had asked for.
    #[must_use]
    pub fn inquiry(id: &str, workflow: Option<&ActionRef>, user: &str) -> Resource {
        Resource {
            owner: Some(user.to_owned()),
            of: workflow.map(|workflow| Box::new(Resource::action(workflow))),
            ..Resource::new(format!("inquiry:{id}"))
        }
    }

    /// An item of the datastore, by its key: `st2kv.system:name` or `st2kv.user:user:name`.
    #[must_use]
    pub fn key(key: &str) -> Resource {
        let owned = key.strip_prefix("st2kv.user:");
        let owner = owned.and_then(|owned| Some(owned.split_once(':')?.0.to_owned()));
        Resource {
            owner,
            ..Resource::new(format!("key_value_pair:{key}"))
        }
    }

    /// An API key, by its hash, and whose it is.
    #[must_use]
    pub fn api_key(hash: &str, user: &str) -> Resource {
        Resource {
            owner: Some(user.to_owned()),
            ..Resource::new(format!("api_key:{hash}"))
        }
    }

    /// A trigger by its reference, `pack.name`.
    #[must_use]
    pub fn trigger(reference: &str) -> Resource {
        let (pack, name) = reference.split_once('.').unwrap_or(("", reference));
        Resource::new(format!("trigger:{pack}:{name}"))
    }

    /// Its uid, as grants name it.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Whose it is, where owners have rights.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// The uids on which a grant may stand, each with the permission that it has to allow there.
    pub(super) fn places(&self, permission: Permission) -> Vec<(String, Permission)> {
        let mut places = vec![(self.uid.clone(), permission)];
        if let Some(pack) = &self.pack {
            places.push((format!("pack:{pack}"), permission));
        }
        if let (Some(of), Some(inherited)) = (&self.of, inherited(permission)) {
            places.extend(of.places(inherited));
        }
        places
    }
}

/// The permission on an action or a rule that allows something with what came of it.
fn inherited(permission: Permission) -> Option<Permission> {
    use Permission as P;
    match permission {
        P::ExecutionView => Some(P::ActionView),
        P::ExecutionReRun | P::ExecutionStop | P::InquiryView | P::InquiryRespond => {
            Some(P::ActionExecute)
        }
        P::ExecutionAll | P::InquiryAll => Some(P::ActionAll),
        P::RuleEnforcementView => Some(P::RuleView),
        _ => None,
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uid)
    }
}
