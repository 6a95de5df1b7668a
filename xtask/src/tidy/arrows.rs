//! The table of crates in ARCHITECTURE.md, and the manifests held against it.
//!
//! The table is the one whose header has the columns `crate`, `pure` and `may use`:
//!
//! ```text
//! | crate | purpose | pure | may use |
//! |---|---|---|---|
//! | `value` | data | yes | – |
//! | `model`, `yaml` | .. | yes | value |
//! | `server` | .. |  | everything |
//! ```

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use super::{ARCHITECTURE, Finding};
use crate::workspace::Manifest;

/// Packages of the workspace are named with this before the directory's name.
const PREFIX: &str = "squall-";

#[derive(Debug)]
struct Row {
    line: usize,
    pure: bool,
    /// None: everything.
    may_use: Option<BTreeSet<String>>,
}

/// Which crate may use which.
#[derive(Debug)]
pub(crate) struct Table(BTreeMap<String, Row>);

impl Table {
    /// Reads the table out of the page.
    ///
    /// # Errors
    ///
    /// When there is no such table, or a row has too few cells or names a crate twice.
    pub(crate) fn parse(page: &str) -> Result<Self> {
        let mut lines = page.lines().enumerate();
        let header = lines
            .by_ref()
            .map(|(_, line)| cells(line))
            .find(|cells| cells.iter().any(|cell| cell == "may use"))
            .context("no table with the columns `crate`, `pure` and `may use`")?;
        let column = |name: &str| {
            let found = header.iter().position(|cell| cell == name);
            found.with_context(|| format!("the table of crates has no column `{name}`"))
        };
        let (names, pure, may_use) = (column("crate")?, column("pure")?, column("may use")?);
        let mut rows = BTreeMap::new();
        for (index, line) in lines.skip(1).take_while(|(_, line)| line.starts_with('|')) {
            let cells = cells(line);
            let cell = |column: usize| {
                let cell = cells.get(column).map(String::as_str);
                cell.with_context(|| format!("line {}: a cell is missing", index + 1))
            };
            let may_use = cell(may_use)?;
            for name in list(cell(names)?) {
                let row = Row {
                    line: index + 1,
                    pure: cell(pure)? == "yes",
                    may_use: (may_use != "everything").then(|| list(may_use)),
                };
                if rows.insert(name.clone(), row).is_some() {
                    bail!("line {}: `{name}` stands in the table twice", index + 1);
                }
            }
        }
        Ok(Self(rows))
    }

    /// Whether a crate is pure: same input, same output.
    pub(crate) fn is_pure(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|row| row.pure)
    }

    /// Holds the manifests against the table, and the table against itself.
    pub(crate) fn check(&self, manifests: &[Manifest]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for manifest in manifests {
            let Some(row) = self.0.get(&manifest.name) else {
                findings.push(arrow(
                    &manifest.path,
                    0,
                    &manifest.name,
                    "is not in the table of crates in ARCHITECTURE.md: add a row",
                ));
                continue;
            };
            findings.extend(row.check(manifest));
        }
        let present: BTreeSet<&str> = manifests.iter().map(|one| one.name.as_str()).collect();
        for (name, row) in &self.0 {
            if !present.contains(name.as_str()) {
                let message = "stands in the table of crates and does not exist: remove the row";
                findings.push(arrow(ARCHITECTURE, row.line, name, message));
            }
            for used in row.may_use.iter().flatten() {
                if !present.contains(used.as_str()) {
                    let message = format!("may use `{used}`, which does not exist");
                    findings.push(arrow(ARCHITECTURE, row.line, name, &message));
                }
            }
            if self.reaches(name, name) {
                let message = "can reach itself along the arrows: they have to point one way";
                findings.push(arrow(ARCHITECTURE, row.line, name, message));
            }
        }
        findings
    }

    /// Whether arrows lead from one crate to another.
    fn reaches(&self, from: &str, to: &str) -> bool {
        let mut open = vec![from];
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            let row = self.0.get(name);
            for next in row
                .and_then(|row| row.may_use.as_ref())
                .into_iter()
                .flatten()
            {
                if next == to {
                    return true;
                }
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        false
    }
}

impl Row {
    fn check(&self, manifest: &Manifest) -> Vec<Finding> {
        let mut findings = Vec::new();
        for kind in ["dependencies", "build-dependencies"] {
            for dependency in manifest.dependencies(kind).into_keys() {
                let Some(used) = dependency.strip_prefix(PREFIX) else {
                    continue;
                };
                if self.may_use.as_ref().is_some_and(|may| !may.contains(used)) {
                    let message = format!(
                        "uses `{used}`, which the table of crates in ARCHITECTURE.md does not allow"
                    );
                    findings.push(arrow(&manifest.path, 0, &manifest.name, &message));
                }
            }
        }
        findings
    }
}

fn arrow(path: &str, line: usize, name: &str, message: &str) -> Finding {
    Finding {
        path: path.to_owned(),
        line,
        check: "arrows",
        subject: name.to_owned(),
        message: format!("`{name}` {message}"),
    }
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner
        .split('|')
        .map(|cell| cell.trim().to_owned())
        .collect()
}

/// The names in a cell; a dash stands for none.
fn list(cell: &str) -> BTreeSet<String> {
    let names = cell.split(',').map(|name| name.trim().trim_matches('`'));
    names
        .filter(|name| !matches!(*name, "" | "-" | "–"))
        .map(str::to_owned)
        .collect()
}
