//! The change feed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use squall_model::{DocumentKind, EnforcementOutcome, Event, Status, TriggerInstanceStatus};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use super::{World, advanced, at, bare, chunks, emit, insert, next, put, text, update};
use crate::{Change, Command, Operation, Record, Subject, Transaction};

/// Changes of these moments, operations and subjects, with positions from 1.
fn numbered(changes: Vec<(i64, Operation, Subject)>) -> Vec<Change> {
    let changes = changes.into_iter().zip(1..);
    let changes = changes.map(|((seconds, operation, subject), position)| Change {
        position,
        at: at(seconds),
        operation,
        subject,
        record: None,
    });
    changes.collect()
}

/// Each change is in the feed once, in order, with its subject and time.
pub async fn every_change_is_in_the_feed(world: &World) {
    assert_eq!(world.store.change_bounds().await.expect("readable"), (0, 0));
    let event = world.event("core.webhook", 1);
    let execution = world.execution("core.local", 1);
    let admitted = advanced(&execution, &[Event::Admit], 2);
    let enforcement = world.enforcement(
        "acme.restart",
        event.id,
        1,
        EnforcementOutcome::Execution(execution.id()),
    );
    let document = world.document(DocumentKind::Position, "git:acme", 2);
    let key = Arc::clone(&document.key);
    let committed = world
        .hold(
            1,
            vec![
                emit(&event),
                Command::FinishTriggerInstance {
                    id: event.id,
                    status: TriggerInstanceStatus::Processed,
                },
                Command::InsertEnforcement(Arc::clone(&enforcement)),
                insert(&execution),
            ],
        )
        .await;
    assert_eq!(committed.position, 4);
    let output = Command::AppendOutput {
        execution: execution.id(),
        at: 0,
        chunks: chunks(&["a", "b"]),
    };
    let delete = Command::DeleteDocument {
        kind: document.kind,
        key: Arc::clone(&key),
        from: 1,
    };
    let committed = world
        .hold(2, vec![update(&admitted), output, put(&document), delete])
        .await;
    assert_eq!(committed.position, 8);

    let of_document = || Subject::Document {
        kind: document.kind,
        key: Arc::clone(&key),
        id: document.id,
    };
    let of_execution = |status| Subject::Execution {
        id: execution.id(),
        status,
    };
    let expect = [
        (1, Operation::Created, Subject::TriggerInstance(event.id)),
        (1, Operation::Updated, Subject::TriggerInstance(event.id)),
        (1, Operation::Created, Subject::Enforcement(enforcement.id)),
        (1, Operation::Created, of_execution(Status::Requested)),
        (2, Operation::Updated, of_execution(Status::Scheduled)),
        (
            2,
            Operation::Created,
            Subject::Output {
                execution: execution.id(),
                first: 0,
                count: 2,
            },
        ),
        (2, Operation::Created, of_document()),
        (2, Operation::Deleted, of_document()),
    ];
    assert_eq!(world.changes().await, numbered(expect.to_vec()));
    assert_eq!(world.store.change_bounds().await.expect("readable"), (1, 8));
}

/// A subscriber gets what the feed keeps, with the records as they are after the change.
pub async fn live_changes_carry_records(world: &World) {
    let before = world.inserted("core.noop", 1).await;
    let mut subscription = world.store.subscribe();
    let event = world.event("core.webhook", 1);
    let document = world.document(DocumentKind::Rule, "acme.restart", 1);
    let output = chunks(&["a"]);
    let admitted = advanced(&before, &[Event::Admit], 2);
    world
        .hold(
            1,
            vec![
                emit(&event),
                Command::FinishTriggerInstance {
                    id: event.id,
                    status: TriggerInstanceStatus::Processed,
                },
            ],
        )
        .await;
    let delete = Command::DeleteDocument {
        kind: document.kind,
        key: Arc::clone(&document.key),
        from: 1,
    };
    let append = Command::AppendOutput {
        execution: before.id(),
        at: 0,
        chunks: Arc::clone(&output),
    };
    // Without a change there is no message.
    world.hold(1, Vec::new()).await;
    world
        .hold(2, vec![put(&document), update(&admitted), append])
        .await;
    world.hold(3, vec![delete]).await;

    let mut live = Vec::new();
    while live.len() < 6 {
        live.extend(next(&mut subscription).await.iter().cloned());
    }
    let mut processed = (*event).clone();
    processed.status = TriggerInstanceStatus::Processed;
    let document = Arc::new(document);
    let records = [
        Record::TriggerInstance(event),
        Record::TriggerInstance(Arc::new(processed)),
        Record::Document(Arc::clone(&document)),
        Record::Execution(admitted),
        Record::Output(output),
        Record::Document(document),
    ];
    assert_eq!(bare(&live), world.changes().await[1..]);
    for (change, record) in live.into_iter().zip(records) {
        assert_eq!(change.record, Some(record));
    }
}

/// However commits race, the feed has one order without gaps, the same for those who listen and for
/// those who read; and a commit knows its place in it.
pub async fn concurrent_commits_are_in_one_order(world: &World) {
    let mut subscription = world.store.subscribe();
    let mut commits = JoinSet::new();
    for index in 0..300_i64 {
        let first = world.execution("core.noop", 1000 - index);
        let mut commands = vec![insert(&first)];
        if index % 3 == 0 {
            commands.push(insert(&world.execution("core.noop", index)));
        }
        if index % 7 == 0 {
            commands = vec![Command::PutContent {
                hash: text(&index.to_string()),
                text: text("x"),
            }];
        }
        let store = Arc::clone(&world.store);
        commits.spawn(async move {
            // Later ones decided at earlier times: the order is that of commits, not of clocks.
            let last = commands.iter().rev().find_map(|command| match command {
                Command::InsertExecution { execution, .. } => Some(execution.id()),
                _ => None,
            });
            let transaction = Transaction::new(at(1000 - index), commands);
            let committed = store.commit(transaction).await.expect("holds");
            (last, committed.position)
        });
    }
    let mut places = HashMap::new();
    for (last, position) in commits.join_all().await {
        match last {
            Some(id) => assert!(places.insert(position, id).is_none()),
            None => assert_eq!(position, 0),
        }
    }
    let changes = world.changes().await;
    assert!(
        changes
            .iter()
            .map(|change| change.position)
            .eq(1..=changes.len() as u64)
    );
    let distinct: HashSet<_> = changes
        .iter()
        .map(|change| format!("{:?}", change.subject))
        .collect();
    assert_eq!(distinct.len(), changes.len());
    for (position, id) in places {
        let index = usize::try_from(position - 1).expect("a small position");
        assert!(matches!(changes[index].subject, Subject::Execution { id: of, .. } if of == id));
    }
    let mut live = Vec::new();
    while live.len() < changes.len() {
        live.extend(bare(&next(&mut subscription).await));
    }
    assert_eq!(live, changes);
}

/// A subscriber that does not keep up is told so, and finds the rest in the store.
pub async fn laggards_are_told(world: &World) {
    let mut subscription = world.store.subscribe();
    let mut document = world.document(DocumentKind::Position, "p", 1);
    let total = crate::BACKLOG as u64 + 100;
    for batch in 0..total.div_ceil(50) {
        let mut commits = JoinSet::new();
        for index in 0..50 {
            document.key = text(&format!("{batch}:{index}"));
            document.id = world.id();
            let (store, command) = (Arc::clone(&world.store), put(&document));
            commits.spawn(async move {
                let transaction = Transaction::new(at(1), vec![command]);
                store.commit(transaction).await.expect("holds")
            });
        }
        commits.join_all().await;
    }
    // Back ends differ in how many commits one message holds, so it may also be that nothing was
    // dropped; but never that something is missing without a word.
    let mut seen = 0;
    let last = world.store.change_bounds().await.expect("readable").1;
    while seen < last {
        let message = tokio::time::timeout(std::time::Duration::from_secs(60), subscription.recv());
        match message.await.expect("a message or a word about its loss") {
            Ok(changes) => {
                for change in changes.iter() {
                    if change.position <= seen {
                        continue;
                    }
                    assert_eq!(change.position, seen + 1);
                    seen = change.position;
                }
            }
            Err(RecvError::Lagged(_)) => {
                let missed = world.store.changes_after(seen, usize::MAX).await;
                for change in missed.expect("readable") {
                    assert_eq!(change.position, seen + 1);
                    seen = change.position;
                }
            }
            Err(RecvError::Closed) => panic!("the store is still there"),
        }
    }
}

/// The feed can be read on from any position, in parts of any size.
pub async fn the_feed_is_read_in_parts(world: &World) {
    for seconds in 0..25 {
        world.inserted("core.noop", seconds).await;
    }
    let all = world.changes().await;
    for limit in [1, 7, 25, 100] {
        let (mut read, mut position) = (Vec::new(), 0);
        loop {
            let part = world.store.changes_after(position, limit).await;
            let part = part.expect("readable");
            assert!(part.len() <= limit);
            let Some(last) = part.last() else { break };
            position = last.position;
            read.extend(part);
        }
        assert_eq!(read, all);
    }
    for (position, count) in [(24, 1), (25, 0), (1000, 0), (u64::MAX, 0)] {
        let part = world.store.changes_after(position, 10).await;
        assert_eq!(part.expect("readable").len(), count);
    }
}
