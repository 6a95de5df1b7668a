//! How long matching takes. Run with `cargo run --release -p squall-rules --example bench`.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use squall_expr::{Expressions, Host, HostError, KeyScope};
use squall_rules::{CompiledRule, RuleIndex, RuleKind, Surroundings};
use squall_value::{Value, dict, list};

struct World;

impl Host for World {
    fn key(&self, _: &KeyScope, _: &str, _: bool) -> Result<Option<Value>, HostError> {
        Ok(None)
    }

    fn decrypt(&self, _: &str) -> Result<String, HostError> {
        Ok(String::new())
    }

    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn random(&self) -> u64 {
        0
    }
}

fn measure(name: &str, rounds: u32, mut run: impl FnMut()) {
    for _ in 0..rounds / 10 {
        run();
    }
    let start = Instant::now();
    for _ in 0..rounds {
        run();
    }
    println!(
        "{name:<62} {:>10.3} µs",
        start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
    );
}

fn criterion(operator: &str, pattern: impl Into<Value>) -> Value {
    dict! {"type" => operator, "pattern" => pattern.into()}
}

fn payload(repository: usize) -> Value {
    dict! {
        "headers" => dict! {"X-GitHub-Event" => "push", "Host" => "squall.example.com"},
        "body" => dict! {
            "ref" => "refs/heads/main",
            "repository" => dict! {"full_name" => format!("org/repo-{repository}"), "id" => repository},
            "commits" => list![dict! {"id" => "c1"}, dict! {"id" => "c2"}],
            "count" => 5,
        },
    }
}

fn measure_one(event: &Value, surroundings: &Surroundings<'_>) {
    for (name, key, value) in [
        (
            "equals",
            "trigger.body.ref",
            criterion("equals", "refs/heads/main"),
        ),
        ("gt", "trigger.body.count", criterion("gt", 4)),
        (
            "icontains",
            "trigger.body.ref",
            criterion("icontains", "HEADS"),
        ),
        (
            "regex",
            "trigger.body.ref",
            criterion("regex", "^refs/heads/(main|release-\\d+)$"),
        ),
        (
            "matchwildcard",
            "trigger.body.ref",
            criterion("matchwildcard", "refs/*/main"),
        ),
        (
            "in",
            "trigger.body.ref",
            criterion("in", list!["a", "refs/heads/main"]),
        ),
    ] {
        let rule = CompiledRule::compile(&dict! {key => value});
        assert!(rule.matches(event, surroundings).is_match);
        measure(&format!("one rule, one criterion: {name}"), 200_000, || {
            black_box(rule.matches(black_box(event), surroundings));
        });
    }
}

fn three_criteria() -> Value {
    dict! {
        "trigger.headers['X-GitHub-Event']" => criterion("equals", "push"),
        "trigger.body.ref" => criterion("startswith", "refs/heads/"),
        "trigger.body.count" => criterion("gt", 4),
    }
}

fn main() {
    let expressions = Expressions::default();
    let surroundings = Surroundings {
        expressions: &expressions,
        host: &World,
    };
    let event = payload(7777);
    measure_one(&event, &surroundings);
    let three = three_criteria();
    let rule = CompiledRule::compile(&three);
    measure("one rule, three criteria", 200_000, || {
        black_box(rule.matches(black_box(&event), &surroundings));
    });

    let mut index = RuleIndex::new();
    let start = Instant::now();
    for number in 0..10_000_usize {
        let criteria = if number % 100 == 99 {
            dict! {"trigger.body.ref" => criterion("endswith", format!("/branch-{number}"))}
        } else {
            dict! {
                "trigger.headers['X-GitHub-Event']" => criterion("equals", "push"),
                "trigger.body.repository.full_name" => criterion("equals", format!("org/repo-{number}")),
            }
        };
        let rule = Arc::new(CompiledRule::compile(&criteria));
        index.insert("core.st2.webhook", number, RuleKind::Standard, rule);
    }
    println!(
        "{:<62} {:>10.3} ms",
        "compile and index 10,000 rules",
        start.elapsed().as_secs_f64() * 1e3
    );
    let found = index.matches(&"core.st2.webhook", &event, &surroundings);
    assert_eq!(found.len(), 1);
    measure(
        "10,000 rules on one trigger, 99 % equalities, one matches",
        20_000,
        || {
            black_box(index.matches(&"core.st2.webhook", black_box(&event), &surroundings));
        },
    );
    measure("the same by trying every rule", 100, || {
        black_box(index.matches_by_scan(&"core.st2.webhook", black_box(&event), &surroundings));
    });
    let rule = Arc::new(CompiledRule::compile(&three));
    measure("replace one of 10,000 rules", 1_000, || {
        index.insert("core.st2.webhook", 10_001, RuleKind::Standard, rule.clone());
    });
}
