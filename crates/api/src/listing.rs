//! Lists that are made in memory: chosen, ordered and cut by the parameters that all lists know.

use std::cmp::Ordering;

use squall_value::Value;

use crate::caller::Caller;
use crate::error::Result;
use crate::params::{self, Params};
use crate::reply::List;

/// A filter: the query parameter, and the path of the member that it has to equal.
pub(crate) type Filter = (&'static str, &'static [&'static str]);

pub(crate) const BY_PACK: Filter = ("pack", &["pack"]);

/// The part of `items` that is asked for, after `id`, `name`, the given filters and `sort`.
pub(crate) fn listing(
    mut items: Vec<Value>,
    params: &Params,
    caller: &Caller,
    default: Option<u64>,
    filters: &[Filter],
) -> Result<List> {
    let (page, limit) = params::page(params, caller, default)?;
    let members = params::members(params)?;
    // What a pack has one of, such as its configuration, has no other name than the pack's.
    for (name, members) in [("id", &["id"][..]), ("name", &["name", "pack"])] {
        let Some(wanted) = params::list(params, name) else {
            continue;
        };
        items.retain(|item| {
            let member = members.iter().find_map(|member| item.get(member));
            let text = member.and_then(Value::as_str).unwrap_or_default();
            wanted.contains(&text)
        });
    }
    for (name, path) in filters {
        if let Some(wanted) = params::text(params, name) {
            items.retain(|item| equals(item.get_path(path), wanted));
        }
    }
    let declared = |name: &str| {
        matches!(name, "id" | "name" | "ref") || filters.iter().any(|(known, _)| *known == name)
    };
    sort(&mut items, params, declared);
    let total = items.len() as u64;
    let items = params::cut(items, page).into_iter();
    Ok(List {
        items: items.map(|item| members.of(item)).collect(),
        total,
        limit,
    })
}

/// Whether a member is what a filter asks for.
fn equals(member: Option<&Value>, wanted: &str) -> bool {
    match member {
        Some(Value::String(text)) => &**text == wanted,
        Some(Value::Bool(truth)) => {
            matches!(&*wanted.to_ascii_lowercase(), "true" | "1" | "yes" | "y") == *truth
        }
        _ => false,
    }
}

/// Orders by `sort=name,-id`; names that are no filters are dropped silently, as StackStorm does.
fn sort(items: &mut [Value], params: &Params, declared: impl Fn(&str) -> bool) {
    let Some(keys) = params::list(params, "sort") else {
        return;
    };
    let keys: Vec<(&str, bool)> = keys
        .into_iter()
        .map(|key| match key.strip_prefix('-') {
            Some(name) => (name, true),
            None => (key.strip_prefix('+').unwrap_or(key), false),
        })
        .filter(|(name, _)| declared(name))
        .collect();
    let text = |item: &Value, name: &str| item.get(name).map(Value::to_json).unwrap_or_default();
    items.sort_by(|a, b| {
        let compared = keys.iter().map(|(name, down)| {
            let order = text(a, name).cmp(&text(b, name));
            if *down { order.reverse() } else { order }
        });
        compared.fold(Ordering::Equal, Ordering::then)
    });
}
