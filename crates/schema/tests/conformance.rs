//! Replays recorded behaviour of StackStorm's parameters and casts.
//!
//! The recordings live beside the repository, in `../shared/conformance`; `SQUALL_CONFORMANCE` may
//! name another place. Without them, the tests say so and pass.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};

use squall_expr::{Error, Expressions, Host, HostError, KeyScope};
use squall_schema::{Final, Parameters, Sources, Type, cast, render};
use squall_value::{BigInt, Dict, Str, Value, json};

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

/// Plain data of an encoded value: tuples and sets are lists, keys and bytes are text.
fn decode(value: &Value) -> Value {
    match value {
        Value::List(items) => items.iter().map(decode).collect(),
        Value::Dict(dict) => decode_dict(value, dict),
        other => other.clone(),
    }
}

fn decode_dict(value: &Value, dict: &Dict) -> Value {
    let inner = || value.get("v").unwrap();
    match value.get("$t").and_then(Value::as_str) {
        Some("bigint") => Value::from(inner().as_str().unwrap().parse::<BigInt>().unwrap()),
        Some("float") => Value::Float(inner().as_str().unwrap().parse().unwrap()),
        Some("tuple" | "set") => decode(inner()),
        // The one recorded text.
        Some("bytes") if value.get("b64").and_then(Value::as_str) == Some("eA==") => "x".into(),
        Some("dict") => {
            let entries = inner().as_list().unwrap().iter().map(|entry| {
                let entry = entry.as_list().unwrap();
                (squall_value::python::str(&entry[0]), decode(&entry[1]))
            });
            Value::from(entries.collect::<Dict>())
        }
        Some(other) => panic!("no decoder for {other}"),
        None => Value::from(
            dict.iter()
                .map(|(key, item)| (key.clone(), decode(item)))
                .collect::<Dict>(),
        ),
    }
}

struct World {
    keys: Value,
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

    /// Decryption itself is tested where it is written; here it is a table of the one ciphertext.
    fn decrypt(&self, ciphertext: &str) -> Result<String, HostError> {
        if self
            .keys
            .get_path(&["st2kv.system", "enc"])
            .and_then(Value::as_str)
            == Some(ciphertext)
        {
            return Ok("s3cr3t ž".to_owned());
        }
        Err(HostError {
            class: "ValueError",
            message: "not encrypted with this key".to_owned(),
        })
    }

    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
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

fn text<'v>(case: &'v Value, key: &str) -> Option<&'v str> {
    case.get(key).and_then(Value::as_str)
}

/// Equality for which a NaN is itself.
fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| is_equal(a, b))
        }
        (Value::Dict(a), Value::Dict(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, item)| b.get(key).is_some_and(|other| is_equal(item, other)))
        }
        _ => a == b,
    }
}

fn split(result: Final) -> Value {
    squall_value::dict! {
        "runner" => Value::from(result.runner),
        "action" => Value::from(result.action),
    }
}

impl Replay {
    fn run(&self, case: &Value) -> Result<Value, Error> {
        let op = text(case, "op").unwrap();
        if op == "cast" {
            let kind = Type::parse(text(case, "type").unwrap()).unwrap();
            return cast::cast(kind, &decode(case.get("value").unwrap()));
        }
        let dict = |key: &str| {
            let value = case.get(key).map(decode).unwrap_or_default();
            value.as_dict().cloned().unwrap_or_default()
        };
        let world = World {
            keys: self.fixtures.get_path(&["params", "kv"]).cloned().unwrap(),
        };
        let action_context = Value::from(dict("action_context"));
        let pack = text(&action_context, "pack").unwrap_or_default();
        let config = self.fixtures.get_path(&["params", "pack_config", pack]);
        let config = || config.cloned().unwrap_or_else(Value::empty_dict);
        let additional = dict("additional_contexts");
        let system_user = self.fixtures.get_path(&["params", "system_user"]).unwrap();
        let sources = Sources {
            action_context: &action_context,
            config: &config,
            additional: &additional,
            system_user: &Str::from(system_user.as_str().unwrap()),
            expressions: &self.expressions,
            host: &world,
        };
        let runner = Parameters::new(&Value::from(dict("runner_parameters")));
        let action = Parameters::new(&Value::from(dict("action_parameters")));
        let given = dict("params");
        Ok(match op {
            "render_live_params" => Value::from(render::live(&runner, &action, &given, &sources)?),
            "render_final_params" => split(render::finalize(&runner, &action, &given, &sources)?),
            "get_finalized_params" => {
                let live = render::live(&runner, &action, &given, &sources)?;
                split(render::finalize(&runner, &action, &live, &sources)?)
            }
            other => panic!("unknown op {other}"),
        })
    }

    fn check(&self, case: &Value) -> Option<String> {
        let id = text(case, "id").unwrap();
        let is_known = self.differences.get(id).is_some();
        let result = self.run(case);
        let is_same = match (&result, case.get_path(&["expected", "error"])) {
            (Ok(value), None) => is_equal(
                value,
                &decode(case.get_path(&["expected", "value"]).unwrap()),
            ),
            (Err(error), Some(expected)) => {
                text(expected, "class") == Some(&*error.class)
                    && text(expected, "message").is_none_or(|message| message == error.message)
            }
            _ => false,
        };
        match (is_same, is_known) {
            (true, false) | (false, true) => None,
            (true, true) => Some(format!(
                "{id}: is no difference any more; take it off the list"
            )),
            (false, false) => Some(format!("{id}: got {result:?}\n    {}", case.to_json())),
        }
    }
}

#[test]
fn parameters_behave_as_recorded() {
    let Some(directory) = directory() else {
        return;
    };
    let replay = Replay {
        fixtures: read(&directory.join("fixtures.json")),
        expressions: Expressions::default(),
        differences: json::read(include_str!("differences.json")).unwrap(),
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory.join("params"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut total = 0;
    let mut wrong: Vec<String> = Vec::new();
    for file in files {
        for case in read(&file).as_list().unwrap() {
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
