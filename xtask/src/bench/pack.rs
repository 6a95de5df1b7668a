//! The pack that is measured with, written when it is needed.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Result;

const PACK: &str = "---
ref: bench
name: bench
description: What the benchmark runs.
version: 1.0.0
author: Squall
email: squall@example.com
";

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
    let pack = packs.join("bench");
    fs::create_dir_all(pack.join("rules"))?;
    fs::create_dir_all(pack.join("actions/workflows"))?;
    fs::write(pack.join("pack.yaml"), PACK)?;
    fs::write(pack.join("rules/matching.yaml"), MATCHING)?;
    for (name, text) in PYTHON {
        fs::write(pack.join("actions").join(name), text)?;
    }
    for number in 0..unrelated {
        let path = pack.join(format!("rules/unrelated_{number}.yaml"));
        fs::write(path, self::unrelated(number))?;
    }
    let workflows = [
        ("sequence", sequence("core.noop")),
        ("sequence_shell", sequence("core.local cmd=true")),
        ("items", items()),
    ];
    for (name, text) in workflows {
        fs::write(pack.join(format!("actions/workflows/{name}.yaml")), text)?;
        let action = format!(
            "---\nname: {name}\ndescription: A workflow.\nrunner_type: orquesta\n\
             entry_point: workflows/{name}.yaml\nenabled: true\n"
        );
        fs::write(pack.join(format!("actions/{name}.yaml")), action)?;
    }
    Ok(())
}

/// Two criteria; of a hundred rules one has no equality.
fn unrelated(number: usize) -> String {
    let (operator, pattern) = match number % 100 {
        99 => ("endswith", format!("/none-{number}")),
        _ => ("equals", format!("org/repository-{number}")),
    };
    format!(
        "---\nname: unrelated_{number}\npack: bench\ndescription: Matches nothing.\nenabled: true\n\
         trigger:\n  type: core.st2.webhook\n  parameters:\n    url: bench\n\
         criteria:\n  trigger.body.repository:\n    type: {operator}\n    pattern: {pattern}\n\
         \x20 trigger.body.number:\n    type: greaterthan\n    pattern: 0\n\
         action:\n  ref: core.noop\n"
    )
}

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
