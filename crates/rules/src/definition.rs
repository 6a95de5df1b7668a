//! Rule definitions: what packs and clients write.
//!
//! Sources: StackStorm `st2common/models/api/rule.py` and `st2common/validators/api/reactor.py`.

use std::fmt;

use squall_value::{Dict, Str, Value, python};

use crate::operator::{self, Operator};
use crate::path::Path;

/// When a rule is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RuleKind {
    /// For every event.
    #[default]
    Standard,
    /// Only for events that no standard rule matches.
    Backstop,
}

/// A rule, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleDefinition {
    /// The name within the pack.
    pub name: Str,
    /// The pack; absent if the definition names none, and then that of the file.
    pub pack: Option<Str>,
    /// A text for people.
    pub description: Option<Str>,
    /// Whether events are tried against it. Rules are disabled unless they say otherwise.
    pub enabled: bool,
    /// When it is tried.
    pub kind: RuleKind,
    /// The reference of the trigger type, `pack.name`.
    pub trigger_type: Str,
    /// The parameters of the trigger; a dictionary.
    pub trigger_parameters: Value,
    /// The criteria as written; a dictionary.
    pub criteria: Value,
    /// The reference of the action.
    pub action: Str,
    /// The parameters of the action, templates included; a dictionary.
    pub action_parameters: Value,
    /// Further context for the execution; a dictionary.
    pub context: Value,
    /// Tags as written; a list.
    pub tags: Value,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The rule works, though perhaps not as meant.
    Warning,
    /// The rule must be refused.
    Error,
}

/// One finding in a rule definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stands in the way.
    pub severity: Severity,
    /// The keys that lead to the offence.
    pub path: Vec<Str>,
    /// What is wrong, why it matters and what to do.
    pub message: String,
}

impl Diagnostic {
    fn new(severity: Severity, path: &[&str], message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity,
            path: path.iter().map(|&part| Str::from(part)).collect(),
            message: message.into(),
        }
    }

    fn error(path: &[&str], message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, path, message)
    }

    fn warning(path: &[&str], message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, path, message)
    }

    /// Whether the rule must be refused.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path.join("."), self.message)
    }
}

/// The keys of a rule.
const KEYS: [&str; 14] = [
    "id",
    "ref",
    "uid",
    "name",
    "pack",
    "description",
    "type",
    "trigger",
    "criteria",
    "action",
    "enabled",
    "context",
    "tags",
    "metadata_file",
];

impl RuleDefinition {
    /// Reads a definition. There is a rule unless a diagnostic is an error.
    #[must_use]
    pub fn parse(definition: &Value) -> (Option<RuleDefinition>, Vec<Diagnostic>) {
        let mut reader = Reader { found: Vec::new() };
        let rule = reader.rule(definition);
        let is_sound = reader.found.iter().all(|finding| !finding.is_error());
        (rule.filter(|_| is_sound), reader.found)
    }
}

struct Reader {
    found: Vec<Diagnostic>,
}

impl Reader {
    fn rule(&mut self, definition: &Value) -> Option<RuleDefinition> {
        let Some(rule) = definition.as_dict() else {
            self.found.push(Diagnostic::error(
                &[],
                format!(
                    "a rule must be a mapping, but is of type {}",
                    definition.kind()
                ),
            ));
            return None;
        };
        for key in rule.keys().filter(|key| !KEYS.contains(&&***key)) {
            let hint = nearest(key, KEYS)
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            self.found.push(Diagnostic::warning(
                &[key],
                format!("unknown key `{key}` is ignored{hint}"),
            ));
        }
        let name = self.text(rule, &["name"], true);
        let trigger = self.dict(rule, &["trigger"], true);
        let trigger_type = self.text(&trigger, &["trigger", "type"], true);
        let trigger_parameters = self.dict(&trigger, &["trigger", "parameters"], false);
        let action = self.dict(rule, &["action"], true);
        for key in action.keys() {
            if !["ref", "description", "parameters"].contains(&&**key) {
                self.found.push(Diagnostic::warning(
                    &["action", key],
                    format!(
                        "unknown key `{key}` is ignored; the action's arguments belong under \
                             `parameters`"
                    ),
                ));
            }
        }
        let action_ref = self.text(&action, &["action", "ref"], true);
        let action_parameters = self.dict(&action, &["action", "parameters"], false);
        let criteria = self.dict(rule, &["criteria"], false);
        self.criteria(&criteria, &mut vec!["criteria"]);
        let pack = self.text(rule, &["pack"], false);
        let description = self.text(rule, &["description"], false);
        let enabled = self.enabled(rule);
        let kind = self.kind(rule);
        let context = self.dict(rule, &["context"], false);
        let tags = self.tags(rule);
        Some(RuleDefinition {
            name: name?,
            pack,
            description,
            enabled,
            kind,
            trigger_type: trigger_type?,
            trigger_parameters: Value::from(trigger_parameters),
            criteria: Value::from(criteria),
            action: action_ref?,
            action_parameters: Value::from(action_parameters),
            context: Value::from(context),
            tags,
        })
    }

    /// The text under the last key of `path`, which leads to it from the root of the rule.
    fn text(&mut self, dict: &Dict, path: &[&str], is_required: bool) -> Option<Str> {
        let key = path.last().copied().unwrap_or_default();
        match dict.get(key) {
            Some(Value::String(text)) if !(is_required && text.is_empty()) => Some(text.clone()),
            None | Some(Value::Null) if !is_required => None,
            None | Some(Value::Null) => {
                self.found.push(Diagnostic::error(
                    path,
                    format!("'{key}' is a required property"),
                ));
                None
            }
            Some(Value::String(_)) => {
                self.found.push(Diagnostic::error(
                    path,
                    format!("`{key}` must not be empty"),
                ));
                None
            }
            Some(other) => {
                self.found.push(Diagnostic::error(
                    path,
                    format!("{} is not of type 'string'", python::repr(other)),
                ));
                None
            }
        }
    }

    fn dict(&mut self, dict: &Dict, path: &[&str], is_required: bool) -> Dict {
        let key = path.last().copied().unwrap_or_default();
        match dict.get(key) {
            Some(Value::Dict(inner)) => (**inner).clone(),
            None | Some(Value::Null) => {
                if is_required {
                    self.found.push(Diagnostic::error(
                        path,
                        format!("'{key}' is a required property"),
                    ));
                }
                Dict::new()
            }
            Some(other) => {
                self.found.push(Diagnostic::error(
                    path,
                    format!("{} is not of type 'object'", python::repr(other)),
                ));
                Dict::new()
            }
        }
    }

    fn enabled(&mut self, rule: &Dict) -> bool {
        match rule.get("enabled") {
            Some(Value::Bool(enabled)) => *enabled,
            None | Some(Value::Null) => false,
            Some(other) => {
                self.found.push(Diagnostic::error(
                    &["enabled"],
                    format!("{} is not of type 'boolean'", python::repr(other)),
                ));
                false
            }
        }
    }

    fn kind(&mut self, rule: &Dict) -> RuleKind {
        let spec = self.dict(rule, &["type"], false);
        match spec.get("ref").and_then(Value::as_str) {
            None if spec.is_empty() => RuleKind::Standard,
            Some("standard") => RuleKind::Standard,
            Some("backstop") => RuleKind::Backstop,
            other => {
                self.found.push(Diagnostic::error(
                    &["type", "ref"],
                    format!(
                        "unknown type of rule `{}`; known are standard, backstop",
                        other.unwrap_or_default()
                    ),
                ));
                RuleKind::Standard
            }
        }
    }

    fn tags(&mut self, rule: &Dict) -> Value {
        match rule.get("tags") {
            Some(Value::List(tags)) => Value::List(tags.clone()),
            None | Some(Value::Null) => Value::empty_list(),
            Some(other) => {
                self.found.push(Diagnostic::error(
                    &["tags"],
                    format!("{} is not of type 'array'", python::repr(other)),
                ));
                Value::empty_list()
            }
        }
    }

    fn criteria<'c>(&mut self, criteria: &'c Dict, path: &mut Vec<&'c str>) {
        for (key, definition) in criteria.iter() {
            path.push(key);
            self.criterion(key, definition, path);
            path.pop();
        }
    }

    fn criterion<'c>(&mut self, key: &'c Str, definition: &'c Value, path: &mut Vec<&'c str>) {
        if definition.as_dict().is_none() {
            self.found.push(Diagnostic::error(
                path,
                format!(
                    "the criterion `{key}` must be a mapping with `type` and `pattern`, but is of \
                     type {}",
                    definition.kind()
                ),
            ));
            return;
        }
        self.key(key, path);
        let Some(name) = definition.get("type").filter(|name| !name.is_null()) else {
            self.found.push(Diagnostic::error(
                path,
                format!("Operator not specified for field: {key}"),
            ));
            return;
        };
        let operator = self.operator(key, name, path);
        match definition.get("pattern") {
            None | Some(Value::Null) => self.found.push(Diagnostic::error(
                path,
                format!(
                    "For field: {key}, no pattern specified for operator {}",
                    python::str(name)
                ),
            )),
            Some(Value::Dict(inner)) if operator == Some(Operator::Search) => {
                path.push("pattern");
                self.criteria(inner, path);
                path.pop();
            }
            Some(_) => {}
        }
        if operator == Some(Operator::Search) {
            self.search(definition, path);
        }
    }

    fn search(&mut self, definition: &Value, path: &[&str]) {
        let condition = definition.get("condition").cloned().unwrap_or_default();
        let known = ["any", "all", "any2any", "all2any"];
        if !condition.as_str().is_some_and(|name| known.contains(&name)) {
            self.found.push(Diagnostic::error(
                path,
                format!(
                    "the condition {} is not recognized for type search; write one of {}",
                    python::repr(&condition),
                    known.join(", ")
                ),
            ));
        }
    }

    /// A key that leads nowhere is accepted: StackStorm registers such rules, and real packs have
    /// some.
    fn key(&mut self, key: &Str, path: &[&str]) {
        let is_nested = path.len() > 2;
        let prefix = if is_nested { "item" } else { "trigger" };
        let text = key.split('#').next().unwrap_or_default();
        let message = match Path::parse(text) {
            Err(error) => format!("this criterion never matches: {}", error.message),
            Ok(parsed) => {
                let root = parsed
                    .names()
                    .and_then(|names| names.first().map(|name| (*name).clone()));
                match root {
                    Some(root) if &*root != prefix && &*root != "system" => format!(
                        "this criterion never finds a value: the key must begin with `{prefix}.`, \
                         as in `{prefix}.{text}`"
                    ),
                    _ => return,
                }
            }
        };
        self.found.push(Diagnostic::warning(path, message));
    }

    fn operator(&mut self, key: &Str, name: &Value, path: &[&str]) -> Option<Operator> {
        let text = python::str(name);
        match Operator::parse(&text) {
            Ok(Operator::Search) if text != "search" => {
                self.found.push(Diagnostic::error(
                    path,
                    format!(
                        "For field: {key}, operator {text} must be written in lower case: search"
                    ),
                ));
                None
            }
            Ok(operator) => Some(operator),
            Err(_) => {
                let hint = nearest(&text, operator::names())
                    .map(|near| format!(" Did you mean `{near}`?"))
                    .unwrap_or_default();
                let known: Vec<&str> = operator::names().collect();
                self.found.push(Diagnostic::error(
                    path,
                    format!(
                        "For field: {key}, operator {text} not in list of allowed operators: {}.\
                         {hint}",
                        known.join(", ")
                    ),
                ));
                None
            }
        }
    }
}

/// The candidate that a misspelled `word` most likely meant: at most two edits away.
fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(64).flat_map(char::to_lowercase).collect();
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2 && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and substitutions between two texts (Levenshtein).
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let substitution = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
