//! Lines of a file: an event for every line that is added.
//!
//! The position is the file itself (its inode and birth) and how far it was read. A file that was
//! renamed is read to its end before the one that took its place is begun, also when that happened
//! while nobody looked, as long as it is still in the same directory. A file that was cut short is
//! read from its beginning. A line counts once its end is written.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use std::{fs, fs::File};

use async_trait::async_trait;
use squall_env::Env;
use squall_value::{Str, Value, dict};
use tokio::sync::Notify;

use crate::event::{DispatchError, Event, Position, Sink};
use crate::native::{Source, StepError};
use crate::quicken::Quickener;

/// The trigger type of the events.
pub const FILE_LINE: &str = "core.file.line";

/// Of a longer line only the beginning is told.
const LINE_BYTES_MAX: usize = 64 << 10;
/// So many bytes are read at a time.
const READ_BYTES_MAX: u64 = 1 << 20;
/// The most files in a directory among which a renamed one is looked for.
const SIBLINGS_MAX: usize = 10_000;

/// Which file to follow.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file, by its absolute path. It may come later.
    pub path: PathBuf,
    /// The pause between two looks.
    pub interval: Duration,
}

/// Why a look failed. The next one may succeed; nothing was lost.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{} can't be read", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The look was broken off.
    #[error("the look was broken off: {0}")]
    Broken(String),
    /// The event was not accepted.
    #[error("an event was not accepted")]
    Dispatch(#[from] DispatchError),
}

/// Which file a name stands for. File systems give the number of a removed file to the next one,
/// so the time of its birth belongs to it; 0 where the file system does not keep that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Identity {
    inode: u64,
    /// Nanoseconds since 1970.
    born: u128,
}

impl Identity {
    fn of(metadata: &fs::Metadata) -> Identity {
        let born = metadata.created().ok();
        let born = born.and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        Identity {
            inode: metadata.ino(),
            born: born.map_or(0, |born| born.as_nanos()),
        }
    }
}

/// How far which file was read; no file yet when the inode is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Place {
    file: Identity,
    offset: u64,
}

impl Place {
    fn to_value(self) -> Value {
        // As texts: they may be larger than JSON's safe numbers.
        dict! {
            "inode" => self.file.inode.to_string(),
            "born" => self.file.born.to_string(),
            "offset" => self.offset.to_string(),
        }
    }

    fn from_value(value: &Value) -> Option<Place> {
        let text = |name| value.get(name)?.as_str();
        Some(Place {
            file: Identity {
                inode: text("inode")?.parse().ok()?,
                born: text("born")?.parse().ok()?,
            },
            offset: text("offset")?.parse().ok()?,
        })
    }
}

/// A line, and where the next one begins.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    text: String,
    truncated: bool,
    end: Place,
}

/// Follows one file.
pub struct LineSource {
    settings: Arc<Settings>,
    env: Arc<dyn Env>,
    sink: Arc<dyn Sink>,
    name: Str,
    place: Option<Place>,
    quickener: Quickener,
    looked: bool,
}

impl LineSource {
    /// A source that continues at `position`, its last one; without one it begins at the file's
    /// end, and tells nothing about the past.
    #[must_use]
    pub fn new(
        name: Str,
        settings: Settings,
        position: Option<&Value>,
        env: Arc<dyn Env>,
        sink: Arc<dyn Sink>,
    ) -> LineSource {
        LineSource {
            settings: Arc::new(settings),
            env,
            sink,
            name,
            place: position.and_then(Place::from_value),
            quickener: Quickener::new(Arc::new(Notify::new())),
            looked: false,
        }
    }

    /// Reads what was added and tells its lines; returns how many there were.
    ///
    /// # Errors
    ///
    /// [`Error`]; what was not told is told by the next look.
    pub async fn look(&mut self) -> Result<usize, Error> {
        if let Some(directory) = self.settings.path.parent() {
            if directory.is_dir() {
                self.quickener.watch(directory, false);
            } else {
                self.quickener.forget(directory);
            }
        }
        let mut count = 0;
        loop {
            let Some(place) = self.place else {
                let begun = self.blocking(begin).await?;
                self.settle(begun).await?;
                return Ok(count);
            };
            let found = self.blocking(move |path| read(path, place)).await?;
            for line in &found.lines {
                self.sink.dispatch(self.event(line)).await?;
                self.place = Some(line.end);
                count += 1;
            }
            if found.next != self.place.unwrap_or_default() {
                self.settle(found.next).await?;
            }
            if found.is_all {
                return Ok(count);
            }
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let settings = Arc::clone(&self.settings);
        let done = tokio::task::spawn_blocking(move || work(&settings.path)).await;
        let done = done.map_err(|error| Error::Broken(error.to_string()))?;
        done.map_err(|source| Error::Read {
            path: self.settings.path.clone(),
            source,
        })
    }

    async fn settle(&mut self, place: Place) -> Result<(), Error> {
        let position = self.position(place);
        self.sink.advance(position).await?;
        self.place = Some(place);
        Ok(())
    }

    fn position(&self, place: Place) -> Position {
        Position {
            source: self.name.clone(),
            value: place.to_value(),
        }
    }

    fn event(&self, line: &Line) -> Event {
        let path = &self.settings.path;
        let name = path.file_name().unwrap_or_default();
        Event {
            trigger: FILE_LINE.into(),
            parameters: None,
            payload: dict! {
                "file_path" => path.to_string_lossy().into_owned(),
                "file_name" => name.to_string_lossy().into_owned(),
                "line" => line.text.as_str(),
                "truncated" => line.truncated,
            },
            trace_tag: None,
            dedupe_key: None,
            position: Some(self.position(line.end)),
            occurred_at: self.env.now(),
        }
    }
}

#[async_trait]
impl Source for LineSource {
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

fn open(path: &Path) -> io::Result<Option<(File, Place)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ));
    }
    let end = Place {
        file: Identity::of(&metadata),
        offset: metadata.len(),
    };
    Ok(Some((file, end)))
}

/// The place of a source that begins: behind what is there.
fn begin(path: &Path) -> io::Result<Place> {
    Ok(open(path)?.map_or_else(Place::default, |(_, end)| end))
}

/// What a look found.
struct Found {
    lines: Vec<Line>,
    /// Where to go on behind the lines.
    next: Place,
    /// Whether there is nothing more for now.
    is_all: bool,
}

/// Reads on from `place`.
fn read(path: &Path, place: Place) -> io::Result<Found> {
    let current = open(path)?;
    let named = current.as_ref().map(|(_, end)| end.file);
    if place.file.inode != 0 && Some(place.file) != named {
        // Another file has its name now, or none has: the rest of the old one comes first.
        if let Some((file, end)) = renamed(path, place.file)? {
            let lines = lines(file, place, end)?;
            if !lines.is_empty() {
                let next = lines.last().map_or(place, |line| line.end);
                return Ok(Found {
                    lines,
                    next,
                    is_all: false,
                });
            }
            if current.is_none() {
                return Ok(Found {
                    lines,
                    next: place,
                    is_all: true,
                });
            }
        }
    }
    let Some((file, end)) = current else {
        // Removed: whatever comes next is a new file, from its beginning.
        return Ok(Found {
            lines: Vec::new(),
            next: Place::default(),
            is_all: true,
        });
    };
    let is_same = place.file == end.file && place.offset <= end.offset;
    let from = Place {
        file: end.file,
        offset: if is_same { place.offset } else { 0 },
    };
    let lines = lines(file, from, end)?;
    let next = lines.last().map_or(from, |line| line.end);
    let is_all = lines.is_empty();
    Ok(Found {
        lines,
        next,
        is_all,
    })
}

/// The file with another name in the directory of `path`.
fn renamed(path: &Path, wanted: Identity) -> io::Result<Option<(File, Place)>> {
    let Some(directory) = path.parent() else {
        return Ok(None);
    };
    let Ok(entries) = fs::read_dir(directory) else {
        return Ok(None);
    };
    for entry in entries.take(SIBLINGS_MAX).filter_map(Result::ok) {
        let is_it = entry
            .metadata()
            .is_ok_and(|it| it.is_file() && Identity::of(&it) == wanted);
        if is_it && let Some((file, end)) = open(&entry.path())? {
            return Ok((end.file == wanted).then_some((file, end)));
        }
    }
    Ok(None)
}

/// The whole lines behind `from`, as far as one read goes; none when the last line has no end yet.
fn lines(mut file: File, from: Place, end: Place) -> io::Result<Vec<Line>> {
    if from.offset >= end.offset {
        return Ok(Vec::new());
    }
    file.seek(SeekFrom::Start(from.offset))?;
    let mut reader = BufReader::with_capacity(LINE_BYTES_MAX, file);
    let (mut lines, mut place) = (Vec::new(), from);
    while place.offset - from.offset < READ_BYTES_MAX {
        let mut bytes = Vec::new();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let mut taken = reader.by_ref().take(limit).read_until(b'\n', &mut bytes)? as u64;
        let truncated = bytes.last() != Some(&b'\n');
        if truncated {
            if taken < limit {
                // The end of the file, in the middle of a line.
                break;
            }
            let Some(rest) = skip_line(&mut reader)? else {
                break;
            };
            taken += rest;
            bytes.truncate(LINE_BYTES_MAX);
        } else {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        place.offset += taken;
        lines.push(Line {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            truncated,
            end: place,
        });
    }
    Ok(lines)
}

/// Passes over the rest of a long line; `None` when its end is not written yet.
fn skip_line(reader: &mut impl BufRead) -> io::Result<Option<u64>> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(buffer.len(), |end| end + 1);
        skipped += taken as u64;
        reader.consume(taken);
        if end.is_some() {
            return Ok(Some(skipped));
        }
    }
}
