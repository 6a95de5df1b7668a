//! Regular expressions with Python's syntax and semantics, on `fancy-regex`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use fancy_regex::{Regex as Engine, RegexBuilder};
use squall_value::Str;

use crate::error::Error;
use crate::eval::Evaluation;
use crate::regex_syntax::{self, LineEnd};
use crate::regex_template::Template;

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
    /// For matches at the start of a text alone; of texts without and with a last line feed.
    engines_at_start: [OnceLock<Option<Engine>>; 2],
    has_named_groups: bool,
}

/// Where a match and its groups lie, in bytes. The first is the whole match, which is always there.
pub type Spans = Vec<Option<(usize, usize)>>;

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
            engines_at_start: [OnceLock::new(), OnceLock::new()],
            has_named_groups: translated.has_named_groups,
        })
    }

    /// As [`Regex::new`], from a small cache of this thread.
    ///
    /// # Errors
    ///
    /// As of [`Regex::new`].
    pub fn cached(pattern: &str, flags: Flags) -> Result<Arc<Regex>, Error> {
        thread_local! {
            static CACHE: RefCell<HashMap<Flags, HashMap<Str, Arc<Regex>>>> = RefCell::default();
        }
        CACHE.with_borrow_mut(|caches| {
            let cache = caches.entry(flags).or_default();
            if let Some(regex) = cache.get(pattern) {
                return Ok(regex.clone());
            }
            let regex = Arc::new(Regex::new(pattern, flags)?);
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

    /// The names of all groups, by number; the first is the whole match, which has none.
    #[must_use]
    pub fn group_names(&self) -> Vec<Option<String>> {
        let names = self.engine.capture_names();
        names.map(|name| name.map(str::to_owned)).collect()
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

    fn engine_at_start(&self, text: &str) -> Result<&Engine, Error> {
        let has_line_end = text.ends_with('\n');
        let engine = self.engines_at_start[usize::from(has_line_end)].get_or_init(|| {
            let line_end = if has_line_end {
                LineEnd::BeforeLastLineFeed
            } else {
                LineEnd::End
            };
            regex_syntax::translate(&self.pattern, self.flags, line_end)
                .and_then(|translated| build(&format!("\\A(?:{})", translated.text)))
                .ok()
        });
        engine
            .as_ref()
            .ok_or_else(|| Error::regex("the pattern is too large to be tied to a text's start"))
    }

    /// Whether the pattern matches anywhere in `text`, as Python's `search`.
    ///
    /// # Errors
    ///
    /// A limit error when the search goes back too often.
    pub fn is_found(&self, text: &str) -> Result<bool, Error> {
        self.engine_for(text).is_match(text).map_err(run_error)
    }

    /// Whether the pattern matches at the start of `text`, as Python's `match`.
    ///
    /// # Errors
    ///
    /// As of [`Regex::is_found`].
    pub fn is_at_start(&self, text: &str) -> Result<bool, Error> {
        self.engine_at_start(text)?
            .is_match(text)
            .map_err(run_error)
    }

    /// The first match, or the next after one that lay at `previous`: an empty match is not found
    /// twice.
    ///
    /// # Errors
    ///
    /// As of [`Regex::is_found`].
    pub fn find_after(
        &self,
        text: &str,
        previous: Option<(usize, usize)>,
    ) -> Result<Option<Spans>, Error> {
        match after(text, previous) {
            Some(from) => self.find_from(text, from),
            None => Ok(None),
        }
    }

    /// Python's `sub`: every match replaced by `replacement`, which may name groups by `\1` and
    /// `\g<name>`. `charge` is told how many bytes each step makes.
    ///
    /// # Errors
    ///
    /// When the replacement is malformed, as of [`Regex::is_found`], and what `charge` raises.
    pub fn replace<E: From<Error>>(
        &self,
        text: &str,
        replacement: &str,
        mut charge: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<String, E> {
        let template = Template::parse(replacement, self)?;
        let mut out = String::new();
        let mut previous = None;
        let mut last = 0;
        while let Some(spans) = self.find_after(text, previous)? {
            let (start, end) = spans[0].unwrap_or((last, last));
            let before = out.len();
            out.push_str(&text[last..start]);
            template.expand(text, &spans, &mut out);
            charge(out.len() - before)?;
            last = end;
            previous = Some((start, end));
        }
        out.push_str(&text[last..]);
        Ok(out)
    }

    fn find_from(&self, text: &str, from: usize) -> Result<Option<Spans>, Error> {
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

    pub(crate) fn is_match(&self, ev: &mut Evaluation<'_>, text: &str) -> Result<bool, Error> {
        ev.steps(text.len() as u64 / 64)?;
        self.is_found(text)
    }

    /// The first match at or after the byte offset `from`.
    pub(crate) fn find(
        &self,
        ev: &mut Evaluation<'_>,
        text: &str,
        from: usize,
    ) -> Result<Option<Spans>, Error> {
        ev.steps((text.len() - from.min(text.len())) as u64 / 64)?;
        self.find_from(text, from)
    }

    /// As [`Regex::find_after`], charged to the evaluation.
    pub(crate) fn find_next(
        &self,
        ev: &mut Evaluation<'_>,
        text: &str,
        previous: Option<(usize, usize)>,
    ) -> Result<Option<Spans>, Error> {
        match after(text, previous) {
            Some(from) => self.find(ev, text, from),
            None => Ok(None),
        }
    }
}

/// Where to search on after a match; `None` past the end.
fn after(text: &str, previous: Option<(usize, usize)>) -> Option<usize> {
    match previous {
        None => Some(0),
        Some((start, end)) if start == end => {
            text[end..].chars().next().map(|c| end + c.len_utf8())
        }
        Some((_, end)) => Some(end),
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
