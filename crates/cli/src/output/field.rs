//! Columns of lists: which member, and how it is shown.

use std::borrow::Cow;

use jiff::Timestamp;
use squall_value::{Value, python};

use super::paint::{Cell, Paint};
use super::{Screen, between, moment};

/// How a member is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// As it is; data as compact JSON.
    Plain,
    /// A time.
    Moment,
    /// A status, in its colour.
    Status,
    /// How long an execution took, or has been running.
    Elapsed,
    /// Whether something is so: yes or no.
    Enabled,
}

/// One column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) title: Cow<'static, str>,
    path: Cow<'static, str>,
    show: Show,
}

impl Column {
    /// A column of the member at a dotted path.
    pub(crate) const fn new(title: &'static str, path: &'static str, show: Show) -> Column {
        Column {
            title: Cow::Borrowed(title),
            path: Cow::Borrowed(path),
            show,
        }
    }

    /// A column that somebody asks for by its path.
    pub(crate) fn named(path: &str) -> Column {
        let show = match path.rsplit('.').next().unwrap_or_default() {
            "status" => Show::Status,
            name if name.ends_with("timestamp") || name.ends_with("_time") => Show::Moment,
            _ => Show::Plain,
        };
        Column {
            title: Cow::Owned(path.to_owned()),
            path: Cow::Owned(path.to_owned()),
            show,
        }
    }

    pub(crate) fn cell(&self, item: &Value, screen: &Screen, now: Timestamp) -> Cell {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
        if self.show == Show::Elapsed {
            let elapsed = between(text("start_timestamp"), text("end_timestamp"), now);
            return Cell::new(elapsed.unwrap_or_default());
        }
        let Some(value) = lookup(item, &self.path) else {
            return Cell::default();
        };
        let plain = plain(value);
        match self.show {
            Show::Moment => Cell::new(moment(&plain, &screen.zone)),
            Show::Status => Cell::status(&plain),
            Show::Enabled => match value {
                Value::Bool(true) => Cell::painted("yes", Paint::Good),
                Value::Bool(false) => Cell::painted("no", Paint::Waiting),
                _ => Cell::new(plain),
            },
            Show::Plain | Show::Elapsed => Cell::new(plain),
        }
    }
}

/// A value on one line: texts as they are, lists of texts with commas, other data as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.to_string(),
        Value::List(items) if items.iter().all(|item| item.as_str().is_some()) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            items.join(", ")
        }
        Value::List(_) | Value::Dict(_) => value.to_json(),
        Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {
            python::str(value).to_lowercase()
        }
    }
}

/// The value at a dotted path; numbers are positions in lists. A key that has dots itself is found
/// too.
pub(crate) fn lookup<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(value);
    }
    if let Some(found) = value.get(path) {
        return Some(found);
    }
    for (at, _) in path.match_indices('.') {
        let (head, tail) = (&path[..at], &path[at + 1..]);
        if let Some(inner) = step(value, head)
            && let Some(found) = lookup(inner, tail)
        {
            return Some(found);
        }
    }
    step(value, path)
}

fn step<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Dict(members) => members.get(name),
        Value::List(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use squall_value::json;

    use super::*;

    #[test]
    fn paths_lead_through_members_and_lists() {
        let value = json::read(r#"{"a": {"b": [1, {"c.d": 2}]}, "x.y": 3}"#).unwrap();
        for (path, expect) in [
            ("a.b.0", Some("1")),
            ("a.b.1.c.d", Some("2")),
            ("x.y", Some("3")),
            ("a.b.2", None),
            ("a.z", None),
            ("", Some(r#"{"a":{"b":[1,{"c.d":2}]},"x.y":3}"#)),
        ] {
            let found = lookup(&value, path).map(Value::to_json);
            assert_eq!(found.as_deref(), expect, "{path}");
        }
    }
}
