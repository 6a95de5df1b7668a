//! Replays recorded behaviour of the reference engine.
//!
//! `cargo run --release -p squall-workflow --example replay -- PATH...` takes files and directories,
//! prints every failure with what was expected and what came, and ends with a count. Cases that
//! `differences.json` names differ on purpose.

mod conduct;
mod corpus;
mod expr;
mod graph;
mod inspect;
mod tables;

use std::path::PathBuf;
use std::process::ExitCode;

#[allow(clippy::print_stdout, clippy::print_stderr)]
fn main() -> ExitCode {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if paths.is_empty() {
        eprintln!("usage: replay PATH...   (files or directories with recorded cases)");
        return ExitCode::FAILURE;
    }
    let mut counts = corpus::Counts::default();
    for path in &paths {
        if let Err(error) = corpus::replay(path, &mut counts, &mut |failure| println!("{failure}"))
        {
            println!("{}: {error}", path.display());
            counts.failed += 1;
        }
    }
    for (kind, (passed, failed, differ)) in &counts.by_kind {
        println!("{kind}: {passed} passed, {failed} failed, {differ} differ on purpose");
    }
    println!(
        "{} passed, {} failed, {} differ on purpose",
        counts.passed, counts.failed, counts.differ
    );
    if counts.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
