//! Values of a running template to data, to JSON and to YAML.

use std::rc::Rc;

use squall_value::{Str, Value};

use super::eval::Engine;
use super::value::{Entries, Key, Moment, Set, Val};
use super::{Res, dates, limit_error, lookup, text, type_error, value_error};
use crate::functions::yaml::Data;

/// How deep data may be nested.
const DEPTH_MAX: usize = 200;

fn too_deep(depth: usize) -> Res<()> {
    if depth > DEPTH_MAX {
        return Err(limit_error(
            "the data is nested too deeply or contains itself",
        ));
    }
    Ok(())
}

/// Plain data: tuples, views and iterators are lists, dates are ISO text.
///
/// # Errors
///
/// That of a missing value anywhere within; a limit error for data that contains itself.
pub(super) fn plain(engine: &Engine<'_>, value: &Val) -> Res<Value> {
    plain_at(engine, value, 0)
}

fn plain_at(engine: &Engine<'_>, value: &Val, depth: usize) -> Res<Value> {
    too_deep(depth)?;
    Ok(match value {
        Val::None => Value::Null,
        Val::Bool(truth) => Value::Bool(*truth),
        Val::Int(number) => Value::Int(*number),
        Val::Big(number) => Value::BigInt(std::sync::Arc::clone(number)),
        Val::Float(number) => Value::Float(*number),
        Val::Str(text) | Val::Safe(text) => Value::String(text.clone()),
        Val::List(list) => match list.shared() {
            Some(items) => Value::List(items),
            None => list_of(engine, &list.to_vec(), depth)?,
        },
        Val::Dict(dict) => match dict.shared() {
            Some(dict) => Value::Dict(dict),
            None => {
                let mut out = squall_value::Dict::with_capacity(dict.len());
                for (key, item) in dict.items() {
                    let key = engine.text(&key)?;
                    out.insert(key, plain_at(engine, &item, depth + 1)?);
                }
                Value::from(out)
            }
        },
        Val::Tuple(tuple) => list_of(engine, &tuple.items, depth)?,
        Val::Set(_) | Val::Range(_) | Val::Iter(_) | Val::View(..) => {
            list_of(engine, &lookup::elements(value, engine)?, depth)?
        }
        Val::Date(_) | Val::Moment(_) => Value::from(dates::iso(value)),
        other => Value::String(engine.text(other)?),
    })
}

fn list_of(engine: &Engine<'_>, items: &[Val], depth: usize) -> Res<Value> {
    engine.budget.elements(items.len())?;
    let items = items.iter().map(|item| plain_at(engine, item, depth + 1));
    Ok(Value::from(items.collect::<Res<Vec<Value>>>()?))
}

/// Data for `json.dumps`.
///
/// # Errors
///
/// `TypeError` for what JSON can't say.
pub(super) fn json_data(engine: &Engine<'_>, value: &Val) -> Res<Value> {
    json_at(engine, value, 0)
}

fn json_at(engine: &Engine<'_>, value: &Val, depth: usize) -> Res<Value> {
    if depth > DEPTH_MAX {
        return Err(value_error("Circular reference detected"));
    }
    let all = |items: &[Val]| -> Res<Value> {
        engine.budget.elements(items.len())?;
        let items = items.iter().map(|item| json_at(engine, item, depth + 1));
        Ok(Value::from(items.collect::<Res<Vec<Value>>>()?))
    };
    match value {
        Val::List(list) => match list.shared() {
            Some(items) => Ok(Value::List(items)),
            None => all(&list.to_vec()),
        },
        Val::Tuple(tuple) => all(&tuple.items),
        Val::Dict(dict) => {
            if let Some(dict) = dict.shared() {
                return Ok(Value::Dict(dict));
            }
            let mut out = squall_value::Dict::with_capacity(dict.len());
            for (key, item) in dict.items() {
                out.insert(json_key(&key)?, json_at(engine, &item, depth + 1)?);
            }
            Ok(Value::from(out))
        }
        Val::None
        | Val::Bool(_)
        | Val::Int(_)
        | Val::Big(_)
        | Val::Float(_)
        | Val::Str(_)
        | Val::Safe(_) => plain_at(engine, value, depth),
        other => Err(type_error(format!(
            "Object of type {} is not JSON serializable",
            other.type_name()
        ))),
    }
}

fn json_key(key: &Val) -> Res<Str> {
    Ok(match key {
        Val::Str(text) | Val::Safe(text) => text.clone(),
        Val::None => "null".into(),
        Val::Bool(truth) => if *truth { "true" } else { "false" }.into(),
        Val::Int(_) | Val::Big(_) | Val::Float(_) => text::str(key)?,
        other => {
            return Err(type_error(format!(
                "keys must be str, int, float, bool or None, not {}",
                other.type_name()
            )));
        }
    })
}

/// Data for YAML, dictionaries in order of their keys.
///
/// # Errors
///
/// `RepresenterError` for what PyYAML's safe dumper can't write.
pub(super) fn yaml_data(engine: &Engine<'_>, value: &Val, depth: usize) -> Res<Data> {
    too_deep(depth)?;
    let all = |items: &[Val]| -> Res<Vec<Data>> {
        engine.budget.elements(items.len())?;
        items
            .iter()
            .map(|item| yaml_data(engine, item, depth + 1))
            .collect()
    };
    Ok(match value {
        Val::None => Data::Plain("null".into()),
        Val::Bool(truth) => Data::Plain(if *truth { "true" } else { "false" }.into()),
        Val::Int(_) | Val::Big(_) => Data::Plain(text::repr(value)),
        Val::Float(number) => Data::Plain(yaml_float(*number)),
        Val::Str(text) => Data::Text(text.to_string()),
        Val::Bytes(bytes) => {
            use base64::Engine as _;
            let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
            Data::Tagged("!!binary", encoded + "\n")
        }
        Val::Date(_) => Data::Plain(dates::iso(value)),
        Val::Moment(moment) => Data::Plain(text::moment_text(moment, ' ')),
        Val::List(list) => Data::List(all(&list.to_vec())?),
        Val::Tuple(tuple) if !tuple.is_group => Data::List(all(&tuple.items)?),
        Val::Set(set) if !set.is_frozen => {
            let keys: Vec<Val> = set.items.borrow().keys().map(|key| key.0.clone()).collect();
            Data::Set(all(&keys)?)
        }
        Val::Dict(dict) => {
            engine.budget.elements(dict.len())?;
            let mut items = dict.items();
            // Keys of unlike types stay in the order in which they came.
            let is_sortable = items
                .windows(2)
                .all(|pair| super::ops::order(&pair[0].0, &pair[1].0, "<").is_ok());
            if is_sortable {
                items.sort_by(|(a, _), (b, _)| {
                    let order = super::ops::order(a, b, "<").ok().flatten();
                    order.unwrap_or(std::cmp::Ordering::Equal)
                });
            }
            let pairs = items.into_iter().map(|(key, item)| {
                Ok((
                    yaml_data(engine, &key, depth + 1)?,
                    yaml_data(engine, &item, depth + 1)?,
                ))
            });
            Data::Dict(pairs.collect::<Res<_>>()?)
        }
        other => {
            return Err(super::raised(
                "RepresenterError",
                crate::Kind::Value,
                format!("('cannot represent an object', {})", text::repr(other)),
            ));
        }
    })
}

fn yaml_float(number: f64) -> String {
    if number.is_nan() {
        return ".nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.into();
    }
    let mut out = String::new();
    squall_value::python::write_float(&mut out, number);
    // YAML 1.1 takes `1e17` for a text.
    if out.contains('e') && !out.contains('.') {
        out = out.replacen('e', ".0e", 1);
    }
    out
}

/// What PyYAML's safe loader makes of a text.
///
/// # Errors
///
/// `ParserError`, `ScannerError` or `ConstructorError` in PyYAML, all of kind value.
pub(super) fn from_yaml(engine: &Engine<'_>, source: &str) -> Res<Val> {
    engine.budget.bytes(source.len().saturating_mul(2))?;
    let document = squall_yaml::load(source, &squall_yaml::Options::default());
    match document {
        Ok(document) => yaml_node(engine, &document.root),
        Err(failure) => {
            let first = failure.first();
            Err(super::raised(
                "ParserError",
                crate::Kind::Value,
                first.to_string(),
            ))
        }
    }
}

fn yaml_node(engine: &Engine<'_>, node: &squall_yaml::Node) -> Res<Val> {
    use squall_yaml::Kind;
    engine.budget.elements(1)?;
    Ok(match &node.kind {
        Kind::Null => Val::None,
        Kind::Bool(truth) => Val::Bool(*truth),
        Kind::Int(number) => Val::Int(*number),
        Kind::BigInt(number) => Val::Big(std::sync::Arc::clone(number)),
        Kind::Float(number) => Val::Float(*number),
        Kind::String(text) => Val::Str(text.clone()),
        Kind::Binary(bytes) => Val::Bytes(bytes.to_vec().into()),
        Kind::Date(date) => Val::Date(date.0),
        Kind::DateTime(moment) => Val::Moment(Rc::new(Moment {
            civil: moment.local,
            offset: moment.offset_minutes.map(|minutes| minutes * 60),
        })),
        Kind::Sequence(items) => Val::list(
            items
                .iter()
                .map(|item| yaml_node(engine, item))
                .collect::<Res<_>>()?,
        ),
        Kind::Mapping(mapping) => {
            let mut entries = Entries::default();
            for entry in mapping.iter() {
                let key = Key::new(yaml_node(engine, &entry.key)?)?;
                entries.insert(key, yaml_node(engine, &entry.value)?);
            }
            Val::dict(entries)
        }
        Kind::Set(mapping) => {
            let mut items = Entries::default();
            for entry in mapping.iter() {
                items.insert(Key::new(yaml_node(engine, &entry.key)?)?, Val::None);
            }
            Val::Set(Rc::new(Set {
                items: std::cell::RefCell::new(items),
                is_frozen: false,
            }))
        }
    })
}

/// The remaining elements of a generator as a list; other values as they are.
pub(super) fn settled(engine: &Engine<'_>, value: Val) -> Res<Val> {
    match &value {
        Val::Iter(iter) if iter.kind == "generator" => {
            Ok(Val::list(lookup::elements(&value, engine)?))
        }
        _ => Ok(value),
    }
}
