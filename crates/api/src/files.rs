//! Files of packs: what actions run, what clients send with an action, and what they may read.

use std::path::{Component, Path, PathBuf};

use squall_model::{Document, DocumentKind};
use squall_value::{Dict, Value};

use crate::Api;
use crate::error::{Error, Result};

/// A place in a pack's directory. Nothing outside it can be named.
pub(crate) fn place(api: &Api, pack: &str, path: &str) -> Result<PathBuf> {
    let catalog = api.engine.catalog();
    let root = catalog
        .pack_directory(pack)
        .ok_or_else(|| Error::bad(format!("The pack \"{pack}\" has no directory.")))?;
    let relative = Path::new(path);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    if path.is_empty() || path.contains('\0') || !relative.components().all(plain) {
        return Err(Error::bad(format!(
            "The file path \"{path}\" must be relative and lie in the pack."
        )));
    }
    Ok(root.join(relative))
}

/// The file that an action runs.
pub(crate) fn entry_point(api: &Api, pack: &str, entry_point: &str) -> Result<PathBuf> {
    place(api, pack, &format!("actions/{entry_point}"))
}

fn failed(what: &str, path: &Path) -> impl Fn(std::io::Error) -> Error {
    let text = format!("{what} {} failed", path.display());
    move |error| Error::bad(format!("{text}: {error}"))
}

fn write(path: &Path, content: &str) -> Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed("making the directory", directory))?;
    }
    std::fs::write(path, content).map_err(failed("writing", path))
}

/// Takes `data_files` out of a request and writes them into the pack.
pub(crate) fn write_data_files(api: &Api, body: &mut Dict) -> Result<()> {
    let Some(files) = body.remove("data_files") else {
        return Ok(());
    };
    let pack = body.get("pack").and_then(Value::as_str);
    let pack = pack.unwrap_or("default").to_owned();
    let mut wanted = Vec::new();
    for file in files.as_list().unwrap_or_default() {
        let text = |member| file.get(member).and_then(Value::as_str);
        let (Some(path), Some(content)) = (text("file_path"), text("content")) else {
            return Err(Error::bad(
                "Each of 'data_files' needs a 'file_path' and a 'content'.",
            ));
        };
        wanted.push((place(api, &pack, path)?, content));
    }
    // All places are checked before the first file is written.
    wanted
        .iter()
        .try_for_each(|(path, content)| write(path, content))
}

/// Gives a new action the files of the one that it is copied from.
pub(crate) fn copy_action(api: &Api, from: &Document, pack: &str, body: &mut Dict) -> Result<()> {
    let text = |member| from.body.get(member).and_then(Value::as_str);
    let source_pack = from.pack.as_deref().unwrap_or_default();
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    let name = name.to_owned();
    if let Some(source) = text("entry_point").filter(|file| !file.is_empty()) {
        let source_file = entry_point(api, source_pack, source)?;
        let extension = Path::new(source).extension();
        let mut copied = PathBuf::from(&name);
        if let Some(extension) = extension {
            copied.set_extension(extension);
        }
        let copied = copied.to_string_lossy().into_owned();
        let target = entry_point(api, pack, &copied)?;
        if let Some(directory) = target.parent() {
            std::fs::create_dir_all(directory).map_err(failed("making", directory))?;
        }
        std::fs::copy(&source_file, &target).map_err(failed("copying", &source_file))?;
        body.insert("entry_point", copied);
    }
    let file = format!("actions/{name}.yaml");
    let mut metadata = body.clone();
    for derived in ["id", "uid", "ref", "metadata_file"] {
        metadata.remove(derived);
    }
    let yaml = squall_yaml::to_yaml(&Value::from(metadata));
    write(&place(api, pack, &file)?, &yaml)?;
    body.insert("metadata_file", file);
    Ok(())
}

/// Removes the files of an action.
pub(crate) fn remove_action(api: &Api, action: &Document) -> Result<()> {
    let text = |member| action.body.get(member).and_then(Value::as_str);
    let pack = action.pack.as_deref().unwrap_or_default();
    let entry = text("entry_point").filter(|file| !file.is_empty());
    let entry = entry.map(|file| format!("actions/{file}"));
    let metadata = text("metadata_file").map(str::to_owned);
    for file in [entry, metadata].into_iter().flatten() {
        let path = place(api, pack, &file)?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed("removing", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The text of what an action runs.
pub(crate) fn entry_point_text(api: &Api, action: &Document) -> Result<String> {
    debug_assert_eq!(action.kind, DocumentKind::Action);
    let file = action.body.get("entry_point").and_then(Value::as_str);
    let missing = || {
        let reference = &action.key;
        Error::missing(format!(
            "The action \"{reference}\" has no entry point file."
        ))
    };
    let file = file.filter(|file| !file.is_empty()).ok_or_else(missing)?;
    let pack = action.pack.as_deref().unwrap_or_default();
    let bytes = std::fs::read(entry_point(api, pack, file)?).map_err(|_| missing())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
