//! Jinja's tests: `value is odd`.

use super::eval::Engine;
use super::ops::{self, Number};
use super::registry::{Bound, Callable};
use super::value::{Key, Val};
use super::{Res, ast::BinOp, ast::CmpOp};

type Check = fn(&Engine<'_>, Bound) -> Res<Val>;

const fn plain(name: &'static str, python_name: &'static str, check: Check) -> Callable {
    Callable::new(name, python_name, &["value"], 1, check)
}

const fn compared(name: &'static str, python_name: &'static str, check: Check) -> Callable {
    Callable::new(name, python_name, &["a", "b"], 2, check)
}

pub(super) const ALL: &[Callable] = &[
    plain("odd", "test_odd", |e, a| parity(e, a, 1)),
    plain("even", "test_even", |e, a| parity(e, a, 0)),
    Callable::new(
        "divisibleby",
        "test_divisibleby",
        &["value", "num"],
        2,
        |e, mut a| {
            let (value, number) = (a.required(0), a.required(1));
            let rest = ops::binary(BinOp::Mod, &value, &number, &e.budget)?;
            Ok(Val::Bool(ops::equals(&rest, &Val::Int(0))?))
        },
    ),
    plain("defined", "test_defined", |_, mut a| {
        Ok(Val::Bool(!a.required(0).is_undefined()))
    }),
    plain("undefined", "test_undefined", |_, mut a| {
        Ok(Val::Bool(a.required(0).is_undefined()))
    }),
    plain("filter", "test_filter", |e, mut a| {
        let value = Key::new(a.required(0))?.0;
        Ok(Val::Bool(value.as_str().is_some_and(|name| {
            e.environment().filter(name).is_some()
        })))
    }),
    plain("test", "test_test", |e, mut a| {
        let value = Key::new(a.required(0))?.0;
        Ok(Val::Bool(
            value
                .as_str()
                .is_some_and(|name| e.environment().test(name).is_some()),
        ))
    }),
    plain("none", "test_none", |_, mut a| {
        Ok(Val::Bool(matches!(a.required(0), Val::None)))
    }),
    plain("boolean", "test_boolean", |_, mut a| {
        Ok(Val::Bool(matches!(a.required(0), Val::Bool(_))))
    }),
    plain("false", "test_false", |_, mut a| {
        Ok(Val::Bool(matches!(a.required(0), Val::Bool(false))))
    }),
    plain("true", "test_true", |_, mut a| {
        Ok(Val::Bool(matches!(a.required(0), Val::Bool(true))))
    }),
    plain("integer", "test_integer", |_, mut a| {
        Ok(Val::Bool(matches!(
            a.required(0),
            Val::Int(_) | Val::Big(_)
        )))
    }),
    plain("float", "test_float", |_, mut a| {
        Ok(Val::Bool(matches!(a.required(0), Val::Float(_))))
    }),
    plain("number", "test_number", |_, mut a| {
        Ok(Val::Bool(Number::of(&a.required(0)).is_some()))
    }),
    plain("string", "test_string", |_, mut a| {
        Ok(Val::Bool(a.required(0).as_str().is_some()))
    }),
    plain("mapping", "test_mapping", |_, mut a| {
        Ok(Val::Bool(matches!(a.required(0), Val::Dict(_))))
    }),
    plain("lower", "test_lower", |e, mut a| {
        let text = e.text(&a.required(0))?;
        let has_case = text.chars().any(char::is_lowercase);
        Ok(Val::Bool(has_case && !text.chars().any(char::is_uppercase)))
    }),
    plain("upper", "test_upper", |e, mut a| {
        let text = e.text(&a.required(0))?;
        let has_case = text.chars().any(char::is_uppercase);
        Ok(Val::Bool(has_case && !text.chars().any(char::is_lowercase)))
    }),
    plain("sequence", "test_sequence", |_, mut a| {
        let value = a.required(0);
        let has_items = matches!(
            value,
            Val::Str(_)
                | Val::Safe(_)
                | Val::Bytes(_)
                | Val::List(_)
                | Val::Tuple(_)
                | Val::Dict(_)
                | Val::Range(_)
        );
        // What is missing has no length, unless that is forgiven.
        let is_forgiven = matches!(&value, Val::Undefined(missing) if missing.is_lenient);
        Ok(Val::Bool(has_items || is_forgiven))
    }),
    plain("iterable", "test_iterable", |_, mut a| {
        let value = a.required(0);
        let is_iterable = matches!(
            value,
            Val::Str(_)
                | Val::Safe(_)
                | Val::Bytes(_)
                | Val::List(_)
                | Val::Tuple(_)
                | Val::Dict(_)
                | Val::Set(_)
                | Val::Range(_)
                | Val::Iter(_)
                | Val::View(..)
                | Val::Loop(_)
        );
        match &value {
            Val::Undefined(missing) if !missing.is_lenient => Err(missing.error()),
            Val::Undefined(_) => Ok(Val::Bool(true)),
            _ => Ok(Val::Bool(is_iterable)),
        }
    }),
    plain("callable", "callable", |_, mut a| {
        Ok(Val::Bool(matches!(
            a.required(0),
            Val::Function(_)
                | Val::Method(_)
                | Val::Macro(_)
                | Val::Loop(_)
                | Val::Joiner(_)
                | Val::Undefined(_)
        )))
    }),
    plain("escaped", "test_escaped", |_, mut a| {
        Ok(Val::Bool(matches!(a.required(0), Val::Safe(_))))
    }),
    Callable::new(
        "sameas",
        "test_sameas",
        &["value", "other"],
        2,
        |_, mut a| {
            let (value, other) = (a.required(0), a.required(1));
            Ok(Val::Bool(ops::is_same(&value, &other)))
        },
    ),
    compared("eq", "eq", |e, a| compare(e, a, CmpOp::Eq)),
    compared("equalto", "eq", |e, a| compare(e, a, CmpOp::Eq)),
    compared("==", "eq", |e, a| compare(e, a, CmpOp::Eq)),
    compared("ne", "ne", |e, a| compare(e, a, CmpOp::Ne)),
    compared("!=", "ne", |e, a| compare(e, a, CmpOp::Ne)),
    compared("gt", "gt", |e, a| compare(e, a, CmpOp::Gt)),
    compared("greaterthan", "gt", |e, a| compare(e, a, CmpOp::Gt)),
    compared(">", "gt", |e, a| compare(e, a, CmpOp::Gt)),
    compared("ge", "ge", |e, a| compare(e, a, CmpOp::Ge)),
    compared(">=", "ge", |e, a| compare(e, a, CmpOp::Ge)),
    compared("lt", "lt", |e, a| compare(e, a, CmpOp::Lt)),
    compared("lessthan", "lt", |e, a| compare(e, a, CmpOp::Lt)),
    compared("<", "lt", |e, a| compare(e, a, CmpOp::Lt)),
    compared("le", "le", |e, a| compare(e, a, CmpOp::Le)),
    compared("<=", "le", |e, a| compare(e, a, CmpOp::Le)),
];

/// StackStorm replaces the built-in test, which shows in the message about its arguments.
pub(super) const PLAIN_IN: &[Callable] = &[Callable::new(
    "in",
    "get_jinja_environment.<locals>.<lambda>",
    &["item", "list"],
    2,
    is_in,
)];

pub(super) const BUILTIN_IN: &[Callable] =
    &[Callable::new("in", "test_in", &["value", "seq"], 2, is_in)];

fn is_in(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let (item, container) = (args.required(0), args.required(1));
    Ok(Val::Bool(ops::contains(engine, &container, &item)?))
}

fn parity(engine: &Engine<'_>, mut args: Bound, wanted: i64) -> Res<Val> {
    let value = args.required(0);
    let rest = ops::binary(BinOp::Mod, &value, &Val::Int(2), &engine.budget)?;
    Ok(Val::Bool(ops::equals(&rest, &Val::Int(wanted))?))
}

fn compare(engine: &Engine<'_>, mut args: Bound, operator: CmpOp) -> Res<Val> {
    let (left, right) = (args.required(0), args.required(1));
    Ok(Val::Bool(ops::compare(engine, operator, &left, &right)?))
}
