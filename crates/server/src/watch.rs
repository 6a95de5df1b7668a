//! Development: packs are registered anew as soon as their files change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use squall_engine::sources::SourceKind;
use squall_engine::{Engine, Registered};
use tokio::sync::Notify;

use crate::logging::tell;

/// Files must have been still for so long: editors and `git` write in several steps.
const STILL: Duration = Duration::from_millis(300);

/// So often stillness is waited for, so that a file that is written all the time holds up nothing.
const WAITS_MAX: usize = 10;

/// What changed since somebody looked.
#[derive(Default)]
struct Seen {
    files: Mutex<BTreeSet<PathBuf>>,
    changed: Notify,
}

/// The file beside packs that concerns all of them.
const ALL_PACKS: &str = "_global.yaml";

/// Watches directories with packs in them, and those beside them with a file for each pack.
pub(crate) struct Watch {
    /// Watching ends with it.
    _watcher: RecommendedWatcher,
    seen: Arc<Seen>,
    directories: Vec<PathBuf>,
    beside: Vec<PathBuf>,
}

impl Watch {
    /// Begins to watch. Directories that are not there yet are made.
    ///
    /// # Errors
    ///
    /// The system does not tell changes, or not for so many directories.
    pub(crate) fn begin(directories: &[PathBuf], beside: Vec<PathBuf>) -> Result<Watch> {
        let seen = Arc::new(Seen::default());
        let told = Arc::clone(&seen);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<_>| {
            let Ok(notify::Event { kind, paths, .. }) = event else {
                return;
            };
            // Reading a file is no change of it, and registering reads.
            if !kind.is_access() {
                told.files.lock().extend(paths);
                told.changed.notify_one();
            }
        })?;
        for directory in directories.iter().chain(&beside) {
            let shown = || format!("cannot watch {}", directory.display());
            std::fs::create_dir_all(directory).with_context(shown)?;
            let watching = watcher.watch(directory, RecursiveMode::Recursive);
            watching.with_context(shown)?;
        }
        Ok(Watch {
            _watcher: watcher,
            seen,
            directories: directories.to_owned(),
            beside,
        })
    }

    /// Registers what changes, for ever, and tells what came of it.
    pub(crate) async fn run(self, engine: Arc<Engine>) {
        loop {
            self.seen.changed.notified().await;
            let changed = self.settled(&engine).await;
            for pack in packs(&changed, &self.directories, &self.beside) {
                register(&engine, &pack, &changed).await;
            }
        }
    }

    /// What has changed, once nothing does any more.
    async fn settled(&self, engine: &Engine) -> BTreeSet<PathBuf> {
        for _ in 0..WAITS_MAX {
            let before = self.seen.files.lock().len();
            engine.env().sleep(STILL).await;
            let quiet = tokio::time::timeout(Duration::ZERO, self.seen.changed.notified());
            if quiet.await.is_err() && self.seen.files.lock().len() == before {
                break;
            }
        }
        std::mem::take(&mut *self.seen.files.lock())
    }
}

/// The packs that changed files belong to.
fn packs(
    changed: &BTreeSet<PathBuf>,
    directories: &[PathBuf],
    beside: &[PathBuf],
) -> BTreeSet<PathBuf> {
    let is_hidden = |path: &Path| {
        let mut parts = path
            .components()
            .map(|part| part.as_os_str().to_string_lossy());
        parts.any(|part| part.starts_with('.') || part == "__pycache__")
    };
    let mut found = BTreeSet::new();
    for path in changed {
        let file = beside.iter().find_map(|base| path.strip_prefix(base).ok());
        if let Some(file) = file.filter(|file| !is_hidden(file)) {
            found.extend(packs_of(file, directories));
            continue;
        }
        let mut places = directories.iter();
        let place = places.find_map(|base| Some((base, path.strip_prefix(base).ok()?)));
        if let Some((base, inner)) = place.filter(|(_, inner)| !is_hidden(inner)) {
            found.extend(inner.components().next().map(|pack| base.join(pack)));
        }
    }
    found
}

/// The packs that a file beside them concerns.
fn packs_of(file: &Path, directories: &[PathBuf]) -> Vec<PathBuf> {
    if file == Path::new(ALL_PACKS) {
        let entries = directories.iter().filter_map(|base| base.read_dir().ok());
        let packs = entries
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()));
        return packs.filter(|pack| pack.is_dir()).collect();
    }
    let name = file.file_stem().unwrap_or_default();
    let named = directories.iter().map(|directory| directory.join(name));
    named.filter(|pack| pack.is_dir()).collect()
}

/// Registers a pack and tells what came of it.
async fn register(engine: &Arc<Engine>, pack: &Path, changed: &BTreeSet<PathBuf>) {
    let name = pack.file_name().unwrap_or_default().to_string_lossy();
    if !pack.is_dir() {
        if std::fs::symlink_metadata(pack).is_err() {
            tell(&format!(
                "{name} is gone; what it defined stays: `squall run packs.uninstall` removes it"
            ));
        }
        return;
    }
    match engine.register_if_changed(pack).await {
        Ok(report) => {
            for finding in &report.findings {
                tell(&finding.within(pack).to_string());
            }
            if report.registered != Registered::default() {
                tell(&format!("{name}: registered anew"));
            }
            if let Some(reference) = &report.pack {
                restart_sensors(engine, reference, pack, changed);
            }
        }
        Err(error) => tell(&format!("{name}: {:#}", anyhow::Error::new(error))),
    }
}

/// A sensor runs the code that it started with, so it starts anew when that changes.
fn restart_sensors(engine: &Engine, pack: &str, directory: &Path, changed: &BTreeSet<PathBuf>) {
    let is_code = |path: &PathBuf| {
        let inner = path.strip_prefix(directory);
        let is_ours =
            inner.is_ok_and(|inner| inner.starts_with("sensors") || inner.starts_with("lib"));
        is_ours && path.extension().is_some_and(|extension| extension == "py")
    };
    if !changed.iter().any(is_code) {
        return;
    }
    for state in engine.source_states() {
        let is_ours = state
            .subject
            .strip_prefix(pack)
            .is_some_and(|rest| rest.starts_with('.'));
        if state.kind == SourceKind::Sensor
            && is_ours
            && engine.restart_sensor(&state.subject).is_ok()
        {
            tell(&format!("{}: starts anew with its new code", state.subject));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lead_to_the_packs_that_they_belong_to() {
        let base = tempfile::tempdir().unwrap();
        let (one, two) = (base.path().join("1"), base.path().join("2"));
        let beside = ["c", "o"].map(|name| base.path().join(name));
        for pack in ["shop", "other"] {
            std::fs::create_dir_all(two.join(pack)).unwrap();
        }
        let cases = [
            ("1/shop/actions/a.yaml", vec!["1/shop"]),
            ("1/shop", vec!["1/shop"]),
            ("1/shop/.git/index", vec![]),
            ("1/shop/actions/__pycache__/a.pyc", vec![]),
            ("1/.hidden", vec![]),
            ("1", vec![]),
            ("c/shop.yaml", vec!["2/shop"]),
            ("c/nobody.yaml", vec![]),
            ("o/other.yaml", vec!["2/other"]),
            ("o/_global.yaml", vec!["2/other", "2/shop"]),
            ("o/.other.yaml.swp", vec![]),
            ("3/shop/pack.yaml", vec![]),
        ];
        for (path, expected) in cases {
            let changed = BTreeSet::from([base.path().join(path)]);
            let found = packs(&changed, &[one.clone(), two.clone()], &beside);
            let expected = expected.iter().map(|pack| base.path().join(pack));
            assert_eq!(found, expected.collect(), "{path}");
        }
    }
}
