use super::arrows::Table;
use super::exceptions::Exceptions;
use super::{Finding, lex, manifest, source, words};
use crate::workspace::Manifest;

fn shown(findings: &[Finding]) -> Vec<String> {
    let line = |one: &Finding| format!("{} {} {}", one.check, one.line, one.subject);
    findings
        .iter()
        .map(|one| line(one).trim().to_owned())
        .collect()
}

/// A text in which «» surround what has to be blanked.
#[track_caller]
fn code(marked: &str) {
    let text = marked.replace(['«', '»'], "");
    let mut inside = false;
    let mut expected = String::new();
    for c in marked.chars() {
        match c {
            '«' | '»' => inside = c == '«',
            _ => expected.push(if inside && c != '\n' { ' ' } else { c }),
        }
    }
    assert_eq!(lex::blank(&text).lines.join("\n"), expected, "{marked}");
}

#[test]
fn strings_comments_and_characters_are_blanked() {
    code("a «// b }»\nb");
    code("a «/* { /* { */ { */» b");
    code(r#"f(«"{ \" {"», «'{'», «'\''», b«"{"»)"#);
    code("«r#\"{ \" {\"#» }");
    code("b«r\"{\"» }");
    code("fn f<'a>(x: &'a str) {");
    code("«'\\u{7b}'» {");
    code("«\"a\n{\"» }");
    code("for r in xs { r }");
    code("br «\"{");
}

#[track_caller]
fn file(path: &str, pure: bool, text: &str, expected: &[&str]) {
    let found = source::check(path, &lex::blank(text), false, pure);
    assert_eq!(shown(&found), expected, "{path}: {text}");
}

#[test]
fn leftovers_are_found_in_code_and_marks_in_comments() {
    let path = "crates/a/src/lib.rs";
    file(
        path,
        false,
        "fn f() {\n    todo!()\n}",
        &["leftovers 2 todo!"],
    );
    file(path, false, "let x = dbg!(1);", &["leftovers 1 dbg!"]);
    file(path, false, "let x = \"todo!\"; // todo! is forbidden", &[]);
    file(path, false, "// FIXME later", &["leftovers 1 FIXME"]);
    file(path, false, "let x = \"FIXME\";", &[]);
    file(
        path,
        false,
        "#[ignore = \"slow\"]",
        &["leftovers 1 #[ignore"],
    );
    file(path, false, "my_todo!()", &[]);
}

#[test]
fn unwrap_is_for_tests() {
    let path = "crates/a/src/lib.rs";
    file(path, false, "fn f() {\n    x.unwrap();\n}", &["unwrap 2"]);
    file(path, false, "x.unwrap_or(1); y.expect(\"why\");", &[]);
    let tests = "#[cfg(test)]\nmod tests {\n    fn f() {\n        x.unwrap();\n    }\n}\n";
    file(path, false, tests, &[]);
    let after = format!("{tests}fn g() {{\n    x.unwrap();\n}}\n");
    file(path, false, &after, &["unwrap 8"]);
    file("crates/a/tests/all.rs", false, "x.unwrap();", &[]);
    file("crates/a/src/b/tests.rs", false, "x.unwrap();", &[]);
}

#[test]
fn pure_code_names_nothing_outside() {
    let path = "crates/a/src/lib.rs";
    file(path, true, "use std::fs;", &["pure 1 std::fs"]);
    file(path, false, "use std::fs;", &[]);
    file(path, true, "/// Never `std::fs`.\nfn f() {}", &[]);
    file(
        path,
        true,
        "let t = SystemTime::now();",
        &["pure 1 SystemTime"],
    );
    file("crates/a/examples/b.rs", true, "use std::fs;", &[]);
    file(
        path,
        true,
        "#[cfg(test)]\nmod tests {\n    use std::fs;\n}",
        &[],
    );
}

#[test]
fn sizes_are_bounded() {
    let path = "crates/a/src/lib.rs";
    let body = "    f();\n".repeat(69);
    let long = format!("pub(crate) async fn long<'a>(x: &'a str)\n{{\n{body}}}\n");
    file(path, false, &long, &["function-lines 1 long"]);
    file("crates/a/tests/all.rs", false, &long, &[]);
    let body = "    f();\n    // why\n\n".repeat(68);
    file(path, false, &format!("fn short() {{\n{body}}}\n"), &[]);
    file(
        path,
        false,
        "trait T {\n    fn f(&self, x: [u8; 4]);\n}\n",
        &[],
    );
    file(path, false, &"f();\n".repeat(801), &["file-lines 0"]);
    let tested = format!(
        "{}#[cfg(test)]\nmod tests {{\n{0}}}\n",
        "f();\n".repeat(700)
    );
    file(path, false, &tested, &[]);
}

#[test]
fn modules_declared_for_tests_are_known() {
    let modules =
        |path| source::test_modules(path, &lex::blank("#[cfg(test)]\nmod fake;\nmod real;"));
    assert_eq!(
        modules("crates/a/src/lib.rs"),
        ["crates/a/src/fake.rs", "crates/a/src/fake/mod.rs"]
    );
    assert_eq!(
        modules("crates/a/src/b.rs"),
        ["crates/a/src/b/fake.rs", "crates/a/src/b/fake/mod.rs"]
    );
}

#[track_caller]
fn manifest_of(pure: bool, text: &str, expected: &[&str]) {
    let parsed = Manifest::parse("crates/a/Cargo.toml", text).unwrap();
    assert_eq!(shown(&manifest::check(&parsed, pure)), expected, "{text}");
}

#[test]
fn manifests_inherit() {
    let lints = "[lints]\nworkspace = true\n";
    manifest_of(false, lints, &[]);
    manifest_of(false, "[package]\nname = \"a\"", &["lints 0"]);
    let with = |rest: &str| format!("{lints}{rest}");
    manifest_of(false, &with("[dependencies]\na = \"1\""), &["versions 0 a"]);
    manifest_of(false, &with("[dependencies]\na.workspace = true"), &[]);
    let itself = "[package]\nname = \"b\"\n[dev-dependencies]\nb = { path = \".\" }";
    manifest_of(false, &with(itself), &[]);
    let target = with("[target.'cfg(unix)'.dev-dependencies]\na = { version = \"1\" }");
    manifest_of(false, &target, &["versions 0 a"]);
    let tokio = with("[dependencies]\ntokio.workspace = true");
    manifest_of(true, &tokio, &["pure 0 tokio"]);
    manifest_of(false, &tokio, &[]);
    manifest_of(
        true,
        &with("[dev-dependencies]\ntokio.workspace = true"),
        &[],
    );
}

/// Crates as `name: dependency dependency`.
#[track_caller]
fn arrows(rows: &str, crates: &[&str], expected: &[&str]) {
    let page =
        format!("# Page\n\n| crate | pure | may use |\n|---|---|---|\n{rows}\n\nMore text\n");
    let manifests: Vec<Manifest> = crates
        .iter()
        .map(|line| {
            let (name, used) = line.split_once(':').unwrap();
            let used = used.split_whitespace();
            let used: String = used
                .map(|one| format!("squall-{one}.workspace = true\n"))
                .collect();
            let text = format!("[dependencies]\nserde.workspace = true\n{used}");
            Manifest::parse(&format!("crates/{name}/Cargo.toml"), &text).unwrap()
        })
        .collect();
    let table = Table::parse(&page).unwrap();
    let found: Vec<String> = table
        .check(&manifests)
        .into_iter()
        .map(|one| one.message)
        .collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found} is not about {expected}");
    }
}

#[test]
fn arrows_are_held_against_the_table() {
    let rows = "| `a` | yes | – |\n| `b` | | a |\n| `c` | | everything |";
    arrows(rows, &["a:", "b: a", "c: a b"], &[]);
    arrows(rows, &["a: b", "b: a", "c:"], &["uses `b`"]);
    arrows(rows, &["a:", "b: a"], &["does not exist"]);
    arrows(rows, &["a:", "b:", "c:", "d:"], &["not in the table"]);
    arrows("| a, b | yes | a |", &["a:", "b:"], &["can reach itself"]);
    let circle = "| a | | b |\n| b | | a |";
    arrows(
        circle,
        &["a:", "b:"],
        &["can reach itself", "can reach itself"],
    );
}

#[test]
fn a_table_that_can_not_be_read_is_an_error() {
    assert!(Table::parse("no table").is_err());
    assert!(Table::parse("| crate | may use |\n|---|---|\n| a | – |").is_err());
    assert!(Table::parse("| crate | pure | may use |\n|---|---|---|\n| a | |").is_err());
    assert!(
        Table::parse("| crate | pure | may use |\n|---|---|---|\n| a, a | | |\n| a | | |").is_err()
    );
}

#[test]
fn machine_paths_are_words_too_many() {
    let path = |name: &str| format!("/{name}/");
    let found = |text: String| words::check("a.md", &text).len();
    for name in [concat!("wo", "rk"), concat!("ro", "ot")] {
        assert_eq!(found(format!("see {}main", path(name))), 1);
        assert_eq!(found(format!("`{}main`", path(name))), 1);
        assert_eq!(found(path(name)), 1);
        assert_eq!(found(format!("/home/stanley{}main", path(name))), 0);
        assert_eq!(found(format!("./crates{}main", path(name))), 0);
    }
}

#[test]
fn exceptions_let_through_and_wear_out() {
    let finding = |subject: &str| Finding {
        path: "crates/a/src/lib.rs".to_owned(),
        line: 7,
        check: "pure",
        subject: subject.to_owned(),
        message: String::new(),
    };
    let apply = |list: &str, findings: Vec<Finding>| {
        shown(&Exceptions::parse(list).unwrap().apply(findings))
    };
    let list = "# why there is a list\n\npure crates/a/src/lib.rs#std::fs reads packs\n";
    assert_eq!(apply(list, vec![finding("std::fs")]), [""; 0]);
    assert_eq!(
        apply(list, vec![finding("std::net")]),
        ["pure 7 std::net", "exceptions 3"]
    );
    assert_eq!(apply(list, Vec::new()), ["exceptions 3"]);
    let file = "pure crates/a/src/lib.rs the whole file";
    assert_eq!(apply(file, vec![finding("x"), finding("y")]), [""; 0]);
    assert!(Exceptions::parse("pure crates/a/src/lib.rs").is_err());
}
