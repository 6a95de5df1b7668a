//! Methods of Python's numbers.

use num_bigint::BigInt;
use num_traits::{FromPrimitive, ToPrimitive};

use super::eval::Engine;
use super::methods::index_argument;
use super::ops;
use super::registry::{Bound, Callable};
use super::value::Val;
use super::{Res, arithmetic_error, type_error, value_error};

pub(super) const FLOAT: &[Callable] = &[
    Callable::new("is_integer", "is_integer", &["self"], 1, |_, mut args| {
        Ok(Val::Bool(
            matches!(args.required(0), Val::Float(n) if n.is_finite() && n.fract() == 0.0),
        ))
    }),
    Callable::new("conjugate", "conjugate", &["self"], 1, |_, mut args| {
        Ok(args.required(0))
    }),
    Callable::new("hex", "hex", &["self"], 1, |_, mut args| {
        match args.required(0) {
            Val::Float(number) => Ok(Val::str(float_hex(number))),
            other => Err(not_a_float(&other)),
        }
    }),
    Callable::new(
        "as_integer_ratio",
        "as_integer_ratio",
        &["self"],
        1,
        |_, mut args| match args.required(0) {
            Val::Float(number) => integer_ratio(number),
            other => Err(not_a_float(&other)),
        },
    ),
];

pub(super) const INT: &[Callable] = &[
    Callable::new("bit_length", "bit_length", &["self"], 1, |_, mut args| {
        Ok(match args.required(0) {
            Val::Big(number) => Val::Int(number.bits().to_i64().unwrap_or(i64::MAX)),
            Val::Int(number) => Val::Int(i64::from(64 - number.unsigned_abs().leading_zeros())),
            Val::Bool(truth) => Val::Int(i64::from(truth)),
            _ => Val::Int(0),
        })
    }),
    Callable::new("bit_count", "bit_count", &["self"], 1, |_, mut args| {
        Ok(match args.required(0) {
            Val::Big(number) => {
                Val::Int(i64::try_from(number.magnitude().count_ones()).unwrap_or(0))
            }
            Val::Int(number) => Val::Int(i64::from(number.unsigned_abs().count_ones())),
            Val::Bool(truth) => Val::Int(i64::from(truth)),
            _ => Val::Int(0),
        })
    }),
    Callable::new("conjugate", "conjugate", &["self"], 1, |_, mut args| {
        ops::sign(&args.required(0), false)
    }),
    Callable::new(
        "as_integer_ratio",
        "as_integer_ratio",
        &["self"],
        1,
        |_, mut args| {
            let number = ops::sign(&args.required(0), false)?;
            Ok(Val::tuple(vec![number, Val::Int(1)]))
        },
    ),
    Callable::new(
        "to_bytes",
        "to_bytes",
        &["self", "length", "byteorder"],
        1,
        to_bytes,
    ),
];

fn not_a_float(value: &Val) -> Box<crate::Error> {
    type_error(format!("float expected, not {}", value.type_name()))
}

/// Mantissa and exponent: the number is one times two to the power of the other.
fn parts(number: f64) -> (u64, i32) {
    let bits = number.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    match i32::try_from(bits >> 52 & 0x7ff).unwrap_or(0) {
        0 => (fraction, -1074),
        exponent => (fraction | 1 << 52, exponent - 1075),
    }
}

/// Python's `float.hex`: `0x1.8000000000000p+0`.
fn float_hex(number: f64) -> String {
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return format!("{sign}inf");
    }
    if number == 0.0 {
        return format!("{sign}0x0.0p+0");
    }
    let (mantissa, exponent) = parts(number);
    let (lead, fraction) = (mantissa >> 52, mantissa & ((1 << 52) - 1));
    format!("{sign}0x{lead}.{fraction:013x}p{:+}", exponent + 52)
}

fn integer_ratio(number: f64) -> Res<Val> {
    if number.is_nan() {
        return Err(value_error("cannot convert NaN to integer ratio"));
    }
    if number.is_infinite() {
        return Err(arithmetic_error(
            "OverflowError",
            "cannot convert Infinity to integer ratio",
        ));
    }
    let (mantissa, exponent) = parts(number);
    let spare = match mantissa {
        0 => 0,
        mantissa => i32::try_from(mantissa.trailing_zeros()).unwrap_or(0),
    };
    let (mantissa, exponent) = match mantissa {
        0 => (0, 0),
        mantissa => (mantissa >> spare, exponent + spare),
    };
    let power = BigInt::from(1) << exponent.unsigned_abs();
    let whole = BigInt::from_u64(mantissa).unwrap_or_default();
    let whole = if number < 0.0 { -whole } else { whole };
    let (above, below) = match exponent < 0 {
        true => (whole, power),
        false => (whole * power, BigInt::from(1)),
    };
    Ok(Val::tuple(vec![Val::big(above), Val::big(below)]))
}

fn to_bytes(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let number = match ops::sign(&args.required(0), false)? {
        Val::Int(number) => BigInt::from(number),
        Val::Big(number) => (*number).clone(),
        other => return Err(not_a_float(&other)),
    };
    let length = args
        .optional(1)
        .map_or(Ok(1), |length| index_argument(&length))?;
    let Ok(length) = usize::try_from(length) else {
        return Err(value_error("length argument must be non-negative"));
    };
    engine.budget.bytes(length)?;
    let order = args.optional(2);
    let is_little = match order.as_ref().and_then(Val::as_str).map(|order| &**order) {
        None | Some("big") => false,
        Some("little") => true,
        Some(_) => return Err(value_error("byteorder must be either 'little' or 'big'")),
    };
    if number.sign() == num_bigint::Sign::Minus {
        return Err(arithmetic_error(
            "OverflowError",
            "can't convert negative int to unsigned",
        ));
    }
    let (_, mut bytes) = number.to_bytes_le();
    if number == BigInt::from(0) {
        bytes.clear();
    }
    if bytes.len() > length {
        return Err(arithmetic_error("OverflowError", "int too big to convert"));
    }
    bytes.resize(length, 0);
    if !is_little {
        bytes.reverse();
    }
    Ok(Val::Bytes(bytes.into()))
}
