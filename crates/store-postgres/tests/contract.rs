//! The store in PostgreSQL keeps the contract, and what is special about many servers.

use std::sync::Arc;
use std::sync::{Mutex, Weak};

use squall_env::SystemEnv;
use squall_store::{Store, contract};
use squall_store_postgres::PostgresStore;
use squall_store_postgres::testing::PrivateServer;

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
