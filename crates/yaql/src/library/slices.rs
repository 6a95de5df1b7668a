//! Pieces of collections, and collections with elements put in or taken out.

use super::Library;
use super::collections::{enumerated, to_tuple};
use super::queries::stop_position;
use crate::call::Call;
use crate::error::Error;
use crate::iterator::{Cursor, VALUE_BYTES};
use crate::value::{Sequence, Value};

pub(super) fn add(library: &mut Library) {
    add_edits(library);
    add_inserts(library);
    library.method("slice(collection: iterable, length: int)", |call| {
        let mut source = call.cursor(0)?;
        let length = stop_position(call, 1);
        call.lazy(move |ev| {
            let length = length.clone()?;
            let mut piece = Vec::new();
            while (piece.len() as u64) < length {
                let Some(item) = source.next(ev)? else {
                    break;
                };
                ev.charge(VALUE_BYTES)?;
                piece.push(item);
            }
            if piece.is_empty() {
                return Ok(None);
            }
            Value::tuple(piece).map(Some)
        })
    });
    library.method(
        "splitWhere(collection: iterable, predicate: lambda)",
        |call| pieces(call, true),
    );
    library.method(
        "sliceWhere(collection: iterable, predicate: lambda)",
        |call| pieces(call, false),
    );
    library.method("splitAt(collection: iterable, index: int)", |call| {
        let items = tuple(call, 0)?;
        let middle = slice_index(call.int(1)?, items.len());
        call.ev.charge(items.len() as u64 * VALUE_BYTES)?;
        let left = Value::tuple(items.iter().take(middle).collect())?;
        let right = Value::tuple(items.iter().skip(middle).collect())?;
        Value::list(vec![left, right])
    });
}

fn tuple(call: &mut Call<'_, '_>, index: usize) -> Result<Sequence, Error> {
    match to_tuple(call, index)? {
        Value::Sequence(items) => Ok(items),
        other => Err(Error::type_error(format!(
            "'{}' is no tuple",
            other.type_name()
        ))),
    }
}

/// A Python slice index: negative ones count from the end, all are brought into range.
pub(super) fn slice_index(index: i64, length: usize) -> usize {
    let length_signed = i64::try_from(length).unwrap_or(i64::MAX);
    let index = if index < 0 {
        index.saturating_add(length_signed)
    } else {
        index
    };
    usize::try_from(index.clamp(0, length_signed)).unwrap_or(0)
}

fn part(
    ev: &mut crate::eval::Evaluation<'_>,
    items: &Sequence,
    start: usize,
    end: usize,
) -> Result<Value, Error> {
    ev.charge((end - start) as u64 * VALUE_BYTES)?;
    Value::tuple((start..end).filter_map(|index| items.get(index)).collect())
}

/// Pieces between elements that match, or pieces of elements with the same answer.
fn pieces(call: &mut Call<'_, '_>, split: bool) -> Result<Value, Error> {
    let predicate = call.lambda(1)?;
    let mut source: Option<Cursor> = Some(call.cursor(0)?);
    let mut items: Option<Sequence> = None;
    let (mut start, mut end) = (0, 0);
    let mut answer: Option<Value> = None;
    call.lazy(move |ev| {
        if let Some(mut source) = source.take() {
            items = Some(Sequence::new(source.collect(ev)?, false)?);
        }
        let Some(items) = &items else {
            return Ok(None);
        };
        while let Some(item) = items.get(end) {
            let found = predicate.call1(ev, item)?;
            let from = start;
            let cut = end;
            end += 1;
            if split {
                if found.is_truthy() {
                    start = end;
                    return part(ev, items, from, cut).map(Some);
                }
            } else {
                let changed = answer.as_ref().is_some_and(|known| *known != found);
                answer = Some(found);
                if changed {
                    start = cut;
                    return part(ev, items, from, cut).map(Some);
                }
            }
        }
        if start == end {
            return Ok(None);
        }
        let from = start;
        start = end;
        part(ev, items, from, end).map(Some)
    })
}

/// Whether position `index` lies in the range that an edit covers.
fn covers(index: i64, position: i64, count: i64) -> bool {
    index >= position && (count < 0 || index < position.saturating_add(count))
}

fn add_edits(library: &mut Library) {
    library.method(
        "delete(collection: iterable, position: int, count: int=1)",
        |call| {
            let mut next = enumerated(call.cursor(0)?);
            let (position, count) = (call.int(1)?, call.int(2)?);
            call.lazy(move |ev| {
                while let Some((index, item)) = next(ev)? {
                    if !covers(index, position, count) {
                        return Ok(Some(item));
                    }
                }
                Ok(None)
            })
        },
    );
    library.method(
        "replace(collection: iterable, position: int, value, count: int=1)",
        |call| {
            let mut next = enumerated(call.cursor(0)?);
            let (position, count) = (call.int(1)?, call.int(3)?);
            let mut value = Some(call.value(2));
            call.lazy(move |ev| {
                while let Some((index, item)) = next(ev)? {
                    if !covers(index, position, count) {
                        return Ok(Some(item));
                    }
                    if let Some(value) = value.take() {
                        return Ok(Some(value));
                    }
                }
                Ok(None)
            })
        },
    );
    library.method(
        "replaceMany(collection: iterable, position: int, values: iterable, count: int=1)",
        |call| {
            let mut next = enumerated(call.cursor(0)?);
            let (position, count) = (call.int(1)?, call.int(3)?);
            let mut values = Some(call.cursor(2)?);
            let mut inserting: Option<Cursor> = None;
            call.lazy(move |ev| {
                loop {
                    if let Some(cursor) = &mut inserting {
                        if let Some(item) = cursor.next(ev)? {
                            return Ok(Some(item));
                        }
                        inserting = None;
                    }
                    match next(ev)? {
                        None => return Ok(None),
                        Some((index, item)) if !covers(index, position, count) => {
                            return Ok(Some(item));
                        }
                        Some(_) => inserting = values.take(),
                    }
                }
            })
        },
    );
}

fn add_inserts(library: &mut Library) {
    library.method(
        "insert(collection: sequence, position: int, value)",
        |call| {
            let items = call.sequence(0)?;
            let position = slice_index(call.word(1)?, items.len());
            call.ev.charge((items.len() as u64 + 1) * VALUE_BYTES)?;
            call.ev.steps(items.len() as u64 / 16)?;
            let mut items = items.to_vec();
            items.insert(position, call.value(2));
            Value::list(items)
        },
    );
    library.method(
        "insert(collection: iterable-no-set, position: int, value)",
        |call| {
            let value = call.value(2);
            insert_lazily(call, false, move |_| Ok(vec![value.clone()]))
        },
    );
    library.method(
        "insertMany(collection: iterable, position: int, values: iterable)",
        |call| {
            let values = call.value(2);
            insert_lazily(call, true, move |ev| ev.cursor(&values)?.collect(ev))
        },
    );
}

/// Elements before the one at a position; past the end they come last; before the beginning first or
/// not at all.
fn insert_lazily(
    call: &mut Call<'_, '_>,
    negative_first: bool,
    values: impl Fn(&mut crate::eval::Evaluation<'_>) -> Result<Vec<Value>, Error> + 'static,
) -> Result<Value, Error> {
    let mut next = enumerated(call.cursor(0)?);
    let position = call.int(1)?;
    let mut waiting = std::collections::VecDeque::new();
    let mut inserted = position < 0 && !negative_first;
    let mut ended = false;
    call.lazy(move |ev| {
        if !inserted && position < 0 {
            inserted = true;
            waiting.extend(values(ev)?);
        }
        loop {
            if let Some(item) = waiting.pop_front() {
                return Ok(Some(item));
            }
            if ended {
                return Ok(None);
            }
            match next(ev)? {
                Some((index, item)) => {
                    if !inserted && index == position {
                        inserted = true;
                        waiting.extend(values(ev)?);
                    }
                    waiting.push_back(item);
                }
                None => {
                    ended = true;
                    if !inserted {
                        inserted = true;
                        waiting.extend(values(ev)?);
                    }
                }
            }
        }
    })
}
