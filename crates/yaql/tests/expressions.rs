//! Replays `tests/data/expressions.txt`: an expression per case, with its value or its error.

use std::fmt::Write as _;

use squall_value::{Value as Data, json};
use squall_yaql::{Budget, Context, Engine, Error, Host, Library, Value};

const CASES: &str = include_str!("data/expressions.txt");
const INPUT: &str = include_str!("data/input.json");

/// A host that stands still.
struct Still;

impl Host for Still {
    fn now_micros(&self) -> Option<i64> {
        Some(1_795_000_000_000_000)
    }

    fn local_offset_seconds(&self) -> i32 {
        3600
    }

    fn random(&self) -> Option<u64> {
        Some(1 << 63)
    }
}

/// One case: where it is, what it says, what must come out.
struct Case {
    line: usize,
    expression: &'static str,
    expected: &'static str,
}

fn cases() -> Vec<Case> {
    let mut lines = (1..)
        .zip(CASES.lines())
        .filter(|(_, line)| !line.starts_with('#'));
    let mut cases = Vec::new();
    while let Some((line, expression)) = lines.next() {
        let (_, expected) = lines.next().expect("each expression has a result");
        cases.push(Case {
            line,
            expression,
            expected: expected.trim_start(),
        });
    }
    cases
}

fn joined(mut parts: Vec<String>, sorted: bool) -> String {
    if sorted {
        parts.sort();
    }
    parts.join(",")
}

fn shown(value: &Value) -> String {
    match value {
        Value::Float(number) => format!("f:{number:?}"),
        Value::BigInt(number) => number.to_string(),
        Value::Sequence(items) => {
            format!(
                "[{}]",
                joined(items.iter().map(|item| shown(&item)).collect(), false)
            )
        }
        Value::Set(set) => format!("set[{}]", joined(set.iter().map(shown).collect(), true)),
        Value::Dict(dict) => {
            let entries = dict
                .iter()
                .map(|(key, item)| format!("{}:{}", shown(&key), shown(&item)));
            format!("{{{}}}", joined(entries.collect(), true))
        }
        Value::DateTime(time) => format!("dt:{}", time.to_iso()),
        Value::TimeSpan(span) => format!("ts:{}", span.micros),
        Value::Regex(_) => "regex".to_owned(),
        Value::Context(_) => "ctx".to_owned(),
        Value::Function(_) => "fn".to_owned(),
        scalar => scalar.to_data().expect("a scalar is data").to_json(),
    }
}

fn evaluate(expression: &str, input: &Data) -> Result<Value, Error> {
    let engine = Engine::default();
    let expression = engine.parse(expression)?;
    let context = Context::new(engine.library());
    context.set("$", engine.input(input.clone()))?;
    expression.evaluate(&context, &Still, &mut Budget::new())
}

#[test]
fn every_expression_gives_its_result() {
    let input = json::read(INPUT).expect("the input is JSON");
    let mut failures = String::new();
    for case in cases() {
        let found = match evaluate(case.expression, &input) {
            Ok(value) => format!("= {}", shown(&value)),
            Err(error) => format!("! {}: {}", error.class, error.message),
        };
        if found != case.expected {
            let _ = writeln!(
                failures,
                "line {}: {}\n  gives {found}\n  not   {}",
                case.line, case.expression, case.expected
            );
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_function_and_every_kind_of_error_has_a_case() {
    let cases = cases();
    let missing: Vec<String> = Library::standard()
        .names()
        .iter()
        .filter(|name| {
            let call = format!("{name}(");
            !cases.iter().any(|case| case.expression.contains(&call))
        })
        .map(ToString::to_string)
        .collect();
    assert!(missing.is_empty(), "no case calls {missing:?}");
    for class in [
        "YaqlLexicalException",
        "YaqlGrammarException",
        "NoFunctionRegisteredException",
        "NoMethodRegisteredException",
        "NoMatchingFunctionException",
        "NoMatchingMethodException",
        "AmbiguousFunctionException",
        "MappingTranslationException",
        "KeyError",
        "IndexError",
        "StopIteration",
        "TypeError",
        "ValueError",
        "ZeroDivisionError",
        "AssertionError",
        "AttributeError",
        "error",
    ] {
        let known = cases
            .iter()
            .any(|case| case.expected.starts_with(&format!("! {class}:")));
        assert!(known, "no case ends in {class}");
    }
}
