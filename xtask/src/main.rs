//! Project tasks and checks: `cargo xtask help`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the whole purpose of this program is to tell a developer what it found"
)]

mod bench;
mod ci;
mod clients;
mod clock;
mod command;
mod crash;
mod fuzz;
mod http;
mod packs;
mod peers;
mod postgres;
mod python;
mod server;
mod suites;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Project tasks and checks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check what no compiler checks: arrows between crates, sizes, leftovers.
    Tidy,
    /// Run every suite, or those that are named, and say what passed and what failed.
    Test {
        /// Suites to run; all of them when none is named.
        names: Vec<String>,
        /// Only tell which suites there are.
        #[arg(long)]
        list: bool,
    },
    /// Measure how fast the server is, from outside.
    Bench(bench::Options),
    /// Kill a real server at random moments and check what it had promised.
    Crash(crash::Options),
    /// Feed the languages, YAML, parameters and criteria what nobody would write.
    Fuzz(fuzz::Options),
    /// Take packs that others wrote through their whole life on a real server.
    Packs(packs::Options),
    /// Make up requests from the API's own description and check the answers against it.
    FuzzApi {
        /// How many requests for each endpoint.
        #[arg(long, default_value_t = 200)]
        examples: u32,
    },
    /// Everything that has to hold before a change is merged.
    Ci,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<bool> {
    let root = workspace::root();
    match command {
        Command::Tidy => tidy::run(&root),
        Command::Test { list: true, .. } => {
            suites::list();
            Ok(true)
        }
        Command::Test { names, .. } => suites::run(&root, &names),
        Command::Bench(options) if options.peers => peers::run(&root, options.orquesta.as_deref()),
        // The client shares the cores with the server: one that is not optimised would be measured.
        Command::Bench(_) if cfg!(debug_assertions) => command::again_optimised(&root),
        Command::Bench(options) => bench::run(&root, &options),
        Command::Crash(options) => crash::run(&root, &options),
        Command::Fuzz(options) => fuzz::run(&root, &options),
        Command::Packs(options) => packs::run(&root, &options),
        Command::FuzzApi { examples } => clients::fuzz(&root, examples),
        Command::Ci => ci::run(&root),
    }
}
