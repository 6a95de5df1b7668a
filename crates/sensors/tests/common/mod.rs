//! What the tests of this crate's shells share: a sink that remembers, a datastore in memory, a
//! log that can be read, and directories that vanish.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use squall_env::FakeEnv;
use squall_sensors::sensor::{Level, Log, Witness};
use squall_sensors::{
    Datastore, DatastoreError, DispatchError, Event, KeyListing, KeyWrite, Position, Receipt, Sink,
};
use squall_value::{Str, Value, dict};
use tokio::sync::{Semaphore, watch};

/// Keeps events in order, and the latest position of each source, as the engine would.
pub struct MemorySink {
    events: watch::Sender<Vec<Event>>,
    positions: watch::Sender<BTreeMap<Str, Value>>,
    permits: Semaphore,
    /// Errors that the next dispatches meet, the last one first.
    pub errors: Mutex<Vec<DispatchError>>,
}

impl MemorySink {
    pub fn new() -> Arc<MemorySink> {
        MemorySink::with_permits(Semaphore::MAX_PERMITS)
    }

    /// Accepts so many events; the others wait for [`Self::permit`].
    pub fn with_permits(permits: usize) -> Arc<MemorySink> {
        Arc::new(MemorySink {
            events: watch::channel(Vec::new()).0,
            positions: watch::channel(BTreeMap::new()).0,
            permits: Semaphore::new(permits),
            errors: Mutex::new(Vec::new()),
        })
    }

    pub fn permit(&self, count: usize) {
        self.permits.add_permits(count);
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.borrow().clone()
    }

    pub fn position(&self, source: &str) -> Option<Value> {
        self.positions.borrow().get(source).cloned()
    }

    /// Waits until there are at least `count` events.
    pub async fn wait_for(&self, count: usize) -> Vec<Event> {
        let mut events = self.events.subscribe();
        let seen = events.wait_for(|events| events.len() >= count).await;
        seen.expect("the sink owns the sender").clone()
    }

    /// Waits until the position of `source` is what is wanted.
    pub async fn wait_for_position(&self, source: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut positions = self.positions.subscribe();
        let seen = positions
            .wait_for(|positions| positions.get(source).is_some_and(&wanted))
            .await
            .expect("the sink owns the sender");
        seen[source].clone()
    }
}

#[async_trait]
impl Sink for MemorySink {
    async fn dispatch(&self, event: Event) -> Result<Receipt, DispatchError> {
        self.permits.acquire().await.expect("never closed").forget();
        if let Some(error) = self.errors.lock().pop() {
            return Err(error);
        }
        if let Some(position) = &event.position {
            let Position { source, value } = position.clone();
            self.positions.send_modify(|positions| {
                positions.insert(source, value);
            });
        }
        self.events.send_modify(|events| events.push(event));
        Ok(Receipt {
            event_id: "0".into(),
            duplicate: false,
        })
    }

    async fn advance(&self, position: Position) -> Result<(), DispatchError> {
        self.positions.send_modify(|positions| {
            positions.insert(position.source, position.value);
        });
        Ok(())
    }
}

/// Keys and values.
#[derive(Default)]
pub struct MemoryDatastore {
    pub writes: Mutex<BTreeMap<Str, KeyWrite>>,
}

#[async_trait]
impl Datastore for MemoryDatastore {
    async fn get(&self, name: &str, _decrypt: bool) -> Result<Option<Value>, DatastoreError> {
        if name.ends_with("broken") {
            return Err(DatastoreError {
                reason: "the datastore is out of order".to_owned(),
            });
        }
        Ok(self
            .writes
            .lock()
            .get(name)
            .map(|write| Value::from(write.value.clone())))
    }

    async fn set(&self, write: KeyWrite) -> Result<(), DatastoreError> {
        self.writes.lock().insert(write.name.clone(), write);
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<bool, DatastoreError> {
        Ok(self.writes.lock().remove(name).is_some())
    }

    async fn list(&self, listing: &KeyListing) -> Result<Vec<Value>, DatastoreError> {
        let prefix = listing.prefix.clone().unwrap_or_default();
        let writes = self.writes.lock();
        let matching = writes
            .values()
            .filter(|write| write.name.starts_with(&*prefix));
        Ok(matching
            .skip(usize::try_from(listing.offset).unwrap())
            .map(|write| dict! { "name" => write.name.clone(), "value" => write.value.clone() })
            .collect())
    }
}

/// Lines as `LEVEL logger: message`.
#[derive(Default)]
pub struct MemoryLog {
    lines: watch::Sender<Vec<String>>,
}

impl MemoryLog {
    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// Waits for a line that contains `text`.
    pub async fn wait_for(&self, text: &str) -> String {
        let mut lines = self.lines.subscribe();
        let find = |lines: &Vec<String>| lines.iter().find(|line| line.contains(text)).cloned();
        let seen = lines.wait_for(|lines| find(lines).is_some()).await;
        find(&seen.expect("the log owns the sender")).expect("it was just found")
    }
}

impl Log for MemoryLog {
    fn line(&self, _sensor: &str, level: Level, logger: &str, message: &str) {
        let line = format!("{level:?} {logger}: {message}");
        self.lines.send_modify(|lines| lines.push(line));
    }
}

/// Remembers what happened to processes, in words.
#[derive(Default)]
pub struct MemoryWitness(Mutex<Vec<String>>);

impl MemoryWitness {
    pub fn seen(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

#[async_trait]
impl Witness for MemoryWitness {
    async fn spawned(&self, pid: u32, command: String) {
        assert!(pid > 0);
        // The host of Python sensors, or a program that speaks the protocol by itself.
        assert!(command.ends_with(".py"), "{command}");
        self.0.lock().push("spawned".to_owned());
    }

    async fn exited(&self, status: Option<i32>) {
        self.0.lock().push(format!("exited {status:?}"));
    }
}

/// A clock that stands still, with chance that no other test has.
pub fn fake_env() -> Arc<FakeEnv> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Arc::new(FakeEnv::new(
        u64::from(std::process::id()) << 32 | u64::from(count),
    ))
}

/// Runs a program to its end and returns what it printed.
#[track_caller]
pub fn run(directory: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_NAME", "Ada")
        .env("GIT_AUTHOR_EMAIL", "ada@example.com")
        .env("GIT_COMMITTER_NAME", "Ada")
        .env("GIT_COMMITTER_EMAIL", "ada@example.com")
        .env("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z")
        .env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z")
        .output()
        .unwrap_or_else(|error| panic!("{program} could not be started: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
