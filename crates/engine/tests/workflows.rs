//! Workflows in the engine: large ones, nested ones, and ones that are disturbed at every step.
//!
//! The steps are the test's: work is polled one piece at a time, in order, and time stands still
//! until it is moved.

#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use squall_engine::{
    Ask, Change, Engine, EverybodyMay, NoTokens, Parts, Settings, Spawn, Vault, Work, action_body,
};
use squall_env::{Env, FakeEnv};
use squall_expr::Expressions;
use squall_model::{DocumentKind, Execution, ExecutionId, Status, Timestamp};
use squall_runners::{Host, Registry};
use squall_store::{ExecutionFilter, MemoryStore, Page, Store};
use squall_value::{Str, Value, dict, json};
use squall_workflow::Decision;

/// Says that a piece of work can go on.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Flag>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Work that waits to be polled, in order.
#[derive(Default)]
struct Steps(Mutex<Vec<(Arc<Flag>, Work)>>);

impl std::fmt::Debug for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Steps")
    }
}

impl Spawn for Steps {
    fn spawn(&self, work: Work) {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        self.0.lock().unwrap().push((flag, work));
    }
}

fn poll<F: Future + ?Sized>(flag: &Arc<Flag>, work: Pin<&mut F>) -> Poll<F::Output> {
    flag.0.store(false, Ordering::SeqCst);
    work.poll(&mut Context::from_waker(&Waker::from(Arc::clone(flag))))
}

impl Steps {
    /// Polls the first piece of work that can go on; `false` when none can.
    fn step(&self) -> bool {
        let next = {
            let mut all = self.0.lock().unwrap();
            let at = all
                .iter()
                .position(|(flag, _)| flag.0.load(Ordering::SeqCst));
            at.map(|at| all.remove(at))
        };
        let Some((flag, mut work)) = next else {
            return false;
        };
        if poll(&flag, work.as_mut()).is_pending() {
            self.0.lock().unwrap().push((flag, work));
        }
        true
    }

    fn settle(&self) {
        let steps = (0..2_000_000).take_while(|_| self.step()).count();
        assert!(steps < 2_000_000, "the work never ends");
    }

    /// Takes steps until `work` is done.
    fn drive<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        loop {
            if flag.0.load(Ordering::SeqCst)
                && let Poll::Ready(done) = poll(&flag, work.as_mut())
            {
                return done;
            }
            let can_go_on = self.step() || flag.0.load(Ordering::SeqCst);
            assert!(can_go_on, "nothing can go on");
        }
    }
}

struct World {
    engine: Arc<Engine>,
    store: Arc<dyn Store>,
    env: Arc<FakeEnv>,
    steps: Arc<Steps>,
    _run_dir: tempfile::TempDir,
}

impl World {
    /// A server on a store; the first of its tasks keeps time.
    fn on(store: Arc<dyn Store>, env: Arc<FakeEnv>) -> World {
        let steps = Arc::new(Steps::default());
        let run_dir = tempfile::tempdir().unwrap();
        let settings = squall_runners::Settings::new("test", run_dir.path());
        let host = Host::new(settings, Arc::clone(&env) as Arc<dyn Env>).unwrap();
        let server = steps.drive(store.register_server("test", "boot", Timestamp::MAX));
        let engine = Engine::new(Parts {
            store: Arc::clone(&store),
            vault: Vault::new(&[1; 32], Arc::clone(&env) as Arc<dyn Env>),
            env: Arc::clone(&env) as Arc<dyn Env>,
            spawn: Arc::clone(&steps) as Arc<dyn Spawn>,
            runners: Arc::new(Registry::new(&host)),
            expressions: Arc::new(Expressions::default()),
            crypto: None,
            tokens: Arc::new(NoTokens),
            rights: Arc::new(EverybodyMay),
            settings: Settings::default(),
            lease: server.unwrap().lease,
        });
        steps.drive(engine.reload()).unwrap();
        steps.spawn(Box::pin(Arc::clone(&engine).keep_time()));
        World {
            engine,
            store,
            env,
            steps,
            _run_dir: run_dir,
        }
    }

    fn new(workflows: &[(&str, String)]) -> World {
        let world = World::on(Arc::new(MemoryStore::new()), Arc::new(FakeEnv::new(1)));
        let put = |key: &str, body: &str, text: Option<Str>| {
            let body = json::read(body).unwrap();
            let change = Change::Put {
                kind: DocumentKind::Action,
                key: key.into(),
                pack: key.split('.').next().map(Str::from),
                body: action_body(body.as_dict().unwrap(), text.as_ref()),
                expires: None,
                new: true,
            };
            world
                .steps
                .drive(world.engine.change(vec![change]))
                .unwrap();
        };
        put(
            "core.noop",
            r#"{"name":"noop","runner_type":"noop","parameters":{}}"#,
            None,
        );
        // The runner checks the parameter, so a value that is none fails the execution.
        put(
            "core.strict",
            r#"{"name":"strict","runner_type":"noop","parameters":{"n":{"type":"integer"}}}"#,
            None,
        );
        for (key, text) in workflows {
            let name = key.split('.').nth(1).unwrap();
            let body = format!(
                r#"{{"name":"{name}","runner_type":"orquesta","entry_point":"{name}.yaml",
                    "parameters":{{"n":{{}}}}}}"#
            );
            put(key, &body, Some(Str::from(text.as_str())));
        }
        world
    }

    /// The server is gone, whatever it was about to do; another one starts.
    fn restarted(self) -> World {
        let World { store, env, .. } = self;
        let world = World::on(store, env);
        world.steps.drive(world.engine.recover()).unwrap();
        world
    }

    fn ask(&self, action: &str, parameters: Value) -> ExecutionId {
        let mut ask = Ask::new(action, "ann");
        ask.parameters = parameters.as_dict().cloned().unwrap_or_default();
        self.steps.drive(self.engine.request(ask)).unwrap().id()
    }

    fn run(&self, action: &str) -> ExecutionId {
        let id = self.ask(action, Value::empty_dict());
        self.steps.settle();
        id
    }

    fn execution(&self, id: ExecutionId) -> Arc<Execution> {
        self.steps.drive(self.store.execution(id)).unwrap().unwrap()
    }

    fn status(&self, id: ExecutionId) -> Status {
        self.execution(id).state().status()
    }

    fn children(&self, id: ExecutionId) -> Vec<Arc<Execution>> {
        self.steps.drive(self.store.children(id)).unwrap()
    }

    fn result(&self, id: ExecutionId) -> String {
        let result = self.steps.drive(self.store.result(id)).unwrap();
        result.map_or_else(String::new, |payload| payload.json.to_string())
    }

    fn all(&self) -> Vec<Arc<Execution>> {
        let filter = ExecutionFilter::default();
        self.steps
            .drive(self.store.executions(&filter, Page::ALL))
            .unwrap()
            .items
    }

    fn unfinished(&self) -> Vec<String> {
        let all = self.all().into_iter();
        all.filter(|execution| !execution.state().is_ended())
            .map(|execution| format!("{} {:?}", execution.request.action, execution.state()))
            .collect()
    }
}

fn sequence(count: usize) -> String {
    let mut text = String::from("version: 1.0\ntasks:\n");
    for task in 0..count {
        text.push_str(&format!("  t{task}:\n    action: core.noop\n"));
        if task + 1 < count {
            text.push_str(&format!("    next: [{{do: t{}}}]\n", task + 1));
        }
    }
    text
}

fn fan(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|task| format!("t{task}")).collect();
    let mut text = format!(
        "version: 1.0\ntasks:\n  start:\n    action: core.noop\n    next: [{{do: [{}]}}]\n",
        names.join(", ")
    );
    for name in names {
        text.push_str(&format!(
            "  {name}:\n    action: core.noop\n    next: [{{do: last}}]\n"
        ));
    }
    text.push_str("  last:\n    join: all\n    action: core.noop\n");
    text
}

#[test]
fn large_workflows_run_each_task_once() {
    let items = "version: 1.0\ntasks:\n  a:\n    with: {items: <% range(1000) %>, concurrency: 100}\n    action: core.noop\n";
    for (text, tasks) in [
        (sequence(10), 10),
        (sequence(100), 100),
        (sequence(1_000), 1_000),
        (fan(200), 202),
        (items.to_owned(), 1_000),
    ] {
        let world = World::new(&[("p.w", text)]);
        let id = world.run("p.w");
        assert_eq!(world.status(id), Status::Succeeded, "{}", world.result(id));
        assert_eq!(world.children(id).len(), tasks);
    }
}

#[test]
fn a_workflow_does_not_run_that_is_to_tell_of_tasks_it_does_not_have() {
    let world = World::new(&[("p.w", sequence(2))]);
    for (notify, refused) in [
        (r#"["t0"]"#, ""),
        ("[]", ""),
        (r#"["t0", "t7", "x"]"#, "t7, x"),
    ] {
        let id = world.ask("p.w", dict! { "notify" => json::read(notify).unwrap() });
        world.steps.settle();
        let (result, children) = (world.result(id), world.children(id).len());
        if refused.is_empty() {
            assert_eq!(
                (world.status(id), children),
                (Status::Succeeded, 2),
                "{result}"
            );
        } else {
            let told = format!("do not exist in the workflow definition: {refused}.");
            assert_eq!(
                (world.status(id), children),
                (Status::Failed, 0),
                "{result}"
            );
            assert!(result.contains(&told), "{result}");
        }
    }
}

/// Workflows that call one another, `depth` deep.
fn nest(depth: usize, innermost: &str) -> Vec<(String, String)> {
    let mut all = vec![("p.n0".to_owned(), innermost.to_owned())];
    for level in 1..=depth {
        let below = level - 1;
        all.push((
            format!("p.n{level}"),
            format!(
                "version: 1.0\ntasks:\n  a:\n    action: core.noop\n    next: [{{do: b}}]\n  b:\n    action: p.n{below}\n    next: [{{do: c}}]\n  c:\n    action: core.noop\n"
            ),
        ));
    }
    all
}

fn nested(depth: usize, innermost: &str) -> World {
    let all = nest(depth, innermost);
    let all: Vec<(&str, String)> = all
        .iter()
        .map(|(key, text)| (&**key, text.clone()))
        .collect();
    World::new(&all)
}

#[test]
fn workflows_nest_and_many_run_beside_one_another() {
    let world = nested(10, &sequence(2));
    let id = world.run("p.n10");
    assert_eq!(world.status(id), Status::Succeeded, "{}", world.result(id));
    assert_eq!(world.all().len(), 1 + 10 * 3 + 2);

    let world = nested(1, &sequence(20));
    let ids: Vec<ExecutionId> = (0..50)
        .map(|_| world.ask("p.n1", Value::empty_dict()))
        .collect();
    world.steps.settle();
    for id in ids {
        assert_eq!(world.status(id), Status::Succeeded, "{}", world.result(id));
    }
    assert_eq!(world.all().len(), 50 * (1 + 2 + 1 + 20));
}

#[test]
fn a_nested_workflow_can_be_canceled_at_every_step() {
    let mut canceled = 0;
    for disturbed_at in 0.. {
        let world = nested(4, &sequence(2));
        let id = world.ask("p.n4", Value::empty_dict());
        let has_steps = (0..disturbed_at).all(|_| world.steps.step());
        if world.steps.drive(world.engine.cancel(id, "ann")).is_ok() {
            world.steps.settle();
            assert_eq!(world.status(id), Status::Canceled, "at step {disturbed_at}");
            canceled += 1;
        }
        world.steps.settle();
        assert_eq!(world.unfinished(), [""; 0], "at step {disturbed_at}");
        if !has_steps {
            break;
        }
    }
    assert!(canceled > 5, "{canceled}");
}

#[test]
fn a_nested_workflow_can_be_paused_at_every_step() {
    let mut paused = 0;
    for disturbed_at in 0.. {
        let world = nested(4, &sequence(2));
        let id = world.ask("p.n4", Value::empty_dict());
        let has_steps = (0..disturbed_at).all(|_| world.steps.step());
        if world.steps.drive(world.engine.pause(id)).is_ok() {
            world.steps.settle();
            let rests = world.status(id);
            if rests == Status::Paused {
                paused += 1;
                world.steps.drive(world.engine.resume(id)).unwrap();
            } else {
                assert_eq!(rests, Status::Succeeded, "at step {disturbed_at}");
            }
        }
        world.steps.settle();
        assert_eq!(world.unfinished(), [""; 0], "at step {disturbed_at}");
        assert_eq!(
            world.status(id),
            Status::Succeeded,
            "at step {disturbed_at}"
        );
        if !has_steps {
            break;
        }
    }
    assert!(paused > 5, "{paused}");
}

const VARIED: &str = "
version: 1.0
vars: [{seen: []}]
tasks:
  items:
    with: {items: <% range(5) %>, concurrency: 2}
    action: core.noop
    next: [{publish: [{count: <% result().len() %>}], do: again}]
  again:
    action: core.noop
    retry: {count: 2, when: <% succeeded() %>}
    next: [{do: below}]
  below:
    action: p.below
    next: [{do: last}]
  last:
    action: core.noop
output: [{count: <% ctx().count %>}]
";

#[test]
fn a_restart_between_any_two_steps_changes_nothing() {
    let make = || World::new(&[("p.below", sequence(2)), ("p.w", VARIED.to_owned())]);
    for disturbed_at in 0.. {
        let world = make();
        let id = world.ask("p.w", Value::empty_dict());
        let has_steps = (0..disturbed_at).all(|_| world.steps.step());
        let world = world.restarted();
        world.steps.settle();
        assert_eq!(world.unfinished(), [""; 0], "at step {disturbed_at}");
        assert_eq!(
            world.result(id),
            r#"{"output":{"count":5}}"#,
            "at step {disturbed_at}"
        );
        // Five items, three tries, the workflow below, the last one; and what is below.
        assert_eq!(
            world.all().len(),
            1 + 5 + 3 + 1 + 1 + 2,
            "at step {disturbed_at}"
        );
        if !has_steps {
            break;
        }
    }
}

#[test]
fn failed_tasks_run_again_in_a_new_execution() {
    let text = "
version: 1.0
input: [n]
tasks:
  a:
    action: core.noop
    next: [{publish: [{x: 1}], do: b}]
  b:
    with: {items: '<% list(1, 2, three) %>'}
    action: core.strict n=<% item() %>
output: [{x: <% ctx().x %>}]
";
    let world = World::new(&[("p.w", text.to_owned())]);
    let old = world.run("p.w");
    assert_eq!(world.status(old), Status::Failed);
    let rerun = |tasks: &[Str], reset: &[Str]| {
        let again = world.engine.rerun(old, tasks, reset, "ben");
        let again = world.steps.drive(again).map(|execution| execution.id());
        world.steps.settle();
        again
    };
    let before = world.children(old).len();
    let ids = [rerun(&[], &[]), rerun(&["b".into()], &["b".into()])].map(Result::unwrap);
    // The third item can't even be asked for; with `reset` the two good ones run once more.
    for (id, runs) in ids.into_iter().zip([0, 2]) {
        assert_eq!(world.status(id), Status::Failed);
        assert_eq!(world.children(id).len(), runs);
        let context = world.execution(id).request.context.clone();
        let before = context.get_path(&["re-run", "ref"]).cloned();
        assert_eq!(before, Some(Value::from(old.to_string())));
        assert!(
            world.result(id).contains(r#""output":{"x":1}"#),
            "{}",
            world.result(id)
        );
    }
    assert_eq!(world.children(old).len(), before);
    assert!(rerun(&["nope".into()], &[]).is_err());
    assert!(rerun(&[], &["b".into()]).is_err());
    let fine = World::new(&[("p.w", sequence(2))]);
    let done = fine.run("p.w");
    let refused = fine.steps.drive(fine.engine.rerun(done, &[], &[], "ben"));
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("nothing to run again")
    );
    // A task that succeeded runs again, and what follows it, when it is named.
    let again = fine
        .steps
        .drive(fine.engine.rerun(done, &["t0".into()], &[], "ben"));
    fine.steps.settle();
    let again = again.unwrap().id();
    assert_eq!(fine.status(again), Status::Succeeded);
    assert_eq!(fine.children(again).len(), 2);
}

#[test]
fn a_failed_task_that_is_held_waits_for_a_decision() {
    let text = "
version: 1.0
tasks:
  a:
    action: core.strict n=x
    on_failure: hold
    next: [{when: <% succeeded() %>, publish: [{said: <% result() %>}]}]
output: [{said: <% ctx().said %>}]
";
    let decide = |decision: Decision| {
        let world = World::new(&[("p.w", text.to_owned())]);
        let id = world.run("p.w");
        assert_eq!(world.status(id), Status::Paused);
        let world = world.restarted();
        world.steps.settle();
        let held = world.steps.drive(world.engine.held_tasks(id)).unwrap();
        let [task] = &held[..] else {
            panic!("{held:?}");
        };
        assert_eq!((&*task.task, task.route), ("a", 0));
        let decided = world.engine.decide(id, "a", 0, decision, "ann");
        world.steps.drive(decided).unwrap();
        world.steps.settle();
        let (status, result) = (world.status(id), world.result(id));
        let twice = world.engine.decide(id, "a", 0, Decision::Skip, "ann");
        (status, result, world.steps.drive(twice).is_err())
    };
    let (status, result, refused) = decide(Decision::Result(dict! { "x" => 1 }));
    assert_eq!(
        (status, &*result),
        (Status::Succeeded, r#"{"output":{"said":{"x":1}}}"#)
    );
    assert!(refused, "decided twice");
    let (status, _, refused) = decide(Decision::Abort);
    assert_eq!((status, refused), (Status::Failed, true));
    // It fails again, and waits again.
    let (status, _, refused) = decide(Decision::Retry);
    assert_eq!((status, refused), (Status::Paused, false));
}

#[test]
fn time_limits_hold_over_a_restart() {
    // The delayed task never starts within the time.
    for (text, ends) in [
        (
            "version: 1.0\ntimeout: 10\ntasks:\n  a:\n    delay: 100\n    action: core.noop\n",
            Status::Failed,
        ),
        (
            "version: 1.0\ntasks:\n  a:\n    delay: 100\n    timeout: 10\n    action: core.noop\n",
            Status::Failed,
        ),
        (
            "version: 1.0\ntimeout: 1000\ntasks:\n  a:\n    delay: 5\n    action: core.noop\n",
            Status::Succeeded,
        ),
    ] {
        for restarts in [false, true] {
            let mut world = World::new(&[("p.w", text.to_owned())]);
            let id = world.run("p.w");
            assert_eq!(world.status(id), Status::Running, "{text}");
            if restarts {
                world = world.restarted();
                world.steps.settle();
            }
            world.env.advance(Duration::from_secs(11));
            world.steps.settle();
            assert_eq!(world.status(id), ends, "{text}");
            assert_eq!(world.unfinished(), [""; 0], "{text}");
        }
    }
}

const RECURSIVE: &str = "
version: 1.0
input: [n]
tasks:
  start:
    action: core.noop
    next: [{when: <% ctx(n) > 0 %>, do: between}]
  between:
    action: p.between
    input: {n: <% ctx(n) %>}
";

const BETWEEN: &str = "
version: 1.0
input: [n]
tasks:
  below:
    action: p.recursive
    input: {n: <% ctx(n) - 1 %>}
";

/// Limits an action to one execution at a time, by a policy of the pack `p`.
fn limit_to_one(world: &World, action: &str, name: &str) {
    let body = format!(
        r#"{{"name": "{name}", "resource_ref": "{action}", "policy_type": "action.concurrency",
            "parameters": {{"action": "delay", "threshold": 1}}}}"#
    );
    let change = Change::Put {
        kind: DocumentKind::Policy,
        key: format!("p.{name}").into(),
        pack: Some("p".into()),
        body: json::read(&body).unwrap(),
        expires: None,
        new: true,
    };
    let changed = world.steps.drive(world.engine.change(vec![change]));
    changed.unwrap();
}

/// Two runs at once of workflows that run each other, of which some are limited to one at a time,
/// end although the server is restarted, at whatever step.
fn check_limited(limited: &[&str], asked: [&str; 2]) {
    for disturbed_at in 0.. {
        let world = World::new(&[
            ("p.recursive", RECURSIVE.to_owned()),
            ("p.between", BETWEEN.to_owned()),
        ]);
        for (number, action) in limited.iter().enumerate() {
            limit_to_one(&world, action, &format!("one_{number}"));
        }
        let ids = asked.map(|action| world.ask(action, dict! { "n" => 2 }));
        let has_steps = (0..disturbed_at).all(|_| world.steps.step());
        let world = world.restarted();
        world.steps.settle();
        assert_eq!(world.unfinished(), [""; 0], "at step {disturbed_at}");
        for id in ids {
            assert_eq!(
                world.status(id),
                Status::Succeeded,
                "at step {disturbed_at}"
            );
        }
        if !has_steps {
            assert!(disturbed_at > 5, "{disturbed_at}");
            return;
        }
    }
}

#[test]
fn a_limited_workflow_never_waits_for_itself() {
    check_limited(&["p.recursive"], ["p.recursive", "p.recursive"]);
}

#[test]
fn limited_workflows_that_run_each_other_never_wait_for_each_other() {
    check_limited(&["p.recursive", "p.between"], ["p.recursive", "p.between"]);
}

#[test]
fn who_waits_at_a_limit_is_served_in_order_and_knows_its_place() {
    let world = World::new(&[]);
    let ask = Change::Put {
        kind: DocumentKind::Action,
        key: "core.ask".into(),
        pack: Some("core".into()),
        body: action_body(
            json::read(r#"{"name": "ask", "runner_type": "inquirer", "parameters": {}}"#)
                .unwrap()
                .as_dict()
                .unwrap(),
            None,
        ),
        expires: None,
        new: true,
    };
    world.steps.drive(world.engine.change(vec![ask])).unwrap();
    limit_to_one(&world, "core.ask", "one");
    let ids: Vec<ExecutionId> = (0..5).map(|_| world.run("core.ask")).collect();
    let places = |world: &World| -> Vec<Option<usize>> {
        let place = |id: &ExecutionId| match &*world.engine.places(*id) {
            [] => None,
            [place] => {
                assert_eq!((&*place.gate, place.running), ("p.one", 1));
                Some(place.place)
            }
            more => panic!("{more:?}"),
        };
        ids.iter().map(place).collect()
    };
    assert_eq!(places(&world), [None, Some(1), Some(2), Some(3), Some(4)]);
    world
        .steps
        .drive(world.engine.cancel(ids[2], "ann"))
        .unwrap();
    world.steps.settle();
    assert_eq!(places(&world), [None, Some(1), None, Some(2), Some(3)]);
    let world = world.restarted();
    world.steps.settle();
    assert_eq!(places(&world), [None, Some(1), None, Some(2), Some(3)]);
    let answer = dict! { "continue" => true };
    let user = Str::from("ann");
    let answered = world.engine.respond(ids[0], answer, &user, &[]);
    world.steps.drive(answered).unwrap();
    world.steps.settle();
    assert_eq!(world.status(ids[1]), Status::Pending);
    assert_eq!(places(&world), [None, None, None, Some(1), Some(2)]);
}
