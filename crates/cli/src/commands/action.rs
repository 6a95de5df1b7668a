//! `action`.

use anyhow::Result;
use clap::Subcommand;
use squall_client::Resource;
use squall_value::Value;

use super::list::{self, ListOptions};
use super::{DONE, Invocation, show};
use crate::output::{Cell, Column, Details, Format, Paint, Show, Table};

/// List and show actions, and switch them on and off.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List actions
    #[command(after_help = "Example:\n  squall action list --pack core")]
    List {
        /// Only those of this pack
        #[arg(short, long)]
        pack: Option<String>,
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show an action, its parameters first
    #[command(after_help = "Example:\n  squall action get core.local")]
    Get {
        /// Reference or id
        #[arg(value_name = "ACTION")]
        action: String,
    },
    /// Let an action be run again that could not
    #[command(after_help = "Example:\n  squall action enable shop.deploy")]
    Enable {
        /// Reference or id
        #[arg(value_name = "ACTION")]
        action: String,
    },
    /// Refuse to run an action, until it is enabled or its pack is registered anew
    #[command(after_help = "Example:\n  squall action disable shop.deploy")]
    Disable {
        /// Reference or id
        #[arg(value_name = "ACTION")]
        action: String,
    },
}

const COLUMNS: [Column; 4] = [
    Column::new("ref", "ref", Show::Plain),
    Column::new("runner", "runner_type", Show::Plain),
    Column::new("enabled", "enabled", Show::Enabled),
    Column::new("description", "description", Show::Plain),
];

impl Action {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        match self {
            Action::List { pack, list } => {
                let query = list.query().maybe("pack", pack);
                let columns = list.columns(&COLUMNS);
                list::show(invocation, Resource::Actions, &query, &columns, "actions").await
            }
            Action::Get { action } => get(invocation, &action).await,
            Action::Enable { action } => {
                show::switched(invocation, Resource::Actions, &action, true).await
            }
            Action::Disable { action } => {
                show::switched(invocation, Resource::Actions, &action, false).await
            }
        }
    }
}

async fn get(invocation: &mut Invocation, reference: &str) -> Result<u8> {
    let client = invocation.client()?;
    let action = client.one(Resource::Actions, reference).await?;
    let format = invocation.console.format;
    if format != Format::Text {
        invocation.console.value(&action)?;
        return Ok(DONE);
    }
    let own = action
        .get("ref")
        .and_then(Value::as_str)
        .unwrap_or(reference);
    let parameters = client.action_parameters(own).await?;
    let console = &mut invocation.console;
    let mut details = Details::new();
    let names = ["ref", "description", "runner_type", "entry_point", "id"];
    for name in names {
        details.value(name, action.get(name).unwrap_or(&Value::Null));
    }
    if action.get("enabled") == Some(&Value::Bool(false)) {
        details.line(
            "enabled",
            Cell::painted("no: it can't be run", Paint::Waiting),
        );
    }
    let mut text = details.render(&console.screen);
    let mut table = Table::new(["parameter", "type", "required", "default", "description"]);
    for (name, attributes) in sorted(&parameters) {
        table.row([
            Cell::painted(name, Paint::Strong),
            Cell::new(kind(attributes)),
            Cell::new(flag(attributes, "required")),
            Cell::new(
                attributes
                    .get("default")
                    .map(Value::to_json)
                    .unwrap_or_default(),
            ),
            Cell::new(described(attributes)),
        ]);
    }
    if !parameters.is_empty() {
        text.push('\n');
        text.push_str(&table.render(&console.screen));
    }
    console.write(&text)?;
    Ok(DONE)
}

/// Parameters that can be given: required ones first, then by position, then as declared.
fn sorted(parameters: &squall_value::Dict) -> Vec<(&str, &Value)> {
    let visible = parameters
        .iter()
        .filter(|(_, attributes)| attributes.get("immutable") != Some(&Value::Bool(true)));
    let mut all: Vec<(&str, &Value)> = visible.map(|(name, value)| (&**name, value)).collect();
    all.sort_by_key(|(_, attributes)| {
        let required = attributes.get("required") == Some(&Value::Bool(true));
        let position = attributes.get("position").and_then(Value::as_int);
        (!required, position.unwrap_or(i64::MAX))
    });
    all
}

fn kind(attributes: &Value) -> String {
    match attributes.get("type") {
        Some(Value::String(kind)) => kind.to_string(),
        Some(Value::List(kinds)) => {
            let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            kinds.join(" or ")
        }
        _ => String::new(),
    }
}

fn flag(attributes: &Value, name: &str) -> &'static str {
    if attributes.get(name) == Some(&Value::Bool(true)) {
        "yes"
    } else {
        ""
    }
}

fn described(attributes: &Value) -> String {
    let text = attributes.get("description").and_then(Value::as_str);
    let mut text = text.unwrap_or_default().to_owned();
    if let Some(choices) = attributes.get("enum") {
        text = format!("{text} One of {}.", choices.to_json());
    }
    if flag(attributes, "secret") == "yes" {
        text.push_str(" (secret)");
    }
    text.trim().to_owned()
}
