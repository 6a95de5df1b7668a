//! A stable sort whose comparison is an expression, and so may fail or be no order at all.

use crate::ast::Operator;
use crate::error::Error;
use crate::eval::Evaluation;
use crate::lambda::LambdaRef;
use crate::operators;
use crate::value::Value;

struct Item {
    value: Value,
    /// Keys found so far, one per field: later fields are only asked on ties.
    keys: Vec<Value>,
}

/// Sorts by the fields in turn; `true` is ascending. The standard library's sort may panic on a
/// comparison that is no total order, so this is a merge sort that does not care.
pub(crate) fn sort_by_fields(
    ev: &mut Evaluation<'_>,
    values: Vec<Value>,
    fields: &[(LambdaRef, bool)],
) -> Result<Vec<Value>, Error> {
    let mut items: Vec<Item> = values
        .into_iter()
        .map(|value| Item {
            value,
            keys: Vec::new(),
        })
        .collect();
    let mut order: Vec<usize> = (0..items.len()).collect();
    let mut buffer = order.clone();
    let mut width = 1;
    while width < order.len() {
        for start in (0..order.len()).step_by(width * 2) {
            let middle = (start + width).min(order.len());
            let end = (start + width * 2).min(order.len());
            let (mut left, mut right) = (start, middle);
            for slot in &mut buffer[start..end] {
                let take_right = right < end
                    && (left >= middle
                        || is_less(ev, &mut items, order[right], order[left], fields)?);
                *slot = if take_right {
                    order[right]
                } else {
                    order[left]
                };
                if take_right {
                    right += 1;
                } else {
                    left += 1;
                }
            }
        }
        std::mem::swap(&mut order, &mut buffer);
        width *= 2;
    }
    Ok(order
        .into_iter()
        .map(|index| std::mem::take(&mut items[index].value))
        .collect())
}

fn is_less(
    ev: &mut Evaluation<'_>,
    items: &mut [Item],
    left: usize,
    right: usize,
    fields: &[(LambdaRef, bool)],
) -> Result<bool, Error> {
    for (index, (selector, ascending)) in fields.iter().enumerate() {
        let a = key(ev, &mut items[left], index, selector)?;
        let b = key(ev, &mut items[right], index, selector)?;
        ev.step()?;
        if operators::binary(ev, Operator::Less, &a, &b)?.is_truthy() {
            return Ok(*ascending);
        }
        if operators::binary(ev, Operator::Greater, &a, &b)?.is_truthy() {
            return Ok(!*ascending);
        }
    }
    Ok(false)
}

fn key(
    ev: &mut Evaluation<'_>,
    item: &mut Item,
    index: usize,
    selector: &LambdaRef,
) -> Result<Value, Error> {
    if let Some(key) = item.keys.get(index) {
        return Ok(key.clone());
    }
    let key = selector.call1(ev, item.value.clone())?;
    item.keys.push(key.clone());
    Ok(key)
}
