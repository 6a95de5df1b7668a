//! The index gives what trying every rule gives, whatever is added, replaced and removed.

mod common;

use std::sync::Arc;

use proptest::prelude::*;
use squall_expr::Expressions;
use squall_rules::{CompiledRule, RuleIndex, RuleKind, Surroundings};
use squall_value::{Dict, Value, dict, list};

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0_i64..3).prop_map(Value::from),
        prop_oneof![Just(0.0), Just(1.0), Just(1.5), Just(-0.0), Just(f64::NAN)]
            .prop_map(Value::from),
        Just(Value::from(9_007_199_254_740_993_i64)),
        Just(Value::from(9_007_199_254_740_992.0)),
        prop_oneof!["", "a", "b", "1"].prop_map(Value::from),
        Just(list!["a"]),
        Just(dict! {"k" => "a"}),
    ]
}

fn payload() -> impl Strategy<Value = Value> {
    prop_oneof![
        9 => proptest::collection::vec(scalar(), 3).prop_map(|values| {
            let names = ["a", "b", "c"].into_iter().zip(values);
            dict! {"body" => names.collect::<Dict>()}
        }),
        1 => scalar(),
    ]
}

fn criterion() -> impl Strategy<Value = (String, Value)> {
    let key = prop_oneof![
        8 => "trigger\\.body\\.[abc]",
        1 => "trigger\\.body\\.[abc]\\.k",
        1 => "trigger\\.body\\[0\\]",
        1 => "(body|item)\\.[abc]",
        1 => Just("trigger..k".to_owned()),
        1 => Just("trigger.".to_owned()),
    ];
    let operator = prop_oneof![
        8 => Just("equals"),
        2 => Just("EQ"),
        1 => Just("nequals"),
        1 => Just("exists"),
        1 => Just("contains"),
        1 => Just("gt"),
        1 => Just("nosuch"),
    ];
    (key, operator, scalar()).prop_map(|(key, operator, pattern)| {
        (key, dict! {"type" => operator, "pattern" => pattern})
    })
}

/// A change to the index: a rule that is put there, or one that is removed.
type Change = (u8, u8, Option<(bool, Vec<(String, Value)>)>);

fn change() -> impl Strategy<Value = Change> {
    let criteria = proptest::collection::vec(criterion(), 0..4);
    let rule = (prop::bool::weighted(0.2), criteria);
    (0_u8..40, 0_u8..2, proptest::option::weighted(0.8, rule))
}

fn apply(index: &mut RuleIndex<u8, u8>, (id, trigger, rule): Change) {
    match rule {
        Some((is_backstop, criteria)) => {
            let kind = if is_backstop {
                RuleKind::Backstop
            } else {
                RuleKind::Standard
            };
            let criteria = Value::from(criteria.into_iter().collect::<Dict>());
            let rule = Arc::new(CompiledRule::compile(&criteria));
            index.insert(trigger, id, kind, rule);
        }
        None => {
            index.remove(&id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn finds_what_trying_every_rule_finds(
        changes in proptest::collection::vec(change(), 0..120),
        payloads in proptest::collection::vec(payload(), 1..8),
    ) {
        let expressions = Expressions::default();
        let surroundings = Surroundings { expressions: &expressions, host: &common::World };
        let mut index = RuleIndex::new();
        let mut before = index.clone();
        for (count, change) in changes.into_iter().enumerate() {
            if count == 60 {
                before = index.clone();
            }
            apply(&mut index, change);
        }
        for index in [before, index] {
            for trigger in 0..2 {
                for payload in &payloads {
                    let found = index.matches(&trigger, payload, &surroundings);
                    let all = index.matches_by_scan(&trigger, payload, &surroundings);
                    prop_assert_eq!(found, all);
                }
            }
        }
    }
}

#[test]
fn removed_rules_leave_nothing_behind() {
    let mut index = RuleIndex::new();
    let rule = |value: i64| {
        let criteria = dict! {"trigger.a" => dict! {"type" => "equals", "pattern" => value}};
        Arc::new(CompiledRule::compile(&criteria))
    };
    for id in 0..100 {
        index.insert("hook", id, RuleKind::Standard, rule(id));
    }
    assert!(index.listens(&"hook"));
    for id in 0..100 {
        assert!(index.remove(&id));
        assert!(!index.remove(&id));
    }
    assert!(index.is_empty());
    assert!(!index.listens(&"hook"));
}

#[test]
fn backstop_rules_wait_for_the_others() {
    let expressions = Expressions::default();
    let surroundings = Surroundings {
        expressions: &expressions,
        host: &common::World,
    };
    let mut index = RuleIndex::new();
    let criteria = dict! {"trigger.a" => dict! {"type" => "equals", "pattern" => 1}};
    let rule = Arc::new(CompiledRule::compile(&criteria));
    let any = Arc::new(CompiledRule::compile(&Value::empty_dict()));
    index.insert("hook", "backstop", RuleKind::Backstop, any);
    index.insert("hook", "standard", RuleKind::Standard, rule);
    let ids = |payload: Value| -> Vec<&str> {
        let matched = index.matches(&"hook", &payload, &surroundings);
        matched.into_iter().map(|matched| matched.rule).collect()
    };
    assert_eq!(ids(dict! {"a" => 1}), ["standard"]);
    assert_eq!(ids(dict! {"a" => 2}), ["backstop"]);
    assert_eq!(ids(Value::Null), ["backstop"]);
}
