//! Cases of kind `graph`: a definition and its task graph.

use squall_value::{Dict, Value};
use squall_workflow::Definition;

/// What differs.
pub(crate) fn run(case: &Value) -> Vec<String> {
    let text = case
        .get("workflow")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let definition = match Definition::parse(text) {
        Ok(definition) => definition,
        Err(problems) => return vec![format!("not readable: {problems:?}")],
    };
    let got = without_nulls(&definition.graph.to_value());
    let expected = without_nulls(case.get("expect").unwrap_or(&Value::Null));
    let mut failures = Vec::new();
    for part in ["nodes", "edges", "roots", "leaves"] {
        if got.get(part) != expected.get(part) {
            failures.push(format!(
                "{part}\n    expected {:?}\n    got      {:?}",
                expected.get(part),
                got.get(part)
            ));
        }
    }
    failures
}

/// A retry block may leave out what it does not set.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::List(items) => items.iter().map(without_nulls).collect(),
        Value::Dict(dict) => Value::from(
            dict.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect::<Dict>(),
        ),
        other => other.clone(),
    }
}
