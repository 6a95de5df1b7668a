//! Files in a directory: an event for each one that was created, changed or removed.
//!
//! The truth is what a look at the whole directory finds, compared with what the last one found;
//! the system's own messages only make a look come sooner. A file is told when its size, its time
//! of change or the file itself is another one. One that changes several times between two looks
//! is told once.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use async_trait::async_trait;
use jiff::Timestamp;
use squall_env::Env;
use squall_value::{Dict, Str, Value, dict};
use tokio::sync::Notify;

use crate::event::{DispatchError, Event, Position, Sink};
use crate::git::Pattern;
use crate::native::{Source, StepError};
use crate::quicken::Quickener;

/// The trigger type of the events.
pub const DIRECTORY_CHANGED: &str = "core.directory.changed";

/// Files that one source follows at most; its position lists them all.
const FILES_MAX: usize = 20_000;
/// Directories in directories are followed so far.
const DEPTH_MAX: usize = 64;

/// Which directory to watch.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory, by its absolute path. It may come later.
    pub path: PathBuf,
    /// Whether directories in it are watched too. Links to directories are not followed.
    pub recursive: bool,
    /// Files that match one of these are watched; all of them when there are none.
    pub files: Vec<Pattern>,
    /// The pause between two looks.
    pub interval: Duration,
}

/// Why a look failed. The next one may succeed; nothing was lost.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory, or one in it, cannot be read.
    #[error("{} can't be read", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is too much to follow.
    #[error(
        "{} has more than {FILES_MAX} files to watch; watch a smaller directory, or name `files`",
        .0.display()
    )]
    TooManyFiles(PathBuf),
    /// The look was broken off.
    #[error("the look was broken off: {0}")]
    Broken(String),
    /// The event was not accepted.
    #[error("an event was not accepted")]
    Dispatch(#[from] DispatchError),
}

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    bytes: u64,
    /// Nanoseconds since 1970.
    modified: i128,
}

impl Version {
    /// Short, since the position holds one for each file.
    fn to_text(self) -> String {
        format!("{:x}.{:x}.{:x}", self.inode, self.bytes, self.modified)
    }

    fn from_text(text: &str) -> Option<Version> {
        let mut parts = text.splitn(3, '.');
        let inode = u64::from_str_radix(parts.next()?, 16).ok()?;
        let bytes = u64::from_str_radix(parts.next()?, 16).ok()?;
        let modified = i128::from_str_radix(parts.next()?, 16).ok()?;
        Some(Version {
            inode,
            bytes,
            modified,
        })
    }
}

type Files = BTreeMap<Str, Version>;

/// What was told.
struct Known {
    /// Counts the looks that found something, so that what a crash repeats can be told from what
    /// happens again. Begins at the time of the first look, for a source that begins anew.
    look: i64,
    files: Files,
}

/// Watches one directory.
pub struct DirectorySource {
    settings: Arc<Settings>,
    env: Arc<dyn Env>,
    sink: Arc<dyn Sink>,
    name: Str,
    known: Option<Known>,
    quickener: Quickener,
    looked: bool,
}

impl DirectorySource {
    /// A source that continues at `position`, its last one; without one it begins with what the
    /// directory holds at the first look, and tells nothing about the past.
    #[must_use]
    pub fn new(
        name: Str,
        settings: Settings,
        position: Option<&Value>,
        env: Arc<dyn Env>,
        sink: Arc<dyn Sink>,
    ) -> DirectorySource {
        DirectorySource {
            settings: Arc::new(settings),
            env,
            sink,
            name,
            known: position.and_then(known_of_position),
            quickener: Quickener::new(Arc::new(Notify::new())),
            looked: false,
        }
    }

    /// Looks once and tells what has changed; returns how many events that were.
    ///
    /// # Errors
    ///
    /// [`Error`]; what was not told is told by the next look.
    pub async fn look(&mut self) -> Result<usize, Error> {
        // Before the look, so that what changes meanwhile makes another one.
        let (path, recursive) = (&self.settings.path, self.settings.recursive);
        if path.is_dir() {
            self.quickener.watch(path, recursive);
        } else {
            self.quickener.forget(path);
        }
        let settings = Arc::clone(&self.settings);
        let now = tokio::task::spawn_blocking(move || scan(&settings))
            .await
            .map_err(|error| Error::Broken(error.to_string()))??;
        let Some(known) = &self.known else {
            let begun = Known {
                look: self.env.now().as_microsecond(),
                files: now,
            };
            self.sink.advance(self.position(&begun)).await?;
            self.known = Some(begun);
            return Ok(0);
        };
        let now = Known {
            look: known.look + 1,
            files: now,
        };
        let changes = changes(&known.files, &now.files);
        for (index, change) in changes.iter().enumerate() {
            // The position is large, so only the last event carries it. Events before that are
            // known by their keys when a crash repeats them.
            let is_last = index + 1 == changes.len();
            let event = self.event(change, now.look, is_last.then(|| self.position(&now)));
            self.sink.dispatch(event).await?;
        }
        let count = changes.len();
        if count > 0 {
            self.known = Some(now);
        }
        Ok(count)
    }

    fn position(&self, known: &Known) -> Position {
        let files = known
            .files
            .iter()
            .map(|(path, version)| (path.clone(), Value::from(version.to_text())));
        Position {
            source: self.name.clone(),
            value: dict! { "look" => known.look, "files" => files.collect::<Dict>() },
        }
    }

    fn event(&self, change: &Change<'_>, look: i64, position: Option<Position>) -> Event {
        let directory = self.settings.path.to_string_lossy().into_owned();
        let modified = change.version.and_then(|version| {
            Timestamp::from_nanosecond(version.modified)
                .ok()
                .map(|time| time.to_string())
        });
        let bytes = change.version.and_then(|it| i64::try_from(it.bytes).ok());
        let stage = change.version.map(Version::to_text).unwrap_or_default();
        Event {
            trigger: DIRECTORY_CHANGED.into(),
            parameters: None,
            payload: dict! {
                "directory" => directory,
                "path" => change.path.clone(),
                "change" => change.what,
                "bytes" => bytes,
                "modified" => modified,
            },
            trace_tag: None,
            dedupe_key: Some(format!("{look}:{}:{stage}:{}", change.what, change.path).into()),
            position,
            occurred_at: self.env.now(),
        }
    }
}

#[async_trait]
impl Source for DirectorySource {
    async fn step(&mut self) -> Result<(), StepError> {
        if self.looked {
            tokio::select! {
                () = self.quickener.poke().notified() => {}
                () = self.env.sleep(self.settings.interval) => {}
            }
        }
        self.looked = true;
        match self.look().await {
            Ok(_) => Ok(()),
            Err(Error::Dispatch(error)) => Err(error.into()),
            Err(error) => Err(StepError::of(&error)),
        }
    }
}

/// One file that is another than before.
struct Change<'a> {
    path: &'a Str,
    what: &'static str,
    /// What it is now.
    version: Option<Version>,
}

fn changes<'a>(before: &'a Files, now: &'a Files) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    for (path, version) in now {
        let what = match before.get(path) {
            None => "created",
            Some(former) if former != version => "modified",
            Some(_) => continue,
        };
        changes.push(Change {
            path,
            what,
            version: Some(*version),
        });
    }
    for path in before.keys() {
        if !now.contains_key(path) {
            changes.push(Change {
                path,
                what: "removed",
                version: None,
            });
        }
    }
    changes
}

fn known_of_position(position: &Value) -> Option<Known> {
    let files = position.get("files")?.as_dict()?;
    let file = |(path, version): (&Str, &Value)| {
        Some((path.clone(), Version::from_text(version.as_str()?)?))
    };
    Some(Known {
        look: position.get("look")?.as_int()?,
        files: files.iter().map(file).collect::<Option<_>>()?,
    })
}

/// All files to watch. A directory that is not there has none.
fn scan(settings: &Settings) -> Result<Files, Error> {
    let mut files = Files::new();
    let mut pending = vec![(settings.path.clone(), String::new(), 0)];
    while let Some((path, inside, depth)) = pending.pop() {
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            // It was removed, perhaps while the look was under way.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(Error::Read { path, source }),
        };
        for entry in entries {
            let read = |source| Error::Read {
                path: path.clone(),
                source,
            };
            let entry = entry.map_err(read)?;
            let name = format!("{inside}{}", entry.file_name().to_string_lossy());
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                if settings.recursive && depth < DEPTH_MAX {
                    pending.push((entry.path(), format!("{name}/"), depth + 1));
                }
                continue;
            }
            let patterns = &settings.files;
            if !patterns.is_empty() && !patterns.iter().any(|pattern| pattern.matches(&name)) {
                continue;
            }
            if let Some(version) = version(&entry.path()) {
                files.insert(name.into(), version);
            }
            if files.len() > FILES_MAX {
                return Err(Error::TooManyFiles(settings.path.clone()));
            }
        }
    }
    Ok(files)
}

/// What a regular file, or one that a link leads to, is now; `None` for everything else.
fn version(path: &Path) -> Option<Version> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some(Version {
        inode: metadata.ino(),
        bytes: metadata.len(),
        modified: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
    })
}
