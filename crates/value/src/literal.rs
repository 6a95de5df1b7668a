//! Python literals in text: what `ast.literal_eval` reads.
//!
//! Actions written for Python print lists and dictionaries in Python's notation, and people pass
//! them on as parameters. Read are numbers, texts, `True`, `False`, `None`, lists, tuples, sets and
//! dictionaries. What has no JSON counterpart becomes its nearest: tuples and sets are lists (a
//! set's repetitions go), bytes are text, other keys than text are turned into text.
//!
//! Source: the Python language reference, "Expressions" and `ast.literal_eval`.

use std::collections::HashSet;
use std::str::Chars;

use crate::{BigInt, Dict, Value, number, python};

/// How deep brackets may nest; Python's own limit is 200.
const DEPTH_MAX: usize = 100;

/// Why a text is not a Python literal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Python, but more than a literal: a name, a call, a calculation.
    #[error("malformed node or string on line {line}: <ast.{node} object at 0x..>")]
    Malformed {
        /// The line of the offence, from 1.
        line: usize,
        /// What Python calls the offending part.
        node: &'static str,
    },
    /// A list, set or dictionary where only what never changes can be: in a set, as a key.
    #[error("unhashable type: '{0}'")]
    Unhashable(&'static str),
    /// Not Python.
    #[error("{reason} (<unknown>, line {line})")]
    Syntax {
        /// The line of the offence, from 1; 0 for an empty text.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// Reads one literal; only white space and comments may surround it.
///
/// # Errors
///
/// [`Error`] when the text is no Python or not a literal.
pub fn read(text: &str) -> Result<Value, Error> {
    let text = text.trim_start_matches([' ', '\t']);
    let mut reader = Reader {
        rest: text.chars(),
        line: 1,
        depth: 0,
    };
    reader.skip();
    if reader.rest.as_str().is_empty() {
        return Err(Error::Syntax {
            line: 0,
            reason: "invalid syntax".to_owned(),
        });
    }
    let node = reader.expressions()?;
    if !reader.rest.as_str().is_empty() {
        return Err(reader.invalid());
    }
    node.into_value()
}

/// What was read, before it is known whether all of it is literal: a syntax error anywhere takes
/// precedence over a name anywhere.
enum Node {
    Value(Value),
    /// A number, the only thing that takes a sign.
    Number(Value),
    List(Vec<Node>),
    Tuple(Vec<Node>),
    Set(Vec<Node>),
    Dict(Vec<(Node, Node)>),
    /// More than a literal.
    Other(usize, &'static str),
}

impl Node {
    fn into_value(self) -> Result<Value, Error> {
        match self {
            Node::Value(value) | Node::Number(value) => Ok(value),
            Node::List(items) | Node::Tuple(items) => {
                items.into_iter().map(Node::into_value).collect()
            }
            Node::Set(items) => {
                let mut seen = HashSet::new();
                let mut members = Vec::with_capacity(items.len());
                for item in items {
                    let member = item.into_key()?;
                    if seen.insert(python::repr(&member)) {
                        members.push(member);
                    }
                }
                Ok(Value::from(members))
            }
            Node::Dict(entries) => {
                let mut dict = Dict::with_capacity(entries.len());
                for (key, value) in entries {
                    let key = key.into_key()?;
                    dict.insert(python::str(&key), value.into_value()?);
                }
                Ok(Value::from(dict))
            }
            Node::Other(line, node) => Err(Error::Malformed { line, node }),
        }
    }
}

impl Node {
    /// The value as a member of a set or a key.
    fn into_key(self) -> Result<Value, Error> {
        match self {
            Node::List(_) => Err(Error::Unhashable("list")),
            Node::Set(_) => Err(Error::Unhashable("set")),
            Node::Dict(_) => Err(Error::Unhashable("dict")),
            Node::Tuple(items) => items.into_iter().map(Node::into_key).collect(),
            other => other.into_value(),
        }
    }
}

struct Reader<'a> {
    rest: Chars<'a>,
    line: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn starts_with(&self, text: &str) -> bool {
        self.rest.as_str().starts_with(text)
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line += 1;
        }
        next
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.bump();
        }
        found
    }

    /// White space and comments. Line ends count as white space even outside of brackets, where
    /// Python would take them only at the end.
    fn skip(&mut self) {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | '\r' | '\x0c' => {
                    self.bump();
                }
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.bump();
                    }
                }
                _ => break,
            }
        }
    }

    fn syntax(&self, reason: impl Into<String>) -> Error {
        Error::Syntax {
            line: self.line,
            reason: reason.into(),
        }
    }

    fn invalid(&self) -> Error {
        self.syntax("invalid syntax")
    }

    /// `a` or `a, b` (a tuple without parentheses), up to the end.
    fn expressions(&mut self) -> Result<Node, Error> {
        let first = self.expression()?;
        if self.peek() != Some(',') {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.take(',') {
            self.skip();
            if self.rest.as_str().is_empty() {
                break;
            }
            items.push(self.expression()?);
        }
        Ok(Node::Tuple(items))
    }

    fn expression(&mut self) -> Result<Node, Error> {
        if self.depth >= DEPTH_MAX {
            return Err(self.syntax("too many nested parentheses"));
        }
        self.depth += 1;
        let mut node = self.unary()?;
        while let Some(operator) = self.operator() {
            let line = self.line;
            self.unary()?;
            node = Node::Other(line, operator);
        }
        self.depth -= 1;
        Ok(node)
    }

    /// Consumes an infix operator; gives the node that Python would make of it.
    fn operator(&mut self) -> Option<&'static str> {
        const OPERATORS: [(&str, &str); 22] = [
            ("**", "BinOp"),
            ("//", "BinOp"),
            ("<<", "BinOp"),
            (">>", "BinOp"),
            ("<=", "Compare"),
            (">=", "Compare"),
            ("==", "Compare"),
            ("!=", "Compare"),
            ("+", "BinOp"),
            ("-", "BinOp"),
            ("*", "BinOp"),
            ("/", "BinOp"),
            ("%", "BinOp"),
            ("@", "BinOp"),
            ("&", "BinOp"),
            ("|", "BinOp"),
            ("^", "BinOp"),
            ("<", "Compare"),
            (">", "Compare"),
            ("and ", "BoolOp"),
            ("or ", "BoolOp"),
            ("in ", "Compare"),
        ];
        let (text, node) = OPERATORS
            .iter()
            .find(|(text, _)| self.starts_with(text))
            .copied()?;
        for _ in 0..text.len() {
            self.bump();
        }
        self.skip();
        Some(node)
    }

    fn unary(&mut self) -> Result<Node, Error> {
        let line = self.line;
        let mut negative = false;
        let mut signs = 0;
        while let Some(sign @ ('+' | '-')) = self.peek() {
            self.bump();
            self.skip();
            negative = sign == '-';
            signs += 1;
        }
        let node = self.primary()?;
        Ok(match (signs, node) {
            (0, node) => node,
            (1, Node::Number(number)) => {
                Node::Number(if negative { negate(&number) } else { number })
            }
            (1, Node::Value(_)) => Node::Other(line, "Constant"),
            (1, node @ Node::Other(..)) => node,
            _ => Node::Other(line, "UnaryOp"),
        })
    }

    fn primary(&mut self) -> Result<Node, Error> {
        let line = self.line;
        let node = match self.peek() {
            Some('[') => {
                self.bump();
                Node::List(self.items(']', "[")?.0)
            }
            Some('(') => {
                self.bump();
                let (mut items, commas) = self.items(')', "(")?;
                if items.len() == 1 && commas == 0 {
                    items.pop().ok_or_else(|| self.invalid())?
                } else {
                    Node::Tuple(items)
                }
            }
            Some('{') => {
                self.bump();
                self.braces()?
            }
            Some('\'' | '"') => self.strings()?,
            Some(c) if c.is_ascii_digit() || c == '.' => self.number()?,
            Some(c) if c.is_alphabetic() || c == '_' => self.word()?,
            _ => return Err(self.invalid()),
        };
        self.skip();
        self.trailers(line, node)
    }

    /// Calls, subscripts and attributes: Python, but never literal, `set()` excepted.
    fn trailers(&mut self, line: usize, mut node: Node) -> Result<Node, Error> {
        loop {
            match self.peek() {
                Some('(') => {
                    self.bump();
                    let (items, _) = self.items(')', "(")?;
                    let is_empty_set =
                        matches!(node, Node::Other(_, "Name.set")) && items.is_empty();
                    node = if is_empty_set {
                        Node::Set(Vec::new())
                    } else {
                        Node::Other(line, "Call")
                    };
                }
                Some('[') => {
                    self.bump();
                    self.items(']', "[")?;
                    node = Node::Other(line, "Subscript");
                }
                Some('.') if !matches!(node, Node::Number(_)) => {
                    self.bump();
                    self.identifier();
                    node = Node::Other(line, "Attribute");
                }
                _ => break,
            }
            self.skip();
        }
        Ok(match node {
            Node::Other(line, "Name.set") => Node::Other(line, "Name"),
            node => node,
        })
    }

    /// Elements up to `close`; also how many commas there were.
    fn items(&mut self, close: char, open: &str) -> Result<(Vec<Node>, usize), Error> {
        let mut items = Vec::new();
        let mut commas = 0;
        loop {
            self.skip();
            if self.take(close) {
                return Ok((items, commas));
            }
            self.ensure_open(open)?;
            items.push(self.expression()?);
            self.skip();
            if self.take(',') {
                commas += 1;
            } else if self.peek() != Some(close) {
                self.ensure_open(open)?;
                return Err(self.invalid());
            }
        }
    }

    fn ensure_open(&self, open: &str) -> Result<(), Error> {
        if self.rest.as_str().is_empty() {
            return Err(self.syntax(format!("'{open}' was never closed")));
        }
        Ok(())
    }

    /// A set or a dictionary; the opening brace is gone.
    fn braces(&mut self) -> Result<Node, Error> {
        let mut members = Vec::new();
        let mut entries = Vec::new();
        loop {
            self.skip();
            if self.take('}') {
                return Ok(if members.is_empty() {
                    Node::Dict(entries)
                } else {
                    Node::Set(members)
                });
            }
            self.ensure_open("{")?;
            let first = self.expression()?;
            self.skip();
            if self.take(':') {
                self.skip();
                self.ensure_open("{")?;
                entries.push((first, self.expression()?));
            } else {
                members.push(first);
            }
            if !members.is_empty() && !entries.is_empty() {
                return Err(self.invalid());
            }
            self.skip();
            if !self.take(',') && self.peek() != Some('}') {
                self.ensure_open("{")?;
                return Err(self.invalid());
            }
        }
    }

    fn identifier(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || *c == '_') {
            name.push(c);
            self.bump();
        }
        name
    }

    fn word(&mut self) -> Result<Node, Error> {
        let line = self.line;
        let before = self.rest.clone();
        let name = self.identifier();
        if matches!(self.peek(), Some('\'' | '"')) && is_string_prefix(&name) {
            self.rest = before;
            return self.strings();
        }
        Ok(match name.as_str() {
            "True" => Node::Value(Value::Bool(true)),
            "False" => Node::Value(Value::Bool(false)),
            "None" => Node::Value(Value::Null),
            "set" => Node::Other(line, "Name.set"),
            "and" | "or" | "in" | "is" | "if" | "else" | "for" | "while" | "def" | "class"
            | "import" | "from" | "return" | "pass" | "with" | "as" | "try" | "del" | "global"
            | "assert" | "raise" | "break" | "continue" | "except" | "finally" | "elif"
            | "nonlocal" => return Err(self.invalid()),
            _ => Node::Other(line, "Name"),
        })
    }

    fn number(&mut self) -> Result<Node, Error> {
        let line = self.line;
        if self.starts_with("...") {
            for _ in 0..3 {
                self.bump();
            }
            return Ok(Node::Other(line, "Constant"));
        }
        let mut text = String::new();
        while let Some(c) = self.peek() {
            let after_exponent = matches!(text.chars().last(), Some('e' | 'E'))
                && !text.starts_with("0x")
                && !text.starts_with("0X");
            if c.is_ascii_alphanumeric()
                || matches!(c, '_' | '.')
                || (matches!(c, '+' | '-') && after_exponent)
            {
                text.push(c);
                self.bump();
            } else {
                break;
            }
        }
        if text.ends_with(['j', 'J']) && number::parse_float(&text[..text.len() - 1]).is_some() {
            return Ok(Node::Other(line, "Constant"));
        }
        number_value(&text).map(Node::Number).ok_or_else(|| {
            self.syntax(if text == "." {
                "invalid syntax"
            } else {
                "invalid decimal literal"
            })
        })
    }

    /// Adjacent texts, which Python joins.
    fn strings(&mut self) -> Result<Node, Error> {
        let line = self.line;
        let mut text = String::new();
        let mut is_formatted = false;
        loop {
            let prefix = self.identifier().to_ascii_lowercase();
            is_formatted |= prefix.contains('f');
            self.string(&prefix, &mut text)?;
            self.skip();
            let rest = self.rest.as_str();
            let name_end = rest
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(rest.len());
            let next_is_text = rest[name_end..].starts_with(['\'', '"'])
                && (name_end == 0 || is_string_prefix(&rest[..name_end]));
            if !next_is_text {
                break;
            }
        }
        Ok(if is_formatted {
            Node::Other(line, "JoinedStr")
        } else {
            Node::Value(Value::from(text))
        })
    }

    fn string(&mut self, prefix: &str, text: &mut String) -> Result<(), Error> {
        let quote = self.bump().ok_or_else(|| self.invalid())?;
        let triple: String = std::iter::repeat_n(quote, 3).collect();
        let is_triple = {
            let mut ahead = self.rest.clone();
            ahead.next() == Some(quote) && ahead.next() == Some(quote)
        };
        if is_triple {
            self.bump();
            self.bump();
        }
        let is_raw = prefix.contains('r');
        let is_bytes = prefix.contains('b');
        loop {
            if is_triple && self.starts_with(&triple) {
                for _ in 0..3 {
                    self.bump();
                }
                return Ok(());
            }
            match self.bump() {
                Some(c) if c == quote && !is_triple => return Ok(()),
                Some('\n') if !is_triple => return Err(self.unterminated()),
                Some('\\') if is_raw => {
                    text.push('\\');
                    text.extend(self.bump());
                }
                Some('\\') => self.escape(is_bytes, text)?,
                Some(c) => text.push(c),
                None => return Err(self.unterminated()),
            }
        }
    }

    fn unterminated(&self) -> Error {
        self.syntax(format!(
            "unterminated string literal (detected at line {})",
            self.line
        ))
    }

    fn escape(&mut self, is_bytes: bool, text: &mut String) -> Result<(), Error> {
        let Some(c) = self.bump() else {
            return Err(self.unterminated());
        };
        let plain = match c {
            '\n' => return Ok(()),
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'v' => '\x0b',
            '\\' | '\'' | '"' => c,
            '0'..='7' => {
                let mut code = c.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    code = code * 8 + digit;
                    self.bump();
                }
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            'x' => self.code(2)?,
            'u' if !is_bytes => self.code(4)?,
            'U' if !is_bytes => self.code(8)?,
            'N' if !is_bytes => self.named()?,
            other => {
                text.push('\\');
                other
            }
        };
        text.push(plain);
        Ok(())
    }

    /// A character by its name in Unicode: `{BULLET}`.
    fn named(&mut self) -> Result<char, Error> {
        let rest = self.rest.as_str();
        let end = rest.starts_with('{').then(|| rest.find('}')).flatten();
        let found = end.and_then(|end| {
            let name = &rest[1..end];
            // The crate panics on a hyphen before anything else.
            let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric());
            let character = is_name.then(|| unicode_names2::character(name)).flatten()?;
            Some((end, character))
        });
        let Some((end, character)) = found else {
            return Err(self.syntax(
                "(unicode error) 'unicodeescape' codec can't decode bytes: unknown Unicode \
                 character name",
            ));
        };
        self.rest = rest[end + 1..].chars();
        Ok(character)
    }

    fn code(&mut self, digits: usize) -> Result<char, Error> {
        let mut code = 0;
        for _ in 0..digits {
            let digit = self.peek().and_then(|c| c.to_digit(16)).ok_or_else(|| {
                self.syntax(
                    "(unicode error) 'unicodeescape' codec can't decode bytes: truncated escape",
                )
            })?;
            code = code * 16 + digit;
            self.bump();
        }
        // Half of a surrogate pair is a character in Python, and can't be one here.
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

fn is_string_prefix(name: &str) -> bool {
    matches!(
        name.to_ascii_lowercase().as_str(),
        "r" | "b" | "u" | "f" | "br" | "rb" | "fr" | "rf"
    )
}

fn number_value(text: &str) -> Option<Value> {
    let lower = text.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            return BigInt::parse_bytes(digits.replace('_', "").as_bytes(), radix).map(Value::from);
        }
    }
    if lower.contains(['.', 'e']) {
        return number::parse_float(&lower).map(Value::Float);
    }
    let has_leading_zero =
        lower.starts_with('0') && lower.bytes().any(|byte| byte != b'0' && byte != b'_');
    if has_leading_zero {
        return None;
    }
    number::parse_int(&lower, 10).ok()
}

fn negate(number: &Value) -> Value {
    match number {
        Value::Int(number) => number
            .checked_neg()
            .map_or_else(|| Value::from(-BigInt::from(*number)), Value::Int),
        Value::BigInt(number) => Value::from(-(**number).clone()),
        Value::Float(number) => Value::Float(-number),
        other => other.clone(),
    }
}
