//! Filters about numbers.

use num_bigint::BigInt;
use num_traits::{FromPrimitive, Pow, Signed, ToPrimitive};

use super::{argument_error, flag, simple};
use crate::jinja::eval::Engine;
use crate::jinja::methods::index_argument;
use crate::jinja::ops::{self, Number};
use crate::jinja::registry::{Bound, Callable};
use crate::jinja::value::Val;
use crate::jinja::{Res, arithmetic_error, type_error, value_error};
use squall_value::number::{parse_float, parse_int};

pub(in crate::jinja) const ALL: &[Callable] = &[
    simple("abs", "abs", abs),
    Callable::new("float", "do_float", &["value", "default"], 1, float),
    Callable::new("int", "do_int", &["value", "default", "base"], 1, int),
    Callable::new(
        "round",
        "do_round",
        &["value", "precision", "method"],
        1,
        round,
    ),
    Callable::new(
        "filesizeformat",
        "do_filesizeformat",
        &["value", "binary"],
        1,
        filesizeformat,
    ),
];

fn abs(_: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    match Number::of(&value) {
        Some(Number::Int(number)) => Ok(Val::big(BigInt::from(number).abs())),
        Some(Number::Big(number)) => Ok(Val::big(number.abs())),
        Some(Number::Float(number)) => Ok(Val::Float(number.abs())),
        None => Err(match &value {
            Val::Undefined(missing) => missing.error(),
            other => type_error(format!(
                "bad operand type for abs(): '{}'",
                other.type_name()
            )),
        }),
    }
}

fn float(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let default = args.optional(1).unwrap_or(Val::Float(0.0));
    let number = match &value {
        Val::Undefined(missing) => return Err(missing.error()),
        Val::Str(_) | Val::Safe(_) | Val::Key(_) => parse_float(&engine.text(&value)?),
        Val::Big(number) => number.to_f64().filter(|number| number.is_finite()),
        other => Number::of(other).and_then(|number| match number {
            #[allow(clippy::cast_precision_loss)]
            Number::Int(number) => Some(number as f64),
            Number::Float(number) => Some(number),
            Number::Big(_) => None,
        }),
    };
    Ok(number.map_or(default, Val::Float))
}

fn int(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let default = args.optional(1).unwrap_or(Val::Int(0));
    let whole = |number: f64| {
        let number = Some(number).filter(|number| number.is_finite());
        number.and_then(|number| BigInt::from_f64(number.trunc()))
    };
    let number = match &value {
        Val::Undefined(missing) => return Err(missing.error()),
        Val::Str(_) | Val::Safe(_) | Val::Key(_) => {
            let text = engine.text(&value)?;
            // Only a text has a base, and one that is none is as bad as a text that is no number.
            let base = args.optional(2).unwrap_or(Val::Int(10));
            let base = index_argument(&base).unwrap_or(1);
            let base = u32::try_from(base).unwrap_or(1);
            match parse_int(&text, base) {
                Ok(number) => return Ok(Val::from(&number)),
                Err(_) => parse_float(&text).and_then(whole),
            }
        }
        Val::Float(number) => whole(*number),
        other => Number::of(other).map(|number| match number {
            Number::Int(number) => BigInt::from(number),
            Number::Big(number) => number,
            Number::Float(_) => BigInt::default(),
        }),
    };
    Ok(number.map_or(default, Val::big))
}

fn round(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let precision = args.optional(1).unwrap_or(Val::Int(0));
    let method = match args.optional(2) {
        None => "common".into(),
        Some(method) => engine.text(&method)?,
    };
    let number = match Number::of(&value) {
        Some(number) => number,
        None => {
            return Err(match &value {
                Val::Undefined(missing) => missing.error(),
                other => type_error(format!(
                    "type {} doesn't define __round__ method",
                    other.type_name()
                )),
            });
        }
    };
    match &*method {
        "common" if matches!(precision, Val::None) => match number {
            Number::Float(number) => whole_float(number.round_ties_even()),
            Number::Int(_) | Number::Big(_) => Ok(value),
        },
        "common" => {
            let precision = index_argument(&precision)?.clamp(-400, 400);
            let precision = i32::try_from(precision).unwrap_or(0);
            Ok(match number {
                Number::Float(number) => Val::Float(round_float(number, precision)),
                Number::Int(number) => round_int(BigInt::from(number), precision),
                Number::Big(number) => round_int(number, precision),
            })
        }
        "ceil" | "floor" if !matches!(number, Number::Float(_)) && is_natural(&precision) => {
            // Multiplied and divided as integers, so that nothing is lost on the way.
            Ok(Val::Float(match number {
                #[allow(clippy::cast_precision_loss)]
                Number::Int(number) => number as f64,
                Number::Big(number) => number.to_f64().unwrap_or(f64::INFINITY),
                Number::Float(number) => number,
            }))
        }
        "ceil" | "floor" => {
            let scale = match precision {
                Val::Float(precision) => 10f64.powf(precision),
                other => {
                    let precision = index_argument(&other)?.clamp(-400, 400);
                    10f64.powi(i32::try_from(precision).unwrap_or(0))
                }
            };
            #[allow(clippy::cast_precision_loss)]
            let number = match number {
                Number::Float(number) => number,
                Number::Int(number) => number as f64,
                Number::Big(number) => number.to_f64().unwrap_or(f64::INFINITY),
            };
            let scaled = number * scale;
            let whole = if &*method == "ceil" {
                scaled.ceil()
            } else {
                scaled.floor()
            };
            Ok(Val::Float(whole / scale))
        }
        _ => Err(argument_error("method must be common, ceil or floor")),
    }
}

fn is_natural(precision: &Val) -> bool {
    matches!(precision, Val::Int(0..)) || matches!(precision, Val::Bool(_))
}

/// A float without a fraction as an integer.
fn whole_float(number: f64) -> Res<Val> {
    if number.is_nan() {
        return Err(value_error("cannot convert float NaN to integer"));
    }
    BigInt::from_f64(number).map(Val::big).ok_or_else(|| {
        arithmetic_error("OverflowError", "cannot convert float infinity to integer")
    })
}

/// Half to even, judged by the exact decimal value.
fn round_float(number: f64, precision: i32) -> f64 {
    if !number.is_finite() || precision > 330 {
        return number;
    }
    match usize::try_from(precision) {
        Ok(decimals) => format!("{number:.decimals$}").parse().unwrap_or(number),
        Err(_) => {
            let scale = 10f64.powi(-precision);
            if scale.is_infinite() {
                return 0.0;
            }
            let scaled = number / scale;
            let rounded = scaled.round();
            let is_half = (scaled - scaled.trunc()).abs() == 0.5;
            let rounded = if is_half {
                2.0 * (scaled / 2.0).round()
            } else {
                rounded
            };
            rounded * scale
        }
    }
}

fn round_int(number: BigInt, precision: i32) -> Val {
    if precision >= 0 {
        return Val::big(number);
    }
    let scale = BigInt::from(10).pow(precision.unsigned_abs());
    let half = &scale / 2;
    let rest = ((&number % &scale) + &scale) % &scale;
    let floor = &number - &rest;
    let is_odd = ((&floor / &scale) % BigInt::from(2)) != BigInt::from(0);
    let rounds_up = rest > half || (rest == half && is_odd);
    Val::big(if rounds_up { floor + scale } else { floor })
}

fn filesizeformat(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let is_binary = flag(args.optional(1), false)?;
    let number = match &value {
        Val::Str(_) | Val::Safe(_) | Val::Key(_) => {
            let text = engine.text(&value)?;
            parse_float(&text).ok_or_else(|| {
                crate::jinja::value_error(format!(
                    "could not convert string to float: {}",
                    crate::jinja::text::repr(&Val::Str(text))
                ))
            })?
        }
        other => match ops::sign(other, false) {
            Ok(Val::Int(number)) => {
                #[allow(clippy::cast_precision_loss)]
                {
                    number as f64
                }
            }
            Ok(Val::Float(number)) => number,
            Ok(Val::Big(number)) => number.to_f64().unwrap_or(f64::INFINITY),
            Ok(_) | Err(_) => {
                return Err(match other {
                    Val::Undefined(missing) => missing.error(),
                    other => type_error(format!(
                        "float() argument must be a string or a real number, not '{}'",
                        other.type_name()
                    )),
                });
            }
        },
    };
    let base: f64 = if is_binary { 1024.0 } else { 1000.0 };
    let prefixes = if is_binary {
        ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
    } else {
        ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]
    };
    if number == 1.0 {
        return Ok(Val::str("1 Byte"));
    }
    if number < base {
        return Ok(Val::str(format!("{:.0} Bytes", number.trunc() + 0.0)));
    }
    let mut unit = base;
    let mut shown = String::new();
    for prefix in prefixes {
        unit *= base;
        shown = format!("{:.1} {prefix}", base * number / unit);
        if number < unit {
            break;
        }
    }
    Ok(Val::str(shown))
}
