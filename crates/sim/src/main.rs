//! Runs the simulation for a number of seeds.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use squall_sim::{Options, Plant, simulate};

/// Runs the engine on a virtual clock and a faulty store, one run for each seed.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many of the last steps a failure shows.
    #[arg(long, default_value_t = 200)]
    trace: usize,
    /// Goes on after a failure and shows only which promises were broken.
    #[arg(long)]
    keep_going: bool,
    /// A mistake to make on purpose: forget, half or lost-signals.
    #[arg(long)]
    plant: Option<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let plant = match arguments.plant.as_deref() {
        None => Plant::Nothing,
        Some("forget") => Plant::Forget,
        Some("half") => Plant::Half,
        Some("lost-signals") => Plant::LostSignals,
        Some(other) => anyhow::bail!("no mistake is called `{other}`: forget, half, lost-signals"),
    };
    let options = Options {
        plant,
        trace_lines: arguments.trace,
    };
    let mut out = std::io::stdout().lock();
    let (mut failures, mut executions, mut crashes, mut faults) = (0, 0, 0, 0);
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        match simulate(seed, &options) {
            Ok(report) => {
                executions += report.executions;
                crashes += report.crashes;
                faults += report.faults;
            }
            Err(failure) if arguments.keep_going => {
                failures += 1;
                writeln!(out, "seed {seed}: {}", failure.problems.join("\n    "))?;
            }
            Err(failure) => {
                writeln!(out, "{failure}")?;
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    let seeds = arguments.seeds;
    writeln!(
        out,
        "{seeds} seeds, {failures} failures: {executions} executions, {crashes} crashes, {faults} faults"
    )?;
    Ok(match failures {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
