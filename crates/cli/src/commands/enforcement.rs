//! `rule-enforcement`.

use anyhow::Result;
use clap::Subcommand;
use squall_client::Resource;

use super::list::{self, ListOptions};
use super::{Invocation, show};
use crate::output::{Column, Show};

/// List and show what rules made of events.
#[derive(Debug, Subcommand)]
pub enum RuleEnforcement {
    /// List enforcements, newest first
    #[command(after_help = "\
Examples:
  squall rule-enforcement list --rule shop.on_order
  squall rule-enforcement list --trigger-instance 65a14b2135b6ad228a105f2a")]
    List {
        /// Only of this rule
        #[arg(long, value_name = "RULE")]
        rule: Option<String>,
        /// Only of this event
        #[arg(long, value_name = "ID")]
        trigger_instance: Option<String>,
        /// Only the one that made this execution
        #[arg(long, value_name = "ID")]
        execution: Option<String>,
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
    /// Show an enforcement
    #[command(after_help = "Example:\n  squall rule-enforcement get 65a14b2135b6ad228a105f2e")]
    Get {
        /// Id
        #[arg(value_name = "ID")]
        id: String,
    },
}

const COLUMNS: [Column; 6] = [
    Column::new("id", "id", Show::Plain),
    Column::new("rule", "rule.ref", Show::Plain),
    Column::new("status", "status", Show::Status),
    Column::new("enforced", "enforced_at", Show::Moment),
    Column::new("execution", "execution_id", Show::Plain),
    Column::new("reason", "failure_reason", Show::Plain),
];

impl RuleEnforcement {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        match self {
            RuleEnforcement::List {
                rule,
                trigger_instance,
                execution,
                timestamp_gt,
                timestamp_lt,
                list,
            } => {
                let query = list
                    .query()
                    .maybe("rule_ref", rule)
                    .maybe("trigger_instance", trigger_instance)
                    .maybe("execution", execution)
                    .maybe("enforced_at_gt", timestamp_gt)
                    .maybe("enforced_at_lt", timestamp_lt);
                let columns = list.columns(&COLUMNS);
                let kind = Resource::RuleEnforcements;
                list::show(invocation, kind, &query, &columns, "enforcements").await
            }
            RuleEnforcement::Get { id } => {
                let first = ["id", "status", "failure_reason", "execution_id"];
                show::one(invocation, Resource::RuleEnforcements, &id, &first).await
            }
        }
    }
}
