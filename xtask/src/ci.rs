//! Everything that has to hold before a change is merged.

use std::path::Path;

use anyhow::Result;

use crate::command::{self, Count, Counts};
use crate::suites::{self, Outcome, Suite};

/// What is checked besides the suites of `cargo xtask test`.
const MORE: &[Suite] = &[
    Suite {
        name: "clippy",
        about: "lints of all targets, warnings refused",
        run: |root| suites::one(command::cargo(root, CLIPPY, Count::One)),
    },
    Suite {
        name: "doc",
        about: "the documentation builds without warnings",
        run: doc,
    },
    Suite {
        name: "deny",
        about: "licences, advisories and bans of dependencies",
        run: deny,
    },
];

const CLIPPY: &[&str] = &[
    "clippy",
    "--workspace",
    "--all-targets",
    "--",
    "-D",
    "warnings",
];

/// Runs all checks and prints the table; true when nothing failed.
///
/// # Errors
///
/// None of its own: a check that can't run has failed.
pub(crate) fn run(root: &Path) -> Result<bool> {
    Ok(suites::run_all(root, MORE.iter().chain(suites::TEST)))
}

fn doc(root: &Path) -> Result<Outcome> {
    let mut cargo = command::cargo_command(root);
    cargo
        .args(["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings");
    suites::one(command::run(&mut cargo, Count::One))
}

fn deny(root: &Path) -> Result<Outcome> {
    if !command::has_cargo_tool(root, "deny") {
        return Ok(Outcome::Skipped(
            "cargo-deny is not installed (cargo install cargo-deny)".to_owned(),
        ));
    }
    let counts: Counts = command::cargo(root, &["deny", "check"], Count::One)?;
    Ok(Outcome::Ran(counts))
}
