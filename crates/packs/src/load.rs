//! The texts of a pack to its documents.

use squall_model::DocumentKind;
use squall_value::{Str, Value, dict};
use squall_yaml::{Diagnostic, Options, Severity};

use crate::definition::{self, Place};
use crate::finding::Finding;
use crate::member::Members;
use crate::overrides::{self, Override};

/// The files of a pack.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// The name of the directory.
    pub directory: Str,
    /// All files by their path in the pack, sorted.
    pub names: Vec<Str>,
    /// Path and text of the metadata and workflow files, sorted by path.
    pub texts: Vec<(Str, Str)>,
    /// Files that cannot be read, and why.
    pub unreadable: Vec<(Str, String)>,
    /// What the operator says over them, the weakest first.
    pub overrides: Vec<Override>,
}

impl Files {
    /// The text of a metadata or workflow file.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&Str> {
        let at = self.texts.binary_search_by(|(name, _)| (**name).cmp(path));
        at.ok().map(|at| &self.texts[at].1)
    }

    /// The pack's reference, if its `pack.yaml` can be used.
    #[must_use]
    pub fn pack(&self) -> Option<Str> {
        load_pack(self, &mut Loaded::default())
    }
}

/// What the server knows and a pack's files refer to.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The names of the runners.
    pub runners: Vec<Str>,
}

/// A document that a pack defines.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// What it describes.
    pub kind: DocumentKind,
    /// Its key in the store.
    pub key: Str,
    /// What it says.
    pub body: Value,
    /// The file it comes from.
    pub file: Str,
}

/// What a pack's files say.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The pack's reference; `None` when `pack.yaml` or an override cannot be used, and then there
    /// are no definitions either.
    pub pack: Option<Str>,
    /// All definitions that can be used, the pack itself first.
    pub definitions: Vec<Definition>,
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
}

/// The directories with metadata directly in them, and what it describes.
const DIRECTORIES: [(&str, DocumentKind); 6] = [
    ("triggers", DocumentKind::TriggerType),
    ("actions", DocumentKind::Action),
    ("sensors", DocumentKind::Sensor),
    ("rules", DocumentKind::Rule),
    ("aliases", DocumentKind::Alias),
    ("policies", DocumentKind::Policy),
];

/// Reads a pack. Never fails: what cannot be used is told in [`Loaded::findings`].
#[must_use]
pub fn load(files: &Files, known: &Known) -> Loaded {
    let mut loaded = Loaded::default();
    for (file, reason) in &files.unreadable {
        let severity = match is_metadata(file) {
            true => Severity::Error,
            false => Severity::Warning,
        };
        loaded
            .findings
            .push(whole_file(file, reason.clone(), severity));
    }
    let Some(pack) = load_pack(files, &mut loaded) else {
        return loaded;
    };
    for (directory, kind) in DIRECTORIES {
        for (file, text) in &files.texts {
            let name = file
                .strip_prefix(directory)
                .and_then(|rest| rest.strip_prefix('/'));
            if name.is_some_and(|name| !name.contains('/')) {
                let place = Place {
                    pack: &pack,
                    file,
                    names: &files.names,
                    known,
                };
                load_file(kind, place, text, &mut loaded);
            }
        }
    }
    refuse_repeated(&mut loaded);
    if !overrides::apply(&files.overrides, &pack, &mut loaded) {
        loaded.definitions.clear();
        return loaded;
    }
    loaded.pack = Some(pack);
    loaded
}

/// Whether a file defines something: metadata lies directly in its directory; deeper YAML is the
/// content of workflows.
fn is_metadata(file: &str) -> bool {
    let is_yaml = file.ends_with(".yaml") || file.ends_with(".yml");
    let is_known = match file.rsplit_once('/') {
        None => ["pack", "config.schema"].contains(&file.rsplit_once('.').unwrap_or_default().0),
        Some((directory, _)) => DIRECTORIES.iter().any(|(known, _)| *known == directory),
    };
    is_yaml && is_known
}

pub(crate) fn whole_file(file: &Str, message: String, severity: Severity) -> Finding {
    let diagnostic = Diagnostic {
        severity,
        line: 1,
        column: 1,
        message,
        help: None,
        path: String::new(),
    };
    Finding {
        file: file.clone(),
        diagnostic,
    }
}

fn load_pack(files: &Files, loaded: &mut Loaded) -> Option<Str> {
    let text = |name: &str| files.texts.iter().find(|(file, _)| **file == *name);
    let Some((file, source)) = text("pack.yaml").or_else(|| text("pack.yml")) else {
        let file = Str::from("pack.yaml");
        let message = "the directory has no `pack.yaml`, so it is not a pack".to_owned();
        loaded
            .findings
            .push(whole_file(&file, message, Severity::Error));
        return None;
    };
    let root = parse(file, source, loaded)?;
    let mut members = Members::new(file, &root, &mut loaded.findings);
    let (pack, body) = definition::pack(&mut members, &files.directory);
    if !members.is_usable() {
        return None;
    }
    let with_files = match body {
        Value::Dict(mut body) => {
            let names = files
                .names
                .iter()
                .map(|name| Value::from(name.clone()))
                .collect::<Value>();
            std::sync::Arc::make_mut(&mut body).insert("files", names);
            Value::Dict(body)
        }
        other => other,
    };
    loaded.definitions.push(Definition {
        kind: DocumentKind::Pack,
        key: pack.clone(),
        body: with_files,
        file: file.clone(),
    });
    if let Some((file, source)) = text("config.schema.yaml")
        && let Some(root) = parse(file, source, loaded)
    {
        loaded.definitions.push(Definition {
            kind: DocumentKind::ConfigSchema,
            key: pack.clone(),
            body: dict! { "pack" => pack.clone(), "attributes" => root.to_value() },
            file: file.clone(),
        });
    }
    Some(pack)
}

/// The root mapping of a metadata file.
pub(crate) fn parse(file: &Str, text: &str, loaded: &mut Loaded) -> Option<squall_yaml::Node> {
    let mut note = |diagnostic: Diagnostic| {
        loaded.findings.push(Finding {
            file: file.clone(),
            diagnostic,
        });
    };
    match squall_yaml::load(text, &Options::default()) {
        Ok(document) => {
            document.warnings.into_iter().for_each(&mut note);
            if document.root.as_mapping().is_some() {
                return Some(document.root);
            }
            let kind = document.root.kind_name();
            let position = document.root.position();
            note(Diagnostic::error(
                position,
                format!("expected a mapping, found {kind}"),
            ));
            None
        }
        Err(failure) => {
            failure.diagnostics.into_iter().for_each(note);
            None
        }
    }
}

fn load_file(kind: DocumentKind, place: Place<'_>, text: &str, loaded: &mut Loaded) {
    let Some(root) = parse(place.file, text, loaded) else {
        return;
    };
    let mut members = Members::new(place.file, &root, &mut loaded.findings);
    let mut types = Vec::new();
    let (name, body) = match kind {
        DocumentKind::Action => definition::action(&mut members, place),
        DocumentKind::Rule => definition::rule(&mut members, place),
        DocumentKind::TriggerType => definition::trigger(&mut members, place),
        DocumentKind::Alias => definition::alias(&mut members, place),
        DocumentKind::Policy => definition::policy(&mut members, place),
        _ => {
            let (name, body, declared) = definition::sensor(&mut members, place);
            types = declared;
            (name, body)
        }
    };
    if !members.is_usable() {
        return;
    }
    let pack = place.pack;
    let key = |name: &Str| Str::from(format!("{pack}.{name}"));
    for (name, body) in types {
        loaded.definitions.push(Definition {
            kind: DocumentKind::TriggerType,
            key: key(&name),
            body,
            file: place.file.clone(),
        });
    }
    loaded.definitions.push(Definition {
        kind,
        key: key(&name),
        body,
        file: place.file.clone(),
    });
}

/// Two files that define the same resource: the first counts, the second is told.
fn refuse_repeated(loaded: &mut Loaded) {
    let mut seen = std::collections::HashMap::new();
    let mut kept = Vec::with_capacity(loaded.definitions.len());
    for definition in std::mem::take(&mut loaded.definitions) {
        let key = (definition.kind, definition.key.clone());
        match seen.get(&key) {
            None => {
                seen.insert(key, definition.file.clone());
                kept.push(definition);
            }
            // A sensor may declare the type that `triggers/` describes.
            Some(_) if definition.kind == DocumentKind::TriggerType => {}
            Some(first) => {
                let (kind, key) = (definition.kind.as_str(), &definition.key);
                let message = format!("{kind} `{key}` is defined in `{first}` already");
                let finding = whole_file(&definition.file, message, Severity::Error);
                loaded.findings.push(finding);
            }
        }
    }
    loaded.definitions = kept;
}

/// Reads one definition that did not come from a file of a pack: what a client of the API sent, as
/// JSON or YAML text.
///
/// # Errors
///
/// All findings, when it cannot be used.
pub fn load_one(
    kind: DocumentKind,
    pack: &Str,
    text: &str,
    known: &Known,
) -> Result<Definition, Vec<Finding>> {
    let file = Str::from("request");
    let mut loaded = Loaded::default();
    let place = Place {
        pack,
        file: &file,
        names: &[],
        known,
    };
    load_file(kind, place, text, &mut loaded);
    let wanted = loaded
        .definitions
        .into_iter()
        .find(|definition| definition.kind == kind);
    let Some(mut definition) = wanted else {
        return Err(loaded.findings);
    };
    if let Value::Dict(body) = &mut definition.body {
        std::sync::Arc::make_mut(body).remove("metadata_file");
    }
    Ok(definition)
}
