//! Finding the expressions in a statement.

use std::sync::{Arc, OnceLock};

use squall_value::{Str, Value};

use crate::{Error, Language, jinja};

/// A string, list or dictionary with expressions in it, scanned once.
///
/// Cheap to clone. Made by [`crate::Expressions::compile`]; compiling never fails, syntax errors
/// come out of `validate` and of `evaluate`.
#[derive(Clone, Debug)]
pub struct Statement {
    pub(crate) node: Node,
}

#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Nothing to evaluate.
    Plain(Value),
    Text(Arc<Text>),
    List(Arc<[Node]>),
    Dict(Arc<[(Node, Node)]>),
}

/// A string with at least one expression.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) language: Language,
    pub(crate) source: Str,
    /// The expressions found, delimiters included, in order, with repetitions.
    pub(crate) expressions: Vec<Found>,
    /// Whether there are Jinja block tags, so that the whole text is a template.
    pub(crate) has_blocks: bool,
}

pub(crate) struct Found {
    /// As written, delimiters included.
    pub(crate) text: Str,
    /// Without delimiters and blanks.
    pub(crate) inner: Str,
    /// Compiled when it is first evaluated.
    pub(crate) jinja: OnceLock<Result<jinja::Expression, Box<Error>>>,
    pub(crate) yaql: OnceLock<Result<squall_yaql::Expression, squall_yaql::ParseError>>,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Statement {
    /// Whether the statement holds no expression, so that its value is itself.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        matches!(self.node, Node::Plain(_))
    }

    pub(crate) fn new(statement: &Value, scan: Scan<'_>) -> Statement {
        Statement {
            node: node(statement, scan, 0),
        }
    }
}

/// How strings are scanned: [`scan`], with a cache around it.
pub(crate) type Scan<'a> = &'a dyn Fn(&Str) -> Option<Arc<Text>>;

/// Statements nested more deeply are data: nothing in them is evaluated.
pub(crate) const DEPTH_MAX: usize = 256;

fn node(statement: &Value, scan: Scan<'_>, depth: usize) -> Node {
    if depth > DEPTH_MAX {
        return Node::Plain(statement.clone());
    }
    match statement {
        Value::String(text) => {
            scan(text).map_or_else(|| Node::Plain(statement.clone()), Node::Text)
        }
        Value::List(items) => {
            let nodes: Arc<[Node]> = items
                .iter()
                .map(|item| node(item, scan, depth + 1))
                .collect();
            if nodes.iter().all(|node| matches!(node, Node::Plain(_))) {
                Node::Plain(statement.clone())
            } else {
                Node::List(nodes)
            }
        }
        Value::Dict(dict) => {
            let nodes: Arc<[(Node, Node)]> = dict
                .iter()
                .map(|(key, item)| {
                    let key = node(&Value::String(key.clone()), scan, depth + 1);
                    (key, node(item, scan, depth + 1))
                })
                .collect();
            let is_plain = nodes
                .iter()
                .all(|pair| matches!(pair, (Node::Plain(_), Node::Plain(_))));
            if is_plain {
                Node::Plain(statement.clone())
            } else {
                Node::Dict(nodes)
            }
        }
        other => Node::Plain(other.clone()),
    }
}

/// Shows each text of a statement that may hold expressions, keys of dictionaries among them.
pub(crate) fn each_text(statement: &Value, look: &mut dyn FnMut(&Str)) {
    fn below(statement: &Value, look: &mut dyn FnMut(&Str), depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        match statement {
            Value::String(text) if may_have_expressions(text) => look(text),
            Value::List(items) => items.iter().for_each(|item| below(item, look, depth + 1)),
            Value::Dict(dict) => {
                for (key, item) in dict.iter() {
                    below(&Value::String(key.clone()), look, depth + 1);
                    below(item, look, depth + 1);
                }
            }
            _ => {}
        }
    }
    below(statement, look, 0);
}

/// A quick look before scanning.
pub(crate) fn may_have_expressions(text: &str) -> bool {
    let pairs = text.as_bytes().windows(2);
    let mut pairs = pairs.map(|pair| matches!(pair, b"<%" | b"{{" | b"{%"));
    pairs.any(|is_open| is_open)
}

/// The expressions of `text` in the language that governs it, or `None` if it has none.
///
/// A text with YAQL delimiters is YAQL even if it has Jinja's too, as in StackStorm.
pub(crate) fn scan(text: &Str) -> Option<Text> {
    scan_as(text, Language::Yaql).or_else(|| scan_as(text, Language::Jinja))
}

/// The expressions of `text` in one language.
pub(crate) fn scan_as(text: &Str, language: Language) -> Option<Text> {
    let (open, close) = delimiters(language);
    let expressions: Vec<Found> = Sections::new(text, open, close)
        .map(|found| Found {
            text: Str::from(found),
            inner: Str::from(strip_delimiters(found, language)),
            jinja: OnceLock::new(),
            yaql: OnceLock::new(),
        })
        .collect();
    let has_blocks =
        language == Language::Jinja && Sections::new(text, "{%", "%}").next().is_some();
    if expressions.is_empty() && !has_blocks {
        return None;
    }
    Some(Text {
        language,
        source: text.clone(),
        expressions,
        has_blocks,
    })
}

pub(crate) fn delimiters(language: Language) -> (&'static str, &'static str) {
    match language {
        Language::Yaql => ("<%", "%>"),
        Language::Jinja => ("{{", "}}"),
    }
}

/// Takes the delimiters off as a set of characters, then blanks: so does the reference, hence an
/// expression that ends in `>` or `}` loses it.
pub(crate) fn strip_delimiters(expression: &str, language: Language) -> &str {
    let is_delimiter = |c: char| match language {
        Language::Yaql => matches!(c, '<' | '%' | '>'),
        Language::Jinja => matches!(c, '{' | '}'),
    };
    expression
        .trim_matches(is_delimiter)
        .trim_matches(is_python_space)
}

pub(crate) use squall_value::number::is_space as is_python_space;

/// The shortest stretches from `open` to `close` on one line, left to right.
///
/// Takes one pass over the text, however many there are. Delimiters hold no line end.
pub(crate) struct Sections<'a> {
    text: &'a str,
    at: usize,
    open: &'static str,
    close: &'static str,
    /// Where the first `close` from `at` on was found last.
    close_at: usize,
}

impl<'a> Sections<'a> {
    pub(crate) fn new(text: &'a str, open: &'static str, close: &'static str) -> Sections<'a> {
        Sections {
            text,
            at: 0,
            open,
            close,
            close_at: 0,
        }
    }

    fn first(&self, delimiter: &str, from: usize) -> Option<usize> {
        let bytes = self.text.as_bytes().get(from..)?;
        let found = bytes.windows(delimiter.len());
        let mut found = found.map(|window| window == delimiter.as_bytes());
        found.position(|is_it| is_it).map(|at| from + at)
    }
}

impl<'a> Iterator for Sections<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let start = self.first(self.open, self.at)?;
            let inner = start + self.open.len();
            if self.close_at < inner {
                self.close_at = self.first(self.close, inner)?;
            }
            // What is opened before the last line end before `close` is not closed on its line.
            if let Some(line_end) = self.text[inner..self.close_at].rfind('\n') {
                self.at = inner + line_end;
                continue;
            }
            self.at = self.close_at + self.close.len();
            return Some(&self.text[start..self.at]);
        }
    }
}
