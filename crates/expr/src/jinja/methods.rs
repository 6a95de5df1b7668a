//! Methods of Python's lists, dictionaries, tuples, numbers and bytes. Those of texts are next door.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::eval::Engine;
use super::ops;
use super::registry::{Bound, Callable};
use super::value::{Entries, Key, Val, ViewKind};
use super::{Res, attribute_error, index_error, key_error, lookup, type_error, value_error};
use super::{methods_number, methods_str};

type Table = HashMap<&'static str, &'static Callable>;

fn table(callables: &'static [Callable]) -> Table {
    callables.iter().map(|c| (c.name, c)).collect()
}

static OF_STR: LazyLock<Table> = LazyLock::new(|| table(methods_str::ALL));
static OF_LIST: LazyLock<Table> = LazyLock::new(|| table(LIST));
static OF_DICT: LazyLock<Table> = LazyLock::new(|| table(DICT));

/// The method `name` of a value.
pub(super) fn find(value: &Val, name: &str) -> Option<&'static Callable> {
    let among = |callables: &'static [Callable]| callables.iter().find(|c| c.name == name);
    match value {
        Val::Str(_) | Val::Safe(_) => OF_STR.get(name).copied(),
        Val::List(_) => OF_LIST.get(name).copied(),
        Val::Dict(_) => OF_DICT.get(name).copied(),
        Val::Tuple(_) | Val::Range(_) => among(TUPLE),
        Val::Float(_) => among(methods_number::FLOAT),
        Val::Int(_) | Val::Big(_) | Val::Bool(_) => among(methods_number::INT),
        Val::Bytes(_) => among(BYTES),
        Val::Date(_) | Val::Moment(_) => super::dates::method(value, name),
        Val::Loop(_) => among(super::objects::LOOP_METHODS),
        Val::Cycler(_) => among(super::objects::CYCLER_METHODS),
        _ => None,
    }
}

/// Whether dictionaries have a method of this name, which hides a key.
pub(super) fn is_dict_method(name: &str) -> bool {
    OF_DICT.contains_key(name)
}

pub(super) const LIST: &[Callable] = &[
    Callable::new("append", "append", &["self", "object"], 2, list_append),
    Callable::new("clear", "clear", &["self"], 1, list_clear),
    Callable::new("copy", "copy", &["self"], 1, list_copy),
    Callable::new("count", "count", &["self", "value"], 2, sequence_count),
    Callable::new("extend", "extend", &["self", "iterable"], 2, list_extend),
    Callable::new(
        "index",
        "index",
        &["self", "value", "start", "stop"],
        2,
        sequence_index,
    ),
    Callable::new(
        "insert",
        "insert",
        &["self", "index", "object"],
        3,
        list_insert,
    ),
    Callable::new("pop", "pop", &["self", "index"], 1, list_pop),
    Callable::new("remove", "remove", &["self", "value"], 2, list_remove),
    Callable::new("reverse", "reverse", &["self"], 1, list_reverse),
    Callable::new("sort", "sort", &["self", "key", "reverse"], 1, list_sort),
];

pub(super) const DICT: &[Callable] = &[
    Callable::new("clear", "clear", &["self"], 1, dict_clear),
    Callable::new("copy", "copy", &["self"], 1, dict_copy),
    Callable::new(
        "fromkeys",
        "fromkeys",
        &["self", "iterable", "value"],
        2,
        dict_fromkeys,
    ),
    Callable::new("get", "get", &["self", "key", "default"], 2, dict_get),
    Callable::new("items", "items", &["self"], 1, dict_items),
    Callable::new("keys", "keys", &["self"], 1, dict_keys),
    Callable::new("pop", "pop", &["self", "key", "default"], 1, dict_pop),
    Callable::new("popitem", "popitem", &["self"], 1, dict_popitem),
    Callable::new(
        "setdefault",
        "setdefault",
        &["self", "key", "default"],
        2,
        dict_setdefault,
    ),
    Callable::new("update", "update", &["self", "other"], 1, dict_update).variadic(),
    Callable::new("values", "values", &["self"], 1, dict_values),
];

pub(super) const TUPLE: &[Callable] = &[
    Callable::new("count", "count", &["self", "value"], 2, sequence_count),
    Callable::new(
        "index",
        "index",
        &["self", "value", "start", "stop"],
        2,
        sequence_index,
    ),
];

pub(super) const BYTES: &[Callable] = &[
    Callable::new(
        "decode",
        "decode",
        &["self", "encoding", "errors"],
        1,
        |_, mut args| {
            let Val::Bytes(bytes) = args.required(0) else {
                return Err(type_error("bytes expected"));
            };
            let encoding = args.optional(1);
            let is_latin = encoding.as_ref().and_then(Val::as_str).is_some_and(|name| {
                matches!(&*name.to_lowercase(), "latin-1" | "latin1" | "iso-8859-1")
            });
            if is_latin {
                return Ok(Val::str(
                    bytes.iter().map(|b| char::from(*b)).collect::<String>(),
                ));
            }
            match std::str::from_utf8(&bytes) {
                Ok(text) => Ok(Val::str(text)),
                Err(_) => Err(value_error(
                    "'utf-8' codec can't decode bytes: invalid data",
                )),
            }
        },
    ),
    Callable::new("hex", "hex", &["self"], 1, |_, mut args| {
        let Val::Bytes(bytes) = args.required(0) else {
            return Err(type_error("bytes expected"));
        };
        Ok(Val::str(
            bytes.iter().map(|b| format!("{b:02x}")).collect::<String>(),
        ))
    }),
];

fn own_list(value: Val) -> Res<std::rc::Rc<super::value::List>> {
    match value {
        Val::List(list) => Ok(list),
        other => Err(type_error(format!(
            "list expected, not {}",
            other.type_name()
        ))),
    }
}

fn own_dict(value: Val) -> Res<std::rc::Rc<super::value::Dict>> {
    match value {
        Val::Dict(dict) => Ok(dict),
        other => Err(type_error(format!(
            "dict expected, not {}",
            other.type_name()
        ))),
    }
}

/// An index argument; booleans count as integers.
pub(super) fn index_argument(value: &Val) -> Res<i64> {
    match value {
        Val::Int(number) => Ok(*number),
        Val::Bool(truth) => Ok(i64::from(*truth)),
        Val::Big(number) => Ok(if number.sign() == num_bigint::Sign::Minus {
            i64::MIN
        } else {
            i64::MAX
        }),
        Val::Undefined(missing) => Err(missing.error()),
        other => Err(type_error(format!(
            "'{}' object cannot be interpreted as an integer",
            other.type_name()
        ))),
    }
}

/// A position counted from the end if negative, kept within the sequence.
pub(super) fn clamped(index: i64, length: usize) -> usize {
    let length_signed = i64::try_from(length).unwrap_or(i64::MAX);
    let index = if index < 0 {
        index.saturating_add(length_signed)
    } else {
        index
    };
    usize::try_from(index.clamp(0, length_signed)).unwrap_or(0)
}

fn list_append(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    engine.budget.elements(1)?;
    let list = own_list(args.required(0))?;
    let item = args.required(1);
    engine.note_held(&Val::List(std::rc::Rc::clone(&list)), &item);
    list.own().push(item);
    Ok(Val::None)
}

fn list_clear(_: &Engine<'_>, mut args: Bound) -> Res<Val> {
    own_list(args.required(0))?.own().clear();
    Ok(Val::None)
}

fn list_copy(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let list = own_list(args.required(0))?;
    engine.budget.elements(list.len())?;
    Ok(Val::list(list.to_vec()))
}

fn list_extend(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let list = own_list(args.required(0))?;
    let more = lookup::elements(&args.required(1), engine)?;
    for item in &more {
        engine.note_held(&Val::List(std::rc::Rc::clone(&list)), item);
    }
    list.own().extend(more);
    Ok(Val::None)
}

fn list_insert(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let list = own_list(args.required(0))?;
    let index = index_argument(&args.required(1))?;
    engine.budget.elements(1)?;
    engine.budget.step(list.len() / 16)?;
    let item = args.required(2);
    engine.note_held(&Val::List(std::rc::Rc::clone(&list)), &item);
    let mut items = list.own();
    let at = clamped(index, items.len());
    items.insert(at, item);
    Ok(Val::None)
}

fn list_pop(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let list = own_list(args.required(0))?;
    let index = args
        .optional(1)
        .map_or(Ok(-1), |index| index_argument(&index))?;
    engine.budget.step(list.len() / 16)?;
    let mut items = list.own();
    if items.is_empty() {
        return Err(index_error("pop from empty list"));
    }
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let at = if index < 0 {
        index.saturating_add(length)
    } else {
        index
    };
    match usize::try_from(at) {
        Ok(at) if at < items.len() => Ok(items.remove(at)),
        _ => Err(index_error("pop index out of range")),
    }
}

fn list_remove(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let list = own_list(args.required(0))?;
    let wanted = args.required(1);
    for at in 0..list.len() {
        engine.budget.step(1)?;
        if let Some(item) = list.get(at)
            && ops::equals(&item, &wanted)?
        {
            list.own().remove(at);
            return Ok(Val::None);
        }
    }
    Err(value_error("list.remove(x): x not in list"))
}

fn list_reverse(_: &Engine<'_>, mut args: Bound) -> Res<Val> {
    own_list(args.required(0))?.own().reverse();
    Ok(Val::None)
}

fn list_sort(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let list = own_list(args.required(0))?;
    if !matches!(args.optional(1), None | Some(Val::None)) {
        return Err(type_error("sort() with a key is not supported"));
    }
    let is_reverse = args
        .optional(2)
        .map_or(Ok(false), |value| ops::truth(&value))?;
    engine.budget.elements(list.len())?;
    let sorted = super::filters::sorted(list.to_vec(), is_reverse, |item| Ok(item.clone()))?;
    *list.own() = sorted;
    Ok(Val::None)
}

fn sequence_count(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let items = lookup::elements(&args.required(0), engine)?;
    let wanted = args.required(1);
    let mut count = 0;
    for item in &items {
        count += i64::from(ops::is_same(item, &wanted) || ops::equals(item, &wanted)?);
    }
    Ok(Val::Int(count))
}

fn sequence_index(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let target = args.required(0);
    let items = lookup::elements(&target, engine)?;
    let wanted = args.required(1);
    let bound = |value: Option<Val>, default: usize| -> Res<usize> {
        value.map_or(Ok(default), |value| {
            Ok(clamped(index_argument(&value)?, items.len()))
        })
    };
    let start = bound(args.optional(2), 0)?;
    let stop = bound(args.optional(3), items.len())?;
    for (at, item) in items.iter().enumerate().take(stop).skip(start) {
        if ops::is_same(item, &wanted) || ops::equals(item, &wanted)? {
            return Ok(Val::len_of(at));
        }
    }
    Err(value_error(match target {
        Val::Tuple(_) => "tuple.index(x): x not in tuple".to_string(),
        _ => format!("{} is not in list", super::text::repr(&wanted)),
    }))
}

fn dict_clear(_: &Engine<'_>, mut args: Bound) -> Res<Val> {
    own_dict(args.required(0))?.own().clear();
    Ok(Val::None)
}

fn dict_copy(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let dict = own_dict(args.required(0))?;
    engine.budget.elements(dict.len())?;
    let entries = dict.own().clone();
    Ok(Val::dict(entries))
}

fn dict_fromkeys(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let keys = lookup::elements(&args.required(1), engine)?;
    let value = args.required(2);
    let mut entries = Entries::default();
    for key in keys {
        entries.insert(Key::new(key)?, value.clone());
    }
    Ok(Val::dict(entries))
}

fn dict_get(_: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let dict = own_dict(args.required(0))?;
    let found = dict.get(&Key::new(args.required(1))?);
    Ok(found.unwrap_or_else(|| args.required(2)))
}

fn dict_items(_: &Engine<'_>, mut args: Bound) -> Res<Val> {
    Ok(Val::View(ViewKind::Items, own_dict(args.required(0))?))
}

fn dict_keys(_: &Engine<'_>, mut args: Bound) -> Res<Val> {
    Ok(Val::View(ViewKind::Keys, own_dict(args.required(0))?))
}

fn dict_values(_: &Engine<'_>, mut args: Bound) -> Res<Val> {
    Ok(Val::View(ViewKind::Values, own_dict(args.required(0))?))
}

fn dict_pop(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let dict = own_dict(args.required(0))?;
    let Some(key) = args.optional(1) else {
        return Err(type_error("pop expected at least 1 argument, got 0"));
    };
    let key = Key::new(key)?;
    engine.budget.step(dict.len() / 16)?;
    let removed = dict.own().shift_remove(&key);
    match removed.or_else(|| args.optional(2)) {
        Some(value) => Ok(value),
        None => Err(key_error(&key.0)),
    }
}

fn dict_popitem(_: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let dict = own_dict(args.required(0))?;
    let popped = dict.own().pop();
    match popped {
        Some((key, value)) => Ok(Val::tuple(vec![key.0, value])),
        None => Err(super::raised(
            "KeyError",
            crate::Kind::Key,
            "'popitem(): dictionary is empty'",
        )),
    }
}

fn dict_setdefault(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let dict = own_dict(args.required(0))?;
    let key = Key::new(args.required(1))?;
    engine.budget.elements(1)?;
    if let Some(found) = dict.get(&key) {
        return Ok(found);
    }
    let value = args.required(2);
    engine.note_held(&Val::Dict(std::rc::Rc::clone(&dict)), &value);
    dict.own().insert(key, value.clone());
    Ok(value)
}

fn dict_update(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let dict = own_dict(args.required(0))?;
    if !args.rest.is_empty() {
        return Err(type_error("update expected at most 1 argument, got 2"));
    }
    let mut entries = match args.optional(1) {
        Some(other) => pairs(&other, engine)?,
        None => Vec::new(),
    };
    for (name, value) in args.keywords {
        entries.push((Key(Val::Str(name)), value));
    }
    engine.budget.elements(entries.len())?;
    for (_, value) in &entries {
        engine.note_held(&Val::Dict(std::rc::Rc::clone(&dict)), value);
    }
    dict.own().extend(entries);
    Ok(Val::None)
}

/// Entries as `dict(value)` and `update(value)` take them: a mapping or pairs.
pub(super) fn pairs(value: &Val, engine: &Engine<'_>) -> Res<Vec<(Key, Val)>> {
    if let Val::Dict(dict) = value {
        engine.budget.elements(dict.len())?;
        return Ok(dict
            .items()
            .into_iter()
            .map(|(key, value)| (Key(key), value))
            .collect());
    }
    let mut entries = Vec::new();
    for (index, pair) in lookup::elements(value, engine)?.iter().enumerate() {
        let pair = lookup::elements(pair, engine).map_err(|_| {
            type_error(format!(
                "cannot convert dictionary update sequence element #{index} to a sequence"
            ))
        })?;
        let [key, value] = pair.as_slice() else {
            return Err(value_error(format!(
                "dictionary update sequence element #{index} has length {}; 2 is required",
                pair.len()
            )));
        };
        entries.push((Key::new(key.clone())?, value.clone()));
    }
    Ok(entries)
}

/// The error for an attribute that Python lacks.
pub(super) fn no_attribute(value: &Val, name: &str) -> Box<crate::Error> {
    attribute_error(format!(
        "'{}' object has no attribute '{name}'",
        value.type_name()
    ))
}
