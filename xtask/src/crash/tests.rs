use serde_json::{Value, json};

use super::ledger::{Kind, Ledger, Sent};
use super::random::Random;

#[test]
fn a_seed_gives_the_same_numbers_and_lanes_differ() {
    let numbers = |seed, lane| {
        let mut random = Random::new(seed, lane);
        (0..8).map(|_| random.below(1000)).collect::<Vec<_>>()
    };
    assert_eq!(numbers(1, 2), numbers(1, 2));
    assert_ne!(numbers(1, 2), numbers(1, 3));
    assert_ne!(numbers(1, 2), numbers(2, 2));
}

#[test]
fn an_event_that_gets_a_second_id_is_a_violation() {
    let mut ledger = Ledger::default();
    let sent = Sent {
        kind: Kind::Plain,
        acknowledged: None,
    };
    ledger.events.insert(7, sent);
    ledger.acknowledge(7, "a");
    ledger.acknowledge(7, "a");
    assert_eq!((ledger.acknowledged(), ledger.violations.len()), (1, 0));
    ledger.acknowledge(7, "b");
    assert_eq!((ledger.acknowledged(), ledger.violations.len()), (1, 1));
}

/// A server's records with one workflow event in perfect order.
struct World {
    ledger: Ledger,
    events: Vec<Value>,
    enforcements: Vec<Value>,
    executions: Vec<Value>,
    effects: String,
}

fn execution(id: &str, more: Value) -> Value {
    let log = ["requested", "scheduled", "running", "succeeded"];
    let log = log.map(|status| json!({ "status": status }));
    let mut shown = json!({ "id": id, "status": "succeeded", "log": log });
    for (name, value) in more.as_object().unwrap() {
        shown[name] = value.clone();
    }
    shown
}

fn world() -> World {
    let mut ledger = Ledger::default();
    let sent = Sent {
        kind: Kind::Workflow,
        acknowledged: Some("e".to_owned()),
    };
    ledger.events.insert(1, sent);
    ledger.executions.insert("x".to_owned());
    let by = |rule: &str| json!({ "rule": { "ref": rule }, "trigger_instance": { "id": "e" } });
    let mut flow = by("crash.workflow");
    flow["action"] = json!({ "ref": "crash.sequence" });
    let mut executions = vec![
        execution("x", json!({})),
        execution("n", by("crash.every")),
        execution("w", flow),
    ];
    let tasks = ["first", "work", "last"].map(|task| (task, Value::Null));
    let items = (0..5).map(|item| ("items", json!(item)));
    for (index, (task, item)) in tasks.into_iter().chain(items).enumerate() {
        let task = json!({ "task_id": task, "task_route": 0, "item_id": item });
        let more = json!({ "parent": "w", "context": { "orquesta": task } });
        executions.push(execution(&format!("t{index}"), more));
    }
    let enforcement = |rule: &str, id: &str| json!({ "id": rule, "trigger_instance_id": "e", "rule": { "ref": rule }, "execution_id": id });
    World {
        ledger,
        events: vec![json!({ "id": "e", "payload": { "body": { "number": 1 } } })],
        enforcements: vec![
            enforcement("crash.every", "n"),
            enforcement("crash.workflow", "w"),
        ],
        executions,
        effects: "work-1\n".to_owned(),
    }
}

/// Breaks a perfect world, and says what the check must find; empty for nothing.
#[track_caller]
fn finds(expected: &str, spoil: impl Fn(&mut World)) {
    let mut world = world();
    spoil(&mut world);
    let records = super::check::Records::of(world.events, world.enforcements, world.executions);
    let wrong = records.check_at_the_end(&world.ledger, &world.effects);
    if expected.is_empty() {
        assert!(wrong.is_empty(), "{wrong:?}");
    } else {
        let found = wrong.iter().any(|line| line.contains(expected));
        assert!(found, "{expected:?} is not found in {wrong:?}");
    }
}

#[test]
fn every_broken_promise_is_found() {
    finds("", |_| {});
    finds("is lost", |world| world.events.clear());
    finds("is there 2 times", |world| {
        let twin = json!({ "id": "f", "payload": { "body": { "number": 1 } } });
        world.events.push(twin);
    });
    finds("and is f", |world| world.events[0]["id"] = json!("f"));
    finds("have no enforcement", |world| {
        world.enforcements.truncate(1)
    });
    finds("has two enforcements", |world| {
        let mut twin = world.enforcements[0].clone();
        twin["id"] = json!("twin");
        world.enforcements.push(twin);
    });
    finds("either an execution or a reason", |world| {
        world.enforcements[0]["execution_id"] = Value::Null;
    });
    finds("ended wrongly", |world| {
        world.enforcements[0]["execution_id"] = Value::Null;
        world.enforcements[0]["failure_reason"] = json!("why");
    });
    finds("doesn't match", |world| {
        world.enforcements[0]["rule"]["ref"] = json!("crash.shell")
    });
    finds("which is lost", |world| {
        world.enforcements[0]["execution_id"] = json!("y")
    });
    finds("have a second execution", |world| {
        let mut twin = world.executions[1].clone();
        twin["id"] = json!("m");
        world.executions.push(twin);
    });
    finds("was accepted and is lost", |world| {
        drop(world.executions.remove(0))
    });
    finds("was canceled, and is succeeded", |world| {
        world.ledger.canceled.insert("x".to_owned());
    });
    finds("never ended: it is running", |world| {
        world.executions[0]["status"] = json!("running");
        world.executions[0]["log"].as_array_mut().unwrap().pop();
    });
    finds("came there by", |world| {
        let log = world.executions[0]["log"].as_array_mut().unwrap();
        log.push(json!({ "status": "succeeded" }));
    });
    finds("came there by", |world| {
        world.executions[0]["status"] = json!("failed")
    });
    finds("twice", |world| {
        let mut twin = world.executions[5].clone();
        twin["id"] = json!("again");
        world.executions.push(twin);
    });
    finds("succeeded with these tasks", |world| {
        drop(world.executions.pop())
    });
    finds("ran 2 times", |world| {
        world.effects = "work-1\nwork-1\n".to_owned()
    });
    finds("was never written", |world| world.effects.clear());
}
