//! A nested workflow that is disturbed at every step of it, from the first one on: what was asked is
//! done all the way down, and what goes on ends as if nothing had happened.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use squall_model::{Execution, ExecutionId, Origin, State, Status};
use squall_value::Value;

use crate::world::World;

const TOP: &str = "
version: 1.0
tasks:
  first:
    action: core.noop
    next: [{do: [left, right]}]
  left:
    action: p.middle
    next: [{publish: [{sum: <% result().output.sum %>}], do: both}]
  right:
    action: core.slow
    delay: 1
    retry: {count: 1, when: <% succeeded() %>}
    next: [{do: both}]
  both:
    join: all
    action: core.noop
    next: [{do: last}]
  last:
    action: core.slow
output: [{sum: <% ctx().sum %>}]
";

const MIDDLE: &str = "
version: 1.0
tasks:
  items:
    with: {items: '<% list(1, 2, 3) %>', concurrency: 2}
    action: p.bottom n=<% item() %>
    next: [{publish: [{all: <% result().select($.output.n) %>}], do: after}]
  after:
    action: core.noop
output: [{sum: <% ctx().all.sum() %>}]
";

const BOTTOM: &str = "
version: 1.0
input: [n]
tasks:
  a:
    action: core.slow
    next: [{publish: [{n: <% ctx().n * 10 %>}], do: b}]
  b:
    action: core.noop
output: [{n: <% ctx().n %>}]
";

/// What happens to a run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Cancel,
    Pause,
    Resume,
    /// Time passes until nothing moves any more.
    Rest,
    /// The server is killed, and another one starts.
    Restart,
}
use Step::{Cancel, Pause, Rest, Restart, Resume};

fn world() -> World {
    World::new(&[
        ("p.top", TOP.to_owned()),
        ("p.middle", MIDDLE.to_owned()),
        ("p.bottom", BOTTOM.to_owned()),
    ])
}

/// Takes one step, or moves time to where the next one is due. `false` when nothing can follow.
fn go_on(world: &World) -> bool {
    if world.steps.step() {
        return true;
    }
    let due = world.env.next_wake();
    let wait = due.map(|due| due.duration_since(squall_env::Env::now(&*world.env)));
    let wait = wait.and_then(|wait| Duration::try_from(wait).ok());
    wait.inspect(|wait| world.env.advance(*wait)).is_some()
}

/// Takes steps until the run is over, or nothing moves for a while.
fn rest(world: &World) {
    for _ in 0..10 {
        world.steps.settle();
        world.env.advance(Duration::from_secs(3));
    }
    world.steps.settle();
}

/// The executions of a run.
fn executions(world: &World, root: ExecutionId) -> Vec<Arc<Execution>> {
    let all = world.all().into_iter();
    all.filter(|execution| execution.request.root == root)
        .collect()
}

/// What there was to do, and how it ended.
fn story(world: &World, root: ExecutionId) -> Vec<String> {
    let tell = |execution: Arc<Execution>| {
        let task = match &execution.request.origin {
            Origin::Task(origin) => format!("{} {:?}", origin.task, origin.item),
            _ => String::new(),
        };
        let (action, status) = (&execution.request.action, execution.state().status());
        format!("{action} {task} {status}")
    };
    let mut lines: Vec<String> = executions(world, root).into_iter().map(tell).collect();
    lines.sort();
    lines.push(world.result(root));
    lines
}

/// A run to its end, and how many steps it took.
fn undisturbed() -> (Vec<String>, usize) {
    let world = world();
    let root = world.ask("p.top", Value::empty_dict());
    let mut steps = 0;
    while !world.execution(root).state().is_ended() {
        assert!(go_on(&world), "it does not end");
        steps += 1;
    }
    rest(&world);
    assert_eq!(
        world.status(root),
        Status::Succeeded,
        "{:#?}",
        story(&world, root)
    );
    (story(&world, root), steps)
}

/// Asks something of a run; whether it was granted. Only what can't be is refused: a pause before
/// the run has begun, anything after its end.
fn ask(world: &World, root: ExecutionId, request: Step, name: &str) -> bool {
    let before = world.execution(root).state();
    let (answer, must) = match request {
        Pause => {
            let answer = world.steps.drive(world.engine.pause(root));
            (answer, matches!(before, State::Running { .. }))
        }
        Resume => {
            let answer = world.steps.drive(world.engine.resume(root));
            (answer, matches!(before, State::Paused | State::Pausing))
        }
        _ => (world.steps.drive(world.engine.cancel(root, "ann")), true),
    };
    let may = !must || world.execution(root).state().is_ended();
    assert!(answer.is_ok() || may, "{name}: {answer:?}");
    answer.is_ok()
}

/// Nothing runs and nothing is on its way: all that is left of the run is paused.
fn check_paused(world: &World, root: ExecutionId, name: &str) {
    let left = executions(world, root).into_iter();
    let moving: Vec<_> = left
        .filter(|one| !one.state().is_ended() && one.state() != State::Paused)
        .map(|one| format!("{} {:?}", one.request.action, one.state()))
        .collect();
    assert_eq!(moving, [""; 0], "{name}");
    let status = world.status(root);
    let rests = matches!(status, Status::Paused | Status::Succeeded);
    assert!(rests, "{name}: {status}");
    assert_eq!(world.alive.load(Ordering::SeqCst), 0, "{name}");
}

/// One run in which these things happen at one step of it.
fn check(mut world: World, at: usize, happens: &[Step], undisturbed: &[String]) -> World {
    let name = format!("{happens:?} at step {at}");
    let root = world.ask("p.top", Value::empty_dict());
    for _ in 0..at {
        go_on(&world);
    }
    let (mut paused, mut canceled) = (false, false);
    for step in happens {
        match step {
            Rest => {
                rest(&world);
                if paused {
                    check_paused(&world, root, &name);
                }
            }
            Restart => world = world.restarted(),
            Cancel => {
                canceled = ask(&world, root, Cancel, &name);
            }
            request => paused = ask(&world, root, *request, &name) == (*request == Pause),
        }
    }
    if canceled {
        // What is asked to stop takes no time for it.
        world.steps.settle();
        assert_eq!(world.unfinished(), [""; 0], "{name}");
        assert_eq!(world.status(root), Status::Canceled, "{name}");
    }
    rest(&world);
    assert_eq!(world.unfinished(), [""; 0], "{name}");
    assert_eq!(world.alive.load(Ordering::SeqCst), 0, "{name}");
    assert!(world.engine.held().is_at_rest(), "{name}");
    let story = story(&world, root);
    if canceled {
        let top = world.execution(root).progress.ended;
        let later = |one: &Arc<Execution>| one.progress.ended > top;
        assert!(!executions(&world, root).iter().any(later), "{name}");
        assert!(story.len() <= undisturbed.len(), "{name}: {story:#?}");
    } else {
        assert_eq!(story, undisturbed, "{name}");
    }
    world
}

/// How many runs one server sees; what it keeps of them makes it slow in the end.
const RUNS_MAX: usize = 20;

fn check_at_every_step(happens: &[Step]) {
    let (undisturbed, steps) = undisturbed();
    assert!(steps > 30, "{steps}");
    let mut server = world();
    for at in 0..=steps {
        if at % RUNS_MAX == 0 {
            server = world();
        }
        server = check(server, at, happens, &undisturbed);
    }
}

#[test]
fn a_cancel_at_any_step_stops_all_at_once() {
    check_at_every_step(&[Cancel]);
}

#[test]
fn a_cancel_at_any_step_is_kept_over_a_restart() {
    check_at_every_step(&[Cancel, Restart]);
}

#[test]
fn a_pause_at_any_step_rests_and_goes_on() {
    check_at_every_step(&[Pause, Rest, Resume]);
}

#[test]
fn a_pause_that_is_taken_back_at_once_changes_nothing() {
    check_at_every_step(&[Pause, Resume]);
}

#[test]
fn a_pause_at_any_step_is_kept_over_a_restart() {
    check_at_every_step(&[Pause, Restart, Rest, Resume]);
}

#[test]
fn what_is_paused_at_any_step_can_be_canceled() {
    check_at_every_step(&[Pause, Rest, Cancel]);
    check_at_every_step(&[Pause, Cancel]);
}
