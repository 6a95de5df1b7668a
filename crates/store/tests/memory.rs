//! The store in memory keeps the contract.

use std::sync::Arc;

use squall_store::{MemoryStore, Store};

async fn make() -> (Arc<dyn Store>, ()) {
    (Arc::new(MemoryStore::new()), ())
}

squall_store::contract!(make);
