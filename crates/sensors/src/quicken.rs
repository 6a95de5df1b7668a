//! Makes a look come sooner: the system tells when something in a directory moves.
//!
//! Only a hint. Events of the system get lost (full queues, network file systems), so every source
//! that uses this also looks at an interval.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Watches directories, as far as the system lets it.
pub(crate) struct Quickener {
    watcher: Option<RecommendedWatcher>,
    watched: Vec<PathBuf>,
    poke: Arc<Notify>,
}

impl Quickener {
    /// Lets `poke` know about whatever moves.
    pub(crate) fn new(poke: Arc<Notify>) -> Quickener {
        let told = Arc::clone(&poke);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is no change of it, and the source itself reads.
            let is_access = event.as_ref().is_ok_and(|event| event.kind.is_access());
            if !is_access {
                told.notify_one();
            }
        });
        if let Err(error) = &watcher {
            tracing::debug!(%error, "the system does not tell changes; looks come at an interval");
        }
        Quickener {
            watcher: watcher.ok(),
            watched: Vec::new(),
            poke,
        }
    }

    /// What is told when something moves.
    pub(crate) fn poke(&self) -> &Notify {
        &self.poke
    }

    /// Watches a directory, if it is not watched already; to be called before each look, since a
    /// directory may come later than the source. Returns whether it is watched.
    pub(crate) fn watch(&mut self, directory: &Path, is_recursive: bool) -> bool {
        if self.watched.iter().any(|watched| watched == directory) {
            return true;
        }
        let mode = if is_recursive {
            RecursiveMode::Recursive
        } else {
            RecursiveMode::NonRecursive
        };
        let Some(watcher) = &mut self.watcher else {
            return false;
        };
        let begun = watcher.watch(directory, mode).is_ok();
        if begun {
            self.watched.push(directory.to_owned());
        }
        begun
    }

    /// Forgets a directory that is gone, so that one that takes its place is watched anew.
    pub(crate) fn forget(&mut self, directory: &Path) {
        if let Some(index) = self.watched.iter().position(|watched| watched == directory) {
            self.watched.swap_remove(index);
            if let Some(watcher) = &mut self.watcher {
                // It is gone, so the system mostly has forgotten it too.
                let _ = watcher.unwatch(directory);
            }
        }
    }
}
