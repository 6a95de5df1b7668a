//! The directory of a demo.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use include_dir::{Dir, include_dir};
use squall_value::Value;

static PACK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/demo/pack");

/// The file by which a directory is known to be a demo's, so that nothing else is ever removed.
const MARK: &str = ".squall-demo";

/// Where everything is.
pub(super) struct Place {
    /// The directory, by its absolute path.
    pub(super) root: PathBuf,
}

impl Place {
    pub(super) fn new(directory: &Path) -> Result<Place> {
        let root = std::path::absolute(directory)
            .with_context(|| format!("cannot use {}", directory.display()))?;
        if root.exists() && !root.join(MARK).is_file() {
            bail!(
                "{} is there, but not from an earlier demo; name another directory with --dir",
                root.display()
            );
        }
        Ok(Place { root })
    }

    pub(super) fn exists(&self) -> bool {
        self.root.join(MARK).is_file()
    }

    pub(super) fn make(&self) -> Result<()> {
        let make = || {
            std::fs::create_dir_all(self.servers())?;
            std::fs::write(self.root.join(MARK), "Made by `squall demo`.\n")
        };
        make().with_context(|| format!("cannot make {}", self.root.display()))
    }

    pub(super) fn remove(&self) -> Result<()> {
        if !self.exists() {
            return Ok(());
        }
        std::fs::remove_dir_all(&self.root)
            .with_context(|| format!("cannot remove {}", self.root.display()))
    }

    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(super) fn packs(&self) -> PathBuf {
        self.root.join("packs")
    }

    /// Where the workflow keeps what it knows about the servers.
    pub(super) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    pub(super) fn servers(&self) -> PathBuf {
        self.state().join("servers")
    }

    pub(super) fn report(&self) -> PathBuf {
        self.state().join("report.md")
    }

    pub(super) fn process_file(&self) -> PathBuf {
        self.root.join("squall.pid")
    }

    /// Writes the pack, with the paths of this demo in its rule.
    pub(super) fn write_pack(&self, repository: &Path) -> Result<()> {
        let quoted = |path: &Path| -> Result<String> {
            let text = path.to_str().with_context(|| {
                format!("{} is not UTF-8; use another directory", path.display())
            })?;
            // A JSON text is a YAML text.
            Ok(Value::from(text).to_json())
        };
        let replacements = [
            ("@repository@", quoted(repository)?),
            ("@directory@", quoted(&self.state())?),
        ];
        let target = self.packs().join("demo");
        write_directory(&PACK, &target, &replacements)
            .with_context(|| format!("cannot write the demo's pack to {}", target.display()))
    }
}

fn write_directory(
    directory: &Dir<'_>,
    target: &Path,
    replacements: &[(&str, String)],
) -> std::io::Result<()> {
    std::fs::create_dir_all(target)?;
    for file in directory.files() {
        let (Some(name), Some(text)) = (file.path().file_name(), file.contents_utf8()) else {
            continue;
        };
        let text = replacements
            .iter()
            .fold(text.to_owned(), |text, (mark, value)| {
                text.replace(mark, value)
            });
        std::fs::write(target.join(name), text)?;
    }
    for inner in directory.dirs() {
        if let Some(name) = inner.path().file_name() {
            write_directory(inner, &target.join(name), replacements)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_demo_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Place::new(dir.path()).is_err());
        let place = Place::new(&dir.path().join("demo")).unwrap();
        assert!(!place.exists());
        place.make().unwrap();
        assert!(Place::new(&place.root).unwrap().exists());
        place.remove().unwrap();
        assert!(!place.root.exists());
        assert!(dir.path().exists());
    }

    #[test]
    fn the_pack_names_this_demo() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(&dir.path().join("a \"demo\"")).unwrap();
        place.make().unwrap();
        place.write_pack(Path::new("/srv/it's.git")).unwrap();
        let rule = place.packs().join("demo/rules/apply_on_push.yaml");
        let rule = std::fs::read_to_string(rule).unwrap();
        let rule = squall_yaml::load(&rule, &squall_yaml::Options::default()).unwrap();
        let rule = rule.root.to_value();
        let url = rule.get_path(&["trigger", "parameters", "url"]).unwrap();
        assert_eq!(url.as_str(), Some("/srv/it's.git"));
        let directory = rule
            .get_path(&["action", "parameters", "directory"])
            .unwrap();
        assert_eq!(directory.as_str(), place.state().to_str());
    }
}
