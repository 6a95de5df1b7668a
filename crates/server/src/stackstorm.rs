//! The places of a StackStorm installation, for packs that have its paths written into them.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// What stands under `/opt/stackstorm`, and what it is in the data directory.
const PLACES: [(&str, &str); 4] = [
    ("packs", "installed"),
    ("virtualenvs", "virtualenvs"),
    ("configs", "configs"),
    ("st2", super::serve::SHARED_ENVIRONMENT),
];

/// Makes links under `root`, usually `/opt/stackstorm`, that lead to the data directory. Those that
/// are there stay; those that lead nowhere are replaced.
///
/// # Errors
///
/// Something else is there, or the links can't be made.
pub(crate) fn link(root: &Path, data: &Path) -> Result<()> {
    std::fs::create_dir_all(root).with_context(|| {
        format!(
            "cannot make {}: make it yourself, or start as root once",
            root.display()
        )
    })?;
    for (name, target) in PLACES {
        let target = data.join(target);
        let link = root.join(name);
        link_one(&link, &target).with_context(|| format!("cannot use {}", link.display()))?;
    }
    Ok(())
}

fn link_one(link: &Path, target: &PathBuf) -> Result<()> {
    match std::fs::read_link(link) {
        Ok(found) if found == *target => return Ok(()),
        Ok(found) if link.exists() => bail!(
            "it leads to {}, which another server may use: remove the link if that one is gone",
            found.display()
        ),
        Ok(_) => std::fs::remove_file(link)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(_) => bail!("something is there that is no link: move it away first"),
    }
    Ok(symlink(target, link)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_made_once_and_what_is_there_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let (root, data) = (place.path().join("opt"), place.path().join("data"));
        std::fs::create_dir_all(data.join("installed/shop")).unwrap();
        link(&root, &data).unwrap();
        link(&root, &data).unwrap();
        assert!(root.join("packs/shop").is_dir());
        // The data directory of a server that is gone.
        let moved = place.path().join("moved");
        std::fs::rename(&data, &moved).unwrap();
        link(&root, &moved).unwrap();
        assert!(root.join("packs/shop").is_dir());
        let other = link(&root, &data).unwrap_err();
        assert!(format!("{other:#}").contains("another server"), "{other:#}");
        std::fs::remove_file(root.join("st2")).unwrap();
        std::fs::create_dir(root.join("st2")).unwrap();
        let real = link(&root, &moved).unwrap_err();
        assert!(format!("{real:#}").contains("no link"), "{real:#}");
    }
}
