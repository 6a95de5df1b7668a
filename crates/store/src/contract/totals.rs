//! Totals over ranges of time, which are put together of several counts.

use std::sync::Arc;

use squall_model::{Event, Execution, Lease, Outcome, Status};

use super::{World, advanced, at, at_first, ended, ids, insert, requested, update};
use crate::{ExecutionFilter, Page, ParentFilter, Purge};

/// How far apart the executions are requested, in seconds.
const STEP: i64 = 41;

/// Executions over an hour: some are open, some lie below others.
async fn population(world: &World) -> Vec<Arc<Execution>> {
    let mut all: Vec<Arc<Execution>> = Vec::new();
    for index in 0..90_usize {
        let seconds = i64::try_from(index).expect("small") * STEP;
        let mut request = world.request("core.noop", seconds);
        if index % 4 == 3 {
            let parent = &all[index - 1];
            request.parent = Some(parent.id());
            request.root = parent.request.root;
        }
        let execution = requested(request);
        let execution = match index % 5 {
            0 => execution,
            1 => at_first(&advanced(
                &execution,
                &[Event::Admit, Event::Start { lease: Lease(3) }],
                seconds + 1,
            )),
            2 => at_first(&ended(&execution, Outcome::Failed, seconds + 1)),
            _ => at_first(&ended(&execution, Outcome::Succeeded, seconds + 1)),
        };
        all.push(execution);
    }
    for part in all.chunks(11) {
        world.hold(1, part.iter().map(insert).collect()).await;
    }
    all
}

/// Ranges of all lengths, with and without a beginning and an end, empty ones too.
fn filters() -> Vec<ExecutionFilter> {
    let ends = [0, 1, STEP, 100, 700, 1_500, 1_501, 3_000, 90 * STEP];
    let moments = || std::iter::once(None).chain(ends.map(|seconds| Some(at(seconds))));
    let mut filters = Vec::new();
    for after in moments() {
        for before in moments() {
            for statuses in [vec![], vec![Status::Succeeded], vec![Status::Running]] {
                for parent in [ParentFilter::Any, ParentFilter::Top] {
                    filters.push(ExecutionFilter {
                        requested_after: after,
                        requested_before: before,
                        statuses: statuses.clone(),
                        parent,
                        ..ExecutionFilter::default()
                    });
                }
            }
        }
    }
    filters
}

/// The total of every range is the number of executions in it.
async fn totals_agree(world: &World, all: &[Arc<Execution>]) {
    let mut found = 0;
    for filter in filters() {
        let expect = all.iter().filter(|one| filter.matches(one)).count();
        let page = Page::first(3);
        let listed = world.store.executions(&filter, page).await;
        let listed = listed.expect("readable");
        assert_eq!(listed.total, expect as u64, "{filter:?}");
        assert_eq!(listed.items.len(), expect.min(3), "{filter:?}");
        found += usize::from(expect > 20);
    }
    assert!(found > 20, "many ranges are long");
}

/// Totals over ranges of time are exact, and stay so when executions end and when they go.
pub async fn totals_over_time_are_exact(world: &World) {
    let mut all = population(world).await;
    totals_agree(world, &all).await;
    for (index, execution) in all.iter_mut().enumerate() {
        if index % 10 == 0 {
            *execution = ended(execution, Outcome::Succeeded, 4_000);
            world.hold(4_000, vec![update(execution)]).await;
        }
    }
    totals_agree(world, &all).await;
    let purge = Purge::Executions {
        ended_before: at(1_600),
        limit: 1_000,
    };
    assert!(world.store.purge(purge).await.expect("purged") > 10);
    let left = world
        .store
        .executions(&ExecutionFilter::default(), Page::ALL)
        .await;
    let left = ids(&left.expect("readable").items);
    all.retain(|execution| left.contains(&execution.id()));
    totals_agree(world, &all).await;
}
