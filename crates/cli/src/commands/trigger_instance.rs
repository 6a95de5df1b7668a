//! `trigger-instance`.

use anyhow::Result;
use clap::Subcommand;
use squall_client::Resource;
use squall_value::Value;

use super::list::{self, ListOptions};
use super::{DONE, Invocation};
use crate::output::{Cell, Column, Details, Format, Show, moment_with_zone};

/// List, show and re-emit trigger instances.
#[derive(Debug, Subcommand)]
pub enum TriggerInstance {
    /// List trigger instances, newest first
    #[command(after_help = "Example:\n  squall trigger-instance list --trigger shop.order -n 20")]
    List {
        /// Only of this trigger
        #[arg(long, value_name = "TRIGGER")]
        trigger: Option<String>,
        /// Only after this time, such as 2026-03-14T09:00:00Z
        #[arg(long, visible_alias = "tg", value_name = "TIME")]
        timestamp_gt: Option<String>,
        /// Only before this time
        #[arg(long, visible_alias = "tl", value_name = "TIME")]
        timestamp_lt: Option<String>,
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show a trigger instance with its payload
    #[command(after_help = "Example:\n  squall trigger-instance get 65a14b2135b6ad228a105f2a")]
    Get {
        /// Id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Hand the same event in once more
    #[command(after_help = "Example:\n  squall trigger-instance re-emit 65a14b2135b6ad228a105f2a")]
    ReEmit {
        /// Id
        #[arg(value_name = "ID")]
        id: String,
    },
}

const COLUMNS: [Column; 4] = [
    Column::new("id", "id", Show::Plain),
    Column::new("trigger", "trigger", Show::Plain),
    Column::new("occurred", "occurrence_time", Show::Moment),
    Column::new("status", "status", Show::Status),
];

impl TriggerInstance {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        match self {
            TriggerInstance::List {
                trigger,
                timestamp_gt,
                timestamp_lt,
                list,
            } => {
                let query = list
                    .query()
                    .maybe("trigger", trigger)
                    .maybe("timestamp_gt", timestamp_gt)
                    .maybe("timestamp_lt", timestamp_lt);
                let columns = list.columns(&COLUMNS);
                let kind = Resource::TriggerInstances;
                list::show(invocation, kind, &query, &columns, "trigger instances").await
            }
            TriggerInstance::Get { id } => get(invocation, &id).await,
            TriggerInstance::ReEmit { id } => {
                let told = invocation.client()?.emit_again(&id).await?;
                if invocation.console.format == Format::Text {
                    let text = format!("trigger instance {id} is handed in once more");
                    invocation.console.line(&text)?;
                } else {
                    invocation.console.value(&told)?;
                }
                Ok(DONE)
            }
        }
    }
}

async fn get(invocation: &mut Invocation, id: &str) -> Result<u8> {
    let client = invocation.client()?;
    let instance = client.one(Resource::TriggerInstances, id).await?;
    let console = &mut invocation.console;
    if console.format != Format::Text {
        console.value(&instance)?;
        return Ok(DONE);
    }
    let text = |name| {
        instance
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let mut details = Details::new();
    details
        .text("id", text("id"))
        .text("trigger", text("trigger"))
        .text(
            "occurred",
            &moment_with_zone(text("occurrence_time"), &console.screen.zone),
        )
        .line("status", Cell::status(text("status")));
    if let Some(sender) = instance.get("sender") {
        details.text("sent by", &told(sender));
    }
    if let Some(payload) = instance.get("payload") {
        details.value("payload", payload);
    }
    let shown = details.render(&console.screen);
    console.write(&shown)?;
    Ok(DONE)
}

/// Who sent it, in a line.
fn told(sender: &Value) -> String {
    let text = |name| sender.get(name).and_then(Value::as_str);
    let user = text("user").filter(|user| !user.is_empty());
    let mut told = format!(
        "{} by {}",
        user.unwrap_or("somebody"),
        text("method").unwrap_or_default()
    );
    for (before, name) in [(" from ", "address"), (", ", "delegate"), (", ", "agent")] {
        if let Some(text) = text(name) {
            told.push_str(before);
            told.push_str(text);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use squall_value::dict;

    use super::*;

    #[test]
    fn a_sender_is_told_as_far_as_known() {
        let known = dict! { "user" => "bot", "method" => "api_key", "address" => "10.0.0.5",
        "delegate" => Value::Null, "agent" => "curl/8.5.0" };
        assert_eq!(told(&known), "bot by api_key from 10.0.0.5, curl/8.5.0");
        let signed = dict! { "user" => "", "method" => "signature", "address" => "10.0.0.5" };
        assert_eq!(told(&signed), "somebody by signature from 10.0.0.5");
    }
}
