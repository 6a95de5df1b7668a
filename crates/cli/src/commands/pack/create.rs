//! `pack create`: the beginning of a pack.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::commands::{DONE, Invocation};
use crate::failure::usage;

pub(crate) const EXAMPLES: &str = "\
Examples:
  squall pack create shop
  squall pack create shop --directory ./packs --author 'Ann Ortiz' --email ann@example.org";

/// Options of `pack create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Name of the pack: letters, digits and `_`
    #[arg(value_name = "NAME")]
    name: String,
    /// The directory to make it in
    #[arg(long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// What it is for, in one line
    #[arg(long, default_value = "What this pack is for.")]
    description: String,
    /// Who looks after it
    #[arg(long, default_value = "Me")]
    author: String,
    /// How to reach them
    #[arg(long, default_value = "me@example.org")]
    email: String,
}

/// The files of a new pack, by their path in it; `NAME` and its kin are replaced.
const FILES: [(&str, &str); 12] = [
    ("pack.yaml", include_str!("new/pack.yaml")),
    ("README.md", include_str!("new/README.md")),
    ("config.schema.yaml", include_str!("new/config.schema.yaml")),
    (
        "requirements.txt",
        "# Python packages that the pack needs, one a line.\n",
    ),
    (
        "requirements-tests.txt",
        "# Python packages that only the tests need.\n",
    ),
    ("actions/greet.yaml", include_str!("new/greet.yaml")),
    ("actions/greet.py", include_str!("new/greet.py")),
    ("actions/lib/__init__.py", ""),
    (
        "actions/greet_twice.yaml",
        include_str!("new/greet_twice.yaml"),
    ),
    (
        "actions/workflows/greet_twice.yaml",
        include_str!("new/workflow.yaml"),
    ),
    ("rules/greet_on_webhook.yaml", include_str!("new/rule.yaml")),
    ("tests/test_greet.py", include_str!("new/test_greet.py")),
];

impl Create {
    pub(super) fn carry_out(&self, invocation: &mut Invocation) -> Result<u8> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if self.name.is_empty() || !self.name.chars().all(is_word) {
            return Err(usage(format!(
                "`{}` can't be the name of a pack: letters, digits and _ only",
                self.name
            )));
        }
        let root = self.directory.join(&self.name);
        if root.exists() {
            return Err(usage(format!("{} is there already", root.display())));
        }
        for (path, text) in FILES {
            write(&root.join(path), &self.filled(text))?;
        }
        let place = root.display();
        invocation.console.line(&format!("made {place}"))?;
        invocation.console.note(&format!(
            "run its tests with `squall pack test {place}`, install it with `squall pack install {place}`"
        ));
        Ok(DONE)
    }

    fn filled(&self, text: &str) -> String {
        // Quoted as JSON, which is YAML whatever is in it.
        let quoted = |text: &str| squall_value::Value::from(text).to_json();
        text.replace("PACK_DESCRIPTION", &quoted(&self.description))
            .replace("PACK_AUTHOR", &quoted(&self.author))
            .replace("PACK_EMAIL", &quoted(&self.email))
            .replace("PACK_NAME", &self.name)
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let told = || format!("cannot write {}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(told)?;
    }
    fs::write(path, text).with_context(told)
}
