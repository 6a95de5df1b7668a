//! Jinja's filters.

mod markup;
mod number;
mod pprint;
mod sequence;
mod text;

use std::cmp::Ordering;

pub(super) use markup::ALL as MARKUP;
pub(super) use markup::json_indent;
pub(super) use number::ALL as NUMBER;
pub(super) use sequence::ALL as SEQUENCE;
pub(super) use text::ALL as TEXT;

use super::eval::Engine;
use super::generator::Element;
use super::registry::{Bound, Callable};
use super::value::{self, Val};
use super::{Res, lookup, ops, raised};

type Call = fn(&Engine<'_>, Bound) -> Res<Val>;

/// A filter that takes nothing but its value.
const fn simple(name: &'static str, python_name: &'static str, call: Call) -> Callable {
    Callable::new(name, python_name, &["value"], 1, call)
}

fn argument_error(message: impl Into<String>) -> Box<crate::Error> {
    raised("FilterArgumentError", crate::Kind::Runtime, message)
}

/// An optional flag.
fn flag(value: Option<Val>, default: bool) -> Res<bool> {
    value.map_or(Ok(default), |value| ops::truth(&value))
}

/// How a value is taken out of each element: `attribute='a.b.0'`.
pub(super) struct Getter {
    parts: Vec<Val>,
    default: Option<Val>,
    ignores_case: bool,
}

impl Getter {
    fn new(attribute: Option<&Val>, ignores_case: bool) -> Getter {
        let parts = match attribute {
            None | Some(Val::None) => Vec::new(),
            Some(Val::Str(path) | Val::Safe(path)) => path
                .split('.')
                .map(|part| {
                    let is_index = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
                    match part.parse::<i64>() {
                        Ok(index) if is_index => Val::Int(index),
                        _ => Val::str(part),
                    }
                })
                .collect(),
            Some(other) => vec![other.clone()],
        };
        Getter {
            parts,
            default: None,
            ignores_case,
        }
    }

    /// As [`Getter::get`], without making a value of an element that is only looked into.
    pub(super) fn of(&self, engine: &Engine<'_>, element: &Element) -> Res<Val> {
        let found = match element {
            Element::Value(value) => return self.get(engine, value),
            Element::At(list, index) => list.peek(*index, |data| self.peek(data)),
        };
        match (found, element) {
            (Some(value), _) if self.ignores_case => Ok(folded(value)),
            (Some(value), _) => Ok(value),
            (None, element) => self.get(engine, &element.peek()),
        }
    }

    /// The value within data, if it is there and is one that can't be changed by whoever gets it.
    fn peek(&self, data: &squall_value::Value) -> Option<Val> {
        use squall_value::Value;
        let mut data = data;
        for part in &self.parts {
            data = match (data, part) {
                (Value::Dict(dict), Val::Str(key)) => dict.get(key)?,
                (Value::List(items), Val::Int(index)) => {
                    items.get(usize::try_from(*index).ok()?)?
                }
                _ => return None,
            };
        }
        value::scalar(data)
    }

    /// The values that it holds.
    pub(super) fn into_values(self) -> impl Iterator<Item = Val> {
        self.parts.into_iter().chain(self.default)
    }

    fn get(&self, engine: &Engine<'_>, item: &Val) -> Res<Val> {
        let mut value = item.clone();
        for part in &self.parts {
            value = lookup::item(&value, part, engine.is_strict)?;
            if let (Val::Undefined(_), Some(default)) = (&value, &self.default) {
                value = default.clone();
            }
        }
        engine.budget.step(1)?;
        Ok(if self.ignores_case {
            folded(value)
        } else {
            value
        })
    }
}

/// Texts in lower case, other values as they are.
fn folded(value: Val) -> Val {
    match value.as_str() {
        Some(text) => Val::str(text.to_lowercase()),
        None => value,
    }
}

/// Sorts by key; equal elements keep their order, backwards too.
///
/// # Errors
///
/// `TypeError` for keys that have no order among each other.
pub(super) fn sorted(
    items: Vec<Val>,
    is_reverse: bool,
    mut key: impl FnMut(&Val) -> Res<Val>,
) -> Res<Vec<Val>> {
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        keyed.push((key(&item)?, item));
    }
    // A sort can't stop half-way: the first failure is kept and reported afterwards.
    let mut failure = None;
    if is_reverse {
        keyed.reverse();
    }
    keyed.sort_by(|(a, _), (b, _)| match ops::order(a, b, "<") {
        Ok(ordering) => ordering.unwrap_or(Ordering::Equal),
        Err(error) => {
            failure.get_or_insert(error);
            Ordering::Equal
        }
    });
    if let Some(error) = failure {
        return Err(error);
    }
    if is_reverse {
        keyed.reverse();
    }
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}
