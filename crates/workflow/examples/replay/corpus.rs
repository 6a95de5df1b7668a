//! Finds cases, replays each by its kind, and counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use squall_value::{Value, json};

use super::{conduct, expr, graph, inspect, tables};

/// What came of the cases.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) differ: usize,
    pub(crate) by_kind: BTreeMap<String, (usize, usize, usize)>,
}

/// The cases that differ on purpose, with reasons.
pub(crate) fn differences() -> BTreeMap<String, String> {
    let lists = [
        (include_str!("../../differences.json"), "case"),
        // Of single expressions; rows are named `orquesta/expr/FILE#NUMBER`.
        (include_str!("../../../expr/differences.json"), "id"),
    ];
    let mut all = BTreeMap::new();
    for (text, name) in lists {
        let list = json::read(text).expect("the lists are part of the source");
        for entry in list.as_list().unwrap_or_default() {
            let text = |key| Some(entry.get(key)?.as_str()?.to_owned());
            all.extend(text(name).zip(text("reason")));
        }
    }
    all
}

/// Replays a file, or all files below a directory.
pub(crate) fn replay(
    path: &Path,
    counts: &mut Counts,
    report: &mut dyn FnMut(String),
) -> std::io::Result<()> {
    let differences = differences();
    for file in files(path)? {
        let text = std::fs::read_to_string(&file)?;
        match json::read(&text) {
            Ok(case) if case.get("kind").is_some() => {
                one(&file, &case, &differences, counts, report)
            }
            Ok(_) => {}
            Err(error) => {
                counts.failed += 1;
                report(format!("FAILED {}: {error}", file.display()));
            }
        }
    }
    Ok(())
}

fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn one(
    file: &Path,
    case: &Value,
    differences: &BTreeMap<String, String>,
    counts: &mut Counts,
    report: &mut dyn FnMut(String),
) {
    let kind = case.get("kind").and_then(Value::as_str).unwrap_or_default();
    let failures = match kind {
        "conduct" => conduct::run(case),
        "graph" => graph::run(case),
        "status-tables" => tables::run(case, differences),
        "expr" => {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            expr::run(case, |row| {
                differences.contains_key(&format!("orquesta/expr/{stem}#{row}"))
            })
        }
        "inspect" => match inspect::run(case) {
            inspect::Outcome::Same => Vec::new(),
            inspect::Outcome::Different(how) => vec![how],
        },
        other => vec![format!("unknown kind `{other}`")],
    };
    let name = case.get("name").and_then(Value::as_str).unwrap_or_default();
    let place = counts.by_kind.entry(kind.to_owned()).or_default();
    match (failures.is_empty(), differences.get(name)) {
        (true, _) => {
            counts.passed += 1;
            place.0 += 1;
        }
        (false, Some(_)) => {
            counts.differ += 1;
            place.2 += 1;
        }
        (false, None) => {
            counts.failed += 1;
            place.1 += 1;
            report(format!(
                "FAILED {kind} {name} ({})\n  {}",
                file.display(),
                failures.join("\n  ")
            ));
        }
    }
}
