//! `key`: the datastore.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use squall_client::{KeyScope, NewKey};
use squall_value::{Dict, Value};

use super::list::{self, ListOptions};
use super::{DONE, Invocation, show};
use crate::failure::usage;
use crate::input;
use crate::output::{Column, Format, Show};

/// Whose items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeChoice {
    /// Everybody's.
    #[default]
    System,
    /// One user's.
    User,
}

/// Whose items.
#[derive(Args, Debug)]
pub struct ScopeOptions {
    /// Whose items: everybody's or one user's
    #[arg(short, long, value_enum, default_value_t)]
    scope: ScopeChoice,
    /// The user, for `--scope user` [default: you]
    #[arg(short, long, value_name = "NAME")]
    user: Option<String>,
}

impl ScopeOptions {
    fn scope(self) -> KeyScope {
        match (self.scope, self.user) {
            (ScopeChoice::System, None) => KeyScope::System,
            (_, user) => KeyScope::User(user),
        }
    }
}

/// Read and write the datastore.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// List items
    #[command(after_help = "Example:\n  squall key list --prefix shop.")]
    List {
        /// Only names that begin so
        #[arg(long)]
        prefix: Option<String>,
        /// Whose items.
        #[command(flatten)]
        scope: ScopeOptions,
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Print an item's value
    #[command(after_help = "\
Examples:
  squall key get shop.region
  squall key get shop.password --decrypt
  squall key get shop.region --json")]
    Get {
        /// Name
        #[arg(value_name = "NAME")]
        name: String,
        /// Show the plain text of a secret
        #[arg(short, long)]
        decrypt: bool,
        /// Whose item.
        #[command(flatten)]
        scope: ScopeOptions,
    },
    /// Keep an item
    #[command(after_help = "\
Examples:
  squall key set shop.region eu-west-1
  squall key set shop.lock taken --ttl 600
  squall key set shop.password --encrypt - < password.txt")]
    Set {
        /// Name
        #[arg(value_name = "NAME")]
        name: String,
        /// Value; `-` reads it from standard input, which keeps secrets off the command line
        #[arg(value_name = "VALUE")]
        value: String,
        /// Forget it after so many seconds
        #[arg(short = 'l', long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
        ttl: Option<u64>,
        /// Keep it encrypted
        #[arg(short, long, visible_alias = "secret")]
        encrypt: bool,
        /// Whose item.
        #[command(flatten)]
        scope: ScopeOptions,
    },
    /// Write items to a file that `import` and `st2 key load` read
    #[command(after_help = "\
Examples:
  squall key export > items.json
  squall key export --scope user --user ann > ann.json
  squall key export --decrypt > plain.json

Secrets are exported as they are sealed, for a server with the same key. With --decrypt they are in
the file in clear, and the server that imports them seals them with its own key.")]
    Export {
        /// Only names that begin so
        #[arg(long)]
        prefix: Option<String>,
        /// Export secrets in clear
        #[arg(short, long)]
        decrypt: bool,
        /// Whose items.
        #[command(flatten)]
        scope: ScopeOptions,
    },
    /// Keep all items of a file of JSON or YAML, as `export` and `st2 key list -j` write it
    #[command(after_help = "\
Examples:
  squall key import items.json
  squall key import - < items.json")]
    Import {
        /// File; `-` is standard input
        #[arg(value_name = "FILE")]
        file: String,
        /// Keep values that are no text as JSON
        #[arg(short, long)]
        convert: bool,
    },
    /// Seal secret items with a fresh key
    #[command(after_help = "\
The key file gets a fresh key. The one of before stays beside it, as FILE.old, until the server
starts the next time. Copy the key file to where backups of it are.

Example:
  squall key rotate")]
    Rotate,
    /// Remove an item
    #[command(after_help = "Example:\n  squall key delete shop.lock")]
    Delete {
        /// Name
        #[arg(value_name = "NAME")]
        name: String,
        /// Whose item.
        #[command(flatten)]
        scope: ScopeOptions,
    },
}

const COLUMNS: [Column; 5] = [
    Column::new("name", "name", Show::Plain),
    Column::new("value", "value", Show::Plain),
    Column::new("secret", "secret", Show::Enabled),
    Column::new("user", "user", Show::Plain),
    Column::new("expires", "expire_timestamp", Show::Moment),
];

impl Key {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let client = invocation.client()?;
        match self {
            Key::List {
                prefix,
                scope,
                list,
            } => {
                let (scope, limit) = (scope.scope(), list.limit());
                let page = client.keys(&scope, prefix.as_deref(), limit).await?;
                list::print(invocation, &page, &list.columns(&COLUMNS), "items")
            }
            Key::Get {
                name,
                decrypt,
                scope,
            } => {
                let item = client.key(&scope.scope(), &name, decrypt).await?;
                if invocation.console.format != Format::Text {
                    return show::print(invocation, &item, &[]);
                }
                // The bare value: scripts want nothing else.
                let value = item
                    .get("value")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                invocation.console.line(value)?;
                Ok(DONE)
            }
            Key::Set {
                name,
                value,
                ttl,
                encrypt,
                scope,
            } => {
                let value = if value == "-" {
                    input::text("-")?.trim_end_matches(['\r', '\n']).to_owned()
                } else {
                    value
                };
                let key = NewKey {
                    value,
                    secret: encrypt,
                    encrypted: false,
                    ttl: ttl.map(Duration::from_secs),
                };
                set(invocation, &scope.scope(), &name, &key).await
            }
            Key::Export {
                prefix,
                decrypt,
                scope,
            } => export(invocation, &scope.scope(), prefix.as_deref(), decrypt).await,
            Key::Import { file, convert } => import(invocation, &file, convert).await,
            Key::Rotate => {
                let count = client.rotate_key().await?;
                let note = format!("a fresh key is in use; secret items sealed with it: {count}");
                invocation.console.note(&note);
                Ok(DONE)
            }
            Key::Delete { name, scope } => {
                client.delete_key(&scope.scope(), &name).await?;
                invocation.console.note(&format!("{name} is deleted"));
                Ok(DONE)
            }
        }
    }
}

async fn set(
    invocation: &mut Invocation,
    scope: &KeyScope,
    name: &str,
    key: &NewKey,
) -> Result<u8> {
    let item = invocation.client()?.set_key(scope, name, key).await?;
    if invocation.console.format == Format::Text {
        invocation.console.line(&format!("{name} is set"))?;
        return Ok(DONE);
    }
    show::print(invocation, &item, &[])
}

async fn export(
    invocation: &mut Invocation,
    scope: &KeyScope,
    prefix: Option<&str>,
    decrypt: bool,
) -> Result<u8> {
    let client = invocation.client()?;
    let page = client.keys(scope, prefix, Some(-1)).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for item in page.items {
        let secret = item.get("secret").and_then(Value::as_bool) == Some(true);
        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
        let item = match secret && decrypt {
            true => client.key(scope, name, true).await?,
            false => item,
        };
        items.push(exported(&item, scope, secret, decrypt));
    }
    if invocation.console.format == Format::Text {
        // A file is for `import`, which wants data.
        invocation.console.format = Format::Json;
    }
    invocation.console.value(&Value::from(items))?;
    Ok(DONE)
}

/// An item as `import` and StackStorm's `key load` read it.
fn exported(item: &Value, scope: &KeyScope, secret: bool, decrypt: bool) -> Value {
    let member = |name: &str| item.get(name).cloned().unwrap_or_default();
    let mut out = Dict::new();
    out.insert("name", member("name"));
    out.insert("value", member("value"));
    if let KeyScope::User(_) = scope {
        out.insert("scope", "user");
        out.insert("user", member("user"));
    } else {
        out.insert("scope", "system");
    }
    if secret {
        out.insert(if decrypt { "secret" } else { "encrypted" }, true);
    }
    // What was to be forgotten at some time is not to live for ever.
    let expires = item.get("expire_timestamp").filter(|at| !at.is_null());
    if let Some(expires) = expires {
        out.insert("expire_timestamp", expires.clone());
    }
    Value::from(out)
}

/// Keeps the items one after the other; the first that is refused ends it, and says how far it came.
async fn import(invocation: &mut Invocation, file: &str, convert: bool) -> Result<u8> {
    let client = invocation.client()?;
    let data = input::data(file)?;
    let items = match &data {
        Value::List(items) => items.to_vec(),
        Value::Dict(_) => vec![data],
        _ => return Err(usage(format!("{file} holds no list of items"))),
    };
    let now = invocation.env.now();
    let read: Result<Vec<_>> = items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            imported(item, convert, now)
                .map_err(|reason| usage(format!("item {} of {file}: {reason}", index + 1)))
        })
        .collect();
    let mut kept = 0;
    for (name, scope, key) in read?.into_iter().flatten() {
        let set = client.set_key(&scope, &name, &key).await;
        set.with_context(|| format!("`{name}` was refused; {kept} items before it are kept"))?;
        kept += 1;
    }
    invocation.console.note(&format!("{kept} items are kept"));
    Ok(DONE)
}

/// `None` for an item whose time is over.
fn imported(
    item: &Value,
    convert: bool,
    now: Timestamp,
) -> Result<Option<(String, KeyScope, NewKey)>, String> {
    let text = |name: &str| item.get(name).and_then(Value::as_str);
    let flag = |name: &str| item.get(name).and_then(Value::as_bool) == Some(true);
    let name = text("name").ok_or("it has no `name`")?;
    let value = match item.get("value") {
        Some(Value::String(value)) => value.to_string(),
        None | Some(Value::Null) => return Err(format!("`{name}` has no `value`")),
        Some(other) if convert => other.to_json(),
        Some(other) => {
            let kind = other.kind();
            return Err(format!(
                "the value of `{name}` must be a text, not {kind}; --convert keeps it as JSON"
            ));
        }
    };
    let user = text("user").filter(|user| !user.is_empty());
    let scope = match text("scope") {
        None | Some("system" | "st2kv.system") => KeyScope::System,
        Some("user" | "st2kv.user") => {
            // Lists name the items of users with the user before a colon.
            KeyScope::User(user.map(str::to_owned))
        }
        Some(other) => return Err(format!("`{name}` has the unknown scope `{other}`")),
    };
    let mut ttl = item
        .get("ttl")
        .and_then(Value::as_int)
        .and_then(|ttl| u64::try_from(ttl).ok());
    if let Some(expires) = text("expire_timestamp") {
        let expires: Timestamp = expires.parse().map_err(|_| {
            format!("`{name}` has an `expire_timestamp` that is no time: {expires}")
        })?;
        match u64::try_from(expires.duration_since(now).as_secs()) {
            Ok(left) if left > 0 => ttl = Some(left),
            _ => return Ok(None),
        }
    }
    let encrypted = flag("encrypted");
    let key = NewKey {
        value,
        secret: flag("secret") && !encrypted,
        encrypted,
        ttl: ttl.filter(|ttl| *ttl > 0).map(Duration::from_secs),
    };
    Ok(Some((name.to_owned(), scope, key)))
}

#[cfg(test)]
mod tests {
    use squall_value::json;

    use super::*;

    #[test]
    fn items_of_files_are_read() {
        let now: Timestamp = "2026-03-14T09:00:00Z".parse().expect("a time");
        for (item, expect) in [
            (
                r#"{"name": "a", "value": "v"}"#,
                "a System v false false None",
            ),
            (
                r#"{"name": "a", "value": "v", "scope": "user", "user": "ann", "secret": true, "ttl": 9}"#,
                r#"a User(Some("ann")) v true false Some(9s)"#,
            ),
            (
                r#"{"name": "a", "value": "v", "secret": true, "encrypted": true}"#,
                "a System v false true None",
            ),
            (
                r#"{"name": "a", "value": "v", "expire_timestamp": "2026-03-14T09:01:00Z"}"#,
                "a System v false false Some(60s)",
            ),
            (
                r#"{"name": "a", "value": "v", "expire_timestamp": "2026-03-14T08:00:00Z"}"#,
                "over",
            ),
            (r#"{"value": "v"}"#, "it has no `name`"),
            (r#"{"name": "a"}"#, "`a` has no `value`"),
            (
                r#"{"name": "a", "value": [1]}"#,
                "the value of `a` must be a text, not array; --convert keeps it as JSON",
            ),
            (
                r#"{"name": "a", "value": "v", "scope": "all"}"#,
                "`a` has the unknown scope `all`",
            ),
        ] {
            let value = json::read(item).expect("JSON");
            let read = match imported(&value, false, now) {
                Ok(None) => "over".to_owned(),
                Ok(Some((name, scope, key))) => format!(
                    "{name} {scope:?} {} {} {} {:?}",
                    key.value, key.secret, key.encrypted, key.ttl
                ),
                Err(reason) => reason,
            };
            assert_eq!(read, expect, "{item}");
        }
        let list = json::read(r#"{"name": "a", "value": [1]}"#).expect("JSON");
        let read = imported(&list, true, now).expect("it is kept as JSON");
        assert_eq!(read.map(|(_, _, key)| key.value).as_deref(), Some("[1]"));
    }

    #[test]
    fn what_is_exported_can_be_imported() {
        let item = json::read(
            r#"{"id": "x", "uid": "y", "name": "n", "value": "v", "secret": true, "user": "ann",
                "scope": "st2kv.user", "expire_timestamp": null}"#,
        );
        let item = item.expect("JSON");
        let user = KeyScope::User(None);
        assert_eq!(
            exported(&item, &user, true, true).to_json(),
            r#"{"name":"n","value":"v","scope":"user","user":"ann","secret":true}"#
        );
        assert_eq!(
            exported(&item, &KeyScope::System, true, false).to_json(),
            r#"{"name":"n","value":"v","scope":"system","encrypted":true}"#
        );
    }
}
