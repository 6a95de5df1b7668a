//! Parameters as a script's arguments, by StackStorm's rules.

use std::collections::{BTreeMap, HashSet};

use squall_value::{Value, python};

use crate::port::Job;

/// The named arguments in the order of the parameters, then the positional ones by position.
pub(crate) fn of(job: &Job) -> Vec<String> {
    let operator = job
        .runner_parameters
        .get("kwarg_op")
        .and_then(Value::as_str)
        .unwrap_or("--");
    let (by_name, positional) = apart(job);
    let named = by_name
        .into_iter()
        .filter_map(|(name, value)| named(operator, name, value));
    // NUL can't be part of an argument.
    named
        .chain(positional)
        .map(|argument| argument.replace('\0', ""))
        .collect()
}

/// The parameters that are passed by name, and the texts of those that have a position.
pub(crate) fn apart(job: &Job) -> (Vec<(&str, &Value)>, Vec<String>) {
    let positions = positions(job);
    let positional: HashSet<&str> = positions.values().copied().collect();
    let named = job
        .action_parameters
        .iter()
        .map(|(name, value)| (&**name, value))
        .filter(|(name, _)| !positional.contains(name));
    let positional = positions.values().map(|name| {
        let kind = job
            .parameters_schema
            .get(name)
            .and_then(|meta| meta.get("type"));
        let value = job.action_parameters.get(name).unwrap_or(&Value::Null);
        serialize(kind.and_then(Value::as_str), value)
    });
    (named.collect(), positional.collect())
}

/// Names by position; of two with the same position the later wins, and the other is a named one.
fn positions(job: &Job) -> BTreeMap<i64, &str> {
    job.parameters_schema
        .iter()
        .filter_map(|(name, meta)| Some((meta.get("position")?.as_int()?, &**name)))
        .collect()
}

fn named(operator: &str, name: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some(format!("{operator}{name}")),
        Value::String(text) if text.is_empty() => None,
        value => Some(format!("{operator}{name}={}", python::str(value))),
    }
}

fn serialize(kind: Option<&str>, value: &Value) -> String {
    match (kind, value) {
        (_, Value::Null) | (Some("null"), _) => String::new(),
        (Some("string" | "number" | "float"), value) => python::str(value),
        (Some("boolean"), value) => if value.is_truthy() { "1" } else { "0" }.to_owned(),
        (_, value) if !value.is_truthy() => String::new(),
        (Some("array" | "list"), Value::List(items)) => {
            let items: Vec<String> = items.iter().map(python::str).collect();
            items.join(",")
        }
        (Some("object"), value) => value.to_json(),
        (_, value) => python::str(value),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use squall_value::{Dict, json};

    use super::of;
    use crate::Job;

    fn dict(text: &str) -> Arc<Dict> {
        let value = json::read(text).expect("JSON");
        Arc::new(value.as_dict().expect("a dictionary").clone())
    }

    #[track_caller]
    fn check(schema: &str, parameters: &str, expected: &[&str]) {
        let job = Job {
            parameters_schema: dict(schema),
            action_parameters: dict(parameters),
            runner_parameters: dict(r#"{"kwarg_op": "-"}"#),
            ..Job::default()
        };
        assert_eq!(of(&job), expected);
    }

    #[test]
    fn named_arguments() {
        check(
            "{}",
            r#"{"a": "x y", "t": true, "f": false, "n": null, "e": "", "i": 0, "l": ["p", 1], "d": {"k": null}}"#,
            &["-a=x y", "-t", "-i=0", "-l=['p', 1]", "-d={'k': None}"],
        );
    }

    #[test]
    fn positional_arguments_by_position_and_type() {
        check(
            r#"{"b": {"position": 1, "type": "boolean"}, "s": {"position": 0, "type": "string"},
                "o": {"position": 4, "type": "object"}, "l": {"position": 2, "type": "array"},
                "z": {"position": 3, "type": "integer"}, "u": {"position": 5}, "m": {"position": 6, "type": "number"}}"#,
            r#"{"b": false, "s": "a b", "o": {"k": [1]}, "l": ["x", 2, true], "z": 0, "m": 1.0, "extra": 1}"#,
            &[
                "-extra=1",
                "a b",
                "0",
                "x,2,True",
                "",
                r#"{"k":[1]}"#,
                "",
                "1.0",
            ],
        );
    }
}
