//! The binary `squall`: configuration, wiring, start and stop. No logic.

mod access;
mod demo;
mod http;
mod keys;
mod logging;
mod packs;
#[cfg(feature = "planted")]
mod planted;
mod serve;
mod shutdown;
mod ssh;
mod stackstorm;
mod tuning;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Event-driven operations in one binary: watch systems for events, match them with rules, answer
/// with actions and workflows.
#[derive(Debug, Parser)]
#[command(
    name = "squall",
    version,
    arg_required_else_help = true,
    after_help = squall_cli::EXIT_CODES
)]
struct Cli {
    #[command(flatten)]
    options: squall_cli::GlobalOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server.
    Serve(Box<serve::Options>),
    /// See it work: servers that follow a file in a git repository.
    Demo(demo::Options),
    #[command(flatten)]
    Client(squall_cli::Command),
}

fn main() -> ExitCode {
    // A process that is started for an action goes through this binary first.
    squall_runners::spawn_entry(std::env::args_os());
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return logging::fail(&anyhow::Error::new(error)),
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Serve(options) => serve::run(*options).await,
            Command::Demo(options) => demo::run(options).await,
            Command::Client(command) => {
                Ok(squall_cli::run(command, cli.options, Cli::command()).await)
            }
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match done {
        Ok(code) => code,
        Err(error) => logging::fail(&error),
    }
}
