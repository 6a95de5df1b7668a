//! What a crate's manifest must and must not say.

use super::Finding;
use crate::workspace::Manifest;

/// What a pure crate may not depend on: I/O, a runtime, logging.
const IMPURE: [&str; 12] = [
    "async-trait",
    "axum",
    "futures",
    "getrandom",
    "hyper",
    "nix",
    "notify",
    "reqwest",
    "rusqlite",
    "tokio",
    "tokio-postgres",
    "tracing",
];

const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Checks one manifest.
pub(crate) fn check(manifest: &Manifest, pure: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |check, subject: &str, message| {
        findings.push(Finding {
            path: manifest.path.clone(),
            line: 0,
            check,
            subject: subject.to_owned(),
            message,
        });
    };
    let lints = manifest.table.get("lints");
    let inherits = lints.and_then(|lints| lints.get("workspace")?.as_bool());
    if inherits != Some(true) {
        let message = "has no `[lints] workspace = true`: lints live once, in the root manifest";
        add("lints", "", message.to_owned());
    }
    let package = manifest.table.get("package");
    let package = package.and_then(|package| package.get("name")?.as_str());
    for kind in KINDS {
        for (name, value) in manifest.dependencies(kind) {
            let inherited = value.get("workspace").and_then(toml::Value::as_bool);
            // A crate's tests may use the crate itself with other features.
            let itself = package.is_some_and(|package| package == name);
            if inherited != Some(true) && !itself {
                let message = format!(
                    "`{name}` under [{kind}] is not `workspace = true`: versions live once, in the root manifest"
                );
                add("versions", name, message);
            }
            if pure && kind == "dependencies" && IMPURE.contains(&name) {
                let message = format!(
                    "a pure crate can't use `{name}`: no async, no I/O, no clock, no logging"
                );
                add("pure", name, message);
            }
        }
    }
    findings
}
