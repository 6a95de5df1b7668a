//! Removal of what is old.

use std::sync::Arc;

use squall_model::{DocumentKind, EnforcementOutcome, Execution, Outcome, TriggerInstanceStatus};

use super::{
    World, at, at_first, chunks, emit, ended, insert, payload, put, requested, text, update,
};
use crate::{Command, Page, Purge};

/// A tree of three: all of it ended at `seconds`, but for the grandchild if it is `unfinished`.
async fn tree(world: &World, seconds: i64, unfinished: bool) -> Vec<Arc<Execution>> {
    let top = world.execution("acme.flow", seconds - 5);
    let below = |parent: &Execution| {
        let mut request = world.request("core.noop", seconds - 5);
        request.parent = Some(parent.id());
        request.root = top.id();
        requested(request)
    };
    let child = below(&top);
    let mut tree = vec![below(&child), child, top];
    for (index, execution) in tree.iter_mut().enumerate() {
        if index > 0 || !unfinished {
            *execution = at_first(&ended(execution, Outcome::Succeeded, seconds));
        }
        let append = Command::AppendPieces {
            execution: execution.id(),
            at: 0,
            pieces: vec![text("{}")],
        };
        let output = Command::AppendOutput {
            execution: execution.id(),
            at: 0,
            chunks: chunks(&["a", "b"]),
        };
        let insert = Command::InsertExecution {
            execution: Arc::clone(execution),
            result: Some(payload("1")),
        };
        world.hold(seconds, vec![insert, append, output]).await;
    }
    tree
}

/// For each execution: is the record there, the result, a piece, how many chunks of output.
async fn left(world: &World, tree: &[Arc<Execution>]) -> Vec<(bool, bool, bool, usize)> {
    let (store, mut left) = (&world.store, Vec::new());
    for execution in tree {
        let id = execution.id();
        left.push((
            store.execution(id).await.expect("readable").is_some(),
            store.result(id).await.expect("readable").is_some(),
            !store.pieces(id).await.expect("readable").is_empty(),
            store.output(id, 0, 10).await.expect("readable").len(),
        ));
    }
    left
}

async fn purge(world: &World, purge: Purge) -> u64 {
    world.store.purge(purge).await.expect("purged")
}

const GONE: (bool, bool, bool, usize) = (false, false, false, 0);
const THERE: (bool, bool, bool, usize) = (true, true, true, 2);

/// A tree whose top ended before the moment goes, with results, pieces and output; totals follow.
pub async fn old_trees_go_with_all_they_had(world: &World) {
    let (old, new) = (tree(world, 100, false).await, tree(world, 200, false).await);
    let before = world.changes().await;
    let executions = |seconds| Purge::Executions {
        ended_before: at(seconds),
        limit: 100,
    };
    assert_eq!(purge(world, executions(100)).await, 0);
    assert_eq!(purge(world, executions(101)).await, 1);
    assert_eq!(left(world, &old).await, vec![GONE; 3]);
    assert_eq!(left(world, &new).await, vec![THERE; 3]);
    let listed = world.store.executions(&Default::default(), Page::ALL).await;
    let listed = listed.expect("readable");
    assert_eq!(listed.total, 3);
    assert_eq!(listed.items.len(), 3);
    assert_eq!(world.changes().await, before);
    // Nothing is left in the way, and a late update finds nothing.
    let gone = ended(&requested((*old[0].request).clone()), Outcome::Failed, 300);
    let (_, refusal) = world.refuse(300, vec![update(&gone)]).await;
    assert_eq!(refusal, crate::Refusal::Missing);
    world.hold(300, vec![insert(&old[0])]).await;
}

/// While anything below still runs, all of the tree stays.
pub async fn unfinished_trees_stay(world: &World) {
    let waiting = tree(world, 100, true).await;
    let running = world.inserted("core.noop", 1).await;
    let executions = Purge::Executions {
        ended_before: at(1_000),
        limit: 100,
    };
    assert_eq!(purge(world, executions).await, 0);
    assert_eq!(left(world, &waiting).await, vec![THERE; 3]);
    let over = ended(&waiting[0], Outcome::Failed, 110);
    let over2 = ended(&running, Outcome::Failed, 2_000);
    world.hold(110, vec![update(&over), update(&over2)]).await;
    assert_eq!(purge(world, executions).await, 1);
    assert_eq!(left(world, &waiting).await, vec![GONE; 3]);
    let read = world.store.execution(running.id()).await;
    assert!(read.expect("readable").is_some());
}

/// A purge removes no more than it was told, and the next goes on.
pub async fn purges_have_limits(world: &World) {
    for seconds in 100..105 {
        tree(world, seconds, false).await;
    }
    let executions = |limit| Purge::Executions {
        ended_before: at(1_000),
        limit,
    };
    for (limit, count) in [(0, 0), (2, 2), (2, 2), (2, 1), (2, 0)] {
        assert_eq!(purge(world, executions(limit)).await, count);
    }
}

/// Old output goes, the execution stays.
pub async fn old_output_goes(world: &World) {
    let (old, waiting, new) = (
        tree(world, 100, false).await,
        tree(world, 101, true).await,
        tree(world, 200, false).await,
    );
    let output = |limit| Purge::Output {
        ended_before: at(150),
        limit,
    };
    assert_eq!(purge(world, output(2)).await, 2);
    assert_eq!(purge(world, output(100)).await, 3);
    assert_eq!(purge(world, output(100)).await, 0);
    let silent = (true, true, true, 0);
    assert_eq!(left(world, &old).await, vec![silent; 3]);
    assert_eq!(left(world, &waiting).await, vec![THERE, silent, silent]);
    assert_eq!(left(world, &new).await, vec![THERE; 3]);
}

/// Matched events go with their enforcements, unless somebody still works on one.
pub async fn old_events_go_with_their_enforcements(world: &World) {
    let running = world.inserted("core.noop", 1).await;
    let over = at_first(&ended(&world.execution("core.noop", 1), Outcome::Failed, 2));
    world.hold(1, vec![insert(&over)]).await;
    let mut events = Vec::new();
    for (seconds, outcome) in [
        (1, EnforcementOutcome::Execution(running.id())),
        (2, EnforcementOutcome::Execution(over.id())),
        (3, EnforcementOutcome::Failed(text("no such action"))),
        (4, EnforcementOutcome::Execution(world.id())),
        (5, EnforcementOutcome::Execution(over.id())),
        (99, EnforcementOutcome::Execution(over.id())),
    ] {
        let event = world.event("core.webhook", seconds);
        let enforcement = world.enforcement("acme.r", event.id, seconds, outcome);
        world
            .hold(
                seconds,
                vec![
                    emit(&event),
                    Command::InsertEnforcement(Arc::clone(&enforcement)),
                ],
            )
            .await;
        if seconds != 5 {
            let finish = Command::FinishTriggerInstance {
                id: event.id,
                status: TriggerInstanceStatus::Processed,
            };
            world.hold(seconds, vec![finish]).await;
        }
        events.push((event, enforcement));
    }
    let purge_events = |limit| Purge::TriggerInstances {
        occurred_before: at(50),
        limit,
    };
    assert_eq!(purge(world, purge_events(2)).await, 2);
    assert_eq!(purge(world, purge_events(100)).await, 1);
    let mut left = Vec::new();
    for (event, enforcement) in &events {
        let event = world
            .store
            .trigger_instance(event.id)
            .await
            .expect("readable")
            .is_some();
        let kept = world
            .store
            .enforcement(enforcement.id)
            .await
            .expect("readable")
            .is_some();
        assert_eq!(event, kept);
        left.push(event);
    }
    // The first is still worked on, the fifth not matched, the sixth too young.
    assert_eq!(left, [true, false, false, false, true, true]);
    let listed = world
        .store
        .trigger_instances(&Default::default(), Page::ALL)
        .await;
    assert_eq!(listed.expect("readable").total, 3);
    let listed = world
        .store
        .enforcements(&Default::default(), Page::ALL)
        .await;
    assert_eq!(listed.expect("readable").total, 3);
}

/// Old changes go from the beginning of the feed; positions go on.
pub async fn old_changes_go(world: &World) {
    for seconds in [1, 2, 9, 3, 4] {
        world.inserted("core.noop", seconds).await;
    }
    let changes = |seconds, limit| Purge::Changes {
        before: at(seconds),
        limit,
    };
    assert_eq!(purge(world, changes(3, 1)).await, 1);
    assert_eq!(world.store.change_bounds().await.expect("readable"), (2, 5));
    // The third is younger, so what comes after it stays as well: there are no gaps.
    assert_eq!(purge(world, changes(8, 100)).await, 1);
    assert_eq!(world.store.change_bounds().await.expect("readable"), (3, 5));
    let read = world.store.changes_after(0, 10).await.expect("readable");
    assert!(read.iter().map(|change| change.position).eq(3..=5));
    assert_eq!(purge(world, changes(100, 100)).await, 3);
    assert_eq!(world.store.change_bounds().await.expect("readable"), (0, 0));
    assert_eq!(
        world
            .hold(10, vec![insert(&world.execution("core.noop", 10))])
            .await
            .position,
        6
    );
    assert_eq!(world.store.change_bounds().await.expect("readable"), (6, 6));
}

/// What has expired goes, and only that.
pub async fn expired_keys_and_documents_go(world: &World) {
    let mut commands = Vec::new();
    for (name, expires) in [
        ("a", Some(10)),
        ("b", Some(11)),
        ("c", Some(90)),
        ("d", None),
    ] {
        let mut document = world.document(DocumentKind::Token, name, 1);
        document.expires = expires.map(at);
        commands.push(put(&document));
        commands.push(Command::Remember {
            key: text(name),
            id: world.id(),
            expires: at(expires.unwrap_or(500)),
        });
    }
    world.hold(1, commands).await;
    let expired = |limit| Purge::Expired { now: at(11), limit };
    assert_eq!(purge(world, expired(3)).await, 3);
    assert_eq!(purge(world, expired(3)).await, 1);
    assert_eq!(purge(world, expired(3)).await, 0);
    let listed = world
        .store
        .documents(DocumentKind::Token, &Default::default(), Page::ALL, at(1))
        .await;
    let listed = listed.expect("readable");
    let keys: Vec<_> = listed.items.iter().map(|one| &*one.key).collect();
    assert_eq!(keys, ["c", "d"]);
    let remember = |name: &str| Command::Remember {
        key: text(name),
        id: world.id(),
        expires: at(500),
    };
    world.hold(1, vec![remember("a"), remember("b")]).await;
    world.refuse(1, vec![remember("c")]).await;
}
