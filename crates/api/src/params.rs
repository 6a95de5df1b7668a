//! Query parameters.

use std::collections::HashMap;

use axum::extract::Query;
use squall_store::Page;

use crate::error::{Error, Result};

/// The query of a request; of a repeated name the last counts.
pub(crate) type Params = Query<HashMap<String, String>>;

/// How long a page may be at most.
const PAGE_MAX: u64 = 100;

pub(crate) fn text<'a>(params: &'a Params, name: &str) -> Option<&'a str> {
    params
        .get(name)
        .map(String::as_str)
        .filter(|text| !text.is_empty())
}

/// A truth value; absent is false.
pub(crate) fn truth(params: &Params, name: &str) -> Result<bool> {
    match text(params, name).map(str::to_ascii_lowercase).as_deref() {
        None | Some("false" | "0" | "no" | "n") => Ok(false),
        Some("true" | "1" | "yes" | "y") => Ok(true),
        Some(_) => Err(Error::bad(format!(
            "Parameter \"{name}\" is not of type boolean"
        ))),
    }
}

fn integer(params: &Params, name: &str) -> Result<Option<i64>> {
    let wrong = || Error::bad(format!("Parameter \"{name}\" is not of type integer"));
    text(params, name)
        .map(|text| text.parse().map_err(|_| wrong()))
        .transpose()
}

/// The part of the list that is asked for, and the limit to tell.
pub(crate) fn page(params: &Params, default: Option<u64>) -> Result<(Page, Option<u64>)> {
    let offset = match integer(params, "offset")? {
        None => 0,
        Some(offset) if (0..1 << 31).contains(&offset) => offset.unsigned_abs(),
        Some(offset) => {
            return Err(Error::bad(format!(
                "Offset, \"{offset}\" specified, must be from 0 to 2147483647."
            )));
        }
    };
    let limit = match integer(params, "limit")? {
        None => default,
        Some(-1) => None,
        Some(0) => {
            return Err(Error::bad(
                "Limit, \"0\" specified, must be a positive number or -1 for full result set.",
            ));
        }
        Some(limit) if limit < 0 => {
            return Err(Error::bad(format!(
                "Limit, \"{limit}\" specified, must be a positive number."
            )));
        }
        Some(limit) => Some(limit.unsigned_abs()),
    };
    let limit = limit.map(|limit| limit.min(PAGE_MAX.max(default.unwrap_or(0))));
    Ok((
        Page {
            offset,
            limit: limit.unwrap_or(u64::MAX),
        },
        limit,
    ))
}

/// The members that are asked for: all, only some, or all but some.
pub(crate) enum Members {
    All,
    Only(Vec<String>),
    Without(Vec<String>),
}

pub(crate) fn members(params: &Params) -> Result<Members> {
    let list = |text: &str| {
        text.split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect()
    };
    match (
        text(params, "include_attributes"),
        text(params, "exclude_attributes"),
    ) {
        (None, None) => Ok(Members::All),
        (Some(only), None) => Ok(Members::Only(list(only))),
        (None, Some(without)) => Ok(Members::Without(list(without))),
        (Some(_), Some(_)) => Err(Error::bad(
            "exclude.attributes and include.attributes arguments are mutually exclusive. \
             You need to provide either one or another, but not both.",
        )),
    }
}

impl Members {
    /// Whether a member, or something in it, is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let within = |path: &String| path == name || path.split('.').next() == Some(name);
        match self {
            Members::All => true,
            Members::Only(names) => names.iter().any(within),
            Members::Without(names) => !names.iter().any(|path| path == name),
        }
    }

    /// The object with what is asked for.
    pub(crate) fn of(&self, value: squall_value::Value) -> squall_value::Value {
        let squall_value::Value::Dict(dict) = &value else {
            return value;
        };
        if matches!(self, Members::All) {
            return value;
        }
        let kept = dict.iter().filter(|(name, _)| {
            matches!(&***name, "id" | "ref") && matches!(self, Members::Only(_)) || self.wants(name)
        });
        squall_value::Value::from(
            kept.map(|(name, value)| (name.clone(), value.clone()))
                .collect::<squall_value::Dict>(),
        )
    }
}
