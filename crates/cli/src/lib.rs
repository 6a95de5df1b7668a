//! The command line.
//!
//! Commands speak to a server through its public API only; `workflow` and `expr` work without one.
//! [`Command`] is the list of commands, to stand beside others in a binary's own; [`run`] carries one
//! out, prints what it gave, and says how the process shall exit:
//!
//! | code | meaning |
//! |---|---|
//! | 0 | it worked; an execution that was waited for succeeded |
//! | 1 | an execution ended otherwise, or the server refused |
//! | 2 | the command was not used as it wants to be |
//! | 3 | the server was not reached |
//! | 130 | interrupted while waiting; the execution goes on |

mod commands;
mod config;
mod failure;
mod follow;
mod input;
mod options;
mod output;
mod parameters;

pub use commands::{Command, run, run_with};
pub use config::{Surroundings, TOKEN_FILE};
pub use options::{Cli, ColorChoice, EXIT_CODES, GlobalOptions};
pub use output::{Console, Format, Screen};
