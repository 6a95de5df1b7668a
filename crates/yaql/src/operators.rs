//! The operators, by the types of their operands.

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_traits::ToPrimitive;
use squall_value::Value as Data;

use crate::ast::{Expr, Operator};
use crate::datetime::TimeSpan;
use crate::error::Error;
use crate::eval::Evaluation;
use crate::iterator::{Iter, VALUE_BYTES};
use crate::number::{Arithmetic, Number, arithmetic, compare};
use crate::regex::{Flags, Regex};
use crate::value::{Dict, Sequence, Set, Value, ViewKind};

fn no_match(operator: Operator) -> Error {
    Error::no_matching(operator.function_name(), None)
}

/// `+a`, `-a`, `not a`.
pub(crate) fn unary(operator: Operator, operand: &Value) -> Result<Value, Error> {
    if operator == Operator::Not {
        return Ok(Value::Bool(!operand.is_truthy()));
    }
    let negative = operator == Operator::UnaryMinus;
    Ok(match operand {
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) | Value::TimeSpan(_) if !negative => {
            operand.clone()
        }
        Value::Int(number) => match number.checked_neg() {
            Some(number) => Value::Int(number),
            None => Value::big(-BigInt::from(*number)),
        },
        Value::BigInt(number) => Value::big(-(**number).clone()),
        Value::Float(number) => Value::Float(-number),
        Value::TimeSpan(span) => Value::TimeSpan(TimeSpan::new(-span.micros)?),
        _ => return Err(no_match(operator)),
    })
}

/// All operators between two evaluated operands.
pub(crate) fn binary(
    ev: &mut Evaluation<'_>,
    operator: Operator,
    left: &Value,
    right: &Value,
) -> Result<Value, Error> {
    use Operator as O;
    match operator {
        O::Equal => Ok(Value::Bool(left == right)),
        O::NotEqual => Ok(Value::Bool(left != right)),
        O::Less | O::LessOrEqual | O::Greater | O::GreaterOrEqual => {
            ordering(operator, left, right).map(Value::Bool)
        }
        O::Plus => plus(ev, left, right),
        O::Minus => minus(ev, left, right),
        O::Multiply => multiply(ev, left, right),
        O::Divide => divide(ev, left, right),
        O::Modulo => numbers(ev, operator, Arithmetic::Modulo, left, right),
        O::In => contains(ev, left, right).map(Value::Bool),
        O::Match => matches(ev, operator, left, right).map(Value::Bool),
        O::NotMatch => matches(ev, operator, left, right).map(|found| Value::Bool(!found)),
        _ => Err(no_match(operator)),
    }
}

/// Whether a constant operand rules the operation out before the other one is evaluated.
pub(crate) fn refuses_constants(operator: Operator, left: &Expr, right: &Expr) -> bool {
    use Operator as O;
    let refuses = |expr: &Expr, number: bool, text: bool, truth: bool| match expr {
        Expr::Literal(Data::Null) => true,
        Expr::Literal(Data::Bool(_)) => !truth,
        Expr::Literal(Data::Int(_) | Data::BigInt(_) | Data::Float(_)) => !number,
        Expr::Literal(Data::String(_)) | Expr::Keyword(_) => !text,
        Expr::Literal(_) | Expr::Variable(_) | Expr::Call(_) | Expr::Wrap(_) | Expr::Rule(..) => {
            false
        }
    };
    let both = |number, text, truth| {
        refuses(left, number, text, truth) || refuses(right, number, text, truth)
    };
    match operator {
        O::Plus => both(true, true, false),
        O::Minus | O::Divide | O::Modulo => both(true, false, false),
        O::Multiply => both(true, true, true),
        O::Match | O::NotMatch => both(false, true, false),
        O::In => refuses(right, false, true, false),
        _ => false,
    }
}

fn numbers(
    ev: &mut Evaluation<'_>,
    operator: Operator,
    operation: Arithmetic,
    left: &Value,
    right: &Value,
) -> Result<Value, Error> {
    match (Number::of(left), Number::of(right)) {
        (Some(a), Some(b)) => arithmetic(ev, operation, &a, &b),
        _ => Err(no_match(operator)),
    }
}

fn ordering(operator: Operator, left: &Value, right: &Value) -> Result<bool, Error> {
    use Operator as O;
    use Value as V;
    let order = match (left, right) {
        (V::Int(a), V::Int(b)) => Some(a.cmp(b)),
        (V::Null, V::Null) => Some(Ordering::Equal),
        (V::Null, _) => Some(Ordering::Less),
        (_, V::Null) => Some(Ordering::Greater),
        (V::String(a), V::String(b)) => Some(a.cmp(b)),
        (V::DateTime(a), V::DateTime(b)) => Some(a.instant().cmp(&b.instant())),
        (V::TimeSpan(a), V::TimeSpan(b)) => Some(a.micros.cmp(&b.micros)),
        (a, b) if a.is_set_like() && b.is_set_like() => {
            return Ok(match operator {
                O::Less => is_subset(a, b) && a.size() < b.size(),
                O::LessOrEqual => is_subset(a, b),
                O::Greater => is_subset(b, a) && b.size() < a.size(),
                _ => is_subset(b, a),
            });
        }
        (a, b) => match (Number::of(a), Number::of(b)) {
            (Some(a), Some(b)) => compare(&a, &b),
            _ => return Err(no_match(operator)),
        },
    };
    Ok(match (operator, order) {
        (_, None) => false,
        (O::Less, Some(order)) => order.is_lt(),
        (O::LessOrEqual, Some(order)) => order.is_le(),
        (O::Greater, Some(order)) => order.is_gt(),
        (_, Some(order)) => order.is_ge(),
    })
}

fn is_subset(left: &Value, right: &Value) -> bool {
    match left {
        Value::Set(set) => set.iter().all(|item| has(right, item)),
        Value::View(view) => view.iter().all(|item| has(right, &item)),
        _ => false,
    }
}

/// Membership in a set or set-like view.
fn has(set: &Value, item: &Value) -> bool {
    match set {
        Value::Set(set) => {
            crate::value::Key::new(item.clone()).is_ok_and(|key| set.members().contains(&key))
        }
        Value::View(view) => crate::value::view_has(view, item),
        _ => false,
    }
}

fn plus(ev: &mut Evaluation<'_>, left: &Value, right: &Value) -> Result<Value, Error> {
    use Value as V;
    match (left, right) {
        (V::Int(_) | V::BigInt(_) | V::Float(_), V::Int(_) | V::BigInt(_) | V::Float(_)) => {
            numbers(ev, Operator::Plus, Arithmetic::Add, left, right)
        }
        (V::String(a), V::String(b)) => {
            ev.charge((a.len() + b.len()) as u64)?;
            let mut text = String::with_capacity(a.len() + b.len());
            text.push_str(a);
            text.push_str(b);
            Ok(Value::from(text))
        }
        (V::DateTime(time), V::TimeSpan(span)) | (V::TimeSpan(span), V::DateTime(time)) => {
            time.plus(*span).map(Value::from)
        }
        (V::TimeSpan(a), V::TimeSpan(b)) => TimeSpan::new(a.micros + b.micros).map(Value::TimeSpan),
        (V::Dict(a), V::Dict(b)) => join_dicts(ev, a, b),
        (V::Sequence(a), V::Sequence(b)) if !a.is_mutable() && !b.is_mutable() => {
            ev.check_size(left)?;
            ev.check_size(right)?;
            join_tuples(ev, a, b)
        }
        (V::Set(a), V::Set(b)) => union(ev, a, b.iter().cloned()),
        (a, b) if a.is_iterable() && b.is_iterable() => {
            let mut sources = vec![ev.cursor(b)?, ev.cursor(a)?];
            ev.check_size(a)?;
            ev.check_size(b)?;
            let depth = a.extent().depth.max(b.extent().depth);
            let iter = Iter::new(depth, move |ev| {
                while let Some(source) = sources.last_mut() {
                    if let Some(item) = source.next(ev)? {
                        return Ok(Some(item));
                    }
                    sources.pop();
                }
                Ok(None)
            })?;
            Ok(Value::Iterator(iter))
        }
        _ => Err(no_match(Operator::Plus)),
    }
}

pub(crate) fn join_tuples(
    ev: &mut Evaluation<'_>,
    left: &Sequence,
    right: &Sequence,
) -> Result<Value, Error> {
    let count = (left.len() + right.len()) as u64;
    ev.charge(count * VALUE_BYTES)?;
    ev.steps(count / 16)?;
    Value::tuple(left.iter().chain(right.iter()).collect())
}

pub(crate) fn join_dicts(
    ev: &mut Evaluation<'_>,
    left: &Dict,
    right: &Dict,
) -> Result<Value, Error> {
    let count = (left.len() + right.len()) as u64;
    ev.charge(count * 3 * VALUE_BYTES)?;
    ev.steps(count / 8)?;
    let mut map = left.to_map();
    map.extend(right.to_map());
    Value::dict(map)
}

/// A set with more members.
pub(crate) fn union(
    ev: &mut Evaluation<'_>,
    set: &Set,
    values: impl Iterator<Item = Value>,
) -> Result<Value, Error> {
    let mut members = set.members().clone();
    ev.charge(members.len() as u64 * 2 * VALUE_BYTES)?;
    for value in values {
        ev.charge(2 * VALUE_BYTES)?;
        members.insert(crate::value::Key::new(value)?);
    }
    Set::new(members).map(Value::Set)
}

fn minus(ev: &mut Evaluation<'_>, left: &Value, right: &Value) -> Result<Value, Error> {
    use Value as V;
    match (left, right) {
        (V::DateTime(time), V::TimeSpan(span)) => {
            time.plus(TimeSpan::new(-span.micros)?).map(Value::from)
        }
        (V::DateTime(a), V::DateTime(b)) => a.minus(b).map(Value::TimeSpan),
        (V::TimeSpan(a), V::TimeSpan(b)) => TimeSpan::new(a.micros - b.micros).map(Value::TimeSpan),
        (a, b) if a.is_set_like() && b.is_set_like() => difference(ev, a, b, "difference"),
        _ => numbers(ev, Operator::Minus, Arithmetic::Subtract, left, right),
    }
}

/// The members of a set that are not in another; key views have no such operation.
pub(crate) fn difference(
    ev: &mut Evaluation<'_>,
    left: &Value,
    right: &Value,
    name: &str,
) -> Result<Value, Error> {
    let set = real_set(left, name)?;
    ev.steps(set.len() as u64)?;
    ev.charge(set.len() as u64 * 2 * VALUE_BYTES)?;
    let kept = set.members().iter().filter(|key| !has(right, key.value()));
    Set::new(kept.cloned().collect()).map(Value::Set)
}

/// The set itself, or the error of a view that only looks like one.
pub(crate) fn real_set(value: &Value, operation: &str) -> Result<Set, Error> {
    match value {
        Value::Set(set) => Ok(set.clone()),
        other => Err(Error::attribute(format!(
            "'{}' object has no attribute '{operation}'",
            other.type_name()
        ))),
    }
}

fn multiply(ev: &mut Evaluation<'_>, left: &Value, right: &Value) -> Result<Value, Error> {
    use Value as V;
    match (left, right) {
        (V::String(text), times) | (times, V::String(text)) if is_int(times) => {
            let times = repetitions(times);
            ev.charge((text.len() as u64).saturating_mul(times as u64))?;
            Ok(Value::from(text.repeat(if text.is_empty() {
                0
            } else {
                times
            })))
        }
        (V::Sequence(items), times) | (times, V::Sequence(items)) if is_int(times) => {
            repeat_sequence(ev, items, repetitions(times))
        }
        (V::TimeSpan(span), number) | (number, V::TimeSpan(span)) => match Number::of(number) {
            Some(Number::Int(factor)) => TimeSpan::new(
                span.micros
                    .checked_mul(i128::from(factor))
                    .ok_or_else(TimeSpan::out_of_range)?,
            ),
            #[allow(clippy::cast_precision_loss)]
            Some(factor) => TimeSpan::from_float(span.micros as f64 * factor.to_float()?),
            None => return Err(no_match(Operator::Multiply)),
        }
        .map(Value::TimeSpan),
        _ => numbers(ev, Operator::Multiply, Arithmetic::Multiply, left, right),
    }
}

fn is_int(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::BigInt(_) | Value::Bool(_))
}

fn repetitions(value: &Value) -> usize {
    match value {
        Value::Int(number) => usize::try_from(*number).unwrap_or(0),
        Value::Bool(truth) => usize::from(*truth),
        Value::BigInt(number) if number.sign() == num_bigint::Sign::Plus => {
            number.to_usize().unwrap_or(usize::MAX)
        }
        _ => 0,
    }
}

fn repeat_sequence(
    ev: &mut Evaluation<'_>,
    items: &Sequence,
    times: usize,
) -> Result<Value, Error> {
    let times = if items.is_empty() { 0 } else { times };
    let count = (items.len() as u64).saturating_mul(times as u64);
    ev.charge(count.saturating_mul(VALUE_BYTES))?;
    ev.steps(count / 16)?;
    let mut repeated = Vec::with_capacity(items.len() * times);
    for _ in 0..times {
        repeated.extend(items.iter());
    }
    Ok(Value::Sequence(Sequence::new(
        repeated,
        items.is_mutable(),
    )?))
}

fn divide(ev: &mut Evaluation<'_>, left: &Value, right: &Value) -> Result<Value, Error> {
    #[allow(clippy::cast_precision_loss)]
    // Spans are far below 2^53 days; Python divides floats too.
    match (left, right) {
        (Value::TimeSpan(a), Value::TimeSpan(b)) => {
            if b.micros == 0 {
                return Err(Error::zero_division("float division by zero"));
            }
            Ok(Value::Float(a.micros as f64 / b.micros as f64))
        }
        (Value::TimeSpan(span), number) => {
            let Some(number) = Number::of(number) else {
                return Err(no_match(Operator::Divide));
            };
            let divisor = number.to_float()?;
            if divisor == 0.0 {
                return Err(Error::zero_division("division by zero"));
            }
            TimeSpan::from_float(span.micros as f64 / divisor).map(Value::TimeSpan)
        }
        _ => numbers(ev, Operator::Divide, Arithmetic::Divide, left, right),
    }
}

/// `item in collection`.
pub(crate) fn contains(
    ev: &mut Evaluation<'_>,
    item: &Value,
    collection: &Value,
) -> Result<bool, Error> {
    match collection {
        Value::String(text) => match item {
            Value::String(part) => {
                ev.steps(text.len() as u64 / 64)?;
                Ok(text.contains(&**part))
            }
            _ => Err(no_match(Operator::In)),
        },
        Value::Set(set) => {
            let key = crate::value::Key::new(item.clone())?;
            Ok(set.members().contains(&key))
        }
        Value::View(view) if view.kind == ViewKind::Keys => Ok(view.dict.get(item)?.is_some()),
        Value::Dict(dict) if ev.options().iterable_dicts => Ok(dict.get(item)?.is_some()),
        other if other.is_iterable() => {
            ev.check_size(other)?;
            let mut source = ev.cursor(other)?;
            while let Some(found) = source.next(ev)? {
                if found == *item {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => Err(no_match(Operator::In)),
    }
}

fn matches(
    ev: &mut Evaluation<'_>,
    operator: Operator,
    left: &Value,
    right: &Value,
) -> Result<bool, Error> {
    match (left, right) {
        (Value::String(text), Value::Regex(regex)) => regex.is_match(ev, text),
        (Value::String(text), Value::String(pattern)) => {
            Regex::cached(pattern, Flags::default())?.is_match(ev, text)
        }
        _ => Err(no_match(operator)),
    }
}

/// `items[index]`.
pub(crate) fn element(items: &Sequence, index: &Value) -> Result<Value, Error> {
    let what = if items.is_mutable() { "list" } else { "tuple" };
    let position = match index {
        Value::Int(number) => *number,
        Value::Bool(truth) => i64::from(*truth),
        Value::BigInt(_) => {
            return Err(Error::new(
                crate::error::Kind::Index,
                "IndexError",
                "cannot fit 'int' into an index-sized integer",
            ));
        }
        _ => return Err(Error::no_matching("#indexer", None)),
    };
    let position = if position < 0 {
        position + i64::try_from(items.len()).unwrap_or(i64::MAX)
    } else {
        position
    };
    usize::try_from(position)
        .ok()
        .and_then(|position| items.get(position))
        .ok_or_else(|| Error::index_error(what))
}
