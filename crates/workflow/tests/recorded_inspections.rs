//! Replays the recorded inspections of the reference engine, where they are at hand.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use squall_value::json;

#[path = "../examples/replay/inspect.rs"]
mod inspect;

fn corpus() -> PathBuf {
    match std::env::var_os("SQUALL_CONFORMANCE") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
    }
}

#[test]
fn inspections_are_as_recorded() {
    let directory = corpus().join("orquesta/inspect");
    let Ok(entries) = std::fs::read_dir(&directory) else {
        println!(
            "skipped: no recorded inspections in {}",
            directory.display()
        );
        return;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut different = Vec::new();
    for path in &paths {
        let case = json::read(&std::fs::read_to_string(path).unwrap()).unwrap();
        if let inspect::Outcome::Different(how) = inspect::run(&case) {
            different.push(format!("{}\n{how}", path.display()));
        }
    }
    println!(
        "{} of {} as recorded",
        paths.len() - different.len(),
        paths.len()
    );
    assert!(different.is_empty(), "{}", different.join("\n"));
}
