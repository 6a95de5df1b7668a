//! Numbers.

use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_traits::{FromPrimitive, ToPrimitive};
use squall_value::number::{IntError, parse_float as read_float, parse_int as read_int};

use super::Library;
use crate::call::Call;
use crate::error::Error;
use crate::number::{self, BITS_MAX, DIGITS_MAX, Number};
use crate::text;
use crate::value::Value;

pub(super) fn add(library: &mut Library) {
    add_conversions(library);
    add_bits(library);
    library.function("abs(op: num)", |call| {
        Ok(match call.value(0) {
            Value::Int(number) => Value::big(BigInt::from(number.unsigned_abs())),
            Value::BigInt(number) => Value::big(BigInt::from(number.magnitude().clone())),
            Value::Float(number) => Value::Float(number.abs()),
            other => other,
        })
    });
    library.function("pow(a: num, b: num, c: num?=null)", |call| {
        let number = |index| Number::of(&call.value(index));
        match (number(0), number(1), number(2)) {
            (Some(a), Some(b), c) => number::power(call.ev, &a, &b, c.as_ref()),
            _ => Ok(Value::Null),
        }
    });
    library.function("sign(num: num)", |call| {
        Ok(Value::Int(match call.value(0) {
            Value::Int(number) => number.signum(),
            Value::BigInt(number) => {
                if number.sign() == Sign::Minus {
                    -1
                } else {
                    1
                }
            }
            Value::Float(number) if number > 0.0 => 1,
            Value::Float(number) if number < 0.0 => -1,
            _ => 0,
        }))
    });
    library.function("round(number: num, ndigits: int=0)", round);
    library.function("random()", |call| {
        let bits = random_bits(call)?;
        #[allow(clippy::cast_precision_loss)] // 53 bits fit exactly.
        Ok(Value::Float((bits >> 11) as f64 / (1_u64 << 53) as f64))
    });
    library.function("random(from, to)", random_between);
}

fn random_bits(call: &mut Call<'_, '_>) -> Result<u64, Error> {
    call.ev
        .host()
        .random()
        .ok_or_else(|| Error::host("NotImplementedError", "this host has no random numbers"))
}

fn random_between(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let bound = |value: Value| match value {
        Value::Int(_) | Value::BigInt(_) | Value::Bool(_) => Ok(value),
        other => Err(Error::type_error(format!(
            "'{}' object cannot be interpreted as an integer",
            other.type_name()
        ))),
    };
    bound(call.value(0))?;
    bound(call.value(1))?;
    let (low, high) = (call.big_int(0)?, call.big_int(1)?);
    if high < low {
        return Err(Error::value_error(format!(
            "empty range in randrange({low}, {high})"
        )));
    }
    let width = &high - &low + 1_u32;
    let words = usize::try_from(width.bits() / 64 + 2).unwrap_or(2);
    let mut number = BigInt::ZERO;
    for _ in 0..words {
        // A word more than the width needs makes the bias of the remainder negligible.
        number = (number << 64) + random_bits(call)?;
    }
    number::big(call.ev, low + number.mod_floor(&width))
}

fn round(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    let digits = call.int(1)?;
    match call.value(0) {
        Value::Float(number) => round_float(number, digits).map(Value::Float),
        whole if digits >= 0 => Ok(whole),
        _ => {
            let number = call.big_int(0)?;
            let places = digits.unsigned_abs();
            // Ten to that power is larger than any integer there can be: all digits round away.
            if places > BITS_MAX / 3 || places > number.bits() {
                return Ok(Value::Int(0));
            }
            let unit = BigInt::from(10).pow(u32::try_from(places).unwrap_or(u32::MAX));
            let (quotient, remainder) = number.div_mod_floor(&unit);
            let twice: BigInt = &remainder * 2_u32;
            let up = twice > unit || twice == unit && quotient.is_odd();
            number::big(call.ev, (quotient + u32::from(up)) * unit)
        }
    }
}

/// Half to even on the exact binary value, as CPython does it: through decimal text.
fn round_float(number: f64, digits: i64) -> Result<f64, Error> {
    if !number.is_finite() || digits > 323 {
        return Ok(number);
    }
    if digits < -308 {
        return Ok(0.0_f64.copysign(number));
    }
    let rounded = if digits >= 0 {
        // Rust prints the exact value correctly rounded, half to even.
        let places = usize::try_from(digits).unwrap_or(0);
        format!("{number:.places$}").parse().unwrap_or(number)
    } else {
        let exact = BigInt::from_f64(number.trunc()).unwrap_or_default();
        let unit = BigInt::from(10).pow(u32::try_from(-digits).unwrap_or(0));
        let (quotient, remainder) = exact.abs_div_rem(&unit);
        let twice: BigInt = &remainder * 2_u32;
        let beyond_half = twice == unit && number.fract() != 0.0;
        let up = twice > unit || beyond_half || twice == unit && quotient.is_odd();
        let magnitude = ((quotient + u32::from(up)) * unit)
            .to_f64()
            .unwrap_or(f64::INFINITY);
        magnitude.copysign(number)
    };
    if rounded.is_infinite() {
        return Err(Error::overflow("rounded value too large to represent"));
    }
    Ok(rounded)
}

trait AbsDivRem {
    fn abs_div_rem(&self, unit: &BigInt) -> (BigInt, BigInt);
}

impl AbsDivRem for BigInt {
    fn abs_div_rem(&self, unit: &BigInt) -> (BigInt, BigInt) {
        BigInt::from(self.magnitude().clone()).div_mod_floor(unit)
    }
}

fn add_bits(library: &mut Library) {
    type Operation = fn(BigInt, BigInt) -> BigInt;
    let operations: [(&str, Operation); 3] = [
        ("bitwiseAnd", |a, b| a & b),
        ("bitwiseOr", |a, b| a | b),
        ("bitwiseXor", |a, b| a ^ b),
    ];
    for (name, operation) in operations {
        library.function(&format!("{name}(left: int, right: int)"), move |call| {
            let number = operation(call.big_int(0)?, call.big_int(1)?);
            match (call.value(0), call.value(1)) {
                // Two truth values give a truth value.
                (Value::Bool(_), Value::Bool(_)) => Ok(Value::Bool(number != BigInt::ZERO)),
                _ => number::big(call.ev, number),
            }
        });
    }
    library.function("bitwiseNot(arg: int)", |call| {
        let number = !call.big_int(0)?;
        number::big(call.ev, number)
    });
    library.function("shiftBitsLeft(value: int, bitsNumber: int)", |call| {
        let (number, count) = (call.big_int(0)?, shift_count(call)?);
        if number == BigInt::ZERO {
            return Ok(Value::Int(0));
        }
        if number.bits().saturating_add(count) > BITS_MAX {
            return Err(Error::memory());
        }
        number::big(call.ev, number << count)
    });
    library.function("shiftBitsRight(value: int, bitsNumber: int)", |call| {
        let (number, count) = (call.big_int(0)?, shift_count(call)?);
        number::big(call.ev, number >> count.min(BITS_MAX * 2))
    });
}

fn shift_count(call: &Call<'_, '_>) -> Result<u64, Error> {
    u64::try_from(call.int(1)?).map_err(|_| Error::value_error("negative shift count"))
}

fn add_conversions(library: &mut Library) {
    library.function("int(value)", to_int);
    library.function("float(value)", to_float);
    library.function("isInteger(value)", |call| {
        Ok(Value::Bool(matches!(
            call.value(0),
            Value::Int(_) | Value::BigInt(_)
        )))
    });
    library.function("isNumber(value)", |call| {
        Ok(Value::Bool(Number::of(&call.value(0)).is_some()))
    });
}

fn to_int(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    match call.value(0) {
        Value::Null => Ok(Value::Int(0)),
        Value::Bool(truth) => Ok(Value::Int(i64::from(truth))),
        number @ (Value::Int(_) | Value::BigInt(_)) => Ok(number),
        Value::Float(number) => {
            if number.is_nan() {
                return Err(Error::value_error("cannot convert float NaN to integer"));
            }
            BigInt::from_f64(number.trunc())
                .map(Value::big)
                .ok_or_else(|| Error::overflow("cannot convert float infinity to integer"))
        }
        Value::String(text) => parse_int(&text),
        other => Err(Error::type_error(format!(
            "int() argument must be a string, a bytes-like object or a real number, not '{}'",
            other.type_name()
        ))),
    }
}

fn parse_int(text: &str) -> Result<Value, Error> {
    match read_int(text, 10) {
        Ok(number) => Ok(Value::from(number)),
        Err(IntError::TooLong(digits)) => Err(Error::value_error(format!(
            "Exceeds the limit ({DIGITS_MAX} digits) for integer string conversion: value has \
             {digits} digits; use sys.set_int_max_str_digits() to increase the limit"
        ))),
        Err(IntError::Malformed) => {
            let quoted = text::repr_short(&Value::from(text));
            Err(Error::value_error(format!(
                "invalid literal for int() with base 10: {quoted}"
            )))
        }
    }
}

fn to_float(call: &mut Call<'_, '_>) -> Result<Value, Error> {
    Ok(Value::Float(match call.value(0) {
        Value::Null => 0.0,
        Value::Bool(truth) => f64::from(u8::from(truth)),
        Value::Float(number) => number,
        Value::String(text) => parse_float(&text)?,
        other => match Number::of(&other) {
            Some(number) => number.to_float()?,
            None => {
                return Err(Error::type_error(format!(
                    "float() argument must be a string or a real number, not '{}'",
                    other.type_name()
                )));
            }
        },
    }))
}

fn parse_float(text: &str) -> Result<f64, Error> {
    read_float(text).ok_or_else(|| {
        let quoted = text::repr_short(&Value::from(text));
        Error::value_error(format!("could not convert string to float: {quoted}"))
    })
}
