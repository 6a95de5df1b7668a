//! Regular expressions of criteria, in Python's dialect.

use std::sync::Arc;

use squall_expr::{Error, Flags, Kind};

/// How a regular expression is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `matchregex`: from the beginning of the text, and the dot matches line ends.
    MatchDotAll,
    /// `regex`: anywhere.
    Search,
    /// `iregex`: anywhere, whatever the case.
    SearchIgnoreCase,
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub(crate) struct Regex {
    compiled: Arc<squall_expr::Regex>,
    mode: Mode,
}

impl Regex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    ///
    /// Class `error`, as Python's `re.error`.
    pub(crate) fn new(pattern: &str, mode: Mode) -> Result<Regex, Error> {
        let flags = Flags {
            ignore_case: mode == Mode::SearchIgnoreCase,
            dot_all: mode == Mode::MatchDotAll,
            ..Flags::default()
        };
        match squall_expr::Regex::new(pattern, flags) {
            Ok(compiled) => Ok(Regex {
                compiled: Arc::new(compiled),
                mode,
            }),
            Err(error) => Err(Error::new("error", Kind::Regex, error.message)),
        }
    }

    /// Whether the expression is found in `text`.
    ///
    /// # Errors
    ///
    /// A limit error when the search takes too long.
    pub(crate) fn is_match(&self, text: &str) -> Result<bool, Error> {
        let found = match self.mode {
            Mode::MatchDotAll => self.compiled.is_at_start(text),
            Mode::Search | Mode::SearchIgnoreCase => self.compiled.is_found(text),
        };
        found.map_err(|error| {
            Error::new(
                "error",
                Kind::Limit,
                format!(
                    "{}; avoid nested repetitions such as `(a+)+`",
                    error.message
                ),
            )
        })
    }
}
