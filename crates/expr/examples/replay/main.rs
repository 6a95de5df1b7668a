//! Replays recorded expression cases: `cargo run --release -p squall-expr --example replay -- PATH…`
//!
//! A path is a file of cases or a directory of them. Fixtures are looked up beside the cases and in
//! the directories above. Failures are printed with what was expected and what came; the last line
//! counts. The exit code is 1 if anything failed.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod data;
mod jinja;
mod orquesta;
mod others;
mod world;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use squall_expr::Expressions;
use squall_value::{Value, json};

/// What one run of one case gave.
pub(crate) enum Outcome {
    /// A value, in canonical recorded form.
    Value(String),
    Error {
        class: String,
        kind: String,
        message: String,
    },
}

impl From<squall_expr::Error> for Outcome {
    fn from(error: squall_expr::Error) -> Outcome {
        Outcome::Error {
            class: error.class.to_string(),
            kind: data::snake(&format!("{:?}", error.kind)),
            message: error.message,
        }
    }
}

pub(crate) struct Replay {
    pub(crate) expressions: Expressions,
    pub(crate) fixtures: Value,
}

fn main() {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if paths.is_empty() {
        eprintln!("usage: replay PATH...");
        std::process::exit(2);
    }
    let mut files = Vec::new();
    for path in &paths {
        gather(path, &mut files);
    }
    files.sort();
    let differences = differences();
    let mut counts = Counts::default();
    for file in &files {
        replay_file(file, &differences, &mut counts);
    }
    println!(
        "{} passed, {} failed, {} differ on purpose",
        counts.passed, counts.failed, counts.differing
    );
    std::process::exit(i32::from(counts.failed > 0));
}

#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    differing: usize,
}

fn gather(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            gather(&entry.unwrap().path(), files);
        }
    } else if path
        .extension()
        .is_some_and(|extension| extension == "json")
        && path.file_name().is_some_and(|name| name != "fixtures.json")
    {
        files.push(path.to_path_buf());
    }
}

fn read(path: &Path) -> Value {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    json::read_python(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What differs on purpose, in this crate and in those whose rules are replayed: single cases, and
/// all that show a defect of the reference.
fn differences() -> BTreeMap<String, String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = BTreeMap::new();
    for file in [
        "expr/differences.json",
        "yaql/differences.json",
        "yaql/tests/differences.json",
        "schema/tests/differences.json",
        "rules/tests/differences.json",
    ] {
        let path = crates.join(file);
        if !path.is_file() {
            continue;
        }
        match read(&path) {
            Value::List(items) => {
                for item in items.iter() {
                    let text =
                        |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
                    let name = match text("quirk") {
                        "" => text("id").to_owned(),
                        quirk => quirk_name(quirk),
                    };
                    found.insert(name, text("reason").to_owned());
                }
            }
            Value::Dict(items) => {
                for (id, reason) in items.iter() {
                    found.insert(id.to_string(), squall_value::python::str(reason));
                }
            }
            _ => {}
        }
    }
    found
}

/// How a defect of the reference, as cases that show it are marked, is called among the differences.
fn quirk_name(quirk: &str) -> String {
    format!("quirk:{quirk}")
}

fn fixtures_of(file: &Path) -> Value {
    let mut directory = file.parent();
    while let Some(path) = directory {
        let candidate = path.join("fixtures.json");
        if candidate.is_file() {
            return read(&candidate);
        }
        directory = path.parent();
    }
    Value::empty_dict()
}

fn replay_file(file: &Path, differences: &BTreeMap<String, String>, counts: &mut Counts) {
    let content = read(file);
    let replay = Replay {
        expressions: Expressions::default(),
        fixtures: fixtures_of(file),
    };
    if content.get("kind").is_some() {
        if content.get("kind").and_then(Value::as_str) != Some("expr") {
            return;
        }
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        for (index, case) in content
            .get("cases")
            .unwrap()
            .as_list()
            .unwrap()
            .iter()
            .enumerate()
        {
            let id = format!("orquesta/expr/{stem}#{index}");
            let problem = orquesta::check(&replay, &content, case);
            count(&id, case, problem, differences, counts);
        }
        return;
    }
    let Some(cases) = content.as_list() else {
        return;
    };
    for case in cases {
        let id = data::text(case, "id").to_owned();
        let problem = std::panic::catch_unwind(AssertUnwindSafe(|| check(&replay, case)))
            .unwrap_or_else(|_| Some("the case can't be replayed, see above".into()));
        count(&id, case, problem, differences, counts);
    }
}

fn count(
    id: &str,
    case: &Value,
    problem: Option<String>,
    differences: &BTreeMap<String, String>,
    counts: &mut Counts,
) {
    let mut quirk = data::text(case, "quirk");
    if quirk.is_empty() && case.get("python_repr").is_some() {
        quirk = "python_repr";
    }
    let is_on_purpose =
        differences.contains_key(id) || differences.contains_key(&quirk_name(quirk));
    match problem {
        None => counts.passed += 1,
        Some(_) if is_on_purpose => counts.differing += 1,
        Some(problem) => {
            counts.failed += 1;
            let shown = [
                "template",
                "statement",
                "expr",
                "mapping",
                "value",
                "criteria",
                "params",
            ]
            .iter()
            .find_map(|key| case.get(key))
            .map(Value::to_json)
            .unwrap_or_default();
            println!("{id}: {shown}\n    {problem}");
        }
    }
}

/// What is wrong with a case, if anything is.
fn check(replay: &Replay, case: &Value) -> Option<String> {
    // Results that depend on the sizes of CPython's objects are to be skipped.
    if case.get("implementation_defined").is_some() {
        return None;
    }
    let outcomes: Vec<(String, Outcome)> = match data::text(case, "op") {
        "yaql" => case
            .get("profiles")
            .and_then(Value::as_list)
            .unwrap()
            .iter()
            .map(|profile| {
                let profile = profile.as_str().unwrap();
                (format!("[{profile}] "), others::yaql(replay, case, profile))
            })
            .collect(),
        op => {
            let outcome = match op {
                "statement" | "validate" | "extract_vars" => orquesta::run(replay, case),
                "render_live_params" | "render_final_params" | "get_finalized_params" | "cast" => {
                    others::params(replay, case)
                }
                "operator" | "lookup" | "rule_filter" => others::rules(replay, case),
                _ => jinja::run(replay, case),
            };
            vec![(String::new(), outcome)]
        }
    };
    outcomes
        .into_iter()
        .find_map(|(prefix, outcome)| judge(case, &outcome).map(|problem| prefix + &problem))
}

fn judge(case: &Value, outcome: &Outcome) -> Option<String> {
    let expected = case.get("expected").unwrap();
    match (expected.get("error"), outcome) {
        (None, Outcome::Value(found)) => {
            let wanted = data::canonical(expected.get("value").unwrap());
            let is_same = *found == wanted
                || (data::text(case, "compare") == "unordered"
                    && data::unordered(found) == data::unordered(&wanted));
            (!is_same).then(|| format!("got {found}\n    expected {wanted}"))
        }
        (Some(error), Outcome::Value(found)) => Some(format!(
            "got {found}\n    expected error {}",
            error.to_json()
        )),
        (None, Outcome::Error { class, message, .. }) => Some(format!(
            "got error {class}: {message}\n    expected {}",
            expected.get("value").unwrap().to_json()
        )),
        (
            Some(error),
            Outcome::Error {
                class,
                kind,
                message,
            },
        ) => judge_error(case, error, class, kind, message),
    }
}

fn judge_error(
    case: &Value,
    error: &Value,
    class: &str,
    kind: &str,
    message: &str,
) -> Option<String> {
    let wanted_kind = data::text(error, "kind");
    let wanted = data::text(error, "message");
    let is_promised = matches!(
        wanted_kind,
        "parse" | "unknown_function" | "unknown_method" | "no_match" | "evaluation" | "param"
    );
    let is_quoting_python = wanted.contains("0x..") || data::text(case, "op") == "rule_filter";
    let same_message = !is_promised
        || wanted.is_empty()
        || is_quoting_python
        || message == wanted
        || message.chars().take(600).eq(wanted.chars());
    let is_same = kind == wanted_kind && same_message;
    (!is_same).then(|| {
        format!(
            "got error {kind} {class}: {message}\n    expected error {}",
            error.to_json()
        )
    })
}
