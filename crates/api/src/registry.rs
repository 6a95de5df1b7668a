//! What describes the server itself: the services of StackStorm that it stands for, its rule types,
//! its version.

use axum::extract::{Path, State as Extract};
use squall_value::{Value, dict};

use crate::caller::Caller;
use crate::endpoint::{Endpoint, Shape, get};
use crate::error::{Error, Result};
use crate::reply::Json;
use crate::{Api, State, view};

/// StackStorm's processes, all of which are this one.
const GROUPS: [&str; 10] = [
    "actionrunner",
    "api",
    "auth",
    "notifier",
    "rulesengine",
    "scheduler",
    "sensorcontainer",
    "stream",
    "timer_engine",
    "workflow_engine",
];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/", index)
            .summary("Tells the version, and where the documentation is.")
            .open()
            .gives(Shape::One("Index")),
        get("/service_registry/groups", groups)
            .summary("Lists StackStorm's services; one server stands for all of them.")
            .admin()
            .gives(Shape::One("ServiceGroups")),
        get("/service_registry/groups/{group}/members", members)
            .summary("Lists the servers that stand for a service.")
            .admin()
            .gives(Shape::One("ServiceMembers")),
        get("/ruletypes", rule_types)
            .summary("Lists the types of rules.")
            .gives(Shape::Many("RuleType")),
        get("/ruletypes/{id}", rule_type)
            .summary("Shows a type of rules, by name or id.")
            .gives(Shape::One("RuleType")),
    ]
}

async fn index(Extract(api): State) -> Json {
    Json(dict! {
        "version" => env!("CARGO_PKG_VERSION"),
        "docs_url" => format!("{}/docs", api.url),
    })
}

async fn groups(_: Caller) -> Json {
    let groups: Value = GROUPS.iter().map(|group| Value::from(*group)).collect();
    Json(dict! { "groups" => groups })
}

async fn members(Extract(api): State, _: Caller, Path(group): Path<String>) -> Result<Json> {
    if !GROUPS.contains(&&*group) {
        return Err(Error::missing(format!(
            "Group with ID \"{group}\" not found."
        )));
    }
    let member = member(&api, &group);
    Ok(Json(dict! { "members" => Value::from(vec![member]) }))
}

fn member(api: &Api, group: &str) -> Value {
    let pid = std::process::id();
    let address = api.url.rsplit('/').next().unwrap_or_default();
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    dict! {
        "group_id" => group,
        "member_id" => format!("{host}_{pid}"),
        "capabilities" => dict! {
            "name" => group,
            "listen_host" => host,
            "listen_port" => port.parse::<i64>().ok(),
            "type" => "active",
            "hostname" => host,
            "pid" => i64::from(pid),
        },
    }
}

const STANDARD: (&str, &str) = ("standard", "A rule that is always applicable.");
const BACKSTOP: (&str, &str) = (
    "backstop",
    "A rule that is applicable to events that no other rule matched.",
);

fn described((name, description): (&str, &str)) -> Value {
    dict! {
        "name" => name,
        "description" => description,
        "enabled" => true,
        "parameters" => Value::empty_dict(),
        "id" => view::stable_id(&format!("rule_type:{name}")),
    }
}

async fn rule_types(_: Caller) -> Json {
    Json([STANDARD, BACKSTOP].into_iter().map(described).collect())
}

async fn rule_type(_: Caller, Path(id): Path<String>) -> Result<Json> {
    let mut types = [STANDARD, BACKSTOP].into_iter().map(described);
    let is_meant = |kind: &Value| {
        let text = |name| kind.get(name).and_then(Value::as_str);
        text("name") == Some(&*id) || text("id") == Some(&*id)
    };
    types
        .find(is_meant)
        .map(Json)
        .ok_or_else(|| Error::unknown(&id))
}
