//! What changes something leaves an entry in the audit record: every endpoint of the table that is
//! no mere look, asked by an administrator as the matrix asks it.
//!
//! `changing.txt` holds what is recorded; `UPDATE_EXPECT=1` writes it anew, to be read line by line.

use std::fmt::Write as _;

use axum::http::Method;
use expect_test::expect_file;
use squall_value::Value;

use super::audit::without_ids;
use super::matrix::{Fresh, address, asked, key_of, request};
use super::world::World;
use crate::endpoint::Access;
use crate::routes;

/// What is asked by a method that changes, and changes nothing; or has a record of its own, as
/// events have.
const NO_CHANGES: &[&str] = &[
    "POST /actionalias/match",
    "POST /packs/index/search",
    "POST /rules/{id}/test",
    "POST /tokens/validate",
    "POST /webhooks/{*hook}",
    "POST /workflows/inspect",
];

/// What is in the record, the oldest first, for one whose role no request here takes away.
async fn record(world: &World, query: &str) -> Vec<Value> {
    let path = format!("/v1/audit?sort_asc=true&limit=-1&{query}");
    let (status, found) = world.ask("auditor", "GET", &path, "").await;
    assert!(status.is_success(), "{status} {}", found.to_json());
    found.as_list().unwrap().to_vec()
}

/// Who did what to what.
fn shown(entry: &Value) -> String {
    let names = ["user", "action", "resource", "result"];
    let member = |name| entry.get(name).and_then(Value::as_str).unwrap_or("-");
    names.map(member).join(" ")
}

#[tokio::test]
async fn whatever_changes_something_is_recorded() {
    let asked = asked();
    let mut fresh = Fresh::default();
    let mut text = String::new();
    for (prefix, endpoints) in routes::PUBLISHED {
        let endpoints = endpoints().into_iter();
        for endpoint in endpoints.filter(|one| one.method != Method::GET) {
            if endpoint.access == Access::Open {
                continue;
            }
            let key = key_of(prefix, &endpoint);
            for whose in ["-", "p"] {
                let (world, made) = fresh.get("admin").await;
                let Some((path, body)) = request(asked[&*key], whose, made) else {
                    continue;
                };
                let (path, method) = (address(&path), endpoint.method.as_str());
                let roles = r#"{"roles":["admin"]}"#;
                world
                    .make("PUT", "/v1/rbac/users/auditor/roles", roles)
                    .await;
                let since = record(world, "").await.len();
                let (status, answer) = world.ask("admin", method, &path, &body).await;
                let entries = record(world, &format!("offset={since}")).await;
                let entries: Vec<String> = entries.iter().map(shown).collect();
                let _ = writeln!(text, "{key} {whose} {}", status.as_u16());
                for entry in &entries {
                    let _ = writeln!(text, "  {entry}");
                }
                let is_change = status.is_success() && !NO_CHANGES.contains(&&*key);
                let is_told = entries
                    .iter()
                    .any(|entry| entry.starts_with("admin ") && entry.ends_with(" done"));
                assert_eq!(is_told, is_change, "{key}: {status} {}", answer.to_json());
                if status.is_success() {
                    fresh = Fresh::default();
                }
            }
        }
    }
    expect_file!["changing.txt"].assert_eq(&without_ids(&text));
}
