//! `execution`.

use anyhow::Result;
use clap::{Args, Subcommand};
use squall_client::{Client, ExecutionQuery, RunAgain, Wish};
use squall_value::{Dict, Value, python};

use super::decide::{self, Decide};
use super::list::{self, ListOptions};
use super::{DONE, Invocation, progress, run};
use crate::failure::{FAILED, usage};
use crate::follow::Tree;
use crate::output::{
    Cell, Column, Details, Format, Show, between, lookup, moment_with_zone, render_tree,
};
use crate::{input, parameters};

/// List, show, follow and control executions. Where an id is asked for, `last` is the newest.
#[derive(Debug, Subcommand)]
pub enum Execution {
    /// List executions, newest first
    #[command(after_help = "\
Examples:
  squall execution list -n 20 --status failed,timeout
  squall execution list --action shop.deploy --timestamp-gt 2026-03-14T00:00:00Z")]
    List(List),
    /// Show an execution: parameters, result, log, and the tree of a workflow's tasks
    #[command(after_help = "\
Examples:
  squall execution get last
  squall execution get 65a14b2135b6ad228a105f2d --key stdout
  squall execution get last --json")]
    Get {
        /// Id, or `last`
        #[arg(value_name = "ID")]
        id: String,
        /// Print only this part of the result, such as `output.hosts.0`
        #[arg(short, long, value_name = "PATH")]
        key: Option<String>,
    },
    /// Print what an execution prints, and all tasks of a workflow, until it ends
    #[command(after_help = "Example:\n  squall execution tail last")]
    Tail {
        /// Id, or `last`
        #[arg(value_name = "ID", default_value = "last")]
        id: String,
    },
    /// Cancel executions and all below them
    #[command(after_help = "Example:\n  squall execution cancel 65a14b2135b6ad228a105f2d")]
    Cancel {
        /// Ids
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
    },
    /// Pause a workflow: no further task begins
    #[command(after_help = "Example:\n  squall execution pause 65a14b2135b6ad228a105f2d")]
    Pause {
        /// Id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Let a paused workflow go on
    #[command(after_help = "Example:\n  squall execution resume 65a14b2135b6ad228a105f2d")]
    Resume {
        /// Id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Run an execution again, with the same parameters but for those given
    #[command(after_help = "\
Examples:
  squall execution re-run last
  squall execution re-run 65a14b2135b6ad228a105f2d hosts=web03 --tail")]
    ReRun(ReRun),
    /// List the failed tasks of a workflow that wait for a decision (`on_failure: hold`)
    #[command(after_help = "Example:\n  squall execution held last")]
    Held {
        /// Id, or `last`
        #[arg(value_name = "ID", default_value = "last")]
        id: String,
    },
    /// Decide about a failed task that waits: retry, skip, result or abort
    #[command(after_help = "\
Examples:
  squall execution decide 65a14b2135b6ad228a105f2d deploy retry
  squall execution decide last deploy result '{\"version\": \"1.4.2\"}'")]
    Decide(Decide),
}

/// List executions.
#[derive(Args, Debug)]
pub struct List {
    /// Only of this action
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only in these statuses
    #[arg(short, long, value_name = "STATUS,...", value_delimiter = ',')]
    status: Vec<String>,
    /// Only of this user
    #[arg(short, long, value_name = "NAME")]
    user: Option<String>,
    /// Only directly below this execution [default: below none]
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    /// Also those of tasks
    #[arg(long, visible_alias = "showall", conflicts_with = "parent")]
    all: bool,
    /// Only after this time, such as 2026-03-14T09:00:00Z
    #[arg(long, visible_alias = "tg", value_name = "TIME")]
    timestamp_gt: Option<String>,
    /// Only before this time
    #[arg(long, visible_alias = "tl", value_name = "TIME")]
    timestamp_lt: Option<String>,
    /// Oldest first
    #[arg(long)]
    oldest_first: bool,
    /// How much to show.
    #[command(flatten)]
    list: ListOptions,
}

/// Run an execution again.
#[derive(Args, Debug)]
pub struct ReRun {
    /// Id, or `last`
    #[arg(value_name = "ID")]
    id: String,
    /// Parameters that differ, as name=value
    #[arg(value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// Take differing parameters from a file of JSON or YAML, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    json_params: Option<String>,
    /// Take none of the former parameters
    #[arg(long, visible_alias = "no-merge")]
    fresh: bool,
    /// Run only these tasks of a workflow again, and what follows them
    #[arg(long, value_name = "TASK,...", value_delimiter = ',')]
    tasks: Vec<String>,
    /// Do not wait for the end
    #[arg(short = 'a', long = "async")]
    background: bool,
    /// Print what is printed, as it comes
    #[arg(long, conflicts_with = "background")]
    tail: bool,
}

const LIST_DEFAULT: i64 = 50;

const COLUMNS: [Column; 6] = [
    Column::new("id", "id", Show::Plain),
    Column::new("action", "action.ref", Show::Plain),
    Column::new("user", "context.user", Show::Plain),
    Column::new("status", "status", Show::Status),
    Column::new("started", "start_timestamp", Show::Moment),
    Column::new("took", "", Show::Elapsed),
];

/// What the usual columns need.
const MEMBERS: [&str; 6] = [
    "id",
    "action.ref",
    "context.user",
    "status",
    "start_timestamp",
    "end_timestamp",
];

impl Execution {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let client = invocation.client()?;
        match self {
            Execution::List(list) => list.carry_out(invocation).await,
            Execution::Get { id, key } => get(invocation, &id, key.as_deref()).await,
            Execution::Tail { id } => {
                let execution = find(&client, &id).await?;
                run::finish(invocation, &client, &execution, true, None).await
            }
            Execution::Cancel { ids } => cancel(invocation, &ids).await,
            Execution::Pause { id } => {
                let id = full_id(&client, id).await?;
                let execution = client.wish(&id, Wish::Pause).await?;
                status(invocation, &execution)
            }
            Execution::Resume { id } => {
                let id = full_id(&client, id).await?;
                let execution = client.wish(&id, Wish::Resume).await?;
                status(invocation, &execution)
            }
            Execution::ReRun(again) => again.carry_out(invocation).await,
            Execution::Held { id } => decide::held(invocation, id).await,
            Execution::Decide(decide) => decide.carry_out(invocation).await,
        }
    }
}

impl List {
    async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let is_text = invocation.console.format == Format::Text;
        let columns = self.list.columns(&COLUMNS);
        let usual = columns.len() == COLUMNS.len() && columns[0].title == COLUMNS[0].title;
        // Results are long; a table of the usual columns needs none.
        let members = if is_text && usual {
            MEMBERS.map(str::to_owned).to_vec()
        } else {
            Vec::new()
        };
        let top = (!self.all).then(|| "null".to_owned());
        let limit = self.list.limit().unwrap_or(LIST_DEFAULT);
        let mut query = ExecutionQuery {
            action: self.action,
            statuses: self.status,
            user: self.user,
            parent: self.parent.or(top),
            after: self.timestamp_gt,
            before: self.timestamp_lt,
            oldest_first: self.oldest_first,
            members,
            ..ExecutionQuery::default()
        };
        let client = invocation.client()?;
        let mut page = squall_client::Page::default();
        // The server gives a hundred at a time at most.
        let wanted = u64::try_from(limit).unwrap_or(u64::MAX);
        loop {
            let have = page.items.len() as u64;
            query.limit = Some((wanted - have).min(100));
            query.offset = (have > 0).then_some(have);
            let next = client
                .executions(&query)
                .await?
                .map(|one| one.value().clone());
            let came = next.items.len();
            page.items.extend(next.items);
            page.total = next.total;
            let have = page.items.len() as u64;
            if came == 0 || have >= wanted || next.total.is_none_or(|total| have >= total) {
                break;
            }
        }
        list::print(invocation, &page, &columns, "executions")
    }
}

impl ReRun {
    async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let client = invocation.client()?;
        let mut changed = match &self.json_params {
            Some(path) => input::object(input::data(path)?, "the file of parameters")?,
            None => Dict::new(),
        };
        let id = full_id(&client, self.id).await?;
        if !self.parameters.is_empty() {
            let before = client.execution(&id).await?;
            let schema = client.action_parameters(before.action()).await?;
            let given = parameters::read(&self.parameters, &schema);
            changed.extend(given.map_err(|error| usage(error.to_string()))?);
        }
        let again = RunAgain {
            parameters: changed,
            fresh: self.fresh,
            tasks: self.tasks,
        };
        let execution = client.run_again(&id, &again).await?;
        if self.background {
            return run::started(invocation, &execution);
        }
        run::finish(invocation, &client, &execution, self.tail, None).await
    }
}

/// The word for the newest execution that is no task of a workflow.
const LAST: &str = "last";

/// The execution of that id; for `last` the newest that somebody or something asked for. (The API's
/// own `last` is mostly a task.)
async fn find(client: &Client, id: &str) -> Result<squall_client::Execution> {
    let id = full_id(client, id.to_owned()).await?;
    Ok(client.execution(&id).await?)
}

pub(crate) async fn full_id(client: &Client, id: String) -> Result<String> {
    if id != LAST {
        return Ok(id);
    }
    let query = ExecutionQuery {
        limit: Some(1),
        parent: Some("null".to_owned()),
        members: vec!["id".to_owned()],
        ..ExecutionQuery::default()
    };
    let newest = client.executions(&query).await?;
    let newest = newest.items.first().map(|newest| newest.id().to_owned());
    newest.ok_or_else(|| anyhow::anyhow!("there is no execution yet"))
}

async fn get(invocation: &mut Invocation, id: &str, key: Option<&str>) -> Result<u8> {
    let client = invocation.client()?;
    let execution = find(&client, id).await?;
    if let Some(key) = key {
        return part(invocation, execution.result(), key);
    }
    if invocation.console.format != Format::Text {
        invocation.console.value(execution.value())?;
        return Ok(DONE);
    }
    let below = if execution.is_workflow() {
        client.children(execution.id()).await?
    } else {
        Vec::new()
    };
    print(invocation, &Tree::new(execution, below))?;
    Ok(DONE)
}

/// Prints a part of a result: texts bare, everything else as data.
fn part(invocation: &mut Invocation, result: Option<&Value>, key: &str) -> Result<u8> {
    let found = result.and_then(|result| lookup(result, key));
    match found {
        None => {
            let names = result
                .and_then(Value::as_dict)
                .map(|members| members.keys().map(|name| &**name).collect::<Vec<_>>());
            let has = match names {
                Some(names) if !names.is_empty() => format!("it has {}", names.join(", ")),
                _ => "there is none yet, or it is empty".to_owned(),
            };
            let text = format!("error: the result has no `{key}`: {has}");
            invocation.console.note(&text);
            Ok(FAILED)
        }
        Some(Value::String(text)) if invocation.console.format == Format::Text => {
            invocation.console.line(text)?;
            Ok(DONE)
        }
        Some(value) => {
            invocation.console.value(value)?;
            Ok(DONE)
        }
    }
}

/// Where an execution waits: its place at each policy, or for a slot.
fn waits(execution: &Value) -> String {
    let queue = execution.get("queue").and_then(Value::as_list);
    let places = queue.unwrap_or_default().iter().map(|place| {
        let text = |name: &str| place.get(name).map(python::str).unwrap_or_default();
        let gate = text("gate");
        format!(
            "place {} at {gate}, where {} run",
            text("place"),
            text("running")
        )
    });
    places.collect::<Vec<_>>().join("; ")
}

/// Prints an execution whole.
pub(crate) fn print(invocation: &mut Invocation, tree: &Tree) -> Result<()> {
    let Some(execution) = tree.root() else {
        return Ok(());
    };
    let now = invocation.env.now();
    let console = &mut invocation.console;
    if console.format != Format::Text {
        console.value(execution.value())?;
        return Ok(());
    }
    let zone = &console.screen.zone;
    let mut details = Details::new();
    details
        .text("id", execution.id())
        .text("action", execution.action())
        .line("status", Cell::status(execution.status()))
        .text("user", execution.user())
        .text("started", &moment_with_zone(execution.started(), zone))
        .text("ended", &moment_with_zone(execution.ended(), zone));
    let took = between(execution.started(), execution.ended(), now);
    details
        .text("took", &took.unwrap_or_default())
        .text("parent", execution.parent());
    details.text("waits", &waits(execution.value()));
    let rule = lookup(execution.value(), "rule.ref").and_then(Value::as_str);
    details.text("rule", rule.unwrap_or_default());
    if let Some(parameters) = execution.parameters() {
        details.value("parameters", parameters);
    }
    if let Some(result) = execution.result() {
        details.value("result", result);
    }
    let log: Vec<String> = execution
        .log()
        .map(|entry| {
            let at = moment_with_zone(entry.timestamp, zone);
            format!("{at}  {}", entry.status)
        })
        .collect();
    details.block("log", &log.join("\n"));
    let mut text = details.render(&console.screen);
    if tree.len() > 1 {
        let lines = render_tree(&progress::tree(tree, now), &console.screen);
        text.push('\n');
        text.push_str(&lines.join("\n"));
        text.push('\n');
    }
    console.write(&text)?;
    Ok(())
}

pub(crate) fn status(
    invocation: &mut Invocation,
    execution: &squall_client::Execution,
) -> Result<u8> {
    let console = &mut invocation.console;
    if console.format == Format::Text {
        let text = format!("{} is {}", execution.id(), execution.status());
        console.line(&text)?;
    } else {
        console.value(execution.value())?;
    }
    Ok(DONE)
}

/// Cancels all; what can't be canceled is told, and the others are canceled nevertheless.
async fn cancel(invocation: &mut Invocation, ids: &[String]) -> Result<u8> {
    let client = invocation.client()?;
    let mut code = DONE;
    for id in ids {
        let id = full_id(&client, id.clone()).await?;
        match client.cancel(&id).await {
            Ok(execution) => {
                status(invocation, &execution)?;
            }
            Err(error) if error.status().is_some_and(|status| status != 401) => {
                invocation.console.note(&format!("error: {id}: {error}"));
                code = FAILED;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(code)
}
