//! Equality and hashing of values.

use std::hash::{BuildHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use indexmap::Equivalent;
use num_bigint::BigInt;
use num_traits::{FromPrimitive, ToPrimitive};
use squall_value::Str;

use super::{Dict, Sequence, Value, View, ViewKind};
use crate::error::Error;

/// A hashable value with its hash, as dictionaries and sets keep it.
#[derive(Clone, Debug)]
pub struct Key {
    hash: u64,
    value: Value,
}

static HASHER: LazyLock<foldhash::quality::RandomState> = LazyLock::new(Default::default);

impl Key {
    /// Makes a key of a value.
    ///
    /// # Errors
    ///
    /// When the value or something in it is a mutable list, a plain dictionary or a key view.
    pub fn new(value: Value) -> Result<Key, Error> {
        Ok(Key {
            hash: hash(&value)?,
            value,
        })
    }

    /// Makes a key of a text.
    #[must_use]
    pub fn from_text(text: Str) -> Key {
        Key {
            hash: hash_str(&text),
            value: Value::String(text),
        }
    }

    /// The value it was made of.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.hash == other.hash && equal(&self.value, &other.value)
    }
}

impl Eq for Key {}

/// A text that looks up its [`Key`] without becoming one.
pub(crate) struct StrKey<'a>(pub(crate) &'a str);

impl Hash for StrKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(hash_str(self.0));
    }
}

impl Equivalent<Key> for StrKey<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        matches!(&key.value, Value::String(text) if **text == *self.0)
    }
}

fn hash_str(text: &str) -> u64 {
    HASHER.hash_one((1_u8, text))
}

fn hash_int(number: i64) -> u64 {
    HASHER.hash_one((2_u8, number))
}

fn hash_float(number: f64) -> u64 {
    // Equal numbers hash alike whatever their type.
    #[allow(clippy::cast_possible_truncation)]
    if number.fract() == 0.0 && number.abs() < 9.2e18 {
        return hash_int(number as i64);
    }
    match BigInt::from_f64(number) {
        Some(whole) if number.fract() == 0.0 => hash_big(&whole),
        _ => HASHER.hash_one((3_u8, number.to_bits())),
    }
}

fn hash_big(number: &BigInt) -> u64 {
    match number.to_i64() {
        Some(small) => hash_int(small),
        None => HASHER.hash_one((4_u8, number)),
    }
}

fn hash_address<T: ?Sized>(address: *const T) -> u64 {
    HASHER.hash_one((5_u8, address.cast::<()>() as usize))
}

fn hash(value: &Value) -> Result<u64, Error> {
    Ok(match value {
        Value::Null => HASHER.hash_one(0_u8),
        Value::Bool(truth) => hash_int(i64::from(*truth)),
        Value::Int(number) => hash_int(*number),
        Value::BigInt(number) => hash_big(number),
        Value::Float(number) => hash_float(*number),
        Value::String(text) => hash_str(text),
        Value::Sequence(items) if !items.is_mutable() => {
            let mut state = HASHER.build_hasher();
            state.write_u8(6);
            for item in items.iter() {
                state.write_u64(hash(&item)?);
            }
            state.finish()
        }
        Value::Dict(dict) if !dict.is_mutable() => {
            let mut sum = 7_u64;
            for (key, item) in dict.iter() {
                sum = sum.wrapping_add(HASHER.hash_one((hash(&key)?, hash(&item)?)));
            }
            HASHER.hash_one((7_u8, sum))
        }
        Value::Set(set) => {
            let sum = set.members().iter().fold(0_u64, |sum, key| {
                sum.wrapping_add(HASHER.hash_one(key.hash))
            });
            HASHER.hash_one((8_u8, sum))
        }
        Value::DateTime(time) => HASHER.hash_one((9_u8, time.instant())),
        Value::TimeSpan(span) => HASHER.hash_one((10_u8, span.micros)),
        Value::Regex(regex) => HASHER.hash_one((11_u8, regex.pattern())),
        Value::Iterator(iter) => hash_address(iter.address()),
        Value::Ordering(ordering) => hash_address(Rc::as_ptr(ordering)),
        Value::Context(context) => hash_address(context.address()),
        Value::Function(lambda) => hash_address(Rc::as_ptr(lambda)),
        Value::Rule(rule) => hash_address(Rc::as_ptr(rule)),
        Value::View(view) if view.kind == ViewKind::Values => {
            HASHER.hash_one((12_u8, view.dict.len()))
        }
        Value::Sequence(_) | Value::Dict(_) | Value::View(_) | Value::HostDict(_) => {
            return Err(Error::unhashable(value.type_name()));
        }
    })
}

/// Whether an integer and a float are the same number.
fn equal_int_float(int: i64, float: f64) -> bool {
    // Beyond 2^63 no 64-bit integer is equal; below, the cast is exact for whole floats.
    #[allow(clippy::cast_possible_truncation)]
    let same = float.fract() == 0.0 && float.abs() < 9.3e18 && float as i128 == i128::from(int);
    same
}

fn equal_big_float(big: &BigInt, float: f64) -> bool {
    float.fract() == 0.0 && BigInt::from_f64(float).is_some_and(|whole| whole == *big)
}

pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    use Value as V;
    match (left, right) {
        (V::Null, V::Null) => true,
        (V::Bool(a), V::Bool(b)) => a == b,
        (V::Int(a), V::Int(b)) => a == b,
        (V::BigInt(a), V::BigInt(b)) => a == b,
        (V::Float(a), V::Float(b)) => a == b,
        (V::Bool(a), V::Int(b)) | (V::Int(b), V::Bool(a)) => i64::from(*a) == *b,
        (V::Bool(a), V::Float(b)) | (V::Float(b), V::Bool(a)) => equal_int_float(i64::from(*a), *b),
        (V::Int(a), V::Float(b)) | (V::Float(b), V::Int(a)) => equal_int_float(*a, *b),
        (V::BigInt(a), V::Float(b)) | (V::Float(b), V::BigInt(a)) => equal_big_float(a, *b),
        (V::String(a), V::String(b)) => a == b,
        (V::Sequence(a), V::Sequence(b)) => equal_sequences(a, b),
        (V::Dict(a), V::Dict(b)) => equal_dicts(a, b),
        (V::Set(a), V::Set(b)) => {
            a.is_same(b)
                || a.len() == b.len() && a.members().iter().all(|key| b.members().contains(key))
        }
        (V::View(a), V::View(b)) if a.kind == ViewKind::Values || b.kind == ViewKind::Values => {
            a.kind == b.kind && a.dict.is_same(&b.dict)
        }
        (V::View(a), V::View(b)) => {
            a.dict.len() == b.dict.len() && a.iter().all(|item| view_has(b, &item))
        }
        (V::Set(a), V::View(b)) | (V::View(b), V::Set(a)) => {
            b.kind != ViewKind::Values
                && a.len() == b.dict.len()
                && a.iter().all(|item| view_has(b, item))
        }
        (V::DateTime(a), V::DateTime(b)) => {
            a.instant() == b.instant() && a.is_aware() == b.is_aware()
        }
        (V::TimeSpan(a), V::TimeSpan(b)) => a.micros == b.micros,
        (V::Regex(a), V::Regex(b)) => Arc::ptr_eq(a, b) || a.same_as(b),
        (V::Iterator(a), V::Iterator(b)) => std::ptr::eq(a.address(), b.address()),
        (V::Ordering(a), V::Ordering(b)) => Rc::ptr_eq(a, b),
        (V::Context(a), V::Context(b)) => std::ptr::eq(a.address(), b.address()),
        (V::Function(a), V::Function(b)) => Rc::ptr_eq(a, b),
        (V::Rule(a), V::Rule(b)) => Rc::ptr_eq(a, b),
        (V::HostDict(a), V::HostDict(b)) => a == b,
        _ => false,
    }
}

fn equal_sequences(left: &Sequence, right: &Sequence) -> bool {
    left.is_mutable() == right.is_mutable()
        && left.len() == right.len()
        && (left.is_same(right) || left.iter().zip(right.iter()).all(|(a, b)| equal(&a, &b)))
}

fn equal_dicts(left: &Dict, right: &Dict) -> bool {
    left.len() == right.len()
        && (left.is_same(right) && left.is_mutable() == right.is_mutable()
            || left.iter().all(
                |(key, value)| matches!(right.get(&key), Ok(Some(other)) if equal(&value, &other)),
            ))
}

/// Whether a set-like view holds `item`.
pub(crate) fn view_has(view: &View, item: &Value) -> bool {
    match (view.kind, item) {
        (ViewKind::Keys, key) => matches!(view.dict.get(key), Ok(Some(_))),
        (ViewKind::Items, Value::Sequence(pair)) if pair.len() == 2 => {
            match (pair.get(0), pair.get(1)) {
                (Some(key), Some(value)) => {
                    matches!(view.dict.get(&key), Ok(Some(found)) if equal(&found, &value))
                }
                _ => false,
            }
        }
        (ViewKind::Items, _) => false,
        (ViewKind::Values, value) => view.iter().any(|found| equal(&found, value)),
    }
}
