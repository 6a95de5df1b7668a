//! What was acknowledged is there after the store was closed and opened again.

use std::sync::Arc;

use squall_model::{DocumentKind, EnforcementOutcome, Outcome};

use super::{World, at, at_first, chunks, emit, ended, insert, payload, put, text};
use crate::{Command, Page, Refusal, Store};

/// Everything is there after a close and an open; numbers go on where they were.
///
/// `open` opens the same store each time.
pub async fn reopened(open: impl AsyncFn() -> Arc<dyn Store>) {
    let world = World::new(open().await);
    let execution = at_first(&ended(
        &world.execution("core.local", 1),
        Outcome::Failed,
        2,
    ));
    let waiting = world.execution("core.noop", 1);
    let event = world.event("core.webhook", 1);
    let answer = EnforcementOutcome::Execution(execution.id());
    let enforcement = world.enforcement("acme.r", event.id, 1, answer);
    let document = world.document(DocumentKind::Rule, "acme.r", 1);
    let first = world
        .store
        .register_server("a:1", "boot", at(50))
        .await
        .expect("registered");
    let remembered = world.id();
    let remember = |id| Command::Remember {
        key: text("key"),
        id,
        expires: at(100),
    };
    let lease = |holder| Command::HoldLease {
        name: text("timers"),
        holder,
        until: at(100),
    };
    let pieces = |at| Command::AppendPieces {
        execution: execution.id(),
        at,
        pieces: vec![text("{}")],
    };
    let output = |at| Command::AppendOutput {
        execution: execution.id(),
        at,
        chunks: chunks(&["a"]),
    };
    let commands = vec![
        Command::InsertExecution {
            execution: Arc::clone(&execution),
            result: Some(payload("1")),
        },
        insert(&waiting),
        emit(&event),
        Command::InsertEnforcement(Arc::clone(&enforcement)),
        put(&document),
        remember(remembered),
        lease(first.lease),
        pieces(0),
        output(0),
        Command::PutContent {
            hash: text("h"),
            text: text("content"),
        },
    ];
    world.hold(1, commands).await;
    let changes = world.changes().await;
    world.store.close().await;
    let World { store, last } = world;
    drop(store);

    let world = World {
        store: open().await,
        last,
    };
    let store = &world.store;
    let read = store.execution(execution.id()).await.expect("readable");
    assert_eq!(read.as_ref(), Some(&execution));
    assert_eq!(
        store.result(execution.id()).await.expect("readable"),
        Some(payload("1"))
    );
    assert_eq!(
        store.unfinished(None, 9).await.expect("readable"),
        vec![waiting.clone()]
    );
    assert_eq!(
        store.pending_trigger_instances(9).await.expect("readable"),
        vec![event.clone()]
    );
    assert_eq!(
        store.enforcement(enforcement.id).await.expect("readable"),
        Some(enforcement)
    );
    let read = store
        .document(document.kind, &document.key, at(2))
        .await
        .expect("readable");
    assert_eq!(read.as_deref(), Some(&document));
    assert_eq!(
        store.content("h").await.expect("readable"),
        Some(text("content"))
    );
    assert_eq!(
        store.servers().await.expect("readable"),
        vec![first.clone()]
    );
    assert_eq!(world.changes().await, changes);
    let listed = store
        .executions(&Default::default(), Page::first(1))
        .await
        .expect("readable");
    assert_eq!((listed.total, listed.items.len()), (2, 1));

    let other = squall_model::Lease(first.lease.0 + 100);
    for (command, refusal) in [
        (insert(&execution), Refusal::Exists),
        (emit(&event), Refusal::Exists),
        (put(&document), Refusal::Exists),
        (remember(world.id()), Refusal::Duplicate(remembered)),
        (lease(other), Refusal::Leased),
        (pieces(0), Refusal::Changed),
        (output(0), Refusal::Changed),
    ] {
        assert_eq!(world.refuse(2, vec![command]).await, (0, refusal));
    }
    let committed = world.hold(
        2,
        vec![
            pieces(1),
            output(1),
            insert(&world.execution("core.noop", 2)),
        ],
    );
    assert_eq!(committed.await.position, changes.len() as u64 + 2);
    let second = store
        .register_server("a:2", "boot", at(50))
        .await
        .expect("registered");
    assert!(second.lease > first.lease);
    world.store.close().await;
}
