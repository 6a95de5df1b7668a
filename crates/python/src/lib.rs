//! The Python files of Squall, `python/` in the repository, as they lie in the binary: what packs
//! import of StackStorm, and the hosts that run actions, sensors and packs' tests.
//!
//! [`unpack`] puts them where an interpreter finds them. Nothing here starts one.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use include_dir::{Dir, DirEntry, include_dir};

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../python");

static CONTENT_HASH: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    each(&FILES, &mut |path, content| {
        path.hash(&mut hasher);
        content.hash(&mut hasher);
        Ok(())
    })
    .expect("hashing does no I/O");
    format!("{:016x}", hasher.finish())
});

fn each(dir: &Dir<'_>, visit: &mut dyn FnMut(&Path, &[u8]) -> io::Result<()>) -> io::Result<()> {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(dir) => each(dir, visit)?,
            DirEntry::File(file) if file.path().extension().is_some_and(|ext| ext == "py") => {
                visit(file.path(), file.contents())?;
            }
            DirEntry::File(_) => {}
        }
    }
    Ok(())
}

/// The directory with the files, under `base`; unpacked there if this version is not yet.
///
/// Its name is a digest of the contents, so programs of different versions can share a base. Safe
/// to call from several threads and processes at once.
///
/// # Errors
///
/// The files could not be written.
pub fn unpack(base: &Path) -> io::Result<PathBuf> {
    let target = base.join(format!("python-{}", *CONTENT_HASH));
    if target.is_dir() {
        return Ok(target);
    }
    fs::create_dir_all(base)?;
    let making = tempfile::Builder::new()
        .prefix(".python-")
        .tempdir_in(base)?;
    each(&FILES, &mut |path, content| {
        let path = making.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, content)
    })?;
    // Another may have been quicker; then its files are as good.
    match fs::rename(making.path(), &target) {
        Err(_) if target.is_dir() => {}
        renamed => renamed?,
    }
    Ok(target)
}

/// Where a virtual environment has its libraries: `lib/pythonX.Y`, and the `site-packages` in it;
/// `None` if there is no such environment.
#[must_use]
pub fn library_paths(environment: &Path) -> Option<(PathBuf, PathBuf)> {
    let versions = fs::read_dir(environment.join("lib")).ok()?;
    let newest = versions
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
        .map(|entry| entry.path())
        .max()?;
    let packages = newest.join("site-packages");
    Some((newest, packages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_unpacking_finds_the_first() {
        let base = tempfile::tempdir().unwrap();
        let first = unpack(base.path()).unwrap();
        assert!(first.join("st2common/runners/base_action.py").is_file());
        fs::write(first.join("mark"), "").unwrap();
        assert_eq!(unpack(base.path()).unwrap(), first);
        assert!(first.join("mark").is_file());
        // What was made on the way is gone.
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
    }
}
