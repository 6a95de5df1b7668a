//! JSONPath as `jsonpath-rw` understands it.

use std::sync::Arc;

use squall_value::{Str, Value};

/// A parsed path.
#[derive(Debug)]
pub(crate) enum Path {
    Root,
    This,
    Parent,
    Child(Box<Path>, Box<Path>),
    Descendants(Box<Path>, Box<Path>),
    Where(Box<Path>, Box<Path>),
    Union(Box<Path>, Box<Path>),
    Fields(Vec<Str>),
    Index(i64),
    Slice(Option<i64>, Option<i64>, Option<i64>),
}

/// Why a path can't be read or followed; the class is the one that Python users see.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) class: &'static str,
    pub(crate) kind: crate::Kind,
    pub(crate) message: String,
}

fn failure(class: &'static str, kind: crate::Kind, message: impl Into<String>) -> Failure {
    Failure {
        class,
        kind,
        message: message.into(),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(Str),
    /// In backquotes.
    Operator(Str),
    Number(i64),
    Symbol(char),
    DoubleDot,
    Where,
}

/// Longer paths than this are refused: parsing and following them recurses.
const TOKENS_MAX: usize = 500;
/// How deep `..` descends.
const DEPTH_MAX: usize = 500;

impl Path {
    pub(crate) fn parse(text: &str) -> Result<Path, Failure> {
        let tokens = tokenize(text)?;
        if tokens.len() > TOKENS_MAX {
            return Err(failure(
                "ValueError",
                crate::Kind::Limit,
                "the path is too long",
            ));
        }
        let mut parser = Parser { tokens, at: 0 };
        let path = parser.path(0)?;
        match parser.peek() {
            None => Ok(path),
            Some(_) => Err(parser.unexpected()),
        }
    }

    /// All values that the path leads to from `root`, in order.
    pub(crate) fn find(&self, root: &Value) -> Result<Vec<Value>, Failure> {
        let datum = Datum {
            value: root.clone(),
            parent: None,
        };
        let mut budget = 1_000_000;
        let found = self.follow(&Arc::new(datum), &mut budget)?;
        Ok(found.into_iter().map(|datum| datum.value.clone()).collect())
    }

    fn follow(&self, datum: &Arc<Datum>, budget: &mut usize) -> Result<Vec<Arc<Datum>>, Failure> {
        *budget = budget.checked_sub(1).ok_or_else(|| {
            failure(
                "ValueError",
                crate::Kind::Limit,
                "the path takes too much work",
            )
        })?;
        match self {
            Path::This => Ok(vec![Arc::clone(datum)]),
            Path::Root => {
                let mut root = datum;
                while let Some(parent) = &root.parent {
                    root = parent;
                }
                Ok(vec![Arc::clone(root)])
            }
            Path::Parent => Ok(datum.parent.iter().cloned().collect()),
            Path::Child(left, right) => {
                let mut found = Vec::new();
                for datum in left.follow(datum, budget)? {
                    found.extend(right.follow(&datum, budget)?);
                }
                Ok(found)
            }
            Path::Descendants(left, right) => {
                let mut found = Vec::new();
                for datum in left.follow(datum, budget)? {
                    right.descend(&datum, 0, budget, &mut found)?;
                }
                Ok(found)
            }
            Path::Where(left, right) => {
                let mut found = Vec::new();
                for datum in left.follow(datum, budget)? {
                    if !right.follow(&datum, budget)?.is_empty() {
                        found.push(datum);
                    }
                }
                Ok(found)
            }
            Path::Union(left, right) => {
                let mut found = left.follow(datum, budget)?;
                found.extend(right.follow(datum, budget)?);
                Ok(found)
            }
            Path::Fields(fields) => Ok(fields_of(datum, fields)),
            Path::Index(index) => element(datum, *index),
            Path::Slice(start, stop, step) => slice(datum, *start, *stop, *step),
        }
    }

    fn descend(
        &self,
        datum: &Arc<Datum>,
        depth: usize,
        budget: &mut usize,
        found: &mut Vec<Arc<Datum>>,
    ) -> Result<(), Failure> {
        if depth > DEPTH_MAX {
            return Err(failure(
                "RecursionError",
                crate::Kind::Limit,
                "the data is nested too deeply",
            ));
        }
        // What the pattern can't be applied to has no matches of its own but may have below.
        found.extend(self.follow(datum, budget)?);
        let children: Vec<Value> = match &datum.value {
            Value::List(items) => items.to_vec(),
            Value::Dict(dict) => dict.values().cloned().collect(),
            _ => Vec::new(),
        };
        for child in children {
            self.descend(&datum.child(child), depth + 1, budget, found)?;
        }
        Ok(())
    }
}

/// A value and where it was found.
struct Datum {
    value: Value,
    parent: Option<Arc<Datum>>,
}

impl Datum {
    fn child(self: &Arc<Datum>, value: Value) -> Arc<Datum> {
        Arc::new(Datum {
            value,
            parent: Some(Arc::clone(self)),
        })
    }
}

fn fields_of(datum: &Arc<Datum>, fields: &[Str]) -> Vec<Arc<Datum>> {
    let Value::Dict(dict) = &datum.value else {
        return Vec::new();
    };
    if fields.iter().any(|field| &**field == "*") {
        return dict
            .values()
            .map(|value| datum.child(value.clone()))
            .collect();
    }
    let found = fields.iter().filter_map(|field| dict.get(field));
    found.map(|value| datum.child(value.clone())).collect()
}

fn no_length(value: &Value) -> Failure {
    let kind = match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Float(_) => "float",
        _ => "int",
    };
    failure(
        "TypeError",
        crate::Kind::Type,
        format!("object of type '{kind}' has no len()"),
    )
}

fn element(datum: &Arc<Datum>, index: i64) -> Result<Vec<Arc<Datum>>, Failure> {
    let position = |length: usize| -> Result<Option<usize>, Failure> {
        if index >= 0 {
            return Ok(usize::try_from(index).ok().filter(|index| *index < length));
        }
        let back = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
        let at = length.checked_sub(back);
        at.map(Some)
            .ok_or_else(|| failure("IndexError", crate::Kind::Index, "list index out of range"))
    };
    let found = match &datum.value {
        Value::List(items) => position(items.len())?.map(|at| items[at].clone()),
        Value::String(text) => position(text.chars().count())?
            .and_then(|at| text.chars().nth(at))
            .map(|c| Value::from(c.to_string())),
        Value::Dict(dict) => {
            if i64::try_from(dict.len()).unwrap_or(i64::MAX) > index {
                return Err(failure("KeyError", crate::Kind::Key, index.to_string()));
            }
            None
        }
        other => return Err(no_length(other)),
    };
    Ok(found.map(|value| datum.child(value)).into_iter().collect())
}

fn slice(
    datum: &Arc<Datum>,
    start: Option<i64>,
    stop: Option<i64>,
    step: Option<i64>,
) -> Result<Vec<Arc<Datum>>, Failure> {
    let items: Vec<Value> = match &datum.value {
        Value::List(items) => items.to_vec(),
        // A single value counts as a list of one.
        Value::Null | Value::Float(_) => return Err(no_length(&datum.value)),
        single => vec![single.clone()],
    };
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(failure(
            "ValueError",
            crate::Kind::Value,
            "slice step cannot be zero",
        ));
    }
    let picked = crate::jinja::slice_positions(items.len(), start, stop, step);
    Ok(picked
        .into_iter()
        .map(|at| datum.child(items[at].clone()))
        .collect())
}

fn tokenize(text: &str) -> Result<Vec<Token>, Failure> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '@' | '-');
        let length = match c {
            ' ' | '\t' | '\n' => 1,
            '.' if rest.starts_with("..") => {
                tokens.push(Token::DoubleDot);
                2
            }
            '*' | '.' | '[' | ']' | '(' | ')' | '$' | ',' | ':' | '|' | '&' => {
                tokens.push(Token::Symbol(c));
                1
            }
            '\'' | '"' | '`' => {
                let (text, length) = quoted(rest, c)?;
                tokens.push(if c == '`' {
                    Token::Operator(text)
                } else {
                    Token::Name(text)
                });
                length
            }
            c if c.is_ascii_alphabetic() || matches!(c, '_' | '@') => {
                let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                let name = &rest[..length];
                tokens.push(if name == "where" {
                    Token::Where
                } else {
                    Token::Name(name.into())
                });
                length
            }
            c if c.is_ascii_digit() || c == '-' => {
                let digits = rest[1..].find(|c: char| !c.is_ascii_digit());
                let length = digits.map_or(rest.len(), |at| at + 1);
                let number = rest[..length].parse();
                tokens.push(Token::Number(number.map_err(|_| lexer_error(rest))?));
                length
            }
            _ => return Err(lexer_error(rest)),
        };
        rest = &rest[length..];
    }
    Ok(tokens)
}

fn lexer_error(rest: &str) -> Failure {
    let c = rest.chars().next().map(String::from).unwrap_or_default();
    failure(
        "JsonPathLexerError",
        crate::Kind::Other,
        format!("Error on line 1, col 0: Unexpected character: {c} "),
    )
}

fn quoted(text: &str, quote: char) -> Result<(Str, usize), Failure> {
    let mut out = String::new();
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
            out.push(c);
        } else if c == '\\' {
            is_escaped = true;
        } else if c == quote {
            return Ok((out.into(), at + 1));
        } else {
            out.push(c);
        }
    }
    Err(failure(
        "JsonPathLexerError",
        crate::Kind::Other,
        "Unexpected EOF in string literal or identifier",
    ))
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, symbol: char) -> bool {
        let found = self.peek() == Some(&Token::Symbol(symbol));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: char) -> Result<(), Failure> {
        if self.take(symbol) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn unexpected(&self) -> Failure {
        match self.peek() {
            // The original breaks down at the end of the text.
            None => failure(
                "AttributeError",
                crate::Kind::Attribute,
                "'NoneType' object has no attribute 'lineno'",
            ),
            Some(token) => failure(
                "Exception",
                crate::Kind::Other,
                format!("Parse error near token {token:?}"),
            ),
        }
    }

    /// Operators bind as in the original: `where` closest, then `|`, `.`, `..`.
    fn path(&mut self, strength: u8) -> Result<Path, Failure> {
        let mut left = self.primary()?;
        loop {
            left = match self.peek() {
                Some(Token::Symbol('[')) => {
                    self.at += 1;
                    let inner = self.bracket()?;
                    self.expect(']')?;
                    Path::Child(Box::new(left), Box::new(inner))
                }
                Some(Token::DoubleDot) if strength < 1 => {
                    self.at += 1;
                    let right = self.path(1)?;
                    Path::Descendants(Box::new(left), Box::new(right))
                }
                Some(Token::Symbol('.')) if strength < 2 => {
                    self.at += 1;
                    let right = self.path(2)?;
                    Path::Child(Box::new(left), Box::new(right))
                }
                Some(Token::Symbol('|')) if strength < 3 => {
                    self.at += 1;
                    let right = self.path(3)?;
                    Path::Union(Box::new(left), Box::new(right))
                }
                Some(Token::Where) if strength < 5 => {
                    self.at += 1;
                    let right = self.path(5)?;
                    Path::Where(Box::new(left), Box::new(right))
                }
                _ => return Ok(left),
            };
        }
    }

    fn primary(&mut self) -> Result<Path, Failure> {
        let token = self.peek().cloned();
        match token {
            Some(Token::Symbol('$')) => {
                self.at += 1;
                Ok(Path::Root)
            }
            Some(Token::Symbol('*')) => {
                self.at += 1;
                Ok(Path::Fields(vec!["*".into()]))
            }
            Some(Token::Symbol('(')) => {
                self.at += 1;
                let path = self.path(0)?;
                self.expect(')')?;
                Ok(path)
            }
            Some(Token::Symbol('[')) => {
                self.at += 1;
                let inner = self.bracket()?;
                self.expect(']')?;
                Ok(inner)
            }
            Some(Token::Operator(name)) => {
                self.at += 1;
                match &*name {
                    "this" => Ok(Path::This),
                    "parent" => Ok(Path::Parent),
                    other => Err(failure(
                        "Exception",
                        crate::Kind::Other,
                        format!("Unknown named operator `{other}`"),
                    )),
                }
            }
            Some(Token::Name(_)) => self.fields(),
            _ => Err(self.unexpected()),
        }
    }

    fn fields(&mut self) -> Result<Path, Failure> {
        let mut fields = Vec::new();
        loop {
            match self.peek() {
                Some(Token::Name(name)) => fields.push(name.clone()),
                _ => return Err(self.unexpected()),
            }
            self.at += 1;
            if !self.take(',') {
                return Ok(Path::Fields(fields));
            }
        }
    }

    fn number(&mut self) -> Option<i64> {
        if let Some(Token::Number(number)) = self.peek() {
            let number = *number;
            self.at += 1;
            return Some(number);
        }
        None
    }

    fn bracket(&mut self) -> Result<Path, Failure> {
        if self.take('*') {
            return Ok(Path::Slice(None, None, None));
        }
        if matches!(self.peek(), Some(Token::Name(_))) {
            return self.fields();
        }
        let start = self.number();
        if !self.take(':') {
            return start.map(Path::Index).ok_or_else(|| self.unexpected());
        }
        let stop = self.number();
        let step = if self.take(':') { self.number() } else { None };
        Ok(Path::Slice(start, stop, step))
    }
}
