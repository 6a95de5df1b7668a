//! What the operator says over a pack's files: whether its resources are enabled.
//!
//! As StackStorm's files in `overrides/`: `_global.yaml` holds for every pack, `PACK.yaml` for one
//! and wins. Of a kind of resource, `defaults` speaks of all, and `exceptions` of one by its name.

use std::sync::Arc;

use squall_model::DocumentKind;
use squall_value::{Str, Value};
use squall_yaml::{Diagnostic, Mapping, Node, Position, Severity};

use crate::finding::Finding;
use crate::load::{Loaded, parse, whole_file};
use crate::member::Members;

/// A file of overrides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Its path; it lies elsewhere than the pack.
    pub file: Str,
    /// Whether it holds for every pack.
    pub global: bool,
    /// Its text, or why it cannot be read.
    pub text: Result<Str, String>,
}

/// The kinds that can be overridden, as the files call them.
const KINDS: [(&str, DocumentKind); 4] = [
    ("sensors", DocumentKind::Sensor),
    ("actions", DocumentKind::Action),
    ("rules", DocumentKind::Rule),
    ("aliases", DocumentKind::Alias),
];

/// One statement: which resources, and whether they are enabled.
struct Statement {
    kind: DocumentKind,
    /// The one that it speaks of, and where that stands; all of the kind when there is none.
    one: Option<(Str, Position)>,
    enabled: bool,
}

/// Applies overrides to what a pack's files define, in order. Returns whether all of them could be
/// read: what they may have switched off must not be put in force without them.
pub(crate) fn apply(overrides: &[Override], pack: &str, loaded: &mut Loaded) -> bool {
    let mut usable = true;
    for file in overrides {
        match statements(file, loaded) {
            Some(statements) => {
                for statement in &statements {
                    set_enabled(statement, pack, loaded);
                }
                warn_of_unknown_names(file, &statements, pack, loaded);
            }
            None => usable = false,
        }
    }
    usable
}

/// What a file says; `None` with findings when some of it cannot be used.
fn statements(file: &Override, loaded: &mut Loaded) -> Option<Vec<Statement>> {
    let text = match &file.text {
        Ok(text) if is_blank(text) => return Some(Vec::new()),
        Ok(text) => text,
        Err(reason) => {
            let finding = whole_file(&file.file, reason.clone(), Severity::Error);
            loaded.findings.push(finding);
            return None;
        }
    };
    let root = parse(&file.file, text, loaded)?;
    let mut members = Members::new(&file.file, &root, &mut loaded.findings);
    let mut found = Vec::new();
    for (member, node, _) in entries(&root) {
        match KINDS.iter().find(|(name, _)| **name == *member) {
            Some((_, kind)) => of_kind(*kind, file, node, &mut members, &mut found),
            None => members.warning(
                Some(&member),
                format!("`{member}` cannot be overridden"),
                "`sensors`, `actions`, `rules` and `aliases` can",
            ),
        }
    }
    members.is_usable().then_some(found)
}

/// Whether a file has nothing but comments in it.
fn is_blank(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

/// The members of a mapping; none of what is no mapping.
fn entries(node: &Node) -> impl Iterator<Item = (Str, &Node, Position)> {
    let entries = node.as_mapping().into_iter().flat_map(Mapping::iter);
    entries.map(|entry| {
        // As names are read that are no texts.
        let name = Str::from(squall_value::python::str(&entry.key.to_value()));
        (name, &entry.value, entry.key.position())
    })
}

/// `defaults` and `exceptions` of one kind.
fn of_kind(
    kind: DocumentKind,
    file: &Override,
    node: &Node,
    outer: &mut Members<'_>,
    found: &mut Vec<Statement>,
) {
    let mut members = Members::new(outer.file, node, outer.findings);
    if node.as_mapping().is_none() && !node.is_null() {
        members.error(None, "expected `defaults` or `exceptions`", "");
    }
    for (member, inner, _) in entries(node) {
        match &*member {
            "defaults" => {
                let enabled = enabled(inner, &mut members);
                found.extend(enabled.map(|enabled| Statement {
                    kind,
                    one: None,
                    enabled,
                }));
            }
            "exceptions" if file.global => members.warning(
                Some("exceptions"),
                "exceptions of all packs are not looked at",
                "write them in `PACK.yaml`",
            ),
            "exceptions" => {
                for (name, inner, position) in entries(inner) {
                    let enabled = enabled(inner, &mut members);
                    found.extend(enabled.map(|enabled| Statement {
                        kind,
                        one: Some((name.clone(), position)),
                        enabled,
                    }));
                }
            }
            _ => members.error(
                Some(&member),
                format!("`{member}` is neither `defaults` nor `exceptions`"),
                "",
            ),
        }
    }
    outer.errors += members.errors;
}

/// The one thing that can be overridden. Another one is an error, as in StackStorm: who wrote it
/// meant something that would not happen.
fn enabled(node: &Node, outer: &mut Members<'_>) -> Option<bool> {
    let mut members = Members::new(outer.file, node, outer.findings);
    if node.as_mapping().is_none() && !node.is_null() {
        members.error(None, "expected `enabled: true` or `enabled: false`", "");
    }
    for (member, _, _) in entries(node) {
        if *member != *"enabled" {
            members.error(
                Some(&member),
                format!("`{member}` cannot be overridden"),
                "only `enabled` can",
            );
        }
    }
    let is_said = node.get("enabled").is_some_and(|node| !node.is_null());
    let enabled = is_said.then(|| members.truth("enabled", true));
    outer.errors += members.errors;
    enabled
}

fn set_enabled(statement: &Statement, pack: &str, loaded: &mut Loaded) {
    let one = statement.one.as_ref().map(|(name, _)| &**name);
    for definition in &mut loaded.definitions {
        let is_meant = definition.kind == statement.kind
            && one.is_none_or(|one| name_in(pack, &definition.key) == Some(one));
        if let Value::Dict(body) = &mut definition.body
            && is_meant
        {
            Arc::make_mut(body).insert("enabled", statement.enabled);
        }
    }
}

fn name_in<'a>(pack: &str, key: &'a str) -> Option<&'a str> {
    key.strip_prefix(pack)?.strip_prefix('.')
}

/// Exceptions for what the pack does not have: most likely a slip.
fn warn_of_unknown_names(
    file: &Override,
    statements: &[Statement],
    pack: &str,
    loaded: &mut Loaded,
) {
    for statement in statements {
        let Some((wanted, position)) = &statement.one else {
            continue;
        };
        let definitions = loaded.definitions.iter();
        let of_kind = definitions.filter(|definition| definition.kind == statement.kind);
        let names: Vec<_> = of_kind
            .filter_map(|definition| name_in(pack, &definition.key))
            .collect();
        if names.contains(&&**wanted) {
            continue;
        }
        let kind = statement.kind.as_str();
        let nearest = squall_schema::nearest(wanted, names);
        let diagnostic = Diagnostic {
            severity: Severity::Warning,
            line: position.line,
            column: position.column,
            message: format!("pack `{pack}` has no {kind} `{wanted}`"),
            help: nearest.map(|nearest| format!("did you mean `{nearest}`?")),
            path: String::new(),
        };
        loaded.findings.push(Finding {
            file: file.file.clone(),
            diagnostic,
        });
    }
}
