//! Sizes of files and functions, leftovers, and what code must not name.

use super::Finding;
use super::lex::{Code, is_name};

/// The most lines of a file, its tests apart.
const FILE_LINES_MAX: usize = 800;

/// The most lines of a function, from `fn` to its closing brace, without blank lines and comments.
/// Tests are bound by none: a table of cases is as long as it is.
const FUNCTION_LINES_MAX: usize = 70;

/// What is left behind while something is made.
const LEFTOVERS: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "#[ignore"];

/// What says in a comment that something is not done.
const MARKS: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X")];

/// What pure code does not name: the outside world.
const OUTSIDE: [&str; 8] = [
    "std::fs",
    "std::net",
    "std::process",
    "std::env::var",
    "SystemTime",
    "Instant::now",
    "println!",
    "eprintln!",
];

/// The files of modules that a file declares for tests only: `#[cfg(test)] mod x;`.
pub(crate) fn test_modules(path: &str, code: &Code) -> Vec<String> {
    let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let home = match stem {
        "mod" | "lib" | "main" => directory.to_owned(),
        _ => format!("{directory}/{stem}"),
    };
    let mut modules = Vec::new();
    for pair in code.lines.windows(2) {
        let declared = pair[1].trim();
        let declared = declared.strip_prefix("pub(crate) ").unwrap_or(declared);
        if is_test_attribute(&pair[0])
            && let Some(rest) = declared.strip_prefix("mod ")
            && let Some(name) = rest.strip_suffix(';')
        {
            modules.push(format!("{home}/{name}.rs"));
            modules.push(format!("{home}/{name}/mod.rs"));
        }
    }
    modules
}

/// Checks one file; `declared_test` says that another file declares it for tests only.
pub(crate) fn check(path: &str, code: &Code, declared_test: bool, pure: bool) -> Vec<Finding> {
    let file = File {
        path,
        code,
        tests: test_lines(code, declared_test || is_test_path(path)),
    };
    let mut findings = file.sizes();
    findings.extend(file.leftovers());
    findings.extend(file.unwraps());
    if pure && !is_beside(path) {
        findings.extend(file.outside());
    }
    findings
}

/// Whether the path alone says that only tests, or tools for them, are in the file.
fn is_test_path(path: &str) -> bool {
    let mut parts = path.split('/').skip(2);
    parts.any(|part| matches!(part, "tests" | "tests.rs" | "benches" | "examples" | "fuzz"))
}

/// Whether the file is not part of the crate's library.
fn is_beside(path: &str) -> bool {
    path.split('/').nth(2) != Some("src")
}

fn is_test_attribute(line: &str) -> bool {
    let line = line.trim();
    line == "#[cfg(test)]" || line.starts_with("#[cfg(all(test")
}

/// For every line, whether it belongs to tests.
fn test_lines(code: &Code, all: bool) -> Vec<bool> {
    let mut tests = vec![all; code.lines.len()];
    for start in 0..code.lines.len() {
        if is_test_attribute(&code.lines[start]) && !tests[start] {
            let end = item_end(&code.lines, start + 1);
            tests[start..=end].fill(true);
        }
    }
    tests
}

/// The line on which the item that begins here ends.
fn item_end(lines: &[String], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut opened = false;
    for (index, line) in lines.iter().enumerate().skip(start) {
        for c in line.chars() {
            match c {
                '{' => (depth, opened) = (depth + 1, true),
                '}' => depth = depth.saturating_sub(1),
                // Inside of brackets a semicolon ends nothing: `fn f(a: [u8; 4])`.
                ';' if !opened && !line.contains('[') => return index,
                _ => {}
            }
            if opened && depth == 0 {
                return index;
            }
        }
    }
    lines.len() - 1
}

struct File<'a> {
    path: &'a str,
    code: &'a Code,
    tests: Vec<bool>,
}

impl File<'_> {
    fn finding(&self, line: usize, check: &'static str, subject: &str, message: String) -> Finding {
        Finding {
            path: self.path.to_owned(),
            line,
            check,
            subject: subject.to_owned(),
            message,
        }
    }

    fn sizes(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let lines = self.tests.iter().filter(|test| !**test).count();
        if lines > FILE_LINES_MAX {
            let message = format!(
                "{lines} lines without tests, over {FILE_LINES_MAX}: split it before the next feature"
            );
            findings.push(self.finding(0, "file-lines", "", message));
        }
        for (start, line) in self.code.lines.iter().enumerate() {
            let Some(name) = function_name(line).filter(|_| !self.tests[start]) else {
                continue;
            };
            let end = item_end(&self.code.lines, start);
            let lines = &self.code.lines[start..=end];
            let lines = lines.iter().filter(|line| !line.trim().is_empty()).count();
            if lines > FUNCTION_LINES_MAX {
                let message = format!(
                    "`{name}` has {lines} lines, over {FUNCTION_LINES_MAX}: give its steps names"
                );
                findings.push(self.finding(start + 1, "function-lines", name, message));
            }
        }
        findings
    }

    fn leftovers(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (index, line) in self.code.lines.iter().enumerate() {
            for word in LEFTOVERS {
                if names(line, word) {
                    let message = format!("`{word}` is left: finish it or leave it out");
                    findings.push(self.finding(index + 1, "leftovers", word, message));
                }
            }
        }
        for (index, line) in self.code.comments.iter().enumerate() {
            for word in MARKS {
                if names(line, word) {
                    let message = format!("`{word}` is left: finish it or write an issue");
                    findings.push(self.finding(index + 1, "leftovers", word, message));
                }
            }
        }
        findings
    }

    fn unwraps(&self) -> Vec<Finding> {
        let lines = self.code.lines.iter().zip(&self.tests).enumerate();
        let found = lines.filter(|(_, (line, test))| !**test && line.contains(".unwrap()"));
        found
            .map(|(index, _)| {
                let message =
                    "`unwrap()` outside tests: return an error, or `expect` with why it can't fail";
                self.finding(index + 1, "unwrap", "", message.to_owned())
            })
            .collect()
    }

    fn outside(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (index, (line, test)) in self.code.lines.iter().zip(&self.tests).enumerate() {
            let found = OUTSIDE.iter().filter(|word| !*test && names(line, word));
            findings.extend(found.map(|word| {
                let message =
                    format!("pure code names `{word}`: let the caller hand in what it needs");
                self.finding(index + 1, "pure", word, message)
            }));
        }
        findings
    }
}

/// The name of the function whose declaration begins on this line.
fn function_name(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    let qualifiers = before.split_whitespace().all(|word| {
        matches!(word, "async" | "const" | "extern" | "pub") || word.starts_with("pub(")
    });
    // `pub(in crate::x) fn` has two words for its visibility.
    let qualifiers = qualifiers || before.trim_start().starts_with("pub(in ");
    let len = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
    (qualifiers && len > 0).then(|| &rest[..len])
}

/// Whether a line has this word, not merely a longer one.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let ends_open = word.ends_with('!') || word.ends_with('[');
        !before.is_some_and(is_name) && (ends_open || !after.is_some_and(is_name))
    })
}
