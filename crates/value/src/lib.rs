//! The data value that every part of Squall shares.
//!
//! A [`Value`] is what JSON can say, with two differences that automation needs: integers are of
//! any size and never turn into floats, and an object keeps the order in which its keys came.
//! Values are immutable and shared: a clone costs a counter, however large the data, so that
//! payloads, parameters and workflow contexts travel through the program without being copied.
//!
//! [`json`] reads and writes JSON text with a bound on depth. [`python`] gives the text that
//! Python's `str` and `repr` give, which the expression languages promise to their users, and
//! [`literal`] reads it.
//!
//! This crate knows nothing of Squall.

mod dict;
pub mod json;
pub mod literal;
pub mod number;
pub mod orjson;
pub mod python;
mod serde;

use std::fmt;
use std::sync::Arc;

pub use dict::Dict;
pub use num_bigint::BigInt;

/// A shared, immutable text.
pub type Str = Arc<str>;

/// A datum: null, boolean, integer, float, text, list or dictionary.
#[derive(Clone, Default)]
pub enum Value {
    /// JSON's `null`, Python's `None`.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// An integer that does not fit into 64 bits. Build it with [`Value::from`] a [`BigInt`], which
    /// keeps small ones out of this variant.
    BigInt(Arc<BigInt>),
    /// A binary64 number. `1.0` is not `1`.
    Float(f64),
    /// Unicode text.
    String(Str),
    /// An ordered list.
    List(Arc<Vec<Value>>),
    /// Keys to values, in order of insertion.
    Dict(Arc<Dict>),
}

impl Value {
    /// An empty dictionary.
    #[must_use]
    pub fn empty_dict() -> Value {
        Value::Dict(Arc::new(Dict::new()))
    }

    /// An empty list.
    #[must_use]
    pub fn empty_list() -> Value {
        Value::List(Arc::new(Vec::new()))
    }

    /// Whether this is [`Value::Null`].
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The text, if this is a text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The boolean, if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(truth) = self {
            Some(*truth)
        } else {
            None
        }
    }

    /// The integer, if this is one of at most 64 bits.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        if let Value::Int(number) = self {
            Some(*number)
        } else {
            None
        }
    }

    /// The number as a float, if this is an integer or a float.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        use num_traits::ToPrimitive;
        match self {
            #[allow(clippy::cast_precision_loss)]
            Value::Int(number) => Some(*number as f64),
            Value::BigInt(number) => number.to_f64(),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Value]> {
        if let Value::List(items) = self {
            Some(items)
        } else {
            None
        }
    }

    /// The dictionary, if this is one.
    #[must_use]
    pub fn as_dict(&self) -> Option<&Dict> {
        if let Value::Dict(dict) = self {
            Some(dict)
        } else {
            None
        }
    }

    /// The member `key`, if this is a dictionary that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_dict().and_then(|dict| dict.get(key))
    }

    /// The member reached by one key after the other.
    #[must_use]
    pub fn get_path(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// What a person would call the kind of this value: `null`, `boolean`, `integer`, `number`,
    /// `string`, `array` or `object` (the words of JSON Schema).
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Int(_) | Value::BigInt(_) => "integer",
            Value::Float(_) => "number",
            Value::String(_) => "string",
            Value::List(_) => "array",
            Value::Dict(_) => "object",
        }
    }

    /// Python's truth: null, false, zero and everything empty are false.
    #[must_use]
    pub fn is_truthy(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(truth) => *truth,
            Value::Int(number) => *number != 0,
            Value::BigInt(_) => true,
            Value::Float(number) => *number != 0.0,
            Value::String(text) => !text.is_empty(),
            Value::List(items) => !items.is_empty(),
            Value::Dict(dict) => !dict.is_empty(),
        }
    }

    /// Compact JSON text; see [`json::write`].
    #[must_use]
    pub fn to_json(&self) -> String {
        json::write(self)
    }
}

/// Equality of data: kinds must agree, so `1` is not `1.0` and not `true`; the order of a
/// dictionary's keys does not matter. (The languages have looser equalities of their own.)
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::BigInt(a), Value::BigInt(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::String(a), Value::String(b)) => a == b,
            (Value::List(a), Value::List(b)) => Arc::ptr_eq(a, b) || a == b,
            (Value::Dict(a), Value::Dict(b)) => Arc::ptr_eq(a, b) || a == b,
            _ => false,
        }
    }
}

/// JSON text.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&json::write(self))
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

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        i64::try_from(number).map_or_else(|_| Value::from(BigInt::from(number)), Value::Int)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        Value::from(number as u64)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Value {
        Value::Int(i64::from(number))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Int(i64::from(number))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Float(number)
    }
}

/// Small integers become [`Value::Int`].
impl From<BigInt> for Value {
    fn from(number: BigInt) -> Value {
        i64::try_from(&number).map_or_else(|_| Value::BigInt(Arc::new(number)), Value::Int)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(Arc::from(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(Arc::from(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Value {
        Value::String(Arc::from(text.as_str()))
    }
}

impl From<Str> for Value {
    fn from(text: Str) -> Value {
        Value::String(text)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Value {
        Value::List(Arc::new(items))
    }
}

impl From<Dict> for Value {
    fn from(dict: Dict) -> Value {
        Value::Dict(Arc::new(dict))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Value {
        Value::List(Arc::new(items.into_iter().collect()))
    }
}

/// Builds a dictionary [`Value`] from `"key" => value` pairs; each value is anything that converts.
///
/// ```
/// let value = squall_value::dict! { "name" => "web01", "port" => 8080 };
/// assert_eq!(value.to_json(), r#"{"name":"web01","port":8080}"#);
/// ```
#[macro_export]
macro_rules! dict {
    ($($key:expr => $value:expr),* $(,)?) => {{
        #[allow(unused_mut)]
        let mut dict = $crate::Dict::new();
        $(dict.insert($key, $crate::Value::from($value));)*
        $crate::Value::from(dict)
    }};
}

/// Builds a list [`Value`]; each element is anything that converts.
#[macro_export]
macro_rules! list {
    ($($value:expr),* $(,)?) => {
        $crate::Value::from(::std::vec::Vec::<$crate::Value>::from([$($crate::Value::from($value)),*]))
    };
}
