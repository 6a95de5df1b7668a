//! What the server tells on its standard error.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

/// Sends logs to standard error, as lines for people or as JSON.
pub(crate) fn start(level: &str, json: bool) {
    let filter = EnvFilter::try_from_env("SQUALL_LOG").unwrap_or_else(|_| {
        // What SSH tells beyond that is about packets, and packets hold what is secret.
        EnvFilter::new(format!("{level},russh=info,russh_sftp=info"))
    });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A log in a file is read by programs too, which colours disturb.
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_writer(std::io::stderr);
    // A second start in one process keeps the first: tests do that.
    let _ = if json {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
}

/// Prints an error with its causes.
pub(crate) fn fail(error: &anyhow::Error) -> ExitCode {
    tell(&format!("error: {error:#}"));
    ExitCode::FAILURE
}

/// Prints a line for the person who started the server.
pub(crate) fn tell(line: &str) {
    // Nobody reads: nothing to be done.
    let _ = writeln!(std::io::stderr(), "{line}");
}
