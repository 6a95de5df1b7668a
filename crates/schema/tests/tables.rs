//! Casts and validation against tables of what StackStorm's modules give. Each line of a table is
//! one case in JSON.
#![allow(clippy::unwrap_used)]

use squall_schema::{ParameterValidator, Parameters, Type, cast};
use squall_value::{Value, json};

const CASTS: &str = include_str!("data/casts.jsonl");
const VALIDATION: &str = include_str!("data/validation.jsonl");

/// Runs `run` on every line of a table; it gives what it got and what it should have got.
#[track_caller]
fn check(table: &str, run: impl Fn(&[Value]) -> (String, String)) {
    let mut total = 0;
    let mut wrong = Vec::new();
    for line in table.lines() {
        let case = json::read_python(line).unwrap();
        let (got, wanted) = run(case.as_list().unwrap());
        total += 1;
        if got != wanted {
            wrong.push(format!("{line}\n    got {got}"));
        }
    }
    assert!(total > 50, "the table is too short: {total} lines");
    assert!(
        wrong.is_empty(),
        "{} of {total} cases are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn casts_give_what_python_gives() {
    check(CASTS, |case| {
        let kind = Type::parse(case[0].as_str().unwrap()).unwrap();
        let got = match cast::cast(kind, &case[1]) {
            Ok(value) => squall_value::python::repr(&value),
            // Of what is no Python at all, only the class is compared: the words differ.
            Err(error) if &*error.class == "SyntaxError" => "SyntaxError".to_owned(),
            Err(error) => error.to_string(),
        };
        let wanted = match case[2].get("error").and_then(Value::as_str) {
            Some(error) if error.starts_with("SyntaxError") => "SyntaxError".to_owned(),
            Some(error) => error.to_owned(),
            None => squall_value::python::repr(case[2].get("value").unwrap_or(&Value::Null)),
        };
        (got, wanted)
    });
}

#[test]
fn validation_speaks_as_jsonschema_speaks() {
    check(VALIDATION, |case| {
        let (validator, broken) = ParameterValidator::new(&Parameters::new(&case[0]));
        assert_eq!(broken, []);
        let got = match validator.validate(case[1].as_dict().unwrap()) {
            Ok(()) => "valid".to_owned(),
            Err(invalid) => invalid.to_string(),
        };
        let wanted = case[2].as_str().unwrap_or("valid").to_owned();
        (got, wanted)
    });
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

    #[test]
    fn casts_of_any_text_end(text in "[ -~\\n\u{e9}\u{663}]{0,24}", odd in "[\\[\\](){}'\"\\\\.,:+#a-f0-9xj_ *-]{0,24}") {
        for kind in squall_schema::TYPES {
            for text in [&text, &odd] {
                let _ = cast::cast(kind, &Value::from(text));
            }
        }
    }
}

#[test]
fn hostile_texts_end_with_an_error() {
    for text in [
        "[".repeat(100_000),
        "-".repeat(100_000) + "1",
        "'".repeat(99_999),
        "(".repeat(400) + &")".repeat(400),
    ] {
        assert!(cast::cast(Type::Array, &Value::from(text)).is_err());
    }
    let digits = Value::from("9".repeat(5000));
    let error = cast::cast(Type::Integer, &digits).unwrap_err();
    assert!(error.message.contains("4300 digits"), "{error}");
}
