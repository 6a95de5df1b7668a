//! Rule definitions: what is read, and what is said about what can't be.
#![allow(clippy::unwrap_used)]

use expect_test::{Expect, expect};
use squall_rules::RuleDefinition;
use squall_value::json;

#[track_caller]
fn check(text: &str, expect: Expect) {
    let (rule, diagnostics) = RuleDefinition::parse(&json::read(text).unwrap());
    let mut out = match rule {
        Some(rule) => format!("{rule:#?}\n"),
        None => "refused\n".to_owned(),
    };
    for diagnostic in diagnostics {
        out += &format!("{:?}: {diagnostic}\n", diagnostic.severity);
    }
    expect.assert_eq(&out);
}

#[test]
fn a_whole_rule() {
    check(
        r#"{"name": "r", "pack": "p", "description": "d", "enabled": true, "type": {"ref": "backstop"},
            "trigger": {"type": "core.st2.webhook", "parameters": {"url": "hook"}},
            "criteria": {"trigger.body.a": {"type": "equals", "pattern": "x"}},
            "action": {"ref": "core.local", "parameters": {"cmd": "{{ trigger.body.a }}"}},
            "context": {"k": 1}, "tags": [{"name": "n", "value": "v"}]}"#,
        expect![[r#"
            RuleDefinition {
                name: "r",
                pack: Some(
                    "p",
                ),
                description: Some(
                    "d",
                ),
                enabled: true,
                kind: Backstop,
                trigger_type: "core.st2.webhook",
                trigger_parameters: {"url":"hook"},
                criteria: {"trigger.body.a":{"type":"equals","pattern":"x"}},
                action: "core.local",
                action_parameters: {"cmd":"{{ trigger.body.a }}"},
                context: {"k":1},
                tags: [{"name":"n","value":"v"}],
            }
        "#]],
    );
}

#[test]
fn the_least_of_a_rule_is_disabled() {
    check(
        r#"{"name": "r", "trigger": {"type": "p.t"}, "action": {"ref": "p.a"}, "criteria": null}"#,
        expect![[r#"
            RuleDefinition {
                name: "r",
                pack: None,
                description: None,
                enabled: false,
                kind: Standard,
                trigger_type: "p.t",
                trigger_parameters: {},
                criteria: {},
                action: "p.a",
                action_parameters: {},
                context: {},
                tags: [],
            }
        "#]],
    );
}

#[test]
fn every_fault_is_told_at_once() {
    check(
        r#"{"nam": "r", "enabled": "yes", "type": {"ref": "backstopp"}, "trigger": [],
            "criteria": {
                "trigger.a": {"type": "equal", "pattern": 1},
                "trigger.b": {"type": "gt"},
                "trigger.c": {"pattern": 1},
                "trigger.d": 5,
                "trigger.e": {"type": "SEARCH", "pattern": {}},
                "trigger.f": {"type": "search", "condition": "some", "pattern":
                    {"item.x": {"type": "wrong", "pattern": 1}, "x": {"type": "eq", "pattern": 1}}},
                "body.g": {"type": "exists", "pattern": 1},
                "trigger.": {"type": "exists", "pattern": 1}},
            "action": {"ref": "", "params": {}}, "tags": {}}"#,
        expect![[r#"
            refused
            Warning: nam: unknown key `nam` is ignored; did you mean `name`?
            Error: name: 'name' is a required property
            Error: trigger: [] is not of type 'object'
            Error: trigger.type: 'type' is a required property
            Warning: action.params: unknown key `params` is ignored; the action's arguments belong under `parameters`
            Error: action.ref: `ref` must not be empty
            Error: criteria.trigger.a: For field: trigger.a, operator equal not in list of allowed operators: equals, eq, nequals, neq, iequals, ieq, contains, icontains, ncontains, incontains, startswith, istartswith, endswith, iendswith, lessthan, lt, greaterthan, gt, matchwildcard, matchregex, regex, iregex, timediff_lt, td_lt, timediff_gt, td_gt, exists, nexists, inside, in, ninside, nin, search. Did you mean `equals`?
            Error: criteria.trigger.b: For field: trigger.b, no pattern specified for operator gt
            Error: criteria.trigger.c: Operator not specified for field: trigger.c
            Error: criteria.trigger.d: the criterion `trigger.d` must be a mapping with `type` and `pattern`, but is of type integer
            Error: criteria.trigger.e: For field: trigger.e, operator SEARCH must be written in lower case: search
            Error: criteria.trigger.f.pattern.item.x: For field: item.x, operator wrong not in list of allowed operators: equals, eq, nequals, neq, iequals, ieq, contains, icontains, ncontains, incontains, startswith, istartswith, endswith, iendswith, lessthan, lt, greaterthan, gt, matchwildcard, matchregex, regex, iregex, timediff_lt, td_lt, timediff_gt, td_gt, exists, nexists, inside, in, ninside, nin, search.
            Warning: criteria.trigger.f.pattern.x: this criterion never finds a value: the key must begin with `item.`, as in `item.x`
            Error: criteria.trigger.f: the condition 'some' is not recognized for type search; write one of any, all, any2any, all2any
            Warning: criteria.body.g: this criterion never finds a value: the key must begin with `trigger.`, as in `trigger.body.g`
            Warning: criteria.trigger.: this criterion never matches: the key ends where a name is expected; write a path such as `trigger.body.status`
            Error: enabled: 'yes' is not of type 'boolean'
            Error: type.ref: unknown type of rule `backstopp`; known are standard, backstop
            Error: tags: {} is not of type 'array'
        "#]],
    );
}

#[test]
fn not_a_mapping() {
    check(
        "[]",
        expect![[r#"
        refused
        Error: a rule must be a mapping, but is of type array
    "#]],
    );
}
