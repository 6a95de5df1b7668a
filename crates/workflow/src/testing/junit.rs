//! The report that build servers read.

use std::fmt::Write;

use super::run::Outcome;

/// The outcomes as JUnit XML: one suite with one case per test. Times are left out, since nothing is
/// run that would take any.
#[must_use]
pub fn junit(suite: &str, outcomes: &[Outcome]) -> String {
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (suite, count) = (escape(suite), outcomes.len());
    let _ = writeln!(out, "<testsuites tests=\"{count}\" failures=\"{failed}\">");
    let _ = writeln!(
        out,
        "  <testsuite name=\"{suite}\" tests=\"{count}\" failures=\"{failed}\">"
    );
    for outcome in outcomes {
        let (name, class) = (escape(&outcome.name), escape(&outcome.workflow));
        let _ = write!(out, "    <testcase name=\"{name}\" classname=\"{class}\"");
        if outcome.passed() {
            out.push_str("/>\n");
            continue;
        }
        let first = outcome
            .failures
            .first()
            .and_then(|text| text.lines().next());
        let message = escape(first.unwrap_or_default());
        let text = escape(&outcome.failures.join("\n"));
        let _ = writeln!(
            out,
            ">\n      <failure message=\"{message}\">{text}</failure>\n    </testcase>"
        );
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// XML text; characters that XML can't hold become U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
