//! `webhook`.

use anyhow::Result;
use clap::Subcommand;
use squall_client::Resource;
use squall_value::Value;

use super::list::{self, ListOptions};
use super::{DONE, Invocation, show};
use crate::input;
use crate::output::{Column, Format, Show};

/// List webhooks, and set the secrets that deliveries are signed with.
#[derive(Debug, Subcommand)]
pub enum Webhook {
    /// List the webhooks that rules wait for
    #[command(after_help = "Example:\n  squall webhook list")]
    List {
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show a webhook
    #[command(after_help = "Example:\n  squall webhook get deploys/done")]
    Get {
        /// The URL, as rules name it
        #[arg(value_name = "URL")]
        url: String,
    },
    /// Set the secret with which a forge or tool signs what it sends
    ///
    /// Without --from a secret is made up and printed, this once. Who signs with it needs no token.
    #[command(after_help = "\
Examples:
  squall webhook set-secret github/push
  squall webhook set-secret reports/ansible --from secret.txt
  pass show forge | squall webhook set-secret github/push --from -")]
    SetSecret {
        /// The URL, as rules name it
        #[arg(value_name = "URL")]
        url: String,
        /// The file with the secret, or `-` for standard input; a line break at its end is left out
        #[arg(long, value_name = "FILE")]
        from: Option<String>,
    },
    /// Remove a secret: from then on only callers with a token or API key are heard
    #[command(after_help = "Example:\n  squall webhook remove-secret github/push")]
    RemoveSecret {
        /// The URL, as rules name it
        #[arg(value_name = "URL")]
        url: String,
    },
}

impl Webhook {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        match self {
            Webhook::List { list } => {
                let columns = list.columns(&[
                    Column::new("url", "parameters.url", Show::Plain),
                    Column::new("secret", "has_secret", Show::Enabled),
                    Column::new("trigger", "ref", Show::Plain),
                ]);
                let (kind, query) = (Resource::Webhooks, list.query());
                list::show(invocation, kind, &query, &columns, "webhooks").await
            }
            Webhook::Get { url } => {
                let first = ["ref", "type", "parameters"];
                show::one(invocation, Resource::Webhooks, &url, &first).await
            }
            Webhook::SetSecret { url, from } => set_secret(invocation, &url, from).await,
            Webhook::RemoveSecret { url } => {
                invocation.client()?.remove_webhook_secret(&url).await?;
                let text = format!("the secret of {url} is removed");
                invocation.console.note(&text);
                Ok(DONE)
            }
        }
    }
}

async fn set_secret(invocation: &mut Invocation, url: &str, from: Option<String>) -> Result<u8> {
    let given = match &from {
        Some(file) => Some(input::text(file)?.trim_end_matches(['\r', '\n']).to_owned()),
        None => None,
    };
    let is_made = given.is_none();
    let secret = given.unwrap_or_else(|| {
        let words = (0..4).map(|_| format!("{:016x}", invocation.env.random()));
        words.collect()
    });
    let client = invocation.client()?;
    let mut told = client.set_webhook_secret(url, &secret).await?;
    let console = &mut invocation.console;
    if console.format != Format::Text {
        if let (Value::Dict(told), true) = (&mut told, is_made) {
            std::sync::Arc::make_mut(told).insert("secret", secret);
        }
        console.value(&told)?;
        return Ok(DONE);
    }
    console.note(&format!("the secret of {url} is set"));
    if is_made {
        // Alone on standard output, so that it can be piped to where it belongs.
        console.note("it is not shown again:");
        console.line(&secret)?;
    }
    Ok(DONE)
}
