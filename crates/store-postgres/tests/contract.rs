//! The store in PostgreSQL keeps the contract, and what is special about many servers.

use std::sync::Arc;
use std::sync::{Mutex, Weak};

use squall_env::SystemEnv;
use squall_store::contract::World;
use squall_store::{Refusal, Store, Transaction, contract};
use squall_store_postgres::PostgresStore;
use squall_store_postgres::testing::PrivateServer;
use tokio::task::JoinSet;

/// One server for all tests that run at the same time; it ends with the last of them.
fn server() -> Arc<PrivateServer> {
    static SERVER: Mutex<Weak<PrivateServer>> = Mutex::new(Weak::new());
    let mut shared = SERVER
        .lock()
        .expect("no test dies while it starts the server");
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = PrivateServer::start().unwrap_or_else(|error| panic!("{error}"));
    let server = Arc::new(server);
    *shared = Arc::downgrade(&server);
    server
}

async fn connect(url: &str) -> Arc<dyn Store> {
    let store = PostgresStore::connect(url, Arc::new(SystemEnv::new())).await;
    Arc::new(store.expect("the store opens"))
}

async fn make() -> (Arc<dyn Store>, Arc<PrivateServer>) {
    let server = server();
    let url = server.database().expect("a database for the test");
    (connect(&url).await, server)
}

squall_store::contract!(make);

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let server = server();
    let url = server.database().expect("a database for the test");
    contract::durability::reopened(async || connect(&url).await).await;
}

/// Two servers commit at the same time: both see all changes of both, once, in one order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_see_each_other_in_one_order() {
    let server = server();
    let url = server.database().expect("a database for the test");
    let world = World::new(connect(&url).await);
    let stores = [Arc::clone(&world.store), connect(&url).await];
    let mut subscriptions = stores.each_ref().map(|store| store.subscribe());
    let mut commits = JoinSet::new();
    for index in 0..200 {
        let execution = world.execution("core.noop", 1);
        let mut commands = vec![contract::insert(&execution)];
        if index % 4 == 0 {
            commands.push(contract::insert(&world.execution("core.noop", 2)));
        }
        let store = Arc::clone(&stores[index % 2]);
        commits.spawn(async move {
            let transaction = Transaction::new(contract::at(1), commands);
            store.commit(transaction).await.expect("holds")
        });
    }
    commits.join_all().await;
    let changes = world.changes().await;
    assert_eq!(changes.len(), 250);
    assert!(changes.iter().map(|change| change.position).eq(1..=250));
    for subscription in &mut subscriptions {
        let mut seen = Vec::new();
        while seen.len() < changes.len() {
            seen.extend(contract::next(subscription).await.iter().cloned());
        }
        assert!(seen.iter().all(|change| change.record.is_some()));
        assert_eq!(contract::bare(&seen), changes);
    }
    for store in stores {
        store.close().await;
    }
}

/// Of two servers that change the same document from the same revision, one wins each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_do_not_overwrite_each_other() {
    let server = server();
    let url = server.database().expect("a database for the test");
    let world = World::new(connect(&url).await);
    let other = connect(&url).await;
    let mut document = world.document(squall_model::DocumentKind::Position, "p", 1);
    world.hold(1, vec![contract::put(&document)]).await;
    for revision in 2..20 {
        document.revision = revision;
        let commit = |store: &Arc<dyn Store>| {
            let transaction = Transaction::new(contract::at(2), vec![contract::put(&document)]);
            let store = Arc::clone(store);
            async move { store.commit(transaction).await }
        };
        let (first, second) = tokio::join!(commit(&world.store), commit(&other));
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        let lost = first.err().or(second.err()).expect("one of them lost");
        assert_eq!(lost.refusal(), Some(&Refusal::Changed));
    }
    world.store.close().await;
    other.close().await;
}

/// What the database itself refuses fails alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_refuses_fails_alone() {
    let (store, _server) = make().await;
    let world = World::new(store);
    let mut commits = JoinSet::new();
    for index in 0..50 {
        let mut request = world.request("core.noop", 1);
        if index == 25 {
            // Longer than an entry of an index may be, and without repetition that compresses.
            let mut state = 1_u64;
            let noise: String = (0..20_000)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    char::from(b'!' + u8::try_from((state >> 33) % 90).expect("small"))
                })
                .collect();
            request.trace_tag = Some(contract::text(&noise));
        }
        let commands = vec![contract::insert(&contract::requested(request))];
        let store = Arc::clone(&world.store);
        commits.spawn(async move {
            let transaction = Transaction::new(contract::at(1), commands);
            store.commit(transaction).await.is_ok()
        });
    }
    let held = commits.join_all().await;
    assert_eq!(held.iter().filter(|held| **held).count(), 49);
    assert_eq!(world.changes().await.len(), 49);
    world.store.close().await;
}

/// A server that lost its connections makes new ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connections_are_made_again() {
    let server = server();
    let url = server.database().expect("a database for the test");
    let world = World::new(connect(&url).await);
    let execution = world.inserted("core.noop", 1).await;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .expect("the server answers");
    let connection = tokio::spawn(connection);
    client
        .batch_execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await
        .expect("the others are ended");
    drop(client);
    let ended = connection.await;
    assert!(ended.is_ok());
    // The first attempts may still find the old connections.
    let next = world.execution("core.noop", 2);
    let mut held = false;
    for _ in 0..5 {
        let committed = world.commit(2, vec![contract::insert(&next)]).await;
        held |= committed.is_ok() || committed.is_err_and(|error| error.refusal().is_some());
    }
    assert!(held, "a commit holds again");
    let mut found = None;
    for _ in 0..5 {
        found = found.or(world.store.execution(execution.id()).await.ok().flatten());
    }
    assert_eq!(found, Some(execution));
    assert_eq!(world.changes().await.len(), 2);
    world.store.close().await;
}

/// What is wrong with a URL or a database is told in words that help, and without the password.
#[tokio::test]
async fn errors_tell_what_to_do() {
    let server = server();
    let missing = server.url("nowhere").replace("squall@", "squall:hunter2@");
    for (url, expect) in [
        (
            "not a url",
            "the store cannot be used: the database URL cannot be read",
        ),
        (
            "postgres://ann:hunter2@localhost:99999999/db",
            "the store cannot be used: the database URL cannot be read",
        ),
        (
            &*missing,
            "the store cannot be used: the database `nowhere` does not exist: create it with \
             `createdb -O squall nowhere`",
        ),
        (
            "postgres://ann:hunter2@127.0.0.1:1/db",
            "the store did not answer: no connection to PostgreSQL",
        ),
    ] {
        let opened = PostgresStore::connect(url, Arc::new(SystemEnv::new())).await;
        let error = opened.expect_err("there is no such database").to_string();
        assert!(error.starts_with(expect), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
