//! Commands that are run for their verdict.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::Add;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use anyhow::{Context, Result};
use regex::Regex;

/// How many cases passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Cases that passed.
    pub(crate) passed: u64,
    /// Cases that failed.
    pub(crate) failed: u64,
}

impl Counts {
    /// A single case.
    pub(crate) fn one(passed: bool) -> Self {
        Self {
            passed: u64::from(passed),
            failed: u64::from(!passed),
        }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// How a command tells how many cases it had.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Count {
    /// It does not: the command is one case.
    One,
    /// The last line that says how many passed.
    LastLine,
    /// The sum of the lines `test result: ...` of `cargo test`.
    CargoTest,
}

static PASSED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(\d+) passed\b").expect("the pattern is constant"));
static FAILED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(\d+) (?:failed|timed out)\b").expect("the pattern is constant")
});

impl Count {
    fn line(self, counts: &mut Option<Counts>, line: &str) {
        let number = |regex: &Regex| -> Option<u64> {
            let numbers = regex.captures_iter(line);
            numbers.map(|found| found[1].parse::<u64>().ok()).sum()
        };
        if !PASSED.is_match(line) {
            return;
        }
        let found = Counts {
            passed: number(&PASSED).unwrap_or(0),
            failed: number(&FAILED).unwrap_or(0),
        };
        match self {
            Self::One => {}
            Self::LastLine => *counts = Some(found),
            Self::CargoTest if line.starts_with("test result:") => {
                *counts = Some(counts.unwrap_or_default() + found);
            }
            Self::CargoTest => {}
        }
    }
}

/// Runs cargo in the root, shows what it prints, and counts.
///
/// # Errors
///
/// When cargo can't be started.
pub(crate) fn cargo(root: &Path, args: &[&str], count: Count) -> Result<Counts> {
    run(cargo_command(root).args(args), count)
}

/// Runs this very command once more, built with optimisations; true when it went well.
///
/// # Errors
///
/// When cargo can't be started.
pub(crate) fn again_optimised(root: &Path) -> Result<bool> {
    let mut cargo = cargo_command(root);
    cargo
        .args(["run", "--quiet", "--release", "--package", "xtask", "--"])
        .args(std::env::args_os().skip(1));
    Ok(cargo.status().context("cannot start cargo")?.success())
}

/// Cargo in the root, without what the cargo that runs this program told it about this package:
/// build scripts that watch such variables would run again.
pub(crate) fn cargo_command(root: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let of_package = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
        ];
        if of_package.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || root.join("target"),
        |directory| root.join(PathBuf::from(directory)),
    )
}

/// Whether `cargo <tool>` is installed.
pub(crate) fn has_cargo_tool(root: &Path, tool: &str) -> bool {
    let status = cargo_command(root)
        .args([tool, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Runs a command, shows what it prints, and counts. A command that fails without a failed case has
/// one: it didn't get that far.
///
/// # Errors
///
/// When the command can't be started.
pub(crate) fn run(command: &mut Command, count: Count) -> Result<Counts> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let stdout = child.stdout.take().expect("it was asked for");
    let stderr = child.stderr.take().expect("it was asked for");
    let beside = std::thread::spawn(move || show(stderr, std::io::stderr(), count));
    let counted = show(stdout, std::io::stdout(), count);
    let beside = beside.join().ok().flatten();
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for {name}"))?;
    Ok(verdict(status.success(), counted.or(beside)))
}

fn verdict(success: bool, counted: Option<Counts>) -> Counts {
    let counts = counted.unwrap_or(Counts::one(success));
    match (success, counts.failed) {
        (false, 0) => counts + Counts::one(false),
        _ => counts,
    }
}

/// Copies lines and counts in them. What isn't UTF-8 is shown as well as it can be.
fn show(from: impl Read, mut to: impl Write, count: Count) -> Option<Counts> {
    let mut counts = None;
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
        // Nobody reads any more: the command still has to be emptied, and its verdict counts.
        let _ = to.write_all(&line);
        count.line(&mut counts, String::from_utf8_lossy(&line).trim());
        line.clear();
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn counted(count: Count, output: &str, expected: Option<(u64, u64)>) {
        let mut shown = Vec::new();
        let found = show(output.as_bytes(), &mut shown, count);
        let expected = expected.map(|(passed, failed)| Counts { passed, failed });
        assert_eq!(found, expected, "{output}");
        assert_eq!(shown, output.as_bytes());
    }

    #[test]
    fn cases_are_counted_in_what_commands_print() {
        let one = "test result: ok. 10 passed; 0 failed; 1 ignored; 0 measured\n";
        let two = "test result: FAILED. 3 passed; 2 failed; 0 ignored\n";
        counted(
            Count::CargoTest,
            &format!("{one}9 passed\n{two}"),
            Some((13, 2)),
        );
        counted(Count::CargoTest, "error: no\n", None);
        counted(Count::One, one, None);
        let nextest =
            "Summary [ 1.2s] 7 tests run: 4 passed (1 slow), 2 failed, 1 timed out, 3 skipped\n";
        counted(Count::LastLine, nextest, Some((4, 3)));
        counted(
            Count::LastLine,
            "9 passed, 1 failed\n5 passed, 0 failed",
            Some((5, 0)),
        );
    }

    #[test]
    fn a_failure_is_never_counted_away() {
        let counts = |passed, failed| Counts { passed, failed };
        assert_eq!(verdict(true, None), counts(1, 0));
        assert_eq!(verdict(false, None), counts(0, 1));
        assert_eq!(verdict(false, Some(counts(5, 0))), counts(5, 1));
        assert_eq!(verdict(false, Some(counts(5, 2))), counts(5, 2));
        assert_eq!(verdict(true, Some(counts(5, 0))), counts(5, 0));
    }
}
