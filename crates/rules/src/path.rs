//! Keys of criteria: paths into a payload.
//!
//! The language is JSONPath as the Python library `jsonpath_rw` reads it, without filters and
//! parents: `trigger.body.items[0].name`, `trigger.headers['X-GitHub-Event']`,
//! `trigger.body."key.dot"`, `trigger.tags[*]`, `trigger..id`, `trigger.a[1:3]`.

use std::borrow::Cow;

use squall_expr::{Error, Kind};
use squall_value::{Str, Value};

use crate::python::{type_error, type_name};

/// Longest path that is read, in characters.
const LENGTH_MAX: usize = 1024;
/// Most steps of a path that begin with `..`: each may visit the whole payload.
const DESCENTS_MAX: usize = 4;
/// Most values that one look-up visits.
const VISITS_MAX: usize = 200_000;

/// A path, compiled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// The members with these names.
    Fields(Vec<Str>),
    /// All members of a dictionary.
    AllFields,
    /// One element, from the end if negative.
    Index(i64),
    /// Elements from, to (exclusive), every how many.
    Slice(Option<i64>, Option<i64>, Option<i64>),
    /// The next step applies here and at every depth below.
    Descend,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    ///
    /// What is wrong with the text. Classes are those of `jsonpath_rw`: `AttributeError` for a text
    /// that ends too soon.
    pub fn parse(text: &str) -> Result<Path, Error> {
        Parser {
            text,
            rest: text,
            steps: Vec::new(),
        }
        .run()
    }

    /// The names of a path that is nothing but names.
    #[must_use]
    pub fn names(&self) -> Option<Vec<&Str>> {
        self.steps
            .iter()
            .map(|step| match step {
                Step::Fields(names) if names.len() == 1 => names.first(),
                _ => None,
            })
            .collect()
    }

    /// Whether looking it up can't fail, whatever the payload.
    #[must_use]
    pub fn is_infallible(&self) -> bool {
        self.steps
            .iter()
            .all(|step| matches!(step, Step::Fields(_) | Step::AllFields))
    }

    /// The first match under `root`, which is known by the name `prefix`; null without a match.
    ///
    /// # Errors
    ///
    /// `TypeError`, `KeyError`, `IndexError` where an index is applied to what has none.
    pub fn lookup<'v>(&self, prefix: &str, root: &'v Value) -> Result<Cow<'v, Value>, Error> {
        static NULL: Value = Value::Null;
        let Some((Step::Fields(names), steps)) = self.steps.split_first() else {
            return Ok(Cow::Borrowed(&NULL));
        };
        if !names.iter().any(|name| &**name == prefix) {
            return Ok(Cow::Borrowed(&NULL));
        }
        let mut current = root;
        for (position, step) in steps.iter().enumerate() {
            match step {
                Step::Fields(names) if names.len() == 1 => match current.get(&names[0]) {
                    Some(member) => current = member,
                    None => return Ok(Cow::Borrowed(&NULL)),
                },
                _ => {
                    let matches = find(&steps[position..], vec![Cow::Borrowed(current)])?;
                    return Ok(matches.into_iter().next().unwrap_or(Cow::Borrowed(&NULL)));
                }
            }
        }
        Ok(Cow::Borrowed(current))
    }
}

type Matches<'v> = Vec<Cow<'v, Value>>;

fn find<'v>(steps: &[Step], mut current: Matches<'v>) -> Result<Matches<'v>, Error> {
    let mut descends = false;
    let mut visits = 0;
    for step in steps {
        if *step == Step::Descend {
            descends = true;
            continue;
        }
        let mut matches = Vec::new();
        for value in current {
            if descends {
                descend(step, value, &mut matches, &mut visits)?;
            } else {
                apply(step, &value, &mut matches)?;
            }
            count(&mut visits)?;
        }
        descends = false;
        current = matches;
    }
    Ok(current)
}

/// Applies `step` to a value and to all that lies below it.
fn descend<'v>(
    step: &Step,
    value: Cow<'v, Value>,
    matches: &mut Matches<'v>,
    visits: &mut usize,
) -> Result<(), Error> {
    let mut waiting = vec![value];
    while let Some(value) = waiting.pop() {
        count(visits)?;
        // An index that does not fit here is no reason to give up a search through everything.
        let _ = apply(step, &value, matches);
        let below: Matches<'v> = match &*value {
            Value::List(items) => items.iter().cloned().map(Cow::Owned).collect(),
            Value::Dict(dict) => dict.values().cloned().map(Cow::Owned).collect(),
            _ => Vec::new(),
        };
        waiting.extend(below.into_iter().rev());
    }
    Ok(())
}

fn count(visits: &mut usize) -> Result<(), Error> {
    *visits += 1;
    if *visits > VISITS_MAX {
        return Err(Error::new(
            "ValueError",
            Kind::Limit,
            format!("the key visits more than {VISITS_MAX} values of the payload"),
        ));
    }
    Ok(())
}

fn apply<'v>(step: &Step, value: &Value, matches: &mut Matches<'v>) -> Result<(), Error> {
    match step {
        Step::Fields(names) => {
            matches.extend(
                names
                    .iter()
                    .filter_map(|name| value.get(name))
                    .cloned()
                    .map(Cow::Owned),
            );
        }
        Step::AllFields => {
            if let Value::Dict(dict) = value {
                matches.extend(dict.values().cloned().map(Cow::Owned));
            }
        }
        Step::Index(index) => matches.extend(element(value, *index)?.map(Cow::Owned)),
        Step::Slice(from, to, every) => {
            matches.extend(
                slice(value, *from, *to, *every)?
                    .into_iter()
                    .map(Cow::Owned),
            );
        }
        Step::Descend => {}
    }
    Ok(())
}

/// The element at `index`; nothing beyond the end.
fn element(value: &Value, index: i64) -> Result<Option<Value>, Error> {
    let length = match value {
        Value::List(items) => items.len(),
        Value::String(text) => text.chars().count(),
        Value::Dict(dict) if dict.is_empty() && index >= 0 => return Ok(None),
        Value::Dict(_) => return Err(Error::new("KeyError", Kind::Key, index.to_string())),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {
            return Err(type_error(format!(
                "object of type '{}' has no len()",
                type_name(value)
            )));
        }
    };
    let position = if index < 0 {
        let back = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
        match length.checked_sub(back) {
            Some(position) => position,
            None => {
                let what = if value.as_str().is_some() {
                    "string"
                } else {
                    "list"
                };
                return Err(Error::new(
                    "IndexError",
                    Kind::Index,
                    format!("{what} index out of range"),
                ));
            }
        }
    } else {
        usize::try_from(index).unwrap_or(usize::MAX)
    };
    Ok(match value {
        Value::List(items) => items.get(position).cloned(),
        Value::String(text) => text
            .chars()
            .nth(position)
            .map(|c| Value::from(c.to_string())),
        _ => None,
    })
}

fn slice(
    value: &Value,
    from: Option<i64>,
    to: Option<i64>,
    every: Option<i64>,
) -> Result<Vec<Value>, Error> {
    let items = match value {
        Value::List(items) => items.to_vec(),
        Value::Dict(_) | Value::Int(_) | Value::BigInt(_) | Value::Bool(_) | Value::String(_) => {
            vec![value.clone()]
        }
        Value::Null | Value::Float(_) => {
            return Err(type_error(format!(
                "object of type '{}' has no len()",
                type_name(value)
            )));
        }
    };
    let step = every.unwrap_or(1);
    if step == 0 {
        return Err(Error::new(
            "ValueError",
            Kind::Value,
            "slice step cannot be zero",
        ));
    }
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let lowest = if step > 0 { 0 } else { -1 };
    let highest = if step > 0 { length } else { length - 1 };
    let place = |bound: Option<i64>, otherwise: i64| match bound {
        Some(bound) if bound < 0 => bound.saturating_add(length).max(lowest),
        Some(bound) => bound.min(highest),
        None => otherwise,
    };
    let mut position = place(from, if step > 0 { 0 } else { highest });
    let end = place(to, if step > 0 { highest } else { lowest });
    let mut taken = Vec::new();
    while (step > 0 && position < end) || (step < 0 && position > end) {
        let item = usize::try_from(position)
            .ok()
            .and_then(|index| items.get(index));
        taken.extend(item.cloned());
        position = position.saturating_add(step);
    }
    Ok(taken)
}

struct Parser<'t> {
    text: &'t str,
    rest: &'t str,
    steps: Vec<Step>,
}

impl<'t> Parser<'t> {
    fn run(mut self) -> Result<Path, Error> {
        if self.text.chars().count() > LENGTH_MAX {
            return Err(syntax(format!(
                "the key is longer than {LENGTH_MAX} characters"
            )));
        }
        if self.take('$') {
            self.skip();
            if self.rest.is_empty() {
                return Ok(Path { steps: self.steps });
            }
            if !self.take('.') && !self.rest.starts_with('[') {
                return Err(self.unexpected());
            }
        }
        self.child()?;
        loop {
            self.skip();
            if self.rest.is_empty() {
                break;
            }
            if self.take('.') {
                if self.take('.') {
                    self.steps.push(Step::Descend);
                }
                self.child()?;
            } else if self.rest.starts_with('[') {
                self.brackets()?;
            } else {
                return Err(self.unexpected());
            }
        }
        let descents = self
            .steps
            .iter()
            .filter(|step| **step == Step::Descend)
            .count();
        if descents > DESCENTS_MAX {
            return Err(syntax(format!("the key has more than {DESCENTS_MAX} `..`")));
        }
        Ok(Path { steps: self.steps })
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn take(&mut self, c: char) -> bool {
        self.skip();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn child(&mut self) -> Result<(), Error> {
        self.skip();
        if self.rest.starts_with('[') {
            return self.brackets();
        }
        let step = self.fields()?;
        self.steps.push(step);
        Ok(())
    }

    /// `a`, `'a'`, `a, b`, `*`.
    fn fields(&mut self) -> Result<Step, Error> {
        if self.take('*') {
            return Ok(Step::AllFields);
        }
        let mut names = vec![self.name()?];
        while self.take(',') {
            names.push(self.name()?);
        }
        Ok(Step::Fields(names))
    }

    fn name(&mut self) -> Result<Str, Error> {
        self.skip();
        let Some(first) = self.rest.chars().next() else {
            return Err(too_short());
        };
        if matches!(first, '\'' | '"') {
            return self.quoted(first);
        }
        let is_start = |c: char| c.is_alphabetic() || matches!(c, '_' | '@');
        if !is_start(first) {
            return Err(self.unexpected());
        }
        let end = self
            .rest
            .find(|c: char| !(is_start(c) || c.is_ascii_digit() || c == '-'))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(Str::from(name))
    }

    fn quoted(&mut self, quote: char) -> Result<Str, Error> {
        let mut name = String::new();
        let mut chars = self.rest[1..].chars();
        loop {
            match chars.next() {
                Some('\\') => name.extend(chars.next()),
                Some(c) if c == quote => break,
                Some(c) => name.push(c),
                None => {
                    return Err(Error::new(
                        "JsonPathLexerError",
                        Kind::Other,
                        format!("the key `{}` has a quote that never ends", self.text),
                    ));
                }
            }
        }
        self.rest = chars.as_str();
        Ok(Str::from(name))
    }

    fn brackets(&mut self) -> Result<(), Error> {
        self.take('[');
        self.skip();
        let is_number = self
            .rest
            .starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | ':'));
        let step = if is_number {
            self.index_or_slice()?
        } else if self.rest.starts_with('*') {
            self.take('*');
            Step::Slice(None, None, None)
        } else {
            self.fields()?
        };
        if !self.take(']') {
            return Err(self.unexpected());
        }
        self.steps.push(step);
        Ok(())
    }

    fn index_or_slice(&mut self) -> Result<Step, Error> {
        let from = self.number()?;
        if !self.take(':') {
            return from.map(Step::Index).ok_or_else(|| self.unexpected());
        }
        let to = self.number()?;
        let every = if self.take(':') { self.number()? } else { None };
        Ok(Step::Slice(from, to, every))
    }

    fn number(&mut self) -> Result<Option<i64>, Error> {
        self.skip();
        let end = self
            .rest
            .char_indices()
            .find(|(index, c)| !(c.is_ascii_digit() || (*index == 0 && *c == '-')))
            .map_or(self.rest.len(), |(index, _)| index);
        let (digits, rest) = self.rest.split_at(end);
        if digits.is_empty() {
            return Ok(None);
        }
        let number = digits.parse().map_err(|_| self.unexpected())?;
        self.rest = rest;
        Ok(Some(number))
    }

    fn unexpected(&self) -> Error {
        if self.rest.is_empty() {
            return too_short();
        }
        let column = self.text[..self.text.len() - self.rest.len()]
            .chars()
            .count();
        let near: String = self.rest.chars().take(12).collect();
        syntax(format!("Parse error at 1:{column} near token {near}"))
    }
}

fn syntax(message: String) -> Error {
    Error::new("Exception", Kind::Other, message)
}

/// `jsonpath_rw` stumbles over its own message here, and this is what reports say.
fn too_short() -> Error {
    Error::new(
        "AttributeError",
        Kind::Attribute,
        "the key ends where a name is expected; write a path such as `trigger.body.status`",
    )
}
