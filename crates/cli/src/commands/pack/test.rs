//! `pack test`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::commands::Invocation;
use crate::failure::{FAILED, usage};

pub(crate) const EXAMPLES: &str = "\
Exits with 0 when all tests passed, 1 when one failed, 5 when the pack has none.

Examples:
  squall pack test ./shop
  squall pack test ./shop --only test_prices --verbose
  squall pack test shop --data /var/lib/squall
  squall pack test ./shop --wheels ./wheels";

/// Options of `pack test`.
#[derive(Debug, Args)]
pub struct Test {
    /// The pack's directory, or with --data the name of a pack of that server
    #[arg(value_name = "PACK")]
    pack: String,
    /// Only tests whose full name has this in it; may be given several times
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Name each test
    #[arg(short, long)]
    verbose: bool,
    /// Run in this Python environment, and install nothing
    #[arg(long, value_name = "DIR", conflicts_with_all = ["fresh", "wheels"])]
    virtualenv: Option<PathBuf>,
    /// Build the environment of the tests anew, even if the requirements are those of before
    #[arg(long)]
    fresh: bool,
    /// Take Python packages from this directory of wheels alone, not from the network
    #[arg(long, value_name = "DIR")]
    wheels: Option<PathBuf>,
    /// The interpreter
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: PathBuf,
    /// Where environments are kept for the next time [default: the user's cache directory]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl Test {
    pub(super) fn carry_out(&self, invocation: &Invocation) -> Result<u8> {
        let pack = self.directory(invocation)?;
        let cache = self.cache(invocation)?;
        let library = squall_python::unpack(&cache)
            .with_context(|| format!("cannot write to {}", cache.display()))?;
        let mut command = Command::new(&self.python);
        command
            .args(["-m", "squall_packs.testing", "--cache"])
            .arg(&cache)
            .env("PYTHONPATH", &library)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SQUALL_PROGRAM", std::env::current_exe()?);
        for (option, path) in [
            ("--wheels", &self.wheels),
            ("--virtualenv", &self.virtualenv),
        ] {
            if let Some(path) = path {
                command.arg(option).arg(std::path::absolute(path)?);
            }
        }
        for text in &self.only {
            command.arg(format!("--only={text}"));
        }
        for (option, wanted) in [("--fresh", self.fresh), ("--verbose", self.verbose)] {
            command.args(wanted.then_some(option));
        }
        let status = command.arg("--").arg(&pack).status().with_context(|| {
            format!(
                "cannot start {}: install Python 3, or name it with --python",
                self.python.display()
            )
        })?;
        Ok(status
            .code()
            .map_or(FAILED, |code| u8::try_from(code).unwrap_or(FAILED)))
    }

    fn directory(&self, invocation: &Invocation) -> Result<PathBuf> {
        let given = Path::new(&self.pack);
        if given.join("pack.yaml").is_file() {
            return Ok(given.canonicalize()?);
        }
        let data = invocation.options.data.clone();
        let data = data.or_else(|| {
            invocation
                .surroundings
                .variable("SQUALL_DATA")
                .map(PathBuf::from)
        });
        let within = data.into_iter().flat_map(|data| {
            let places = ["installed", "packs"];
            places.map(|place| data.join(place).join(&self.pack))
        });
        let mut found = within.filter(|path| path.join("pack.yaml").is_file());
        let found = found.next().ok_or_else(|| {
            usage(format!(
                "{} is no directory with a pack.yaml; a pack of a server on this machine is found \
                 by its name with --data",
                self.pack
            ))
        })?;
        Ok(found.canonicalize()?)
    }

    fn cache(&self, invocation: &Invocation) -> Result<PathBuf> {
        if let Some(cache) = &self.cache {
            return Ok(std::path::absolute(cache)?);
        }
        let variable = |name| invocation.surroundings.variable(name).map(PathBuf::from);
        let cache =
            variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
        let cache = cache.ok_or_else(|| usage("HOME is not set: name a directory with --cache"))?;
        Ok(cache.join("squall"))
    }
}
