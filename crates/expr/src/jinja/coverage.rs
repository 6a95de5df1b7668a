//! Nothing that templates can use is without a case in `tests/data`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::registry::{self, Callable};
use super::{catalogue, dates, filters, methods, methods_number, methods_str, objects, tests};

fn cases() -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut cases = String::new();
    for entry in fs::read_dir(directory).expect("the cases are there") {
        let path = entry.expect("the directory can be read").path();
        cases += &fs::read_to_string(path).expect("cases are text");
    }
    cases
}

/// Whether one of `forms`, with the name in place of `@`, stands in the cases as whole words.
fn is_used(cases: &str, name: &str, forms: &[&str]) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    forms.iter().any(|form| {
        let form = form.replace('@', name);
        cases.match_indices(&form).any(|(at, _)| {
            let before = cases[..at].chars().next_back();
            let after = cases[at + form.len()..].chars().next();
            (!is_word(form.chars().next()) || !is_word(before))
                && (!is_word(form.chars().next_back()) || !is_word(after))
        })
    })
}

#[track_caller]
fn check(callables: &[&[Callable]], forms: &[&str]) {
    let cases = cases();
    let missing: Vec<&str> = callables
        .iter()
        .flat_map(|callables| callables.iter())
        .map(|callable| callable.name)
        .filter(|name| !is_used(&cases, name, forms))
        .collect();
    assert!(missing.is_empty(), "without a case: {missing:?}");
}

#[test]
fn every_filter_has_a_case() {
    check(
        &[
            filters::TEXT,
            filters::SEQUENCE,
            filters::NUMBER,
            filters::MARKUP,
            catalogue::FILTERS_ONLY,
        ],
        &["| @"],
    );
    check(&[catalogue::DATA], &["| @", "@("]);
}

#[test]
fn every_test_has_a_case() {
    let all = [tests::ALL, tests::PLAIN_IN, tests::BUILTIN_IN];
    check(&all, &[" is @", " is not @", "select('@'"]);
}

#[test]
fn every_method_has_a_case() {
    let all = [
        methods_str::ALL,
        methods::LIST,
        methods::DICT,
        methods::TUPLE,
        methods_number::INT,
        methods_number::FLOAT,
        methods::BYTES,
        dates::METHODS,
        objects::LOOP_METHODS,
        objects::CYCLER_METHODS,
    ];
    check(&all, &[".@("]);
}

#[test]
fn every_function_and_global_has_a_case() {
    let cases = cases();
    for function in registry::functions() {
        let is_covered = is_used(&cases, function.name, &["<% @(", "{{ @("]);
        assert!(is_covered, "without a case: {}", function.name);
    }
    for global in super::meta::GLOBALS {
        assert!(is_used(&cases, global, &["@("]), "without a case: {global}");
    }
}

#[test]
fn every_class_of_error_has_a_case() {
    let mut classes = BTreeSet::new();
    collect_classes(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut classes,
    );
    assert!(classes.len() > 15, "{classes:?}");
    let cases = cases();
    let missing: Vec<&String> = classes
        .iter()
        .filter(|class| !is_used(&cases, class, &["!! @", " @"]))
        .collect();
    assert!(missing.is_empty(), "without a case: {missing:?}");
}

/// The names of classes in the texts of the sources.
fn collect_classes(directory: &Path, classes: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("the sources are there") {
        let path = entry.expect("the directory can be read").path();
        if path.is_dir() {
            collect_classes(&path, classes);
            continue;
        }
        let source = fs::read_to_string(&path).expect("sources are text");
        for text in source.split('"') {
            let is_class = text.len() > "Exception".len()
                && (text.ends_with("Error") || text.ends_with("Exception"))
                && text.chars().all(|c| c.is_ascii_alphabetic());
            if is_class {
                classes.insert(text.to_owned());
            }
        }
    }
}
