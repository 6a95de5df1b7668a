//! `/packs`.

use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use squall_auth::rbac::Resource;
use squall_engine::Ask;
use squall_model::DocumentKind;
use squall_value::{Dict, Value, dict};

use crate::caller::Caller;
use crate::definitions::{document, documents};
use crate::endpoint::{CHOICE, Endpoint, MEMBERS, PAGE, Parameter, Shape, delete, get, post};
use crate::error::{Error, Result};
use crate::params::Params;
use crate::reply::{Json, List, Sent};
use crate::{Api, State};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/packs", list)
            .summary("Lists packs.")
            .any("pack_list")
            .query(CHOICE)
            .query(&[Parameter::text("ref", "The one with this reference.")])
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("Pack")),
        get("/packs/{id}", one)
            .summary("Shows a pack, by reference or id.")
            .object("pack_view")
            .gives(Shape::One("Pack")),
        delete("/packs/{id}", unregister)
            .summary("Removes what a pack's files defined; the files stay.")
            .object("pack_uninstall"),
        post("/packs/register", register)
            .summary("Reads packs' files again: those named, or all.")
            .object("pack_register")
            .json("PackRegistration")
            .status(200)
            .gives(Shape::One("RegistrationCounts")),
        post("/packs/install", install)
            .makes_work()
            .summary("Installs packs, by running `packs.install`.")
            .object("pack_install")
            .json("PackInstallation")
            .status(202)
            .gives(Shape::One("StartedExecution")),
        post("/packs/uninstall", uninstall)
            .summary("Removes packs, by running `packs.uninstall`.")
            .object("pack_uninstall")
            .json("PackRemoval")
            .status(202)
            .gives(Shape::One("StartedExecution")),
    ]
}

async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let filters = [("ref", &["ref"][..])];
    documents(
        &api,
        DocumentKind::Pack,
        &params,
        &caller,
        Some(100),
        &filters,
    )
    .await
}

async fn one(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let found = document(&api, DocumentKind::Pack, &id).await?;
    caller.may_with(&found)?;
    Ok(Json(squall_wire::definition(&found)))
}

/// Asks for the endpoint's permission on all packs, or on each that is named.
fn may_with_each(caller: &Caller, packs: &[&str]) -> Result<()> {
    if packs.is_empty() {
        return caller.may(&Resource::pack(""));
    }
    packs
        .iter()
        .try_for_each(|pack| caller.may(&Resource::pack(pack)))
}

/// The packs that a request names.
fn named(body: &Dict) -> Vec<&str> {
    let named = body.get("packs").and_then(Value::as_list);
    named
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_str)
        .collect()
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

/// Runs an action of the pack `packs` with the members of the request that it knows, and tells
/// where to look for how it goes.
async fn start(
    api: &std::sync::Arc<Api>,
    caller: &Caller,
    action: &str,
    members: &[&str],
    sent: Sent,
) -> Result<Response> {
    let mut body = sent.object()?;
    may_with_each(caller, &named(&body))?;
    let mut ask = Ask::new(action, caller.user());
    for member in members {
        if let Some(value) = body.remove(member) {
            ask.parameters.insert(*member, value);
        }
    }
    let execution = api.engine.request(ask).await?;
    let started = Json(dict! { "execution_id" => execution.id().to_string() });
    Ok((StatusCode::ACCEPTED, started).into_response())
}

/// Installs packs: runs `packs.install`.
async fn install(Extract(api): State, caller: Caller, sent: Sent) -> Result<Response> {
    let members = ["packs", "force", "skip_dependencies"];
    start(&api, &caller, "packs.install", &members, sent).await
}

/// Removes packs: runs `packs.uninstall`.
async fn uninstall(Extract(api): State, caller: Caller, sent: Sent) -> Result<Response> {
    start(&api, &caller, "packs.uninstall", &["packs"], sent).await
}

/// Removes what a pack's files defined; the files stay.
async fn unregister(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let pack = document(&api, DocumentKind::Pack, &id).await?;
    caller.may_with(&pack)?;
    api.engine.unregister(&pack.key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether a registration tells how many of a kind there are: it was asked for that kind, by
/// StackStorm's name in the singular or the plural, or for none. Packs are registered as a whole.
fn is_counted(kind: DocumentKind, types: Option<&[Value]>) -> bool {
    let types = types.unwrap_or_default();
    let is_meant = |name: &str| {
        let names = [count_name(kind), kind.as_str()];
        let configs = kind == DocumentKind::ConfigSchema && matches!(name, "config" | "configs");
        names.contains(&name) || configs || name == "all"
    };
    types.is_empty() || types.iter().filter_map(Value::as_str).any(is_meant)
}

/// Reads packs' files again: those named, or all that lie in the pack directories.
async fn register(Extract(api): State, caller: Caller, sent: Sent) -> Result<Json> {
    let body = sent.object()?;
    may_with_each(&caller, &self::named(&body))?;
    let named = body.get("packs").and_then(Value::as_list);
    let names: Option<Vec<&str>> =
        named.map(|names| names.iter().filter_map(Value::as_str).collect());
    let mut directories = squall_packs::find(&api.pack_directories).packs;
    directories.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        let names = names.as_ref();
        names.is_none_or(|names| name.is_some_and(|name| names.contains(&name)))
    });
    for name in names.into_iter().flatten() {
        let known = directories
            .iter()
            .any(|path| path.file_name().is_some_and(|file| file == name));
        if !known {
            let places = api.pack_directories.iter();
            let places: Vec<_> = places.map(|place| place.display().to_string()).collect();
            return Err(Error::bad(format!(
                "Pack \"{name}\" not found on disk: there is no such directory in {}",
                places.join(", ")
            )));
        }
    }
    directories.sort();
    let types = body.get("types").and_then(Value::as_list);
    let mut counts = Dict::new();
    counts.insert("runners", squall_runners::Registry::runner_types().len());
    let mut findings = Vec::new();
    for directory in directories {
        let report = api.engine.register_directory(&directory).await;
        let report = report.map_err(|error| Error::bad(crate::error::chain(&error)))?;
        for (kind, count) in report.registered.defined {
            let name = count_name(kind);
            if !is_counted(kind, types) {
                continue;
            }
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
