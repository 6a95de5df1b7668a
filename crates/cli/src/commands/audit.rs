//! `audit`: who did what, or was refused.

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use squall_client::Resource;

use super::Invocation;
use super::list::{self, ListOptions};
use crate::output::{Column, Show};

/// Show who did what, or was refused
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List entries of the audit record, the newest first
    #[command(after_help = "\
Examples:
  squall audit list --user ann --last 20
  squall audit list --action sign_in --result refused
  squall audit list --resource 'rule:shop:*' --after 2026-11-01T00:00:00Z --json")]
    List {
        /// What this user did, or was refused
        #[arg(long)]
        user: Option<String>,
        /// One kind of action, such as sign_in, secret_read, action_execute, rule_create
        #[arg(long)]
        action: Option<String>,
        /// What concerns this, such as rule:shop:restock; with * at the end, all that begins so
        #[arg(long, value_name = "UID")]
        resource: Option<String>,
        /// How it ended
        #[arg(long)]
        result: Option<AuditResult>,
        /// What came after this moment (RFC 3339)
        #[arg(long, value_name = "TIME")]
        after: Option<String>,
        /// What came before this moment (RFC 3339)
        #[arg(long, value_name = "TIME")]
        before: Option<String>,
        /// The oldest first
        #[arg(long)]
        oldest_first: bool,
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
}

/// How it ended.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum AuditResult {
    /// It was done
    Done,
    /// It was refused
    Refused,
}

impl Audit {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let Audit::List {
            user,
            action,
            resource,
            result,
            after,
            before,
            oldest_first,
            list,
        } = self;
        let result = result.map(|result| match result {
            AuditResult::Done => "done",
            AuditResult::Refused => "refused",
        });
        let query = list
            .query()
            .maybe("user", user)
            .maybe("action", action)
            .maybe("resource", resource)
            .maybe("result", result)
            .maybe("timestamp_gt", after)
            .maybe("timestamp_lt", before)
            .maybe("sort_asc", oldest_first.then_some("true"));
        let columns = list.columns(&[
            Column::new("time", "timestamp", Show::Moment),
            Column::new("user", "user", Show::Plain),
            Column::new("action", "action", Show::Plain),
            Column::new("resource", "resource", Show::Plain),
            Column::new("result", "result", Show::Plain),
            Column::new("from", "address", Show::Plain),
            Column::new("delegate", "delegate", Show::Plain),
        ]);
        list::show(invocation, Resource::Audit, &query, &columns, "entries").await
    }
}
