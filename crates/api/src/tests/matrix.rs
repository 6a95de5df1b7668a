//! The authorization matrix: every endpoint of the table, asked by every role, for an object in a
//! pack that the roles know, for the same in one that they don't, and for one's own.
//!
//! `matrix.txt` holds what is expected; `UPDATE_EXPECT=1` writes it anew, to be read line by line. An
//! endpoint that has no line in [`ASKED`] fails the test.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::http::{Method, StatusCode};
use expect_test::expect_file;

use super::world::{USERS, Wishes, World, text};
use crate::endpoint::{Access, Endpoint};
use crate::routes;

/// How each endpoint is asked: its path with `PACK` for the pack, `EXECUTION` and the like for the id
/// of an object, and a body.
const ASKED: &str = "\
GET /executions | /executions |
POST /executions | /executions | {\"action\":\"PACK.noop\"}
GET /executions/{id} | /executions/EXECUTION |
PUT /executions/{id} | /executions/EXECUTION | {\"status\":\"canceled\"}
DELETE /executions/{id} | /executions/EXECUTION |
GET /executions/{id}/children | /executions/EXECUTION/children |
GET /executions/{id}/output | /executions/EXECUTION/output |
GET /executions/{id}/result | /executions/EXECUTION/result |
GET /executions/{id}/attribute/{attribute} | /executions/EXECUTION/attribute/status |
POST /executions/{id}/re_run | /executions/EXECUTION/re_run | {}
GET /executions/{id}/decisions | /executions/FLOW/decisions |
POST /executions/{id}/decisions | /executions/FLOW/decisions | {\"task\":\"fixed\",\"decision\":\"abort\"}
GET /packs/index | /packs/index |
POST /packs/index/search | /packs/index/search | {\"query\":\"x\"}
GET /packs/index/health | /packs/index/health |
POST /datastore/rotate_key | /datastore/rotate_key |
GET /executions/views/filters | /executions/views/filters |
GET /actions | /actions |
GET /actions/{id} | /actions/PACK.noop |
POST /actions | /actions | {\"pack\":\"PACK\",\"name\":\"new\",\"runner_type\":\"noop\"}
PUT /actions/{id} | /actions/PACK.noop | {\"name\":\"noop\",\"runner_type\":\"noop\",\"entry_point\":\"noop.py\"}
DELETE /actions/{id} | /actions/PACK.noop |
POST /actions/{id}/clone | /actions/PACK.noop/clone | {\"dest_pack\":\"PACK\",\"dest_action\":\"copy\"}
GET /actions/views/entry_point/{id} | /actions/views/entry_point/PACK.noop |
GET /actions/views/overview | /actions/views/overview |
GET /actions/views/overview/{id} | /actions/views/overview/PACK.noop |
GET /actions/views/parameters/{id} | /actions/views/parameters/PACK.noop |
GET /runnertypes | /runnertypes |
GET /runnertypes/{id} | /runnertypes/noop |
PUT /runnertypes/{id} | /runnertypes/noop | {\"enabled\":true}
GET /rules | /rules |
POST /rules | /rules | {\"pack\":\"PACK\",\"name\":\"new\",\"trigger\":{\"type\":\"PACK.event\"},\"action\":{\"ref\":\"PACK.noop\"}}
GET /rules/{id} | /rules/PACK.r |
PUT /rules/{id} | /rules/PACK.r | {\"pack\":\"PACK\",\"name\":\"r\",\"trigger\":{\"type\":\"PACK.event\"},\"action\":{\"ref\":\"PACK.noop\"}}
DELETE /rules/{id} | /rules/PACK.r |
GET /rules/views | /rules/views |
GET /rules/views/{id} | /rules/views/PACK.r |
POST /rules/{id}/test | /rules/PACK.r/test | {}
GET /triggerinstances | /triggerinstances |
GET /triggerinstances/{id} | /triggerinstances/EVENT |
POST /triggerinstances/{id}/re_emit | /triggerinstances/EVENT/re_emit |
GET /ruleenforcements | /ruleenforcements |
GET /ruleenforcements/{id} | /ruleenforcements/ENFORCEMENT |
GET /ruleenforcements/views | /ruleenforcements/views |
GET /ruleenforcements/views/{id} | /ruleenforcements/views/ENFORCEMENT |
GET /triggertypes | /triggertypes |
GET /triggertypes/{id} | /triggertypes/PACK.event |
POST /triggertypes | /triggertypes | {\"pack\":\"PACK\",\"name\":\"new\"}
PUT /triggertypes/{id} | /triggertypes/PACK.event | {\"pack\":\"PACK\",\"name\":\"event\"}
DELETE /triggertypes/{id} | /triggertypes/PACK.event |
GET /triggers | /triggers |
GET /triggers/{id} | /triggers/PACK.event |
GET /timers | /timers |
GET /timers/{id} | /timers/TIMER |
GET /sensortypes | /sensortypes |
GET /sensortypes/{id} | /sensortypes/PACK.S |
PUT /sensortypes/{id} | /sensortypes/PACK.S | {\"enabled\":false}
POST /sensortypes/{id}/restart | /sensortypes/PACK.S/restart |
GET /sources | /sources |
GET /webhooks | /webhooks |
GET /webhooks/{*hook} | /webhooks/PACK-hook |
POST /webhooks/{*hook} | /webhooks/PACK-hook | {}
PUT /webhooks/{*hook} | /webhooks/PACK-hook | {\"secret\":\"0123456789abcdef0123456789abcdef\"}
DELETE /webhooks/{*hook} | /webhooks/PACK-hook |
GET /keys | /keys |
GET /keys/{*name} | /keys/KEY |
PUT /keys/{*name} | /keys/PACKk | {\"value\":\"v\"}
DELETE /keys/{*name} | /keys/KEY |
GET /packs | /packs |
GET /packs/{id} | /packs/PACK |
DELETE /packs/{id} | /packs/PACK |
POST /packs/register | /packs/register | {\"packs\":[\"PACK\"]}
POST /packs/install | /packs/install | {\"packs\":[\"PACK\"]}
POST /packs/uninstall | /packs/uninstall | {\"packs\":[\"PACK\"]}
GET /packs/views/files/{id} | /packs/views/files/PACK |
GET /packs/views/file/{id}/{*path} | /packs/views/file/PACK/pack.yaml |
GET /configs | /configs |
GET /configs/{pack} | /configs/PACK |
PUT /configs/{pack} | /configs/PACK | {\"token\":\"x\"}
GET /config_schemas | /config_schemas |
GET /config_schemas/{pack} | /config_schemas/PACK |
GET /apikeys | /apikeys |
POST /apikeys | /apikeys | {}
GET /apikeys/{id} | /apikeys/APIKEY |
PUT /apikeys/{id} | /apikeys/APIKEY | {\"enabled\":true}
DELETE /apikeys/{id} | /apikeys/APIKEY |
GET /traces | /traces |
GET /traces/{id} | /traces/TRACE |
GET /actionalias | /actionalias |
POST /actionalias | /actionalias | {\"pack\":\"PACK\",\"name\":\"new\",\"action_ref\":\"PACK.noop\",\"formats\":[\"new PACK\"]}
GET /actionalias/{id} | /actionalias/PACK.a |
PUT /actionalias/{id} | /actionalias/PACK.a | {\"pack\":\"PACK\",\"name\":\"a\",\"action_ref\":\"PACK.noop\",\"formats\":[\"do PACK\"]}
DELETE /actionalias/{id} | /actionalias/PACK.a |
POST /actionalias/match | /actionalias/match | {\"command\":\"do PACK\"}
GET /actionalias/help | /actionalias/help |
POST /aliasexecution | /aliasexecution | {\"name\":\"PACK.a\",\"format\":\"do PACK\",\"command\":\"do PACK\",\"user\":\"u\",\"source_channel\":\"c\"}
POST /aliasexecution/match_and_execute | /aliasexecution/match_and_execute | {\"command\":\"do PACK\",\"user\":\"u\",\"source_channel\":\"c\"}
GET /aliasexecution/{id}/result | /aliasexecution/EXECUTION/result |
GET /policies | /policies |
POST /policies | /policies | {\"pack\":\"PACK\",\"name\":\"new\",\"resource_ref\":\"PACK.noop\",\"policy_type\":\"action.concurrency\",\"parameters\":{\"threshold\":3}}
GET /policies/{id} | /policies/PACK.c |
PUT /policies/{id} | /policies/PACK.c | {\"pack\":\"PACK\",\"name\":\"c\",\"resource_ref\":\"PACK.noop\",\"policy_type\":\"action.concurrency\",\"parameters\":{\"threshold\":4}}
DELETE /policies/{id} | /policies/PACK.c |
GET /policytypes | /policytypes |
GET /policytypes/{id} | /policytypes/action.retry |
GET /inquiries | /inquiries |
GET /inquiries/{id} | /inquiries/INQUIRY |
PUT /inquiries/{id} | /inquiries/INQUIRY | {\"response\":{}}
POST /workflows/inspect | /workflows/inspect | {}
GET /service_registry/groups | /service_registry/groups |
GET /service_registry/groups/{group}/members | /service_registry/groups/api/members |
GET /ruletypes | /ruletypes |
GET /ruletypes/{id} | /ruletypes/standard |
GET /user | /user |
GET /rbac/permission_types | /rbac/permission_types |
GET /rbac/permission_types/{type} | /rbac/permission_types/action |
GET /rbac/roles | /rbac/roles |
GET /rbac/roles/{id} | /rbac/roles/runner |
GET /rbac/role_assignments | /rbac/role_assignments |
GET /rbac/role_assignments/{id} | /rbac/role_assignments/ASSIGNMENT |
PUT /rbac/users/{user}/roles | /rbac/users/somebody/roles | {\"roles\":[\"runner\"]}
POST /rbac/apply | /rbac/apply | {\"files\":[]}
GET /users | /users |
POST /users | /users | {\"name\":\"new\",\"password\":\"secret\"}
GET /users/{name} | /users/somebody |
PUT /users/{name} | /users/somebody | {\"password\":\"secret\"}
DELETE /users/{name} | /users/somebody |
GET /audit | /audit |
POST /tokens/validate | /auth/v1/tokens/validate | {\"token\":\"x\"}
GET /stream | /stream/v1/stream |
GET stream:/executions/{id}/output | /stream/v1/executions/EXECUTION/output |
GET /metrics | /metrics |
GET /openapi.json | /openapi.json |
";

/// The lines by endpoint: the path to ask, and the body.
pub(super) fn asked() -> BTreeMap<&'static str, (&'static str, &'static str)> {
    let lines = ASKED.lines().map(|line| {
        let mut parts = line.splitn(3, '|').map(str::trim);
        let (endpoint, path, body) = (parts.next(), parts.next(), parts.next());
        (endpoint.unwrap(), (path.unwrap(), body.unwrap()))
    });
    lines.collect()
}

/// The ids of objects, by whose they are: those of the packs `p` and `q`, and the asker's own.
pub(super) type Objects = BTreeMap<(&'static str, &'static str), String>;

async fn newest(world: &World, list: &str, trigger: &str) -> String {
    let path = format!("/v1/{list}?{trigger}&limit=1");
    let found = world.make("GET", &path, "").await;
    text(&found.as_list().unwrap()[0], "id")
}

/// Makes an object of each kind that has an id, for each pack, and for the asker.
async fn objects(world: &World, asker: &str) -> Objects {
    let mut objects = Objects::new();
    for (whose, pack, user) in [
        ("p", "p", "admin"),
        ("q", "q", "admin"),
        ("own", "q", asker),
    ] {
        let mut put = |name, id| drop(objects.insert((whose, name), id));
        for (name, action) in [("EXECUTION", "noop"), ("INQUIRY", "ask"), ("FLOW", "flow")] {
            let body = format!(r#"{{"action":"{pack}.{action}","user":"{user}"}}"#);
            put(
                name,
                text(&world.make("POST", "/v1/executions", &body).await, "id"),
            );
        }
        let body = format!(r#"{{"user":"{user}"}}"#);
        put(
            "APIKEY",
            text(&world.make("POST", "/v1/apikeys", &body).await, "id"),
        );
        let (name, body) = match whose {
            "own" => (
                "own".to_owned(),
                format!(r#"{{"value":"v","scope":"user","user":"{user}"}}"#),
            ),
            _ => (format!("{pack}k"), r#"{"value":"v"}"#.to_owned()),
        };
        world.make("PUT", &format!("/v1/keys/{name}"), &body).await;
        put(
            "KEY",
            if whose == "own" {
                format!("{name}?scope=user")
            } else {
                name
            },
        );
        if whose == "own" {
            let path = format!("/v1/rbac/role_assignments?user={user}");
            let found = world.make("GET", &path, "").await;
            let first = found.as_list().unwrap().first();
            put(
                "ASSIGNMENT",
                first.map_or_else(|| "none".to_owned(), |one| text(one, "id")),
            );
            continue;
        }
        let body = format!(r#"{{"trigger":"{pack}.event","payload":{{}}}}"#);
        world.make("POST", "/v1/webhooks/st2", &body).await;
        put(
            "EVENT",
            newest(world, "triggerinstances", &format!("trigger={pack}.event")).await,
        );
        put(
            "ENFORCEMENT",
            newest(world, "ruleenforcements", &format!("rule_ref={pack}.r")).await,
        );
        put("TRACE", newest(world, "traces", "sort_desc=1").await);
        put(
            "ASSIGNMENT",
            newest(world, "rbac/role_assignments", "user=admin").await,
        );
        let timers = world.make("GET", "/v1/timers", "").await;
        let timers = timers.as_list().unwrap().iter();
        put(
            "TIMER",
            timers.map(|timer| text(timer, "id")).next().unwrap(),
        );
        world
            .make("PUT", &format!("/v1/configs/{pack}"), r#"{"token":"x"}"#)
            .await;
    }
    objects
}

/// The path or body for an object; `None` when there is nothing of that kind to ask for.
fn filled(template: &str, whose: &'static str, objects: &Objects) -> Option<String> {
    let mut text = template.to_owned();
    let mut is_about = false;
    for ((of, name), id) in objects {
        if *of == whose && text.contains(name) {
            text = text.replace(name, id);
            is_about = true;
        }
    }
    if whose != "own" && text.contains("PACK") {
        text = text.replace("PACK", whose);
        is_about = true;
    }
    is_about.then_some(text)
}

/// A world, and the objects in it: made anew after each change.
#[derive(Default)]
pub(super) struct Fresh(Option<(World, BTreeMap<&'static str, Objects>)>);

impl Fresh {
    pub(super) async fn get(&mut self, user: &'static str) -> (&World, &Objects) {
        if self.0.is_none() {
            self.0 = Some((World::new(Wishes::default()).await, BTreeMap::new()));
        }
        let (world, made) = self.0.as_mut().expect("made above");
        if !made.contains_key(user) {
            made.insert(user, objects(world, user).await);
        }
        (world, &made[user])
    }
}

/// The names of objects in paths and bodies.
const NAMES: [&str; 11] = [
    "PACK",
    "EXECUTION",
    "FLOW",
    "INQUIRY",
    "APIKEY",
    "KEY",
    "EVENT",
    "ENFORCEMENT",
    "TRACE",
    "ASSIGNMENT",
    "TIMER",
];

/// The path and the body of a request about an object; `None` when it can't be about such.
pub(super) fn request(
    asked: (&str, &str),
    whose: &'static str,
    objects: &Objects,
) -> Option<(String, String)> {
    let (path, body) = asked;
    let names_any = |text: &str| NAMES.iter().any(|name| text.contains(name));
    if !names_any(path) && !names_any(body) {
        return (whose == "-").then(|| (path.to_owned(), body.to_owned()));
    }
    if whose == "-" {
        return None;
    }
    let (about, sent) = (filled(path, whose, objects), filled(body, whose, objects));
    about.as_ref().or(sent.as_ref())?;
    let path = about.unwrap_or_else(|| path.to_owned());
    (!names_any(&path)).then(|| (path, sent.unwrap_or_else(|| body.to_owned())))
}

/// The address of a path, below the service that has it.
pub(super) fn address(path: &str) -> String {
    let has_own = ["/auth", "/stream/", "/metrics", "/openapi"];
    let has_own = has_own.iter().any(|start| path.starts_with(start));
    if has_own {
        path.to_owned()
    } else {
        format!("/v1{path}")
    }
}

/// The name of an endpoint in [`ASKED`].
pub(super) fn key_of(prefix: &str, endpoint: &Endpoint) -> String {
    let is_stream = prefix.starts_with("/stream") && endpoint.path != "/stream";
    let service = if is_stream { "stream:" } else { "" };
    format!("{} {service}{}", endpoint.method, endpoint.path)
}

/// What one endpoint answers to everybody, a line for each object.
async fn lines(
    fresh: &mut Fresh,
    key: &str,
    method: &Method,
    access: Access,
    asked: (&str, &str),
) -> String {
    let mut answers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for user in USERS {
        for whose in ["-", "own", "p", "q"] {
            let (world, made) = fresh.get(user).await;
            let Some((path, body)) = request(asked, whose, made) else {
                continue;
            };
            let path = address(&path);
            let (status, answer) = world.ask(user, method.as_str(), &path, &body).await;
            check(key, access, user, whose, status);
            assert_ne!(
                status,
                StatusCode::INTERNAL_SERVER_ERROR,
                "{key}: {}",
                answer.to_json()
            );
            let line = answers.entry(whose).or_default();
            line.push(format!("{user} {}", status.as_u16()));
            if *method != Method::GET && status.is_success() {
                // What was changed must not change what others are answered.
                *fresh = Fresh::default();
            }
        }
    }
    let mut text = String::new();
    for (whose, answers) in answers {
        let _ = writeln!(text, "{key:<52} {whose:<4} {}", answers.join("  "));
    }
    text
}

/// What must hold whatever the golden file says.
fn check(key: &str, access: Access, user: &str, whose: &str, status: StatusCode) {
    let refused = status == StatusCode::FORBIDDEN;
    let said = format!("{key}, {user}, {whose}: {status}");
    match (access, user) {
        (_, "admin") => assert!(!refused, "{said}"),
        (Access::Admin, _) => assert!(refused, "{said}"),
        (Access::Any(_) | Access::Object(_), "nobody") if whose != "own" => {
            assert!(refused || key.ends_with("/keys"), "{said}");
        }
        // The roles know nothing of the other pack, but for what their lists are about.
        (Access::Object(name), "runner" | "editor")
            if whose == "q" && !name.ends_with("type_view") =>
        {
            assert!(refused || key.contains("/traces"), "{said}");
        }
        (Access::Object(name), "observer") => {
            let reads = name.ends_with("_view");
            assert!(reads != refused || whose == "own", "{said}");
        }
        _ => {}
    }
}

#[tokio::test]
async fn everybody_is_answered_what_is_expected() {
    let asked = asked();
    let mut fresh = Fresh::default();
    let mut text = String::new();
    for (prefix, endpoints) in routes::PUBLISHED {
        for endpoint in endpoints() {
            if endpoint.access == Access::Open {
                continue;
            }
            let key = key_of(prefix, &endpoint);
            let line = asked.get(&*key);
            let line = *line.unwrap_or_else(|| panic!("{key} has no line in the matrix: add one"));
            text.push_str(&lines(&mut fresh, &key, &endpoint.method, endpoint.access, line).await);
        }
    }
    expect_file!["matrix.txt"].assert_eq(&text);
}
