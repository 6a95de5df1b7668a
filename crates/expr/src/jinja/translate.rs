//! Characters of a text replaced by a table: Python's `maketrans` and `translate`.

use super::eval::Engine;
use super::methods_str::text;
use super::registry::Bound;
use super::value::{Entries, Key, Val};
use super::{Res, lookup, type_error, value_error};

/// A table for [`translate`]: from code points to characters, or to nothing.
pub(super) fn maketrans(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let code = |c: char| Key(Val::Int(i64::from(u32::from(c))));
    let mut table = Entries::default();
    let from = args.required(1);
    let Some(to) = args.optional(2) else {
        let Val::Dict(dict) = from else {
            return Err(type_error(
                "if you give only one argument to maketrans it must be a dict",
            ));
        };
        for (key, value) in dict.items() {
            let key = match &key {
                Val::Str(text) => Key(Val::Int(i64::from(u32::from(single_key(text)?)))),
                Val::Int(_) | Val::Bool(_) => Key(key),
                _ => {
                    return Err(type_error(
                        "keys in translate table must be strings or integers",
                    ));
                }
            };
            table.insert(key, value);
        }
        return Ok(Val::dict(table));
    };
    let (from, to) = (text(&from)?, text(&to)?);
    engine.budget.elements(from.len())?;
    if from.chars().count() != to.chars().count() {
        return Err(value_error(
            "the first two maketrans arguments must have equal length",
        ));
    }
    for (from, to) in from.chars().zip(to.chars()) {
        table.insert(code(from), Val::Int(i64::from(u32::from(to))));
    }
    if let Some(without) = args.optional(3) {
        for c in text(&without)?.chars() {
            table.insert(code(c), Val::None);
        }
    }
    Ok(Val::dict(table))
}

fn single_key(text: &str) -> Res<char> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(c),
        _ => Err(value_error(
            "string keys in translate table must be of length 1",
        )),
    }
}

/// Each character replaced by what the table has for its code point.
pub(super) fn translate(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let source = text(&args.required(0))?;
    let table = args.required(1);
    let mut out = String::with_capacity(source.len());
    for c in source.chars() {
        engine.budget.step(1)?;
        let code = Val::Int(i64::from(u32::from(c)));
        let found = match &table {
            Val::Dict(dict) => dict.get(&Key(code)),
            other => lookup::subscript(other, &code),
        };
        match found {
            None => out.push(c),
            Some(Val::None) => {}
            Some(Val::Str(to) | Val::Safe(to)) => out.push_str(&to),
            Some(Val::Int(to)) => {
                let to = u32::try_from(to).ok().and_then(char::from_u32);
                out.push(
                    to.ok_or_else(|| value_error("character mapping must be in range(0x110000)"))?,
                );
            }
            Some(_) => {
                return Err(type_error(
                    "character mapping must return integer, None or str",
                ));
            }
        }
        engine.budget.bytes(4)?;
    }
    Ok(Val::str(out))
}
