//! What a change of a document tells: what it found and what it left, without what stayed the same,
//! and without secrets.

use std::sync::Arc;

use squall_model::{Document, DocumentKind, Timestamp};
use squall_value::{Dict, Str, Value, dict};

use super::{Entry, SEALED};
use crate::{Error, Store};

/// What stands in the place of a secret, as everywhere.
const MASKED: &str = "********";

/// Of a text with more bytes only the beginning is kept, and a checksum.
const TEXT_MAX: usize = 2048;

/// What is left of it, in characters.
const TEXT_KEPT: usize = 512;

/// A document with more bytes of JSON is only summed up.
const BODY_MAX: usize = 64 << 10;

/// Whether people administer such documents. The others belong to the course of work: a sign-in
/// says more than its token, and a trace, a position or an inquiry nothing about who wanted it.
fn is_administered(kind: DocumentKind) -> bool {
    match kind {
        DocumentKind::Pack
        | DocumentKind::Action
        | DocumentKind::Rule
        | DocumentKind::TriggerType
        | DocumentKind::Sensor
        | DocumentKind::Alias
        | DocumentKind::Policy
        | DocumentKind::Config
        | DocumentKind::ConfigSchema
        | DocumentKind::Key
        | DocumentKind::User
        | DocumentKind::ApiKey
        | DocumentKind::Role
        | DocumentKind::RoleAssignment
        | DocumentKind::GroupMapping
        | DocumentKind::Webhook
        | DocumentKind::Setting => true,
        DocumentKind::Trigger
        | DocumentKind::Token
        | DocumentKind::RemovedUser
        | DocumentKind::Position
        | DocumentKind::Trace
        | DocumentKind::Inquiry => false,
    }
}

/// The entry about a document that is written; none when nothing becomes different.
pub(super) async fn put(
    store: &dyn Store,
    document: &Document,
    from: Option<u64>,
    now: Timestamp,
) -> Result<Option<Entry>, Error> {
    if !is_administered(document.kind) {
        return Ok(None);
    }
    let before = match from {
        Some(_) => store.document(document.kind, &document.key, now).await?,
        None => None,
    };
    Ok(told(before.as_deref(), Some(document)))
}

/// The entry about a document that goes.
pub(super) async fn deleted(
    store: &dyn Store,
    kind: DocumentKind,
    key: &Str,
    now: Timestamp,
) -> Result<Option<Entry>, Error> {
    if !is_administered(kind) {
        return Ok(None);
    }
    let before: Option<Arc<Document>> = store.document(kind, key, now).await?;
    Ok(told(before.as_deref(), None))
}

fn told(before: Option<&Document>, after: Option<&Document>) -> Option<Entry> {
    let (document, verb) = match (before, after) {
        (None, Some(after)) => (after, Verb::Create),
        (Some(_), Some(after)) => (after, Verb::Modify),
        (Some(before), None) => (before, Verb::Delete),
        (None, None) => return None,
    };
    let (old, new) = (before.map(|one| &one.body), after.map(|one| &one.body));
    if old == new {
        return None;
    }
    let shown = |body: Option<&Value>, other: Option<&Value>| {
        let body = body.map(|body| different(document.kind, body, other));
        bounded(body.unwrap_or_default())
    };
    let mut entry = Entry::done(&action(document.kind, verb), Some(resource(document)));
    entry.before = shown(old, new);
    entry.after = shown(new, old);
    Some(entry)
}

/// What happens to a document.
#[derive(Clone, Copy)]
enum Verb {
    Create,
    Modify,
    Delete,
}

/// The name of the permission for it, or one of the same form.
fn action(kind: DocumentKind, verb: Verb) -> String {
    let name = match kind {
        DocumentKind::Sensor => "sensor_type",
        DocumentKind::Config => return "pack_config".to_owned(),
        kind => kind.as_str(),
    };
    let verb = match (kind, verb) {
        (DocumentKind::Key, Verb::Create | Verb::Modify) => "set",
        (_, Verb::Create) => "create",
        (_, Verb::Modify) => "modify",
        (_, Verb::Delete) => "delete",
    };
    format!("{name}_{verb}")
}

/// The document as grants name it.
fn resource(document: &Document) -> Str {
    let key = &document.key;
    let uid = match document.kind {
        DocumentKind::Sensor => format!("sensor_type:{}", key.replacen('.', ":", 1)),
        DocumentKind::Action
        | DocumentKind::Rule
        | DocumentKind::TriggerType
        | DocumentKind::Alias
        | DocumentKind::Policy => {
            format!("{}:{}", document.kind.as_str(), key.replacen('.', ":", 1))
        }
        DocumentKind::Config | DocumentKind::ConfigSchema => format!("pack:{key}"),
        // Its key is the hash by which it is recognised.
        DocumentKind::ApiKey => format!("api_key:{}", document.id),
        kind => format!("{}:{key}", kind.as_str()),
    };
    Str::from(uid)
}

/// The members of a body that the other has not, or has otherwise; masked.
fn different(kind: DocumentKind, body: &Value, other: Option<&Value>) -> Value {
    let Some(members) = body.as_dict() else {
        return masked(body);
    };
    let mut kept = Dict::new();
    for (name, value) in members.iter() {
        if other.and_then(|other| other.get(name)) != Some(value) {
            let is_secret = is_secret(kind, name, members);
            let value = if is_secret {
                Value::from(MASKED)
            } else {
                masked(value)
            };
            kept.insert(name.clone(), value);
        }
    }
    Value::from(kept)
}

/// Whether a member is a secret by the kind of its document.
fn is_secret(kind: DocumentKind, name: &str, members: &Dict) -> bool {
    match kind {
        DocumentKind::User => name == "password_hash",
        DocumentKind::Webhook => name == "secret",
        DocumentKind::Key => {
            name == "value" && members.get("secret").and_then(Value::as_bool) != Some(false)
        }
        _ => false,
    }
}

/// The value with masks where it holds secrets: what is sealed, and the default of what a schema
/// calls secret; and with long texts cut.
fn masked(value: &Value) -> Value {
    match value {
        Value::String(text) if text.len() > TEXT_MAX => cut(text),
        Value::List(items) => items.iter().map(masked).collect(),
        Value::Dict(dict) if dict.contains_key(SEALED) => Value::from(MASKED),
        Value::Dict(dict) => {
            let has_secret = dict.get("secret").and_then(Value::as_bool) == Some(true);
            let members = dict.iter().map(|(name, member)| {
                let hidden = has_secret && matches!(&**name, "default" | "value");
                let member = if hidden {
                    Value::from(MASKED)
                } else {
                    masked(member)
                };
                (name.clone(), member)
            });
            Value::from(members.collect::<Dict>())
        }
        other => other.clone(),
    }
}

fn cut(text: &str) -> Value {
    let kept: String = text.chars().take(TEXT_KEPT).collect();
    let sum = crc32fast::hash(text.as_bytes());
    Value::from(format!("{kept}… ({} bytes, CRC-32 {sum:08x})", text.len()))
}

fn bounded(body: Value) -> Value {
    let text = body.to_json();
    if text.len() <= BODY_MAX {
        return body;
    }
    let sum = crc32fast::hash(text.as_bytes());
    dict! { "bytes" => text.len() as i64, "crc32" => format!("{sum:08x}") }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use squall_model::RawId;

    use super::*;

    fn document(kind: DocumentKind, key: &str, body: &str) -> Document {
        Document {
            kind,
            key: Str::from(key),
            id: RawId::from_raw(7),
            pack: None,
            body: squall_value::json::read(body).unwrap(),
            revision: 1,
            changed: Timestamp::UNIX_EPOCH,
            expires: None,
        }
    }

    #[track_caller]
    fn check(kind: DocumentKind, key: &str, before: &str, after: &str, expect: Expect) {
        let body = |text: &str| (!text.is_empty()).then(|| document(kind, key, text));
        let (before, after) = (body(before), body(after));
        let text = told(before.as_ref(), after.as_ref()).map(|entry| {
            format!(
                "{} {}\n{}\n{}\n",
                entry.action,
                entry.resource.unwrap_or_default(),
                entry.before.to_json(),
                entry.after.to_json()
            )
        });
        expect.assert_eq(&text.unwrap_or_else(|| "nothing\n".to_owned()));
    }

    #[test]
    fn changes_tell_what_is_different() {
        let (old, new) = (
            r#"{"enabled": true, "name": "restock", "criteria": {"a": 1}}"#,
            r#"{"enabled": false, "name": "restock", "tags": []}"#,
        );
        let kind = DocumentKind::Rule;
        check(
            kind,
            "shop.restock.all",
            old,
            new,
            expect![[r#"
                rule_modify rule:shop:restock.all
                {"enabled":true,"criteria":{"a":1}}
                {"enabled":false,"tags":[]}
            "#]],
        );
        check(
            kind,
            "shop.restock",
            "",
            old,
            expect![[r#"
                rule_create rule:shop:restock
                null
                {"enabled":true,"name":"restock","criteria":{"a":1}}
            "#]],
        );
        check(
            kind,
            "shop.restock",
            new,
            "",
            expect![[r#"
                rule_delete rule:shop:restock
                {"enabled":false,"name":"restock","tags":[]}
                null
            "#]],
        );
        check(kind, "shop.restock", old, old, expect![["nothing\n"]]);
    }

    #[test]
    fn secrets_are_masked_and_their_change_shows() {
        check(
            DocumentKind::User,
            "ann",
            r#"{"name": "ann", "password_hash": "$2b$1"}"#,
            r#"{"name": "ann", "password_hash": "$2b$2"}"#,
            expect![[r#"
                user_modify user:ann
                {"password_hash":"********"}
                {"password_hash":"********"}
            "#]],
        );
        check(
            DocumentKind::Key,
            "st2kv.system:db",
            r#"{"name": "db", "secret": false, "value": "open"}"#,
            r#"{"name": "db", "secret": true, "value": "c2VhbGVk"}"#,
            expect![[r#"
                key_value_pair_set key_value_pair:st2kv.system:db
                {"secret":false,"value":"open"}
                {"secret":true,"value":"********"}
            "#]],
        );
        check(
            DocumentKind::Webhook,
            "git",
            "",
            r#"{"url": "git", "secret": "hush"}"#,
            expect![[r#"
                webhook_create webhook:git
                null
                {"url":"git","secret":"********"}
            "#]],
        );
        check(
            DocumentKind::Action,
            "shop.pay",
            "",
            r#"{"parameters": {"key": {"secret": true, "default": "hush"}, "n": {"default": 1}}}"#,
            expect![[r#"
                action_create action:shop:pay
                null
                {"parameters":{"key":{"secret":true,"default":"********"},"n":{"default":1}}}
            "#]],
        );
        check(
            DocumentKind::Config,
            "shop",
            "",
            r#"{"values": {"token": {"$sealed": "abc"}, "url": "u"}}"#,
            expect![[r#"
                pack_config pack:shop
                null
                {"values":{"token":"********","url":"u"}}
            "#]],
        );
        check(
            DocumentKind::ApiKey,
            "0123hash",
            "",
            r#"{"user": "bot"}"#,
            expect![[r#"
                api_key_create api_key:000000000000000000000007
                null
                {"user":"bot"}
            "#]],
        );
    }

    #[test]
    fn what_is_no_ones_wish_and_what_is_huge_is_not_kept() {
        assert!(!is_administered(DocumentKind::Token));
        let long = Value::from("x".repeat(TEXT_MAX + 1));
        let shown = masked(&long).to_json();
        assert!(
            shown.ends_with("… (2049 bytes, CRC-32 87689b96)\"") && shown.len() < 600,
            "{shown}"
        );
        let huge: Value = (0..10_000_i64)
            .map(|n| Value::from(format!("{n:08}")))
            .collect();
        let shown = bounded(huge).to_json();
        assert!(shown.contains("bytes") && shown.len() < 60, "{shown}");
    }
}
