//! Words that must not appear in the repository.

use std::sync::LazyLock;

use regex::Regex;

use super::Finding;

/// Directories of somebody's machine. The names are put together here, so that this file does not
/// hold what it forbids.
const DIRECTORIES: [&str; 2] = [concat!("wo", "rk"), concat!("ro", "ot")];

static MACHINE_PATH: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = format!(r"(?:^|[^\w.}}~/-])/(?:{})/", DIRECTORIES.join("|"));
    Regex::new(&pattern).expect("the pattern is made of constants")
});

/// Looks through any text of the repository.
pub(crate) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(found) = MACHINE_PATH.find(line) {
            let word = found.as_str().trim_start_matches(|c| c != '/');
            findings.push(Finding {
                path: path.to_owned(),
                line: index + 1,
                check: "words",
                subject: word.to_owned(),
                message: format!("`{word}` is a path of one machine: use a relative one"),
            });
        }
    }
    findings
}
