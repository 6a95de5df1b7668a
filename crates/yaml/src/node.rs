//! The tree that a document becomes: typed values with positions.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use num_bigint::BigInt;
use squall_value::{Dict, Str, Value, python};

use crate::base64;
use crate::span::{Position, Span};
use crate::timestamp::{Date, DateTime};

/// A value and where it was written.
///
/// Cloning is cheap. A value that came in through an alias (`*name`) has the position of the anchor
/// that defines it.
#[derive(Clone)]
pub struct Node {
    /// What the value is.
    pub kind: Kind,
    /// Where it stands.
    pub span: Span,
}

/// What a value is: the types of YAML 1.1 as PyYAML's safe loader resolves them.
#[derive(Clone)]
pub enum Kind {
    /// `~`, `null` or nothing at all.
    Null,
    /// `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A larger integer.
    BigInt(Arc<BigInt>),
    /// A binary64 number.
    Float(f64),
    /// Text.
    String(Str),
    /// `!!binary`: bytes.
    Binary(Arc<[u8]>),
    /// A day, such as `2020-01-31`.
    Date(Date),
    /// A day with a time, with or without an offset from UTC.
    DateTime(DateTime),
    /// A list; also `!!omap` and `!!pairs`, as a list of two-element lists.
    Sequence(Arc<[Node]>),
    /// Keys to values, in the order of PyYAML: merged keys before own ones.
    Mapping(Arc<Mapping>),
    /// `!!set`: a mapping of which only the keys count.
    Set(Arc<Mapping>),
}

/// A key with its value.
#[derive(Clone)]
pub struct Entry {
    /// The key: null, boolean, number, text, bytes or time.
    pub key: Node,
    /// The value.
    pub value: Node,
    /// Whether the entry was taken over from another mapping by a merge key (`<<`).
    pub merged: bool,
}

/// The entries of a mapping. No two keys are equal.
#[derive(Clone, Default)]
pub struct Mapping {
    entries: Vec<Entry>,
    /// Text keys to positions in `entries`, only for mappings that are long enough to profit.
    index: Option<HashMap<Str, usize>>,
}

/// Up to here a scan of the entries is quicker than a hash.
const SCAN_MAX: usize = 12;

impl Mapping {
    pub(crate) fn new(entries: Vec<Entry>) -> Mapping {
        let index = (entries.len() > SCAN_MAX).then(|| {
            entries
                .iter()
                .enumerate()
                .filter_map(|(position, entry)| match &entry.key.kind {
                    Kind::String(text) => Some((text.clone(), position)),
                    _ => None,
                })
                .collect()
        });
        Mapping { entries, index }
    }

    /// The entry whose key is the text `key`.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.index {
            Some(index) => index.get(key).map(|position| &self.entries[*position]),
            None => self
                .entries
                .iter()
                .find(|entry| entry.key.as_str() == Some(key)),
        }
    }

    /// The value of the text key `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// All entries in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<'a> IntoIterator for &'a Mapping {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Node {
    /// Where the value begins.
    #[must_use]
    pub fn position(&self) -> Position {
        self.span.start
    }

    /// The text, if this is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements, if this is a sequence.
    #[must_use]
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if this is a mapping.
    #[must_use]
    pub fn as_mapping(&self) -> Option<&Mapping> {
        match &self.kind {
            Kind::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The value of the text key `key`, if this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_mapping().and_then(|mapping| mapping.get(key))
    }

    /// Whether this is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// What a person would call the kind of this value, in YAML's words.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "boolean",
            Kind::Int(_) | Kind::BigInt(_) => "integer",
            Kind::Float(_) => "float",
            Kind::String(_) => "text",
            Kind::Binary(_) => "binary data",
            Kind::Date(_) => "date",
            Kind::DateTime(_) => "timestamp",
            Kind::Sequence(_) => "list",
            Kind::Mapping(_) => "mapping",
            Kind::Set(_) => "set",
        }
    }

    /// The value without positions, as data that JSON can say: times become ISO 8601 text, bytes
    /// base64 text, sets lists, and keys text (see [`Node::key_text`]).
    ///
    /// Keys that differ in YAML but not as text, such as `1` and `"1"`, fall together; the last wins.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(truth) => Value::Bool(*truth),
            Kind::Int(number) => Value::Int(*number),
            Kind::BigInt(number) => Value::BigInt(number.clone()),
            Kind::Float(number) => Value::Float(*number),
            Kind::String(text) => Value::String(text.clone()),
            Kind::Binary(bytes) => Value::from(base64::encode(bytes)),
            Kind::Date(date) => Value::from(date.to_string()),
            Kind::DateTime(time) => Value::from(time.to_string()),
            Kind::Sequence(items) => items.iter().map(Node::to_value).collect(),
            Kind::Mapping(mapping) => {
                let mut dict = Dict::with_capacity(mapping.len());
                for entry in mapping.iter() {
                    dict.insert(entry.key.key_text(), entry.value.to_value());
                }
                Value::from(dict)
            }
            Kind::Set(mapping) => mapping.iter().map(|entry| entry.key.to_value()).collect(),
        }
    }

    /// The text that this value becomes as a key of a JSON object, as Python's `json.dumps` writes
    /// it: `true`, `1`, `null`, `1.5`. (Python refuses times and bytes; here they become the text
    /// that [`Node::to_value`] gives.)
    #[must_use]
    pub fn key_text(&self) -> Str {
        match &self.kind {
            Kind::String(text) => text.clone(),
            Kind::Null => Str::from("null"),
            Kind::Bool(true) => Str::from("true"),
            Kind::Bool(false) => Str::from("false"),
            Kind::Float(number) if number.is_nan() => Str::from("NaN"),
            Kind::Float(number) if number.is_infinite() => Str::from(if *number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            }),
            Kind::Float(number) => {
                let mut out = String::new();
                python::write_float(&mut out, *number);
                Str::from(out)
            }
            Kind::Int(_)
            | Kind::BigInt(_)
            | Kind::Binary(_)
            | Kind::Date(_)
            | Kind::DateTime(_)
            | Kind::Sequence(_)
            | Kind::Mapping(_)
            | Kind::Set(_) => Str::from(python::str(&self.to_value())),
        }
    }
}

/// The value as JSON text, with its position.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{}", self.to_value(), self.span.start)
    }
}
