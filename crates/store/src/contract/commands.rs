//! Every command's success and refusal, and what a transaction is.

use std::sync::Arc;

use squall_model::{
    Author, EnforcementOutcome, Event, Lease, Outcome, TriggerInstance, TriggerInstanceStatus,
};
use tokio::task::JoinSet;

use super::{World, advanced, at, emit, ended, insert, payload, put, text, update};
use crate::{Command, CommitError, Refusal, Transaction};

/// A new event is there afterwards; its id cannot be used again.
pub async fn events_are_inserted_once(world: &World) {
    let event = world.event("core.webhook", 1);
    world.hold(1, vec![emit(&event)]).await;
    let read = world.store.trigger_instance(event.id).await;
    assert_eq!(read.expect("readable").as_ref(), Some(&event));
    assert_eq!(
        world.refuse(1, vec![emit(&event)]).await,
        (0, Refusal::Exists)
    );
    let mut sent = TriggerInstance::clone(&world.event("core.webhook", 1));
    for delegate in [None, Some(text("user:bot"))] {
        sent.id = world.id();
        sent.sender = Some(Arc::new(Author {
            user: text("ann"),
            method: text("token"),
            delegate,
            address: Some(text("10.0.0.5")),
            ..Author::default()
        }));
        let sent = Arc::new(sent.clone());
        world.hold(1, vec![emit(&sent)]).await;
        let read = world.store.trigger_instance(sent.id).await;
        assert_eq!(read.expect("readable").as_ref(), Some(&sent));
    }
    let absent = world.store.trigger_instance(world.id()).await;
    assert_eq!(absent.expect("readable"), None);
}

/// An event leaves `pending` once.
pub async fn events_are_finished_once(world: &World) {
    let event = world.event("core.webhook", 1);
    let finish = |status| Command::FinishTriggerInstance {
        id: event.id,
        status,
    };
    let processed = finish(TriggerInstanceStatus::Processed);
    assert_eq!(
        world.refuse(1, vec![processed.clone()]).await,
        (0, Refusal::Missing)
    );
    world.hold(1, vec![emit(&event)]).await;
    world.hold(2, vec![processed]).await;
    let read = world.store.trigger_instance(event.id).await;
    let read = read.expect("readable").expect("there");
    assert_eq!(read.status, TriggerInstanceStatus::Processed);
    assert_eq!(read.payload, event.payload);
    let failed = finish(TriggerInstanceStatus::ProcessingFailed);
    assert_eq!(world.refuse(3, vec![failed]).await, (0, Refusal::Changed));
}

fn remember(key: &str, id: squall_model::RawId, until: i64) -> Command {
    Command::Remember {
        key: text(key),
        id,
        expires: at(until),
    }
}

/// A key that is sent again finds the first id.
pub async fn remembered_keys_are_unique(world: &World) {
    let (first, second) = (world.id(), world.id());
    world
        .hold(1, vec![remember("delivery:1", first, 100)])
        .await;
    assert_eq!(
        world
            .refuse(2, vec![remember("delivery:1", second, 100)])
            .await,
        (0, Refusal::Duplicate(first))
    );
    world
        .hold(2, vec![remember("delivery:2", second, 100)])
        .await;
}

/// A key is free again from the moment at which it expires.
pub async fn remembered_keys_expire(world: &World) {
    let (first, second) = (world.id(), world.id());
    world.hold(1, vec![remember("key", first, 10)]).await;
    assert_eq!(
        world.refuse(9, vec![remember("key", second, 90)]).await,
        (0, Refusal::Duplicate(first))
    );
    world.hold(10, vec![remember("key", second, 90)]).await;
    assert_eq!(
        world.refuse(11, vec![remember("key", first, 90)]).await,
        (0, Refusal::Duplicate(second))
    );
}

/// A new execution is there afterwards; its id cannot be used again.
pub async fn executions_are_inserted_once(world: &World) {
    let execution = world.inserted("core.local", 1).await;
    let read = world.store.execution(execution.id()).await;
    assert_eq!(read.expect("readable").as_ref(), Some(&execution));
    assert_eq!(
        world.refuse(2, vec![insert(&execution)]).await,
        (0, Refusal::Exists)
    );
}

/// Progress is replaced from the revision on which it was decided, and from no other.
pub async fn executions_are_updated_from_their_revision(world: &World) {
    let execution = world.execution("core.local", 1);
    let lease = Lease(7);
    let running = advanced(&execution, &[Event::Admit, Event::Start { lease }], 2);
    assert_eq!(
        world.refuse(2, vec![update(&running)]).await,
        (0, Refusal::Missing)
    );
    world.hold(1, vec![insert(&execution)]).await;
    world.hold(2, vec![update(&running)]).await;
    let read = world.store.execution(execution.id()).await;
    assert_eq!(read.expect("readable").as_ref(), Some(&running));
    let delayed = advanced(
        &execution,
        &[Event::Delay {
            until: Some(at(50)),
        }],
        3,
    );
    assert_eq!(
        world.refuse(3, vec![update(&delayed)]).await,
        (0, Refusal::Changed)
    );
    let outcome = Outcome::Failed;
    let failed = advanced(&running, &[Event::Finish { lease, outcome }], 4);
    world.hold(4, vec![update(&failed)]).await;
    let read = world.store.execution(execution.id()).await;
    assert_eq!(read.expect("readable").as_ref(), Some(&failed));
}

/// A result comes with an insert or an update, is replaced by a later one and stays without one.
pub async fn results_are_kept_beside(world: &World) {
    let first = world.execution("core.local", 1);
    let mut commands = vec![Command::InsertExecution {
        execution: Arc::clone(&first),
        result: Some(payload(r#"{"stdout":"1"}"#)),
    }];
    let second = world.execution("core.local", 1);
    commands.push(insert(&second));
    world.hold(1, commands).await;
    let result = |id| {
        let store = Arc::clone(&world.store);
        async move { store.result(id).await.expect("readable") }
    };
    assert_eq!(result(first.id()).await, Some(payload(r#"{"stdout":"1"}"#)));
    assert_eq!(result(second.id()).await, None);

    let first = advanced(&first, &[Event::Admit], 2);
    world.hold(2, vec![update(&first)]).await;
    assert_eq!(result(first.id()).await, Some(payload(r#"{"stdout":"1"}"#)));
    let first = advanced(&first, &[Event::Start { lease: Lease(1) }], 3);
    let replace = Command::UpdateExecution {
        execution: Arc::clone(&first),
        from: 2,
        result: Some(payload("[2]")),
    };
    world.hold(3, vec![replace]).await;
    assert_eq!(result(first.id()).await, Some(payload("[2]")));
    let wanted = [second.id(), first.id(), world.id()];
    let results = world.store.results(&wanted).await;
    assert_eq!(
        results.expect("readable"),
        vec![(first.id(), payload("[2]"))]
    );
}

/// Whoever enforces a rule for an event second is refused, whatever the id.
pub async fn one_enforcement_per_event_and_rule(world: &World) {
    let event = world.event("core.webhook", 1);
    let outcome = || EnforcementOutcome::Failed(text("no such action"));
    let first = world.enforcement("acme.restart", event.id, 1, outcome());
    let same = world.enforcement("acme.restart", event.id, 2, outcome());
    let other = world.enforcement("acme.page", event.id, 2, outcome());
    let insert = |enforcement: &Arc<_>| Command::InsertEnforcement(Arc::clone(enforcement));
    world.hold(1, vec![emit(&event), insert(&first)]).await;
    assert_eq!(
        world.refuse(2, vec![insert(&same)]).await,
        (0, Refusal::Exists)
    );
    assert_eq!(
        world.refuse(2, vec![insert(&first)]).await,
        (0, Refusal::Exists)
    );
    world.hold(2, vec![insert(&other)]).await;
    let read = world.store.enforcement(first.id).await;
    assert_eq!(read.expect("readable"), Some(first));
    let read = world.store.enforcement(same.id).await;
    assert_eq!(read.expect("readable"), None);
}

/// A content is found under its hash; what is put again changes nothing.
pub async fn contents_are_kept_under_their_hash(world: &World) {
    let put = |hash: &str, content: &str| Command::PutContent {
        hash: text(hash),
        text: text(content),
    };
    world
        .hold(1, vec![put("a1", "name: one"), put("a1", "name: one")])
        .await;
    world
        .hold(2, vec![put("a1", "name: one"), put("b2", "name: two")])
        .await;
    for (hash, content) in [
        ("a1", Some("name: one")),
        ("b2", Some("name: two")),
        ("c3", None),
    ] {
        let read = world.store.content(hash).await.expect("readable");
        assert_eq!(read.as_deref(), content, "{hash}");
    }
}

/// A command that is refused in the middle takes everything before and after it along.
pub async fn refused_transactions_leave_nothing(world: &World) {
    let taken = world.inserted("core.local", 1).await;
    let before = world.changes().await;
    let (event, execution) = (
        world.event("core.webhook", 2),
        world.execution("core.noop", 2),
    );
    let document = world.document(squall_model::DocumentKind::Key, "system:a", 2);
    let id = world.id();
    let commands = vec![
        remember("key", id, 100),
        emit(&event),
        Command::InsertExecution {
            execution: Arc::clone(&execution),
            result: Some(payload("1")),
        },
        Command::AppendPieces {
            execution: execution.id(),
            at: 0,
            pieces: vec![text("{}")],
        },
        put(&document),
        Command::HoldLease {
            name: text("timers"),
            holder: Lease(1),
            until: at(100),
        },
        Command::PutContent {
            hash: text("a1"),
            text: text("x"),
        },
        insert(&taken),
        insert(&world.execution("core.noop", 2)),
    ];
    assert_eq!(world.refuse(2, commands).await, (7, Refusal::Exists));

    let store = &world.store;
    assert_eq!(world.changes().await, before);
    assert_eq!(
        store.trigger_instance(event.id).await.expect("readable"),
        None
    );
    assert_eq!(
        store.execution(execution.id()).await.expect("readable"),
        None
    );
    assert_eq!(store.result(execution.id()).await.expect("readable"), None);
    assert!(
        store
            .pieces(execution.id())
            .await
            .expect("readable")
            .is_empty()
    );
    let found = store.document(document.kind, &document.key, at(3)).await;
    assert_eq!(found.expect("readable"), None);
    assert_eq!(store.content("a1").await.expect("readable"), None);
    let listed = store
        .executions(&Default::default(), crate::Page::ALL)
        .await;
    assert_eq!(listed.expect("readable").total, 1);
    // The key and the lease are free too.
    let lease = Command::HoldLease {
        name: text("timers"),
        holder: Lease(2),
        until: at(100),
    };
    world.hold(3, vec![remember("key", id, 100), lease]).await;
}

/// Within a transaction a command acts on what those before it did.
pub async fn later_commands_see_earlier_ones(world: &World) {
    let execution = world.execution("core.noop", 1);
    let admitted = advanced(&execution, &[Event::Admit], 1);
    let event = world.event("core.webhook", 1);
    let finish = Command::FinishTriggerInstance {
        id: event.id,
        status: TriggerInstanceStatus::Processed,
    };
    let mut document = world.document(squall_model::DocumentKind::Rule, "acme.restart", 1);
    let created = put(&document);
    document.revision = 2;
    let pieces = |at, piece: &str| Command::AppendPieces {
        execution: execution.id(),
        at,
        pieces: vec![text(piece)],
    };
    let commands = vec![
        insert(&execution),
        update(&admitted),
        emit(&event),
        finish,
        created,
        put(&document),
        pieces(0, "a"),
        pieces(1, "b"),
    ];
    world.hold(1, commands.clone()).await;
    let store = &world.store;
    let read = store.execution(execution.id()).await.expect("readable");
    assert_eq!(read, Some(admitted));
    let read = store.document(document.kind, &document.key, at(2)).await;
    assert_eq!(read.expect("readable").as_deref(), Some(&document));
    assert_eq!(
        store.pieces(execution.id()).await.expect("readable"),
        vec![(0, text("a")), (1, text("b"))]
    );
    assert_eq!(world.changes().await.len(), 6);
    let twice = world.execution("core.noop", 1);
    assert_eq!(
        world.refuse(1, vec![insert(&twice), insert(&twice)]).await,
        (1, Refusal::Exists)
    );
}

/// Of many transactions that arrive together, exactly the contradictory ones are refused.
pub async fn refused_transactions_do_not_fail_their_neighbours(world: &World) {
    let taken = world.inserted("core.local", 1).await;
    let mut commits = JoinSet::new();
    let mut good = Vec::new();
    for index in 0..200 {
        let execution = world.execution("core.noop", 2);
        let mut commands = vec![insert(&execution)];
        let bad = index % 3 == 1;
        if bad {
            commands.push(insert(&taken));
        } else {
            good.push(execution);
        }
        let store = Arc::clone(&world.store);
        commits.spawn(async move {
            let outcome = store.commit(Transaction::new(at(2), commands)).await;
            (bad, outcome)
        });
    }
    while let Some(done) = commits.join_next().await {
        let (bad, outcome) = done.expect("commits do not panic");
        match outcome {
            Ok(_) => assert!(!bad, "a contradictory transaction held"),
            Err(CommitError::Refused {
                command: 1,
                refusal,
            }) => {
                assert!(bad, "a neighbour was refused");
                assert_eq!(refusal, Refusal::Exists);
            }
            Err(other) => panic!("a commit failed: {other}"),
        }
    }
    let listed = world
        .store
        .executions(&Default::default(), crate::Page::ALL)
        .await;
    let listed = listed.expect("readable");
    assert_eq!(listed.total, good.len() as u64 + 1);
    for execution in good {
        let read = world.store.execution(execution.id()).await;
        assert_eq!(read.expect("readable"), Some(execution));
    }
}

/// When many change one record from the same revision, exactly one succeeds, round after round.
pub async fn one_of_many_concurrent_writers_wins(world: &World) {
    let mut document = world.document(squall_model::DocumentKind::Position, "counter", 1);
    world.hold(1, vec![put(&document)]).await;
    for round in 2..=10 {
        document.revision = round;
        let mut commits = JoinSet::new();
        for _ in 0..16 {
            let (store, command) = (Arc::clone(&world.store), put(&document));
            commits.spawn(async move {
                let transaction = Transaction::new(at(2), vec![command]);
                store.commit(transaction).await
            });
        }
        let outcomes = commits.join_all().await;
        let held = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(held, 1, "round {round}");
        for outcome in outcomes {
            if let Err(error) = outcome {
                assert_eq!(error.refusal(), Some(&Refusal::Changed));
            }
        }
    }
}

/// A transaction without changes holds, and has no position.
pub async fn empty_transactions_hold(world: &World) {
    assert_eq!(world.hold(1, Vec::new()).await.position, 0);
    let nothing = Command::AppendPieces {
        execution: world.id(),
        at: 0,
        pieces: Vec::new(),
    };
    assert_eq!(world.hold(1, vec![nothing]).await.position, 0);
    assert!(world.changes().await.is_empty());
}

/// Commands that no repetition can carry out are told apart from those that came too late.
pub async fn contradictory_commands_are_invalid(world: &World) {
    let execution = world.inserted("core.local", 1).await;
    let mut skipped = (*ended(&execution, Outcome::Succeeded, 2)).clone();
    skipped.progress.revision = 9;
    let event = world.event("core.webhook", 1);
    world.hold(1, vec![emit(&event)]).await;
    let mut document = world.document(squall_model::DocumentKind::Key, "system:a", 1);
    world.hold(1, vec![put(&document)]).await;
    document.revision = 2;
    document.id = world.id();
    for command in [
        Command::UpdateExecution {
            execution: Arc::new(skipped),
            from: 1,
            result: None,
        },
        Command::FinishTriggerInstance {
            id: event.id,
            status: TriggerInstanceStatus::Pending,
        },
        put(&document),
        Command::PutDocument {
            document: Arc::new(document.clone()),
            from: None,
        },
    ] {
        let (_, refusal) = world.refuse(2, vec![command.clone()]).await;
        assert!(matches!(refusal, Refusal::Invalid(_)), "{command:?}");
    }
}
