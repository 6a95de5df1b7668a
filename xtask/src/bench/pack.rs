//! The pack that is measured with, written when it is needed.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::fill::ACTIONS;

/// Writes the `pack.yaml` of a pack and makes the directories of its definitions.
///
/// # Errors
///
/// When a file can't be written.
pub(super) fn begin(packs: &Path, name: &str) -> Result<PathBuf> {
    let pack = packs.join(name);
    fs::create_dir_all(pack.join("rules"))?;
    fs::create_dir_all(pack.join("actions/workflows"))?;
    let text = format!(
        "---\nref: {name}\nname: {name}\ndescription: What the benchmark runs.\nversion: 1.0.0\n\
         author: Squall\nemail: squall@example.com\n"
    );
    fs::write(pack.join("pack.yaml"), text)?;
    Ok(pack)
}

/// The rule that matches the events of the benchmark: an equality and a comparison.
const MATCHING: &str = "---
name: matching
pack: bench
description: Answers each event.
enabled: true
trigger:
  type: core.st2.webhook
  parameters:
    url: bench
criteria:
  trigger.body.kind:
    type: equals
    pattern: go
  trigger.body.number:
    type: greaterthan
    pattern: 0
action:
  ref: core.noop
";

/// The Python action, and what it does.
const PYTHON: [(&str, &str); 2] = [
    (
        "python.yaml",
        "---\nname: python\ndescription: Returns its parameter.\nrunner_type: python-script\n\
         entry_point: python.py\nenabled: true\nparameters:\n  number:\n    type: integer\n",
    ),
    (
        "python.py",
        "from st2common.runners.base_action import Action\n\n\nclass Return(Action):\n    \
         def run(self, number):\n        return number\n",
    ),
];

/// Writes the pack, with so many rules on the same webhook that match nothing.
///
/// # Errors
///
/// When a file can't be written.
pub(crate) fn write(packs: &Path, unrelated: usize) -> Result<()> {
    let pack = begin(packs, "bench")?;
    fs::write(pack.join("rules/matching.yaml"), MATCHING)?;
    for (name, text) in PYTHON {
        fs::write(pack.join("actions").join(name), text)?;
    }
    write_unrelated(&pack, "bench", unrelated)?;
    for number in 0..ACTIONS {
        let text = format!(
            "---\nname: noop_{number}\ndescription: Does nothing.\nrunner_type: noop\n\
             enabled: true\n"
        );
        fs::write(pack.join(format!("actions/noop_{number}.yaml")), text)?;
    }
    let workflows = [
        ("failing", FAILING.to_owned()),
        ("sequence", sequence("core.noop")),
        ("sequence_shell", sequence(r#"core.local cmd="true""#)),
        ("items", items()),
    ];
    for (name, text) in workflows {
        fs::write(pack.join(format!("actions/workflows/{name}.yaml")), text)?;
        fs::write(pack.join(format!("actions/{name}.yaml")), action(name))?;
    }
    Ok(())
}

/// The action of the workflow with this name.
pub(super) fn action(name: &str) -> String {
    format!(
        "---\nname: {name}\ndescription: A workflow.\nrunner_type: orquesta\n\
         entry_point: workflows/{name}.yaml\nenabled: true\n"
    )
}

/// Writes the pack `many_rules`: rules that match nothing.
///
/// # Errors
///
/// When a file can't be written.
pub(crate) fn write_rules(packs: &Path, count: usize) -> Result<()> {
    write_unrelated(&begin(packs, "many_rules")?, "many_rules", count)
}

fn write_unrelated(pack: &Path, name: &str, count: usize) -> Result<()> {
    for number in 0..count {
        let path = pack.join(format!("rules/unrelated_{number}.yaml"));
        fs::write(path, unrelated(name, number))?;
    }
    Ok(())
}

/// Writes the pack `many_actions`: actions with parameters, as a generator of packs makes them.
///
/// # Errors
///
/// When a file can't be written.
pub(crate) fn write_actions(packs: &Path, count: usize) -> Result<()> {
    let pack = begin(packs, "many_actions")?;
    fs::write(pack.join("actions/run.py"), PYTHON[1].1)?;
    for number in 0..count {
        let text = format!(
            "---\nname: action_{number}\ndescription: Asks the service for its object {number}.\n\
             runner_type: python-script\nentry_point: run.py\nenabled: true\nparameters:\n  \
             host:\n    type: string\n    description: Where the service is.\n    \
             required: true\n  port:\n    type: integer\n    default: 443\n  mode:\n    \
             type: string\n    enum: [read, write]\n    default: read\n  token:\n    \
             type: string\n    secret: true\n"
        );
        fs::write(pack.join(format!("actions/action_{number}.yaml")), text)?;
    }
    Ok(())
}

/// Two criteria; of a hundred rules one has no equality.
fn unrelated(pack: &str, number: usize) -> String {
    let (operator, pattern) = match number % 100 {
        99 => ("endswith", format!("/none-{number}")),
        _ => ("equals", format!("org/repository-{number}")),
    };
    format!(
        "---\nname: unrelated_{number}\npack: {pack}\ndescription: Matches nothing.\nenabled: true\n\
         trigger:\n  type: core.st2.webhook\n  parameters:\n    url: bench\n\
         criteria:\n  trigger.body.repository:\n    type: {operator}\n    pattern: {pattern}\n\
         \x20 trigger.body.number:\n    type: greaterthan\n    pattern: 0\n\
         action:\n  ref: core.noop\n"
    )
}

/// A workflow that fails at once.
const FAILING: &str = "version: 1.0\ntasks:\n  only:\n    action: core.noop\n    next:\n      - \
                       do: fail\n";

/// A hundred tasks, one after the other.
fn sequence(action: &str) -> String {
    let mut text = "version: 1.0\ntasks:\n".to_owned();
    for number in 1..=100 {
        // Writing to a text cannot fail.
        let _ = write!(text, "  t{number}:\n    action: {action}\n");
        if number < 100 {
            let next = number + 1;
            let _ = write!(text, "    next:\n      - do: t{next}\n");
        }
    }
    text
}

/// A thousand items of one task.
fn items() -> String {
    "version: 1.0\ntasks:\n  each:\n    with: <% range(1000) %>\n    action: core.noop\n".to_owned()
}
