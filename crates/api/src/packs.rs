//! `/packs`.

use axum::body::Bytes;
use axum::extract::{Path, State as Extract};
use squall_model::DocumentKind;
use squall_value::{Dict, Value};

use crate::State;
use crate::caller::Caller;
use crate::definitions::{document, documents};
use crate::error::{Error, Result};
use crate::params::Params;
use crate::reply::{Json, List, object};

pub(crate) async fn list(Extract(api): State, _: Caller, params: Params) -> Result<List> {
    documents(&api, DocumentKind::Pack, &params, Some(100)).await
}

pub(crate) async fn one(Extract(api): State, _: Caller, Path(id): Path<String>) -> Result<Json> {
    Ok(Json(squall_wire::definition(
        &*document(&api, DocumentKind::Pack, &id).await?,
    )))
}

/// StackStorm's name for the count of a kind.
fn count_name(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Action => "actions",
        DocumentKind::Rule => "rules",
        DocumentKind::Sensor => "sensors",
        DocumentKind::TriggerType => "triggers",
        DocumentKind::Alias => "aliases",
        DocumentKind::Policy => "policies",
        DocumentKind::ConfigSchema => "config_schemas",
        other => other.as_str(),
    }
}

/// Reads packs' files again: those named, or all that lie in the pack directories.
pub(crate) async fn register(Extract(api): State, _: Caller, bytes: Bytes) -> Result<Json> {
    let body = object(&bytes)?;
    let named = body.get("packs").and_then(Value::as_list);
    let names: Option<Vec<&str>> =
        named.map(|names| names.iter().filter_map(Value::as_str).collect());
    let mut directories = Vec::new();
    for base in &api.pack_directories {
        let entries = std::fs::read_dir(base)
            .into_iter()
            .flatten()
            .filter_map(std::result::Result::ok);
        let found = entries
            .map(|entry| entry.path())
            .filter(|path| path.is_dir());
        directories.extend(found.filter(|path| {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            names
                .as_ref()
                .is_none_or(|names| name.is_some_and(|name| names.contains(&&*name)))
        }));
    }
    for name in names.into_iter().flatten() {
        let known = directories
            .iter()
            .any(|path| path.file_name().is_some_and(|file| file == name));
        if !known {
            return Err(Error::bad(format!("Pack \"{name}\" not found on disk")));
        }
    }
    directories.sort();
    let mut counts = Dict::new();
    let mut findings = Vec::new();
    for directory in directories {
        let report = api.engine.register_directory(&directory).await;
        let report = report.map_err(|error| Error::bad(crate::error::chain(&error)))?;
        for (kind, count) in report.registered.defined {
            let name = count_name(kind);
            let before = counts.get(name).and_then(Value::as_int).unwrap_or(0);
            counts.insert(name, before + i64::try_from(count).unwrap_or(0));
        }
        let pack = directory
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        findings.extend(report.findings.iter().map(|finding| {
            let mut value = finding.to_value();
            if let Value::Dict(inner) = &mut value {
                std::sync::Arc::make_mut(inner).insert("pack", pack.clone());
            }
            value
        }));
    }
    if !findings.is_empty() {
        counts.insert("findings", findings);
    }
    Ok(Json(Value::from(counts)))
}
