//! Integers of any size beside floats, with Python's arithmetic.

use std::cmp::Ordering;

use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_traits::{FromPrimitive, ToPrimitive, Zero};

use crate::error::Error;
use crate::eval::Evaluation;
use crate::value::Value;

/// The most bits an integer may have: far beyond use, and still quick to multiply.
pub(crate) const BITS_MAX: u64 = 1 << 20;

/// The most decimal digits that are read or printed, as in CPython.
pub(crate) const DIGITS_MAX: usize = 4300;

/// A number taken out of a value.
#[derive(Clone, Debug)]
pub(crate) enum Number {
    Int(i64),
    Big(BigInt),
    Float(f64),
}

impl Number {
    /// The number, if the value is one; booleans are none.
    pub(crate) fn of(value: &Value) -> Option<Number> {
        Some(match value {
            Value::Int(number) => Number::Int(*number),
            Value::BigInt(number) => Number::Big((**number).clone()),
            Value::Float(number) => Number::Float(*number),
            _ => return None,
        })
    }

    pub(crate) fn to_float(&self) -> Result<f64, Error> {
        match self {
            #[allow(clippy::cast_precision_loss)]
            Number::Int(number) => Ok(*number as f64),
            Number::Big(number) => big_to_float(number),
            Number::Float(number) => Ok(*number),
        }
    }

    fn to_big(&self) -> Option<BigInt> {
        match self {
            Number::Int(number) => Some(BigInt::from(*number)),
            Number::Big(number) => Some(number.clone()),
            Number::Float(_) => None,
        }
    }
}

pub(crate) fn big_to_float(number: &BigInt) -> Result<f64, Error> {
    number
        .to_f64()
        .filter(|float| float.is_finite())
        .ok_or_else(|| Error::overflow("int too large to convert to float"))
}

/// Wraps a large integer, within the bound on size.
pub(crate) fn big(ev: &mut Evaluation<'_>, number: BigInt) -> Result<Value, Error> {
    let bits = number.bits();
    if bits > BITS_MAX {
        return Err(Error::memory());
    }
    ev.steps(bits / 512)?;
    ev.charge(bits / 8)?;
    Ok(Value::big(number))
}

/// The four operations and the remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

pub(crate) fn arithmetic(
    ev: &mut Evaluation<'_>,
    operation: Arithmetic,
    left: &Number,
    right: &Number,
) -> Result<Value, Error> {
    use Arithmetic as A;
    if let (Number::Int(a), Number::Int(b)) = (left, right) {
        let small = match operation {
            A::Add => a.checked_add(*b),
            A::Subtract => a.checked_sub(*b),
            A::Multiply => a.checked_mul(*b),
            A::Divide | A::Modulo if *b == 0 => return Err(zero_integer(operation)),
            // i64::MIN / -1 is the one quotient that does not fit.
            A::Divide => (*b != -1).then(|| Integer::div_floor(a, b)),
            A::Modulo if *b == -1 => Some(0),
            A::Modulo => Some(Integer::mod_floor(a, b)),
        };
        if let Some(number) = small {
            return Ok(Value::Int(number));
        }
    }
    match (left.to_big(), right.to_big()) {
        (Some(a), Some(b)) => {
            if a.bits() + b.bits() > BITS_MAX * 2 {
                return Err(Error::memory());
            }
            ev.steps((a.bits() + b.bits()) / 512)?;
            let number = match operation {
                A::Add => a + b,
                A::Subtract => a - b,
                A::Multiply => a * b,
                A::Divide | A::Modulo if b.is_zero() => return Err(zero_integer(operation)),
                A::Divide => a.div_floor(&b),
                A::Modulo => a.mod_floor(&b),
            };
            big(ev, number)
        }
        _ => {
            let (a, b) = (left.to_float()?, right.to_float()?);
            Ok(Value::Float(match operation {
                A::Add => a + b,
                A::Subtract => a - b,
                A::Multiply => a * b,
                A::Divide if b == 0.0 => {
                    return Err(Error::zero_division("float division by zero"));
                }
                A::Modulo if b == 0.0 => return Err(Error::zero_division("float modulo")),
                A::Divide => a / b,
                A::Modulo => float_modulo(a, b),
            }))
        }
    }
}

fn zero_integer(operation: Arithmetic) -> Error {
    Error::zero_division(if operation == Arithmetic::Divide {
        "integer division or modulo by zero"
    } else {
        "integer modulo by zero"
    })
}

/// The remainder with the sign of the divisor.
fn float_modulo(a: f64, b: f64) -> f64 {
    let remainder = a % b;
    if remainder == 0.0 {
        0.0_f64.copysign(b)
    } else if (remainder < 0.0) == (b < 0.0) {
        remainder
    } else {
        remainder + b
    }
}

/// Order of two numbers; `None` with a NaN.
pub(crate) fn compare(left: &Number, right: &Number) -> Option<Ordering> {
    match (left, right) {
        (Number::Int(a), Number::Int(b)) => Some(a.cmp(b)),
        (Number::Float(a), Number::Float(b)) => a.partial_cmp(b),
        (Number::Float(a), b) => compare_float(*a, b),
        (a, Number::Float(b)) => compare_float(*b, a).map(Ordering::reverse),
        (a, b) => Some(a.to_big()?.cmp(&b.to_big()?)),
    }
}

fn compare_float(float: f64, other: &Number) -> Option<Ordering> {
    let other = other.to_big()?;
    if float.is_nan() {
        return None;
    }
    if float.is_infinite() {
        return Some(if float > 0.0 {
            Ordering::Greater
        } else {
            Ordering::Less
        });
    }
    let whole = BigInt::from_f64(float.trunc())?;
    Some(
        whole
            .cmp(&other)
            .then_with(|| float.fract().partial_cmp(&0.0).unwrap_or(Ordering::Equal)),
    )
}

/// As [`compare`], with NaN above all: an order for sorting.
pub(crate) fn compare_total(left: &Number, right: &Number) -> Ordering {
    let is_nan = |number: &Number| matches!(number, Number::Float(float) if float.is_nan());
    compare(left, right).unwrap_or_else(|| is_nan(left).cmp(&is_nan(right)))
}

/// Python's `pow`, with a modulus when there is one.
pub(crate) fn power(
    ev: &mut Evaluation<'_>,
    base: &Number,
    exponent: &Number,
    modulus: Option<&Number>,
) -> Result<Value, Error> {
    if let Some(modulus) = modulus {
        return power_modulo(ev, base, exponent, modulus);
    }
    match (base.to_big(), exponent) {
        (Some(base), Number::Int(exponent)) if *exponent >= 0 => {
            let exponent = exponent.unsigned_abs();
            if base.bits().saturating_mul(exponent) > BITS_MAX && base.bits() > 1 {
                return Err(Error::memory());
            }
            // Of 0, 1 and -1 only the parity of a large exponent matters.
            let exponent = if exponent > 1 && base.bits() <= 1 {
                2 + exponent % 2
            } else {
                exponent
            };
            big(ev, base.pow(u32::try_from(exponent).unwrap_or(u32::MAX)))
        }
        (Some(base), Number::Big(exponent)) if exponent.sign() == Sign::Plus => {
            if base.bits() > 1 {
                return Err(Error::memory());
            }
            let odd = exponent.is_odd();
            Ok(Value::big(if odd { base } else { &base * &base }))
        }
        _ => float_power(base.to_float()?, exponent.to_float()?),
    }
}

fn float_power(base: f64, exponent: f64) -> Result<Value, Error> {
    if base == 0.0 && exponent < 0.0 {
        return Err(Error::zero_division(
            "0.0 cannot be raised to a negative power",
        ));
    }
    if base < 0.0 && base.is_finite() && exponent.is_finite() && exponent.fract() != 0.0 {
        // Python gives a complex number, which the language has no kind for.
        return Err(Error::value_error(
            "a negative number cannot be raised to a fractional power",
        ));
    }
    let power = base.powf(exponent);
    if power.is_infinite() && base.is_finite() && exponent.is_finite() {
        return Err(Error::overflow("(34, 'Numerical result out of range')"));
    }
    Ok(Value::Float(power))
}

fn power_modulo(
    ev: &mut Evaluation<'_>,
    base: &Number,
    exponent: &Number,
    modulus: &Number,
) -> Result<Value, Error> {
    let (Some(base), Some(mut exponent), Some(modulus)) =
        (base.to_big(), exponent.to_big(), modulus.to_big())
    else {
        return Err(Error::type_error(
            "pow() 3rd argument not allowed unless all arguments are integers",
        ));
    };
    if modulus.is_zero() {
        return Err(Error::value_error("pow() 3rd argument cannot be 0"));
    }
    // Each bit of the exponent costs a multiplication of numbers as long as the modulus.
    let limbs = modulus.bits() / 64 + 1;
    ev.steps(exponent.bits().saturating_mul(limbs.saturating_mul(limbs)) / 64)?;
    let mut base = base;
    if exponent.sign() == Sign::Minus {
        base = base
            .modinv(&modulus)
            .ok_or_else(|| Error::value_error("base is not invertible for the given modulus"))?;
        exponent = -exponent;
    }
    big(ev, base.modpow(&exponent, &modulus))
}
