//! Statements of workflows, in both formats of recorded cases.

use squall_expr::{Language, context_references};
use squall_value::{Value, dict};

use crate::data::{canonical, encode, encode_json, plain, text};
use crate::world::{Workflow, World};
use crate::{Outcome, Replay};

fn evaluate(
    replay: &Replay,
    statement: &Value,
    data: Value,
    encode: fn(&squall_yaql::Value) -> String,
) -> Outcome {
    let orquesta = replay.fixtures.get("orquesta");
    let executions = orquesta.and_then(|orquesta| orquesta.get("task_executions"));
    let workflow = Workflow {
        data,
        executions: executions.cloned().unwrap_or_default(),
        world: World::new(&replay.fixtures, "orquesta"),
    };
    let compiled = replay.expressions.compile(statement);
    match replay.expressions.evaluate_rich(&compiled, &workflow) {
        Ok(value) => Outcome::Value(encode(&value)),
        Err(error) => error.into(),
    }
}

fn errors(replay: &Replay, statement: &Value) -> Value {
    let errors = replay
        .expressions
        .validate(statement)
        .into_iter()
        .map(|invalid| {
            dict! {
                "type" => invalid.language.map(Language::name),
                "expression" => invalid.expression,
                "message" => invalid.message,
            }
        });
    dict! { "errors" => errors.collect::<Vec<Value>>() }
}

fn variables(replay: &Replay, statement: &Value) -> Value {
    let found = replay
        .expressions
        .references(statement)
        .into_iter()
        .map(|reference| {
            squall_value::list![
                reference.language.name(),
                reference.statement,
                reference.name
            ]
        });
    found.collect()
}

/// A case of the expression corpus.
pub(crate) fn run(replay: &Replay, case: &Value) -> Outcome {
    let statement = plain(case.get("statement").unwrap());
    match text(case, "op") {
        "validate" => Outcome::Value(canonical(&errors(replay, &statement))),
        "extract_vars" => {
            let Value::List(found) = variables(replay, &statement) else {
                return Outcome::Value(String::new());
            };
            let mut found = found.to_vec();
            found.sort_by_key(Value::to_json);
            Outcome::Value(canonical(&Value::from(found)))
        }
        _ => {
            let data = match case.get("ctx") {
                Some(Value::String(name)) => {
                    let name = name.trim_start_matches('@');
                    replay
                        .fixtures
                        .get_path(&["orquesta", "contexts", name])
                        .cloned()
                }
                other => other.map(plain),
            };
            evaluate(replay, &statement, data.unwrap_or_default(), encode)
        }
    }
}

/// What is wrong with a case of the workflow corpus, if anything is.
pub(crate) fn check(replay: &Replay, file: &Value, case: &Value) -> Option<String> {
    let statement = case.get("statement").unwrap();
    let expect = case.get("expect").unwrap();
    let compare = |found: &Value, wanted: &Value| {
        let (found, wanted) = (canonical(found), canonical(wanted));
        (found != wanted).then(|| format!("got {found}\n    expected {wanted}"))
    };
    match text(case, "op") {
        "validate" => compare(&errors(replay, statement), expect),
        "extract_vars" => {
            let found = match text(case, "lang") {
                "" => variables(replay, statement),
                language => {
                    let language = if language == "yaql" {
                        Language::Yaql
                    } else {
                        Language::Jinja
                    };
                    let found = context_references(statement.as_str().unwrap(), language);
                    found.into_iter().map(Value::from).collect()
                }
            };
            compare(&found, expect.get("vars").unwrap())
        }
        _ => {
            let data = case
                .get("data")
                .or_else(|| file.get("data"))
                .cloned()
                .unwrap_or_default();
            match (
                evaluate(replay, statement, data, encode_json),
                expect.get("raises"),
            ) {
                (Outcome::Value(found), None) => {
                    let wanted = canonical(expect.get("value").unwrap());
                    (found != wanted).then(|| format!("got {found}\n    expected {wanted}"))
                }
                (Outcome::Error { class, message, .. }, Some(raises)) => {
                    let is_same =
                        class == text(raises, "type") && message == text(raises, "message");
                    (!is_same).then(|| {
                        format!("got {class}: {message}\n    expected {}", raises.to_json())
                    })
                }
                (Outcome::Value(found), Some(raises)) => {
                    Some(format!("got {found}\n    expected {}", raises.to_json()))
                }
                (Outcome::Error { class, message, .. }, None) => Some(format!(
                    "got {class}: {message}\n    expected {}",
                    expect.to_json()
                )),
            }
        }
    }
}
