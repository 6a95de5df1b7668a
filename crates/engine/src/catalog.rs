//! The definitions in force, compiled once and looked up without a lock.
//!
//! The store has the documents; the catalogue is what they mean. It is replaced as a whole when
//! documents change, so that a step that began with one version ends with it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use squall_model::{ActionRef, Document, DocumentKind, RawId, TriggerRef};
use squall_policy::Policy;
use squall_rules::{CompiledRule, RuleDefinition, RuleIndex};
use squall_runners::Registry;
use squall_schema::{
    ActionParameters, ConfigSchema, MASKED, Mask, Nullable, OutputSchema, Validator,
};
use squall_value::{Dict, Str, Value};

use crate::inquiry::INQUIRER;

/// How executions of an action come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Its runner computes without side effects: it starts and ends in one commit.
    Immediate,
    /// Its runner works outside: a slot, a commit before it starts and one after it ended.
    External,
    /// The conductor carries it out, task by task.
    Workflow,
    /// A person carries it out, by answering.
    Inquiry,
}

/// An action, compiled.
#[derive(Debug)]
pub struct Action {
    /// The document it was made of.
    pub document: Arc<Document>,
    /// The same as executions show it: without the defaults of secret parameters.
    pub shown: Arc<Document>,
    /// Its reference.
    pub reference: ActionRef,
    /// The hash under which this version's content is kept.
    pub content: Str,
    /// Its runner type.
    pub runner: Str,
    /// How it is carried out.
    pub nature: Nature,
    /// Whether it may be run.
    pub enabled: bool,
    /// The file that it runs, relative to the pack's `actions` directory.
    pub entry_point: Str,
    /// Its parameters.
    pub parameters: ActionParameters,
    /// Its output.
    pub output: OutputSchema,
    /// Whether it may run a second time when its first server is lost.
    pub retry_on_worker_loss: bool,
}

impl Action {
    /// Compiles a document of kind action.
    ///
    /// # Errors
    ///
    /// A text for the log when the document is not what registration lets through.
    pub(crate) fn new(document: Arc<Document>, runners: &Registry) -> Result<Action, String> {
        let body = &document.body;
        let text = |member: &str| Str::from(body.get(member).and_then(Value::as_str).unwrap_or(""));
        let reference = ActionRef::parse(&document.key).map_err(|error| error.to_string())?;
        let runner = text("runner_type");
        let nature = match runners.runner(&runner) {
            _ if is_workflow(&runner) => Nature::Workflow,
            _ if *runner == *INQUIRER => Nature::Inquiry,
            Some(found) if found.is_effect_free() => Nature::Immediate,
            _ => Nature::External,
        };
        let empty = Value::empty_dict();
        let runner_parameters = runner_parameters(&runner, runners);
        let own = body.get("parameters").unwrap_or(&empty);
        let (parameters, _) = ActionParameters::new(&runner_parameters, own);
        let (output, _) = OutputSchema::new(body.get("output_schema").unwrap_or(&empty));
        let truth =
            |member: &str, default| body.get(member).and_then(Value::as_bool).unwrap_or(default);
        Ok(Action {
            reference,
            content: text("content"),
            runner,
            nature,
            enabled: truth("enabled", true),
            entry_point: text("entry_point"),
            parameters,
            output,
            retry_on_worker_loss: truth("retry_on_worker_loss", false),
            shown: without_secret_defaults(&document).unwrap_or_else(|| Arc::clone(&document)),
            document,
        })
    }
}

/// An action's document without the defaults of its secret parameters; `None` if there are none.
fn without_secret_defaults(document: &Document) -> Option<Arc<Document>> {
    let parameters = document.body.get("parameters").and_then(Value::as_dict)?;
    let mut masked = parameters.clone();
    let mut has_secrets = false;
    for (name, parameter) in parameters.iter() {
        let is_secret = parameter.get("secret") == Some(&Value::Bool(true));
        let default = parameter.get("default").filter(|value| !value.is_null());
        if let (true, Some(_), Value::Dict(attributes)) = (is_secret, default, parameter) {
            let mut attributes = (**attributes).clone();
            attributes.insert("default", MASKED);
            masked.insert(name.clone(), attributes);
            has_secrets = true;
        }
    }
    let mut body = document.body.as_dict().cloned().filter(|_| has_secrets)?;
    body.insert("parameters", masked);
    Some(Arc::new(Document {
        body: Value::from(body),
        ..document.clone()
    }))
}

/// A trigger type, compiled.
#[derive(Debug)]
pub struct TriggerType {
    /// The document it was made of.
    pub document: Arc<Document>,
    /// What its payloads must be; `None` accepts everything.
    pub payload: Option<Validator>,
    /// What is secret in its payloads.
    pub secrets: Mask,
    /// What its parameters must be.
    pub parameters: Option<Validator>,
}

impl TriggerType {
    fn new(document: &Arc<Document>) -> Result<TriggerType, String> {
        let validator = |member: &str| match document.body.get(member) {
            Some(schema @ Value::Dict(dict)) if !dict.is_empty() => {
                Validator::new(schema, Nullable::Optional).map(Some)
            }
            _ => Ok(None),
        };
        let payload = validator("payload_schema")?;
        let parameters = validator("parameters_schema")?;
        Ok(TriggerType {
            document: Arc::clone(document),
            payload,
            secrets: document
                .body
                .get("payload_schema")
                .map(Mask::new)
                .unwrap_or_default(),
            parameters,
        })
    }
}

/// A trigger that enabled or disabled rules wait for.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Its reference.
    pub reference: TriggerRef,
    /// The type it is made of.
    pub kind: TriggerRef,
    /// The parameters that make it.
    pub parameters: Value,
}

/// The files that a pack was registered from.
#[derive(Debug, Clone)]
struct PackFiles {
    path: PathBuf,
    version: Str,
    has_findings: bool,
}

impl PackFiles {
    fn of(pack: &Value) -> PackFiles {
        let text = |name: &str| pack.get(name).and_then(Value::as_str).unwrap_or_default();
        PackFiles {
            path: PathBuf::from(text("path")),
            version: Str::from(text("content")),
            has_findings: pack.get("has_findings").is_some_and(Value::is_truthy),
        }
    }
}

/// The name of the setting that switches a runner on or off, by its member `enabled`.
#[must_use]
pub fn runner_setting(runner: &str) -> String {
    format!("runner:{runner}")
}

/// The definitions in force.
#[derive(Debug, Default, Clone)]
pub struct Catalog {
    actions: HashMap<Str, Arc<Action>>,
    action_ids: HashMap<RawId, Str>,
    pub(crate) rules: RuleIndex<Str, Str>,
    rule_documents: HashMap<Str, (Arc<Document>, Str)>,
    trigger_types: HashMap<Str, Arc<TriggerType>>,
    /// With the number of rules that wait for each.
    triggers: HashMap<Str, (Arc<Trigger>, usize)>,
    policies: HashMap<Str, Vec<Arc<Policy>>>,
    packs: HashMap<Str, PackFiles>,
    configs: HashMap<Str, Arc<Document>>,
    config_schemas: HashMap<Str, Arc<ConfigSchema>>,
    /// The settings of runners that are switched off.
    runners_off: HashSet<Str>,
    /// Documents that could not be compiled, and why; for people to find.
    pub broken: Vec<(DocumentKind, Str, String)>,
}

impl Catalog {
    /// Takes a new or changed document in. One that cannot be compiled is noted in
    /// [`Catalog::broken`] and takes nothing else with it.
    pub(crate) fn put(&mut self, document: &Arc<Document>, runners: &Registry) {
        self.remove(document.kind, &document.key);
        if let Err(reason) = self.add(document, runners) {
            let key = document.key.clone();
            tracing::warn!(kind = document.kind.as_str(), %key, reason, "a definition is unusable");
            self.broken.push((document.kind, key, reason));
        }
    }

    fn add(&mut self, document: &Arc<Document>, runners: &Registry) -> Result<(), String> {
        let key = document.key.clone();
        match document.kind {
            DocumentKind::Action => {
                let action = Action::new(Arc::clone(document), runners)?;
                self.action_ids.insert(document.id, key.clone());
                self.actions.insert(key, Arc::new(action));
            }
            DocumentKind::Rule => self.add_rule(document)?,
            DocumentKind::TriggerType => {
                let kind = TriggerType::new(document)?;
                self.trigger_types.insert(key, Arc::new(kind));
            }
            DocumentKind::Policy => {
                let policy =
                    Policy::from_metadata(&key, &document.body).map_err(|e| e.to_string())?;
                self.policies
                    .entry(policy.action.text())
                    .or_default()
                    .push(Arc::new(policy));
            }
            DocumentKind::Pack => {
                self.packs.insert(key, PackFiles::of(&document.body));
            }
            DocumentKind::Config => {
                self.configs.insert(key, Arc::clone(document));
            }
            DocumentKind::ConfigSchema => {
                let attributes = document.body.get("attributes").cloned().unwrap_or_default();
                self.config_schemas
                    .insert(key, Arc::new(ConfigSchema::new(&attributes).0));
            }
            DocumentKind::Setting if document.body.get("enabled") == Some(&Value::Bool(false)) => {
                self.runners_off.insert(key);
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes a document out.
    pub(crate) fn remove(&mut self, kind: DocumentKind, key: &str) {
        self.broken
            .retain(|(broken, name, _)| *broken != kind || **name != *key);
        match kind {
            DocumentKind::Action => {
                if let Some(action) = self.actions.remove(key) {
                    self.action_ids.remove(&action.document.id);
                }
            }
            DocumentKind::Rule => self.remove_rule(key),
            DocumentKind::TriggerType => drop(self.trigger_types.remove(key)),
            DocumentKind::Policy => {
                for policies in self.policies.values_mut() {
                    policies.retain(|policy| *policy.reference != *key);
                }
            }
            DocumentKind::Pack => drop(self.packs.remove(key)),
            DocumentKind::Config => drop(self.configs.remove(key)),
            DocumentKind::ConfigSchema => drop(self.config_schemas.remove(key)),
            DocumentKind::Setting => drop(self.runners_off.remove(key)),
            _ => {}
        }
    }

    /// Whether actions with this runner may be asked for.
    #[must_use]
    pub fn is_runner_enabled(&self, runner: &str) -> bool {
        self.runners_off.is_empty() || !self.runners_off.contains(&*runner_setting(runner))
    }

    fn add_rule(&mut self, document: &Arc<Document>) -> Result<(), String> {
        let (definition, diagnostics) = RuleDefinition::parse(&document.body);
        let definition = definition.ok_or_else(|| {
            let messages = diagnostics.into_iter().map(|diagnostic| diagnostic.message);
            messages.collect::<Vec<_>>().join("; ")
        })?;
        let kind = TriggerRef::parse(&definition.trigger_type).map_err(|e| e.to_string())?;
        let parameters = definition.trigger_parameters.clone();
        let reference = squall_packs::trigger_reference(kind.as_str(), &parameters)
            .map_err(|e| e.to_string())?;
        let text = reference.text();
        let trigger = Trigger {
            reference,
            kind,
            parameters,
        };
        let (_, count) = self
            .triggers
            .entry(text.clone())
            .or_insert_with(|| (Arc::new(trigger), 0));
        *count += 1;
        if definition.enabled {
            let rule = Arc::new(CompiledRule::compile(&definition.criteria));
            self.rules
                .insert(text.clone(), document.key.clone(), definition.kind, rule);
        }
        self.rule_documents
            .insert(document.key.clone(), (Arc::clone(document), text));
        Ok(())
    }

    fn remove_rule(&mut self, key: &str) {
        let Some((document, trigger)) = self.rule_documents.remove(key) else {
            return;
        };
        self.rules.remove(&document.key);
        if let Some((_, count)) = self.triggers.get_mut(&trigger) {
            *count -= 1;
            if *count == 0 {
                self.triggers.remove(&trigger);
            }
        }
    }

    /// The action of that reference.
    #[must_use]
    pub fn action(&self, reference: &str) -> Option<&Arc<Action>> {
        self.actions.get(reference)
    }

    /// The action whose document has that id.
    #[must_use]
    pub fn action_by_id(&self, id: RawId) -> Option<&Arc<Action>> {
        self.action_ids
            .get(&id)
            .and_then(|key| self.actions.get(key))
    }

    /// All actions, in no order.
    pub fn actions(&self) -> impl Iterator<Item = &Arc<Action>> {
        self.actions.values()
    }

    /// The documents of all rules, in no order.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Document>> {
        self.rule_documents.values().map(|(document, _)| document)
    }

    /// The document of a rule.
    #[must_use]
    pub fn rule(&self, reference: &str) -> Option<&Arc<Document>> {
        self.rule_documents
            .get(reference)
            .map(|(document, _)| document)
    }

    /// The trigger type of that reference.
    #[must_use]
    pub fn trigger_type(&self, reference: &str) -> Option<&Arc<TriggerType>> {
        self.trigger_types.get(reference)
    }

    /// The type of a trigger that is a type itself or that was made of one.
    #[must_use]
    pub fn type_of(&self, trigger: &TriggerRef) -> Option<&Arc<TriggerType>> {
        let made = self.trigger(trigger.as_str());
        self.trigger_type(made.map_or(trigger.as_str(), |made| made.kind.as_str()))
    }

    /// The trigger of that reference: one that a rule waits for.
    #[must_use]
    pub fn trigger(&self, reference: &str) -> Option<&Arc<Trigger>> {
        self.triggers.get(reference).map(|(trigger, _)| trigger)
    }

    /// All triggers that rules wait for.
    pub fn triggers(&self) -> impl Iterator<Item = &Arc<Trigger>> {
        self.triggers.values().map(|(trigger, _)| trigger)
    }

    /// The policies in force for an action.
    pub(crate) fn policies(&self, action: &str) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies
            .get(action)
            .into_iter()
            .flatten()
            .filter(|policy| policy.enabled)
    }

    /// Whether any policy limits how many executions of an action run at a time.
    pub(crate) fn is_limited(&self, action: &str) -> bool {
        self.policies(action).any(|policy| policy.limit().is_some())
    }

    /// The policies in force that limit how many run at a time, by reference.
    pub(crate) fn limits(&self) -> BTreeMap<Str, Arc<Policy>> {
        let policies = self.policies.values().flatten();
        policies
            .filter(|policy| policy.enabled && policy.limit().is_some())
            .map(|policy| (policy.reference.clone(), Arc::clone(policy)))
            .collect()
    }

    /// Where a pack's files are.
    #[must_use]
    pub fn pack_directory(&self, pack: &str) -> Option<&PathBuf> {
        self.packs.get(pack).map(|files| &files.path)
    }

    /// The pack of that directory, if it was registered with that version of its files, and whether
    /// something was wrong in them.
    pub(crate) fn pack_registered(&self, directory: &Path, version: &str) -> Option<(&Str, bool)> {
        self.packs
            .iter()
            .find(|(_, files)| files.path == directory && *files.version == *version)
            .map(|(pack, files)| (pack, files.has_findings))
    }

    /// The values of a pack's configuration as they were written, templates included.
    #[must_use]
    pub fn config_values(&self, pack: &str) -> Dict {
        let values = self
            .configs
            .get(pack)
            .and_then(|document| document.body.get("values"));
        values.and_then(Value::as_dict).cloned().unwrap_or_default()
    }

    /// The version of the file that a pack's configuration came from, if one did.
    pub(crate) fn config_file(&self, pack: &str) -> Option<Str> {
        let file = self.configs.get(pack)?.body.get("file")?.as_str()?;
        Some(Str::from(file))
    }

    /// The compiled schema of a pack's configuration.
    #[must_use]
    pub fn config_schema(&self, pack: &str) -> Option<&Arc<ConfigSchema>> {
        self.config_schemas.get(pack)
    }
}

/// Whether actions of this runner type are conducted instead of run.
#[must_use]
pub fn is_workflow(runner: &str) -> bool {
    matches!(runner, "orquesta" | "action-chain")
}

/// The parameters of a runner type: those of the description, or those of a runner that was added
/// without one.
fn runner_parameters(name: &str, runners: &Registry) -> Value {
    match (Registry::runner_type(name), runners.runner(name)) {
        (Some(described), _) => described.parameters.clone(),
        (None, Some(runner)) => runner.parameters().clone(),
        (None, None) => Value::empty_dict(),
    }
}
