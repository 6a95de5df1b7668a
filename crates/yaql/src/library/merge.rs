//! `groupBy` and `mergeWith`.

use super::Library;
use super::collections::copy;
use crate::call::Call;
use crate::error::{Error, Kind};
use crate::eval::Evaluation;
use crate::iterator::VALUE_BYTES;
use crate::lambda::LambdaRef;
use crate::operators;
use crate::value::{Dict, Key, Map, Members, Sequence, Value};

pub(super) fn add(library: &mut Library) {
    library.method(
        "groupBy(collection: iterable, keySelector: lambda, valueSelector: lambda=null, aggregator: lambda=null)",
        group_by,
    );
    library.method(
        "mergeWith(dict: dict, another: dict, listMerger: lambda=null, itemMerger: lambda=null, maxLevels: int=0)",
        |call| {
            let (left, right) = (call.dict(0)?, call.dict(1)?);
            let merger = Merger {
                lists: call.lambda_or_null(2)?,
                items: call.lambda_or_null(3)?,
            };
            let levels = call.int(4)?;
            merger.dicts(call.ev, &left, &right, levels)
        },
    );
}

fn group_by(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let mut source = call.cursor(0)?;
    let key_selector = call.lambda(1)?;
    let value_selector = call.lambda_or_null(2)?;
    let aggregator = call.lambda_or_null(3)?;
    let mut groups: indexmap::IndexMap<Key, Vec<Value>, foldhash::fast::RandomState> =
        indexmap::IndexMap::default();
    while let Some(item) = source.next(call.ev)? {
        call.ev.charge(VALUE_BYTES)?;
        let value = match &value_selector {
            Some(selector) => selector.call1(call.ev, item.clone())?,
            None => item.clone(),
        };
        let key = Key::new(key_selector.call1(call.ev, item)?)?;
        groups.entry(key).or_default().push(value);
    }
    let mut groups = groups.into_iter();
    let mut aggregation = Aggregation {
        aggregator,
        may_fall_back: true,
        failure: None,
    };
    call.lazy(move |ev| match groups.next() {
        Some((key, values)) => {
            ev.charge(4 * VALUE_BYTES)?;
            let values = Value::list(values)?;
            aggregation.group(ev, key.value().clone(), values).map(Some)
        }
        None => Ok(None),
    })
}

/// Applies the aggregator to the values of each group, or, as an older version of the language did, to
/// the pair of key and values: the first group decides which.
struct Aggregation {
    aggregator: Option<LambdaRef>,
    may_fall_back: bool,
    failure: Option<Error>,
}

impl Aggregation {
    fn group(
        &mut self,
        ev: &mut Evaluation<'_>,
        key: Value,
        values: Value,
    ) -> Result<Value, Error> {
        let Some(aggregator) = self.aggregator.clone() else {
            return Value::tuple(vec![key, values]);
        };
        if self.failure.is_none() {
            match aggregator.call1(ev, values.clone()) {
                Ok(result) => {
                    if !looks_like_pair(&values, &result) {
                        self.may_fall_back = false;
                    }
                    return Value::tuple(vec![key, result]);
                }
                Err(error) if matches!(error.kind, Kind::NoMatch | Kind::Index) => {
                    self.failure = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        if self.may_fall_back {
            let pair = Value::tuple(vec![key, values])?;
            match aggregator.call1(ev, pair) {
                Ok(result) if result.size() == Some(2) => return Ok(result),
                Err(error) if error.kind == Kind::Limit => return Err(error),
                _ => {}
            }
        }
        Err(self
            .failure
            .clone()
            .unwrap_or_else(|| Error::runtime("no aggregate")))
    }
}

fn looks_like_pair(values: &Value, result: &Value) -> bool {
    match (values, result) {
        (Value::Sequence(values), Value::Sequence(result)) => {
            values.len() == 2 && result.len() == 2 && values.get(0) == result.get(0)
        }
        _ => false,
    }
}

struct Merger {
    lists: Option<LambdaRef>,
    items: Option<LambdaRef>,
}

impl Merger {
    fn dicts(
        &self,
        ev: &mut Evaluation<'_>,
        left: &Dict,
        right: &Dict,
        levels: i64,
    ) -> Result<Value, Error> {
        ev.enter()?;
        let mut map: Map = copy(ev, left)?;
        for (key, second) in right.iter() {
            ev.step()?;
            let merged = match left.get(&key)? {
                Some(first) => self.values(ev, &first, &second, levels)?,
                None => second,
            };
            map.insert(Key::new(key)?, merged);
        }
        ev.leave();
        Value::plain_dict(map)
    }

    fn values(
        &self,
        ev: &mut Evaluation<'_>,
        first: &Value,
        second: &Value,
        levels: i64,
    ) -> Result<Value, Error> {
        let refuse = || {
            let text = |value: &Value| match value.type_name() {
                "FrozenDict" => "<class 'yaql.language.utils.FrozenDict'>".to_owned(),
                name => format!("<class '{name}'>"),
            };
            Error::type_error(format!(
                "Cannot merge {} with {}",
                text(first),
                text(second)
            ))
        };
        match (first, second) {
            (Value::Dict(a), Value::Dict(b)) if levels != 1 => {
                self.dicts(ev, a, b, if levels == 0 { 0 } else { levels - 1 })
            }
            (_, Value::Dict(_)) if levels != 1 => Err(refuse()),
            (Value::Sequence(a), Value::Sequence(b)) if levels != 1 => match &self.lists {
                Some(merger) => merger.call(ev, &[first.clone(), second.clone()]),
                None => distinct_concatenation(ev, a, b),
            },
            (_, Value::Sequence(_)) if levels != 1 => Err(refuse()),
            _ => match &self.items {
                Some(merger) => merger.call(ev, &[first.clone(), second.clone()]),
                None => Ok(second.clone()),
            },
        }
    }
}

fn distinct_concatenation(
    ev: &mut Evaluation<'_>,
    left: &Sequence,
    right: &Sequence,
) -> Result<Value, Error> {
    if left.is_mutable() != right.is_mutable() {
        let kind = |items: &Sequence| if items.is_mutable() { "list" } else { "tuple" };
        return Err(Error::type_error(format!(
            "can only concatenate {0} (not \"{1}\") to {0}",
            kind(left),
            kind(right)
        )));
    }
    let Value::Sequence(joined) = operators::join_tuples(ev, left, right)? else {
        return Ok(Value::Null);
    };
    let mut seen = Members::default();
    let mut kept = Vec::new();
    for item in joined.iter() {
        if seen.insert(Key::new(item.clone())?) {
            kept.push(item);
        }
    }
    Value::tuple(kept)
}
