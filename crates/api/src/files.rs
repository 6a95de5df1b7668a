//! Files of packs: what actions run, what clients send with an action, and what they may read.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use squall_auth::rbac::{Permission, Resource};
use squall_engine::{Action, Nature};
use squall_model::{Document, DocumentKind};
use squall_value::{Dict, Value, dict};

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::{Api, publish};

/// A place in a pack's directory. Nothing outside it can be named.
pub(crate) fn place(api: &Api, pack: &str, path: &str) -> Result<PathBuf> {
    let catalog = api.engine.catalog();
    let root = catalog
        .pack_directory(pack)
        .ok_or_else(|| Error::bad(format!("The pack \"{pack}\" has no directory.")))?;
    check_path(path)?;
    Ok(root.join(path))
}

/// Refuses what is no plain path below a directory. Of the ways to write one, `a/./b` and `a//b`
/// among them, only the shortest is taken: whose a file is, is asked by its path.
pub(crate) fn check_path(path: &str) -> Result<()> {
    let parts = Path::new(path).components().map(|part| match part {
        Component::Normal(part) => part.to_str(),
        _ => None,
    });
    let parts: Option<Vec<&str>> = parts.collect();
    let is_plain = parts.is_some_and(|parts| parts.join("/") == path);
    if path.is_empty() || path.contains('\0') || !is_plain {
        return Err(Error::bad(format!(
            "The file path \"{path}\" must be relative and lie in the pack, without `.`, `..` and \
             empty parts."
        )));
    }
    Ok(())
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

/// Files that a client sends with an action, each at its place in the pack.
#[derive(Debug, Default)]
pub(crate) struct DataFiles(Vec<(PathBuf, String)>);

impl DataFiles {
    /// Takes `data_files` out of a request. Nothing is written yet.
    ///
    /// An action's own file needs no further right. One that other actions run needs the right to
    /// change those, and any other file of the pack the right to change the pack.
    pub(crate) fn take(api: &Api, caller: &Caller, body: &mut Dict) -> Result<DataFiles> {
        let Some(files) = body.remove("data_files") else {
            return Ok(DataFiles::default());
        };
        let text = |member| body.get(member).and_then(Value::as_str).unwrap_or_default();
        let pack = body
            .get("pack")
            .and_then(Value::as_str)
            .unwrap_or("default");
        let own = format!("{pack}.{}", text("name"));
        let action = Some((&*own, text("entry_point")));
        let mut taken = Vec::new();
        for file in files.as_list().unwrap_or_default() {
            let text = |member| file.get(member).and_then(Value::as_str);
            let (Some(path), Some(content)) = (text("file_path"), text("content")) else {
                return Err(Error::bad(
                    "Each of 'data_files' needs a 'file_path' and a 'content'.",
                ));
            };
            let place = place(api, pack, path)?;
            may_write(api, caller, pack, path, action, Some(content))?;
            taken.push((place, content.to_owned()));
        }
        Ok(DataFiles(taken))
    }

    /// What will be in a file, if it is among these.
    pub(crate) fn content(&self, path: &Path) -> Option<&str> {
        let found = self.0.iter().rfind(|(place, _)| place == path);
        found.map(|(_, content)| &**content)
    }

    /// Writes them.
    pub(crate) fn write(&self) -> Result<()> {
        self.0
            .iter()
            .try_for_each(|(path, content)| write(path, content))
    }

    /// Makes an event of each that was written, where rules listen for them.
    pub(crate) async fn tell_written(&self, api: &Api, action: &str) {
        for (path, _) in &self.0 {
            let payload = || {
                dict! {
                    "ref" => action,
                    "file_path" => path.to_string_lossy().into_owned(),
                    "host_info" => dict! { "hostname" => api.host_name.as_str() },
                }
            };
            let engine = &api.engine;
            engine
                .happened("core.st2.action.file_written", payload)
                .await;
        }
    }
}

/// Asks for the right to write a file of a pack, or to remove it; `action` is that of the request,
/// and the file that it runs.
fn may_write(
    api: &Api,
    caller: &Caller,
    pack: &str,
    path: &str,
    action: Option<(&str, &str)>,
    content: Option<&str>,
) -> Result<()> {
    let within = path.strip_prefix("actions/");
    let catalog = api.engine.catalog();
    let runs = |other: &&Arc<Action>| {
        other.reference.pack() == pack && within == Some(&*other.entry_point)
    };
    let is_own = |other: &Action| action.is_some_and(|(own, _)| own == other.reference.as_str());
    // What lies there already and is not the action's own may be imported by others, as all in
    // `lib` may be.
    let mut is_run = action.is_some_and(|(_, entry_point)| within == Some(entry_point))
        && !within.is_some_and(|file| file.starts_with("lib/"))
        && !place(api, pack, path)?.exists();
    for other in catalog.actions().filter(runs) {
        is_run = true;
        if !is_own(other) {
            caller.check(
                Permission::ActionModify,
                &Resource::action(&other.reference),
            )?;
            // The next registration would publish it in nobody's name.
            if let (Nature::Workflow, Some(content)) = (other.nature, content) {
                publish::workflow_text(api, caller, &other.runner, content)?;
            }
        }
    }
    // What lies there is read as the description of an action, which may say anything.
    let is_description = within.is_some_and(|file| {
        let name = Path::new(file).extension().and_then(|end| end.to_str());
        !file.contains('/') && matches!(name, Some("yaml" | "yml" | "json"))
    });
    if is_run && !is_description {
        return Ok(());
    }
    caller.check(Permission::PackModify, &Resource::pack(pack))
}

/// Asks for the right to name a file as what an action runs. A file that is there already and comes
/// from neither the action as it was nor the request is the pack's: the action that runs it could
/// be given another content for it later.
pub(crate) fn may_name(
    api: &Api,
    caller: &Caller,
    body: &Dict,
    known: Option<&Document>,
) -> Result<()> {
    let text = |member| body.get(member).and_then(Value::as_str).unwrap_or_default();
    let (pack, file) = (text("pack"), text("entry_point"));
    let pack = if pack.is_empty() { "default" } else { pack };
    let before = known.filter(|known| known.pack.as_deref() == Some(pack));
    let before = before.and_then(|known| known.body.get("entry_point")?.as_str());
    if file.is_empty() || before == Some(file) {
        return Ok(());
    }
    check_path(file)?;
    let path = format!("actions/{file}");
    let sent = body.get("data_files").and_then(Value::as_list);
    let mut sent = sent.unwrap_or_default().iter();
    let is_sent = sent.any(|sent| sent.get("file_path").and_then(Value::as_str) == Some(&*path));
    let is_there = || place(api, pack, &path).is_ok_and(|place| place.exists());
    if is_sent || !is_there() {
        return Ok(());
    }
    caller.check(Permission::PackModify, &Resource::pack(pack))
}

/// Gives a new action the files of the one that it is copied from.
pub(crate) fn copy_action(
    api: &Api,
    caller: &Caller,
    from: &Document,
    pack: &str,
    body: &mut Dict,
) -> Result<()> {
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
        let own = format!("{pack}.{name}");
        let (path, action) = (format!("actions/{copied}"), Some((&*own, &*copied)));
        may_write(api, caller, pack, &path, action, None)?;
        if let Some(directory) = target.parent() {
            std::fs::create_dir_all(directory).map_err(failed("making", directory))?;
        }
        std::fs::copy(&source_file, &target).map_err(failed("copying", &source_file))?;
        body.insert("entry_point", copied);
    }
    let file = format!("actions/{name}.yaml");
    let own = format!("{pack}.{name}");
    let describes = |other: &&Arc<Action>| {
        let described = other
            .document
            .body
            .get("metadata_file")
            .and_then(Value::as_str);
        other.reference.pack() == pack
            && *other.document.key != *own
            && (described == Some(&*file)
                || file.strip_prefix("actions/") == Some(&*other.entry_point))
    };
    for other in api.engine.catalog().actions().filter(describes) {
        caller.check(
            Permission::ActionModify,
            &Resource::action(&other.reference),
        )?;
    }
    let mut metadata = body.clone();
    for derived in ["id", "uid", "ref", "metadata_file"] {
        metadata.remove(derived);
    }
    let yaml = squall_yaml::to_yaml(&Value::from(metadata));
    write(&place(api, pack, &file)?, &yaml)?;
    body.insert("metadata_file", file);
    Ok(())
}

/// Removes the files of an action. One that other actions run needs the right to change those.
pub(crate) fn remove_action(api: &Api, caller: &Caller, action: &Document) -> Result<()> {
    let text = |member| action.body.get(member).and_then(Value::as_str);
    let pack = action.pack.as_deref().unwrap_or_default();
    let entry = text("entry_point").filter(|file| !file.is_empty());
    let entry = entry.map(|file| format!("actions/{file}"));
    let metadata = text("metadata_file").map(str::to_owned);
    for file in [entry, metadata].into_iter().flatten() {
        let path = place(api, pack, &file)?;
        let entry_point = text("entry_point").unwrap_or_default();
        if Some(&*file) != text("metadata_file") {
            may_write(
                api,
                caller,
                pack,
                &file,
                Some((&action.key, entry_point)),
                None,
            )?;
        }
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
