//! Cases of kind `inspect`: a definition, and what loading and inspecting it reports.

use std::collections::BTreeSet;

use squall_expr::Expressions;
use squall_value::{Str, Value};
use squall_workflow::inspect::{Dialect, Inspection, Surroundings, inspect};

/// What a case came to.
pub(crate) enum Outcome {
    /// As recorded.
    Same,
    /// Otherwise; what was expected and what came.
    Different(String),
}

/// Inspects the definition of `case` and compares with what was recorded.
///
/// Compared are categories, paths, languages and expressions; of messages what does not come from
/// Python libraries. Where the reference engine broke down, any refusal is right.
pub(crate) fn run(case: &Value) -> Outcome {
    let known: BTreeSet<Str> = case
        .get("context")
        .and_then(Value::as_dict)
        .map(|context| context.keys().cloned().collect())
        .unwrap_or_default();
    let surroundings = Surroundings {
        dialect: Dialect::Orquesta,
        known,
        ..Surroundings::default()
    };
    let text = case
        .get("workflow")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let inspection = inspect(text, &Expressions::default(), &surroundings);
    match case.get("expect") {
        Some(expect) => compare(expect, &inspection),
        None => Outcome::Different("the case has no expectation".to_owned()),
    }
}

fn compare(expect: &Value, inspection: &Inspection) -> Outcome {
    let Some(errors) = expect.get("errors") else {
        let is_crash = expect.get("crash").is_some();
        return if inspection.is_refused() || is_crash && !inspection.is_valid() {
            Outcome::Same
        } else {
            Outcome::Different(format!("{expect:?} was expected, but it was read"))
        };
    };
    let expected = lines(errors);
    let found = lines(&inspection.to_value());
    if inspection.is_refused() {
        let refusals: Vec<&str> = inspection
            .errors
            .iter()
            .map(|f| f.message.as_str())
            .collect();
        return Outcome::Different(format!("refused: {}", refusals.join("; ")));
    }
    if expected == found {
        return Outcome::Same;
    }
    let missing = expected
        .iter()
        .filter(|line| !found.contains(line))
        .map(|line| format!("  - {line}\n"));
    let extra = found
        .iter()
        .filter(|line| !expected.contains(line))
        .map(|line| format!("  + {line}\n"));
    let difference: String = missing.chain(extra).collect();
    Outcome::Different(if difference.is_empty() {
        format!("order or count differs: {expected:?} {found:?}")
    } else {
        difference
    })
}

/// One line per entry, with what has to agree.
fn lines(errors: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (category, entries) in errors.as_dict().into_iter().flat_map(|dict| dict.iter()) {
        for entry in entries.as_list().unwrap_or_default() {
            let part = |name: &str| entry.get(name).cloned().unwrap_or_default().to_json();
            let message = match &**category {
                // The tails come from the parsers of Python's libraries.
                "expressions" => String::new(),
                // The reference engine garbles other letters than those of ASCII in these.
                "syntax" => part("message").chars().filter(char::is_ascii).collect(),
                _ => part("message"),
            };
            lines.push(format!(
                "{category} {} {} {} {} {message}",
                part("schema_path"),
                part("spec_path"),
                part("type"),
                part("expression"),
            ));
        }
    }
    lines
}
