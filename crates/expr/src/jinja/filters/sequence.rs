//! Filters about lists, dictionaries and other collections.

use squall_value::Str;

use super::{Getter, argument_error, flag, folded, simple, sorted};
use crate::jinja::ast::BinOp;
use crate::jinja::eval::Engine;
use crate::jinja::generator::{Plan, Stage};
use crate::jinja::methods::index_argument;
use crate::jinja::registry::{Bound, Callable};
use crate::jinja::value::{Key, Tuple, Val};
use crate::jinja::{Res, lookup, ops, runtime_error, text, type_error};

pub(in crate::jinja) const ALL: &[Callable] = &[
    Callable::new("attr", "do_attr", &["obj", "name"], 2, attr),
    Callable::new(
        "batch",
        "do_batch",
        &["value", "linecount", "fill_with"],
        2,
        batch,
    ),
    Callable::new(
        "slice",
        "sync_do_slice",
        &["value", "slices", "fill_with"],
        2,
        slice,
    ),
    Callable::new(
        "default",
        "do_default",
        &["value", "default_value", "boolean"],
        1,
        default,
    ),
    Callable::new(
        "d",
        "do_default",
        &["value", "default_value", "boolean"],
        1,
        default,
    ),
    Callable::new(
        "dictsort",
        "do_dictsort",
        &["value", "case_sensitive", "by", "reverse"],
        1,
        dictsort,
    ),
    simple("first", "sync_do_first", first),
    simple("last", "do_last", last),
    Callable::new(
        "groupby",
        "sync_do_groupby",
        &["value", "attribute", "default", "case_sensitive"],
        2,
        groupby,
    ),
    simple("items", "do_items", items),
    Callable::new(
        "join",
        "sync_do_join",
        &["value", "d", "attribute"],
        1,
        join,
    ),
    simple("length", "len", length),
    simple("count", "len", length),
    simple("list", "sync_do_list", |e, mut a| {
        let value = a.required(0);
        let value = match value {
            Val::Key(_) => Val::Str(e.text(&value)?),
            other => other,
        };
        Ok(Val::list(lookup::elements(&value, e)?))
    }),
    Callable::new("map", "sync_do_map", &["value"], 1, map).variadic(),
    Callable::new(
        "max",
        "do_max",
        &["value", "case_sensitive", "attribute"],
        1,
        |e, a| extreme(e, a, std::cmp::Ordering::Greater),
    ),
    Callable::new(
        "min",
        "do_min",
        &["value", "case_sensitive", "attribute"],
        1,
        |e, a| extreme(e, a, std::cmp::Ordering::Less),
    ),
    simple("random", "do_random", random),
    Callable::new("select", "sync_do_select", &["value"], 1, |_, a| {
        select(a, |e, a| selection(e, a, true, false))
    })
    .variadic(),
    Callable::new("reject", "sync_do_reject", &["value"], 1, |_, a| {
        select(a, |e, a| selection(e, a, false, false))
    })
    .variadic(),
    Callable::new("selectattr", "sync_do_selectattr", &["value"], 1, |_, a| {
        select(a, |e, a| selection(e, a, true, true))
    })
    .variadic(),
    Callable::new("rejectattr", "sync_do_rejectattr", &["value"], 1, |_, a| {
        select(a, |e, a| selection(e, a, false, true))
    })
    .variadic(),
    simple("reverse", "do_reverse", reverse),
    Callable::new(
        "sort",
        "do_sort",
        &["value", "reverse", "case_sensitive", "attribute"],
        1,
        sort,
    ),
    Callable::new(
        "sum",
        "sync_do_sum",
        &["iterable", "attribute", "start"],
        1,
        sum,
    ),
    Callable::new(
        "unique",
        "sync_do_unique",
        &["value", "case_sensitive", "attribute"],
        1,
        unique,
    ),
];

fn attr(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let (value, name) = (args.required(0), args.required(1));
    let Some(name) = name.as_str() else {
        return Err(type_error(format!(
            "attribute name must be string, not '{}'",
            name.type_name()
        )));
    };
    lookup::python_attribute_or_undefined(&value, name, engine.is_strict)
}

fn batch(_: &Engine<'_>, args: Bound) -> Res<Val> {
    Ok(Val::generator(Plan::Whole(batches, args)))
}

fn batches(engine: &Engine<'_>, mut args: Bound) -> Res<Vec<Val>> {
    let items = lookup::elements(&args.required(0), engine)?;
    let size = args.required(1);
    let fill = args.optional(2).filter(|fill| !matches!(fill, Val::None));
    let mut batches = Vec::new();
    let mut batch: Vec<Val> = Vec::new();
    // A size that no length is equal to, such as a text, makes one batch.
    let full = match &size {
        Val::Int(_) | Val::Float(_) | Val::Bool(_) => (0..=items.len())
            .find(|length| ops::equals(&Val::len_of(*length), &size).unwrap_or(false)),
        _ => None,
    };
    for item in items {
        if Some(batch.len()) == full {
            engine.budget.elements(1)?;
            batches.push(Val::list(std::mem::take(&mut batch)));
        }
        batch.push(item);
    }
    if !batch.is_empty() {
        if let Some(fill) = &fill
            && ops::order(&Val::len_of(batch.len()), &size, "<")? == Some(std::cmp::Ordering::Less)
        {
            let size = usize::try_from(index_argument(&size)?).unwrap_or(0);
            engine.budget.elements(size)?;
            batch.resize(size.max(batch.len()), fill.clone());
        }
        batches.push(Val::list(batch));
    }
    Ok(batches)
}

fn slice(_: &Engine<'_>, args: Bound) -> Res<Val> {
    Ok(Val::generator(Plan::Whole(slices, args)))
}

fn slices(engine: &Engine<'_>, mut args: Bound) -> Res<Vec<Val>> {
    let items = lookup::elements(&args.required(0), engine)?;
    let slices = index_argument(&args.required(1))?;
    let fill = args.optional(2).filter(|fill| !matches!(fill, Val::None));
    if slices == 0 {
        return Err(crate::jinja::arithmetic_error(
            "ZeroDivisionError",
            "integer division or modulo by zero",
        ));
    }
    let slices = usize::try_from(slices).unwrap_or(0);
    engine.budget.elements(slices)?;
    let (each, extra) = match slices {
        0 => (0, 0),
        slices => (items.len() / slices, items.len() % slices),
    };
    let mut rest = items.as_slice();
    let mut out = Vec::with_capacity(slices);
    for index in 0..slices {
        let (part, after) = rest.split_at(each + usize::from(index < extra));
        rest = after;
        let mut part = part.to_vec();
        if let Some(fill) = &fill
            && index >= extra
        {
            part.push(fill.clone());
        }
        out.push(Val::list(part));
    }
    Ok(out)
}

fn default(_: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let fallback = args.optional(1);
    let counts_false = flag(args.optional(2), false)?;
    if value.is_undefined() || (counts_false && !ops::truth(&value)?) {
        return Ok(fallback.unwrap_or_else(|| Val::str("")));
    }
    Ok(value)
}

fn dictsort(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let ignores_case = !flag(args.optional(1), false)?;
    let by = args
        .optional(2)
        .map_or(Ok(Str::from("key")), |by| engine.text(&by))?;
    let is_reverse = flag(args.optional(3), false)?;
    let position = match &*by {
        "key" => 0,
        "value" => 1,
        _ => {
            return Err(argument_error(
                "You can only sort by either \"key\" or \"value\"",
            ));
        }
    };
    let Val::Dict(dict) = &value else {
        return Err(match &value {
            Val::Undefined(missing) => missing.error(),
            other => crate::jinja::methods::no_attribute(other, "items"),
        });
    };
    engine.budget.elements(dict.len())?;
    let pairs = dict
        .items()
        .into_iter()
        .map(|(k, v)| Val::tuple(vec![k, v]))
        .collect();
    let sorted = sorted(pairs, is_reverse, |pair| {
        let part = lookup::item(pair, &Val::Int(position), true)?;
        Ok(if ignores_case { folded(part) } else { part })
    })?;
    Ok(Val::list(sorted))
}

fn first(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let found = match &value {
        Val::List(list) => list.get(0),
        Val::Iter(iter) => iter.next(engine)?,
        other => lookup::elements(other, engine)?.into_iter().next(),
    };
    Ok(found
        .unwrap_or_else(|| Val::undefined("No first item, sequence was empty.", !engine.is_strict)))
}

fn last(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let found = match &value {
        Val::List(list) => list.get(list.len().wrapping_sub(1)),
        Val::Iter(_) | Val::Set(_) | Val::None | Val::Bool(_) | Val::Int(_) | Val::Float(_) => {
            return Err(type_error(format!(
                "'{}' object is not reversible",
                value.type_name()
            )));
        }
        other => lookup::elements(other, engine)?.pop(),
    };
    Ok(found
        .unwrap_or_else(|| Val::undefined("No last item, sequence was empty.", !engine.is_strict)))
}

fn groupby(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let items = lookup::elements(&args.required(0), engine)?;
    let attribute = args.required(1);
    let default = args
        .optional(2)
        .filter(|default| !matches!(default, Val::None));
    let ignores_case = !flag(args.optional(3), false)?;
    let mut getter = Getter::new(Some(&attribute), ignores_case);
    getter.default = default;
    let items = sorted(items, false, |item| getter.get(engine, item))?;
    let mut groups: Vec<(Val, Vec<Val>)> = Vec::new();
    for item in items {
        let key = getter.get(engine, &item)?;
        match groups.last_mut() {
            Some((last, members)) if ops::equals(last, &key)? => members.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    // The name of a group is its first member's, in its own case.
    getter.ignores_case = false;
    let groups = groups
        .into_iter()
        .map(|(_, members)| {
            let key = getter.get(engine, &members[0])?;
            Ok(Val::Tuple(std::rc::Rc::new(Tuple {
                items: vec![key, Val::list(members)],
                is_group: true,
            })))
        })
        .collect::<Res<Vec<Val>>>()?;
    Ok(Val::list(groups))
}

fn items(_: &Engine<'_>, args: Bound) -> Res<Val> {
    Ok(Val::generator(Plan::Whole(pairs, args)))
}

fn pairs(engine: &Engine<'_>, mut args: Bound) -> Res<Vec<Val>> {
    match args.required(0) {
        Val::Undefined(_) => Ok(Vec::new()),
        Val::Dict(dict) => {
            engine.budget.elements(dict.len())?;
            let pairs = dict.items().into_iter();
            Ok(pairs.map(|(k, v)| Val::tuple(vec![k, v])).collect())
        }
        _ => Err(type_error("Can only get item pairs from a mapping.")),
    }
}

fn join(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let value = match value {
        Val::Key(_) => Val::Str(engine.text(&value)?),
        other => other,
    };
    let items = lookup::elements(&value, engine)?;
    let separator = args
        .optional(1)
        .map_or(Ok(Str::from("")), |d| engine.text(&d))?;
    let attribute = args
        .optional(2)
        .filter(|attribute| !matches!(attribute, Val::None));
    let getter = Getter::new(attribute.as_ref(), false);
    let mut out = String::new();
    let is_escaping = engine.is_escaping.get();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            engine.budget.bytes(separator.len())?;
            out.push_str(&separator);
        }
        let item = getter.get(engine, item)?;
        let text = engine.text(&item)?;
        engine.budget.bytes(text.len())?;
        if is_escaping && !matches!(item, Val::Safe(_)) {
            out.push_str(&text::escape_html(&text));
        } else {
            out.push_str(&text);
        }
    }
    Ok(if is_escaping {
        Val::Safe(out.into())
    } else {
        Val::str(out)
    })
}

fn length(_: &Engine<'_>, mut args: Bound) -> Res<Val> {
    lookup::length(&args.required(0)).map(Val::len_of)
}

fn take_keyword(args: &mut Bound, name: &str) -> Option<Val> {
    let at = args
        .keywords
        .iter()
        .position(|(found, _)| **found == *name)?;
    Some(args.keywords.remove(at).1)
}

fn map(_: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let source = args.required(0);
    Ok(Val::generator(Plan::Each {
        source,
        arguments: args,
        prepare: mapping,
    }))
}

fn mapping(engine: &Engine<'_>, mut args: Bound) -> Res<Stage> {
    if args.rest.is_empty()
        && let Some(attribute) = take_keyword(&mut args, "attribute")
    {
        let default = take_keyword(&mut args, "default");
        if let Some((name, _)) = args.keywords.first() {
            return Err(argument_error(format!(
                "Unexpected keyword argument '{name}'"
            )));
        }
        let mut getter = Getter::new(Some(&attribute), false);
        getter.default = default.filter(|default| !matches!(default, Val::None));
        return Ok(Stage::Attribute(getter));
    }
    if args.rest.is_empty() {
        return Err(argument_error("map requires a filter argument"));
    }
    let name = engine.text(&args.rest.remove(0))?;
    let Some(filter) = engine.environment().filter(&name) else {
        return Err(runtime_error(format!("No filter named '{name}'.")));
    };
    Ok(Stage::Filter(filter, args.rest, args.keywords))
}

fn extreme(engine: &Engine<'_>, mut args: Bound, wanted: std::cmp::Ordering) -> Res<Val> {
    let items = lookup::elements(&args.required(0), engine)?;
    let ignores_case = !flag(args.optional(1), false)?;
    let attribute = args.optional(2);
    let getter = Getter::new(attribute.as_ref(), ignores_case);
    let operator = if wanted == std::cmp::Ordering::Less {
        "<"
    } else {
        ">"
    };
    let mut best: Option<(Val, Val)> = None;
    for item in items {
        let key = getter.get(engine, &item)?;
        let is_better = match &best {
            None => true,
            Some((best, _)) => ops::order(&key, best, operator)? == Some(wanted),
        };
        if is_better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or_else(
        || Val::undefined("No aggregated item, sequence was empty.", !engine.is_strict),
        |(_, item)| item,
    ))
}

fn random(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let items = lookup::elements(&args.required(0), engine)?;
    if items.is_empty() {
        return Ok(Val::undefined(
            "No random item, sequence was empty.",
            !engine.is_strict,
        ));
    }
    let random = engine.host().map_or(0, crate::Host::random);
    let index = usize::try_from(random % items.len() as u64).unwrap_or(0);
    Ok(items[index].clone())
}

/// The four filters that keep elements by a test, of the element or of an attribute of it.
fn select(mut args: Bound, prepare: fn(&Engine<'_>, Bound) -> Res<Stage>) -> Res<Val> {
    let source = args.required(0);
    Ok(Val::generator(Plan::Each {
        source,
        arguments: args,
        prepare,
    }))
}

fn selection(engine: &Engine<'_>, args: Bound, keeps: bool, by_attribute: bool) -> Res<Stage> {
    let mut rest = args.rest.into_iter();
    let getter = if by_attribute {
        let Some(attribute) = rest.next() else {
            return Err(argument_error("Missing parameter for attribute name"));
        };
        Some(Getter::new(Some(&attribute), false))
    } else {
        None
    };
    let test = match rest.next() {
        None => None,
        Some(name) => {
            let name = engine.text(&name)?;
            let Some(test) = engine.environment().test(&name) else {
                return Err(runtime_error(format!("No test named '{name}'.")));
            };
            Some((test, rest.collect(), args.keywords))
        }
    };
    Ok(Stage::Select {
        getter,
        test,
        keeps,
    })
}

fn reverse(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    match &value {
        Val::Str(_) | Val::Safe(_) | Val::Key(_) => {
            let text = engine.text(&value)?;
            engine.budget.bytes(text.len())?;
            Ok(Val::str(text.chars().rev().collect::<String>()))
        }
        Val::Undefined(missing) => Err(missing.error()),
        other => {
            let items = lookup::elements(other, engine);
            let mut items = items.map_err(|error| match error.kind {
                crate::Kind::Type => argument_error("argument must be iterable"),
                _ => error,
            })?;
            items.reverse();
            Ok(match other {
                Val::Iter(_) | Val::Set(_) => Val::list(items),
                _ => Val::iter("list_reverseiterator", items),
            })
        }
    }
}

fn sort(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let items = lookup::elements(&args.required(0), engine)?;
    let is_reverse = flag(args.optional(1), false)?;
    let ignores_case = !flag(args.optional(2), false)?;
    let attribute = args
        .optional(3)
        .filter(|attribute| !matches!(attribute, Val::None));
    let getters: Vec<Getter> = match &attribute {
        Some(Val::Str(list)) => list
            .split(',')
            .map(|attribute| Getter::new(Some(&Val::str(attribute)), ignores_case))
            .collect(),
        other => vec![Getter::new(other.as_ref(), ignores_case)],
    };
    let sorted = sorted(items, is_reverse, |item| {
        if let [getter] = getters.as_slice() {
            return getter.get(engine, item);
        }
        let parts = getters.iter().map(|getter| getter.get(engine, item));
        Ok(Val::tuple(parts.collect::<Res<_>>()?))
    })?;
    Ok(Val::list(sorted))
}

fn sum(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let items = lookup::elements(&args.required(0), engine)?;
    let attribute = args
        .optional(1)
        .filter(|attribute| !matches!(attribute, Val::None));
    let getter = Getter::new(attribute.as_ref(), false);
    let mut total = args.optional(2).unwrap_or(Val::Int(0));
    if total.as_str().is_some() {
        return Err(type_error(
            "sum() can't sum strings [use ''.join(seq) instead]",
        ));
    }
    for item in &items {
        let item = getter.get(engine, item)?;
        total = ops::binary(BinOp::Add, &total, &item, &engine.budget)?;
    }
    Ok(total)
}

fn unique(_: &Engine<'_>, args: Bound) -> Res<Val> {
    Ok(Val::generator(Plan::Whole(uniques, args)))
}

fn uniques(engine: &Engine<'_>, mut args: Bound) -> Res<Vec<Val>> {
    let items = lookup::elements(&args.required(0), engine)?;
    let ignores_case = !flag(args.optional(1), false)?;
    let attribute = args.optional(2);
    let getter = Getter::new(attribute.as_ref(), ignores_case);
    // Keys that could change are refused when they are made.
    #[allow(clippy::mutable_key_type)]
    let mut seen = std::collections::HashSet::new();
    let mut kept = Vec::new();
    for item in items {
        if seen.insert(Key::new(getter.get(engine, &item)?)?) {
            kept.push(item);
        }
    }
    Ok(kept)
}
