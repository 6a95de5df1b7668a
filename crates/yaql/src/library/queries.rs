//! Functions that turn a collection into another, element by element.

use std::collections::VecDeque;
use std::rc::Rc;

use num_bigint::BigInt;

use super::Library;
use super::collections::{enumerated, to_tuple};
use crate::call::Call;
use crate::error::Error;
use crate::iterator::{Cursor, Iter, Ordering, VALUE_BYTES};
use crate::value::{Key, Members, Value};

pub(super) fn add(library: &mut Library) {
    add_maps(library);
    add_walks(library);
    add_joins(library);
    add_windows(library);
    add_repeats(library);
    add_sources(library);
    add_orderings(library);
}

fn add_maps(library: &mut Library) {
    for name in ["where", "filter"] {
        library.method(
            &format!("{name}(collection: iterable, predicate: lambda)"),
            |call| {
                let mut source = call.cursor(0)?;
                let predicate = call.lambda(1)?;
                call.lazy(move |ev| {
                    while let Some(item) = source.next(ev)? {
                        if predicate.call1(ev, item.clone())?.is_truthy() {
                            return Ok(Some(item));
                        }
                    }
                    Ok(None)
                })
            },
        );
    }
    for name in ["select", "map"] {
        library.method(
            &format!("{name}(collection: iterable, selector: lambda)"),
            |call| {
                let mut source = call.cursor(0)?;
                let selector = call.lambda(1)?;
                call.lazy(move |ev| match source.next(ev)? {
                    Some(item) => selector.call1(ev, item).map(Some),
                    None => Ok(None),
                })
            },
        );
    }
    library.method(
        "selectMany(collection: iterable, selector: lambda)",
        select_many,
    );
}

fn add_walks(library: &mut Library) {
    library.extension(
        "distinct(collection: iterable, keySelector: lambda=null)",
        |call| {
            let source = call.cursor(0)?;
            let selector = call.lambda_or_null(1)?;
            distinct(call, source, selector)
        },
    );
    library.extension("enumerate(collection: iterable, start: int?=0)", |call| {
        let mut next = enumerated(call.cursor(0)?);
        if matches!(call.value(1), Value::Null) {
            return Err(Error::type_error(
                "'NoneType' object cannot be interpreted as an integer",
            ));
        }
        let start = call.big_int(1)?;
        call.lazy(move |ev| match next(ev)? {
            Some((index, item)) => {
                ev.charge(4 * VALUE_BYTES)?;
                Value::list(vec![Value::big(&start + index), item]).map(Some)
            }
            None => Ok(None),
        })
    });
    library.method("memorize(collection: iterable)", |call| {
        match call.value(0) {
            value @ Value::Iterator(_) => {
                let cursor = call.ev.cursor(&value)?;
                Ok(Value::Iterator(Iter::memorized(cursor)?))
            }
            other => Ok(other),
        }
    });
    library.method("reverse(collection: iterable)", |call| {
        let Value::Sequence(items) = to_tuple(call, 0)? else {
            return Ok(Value::Null);
        };
        let mut left = items.len();
        call.lazy(move |_| {
            let Some(index) = left.checked_sub(1) else {
                return Ok(None);
            };
            left = index;
            Ok(items.get(index))
        })
    });
}

fn select_many(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let mut source = call.cursor(0)?;
    let selector = call.lambda(1)?;
    let mut inner: Option<Cursor> = None;
    call.lazy(move |ev| {
        loop {
            if let Some(cursor) = &mut inner {
                if let Some(item) = cursor.next(ev)? {
                    return Ok(Some(item));
                }
                inner = None;
            }
            let Some(item) = source.next(ev)? else {
                return Ok(None);
            };
            let selected = selector.call1(ev, item)?;
            if !selected.is_iterable() {
                return Ok(Some(selected));
            }
            inner = Cursor::new(ev, &selected, None)?;
        }
    })
}

/// The elements whose key was not seen before.
pub(super) fn distinct(
    call: &mut Call<'_, '_>,
    mut source: Cursor,
    selector: Option<crate::lambda::LambdaRef>,
) -> Result<Value, Error> {
    let mut seen = Members::default();
    call.lazy(move |ev| {
        while let Some(item) = source.next(ev)? {
            let key = match &selector {
                Some(selector) => selector.call1(ev, item.clone())?,
                None => item.clone(),
            };
            ev.charge(2 * VALUE_BYTES)?;
            if seen.insert(Key::new(key)?) {
                return Ok(Some(item));
            }
        }
        Ok(None)
    })
}

fn add_joins(library: &mut Library) {
    library.extension("append(collection: iterable, *args)", |call| {
        let mut source = call.cursor(0)?;
        let mut args = call.rest().to_vec().into_iter();
        call.lazy(move |ev| match source.next(ev)? {
            Some(item) => Ok(Some(item)),
            None => Ok(args.next()),
        })
    });
    library.extension("concat(*collections: iterable)", |call| {
        let mut sources = VecDeque::from(cursors(call)?);
        call.lazy(move |ev| {
            while let Some(source) = sources.front_mut() {
                if let Some(item) = source.next(ev)? {
                    return Ok(Some(item));
                }
                sources.pop_front();
            }
            Ok(None)
        })
    });
    library.method(
        "join(collection1: iterable, collection2: iterable, predicate: lambda, selector: lambda)",
        join,
    );
    library.method("zip(*collections: iterable)", |call| {
        let mut sources = cursors(call)?;
        call.lazy(move |ev| {
            let mut row = Vec::with_capacity(sources.len());
            for source in &mut sources {
                match source.next(ev)? {
                    Some(item) => row.push(item),
                    None => return Ok(None),
                }
            }
            ev.charge(row.len() as u64 * VALUE_BYTES)?;
            Value::tuple(row).map(Some)
        })
    });
    library.method("zipLongest(*collections: iterable, **kwargs)", |call| {
        let mut sources: Vec<Option<Cursor>> = cursors(call)?.into_iter().map(Some).collect();
        let named = call.named().iter().find(|(name, _)| **name == *"default");
        let default = named.map(|(_, value)| value.clone()).unwrap_or_default();
        call.lazy(move |ev| {
            let mut row = Vec::with_capacity(sources.len());
            for slot in &mut sources {
                let item = match slot {
                    Some(source) => source.next(ev)?,
                    None => None,
                };
                if item.is_none() {
                    *slot = None;
                }
                row.push(item.unwrap_or_else(|| default.clone()));
            }
            if sources.iter().all(Option::is_none) {
                return Ok(None);
            }
            ev.charge(row.len() as u64 * VALUE_BYTES)?;
            Value::tuple(row).map(Some)
        })
    });
}

fn cursors(call: &mut Call<'_, '_>) -> Result<Vec<Cursor>, Error> {
    let collections = call.rest().to_vec();
    collections
        .iter()
        .map(|value| call.ev.cursor(value))
        .collect()
}

fn join(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let mut left = call.cursor(0)?;
    let right = match call.value(1) {
        value @ Value::Iterator(_) => {
            let cursor = call.ev.cursor(&value)?;
            Value::Iterator(Iter::memorized(cursor)?)
        }
        other => other,
    };
    let (predicate, selector) = (call.lambda(2)?, call.lambda(3)?);
    let mut row: Option<(Value, Cursor)> = None;
    call.lazy(move |ev| {
        loop {
            if let Some((item, others)) = &mut row {
                while let Some(other) = others.next(ev)? {
                    let pair = [item.clone(), other];
                    if predicate.call(ev, &pair)?.is_truthy() {
                        return selector.call(ev, &pair).map(Some);
                    }
                }
            }
            row = match left.next(ev)? {
                Some(item) => Some((item, ev.cursor(&right)?)),
                None => return Ok(None),
            };
        }
    })
}

fn out_of_range(what: &str) -> Error {
    Error::value_error(format!(
        "{what} for islice() must be None or an integer: 0 <= x <= sys.maxsize."
    ))
}

/// How many elements to leave out.
fn start_position(call: &Call<'_, '_>, index: usize) -> Result<u64, Error> {
    match call.value(index) {
        Value::BigInt(_) => Err(out_of_range("Indices")),
        _ => u64::try_from(call.int(index)?).map_err(|_| out_of_range("Indices")),
    }
}

/// How many elements to take; the reference has other words for -1, its own sign of an error.
pub(super) fn stop_position(call: &Call<'_, '_>, index: usize) -> Result<u64, Error> {
    match call.value(index) {
        Value::BigInt(_) => Err(out_of_range("Stop argument")),
        _ => match call.int(index)? {
            -1 => Err(out_of_range("Stop argument")),
            count => u64::try_from(count).map_err(|_| out_of_range("Indices")),
        },
    }
}

fn add_windows(library: &mut Library) {
    for name in ["limit", "take"] {
        library.method(
            &format!("{name}(collection: iterable, count: int)"),
            |call| {
                let mut left = stop_position(call, 1)?;
                let mut source = call.cursor(0)?;
                call.lazy(move |ev| {
                    if left == 0 {
                        return Ok(None);
                    }
                    left -= 1;
                    source.next(ev)
                })
            },
        );
    }
    library.method("skip(collection: iterable, count: int)", |call| {
        let mut left = start_position(call, 1)?;
        let mut source = call.cursor(0)?;
        call.lazy(move |ev| {
            while left > 0 {
                if source.next(ev)?.is_none() {
                    return Ok(None);
                }
                left -= 1;
            }
            source.next(ev)
        })
    });
    library.method(
        "takeWhile(collection: iterable, predicate: lambda)",
        |call| {
            let mut source = call.cursor(0)?;
            let predicate = call.lambda(1)?;
            call.lazy(move |ev| match source.next(ev)? {
                Some(item) if predicate.call1(ev, item.clone())?.is_truthy() => Ok(Some(item)),
                _ => Ok(None),
            })
        },
    );
    library.method(
        "skipWhile(collection: iterable, predicate: lambda)",
        |call| {
            let mut source = call.cursor(0)?;
            let predicate = call.lambda(1)?;
            let mut skipping = true;
            call.lazy(move |ev| {
                while let Some(item) = source.next(ev)? {
                    skipping = skipping && predicate.call1(ev, item.clone())?.is_truthy();
                    if !skipping {
                        return Ok(Some(item));
                    }
                }
                Ok(None)
            })
        },
    );
}

fn add_repeats(library: &mut Library) {
    library.method("cycle(collection: iterable)", |call| {
        let mut source = call.cursor(0)?;
        let mut seen: Vec<Value> = Vec::new();
        let mut at: Option<usize> = None;
        call.lazy(move |ev| {
            if at.is_none()
                && let Some(item) = source.next(ev)?
            {
                ev.charge(VALUE_BYTES)?;
                seen.push(item.clone());
                return Ok(Some(item));
            }
            let index = at.unwrap_or(0);
            let item = seen.get(index).cloned();
            if item.is_some() {
                at = Some((index + 1) % seen.len());
            }
            Ok(item)
        })
    });
    library.method(
        "defaultIfEmpty(collection: iterable, default: iterable)",
        |call| {
            let (collection, default) = (call.value(0), call.value(1));
            let collection = match collection {
                iterator @ (Value::Iterator(_) | Value::Ordering(_)) => {
                    let cursor = call.ev.cursor(&iterator)?;
                    Value::Iterator(Iter::memorized(cursor)?)
                }
                other => other,
            };
            let first = call.ev.cursor(&collection)?.next(call.ev)?;
            Ok(if first.is_some() { collection } else { default })
        },
    );
}

fn add_sources(library: &mut Library) {
    library.function("range(stop: int)", |call| {
        let stop = call.big_int(0)?;
        counter(call, BigInt::ZERO, BigInt::from(1), Some(stop))
    });
    library.function("range(start: int, stop: int, step: int=1)", |call| {
        let (start, stop, step) = (call.big_int(0)?, call.big_int(1)?, call.big_int(2)?);
        if step == BigInt::ZERO {
            return Err(Error::value_error("range() arg 3 must not be zero"));
        }
        counter(call, start, step, Some(stop))
    });
    library.function("sequence(start: int=0, step: int=1)", |call| {
        let (start, step) = (call.big_int(0)?, call.big_int(1)?);
        counter(call, start, step, None)
    });
    library.method("repeat(value, times: int=-1)", |call| {
        let value = call.value(0);
        let mut left = u64::try_from(call.int(1)?).ok();
        call.lazy(move |_| {
            if let Some(left) = &mut left {
                if *left == 0 {
                    return Ok(None);
                }
                *left -= 1;
            }
            Ok(Some(value.clone()))
        })
    });
    library.function(
        "generate(initial, predicate: lambda, producer: lambda, selector: lambda=null, decycle: bool=false)",
        generate,
    );
    library.function(
        "generateMany(initial, producer: lambda, selector: lambda=null, decycle: bool=false, depthFirst: bool=false)",
        generate_many,
    );
    library.function("isIterable(value)", |call| {
        Ok(Value::Bool(call.value(0).is_iterable()))
    });
}

fn counter(
    call: &Call<'_, '_>,
    start: BigInt,
    step: BigInt,
    stop: Option<BigInt>,
) -> Result<Value, Error> {
    let small = |number: &BigInt| i64::try_from(number).ok();
    let stop_small = match &stop {
        None => Some(None),
        Some(stop) => small(stop).map(Some),
    };
    if let (Some(mut next), Some(step), Some(stop)) = (small(&start), small(&step), stop_small)
        // Far from the ends of 64 bits no element can overflow within any budget of steps.
        && next.unsigned_abs() < 1 << 62
        && step.unsigned_abs() < 1 << 20
    {
        return call.lazy(move |_| {
            if stop.is_some_and(|stop| if step > 0 { next >= stop } else { next <= stop }) {
                return Ok(None);
            }
            let item = next;
            next = next.saturating_add(step);
            Ok(Some(Value::Int(item)))
        });
    }
    let mut next = start;
    let upwards = step > BigInt::ZERO;
    call.lazy(move |ev| {
        if stop.as_ref().is_some_and(|stop| {
            if upwards {
                next >= *stop
            } else {
                next <= *stop
            }
        }) {
            return Ok(None);
        }
        let item = crate::number::big(ev, next.clone())?;
        next += &step;
        Ok(Some(item))
    })
}

fn generate(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let mut next = Some(call.value(0));
    let (predicate, producer) = (call.lambda(1)?, call.lambda(2)?);
    let selector = call.lambda_or_null(3)?;
    let decycle = call.truth(4);
    let mut past = Members::default();
    let mut produced = true;
    call.lazy(move |ev| {
        let Some(mut item) = next.take() else {
            return Ok(None);
        };
        if !std::mem::take(&mut produced) {
            item = producer.call1(ev, item)?;
        }
        if !predicate.call1(ev, item.clone())?.is_truthy() {
            return Ok(None);
        }
        if decycle {
            ev.charge(2 * VALUE_BYTES)?;
            if !past.insert(Key::new(item.clone())?) {
                return Ok(None);
            }
        }
        next = Some(item.clone());
        match &selector {
            Some(selector) => selector.call1(ev, item).map(Some),
            None => Ok(Some(item)),
        }
    })
}

fn generate_many(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let mut queue = VecDeque::from([call.value(0)]);
    let producer = call.lambda(1)?;
    let selector = call.lambda_or_null(2)?;
    let (decycle, depth_first) = (call.truth(3), call.truth(4));
    let mut past = Members::default();
    let mut parent: Option<Value> = None;
    call.lazy(move |ev| {
        // Children are asked for only when the element after their parent is.
        if let Some(parent) = parent.take() {
            let produced = producer.call1(ev, parent)?;
            let children = match &produced {
                Value::String(text) => text.chars().map(|c| Value::from(c.to_string())).collect(),
                other => ev.cursor(other)?.collect(ev)?,
            };
            if depth_first {
                for child in children.into_iter().rev() {
                    queue.push_front(child);
                }
            } else {
                queue.extend(children);
            }
        }
        while let Some(item) = queue.pop_front() {
            ev.step()?;
            if decycle {
                ev.charge(2 * VALUE_BYTES)?;
                if !past.insert(Key::new(item.clone())?) {
                    continue;
                }
            }
            parent = Some(item.clone());
            return match &selector {
                Some(selector) => selector.call1(ev, item).map(Some),
                None => Ok(Some(item)),
            };
        }
        Ok(None)
    })
}

fn add_orderings(library: &mut Library) {
    for (name, ascending) in [("orderBy", true), ("orderByDescending", false)] {
        library.method(
            &format!("{name}(collection: iterable, selector: lambda)"),
            move |call| {
                let source = call.cursor(0)?;
                let ordering = Ordering::new(source, call.lambda(1)?, ascending)?;
                let ordering = Rc::new(ordering);
                call.ev.note_ordering(&ordering);
                Ok(Value::Ordering(ordering))
            },
        );
    }
    for (name, ascending) in [("thenBy", true), ("thenByDescending", false)] {
        library.method(
            &format!("{name}(collection: ordering, selector: lambda)"),
            move |call| {
                let value = call.value(0);
                if let Value::Ordering(ordering) = &value {
                    ordering.then(call.lambda(1)?, ascending)?;
                }
                Ok(value)
            },
        );
    }
}
