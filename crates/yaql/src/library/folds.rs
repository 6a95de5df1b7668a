//! Functions that turn a collection into one value.

use super::Library;
use crate::ast::Operator;
use crate::call::Call;
use crate::error::Error;
use crate::eval::Evaluation;
use crate::operators;
use crate::value::Value;

pub(super) fn add(library: &mut Library) {
    for name in ["aggregate", "reduce"] {
        library.method(
            &format!("{name}(collection: iterable, selector: lambda, seed=—)"),
            |call| {
                let selector = call.lambda(1)?;
                let seed = call.given(2);
                fold(call, seed, move |ev, a, b| selector.call(ev, &[a, b]))
            },
        );
    }
    library.method("sum(collection: iterable, initial=—)", |call| {
        let initial = call.given(1);
        fold(call, initial, |ev, a, b| {
            operators::binary(ev, Operator::Plus, &a, &b)
        })
    });
    library.method("max(collection: iterable, initial=—)", |call| {
        let initial = call.given(1);
        fold(call, initial, |ev, a, b| choose(ev, a, b, true))
    });
    library.method("min(collection: iterable, initial=—)", |call| {
        let initial = call.given(1);
        fold(call, initial, |ev, a, b| choose(ev, a, b, false))
    });
    library.function("max(a, b)", |call| {
        let (a, b) = (call.value(0), call.value(1));
        choose(call.ev, a, b, true)
    });
    library.function("min(a, b)", |call| {
        let (a, b) = (call.value(0), call.value(1));
        choose(call.ev, a, b, false)
    });
    library.method(
        "accumulate(collection: iterable, selector: lambda, seed=—)",
        accumulate,
    );
    add_ends(library);
    add_tests(library);
}

/// The second value if it is greater (or the first, when the smaller one is wanted).
fn choose(ev: &mut Evaluation<'_>, a: Value, b: Value, greatest: bool) -> Result<Value, Error> {
    let second_is_greater = operators::binary(ev, Operator::Greater, &b, &a)?.is_truthy();
    Ok(if second_is_greater == greatest { b } else { a })
}

fn fold(
    call: &mut Call<'_, '_>,
    seed: Option<Value>,
    mut step: impl FnMut(&mut Evaluation<'_>, Value, Value) -> Result<Value, Error>,
) -> Result<Value, Error> {
    let mut source = call.cursor(0)?;
    let seed = match seed {
        Some(seed) => Some(seed),
        None => source.next(call.ev)?,
    };
    let Some(mut total) = seed else {
        return Err(Error::type_error(
            "reduce() of empty iterable with no initial value",
        ));
    };
    while let Some(item) = source.next(call.ev)? {
        total = step(call.ev, total, item)?;
    }
    Ok(total)
}

/// The running totals of a fold.
fn accumulate(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let mut source = call.cursor(0)?;
    let selector = call.lambda(1)?;
    let mut seed = call.given(2);
    let mut total: Option<Value> = None;
    call.lazy(move |ev| {
        let next = match (total.take(), seed.take()) {
            (Some(total), _) => match source.next(ev)? {
                Some(item) => selector.call(ev, &[total, item])?,
                None => return Ok(None),
            },
            (None, Some(seed)) => seed,
            (None, None) => source.next(ev)?.ok_or_else(|| {
                Error::type_error("accumulate() of empty sequence with no initial value")
            })?,
        };
        total = Some(next.clone());
        Ok(Some(next))
    })
}

fn add_ends(library: &mut Library) {
    library.method("first(collection: iterable, default=—)", |call| {
        let first = call.cursor(0)?.next(call.ev)?;
        first
            .or_else(|| call.given(1))
            .ok_or_else(|| Error::empty(""))
    });
    library.method("last(collection: iterable, default=—)", |call| {
        if let Value::Sequence(items) = call.value(0)
            && let Some(index) = items.len().checked_sub(1)
        {
            return Ok(items.get(index).unwrap_or_default());
        }
        let mut source = call.cursor(0)?;
        let mut last = call.given(1);
        while let Some(item) = source.next(call.ev)? {
            last = Some(item);
        }
        last.ok_or_else(|| Error::empty(""))
    });
    library.method("single(collection: iterable)", |call| {
        let mut source = call.cursor(0)?;
        let only = source.next(call.ev)?.ok_or_else(|| Error::empty(""))?;
        match source.next(call.ev)? {
            None => Ok(only),
            Some(_) => Err(Error::empty("Collection contains more than one item")),
        }
    });
    library.extension("len(collection: iterator)", |call| {
        // Not under the engine's limit on iterators: only the count is kept.
        let value = call.value(0);
        let cursor = crate::iterator::Cursor::new(call.ev, &value, None)?;
        let mut count = 0_i64;
        if let Some(mut source) = cursor {
            while source.next(call.ev)?.is_some() {
                count += 1;
            }
        }
        Ok(Value::Int(count))
    });
    library.method("count(collection: iterable)", |call| {
        let mut source = call.cursor(0)?;
        let mut count = 0_i64;
        while source.next(call.ev)?.is_some() {
            count += 1;
        }
        Ok(Value::Int(count))
    });
}

fn add_tests(library: &mut Library) {
    library.extension(
        "any(collection: iterable, predicate: lambda=null)",
        |call| {
            let mut source = call.cursor(0)?;
            let predicate = call.lambda_or_null(1)?;
            while let Some(item) = source.next(call.ev)? {
                let Some(predicate) = &predicate else {
                    return Ok(Value::Bool(true));
                };
                if predicate.call1(call.ev, item)?.is_truthy() {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        },
    );
    library.extension(
        "all(collection: iterable, predicate: lambda=null)",
        |call| {
            let mut source = call.cursor(0)?;
            let predicate = call.lambda_or_null(1)?;
            while let Some(item) = source.next(call.ev)? {
                let holds = match &predicate {
                    Some(predicate) => predicate.call1(call.ev, item)?,
                    None => item,
                };
                if !holds.is_truthy() {
                    return Ok(Value::Bool(false));
                }
            }
            Ok(Value::Bool(true))
        },
    );
    for (name, last) in [("indexOf", false), ("lastIndexOf", true)] {
        library.method(
            &format!("{name}(collection: iterable, item)"),
            move |call| {
                let wanted = call.value(1);
                position(call, last, |_, item| Ok(item == wanted))
            },
        );
    }
    for (name, last) in [("indexWhere", false), ("lastIndexWhere", true)] {
        library.method(
            &format!("{name}(collection: iterable, predicate: lambda)"),
            move |call| {
                let predicate = call.lambda(1)?;
                position(call, last, |ev, item| {
                    Ok(predicate.call1(ev, item)?.is_truthy())
                })
            },
        );
    }
}

fn position(
    call: &mut Call<'_, '_>,
    last: bool,
    mut test: impl FnMut(&mut Evaluation<'_>, Value) -> Result<bool, Error>,
) -> Result<Value, Error> {
    let mut source = call.cursor(0)?;
    let mut found = -1;
    let mut index = 0;
    while let Some(item) = source.next(call.ev)? {
        if test(call.ev, item)? {
            found = index;
            if !last {
                break;
            }
        }
        index += 1;
    }
    Ok(Value::Int(found))
}
