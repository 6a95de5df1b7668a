//! Definitions: how documents get into the store and the catalogue.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use squall_env::fresh_id;
use squall_model::{
    Document, DocumentKind, Execution, RawId, Timestamp, TriggerInstance, TriggerInstanceStatus,
    TriggerRef,
};
use squall_packs::{Definition, Files, Loaded};
use squall_store::{Command, CommitError, DocumentFilter, Page, Refusal};
use squall_value::{Dict, Str, Value, dict, json};

use crate::catalog::Action;
use crate::datastore::item_shown;
use crate::plan::After;
use crate::{Catalog, Engine};

/// The kinds that a catalogue is made of.
pub(crate) const CATALOGUED: [DocumentKind; 8] = [
    DocumentKind::Setting,
    DocumentKind::Pack,
    DocumentKind::ConfigSchema,
    DocumentKind::Config,
    DocumentKind::TriggerType,
    DocumentKind::Action,
    DocumentKind::Policy,
    DocumentKind::Rule,
];

/// The kinds that come from a pack's files and go with them.
const FROM_FILES: [DocumentKind; 8] = [
    DocumentKind::Pack,
    DocumentKind::ConfigSchema,
    DocumentKind::TriggerType,
    DocumentKind::Action,
    DocumentKind::Sensor,
    DocumentKind::Rule,
    DocumentKind::Alias,
    DocumentKind::Policy,
];

/// The file of a pack's configuration schema; its document does not name it.
const CONFIG_SCHEMA: &str = "config.schema.yaml";

/// How many documents one transaction holds at most.
const BATCH: usize = 500;

/// A wanted change of a document.
#[derive(Debug, Clone)]
pub enum Change {
    /// Make it, or change it.
    Put {
        /// Its kind.
        kind: DocumentKind,
        /// Its key.
        key: Str,
        /// The pack it belongs to.
        pack: Option<Str>,
        /// What it says.
        body: Value,
        /// When it ceases to exist by itself.
        expires: Option<Timestamp>,
        /// Whether it must be new.
        new: bool,
    },
    /// Remove it.
    Delete {
        /// Its kind.
        kind: DocumentKind,
        /// Its key.
        key: Str,
    },
}

/// Why documents were not changed.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// It was to be new, and there is one.
    #[error("the {kind} `{key}` exists already", kind = kind.as_str().replace('_', " "))]
    Exists {
        /// Its kind.
        kind: DocumentKind,
        /// Its key.
        key: Str,
        /// Its id.
        id: RawId,
    },
    /// It was to be removed, and there is none.
    #[error("there is no {kind} `{key}`", kind = kind.as_str())]
    Missing {
        /// Its kind.
        kind: DocumentKind,
        /// Its key.
        key: Str,
    },
    /// Somebody else changed it at the same time.
    #[error("the definition was changed by somebody else at the same moment; try again")]
    Conflict,
    /// The store failed.
    #[error("the definitions could not be stored")]
    Store(#[from] CommitError),
}

impl From<squall_store::Error> for PutError {
    fn from(error: squall_store::Error) -> PutError {
        PutError::Store(error.into())
    }
}

/// What a registration did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registered {
    /// Documents of each kind that the pack defines now.
    pub defined: Vec<(DocumentKind, usize)>,
    /// How many documents are new or different.
    pub changed: usize,
    /// How many documents went because their files did.
    pub removed: usize,
}

impl Engine {
    /// Reads all definitions from the store and puts them in force.
    ///
    /// # Errors
    ///
    /// When the store does not answer; the old definitions stay in force.
    pub async fn reload(&self) -> Result<(), squall_store::Error> {
        let now = self.env.now();
        let mut catalog = Catalog::default();
        for kind in CATALOGUED {
            let filter = DocumentFilter::default();
            let documents = self.store.documents(kind, &filter, Page::ALL, now).await?;
            for document in &documents.items {
                catalog.put(document, &self.runners);
            }
        }
        self.catalog.store(Arc::new(catalog));
        let filter = DocumentFilter::default();
        let keys = self
            .store
            .documents(DocumentKind::Key, &filter, Page::ALL, now)
            .await?;
        self.datastore.replace(keys.items);
        self.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Makes, changes and removes documents, all or (up to `BATCH` of them) nothing, and puts them
    /// in force. Returns the documents that were put, in order.
    ///
    /// # Errors
    ///
    /// [`PutError`].
    pub async fn change(
        self: &Arc<Engine>,
        changes: Vec<Change>,
    ) -> Result<Vec<Arc<Document>>, PutError> {
        let _guard = self.registering.lock().await;
        let now = self.env.now();
        let mut put = Vec::new();
        let mut applied: Vec<(Command, Applied)> = Vec::new();
        let mut events = Vec::new();
        for change in changes {
            let (command, effect, before) = self.command_for(change, now).await?;
            if let Applied::Put(document) = &effect {
                put.push(Arc::clone(document));
            }
            events.extend(self.key_events(before.as_deref(), &effect));
            applied.push((command, effect));
        }
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        let events = events.into_iter().map(|event| {
            (
                Command::InsertTriggerInstance(Arc::new(event)),
                Applied::Event,
            )
        });
        applied.extend(events);
        self.apply(applied).await?;
        self.follow(ids.into_iter().map(After::Match).collect());
        Ok(put)
    }

    /// The events that a change of the datastore makes, where rules listen for them.
    fn key_events(&self, before: Option<&Document>, effect: &Applied) -> Vec<TriggerInstance> {
        let object = |document: &Document| dict! { "object" => item_shown(document) };
        let happened: Vec<(&str, Value)> = match (effect, before) {
            (Applied::Put(after), None) if after.kind == DocumentKind::Key => {
                vec![("create", object(after))]
            }
            (Applied::Put(after), Some(before)) if after.kind == DocumentKind::Key => {
                let both =
                    dict! { "old_object" => item_shown(before), "new_object" => item_shown(after) };
                let changed = before.body.get("value") != after.body.get("value");
                let change = changed.then_some(("value_change", both));
                [("update", object(after))]
                    .into_iter()
                    .chain(change)
                    .collect()
            }
            (Applied::Deleted(DocumentKind::Key, _), Some(before)) => {
                vec![("delete", object(before))]
            }
            _ => Vec::new(),
        };
        let now = self.env.now();
        let instance = |(operation, payload): (&str, Value)| {
            let trigger = format!("core.st2.key_value_pair.{operation}");
            if !self.is_listened_to(&trigger) {
                return None;
            }
            Some(TriggerInstance {
                id: fresh_id(&*self.env),
                trigger: TriggerRef::parse(&trigger).ok()?,
                payload,
                occurred: now,
                status: TriggerInstanceStatus::Pending,
                trace_tag: None,
                source_execution: None,
                sender: None,
            })
        };
        happened.into_iter().filter_map(instance).collect()
    }

    pub(crate) async fn command_for(
        &self,
        change: Change,
        now: Timestamp,
    ) -> Result<(Command, Applied, Option<Arc<Document>>), PutError> {
        match change {
            Change::Put {
                kind,
                key,
                pack,
                body,
                expires,
                new,
            } => {
                let known = self.store.document(kind, &key, now).await?;
                if let Some(known) = known.as_ref().filter(|_| new) {
                    return Err(PutError::Exists {
                        kind,
                        key,
                        id: known.id,
                    });
                }
                let document = Document {
                    kind,
                    id: known
                        .as_ref()
                        .map_or_else(|| fresh_id(&*self.env), |known| known.id),
                    revision: known.as_ref().map_or(0, |known| known.revision) + 1,
                    key,
                    pack,
                    body,
                    changed: now,
                    expires,
                };
                let document = Arc::new(document);
                let from = known.as_ref().map(|known| known.revision);
                let command = Command::PutDocument {
                    document: Arc::clone(&document),
                    from,
                };
                Ok((command, Applied::Put(document), known))
            }
            Change::Delete { kind, key } => {
                let Some(known) = self.store.document(kind, &key, now).await? else {
                    return Err(PutError::Missing { kind, key });
                };
                let from = known.revision;
                let command = Command::DeleteDocument {
                    kind,
                    key: key.clone(),
                    from,
                };
                Ok((command, Applied::Deleted(kind, key), Some(known)))
            }
        }
    }

    pub(crate) async fn apply(
        self: &Arc<Engine>,
        applied: Vec<(Command, Applied)>,
    ) -> Result<(), PutError> {
        let mut effects = Vec::with_capacity(applied.len());
        let mut applied = applied.into_iter().peekable();
        while applied.peek().is_some() {
            let (commands, batch): (Vec<_>, Vec<_>) = applied.by_ref().take(BATCH).unzip();
            let commands = commands
                .into_iter()
                .flat_map(|command| self.with_content(command));
            match self.commit(commands.collect()).await {
                Ok(()) => effects.extend(batch),
                Err(error) => {
                    // What earlier batches committed holds and must be in force.
                    self.put_in_force(&effects);
                    return Err(match error.refusal() {
                        Some(Refusal::Changed | Refusal::Exists | Refusal::Missing) => {
                            PutError::Conflict
                        }
                        _ => PutError::Store(error),
                    });
                }
            }
        }
        self.put_in_force(&effects);
        Ok(())
    }

    /// An action's definition is also kept under its hash, for executions that began with it.
    fn with_content(&self, command: Command) -> Vec<Command> {
        let content = match &command {
            Command::PutDocument { document, .. } if document.kind == DocumentKind::Action => {
                let hash = document.body.get("content").and_then(Value::as_str);
                hash.map(|hash| (Str::from(hash), content_text(&document.body)))
            }
            _ => None,
        };
        let content = content.map(|(hash, text)| Command::PutContent { hash, text });
        content.into_iter().chain([command]).collect()
    }

    pub(crate) fn put_in_force(self: &Arc<Engine>, effects: &[Applied]) {
        let catalogued = effects
            .iter()
            .any(|effect| effect.kind().is_some_and(|kind| CATALOGUED.contains(&kind)));
        let mut catalog = catalogued.then(|| Catalog::clone(&self.catalog()));
        for effect in effects {
            match (effect, &mut catalog) {
                (Applied::Put(document), _) if document.kind == DocumentKind::Key => {
                    self.datastore.put(Arc::clone(document));
                }
                (Applied::Deleted(DocumentKind::Key, key), _) => self.datastore.remove(key),
                (Applied::Put(document), Some(catalog)) => catalog.put(document, &self.runners),
                (Applied::Deleted(kind, key), Some(catalog)) => catalog.remove(*kind, key),
                (Applied::Event, _) | (_, None) => {}
            }
        }
        if let Some(catalog) = catalog {
            let before = self.catalog.swap(Arc::new(catalog));
            let is_policy = |effect: &Applied| effect.kind() == Some(DocumentKind::Policy);
            if effects.iter().any(is_policy) {
                self.revise_gates(&before);
            }
        }
        let followed = |effect: &Applied| effect.kind() == Some(DocumentKind::Sensor);
        if catalogued || effects.iter().any(followed) {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Registers a pack: its documents become what its files say. Unchanged ones are left alone.
    ///
    /// # Errors
    ///
    /// [`PutError`]. A pack whose `pack.yaml` cannot be used registers nothing; the findings say
    /// why.
    pub async fn register(
        self: &Arc<Engine>,
        directory: &Path,
        files: &Files,
        loaded: &Loaded,
    ) -> Result<Registered, PutError> {
        let Some(pack) = &loaded.pack else {
            return Ok(Registered::default());
        };
        let _guard = self.registering.lock().await;
        let now = self.env.now();
        let mut known = HashMap::new();
        let filter = DocumentFilter {
            pack: Some(pack.clone()),
            key_prefix: None,
        };
        for kind in FROM_FILES {
            let documents = self.store.documents(kind, &filter, Page::ALL, now).await?;
            let documents = documents.items.into_iter();
            known.extend(documents.map(|document| ((kind, document.key.clone()), document)));
        }
        let version = self.pack_version(files);
        let mut registered = Registered::default();
        let mut applied = Vec::new();
        let mut pack_itself = None;
        for definition in &loaded.definitions {
            // The types that a sensor declares come with it; they are no files of their own.
            if definition.kind != DocumentKind::TriggerType
                || definition.file.starts_with("triggers/")
            {
                count(&mut registered.defined, definition.kind);
            }
            let before = known.remove(&(definition.kind, definition.key.clone()));
            let body = match definition.kind {
                DocumentKind::Pack => pack_body(definition, directory, &version, loaded),
                _ => complete_body(definition, files),
            };
            let same =
                |before: &Arc<Document>| crate::rights::is_same_definition(&before.body, &body);
            if before.as_ref().is_some_and(same) {
                continue;
            }
            registered.changed += 1;
            let put = self.put_command(definition, pack, body, before.as_deref(), now);
            match definition.kind {
                DocumentKind::Pack => pack_itself = Some(put),
                _ => applied.push(put),
            }
        }
        let broken = broken_files(loaded);
        for ((kind, key), document) in known {
            if stays(&document, &broken) {
                continue;
            }
            registered.removed += 1;
            let from = document.revision;
            let command = Command::DeleteDocument {
                kind,
                key: key.clone(),
                from,
            };
            applied.push((command, Applied::Deleted(kind, key)));
        }
        // Its version says that all the rest is there.
        applied.extend(pack_itself);
        self.apply(applied).await?;
        Ok(registered)
    }

    fn put_command(
        &self,
        definition: &Definition,
        pack: &Str,
        body: Value,
        before: Option<&Document>,
        now: Timestamp,
    ) -> (Command, Applied) {
        let document = Arc::new(Document {
            kind: definition.kind,
            key: definition.key.clone(),
            id: before.map_or_else(|| fresh_id(&*self.env), |before| before.id),
            pack: Some(pack.clone()),
            body,
            revision: before.map_or(0, |before| before.revision) + 1,
            changed: now,
            expires: None,
        });
        let from = before.map(|before| before.revision);
        let command = Command::PutDocument {
            document: Arc::clone(&document),
            from,
        };
        (command, Applied::Put(document))
    }

    /// The action as it was when the execution was requested; `None` when that version is not kept
    /// any more.
    pub(crate) async fn definition(
        &self,
        execution: &Execution,
    ) -> Result<Option<Arc<Action>>, squall_store::Error> {
        let request = &execution.request;
        let catalog = self.catalog();
        if let Some(action) = catalog.action(request.action.as_str())
            && action.content == request.definition
        {
            return Ok(Some(Arc::clone(action)));
        }
        if let Some(action) = self.definitions.lock().get(&request.definition) {
            return Ok(Some(Arc::clone(action)));
        }
        let Some(text) = self.store.content(&request.definition).await? else {
            return Ok(None);
        };
        let content = json::read(&text)
            .map_err(|error| squall_store::Error::Damaged(format!("content: {error}")))?;
        let document = Document {
            kind: DocumentKind::Action,
            key: request.action.text(),
            id: RawId::from_raw(0),
            pack: Some(Str::from(request.action.pack())),
            body: content,
            revision: 0,
            changed: request.requested,
            expires: None,
        };
        let Ok(action) = Action::new(Arc::new(document), &self.runners) else {
            return Ok(None);
        };
        let action = Arc::new(action);
        let mut definitions = self.definitions.lock();
        // Old versions are rare; a full cache is simply begun anew.
        if definitions.len() >= BATCH {
            definitions.clear();
        }
        definitions.insert(request.definition.clone(), Arc::clone(&action));
        Ok(Some(action))
    }
}

/// Whether a document stays that no file defines now. What people made through the API has no file.
/// What a file defined that cannot be read now stays, too: half a file, or a slip, must not stop
/// what works.
fn stays(document: &Document, broken: &HashSet<&str>) -> bool {
    match document.body.get("metadata_file").and_then(Value::as_str) {
        Some(file) => broken.contains(file),
        None => document.kind != DocumentKind::ConfigSchema || broken.contains(CONFIG_SCHEMA),
    }
}

/// The files with errors in them.
fn broken_files(loaded: &Loaded) -> HashSet<&str> {
    let errors = loaded.findings.iter().filter(|finding| finding.is_error());
    errors.map(|finding| &*finding.file).collect()
}

/// What a change did.
#[derive(Debug)]
pub(crate) enum Applied {
    Put(Arc<Document>),
    Deleted(DocumentKind, Str),
    Event,
}

impl Applied {
    fn kind(&self) -> Option<DocumentKind> {
        match self {
            Applied::Put(document) => Some(document.kind),
            Applied::Deleted(kind, _) => Some(*kind),
            Applied::Event => None,
        }
    }
}

fn count(counts: &mut Vec<(DocumentKind, usize)>, kind: DocumentKind) {
    match counts.iter_mut().find(|(counted, _)| *counted == kind) {
        Some((_, count)) => *count += 1,
        None => counts.push((kind, 1)),
    }
}

/// The body of a pack as it is stored: with its directory, the version of its files, and whether
/// something is wrong in them.
fn pack_body(definition: &Definition, directory: &Path, version: &str, loaded: &Loaded) -> Value {
    let mut body = definition.body.as_dict().cloned().unwrap_or_default();
    body.insert("path", directory.to_string_lossy().into_owned());
    body.insert("content", version);
    body.insert("has_findings", !loaded.findings.is_empty());
    Value::from(body)
}

/// The body as it is stored: an action knows its content.
fn complete_body(definition: &Definition, files: &Files) -> Value {
    let Value::Dict(body) = &definition.body else {
        return definition.body.clone();
    };
    match definition.kind {
        DocumentKind::Action => {
            let entry_point = body
                .get("entry_point")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let path = format!("actions/{entry_point}");
            action_body(body, files.text(&path))
        }
        _ => definition.body.clone(),
    }
}

/// The body of an action with its workflow's text, if it has one, and the hash of it all.
pub fn action_body(body: &Dict, workflow: Option<&Str>) -> Value {
    let mut body = body.clone();
    body.remove("content");
    body.remove("workflow");
    if let Some(text) = workflow {
        body.insert("workflow", text.clone());
    }
    let body = Value::from(body);
    let digest = Sha256::digest(body.to_json().as_bytes());
    let hash: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let Value::Dict(mut inner) = body else {
        return dict! {};
    };
    Arc::make_mut(&mut inner).insert("content", hash);
    Value::Dict(inner)
}

fn content_text(body: &Value) -> Str {
    Str::from(body.to_json())
}

impl Engine {
    /// Removes everything that a pack's files defined. Its configuration stays.
    ///
    /// # Errors
    ///
    /// [`PutError`].
    pub async fn unregister(self: &Arc<Engine>, pack: &str) -> Result<Registered, PutError> {
        let _guard = self.registering.lock().await;
        let now = self.env.now();
        let filter = DocumentFilter {
            pack: Some(Str::from(pack)),
            key_prefix: None,
        };
        let mut registered = Registered::default();
        let mut applied = Vec::new();
        for kind in FROM_FILES {
            let documents = self.store.documents(kind, &filter, Page::ALL, now).await?;
            for document in documents.items {
                registered.removed += 1;
                let key = document.key.clone();
                let command = Command::DeleteDocument {
                    kind,
                    key: key.clone(),
                    from: document.revision,
                };
                applied.push((command, Applied::Deleted(kind, key)));
            }
        }
        self.apply(applied).await?;
        Ok(registered)
    }
}
