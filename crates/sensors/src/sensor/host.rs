//! The Python files that run a sensor, as they lie in this program.

use std::path::{Path, PathBuf};
use std::{fs, io};

use include_dir::{Dir, DirEntry, include_dir};
use sha2::{Digest, Sha256};

static HOST: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../python/squall_sensor_host");
static BASE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../python/st2reactor");

/// Writes the sensor host below `cache` and returns its directory, which belongs on no path: the
/// host finds its libraries itself.
///
/// The directory's name is the digest of its contents, so that servers of different versions can
/// share a cache; what is there already is left alone. Safe to call from several processes.
///
/// # Errors
///
/// When the files can't be written.
pub fn unpack_host(cache: &Path) -> io::Result<PathBuf> {
    let files: Vec<(PathBuf, &[u8])> = [("squall_sensor_host", &HOST), ("st2reactor", &BASE)]
        .into_iter()
        .flat_map(|(name, dir)| {
            let mut files = Vec::new();
            collect(dir, Path::new(name), &mut files);
            files
        })
        .collect();
    let target = cache.join(format!("sensor-host-{}", digest(&files)));
    if target.is_dir() {
        return Ok(target);
    }
    let staging = cache.join(format!(".sensor-host-{}", std::process::id()));
    for (path, contents) in &files {
        let path = staging.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&staging))?;
        fs::write(path, contents)?;
    }
    match fs::rename(&staging, &target) {
        Ok(()) => Ok(target),
        // Another process was first; its copy is the same.
        Err(_) if target.is_dir() => {
            fs::remove_dir_all(&staging)?;
            Ok(target)
        }
        Err(error) => Err(error),
    }
}

/// The Python files of `dir`, sorted as they were embedded.
fn collect<'a>(dir: &Dir<'a>, below: &Path, files: &mut Vec<(PathBuf, &'a [u8])>) {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(dir) => collect(dir, below, files),
            DirEntry::File(file) if file.path().extension().is_some_and(|end| end == "py") => {
                files.push((below.join(file.path()), file.contents()));
            }
            DirEntry::File(_) => {}
        }
    }
}

fn digest(files: &[(PathBuf, &[u8])]) -> String {
    let mut hasher = Sha256::new();
    for (path, contents) in files {
        hasher.update(path.as_os_str().as_encoded_bytes());
        hasher.update((contents.len() as u64).to_le_bytes());
        hasher.update(contents);
    }
    hasher.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
