//! Results: from what expressions compute to what programs keep.

use std::sync::Arc;

use squall_value::{Dict as DataDict, Str, Value as Data, python};

use crate::error::Error;
use crate::eval::Evaluation;
use crate::iterator::{Cursor, VALUE_BYTES};
use crate::text;
use crate::value::{Dict, Key, Map, Members, Sequence, Set, Value};

/// The language's output conversion: lazy things are pulled, frozen ones become plain.
///
/// Members of sets and keys of dictionaries stay as they are where Python would refuse the converted
/// ones: a set of tuples is a set of tuples.
pub(crate) fn finalize(ev: &mut Evaluation<'_>, value: Value) -> Result<Value, Error> {
    match value {
        Value::Dict(dict) => {
            ev.check_size(&Value::Dict(dict.clone()))?;
            if dict.as_data().is_some() && ev.options().limit_iterators.is_none() {
                return Ok(Value::Dict(dict.thawed()));
            }
            ev.enter()?;
            let mut map = Map::default();
            for (key, item) in dict.iter() {
                ev.step()?;
                ev.charge(3 * VALUE_BYTES)?;
                let key = finalize_member(ev, key)?;
                map.insert(Key::new(key)?, finalize(ev, item)?);
            }
            ev.leave();
            Ok(Value::Dict(Dict::new(map, true)?))
        }
        Value::Sequence(items) => {
            ev.check_size(&Value::Sequence(items.clone()))?;
            let mutable = items.is_mutable() || ev.options().convert_tuples_to_lists;
            if items.as_data().is_some() && mutable && ev.options().limit_iterators.is_none() {
                return Ok(Value::Sequence(items.thawed()));
            }
            let source = Value::Sequence(items);
            Ok(Value::Sequence(Sequence::new(
                elements(ev, &source)?,
                mutable,
            )?))
        }
        set if set.is_set_like() => finalize_set(ev, set),
        other if other.is_iterable() => {
            ev.check_size(&other)?;
            Ok(Value::Sequence(Sequence::new(elements(ev, &other)?, true)?))
        }
        other => Ok(other),
    }
}

fn finalize_set(ev: &mut Evaluation<'_>, set: Value) -> Result<Value, Error> {
    ev.check_size(&set)?;
    if ev.options().convert_sets_to_lists {
        return Ok(Value::Sequence(Sequence::new(elements(ev, &set)?, true)?));
    }
    if let Value::Set(plain) = &set
        && !plain.iter().any(is_lazy)
    {
        return Ok(set);
    }
    let mut source = ev.cursor(&set)?;
    let mut members = Members::default();
    while let Some(item) = source.next(ev)? {
        ev.charge(2 * VALUE_BYTES)?;
        let item = finalize_member(ev, item)?;
        match Key::new(item) {
            Ok(key) => members.insert(key),
            // An item whose value is a mutable list can't be a member: then a view is a list.
            Err(_) => {
                return Ok(Value::Sequence(Sequence::new(elements(ev, &set)?, true)?));
            }
        };
    }
    Set::new(members).map(Value::Set)
}

fn is_lazy(value: &Value) -> bool {
    matches!(value, Value::Iterator(_) | Value::Ordering(_))
}

/// A member of a set or a key: a lazy one becomes a tuple, the others are plain enough.
fn finalize_member(ev: &mut Evaluation<'_>, value: Value) -> Result<Value, Error> {
    if is_lazy(&value) {
        return Value::tuple(elements(ev, &value)?);
    }
    Ok(value)
}

fn elements(ev: &mut Evaluation<'_>, value: &Value) -> Result<Vec<Value>, Error> {
    ev.enter()?;
    let mut source: Cursor = ev.cursor(value)?;
    let mut items = Vec::new();
    while let Some(item) = source.next(ev)? {
        ev.charge(VALUE_BYTES)?;
        items.push(finalize(ev, item)?);
    }
    ev.leave();
    Ok(items)
}

/// A finished result as plain data: sets and views become lists, dates ISO 8601 text, timespans
/// seconds, keys texts, and anything else its Python text.
pub(crate) fn to_data(value: &Value) -> Result<Data, Error> {
    Ok(match value {
        Value::Null => Data::Null,
        Value::Bool(truth) => Data::Bool(*truth),
        Value::Int(number) => Data::Int(*number),
        Value::BigInt(number) => Data::BigInt(number.clone()),
        Value::Float(number) => Data::Float(*number),
        Value::String(text) => Data::String(text.clone()),
        Value::Sequence(items) => match items.as_data() {
            Some(data) => Data::List(data.clone()),
            None => list(items.iter())?,
        },
        Value::Set(set) => list(set.iter().cloned())?,
        Value::View(view) => list(view.iter())?,
        Value::Dict(dict) => match dict.as_data() {
            Some(data) => Data::Dict(data.clone()),
            None => {
                let mut out = DataDict::with_capacity(dict.len());
                for (key, item) in dict.iter() {
                    out.insert(key_text(&key)?, to_data(&item)?);
                }
                Data::Dict(Arc::new(out))
            }
        },
        Value::DateTime(time) => Data::from(time.to_iso()),
        #[allow(clippy::cast_precision_loss)]
        Value::TimeSpan(span) => Data::Float(span.micros as f64 / 1e6),
        other => Data::from(text::for_message(other)),
    })
}

fn list(items: impl Iterator<Item = Value>) -> Result<Data, Error> {
    let items: Result<Vec<Data>, Error> = items.map(|item| to_data(&item)).collect();
    items.map(Data::from)
}

/// A key as JSON writes it: `true`, `null` and numbers become their JSON text.
fn key_text(key: &Value) -> Result<Str, Error> {
    Ok(match key {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) => Str::from(text::str(key, u64::MAX)?),
        Value::Float(number) => {
            let mut out = String::new();
            python::write_float(&mut out, *number);
            Str::from(out)
        }
        other => Str::from(text::python_str(other, 1 << 20)?),
    })
}
