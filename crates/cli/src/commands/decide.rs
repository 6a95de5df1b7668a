//! `execution held` and `execution decide`: failed tasks that wait for a person.

use anyhow::Result;
use clap::{Args, ValueEnum};
use squall_value::json;

use super::{Invocation, execution, list};
use crate::failure::usage;
use crate::output::{Column, Show};

/// Decide about a failed task that waits.
#[derive(Args, Debug)]
pub struct Decide {
    /// Id of the workflow's execution, or `last`
    #[arg(value_name = "ID")]
    id: String,
    /// The task that waits
    #[arg(value_name = "TASK")]
    task: String,
    /// What is to become of it
    #[arg(value_name = "DECISION", value_enum)]
    decision: Verdict,
    /// What the task shall have returned, as JSON; other text is taken as it is
    #[arg(value_name = "RESULT", required_if_eq("decision", "result"))]
    result: Option<String>,
    /// The route on which the task ran
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    route: u64,
}

/// What can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verdict {
    /// Run the task again
    Retry,
    /// Go on as if it had succeeded without a result
    Skip,
    /// Go on as if it had succeeded with RESULT
    Result,
    /// Let it have failed: its transitions for failures are taken, or the workflow fails
    Abort,
}

impl Decide {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let name = match self.decision {
            Verdict::Retry => "retry",
            Verdict::Skip => "skip",
            Verdict::Result => "result",
            Verdict::Abort => "abort",
        };
        if self.result.is_some() && self.decision != Verdict::Result {
            return Err(usage(format!("`{name}` takes no result")));
        }
        let result = self
            .result
            .map(|text| json::read(&text).unwrap_or_else(|_| text.as_str().into()));
        let client = invocation.client()?;
        let id = execution::full_id(&client, self.id).await?;
        let decided = client
            .decide(&id, &self.task, self.route, name, result.as_ref())
            .await?;
        execution::status(invocation, &decided)
    }
}

const COLUMNS: [Column; 5] = [
    Column::new("task", "task", Show::Plain),
    Column::new("route", "route", Show::Plain),
    Column::new("status", "status", Show::Status),
    Column::new("since", "since", Show::Moment),
    Column::new("execution", "execution_id", Show::Plain),
];

/// Lists the tasks of a workflow that wait.
pub(crate) async fn held(invocation: &mut Invocation, id: String) -> Result<u8> {
    let client = invocation.client()?;
    let id = execution::full_id(&client, id).await?;
    let held = client.held_tasks(&id).await?;
    let page = squall_client::Page {
        items: held,
        ..squall_client::Page::default()
    };
    list::print(invocation, &page, &COLUMNS, "task waits for a decision")
}
