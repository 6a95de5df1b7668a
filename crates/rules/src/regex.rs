//! Python's regular expressions by the crate `fancy-regex`.
//!
//! The two dialects share most of their syntax. Translated is what they read differently: `$` and
//! `\Z`, braces and brackets that stand for themselves, sets with `[`, `&&`, `--` or `~~` in them,
//! octal and Unicode escapes. Refused is what only `fancy-regex` knows.
//!
//! Source: the Python library reference, module `re`.

use fancy_regex::RegexBuilder;
use squall_expr::{Error, Kind};

/// How much backtracking one search may cost.
const BACKTRACK_MAX: usize = 500_000;
/// Bytes of the compiled automaton.
const SIZE_MAX: usize = 4 << 20;
/// Characters of an expression.
const LENGTH_MAX: usize = 16_384;
/// How deep groups may nest.
const DEPTH_MAX: usize = 100;

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
    compiled: fancy_regex::Regex,
}

impl Regex {
    /// Compiles `pattern`.
    ///
    /// # Errors
    ///
    /// Class `error`, as Python's `re.error`.
    pub(crate) fn new(pattern: &str, mode: Mode) -> Result<Regex, Error> {
        let translated = Translator::new(pattern)?.run()?;
        let text = match mode {
            Mode::MatchDotAll => format!("\\A(?:{translated})"),
            Mode::Search | Mode::SearchIgnoreCase => translated,
        };
        RegexBuilder::new(&text)
            .dot_matches_new_line(mode == Mode::MatchDotAll)
            .case_insensitive(mode == Mode::SearchIgnoreCase)
            .backtrack_limit(BACKTRACK_MAX)
            .delegate_size_limit(SIZE_MAX)
            .build()
            .map(|compiled| Regex { compiled })
            .map_err(|error| invalid(error.to_string()))
    }

    /// Whether the expression is found in `text`.
    ///
    /// # Errors
    ///
    /// A limit error when the search takes too long.
    pub(crate) fn is_match(&self, text: &str) -> Result<bool, Error> {
        self.compiled.is_match(text).map_err(|_| {
            Error::new(
                "error",
                Kind::Limit,
                format!(
                    "the regular expression was given up after {BACKTRACK_MAX} steps of \
                     backtracking; avoid nested repetitions such as `(a+)+`"
                ),
            )
        })
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new("error", Kind::Regex, message)
}

struct Translator {
    chars: Vec<char>,
    next: usize,
    out: String,
    /// Positions of open groups, and the flags outside of each.
    open: Vec<(usize, Flags)>,
    groups: usize,
    flags: Flags,
}

/// The flags that are acted on here; `i` and `s` are left to the engine.
#[derive(Clone, Copy, Default)]
struct Flags {
    multi_line: bool,
    /// White space and comments don't count.
    verbose: bool,
    /// `\w` and its kind are ASCII.
    ascii: bool,
}

impl Translator {
    fn new(pattern: &str) -> Result<Translator, Error> {
        let chars: Vec<char> = pattern.chars().collect();
        if chars.len() > LENGTH_MAX {
            return Err(invalid(format!(
                "the expression is longer than {LENGTH_MAX} characters"
            )));
        }
        Ok(Translator {
            out: String::with_capacity(chars.len() + 16),
            chars,
            next: 0,
            open: Vec::new(),
            groups: 0,
            flags: Flags::default(),
        })
    }

    fn run(mut self) -> Result<String, Error> {
        while let Some(c) = self.bump() {
            match c {
                c if self.flags.verbose && c.is_whitespace() => {}
                '#' if self.flags.verbose => while self.bump().is_some_and(|c| c != '\n') {},
                '\\' => self.escape()?,
                '[' => self.set()?,
                '(' => self.group()?,
                ')' => {
                    let (_, flags) = self.open.pop().ok_or_else(|| {
                        invalid(format!(
                            "unbalanced parenthesis at position {}",
                            self.next - 1
                        ))
                    })?;
                    self.flags = flags;
                    self.out.push(')');
                }
                '{' => self.brace()?,
                '}' | ']' => {
                    self.out.push('\\');
                    self.out.push(c);
                }
                '$' => self.end(),
                '^' if self.flags.multi_line => self.out.push_str("(?m:^)"),
                '*' | '+' | '?' if self.next == 1 => {
                    return Err(invalid("nothing to repeat at position 0"));
                }
                c => self.out.push(c),
            }
        }
        match self.open.last() {
            Some((position, _)) => Err(invalid(format!(
                "missing ), unterminated subpattern at position {position}"
            ))),
            None => Ok(self.out),
        }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.next).copied()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek();
        self.next += usize::from(c.is_some());
        c
    }

    fn rest_starts_with(&self, text: &str) -> bool {
        let rest = self.chars.get(self.next..).unwrap_or_default();
        let mut wanted = text.chars();
        rest.iter()
            .by_ref()
            .zip(wanted.by_ref())
            .all(|(a, b)| *a == b)
            && rest.len() >= text.chars().count()
    }

    /// Outside of multi-line mode, Python's `$` also matches before a final line end.
    fn end(&mut self) {
        let is_last = self.next == self.chars.len() && self.open.is_empty();
        self.out.push_str(match (self.flags.multi_line, is_last) {
            (true, _) => "(?m:$)",
            // Nothing follows, so the line end may as well be consumed, which is far cheaper.
            (false, true) => "\\n?\\z",
            (false, false) => "(?=\\n?\\z)",
        });
    }

    /// A repetition, or a brace that stands for itself.
    fn brace(&mut self) -> Result<(), Error> {
        let rest = &self.chars[self.next..];
        let close = rest.iter().take(24).position(|&c| c == '}');
        let body: Option<String> = close.map(|close| rest[..close].iter().collect());
        let (Some(body), Some(close)) = (body, close) else {
            self.out.push_str("\\{");
            return Ok(());
        };
        let (low, high) = body.split_once(',').unwrap_or((&body, &body));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if body.is_empty() || !is_digits(low) || !is_digits(high) {
            self.out.push_str("\\{");
            return Ok(());
        }
        let bound = |text: &str| text.parse::<u64>().ok();
        if let (Some(low), Some(high)) = (bound(low), bound(high))
            && low > high
        {
            return Err(invalid(format!(
                "min repeat greater than max repeat at position {}",
                self.next
            )));
        }
        let low = if low.is_empty() { "0" } else { low };
        self.out.push_str(&match body.contains(',') {
            true => format!("{{{low},{high}}}"),
            false => format!("{{{low}}}"),
        });
        self.next += close + 1;
        Ok(())
    }

    fn group(&mut self) -> Result<(), Error> {
        let position = self.next - 1;
        if self.open.len() >= DEPTH_MAX {
            return Err(invalid(format!(
                "groups nest deeper than {DEPTH_MAX} levels"
            )));
        }
        if self.peek() != Some('?') {
            self.groups += 1;
            self.open.push((position, self.flags));
            self.out.push('(');
            return Ok(());
        }
        if self.rest_starts_with("?#") {
            while self.bump().is_some_and(|c| c != ')') {}
            return Ok(());
        }
        if self.rest_starts_with("?P=") {
            // A reference by name ends with its own parenthesis.
            self.open.push((position, self.flags));
            self.copy("(", 3);
            return Ok(());
        }
        for prefix in ["?:", "?=", "?!", "?<=", "?<!", "?>", "?P<", "?("] {
            if self.rest_starts_with(prefix) {
                self.groups += usize::from(prefix == "?P<");
                self.open.push((position, self.flags));
                self.copy("(", prefix.len());
                if prefix == "?(" {
                    while let Some(c) = self.bump() {
                        self.out.push(c);
                        if c == ')' {
                            break;
                        }
                    }
                }
                return Ok(());
            }
        }
        self.flags(position)
    }

    fn copy(&mut self, before: &str, count: usize) {
        self.out.push_str(before);
        for _ in 0..count {
            let c = self.bump();
            self.out.extend(c);
        }
    }

    /// `(?i)` for the whole expression, `(?i-s:…)` for a group.
    fn flags(&mut self, position: usize) -> Result<(), Error> {
        self.bump();
        // For the engine: those to set, those to clear.
        let mut passed = [String::new(), String::new()];
        let mut flags = self.flags;
        let mut is_on = true;
        loop {
            match self.bump() {
                Some(c @ ('i' | 's')) => passed[usize::from(!is_on)].push(c),
                Some('m') => flags.multi_line = is_on,
                Some('x') => flags.verbose = is_on,
                Some('a') if is_on => flags.ascii = true,
                // Unicode is the rule.
                Some('u' | 'L') if is_on => {}
                Some('-') if is_on => is_on = false,
                Some(end @ (')' | ':')) => {
                    let [set, clear] = &passed;
                    let text = match (set.is_empty(), clear.is_empty()) {
                        (_, true) => set.clone(),
                        (_, false) => format!("{set}-{clear}"),
                    };
                    return self.end_flags(end, position, flags, &text);
                }
                Some(c) => {
                    return Err(invalid(format!(
                        "unknown extension ?{c} at position {}",
                        position + 1
                    )));
                }
                None => {
                    return Err(invalid(format!(
                        "unexpected end of pattern at position {}",
                        self.next
                    )));
                }
            }
        }
    }

    fn end_flags(
        &mut self,
        end: char,
        position: usize,
        flags: Flags,
        passed: &str,
    ) -> Result<(), Error> {
        if end == ':' {
            self.open.push((position, self.flags));
            self.out.push_str(&format!("(?{passed}:"));
        } else if position != 0 {
            return Err(invalid(format!(
                "global flags not at the start of the expression at position {position}"
            )));
        } else if !passed.is_empty() {
            self.out.push_str(&format!("(?{passed})"));
        }
        self.flags = flags;
        Ok(())
    }

    /// What follows a backslash outside of sets.
    fn escape(&mut self) -> Result<(), Error> {
        let position = self.next - 1;
        let Some(c) = self.bump() else {
            return Err(invalid(format!(
                "bad escape (end of pattern) at position {position}"
            )));
        };
        match c {
            'Z' => self.out.push_str("\\z"),
            'A' | 'b' | 'B' => {
                self.out.push('\\');
                self.out.push(c);
            }
            '0'..='3' if self.octal_digits() == 2 => self.octal(c)?,
            '1'..='9' => {
                let mut number = c.to_string();
                if let Some(digit) = self.peek().filter(char::is_ascii_digit) {
                    number.push(digit);
                    self.bump();
                }
                let group: usize = number.parse().unwrap_or(0);
                if group > self.groups {
                    return Err(invalid(format!(
                        "invalid group reference {group} at position {}",
                        position + 1
                    )));
                }
                self.out.push_str(&format!("(?:\\{group})"));
            }
            c => self.common_escape(c, position)?,
        }
        Ok(())
    }

    /// Escapes that mean the same in and out of sets.
    fn common_escape(&mut self, c: char, position: usize) -> Result<(), Error> {
        match c {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' if self.flags.ascii => {
                let members = match c.to_ascii_lowercase() {
                    'd' => "0-9",
                    'w' => "A-Za-z0-9_",
                    _ => " \\t\\n\\r\\f\\v",
                };
                let negation = if c.is_ascii_uppercase() { "^" } else { "" };
                self.out.push_str(&format!("[{negation}{members}]"));
            }
            'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'n' | 'r' | 't' | 'f' | 'v' | 'a' => {
                self.out.push('\\');
                self.out.push(c);
            }
            'x' => self.code(2, position)?,
            'u' => self.code(4, position)?,
            'U' => self.code(8, position)?,
            '0' => self.octal(c)?,
            c if c.is_ascii_alphanumeric() => {
                return Err(invalid(format!("bad escape \\{c} at position {position}")));
            }
            c => self.literal(c),
        }
        Ok(())
    }

    /// How many of the next two characters are octal digits.
    fn octal_digits(&self) -> usize {
        let rest = self.chars.get(self.next..).unwrap_or_default();
        rest.iter().take(2).take_while(|c| c.is_digit(8)).count()
    }

    /// An octal code of at most three digits, `first` included.
    fn octal(&mut self, first: char) -> Result<(), Error> {
        let mut code = first.to_digit(8).unwrap_or(0);
        for _ in 0..self.octal_digits() {
            let digit = self.bump().and_then(|c| c.to_digit(8));
            code = code * 8 + digit.unwrap_or(0);
        }
        if code > 0o377 {
            return Err(invalid("octal escape value outside of range 0-0o377"));
        }
        self.out.push_str(&format!("\\x{{{code:x}}}"));
        Ok(())
    }

    fn code(&mut self, digits: usize, position: usize) -> Result<(), Error> {
        let mut code = 0;
        for _ in 0..digits {
            let digit = self
                .peek()
                .and_then(|c| c.to_digit(16))
                .ok_or_else(|| invalid(format!("incomplete escape at position {position}")))?;
            code = code * 16 + digit;
            self.bump();
        }
        if char::from_u32(code).is_none() {
            return Err(invalid(format!("bad escape at position {position}")));
        }
        self.out.push_str(&format!("\\x{{{code:x}}}"));
        Ok(())
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() && !matches!(c, '<' | '>' | '_' | '\'' | '"' | '`') {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// A set; its `[` is gone.
    fn set(&mut self) -> Result<(), Error> {
        let position = self.next - 1;
        self.out.push('[');
        if self.peek() == Some('^') {
            self.bump();
            self.out.push('^');
        }
        let first = self.next;
        loop {
            match self.bump() {
                Some(']') if self.next - 1 > first => break,
                Some('\\') => self.set_escape(position)?,
                Some('-') => {
                    // A hyphen between two members makes a range; at either end it is a member.
                    let is_range = self.next - 1 > first && self.peek() != Some(']');
                    self.out.push_str(if is_range { "-" } else { "\\-" });
                    if is_range {
                        self.range_end(position)?;
                    }
                }
                Some(c) => self.literal(c),
                None => {
                    return Err(invalid(format!(
                        "unterminated character set at position {position}"
                    )));
                }
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn range_end(&mut self, position: usize) -> Result<(), Error> {
        match self.bump() {
            Some('\\') => self.set_escape(position),
            Some(c) => {
                self.literal(c);
                Ok(())
            }
            None => Err(invalid(format!(
                "unterminated character set at position {position}"
            ))),
        }
    }

    fn set_escape(&mut self, position: usize) -> Result<(), Error> {
        match self.bump() {
            Some('b') => {
                self.out.push_str("\\x08");
                Ok(())
            }
            Some(c @ '1'..='7') => self.octal(c),
            Some(c) => self.common_escape(c, self.next.saturating_sub(2)),
            None => Err(invalid(format!(
                "unterminated character set at position {position}"
            ))),
        }
    }
}
