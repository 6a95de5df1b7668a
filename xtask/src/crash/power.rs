//! A loss of power: the files of the store lose what was not synced.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// What the server is started with so that a loss of power can be played.
#[derive(Debug)]
pub(crate) struct Power {
    library: PathBuf,
    copies: PathBuf,
    data: PathBuf,
}

impl Power {
    /// Compiles what records the syncs; `home` holds it, and the data directory `data`.
    ///
    /// # Errors
    ///
    /// When there is no C compiler.
    pub(crate) fn new(home: &Path) -> Result<Self> {
        let source = home.join("power.c");
        let library = home.join("power.so");
        let copies = home.join("synced");
        fs::create_dir_all(&copies)?;
        fs::write(&source, include_str!("power.c"))?;
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-o"])
            .arg(&library)
            .arg(&source)
            .arg("-ldl")
            .status()
            .context("cannot start cc: --power-cut needs a C compiler")?;
        if !status.success() {
            bail!("cc can't compile what records the syncs");
        }
        Ok(Self {
            library,
            copies,
            data: home.join("data"),
        })
    }

    /// The variables that the server needs.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        vec![
            ("LD_PRELOAD".to_owned(), text(&self.library)),
            ("SQUALL_POWER_DATA".to_owned(), text(&self.data)),
            ("SQUALL_POWER_COPY".to_owned(), text(&self.copies)),
        ]
    }

    /// Gives the files of the store back as they were at their last sync. A file that never was
    /// synced is empty.
    ///
    /// # Errors
    ///
    /// When a file can't be copied, or none was ever synced although the store has written: then the
    /// recording doesn't work, and nothing would be tested.
    pub(crate) fn cut(&self, data: &Path) -> Result<()> {
        for entry in fs::read_dir(data)? {
            let entry = entry?;
            let name = entry.file_name();
            if !name.to_string_lossy().starts_with("squall.db") {
                continue;
            }
            let copy = self.copies.join(&name);
            if name.to_string_lossy().ends_with("-shm") {
                fs::remove_file(entry.path())?;
            } else if copy.exists() {
                fs::copy(&copy, entry.path())?;
            } else {
                fs::write(entry.path(), "")?;
            }
        }
        Ok(())
    }
}
