//! Opening the file: the lock, the settings, the schema.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use squall_store::Error;
use squall_store::migrate::{self, Migration};

const MIGRATIONS: [Migration; 5] = [
    Migration {
        number: 1,
        name: "initial",
        sql: include_str!("schema/0001_initial.sql"),
    },
    Migration {
        number: 2,
        name: "lists",
        sql: include_str!("schema/0002_lists.sql"),
    },
    Migration {
        number: 3,
        name: "runner",
        sql: include_str!("schema/0003_runner.sql"),
    },
    Migration {
        number: 4,
        name: "buckets",
        sql: include_str!("schema/0004_buckets.sql"),
    },
    Migration {
        number: 5,
        name: "audit",
        sql: include_str!("schema/0005_audit.sql"),
    },
];

/// Marks the file as ours: `SQLL`.
const APPLICATION_ID: i64 = 0x5351_4c4c;

/// What an acknowledged commit survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Loss of power: every commit waits for the disk.
    #[default]
    Full,
    /// The death of the process; a loss of power may take the last commits.
    Process,
    /// Nothing for sure: a loss of power may damage the file. For tests and throw-away data.
    None,
}

/// How the store works.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What an acknowledged commit survives.
    pub durability: Durability,
    /// How many reads go on at the same time.
    pub readers: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            durability: Durability::Full,
            readers: 4,
        }
    }
}

/// An opened file: the lock that keeps other servers away, and the writer's connection.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) lock: File,
    pub(crate) writer: Connection,
}

/// Opens or creates the database at `path`, and brings its schema up to date.
pub(crate) fn open(path: &Path, options: Options) -> Result<Opened, Error> {
    let lock = lock(path)?;
    create_private(path)?;
    let mut writer = Connection::open(path).map_err(|error| {
        Error::Unusable(format!(
            "the database {} cannot be opened: {error}",
            path.display()
        ))
    })?;
    identify(&writer, path)?;
    configure(&writer, options).map_err(|error| describe(&error))?;
    migrate(&mut writer)?;
    Ok(Opened { lock, writer })
}

/// Makes the database for its owner alone. SQLite gives its journals the rights of the database.
fn create_private(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::Unusable(format!(
            "the database {} cannot be made: {error}",
            path.display()
        ))),
    }
}

/// How often, and after what pauses, is looked whether the other server is gone: one that was killed
/// a moment ago holds its files until the kernel has cleared it away, with what it was just starting.
const LOCK_LOOKS: u32 = 40;
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Keeps other servers away for as long as the file is held open. SQLite's own locks would let two
/// servers write by turns, each believing that it is alone.
fn lock(path: &Path) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(|error| {
            Error::Unusable(format!("{} cannot be written: {error}", name.display()))
        })?;
    let mut looks = 0;
    let locked = loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if looks < LOCK_LOOKS => {
                looks += 1;
                thread::sleep(LOCK_LOOK_EVERY);
            }
            locked => break locked,
        }
    };
    match locked {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Unusable(format!(
            "another server uses the data directory of {}: stop it first, or use a directory of \
             its own",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(Error::Unusable(format!(
            "{} cannot be locked: {error}",
            name.display()
        ))),
    }
}

/// Refuses a file that is not a store of Squall before anything is written to it.
fn identify(connection: &Connection, path: &Path) -> Result<(), Error> {
    let read = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let foreign = || Error::Unusable(format!("{} is not a store of Squall", path.display()));
    let id = read("PRAGMA application_id").map_err(|_| foreign())?;
    let tables = read("SELECT count(*) FROM sqlite_schema").map_err(|_| foreign())?;
    if id == APPLICATION_ID || (id == 0 && tables == 0) {
        Ok(())
    } else {
        Err(foreign())
    }
}

fn configure(connection: &Connection, options: Options) -> rusqlite::Result<()> {
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    let synchronous = match options.durability {
        Durability::Full => "FULL",
        Durability::Process => "NORMAL",
        Durability::None => "OFF",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "cache_size", -64_000)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Pages: 16 MiB. Smaller means more copying of the same hot pages, larger means longer pauses.
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// A connection that only reads.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags(path, flags)?;
    reader.pragma_update(None, "cache_size", -16_000)?;
    reader.pragma_update(None, "mmap_size", 1_i64 << 30)?;
    reader.set_prepared_statement_cache_capacity(64);
    Ok(reader)
}

fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let run = |connection: &mut Connection| -> rusqlite::Result<Vec<(u32, u32)>> {
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS schema_version (
                 number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum INTEGER NOT NULL)",
        )?;
        let sql = "SELECT number, checksum FROM schema_version ORDER BY number";
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    };
    let applied = run(connection).map_err(|error| describe(&error))?;
    for migration in migrate::pending(&MIGRATIONS, &applied)? {
        apply(connection, migration).map_err(|error| {
            Error::Unusable(format!(
                "its schema cannot be brought to version {}: {error}",
                migration.number
            ))
        })?;
    }
    Ok(())
}

fn apply(connection: &mut Connection, migration: &Migration) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(migration.sql)?;
    transaction.execute(
        "INSERT INTO schema_version (number, name, checksum) VALUES (?1, ?2, ?3)",
        (migration.number, migration.name, migration.checksum()),
    )?;
    transaction.commit()
}

/// An error of SQLite as the port's.
pub(crate) fn describe(error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Unavailable(
            "another program holds the database locked: end it, then try again".to_owned(),
        ),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::Damaged(format!("the database file: {error}"))
        }
        _ => Error::Unavailable(error.to_string()),
    }
}
