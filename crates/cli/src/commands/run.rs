//! `run`.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use squall_client::{Client, Execution, ExecutionRequest};
use squall_value::Dict;

use super::progress::Showing;
use super::tail::{Waited, wait};
use super::{DONE, Invocation, execution};
use crate::failure::{FAILED, INTERRUPTED, usage};
use crate::follow::Tree;
use crate::output::Format;
use crate::{input, parameters};

pub(crate) const EXAMPLES: &str = "\
Values are read by the types that the action declares: hosts=a,b is a list, tags=k:v an object where
the action wants one; JSON works for both. Words without `=` become the parameter `cmd`. Put `--`
before words that begin with a dash. Secrets belong into --json-params, not on the command line.

Examples:
  squall run core.local cmd='uname -a'
  squall run core.local -- df -h
  squall run shop.deploy hosts=web01,web02 restart=true --tail
  squall run shop.deploy --json-params parameters.json --async";

/// Run an action and wait for its end.
#[derive(Args, Debug)]
pub struct Run {
    /// Reference of the action
    #[arg(value_name = "ACTION")]
    action: String,
    /// Parameters as name=value, or a command
    #[arg(value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// Take parameters from a file of JSON or YAML, or `-` for standard input; those on the command
    /// line win
    #[arg(long, visible_alias = "params", value_name = "FILE")]
    json_params: Option<String>,
    /// Do not wait for the end
    #[arg(short = 'a', long = "async")]
    background: bool,
    /// Print what the action prints, as it comes
    #[arg(long, conflicts_with = "background")]
    tail: bool,
    /// Wait no longer than this; the execution goes on
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// Start after so many milliseconds
    #[arg(long, value_name = "MILLISECONDS")]
    delay: Option<u64>,
    /// A tag under which all that follows is found again
    #[arg(long, value_name = "TAG")]
    trace_tag: Option<String>,
    /// Run it for this user
    #[arg(short, long, value_name = "NAME")]
    user: Option<String>,
}

impl Run {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let client = invocation.client()?;
        let request = self.request(&client).await?;
        let execution = client.execute(&request).await?;
        if self.background {
            return started(invocation, &execution);
        }
        let patience = self.timeout.map(Duration::from_secs);
        finish(invocation, &client, &execution, self.tail, patience).await
    }

    async fn request(&self, client: &Client) -> Result<ExecutionRequest> {
        let mut all = match &self.json_params {
            Some(path) => input::object(input::data(path)?, "the file of parameters")?,
            None => Dict::new(),
        };
        if !self.parameters.is_empty() {
            let schema = client.action_parameters(&self.action).await?;
            let given = parameters::read(&self.parameters, &schema);
            all.extend(given.map_err(|error| usage(error.to_string()))?);
        }
        Ok(ExecutionRequest {
            action: self.action.clone(),
            parameters: all,
            user: self.user.clone(),
            trace_tag: self.trace_tag.clone(),
            delay: self.delay.map(Duration::from_millis),
        })
    }
}

/// Tells where to find an execution that nobody waits for.
pub(crate) fn started(invocation: &mut Invocation, execution: &Execution) -> Result<u8> {
    let console = &mut invocation.console;
    if console.format != Format::Text {
        console.value(execution.value())?;
        return Ok(DONE);
    }
    let id = execution.id();
    console.line(id)?;
    console.note(&format!(
        "follow it with `squall execution tail {id}`, see it with `squall execution get {id}`"
    ));
    Ok(DONE)
}

/// Waits for an execution, shows what it gave, and says how to exit.
pub(crate) async fn finish(
    invocation: &mut Invocation,
    client: &Client,
    execution: &Execution,
    output: bool,
    patience: Option<Duration>,
) -> Result<u8> {
    let env = invocation.env.clone();
    let console = &mut invocation.console;
    let is_text = console.format == Format::Text;
    let showing = Showing {
        output: output && is_text,
        progress: is_text || console.side.is_terminal(),
    };
    let waited = wait(client, &*env, console, execution.id(), showing, patience).await?;
    let id = execution.id();
    let tree = match waited {
        Waited::Ended(tree) => tree,
        Waited::Interrupted => {
            console.note(&format!(
                "{id} goes on: follow it with `squall execution tail {id}`, \
                 end it with `squall execution cancel {id}`"
            ));
            return Ok(INTERRUPTED);
        }
        Waited::TimedOut => {
            console.note(&format!(
                "error: {id} has not ended in time and goes on: follow it with \
                 `squall execution tail {id}`, end it with `squall execution cancel {id}`"
            ));
            return Ok(FAILED);
        }
    };
    let Some(root) = tree.root() else {
        return Ok(FAILED);
    };
    if output && is_text {
        ended(invocation, root);
    } else {
        execution::print(invocation, &tree)?;
    }
    Ok(exit_code(&tree))
}

/// One line about the end, after the output.
fn ended(invocation: &mut Invocation, root: &Execution) {
    let status = root.status();
    let id = root.id();
    invocation.console.note(&format!("{id} {status}"));
    if !root.is_succeeded() {
        invocation
            .console
            .note(&format!("see why with `squall execution get {id}`"));
    }
}

/// Whether the execution succeeded.
pub(crate) fn exit_code(tree: &Tree) -> u8 {
    if tree.root().is_some_and(Execution::is_succeeded) {
        DONE
    } else {
        FAILED
    }
}
