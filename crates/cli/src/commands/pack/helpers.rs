//! What our Python files ask of this program, so that there is one reader of YAML and of chat
//! commands: `pack read-yaml` and `pack read-command`. Not for people, so they are hidden.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use squall_alias::Format;
use squall_value::Value;

use crate::commands::{DONE, Invocation};
use crate::failure::{FAILED, usage};

/// Options of `pack read-yaml`.
#[derive(Debug, Args)]
pub struct ReadYaml {
    /// A file of YAML
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl ReadYaml {
    pub(super) fn carry_out(&self, invocation: &mut Invocation) -> Result<u8> {
        let told = || format!("cannot read {}", self.file.display());
        let text = std::fs::read_to_string(&self.file).with_context(told)?;
        match squall_yaml::load(&text, &squall_yaml::Options::default()) {
            Ok(document) => {
                let value = document.root.to_value();
                invocation.console.line(&value.to_json())?;
                Ok(DONE)
            }
            Err(failure) => {
                for wrong in &failure.diagnostics {
                    let file = self.file.display();
                    let (line, column) = (wrong.line, wrong.column);
                    let text = format!("{file}:{line}:{column}: {}", wrong.message);
                    invocation.console.note(&text);
                }
                Ok(FAILED)
            }
        }
    }
}

/// Options of `pack read-command`.
#[derive(Debug, Args)]
pub struct ReadCommand {
    /// The format of an alias
    #[arg(long, value_name = "FORMAT")]
    format: String,
    /// What somebody wrote
    #[arg(value_name = "COMMAND")]
    command: String,
}

impl ReadCommand {
    pub(super) fn carry_out(&self, invocation: &mut Invocation) -> Result<u8> {
        let format = Format::new(&self.format).map_err(|error| usage(error.to_string()))?;
        match format.read(&self.command) {
            Ok(parameters) => {
                invocation
                    .console
                    .line(&Value::from(parameters).to_json())?;
                Ok(DONE)
            }
            Err(mismatch) => {
                invocation.console.note(&mismatch.to_string());
                Ok(FAILED)
            }
        }
    }
}
