//! The suites: every check that has a verdict, run one after the other.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::clock::Stopwatch;
use crate::command::{self, Count, Counts};
use crate::{clients, crash, server, tidy};

/// How a suite ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It ran; it passed when nothing failed.
    Ran(Counts),
    /// It can't run here, for this reason.
    Skipped(String),
}

/// One suite.
pub(crate) struct Suite {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What it checks, in one line.
    pub(crate) about: &'static str,
    /// Runs it in the repository's root.
    pub(crate) run: fn(&Path) -> Result<Outcome>,
}

/// What `cargo xtask test` runs.
pub(crate) const TEST: &[Suite] = &[
    Suite {
        name: "format",
        about: "the code is as rustfmt leaves it",
        run: |root| {
            one(command::cargo(
                root,
                &["fmt", "--all", "--check"],
                Count::One,
            ))
        },
    },
    Suite {
        name: "tidy",
        about: "arrows between crates, sizes, leftovers",
        run: |root| tidy::run(root).map(|passed| Outcome::Ran(Counts::one(passed))),
    },
    Suite {
        name: "unit",
        about: "the tests of all crates",
        run: unit,
    },
    Suite {
        name: "doc-tests",
        about: "the examples in the documentation",
        run: |root| one(command::cargo(root, DOC_TESTS, Count::CargoTest)),
    },
    Suite {
        name: "expressions",
        about: "recorded cases of YAQL, Jinja, parameters and criteria",
        run: |root| replay(root, "squall-expr", "expressions"),
    },
    Suite {
        name: "orquesta",
        about: "recorded runs of the workflow conductor",
        run: |root| replay(root, "squall-workflow", "orquesta"),
    },
    Suite {
        name: "sim",
        about: "the engine on a virtual clock and a faulty store",
        run: sim,
    },
    Suite {
        name: "demo",
        about: "a push to a git repository becomes running servers",
        run: demo,
    },
    Suite {
        name: "st2",
        about: "the official st2 client, every command that its conformance suite knows",
        run: clients::st2,
    },
    Suite {
        name: "openapi",
        about: "requests made up from the API's description, and the answers held against it",
        run: clients::openapi,
    },
    Suite {
        name: "crash",
        about: "what a real server has promised survives kills and losses of power",
        run: crash,
    },
];

const DOC_TESTS: &[&str] = &["test", "--workspace", "--doc", "--no-fail-fast"];

/// Prints the names of the suites.
pub(crate) fn list() {
    for suite in TEST {
        println!("{:<12} {}", suite.name, suite.about);
    }
}

/// Runs the suites that are named, or all, and prints the table; true when nothing failed.
///
/// # Errors
///
/// When a name is no suite's.
pub(crate) fn run(root: &Path, names: &[String]) -> Result<bool> {
    for name in names {
        if !TEST.iter().any(|suite| suite.name == name) {
            let known: Vec<&str> = TEST.iter().map(|suite| suite.name).collect();
            bail!(
                "there is no suite `{name}`: choose among {}",
                known.join(", ")
            );
        }
    }
    let chosen = |suite: &&Suite| names.is_empty() || names.iter().any(|name| name == suite.name);
    Ok(run_all(root, TEST.iter().filter(chosen)))
}

/// Runs suites and prints the table. The last line is `N passed, N failed`: test cases where a suite
/// counts them, else suites.
pub(crate) fn run_all<'a>(root: &Path, suites: impl Iterator<Item = &'a Suite>) -> bool {
    let total = Stopwatch::start();
    let mut rows = Vec::new();
    let mut sum = Counts::default();
    for suite in suites {
        println!("=== {}: {}", suite.name, suite.about);
        let watch = Stopwatch::start();
        let outcome = (suite.run)(root).unwrap_or_else(|error| {
            println!("{}: {error:#}", suite.name);
            Outcome::Ran(Counts::one(false))
        });
        let seconds = watch.seconds();
        let (verdict, detail) = match outcome {
            Outcome::Ran(counts) => {
                sum = sum + counts;
                (
                    if counts.failed == 0 { "ok" } else { "FAILED" },
                    counts.to_string(),
                )
            }
            Outcome::Skipped(reason) => {
                println!("{}: skipped: {reason}", suite.name);
                ("skipped", reason)
            }
        };
        println!("=== {}: {verdict} in {seconds:.1} s", suite.name);
        rows.push(format!(
            "{:<12} {verdict:<8} {seconds:>8.1} s  {detail}",
            suite.name
        ));
    }
    println!();
    for row in rows {
        println!("{row}");
    }
    println!("{:<12} {:<8} {:>8.1} s", "total", "", total.seconds());
    println!("{sum}");
    sum.failed == 0
}

/// A command's counts as an outcome.
pub(crate) fn one(counts: Result<Counts>) -> Result<Outcome> {
    counts.map(Outcome::Ran)
}

fn unit(root: &Path) -> Result<Outcome> {
    if command::has_cargo_tool(root, "nextest") {
        let args = ["nextest", "run", "--workspace", "--no-fail-fast"];
        one(command::cargo(root, &args, Count::LastLine))
    } else {
        let args = [
            "test",
            "--workspace",
            "--lib",
            "--bins",
            "--tests",
            "--no-fail-fast",
        ];
        one(command::cargo(root, &args, Count::CargoTest))
    }
}

/// A short run of each kind, and one with a planted bug that has to be found: a test that finds
/// nothing would pass as well. With many kills it is a command of its own.
fn crash(root: &Path) -> Result<Outcome> {
    let plain = crash::Options::short(100);
    let power_cut = crash::Options {
        power_cut: true,
        ..crash::Options::short(20)
    };
    let mut counts = Counts::one(crash::run(root, &plain)?);
    counts = counts + Counts::one(crash::run(root, &power_cut)?);
    for (bug, is_cut) in [
        (crash::Planted::DurabilityNone, true),
        (crash::Planted::StartBeforeCommit, false),
        (crash::Planted::SignalAsTruth, false),
    ] {
        let planted = crash::Options {
            planted: Some(bug),
            power_cut: is_cut,
            ..crash::Options::short(PLANTED_KILLS)
        };
        let found = !crash::run(root, &planted)?;
        let verdict = if found {
            "found, as it has to be"
        } else {
            "NOT found"
        };
        println!("crash: the planted bug {bug:?} was {verdict}");
        counts = counts + Counts::one(found);
    }
    Ok(Outcome::Ran(counts))
}

/// Within how many kills a planted bug has to be found.
const PLANTED_KILLS: u64 = 20;

/// The engine on a virtual clock and a faulty store, for some seeds.
fn sim(root: &Path) -> Result<Outcome> {
    let args = ["run", "--quiet", "-p", "squall-sim", "--", "--seeds", "100"];
    one(command::cargo(root, &args, Count::One))
}

/// The demo, from nothing to its report and away again.
fn demo(root: &Path) -> Result<Outcome> {
    let binary = server::build(root, false)?;
    let place = tempfile::Builder::new().prefix("squall-demo-").tempdir()?;
    let mut command = std::process::Command::new(binary);
    command
        .args(["demo", "--once", "--dir"])
        .arg(place.path().join("demo"));
    one(command::run(&mut command, Count::One))
}

fn replay(root: &Path, package: &str, kind: &str) -> Result<Outcome> {
    let cases = recorded_cases(root).join(kind);
    if !cases.is_dir() {
        return Ok(Outcome::Skipped(
            "the recorded cases are not there (SQUALL_CONFORMANCE says where they lie)".to_owned(),
        ));
    }
    let cases = cases.to_string_lossy();
    let args = [
        "run",
        "--quiet",
        "-p",
        package,
        "--example",
        "replay",
        "--",
        &cases,
    ];
    one(command::cargo(root, &args, Count::LastLine))
}

/// Where recorded behaviour lies: beside the repository, unless SQUALL_CONFORMANCE says otherwise.
pub(crate) fn recorded_cases(root: &Path) -> PathBuf {
    match std::env::var_os("SQUALL_CONFORMANCE") {
        Some(path) => PathBuf::from(path),
        None => root.join("../shared/conformance"),
    }
}
