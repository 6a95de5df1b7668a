//! Replays recorded behaviour of StackStorm's operators and criteria.
//!
//! The recordings live beside the repository, in `../shared/conformance`; `SQUALL_CONFORMANCE` may
//! name another place. Without them, the tests say so and pass.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};

use squall_expr::{Expressions, Host, HostError, KeyScope};
use squall_rules::{CompiledRule, Operator, Surroundings};
use squall_value::{Dict, Str, Value, json};

fn directory() -> Option<PathBuf> {
    let path = std::env::var_os("SQUALL_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    );
    let path = path.join("expressions");
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: there are no recordings at {}", path.display());
    None
}

fn read(path: &Path) -> Value {
    json::read(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Plain data of an encoded value: bytes are decoded, as whoever receives them does.
fn decode(value: &Value) -> Value {
    match value {
        Value::List(items) => items.iter().map(decode).collect(),
        Value::Dict(dict) => match value.get("$t").and_then(Value::as_str) {
            Some("bytes") => {
                let text = value.get("b64").and_then(Value::as_str).unwrap();
                Value::from(String::from_utf8(base64(text)).unwrap())
            }
            Some("tuple" | "set") => decode(value.get("v").unwrap()),
            Some(other) => panic!("no decoder for {other}"),
            None => Value::from(
                dict.iter()
                    .map(|(key, item)| (key.clone(), decode(item)))
                    .collect::<Dict>(),
            ),
        },
        other => other.clone(),
    }
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for c in text.chars().filter(|c| *c != '=') {
        bits = (bits << 6) | u32::try_from(ALPHABET.find(c).unwrap()).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).unwrap());
        }
    }
    bytes
}

struct World {
    keys: Value,
    now: jiff::Timestamp,
}

impl Host for World {
    fn key(&self, scope: &KeyScope, name: &str, _: bool) -> Result<Option<Value>, HostError> {
        let key = match scope {
            KeyScope::System => self.keys.get_path(&["st2kv.system", name]),
            KeyScope::User(user) => self
                .keys
                .get_path(&["st2kv.user", &format!("{user}:{name}")]),
        };
        Ok(key.cloned())
    }

    fn decrypt(&self, _: &str) -> Result<String, HostError> {
        Err(HostError {
            class: "ValueError",
            message: "no key".to_owned(),
        })
    }

    fn now(&self) -> jiff::Timestamp {
        self.now
    }

    fn random(&self) -> u64 {
        0
    }
}

struct Replay {
    fixtures: Value,
    expressions: Expressions,
    differences: Value,
}

impl Replay {
    fn world(&self, case: &Value) -> World {
        let now = case.get("now").and_then(Value::as_str);
        World {
            keys: self
                .fixtures
                .get_path(&["operators", "kv"])
                .cloned()
                .unwrap(),
            now: now.unwrap_or("2024-06-01T12:00:00Z").parse().unwrap(),
        }
    }

    /// What the case gives here: the encoded outcome, and the classes of the failures reported.
    fn run(&self, case: &Value) -> (Result<bool, squall_expr::Error>, Vec<String>) {
        let world = self.world(case);
        let name = || case.get("operator").and_then(Value::as_str).unwrap();
        match case.get("op").and_then(Value::as_str).unwrap() {
            "lookup" => (Operator::parse(name()).map(|_| true), Vec::new()),
            "operator" => {
                let value = decode(case.get("value").unwrap());
                let pattern = decode(case.get("pattern").unwrap());
                let result = Operator::parse(name())
                    .and_then(|operator| operator.apply(&value, &pattern, world.now));
                (result, Vec::new())
            }
            "rule_filter" => {
                let surroundings = Surroundings {
                    expressions: &self.expressions,
                    host: &world,
                };
                let payload = match case.get("payload").unwrap() {
                    Value::String(_) => self
                        .fixtures
                        .get_path(&["operators", "default_payload"])
                        .unwrap(),
                    payload => payload,
                };
                let rule = CompiledRule::compile(case.get("criteria").unwrap());
                let outcome = rule.matches(payload, &surroundings);
                if let Some(failure) = outcome.unknown_operator() {
                    return (Err(failure.error.clone()), Vec::new());
                }
                let classes = outcome.failures.iter();
                let classes = classes.map(|failure| failure.error.class.to_string());
                (Ok(outcome.is_match), classes.collect())
            }
            other => panic!("unknown op {other}"),
        }
    }

    fn check(&self, case: &Value) -> Option<String> {
        let id = case.get("id").and_then(Value::as_str).unwrap();
        let is_known = self.differences.get(id).is_some();
        let (result, failures) = self.run(case);
        let wanted: Vec<String> = case
            .get("enforcement_failures")
            .and_then(Value::as_list)
            .unwrap_or_default()
            .iter()
            .map(|class| class.as_str().unwrap().to_owned())
            .collect();
        let error = case.get_path(&["expected", "error"]);
        let is_same = failures == wanted
            && match (&result, error) {
                (Ok(is_match), None) => {
                    case.get_path(&["expected", "value"]) == Some(&Value::Bool(*is_match))
                }
                (Err(error), Some(expected)) => {
                    let text = |key: &str| expected.get(key).and_then(Value::as_str);
                    text("class") == Some(&*error.class)
                        && text("message").is_none_or(|message| message == error.message)
                }
                _ => false,
            };
        match (is_same, is_known) {
            (true, false) | (false, true) => None,
            (true, true) => Some(format!(
                "{id}: is no difference any more; take it off the list"
            )),
            (false, false) => Some(format!(
                "{id}: got {result:?}, failures {failures:?}\n    {}",
                case.to_json()
            )),
        }
    }
}

#[test]
fn operators_and_criteria_behave_as_recorded() {
    let Some(directory) = directory() else {
        return;
    };
    let replay = Replay {
        fixtures: read(&directory.join("fixtures.json")),
        expressions: Expressions::default(),
        differences: json::read(include_str!("differences.json")).unwrap(),
    };
    let mut total = 0;
    let mut wrong: Vec<String> = Vec::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory.join("operators"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        let cases = read(&file);
        for case in cases.as_list().unwrap() {
            total += 1;
            wrong.extend(replay.check(case));
        }
    }
    let names: Vec<&Str> = replay.differences.as_dict().unwrap().keys().collect();
    println!(
        "{total} cases, {} differ on purpose: {names:?}",
        names.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {total} cases are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
