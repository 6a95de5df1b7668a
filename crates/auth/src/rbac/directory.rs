//! The files of definitions, as they lie in a directory.

use std::fs;
use std::io::{self, Error, ErrorKind};
use std::path::Path;

use squall_value::Str;

use super::Text;

/// The directories that definitions lie in.
const PARTS: [&str; 3] = ["roles", "assignments", "mappings"];

/// How large a file may be, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// How many files there may be.
const FILES_MAX: usize = 100_000;

/// Reads `roles/*.yaml`, `assignments/*.yaml` and `mappings/*.yaml` below a directory. A part that is
/// not there holds nothing.
///
/// # Errors
///
/// The directory is not there, or a file cannot be read, is no text or too large.
pub fn read_directory(directory: &Path) -> io::Result<Vec<Text>> {
    fs::read_dir(directory)?;
    let mut texts = Vec::new();
    for part in PARTS {
        let entries = match fs::read_dir(directory.join(part)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if !name.ends_with(".yaml") || name.starts_with('.') {
                continue;
            }
            let shown = format!("{part}/{name}");
            if texts.len() >= FILES_MAX {
                return Err(Error::other(format!(
                    "there are more than {FILES_MAX} files"
                )));
            }
            texts.push(Text {
                content: read_file(&path, &shown)?,
                path: Str::from(shown),
            });
        }
    }
    Ok(texts)
}

fn read_file(path: &Path, shown: &str) -> io::Result<Str> {
    let said = |error: Error| Error::new(error.kind(), format!("{shown}: {error}"));
    if fs::metadata(path).map_err(said)?.len() > BYTES_MAX {
        return Err(Error::other(format!(
            "{shown} has more than {BYTES_MAX} bytes"
        )));
    }
    fs::read_to_string(path).map(Str::from).map_err(said)
}
