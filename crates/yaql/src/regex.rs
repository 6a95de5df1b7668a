//! Regular expressions with Python's syntax and semantics, on `fancy-regex`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use fancy_regex::{Regex as Engine, RegexBuilder};
use squall_value::Str;

use crate::error::Error;
use crate::eval::Evaluation;
use crate::regex_syntax::{self, LineEnd};

/// How often one search may go back; catastrophic patterns end here.
const BACKTRACKS_MAX: usize = 500_000;

/// How large a compiled pattern may get, in bytes.
const PROGRAM_BYTES_MAX: usize = 4 << 20;

/// How many compiled patterns a thread keeps.
const CACHE_MAX: usize = 256;

/// The switches of `regex()`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools)]
pub struct Flags {
    /// Letters match in either case.
    pub ignore_case: bool,
    /// `^` and `$` match at every line.
    pub multi_line: bool,
    /// `.` matches a line end too.
    pub dot_all: bool,
}

/// A compiled regular expression.
#[derive(Debug)]
pub struct Regex {
    pattern: Str,
    flags: Flags,
    engine: Engine,
    /// For texts that end with a line feed, where Python's `$` also matches before it. `None` inside
    /// when the pattern has no such `$`.
    engine_line_end: OnceLock<Option<Engine>>,
    has_named_groups: bool,
}

/// Where a match and its groups lie, in bytes.
pub(crate) type Spans = Vec<Option<(usize, usize)>>;

impl Regex {
    /// Compiles a pattern of Python's `re`.
    ///
    /// # Errors
    ///
    /// A regex error with Python's message where the pattern is malformed.
    pub fn new(pattern: &str, flags: Flags) -> Result<Regex, Error> {
        let translated = regex_syntax::translate(pattern, flags, LineEnd::End)?;
        Ok(Regex {
            pattern: Str::from(pattern),
            flags,
            engine: build(&translated.text)?,
            engine_line_end: if translated.has_line_end {
                OnceLock::new()
            } else {
                OnceLock::from(None)
            },
            has_named_groups: translated.has_named_groups,
        })
    }

    /// A pattern without flags, from a small cache of this thread.
    pub(crate) fn cached(pattern: &str) -> Result<Arc<Regex>, Error> {
        thread_local! {
            static CACHE: RefCell<HashMap<Str, Arc<Regex>>> = RefCell::default();
        }
        CACHE.with_borrow_mut(|cache| {
            if let Some(regex) = cache.get(pattern) {
                return Ok(regex.clone());
            }
            let regex = Arc::new(Regex::new(pattern, Flags::default())?);
            if cache.len() >= CACHE_MAX {
                cache.clear();
            }
            cache.insert(regex.pattern.clone(), regex.clone());
            Ok(regex)
        })
    }

    /// The pattern as written.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The switches.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.flags
    }

    pub(crate) fn same_as(&self, other: &Regex) -> bool {
        self.pattern == other.pattern && self.flags == other.flags
    }

    pub(crate) fn has_named_groups(&self) -> bool {
        self.has_named_groups
    }

    /// The number of groups, without the whole match.
    pub(crate) fn groups(&self) -> usize {
        self.engine.captures_len() - 1
    }

    pub(crate) fn group_index(&self, name: &str) -> Option<usize> {
        self.engine
            .capture_names()
            .position(|known| known == Some(name))
    }

    fn engine_for(&self, text: &str) -> &Engine {
        if !text.ends_with('\n') {
            return &self.engine;
        }
        let other = self.engine_line_end.get_or_init(|| {
            regex_syntax::translate(&self.pattern, self.flags, LineEnd::BeforeLastLineFeed)
                .and_then(|translated| build(&translated.text))
                .ok()
        });
        other.as_ref().unwrap_or(&self.engine)
    }

    pub(crate) fn is_match(&self, ev: &mut Evaluation<'_>, text: &str) -> Result<bool, Error> {
        ev.steps(text.len() as u64 / 64)?;
        self.engine_for(text).is_match(text).map_err(run_error)
    }

    /// The first match at or after the byte offset `from`.
    pub(crate) fn find(
        &self,
        ev: &mut Evaluation<'_>,
        text: &str,
        from: usize,
    ) -> Result<Option<Spans>, Error> {
        ev.steps((text.len() - from.min(text.len())) as u64 / 64)?;
        let found = self
            .engine_for(text)
            .captures_from_pos(text, from)
            .map_err(run_error)?;
        Ok(found.map(|captures| {
            (0..captures.len())
                .map(|group| {
                    captures
                        .get(group)
                        .map(|found| (found.start(), found.end()))
                })
                .collect()
        }))
    }

    /// The match after one that ended at `spans`: an empty match is not found twice.
    pub(crate) fn find_next(
        &self,
        ev: &mut Evaluation<'_>,
        text: &str,
        previous: Option<(usize, usize)>,
    ) -> Result<Option<Spans>, Error> {
        let from = match previous {
            None => 0,
            Some((start, end)) if start == end => match text[end..].chars().next() {
                Some(c) => end + c.len_utf8(),
                None => return Ok(None),
            },
            Some((_, end)) => end,
        };
        self.find(ev, text, from)
    }
}

fn build(text: &str) -> Result<Engine, Error> {
    RegexBuilder::new(text)
        .backtrack_limit(BACKTRACKS_MAX)
        .delegate_size_limit(PROGRAM_BYTES_MAX)
        .delegate_dfa_size_limit(PROGRAM_BYTES_MAX)
        .build()
        .map_err(|error| Error::regex(error.to_string()))
}

fn run_error(error: fancy_regex::Error) -> Error {
    Error::new(
        crate::error::Kind::Limit,
        "RegexLimitException",
        format!("regular expression was given up: {error}"),
    )
}

/// Python's `re.escape`.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
