//! Replays the recorded runs, graphs and tables of the reference engine, where they are at hand.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

#[path = "../examples/replay/conduct.rs"]
mod conduct;
#[path = "../examples/replay/corpus.rs"]
mod corpus;
#[path = "../examples/replay/expr.rs"]
mod expr;
#[path = "../examples/replay/graph.rs"]
mod graph;
#[path = "../examples/replay/inspect.rs"]
#[allow(unreachable_pub)]
mod inspect;
#[path = "../examples/replay/tables.rs"]
mod tables;

#[test]
fn runs_graphs_and_tables_are_as_recorded() {
    let root = match std::env::var_os("SQUALL_CONFORMANCE") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
    };
    let root = root.join("orquesta");
    if !root.is_dir() {
        println!("skipped: no recorded runs in {}", root.display());
        return;
    }
    let mut counts = corpus::Counts::default();
    let mut failures = Vec::new();
    for part in ["conduct", "expr", "graph", "status-tables.json"] {
        let path = root.join(part);
        corpus::replay(&path, &mut counts, &mut |failure| failures.push(failure)).unwrap();
    }
    println!("{:?}", counts.by_kind);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(counts.passed > 0, "no case was replayed");
}
