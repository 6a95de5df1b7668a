//! The pack that the simulated server has: actions, policies, rules.

use std::sync::Arc;

use squall_engine::{Change, Engine, PutError, action_body};
use squall_model::DocumentKind;
use squall_value::{Str, Value, json};

use crate::chance::Chance;
use crate::workflows;

/// The trigger that clients fire.
pub(crate) const TRIGGER: &str = "sim.event";

/// Every rule answers an event whose `n` it wants, and then has one execution or a reason.
pub(crate) struct Rule {
    pub(crate) key: &'static str,
    pub(crate) wants: fn(i64) -> bool,
    /// Whether it can make an execution at all.
    pub(crate) works: bool,
    body: &'static str,
}

pub(crate) const RULES: [Rule; 6] = [
    Rule {
        key: "sim.always",
        wants: |_| true,
        works: true,
        body: r#"{"criteria":{},"action":{"ref":"sim.quick","parameters":{"n":"{{trigger.n}}"}}}"#,
    },
    Rule {
        key: "sim.large",
        wants: |n| n > 2,
        works: true,
        body: r#"{"criteria":{"trigger.n":{"type":"greaterthan","pattern":2}},
            "action":{"ref":"sim.work","parameters":{"n":"{{trigger.n}}"}}}"#,
    },
    Rule {
        key: "sim.limited",
        wants: |n| n == 2,
        works: true,
        body: r#"{"criteria":{"trigger.n":{"type":"equals","pattern":2}},"action":{"ref":"sim.narrow"}}"#,
    },
    Rule {
        key: "sim.flow",
        wants: |n| n == 4,
        works: true,
        body: r#"{"criteria":{"trigger.n":{"type":"equals","pattern":4}},
            "action":{"ref":"sim.wf5","parameters":{"n":"{{trigger.n}}"}}}"#,
    },
    Rule {
        key: "sim.incomplete",
        wants: |n| n == 1,
        works: false,
        body: r#"{"criteria":{"trigger.n":{"type":"equals","pattern":1}},"action":{"ref":"sim.needy"}}"#,
    },
    Rule {
        key: "sim.undecided",
        wants: |_| true,
        works: false,
        body: r#"{"criteria":{"trigger.tag":{"type":"regex","pattern":"("}},"action":{"ref":"sim.quick"}}"#,
    },
];

/// The rule that listens to the ends of [`WATCHED`].
pub(crate) const WATCHER: &str = "sim.watcher";
pub(crate) const WATCHED: &str = "sim.narrow";
pub(crate) const ACTION_TRIGGER: &str = "core.st2.generic.actiontrigger";

/// Actions that a process carries out.
pub(crate) const PROCESSES: [&str; 5] = [
    "sim.work",
    "sim.again",
    "sim.narrow",
    "sim.keyed",
    "sim.strict",
];

/// A workflow of which only one may be under way.
pub(crate) const SINGLE_WORKFLOW: &str = "sim.wf1";

/// Puts the pack in force; returns the texts of its workflows.
pub(crate) async fn register(
    engine: &Arc<Engine>,
    chance: &Chance,
) -> Result<Vec<String>, PutError> {
    let mut changes = Vec::new();
    changes.push(put(
        DocumentKind::TriggerType,
        TRIGGER,
        parse(r#"{"name":"event"}"#),
    ));
    for (name, runner) in [("quick", "quick"), ("needy", "quick")]
        .into_iter()
        .chain(PROCESSES.iter().map(|name| (&name[4..], "process")))
    {
        let parameters = match name {
            "needy" => r#"{"must":{"type":"string","required":true}}"#,
            _ => r#"{"n":{"type":"integer","default":0},"key":{"type":"integer"}}"#,
        };
        let again = name == "again";
        let body = format!(
            r#"{{"name":"{name}","runner_type":"{runner}","parameters":{parameters},"retry_on_worker_loss":{again}}}"#
        );
        changes.push(action(name, &body, None));
    }
    let mut texts = Vec::new();
    for number in 0..workflows::COUNT {
        let name = format!("wf{number}");
        let body = format!(
            r#"{{"name":"{name}","runner_type":"orquesta","entry_point":"{name}.yaml",
                "parameters":{{"n":{{"type":"integer","default":0}}}}}}"#
        );
        let text = workflows::draw(chance, number);
        changes.push(action(&name, &body, Some(&text)));
        texts.push(text);
    }
    changes.extend(policies());
    changes.extend(rules());
    engine.change(changes).await?;
    Ok(texts)
}

fn policies() -> impl Iterator<Item = Change> {
    let policy = |name: &str, action: &str, kind: &str, parameters: &str| {
        let body = format!(
            r#"{{"name":"{name}","resource_ref":"{action}","policy_type":"{kind}","parameters":{parameters}}}"#
        );
        put(DocumentKind::Policy, &format!("sim.{name}"), parse(&body))
    };
    [
        policy(
            "p1",
            "sim.narrow",
            "action.concurrency",
            r#"{"action":"delay","threshold":2}"#,
        ),
        policy(
            "p2",
            "sim.strict",
            "action.concurrency",
            r#"{"action":"cancel","threshold":1}"#,
        ),
        policy(
            "p3",
            "sim.keyed",
            "action.concurrency.attr",
            r#"{"action":"delay","threshold":1,"attributes":["key"]}"#,
        ),
        policy(
            "p4",
            SINGLE_WORKFLOW,
            "action.concurrency",
            r#"{"action":"delay","threshold":1}"#,
        ),
    ]
    .into_iter()
}

fn rules() -> impl Iterator<Item = Change> {
    let watcher = format!(
        r#"{{"name":"watcher","pack":"sim","enabled":true,"trigger":{{"type":"{ACTION_TRIGGER}"}},
            "criteria":{{"trigger.action_ref":{{"type":"equals","pattern":"{WATCHED}"}}}},
            "action":{{"ref":"sim.quick"}}}}"#
    );
    let watcher = put(DocumentKind::Rule, WATCHER, parse(&watcher));
    RULES
        .iter()
        .map(|rule| {
            let mut body = parse(rule.body).as_dict().cloned().unwrap_or_default();
            body.insert("name", &rule.key[4..]);
            body.insert("pack", "sim");
            body.insert("enabled", true);
            body.insert("trigger", parse(&format!(r#"{{"type":"{TRIGGER}"}}"#)));
            put(DocumentKind::Rule, rule.key, Value::from(body))
        })
        .chain([watcher])
}

fn parse(text: &str) -> Value {
    json::read(text).expect("the simulation's own definitions are JSON")
}

fn action(name: &str, body: &str, workflow: Option<&str>) -> Change {
    let body = parse(body);
    let workflow = workflow.map(Str::from);
    let body = action_body(body.as_dict().expect("an object"), workflow.as_ref());
    put(DocumentKind::Action, &format!("sim.{name}"), body)
}

fn put(kind: DocumentKind, key: &str, body: Value) -> Change {
    Change::Put {
        kind,
        key: Str::from(key),
        pack: Some(Str::from("sim")),
        body,
        expires: None,
        new: true,
    }
}
