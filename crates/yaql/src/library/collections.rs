//! Lists and dictionaries.

use super::Library;
use crate::call::Call;
use crate::error::Error;
use crate::eval::Evaluation;
use crate::iterator::{Cursor, VALUE_BYTES};
use crate::operators;
use crate::value::{Dict, Key, Map, Value, View, ViewKind};

pub(super) fn add(library: &mut Library) {
    add_lists(library);
    add_dicts(library);
    library.method("contains(collection: iterable, value)", |call| {
        let (collection, value) = (call.value(0), call.value(1));
        operators::contains(call.ev, &value, &collection).map(Value::Bool)
    });
    library.extension("len(dict: dict)", size);
    library.extension("len(sequence: sequence)", size);
    library.function("isList(arg)", |call| {
        Ok(Value::Bool(matches!(call.value(0), Value::Sequence(_))))
    });
    library.function("isDict(arg)", |call| {
        Ok(Value::Bool(matches!(call.value(0), Value::Dict(_))))
    });
}

pub(super) fn size(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    Ok(Value::from(call.value(0).size().unwrap_or(0)))
}

fn add_lists(library: &mut Library) {
    library.function("list(*args)", |call| {
        let items = splice(call)?;
        Value::tuple(items)
    });
    library.method("toList(collection: iterable)", |call| to_tuple(call, 0));
    library.method("flatten(collection: iterable)", |call| {
        let mut stack = vec![call.cursor(0)?];
        call.lazy(move |ev| {
            while let Some(source) = stack.last_mut() {
                match source.next(ev)? {
                    Some(item) if item.is_iterable() => {
                        if stack.len() >= crate::value::NESTING_MAX as usize {
                            return Err(Error::too_deep());
                        }
                        stack.push(ev.cursor(&item)?);
                    }
                    Some(item) => return Ok(Some(item)),
                    None => {
                        stack.pop();
                    }
                }
            }
            Ok(None)
        })
    });
}

/// The arguments with iterators among them, and in those, unrolled.
pub(super) fn splice(call: &mut Call<'_, '_>) -> Result<Vec<Value>, Error> {
    let args = std::mem::take(&mut call.rest);
    let mut items = Vec::with_capacity(args.len());
    for arg in args {
        if !matches!(arg, Value::Iterator(_)) {
            items.push(arg);
            continue;
        }
        let mut stack = vec![call.ev.cursor(&arg)?];
        while let Some(source) = stack.last_mut() {
            match source.next(call.ev)? {
                Some(inner @ Value::Iterator(_)) => {
                    if stack.len() >= crate::value::NESTING_MAX as usize {
                        return Err(Error::too_deep());
                    }
                    stack.push(call.ev.cursor(&inner)?);
                }
                Some(item) => {
                    call.ev.charge(VALUE_BYTES)?;
                    items.push(item);
                }
                None => {
                    stack.pop();
                }
            }
        }
    }
    check_length(call.ev, items.len())?;
    Ok(items)
}

/// The engine's limit, for a collection that was made from an iterator inside a function.
fn check_length(ev: &Evaluation<'_>, length: usize) -> Result<(), Error> {
    match ev.options().limit_iterators {
        Some(limit) if length as u64 > limit => Err(Error::too_large(limit)),
        _ => Ok(()),
    }
}

/// A collection argument as a tuple.
pub(super) fn to_tuple(call: &mut Call<'_, '_>, index: usize) -> Result<Value, Error> {
    match call.value(index) {
        Value::Sequence(items) if !items.is_mutable() => Ok(Value::Sequence(items)),
        other => {
            let items = call.ev.cursor(&other)?.collect(call.ev)?;
            Value::tuple(items)
        }
    }
}

fn add_dicts(library: &mut Library) {
    library.method(
        "toDict(collection: iterable, keySelector: lambda, valueSelector: lambda=null)",
        to_dict,
    );
    library.method("get(dict: dict, key, default=null)", |call| {
        let found = call.dict(0)?.get(&call.value(1))?;
        Ok(found.unwrap_or_else(|| call.value(2)))
    });
    library.method("!set(dict: dict, key, value)", |call| {
        let pair = [(call.value(1), call.value(2))];
        extended(call, pair)
    });
    library.method("!set(dict: dict, replacements: dict)", |call| {
        let replacements = call.dict(1)?;
        extended(call, replacements.iter())
    });
    library.method("!set(dict: dict, *args: rule-pair)", |call| {
        let rules = std::mem::take(&mut call.rest);
        let pairs = rules.into_iter().filter_map(|rule| match rule {
            Value::Rule(rule) => Some((rule.0.clone(), rule.1.clone())),
            _ => None,
        });
        extended(call, pairs)
    });
    for (name, kind) in [
        ("keys", ViewKind::Keys),
        ("values", ViewKind::Values),
        ("items", ViewKind::Items),
    ] {
        library.method(&format!("{name}(dict: dict)"), move |call| {
            Ok(Value::View(View {
                dict: call.dict(0)?,
                kind,
            }))
        });
    }
    library.method("containsKey(dict: dict, key)", |call| {
        Ok(Value::Bool(call.dict(0)?.get(&call.value(1))?.is_some()))
    });
    library.method("containsValue(dict: dict, value)", |call| {
        let (dict, wanted) = (call.dict(0)?, call.value(1));
        call.ev.steps(dict.len() as u64)?;
        Ok(Value::Bool(dict.iter().any(|(_, value)| value == wanted)))
    });
    library.method("delete(dict: dict, *keys)", |call| {
        let keys = std::mem::take(&mut call.rest);
        without(call, keys)
    });
    library.method("deleteAll(dict: dict, keys: iterable)", |call| {
        let keys = call.cursor(1)?.collect(call.ev)?;
        without(call, keys)
    });
}

fn to_dict(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let mut source = call.cursor(0)?;
    let key_selector = call.lambda(1)?;
    let value_selector = call.lambda_or_null(2)?;
    let mut map = Map::default();
    while let Some(item) = source.next(call.ev)? {
        call.ev.charge(3 * VALUE_BYTES)?;
        let key = key_selector.call1(call.ev, item.clone())?;
        let value = match &value_selector {
            Some(selector) => selector.call1(call.ev, item)?,
            None => item,
        };
        map.insert(Key::new(key)?, value);
    }
    Value::plain_dict(map)
}

/// A copy of the entries, counted.
pub(super) fn copy(ev: &mut Evaluation<'_>, dict: &Dict) -> Result<Map, Error> {
    ev.charge(dict.len() as u64 * 3 * VALUE_BYTES)?;
    ev.steps(dict.len() as u64 / 8)?;
    Ok(dict.to_map())
}

fn extended(
    call: &mut Call<'_, '_>,
    pairs: impl IntoIterator<Item = (Value, Value)>,
) -> Result<Value, Error> {
    let dict = call.dict(0)?;
    let mut map = copy(call.ev, &dict)?;
    for (key, value) in pairs {
        call.ev.charge(3 * VALUE_BYTES)?;
        map.insert(Key::new(key)?, value);
    }
    Value::dict(map)
}

fn without(call: &mut Call<'_, '_>, keys: Vec<Value>) -> Result<Value, Error> {
    let dict = call.dict(0)?;
    let mut map = copy(call.ev, &dict)?;
    call.ev.steps(keys.len() as u64)?;
    let mut dropped = crate::value::Members::default();
    for key in keys {
        dropped.insert(Key::new(key)?);
    }
    map.retain(|key, _| !dropped.contains(key));
    Value::plain_dict(map)
}

/// Walks over a collection with positions.
pub(super) fn enumerated(
    source: Cursor,
) -> impl FnMut(&mut Evaluation<'_>) -> Result<Option<(i64, Value)>, Error> {
    let mut source = source;
    let mut index = -1;
    move |ev| {
        Ok(source.next(ev)?.map(|item| {
            index += 1;
            (index, item)
        }))
    }
}
