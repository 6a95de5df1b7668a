//! Comparing and bumping versions.

use super::eval::Engine;
use super::registry::Bound;
use super::value::Val;
use super::{Res, text, type_error, value_error};
use crate::functions::version;

pub(super) fn parsed_version(engine: &Engine<'_>, value: &Val) -> Res<version::Version> {
    let source = match value {
        Val::Str(source) | Val::Safe(source) => source.clone(),
        Val::Key(lookup) => engine.key_text(lookup)?,
        Val::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
        Val::Undefined(missing) if missing.class == "SecurityError" => return Err(missing.error()),
        other => {
            return Err(type_error(format!(
                "not expecting type '{}'",
                other.class_text()
            )));
        }
    };
    version::Version::parse(&source)
        .ok_or_else(|| value_error(format!("{source} is not valid SemVer string")))
}

pub(super) fn compare_versions(
    engine: &Engine<'_>,
    mut args: Bound,
    make: fn(i64) -> Val,
) -> Res<Val> {
    let (left, right) = (args.required(0), args.required(1));
    let left = parsed_version(engine, &left)?;
    if !matches!(
        right,
        Val::Str(_) | Val::Safe(_) | Val::Key(_) | Val::Bytes(_)
    ) {
        return Err(type_error(format!(
            "Expected str, bytes, dict, tuple, list, or Version instance, but got {}",
            right.class_text()
        )));
    }
    let right = parsed_version(engine, &right)?;
    Ok(make(left.compare(&right) as i64))
}

pub(super) fn version_match(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let version = parsed_version(engine, &args.required(0))?;
    let expression = match args.required(1) {
        Val::Str(text) | Val::Safe(text) => text,
        Val::Key(lookup) => engine.key_text(&lookup)?,
        Val::Undefined(missing) => return Err(missing.error()),
        other => {
            return Err(type_error(format!(
                "'{}' object is not subscriptable",
                other.class_name()
            )));
        }
    };
    let (wanted, rest): (&[std::cmp::Ordering], &str) = if let Some(rest) =
        expression.strip_prefix(">=")
    {
        (&[Greater, Equal], rest)
    } else if let Some(rest) = expression.strip_prefix("<=") {
        (&[Less, Equal], rest)
    } else if let Some(rest) = expression.strip_prefix("==") {
        (&[Equal], rest)
    } else if let Some(rest) = expression.strip_prefix("!=") {
        (&[Less, Greater], rest)
    } else if let Some(rest) = expression.strip_prefix('<') {
        (&[Less], rest)
    } else if let Some(rest) = expression.strip_prefix('>') {
        (&[Greater], rest)
    } else if expression.starts_with(|c: char| c.is_ascii_digit()) {
        (&[Equal], &expression)
    } else {
        return Err(value_error(format!(
            "match_expr parameter should be in format <op><ver>, where <op> is one of ['<', '>', \
             '==', '<=', '>=', '!=']. You provided: {}",
            text::repr(&Val::str(expression))
        )));
    };
    let other = parsed_version(engine, &Val::str(rest))?;
    Ok(Val::Bool(wanted.contains(&version.compare(&other))))
}
