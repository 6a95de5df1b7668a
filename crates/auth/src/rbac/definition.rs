//! Roles, assignments and mappings as StackStorm's files define them.
//!
//! `roles/*.yaml` has a role each, `assignments/*.yaml` the roles of one user each, and
//! `mappings/*.yaml` the roles of all who belong to a group.

use std::collections::HashMap;
use std::fmt;

use squall_value::Str;
use squall_yaml::{Diagnostic, Node, Options, Severity};

use super::rights::system;
use super::{Permission, ResourceType};

/// A permission or several, on one resource or on all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The resource's uid; `None` for permissions that concern no single one.
    pub resource: Option<Str>,
    /// What is granted.
    pub permissions: Vec<Permission>,
}

/// A set of grants with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: Str,
    /// What it is for.
    pub description: Str,
    /// What it grants.
    pub grants: Vec<Grant>,
}

/// The roles of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The user.
    pub user: Str,
    /// The roles.
    pub roles: Vec<Str>,
    /// Why.
    pub description: Str,
    /// The file that says so, such as `assignments/ann.yaml`.
    pub source: Str,
}

/// The roles of all who belong to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The group, as the back end names it.
    pub group: Str,
    /// The roles.
    pub roles: Vec<Str>,
    /// Why.
    pub description: Str,
    /// The file that says so, such as `mappings/operators.yaml`.
    pub source: Str,
}

/// A file: where it lies below the directory of definitions, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// `roles/NAME.yaml`, `assignments/NAME.yaml` or `mappings/NAME.yaml`.
    pub path: Str,
    /// What it holds.
    pub content: Str,
}

/// What is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: Str,
    /// What, and where in it.
    pub diagnostic: Diagnostic,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic {
            line,
            column,
            message,
            help,
            ..
        } = &self.diagnostic;
        write!(f, "{}:{line}:{column}: {message}", self.path)?;
        match help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// All that the files define. What they leave out as `enabled: false` is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definitions {
    /// The roles, without those of the system.
    pub roles: Vec<Role>,
    /// Who has which.
    pub assignments: Vec<Assignment>,
    /// Which group has which.
    pub mappings: Vec<Mapping>,
    /// What their author should know: roles that mappings name and that are not there.
    pub warnings: Vec<Finding>,
}

impl Definitions {
    /// Reads all files, in the order of their paths.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in all of them. What gives rights is taken as a whole or not at all:
    /// half of it might be what nobody wanted.
    pub fn read(texts: &[Text]) -> Result<Definitions, Vec<Finding>> {
        let mut texts: Vec<&Text> = texts.iter().collect();
        texts.sort_by(|a, b| a.path.cmp(&b.path));
        let mut reader = Reader::default();
        for text in texts {
            reader.read(text);
        }
        reader.check_roles();
        if reader.findings.is_empty() {
            Ok(reader.definitions)
        } else {
            Err(reader.findings)
        }
    }
}

#[derive(Default)]
struct Reader {
    definitions: Definitions,
    findings: Vec<Finding>,
    /// Names that were defined, by directory, with their files.
    names: HashMap<(&'static str, Str), Str>,
    /// Roles that are named somewhere, with the place.
    named: Vec<(Str, Finding)>,
}

/// A file that is being read.
struct File<'a> {
    path: &'a Str,
    root: &'a Node,
}

impl Reader {
    fn error(&mut self, path: &Str, node: &Node, message: impl Into<String>, help: &str) {
        let mut diagnostic = Diagnostic::error(node.position(), message);
        diagnostic.help = (!help.is_empty()).then(|| help.to_owned());
        let path = path.clone();
        self.findings.push(Finding { path, diagnostic });
    }

    fn read(&mut self, text: &Text) {
        let path = &text.path;
        let root = match squall_yaml::load(&text.content, &Options::strict()) {
            Ok(document) => document.root,
            Err(failure) => {
                let errors = failure.diagnostics.into_iter();
                let errors = errors.filter(|diagnostic| diagnostic.severity == Severity::Error);
                self.findings.extend(errors.map(|diagnostic| Finding {
                    path: path.clone(),
                    diagnostic,
                }));
                return;
            }
        };
        let file = File { path, root: &root };
        if root.as_mapping().is_none() {
            let found = root.kind_name();
            return self.error(
                path,
                &root,
                format!("expected a mapping, found {found}"),
                "",
            );
        }
        match path.split('/').next() {
            Some("roles") => self.role(&file),
            Some("assignments") => self.assignment(&file),
            Some("mappings") => self.mapping(&file),
            _ => self.error(
                path,
                &root,
                "the file lies in none of the directories roles, assignments and mappings",
                "",
            ),
        }
    }

    fn check_members(&mut self, file: &File<'_>, known: &[&str]) {
        let Some(mapping) = file.root.as_mapping() else {
            return;
        };
        for entry in mapping.iter() {
            let key = entry.key.key_text();
            if !known.contains(&&*key) {
                let help = format!("known are {}", known.join(", "));
                self.error(
                    file.path,
                    &entry.key,
                    format!("`{key}` means nothing here"),
                    &help,
                );
            }
        }
    }

    fn text(&mut self, file: &File<'_>, member: &str) -> Str {
        match file.root.get(member) {
            None => Str::default(),
            Some(node) if node.is_null() => Str::default(),
            Some(node) => match node.as_str() {
                Some(text) => Str::from(text),
                None => {
                    self.error(file.path, node, format!("`{member}` must be a text"), "");
                    Str::default()
                }
            },
        }
    }

    /// A name that must be there, and that no other file of the directory has.
    fn name(&mut self, file: &File<'_>, directory: &'static str, member: &str) -> Option<Str> {
        let name = self.text(file, member);
        if name.is_empty() {
            self.error(file.path, file.root, format!("`{member}` is missing"), "");
            return None;
        }
        let earlier = self
            .names
            .insert((directory, name.clone()), file.path.clone());
        if let Some(earlier) = earlier {
            let node = file.root.get(member).unwrap_or(file.root);
            let message = format!("`{name}` is defined in {earlier} already");
            self.error(file.path, node, message, "keep one of the two");
            return None;
        }
        Some(name)
    }

    fn is_enabled(&mut self, file: &File<'_>) -> bool {
        match file.root.get("enabled") {
            None => true,
            Some(node) => node.to_value().as_bool().unwrap_or_else(|| {
                self.error(file.path, node, "`enabled` must be true or false", "");
                false
            }),
        }
    }

    fn role(&mut self, file: &File<'_>) {
        self.check_members(
            file,
            &["name", "description", "enabled", "permission_grants"],
        );
        let Some(name) = self.name(file, "roles", "name") else {
            return;
        };
        if system::ROLES.contains(&&*name) {
            let node = file.root.get("name").unwrap_or(file.root);
            let message = format!("`{name}` is a role of the system");
            return self.error(file.path, node, message, "choose another name");
        }
        let description = self.text(file, "description");
        let grants = match file.root.get("permission_grants") {
            None => Vec::new(),
            Some(node) if node.is_null() => Vec::new(),
            Some(node) => match node.as_sequence() {
                Some(list) => list
                    .iter()
                    .filter_map(|node| self.grant(file, node))
                    .collect(),
                None => {
                    self.error(file.path, node, "`permission_grants` must be a list", "");
                    Vec::new()
                }
            },
        };
        if self.is_enabled(file) {
            self.definitions.roles.push(Role {
                name,
                description,
                grants,
            });
        }
    }

    fn grant(&mut self, file: &File<'_>, node: &Node) -> Option<Grant> {
        if node.as_mapping().is_none() {
            let message = format!("a grant must be a mapping, not {}", node.kind_name());
            self.error(file.path, node, message, "");
            return None;
        }
        let resource = node.get("resource_uid").filter(|node| !node.is_null());
        let kind = match resource {
            None => None,
            Some(uid) => Some(self.resource_type(file, uid)?),
        };
        let mut permissions = Vec::new();
        let listed = node.get("permission_types").and_then(Node::as_sequence);
        for node in listed.unwrap_or_default() {
            permissions.extend(self.permission(file, node, kind));
        }
        let resource = resource.and_then(Node::as_str).map(Str::from);
        Some(Grant {
            resource,
            permissions,
        })
    }

    fn resource_type(&mut self, file: &File<'_>, uid: &Node) -> Option<ResourceType> {
        let text = uid.as_str().unwrap_or_default();
        let kind = text
            .split_once(':')
            .and_then(|(kind, name)| ResourceType::from_name(kind).filter(|_| !name.is_empty()));
        if kind.is_none() {
            let names = ResourceType::ALL.map(ResourceType::name).join(", ");
            let help =
                format!("write TYPE:NAME, such as `action:core:local`; the types are {names}");
            self.error(
                file.path,
                uid,
                format!("`{text}` is no uid of a resource"),
                &help,
            );
        }
        kind
    }

    fn permission(
        &mut self,
        file: &File<'_>,
        node: &Node,
        on: Option<ResourceType>,
    ) -> Option<Permission> {
        let text = node.as_str().unwrap_or_default();
        let Some(permission) = Permission::from_name(text) else {
            let help = "GET /rbac/permission_types lists them all";
            self.error(file.path, node, format!("`{text}` is no permission"), help);
            return None;
        };
        match on {
            Some(kind) if !permission.can_be_granted_on(kind) => {
                let message = format!(
                    "Invalid permission type \"{text}\" for resource type \"{}\"",
                    kind.name()
                );
                let names: Vec<_> = kind.permissions().map(Permission::name).collect();
                let help = format!("on such a resource can be granted: {}", names.join(", "));
                self.error(file.path, node, message, &help);
                None
            }
            None if !permission.is_global() => {
                let message =
                    format!("Invalid permission type \"{text}\" without a `resource_uid`");
                let help = "name the resource that it is granted on";
                self.error(file.path, node, message, help);
                None
            }
            _ => Some(permission),
        }
    }

    /// The roles that a file gives.
    fn roles(&mut self, file: &File<'_>) -> Vec<Str> {
        let node = file.root.get("roles");
        let Some(list) = node.and_then(Node::as_sequence) else {
            let node = node.unwrap_or(file.root);
            self.error(file.path, node, "`roles` must be a list of roles", "");
            return Vec::new();
        };
        let mut roles = Vec::new();
        for node in list {
            let Some(role) = node.as_str() else {
                self.error(file.path, node, "a role is named by a text", "");
                continue;
            };
            let message = format!("there is no role `{role}`");
            let mut diagnostic = Diagnostic::error(node.position(), message);
            diagnostic.help = Some("define it in a file in roles, and enable it".to_owned());
            let path = file.path.clone();
            self.named
                .push((Str::from(role), Finding { path, diagnostic }));
            if !roles.iter().any(|known: &Str| **known == *role) {
                roles.push(Str::from(role));
            }
        }
        roles
    }

    fn assignment(&mut self, file: &File<'_>) {
        self.check_members(file, &["username", "description", "enabled", "roles"]);
        let Some(user) = self.name(file, "assignments", "username") else {
            return;
        };
        let (description, is_enabled) = (self.text(file, "description"), self.is_enabled(file));
        if !is_enabled {
            return;
        }
        let roles = self.roles(file);
        self.definitions.assignments.push(Assignment {
            user,
            roles,
            description,
            source: file.path.clone(),
        });
    }

    fn mapping(&mut self, file: &File<'_>) {
        self.check_members(file, &["group", "description", "enabled", "roles"]);
        let Some(group) = self.name(file, "mappings", "group") else {
            return;
        };
        let (description, is_enabled) = (self.text(file, "description"), self.is_enabled(file));
        if !is_enabled {
            return;
        }
        let roles = self.roles(file);
        self.definitions.mappings.push(Mapping {
            group,
            roles,
            description,
            source: file.path.clone(),
        });
    }

    /// Every role that a user is given must be there. Mappings may name others, as in StackStorm.
    fn check_roles(&mut self) {
        let roles = &self.definitions.roles;
        let is_known = |name: &Str| {
            system::ROLES.contains(&&**name) || roles.iter().any(|role| role.name == *name)
        };
        let unknown = std::mem::take(&mut self.named).into_iter();
        let unknown = unknown.filter(|(name, _)| !is_known(name));
        let (mappings, others): (Vec<_>, Vec<_>) =
            unknown.partition(|(_, finding)| finding.path.starts_with("mappings/"));
        self.findings
            .extend(others.into_iter().map(|(_, finding)| finding));
        let warnings = mappings.into_iter().map(|(_, mut finding)| {
            finding.diagnostic.severity = Severity::Warning;
            finding
        });
        self.definitions.warnings.extend(warnings);
    }
}
