//! What is special about files: who may open one, and what damage does.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use squall_model::{DocumentKind, ExecutionId};
use squall_store::contract::{World, at, chunks, insert, payload, put, text};
use squall_store::{Command, Error, Page, Store};
use squall_store_sqlite::{Durability, Options, SqliteStore};
use tempfile::TempDir;

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory for the test")
}

fn open(path: &Path) -> Result<SqliteStore, Error> {
    SqliteStore::open(path, Options::default())
}

fn world(path: &Path) -> World {
    World::new(Arc::new(open(path).expect("the store opens")))
}

/// Changes the file behind the store's back, while it is closed.
fn meddle(path: &Path, sql: &str) {
    let connection = Connection::open(path).expect("the file opens");
    connection.execute_batch(sql).expect("the meddling works");
}

#[track_caller]
fn check_unusable(path: &Path, expect: &str) {
    match open(path) {
        Err(Error::Unusable(message)) => {
            let message = message.replace(&*path.to_string_lossy(), "FILE");
            assert_eq!(message, expect);
        }
        other => panic!("the file was expected to be refused: {other:?}"),
    }
}

#[tokio::test]
async fn one_server_at_a_time() {
    let directory = directory();
    let path = directory.path().join("squall.db");
    let first = open(&path).expect("the store opens");
    check_unusable(
        &path,
        "another server uses the data directory of FILE: stop it first, or use a directory of its \
         own",
    );
    first.close().await;
    let second = open(&path).expect("the store opens once it is free");
    second.close().await;
}

/// As after `kill -9`: the kernel may still be clearing the last server away.
#[tokio::test]
async fn a_server_that_is_just_ending_is_waited_for() {
    let directory = directory();
    let path = directory.path().join("squall.db");
    let first = open(&path).expect("the store opens");
    let next = tokio::task::spawn_blocking(move || open(&path));
    first.close().await;
    let second = next.await.expect("no panic");
    second
        .expect("the store opens as soon as it is free")
        .close()
        .await;
}

#[tokio::test]
async fn foreign_files_stay_as_they_are() {
    let directory = directory();
    let path = directory.path().join("squall.db");
    meddle(&path, "CREATE TABLE theirs (a)");
    let before = std::fs::read(&path).expect("readable");
    check_unusable(&path, "FILE is not a store of Squall");
    assert_eq!(std::fs::read(&path).expect("readable"), before);
    let text = directory.path().join("text.db");
    std::fs::write(
        &text,
        "this is no database, but a text of some length\n".repeat(100),
    )
    .expect("writable");
    check_unusable(&text, "FILE is not a store of Squall");
}

#[tokio::test]
async fn newer_and_changed_schemas_are_refused() {
    let directory = directory();
    let path = directory.path().join("squall.db");
    open(&path).expect("the store opens").close().await;
    let known: u32 = Connection::open(&path)
        .and_then(|file| {
            file.query_row("SELECT count(*) FROM schema_version", [], |row| row.get(0))
        })
        .expect("readable");
    meddle(
        &path,
        "INSERT INTO schema_version VALUES (999, 'future', 1)",
    );
    let newer = known + 1;
    check_unusable(
        &path,
        &format!(
            "its schema has version {newer}, and this program knows versions up to {known}: start \
             the newer program, or restore a backup"
        ),
    );
    meddle(
        &path,
        "DELETE FROM schema_version WHERE number = 999; UPDATE schema_version SET checksum = 1",
    );
    check_unusable(
        &path,
        "version 1 of its schema was made by another program than this one",
    );
}

#[tokio::test]
async fn damaged_records_are_named_and_hide_no_others() {
    let directory = directory();
    let path = directory.path().join("squall.db");
    let before = world(&path);
    let mut executions = Vec::new();
    for _ in 0..3 {
        let execution = before.execution("core.noop", 1);
        let insert = Command::InsertExecution {
            execution: Arc::clone(&execution),
            result: Some(payload(&format!("\"{}\"", "long ".repeat(10_000)))),
        };
        before.hold(1, vec![insert]).await;
        executions.push(execution);
    }
    for key in ["a", "b", "c"] {
        let document = before.document(DocumentKind::Key, key, 1);
        before.hold(1, vec![put(&document)]).await;
    }
    before.store.close().await;

    let id = executions[1].id();
    meddle(
        &path,
        &format!(
            "UPDATE execution SET body = '{{}}' WHERE id = x'{id}';
             UPDATE result SET body = substr(body, 1, 100) || x'00'
             WHERE seq = (SELECT seq FROM execution WHERE id = x'{id}');
             UPDATE document SET body = x'0102' WHERE key = 'b'"
        ),
    );
    let store = open(&path).expect("the store opens");
    let damaged = |error: Error| error.to_string();
    let error = store.execution(id).await.expect_err("it is damaged");
    assert_eq!(
        damaged(error),
        format!("the store holds a damaged record: execution {id}: its header has no version")
    );
    let error = store.result(id).await.expect_err("it is damaged");
    assert_eq!(
        damaged(error),
        format!("the store holds a damaged record: result {id}: the compressed text is cut short")
    );
    let error = store.document(DocumentKind::Key, "b", at(1)).await;
    let error = damaged(error.expect_err("it is damaged"));
    assert!(error.contains("document"), "{error}");

    let listed = store.executions(&Default::default(), Page::ALL).await;
    let listed = listed.expect("the others are there");
    let ids: Vec<ExecutionId> = listed.items.iter().map(|one| one.id()).collect();
    assert_eq!(ids, [executions[2].id(), executions[0].id()]);
    let listed = store
        .documents(DocumentKind::Key, &Default::default(), Page::ALL, at(1))
        .await;
    let listed = listed.expect("the others are there");
    let keys: Vec<_> = listed.items.iter().map(|one| &*one.key).collect();
    assert_eq!(keys, ["a", "c"]);
    let result = store.result(executions[0].id()).await;
    assert!(result.expect("readable").is_some());
    store.close().await;
}

#[tokio::test]
async fn calls_after_close_fail() {
    let directory = directory();
    let world = world(&directory.path().join("squall.db"));
    let store = &world.store;
    store.close().await;
    store.close().await;
    let committed = world.commit(1, Vec::new()).await;
    let error = committed.expect_err("it is closed");
    assert_eq!(
        error.to_string(),
        "the store did not answer: the store is closed"
    );
    assert!(store.servers().await.is_err());
}

#[tokio::test]
async fn what_was_handed_in_is_carried_out_before_the_close() {
    let directory = directory();
    let path = directory.path().join("squall.db");
    let before = Arc::new(world(&path));
    let mut commits = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let world = Arc::clone(&before);
        commits.spawn(async move {
            let commands = vec![insert(&world.execution("core.noop", 1))];
            world.commit(1, commands).await.is_ok()
        });
    }
    tokio::task::yield_now().await;
    before.store.close().await;
    let held = commits.join_all().await;
    let held = held.iter().filter(|held| **held).count();
    let after = open(&path).expect("the store opens");
    let listed = after.executions(&Default::default(), Page::first(0)).await;
    assert_eq!(listed.expect("readable").total, held as u64);
    after.close().await;
}

#[tokio::test]
async fn purged_space_is_given_back() {
    let directory = directory();
    let path = directory.path().join("squall.db");
    let world = world(&path);
    let execution = world.execution("core.noop", 1);
    let lines: Vec<String> = (0..2_000_u64)
        .map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).repeat(60))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let output = Command::AppendOutput {
        execution: execution.id(),
        at: 0,
        chunks: chunks(&lines),
    };
    let over = squall_store::contract::ended(&execution, squall_model::Outcome::Failed, 2);
    let commands = vec![
        insert(&execution),
        output,
        squall_store::contract::update(&over),
        Command::PutContent {
            hash: text("h"),
            text: text("stays"),
        },
    ];
    world.hold(1, commands).await;
    let pages = || {
        let connection = Connection::open(&path).expect("the file opens");
        let count = connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0));
        count.expect("readable")
    };
    let before = pages();
    let purge = squall_store::Purge::Output {
        ended_before: at(100),
        limit: 10,
    };
    assert_eq!(world.store.purge(purge).await.expect("purged"), 1);
    assert!(pages() < before / 2, "{} of {before} pages", pages());
    world.store.close().await;
}

#[tokio::test]
async fn weaker_durability_keeps_what_was_closed_in_order() {
    for durability in [Durability::Process, Durability::None] {
        let directory = directory();
        let path = directory.path().join("squall.db");
        let options = Options {
            durability,
            readers: 1,
        };
        let store = SqliteStore::open(&path, options).expect("the store opens");
        let world = World::new(Arc::new(store));
        let execution = world.inserted("core.noop", 1).await;
        world.store.close().await;
        let store = open(&path).expect("the store opens");
        let read = store.execution(execution.id()).await;
        assert_eq!(read.expect("readable"), Some(execution));
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_refuses_fails_alone() {
    let directory = directory();
    let path = directory.path().join("squall.db");
    open(&path).expect("the store opens").close().await;
    meddle(
        &path,
        "CREATE TRIGGER refuse BEFORE INSERT ON execution WHEN new.user = 'mallory'
         BEGIN SELECT raise(ABORT, 'no'); END",
    );
    let world = world(&path);
    let mut commits = tokio::task::JoinSet::new();
    for index in 0..200 {
        let mut request = world.request("core.noop", 1);
        if index % 50 == 25 {
            request.user = text("mallory");
        }
        let commands = vec![insert(&squall_store::contract::requested(request))];
        let store = Arc::clone(&world.store);
        commits.spawn(async move {
            let transaction = squall_store::Transaction::new(at(1), commands);
            store.commit(transaction).await.is_ok()
        });
    }
    let held = commits.join_all().await;
    assert_eq!(held.iter().filter(|held| **held).count(), 196);
    let positions: Vec<u64> = world
        .changes()
        .await
        .iter()
        .map(|one| one.position)
        .collect();
    assert_eq!(positions, (1..=196).collect::<Vec<_>>());
    world.store.close().await;
}
