//! `/rbac`: roles, who has them, and what they can grant.

use std::collections::BTreeMap;

use axum::extract::{Path, State as Extract};
use squall_auth::rbac::{self, ApplyError, Definitions, ResourceType, Text, system};
use squall_model::Document;
use squall_value::{Dict, Str, Value, dict};

use crate::caller::Caller;
use crate::endpoint::{CHOICE, Endpoint, PAGE, Parameter, Shape, get, post, put};
use crate::error::{Error, Result};
use crate::listing::listing;
use crate::params::{self, Params};
use crate::reply::{Json, List, Sent};
use crate::{Api, State, view};

const ROLE_FILTERS: &[Parameter] = &[Parameter::flag(
    "system",
    "Those that always exist, or those that were defined.",
)];

const ASSIGNMENT_FILTERS: &[Parameter] = &[
    Parameter::text("user", "Those of this user."),
    Parameter::text("role", "Those of this role."),
    Parameter::text("source", "Those that this file, group or person made."),
    Parameter::flag("remote", "Those that came from a group, or the others."),
];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/rbac/permission_types", permission_types)
            .summary("Lists what can be granted, by the type of resource it is granted on.")
            .admin()
            .gives(Shape::One("PermissionTypes")),
        get("/rbac/permission_types/{type}", permission_types_of)
            .summary("Lists what can be granted on resources of a type.")
            .admin()
            .gives(Shape::One("PermissionTypesOfResource")),
        get("/rbac/roles", roles)
            .summary("Lists roles.")
            .admin()
            .query(ROLE_FILTERS)
            .query(CHOICE)
            .query(PAGE)
            .gives(Shape::Page("Role")),
        get("/rbac/roles/{id}", role)
            .summary("Shows a role, by name or id.")
            .admin()
            .gives(Shape::One("Role")),
        get("/rbac/role_assignments", assignments)
            .summary("Lists who has which role; administrators see all, others name themselves.")
            .query(ASSIGNMENT_FILTERS)
            .query(CHOICE)
            .query(PAGE)
            .gives(Shape::Page("RoleAssignment")),
        get("/rbac/role_assignments/{id}", assignment)
            .summary("Shows that somebody has a role.")
            .gives(Shape::One("RoleAssignment")),
        put("/rbac/users/{user}/roles", assign)
            .summary("Gives a user roles by hand, beside those from files and groups.")
            .admin()
            .json("RolesOfUser")
            .gives(Shape::Many("RoleAssignment")),
        post("/rbac/apply", apply)
            .summary("Puts definitions in force: those sent, or those in the server's directory.")
            .admin()
            .json("RoleDefinitions")
            .status(200)
            .gives(Shape::One("AppliedRoles")),
    ]
}

fn types_of(kind: ResourceType) -> Value {
    let types = kind.permissions();
    let types = types.map(|one| (Str::from(one.name()), Value::from(one.summary())));
    Value::from(types.collect::<Dict>())
}

async fn permission_types(_: Caller) -> Json {
    let types = ResourceType::ALL.into_iter();
    // There is a single stream, so that nothing is granted on it.
    let types = types.filter(|kind| *kind != ResourceType::Stream);
    let types = types.map(|kind| (Str::from(kind.name()), types_of(kind)));
    Json(Value::from(types.collect::<Dict>()))
}

async fn permission_types_of(_: Caller, Path(kind): Path<String>) -> Result<Json> {
    let found = ResourceType::from_name(&kind).filter(|kind| *kind != ResourceType::Stream);
    let found = found.ok_or_else(|| Error::missing(format!("Invalid resource type: {kind}")))?;
    Ok(Json(types_of(found)))
}

/// The ids under which a role's grants are shown: they are parts of it, not records.
fn grant_id(role: &str, index: usize) -> String {
    view::stable_id(&format!("grant:{role}:{index}"))
}

fn shown_role(name: &str, description: &str, system: bool, grants: &[Value], id: String) -> Value {
    let ids = (0..grants.len()).map(|index| Value::from(grant_id(name, index)));
    let ids: Value = ids.collect();
    let objects = grants.iter().enumerate().map(|(index, grant)| {
        let mut object = grant.as_dict().cloned().unwrap_or_default();
        if object.get("resource_uid").is_none_or(Value::is_null) {
            object.remove("resource_uid");
            object.remove("resource_type");
        }
        object.insert("id", grant_id(name, index));
        Value::from(object)
    });
    dict! {
        "name" => name,
        "description" => description,
        "system" => system,
        "permission_grants" => ids.clone(),
        "id" => id,
        "permission_grant_ids" => ids,
        "permission_grant_objects" => objects.collect::<Value>(),
    }
}

fn text<'a>(document: &'a Document, member: &str) -> &'a str {
    document
        .body
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// All roles, those of the system first.
async fn all_roles(api: &Api) -> Result<Vec<Value>> {
    let of_system = system::ROLES.into_iter().map(|name| {
        let id = view::stable_id(&format!("role:{name}"));
        shown_role(name, name, true, &[], id)
    });
    let mut all: Vec<Value> = of_system.collect();
    all.extend(api.roles.defined().await?.iter().map(|role| {
        let grants = role.body.get("permission_grants").and_then(Value::as_list);
        let id = role.id.to_string();
        shown_role(
            &role.key,
            text(role, "description"),
            false,
            grants.unwrap_or_default(),
            id,
        )
    }));
    Ok(all)
}

async fn roles(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let filters = [("system", &["system"][..])];
    listing(
        all_roles(&api).await?,
        &params,
        &caller,
        Some(100),
        &filters,
    )
}

async fn role(Extract(api): State, _: Caller, Path(id): Path<String>) -> Result<Json> {
    let is_meant = |role: &Value| {
        let text = |name| role.get(name).and_then(Value::as_str);
        text("name") == Some(&*id) || text("id") == Some(&*id)
    };
    let found = all_roles(&api).await?.into_iter().find(is_meant);
    found.map(Json).ok_or_else(|| {
        Error::missing(format!(
            "Unable to identify resource with name or id \"{id}\"."
        ))
    })
}

fn shown_assignment(document: &Document) -> Value {
    let mut body = document.body.as_dict().cloned().unwrap_or_default();
    body.insert("id", document.id.to_string());
    Value::from(body)
}

/// Administrators ask about everybody, others about themselves.
fn check_self(caller: &Caller, user: Option<&str>) -> Result<()> {
    if caller.is_admin() || user == Some(&*caller.user()) {
        return Ok(());
    }
    Err(Error::denied("Administrator or self access required"))
}

async fn assignments(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    check_self(&caller, params::text(&params, "user"))?;
    let found = api.roles.assignments().await?;
    let items = found
        .iter()
        .map(|document| shown_assignment(document))
        .collect();
    let filters = [
        ("user", &["user"][..]),
        ("role", &["role"][..]),
        ("source", &["source"][..]),
        ("remote", &["is_remote"][..]),
    ];
    listing(items, &params, &caller, Some(100), &filters)
}

async fn assignment(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let found = api.roles.assignments().await?.into_iter();
    let mut found = found.filter(|document| document.id.to_string() == id);
    let found = found.next();
    let user = found.as_ref().map(|document| text(document, "user"));
    // Who may not know must not learn what exists, either.
    check_self(&caller, user)?;
    let found = found.ok_or_else(|| Error::unknown(&id))?;
    Ok(Json(shown_assignment(&found)))
}

async fn assign(
    Extract(api): State,
    _: Caller,
    Path(user): Path<String>,
    sent: Sent,
) -> Result<Json> {
    let sent = sent.object()?;
    let listed = sent.get("roles").and_then(Value::as_list);
    let listed = listed.ok_or_else(|| Error::bad("'roles' must be a list of names"))?;
    let mut roles = Vec::new();
    for role in listed {
        let name = role.as_str().unwrap_or_default();
        if !api.roles.is_role(name) {
            return Err(Error::bad(format!("There is no role \"{name}\".")));
        }
        roles.push(Str::from(name));
    }
    api.roles.assign(&user, &roles).await?;
    let all = api.roles.assignments().await?;
    let of_user = all.iter().filter(|document| text(document, "user") == user);
    Ok(Json(
        of_user.map(|document| shown_assignment(document)).collect(),
    ))
}

/// The definitions that a request brings, or those in the server's directory.
async fn definitions(api: &Api, sent: &Dict) -> Result<Vec<Text>> {
    let Some(files) = sent.get("files") else {
        let directory = api.role_directory.clone();
        let directory = directory.ok_or_else(|| {
            Error::bad(
                "The server has no directory of roles: send 'files', or start it with --rbac-dir.",
            )
        })?;
        let texts = tokio::task::spawn_blocking(move || rbac::read_directory(&directory)).await;
        let texts = texts.map_err(|error| Error::internal(&error))?;
        return texts.map_err(|error| Error::bad(format!("The roles cannot be read: {error}")));
    };
    let wrong = || Error::bad("Each of 'files' needs a 'path' and a 'content'.");
    let mut texts = BTreeMap::new();
    for file in files.as_list().unwrap_or_default() {
        let text = |member| file.get(member).and_then(Value::as_str).ok_or_else(wrong);
        texts.insert(text("path")?.to_owned(), text("content")?.to_owned());
    }
    let texts = texts.into_iter().map(|(path, content)| Text {
        path: Str::from(path),
        content: Str::from(content),
    });
    Ok(texts.collect())
}

async fn apply(Extract(api): State, _: Caller, sent: Sent) -> Result<Json> {
    let texts = definitions(&api, &sent.object()?).await?;
    let definitions = Definitions::read(&texts).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        Error::bad(lines.join("\n"))
    })?;
    let applied = api.roles.apply(&definitions).await?;
    let warnings = definitions.warnings.iter();
    Ok(Json(dict! {
        "roles" => applied.roles,
        "assignments" => applied.assignments,
        "mappings" => applied.mappings,
        "changes" => applied.changes,
        "warnings" => warnings.map(|warning| Value::from(warning.to_string())).collect::<Value>(),
    }))
}

impl From<ApplyError> for Error {
    fn from(error: ApplyError) -> Error {
        match &error {
            ApplyError::Conflict => Error::new(axum::http::StatusCode::CONFLICT, error.to_string()),
            ApplyError::Irrevocable(_) => Error::bad(error.to_string()),
            ApplyError::Store(_) => Error::internal(&error),
        }
    }
}
