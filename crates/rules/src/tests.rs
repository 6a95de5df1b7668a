//! Operators, paths and dates against tables of what Python and the libraries `dateutil` and
//! `jsonpath_rw` give. Each line of a table is one case in JSON.

use squall_value::{Value, json};

use crate::date;
use crate::operator::Operator;
use crate::path::Path;

const OPERATORS: &str = include_str!("../tests/data/operators.jsonl");
const DATES: &str = include_str!("../tests/data/dates.jsonl");
const PATHS: &str = include_str!("../tests/data/paths.jsonl");

fn now() -> jiff::Timestamp {
    "2024-06-01T12:00:00Z".parse().unwrap()
}

/// Runs `run` on every line of a table; it gives what it got and what it should have got.
#[track_caller]
fn check(table: &str, run: impl Fn(&[Value]) -> (String, String)) {
    let mut total = 0;
    let mut wrong = Vec::new();
    for line in table.lines() {
        let case = json::read(line).unwrap();
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
fn operators_decide_as_python_does() {
    check(OPERATORS, |case| {
        let operator = Operator::parse(case[0].as_str().unwrap()).unwrap();
        let got = match operator.apply(&case[1], &case[2], now()) {
            Ok(is_match) => is_match.to_string(),
            // The regular expressions' own messages differ in words.
            Err(error) if &*error.class == "error" => "error:".to_owned(),
            Err(error) => error.to_string(),
        };
        let wanted = match &case[3] {
            Value::Bool(is_match) => is_match.to_string(),
            other => other.as_str().unwrap().to_owned(),
        };
        (got, wanted)
    });
}

#[test]
fn dates_read_as_dateutil_reads_them() {
    check(DATES, |case| {
        let got = match date::parse(case[0].as_str().unwrap(), now()) {
            Ok(moment) => {
                let moment = jiff::tz::TimeZone::UTC.to_datetime(moment);
                moment.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
            }
            Err(error) => error.to_string(),
        };
        (got, case[1].as_str().unwrap().to_owned())
    });
}

#[test]
fn paths_lead_where_jsonpath_leads() {
    let (payload, table) = PATHS.split_once('\n').unwrap();
    let payload = json::read(payload).unwrap();
    check(table, |case| {
        let found = Path::parse(case[0].as_str().unwrap()).and_then(|path| {
            path.lookup("trigger", &payload)
                .map(|value| value.to_json())
        });
        let got = match found {
            Ok(value) => format!("ok {value}"),
            Err(error) => format!("error {}", error.class),
        };
        let wanted = match &case[2] {
            Value::String(class) if case[1].as_str() == Some("error") => format!("error {class}"),
            value => format!("ok {}", value.to_json()),
        };
        (got, wanted)
    });
}

#[test]
fn hostile_expressions_end_with_an_error() {
    let bomb = "a".repeat(40) + "b";
    for pattern in ["(a+)+$", "(a|a)*$", "(?=(a+)+$)a"] {
        // Either the automaton answers at once, or the bound on backtracking does.
        let _ = Operator::Regex.apply(&Value::from(bomb.as_str()), &Value::from(pattern), now());
    }
    let deep = "(".repeat(5000) + &")".repeat(5000);
    let long = "a".repeat(100_000);
    let wide = "(a{1000}){1000}";
    for pattern in [deep.as_str(), long.as_str(), wide] {
        let result = Operator::Regex.apply(&Value::from("a"), &Value::from(pattern), now());
        assert_eq!(&*result.unwrap_err().class, "error");
    }
}

#[test]
fn hostile_keys_end_with_an_error() {
    for key in [
        "a.".repeat(5000),
        "[".repeat(500),
        "trigger..a..a..a..a..a..a".to_owned(),
        "'".to_owned(),
        "trigger[99999999999999999999]".to_owned(),
    ] {
        assert!(Path::parse(&key).is_err(), "{key}");
    }
    let mut nested = Value::from(1);
    for _ in 0..400 {
        nested = Value::from(vec![nested.clone(), nested]);
    }
    // A tree of 2^400 leaves that shares all its branches.
    let path = Path::parse("trigger..x").unwrap();
    let error = path.lookup("trigger", &nested).unwrap_err();
    assert_eq!(error.kind, squall_expr::Kind::Limit);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_read_or_refused(
        text in "[ -~\\n\u{e9}]{0,20}",
        odd in "[\\[\\](){}?*+|^$\\\\.,:a-e0-3xuPm<>=!#'\" -]{0,20}",
        date in "[0-9TZ:+./, apmJunh-]{0,24}",
    ) {
        let value = Value::from("aab 12");
        for text in [&text, &odd, &date] {
            let pattern = Value::from(text);
            for operator in [Operator::Regex, Operator::MatchRegex, Operator::MatchWildcard] {
                let _ = operator.apply(&value, &pattern, now());
            }
            let _ = Path::parse(text).map(|path| path.lookup("a", &value).is_ok());
            let _ = date::parse(text, now());
        }
    }
}
