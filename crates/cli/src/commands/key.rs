//! `key`: the datastore.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use squall_client::{KeyScope, NewKey};
use squall_value::Value;

use super::list::{self, ListOptions};
use super::{DONE, Invocation, show};
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
        #[arg(short, long)]
        encrypt: bool,
        /// Whose item.
        #[command(flatten)]
        scope: ScopeOptions,
    },
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
    Column::new("secret", "secret", Show::Plain),
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
                    ttl: ttl.map(Duration::from_secs),
                };
                let item = client.set_key(&scope.scope(), &name, &key).await?;
                if invocation.console.format == Format::Text {
                    invocation.console.line(&format!("{name} is set"))?;
                    return Ok(DONE);
                }
                show::print(invocation, &item, &[])
            }
            Key::Delete { name, scope } => {
                client.delete_key(&scope.scope(), &name).await?;
                invocation.console.note(&format!("{name} is deleted"));
                Ok(DONE)
            }
        }
    }
}
