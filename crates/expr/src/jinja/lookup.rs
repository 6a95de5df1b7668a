//! `value.name`, `value[item]` and slices, as the sandbox allows them.

use std::rc::Rc;

use num_traits::ToPrimitive;
use squall_value::Str;

use super::eval::Engine;
use super::objects::Method;
use super::text;
use super::value::{Key, Missing, Val, ViewKind};
use super::{Res, methods, type_error, value_error};

/// `value.name`: the attribute, else the key, else undefined.
pub(super) fn attribute(value: &Val, name: &Str, is_strict: bool) -> Res<Val> {
    if let Val::Undefined(missing) = value {
        return Err(missing.error());
    }
    if let Some(found) = python_attribute(value, name) {
        return Ok(found);
    }
    if let Some(found) = subscript(value, &Val::Str(name.clone())) {
        return Ok(found);
    }
    Ok(absent(value, &Val::Str(name.clone()), is_strict))
}

/// `value[item]`: the element, else the attribute, else undefined.
pub(super) fn item(value: &Val, item: &Val, is_strict: bool) -> Res<Val> {
    if let Val::Undefined(missing) = value {
        return Err(missing.error());
    }
    if let Val::Undefined(missing) = item
        && !missing.is_lenient
        && matches!(value, Val::Dict(_))
    {
        return Err(missing.error());
    }
    if let Some(found) = subscript(value, item) {
        return Ok(found);
    }
    if let Val::Str(name) = item
        && let Some(found) = python_attribute(value, name)
    {
        return Ok(found);
    }
    Ok(absent(value, item, is_strict))
}

/// `value | attr(name)`: the attribute, never the key.
pub(super) fn python_attribute_or_undefined(value: &Val, name: &Str, is_strict: bool) -> Res<Val> {
    if let Val::Undefined(missing) = value {
        return Err(missing.error());
    }
    Ok(python_attribute(value, name)
        .unwrap_or_else(|| absent(value, &Val::Str(name.clone()), is_strict)))
}

fn absent(value: &Val, name: &Val, is_strict: bool) -> Val {
    let described = value.described();
    let message = match name {
        Val::Str(name) => format!(
            "'{described}' has no attribute {}",
            text::repr(&Val::Str(name.clone()))
        ),
        other => format!("{described} has no element {}", text::repr(other)),
    };
    Val::undefined(message, !is_strict)
}

/// A position from the end or the start of a sequence.
fn position(index: &Val, length: usize) -> Option<usize> {
    let index = match index {
        Val::Int(index) => *index,
        Val::Bool(truth) => i64::from(*truth),
        _ => return None,
    };
    if index < 0 {
        length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
    } else {
        usize::try_from(index).ok().filter(|index| *index < length)
    }
}

/// The element or entry, if there is one.
pub(super) fn subscript(value: &Val, item: &Val) -> Option<Val> {
    match value {
        Val::Dict(dict) => match item {
            Val::Str(key) => dict.get_str(key),
            other => dict.get(&Key::new(other.clone()).ok()?),
        },
        Val::List(list) => list.get(position(item, list.len())?),
        Val::Tuple(tuple) => tuple.items.get(position(item, tuple.items.len())?).cloned(),
        Val::Str(text) | Val::Safe(text) => {
            let index = position(item, text.chars().count())?;
            let c = text.chars().nth(index)?;
            Some(Val::str(c.encode_utf8(&mut [0; 4]) as &str))
        }
        Val::Bytes(bytes) => {
            let index = position(item, bytes.len())?;
            Some(Val::Int(i64::from(*bytes.get(index)?)))
        }
        Val::Range(range) => range.get(position(item, range.len())?).map(Val::Int),
        _ => None,
    }
}

/// What Python's `getattr` gives.
fn python_attribute(value: &Val, name: &Str) -> Option<Val> {
    if name.starts_with("__") && name.ends_with("__") && DUNDERS.contains(&&**name) {
        return Some(Val::Undefined(Rc::new(Missing {
            class: "SecurityError",
            message: format!(
                "access to attribute '{name}' of '{}' object is unsafe.",
                value.type_name()
            ),
            is_lenient: false,
        })));
    }
    match value {
        Val::Namespace(namespace) => return namespace.get(name),
        Val::Loop(state) => return state.attribute(name),
        Val::Cycler(cycler) if &**name == "current" => return Some(cycler.current()),
        Val::Tuple(tuple) if tuple.is_group => match &**name {
            "grouper" => return tuple.items.first().cloned(),
            "list" => return tuple.items.get(1).cloned(),
            _ => {}
        },
        Val::Macro(value) => return value.attribute(name),
        Val::Key(lookup) => return Some(lookup.extended(name)),
        Val::Date(_) | Val::Moment(_) => {
            if let Some(found) = super::dates::attribute(value, name) {
                return Some(found);
            }
        }
        Val::Range(range) => match &**name {
            "start" => return Some(Val::Int(range.start)),
            "stop" => return Some(Val::Int(range.stop)),
            "step" => return Some(Val::Int(range.step)),
            _ => {}
        },
        Val::Int(_) | Val::Big(_) | Val::Bool(_) => match &**name {
            "real" | "numerator" => return super::ops::sign(value, false).ok(),
            "imag" => return Some(Val::Int(0)),
            "denominator" => return Some(Val::Int(1)),
            _ => {}
        },
        Val::Float(_) => match &**name {
            "real" => return Some(value.clone()),
            "imag" => return Some(Val::Float(0.0)),
            _ => {}
        },
        _ => {}
    }
    methods::find(value, name).map(|callable| {
        Val::Method(Rc::new(Method {
            target: value.clone(),
            callable,
        }))
    })
}

/// Names that every Python object, or one of the common kinds, really has: the sandbox refuses
/// them, where an absent name would only be undefined.
const DUNDERS: [&str; 46] = [
    "__class__",
    "__doc__",
    "__init__",
    "__new__",
    "__repr__",
    "__str__",
    "__hash__",
    "__eq__",
    "__ne__",
    "__lt__",
    "__le__",
    "__gt__",
    "__ge__",
    "__dir__",
    "__format__",
    "__getattribute__",
    "__setattr__",
    "__delattr__",
    "__reduce__",
    "__reduce_ex__",
    "__sizeof__",
    "__subclasshook__",
    "__init_subclass__",
    "__getstate__",
    "__len__",
    "__iter__",
    "__getitem__",
    "__contains__",
    "__add__",
    "__mul__",
    "__mod__",
    "__setitem__",
    "__delitem__",
    "__reversed__",
    "__globals__",
    "__code__",
    "__closure__",
    "__func__",
    "__self__",
    "__call__",
    "__dict__",
    "__module__",
    "__mro__",
    "__bases__",
    "__subclasses__",
    "__builtins__",
];

/// `value[start:stop:step]`.
pub(super) fn slice(value: &Val, parts: &[Option<Val>; 3]) -> Res<Val> {
    if let Val::Undefined(missing) = value {
        return Err(missing.error());
    }
    let mut numbers = [None; 3];
    for (number, part) in numbers.iter_mut().zip(parts) {
        *number = match part {
            None | Some(Val::None) => None,
            Some(Val::Int(number)) => Some(*number),
            Some(Val::Bool(truth)) => Some(i64::from(*truth)),
            Some(Val::Big(number)) => Some(number.to_i64().unwrap_or(i64::MAX)),
            Some(_) => {
                return Err(type_error(
                    "slice indices must be integers or None or have an __index__ method",
                ));
            }
        };
    }
    let [start, stop, step] = numbers;
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(value_error("slice step cannot be zero"));
    }
    let pick = |length: usize| indices(length, start, stop, step);
    Ok(match value {
        Val::Str(text) | Val::Safe(text) => {
            let sliced: String = if step == 1 {
                let (from, to) = bounds(text.chars().count(), start, stop, 1);
                let count = usize::try_from(to - from).unwrap_or(0);
                let from = usize::try_from(from).unwrap_or(0);
                text.chars().skip(from).take(count).collect()
            } else {
                let chars: Vec<char> = text.chars().collect();
                pick(chars.len()).map(|at| chars[at]).collect()
            };
            match value {
                Val::Safe(_) => Val::Safe(sliced.into()),
                _ => Val::str(sliced),
            }
        }
        Val::List(list) => Val::list(pick(list.len()).filter_map(|at| list.get(at)).collect()),
        Val::Tuple(tuple) => Val::tuple(
            pick(tuple.items.len())
                .map(|at| tuple.items[at].clone())
                .collect(),
        ),
        Val::Bytes(bytes) => Val::Bytes(pick(bytes.len()).map(|at| bytes[at]).collect()),
        Val::Range(range) => {
            let (from, to) = bounds(range.len(), start, stop, step);
            let at = |index: i64| range.start + range.step * index;
            Val::Range(Rc::new(super::value::Range {
                start: at(from),
                stop: at(to),
                step: range.step * step,
            }))
        }
        // Templates compile slices to Python's own subscripts: no undefined comes of them.
        _ => {
            return Err(type_error(format!(
                "'{}' object is not subscriptable",
                value.type_name()
            )));
        }
    })
}

/// Start and end of a slice within a sequence of `length`.
fn bounds(length: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> (i64, i64) {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let (lowest, highest) = if step > 0 {
        (0, length)
    } else {
        (-1, length - 1)
    };
    let fit = |index: i64| {
        let index = if index < 0 {
            index.saturating_add(length)
        } else {
            index
        };
        index.clamp(lowest, highest)
    };
    let (first, last) = if step > 0 {
        (0, length)
    } else {
        (length - 1, -1)
    };
    (start.map_or(first, fit), stop.map_or(last, fit))
}

pub(super) fn indices(
    length: usize,
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
) -> impl Iterator<Item = usize> {
    let (from, to) = bounds(length, start, stop, step);
    std::iter::successors(Some(from), move |at| at.checked_add(step))
        .take_while(move |at| if step > 0 { *at < to } else { *at > to })
        .filter_map(|at| usize::try_from(at).ok())
}

/// All elements of a value, as `for` takes them.
///
/// # Errors
///
/// `TypeError` if it has none; that of a missing value in strict mode.
pub(super) fn elements(value: &Val, engine: &Engine<'_>) -> Res<Vec<Val>> {
    let budget = &engine.budget;
    let items = match value {
        Val::List(list) => list.to_vec(),
        Val::Tuple(tuple) => tuple.items.clone(),
        Val::Dict(dict) => dict.keys(),
        Val::Set(set) => set.items.borrow().keys().map(|key| key.0.clone()).collect(),
        Val::View(ViewKind::Keys, dict) => dict.keys(),
        Val::View(kind, dict) => text::view_items(*kind, dict),
        Val::Str(text) | Val::Safe(text) => text
            .chars()
            .map(|c| Val::str(c.encode_utf8(&mut [0; 4]) as &str))
            .collect(),
        Val::Bytes(bytes) => bytes
            .iter()
            .map(|byte| Val::Int(i64::from(*byte)))
            .collect(),
        Val::Range(range) => {
            budget.elements(range.len())?;
            return Ok((0..range.len())
                .filter_map(|at| range.get(at).map(Val::Int))
                .collect());
        }
        Val::Iter(iter) => {
            let mut items = Vec::new();
            while let Some(item) = iter.next(engine)? {
                budget.bytes(16)?;
                items.push(item);
            }
            return Ok(items);
        }
        Val::Undefined(missing) if missing.is_lenient => Vec::new(),
        Val::Undefined(missing) => return Err(missing.error()),
        Val::Loop(state) => state.rest(),
        other => {
            return Err(type_error(format!(
                "'{}' object is not iterable",
                other.type_name()
            )));
        }
    };
    budget.elements(items.len())?;
    Ok(items)
}

/// `len(value)`.
pub(super) fn length(value: &Val) -> Res<usize> {
    Ok(match value {
        Val::Str(text) | Val::Safe(text) => text.chars().count(),
        Val::Bytes(bytes) => bytes.len(),
        Val::List(list) => list.len(),
        Val::Tuple(tuple) => tuple.items.len(),
        Val::Dict(dict) | Val::View(_, dict) => dict.len(),
        Val::Set(set) => set.items.borrow().len(),
        Val::Range(range) => range.len(),
        Val::Loop(state) => state.items.len(),
        Val::Undefined(missing) if missing.is_lenient => 0,
        Val::Undefined(missing) => return Err(missing.error()),
        other => {
            return Err(type_error(format!(
                "object of type '{}' has no len()",
                other.type_name()
            )));
        }
    })
}
