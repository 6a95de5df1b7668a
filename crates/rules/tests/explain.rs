//! Why a rule matches or does not, as people read it.
#![allow(clippy::unwrap_used)]

mod common;

use expect_test::{Expect, expect};
use squall_expr::Expressions;
use squall_rules::{CompiledRule, Surroundings};
use squall_value::json;

#[track_caller]
fn check(criteria: &str, payload: &str, expect: Expect) {
    let expressions = Expressions::default();
    let surroundings = Surroundings {
        expressions: &expressions,
        host: &common::World,
    };
    let rule = CompiledRule::compile(&json::read(criteria).unwrap());
    let payload = json::read(payload).unwrap();
    let explanation = rule.explain(&payload, &surroundings);
    let outcome = rule.matches(&payload, &surroundings);
    assert_eq!(explanation.is_match, outcome.is_match);
    let mut text = format!("{explanation}\n");
    for failure in outcome.failures {
        text += &format!("{}\n", failure.reason("p.r", "i1"));
    }
    expect.assert_eq(&text);
}

#[test]
fn a_match() {
    check(
        r#"{"trigger.a": {"type": "equals", "pattern": "x"}, "trigger.n#1": {"type": "GT", "pattern": 4},
            "system.limit": {"type": "eq", "pattern": "5"}}"#,
        r#"{"a": "x", "n": 5}"#,
        expect![[r#"
            the rule matches
            ok   trigger.a = 'x'  equals  'x'
            ok   trigger.n#1 = 5  GT  4
            ok   system.limit = '5'  eq  '5'
        "#]],
    );
}

#[test]
fn every_criterion_is_shown_even_after_the_first_that_fails() {
    check(
        r#"{"trigger.a": {"type": "equals", "pattern": "x"}, "trigger.n": {"type": "lt", "pattern": "4"},
            "trigger.m": {"type": "exists", "pattern": true}, "trigger.a#2": {"pattern": 1},
            "trigger.a#3": {"type": "regex", "pattern": "["}, "trigger.n[0]": {"type": "eq", "pattern": 1},
            "trigger.a#4": {"type": "nosuch", "pattern": 1}}"#,
        r#"{"a": "y", "n": 5}"#,
        expect![[r#"
            the rule does not match
            no   trigger.a = 'y'  equals  'x'
            fail trigger.n = 5  lt  '4'
                 TypeError: '<' not supported between instances of 'int' and 'str'
            no   trigger.m = None  exists  True
            no   trigger.a#2: the criterion has no `type`
            fail trigger.a#3 = 'y'  regex  '['
                 error: unterminated character set at position 0
            fail trigger.n[0] = None  eq  1
                 TypeError: object of type 'int' has no len()
            fail trigger.a#4 = 'y'  nosuch  1
                 Exception: Invalid operator: nosuch
        "#]],
    );
}

#[test]
fn failures_are_reported_up_to_the_first_criterion_that_decides() {
    check(
        r#"{"trigger.l": {"type": "search", "condition": "any", "pattern":
            {"item.n": {"type": "gt", "pattern": 3}}}, "trigger.x": {"type": "gt", "pattern": 1},
            "trigger.y": {"type": "gt", "pattern": 1}}"#,
        r#"{"l": [{"n": 5}, {"n": "a"}, {}]}"#,
        expect![[r#"
            the rule does not match
            ok   trigger.l = [{'n': 5}, {'n': 'a'}, {}]  search  {'item.n': {'type': 'gt', 'pattern': 3}}
            fail trigger.x = None  gt  1
                 TypeError: '>' not supported between instances of 'NoneType' and 'int'
            fail trigger.y = None  gt  1
                 TypeError: '>' not supported between instances of 'NoneType' and 'int'
            Failed to match rule "p.r" against trigger instance "i1": There might be a problem with the criteria in rule p.r: '>' not supported between instances of 'str' and 'int'
            Failed to match rule "p.r" against trigger instance "i1": There might be a problem with the criteria in rule p.r: '>' not supported between instances of 'NoneType' and 'int'
            Failed to match rule "p.r" against trigger instance "i1": There might be a problem with the criteria in rule p.r: '>' not supported between instances of 'NoneType' and 'int'
        "#]],
    );
}

#[test]
fn an_empty_payload_meets_no_criteria() {
    check(
        r#"{"trigger": {"type": "exists", "pattern": true}}"#,
        "{}",
        expect![[r#"
            the rule does not match: the payload is empty, and a rule with criteria needs one
            ok   trigger = {}  exists  True
        "#]],
    );
    check(
        "{}",
        "{}",
        expect![[r#"
        the rule matches: it has no criteria
    "#]],
    );
}

#[test]
fn searches_are_bounded() {
    let items = vec!["{}"; 60_000].join(",");
    check(
        r#"{"trigger.l": {"type": "search", "condition": "any", "pattern": {"item.a": {"type": "exists"},
            "item.b": {"type": "exists"}, "item.c": {"type": "exists"}, "item.d": {"type": "exists"}}}}"#,
        &format!(r#"{{"l": [{items}]}}"#),
        expect![[r#"
            the rule does not match
            fail trigger.l = [{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {},…  search  {'item.a': {'type': 'exists'}, 'item.b': {'type': 'exists'}, 'item.c': {'type': 'exists'}, 'item.d': {'type': 'exists'}}
                 ValueError: the search needs more than 200000 comparisons
            Failed to match rule "p.r" against trigger instance "i1": There might be a problem with the criteria in rule p.r: the search needs more than 200000 comparisons
        "#]],
    );
}

#[test]
fn reports_are_bounded() {
    let items = vec!["{}"; 500].join(",");
    let expressions = Expressions::default();
    let surroundings = Surroundings {
        expressions: &expressions,
        host: &common::World,
    };
    let criteria = r#"{"trigger.l": {"type": "search", "condition": "all", "pattern":
        {"item.a": {"type": "gt", "pattern": 1}}}}"#;
    let rule = CompiledRule::compile(&json::read(criteria).unwrap());
    let payload = json::read(&format!(r#"{{"l": [{items}]}}"#)).unwrap();
    let outcome = rule.matches(&payload, &surroundings);
    assert!(!outcome.is_match);
    assert_eq!(outcome.failures.len(), 100);
}
