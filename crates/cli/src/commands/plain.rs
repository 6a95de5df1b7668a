//! Lists with little else to do: `timer`, `runner`, `policy`, `alias`.

use anyhow::Result;
use clap::Subcommand;
use squall_client::{Query, Resource};
use squall_value::Value;

use super::list::{self, ListOptions};
use super::{DONE, Invocation, show};
use crate::output::{Column, Format, Show};

/// List the timers that rules wait for.
#[derive(Debug, Subcommand)]
pub enum Timer {
    /// List timers
    #[command(after_help = "Example:\n  squall timer list --type core.st2.CronTimer")]
    List {
        /// Only core.st2.IntervalTimer, core.st2.CronTimer or core.st2.DateTimer
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show a timer
    #[command(after_help = "Example:\n  squall timer get core.st2.CronTimer-0f1e")]
    Get {
        /// The reference of the trigger, as `squall timer list` shows it
        #[arg(value_name = "TRIGGER")]
        trigger: String,
    },
}

impl Timer {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let (kind, list) = match self {
            Timer::List { kind, list } => (kind, list),
            Timer::Get { trigger } => {
                let first = ["ref", "type", "parameters"];
                return show::one(invocation, Resource::Timers, &trigger, &first).await;
            }
        };
        let columns = list.columns(&[
            Column::new("type", "type", Show::Plain),
            Column::new("parameters", "parameters", Show::Plain),
            Column::new("trigger", "ref", Show::Plain),
        ]);
        let query = list.query().maybe("timer_type", kind);
        list::show(invocation, Resource::Timers, &query, &columns, "timers").await
    }
}

/// List runner types, and switch them on and off.
#[derive(Debug, Subcommand)]
pub enum Runner {
    /// List runner types
    #[command(after_help = "Example:\n  squall runner list")]
    List {
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show a runner type
    #[command(after_help = "Example:\n  squall runner get python-script")]
    Get {
        /// Name or id
        #[arg(value_name = "RUNNER")]
        name: String,
    },
    /// Take requests for a runner's actions again
    #[command(after_help = "Example:\n  squall runner enable remote-shell-cmd")]
    Enable {
        /// Name or id
        #[arg(value_name = "RUNNER")]
        name: String,
    },
    /// Refuse requests for a runner's actions; what was asked for before runs
    #[command(after_help = "Example:\n  squall runner disable remote-shell-cmd")]
    Disable {
        /// Name or id
        #[arg(value_name = "RUNNER")]
        name: String,
    },
}

impl Runner {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        match self {
            Runner::List { list } => {
                let columns = list.columns(&[
                    Column::new("name", "name", Show::Plain),
                    Column::new("enabled", "enabled", Show::Enabled),
                    Column::new("description", "description", Show::Plain),
                ]);
                let (kind, query) = (Resource::RunnerTypes, list.query());
                list::show(invocation, kind, &query, &columns, "runner types").await
            }
            Runner::Enable { name } => {
                show::switched(invocation, Resource::RunnerTypes, &name, true).await
            }
            Runner::Disable { name } => {
                show::switched(invocation, Resource::RunnerTypes, &name, false).await
            }
            Runner::Get { name } => {
                let first = ["name", "description"];
                show::one(invocation, Resource::RunnerTypes, &name, &first).await
            }
        }
    }
}

/// List policies.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// List policies
    #[command(after_help = "Example:\n  squall policy list --pack examples")]
    List {
        /// Only those of this pack
        #[arg(short, long)]
        pack: Option<String>,
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show a policy
    #[command(after_help = "Example:\n  squall policy get examples.one_at_a_time")]
    Get {
        /// Reference or id
        #[arg(value_name = "POLICY")]
        policy: String,
    },
}

impl Policy {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let (pack, list) = match self {
            Policy::List { pack, list } => (pack, list),
            Policy::Get { policy } => {
                let first = ["ref", "description", "enabled"];
                return show::one(invocation, Resource::Policies, &policy, &first).await;
            }
        };
        let columns = list.columns(&[
            Column::new("ref", "ref", Show::Plain),
            Column::new("type", "policy_type", Show::Plain),
            Column::new("concerns", "resource_ref", Show::Plain),
            Column::new("enabled", "enabled", Show::Enabled),
            Column::new("parameters", "parameters", Show::Plain),
        ]);
        let query: Query = list.query().maybe("pack", pack);
        list::show(invocation, Resource::Policies, &query, &columns, "policies").await
    }
}

/// List aliases, and find the one that a command in chat means.
#[derive(Debug, Subcommand)]
pub enum Alias {
    /// List action aliases
    #[command(after_help = "Example:\n  squall alias list --pack shop")]
    List {
        /// Only those of this pack
        #[arg(short, long)]
        pack: Option<String>,
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show an alias
    #[command(after_help = "Example:\n  squall alias get shop.restart")]
    Get {
        /// Reference or id
        #[arg(value_name = "ALIAS")]
        name: String,
    },
    /// Say which alias a command means; to run it, use `squall run chatops.run`
    #[command(after_help = "Example:\n  squall alias match 'restart nginx on web2'")]
    Match {
        /// The command, as it is written in chat
        #[arg(value_name = "COMMAND")]
        command: String,
    },
}

impl Alias {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        match self {
            Alias::List { pack, list } => {
                let columns = list.columns(&[
                    Column::new("ref", "ref", Show::Plain),
                    Column::new("action", "action_ref", Show::Plain),
                    Column::new("enabled", "enabled", Show::Enabled),
                    Column::new("description", "description", Show::Plain),
                ]);
                let query: Query = list.query().maybe("pack", pack);
                list::show(invocation, Resource::Aliases, &query, &columns, "aliases").await
            }
            Alias::Get { name } => {
                let first = ["ref", "action_ref", "description"];
                show::one(invocation, Resource::Aliases, &name, &first).await
            }
            Alias::Match { command } => {
                let found = invocation.client()?.match_alias(&command).await?;
                if invocation.console.format != Format::Text {
                    return show::print(invocation, &found, &[]);
                }
                let text = |path: &[&str]| found.get_path(path).and_then(Value::as_str);
                let line = format!(
                    "{} runs {}, by `{}`",
                    text(&["actionalias", "ref"]).unwrap_or_default(),
                    text(&["actionalias", "action_ref"]).unwrap_or_default(),
                    text(&["representation"]).unwrap_or_default(),
                );
                invocation.console.line(&line)?;
                Ok(DONE)
            }
        }
    }
}
