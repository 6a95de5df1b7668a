//! Python's syntax of regular expressions in the words of `fancy-regex`, with Python's complaints.

use std::fmt::Write;

use crate::error::Error;
use crate::regex::Flags;

/// What `$` means outside multi-line mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// The end of the text: right for texts that do not end with a line feed.
    End,
    /// The end, or before a line feed that ends the text.
    BeforeLastLineFeed,
}

pub(crate) struct Translated {
    pub(crate) text: String,
    /// Whether it matters what a single `$` means.
    pub(crate) has_line_end: bool,
    pub(crate) has_named_groups: bool,
}

/// How deep groups may nest.
const GROUPS_MAX: usize = 100;

/// The longest pattern.
const PATTERN_BYTES_MAX: usize = 64 << 10;

/// The most repetitions that may be counted.
const REPEAT_MAX: u64 = 1000;

pub(crate) fn translate(
    pattern: &str,
    flags: Flags,
    line_end: LineEnd,
) -> Result<Translated, Error> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(Error::regex(format!(
            "the pattern is longer than {PATTERN_BYTES_MAX} bytes"
        )));
    }
    let mut translator = Translator {
        chars: pattern.chars().collect(),
        at: 0,
        out: String::with_capacity(pattern.len() + 8),
        groups: Vec::new(),
        captures: 0,
        modes: Modes {
            multi_line: flags.multi_line,
            ..Modes::default()
        },
        line_end,
        has_line_end: false,
        has_named_groups: false,
    };
    match (flags.ignore_case, flags.dot_all) {
        (true, true) => translator.out.push_str("(?is)"),
        (true, false) => translator.out.push_str("(?i)"),
        (false, true) => translator.out.push_str("(?s)"),
        (false, false) => {}
    }
    translator.run()?;
    Ok(Translated {
        text: translator.out,
        has_line_end: translator.has_line_end,
        has_named_groups: translator.has_named_groups,
    })
}

struct Translator {
    chars: Vec<char>,
    at: usize,
    out: String,
    /// Positions of the groups that are open, and the modes outside of each.
    groups: Vec<(usize, Modes)>,
    /// How many groups that capture have begun.
    captures: usize,
    modes: Modes,
    line_end: LineEnd,
    has_line_end: bool,
    has_named_groups: bool,
}

/// The flags that are acted on here; `i` and `s` are left to the engine.
#[derive(Clone, Copy, Default)]
struct Modes {
    multi_line: bool,
    /// White space and comments don't count.
    verbose: bool,
    /// `\w` and its kind are ASCII.
    ascii: bool,
}

/// What stands before a quantifier.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Item,
    Repeat,
}

fn engine_flags([set, clear]: &[String; 2]) -> String {
    if clear.is_empty() {
        set.clone()
    } else {
        format!("{set}-{clear}")
    }
}

fn bad(message: &str, position: usize) -> Error {
    Error::regex(format!("{message} at position {position}"))
}

impl Translator {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars()
            .enumerate()
            .all(|(index, c)| self.chars.get(self.at + index) == Some(&c))
    }

    fn run(&mut self) -> Result<(), Error> {
        let mut before = Before::Nothing;
        while let Some(c) = self.peek() {
            let position = self.at;
            self.at += 1;
            before = match c {
                '\\' => self.escape(position, false)?,
                '[' => self.class(position)?,
                '(' => self.open_group(position)?,
                ')' => {
                    let Some((_, modes)) = self.groups.pop() else {
                        return Err(bad("unbalanced parenthesis", position));
                    };
                    self.modes = modes;
                    self.out.push(')');
                    Before::Item
                }
                '|' => {
                    self.out.push('|');
                    Before::Nothing
                }
                '^' => {
                    let text = if self.modes.multi_line { "(?m:^)" } else { "^" };
                    self.out.push_str(text);
                    Before::Nothing
                }
                '$' => self.dollar(),
                '*' | '+' | '?' => self.repeat(position, before, None)?,
                '{' => self.brace(position, before)?,
                '}' | ']' => {
                    self.out.push('\\');
                    self.out.push(c);
                    Before::Item
                }
                '#' if self.modes.verbose => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                    before
                }
                c if self.modes.verbose && c.is_ascii_whitespace() => before,
                '.' => {
                    self.out.push('.');
                    Before::Item
                }
                c => {
                    self.literal(c);
                    Before::Item
                }
            };
        }
        match self.groups.last() {
            Some((position, _)) => Err(bad("missing ), unterminated subpattern", *position)),
            None => Ok(()),
        }
    }

    fn dollar(&mut self) -> Before {
        if self.modes.multi_line {
            self.out.push_str("(?m:$)");
        } else {
            self.has_line_end = true;
            self.out.push_str(match self.line_end {
                LineEnd::End => r"\z",
                LineEnd::BeforeLastLineFeed => r"(?=\n?\z)",
            });
        }
        // A place can't be repeated, only what stands there.
        Before::Nothing
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() && !matches!(c, '_' | '<' | '>' | '\'' | '"' | '`') {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// A quantifier, with its `?` or `+`.
    fn repeat(
        &mut self,
        position: usize,
        before: Before,
        counts: Option<&str>,
    ) -> Result<Before, Error> {
        match before {
            Before::Nothing => return Err(bad("nothing to repeat", position)),
            Before::Repeat => return Err(bad("multiple repeat", position)),
            Before::Item => {}
        }
        match counts {
            Some(counts) => self.out.push_str(counts),
            None => self.out.push(self.chars[position]),
        }
        if let Some(c @ ('?' | '+')) = self.peek() {
            self.at += 1;
            self.out.push(c);
        }
        Ok(Before::Repeat)
    }

    /// `{2}`, `{2,}`, `{,3}`, `{2,3}`; any other brace is a plain character.
    fn brace(&mut self, position: usize, before: Before) -> Result<Before, Error> {
        let start = self.at;
        let number = |this: &mut Self| {
            let from = this.at;
            while this.peek().is_some_and(|c| c.is_ascii_digit()) {
                this.at += 1;
            }
            this.chars[from..this.at].iter().collect::<String>()
        };
        let low = number(self);
        let (comma, high) = if self.peek() == Some(',') {
            self.at += 1;
            (true, number(self))
        } else {
            (false, String::new())
        };
        if self.peek() != Some('}') || low.is_empty() && !comma {
            self.at = start;
            self.out.push_str("\\{");
            return Ok(Before::Item);
        }
        self.at += 1;
        let parse = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
        let least = if low.is_empty() { 0 } else { parse(&low) };
        let most = if high.is_empty() { least } else { parse(&high) };
        if !high.is_empty() && most < least {
            return Err(bad("min repeat greater than max repeat", start));
        }
        if least.max(most) > REPEAT_MAX {
            return Err(bad("the repetition number is too large", start));
        }
        let counts = match (comma, high.is_empty()) {
            (false, _) => format!("{{{least}}}"),
            (true, true) => format!("{{{least},}}"),
            (true, false) => format!("{{{least},{most}}}"),
        };
        self.repeat(position, before, Some(&counts))
    }

    fn open_group(&mut self, position: usize) -> Result<Before, Error> {
        if self.groups.len() >= GROUPS_MAX {
            return Err(bad("too many nested groups", position));
        }
        if self.peek() != Some('?') {
            self.captures += 1;
            self.groups.push((position, self.modes));
            self.out.push('(');
            return Ok(Before::Nothing);
        }
        for head in ["?:", "?=", "?!", "?<=", "?<!", "?>"] {
            if self.starts_with(head) {
                self.at += head.len();
                self.groups.push((position, self.modes));
                self.out.push('(');
                self.out.push_str(head);
                return Ok(Before::Nothing);
            }
        }
        if self.starts_with("?P<") {
            self.at += 3;
            let name = self.until('>', position)?;
            self.has_named_groups = true;
            self.captures += 1;
            self.groups.push((position, self.modes));
            let _ = write!(self.out, "(?P<{name}>");
            return Ok(Before::Nothing);
        }
        if self.starts_with("?P=") {
            self.at += 3;
            let name = self.until(')', position)?;
            let _ = write!(self.out, r"\k<{name}>");
            return Ok(Before::Item);
        }
        if self.starts_with("?#") {
            while let Some(c) = self.peek() {
                self.at += 1;
                if c == ')' {
                    return Ok(Before::Nothing);
                }
            }
            return Err(bad("missing ), unterminated comment", position));
        }
        if self.starts_with("?(") {
            self.at += 2;
            let name = self.until(')', position)?;
            self.groups.push((position, self.modes));
            if name.chars().all(|c| c.is_ascii_digit()) {
                let _ = write!(self.out, "(?({name})");
            } else {
                let _ = write!(self.out, "(?(<{name}>)");
            }
            return Ok(Before::Nothing);
        }
        self.inline_flags(position)
    }

    fn until(&mut self, end: char, position: usize) -> Result<String, Error> {
        let start = self.at;
        while let Some(c) = self.peek() {
            if c == end {
                let name: String = self.chars[start..self.at].iter().collect();
                self.at += 1;
                let mut letters = name.chars();
                let first = letters.next();
                return if first.is_some_and(|c| c.is_alphanumeric() || c == '_')
                    && letters.all(|c| c.is_alphanumeric() || c == '_')
                {
                    Ok(name)
                } else if name.is_empty() {
                    Err(bad("missing group name", start))
                } else {
                    Err(bad(&format!("bad character in group name '{name}'"), start))
                };
            }
            self.at += 1;
        }
        let _ = position;
        Err(bad(&format!("missing {end}, unterminated name"), start))
    }

    /// `(?im)` at the beginning, `(?i-s:…)` anywhere.
    fn inline_flags(&mut self, position: usize) -> Result<Before, Error> {
        self.at += 1;
        // For the engine: those to set, those to clear.
        let mut passed = [String::new(), String::new()];
        let mut modes = self.modes;
        let mut is_on = true;
        loop {
            let Some(c) = self.peek() else {
                return Err(bad("unexpected end of pattern", self.at));
            };
            self.at += 1;
            match c {
                'i' | 's' => passed[usize::from(!is_on)].push(c),
                'm' => modes.multi_line = is_on,
                'x' => modes.verbose = is_on,
                'a' if is_on => modes.ascii = true,
                // Unicode is the rule.
                'u' | 'L' if is_on => {}
                '-' if is_on => is_on = false,
                ':' => {
                    self.groups.push((position, self.modes));
                    let _ = write!(self.out, "(?{}:", engine_flags(&passed));
                    break;
                }
                ')' if position == 0 && is_on => {
                    if !passed[0].is_empty() {
                        let _ = write!(self.out, "(?{})", passed[0]);
                    }
                    break;
                }
                ')' => {
                    return Err(bad(
                        "global flags not at the start of the expression",
                        position,
                    ));
                }
                other => {
                    return Err(bad(&format!("unknown extension ?{other}"), position + 1));
                }
            }
        }
        self.modes = modes;
        Ok(Before::Nothing)
    }

    /// One escape after its backslash.
    fn escape(&mut self, position: usize, in_class: bool) -> Result<Before, Error> {
        let Some(c) = self.peek() else {
            return Err(bad("bad escape (end of pattern)", position));
        };
        self.at += 1;
        match c {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' if self.modes.ascii => {
                let members = match c.to_ascii_lowercase() {
                    'd' => "0-9",
                    'w' => "A-Za-z0-9_",
                    _ => " \\t\\n\\r\\f\\v",
                };
                let negation = if c.is_ascii_uppercase() { "^" } else { "" };
                let _ = write!(self.out, "[{negation}{members}]");
            }
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => {
                let _ = write!(self.out, "\\{c}");
            }
            'b' if in_class => self.out.push_str(r"\x08"),
            'b' | 'B' | 'A' if !in_class => {
                let _ = write!(self.out, "\\{c}");
                return Ok(Before::Nothing);
            }
            'Z' if !in_class => {
                self.out.push_str(r"\z");
                return Ok(Before::Nothing);
            }
            'n' | 't' | 'r' | 'f' | 'v' | 'a' => {
                let _ = write!(self.out, "\\{c}");
            }
            'x' => self.hex(position, 2)?,
            'u' => self.hex(position, 4)?,
            'U' => self.hex(position, 8)?,
            '0' => self.octal(c, position)?,
            '1'..='7' if in_class => self.octal(c, position)?,
            '1'..='3' if self.octal_digits() == 2 => self.octal(c, position)?,
            '8' | '9' if in_class => return Err(bad(&format!("bad escape \\{c}"), position)),
            '1'..='9' => self.back_reference(c, position)?,
            c if c.is_ascii_alphabetic() => {
                return Err(bad(&format!("bad escape \\{c}"), position));
            }
            c => self.literal(c),
        }
        Ok(Before::Item)
    }

    fn hex(&mut self, position: usize, digits: usize) -> Result<(), Error> {
        let end = (self.at + digits).min(self.chars.len());
        let text: String = self.chars[self.at..end]
            .iter()
            .take_while(|c| c.is_ascii_hexdigit())
            .collect();
        if text.len() < digits {
            let start: String = self.chars[position..self.at + text.len()].iter().collect();
            return Err(bad(&format!("incomplete escape {start}"), position));
        }
        self.at = end;
        let _ = write!(self.out, "\\x{{{text}}}");
        Ok(())
    }

    fn back_reference(&mut self, first: char, position: usize) -> Result<(), Error> {
        let mut number = String::from(first);
        if let Some(next) = self.peek().filter(char::is_ascii_digit) {
            self.at += 1;
            number.push(next);
        }
        if number.parse().unwrap_or(usize::MAX) > self.captures {
            let message = format!("invalid group reference {number}");
            return Err(bad(&message, position + 1));
        }
        // A non-capturing group keeps a digit that follows from joining the number.
        let _ = write!(self.out, "(?:\\{number})");
        Ok(())
    }

    /// How many of the next two characters are octal digits.
    fn octal_digits(&self) -> usize {
        let rest = self.chars.get(self.at..).unwrap_or_default();
        rest.iter().take(2).take_while(|c| c.is_digit(8)).count()
    }

    /// A code of at most three octal digits, `first` included.
    fn octal(&mut self, first: char, position: usize) -> Result<(), Error> {
        let mut code = first.to_digit(8).unwrap_or(0);
        for _ in 0..self.octal_digits() {
            code = code * 8 + self.chars[self.at].to_digit(8).unwrap_or(0);
            self.at += 1;
        }
        if code > 0o377 {
            let text: String = self.chars[position..self.at].iter().collect();
            let message = format!("octal escape value {text} outside of range 0-0o377");
            return Err(bad(&message, position));
        }
        let _ = write!(self.out, "\\x{{{code:x}}}");
        Ok(())
    }

    fn class(&mut self, position: usize) -> Result<Before, Error> {
        self.out.push('[');
        if self.peek() == Some('^') {
            self.at += 1;
            self.out.push('^');
        }
        let first = self.at;
        // Where the last single character began, for the check of ranges.
        let mut low: Option<char> = None;
        loop {
            let Some(c) = self.peek() else {
                return Err(bad("unterminated character set", position));
            };
            let start = self.at;
            self.at += 1;
            match c {
                ']' if start > first => break,
                '\\' => {
                    self.escape(start, true)?;
                    low = None;
                }
                '-' if start > first && self.peek().is_some_and(|next| next != ']') => {
                    let next = self.chars[self.at];
                    if let Some(low) = low
                        && next != '\\'
                        && next < low
                    {
                        return Err(bad(&format!("bad character range {low}-{next}"), start - 1));
                    }
                    self.out.push('-');
                    low = None;
                }
                c => {
                    if matches!(c, '[' | ']' | '&' | '~' | '-' | '^') {
                        self.out.push('\\');
                    }
                    self.out.push(c);
                    low = Some(c);
                }
            }
        }
        self.out.push(']');
        Ok(Before::Item)
    }
}
