//! Lists: filters, order, pages, totals.

use std::sync::Arc;

use squall_model::{
    ActionRef, Enforcement, EnforcementOutcome, Event, Execution, ExecutionId, Lease, Origin,
    Outcome, RuleOrigin, RuleRef, Status, TaskOrigin, TriggerInstance, TriggerInstanceId,
    TriggerInstanceStatus, TriggerRef,
};

use super::{World, advanced, at, at_first, emit, ended, ids, insert, requested, text, update};
use crate::{
    Command, EnforcementFilter, ExecutionFilter, ExecutionOrder, Page, ParentFilter,
    RuleVisibility, TriggerInstanceFilter, Visibility,
};

/// Executions of many kinds, two of them trees: what the filters are tried on.
async fn population(world: &World) -> Vec<Arc<Execution>> {
    let outcomes = [
        None,
        Some(Outcome::Succeeded),
        Some(Outcome::Failed),
        Some(Outcome::Abandoned),
        None,
        Some(Outcome::Succeeded),
        Some(Outcome::TimedOut),
    ];
    let actions = [
        "core.local",
        "core.noop",
        "acme.restart",
        "acme.restart.all",
        "acm.e",
    ];
    let mut all: Vec<Arc<Execution>> = Vec::new();
    let mut tops: Vec<ExecutionId> = Vec::new();
    for index in 0..60_usize {
        // Several are requested at the same moment: the id decides then.
        let seconds = i64::try_from(index / 3 * 10).expect("small");
        let mut request = world.request(actions[index % actions.len()], seconds);
        request.user = text(["stanley", "ann", "Ann", "bob"][index % 4]);
        request.runner = text(["noop", "orquesta"][index % 2]);
        if index % 6 == 5 {
            request.trace_tag = Some(text(["trace-1", "trace-2"][index % 4 / 2]));
        }
        match index % 5 {
            1 => {
                request.origin = Origin::Rule(RuleOrigin {
                    rule: RuleRef::parse(["acme.r1", "acme.r2"][index % 2]).expect("valid"),
                    trigger_instance: ExecutionId::from_raw(100 + index as u128 % 3).cast(),
                    enforcement: world.id(),
                });
            }
            2 => request.origin = Origin::Rerun(request.id),
            3 | 4 if index > 10 => {
                let parent = all[index - 3].clone();
                request.parent = Some(parent.id());
                request.root = parent.request.root;
                request.origin = Origin::Task(TaskOrigin {
                    task: text(["first", "second"][index % 2]),
                    route: index,
                    item: (index % 3 == 0).then_some(index),
                    turn: 7,
                });
            }
            _ => tops.push(request.id),
        }
        let execution = requested(request);
        let execution = match outcomes[index % outcomes.len()] {
            Some(outcome) => at_first(&ended(&execution, outcome, seconds + 5)),
            None if index % 2 == 0 => execution,
            None => at_first(&advanced(
                &execution,
                &[Event::Admit, Event::Start { lease: Lease(3) }],
                seconds + 1,
            )),
        };
        all.push(execution);
    }
    for part in all.chunks(7) {
        world.hold(1, part.iter().map(insert).collect()).await;
    }
    all
}

fn in_order(all: &[Arc<Execution>], filter: &ExecutionFilter) -> Vec<ExecutionId> {
    let mut matching: Vec<_> = all
        .iter()
        .filter(|one| filter.matches(one))
        .cloned()
        .collect();
    matching.sort_by_key(|one| (one.request.requested, one.id()));
    if filter.order == ExecutionOrder::NewestFirst {
        matching.reverse();
    }
    ids(&matching)
}

/// Without a filter everything is there, newest first, exactly as it was written.
pub async fn executions_are_listed_newest_first(world: &World) {
    let all = population(world).await;
    let listed = world
        .store
        .executions(&ExecutionFilter::default(), Page::ALL)
        .await;
    let listed = listed.expect("readable");
    assert_eq!(listed.total, all.len() as u64);
    assert_eq!(
        ids(&listed.items),
        in_order(&all, &ExecutionFilter::default())
    );
    for execution in listed.items {
        let written = all.iter().find(|one| one.id() == execution.id());
        assert_eq!(Some(&execution), written);
    }
}

/// By what an execution is.
fn filters_by_kind(all: &[Arc<Execution>]) -> Vec<ExecutionFilter> {
    let action = |name: &str| Some(ActionRef::parse(name).expect("valid"));
    let none = ExecutionFilter::default;
    vec![
        none(),
        ExecutionFilter {
            ids: vec![all[3].id(), all[40].id(), ExecutionId::from_raw(1)],
            ..none()
        },
        ExecutionFilter {
            action: action("acme.restart"),
            ..none()
        },
        ExecutionFilter {
            action: action("acme.nothing"),
            ..none()
        },
        ExecutionFilter {
            pack: Some(text("acme")),
            ..none()
        },
        ExecutionFilter {
            pack: Some(text("acm")),
            ..none()
        },
        ExecutionFilter {
            pack: Some(text("core")),
            statuses: vec![Status::Failed],
            ..none()
        },
        ExecutionFilter {
            runner: Some(text("orquesta")),
            ..none()
        },
        ExecutionFilter {
            statuses: vec![Status::Succeeded],
            ..none()
        },
        ExecutionFilter {
            statuses: vec![Status::Failed, Status::Timeout],
            ..none()
        },
        ExecutionFilter {
            statuses: vec![Status::Running, Status::Requested],
            ..none()
        },
        ExecutionFilter {
            statuses: vec![Status::Running, Status::Succeeded],
            ..none()
        },
        ExecutionFilter {
            statuses: vec![Status::Paused],
            ..none()
        },
        ExecutionFilter {
            user: Some(text("ann")),
            ..none()
        },
        ExecutionFilter {
            user: Some(text("nobody")),
            ..none()
        },
    ]
}

/// By its place in a tree.
fn filters_by_place(all: &[Arc<Execution>]) -> Vec<ExecutionFilter> {
    let action = |name: &str| Some(ActionRef::parse(name).expect("valid"));
    let none = ExecutionFilter::default;
    vec![
        ExecutionFilter {
            parent: ParentFilter::Top,
            ..none()
        },
        ExecutionFilter {
            parent: ParentFilter::Top,
            statuses: vec![Status::Succeeded],
            action: action("core.noop"),
            user: Some(text("ann")),
            ..none()
        },
        ExecutionFilter {
            parent: ParentFilter::Of(all[11].id()),
            ..none()
        },
        ExecutionFilter {
            root: Some(all[11].request.root),
            ..none()
        },
        ExecutionFilter {
            root: Some(all[11].request.root),
            statuses: vec![Status::Succeeded],
            ..none()
        },
        ExecutionFilter {
            root: Some(all[0].id()),
            ..none()
        },
        ExecutionFilter {
            root: Some(ExecutionId::from_raw(5)),
            ..none()
        },
    ]
}

fn several_rules() -> Vec<RuleRef> {
    let rules = ["acme.r0", "acme.r1", "acme.r2", "acme.unknown"];
    let rules = rules.map(|rule| RuleRef::parse(rule).expect("valid"));
    rules.to_vec()
}

/// By where it came from, and when.
fn filters_by_origin_and_time() -> Vec<ExecutionFilter> {
    let none = ExecutionFilter::default;
    vec![
        ExecutionFilter {
            rules: vec![RuleRef::parse("acme.r1").expect("valid")],
            ..none()
        },
        ExecutionFilter {
            rules: several_rules(),
            ..none()
        },
        ExecutionFilter {
            rules: several_rules(),
            parent: ParentFilter::Top,
            statuses: vec![Status::Succeeded],
            order: ExecutionOrder::OldestFirst,
            ..none()
        },
        ExecutionFilter {
            trigger_instance: Some(ExecutionId::from_raw(101).cast()),
            ..none()
        },
        ExecutionFilter {
            task: Some(text("first")),
            ..none()
        },
        ExecutionFilter {
            trace_tag: Some(text("trace-1")),
            ..none()
        },
        ExecutionFilter {
            requested_after: Some(at(50)),
            ..none()
        },
        ExecutionFilter {
            requested_before: Some(at(50)),
            ..none()
        },
        ExecutionFilter {
            requested_after: Some(at(20)),
            requested_before: Some(at(90)),
            pack: Some(text("core")),
            ..none()
        },
        ExecutionFilter {
            ended_after: Some(at(45)),
            ..none()
        },
        ExecutionFilter {
            ended_before: Some(at(75)),
            ended_after: Some(at(15)),
            ..none()
        },
    ]
}

fn filters(all: &[Arc<Execution>]) -> Vec<ExecutionFilter> {
    let mut filters = filters_by_kind(all);
    filters.extend(filters_by_place(all));
    filters.extend(filters_by_origin_and_time());
    let reversed: Vec<_> = filters
        .iter()
        .map(|filter| ExecutionFilter {
            order: ExecutionOrder::OldestFirst,
            ..filter.clone()
        })
        .collect();
    filters.extend(reversed);
    filters
}

/// Every filter gives what [`ExecutionFilter::matches`] says, with the exact total.
pub async fn execution_filters_agree(world: &World) {
    let all = population(world).await;
    let mut found = 0;
    for filter in filters(&all) {
        let listed = world.store.executions(&filter, Page::ALL).await;
        let listed = listed.expect("readable");
        let expect = in_order(&all, &filter);
        assert_eq!(ids(&listed.items), expect, "{filter:?}");
        assert_eq!(listed.total, expect.len() as u64, "{filter:?}");
        found += usize::from(!expect.is_empty());
    }
    assert!(found > 40, "most filters find something");
}

/// Pages of any size, put together, are the whole list; the total does not depend on the page.
pub async fn pages_are_parts_of_the_whole(world: &World) {
    let all = population(world).await;
    for filter in filters(&all).into_iter().step_by(3) {
        let expect = in_order(&all, &filter);
        let total = expect.len() as u64;
        for limit in [1, 4, 60] {
            let mut read = Vec::new();
            for offset in (0..=total).step_by(usize::try_from(limit).expect("small")) {
                let page = Page { offset, limit };
                let listed = world
                    .store
                    .executions(&filter, page)
                    .await
                    .expect("readable");
                assert_eq!(listed.total, total);
                read.extend(ids(&listed.items));
            }
            assert_eq!(read, expect, "{filter:?} by {limit}");
        }
        let beyond = Page {
            offset: u64::MAX,
            limit: u64::MAX,
        };
        let listed = world
            .store
            .executions(&filter, beyond)
            .await
            .expect("readable");
        assert!(listed.items.is_empty());
        assert_eq!(listed.total, total);
    }
}

/// What a caller may ask for beside what that caller may see.
fn filters_beside_visibility() -> Vec<ExecutionFilter> {
    vec![
        ExecutionFilter::default(),
        ExecutionFilter {
            statuses: vec![Status::Succeeded],
            ..Default::default()
        },
        ExecutionFilter {
            parent: ParentFilter::Top,
            ..Default::default()
        },
        ExecutionFilter {
            requested_after: Some(at(30)),
            ..Default::default()
        },
        ExecutionFilter {
            requested_after: Some(at(10)),
            requested_before: Some(at(90)),
            parent: ParentFilter::Top,
            order: ExecutionOrder::OldestFirst,
            ..Default::default()
        },
        ExecutionFilter {
            user: Some(text("bob")),
            requested_after: Some(at(5)),
            ..Default::default()
        },
        ExecutionFilter {
            action: Some(ActionRef::parse("core.noop").expect("valid")),
            statuses: vec![Status::Succeeded, Status::Failed],
            ..Default::default()
        },
        ExecutionFilter {
            pack: Some(text("acme")),
            order: ExecutionOrder::OldestFirst,
            ..Default::default()
        },
        ExecutionFilter {
            statuses: vec![Status::Failed],
            requested_after: Some(at(5)),
            ..Default::default()
        },
        ExecutionFilter {
            rules: vec![RuleRef::parse("acme.r1").expect("valid")],
            ..Default::default()
        },
    ]
}

/// What a caller may not see is neither listed nor counted.
pub async fn visibility_is_part_of_the_query(world: &World) {
    let all = population(world).await;
    let only = |users: &[&str], actions: &[&str], packs: &[&str]| Visibility::Only {
        users: users.iter().map(|user| text(user)).collect(),
        actions: actions
            .iter()
            .map(|action| ActionRef::parse(action).expect("valid"))
            .collect(),
        packs: packs.iter().map(|pack| text(pack)).collect(),
        ids: Vec::new(),
    };
    let by_id = Visibility::Only {
        users: vec![text("bob")],
        actions: Vec::new(),
        packs: Vec::new(),
        ids: all.iter().step_by(7).map(|one| one.id()).collect(),
    };
    for visibility in [
        by_id,
        only(&[], &[], &[]),
        only(&["ann"], &[], &[]),
        only(&["ann", "bob"], &["core.noop"], &["acm"]),
        only(&[], &["acme.restart", "core.local"], &[]),
        only(&[], &[], &["acme", "core"]),
    ] {
        for filter in filters_beside_visibility() {
            let filter = ExecutionFilter {
                visibility: visibility.clone(),
                ..filter
            };
            let page = Page {
                offset: 1,
                limit: 5,
            };
            let listed = world
                .store
                .executions(&filter, page)
                .await
                .expect("readable");
            let expect = in_order(&all, &filter);
            let shown: Vec<_> = expect.iter().copied().skip(1).take(5).collect();
            assert_eq!(ids(&listed.items), shown, "{filter:?}");
            assert_eq!(listed.total, expect.len() as u64, "{filter:?}");
        }
    }
}

/// What has not ended is read by id, part by part.
pub async fn unfinished_executions_are_read_in_parts(world: &World) {
    let all = population(world).await;
    let mut expect: Vec<_> = all
        .iter()
        .filter(|one| !one.state().is_ended())
        .map(|one| one.id())
        .collect();
    expect.sort_unstable();
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let part = world.store.unfinished(after, 4).await.expect("readable");
        let Some(last) = part.last() else { break };
        after = Some(last.id());
        read.extend(ids(&part));
    }
    assert_eq!(read, expect);
    // One that ends is no longer among them; one that is run again is.
    let first = world
        .store
        .execution(expect[0])
        .await
        .expect("readable")
        .expect("there");
    let over = ended(&first, Outcome::Succeeded, 500);
    world.hold(500, vec![update(&over)]).await;
    let left = world.store.unfinished(None, 100).await.expect("readable");
    assert_eq!(ids(&left), expect[1..]);
    let again = advanced(&over, &[Event::Rerun], 501);
    world.hold(501, vec![update(&again)]).await;
    let left = world.store.unfinished(None, 100).await.expect("readable");
    assert_eq!(ids(&left), expect);
    assert_eq!(left[0], again);
}

/// Direct children, by id.
pub async fn children_are_found(world: &World) {
    let all = population(world).await;
    let mut with_children = 0;
    for parent in &all {
        let children = world.store.children(parent.id()).await.expect("readable");
        let expect: Vec<_> = all
            .iter()
            .filter(|one| one.request.parent == Some(parent.id()))
            .cloned()
            .collect();
        assert_eq!(children, expect);
        with_children += usize::from(!expect.is_empty());
    }
    assert!(with_children > 3);
    let of_all = async |parents: &[ExecutionId]| {
        let pairs = world.store.child_ids(parents).await.expect("readable");
        let mut expect = ids(&all);
        expect.retain(|id| pairs.iter().any(|(_, child)| child == id));
        let found: Vec<_> = pairs.iter().map(|(_, child)| *child).collect();
        assert_eq!(found, expect, "by id");
        for (parent, child) in &pairs {
            let child = all.iter().find(|one| one.id() == *child).expect("known");
            assert_eq!(child.request.parent, Some(*parent));
            assert!(parents.contains(parent));
        }
        pairs.len()
    };
    let below = all.iter().filter(|one| one.request.parent.is_some());
    assert_eq!(of_all(&ids(&all)).await, below.count());
    assert_eq!(of_all(&[world.id()]).await, 0);
    assert_eq!(of_all(&[]).await, 0);
}

/// Totals stay exact while executions change, one by one and together.
pub async fn totals_follow_updates(world: &World) {
    let total = async |statuses: &[Status]| {
        let filter = ExecutionFilter {
            statuses: statuses.to_vec(),
            ..Default::default()
        };
        let listed = world.store.executions(&filter, Page::first(1)).await;
        listed.expect("readable").total
    };
    let mut executions = Vec::new();
    for _ in 0..10 {
        executions.push(world.inserted("core.noop", 1).await);
    }
    assert_eq!(total(&[Status::Requested]).await, 10);
    let admitted: Vec<_> = executions
        .iter()
        .map(|one| advanced(one, &[Event::Admit], 2))
        .collect();
    world
        .hold(2, admitted.iter().take(6).map(update).collect())
        .await;
    assert_eq!(total(&[Status::Requested]).await, 4);
    assert_eq!(total(&[Status::Scheduled]).await, 6);
    // Two steps in one transaction, and a transaction that is refused.
    let again = advanced(&admitted[7], &[Event::Cancel], 3);
    world
        .hold(3, vec![update(&admitted[7]), update(&again)])
        .await;
    world
        .refuse(3, vec![update(&admitted[8]), update(&admitted[7])])
        .await;
    assert_eq!(total(&[Status::Requested]).await, 3);
    assert_eq!(total(&[Status::Scheduled]).await, 6);
    assert_eq!(total(&[Status::Canceled]).await, 1);
    assert_eq!(total(&[]).await, 10);
}

/// The filters on events that are tried.
fn trigger_instance_filters(all: &[Arc<TriggerInstance>]) -> Vec<TriggerInstanceFilter> {
    let trigger = |name: &str| Some(TriggerRef::parse(name).expect("valid"));
    let none = TriggerInstanceFilter::default;
    vec![
        none(),
        TriggerInstanceFilter {
            ids: all.iter().step_by(7).map(|event| event.id).collect(),
            ..none()
        },
        TriggerInstanceFilter {
            ids: vec![all[3].id, all[4].id, all[5].id],
            trigger: trigger("core.timer"),
            ..none()
        },
        TriggerInstanceFilter {
            trigger: trigger("core.webhook"),
            ..none()
        },
        TriggerInstanceFilter {
            trigger: trigger("core.nothing"),
            ..none()
        },
        TriggerInstanceFilter {
            status: Some(TriggerInstanceStatus::Pending),
            ..none()
        },
        TriggerInstanceFilter {
            status: Some(TriggerInstanceStatus::ProcessingFailed),
            ..none()
        },
        TriggerInstanceFilter {
            status: Some(TriggerInstanceStatus::Processed),
            trigger: trigger("core.timer"),
            ..none()
        },
        TriggerInstanceFilter {
            occurred_after: Some(at(40)),
            occurred_before: Some(at(120)),
            ..none()
        },
        TriggerInstanceFilter {
            trace_tag: Some(text("trace")),
            ..none()
        },
        TriggerInstanceFilter {
            visible: Some(Vec::new()),
            ..none()
        },
        TriggerInstanceFilter {
            visible: Some(vec![text("core.timer"), text("core.webhook.x")]),
            status: Some(TriggerInstanceStatus::Processed),
            ..none()
        },
    ]
}

/// Events by trigger, status, time and trace; newest first unless asked otherwise.
pub async fn trigger_instance_filters_agree(world: &World) {
    let mut all = Vec::new();
    for index in 0..40_i64 {
        let trigger = ["core.webhook", "core.timer", "core.webhook.x"][index as usize % 3];
        let mut event = (*world.event(trigger, index / 2 * 10)).clone();
        event.trace_tag = (index % 5 == 0).then(|| text("trace"));
        event.source_execution = (index % 4 == 0).then(|| world.id());
        if index % 3 == 1 {
            event.status = TriggerInstanceStatus::Processed;
        }
        all.push(Arc::new(event));
    }
    world.hold(1, all.iter().map(emit).collect()).await;
    let failed = Command::FinishTriggerInstance {
        id: all[0].id,
        status: TriggerInstanceStatus::ProcessingFailed,
    };
    world.hold(2, vec![failed]).await;
    Arc::make_mut(&mut all[0]).status = TriggerInstanceStatus::ProcessingFailed;

    for filter in trigger_instance_filters(&all) {
        for oldest_first in [false, true] {
            let filter = TriggerInstanceFilter {
                oldest_first,
                ..filter.clone()
            };
            let mut expect: Vec<_> = all
                .iter()
                .filter(|one| filter.matches(one))
                .cloned()
                .collect();
            expect.sort_by_key(|one| (one.occurred, one.id));
            if !oldest_first {
                expect.reverse();
            }
            let page = Page {
                offset: 1,
                limit: 7,
            };
            let listed = world
                .store
                .trigger_instances(&filter, page)
                .await
                .expect("readable");
            assert_eq!(listed.total, expect.len() as u64, "{filter:?}");
            let shown: Vec<_> = expect.into_iter().skip(1).take(7).collect();
            assert_eq!(listed.items, shown, "{filter:?}");
        }
    }
}

/// What is not matched yet is found, oldest first, and no more once it is matched.
pub async fn pending_trigger_instances_are_found(world: &World) {
    let events: Vec<_> = (0..10)
        .map(|index| world.event("core.webhook", 100 - index))
        .collect();
    world.hold(1, events.iter().map(emit).collect()).await;
    let mut expect: Vec<_> = events.iter().rev().cloned().collect();
    let pending = world.store.pending_trigger_instances(4).await;
    assert_eq!(pending.expect("readable"), expect[..4]);
    let done = expect.remove(2);
    let finish = Command::FinishTriggerInstance {
        id: done.id,
        status: TriggerInstanceStatus::Processed,
    };
    world.hold(2, vec![finish]).await;
    let pending = world.store.pending_trigger_instances(100).await;
    assert_eq!(pending.expect("readable"), expect);
}

/// The filters on enforcements that are tried.
fn enforcement_filters(
    all: &[Arc<Enforcement>],
    event: TriggerInstanceId,
    execution: ExecutionId,
) -> Vec<EnforcementFilter> {
    let none = EnforcementFilter::default;
    vec![
        none(),
        EnforcementFilter {
            ids: vec![all[1].id, all[9].id, execution.cast()],
            ..none()
        },
        EnforcementFilter {
            rule: Some(all[2].rule.clone()),
            ..none()
        },
        EnforcementFilter {
            trigger_instance: Some(event),
            ..none()
        },
        EnforcementFilter {
            trigger_instance: Some(event),
            rule: Some(all[2].rule.clone()),
            ..none()
        },
        EnforcementFilter {
            execution: Some(execution),
            ..none()
        },
        EnforcementFilter {
            enforced_after: Some(at(3)),
            enforced_before: Some(at(9)),
            ..none()
        },
        EnforcementFilter {
            visibility: RuleVisibility::Only {
                rules: vec![all[0].rule.clone(), all[9].rule.clone()],
                packs: vec![text("acm")],
            },
            ..none()
        },
        EnforcementFilter {
            rule: Some(all[2].rule.clone()),
            visibility: RuleVisibility::Only {
                rules: Vec::new(),
                packs: vec![text("acme")],
            },
            ..none()
        },
    ]
}

/// Enforcements by id, rule, event, execution and time.
pub async fn enforcement_filters_agree(world: &World) {
    let events: Vec<_> = (0..4).map(|_| world.event("core.webhook", 1)).collect();
    let mut all = Vec::new();
    for index in 0..24_usize {
        let outcome = if index % 4 == 3 {
            EnforcementOutcome::Failed(text("the action is disabled"))
        } else {
            EnforcementOutcome::Execution(world.id())
        };
        let rule = format!("acme.r{}", index / 4);
        let seconds = i64::try_from(index / 2).expect("small");
        all.push(world.enforcement(&rule, events[index % 4].id, seconds, outcome));
    }
    let commands = all
        .iter()
        .map(|one| Command::InsertEnforcement(Arc::clone(one)));
    world.hold(1, commands.collect()).await;
    let execution = match &all[5].outcome {
        EnforcementOutcome::Execution(execution) => *execution,
        EnforcementOutcome::Failed(reason) => panic!("{reason}"),
    };
    for filter in enforcement_filters(&all, events[1].id, execution) {
        for oldest_first in [false, true] {
            let filter = EnforcementFilter {
                oldest_first,
                ..filter.clone()
            };
            let mut expect: Vec<_> = all
                .iter()
                .filter(|one| filter.matches(one))
                .cloned()
                .collect();
            expect.sort_by_key(|one| (one.enforced, one.id));
            if !oldest_first {
                expect.reverse();
            }
            let listed = world
                .store
                .enforcements(&filter, Page::ALL)
                .await
                .expect("readable");
            assert_eq!(listed.total, expect.len() as u64, "{filter:?}");
            assert_eq!(listed.items, expect, "{filter:?}");
            let page = Page {
                offset: 1,
                limit: 2,
            };
            let listed = world
                .store
                .enforcements(&filter, page)
                .await
                .expect("readable");
            let shown: Vec<_> = expect.into_iter().skip(1).take(2).collect();
            assert_eq!(listed.items, shown, "{filter:?}");
        }
    }
}
