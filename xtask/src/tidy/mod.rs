//! Checks on the text of the repository that no compiler makes.
//!
//! Every check is a function from text to [`Finding`]s, so that its tests need no files. What stands
//! in `xtask/tidy-exceptions.txt` is let through; a line there that lets nothing through is itself a
//! finding, so the list can only shrink.

mod arrows;
mod exceptions;
mod lex;
mod manifest;
mod source;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace;
use arrows::Table;
use exceptions::Exceptions;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// The file, from the root.
    pub(crate) path: String,
    /// The line, from 1; 0 when the whole file is meant.
    pub(crate) line: usize,
    /// The name of the check, as in the list of exceptions.
    pub(crate) check: &'static str,
    /// What is meant within the file: a function, a crate; empty for the file itself.
    pub(crate) subject: String,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": [{}] {}", self.check, self.message)
    }
}

/// The list of exceptions.
const EXCEPTIONS: &str = "xtask/tidy-exceptions.txt";

/// The page with the table of crates.
const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// Checks the repository and prints what is wrong; true when nothing is.
///
/// # Errors
///
/// When a file can't be read, or the table or the list of exceptions is not in its form.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))
    };
    let table = Table::parse(&read(ARCHITECTURE)?).context(ARCHITECTURE)?;
    let exceptions = Exceptions::parse(&read(EXCEPTIONS)?).context(EXCEPTIONS)?;
    let manifests = workspace::manifests(root)?;
    let files = workspace::files(root)?;

    let mut findings = table.check(&manifests);
    for manifest in &manifests {
        findings.extend(manifest::check(manifest, table.is_pure(&manifest.name)));
    }
    let mut sources = Vec::new();
    for path in &files {
        // What is not text holds no words.
        let Ok(text) = String::from_utf8(std::fs::read(root.join(path))?) else {
            continue;
        };
        if path != EXCEPTIONS {
            findings.extend(words::check(path, &text));
        }
        if is_rust(path) {
            sources.push((path.as_str(), lex::blank(&text)));
        }
    }
    let tests: BTreeSet<String> = sources
        .iter()
        .flat_map(|(path, code)| source::test_modules(path, code))
        .collect();
    for (path, code) in &sources {
        let crate_name = path.split('/').nth(1).unwrap_or_default();
        let pure = path.starts_with("crates/") && table.is_pure(crate_name);
        findings.extend(source::check(path, code, tests.contains(*path), pure));
    }
    findings.sort();
    let left = exceptions.apply(findings);
    for finding in &left {
        println!("{finding}");
    }
    let files = sources.len();
    println!(
        "tidy: {files} source files, {} crates, {} findings",
        manifests.len(),
        left.len()
    );
    Ok(left.is_empty())
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|end| end == "rs")
        && (path.starts_with("crates/") || path.starts_with("xtask/"))
}
