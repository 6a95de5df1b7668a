//! Workflows in the engine: large ones, nested ones, and ones that are disturbed at every step.

#![allow(clippy::unwrap_used)]

mod chains;
mod disturbed;
mod world;

use std::time::Duration;

use squall_engine::{Change, action_body};
use squall_model::{DocumentKind, ExecutionId, Status};
use squall_value::{Str, Value, dict, json};
use squall_workflow::Decision;

use world::World;

/// Puts a workflow with one parameter in force.
fn put_workflow(world: &World, key: &str, runner: &str, text: &str) {
    let (pack, name) = key.split_once('.').unwrap();
    let body = format!(
        r#"{{"name":"{name}","runner_type":"{runner}","entry_point":"{name}.yaml",
            "parameters":{{"n":{{}}}}}}"#
    );
    let body = json::read(&body).unwrap();
    let change = Change::Put {
        kind: DocumentKind::Action,
        key: key.into(),
        pack: Some(pack.into()),
        body: action_body(body.as_dict().unwrap(), Some(&text.into())),
        expires: None,
        new: true,
    };
    let changed = world.steps.drive(world.engine.change(vec![change]));
    changed.unwrap();
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

/// Two branches are quick; the third is there while the task after the join still runs.
fn late_arrival(join: &str, body: &str) -> String {
    format!(
        "
version: 1.0
vars: [{{seen: none}}]
tasks:
  start: {{action: core.noop, next: [{{do: [a, b, late]}}]}}
  a: {{action: core.noop, next: [{{do: meet}}]}}
  b: {{action: core.noop, next: [{{do: meet}}]}}
  late: {{action: core.noop, delay: 2, next: [{{publish: [{{seen: late}}], do: meet}}]}}
  meet:
    {join}
    {body}
    next: [{{publish: [{{last: <% ctx().seen %>}}], do: end}}]
  end: {{action: core.noop}}
output: [{{last: <% ctx().last %>}}]
"
    )
}

#[test]
fn who_arrives_at_a_task_that_runs_has_a_run_after_it() {
    let items = "with: {items: <% range(3) %>, concurrency: 2}\n    action: p.slow";
    for (join, body, runs) in [
        ("join: 2", "action: p.slow", 1),
        ("join: 2", items, 3),
        // A failure that is dealt with changes nothing about it.
        ("join: 2", "action: p.fails", 1),
    ] {
        let slow = "version: 1.0\ntasks:\n  a: {action: core.noop, delay: 5}\n";
        let fails =
            "version: 1.0\ntasks:\n  a: {action: core.noop, delay: 5, next: [{do: fail}]}\n";
        let world = World::new(&[
            ("p.slow", slow.to_owned()),
            ("p.fails", fails.to_owned()),
            ("p.w", late_arrival(join, body)),
        ]);
        let id = world.run("p.w");
        let under_way = |world: &World| {
            let all = world.children(id).into_iter();
            let meets = all.filter(|child| child.request.action.pack() == "p");
            let (ended, open): (Vec<_>, Vec<_>) = meets.partition(|one| one.state().is_ended());
            (ended.len(), open.len())
        };
        let at_once = runs.min(2);
        assert_eq!(under_way(&world), (0, at_once), "{body}");
        let mut world = world;
        for (moment, restarts) in [(3, true), (30, false)] {
            world.env.advance(Duration::from_secs(moment));
            world.steps.settle();
            if moment == 3 {
                assert_eq!(under_way(&world), (0, at_once), "{body}");
            }
            if restarts {
                world = world.restarted();
                world.steps.settle();
            }
        }
        for _ in 0..4 {
            world.env.advance(Duration::from_secs(30));
            world.steps.settle();
        }
        assert_eq!(under_way(&world), (2 * runs, 0), "{body}");
        assert_eq!(world.unfinished(), [""; 0], "{body}");
        assert_eq!(world.result(id), r#"{"output":{"last":"late"}}"#, "{body}");
        assert_eq!(world.status(id), Status::Succeeded, "{body}");
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

/// Puts a policy of the pack `p` in force; `rest` is all but its name.
fn put_policy(world: &World, name: &str, rest: &str) {
    let body = format!(r#"{{"name": "{name}", {rest}}}"#);
    let change = Change::Put {
        kind: DocumentKind::Policy,
        key: format!("p.{name}").into(),
        pack: Some("p".into()),
        body: json::read(&body).unwrap(),
        expires: None,
        new: false,
    };
    let changed = world.steps.drive(world.engine.change(vec![change]));
    changed.unwrap();
}

/// What a policy says that limits an action to so many executions at a time.
fn concurrency(action: &str, threshold: usize) -> String {
    format!(
        r#""policy_type": "action.concurrency", "resource_ref": "{action}",
            "parameters": {{"action": "delay", "threshold": {threshold}}}"#
    )
}

/// Limits an action to one execution at a time, by a policy of the pack `p`.
fn limit_to_one(world: &World, action: &str, name: &str) {
    put_policy(world, name, &concurrency(action, 1));
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

/// A server with `core.ask`, whose executions last until they are answered.
fn with_inquiries() -> World {
    let world = World::new(&[]);
    let body = r#"{"name": "ask", "runner_type": "inquirer", "parameters":
        {"pin": {"type": "string", "secret": true}, "host": {"type": "string"}}}"#;
    let ask = Change::Put {
        kind: DocumentKind::Action,
        key: "core.ask".into(),
        pack: Some("core".into()),
        body: action_body(json::read(body).unwrap().as_dict().unwrap(), None),
        expires: None,
        new: true,
    };
    world.steps.drive(world.engine.change(vec![ask])).unwrap();
    world
}

fn answer(world: &World, id: ExecutionId) {
    let user = Str::from("ann");
    let answered = world
        .engine
        .respond(id, dict! { "continue" => true }, &user, &[]);
    world.steps.drive(answered).unwrap();
    world.steps.settle();
}

/// Who waits, in which place at which gate.
fn waiting(world: &World, ids: &[ExecutionId]) -> String {
    let place = |id: &ExecutionId| match &*world.engine.places(*id) {
        [] => "-".to_owned(),
        [place] => format!("{} {}/{}", place.gate, place.place, place.running),
        more => panic!("{more:?}"),
    };
    ids.iter().map(place).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_limit_that_is_raised_or_lowered_holds_at_once() {
    let world = with_inquiries();
    let limit = |threshold: usize| {
        put_policy(&world, "one", &concurrency("core.ask", threshold));
        world.steps.settle();
    };
    limit(1);
    let ids: Vec<ExecutionId> = (0..5).map(|_| world.run("core.ask")).collect();
    assert_eq!(
        waiting(&world, &ids),
        "-, p.one 1/1, p.one 2/1, p.one 3/1, p.one 4/1"
    );
    limit(3);
    assert_eq!(waiting(&world, &ids), "-, -, -, p.one 1/3, p.one 2/3");
    limit(2);
    answer(&world, ids[0]);
    assert_eq!(waiting(&world, &ids), "-, -, -, p.one 1/2, p.one 2/2");
    answer(&world, ids[1]);
    assert_eq!(waiting(&world, &ids), "-, -, -, -, p.one 1/2");
}

#[test]
fn what_runs_already_counts_at_a_policy_that_is_made() {
    let world = with_inquiries();
    let mut ids = vec![world.run("core.ask"), world.run("core.ask")];
    limit_to_one(&world, "core.ask", "one");
    world.steps.settle();
    ids.push(world.run("core.ask"));
    assert_eq!(waiting(&world, &ids), "-, -, p.one 1/2");
    answer(&world, ids[0]);
    assert_eq!(waiting(&world, &ids), "-, -, p.one 1/1");
    answer(&world, ids[1]);
    assert_eq!(waiting(&world, &ids), "-, -, -");
    assert_eq!(world.status(ids[2]), Status::Pending);
}

#[test]
fn nobody_waits_at_a_policy_that_is_gone() {
    let disabled = format!(r#""enabled": false, {}"#, concurrency("core.ask", 1));
    for says in [None, Some(disabled), Some(concurrency("core.noop", 1))] {
        let world = with_inquiries();
        limit_to_one(&world, "core.ask", "one");
        let ids: Vec<ExecutionId> = (0..3).map(|_| world.run("core.ask")).collect();
        assert_eq!(waiting(&world, &ids), "-, p.one 1/1, p.one 2/1");
        if let Some(says) = &says {
            put_policy(&world, "one", says);
        } else {
            let (kind, key) = (DocumentKind::Policy, "p.one".into());
            let change = vec![Change::Delete { kind, key }];
            world.steps.drive(world.engine.change(change)).unwrap();
        }
        world.steps.settle();
        assert_eq!(waiting(&world, &ids), "-, -, -", "{says:?}");
        for id in ids {
            assert_eq!(world.status(id), Status::Pending, "{says:?}");
        }
    }
}

#[test]
fn who_waits_at_a_policy_that_changes_waits_at_what_it_says_now() {
    let world = with_inquiries();
    limit_to_one(&world, "core.ask", "one");
    let hosts = ["web1", "web2", "web1", "web2", "web2"];
    let ask = |host: &str| world.ask("core.ask", dict! { "host" => host });
    let ids = hosts.map(ask);
    world.steps.settle();
    assert_eq!(
        waiting(&world, &ids),
        "-, p.one 1/1, p.one 2/1, p.one 3/1, p.one 4/1"
    );
    let by_host = r#""policy_type": "action.concurrency.attr", "resource_ref": "core.ask",
        "parameters": {"threshold": 1, "attributes": ["host"]}"#;
    put_policy(&world, "one", by_host);
    world.steps.settle();
    let expected = r#"-, -, p.one ["web1"] 1/1, p.one ["web2"] 1/1, p.one ["web2"] 2/1"#;
    assert_eq!(waiting(&world, &ids), expected);
    answer(&world, ids[0]);
    assert_eq!(world.status(ids[2]), Status::Pending);
    let canceling = by_host.replace("\"threshold\"", "\"action\": \"cancel\", \"threshold\"");
    put_policy(&world, "one", &canceling);
    world.steps.settle();
    assert_eq!(world.status(ids[3]), Status::Canceled);
    assert_eq!(world.status(ids[1]), Status::Pending);
    answer(&world, ids[1]);
    answer(&world, ids[2]);
    assert_eq!(world.unfinished(), [""; 0]);
}

#[test]
fn a_secret_that_divides_a_limit_is_not_shown() {
    let world = with_inquiries();
    let rest = r#""policy_type": "action.concurrency.attr", "resource_ref": "core.ask",
        "parameters": {"threshold": 1, "attributes": ["pin", "host"]}"#;
    put_policy(&world, "one", rest);
    let ask = |pin: &str| world.ask("core.ask", dict! { "pin" => pin, "host" => "web1" });
    let ids = ["4711", "4711", "0815"].map(ask);
    world.steps.settle();
    let expected = r#"-, p.one ["********","web1"] 1/1, -"#;
    assert_eq!(waiting(&world, &ids), expected);
    let world = world.restarted();
    world.steps.settle();
    assert_eq!(waiting(&world, &ids), expected);
    answer(&world, ids[0]);
    assert_eq!(waiting(&world, &ids), "-, -, -");
}

#[test]
fn who_waits_at_a_limit_is_served_in_order_and_knows_its_place() {
    let world = with_inquiries();
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
    answer(&world, ids[0]);
    assert_eq!(world.status(ids[1]), Status::Pending);
    assert_eq!(places(&world), [None, None, None, Some(1), Some(2)]);
}

const WITHOUT_EXECUTIONS: &str = "
version: 1.0
tasks:
  items:
    with: <% list() %>
    action: core.noop
    next: [{do: nothing}]
  nothing:
    next: [{publish: [{seen: <% task(items).status %>}]}]
output:
  - seen: <% ctx(seen) %>
  - items: <% task(items).result %>
  - nothing: <% task(nothing).result %>
";

#[test]
fn a_task_without_executions_has_a_result() {
    let world = World::new(&[("p.w", WITHOUT_EXECUTIONS.to_owned())]);
    let id = world.run("p.w");
    let expected = r#"{"output":{"seen":"succeeded","items":{"items":[]},"nothing":null}}"#;
    assert_eq!(world.result(id), expected);
}

const ITEMS: &str = "
version: 1.0
tasks:
  all:
    with: <% list(0, ITEM, 2) %>
    action: core.strict
    input: {n: '<% item() %>'}
    next: [{do: after}]
  after:
    action: core.ask
output:
  - status: <% task(all).status %>
  - items: <% task(all).result.items.select(switch($ = null => null, true => $.status)) %>
";

#[test]
fn the_record_of_a_task_over_items_has_all_of_them() {
    let succeeded = r#"{"status":"succeeded","items":["succeeded","succeeded","succeeded"]}"#;
    // The one that can't be started has no result.
    let failed = r#"{"status":"failed","items":["succeeded",null,"succeeded"]}"#;
    for (item, output) in [("1", succeeded), ("none", failed)] {
        for restarts in [false, true] {
            let mut world = with_inquiries();
            let text = ITEMS.replace("ITEM", item);
            put_workflow(&world, "p.items", "orquesta", &text);
            let id = world.run("p.items");
            if restarts {
                world = world.restarted();
                world.steps.settle();
            }
            let children = world.children(id);
            let mut asked = children.iter();
            let asked = asked.find(|child| child.state().status() == Status::Pending);
            answer(&world, asked.expect("the inquiry").id());
            let result = json::read(&world.result(id)).unwrap();
            let given = result.get("output").unwrap().to_json();
            assert_eq!(given, output, "restarted: {restarts}");
        }
    }
}
