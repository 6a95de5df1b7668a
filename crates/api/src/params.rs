//! Query parameters.

use std::collections::HashMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;
use squall_model::Id;
use squall_store::Page;
use squall_value::{Dict, Value};

use crate::audit;
use crate::caller::Caller;
use crate::error::{Error, Result};

/// The query of a request; of a repeated name the last counts.
#[derive(Debug, Default)]
pub(crate) struct Params(HashMap<String, String>);

impl Params {
    /// Reads `a=1&b=x+y%21`.
    pub(crate) fn read(query: &str) -> Result<Params> {
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            let decoded = percent_decode_str(&spaced).decode_utf8();
            let wrong = |_| Error::bad(format!("The query is not UTF-8 at \"{text}\"."));
            decoded.map(std::borrow::Cow::into_owned).map_err(wrong)
        };
        let mut params = HashMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            params.insert(decode(name)?, decode(value)?);
        }
        Ok(Params(params))
    }

    /// Sets a parameter.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// Whether the parameter is there at all, with or without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params> {
        Params::read(parts.uri.query().unwrap_or_default())
    }
}

/// How long a page may be at most.
const PAGE_MAX: u64 = 100;
/// How many ids a filter may name.
const IDS_MAX: usize = 100;

pub(crate) fn text<'a>(params: &'a Params, name: &str) -> Option<&'a str> {
    params
        .0
        .get(name)
        .map(String::as_str)
        .filter(|text| !text.is_empty())
}

/// Refuses a text that is none of these words; absent is fine.
pub(crate) fn one_of(params: &Params, name: &str, words: &[&str]) -> Result<()> {
    match text(params, name) {
        Some(text) if !words.contains(&text) => Err(Error::bad(format!(
            "Parameter \"{name}\" must be one of: {}",
            words.join(", ")
        ))),
        _ => Ok(()),
    }
}

/// A truth value; absent is false, empty is none.
pub(crate) fn truth(params: &Params, name: &str) -> Result<bool> {
    let given = params.0.get(name).map(|text| text.to_ascii_lowercase());
    match given.as_deref() {
        None | Some("false" | "0" | "no" | "n") => Ok(false),
        Some("true" | "1" | "yes" | "y") => Ok(true),
        Some(_) => Err(Error::bad(format!(
            "Parameter \"{name}\" is not of type boolean"
        ))),
    }
}

/// A whole number, if there is one. An empty text is none.
pub(crate) fn integer(params: &Params, name: &str) -> Result<Option<i64>> {
    let wrong = || Error::bad(format!("Parameter \"{name}\" is not of type integer"));
    let given = params.0.get(name);
    given
        .map(|text| text.parse().map_err(|_| wrong()))
        .transpose()
}

/// A point in time, if there is one.
pub(crate) fn time(params: &Params, name: &str) -> Result<Option<jiff::Timestamp>> {
    let wrong = |text| Error::bad(format!("Parameter \"{name}\" is not a time: {text}"));
    let text = text(params, name);
    text.map(|text| squall_wire::parse(text).ok_or_else(|| wrong(text)))
        .transpose()
}

/// The texts between commas.
pub(crate) fn list<'a>(params: &'a Params, name: &str) -> Option<Vec<&'a str>> {
    let items = text(params, name)?.split(',').map(str::trim);
    Some(items.filter(|item| !item.is_empty()).collect())
}

/// Refuses a filter that names more ids than a client may ask for at once. Empty ones count, too:
/// what is bounded is what has to be read.
pub(crate) fn few_ids(params: &Params) -> Result<()> {
    let named = text(params, "id").map_or(0, |text| text.split(',').count());
    if named > IDS_MAX {
        return Err(Error::bad(format!(
            "Parameter \"id\" names {named} ids; {IDS_MAX} are the most."
        )));
    }
    Ok(())
}

/// Whether a list by time begins with the oldest, if `sort` says anything about it: by `id`, which is
/// ordered by time, or by one of `times`. Other members are dropped silently, as StackStorm does with
/// those that it does not know.
pub(crate) fn oldest_first(params: &Params, times: &[&str]) -> Option<bool> {
    let keys = list(params, "sort").unwrap_or_default();
    keys.into_iter().find_map(|key| {
        let (name, oldest) = match key.strip_prefix('-') {
            Some(name) => (name, false),
            None => (key.strip_prefix('+').unwrap_or(key).trim_start(), true),
        };
        (name == "id" || times.contains(&name)).then_some(oldest)
    })
}

/// The ids that a list is asked for by `id=a,b`. Words that are no ids stand for nothing.
pub(crate) fn ids<K>(params: &Params) -> Option<Vec<Id<K>>> {
    let words = list(params, "id")?;
    Some(words.into_iter().filter_map(|id| id.parse().ok()).collect())
}

/// The part of the list that is asked for, and the limit to tell.
pub(crate) fn page(
    params: &Params,
    caller: &Caller,
    default: Option<u64>,
) -> Result<(Page, Option<u64>)> {
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
        Some(-1) if caller.is_admin() => None,
        Some(-1) => {
            return Err(Error::denied(
                "Administrator access required to be able to specify limit=-1 and retrieve all \
                 the records",
            ));
        }
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
        Some(limit) if limit.unsigned_abs() > PAGE_MAX && !caller.is_admin() => {
            return Err(Error::denied(format!(
                "Limit \"{limit}\" specified, maximum value is \"{PAGE_MAX}\""
            )));
        }
        Some(limit) => Some(limit.unsigned_abs()),
    };
    Ok((
        Page {
            offset,
            limit: limit.unwrap_or(u64::MAX),
        },
        limit,
    ))
}

/// The page of a list that is already here as a whole.
pub(crate) fn cut<T>(items: Vec<T>, page: Page) -> Vec<T> {
    let skip = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let take = usize::try_from(page.limit).unwrap_or(usize::MAX);
    items.into_iter().skip(skip).take(take).collect()
}

/// The members that are asked for: all, only some, or all but some.
pub(crate) enum Members {
    All,
    Only(Vec<String>),
    Without(Vec<String>),
}

pub(crate) fn members(params: &Params) -> Result<Members> {
    let list = |name| -> Option<Vec<String>> {
        list(params, name).map(|names| names.into_iter().map(str::to_owned).collect())
    };
    match (list("include_attributes"), list("exclude_attributes")) {
        (None, None) => Ok(Members::All),
        (Some(only), None) => Ok(Members::Only(only)),
        (None, Some(without)) => Ok(Members::Without(without)),
        (Some(_), Some(_)) => Err(Error::bad(
            "exclude.attributes and include.attributes arguments are mutually exclusive. \
             You need to provide either one or another, but not both.",
        )),
    }
}

/// Whether secrets are shown in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    Masked,
    Shown,
}

/// Secrets are shown to those who ask for them and may see them; others see masks, as if they had
/// not asked.
pub(crate) fn secrets(params: &Params, caller: &Caller) -> Result<Secrets> {
    Ok(if truth(params, "show_secrets")? && caller.is_admin() {
        audit::secrets_read(&[]);
        Secrets::Shown
    } else {
        Secrets::Masked
    })
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
    pub(crate) fn of(&self, value: Value) -> Value {
        match (self, &value) {
            (Members::Only(paths), Value::Dict(dict)) => {
                let mut kept = Dict::new();
                for (name, member) in dict.iter() {
                    let always = matches!(&**name, "id" | "ref");
                    if let Some(member) = chosen(member, name, always, paths) {
                        kept.insert(name.clone(), member);
                    }
                }
                Value::from(kept)
            }
            (Members::Without(_), Value::Dict(dict)) => {
                let kept = dict.iter().filter(|(name, _)| self.wants(name));
                Value::from(
                    kept.map(|(name, member)| (name.clone(), member.clone()))
                        .collect::<Dict>(),
                )
            }
            _ => value,
        }
    }
}

/// A member as far as paths such as `action.ref` ask for it.
fn chosen(member: &Value, name: &str, whole: bool, paths: &[String]) -> Option<Value> {
    if whole || paths.iter().any(|path| path == name) {
        return Some(member.clone());
    }
    let within = paths
        .iter()
        .filter_map(|path| path.strip_prefix(name)?.strip_prefix('.'));
    let within: Vec<String> = within.map(str::to_owned).collect();
    if within.is_empty() {
        return None;
    }
    let Value::Dict(dict) = member else {
        return Some(member.clone());
    };
    let inner = dict.iter().filter_map(|(name, inner)| {
        chosen(inner, name, false, &within).map(|inner| (name.clone(), inner))
    });
    Some(Value::from(inner.collect::<Dict>()))
}
