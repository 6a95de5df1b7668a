//! `trigger`.

use anyhow::Result;
use clap::Subcommand;
use squall_client::Resource;
use squall_value::Value;

use super::list::{self, ListOptions};
use super::{DONE, Invocation, show};
use crate::input;
use crate::output::{Column, Format, Show};

/// List trigger types, and emit events.
#[derive(Debug, Subcommand)]
pub enum Trigger {
    /// List trigger types
    #[command(after_help = "Example:\n  squall trigger list --pack core")]
    List {
        /// Only those of this pack
        #[arg(short, long)]
        pack: Option<String>,
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show a trigger type, with the schema of its payload
    #[command(after_help = "Example:\n  squall trigger get core.st2.webhook")]
    Get {
        /// Reference or id
        #[arg(value_name = "TRIGGER")]
        trigger: String,
    },
    /// Hand an event to the server, as a sensor would
    #[command(after_help = "\
Examples:
  squall trigger emit shop.order --payload '{\"id\": 7}'
  squall trigger emit shop.order --payload order.yaml --trace-tag order-7")]
    Emit {
        /// Reference of the trigger
        #[arg(value_name = "TRIGGER")]
        trigger: String,
        /// The payload: JSON, a file of JSON or YAML, or `-` for standard input
        #[arg(short, long, value_name = "FILE|JSON", default_value = "{}")]
        payload: String,
        /// A tag under which all that follows is found again
        #[arg(long, value_name = "TAG")]
        trace_tag: Option<String>,
    },
}

impl Trigger {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        match self {
            Trigger::List { pack, list } => {
                let columns = list.columns(&[
                    Column::new("ref", "ref", Show::Plain),
                    Column::new("description", "description", Show::Plain),
                ]);
                let query = list.query().maybe("pack", pack);
                let kind = Resource::TriggerTypes;
                list::show(invocation, kind, &query, &columns, "trigger types").await
            }
            Trigger::Get { trigger } => {
                let first = ["ref", "description"];
                show::one(invocation, Resource::TriggerTypes, &trigger, &first).await
            }
            Trigger::Emit {
                trigger,
                payload,
                trace_tag,
            } => {
                let payload = input::inline_or_file(&payload)?;
                let client = invocation.client()?;
                let told = client
                    .emit(&trigger, &payload, trace_tag.as_deref())
                    .await?;
                if invocation.console.format != Format::Text {
                    invocation.console.value(&told)?;
                    return Ok(DONE);
                }
                let id = told.get("id").and_then(Value::as_str);
                invocation.console.line(&match id {
                    Some(id) => format!(
                        "the event is accepted as {id}\n\
                         see it with `squall trigger-instance get {id}`"
                    ),
                    None => "the event is accepted".to_owned(),
                })?;
                Ok(DONE)
            }
        }
    }
}
