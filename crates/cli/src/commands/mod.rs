//! The commands, one file per group.

mod access;
mod action;
mod audit;
mod completion;
mod context;
mod decide;
mod enforcement;
mod execution;
mod expr;
mod inquiry;
mod key;
mod list;
mod login;
mod pack;
mod plain;
mod progress;
mod record;
mod rule;
mod run;
mod sensor;
mod show;
mod tail;
mod trigger;
mod trigger_instance;
mod webhook;
mod workflow;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Subcommand;
use squall_client::{Client, Credential};
use squall_env::{Env, SystemEnv};

use crate::config::{self, Connection, Surroundings};
use crate::failure::explain;
use crate::options::{ColorChoice, GlobalOptions};
use crate::output::Console;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run an action and wait for its end
    #[command(after_help = run::EXAMPLES)]
    Run(run::Run),
    /// List, show, follow and control executions
    #[command(subcommand, visible_alias = "exec")]
    Execution(execution::Execution),
    /// List and show actions, switch them on and off
    #[command(subcommand)]
    Action(action::Action),
    /// List, change and test rules
    #[command(subcommand)]
    Rule(rule::Rule),
    /// List trigger types, and emit events
    #[command(subcommand)]
    Trigger(trigger::Trigger),
    /// List, show and re-emit trigger instances: the events that came in
    #[command(subcommand)]
    TriggerInstance(trigger_instance::TriggerInstance),
    /// List and show what rules made of events
    #[command(subcommand)]
    RuleEnforcement(enforcement::RuleEnforcement),
    /// List and show sensors, switch them on and off
    #[command(subcommand)]
    Sensor(sensor::Sensor),
    /// List, show and register packs
    #[command(subcommand)]
    Pack(pack::Pack),
    /// Read and write the datastore
    #[command(subcommand)]
    Key(key::Key),
    /// List webhooks, and set their secrets
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    /// List the timers that rules wait for
    #[command(subcommand)]
    Timer(plain::Timer),
    /// List runner types, switch them on and off
    #[command(subcommand)]
    Runner(plain::Runner),
    /// List policies
    #[command(subcommand)]
    Policy(plain::Policy),
    /// List, show and answer questions that wait for a person
    #[command(subcommand)]
    Inquiry(inquiry::Inquiry),
    /// List aliases, and find the one that a command in chat means
    #[command(subcommand)]
    Alias(plain::Alias),
    /// List, make and remove users
    #[command(subcommand)]
    User(access::User),
    /// List and show roles, and give them
    #[command(subcommand)]
    Role(access::Role),
    /// List who has which role
    #[command(subcommand)]
    RoleAssignment(access::RoleAssignment),
    /// Put definitions of roles in force
    #[command(subcommand)]
    Rbac(access::Rbac),
    /// List, make and remove API keys
    #[command(subcommand, name = "apikey")]
    ApiKey(access::ApiKey),
    /// Show who did what, or was refused
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Sign in, and keep the token
    #[command(after_help = login::EXAMPLES)]
    Login(login::Login),
    /// Forget the token
    #[command(after_help = "Example:\n  squall logout")]
    Logout(login::Logout),
    /// Say which server is asked, and as whom
    #[command(after_help = "Example:\n  squall whoami")]
    Whoami(login::Whoami),
    /// Name servers, and choose among them
    #[command(subcommand)]
    Context(context::Context),
    /// Print completions for a shell
    #[command(after_help = completion::EXAMPLES)]
    Completion(completion::Completion),
    /// Check, draw and test workflows
    #[command(subcommand)]
    Workflow(workflow::Workflow),
    /// Evaluate expressions, without a server
    #[command(subcommand)]
    Expr(expr::Expr),
}

/// What a command works with.
pub(crate) struct Invocation {
    pub(crate) console: Console,
    pub(crate) options: GlobalOptions,
    pub(crate) surroundings: Surroundings,
    pub(crate) env: Arc<dyn Env>,
    /// Where was asked and as whom, once it is known: errors are explained by it.
    connection: Option<Connection>,
    /// The whole command line, for completions.
    root: clap::Command,
}

impl Invocation {
    /// Where to ask and as whom.
    pub(crate) fn connection(&mut self) -> Result<Connection> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let connection = config::connection(&self.options, &self.surroundings)?;
        self.connection = Some(connection.clone());
        Ok(connection)
    }

    pub(crate) fn client(&mut self) -> Result<Client> {
        let connection = self.connection()?;
        let credential = connection.credential.as_ref();
        client(&connection, credential)
    }
}

/// A client of a connection's server, under this credential.
fn client(connection: &Connection, credential: Option<&Credential>) -> Result<Client> {
    let endpoints = connection.endpoints.clone();
    let made = Client::trusting(endpoints, credential, &connection.trust);
    match made {
        Err(error @ squall_client::Error::Authorities) => {
            Err(anyhow::Error::new(error).context("the trusted certificates cannot be used"))
        }
        made => Ok(made?),
    }
}

/// The exit code of what worked.
const DONE: u8 = 0;

/// Carries a command out in this process. `root` is the whole command line of the binary, for
/// completions. Errors are printed; what is returned says how to exit.
pub async fn run(command: Command, options: GlobalOptions, root: clap::Command) -> ExitCode {
    let surroundings = Surroundings::of_process();
    let no_color = surroundings.variable("NO_COLOR").is_some();
    let color = match options.color {
        ColorChoice::Auto => None,
        ColorChoice::Always => Some(true),
        ColorChoice::Never => Some(false),
    };
    let console = Console::system(options.format(), color, no_color);
    let env = Arc::new(SystemEnv::new());
    ExitCode::from(run_with(command, options, root, surroundings, console, env).await)
}

/// As [`run`], with everything from outside handed in; gives the exit code as a number.
pub async fn run_with(
    command: Command,
    options: GlobalOptions,
    root: clap::Command,
    surroundings: Surroundings,
    console: Console,
    env: Arc<dyn Env>,
) -> u8 {
    let mut invocation = Invocation {
        console,
        options,
        surroundings,
        env,
        connection: None,
        root,
    };
    let done = Box::pin(dispatch(command, &mut invocation)).await;
    let done = match (done, invocation.console.flush()) {
        (Ok(_), Err(error)) => Err(error.into()),
        (done, _) => done,
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            let (code, text) = explain(&error, invocation.connection.as_ref());
            if let Some(text) = text {
                invocation.console.note(&text);
            }
            code
        }
    }
}

async fn dispatch(command: Command, invocation: &mut Invocation) -> Result<u8> {
    match command {
        Command::Run(command) => command.carry_out(invocation).await,
        Command::Execution(command) => command.carry_out(invocation).await,
        Command::Action(command) => command.carry_out(invocation).await,
        Command::Rule(command) => command.carry_out(invocation).await,
        Command::Trigger(command) => command.carry_out(invocation).await,
        Command::TriggerInstance(command) => command.carry_out(invocation).await,
        Command::RuleEnforcement(command) => command.carry_out(invocation).await,
        Command::Sensor(command) => command.carry_out(invocation).await,
        Command::Pack(command) => command.carry_out(invocation).await,
        Command::Key(command) => command.carry_out(invocation).await,
        Command::User(command) => command.carry_out(invocation).await,
        Command::Role(command) => command.carry_out(invocation).await,
        Command::RoleAssignment(command) => command.carry_out(invocation).await,
        Command::Rbac(command) => command.carry_out(invocation).await,
        Command::ApiKey(command) => command.carry_out(invocation).await,
        Command::Audit(command) => command.carry_out(invocation).await,
        Command::Webhook(command) => command.carry_out(invocation).await,
        Command::Timer(command) => command.carry_out(invocation).await,
        Command::Runner(command) => command.carry_out(invocation).await,
        Command::Policy(command) => command.carry_out(invocation).await,
        Command::Inquiry(command) => command.carry_out(invocation).await,
        Command::Alias(command) => command.carry_out(invocation).await,
        Command::Login(command) => command.carry_out(invocation).await,
        Command::Logout(command) => command.carry_out(invocation),
        Command::Whoami(command) => command.carry_out(invocation).await,
        Command::Context(command) => command.carry_out(invocation),
        Command::Completion(command) => command.carry_out(invocation),
        Command::Workflow(command) => command.carry_out(invocation).await,
        Command::Expr(command) => command.carry_out(invocation),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        crate::Cli::command().debug_assert();
    }

    /// A binary that has commands of its own beside these, one with a `--data` of its own.
    #[derive(clap::Parser)]
    struct Binary {
        #[command(flatten)]
        options: crate::GlobalOptions,
        #[command(subcommand)]
        command: BinaryCommand,
    }

    #[derive(clap::Subcommand)]
    enum BinaryCommand {
        Serve {
            #[arg(long, default_value = "state")]
            data: std::path::PathBuf,
        },
        #[command(flatten)]
        Client(crate::Command),
    }

    #[test]
    fn a_binary_can_have_commands_beside_these() {
        use std::path::Path;

        use clap::Parser;
        Binary::command().debug_assert();
        let data = |words: &[&str]| {
            let binary = Binary::try_parse_from(words).unwrap();
            match binary.command {
                BinaryCommand::Serve { data } => Some(data),
                BinaryCommand::Client(_) => binary.options.data,
            }
        };
        assert_eq!(data(&["x", "serve"]).as_deref(), Some(Path::new("state")));
        let own = data(&["x", "serve", "--data", "d"]);
        assert_eq!(own.as_deref(), Some(Path::new("d")));
        let ours = data(&["x", "whoami", "--data", "d"]);
        assert_eq!(ours.as_deref(), Some(Path::new("d")));
        assert_eq!(data(&["x", "whoami"]), None);
    }

    #[test]
    fn every_command_shows_an_example() {
        fn check(command: &clap::Command, path: &str, without: &mut Vec<String>) {
            let path = format!("{path} {}", command.get_name());
            if command.get_subcommands().next().is_none() {
                let help = command.get_after_help().map(ToString::to_string);
                let help = help.unwrap_or_default();
                if !help.contains("Example") {
                    without.push(path.clone());
                }
            }
            for inner in command.get_subcommands() {
                check(inner, &path, without);
            }
        }
        let mut without = Vec::new();
        check(&crate::Cli::command(), "", &mut without);
        assert_eq!(without, Vec::<String>::new(), "their help has no example");
    }
}
