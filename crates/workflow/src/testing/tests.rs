use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use squall_expr::Expressions;
use squall_value::{Dict, Str, Value, dict};

use super::*;
use crate::Status;

const GREET: &str = "version: 1.0
input:
  - name
vars:
  - greeting: null
tasks:
  ask:
    action: core.echo message=<% ctx().name %>
    next:
      - when: <% succeeded() %>
        publish: greeting=<% result() %>
        do: [each, log]
      - when: <% failed() %>
        do: fail
  each:
    with: <% list(1, 2) %>
    action: core.echo
    input:
      message: <% item() %>
  log:
    action: core.noop
output:
  - greeting: <% ctx().greeting %>
";

fn read(path: &str) -> Result<String, String> {
    let files = BTreeMap::from([
        ("greet.yaml", GREET.to_owned()),
        (
            "bad.yaml",
            "version: 1.0\ntasks:\n  a:\n    actoin: x\n".to_owned(),
        ),
        ("result.json", "{\"a\": [1]}".to_owned()),
    ]);
    files
        .get(path)
        .cloned()
        .ok_or_else(|| "no such file".to_owned())
}

fn outcomes(text: &str) -> Vec<Outcome> {
    let cases = parse(text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let expressions = Expressions::default();
    cases
        .iter()
        .map(|case| run(case, &expressions, &read))
        .collect()
}

#[track_caller]
fn check(text: &str, expected: Expect) {
    let mut shown = String::new();
    for outcome in outcomes(text) {
        let lines = outcome.failures.iter().chain(&outcome.remarks);
        lines.for_each(|line| shown += &format!("{line}\n"));
        shown += &outcome.coverage.summary();
    }
    expected.assert_eq(&shown);
}

const GOOD: &str = "workflow: greet.yaml
inputs: {name: Stanley}
mock_action_executions:
  - {task_id: ask, result: hello}
  - {task_id: each, item_id: 0, result: one}
  - {task_id: each, item_id: 1, result: two}
expected_task_sequence: [ask, each, log]
expected_output: {greeting: hello}
expected_contexts:
  log: {greeting: hello, name: Stanley}
expected_action_inputs:
  ask: {message: Stanley}
  each: [{message: 1}, {message: 2}]
";

#[test]
fn a_run_as_expected_passes() {
    check(
        GOOD,
        expect![[r#"
        tasks 3/3, transitions 2/3
          transition never taken: ask.next[1] -> fail
    "#]],
    );
}

#[test]
fn every_difference_is_named() {
    check(
        "workflow: greet.yaml
inputs: {name: Stanley}
mock_action_executions:
  - {task_id: ask, status: failed, result: no}
  - {task_id: log, result: x}
expected_task_sequence: [ask, log]
expected_output: {greeting: hello}
expected_routes: [[], [x]]
expected_action_inputs:
  ask: {message: Ollie}
",
        expect![[r#"
            input of the action of `ask`
            expected: {"message":"Ollie"}
            got:      {"message":"Stanley"}
            the order of tasks
            expected: ask, log
            got:      ask, fail
            the routes
            expected: [[],["x"]]
            got:      [[]]
            the status of the workflow
            expected: "succeeded"
            got:      "failed"
            the output
            expected: {"greeting":"hello"}
            got:      {"greeting":null}
            the run's errors
            {"type":"error","message":"Execution failed. See result for details.","task_id":"ask","result":false}
            {"type":"error","message":"Execution failed. See result for details.","task_id":"fail"}
            a result for `log` was never asked for
            tasks 1/3, transitions 1/3
              task never started: each
              task never started: log
              transition never taken: ask.next[0] -> each
              transition never taken: ask.next[0] -> log
        "#]],
    );
}

#[test]
fn expected_errors_of_inspection_end_the_test() {
    check(
        "workflow: bad.yaml
expected_task_sequence: []
expected_inspection_errors:
  syntax:
    - spec_path: tasks.a
      message: \"Additional properties are not allowed ('actoin' was unexpected)\"
---
workflow: bad.yaml
---
workflow: absent.yaml
",
        expect![[r#"
            tasks 0/0, transitions 0/0
            the inspection's errors are not as expected
            expected: {}
            found:
            error: Additional properties are not allowed ('actoin' was unexpected)
             --> bad.yaml:4:5
              |
            4 |     actoin: x
              |     ^
              = at: tasks.a
              = help: did you mean `action`?

            tasks 0/0, transitions 0/0
            the workflow absent.yaml can't be read: no such file
            tasks 0/0, transitions 0/0
        "#]],
    );
}

#[test]
fn broken_tests_are_refused_with_places() {
    let problems =
        parse("workflow: [a]\nexpectd_output: {}\nmock_action_executions:\n  - {item_id: x}\n")
            .unwrap_err();
    let shown: String = problems
        .iter()
        .map(|problem| format!("{problem}\n"))
        .collect();
    expect![[r#"
        2:1: error: `expectd_output` is not known here (known: name, workflow, inputs, context, datastore, mock_action_executions, expected_inspection_errors, expected_routes, expected_task_sequence, expected_term_tasks, expected_workflow_status, expected_errors, expected_output, expected_contexts, expected_action_inputs, description)
        1:11: error: `workflow` is text (put it in quotes)
        1:1: error: the test names no workflow (write `workflow: <path>`)
        4:5: error: the result belongs to no task (write `task_id: <task>`)
        4:15: error: `item_id` is a whole number from 0 (correct it)
    "#]].assert_eq(&shown);
    assert!(parse("").is_err());
    assert!(parse("workflow_state: {}\n").is_err());
}

#[test]
fn junit_counts_failures() {
    let mut all = outcomes(GOOD);
    all.extend(outcomes("name: wrong & bad\nworkflow: absent.yaml\n"));
    expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites tests="2" failures="1">
          <testsuite name="greetings" tests="2" failures="1">
            <testcase name="greet.yaml" classname="greet.yaml"/>
            <testcase name="wrong &amp; bad" classname="absent.yaml">
              <failure message="the workflow absent.yaml can't be read: no such file">the workflow absent.yaml can't be read: no such file</failure>
            </testcase>
          </testsuite>
        </testsuites>
    "#]].assert_eq(&junit("greetings", &all));
}

#[test]
fn coverage_adds_up() {
    let good = outcomes(GOOD).remove(0);
    let failing = "workflow: greet.yaml\ninputs: {name: a}\nmock_action_executions: [{task_id: ask, status: failed}]\nexpected_workflow_status: failed\n";
    let bad = outcomes(failing).remove(0);
    assert!(bad.passed(), "{:?}", bad.failures);
    assert_eq!(bad.coverage.missed_tasks().len(), 2);
    let mut sum = good.coverage.clone();
    sum.add(&bad.coverage);
    assert!(sum.missed_tasks().is_empty() && sum.missed_transitions().is_empty());
}

#[test]
fn a_recorded_run_passes_as_a_test() {
    let result = |task: &str, entry: usize, item: Option<usize>, result: &str| RecordedResult {
        task: Str::from(task),
        route: 0,
        entry,
        item,
        status: Status::Succeeded,
        result: Value::from(result),
    };
    let recording = Recording {
        workflow: "greet.yaml".to_owned(),
        inputs: Dict::from_iter([("name", "Stanley")]),
        results: vec![
            result("ask", 0, None, "hello"),
            result("each", 1, Some(0), "a"),
            result("log", 2, None, "b"),
            result("each", 1, Some(1), "c"),
        ],
        sequence: vec![
            (Str::from("ask"), 0),
            (Str::from("each"), 0),
            (Str::from("log"), 0),
        ],
        status: Status::Succeeded,
        output: dict! { "greeting" => "hello" },
        ..Recording::default()
    };
    let text = record(&recording);
    let outcome = outcomes(&text).remove(0);
    assert!(
        outcome.passed() && outcome.remarks.is_empty(),
        "{text}\n{:?}",
        outcome.failures
    );
}

#[test]
fn endless_runs_end() {
    let looping = "version: 1.0\ntasks:\n  start:\n    next: [{do: a}]\n  a:\n    action: core.noop\n    next: [{do: a}]\n";
    let cases = parse("workflow: loop.yaml\n").unwrap();
    let outcome = run(&cases[0], &Expressions::default(), &|_| {
        Ok(looping.to_owned())
    });
    assert!(
        outcome.failures[0].contains("does not end"),
        "{:?}",
        outcome.failures
    );
}
