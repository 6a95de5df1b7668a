//! Metadata of each kind, read into the shape that StackStorm's API shows.
//!
//! Sources: StackStorm's documentation of packs, actions, rules, sensors, aliases and policies, and
//! what published packs contain: unknown members are kept out without an error, `enabled` defaults
//! to true, and a missing `pack` is the pack of the file.

use md5::{Digest, Md5};
use squall_model::{DocumentKind, TriggerRef};
use squall_value::{Dict, Str, Value, dict, json};

use crate::Known;
use crate::member::Members;

/// What a file's own contents cannot tell.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) pack: &'a Str,
    pub(crate) file: &'a Str,
    /// All files of the pack, sorted.
    pub(crate) names: &'a [Str],
    pub(crate) known: &'a Known,
}

impl Place<'_> {
    /// Whether the pack has a file of that path.
    fn has_file(&self, path: &str) -> bool {
        self.names
            .binary_search_by(|name| (**name).cmp(path))
            .is_ok()
    }
}

/// StackStorm's `uid` of a resource: its kind, pack and name.
#[must_use]
pub fn uid(kind: DocumentKind, pack: &str, name: &str) -> String {
    let kind = match kind {
        DocumentKind::Sensor => "sensor_type",
        DocumentKind::Alias => "action_alias",
        other => other.as_str(),
    };
    format!("{kind}:{pack}:{name}")
}

/// The reference of the trigger that a type and parameters make. Without parameters it is the
/// type's own; with them it is named after their hash, so that two rules that ask for the same
/// timer share it.
///
/// # Errors
///
/// When the type is no reference.
pub fn trigger_reference(
    trigger_type: &str,
    parameters: &Value,
) -> Result<TriggerRef, squall_model::ParseRefError> {
    let kind = TriggerRef::parse(trigger_type)?;
    if parameters.as_dict().is_none_or(Dict::is_empty) {
        return Ok(kind);
    }
    TriggerRef::new(
        kind.pack(),
        &format!("{}-{}", kind.name(), parameters_hash(parameters)),
    )
}

/// The hash of a trigger's parameters, as it stands in its `uid`: the MD5 of their JSON text.
#[must_use]
pub fn parameters_hash(parameters: &Value) -> String {
    let style = json::Style {
        sort_keys: true,
        ..json::Style::PYTHON
    };
    let digest = Md5::digest(json::write_styled(parameters, style).as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn head(kind: DocumentKind, place: Place<'_>, pack: &str, name: &str) -> Dict {
    let mut body = Dict::new();
    body.insert("uid", uid(kind, pack, name));
    body.insert("metadata_file", place.file.clone());
    body.insert("name", name);
    body.insert("ref", format!("{pack}.{name}"));
    body.insert("pack", pack);
    body
}

/// The pack that the file names, which must be the one it lies in.
fn pack_of(members: &mut Members<'_>, place: Place<'_>) -> Str {
    match members.text("pack") {
        Some(pack) if pack != *place.pack => {
            let message = format!(
                "`pack` is `{pack}`, but the file lies in pack `{}`",
                place.pack
            );
            members.error(Some("pack"), message, "correct it, or leave it out");
            pack
        }
        _ => place.pack.clone(),
    }
}

/// A name that can be part of a reference and a path of the API.
fn name_of(members: &mut Members<'_>) -> Str {
    let name = members.required_text("name");
    if name.contains(['/', '\0', '\n']) {
        let message = "`name` must not contain slashes or control characters";
        members.error(
            Some("name"),
            message,
            "use letters, digits, `_`, `-` and `.`",
        );
    }
    name
}

fn description(members: &mut Members<'_>, body: &mut Dict) {
    if let Some(text) = members.text("description") {
        body.insert("description", text);
    }
}

fn parameters(members: &mut Members<'_>, member: &'static str, body: &mut Dict) {
    let value = Value::Dict(members.mapping(member));
    for diagnostic in squall_schema::check::parameters(&value) {
        let path: Vec<&str> = diagnostic.path.iter().map(|part| &**part).collect();
        let message = format!("`{member}.{}`: {}", path.join("."), diagnostic.message);
        if diagnostic.is_error() {
            members.error(Some(member), message, "");
        } else {
            members.warning(Some(member), message, "");
        }
    }
    body.insert(member, value);
}

/// `pack.yaml`.
pub(crate) fn pack(members: &mut Members<'_>, directory: &Str) -> (Str, Value) {
    let name = members.required_text("name");
    let reference = match members.text("ref") {
        Some(reference) => reference,
        // A name such as `My Pack` is no reference; the directory then is, as in StackStorm.
        None if is_reference(&name) => name.clone(),
        None => directory.clone(),
    };
    if !is_reference(&reference) {
        members.error(
            Some("ref"),
            format!("`{reference}` cannot be a pack's reference"),
            "add `ref:` with letters, digits, `_` and `-` only",
        );
    }
    let mut body = Dict::new();
    body.insert("ref", reference.clone());
    body.insert("uid", format!("pack:{reference}"));
    body.insert("name", name);
    description(members, &mut body);
    for member in ["version", "author", "email", "stackstorm_version"] {
        if let Some(text) = members.text(member) {
            body.insert(member, text);
        }
    }
    for member in [
        "keywords",
        "contributors",
        "python_versions",
        "dependencies",
    ] {
        let list = members.list(member);
        body.insert(member, list);
    }
    if body.get("version").is_none() {
        members.warning(None, "`version` is missing", "add `version: 1.0.0`");
    }
    (reference, Value::from(body))
}

fn is_reference(text: &str) -> bool {
    let valid = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    !text.is_empty() && text.chars().all(valid)
}

pub(crate) fn action(members: &mut Members<'_>, place: Place<'_>) -> (Str, Value) {
    let pack = pack_of(members, place);
    let name = name_of(members);
    let mut body = Dict::new();
    let tags = members.list("tags");
    body.insert("tags", tags);
    body.extend(head(DocumentKind::Action, place, &pack, &name));
    description(members, &mut body);
    let enabled = members.truth("enabled", true);
    body.insert("enabled", enabled);
    let runner = members.required_text("runner_type");
    if !runner.is_empty() && !place.known.runners.contains(&runner) {
        let known = place.known.runners.iter().map(|known| &**known);
        let help = squall_schema::nearest(&runner, known)
            .map_or_else(String::new, |nearest| format!("did you mean `{nearest}`?"));
        members.error(
            Some("runner_type"),
            format!("there is no runner `{runner}`"),
            &help,
        );
    }
    let entry_point = members.text("entry_point").unwrap_or_else(|| Str::from(""));
    let path = format!("actions/{entry_point}");
    if !entry_point.is_empty() && !place.has_file(&path) {
        let message = format!("`entry_point` names `{path}`, which is not in the pack");
        members.warning(
            Some("entry_point"),
            message,
            "the action fails until the file is there",
        );
    }
    body.insert("runner_type", runner);
    body.insert("entry_point", entry_point);
    parameters(members, "parameters", &mut body);
    let schema = Value::Dict(members.mapping("output_schema"));
    body.insert("output_schema", schema);
    let notify = Value::Dict(members.mapping("notify"));
    body.insert("notify", notify);
    if members.truth("retry_on_worker_loss", false) {
        body.insert("retry_on_worker_loss", true);
    }
    (name, Value::from(body))
}

pub(crate) fn rule(members: &mut Members<'_>, place: Place<'_>) -> (Str, Value) {
    let pack = pack_of(members, place);
    let name = name_of(members);
    let mut body = Dict::new();
    let tags = members.list("tags");
    body.insert("tags", tags);
    body.extend(head(DocumentKind::Rule, place, &pack, &name));
    description(members, &mut body);
    let kind = members.any("type");
    let kind = match kind.as_str() {
        Some(text) => dict! { "ref" => text, "parameters" => Value::empty_dict() },
        None if kind.as_dict().is_some_and(|dict| !dict.is_empty()) => kind,
        None => dict! { "ref" => "standard", "parameters" => Value::empty_dict() },
    };
    body.insert("type", kind);
    let trigger = members.mapping("trigger");
    let trigger_type = trigger
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let trigger_parameters = trigger
        .get("parameters")
        .cloned()
        .filter(|value| !value.is_null());
    let trigger_parameters = trigger_parameters.unwrap_or_else(Value::empty_dict);
    match trigger_reference(trigger_type, &trigger_parameters) {
        Ok(reference) => {
            body.insert(
                "trigger",
                dict! { "type" => trigger_type, "parameters" => trigger_parameters, "ref" => reference.text() },
            );
        }
        Err(_) => members.error(
            Some("trigger"),
            "`trigger.type` must name a trigger type as `pack.name`",
            "for example `type: core.st2.webhook`",
        ),
    }
    let criteria = Value::Dict(members.mapping("criteria"));
    body.insert("criteria", criteria);
    let action = members.mapping("action");
    match action.get("ref").and_then(Value::as_str) {
        Some(reference) if squall_model::ActionRef::parse(reference).is_ok() => {
            let given = action
                .get("parameters")
                .cloned()
                .filter(|value| !value.is_null());
            body.insert(
                "action",
                dict! { "ref" => reference, "parameters" => given.unwrap_or_else(Value::empty_dict) },
            );
        }
        _ => members.error(
            Some("action"),
            "`action.ref` must name an action as `pack.name`",
            "for example `ref: core.local`",
        ),
    }
    let context = Value::Dict(members.mapping("context"));
    body.insert("context", context);
    // Rules are the one kind that StackStorm leaves switched off unless the file says otherwise.
    let enabled = members.truth("enabled", false);
    body.insert("enabled", enabled);
    let body = Value::from(body);
    for diagnostic in check_criteria(&body) {
        members.error(Some("criteria"), diagnostic, "");
    }
    (name, body)
}

/// Every criterion needs an operator and a pattern; the operators themselves are checked where
/// rules are compiled.
fn check_criteria(body: &Value) -> Vec<String> {
    let criteria = body.get("criteria").and_then(Value::as_dict);
    let criteria = criteria.into_iter().flat_map(Dict::iter);
    let broken = criteria.filter_map(|(key, criterion)| match criterion {
        Value::Dict(criterion) if criterion.contains_key("pattern") => None,
        Value::Dict(_) => Some(format!("the criterion `{key}` has no `pattern`")),
        other => Some(format!(
            "the criterion `{key}` must be a mapping, not {}",
            other.kind()
        )),
    });
    broken.collect()
}

pub(crate) fn trigger(members: &mut Members<'_>, place: Place<'_>) -> (Str, Value) {
    let pack = pack_of(members, place);
    let name = name_of(members);
    let body = trigger_type(members, place, &pack, &name);
    (name, body)
}

fn trigger_type(members: &mut Members<'_>, place: Place<'_>, pack: &Str, name: &Str) -> Value {
    let mut body = Dict::new();
    description(members, &mut body);
    let tags = members.list("tags");
    body.insert("tags", tags);
    body.extend(head(DocumentKind::TriggerType, place, pack, name));
    let payload = Value::Dict(members.mapping("payload_schema"));
    body.insert("payload_schema", payload);
    let parameters = Value::Dict(members.mapping("parameters_schema"));
    body.insert("parameters_schema", parameters);
    Value::from(body)
}

/// A sensor, and the trigger types that it declares.
pub(crate) fn sensor(
    members: &mut Members<'_>,
    place: Place<'_>,
) -> (Str, Value, Vec<(Str, Value)>) {
    let pack = pack_of(members, place);
    let class = members.required_text("class_name");
    let mut body = head(DocumentKind::Sensor, place, &pack, &class);
    body.insert("class_name", class.clone());
    description(members, &mut body);
    let entry_point = members.required_text("entry_point");
    let path = format!("sensors/{entry_point}");
    if !entry_point.is_empty() && !place.has_file(&path) {
        let message = format!("`entry_point` names `{path}`, which is not in the pack");
        members.error(Some("entry_point"), message, "");
    }
    body.insert("entry_point", entry_point);
    match members.any("protocol") {
        Value::Null => {}
        Value::String(word) if matches!(&*word, "stdio" | "python") => {
            body.insert("protocol", word);
        }
        _ => members.error(
            Some("protocol"),
            "`protocol` must be `stdio`, for a program in any language, or `python`",
            "",
        ),
    }
    match members.any("poll_interval") {
        Value::Null => {}
        // StackStorm refuses shorter ones too: they make a busy loop of a polling sensor.
        Value::Int(seconds) if seconds < 4 => {
            members.error(
                Some("poll_interval"),
                "`poll_interval` must be 4 seconds or more",
                "",
            );
        }
        number @ (Value::Int(_) | Value::Float(_)) => {
            body.insert("poll_interval", number);
        }
        other => {
            let message = format!(
                "`poll_interval` must be a number of seconds, not {}",
                other.kind()
            );
            members.error(Some("poll_interval"), message, "");
        }
    }
    let enabled = members.truth("enabled", true);
    body.insert("enabled", enabled);
    let (types, references) = sensor_triggers(members, place, &pack);
    body.insert("trigger_types", Value::from(references));
    (class, Value::from(body), types)
}

fn sensor_triggers(
    members: &mut Members<'_>,
    place: Place<'_>,
    pack: &Str,
) -> (Vec<(Str, Value)>, Vec<Value>) {
    let nodes = members
        .node
        .get("trigger_types")
        .and_then(|node| node.as_sequence());
    let mut types = Vec::new();
    let mut references = Vec::new();
    for node in nodes.unwrap_or_default() {
        if let Some(reference) = node.as_str() {
            references.push(Value::from(reference));
            continue;
        }
        let mut inner = Members::new(members.file, node, members.findings);
        let name = name_of(&mut inner);
        let body = trigger_type(&mut inner, place, pack, &name);
        let usable = inner.is_usable();
        members.errors += usize::from(!usable);
        references.push(Value::from(format!("{pack}.{name}")));
        if usable {
            types.push((name, body));
        }
    }
    (types, references)
}

pub(crate) fn alias(members: &mut Members<'_>, place: Place<'_>) -> (Str, Value) {
    let pack = pack_of(members, place);
    let name = name_of(members);
    let mut body = head(DocumentKind::Alias, place, &pack, &name);
    description(members, &mut body);
    let action = members.required_text("action_ref");
    body.insert("action_ref", action);
    let enabled = members.truth("enabled", true);
    body.insert("enabled", enabled);
    let formats = members.list("formats");
    if formats.as_list().is_none_or(<[Value]>::is_empty) {
        members.error(
            None,
            "`formats` is missing or empty",
            "add at least one text to match",
        );
    }
    body.insert("formats", formats);
    for member in ["ack", "result", "extra", "immutable_parameters"] {
        let value = Value::Dict(members.mapping(member));
        body.insert(member, value);
    }
    (name, Value::from(body))
}

pub(crate) fn policy(members: &mut Members<'_>, place: Place<'_>) -> (Str, Value) {
    let pack = pack_of(members, place);
    let name = name_of(members);
    let mut body = head(DocumentKind::Policy, place, &pack, &name);
    description(members, &mut body);
    let enabled = members.truth("enabled", true);
    body.insert("enabled", enabled);
    for member in ["resource_ref", "policy_type"] {
        let text = members.required_text(member);
        body.insert(member, text);
    }
    let parameters = Value::Dict(members.mapping("parameters"));
    body.insert("parameters", parameters);
    let body = Value::from(body);
    if members.is_usable()
        && let Err(error) = squall_policy::Policy::from_metadata(&format!("{pack}.{name}"), &body)
    {
        members.error(None, error.to_string(), "");
    }
    (name, body)
}
