//! Definitions that people make, change and remove through the API, checked as registration does.

use std::sync::Arc;

use axum::http::StatusCode;
use squall_engine::{Change, PUBLISHER, action_body};
use squall_model::{Document, DocumentKind};
use squall_rules::{Diagnostic, RuleDefinition};
use squall_value::{Dict, Str, Value};

use crate::caller::Caller;
use crate::definitions::document;
use crate::error::{Error, Result};
use crate::files::DataFiles;
use crate::{Api, publish, rights};

/// Packs whose content belongs to the server; StackStorm's list.
const SYSTEM_PACKS: [&str; 3] = ["core", "packs", "chatops"];

/// A definition as it will be stored.
struct Checked {
    key: Str,
    pack: Str,
    body: Dict,
    /// Files of its pack that come with it.
    files: DataFiles,
}

/// Reads a definition as registration would; nothing is changed yet.
fn checked(
    api: &Api,
    caller: &Caller,
    kind: DocumentKind,
    body: &Dict,
    known: Option<&Document>,
) -> Result<Checked> {
    let mut body = body.clone();
    let files = match kind {
        DocumentKind::Action => DataFiles::take(api, caller, &mut body)?,
        _ => DataFiles::default(),
    };
    let before = known.and_then(|known| known.pack.clone());
    let given = body.get("pack").and_then(Value::as_str).map(Str::from);
    let pack = given.or(before).unwrap_or_else(|| Str::from("default"));
    let text = Value::from(body).to_json();
    let definition = squall_packs::load_one(kind, &pack, &text, &api.engine.known());
    let definition = definition.map_err(|findings| {
        let texts = findings
            .iter()
            .map(|finding| finding.diagnostic.message.as_str());
        Error::bad(texts.collect::<Vec<_>>().join("; "))
    })?;
    let mut body = match definition.body {
        Value::Dict(body) => Arc::unwrap_or_clone(body),
        _ => Dict::new(),
    };
    let entry_point = body.get("entry_point").and_then(Value::as_str);
    if let Some(file) = entry_point.filter(|file| kind == DocumentKind::Action && !file.is_empty())
    {
        // Whoever may publish in one pack must not run the files of another.
        crate::files::check_path(file)?;
    }
    // What has a file keeps its name, so that it goes when the file goes.
    if let Some(file) = known.and_then(|known| known.body.get("metadata_file")) {
        body.insert("metadata_file", file.clone());
    }
    if kind == DocumentKind::Rule {
        check_rule(&body)?;
        body = api
            .engine
            .sealed_rule(&body, known.map(|known| &known.body));
    }
    if matches!(kind, DocumentKind::Action | DocumentKind::Rule) {
        body.insert(PUBLISHER, caller.user());
    }
    let body = match kind {
        DocumentKind::Action => {
            let workflow = workflow_text(api, &pack, &body, &files);
            match action_body(&body, workflow.as_ref()) {
                Value::Dict(body) => Arc::unwrap_or_clone(body),
                _ => body,
            }
        }
        _ => body,
    };
    Ok(Checked {
        key: definition.key,
        pack,
        body,
        files,
    })
}

/// Refuses a rule that could not be put in force, such as one with an operator that is not there.
fn check_rule(body: &Dict) -> Result<()> {
    match RuleDefinition::parse(&Value::from(body.clone())) {
        (Some(_), _) => Ok(()),
        (None, diagnostics) => {
            let wrong = diagnostics.into_iter().filter(Diagnostic::is_error);
            let wrong = wrong.map(|found| found.message);
            Err(Error::bad(wrong.collect::<Vec<_>>().join("; ")))
        }
    }
}

/// The text of the workflow that an action names, if it is one and the file is there.
fn workflow_text(api: &Api, pack: &str, body: &Dict, files: &DataFiles) -> Option<Str> {
    let text = |member| body.get(member).and_then(Value::as_str);
    let runner = text("runner_type").unwrap_or_default();
    if !matches!(
        runner,
        "orquesta" | "action-chain" | "mistral-v2" | "cloudslang"
    ) {
        return None;
    }
    let file = crate::files::entry_point(api, pack, text("entry_point")?).ok()?;
    if let Some(sent) = files.content(&file) {
        return Some(Str::from(sent));
    }
    std::fs::read_to_string(file).ok().map(Str::from)
}

/// Refuses to touch what belongs to the server.
pub(crate) fn check_pack(pack: Option<&str>) -> Result<()> {
    match pack {
        Some(pack) if SYSTEM_PACKS.contains(&pack) => Err(Error::bad(
            "Resources belonging to system level packs can't be manipulated",
        )),
        _ => Ok(()),
    }
}

/// Makes a definition. One of that name must not exist yet.
pub(crate) async fn make(
    api: &Api,
    caller: &Caller,
    kind: DocumentKind,
    body: &Dict,
) -> Result<Arc<Document>> {
    write(api, caller, kind, body, None).await
}

/// Replaces a definition; its id stays.
pub(crate) async fn replace(
    api: &Api,
    caller: &Caller,
    kind: DocumentKind,
    known: &Document,
    body: &Dict,
) -> Result<Arc<Document>> {
    caller.may_with(known)?;
    write(api, caller, kind, body, Some(known)).await
}

async fn write(
    api: &Api,
    caller: &Caller,
    kind: DocumentKind,
    body: &Dict,
    known: Option<&Document>,
) -> Result<Arc<Document>> {
    let checked = checked(api, caller, kind, body, known)?;
    if known.is_none_or(|known| known.key != checked.key) {
        // Another name is another object, to be made as well as changed.
        caller.may(&rights::resource(kind, &checked.key))?;
    }
    publish::check(api, caller, kind, &checked.body)?;
    // Files come last: what may not be published must not lie there for the next registration.
    checked.files.write()?;
    let mut changes = Vec::new();
    if let Some(known) = known.filter(|known| known.key != checked.key) {
        changes.push(Change::Delete {
            kind,
            key: known.key.clone(),
        });
    }
    changes.push(Change::Put {
        kind,
        key: checked.key,
        pack: Some(checked.pack),
        body: Value::from(checked.body),
        expires: None,
        new: known.is_none(),
    });
    let document = put(api, changes).await?;
    checked.files.tell_written(api, &document.key).await;
    Ok(document)
}

/// Changes a definition's switch and nothing else.
pub(crate) async fn switch(
    api: &Api,
    caller: &Caller,
    kind: DocumentKind,
    id: &str,
    sent: &Dict,
) -> Result<Arc<Document>> {
    let known = document(api, kind, id).await?;
    caller.may_with(&known)?;
    let enabled = sent.get("enabled").and_then(Value::as_bool);
    let enabled = enabled.ok_or_else(|| Error::bad("'enabled' is a required property"))?;
    let mut body = known.body.as_dict().cloned().unwrap_or_default();
    body.insert("enabled", enabled);
    let change = Change::Put {
        kind,
        key: known.key.clone(),
        pack: known.pack.clone(),
        body: Value::from(body),
        expires: None,
        new: false,
    };
    put(api, vec![change]).await
}

async fn put(api: &Api, changes: Vec<Change>) -> Result<Arc<Document>> {
    let put = api.engine.change(changes).await?;
    put.into_iter()
        .next_back()
        .ok_or_else(|| Error::bad("nothing was changed"))
}

/// Removes a definition.
pub(crate) async fn remove(api: &Api, caller: &Caller, known: &Document) -> Result<StatusCode> {
    caller.may_with(known)?;
    let change = Change::Delete {
        kind: known.kind,
        key: known.key.clone(),
    };
    api.engine.change(vec![change]).await?;
    Ok(StatusCode::NO_CONTENT)
}
