//! What is wrong with a definition, for the person who wrote it.

use std::fmt;

use squall_value::Str;

/// Whether a definition can be used in spite of the finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The definition works, though perhaps not as meant.
    Warning,
    /// The definition must be refused.
    Error,
}

/// One finding in a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stands in the way.
    pub severity: Severity,
    /// The keys that lead to the offence from the root of the definition that was read.
    pub path: Vec<Str>,
    /// What is wrong, why it matters and what to do.
    pub message: String,
}

impl Diagnostic {
    /// A finding that stands in the way.
    #[must_use]
    pub fn error(path: &[&str], message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, path, message)
    }

    /// A finding that does not.
    #[must_use]
    pub fn warning(path: &[&str], message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, path, message)
    }

    fn new(severity: Severity, path: &[&str], message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity,
            path: path.iter().map(|&part| Str::from(part)).collect(),
            message: message.into(),
        }
    }

    /// Puts `key` before the path: for definitions that are part of a larger one.
    #[must_use]
    pub fn within(mut self, key: &str) -> Diagnostic {
        self.path.insert(0, Str::from(key));
        self
    }

    /// Whether the definition must be refused.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path.join("."), self.message)
    }
}

/// The candidate that a misspelled `word` most likely meant: at most two edits away.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Names are short; a longer text is no misspelling of one, and need not be measured.
    if word.chars().count() > 64 {
        return None;
    }
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2 && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions and substitutions between two texts (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &right) in b.iter().enumerate() {
            let substitution = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
