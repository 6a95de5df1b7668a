//! The roles in force: kept in the store, read at each change, asked without a lock.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use squall_env::{Env, fresh_id};
use squall_model::{Document, DocumentKind};
use squall_store::{
    Change, Command, CommitError, DocumentFilter, Page, Store, Subject, Transaction, audit,
};
use squall_value::{Str, Value, dict};
use tokio::sync::broadcast::error::RecvError;

use super::rights::system;
use super::{Assignment, Definitions, Grant, Lists, Mapping, Permission, Rights, Role};

/// What an operator may set about roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Whether rights are asked for at all. Without roles everybody who has signed in may do
    /// everything, as in StackStorm.
    pub enabled: bool,
    /// What lists show.
    pub lists: Lists,
}

/// What came of applying definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// How many roles are defined now.
    pub roles: usize,
    /// How many users have roles from files now.
    pub assignments: usize,
    /// How many groups have roles now.
    pub mappings: usize,
    /// How many records had to be made, changed or removed.
    pub changes: usize,
}

/// Why definitions were not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Somebody else applied others at the same moment.
    #[error("somebody else changed the roles at the same moment; try again")]
    Conflict,
    /// The role of the first administrator stays: somebody must be able to give roles.
    #[error("the role system_admin cannot be taken away from {0}")]
    Irrevocable(Str),
    /// The store failed.
    #[error("the roles cannot be stored now")]
    Store(#[source] CommitError),
}

impl From<CommitError> for ApplyError {
    fn from(error: CommitError) -> ApplyError {
        match error.refusal() {
            Some(_) => ApplyError::Conflict,
            None => ApplyError::Store(error),
        }
    }
}

impl From<squall_store::Error> for ApplyError {
    fn from(error: squall_store::Error) -> ApplyError {
        ApplyError::Store(error.into())
    }
}

/// From where an assignment comes that an administrator made, not a file.
const BY_HAND: &str = "API";

/// The kinds of documents that roles are made of.
const KINDS: [DocumentKind; 3] = [
    DocumentKind::Role,
    DocumentKind::RoleAssignment,
    DocumentKind::GroupMapping,
];

/// What the documents mean.
#[derive(Debug, Default)]
struct Table {
    roles: HashMap<Str, Role>,
    rights: HashMap<Str, Arc<Rights>>,
    groups: HashMap<Str, (Str, Vec<Str>)>,
}

/// The roles in force.
#[derive(Debug)]
pub struct Roles {
    store: Arc<dyn Store>,
    env: Arc<dyn Env>,
    settings: Settings,
    table: ArcSwap<Table>,
    /// Who reads does so alone, so that nobody puts what is older in force.
    reading: tokio::sync::Mutex<()>,
    /// Who writes does so alone, so that what was read is still so.
    writing: tokio::sync::Mutex<()>,
}

impl Roles {
    /// The roles of a store.
    ///
    /// # Errors
    ///
    /// The store does not answer.
    pub async fn open(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        settings: Settings,
    ) -> Result<Roles, squall_store::Error> {
        let roles = Roles {
            store,
            env,
            settings,
            table: ArcSwap::default(),
            reading: tokio::sync::Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        };
        roles.reload().await?;
        Ok(roles)
    }

    /// What the operator set.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// What a user may do now.
    #[must_use]
    pub fn rights(&self, user: &str) -> Arc<Rights> {
        if !self.settings.enabled {
            return Arc::new(Rights::everything(Str::from(user)));
        }
        let table = self.table.load();
        let known = table.rights.get(user).cloned();
        known.unwrap_or_else(|| Arc::new(self.rights_of(user, &[], &table.roles)))
    }

    fn rights_of(&self, user: &str, roles: &[Str], known: &HashMap<Str, Role>) -> Rights {
        let roles = roles.iter().filter_map(|name| known.get(name));
        Rights::of(Str::from(user), roles, self.settings.lists)
    }

    /// Reads the roles again.
    ///
    /// # Errors
    ///
    /// The store does not answer; what was in force stays so.
    pub async fn reload(&self) -> Result<(), squall_store::Error> {
        let _guard = self.reading.lock().await;
        let mut table = Table::default();
        for name in system::ROLES {
            let (description, grants) = (Str::from(name), Vec::new());
            let name = Str::from(name);
            table.roles.insert(
                name.clone(),
                Role {
                    name,
                    description,
                    grants,
                },
            );
        }
        for document in self.documents(DocumentKind::Role).await? {
            let role = role_of(&document);
            table.roles.insert(role.name.clone(), role);
        }
        for document in self.documents(DocumentKind::GroupMapping).await? {
            let (source, roles) = (member(&document, "source"), names(&document, "roles"));
            table.groups.insert(document.key.clone(), (source, roles));
        }
        let mut users: HashMap<Str, Vec<Str>> = HashMap::new();
        for document in self.documents(DocumentKind::RoleAssignment).await? {
            let roles = users.entry(member(&document, "user")).or_default();
            let role = member(&document, "role");
            if !roles.contains(&role) {
                roles.push(role);
            }
        }
        table.rights = users
            .into_iter()
            .map(|(user, roles)| {
                let rights = Arc::new(self.rights_of(&user, &roles, &table.roles));
                (user, rights)
            })
            .collect();
        self.table.store(Arc::new(table));
        Ok(())
    }

    /// Reads the roles again whenever another server has changed them; until the store closes.
    pub async fn follow(self: Arc<Roles>) {
        let mut feed = self.store.subscribe();
        let concerns = |change: &Change| match &change.subject {
            Subject::Document { kind, .. } => KINDS.contains(kind),
            _ => false,
        };
        loop {
            match feed.recv().await {
                Ok(changes) if !changes.iter().any(concerns) => {}
                Ok(_) | Err(RecvError::Lagged(_)) => {
                    if let Err(error) = self.reload().await {
                        tracing::warn!(%error, "the roles could not be read again");
                    }
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn documents(
        &self,
        kind: DocumentKind,
    ) -> Result<Vec<Arc<Document>>, squall_store::Error> {
        let (filter, now) = (DocumentFilter::default(), self.env.now());
        Ok(self
            .store
            .documents(kind, &filter, Page::ALL, now)
            .await?
            .items)
    }

    /// The records of the roles that are defined, without those of the system.
    ///
    /// # Errors
    ///
    /// The store does not answer.
    pub async fn defined(&self) -> Result<Vec<Arc<Document>>, squall_store::Error> {
        self.documents(DocumentKind::Role).await
    }

    /// The records of who has which role.
    ///
    /// # Errors
    ///
    /// The store does not answer.
    pub async fn assignments(&self) -> Result<Vec<Arc<Document>>, squall_store::Error> {
        self.documents(DocumentKind::RoleAssignment).await
    }

    /// Makes the definitions those in force: what files defined before, and do not any more, goes.
    /// What was given by hand, or by a group, stays.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; nothing was changed then.
    pub async fn apply(&self, definitions: &Definitions) -> Result<Applied, ApplyError> {
        let _guard = self.writing.lock().await;
        let roles = definitions.roles.iter().map(role_entry).collect();
        let assignments = definitions.assignments.iter().flat_map(assignment_entries);
        let mappings = definitions.mappings.iter().map(mapping_entry).collect();
        let mut commands = Vec::new();
        let from_file =
            |document: &Document| member(document, "source").starts_with("assignments/");
        self.sync(DocumentKind::Role, roles, |_| true, &mut commands)
            .await?;
        self.sync(
            DocumentKind::RoleAssignment,
            assignments.collect(),
            from_file,
            &mut commands,
        )
        .await?;
        self.sync(
            DocumentKind::GroupMapping,
            mappings,
            |_| true,
            &mut commands,
        )
        .await?;
        let applied = Applied {
            roles: definitions.roles.len(),
            assignments: definitions.assignments.len(),
            mappings: definitions.mappings.len(),
            changes: commands.len(),
        };
        self.commit(commands).await?;
        Ok(applied)
    }

    /// The commands that make the documents of a kind those that are wanted. Only `owned` ones go.
    async fn sync(
        &self,
        kind: DocumentKind,
        mut wanted: BTreeMap<Str, Value>,
        owned: impl Fn(&Document) -> bool,
        commands: &mut Vec<Command>,
    ) -> Result<(), squall_store::Error> {
        for known in self.documents(kind).await? {
            match wanted.remove(&known.key) {
                Some(body) if body == known.body => {}
                Some(body) => commands.push(self.put(kind, &known.key, body, Some(&known))),
                None if owned(&known) => commands.push(delete(&known)),
                None => {}
            }
        }
        let new = wanted.into_iter();
        commands.extend(new.map(|(key, body)| self.put(kind, &key, body, None)));
        Ok(())
    }

    fn put(&self, kind: DocumentKind, key: &Str, body: Value, known: Option<&Document>) -> Command {
        let from = known.map(|known| known.revision);
        let document = Arc::new(Document {
            kind,
            key: key.clone(),
            id: known.map_or_else(|| fresh_id(&*self.env), |known| known.id),
            pack: None,
            body,
            revision: from.unwrap_or(0) + 1,
            changed: self.env.now(),
            expires: None,
        });
        Command::PutDocument { document, from }
    }

    async fn commit(&self, commands: Vec<Command>) -> Result<(), ApplyError> {
        if !commands.is_empty() {
            let transaction = Transaction::new(self.env.now(), commands);
            audit::commit(&*self.store, transaction).await?;
            self.reload().await?;
        }
        Ok(())
    }

    /// Gives a user roles by hand, and takes all others away that were given so, but for
    /// `system_admin`.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; nothing was changed then.
    pub async fn assign(&self, user: &str, roles: &[Str]) -> Result<(), ApplyError> {
        let is_kept = roles.iter().any(|role| **role == *system::SYSTEM_ADMIN);
        let key = assignment_key(user, system::SYSTEM_ADMIN, BY_HAND);
        let given = self
            .store
            .document(DocumentKind::RoleAssignment, &key, self.env.now());
        if given.await?.is_some() && !is_kept {
            return Err(ApplyError::Irrevocable(Str::from(user)));
        }
        let assignment = Assignment {
            user: Str::from(user),
            roles: roles.to_vec(),
            description: Str::default(),
            source: Str::from(BY_HAND),
        };
        let of_user = |known: &Document| {
            *member(known, "user") == *user && *member(known, "source") == *BY_HAND
        };
        self.replace(assignment_entries(&assignment).collect(), of_user)
            .await
    }

    /// Takes all roles away from a user who is removed.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; nothing was changed then.
    pub async fn forget(&self, user: &str) -> Result<(), ApplyError> {
        let of_user = |known: &Document| {
            let source = member(known, "source");
            *member(known, "user") == *user
                && !source.starts_with("assignments/")
                && *member(known, "role") != *system::SYSTEM_ADMIN
        };
        self.replace(BTreeMap::new(), of_user).await
    }

    /// Gives a user the roles of the groups that a back end told at the sign-in, and no others of
    /// that kind.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; nothing was changed then.
    pub async fn join(&self, user: &str, groups: &[Str]) -> Result<(), ApplyError> {
        let table = self.table.load_full();
        let mut wanted = BTreeMap::new();
        for group in groups {
            let Some((source, roles)) = table.groups.get(group) else {
                continue;
            };
            for role in roles.iter().filter(|role| table.roles.contains_key(*role)) {
                let body = assignment_body(user, role, source, "", true);
                wanted.insert(assignment_key(user, role, source), body);
            }
        }
        let of_user = |known: &Document| {
            *member(known, "user") == *user && member(known, "source").starts_with("mappings/")
        };
        self.replace(wanted, of_user).await
    }

    async fn replace(
        &self,
        wanted: BTreeMap<Str, Value>,
        owned: impl Fn(&Document) -> bool,
    ) -> Result<(), ApplyError> {
        let _guard = self.writing.lock().await;
        let mut commands = Vec::new();
        self.sync(DocumentKind::RoleAssignment, wanted, owned, &mut commands)
            .await?;
        self.commit(commands).await
    }

    /// Whether a role is there.
    #[must_use]
    pub fn is_role(&self, name: &str) -> bool {
        self.table.load().roles.contains_key(name)
    }

    /// Whether somebody has a role that allows everything.
    #[must_use]
    pub fn has_admin(&self) -> bool {
        self.table
            .load()
            .rights
            .values()
            .any(|rights| rights.is_admin())
    }
}

fn delete(known: &Document) -> Command {
    Command::DeleteDocument {
        kind: known.kind,
        key: known.key.clone(),
        from: known.revision,
    }
}

fn member(document: &Document, name: &str) -> Str {
    Str::from(
        document
            .body
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default(),
    )
}

fn names(document: &Document, name: &str) -> Vec<Str> {
    let list = document
        .body
        .get(name)
        .and_then(Value::as_list)
        .unwrap_or_default();
    list.iter()
        .filter_map(Value::as_str)
        .map(Str::from)
        .collect()
}

/// The role that a record describes. What this version does not know grants nothing.
fn role_of(document: &Document) -> Role {
    let grants = document
        .body
        .get("permission_grants")
        .and_then(Value::as_list);
    let grants = grants.unwrap_or_default().iter().map(|grant| {
        let listed = grant.get("permission_types").and_then(Value::as_list);
        let listed = listed.unwrap_or_default().iter().filter_map(Value::as_str);
        Grant {
            resource: grant
                .get("resource_uid")
                .and_then(Value::as_str)
                .map(Str::from),
            permissions: listed.filter_map(Permission::from_name).collect(),
        }
    });
    Role {
        name: document.key.clone(),
        description: member(document, "description"),
        grants: grants.collect(),
    }
}

fn role_entry(role: &Role) -> (Str, Value) {
    let grants = role.grants.iter().map(|grant| {
        let names = grant
            .permissions
            .iter()
            .map(|permission| Value::from(permission.name()));
        let kind = grant
            .resource
            .as_ref()
            .and_then(|uid| uid.split(':').next().map(Str::from));
        dict! {
            "resource_uid" => grant.resource.clone(),
            "resource_type" => kind,
            "permission_types" => names.collect::<Value>(),
        }
    });
    let body = dict! {
        "name" => role.name.clone(),
        "description" => role.description.clone(),
        "permission_grants" => grants.collect::<Value>(),
    };
    (role.name.clone(), body)
}

fn assignment_key(user: &str, role: &str, source: &str) -> Str {
    Str::from(format!("{user}:{role}:{source}"))
}

fn assignment_body(user: &str, role: &str, source: &str, description: &str, remote: bool) -> Value {
    dict! {
        "user" => user,
        "role" => role,
        "description" => description,
        "is_remote" => remote,
        "source" => source,
    }
}

fn assignment_entries(assignment: &Assignment) -> impl Iterator<Item = (Str, Value)> + '_ {
    let Assignment {
        user,
        roles,
        description,
        source,
    } = assignment;
    roles.iter().map(move |role| {
        let body = assignment_body(user, role, source, description, false);
        (assignment_key(user, role, source), body)
    })
}

fn mapping_entry(mapping: &Mapping) -> (Str, Value) {
    let body = dict! {
        "group" => mapping.group.clone(),
        "roles" => mapping.roles.iter().cloned().map(Value::from).collect::<Value>(),
        "description" => mapping.description.clone(),
        "source" => mapping.source.clone(),
    };
    (mapping.group.clone(), body)
}
