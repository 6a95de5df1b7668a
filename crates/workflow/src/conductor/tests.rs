//! Runs as data: a workflow, a script of what the host does, and the trace of what came of it.

mod model;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::{Expect, expect};
use squall_expr::{Expressions, HostError, KeyScope};
use squall_value::{Dict, Value, json};

use super::{Conductor, Decision, Host, RerunRequest, TaskEvent, World};
use crate::{Definition, Joins, Piece, Status};

/// A world without datastore, in which no time passes.
pub(super) struct Nowhere;

impl squall_expr::Host for Nowhere {
    fn key(&self, _: &KeyScope, _: &str, _: bool) -> Result<Option<Value>, HostError> {
        Ok(None)
    }

    fn decrypt(&self, ciphertext: &str) -> Result<String, HostError> {
        Ok(ciphertext.to_owned())
    }

    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn random(&self) -> u64 {
        0
    }
}

impl Host for Nowhere {
    fn task_record(&self, _: &str, _: usize) -> Option<Value> {
        None
    }
}

/// Runs `script`, one step per line, and compares the trace: each step, the status, the tasks whose
/// status has changed, and what was asked for.
///
/// Steps: `next`, `output`, `errors`, `reload`, `<status>` for a request, `rerun [task]…`,
/// `timed out`, and `<task>[@route][#item] <what> [result]` where what is a status, `times-out`, or
/// a decision: `retry`, `skip`, `result`, `abort`.
#[track_caller]
fn check(workflow: &str, script: &str, expected: Expect) {
    check_with(Joins::default(), workflow, script, expected);
}

#[track_caller]
fn check_with(joins: Joins, workflow: &str, script: &str, expected: Expect) {
    let definition = match workflow.trim_start().starts_with("chain:") {
        true => Definition::parse_chain(workflow),
        false => Definition::parse(workflow),
    };
    let expressions = Expressions::default();
    let world = World {
        expressions: &expressions,
        host: &Nowhere,
        joins,
    };
    let definition = Arc::new(definition.unwrap());
    let conductor = Conductor::start(definition, &Dict::new(), &Dict::new(), world);
    let mut run = Run {
        conductor,
        world,
        log: Vec::new(),
        known: BTreeMap::new(),
        trace: String::new(),
    };
    for line in script.trim().lines() {
        run.step(line.trim());
    }
    expected.assert_eq(&run.trace);
}

struct Run<'a> {
    conductor: Conductor,
    world: World<'a>,
    log: Vec<Piece>,
    known: BTreeMap<String, String>,
    trace: String,
}

impl Run<'_> {
    fn step(&mut self, line: &str) {
        let mut notes = Vec::new();
        if let Err(refusal) = self.act(line, &mut notes) {
            notes.push(format!("refused: {refusal}"));
        }
        self.log.extend(self.conductor.take_pieces());
        let mut changed = Vec::new();
        for task in self.conductor.tasks() {
            let key = format!("{}@{}", task.task, task.route);
            let held = if task.held { " (held)" } else { "" };
            let status = format!("{}{held}", task.status);
            if self.known.insert(key.clone(), status.clone()).as_ref() != Some(&status) {
                changed.push(format!("{key} {status}"));
            }
        }
        let status = self.conductor.status();
        writeln!(self.trace, "{line} -> {status} [{}]", changed.join(", ")).unwrap();
        for note in notes {
            writeln!(self.trace, "    {note}").unwrap();
        }
    }

    fn act(&mut self, line: &str, notes: &mut Vec<String>) -> Result<(), crate::Refusal> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["next"] => {
                for request in self.conductor.next_tasks(self.world) {
                    notes.push(show(&request));
                }
            }
            ["output"] => notes.push(self.conductor.render_output(self.world).to_json()),
            ["errors"] => notes.extend(self.conductor.errors().iter().map(Value::to_json)),
            ["reload"] => self.reload(),
            ["timed", "out"] => return self.conductor.timed_out(),
            ["rerun", ref tasks @ ..] => {
                let requests: Vec<RerunRequest> = tasks
                    .iter()
                    .map(|task| RerunRequest {
                        task: (*task).into(),
                        route: 0,
                        reset_items: false,
                    })
                    .collect();
                return self.conductor.rerun(&requests);
            }
            [status] => {
                return self
                    .conductor
                    .request_status(Status::parse(status).unwrap());
            }
            [task, what, ref rest @ ..] => {
                let result = match rest {
                    [] => Value::Null,
                    rest => json::read(&rest.join(" ")).unwrap(),
                };
                return self.task(task, what, result);
            }
            [] => {}
        }
        Ok(())
    }

    fn task(&mut self, task: &str, what: &str, result: Value) -> Result<(), crate::Refusal> {
        let (task, item) = match task.split_once('#') {
            Some((task, item)) => (task, Some(item.parse().unwrap())),
            None => (task, None),
        };
        let (task, route) = match task.split_once('@') {
            Some((task, route)) => (task, route.parse().unwrap()),
            None => (task, 0),
        };
        let decision = match what {
            "retry" => Some(Decision::Retry),
            "skip" => Some(Decision::Skip),
            "result" => Some(Decision::Result(result.clone())),
            "abort" => Some(Decision::Abort),
            _ => None,
        };
        if let Some(decision) = decision {
            return self.conductor.decide(task, route, decision, self.world);
        }
        if what == "times-out" {
            return self.conductor.task_timed_out(task, route, self.world);
        }
        let event = TaskEvent::new(task, route, Status::parse(what).unwrap());
        let event = match item {
            None => event.with_result(result),
            Some(item) => event.for_item(item, Some(result)),
        };
        self.conductor.task_event(event, self.world)
    }

    /// Restores from the log, and from a snapshot of what came of that.
    fn reload(&mut self) {
        let definition = self.conductor.definition().clone();
        let encoded: Vec<Value> = self.log.iter().map(Piece::to_value).collect();
        let restored = Conductor::restore_values(definition.clone(), &encoded).unwrap();
        let snapshot = restored.snapshot();
        self.conductor = Conductor::restore(definition, [&snapshot]).unwrap();
        self.log = vec![snapshot];
    }
}

fn show(request: &super::TaskRequest) -> String {
    let actions: Vec<String> = request
        .actions
        .iter()
        .map(|action| {
            let item = action
                .item
                .map_or_else(String::new, |item| format!("#{item} "));
            format!(
                "{item}{} {}",
                action.action.to_json(),
                action.input.to_json()
            )
        })
        .collect();
    let mut text = format!("{}@{}: {}", request.task, request.route, actions.join("; "));
    if let Some(delay) = request.delay {
        write!(text, " after {delay}s").unwrap();
    }
    if let Some(timeout) = request.timeout {
        write!(text, " within {timeout}s").unwrap();
    }
    text
}

#[test]
fn a_join_takes_what_each_branch_changed() {
    check(
        "
vars: [{x: 0}, {y: 0}]
tasks:
  start:
    next: [{publish: x=1, do: [left, right]}]
  left:
    next: [{publish: x=2, do: both}]
  right:
    next: [{publish: y=3, do: both}]
  both:
    join: all
    action: core.echo x=<% ctx().x %> y=<% ctx().y %>
",
        "running\nstart running\nstart succeeded\nleft running\nleft succeeded\nreload
right running\nright succeeded\nnext",
        expect![[r#"
            running -> running []
            start running -> running [start@0 running]
            start succeeded -> running [start@0 succeeded]
            left running -> running [left@0 running]
            left succeeded -> running [left@0 succeeded]
            reload -> running []
            right running -> running [right@0 running]
            right succeeded -> running [right@0 succeeded]
            next -> running []
                both@0: "core.echo" {"x":2,"y":3}
        "#]],
    );
}

/// `slow` has inherited the first `n`, and arrives after `quick` has set another one.
const LATE: &str = "
vars: [{n: 0}]
tasks:
  first: {next: [{publish: [{n: 1}, {d: {a: 1}}], do: [quick, slow]}]}
  quick: {action: x.y, next: [{publish: [{n: 2}, {d: {b: 2}}], do: last}]}
  slow: {action: x.y, next: [{do: last}]}
  last: {join: all, action: x.y, input: {n: <% ctx().n %>, d: <% ctx().d %>}}
";
const LATE_STEPS: &str = "running\nfirst running\nfirst succeeded\nquick running\nslow running\nquick succeeded\nslow succeeded\nreload\nnext";

#[test]
fn what_was_inherited_does_not_undo_what_another_branch_has_set() {
    check(
        LATE,
        LATE_STEPS,
        expect![[r#"
            running -> running []
            first running -> running [first@0 running]
            first succeeded -> running [first@0 succeeded]
            quick running -> running [quick@0 running]
            slow running -> running [slow@0 running]
            quick succeeded -> running [quick@0 succeeded]
            slow succeeded -> running [slow@0 succeeded]
            reload -> running []
            next -> running []
                last@0: "x.y" {"n":2,"d":{"a":1,"b":2}}
        "#]],
    );
}

#[test]
fn the_last_branch_brings_all_it_knows_where_that_is_asked_for() {
    check_with(
        Joins::ByBranch,
        LATE,
        LATE_STEPS,
        expect![[r#"
        running -> running []
        first running -> running [first@0 running]
        first succeeded -> running [first@0 succeeded]
        quick running -> running [quick@0 running]
        slow running -> running [slow@0 running]
        quick succeeded -> running [quick@0 succeeded]
        slow succeeded -> running [slow@0 succeeded]
        reload -> running []
        next -> running []
            last@0: "x.y" {"n":1,"d":{"a":1,"b":2}}
    "#]],
    );
}

#[test]
fn a_failed_task_can_be_held_and_decided() {
    let workflow = "
tasks:
  a:
    action: core.local
    on_failure: hold
    next: [{when: <% succeeded() %>, publish: [{r: <% result() %>}], do: b}]
  b:
    action: core.echo r=<% ctx().r %>
output: [{r: <% ctx().r %>}]
";
    check(
        workflow,
        "running\na running\na failed 7\nnext\nresuming\nreload\na result 5\nnext\nb running\nb succeeded\noutput",
        expect![[r#"
            running -> running []
            a running -> running [a@0 running]
            a failed 7 -> paused [a@0 failed (held)]
            next -> paused []
            resuming -> paused []
                refused: the workflow is `paused` and can't become `resuming`
            reload -> paused []
            a result 5 -> running [a@0 succeeded]
            next -> running []
                b@0: "core.echo" {"r":5}
            b running -> running [b@0 running]
            b succeeded -> succeeded [b@0 succeeded]
            output -> succeeded []
                {"r":5}
        "#]],
    );
    check(
        workflow,
        "running\na running\na failed\na retry\nnext\na running\na failed 1\na abort\nnext",
        expect![[r#"
            running -> running []
            a running -> running [a@0 running]
            a failed -> paused [a@0 failed (held)]
            a retry -> running [a@0 retrying]
            next -> running []
                a@0: "core.local" null after 0s
            a running -> running [a@0 running]
            a failed 1 -> paused [a@0 failed (held)]
            a abort -> failed [a@0 failed]
            next -> failed []
        "#]],
    );
}

#[test]
fn a_branch_that_runs_again_keeps_what_the_others_brought() {
    check(
        "
tasks:
  a: {action: x.y, next: [{publish: [{x: <% result() %>}], do: both}]}
  b: {action: x.y, next: [{publish: [{y: <% result() %>}], do: both}]}
  both:
    join: all
    action: core.echo x=<% ctx().x %> y=<% ctx().y %>
",
        "running\na running\nb running\na succeeded 1\nb succeeded 2\nboth running\nboth failed\nrerun b\nreload\nnext\nb running\nb succeeded 3\nreload\nnext",
        expect![[r#"
            running -> running []
            a running -> running [a@0 running]
            b running -> running [b@0 running]
            a succeeded 1 -> running [a@0 succeeded]
            b succeeded 2 -> running [b@0 succeeded]
            both running -> running [both@0 running]
            both failed -> failed [both@0 failed]
            rerun b -> resuming [b@0 null]
            reload -> resuming []
            next -> resuming []
                b@0: "x.y" null
            b running -> running [b@0 running]
            b succeeded 3 -> running [b@0 succeeded]
            reload -> running []
            next -> running []
                both@0: "core.echo" {"x":1,"y":3}
        "#]],
    );
}

#[test]
fn succeeded_items_run_again_when_named() {
    check(
        "
tasks:
  a:
    with: <% list(1, 2) %>
    action: core.echo n=<% item() %>
    next: [{publish: [{r: <% result() %>}]}]
",
        "running\nnext\na#0 running\na#1 running\na#0 succeeded 1\na#1 succeeded 2\nrerun a\nnext\na#0 running\na#1 running\na#0 succeeded 3\na#1 succeeded 4",
        expect![[r#"
            running -> running []
            next -> running []
                a@0: #0 "core.echo" {"n":1}; #1 "core.echo" {"n":2}
            a#0 running -> running [a@0 running]
            a#1 running -> running []
            a#0 succeeded 1 -> running []
            a#1 succeeded 2 -> succeeded [a@0 succeeded, continue@0 succeeded]
            rerun a -> resuming [a@0 null]
            next -> resuming []
                a@0: #0 "core.echo" {"n":1}; #1 "core.echo" {"n":2}
            a#0 running -> running [a@0 running]
            a#1 running -> running []
            a#0 succeeded 3 -> running []
            a#1 succeeded 4 -> succeeded [a@0 succeeded]
        "#]],
    );
}

#[test]
fn a_rerun_takes_a_fail_command_back_where_work_is_left() {
    check(
        "
tasks:
  a: {action: x.y, next: [{do: [fail, b]}]}
  b: {action: x.y, next: [{do: c}]}
  c: {action: x.y}
",
        "running\na running\na succeeded\nnext\nb running\nb succeeded\nerrors\nrerun\nerrors\nnext\nc running\nc succeeded\nrerun",
        expect![[r#"
            running -> running []
            a running -> running [a@0 running]
            a succeeded -> failed [a@0 succeeded, fail@0 failed]
            next -> failed []
                b@0: "x.y" null
            b running -> failed [b@0 running]
            b succeeded -> failed [b@0 succeeded]
            errors -> failed []
                {"type":"error","message":"Execution failed. See result for details.","task_id":"fail"}
            rerun -> resuming [fail@0 null]
            errors -> resuming []
            next -> resuming []
                c@0: "x.y" null
            c running -> running [c@0 running]
            c succeeded -> succeeded [c@0 succeeded]
            rerun -> resuming []
        "#]],
    );
}

#[test]
fn others_run_on_while_a_task_is_held() {
    check(
        "
tasks:
  a: {action: x.y, on_failure: hold}
  b: {action: x.y, next: [{do: c}]}
  c: {action: x.y}
",
        "running\na running\nb running\na failed\nb succeeded\nnext\nc running\nc succeeded\na skip",
        expect![[r#"
            running -> running []
            a running -> running [a@0 running]
            b running -> running [b@0 running]
            a failed -> running [a@0 failed (held)]
            b succeeded -> running [b@0 succeeded]
            next -> running []
                c@0: "x.y" null
            c running -> running [c@0 running]
            c succeeded -> paused [c@0 succeeded]
            a skip -> succeeded [a@0 succeeded]
        "#]],
    );
}

#[test]
fn time_limits_are_reported_and_their_end_is_taken() {
    check(
        "
timeout: 60
tasks:
  a:
    timeout: 5
    action: core.local
    next: [{when: <% failed() %>, do: b}]
  b:
    with: <% [1, 2, 3] %>
    timeout: <% 2 + 2 %>
    action: core.echo m=<% item() %>
",
        "running\nnext\na running\na times-out\nnext\nb#0 running\nb#1 running\nb#0 succeeded [1]\nb times-out\nerrors",
        expect![[r#"
            running -> running []
            next -> running []
                a@0: "core.local" null within 5s
            a running -> running [a@0 running]
            a times-out -> running [a@0 failed]
            next -> running []
                b@0: #0 "core.echo" {"m":1}; #1 "core.echo" {"m":2}; #2 "core.echo" {"m":3} within 4s
            b#0 running -> running [b@0 running]
            b#1 running -> running []
            b#0 succeeded [1] -> running []
            b times-out -> failed [b@0 failed]
            errors -> failed []
                {"type":"error","message":"The task did not end within its time.","task_id":"a","route":0}
                {"type":"error","message":"The task did not end within its time.","task_id":"b","route":0}
        "#]],
    );
    check(
        "timeout: 60\ntasks: {a: {action: x.y}}",
        "running\na running\ntimed out\nerrors",
        expect![[r#"
            running -> running []
            a running -> running [a@0 running]
            timed out -> failed []
            errors -> failed []
                {"type":"error","message":"The workflow did not end within 60 seconds."}
        "#]],
    );
}

#[test]
fn items_are_handed_out_as_places_get_free() {
    check(
        "
tasks:
  a:
    with: {items: x in <% range(5) %>, concurrency: 2}
    action: core.echo m=<% item(x) %>
output: [{n: 1}]
",
        "running\nnext\na#0 running\na#1 running\nnext\na#1 succeeded [null, 1]\nreload\nnext\na#2 running
paused\na#0 succeeded\na#2 succeeded\nnext\nresuming\nnext\na#3 running\na#4 running\na#3 failed\na#4 succeeded\nrerun\nnext",
        expect![[r#"
            running -> running []
            next -> running []
                a@0: #0 "core.echo" {"m":0}; #1 "core.echo" {"m":1}
            a#0 running -> running [a@0 running]
            a#1 running -> running []
            next -> running []
            a#1 succeeded [null, 1] -> running []
            reload -> running []
            next -> running []
                a@0: #2 "core.echo" {"m":2}
            a#2 running -> running []
            paused -> pausing [a@0 pausing]
            a#0 succeeded -> pausing []
            a#2 succeeded -> paused [a@0 paused]
            next -> paused []
            resuming -> resuming []
            next -> resuming []
                a@0: #3 "core.echo" {"m":3}; #4 "core.echo" {"m":4}
            a#3 running -> running [a@0 running]
            a#4 running -> running []
            a#3 failed -> running []
            a#4 succeeded -> failed [a@0 failed]
            rerun -> resuming []
            next -> resuming []
                a@0: #3 "core.echo" {"m":3}
        "#]],
    );
}

#[test]
fn what_was_never_started_can_not_end() {
    check(
        "tasks: {a: {action: x.y}}",
        "running\na succeeded\nb running\na@1 running\na#0 running\na running\na succeeded\na succeeded",
        expect![[r#"
            running -> running []
            a succeeded -> running []
                refused: task `a` on route 0 can't be `succeeded`: it was not started
            b running -> running []
                refused: task `b` is not part of the workflow
            a@1 running -> running []
                refused: task `a` has not been reached on route 1
            a#0 running -> running []
                refused: task `a` on route 0 has no item 0
            a running -> running [a@0 running]
            a succeeded -> succeeded [a@0 succeeded]
            a succeeded -> succeeded []
        "#]],
    );
}

#[test]
fn a_chain_runs_one_task_after_the_other() {
    check(
        "
chain:
  - name: first
    ref: core.local
    parameters: {cmd: 'echo {{ word }}'}
    publish: {said: '{{ first.stdout }}'}
    on-success: second
    on-failure: sorry
  - name: second
    ref: core.local
    params: {cmd: '{{ said }} {{ first.stdout }}'}
    on-failure: sorry
  - name: sorry
    ref: core.noop
vars: {word: hi}
",
        "running\nnext\nfirst running\nfirst succeeded {\"stdout\": \"hi\"}\nreload\nnext\nsecond running
second failed {\"stdout\": \"\"}\nnext\nsorry running\nsorry succeeded {}\noutput",
        expect![[r#"
            running -> running []
            next -> running []
                first@0: "core.local" {"cmd":"echo hi"}
            first running -> running [first@0 running]
            first succeeded {"stdout": "hi"} -> running [first@0 succeeded]
            reload -> running []
            next -> running []
                second@0: "core.local" {"cmd":"hi hi"}
            second running -> running [second@0 running]
            second failed {"stdout": ""} -> running [second@0 failed]
            next -> running []
                sorry@0: "core.noop" null
            sorry running -> running [sorry@0 running]
            sorry succeeded {} -> succeeded [sorry@0 succeeded, continue@0 succeeded]
            output -> succeeded []
                {"said":"hi"}
        "#]],
    );
}

#[test]
fn a_chain_that_fails_without_a_way_on_has_failed() {
    check(
        "
chain:
  - {name: a, ref: core.noop, on-success: b}
  - {name: b, ref: core.noop, params: {x: '{{ missing.y }}'}}
",
        "running\na running\na succeeded {}\nnext\nerrors",
        expect![[r#"
            running -> running []
            a running -> running [a@0 running]
            a succeeded {} -> running [a@0 succeeded]
            next -> failed []
            errors -> failed []
                {"type":"error","message":"Failed to run task \"b\". Parameter rendering failed. Failed rendering value for action parameter \"x\" in task \"b\" (template string={{ missing.y }}): 'missing' is undefined","task_id":"b","route":0}
        "#]],
    );
}

#[test]
fn a_long_cycle_keeps_a_bounded_state() {
    let definition = Definition::parse(
        "
vars: [{n: 0}]
tasks:
  start: {next: [{do: turn}]}
  turn:
    action: x.y
    next:
      - {when: <% ctx().n < 100000 %>, publish: [{n: <% ctx().n + 1 %>}], do: other}
  other:
    action: x.y
    next: [{publish: [{m: <% ctx().n %>}], do: turn}]
",
    );
    let expressions = Expressions::default();
    let world = World {
        expressions: &expressions,
        host: &Nowhere,
        joins: crate::Joins::default(),
    };
    let (inputs, context) = (Dict::new(), Dict::new());
    let mut conductor = Conductor::start(Arc::new(definition.unwrap()), &inputs, &context, world);
    conductor.request_status(Status::Running).unwrap();
    let mut sizes = Vec::new();
    for turn in 0..2_000 {
        for request in conductor.next_tasks(world) {
            for status in [Status::Running, Status::Succeeded] {
                let event = TaskEvent::new(request.task.clone(), request.route, status);
                conductor.task_event(event, world).unwrap();
            }
        }
        let _ = conductor.take_pieces();
        if turn == 100 || turn == 1_999 {
            let Piece::Snapshot { pieces } = conductor.snapshot() else {
                panic!("a snapshot is one piece");
            };
            sizes.push(pieces.len());
        }
    }
    assert_eq!(sizes[0], sizes[1]);
}
