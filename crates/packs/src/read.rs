//! A pack's files from a directory.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use squall_value::Str;

use crate::{Files, Override};

/// How large a metadata file may be, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// How many files a pack may have; more are not looked at.
const FILES_MAX: usize = 50_000;

/// The directories whose YAML files are metadata, and those whose files metadata names.
const TEXT_DIRECTORIES: [&str; 7] = [
    "actions",
    "aliases",
    "policies",
    "rules",
    "sensors",
    "triggers",
    "workflows",
];

/// A pack's directory cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the pack directory {} cannot be read", path.display())]
pub struct ReadError {
    /// The directory.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// The packs that lie in some directories.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Their directories: those of the first directory first, and by name within each.
    pub packs: Vec<PathBuf>,
    /// Those in whose place one of the same name in a later directory stands.
    pub replaced: Vec<PathBuf>,
}

/// The packs that lie in these directories. Of several with one name the last is used, so that an
/// operator's pack stands for a shipped one; directories that cannot be listed hold none.
#[must_use]
pub fn find(directories: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for (at, directory) in directories.iter().enumerate() {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.retain(|name| directory.join(name).is_dir());
        names.sort();
        let later = &directories[at + 1..];
        let is_replaced = |name: &OsString| later.iter().any(|other| other.join(name).is_dir());
        for name in names {
            let list = match is_replaced(&name) {
                true => &mut found.replaced,
                false => &mut found.packs,
            };
            list.push(directory.join(name));
        }
    }
    found
}

/// Reads what [`crate::load`] needs: the texts of metadata and workflow files, and the names of all
/// files. Links that lead out of the directory are not followed.
///
/// # Errors
///
/// [`ReadError`] when the directory itself cannot be listed. A single file that cannot be read, or
/// is too large, is noted in [`Files::unreadable`].
pub fn read(directory: &Path) -> Result<Files, ReadError> {
    let error = |source| ReadError {
        path: directory.to_owned(),
        source,
    };
    let root = fs::canonicalize(directory).map_err(error)?;
    let name = root
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let mut files = Files {
        directory: Str::from(name),
        ..Files::default()
    };
    let mut pending = vec![(root.clone(), String::new())];
    while let Some((path, relative)) = pending.pop() {
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(source) if relative.is_empty() => return Err(error(source)),
            Err(source) => {
                files
                    .unreadable
                    .push((Str::from(relative), source.to_string()));
                continue;
            }
        };
        let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || files.names.len() >= FILES_MAX {
                continue;
            }
            let inner = if relative.is_empty() {
                name
            } else {
                format!("{relative}/{name}")
            };
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            visit(
                &root,
                entry.path(),
                is_link,
                inner,
                &mut files,
                &mut pending,
            );
        }
    }
    files.names.sort();
    files.texts.sort();
    Ok(files)
}

/// The name of the file of overrides that holds for every pack.
const GLOBAL: &str = "_global";

/// Reads what concerns a pack in a directory of overrides: `_global.yaml`, then `PACK.yaml`. A
/// file that is not there says nothing; one that cannot be read is told by [`crate::load`].
#[must_use]
pub fn read_overrides(directory: &Path, pack: &str) -> Vec<Override> {
    let read = |name: &str| {
        let path = directory.join(format!("{name}.yaml"));
        let text = text_of(&path, fs::metadata(&path).ok()?.len());
        Some(Override {
            file: Str::from(path.to_string_lossy()),
            global: name == GLOBAL,
            text,
        })
    };
    [GLOBAL, pack].into_iter().filter_map(read).collect()
}

fn visit(
    root: &Path,
    path: PathBuf,
    is_link: bool,
    relative: String,
    files: &mut Files,
    pending: &mut Vec<(PathBuf, String)>,
) {
    // What is no link is where it is found.
    let inside = !is_link || fs::canonicalize(&path).is_ok_and(|target| target.starts_with(root));
    let Ok(metadata) = fs::metadata(&path) else {
        files
            .unreadable
            .push((Str::from(relative), "the link leads nowhere".to_owned()));
        return;
    };
    if !inside {
        files.unreadable.push((
            Str::from(relative),
            "the link leads out of the pack".to_owned(),
        ));
    } else if metadata.is_dir() {
        // A link to a directory above would be walked for ever.
        if !is_link {
            pending.push((path, relative));
        }
    } else if metadata.is_file() {
        if is_text(&relative) {
            read_text(&path, &relative, metadata.len(), files);
        }
        files.names.push(Str::from(relative));
    }
}

fn is_text(relative: &str) -> bool {
    let yaml = relative.ends_with(".yaml") || relative.ends_with(".yml");
    let top = relative.split('/').next().unwrap_or_default();
    yaml && (!relative.contains('/') || TEXT_DIRECTORIES.contains(&top))
}

fn read_text(path: &Path, relative: &str, bytes: u64, files: &mut Files) {
    let name = Str::from(relative);
    match text_of(path, bytes) {
        Ok(text) => files.texts.push((name, text)),
        Err(reason) => files.unreadable.push((name, reason)),
    }
}

/// The text of a metadata file, or why there is none.
fn text_of(path: &Path, bytes: u64) -> Result<Str, String> {
    if bytes > FILE_BYTES_MAX {
        return Err(format!(
            "the file has {bytes} bytes, more than the {FILE_BYTES_MAX} that are read"
        ));
    }
    match fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => Ok(Str::from(text)),
        Ok(Err(error)) => {
            let at = error.utf8_error().valid_up_to();
            Err(format!("the file is not UTF-8: byte {at} is wrong"))
        }
        Err(error) => Err(error.to_string()),
    }
}
