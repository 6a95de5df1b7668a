//! YAML text as PyYAML's C emitter writes it: block style, YAML 1.1, width 80.

use std::fmt::Write;

/// What can be written.
pub(crate) enum Data {
    /// A scalar with its plain text, not quoted.
    Plain(String),
    /// A text, quoted as needed.
    Text(String),
    /// A scalar with an explicit tag.
    Tagged(&'static str, String),
    List(Vec<Data>),
    Dict(Vec<(Data, Data)>),
    Set(Vec<Data>),
}

/// Lines are folded after this column.
const WIDTH: usize = 80;
/// Longer keys are written after `?`.
const KEY_MAX: usize = 128;

/// The document of `data`.
pub(crate) fn dump(data: &Data, indent: usize, allow_unicode: bool) -> String {
    let mut emitter = Emitter {
        out: String::new(),
        column: 0,
        is_whitespace: true,
        is_indention: true,
        step: if (2..10).contains(&indent) { indent } else { 2 },
        allow_unicode,
    };
    emitter.node(data, -1, false, false);
    if !emitter.out.ends_with('\n') {
        emitter.out.push('\n');
    }
    emitter.out
}

struct Emitter {
    out: String,
    column: usize,
    /// Whether the last thing written is a blank or nothing.
    is_whitespace: bool,
    /// Whether the line holds nothing but indentation and `-`, `?`, `:` so far.
    is_indention: bool,
    step: usize,
    allow_unicode: bool,
}

/// What the characters of a text allow.
#[derive(Default)]
struct Analysis {
    is_multiline: bool,
    allows_plain: bool,
    allows_single: bool,
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What the C emitter takes for printable beyond ASCII: nothing above the basic plane.
fn is_printable(c: char) -> bool {
    ('\u{a0}'..='\u{fffd}').contains(&c) && c != '\u{feff}'
}

fn analyze(text: &str, allow_unicode: bool) -> Analysis {
    let chars: Vec<char> = text.chars().collect();
    if chars.is_empty() {
        return Analysis {
            is_multiline: false,
            allows_plain: true,
            allows_single: true,
        };
    }
    let is_space_at = |at: usize| {
        chars
            .get(at)
            .is_none_or(|c| matches!(c, '\0' | ' ' | '\t') || is_break(*c))
    };
    let mut has_indicators = text.starts_with("---") || text.starts_with("...");
    let (mut has_breaks, mut has_special) = (false, false);
    let (mut breaks_then_space, mut space_then_break) = (false, false);
    let (mut was_space, mut was_break) = (false, false);
    for (at, &c) in chars.iter().enumerate() {
        let follows = is_space_at(at + 1);
        let precedes = at == 0 || is_space_at(at - 1);
        has_indicators |= if at == 0 {
            "#,[]{}&*!|>'\"%@`".contains(c) || ("?:-".contains(c) && follows)
        } else {
            (c == ':' && follows) || (c == '#' && precedes)
        };
        has_breaks |= is_break(c);
        let is_plain_ascii = c == '\n' || (' '..='~').contains(&c);
        let is_unicode = c == '\u{85}' || is_printable(c);
        has_special |= !(is_plain_ascii || is_unicode && allow_unicode);
        if c == ' ' {
            breaks_then_space |= was_break;
        } else if is_break(c) {
            space_then_break |= was_space;
        }
        (was_space, was_break) = (c == ' ', is_break(c));
    }
    let ends = [chars[0], chars[chars.len() - 1]];
    let has_blank_end = ends.iter().any(|c| *c == ' ' || is_break(*c));
    let is_odd = space_then_break || has_special;
    Analysis {
        is_multiline: has_breaks,
        allows_plain: !(has_blank_end
            || breaks_then_space
            || is_odd
            || has_breaks
            || has_indicators),
        allows_single: !(breaks_then_space || is_odd),
    }
}

/// Whether plain `text` would be read as something other than a text.
fn reads_as_other(text: &str) -> bool {
    let Some(first) = text.bytes().next() else {
        return true;
    };
    if matches!(text, "=" | "<<") {
        return true;
    }
    if !b"+-.0123456789~nNyYtTfFoO".contains(&first) {
        return false;
    }
    let options = squall_yaml::Options::default();
    match squall_yaml::load(text, &options) {
        Ok(document) => document.root.as_str() != Some(text),
        Err(_) => true,
    }
}

impl Emitter {
    fn put(&mut self, c: char) {
        self.out.push(c);
        if is_break(c) {
            self.column = 0;
        } else {
            self.column += 1;
        }
    }

    fn text(&mut self, text: &str) {
        text.chars().for_each(|c| self.put(c));
    }

    fn indicator(&mut self, text: &str, needs_whitespace: bool, is_indention: bool) {
        if needs_whitespace && !self.is_whitespace {
            self.put(' ');
        }
        self.text(text);
        self.is_whitespace = false;
        self.is_indention = self.is_indention && is_indention;
    }

    fn line(&mut self, indent: isize) {
        let indent = usize::try_from(indent).unwrap_or(0);
        let is_fresh = self.is_indention
            && self.column <= indent
            && (self.column != indent || self.is_whitespace);
        if !is_fresh {
            self.put('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.is_whitespace = true;
        self.is_indention = true;
    }

    fn deeper(&self, indent: isize) -> isize {
        if indent < 0 {
            0
        } else {
            indent + isize::try_from(self.step).unwrap_or(2)
        }
    }

    /// Writes a node within `indent`; a list that is a mapping's value stands at the mapping's own
    /// indentation.
    fn node(&mut self, data: &Data, indent: isize, is_mapping_value: bool, is_simple_key: bool) {
        match data {
            Data::Plain(text) => self.plain(text, indent, is_simple_key),
            Data::Tagged(tag, text) => {
                self.indicator(tag, true, false);
                self.plain_or_quoted(text, indent, is_simple_key, true);
            }
            Data::Text(text) => self.plain_or_quoted(text, indent, is_simple_key, false),
            Data::List(items) if items.is_empty() => self.indicator("[]", true, false),
            Data::Dict(items) if items.is_empty() => self.indicator("{}", true, false),
            Data::List(items) => {
                let indent = if is_mapping_value && !self.is_indention {
                    indent
                } else {
                    self.deeper(indent)
                };
                for item in items {
                    self.line(indent);
                    self.indicator("-", true, true);
                    self.node(item, indent, false, false);
                }
            }
            Data::Dict(items) => {
                let indent = self.deeper(indent);
                for (key, value) in items {
                    self.line(indent);
                    self.entry(key, Some(value), indent);
                }
            }
            Data::Set(items) => {
                self.indicator("!!set", true, false);
                if items.is_empty() {
                    return self.indicator("{}", true, false);
                }
                let indent = self.deeper(indent);
                for key in items {
                    self.line(indent);
                    self.entry(key, None, indent);
                }
            }
        }
    }

    fn entry(&mut self, key: &Data, value: Option<&Data>, indent: isize) {
        let null = Data::Plain("null".into());
        let value = value.unwrap_or(&null);
        if self.is_simple(key) {
            self.node(key, indent, false, true);
            self.indicator(":", false, false);
        } else {
            self.indicator("?", true, true);
            self.node(key, indent, true, false);
            self.line(indent);
            self.indicator(":", true, true);
        }
        self.node(value, indent, true, false);
    }

    fn is_simple(&self, key: &Data) -> bool {
        let text = match key {
            Data::Plain(text) | Data::Text(text) | Data::Tagged(_, text) => text,
            Data::List(items) => return items.is_empty(),
            Data::Dict(items) => return items.is_empty(),
            Data::Set(_) => return false,
        };
        text.len() <= KEY_MAX && !analyze(text, self.allow_unicode).is_multiline
    }

    fn plain_or_quoted(&mut self, text: &str, indent: isize, is_key: bool, is_tagged: bool) {
        let analysis = analyze(text, self.allow_unicode);
        let is_plain = analysis.allows_plain
            && !(text.is_empty() && (is_key || !is_tagged))
            && (is_tagged || !reads_as_other(text));
        // Continuation lines stand one step further in than the node.
        let inner = self.deeper(indent);
        if is_plain {
            self.plain(text, indent, is_key);
        } else if analysis.allows_single && !(is_key && analysis.is_multiline) {
            self.single_quoted(text, inner, !is_key);
        } else {
            self.double_quoted(text, inner, !is_key);
        }
    }

    fn plain(&mut self, text: &str, indent: isize, is_key: bool) {
        let inner = self.deeper(indent);
        if !self.is_whitespace && !text.is_empty() {
            self.put(' ');
        }
        let mut was_space = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let is_fold = c == ' '
                && !is_key
                && !was_space
                && self.column > WIDTH
                && chars.peek() != Some(&' ');
            if is_fold {
                self.line(inner);
            } else {
                self.put(c);
            }
            was_space = c == ' ';
        }
        self.is_whitespace = false;
        self.is_indention = false;
    }

    fn single_quoted(&mut self, text: &str, indent: isize, allows_breaks: bool) {
        self.indicator("'", true, false);
        let chars: Vec<char> = text.chars().collect();
        let (mut was_space, mut was_break) = (false, false);
        for (at, &c) in chars.iter().enumerate() {
            let is_inner = at > 0 && at + 1 < chars.len();
            if c == ' ' {
                let is_fold = allows_breaks
                    && !was_space
                    && self.column > WIDTH
                    && is_inner
                    && chars.get(at + 1) != Some(&' ');
                if is_fold {
                    self.line(indent);
                } else {
                    self.put(c);
                }
                was_space = true;
                continue;
            }
            was_space = false;
            if is_break(c) {
                if !was_break && c == '\n' {
                    self.put('\n');
                }
                self.put(c);
                self.is_indention = true;
                was_break = true;
                continue;
            }
            if was_break {
                self.line(indent);
            }
            if c == '\'' {
                self.put('\'');
            }
            self.put(c);
            self.is_indention = false;
            was_break = false;
        }
        if was_break {
            self.line(indent);
        }
        self.indicator("'", false, false);
        self.is_whitespace = false;
        self.is_indention = false;
    }

    fn double_quoted(&mut self, text: &str, indent: isize, allows_breaks: bool) {
        self.indicator("\"", true, false);
        let chars: Vec<char> = text.chars().collect();
        let mut was_space = false;
        for (at, &c) in chars.iter().enumerate() {
            let is_unicode = is_printable(c) && !is_break(c);
            let is_plain = (' '..='~').contains(&c) && !matches!(c, '"' | '\\');
            if c == ' ' {
                let is_inner = at > 0 && at + 1 < chars.len();
                if allows_breaks && !was_space && self.column > WIDTH && is_inner {
                    self.line(indent);
                    if chars.get(at + 1) == Some(&' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                was_space = true;
                continue;
            }
            was_space = false;
            if is_plain || (is_unicode && self.allow_unicode) {
                self.put(c);
            } else {
                self.escape(c);
            }
        }
        self.indicator("\"", false, false);
        self.is_whitespace = false;
        self.is_indention = false;
    }

    fn escape(&mut self, c: char) {
        let mut out = String::from("\\");
        let short = match c {
            '\0' => '0',
            '\x07' => 'a',
            '\x08' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\x0b' => 'v',
            '\x0c' => 'f',
            '\r' => 'r',
            '\x1b' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => '\0',
        };
        let code = c as u32;
        let _ = match (short, code) {
            (short, _) if short != '\0' => out.write_char(short),
            (_, 0..=0xff) => write!(out, "x{code:02X}"),
            (_, 0x100..=0xffff) => write!(out, "u{code:04X}"),
            _ => write!(out, "U{code:08X}"),
        };
        self.text(&out);
    }
}
