//! Writing YAML.
//!
//! The rules when a text may stay plain, and how long ones are folded, are those of PyYAML's
//! emitter, so that [`EmitStyle::pyyaml`] gives `yaml.safe_dump(value, default_flow_style=False)`
//! to the character. [`EmitStyle::people`] differs in layout only.

mod analysis;

use squall_value::{Dict, Value, python};

use crate::scalar::{Implicit, implicit};
use analysis::Analysis;

/// How YAML is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmitStyle {
    /// Columns per level. PyYAML accepts 2 to 9 and takes 2 for everything else; so does this.
    pub indent: usize,
    /// Column after which long texts are folded at a space; `None` never folds.
    pub width: Option<usize>,
    /// Whether characters outside ASCII are written as they are, not as escapes.
    pub allow_unicode: bool,
    /// Whether the keys of dictionaries are sorted by code point.
    pub sort_keys: bool,
    /// Whether texts of several lines are written as literal blocks (`|`) where that is possible.
    pub literal_blocks: bool,
    /// Whether a list below a key is indented.
    pub indent_lists: bool,
    /// Whether a document that is one plain scalar ends with `...`.
    pub end_marker: bool,
}

impl EmitStyle {
    /// For people: order kept, nothing folded, literal blocks, indented lists.
    #[must_use]
    pub fn people() -> EmitStyle {
        EmitStyle {
            indent: 2,
            width: None,
            allow_unicode: true,
            sort_keys: false,
            literal_blocks: true,
            indent_lists: true,
            end_marker: false,
        }
    }

    /// What `yaml.safe_dump(value, default_flow_style=False)` of PyYAML writes. Its keyword
    /// arguments `indent`, `width`, `allow_unicode` and `sort_keys` are the fields of that name.
    #[must_use]
    pub fn pyyaml() -> EmitStyle {
        EmitStyle {
            indent: 2,
            width: Some(80),
            allow_unicode: false,
            sort_keys: true,
            literal_blocks: false,
            indent_lists: false,
            end_marker: true,
        }
    }
}

/// `value` as YAML for people, ending with a line feed. Reading it as YAML 1.1 gives the value back.
#[must_use]
pub fn to_yaml(value: &Value) -> String {
    emit(value, &EmitStyle::people())
}

/// `value` as a YAML document in block style, ending with a line feed.
#[must_use]
pub fn emit(value: &Value, style: &EmitStyle) -> String {
    let indent = if (2..10).contains(&style.indent) {
        style.indent
    } else {
        2
    };
    let width = style.width.map_or(
        usize::MAX,
        |width| if width > indent * 2 { width } else { 80 },
    );
    let mut emitter = Emitter {
        out: String::new(),
        style,
        step: indent,
        width,
        column: 0,
        whitespace: true,
        indention: true,
        indent: None,
        open_ended: false,
    };
    emitter.node(value, Place::Root);
    emitter.write_indent();
    if emitter.open_ended && style.end_marker {
        emitter.indicator("...", true, false);
        emitter.write_indent();
    }
    emitter.out
}

/// Where a value stands; it decides about indentation and about what may stay plain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Element,
    Key,
    /// A value, or a key after `?`.
    Member,
}

/// The longest key that stands on the line of its value, less the five characters of its tag,
/// which PyYAML counts although it doesn't write them.
const SIMPLE_KEY_MAX: usize = 128 - 5;

struct Emitter<'a> {
    out: String,
    style: &'a EmitStyle,
    step: usize,
    width: usize,
    column: usize,
    /// The last character was a space or line break.
    whitespace: bool,
    /// Nothing but indentation and `-`, `?`, `:` was written in this line.
    indention: bool,
    /// Columns of the current level; none before the first.
    indent: Option<usize>,
    /// A plain scalar at the root may go on, unless the end is marked.
    open_ended: bool,
}

impl Emitter<'_> {
    fn node(&mut self, value: &Value, place: Place) {
        match value {
            Value::List(items) if items.is_empty() => self.empty("[", "]"),
            Value::Dict(dict) if dict.is_empty() => self.empty("{", "}"),
            Value::List(items) => self.list(items, place),
            Value::Dict(dict) => self.dict(dict),
            Value::String(text) => self.scalar(text, place, true),
            Value::Null => self.scalar("null", place, false),
            Value::Bool(true) => self.scalar("true", place, false),
            Value::Bool(false) => self.scalar("false", place, false),
            Value::Float(number) => self.scalar(&float(*number), place, false),
            Value::Int(_) | Value::BigInt(_) => self.scalar(&python::str(value), place, false),
        }
    }

    fn empty(&mut self, open: &str, close: &str) {
        self.indicator(open, true, false);
        self.indicator(close, false, false);
    }

    fn list(&mut self, items: &[Value], place: Place) {
        let outer = self.indent;
        let flush = place == Place::Member && !self.indention && !self.style.indent_lists;
        self.indent = Some(match outer {
            None => 0,
            Some(indent) if flush => indent,
            Some(indent) => indent + self.step,
        });
        for item in items {
            self.write_indent();
            self.indicator("-", true, true);
            self.node(item, Place::Element);
        }
        self.indent = outer;
    }

    fn dict(&mut self, dict: &Dict) {
        let outer = self.indent;
        self.indent = Some(outer.map_or(0, |indent| indent + self.step));
        let mut entries: Vec<_> = dict.iter().collect();
        if self.style.sort_keys {
            entries.sort_by(|a, b| a.0.cmp(b.0));
        }
        for (key, value) in entries {
            self.write_indent();
            if self.is_simple_key(key) {
                self.scalar(key, Place::Key, true);
                self.indicator(":", false, false);
            } else {
                self.indicator("?", true, true);
                self.scalar(key, Place::Member, true);
                self.write_indent();
                self.indicator(":", true, true);
            }
            self.node(value, Place::Member);
        }
        self.indent = outer;
    }

    fn is_simple_key(&self, key: &str) -> bool {
        !key.is_empty()
            && !key.contains(['\n', '\u{85}', '\u{2028}', '\u{2029}'])
            && key.chars().count() < SIMPLE_KEY_MAX
    }

    /// Writes a scalar; `text` says whether it must read back as text.
    fn scalar(&mut self, content: &str, place: Place, text: bool) {
        let outer = self.indent;
        self.indent = Some(outer.map_or(self.step, |indent| indent + self.step));
        let chars: Vec<char> = content.chars().collect();
        let analysis = Analysis::of(&chars, self.style.allow_unicode);
        let simple_key = place == Place::Key;
        let split = !simple_key;
        // Breaks that only YAML 1.1 knows. PyYAML writes them as they are if asked for Unicode; an
        // escape means the same to every reader.
        if self.style.literal_blocks && content.contains(['\u{85}', '\u{2028}', '\u{2029}']) {
            self.double_quoted(&chars, split);
            self.indent = outer;
            return;
        }
        let plain_reads_back = !text || implicit(content) == Implicit::String;
        if plain_reads_back
            && analysis.allow_block_plain
            && !(simple_key && (analysis.empty || analysis.multiline))
        {
            self.open_ended = place == Place::Root;
            self.plain(&chars, split);
        } else if self.style.literal_blocks
            && !simple_key
            && analysis.multiline
            && analysis.allow_block
            && !chars[0].is_whitespace()
        {
            self.literal(content);
        } else if analysis.allow_single_quoted && !(simple_key && analysis.multiline) {
            self.single_quoted(&chars, split);
        } else {
            self.double_quoted(&chars, split);
        }
        self.indent = outer;
    }

    fn push(&mut self, chars: &[char]) {
        self.column += chars.len();
        self.out.extend(chars);
    }

    fn line_break(&mut self, character: char) {
        self.whitespace = true;
        self.indention = true;
        self.column = 0;
        self.out.push(character);
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break('\n');
        }
        if self.column < indent {
            self.whitespace = true;
            self.out
                .extend(std::iter::repeat_n(' ', indent - self.column));
            self.column = indent;
        }
    }

    fn indicator(&mut self, indicator: &str, needs_space: bool, indention: bool) {
        if needs_space && !self.whitespace {
            self.out.push(' ');
            self.column += 1;
        }
        self.whitespace = false;
        self.indention = self.indention && indention;
        self.column += indicator.len();
        self.open_ended = self.open_ended && indicator == "...";
        self.out.push_str(indicator);
    }

    fn plain(&mut self, text: &[char], split: bool) {
        if text.is_empty() {
            return;
        }
        if !self.whitespace {
            self.push(&[' ']);
        }
        self.whitespace = false;
        self.indention = false;
        let mut start = 0;
        let mut spaces = false;
        for end in 0..=text.len() {
            let c = text.get(end).copied();
            if spaces {
                if c != Some(' ') {
                    if start + 1 == end && self.column > self.width && split {
                        self.write_indent();
                        self.whitespace = false;
                        self.indention = false;
                    } else {
                        self.push(&text[start..end]);
                    }
                    start = end;
                }
            } else if c.is_none_or(|c| c == ' ') {
                self.push(&text[start..end]);
                start = end;
            }
            spaces = c == Some(' ');
        }
    }

    fn single_quoted(&mut self, text: &[char], split: bool) {
        self.indicator("'", true, false);
        let (mut start, mut spaces, mut breaks) = (0, false, false);
        for end in 0..=text.len() {
            let c = text.get(end).copied();
            if spaces {
                if c != Some(' ') {
                    let inside = start != 0 && end != text.len();
                    if start + 1 == end && self.column > self.width && split && inside {
                        self.write_indent();
                    } else {
                        self.push(&text[start..end]);
                    }
                    start = end;
                }
            } else if breaks {
                if !c.is_some_and(is_break) {
                    if text[start] == '\n' {
                        self.line_break('\n');
                    }
                    for c in &text[start..end] {
                        self.line_break(*c);
                    }
                    self.write_indent();
                    start = end;
                }
            } else if c.is_none_or(|c| c == ' ' || is_break(c) || c == '\'') && start < end {
                self.push(&text[start..end]);
                start = end;
            }
            if c == Some('\'') {
                self.push(&['\'', '\'']);
                start = end + 1;
            }
            spaces = c == Some(' ');
            breaks = c.is_some_and(is_break);
        }
        self.indicator("'", false, false);
    }

    fn double_quoted(&mut self, text: &[char], split: bool) {
        self.indicator("\"", true, false);
        let mut start = 0;
        // The space whose backslash is written already, at the beginning of a line. PyYAML can break
        // the line once more between the two, which makes another text of it.
        let mut escaped = None;
        for end in 0..=text.len() {
            let c = text.get(end).copied();
            if c.is_none_or(|c| self.needs_escape(c)) {
                if start < end {
                    self.push(&text[start..end]);
                    start = end;
                }
                if let Some(c) = c {
                    let escape: Vec<char> = escape(c).chars().collect();
                    self.push(&escape);
                    start = end + 1;
                }
            }
            if end > 0
                && end + 1 < text.len()
                && (c == Some(' ') || start >= end)
                && escaped != Some(end)
                && self.column + end > self.width.saturating_add(start)
                && split
            {
                if start < end {
                    self.push(&text[start..end]);
                    start = end;
                }
                self.push(&['\\']);
                self.write_indent();
                self.whitespace = false;
                self.indention = false;
                if text[start] == ' ' {
                    self.push(&['\\']);
                    escaped = Some(start);
                }
            }
        }
        self.indicator("\"", false, false);
    }

    fn needs_escape(&self, c: char) -> bool {
        let plain = matches!(c, ' '..='~')
            || self.style.allow_unicode
                && matches!(c, '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}');
        matches!(
            c,
            '"' | '\\' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
        ) || !plain
    }

    fn literal(&mut self, text: &str) {
        let body = text.strip_suffix('\n');
        let mark = match body {
            None => "|-",
            Some(body) if body.is_empty() || body.ends_with('\n') => "|+",
            Some(_) => "|",
        };
        self.indicator(mark, true, false);
        for line in body.unwrap_or(text).split('\n') {
            self.line_break('\n');
            if !line.is_empty() {
                self.write_indent();
                self.out.push_str(line);
                self.column += line.chars().count();
                self.whitespace = false;
                self.indention = false;
            }
        }
        if self.column == 0 {
            // The last line is empty: its break is still to be written, or it would be lost.
            self.line_break('\n');
        }
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn escape(c: char) -> String {
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
        '"' | '\\' => c,
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let code = u32::from(c);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}

/// A float as PyYAML writes it: `1e+20` gets a dot, which its own reader needs.
fn float(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let mut text = String::new();
    python::write_float(&mut text, number);
    if !text.contains('.') && text.contains('e') {
        text = text.replacen('e', ".0e", 1);
    }
    text
}
