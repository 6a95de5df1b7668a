//! The values that expressions compute with.
//!
//! Plain data comes in without being copied: a [`squall_value::Value`] list or dictionary is held as
//! it is and read as an immutable sequence or dictionary, element by element.

mod dict;
mod key;
mod sequence;
mod set;

use std::rc::Rc;
use std::sync::Arc;

use squall_value::{BigInt, Str, Value as Data};

pub(crate) use dict::data_dict;
pub use dict::{Dict, Map, View, ViewKind};
pub use key::Key;
pub(crate) use key::view_has;
pub use sequence::Sequence;
pub(crate) use set::Members;
pub use set::Set;

use crate::context::Context;
use crate::datetime::{DateTime, TimeSpan};
use crate::error::Error;
use crate::iterator::{Iter, Ordering};
use crate::lambda::Lambda;
use crate::regex::Regex;

/// How deep values may nest. It bounds the stack that comparing, printing and dropping them takes.
pub const NESTING_MAX: u32 = 300;

/// How many elements a value may have in all, counted as if nothing in it were shared.
pub const WEIGHT_MAX: u64 = 1 << 26;

/// A value of the language. Cloning is cheap: everything large is shared.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A larger integer.
    BigInt(Arc<BigInt>),
    /// A binary64 number.
    Float(f64),
    /// A text.
    String(Str),
    /// A tuple (immutable: literals, input data) or a list (what Python would let one change).
    Sequence(Sequence),
    /// A dictionary, frozen or plain.
    Dict(Dict),
    /// A set.
    Set(Set),
    /// The keys, values or items of a dictionary.
    View(View),
    /// A lazy iterator, good for one pass unless it is memorized.
    Iterator(Iter),
    /// The result of `orderBy`.
    Ordering(Rc<Ordering>),
    /// A compiled regular expression.
    Regex(Arc<Regex>),
    /// A point in time.
    DateTime(Rc<DateTime>),
    /// A length of time.
    TimeSpan(TimeSpan),
    /// Variables and functions, to the left of `->`.
    Context(Context),
    /// A function value.
    Function(Rc<Lambda>),
    /// An evaluated `key => value` on its way into `dict()`, `set()` or `{}`.
    Rule(Rc<(Value, Value)>),
    /// A dictionary that the host looks up when asked; the number is the host's own.
    HostDict(u32),
}

/// Depth and weight of a value; see [`NESTING_MAX`] and [`WEIGHT_MAX`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    pub(crate) depth: u32,
    pub(crate) weight: u64,
}

impl Extent {
    pub(crate) fn add(&mut self, other: Extent) {
        self.depth = self.depth.max(other.depth);
        self.weight = self.weight.saturating_add(other.weight);
    }

    /// The extent of a container of what was added.
    pub(crate) fn close(self) -> Result<Extent, Error> {
        if self.depth >= NESTING_MAX {
            return Err(Error::too_deep());
        }
        if self.weight >= WEIGHT_MAX {
            return Err(Error::memory());
        }
        Ok(Extent {
            depth: self.depth + 1,
            weight: self.weight + 1,
        })
    }

    pub(crate) fn of<'a>(items: impl IntoIterator<Item = &'a Value>) -> Result<Extent, Error> {
        let mut extent = Extent::default();
        for item in items {
            extent.add(item.extent());
        }
        extent.close()
    }
}

impl Value {
    /// A text.
    pub fn string(text: impl Into<Str>) -> Value {
        Value::String(text.into())
    }

    /// An immutable sequence.
    ///
    /// # Errors
    ///
    /// When it would nest deeper than [`NESTING_MAX`] or weigh more than [`WEIGHT_MAX`].
    pub fn tuple(items: Vec<Value>) -> Result<Value, Error> {
        Ok(Value::Sequence(Sequence::new(items, false)?))
    }

    /// A mutable sequence: it never equals a tuple and can't be a key.
    ///
    /// # Errors
    ///
    /// As [`Value::tuple`].
    pub fn list(items: Vec<Value>) -> Result<Value, Error> {
        Ok(Value::Sequence(Sequence::new(items, true)?))
    }

    /// A frozen dictionary.
    ///
    /// # Errors
    ///
    /// As [`Value::tuple`].
    pub fn dict(map: Map) -> Result<Value, Error> {
        Ok(Value::Dict(Dict::new(map, false)?))
    }

    /// A plain (mutable) dictionary, which can't be a key.
    ///
    /// # Errors
    ///
    /// As [`Value::tuple`].
    pub fn plain_dict(map: Map) -> Result<Value, Error> {
        Ok(Value::Dict(Dict::new(map, true)?))
    }

    /// A lazy iterator, good for one pass.
    ///
    /// # Errors
    ///
    /// When the values nest too deep.
    pub fn lazy(mut items: impl Iterator<Item = Value> + 'static) -> Result<Value, Error> {
        Ok(Value::Iterator(Iter::new(0, move |_| Ok(items.next()))?))
    }

    /// Plain data as Python's own mutable lists and dictionaries: what a JSON parser returns.
    #[must_use]
    pub fn from_mutable_data(data: Data) -> Value {
        from_data(data, true)
    }

    /// Plain data as a plain dictionary whose values are frozen; anything else as [`Value::from`].
    #[must_use]
    pub fn from_plain_dict(data: Data) -> Value {
        match data {
            Data::Dict(dict) => Value::Dict(Dict::from_data(dict, true, false)),
            other => Value::from(other),
        }
    }

    /// The plain data that this value is and shares, without a copy; none for what is more than
    /// data, or was put together by an expression.
    #[must_use]
    pub fn shared_data(&self) -> Option<Data> {
        Some(match self {
            Value::Null => Data::Null,
            Value::Bool(truth) => Data::Bool(*truth),
            Value::Int(number) => Data::Int(*number),
            Value::BigInt(number) => Data::BigInt(number.clone()),
            Value::Float(number) => Data::Float(*number),
            Value::String(text) => Data::String(text.clone()),
            Value::Sequence(items) => Data::List(items.as_data()?.clone()),
            Value::Dict(dict) => Data::Dict(dict.as_data()?.clone()),
            _ => return None,
        })
    }

    pub(crate) fn big(number: BigInt) -> Value {
        i64::try_from(&number).map_or_else(|_| Value::BigInt(Arc::new(number)), Value::Int)
    }

    /// Python's truth; every iterator is true.
    #[must_use]
    pub fn is_truthy(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(truth) => *truth,
            Value::Int(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::String(text) => !text.is_empty(),
            Value::Sequence(items) => !items.is_empty(),
            Value::Dict(dict) => !dict.is_empty(),
            Value::Set(set) => !set.is_empty(),
            Value::View(view) => !view.dict.is_empty(),
            Value::TimeSpan(span) => span.micros != 0,
            Value::BigInt(_)
            | Value::Iterator(_)
            | Value::Ordering(_)
            | Value::Regex(_)
            | Value::DateTime(_)
            | Value::Context(_)
            | Value::Function(_)
            | Value::Rule(_)
            | Value::HostDict(_) => true,
        }
    }

    /// The name of the type in Python.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::BigInt(_) => "int",
            Value::Float(_) => "float",
            Value::String(_) => "str",
            Value::Sequence(items) if items.is_mutable() => "list",
            Value::Sequence(_) => "tuple",
            Value::Dict(dict) if dict.is_mutable() => "dict",
            Value::Dict(_) => "FrozenDict",
            Value::Set(_) => "frozenset",
            Value::View(view) => view.type_name(),
            Value::Iterator(_) => "generator",
            Value::Ordering(_) => "OrderingIterable",
            Value::Regex(_) => "re.Pattern",
            Value::DateTime(_) => "datetime.datetime",
            Value::TimeSpan(_) => "datetime.timedelta",
            Value::Context(_) => "Context",
            Value::Function(_) => "function",
            Value::Rule(_) => "MappingRule",
            Value::HostDict(_) => "dict",
        }
    }

    /// The text, if this is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_iterable(&self) -> bool {
        matches!(
            self,
            Value::Sequence(_)
                | Value::Set(_)
                | Value::View(_)
                | Value::Iterator(_)
                | Value::Ordering(_)
        )
    }

    pub(crate) fn is_set_like(&self) -> bool {
        match self {
            Value::Set(_) => true,
            Value::View(view) => view.kind != ViewKind::Values,
            _ => false,
        }
    }

    /// Number of elements of a sized collection.
    pub(crate) fn size(&self) -> Option<usize> {
        match self {
            Value::Sequence(items) => Some(items.len()),
            Value::Dict(dict) => Some(dict.len()),
            Value::Set(set) => Some(set.len()),
            Value::View(view) => Some(view.dict.len()),
            _ => None,
        }
    }

    pub(crate) fn extent(&self) -> Extent {
        match self {
            Value::Sequence(items) => items.extent(),
            Value::Dict(dict) => dict.extent(),
            Value::View(view) => view.dict.extent(),
            Value::Set(set) => set.extent(),
            Value::Iterator(iter) => Extent {
                depth: iter.depth(),
                weight: 1,
            },
            Value::Ordering(ordering) => Extent {
                depth: ordering.depth(),
                weight: 1,
            },
            Value::Context(context) => Extent {
                depth: context.depth(),
                weight: 1,
            },
            Value::Function(lambda) => Extent {
                depth: lambda.depth(),
                weight: 1,
            },
            Value::Rule(rule) => {
                let mut extent = rule.0.extent();
                extent.add(rule.1.extent());
                extent
            }
            _ => Extent {
                depth: 0,
                weight: 1,
            },
        }
    }
}

pub(crate) fn from_data(data: Data, mutable: bool) -> Value {
    match data {
        Data::Null => Value::Null,
        Data::Bool(truth) => Value::Bool(truth),
        Data::Int(number) => Value::Int(number),
        Data::BigInt(number) => Value::BigInt(number),
        Data::Float(number) => Value::Float(number),
        Data::String(text) => Value::String(text),
        Data::List(items) => Value::Sequence(Sequence::from_data(items, mutable)),
        Data::Dict(dict) => Value::Dict(Dict::from_data(dict, mutable, mutable)),
    }
}

/// Lists become tuples and dictionaries frozen ones, at no cost.
impl From<Data> for Value {
    fn from(data: Data) -> Value {
        from_data(data, false)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(Str::from(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(Str::from(text))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Float(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        i64::try_from(number).map_or_else(|_| Value::big(BigInt::from(number)), Value::Int)
    }
}

/// Equality of the language: by value over numbers and booleans; a tuple never equals a mutable
/// list, nor an iterator anything but itself.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        key::equal(self, other)
    }
}
