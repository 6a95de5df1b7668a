//! Options that every command takes.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};

use crate::Command;
use crate::output::Format;

/// What the exit codes mean, for the end of a binary's help.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    it worked; an execution that was waited for succeeded
  1    an execution ended otherwise, or the server refused
  2    the command was not used as it wants to be
  3    the server was not reached
  130  interrupted while waiting; the execution goes on";

/// Run actions, watch them, and look after a Squall (or StackStorm) server.
#[derive(Debug, Parser)]
#[command(name = "squall", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub options: GlobalOptions,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Also in pipes and files.
    Always,
    /// Nowhere.
    Never,
}

/// Options that every command takes.
#[derive(Args, Clone, Debug, Default)]
pub struct GlobalOptions {
    /// Address of the server [default: SQUALL_SERVER, ST2_API_URL, the context's, that of the data
    /// directory's server, else http://127.0.0.1:9101]
    #[arg(long, global = true, value_name = "URL", help_heading = "Server")]
    pub server: Option<String>,
    /// Use this context of the configuration [default: SQUALL_CONTEXT, else the current one]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Server")]
    pub context: Option<String>,
    /// Data directory of a server on this machine, whose address and local token are used if there
    /// are no others [default: SQUALL_DATA]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Server")]
    pub data: Option<PathBuf>,
    /// Believe a server with a certificate of this PEM file: its own, or its authority's [default:
    /// SQUALL_CACERT, ST2_CACERT, the context's, else the authorities that this machine trusts]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Server")]
    pub cacert: Option<PathBuf>,
    /// Believe any server, whatever its certificate: passwords and tokens may go to somebody else
    #[arg(
        long,
        global = true,
        conflicts_with = "cacert",
        help_heading = "Server"
    )]
    pub insecure: bool,
    /// Print JSON
    #[arg(
        short = 'j',
        long,
        global = true,
        conflicts_with = "yaml",
        help_heading = "Output"
    )]
    pub json: bool,
    /// Print YAML
    #[arg(short = 'y', long, global = true, help_heading = "Output")]
    pub yaml: bool,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Output"
    )]
    pub color: ColorChoice,
}

impl GlobalOptions {
    /// The form of output that was asked for.
    #[must_use]
    pub fn format(&self) -> Format {
        match (self.json, self.yaml) {
            (true, _) => Format::Json,
            (false, true) => Format::Yaml,
            (false, false) => Format::Text,
        }
    }
}
