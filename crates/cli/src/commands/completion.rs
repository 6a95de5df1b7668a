//! `completion`.

use anyhow::Result;
use clap::Args;
use clap_complete::Shell;

use super::{DONE, Invocation};

pub(crate) const EXAMPLES: &str = "\
Examples:
  squall completion bash > ~/.local/share/bash-completion/completions/squall
  squall completion zsh > ~/.zfunc/_squall
  squall completion fish > ~/.config/fish/completions/squall.fish";

/// Print completions for a shell.
#[derive(Args, Debug)]
pub struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(crate) fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        let mut script = Vec::new();
        let name = invocation.root.get_name().to_owned();
        clap_complete::generate(self.shell, &mut invocation.root, name, &mut script);
        invocation
            .console
            .write(&String::from_utf8_lossy(&script))?;
        Ok(DONE)
    }
}
