//! Regular expressions of criteria, in Python's dialect.

use std::sync::{Arc, OnceLock};

use squall_expr::{Error, Flags, Kind};
use squall_value::Str;

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

/// An expression, compiled when it is first used: most rules are passed over without it, and a
/// class of Unicode characters takes long to compile.
#[derive(Clone, Debug)]
pub(crate) struct Regex {
    pattern: Str,
    mode: Mode,
    compiled: Arc<OnceLock<Result<squall_expr::Regex, Error>>>,
}

impl Regex {
    /// The expression `pattern`.
    pub(crate) fn new(pattern: &str, mode: Mode) -> Regex {
        Regex {
            pattern: Str::from(pattern),
            mode,
            compiled: Arc::default(),
        }
    }

    /// The compiled expression.
    ///
    /// # Errors
    ///
    /// Class `error`, as Python's `re.error`.
    pub(crate) fn compiled(&self) -> Result<&squall_expr::Regex, Error> {
        let compile = || {
            let flags = Flags {
                ignore_case: self.mode == Mode::SearchIgnoreCase,
                dot_all: self.mode == Mode::MatchDotAll,
                ..Flags::default()
            };
            squall_expr::Regex::new(&self.pattern, flags)
                .map_err(|error| Error::new("error", Kind::Regex, error.message))
        };
        self.compiled
            .get_or_init(compile)
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Whether the expression is found in `text`.
    ///
    /// # Errors
    ///
    /// As [`Regex::compiled`]; a limit error when the search takes too long.
    pub(crate) fn is_match(&self, text: &str) -> Result<bool, Error> {
        let compiled = self.compiled()?;
        let found = match self.mode {
            Mode::MatchDotAll => compiled.is_at_start(text),
            Mode::Search | Mode::SearchIgnoreCase => compiled.is_found(text),
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
