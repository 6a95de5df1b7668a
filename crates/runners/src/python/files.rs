//! Our own Python files, unpacked from the program.

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

/// The directory with the files, under `run_dir`; unpacked there if this version is not yet.
///
/// # Errors
///
/// The files could not be written.
pub(crate) fn unpack(run_dir: &Path) -> io::Result<PathBuf> {
    let target = run_dir.join(format!("python-{}", *CONTENT_HASH));
    if target.is_dir() {
        return Ok(target);
    }
    let making = tempfile::Builder::new()
        .prefix(".python-")
        .tempdir_in(run_dir)?;
    each(&FILES, &mut |path, content| {
        let path = making.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, content)
    })?;
    // Another thread may have been quicker; then its files are as good.
    match fs::rename(making.path(), &target) {
        Err(_) if target.is_dir() => {}
        renamed => renamed?,
    }
    Ok(target)
}
