//! The store in SQLite keeps the contract, and what is special about files.

use std::path::Path;
use std::sync::Arc;

use squall_store::{Store, contract};
use squall_store_sqlite::{Options, SqliteStore};
use tempfile::TempDir;

fn open(directory: &Path) -> Arc<dyn Store> {
    let store = SqliteStore::open(&directory.join("squall.db"), Options::default());
    Arc::new(store.expect("the store opens"))
}

async fn make() -> (Arc<dyn Store>, TempDir) {
    let directory = tempfile::tempdir().expect("a directory for the test");
    (open(directory.path()), directory)
}

squall_store::contract!(make);

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    contract::durability::reopened(async || open(directory.path())).await;
}
