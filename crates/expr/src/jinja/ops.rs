//! Python's operators: arithmetic, comparison, membership, truth.

use std::cmp::Ordering;
use std::rc::Rc;

use num_bigint::{BigInt, Sign};
use num_traits::{FromPrimitive, ToPrimitive, Zero};

use super::ast::{BinOp, CmpOp};
use super::eval::Engine;
use super::percent;
use super::text;
use super::value::{Budget, Key, Val};
use super::{Res, arithmetic_error, limit_error, type_error, value_error};

/// How deeply containers are compared.
const DEPTH_MAX: usize = 200;
/// Bits of the largest integer that arithmetic may produce.
const BITS_MAX: u64 = 1 << 20;

/// A number, for arithmetic. Booleans are the integers 0 and 1.
pub(super) enum Number {
    Int(i64),
    Big(BigInt),
    Float(f64),
}

impl Number {
    pub(super) fn of(value: &Val) -> Option<Number> {
        Some(match value {
            Val::Bool(truth) => Number::Int(i64::from(*truth)),
            Val::Int(number) => Number::Int(*number),
            Val::Big(number) => Number::Big((**number).clone()),
            Val::Float(number) => Number::Float(*number),
            _ => return None,
        })
    }

    fn to_float(&self) -> Res<f64> {
        match self {
            #[allow(clippy::cast_precision_loss)]
            Number::Int(number) => Ok(*number as f64),
            Number::Float(number) => Ok(*number),
            Number::Big(number) => match number.to_f64() {
                Some(float) if float.is_finite() => Ok(float),
                _ => Err(arithmetic_error(
                    "OverflowError",
                    "int too large to convert to float",
                )),
            },
        }
    }

    fn into_big(self) -> BigInt {
        match self {
            Number::Int(number) => BigInt::from(number),
            Number::Big(number) => number,
            Number::Float(number) => BigInt::from_f64(number).unwrap_or_default(),
        }
    }

    fn is_float(&self) -> bool {
        matches!(self, Number::Float(_))
    }
}

/// Python's truth.
///
/// # Errors
///
/// That of a missing value in strict mode.
pub(super) fn truth(value: &Val) -> Res<bool> {
    Ok(match value {
        Val::None => false,
        Val::Bool(truth) => *truth,
        Val::Int(number) => *number != 0,
        Val::Float(number) => *number != 0.0,
        Val::Str(text) | Val::Safe(text) => !text.is_empty(),
        Val::Bytes(bytes) => !bytes.is_empty(),
        Val::List(list) => list.len() > 0,
        Val::Tuple(tuple) => !tuple.items.is_empty(),
        Val::Dict(dict) | Val::View(_, dict) => dict.len() > 0,
        Val::Set(set) => !set.items.borrow().is_empty(),
        Val::Range(range) => range.len() > 0,
        Val::Undefined(missing) if missing.is_lenient => false,
        Val::Undefined(missing) => return Err(missing.error()),
        _ => true,
    })
}

fn unsupported(operator: &str, left: &Val, right: &Val) -> Box<crate::Error> {
    type_error(format!(
        "unsupported operand type(s) for {operator}: '{}' and '{}'",
        left.type_name(),
        right.type_name()
    ))
}

/// `left operator right`.
pub(super) fn binary(operator: BinOp, left: &Val, right: &Val, budget: &Budget) -> Res<Val> {
    for operand in [left, right] {
        if let Val::Undefined(missing) = operand {
            return Err(missing.error());
        }
    }
    if let (Some(a), Some(b)) = (Number::of(left), Number::of(right)) {
        return arithmetic(operator, a, b);
    }
    match operator {
        BinOp::Add => add(left, right, budget),
        BinOp::Mul => multiply(left, right, budget),
        BinOp::Mod if left.as_str().is_some() => percent::format(left, right, budget),
        BinOp::Sub => subtract(left, right),
        BinOp::Div => Err(unsupported("/", left, right)),
        BinOp::FloorDiv => Err(unsupported("//", left, right)),
        BinOp::Mod => Err(unsupported("%", left, right)),
        BinOp::Pow => Err(unsupported("** or pow()", left, right)),
    }
}

fn add(left: &Val, right: &Val, budget: &Budget) -> Res<Val> {
    let concatenated = |a: &str, b: &str| -> Res<String> {
        budget.bytes(a.len() + b.len())?;
        Ok(format!("{a}{b}"))
    };
    match (left, right) {
        (Val::Str(a), Val::Str(b)) => Ok(Val::str(concatenated(a, b)?)),
        (Val::Safe(a), Val::Safe(b)) => Ok(Val::Safe(concatenated(a, b)?.into())),
        (Val::Safe(a), Val::Str(b)) => {
            Ok(Val::Safe(concatenated(a, &text::escape_html(b))?.into()))
        }
        (Val::Str(a), Val::Safe(b)) => {
            Ok(Val::Safe(concatenated(&text::escape_html(a), b)?.into()))
        }
        (Val::List(a), Val::List(b)) => {
            budget.elements(a.len() + b.len())?;
            let mut items = a.to_vec();
            items.extend(b.to_vec());
            Ok(Val::list(items))
        }
        (Val::Tuple(a), Val::Tuple(b)) => {
            budget.elements(a.items.len() + b.items.len())?;
            Ok(Val::tuple(
                a.items.iter().chain(&b.items).cloned().collect(),
            ))
        }
        (Val::Str(_) | Val::Safe(_), _) => Err(type_error(format!(
            "can only concatenate str (not \"{}\") to str",
            right.type_name()
        ))),
        (Val::List(_), _) => Err(type_error(format!(
            "can only concatenate list (not \"{}\") to list",
            right.type_name()
        ))),
        (Val::Tuple(_), _) => Err(type_error(format!(
            "can only concatenate tuple (not \"{}\") to tuple",
            right.type_name()
        ))),
        _ => Err(unsupported("+", left, right)),
    }
}

fn subtract(left: &Val, right: &Val) -> Res<Val> {
    if let (Val::Set(a), Val::Set(b)) = (left, right) {
        let b = b.items.borrow();
        let items = a.items.borrow();
        let kept = items.iter().filter(|(key, _)| !b.contains_key(*key));
        let items = kept
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        return Ok(Val::Set(Rc::new(super::value::Set {
            items: std::cell::RefCell::new(items),
            is_frozen: a.is_frozen,
        })));
    }
    Err(unsupported("-", left, right))
}

fn multiply(left: &Val, right: &Val, budget: &Budget) -> Res<Val> {
    let (sequence, count) = match (left, right) {
        (sequence, Val::Int(_) | Val::Bool(_) | Val::Big(_)) => (sequence, right),
        (Val::Int(_) | Val::Bool(_) | Val::Big(_), sequence) => (sequence, left),
        _ if is_sequence(left) => {
            return Err(type_error(format!(
                "can't multiply sequence by non-int of type '{}'",
                right.type_name()
            )));
        }
        _ => return Err(unsupported("*", left, right)),
    };
    let count = match count {
        Val::Int(count) => usize::try_from(*count).unwrap_or(0),
        Val::Bool(truth) => usize::from(*truth),
        Val::Big(_) if is_sequence(sequence) => {
            return Err(super::arithmetic_error(
                "OverflowError",
                "cannot fit 'int' into an index-sized integer",
            ));
        }
        _ => usize::MAX,
    };
    let repeat = |items: &[Val]| -> Res<Vec<Val>> {
        budget.elements(items.len().saturating_mul(count))?;
        let total = items.len() * count;
        Ok(items.iter().cloned().cycle().take(total).collect())
    };
    match sequence {
        Val::Str(text) => {
            budget.bytes(text.len().saturating_mul(count))?;
            Ok(Val::str(text.repeat(count)))
        }
        Val::Safe(text) => {
            budget.bytes(text.len().saturating_mul(count))?;
            Ok(Val::Safe(text.repeat(count).into()))
        }
        Val::List(list) => Ok(Val::list(repeat(&list.to_vec())?)),
        Val::Tuple(tuple) => Ok(Val::tuple(repeat(&tuple.items)?)),
        _ => Err(unsupported("*", left, right)),
    }
}

fn is_sequence(value: &Val) -> bool {
    matches!(
        value,
        Val::Str(_) | Val::Safe(_) | Val::List(_) | Val::Tuple(_) | Val::Bytes(_)
    )
}

fn arithmetic(operator: BinOp, a: Number, b: Number) -> Res<Val> {
    if operator == BinOp::Div {
        return divide(&a, &b);
    }
    if operator == BinOp::Pow {
        return power(a, b);
    }
    if a.is_float() || b.is_float() {
        return float_arithmetic(operator, a.to_float()?, b.to_float()?);
    }
    if let (Number::Int(a), Number::Int(b)) = (&a, &b)
        && let Some(result) = small_arithmetic(operator, *a, *b)?
    {
        return Ok(Val::Int(result));
    }
    let (a, b) = (a.into_big(), b.into_big());
    if a.bits() + b.bits() > BITS_MAX {
        return Err(limit_error("the integer is too large"));
    }
    Ok(Val::big(match operator {
        BinOp::Add => a + b,
        BinOp::Sub => a - b,
        BinOp::Mul => a * b,
        BinOp::FloorDiv | BinOp::Mod if b.is_zero() => {
            return Err(arithmetic_error(
                "ZeroDivisionError",
                "integer division or modulo by zero",
            ));
        }
        BinOp::FloorDiv => floor_div(&a, &b),
        _ => &a - floor_div(&a, &b) * &b,
    }))
}

fn floor_div(a: &BigInt, b: &BigInt) -> BigInt {
    let quotient = a / b;
    let remainder = a - &quotient * b;
    if !remainder.is_zero() && (remainder.sign() == Sign::Minus) != (b.sign() == Sign::Minus) {
        quotient - 1
    } else {
        quotient
    }
}

/// `None` when the result does not fit.
fn small_arithmetic(operator: BinOp, a: i64, b: i64) -> Res<Option<i64>> {
    let by_zero = |message| Err(arithmetic_error("ZeroDivisionError", message));
    Ok(match operator {
        BinOp::Add => a.checked_add(b),
        BinOp::Sub => a.checked_sub(b),
        BinOp::Mul => a.checked_mul(b),
        BinOp::FloorDiv if b == 0 => return by_zero("integer division or modulo by zero"),
        BinOp::Mod if b == 0 => return by_zero("integer modulo by zero"),
        BinOp::FloorDiv => a.checked_div_euclid(b).map(|quotient| {
            // Euclid's quotient rounds towards the divisor's sign, the floor does not.
            if b < 0 && a.rem_euclid(b) != 0 {
                quotient - 1
            } else {
                quotient
            }
        }),
        _ => a
            .checked_rem_euclid(b)
            .map(|rest| if b < 0 && rest != 0 { rest + b } else { rest }),
    })
}

fn float_arithmetic(operator: BinOp, a: f64, b: f64) -> Res<Val> {
    let by_zero = |message| Err(arithmetic_error("ZeroDivisionError", message));
    Ok(Val::Float(match operator {
        BinOp::Add => a + b,
        BinOp::Sub => a - b,
        BinOp::Mul => a * b,
        BinOp::FloorDiv if b == 0.0 => return by_zero("float floor division by zero"),
        BinOp::Mod if b == 0.0 => return by_zero("float modulo"),
        BinOp::FloorDiv => ((a - float_mod(a, b)) / b).round(),
        _ => float_mod(a, b),
    }))
}

pub(super) fn float_mod(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest == 0.0 {
        0.0f64.copysign(b)
    } else if (rest < 0.0) != (b < 0.0) {
        rest + b
    } else {
        rest
    }
}

fn divide(a: &Number, b: &Number) -> Res<Val> {
    let is_float = a.is_float() || b.is_float();
    if let (Number::Int(a), Number::Int(b)) = (a, b)
        && *b != 0
        && a.unsigned_abs() < 1 << 53
        && b.unsigned_abs() < 1 << 53
    {
        #[allow(clippy::cast_precision_loss)]
        return Ok(Val::Float(*a as f64 / *b as f64));
    }
    let (x, y) = (a.to_float()?, b.to_float()?);
    if y == 0.0 {
        let message = if is_float {
            "float division by zero"
        } else {
            "division by zero"
        };
        return Err(arithmetic_error("ZeroDivisionError", message));
    }
    Ok(Val::Float(x / y))
}

fn power(a: Number, b: Number) -> Res<Val> {
    if a.is_float() || b.is_float() {
        return float_power(a.to_float()?, b.to_float()?);
    }
    let base = a.into_big();
    let exponent = match b {
        Number::Int(exponent) if exponent < 0 => {
            if base.is_zero() {
                return Err(arithmetic_error(
                    "ZeroDivisionError",
                    "0.0 cannot be raised to a negative power",
                ));
            }
            #[allow(clippy::cast_precision_loss)]
            return float_power(Number::Big(base).to_float()?, exponent as f64);
        }
        Number::Int(exponent) => u32::try_from(exponent).ok(),
        _ => None,
    };
    let is_trivial = base.bits() <= 1 && base.sign() != Sign::Minus;
    let Some(exponent) = exponent else {
        if is_trivial {
            return Ok(Val::big(base));
        }
        return Err(limit_error("the integer is too large"));
    };
    if !is_trivial && base.bits().saturating_mul(u64::from(exponent)) > BITS_MAX {
        return Err(limit_error("the integer is too large"));
    }
    Ok(Val::big(base.pow(exponent)))
}

fn float_power(base: f64, exponent: f64) -> Res<Val> {
    if base == 0.0 && exponent < 0.0 {
        return Err(arithmetic_error(
            "ZeroDivisionError",
            "0.0 cannot be raised to a negative power",
        ));
    }
    if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
        return Err(value_error("complex numbers are not supported"));
    }
    let result = base.powf(exponent);
    if result.is_infinite() && base.is_finite() && exponent.is_finite() {
        return Err(arithmetic_error(
            "OverflowError",
            "(34, 'Numerical result out of range')",
        ));
    }
    Ok(Val::Float(result))
}

/// `-value` or `+value`.
pub(super) fn sign(value: &Val, is_negative: bool) -> Res<Val> {
    if let Val::Undefined(missing) = value {
        return Err(missing.error());
    }
    let Some(number) = Number::of(value) else {
        return Err(type_error(format!(
            "bad operand type for unary {}: '{}'",
            if is_negative { '-' } else { '+' },
            value.type_name()
        )));
    };
    Ok(match number {
        Number::Float(number) if is_negative => Val::Float(-number),
        Number::Float(number) => Val::Float(number),
        other if is_negative => Val::big(-other.into_big()),
        other => Val::big(other.into_big()),
    })
}

/// `left == right`.
///
/// # Errors
///
/// That of a missing value in strict mode; a limit error for containers nested too deeply.
pub(super) fn equals(left: &Val, right: &Val) -> Res<bool> {
    equals_at(left, right, 0)
}

fn equals_at(left: &Val, right: &Val, depth: usize) -> Res<bool> {
    if depth > DEPTH_MAX {
        return Err(limit_error(
            "maximum recursion depth exceeded in comparison",
        ));
    }
    let all_equal = |a: &[Val], b: &[Val]| -> Res<bool> {
        if a.len() != b.len() {
            return Ok(false);
        }
        for (a, b) in a.iter().zip(b) {
            if !equals_at(a, b, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    match (left, right) {
        (Val::Undefined(a), Val::Undefined(b)) if a.is_lenient && b.is_lenient => Ok(true),
        (Val::Undefined(missing), _) | (_, Val::Undefined(missing)) => {
            if missing.is_lenient {
                Ok(false)
            } else {
                Err(missing.error())
            }
        }
        (Val::None, Val::None) => Ok(true),
        (Val::Str(a) | Val::Safe(a), Val::Str(b) | Val::Safe(b)) => Ok(a == b),
        (Val::Int(a), Val::Int(b)) => Ok(a == b),
        (Val::Bytes(a), Val::Bytes(b)) => Ok(a == b),
        (Val::List(a), Val::List(b)) => {
            Ok(Rc::ptr_eq(a, b) || all_equal(&a.to_vec(), &b.to_vec())?)
        }
        (Val::Tuple(a), Val::Tuple(b)) => all_equal(&a.items, &b.items),
        (Val::Dict(a), Val::Dict(b)) => {
            if Rc::ptr_eq(a, b) {
                return Ok(true);
            }
            if a.len() != b.len() {
                return Ok(false);
            }
            for (key, value) in a.items() {
                match b.get(&Key(key)) {
                    Some(other) if equals_at(&value, &other, depth + 1)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        (Val::Set(a), Val::Set(b)) => {
            let (a, b) = (a.items.borrow(), b.items.borrow());
            Ok(a.len() == b.len() && a.keys().all(|key| b.contains_key(key)))
        }
        (Val::Date(a), Val::Date(b)) => Ok(a == b),
        (Val::Moment(a), Val::Moment(b)) => Ok(compare_moments(a, b) == Some(Ordering::Equal)),
        (Val::Range(a), Val::Range(b)) => {
            let same = |index| a.get(index) == b.get(index);
            Ok(a.len() == b.len() && same(0) && same(1))
        }
        _ => match (Number::of(left), Number::of(right)) {
            (Some(a), Some(b)) => Ok(compare_numbers(&a, &b) == Some(Ordering::Equal)),
            _ => Ok(is_same(left, right)),
        },
    }
}

/// Python's `is`, as far as it can be told.
pub(super) fn is_same(left: &Val, right: &Val) -> bool {
    match (left, right) {
        (Val::None, Val::None) => true,
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Int(a), Val::Int(b)) => a == b && (-5..=256).contains(a),
        (Val::Str(a), Val::Str(b)) => std::sync::Arc::ptr_eq(a, b),
        (Val::List(a), Val::List(b)) => Rc::ptr_eq(a, b),
        (Val::Dict(a), Val::Dict(b)) => Rc::ptr_eq(a, b),
        (Val::Tuple(a), Val::Tuple(b)) => Rc::ptr_eq(a, b),
        (Val::Undefined(a), Val::Undefined(b)) => Rc::ptr_eq(a, b),
        (Val::Iter(a), Val::Iter(b)) => Rc::ptr_eq(a, b),
        (Val::Macro(a), Val::Macro(b)) => Rc::ptr_eq(a, b),
        (Val::Namespace(a), Val::Namespace(b)) => Rc::ptr_eq(a, b),
        (Val::Loop(a), Val::Loop(b)) => Rc::ptr_eq(a, b),
        _ => false,
    }
}

fn compare_moments(a: &super::value::Moment, b: &super::value::Moment) -> Option<Ordering> {
    let seconds = |moment: &super::value::Moment| {
        let zoned = moment.civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(zoned.timestamp().as_nanosecond() - i128::from(moment.offset?) * 1_000_000_000)
    };
    match (a.offset, b.offset) {
        (None, None) => Some(a.civil.cmp(&b.civil)),
        (Some(_), Some(_)) => Some(seconds(a)?.cmp(&seconds(b)?)),
        _ => None,
    }
}

fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => Some(a.cmp(b)),
        (Number::Float(a), Number::Float(b)) => a.partial_cmp(b),
        (Number::Int(a), Number::Float(b)) => compare_int_float(&BigInt::from(*a), *b),
        (Number::Float(a), Number::Int(b)) => {
            compare_int_float(&BigInt::from(*b), *a).map(Ordering::reverse)
        }
        (Number::Big(a), Number::Float(b)) => compare_int_float(a, *b),
        (Number::Float(a), Number::Big(b)) => compare_int_float(b, *a).map(Ordering::reverse),
        (Number::Big(a), Number::Big(b)) => Some(a.cmp(b)),
        (Number::Big(a), Number::Int(b)) => Some(a.cmp(&BigInt::from(*b))),
        (Number::Int(a), Number::Big(b)) => Some(BigInt::from(*a).cmp(b)),
    }
}

/// Exact: floats are not allowed to swallow digits of large integers.
fn compare_int_float(a: &BigInt, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    if b.is_infinite() {
        return Some(if b > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        });
    }
    let whole = BigInt::from_f64(b.trunc())?;
    Some(a.cmp(&whole).then_with(|| {
        let fraction = b.fract();
        if fraction > 0.0 {
            Ordering::Less
        } else if fraction < 0.0 {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }))
}

/// The order of two values; `None` if they have none (not a number).
///
/// # Errors
///
/// `TypeError` for unlike types, naming `operator`.
pub(super) fn order(left: &Val, right: &Val, operator: &str) -> Res<Option<Ordering>> {
    order_at(left, right, operator, 0)
}

fn order_at(left: &Val, right: &Val, operator: &str, depth: usize) -> Res<Option<Ordering>> {
    if depth > DEPTH_MAX {
        return Err(limit_error(
            "maximum recursion depth exceeded in comparison",
        ));
    }
    for operand in [left, right] {
        if let Val::Undefined(missing) = operand {
            return Err(missing.error());
        }
    }
    let sequences = |a: &[Val], b: &[Val]| -> Res<Option<Ordering>> {
        for (a, b) in a.iter().zip(b) {
            if !equals_at(a, b, depth + 1)? {
                return order_at(a, b, operator, depth + 1);
            }
        }
        Ok(Some(a.len().cmp(&b.len())))
    };
    match (left, right) {
        (Val::Str(a) | Val::Safe(a), Val::Str(b) | Val::Safe(b)) => Ok(Some(a.cmp(b))),
        (Val::Bytes(a), Val::Bytes(b)) => Ok(Some(a.cmp(b))),
        (Val::List(a), Val::List(b)) => sequences(&a.to_vec(), &b.to_vec()),
        (Val::Tuple(a), Val::Tuple(b)) => sequences(&a.items, &b.items),
        (Val::Date(a), Val::Date(b)) => Ok(Some(a.cmp(b))),
        (Val::Moment(a), Val::Moment(b)) => match compare_moments(a, b) {
            Some(ordering) => Ok(Some(ordering)),
            None => Err(type_error(
                "can't compare offset-naive and offset-aware datetimes",
            )),
        },
        _ => match (Number::of(left), Number::of(right)) {
            (Some(a), Some(b)) => Ok(compare_numbers(&a, &b)),
            _ => Err(type_error(format!(
                "'{operator}' not supported between instances of '{}' and '{}'",
                left.type_name(),
                right.type_name()
            ))),
        },
    }
}

/// `left operator right` for the comparing operators.
pub(super) fn compare(engine: &Engine<'_>, operator: CmpOp, left: &Val, right: &Val) -> Res<bool> {
    Ok(match operator {
        CmpOp::Eq => equals(left, right)?,
        CmpOp::Ne => !equals(left, right)?,
        CmpOp::Lt => order(left, right, "<")? == Some(Ordering::Less),
        CmpOp::Le => matches!(
            order(left, right, "<=")?,
            Some(Ordering::Less | Ordering::Equal)
        ),
        CmpOp::Gt => order(left, right, ">")? == Some(Ordering::Greater),
        CmpOp::Ge => matches!(
            order(left, right, ">=")?,
            Some(Ordering::Greater | Ordering::Equal)
        ),
        CmpOp::In => contains(engine, right, left)?,
        CmpOp::NotIn => !contains(engine, right, left)?,
    })
}

/// `item in container`.
pub(super) fn contains(engine: &Engine<'_>, container: &Val, item: &Val) -> Res<bool> {
    let among = |items: &mut dyn Iterator<Item = Val>| -> Res<bool> {
        for candidate in items {
            if is_same(&candidate, item) || equals(&candidate, item)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    match container {
        Val::Str(text) | Val::Safe(text) => match item {
            Val::Str(part) | Val::Safe(part) => Ok(text.contains(&**part)),
            Val::Undefined(missing) if !missing.is_lenient => Err(missing.error()),
            other => Err(type_error(format!(
                "'in <string>' requires string as left operand, not {}",
                other.type_name()
            ))),
        },
        Val::List(list) => among(&mut (0..list.len()).filter_map(|at| list.get(at))),
        Val::Tuple(tuple) => among(&mut tuple.items.iter().cloned()),
        Val::Dict(dict) | Val::View(super::value::ViewKind::Keys, dict) => {
            Ok(dict.get(&Key::new(item.clone())?).is_some())
        }
        Val::Set(set) => Ok(set.items.borrow().contains_key(&Key::new(item.clone())?)),
        Val::View(kind, dict) => among(&mut text::view_items(*kind, dict).into_iter()),
        Val::Range(range) => match item {
            Val::Int(number) => {
                let distance = number.wrapping_sub(range.start);
                let index = usize::try_from(distance / range.step);
                Ok(distance % range.step == 0 && index.is_ok_and(|index| index < range.len()))
            }
            _ => among(&mut (0..range.len()).filter_map(|at| range.get(at).map(Val::Int))),
        },
        Val::Iter(iter) => {
            while let Some(candidate) = iter.next(engine)? {
                if is_same(&candidate, item) || equals(&candidate, item)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Val::Undefined(missing) if missing.is_lenient => Ok(false),
        Val::Undefined(missing) => Err(missing.error()),
        other => Err(type_error(format!(
            "argument of type '{}' is not iterable",
            other.type_name()
        ))),
    }
}
