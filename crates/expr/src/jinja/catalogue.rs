//! The functions and filters of StackStorm and Orquesta. YAQL calls the same ones.

use std::sync::Arc;

use num_traits::ToPrimitive;
use squall_value::{Str, Value, json as value_json, orjson};
use squall_yaql::{Flags, Regex};

use super::eval::{Engine, Outside};
use super::filters;
use super::methods::index_argument;
use super::registry::{Bound, Callable};
use super::value::Val;
use super::versions::{compare_versions, parsed_version, version_match};
use super::{Res, convert, lookup, ops, raised, type_error, value_error};
use crate::functions::{json, jsonpath, time, yaml};
use crate::scope::KeyScope;
use crate::{Error, Kind};

/// Functions of data, in both environments.
pub(super) const DATA: &[Callable] = &[
    Callable::new(
        "to_json_string",
        "to_json_string",
        &["value", "indent", "sort_keys", "separators"],
        1,
        to_json_string,
    ),
    Callable::new(
        "from_json_string",
        "from_json_string",
        &["value"],
        1,
        from_json_string,
    ),
    Callable::new(
        "to_yaml_string",
        "to_yaml_string",
        &["value", "indent", "allow_unicode"],
        1,
        to_yaml_string,
    ),
    Callable::new(
        "from_yaml_string",
        "from_yaml_string",
        &["value"],
        1,
        from_yaml_string,
    ),
    Callable::new("json_escape", "json_escape", &["value"], 1, json_escape),
    Callable::new(
        "jsonpath_query",
        "jsonpath_query",
        &["value", "query"],
        2,
        jsonpath_query,
    ),
    Callable::new(
        "regex_match",
        "regex_match",
        &["value", "pattern", "ignorecase"],
        2,
        |e, a| regex_test(e, a, true),
    ),
    Callable::new(
        "regex_search",
        "regex_search",
        &["value", "pattern", "ignorecase"],
        2,
        |e, a| regex_test(e, a, false),
    ),
    Callable::new(
        "regex_replace",
        "regex_replace",
        &["value", "pattern", "replacement", "ignorecase"],
        3,
        regex_replace,
    ),
    Callable::new(
        "regex_substring",
        "regex_substring",
        &["value", "pattern", "result_index", "ignorecase"],
        2,
        regex_substring,
    ),
    Callable::new(
        "to_human_time_from_seconds",
        "to_human_time_from_seconds",
        &["seconds"],
        1,
        to_human_time,
    ),
    Callable::new(
        "version_compare",
        "version_compare",
        &["value", "pattern"],
        2,
        |e, a| compare_versions(e, a, Val::Int),
    ),
    Callable::new(
        "version_more_than",
        "version_more_than",
        &["value", "pattern"],
        2,
        |e, a| compare_versions(e, a, |order| Val::Bool(order == 1)),
    ),
    Callable::new(
        "version_less_than",
        "version_less_than",
        &["value", "pattern"],
        2,
        |e, a| compare_versions(e, a, |order| Val::Bool(order == -1)),
    ),
    Callable::new(
        "version_equal",
        "version_equal",
        &["value", "pattern"],
        2,
        |e, a| compare_versions(e, a, |order| Val::Bool(order == 0)),
    ),
    Callable::new(
        "version_match",
        "version_match",
        &["value", "pattern"],
        2,
        version_match,
    ),
    Callable::new(
        "version_bump_major",
        "version_bump_major",
        &["value"],
        1,
        |e, mut a| Ok(Val::str(parsed_version(e, &a.required(0))?.bumped(0))),
    ),
    Callable::new(
        "version_bump_minor",
        "version_bump_minor",
        &["value"],
        1,
        |e, mut a| Ok(Val::str(parsed_version(e, &a.required(0))?.bumped(1))),
    ),
    Callable::new(
        "version_bump_patch",
        "version_bump_patch",
        &["value"],
        1,
        |e, mut a| Ok(Val::str(parsed_version(e, &a.required(0))?.bumped(2))),
    ),
    Callable::new(
        "version_strip_patch",
        "version_strip_patch",
        &["value"],
        1,
        |e, mut a| {
            let version = parsed_version(e, &a.required(0))?;
            Ok(Val::str(format!(
                "{}.{}",
                version.numbers[0], version.numbers[1]
            )))
        },
    ),
    Callable::new("use_none", "use_none", &["value"], 1, |_, mut a| {
        Ok(match a.required(0) {
            Val::None => Val::str("%*****__%NONE%__*****%"),
            other => other,
        })
    }),
    Callable::new("basename", "basename", &["path"], 1, |e, a| {
        path_part(e, a, true)
    }),
    Callable::new("dirname", "dirname", &["path"], 1, |e, a| {
        path_part(e, a, false)
    }),
];

/// Filters that workflows do not have.
pub(super) const FILTERS_ONLY: &[Callable] = &[
    Callable::new("to_complex", "to_complex", &["value"], 1, |e, mut a| {
        let data = convert::json_data(e, &a.required(0))?;
        let out = json::dumps(&data, &json::Style::default());
        e.budget.bytes(out.len())?;
        Ok(Val::str(out))
    }),
    Callable::new("decrypt_kv", "decrypt_kv", &["value"], 1, decrypt_kv),
];

/// Further functions that only workflows have.
pub(super) const ALIASES: &[Callable] = &[
    Callable::new(
        "json_dump",
        "to_json_string",
        &["value", "indent", "sort_keys", "separators"],
        1,
        to_json_string,
    ),
    Callable::new(
        "json_parse",
        "from_json_string",
        &["value"],
        1,
        from_json_string,
    ),
    Callable::new(
        "yaml_dump",
        "to_yaml_string",
        &["value", "indent", "allow_unicode"],
        1,
        to_yaml_string,
    ),
    Callable::new(
        "yaml_parse",
        "from_yaml_string",
        &["value"],
        1,
        from_yaml_string,
    ),
    Callable::new("json", "json_", &["s"], 1, json_function),
    Callable::new("zip", "zip_", &[], 0, zip).variadic(),
];

/// Functions that look at the workflow.
pub(super) const WORKFLOW: &[Callable] = &[
    Callable::new("ctx", "ctx_", &["key"], 0, ctx).scoped(),
    Callable::new(
        "task_status",
        "task_status_",
        &["task_id", "route"],
        1,
        task_status,
    )
    .scoped(),
    Callable::new("succeeded", "succeeded_", &[], 0, |e, _| {
        ended(e, &["succeeded"])
    })
    .scoped(),
    Callable::new("failed", "failed_", &[], 0, |e, _| ended(e, &["failed"])).scoped(),
    Callable::new("completed", "completed_", &[], 0, |e, _| {
        ended(
            e,
            &[
                "succeeded",
                "failed",
                "timeout",
                "expired",
                "abandoned",
                "canceled",
            ],
        )
    })
    .scoped(),
    Callable::new("result", "result_", &[], 0, |e, _| {
        let task = current_task(e)?;
        Ok(task.result.as_ref().map_or(Val::None, Val::from))
    })
    .scoped(),
    Callable::new("item", "item_", &["key"], 0, item).scoped(),
    Callable::new("task", "task", &["task_id", "route"], 0, task).scoped(),
    Callable::new("st2kv", "st2kv_", &["key"], 1, st2kv)
        .variadic()
        .scoped(),
];

fn separator(value: &Val) -> Res<Str> {
    value.as_str().cloned().ok_or_else(|| {
        type_error(format!(
            "make_encoder() argument must be str, not {}",
            value.type_name()
        ))
    })
}

fn to_json_string(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let indent = match args.optional(1) {
        None | Some(Val::None) => None,
        Some(indent) => Some(filters::json_indent(&indent)?),
    };
    let sort_keys = args
        .optional(2)
        .map_or(Ok(false), |value| ops::truth(&value))?;
    // The default leaves no blank after commas; an explicit none means Python's own default.
    let (item_separator, key_separator): (Str, Str) = match args.optional(3) {
        None => (",".into(), ": ".into()),
        Some(Val::None) => (", ".into(), ": ".into()),
        Some(separators) => {
            let parts = lookup::elements(&separators, engine)?;
            let [item, key] = parts.as_slice() else {
                return Err(value_error(match parts.len() {
                    given @ 0..2 => {
                        format!("not enough values to unpack (expected 2, got {given})")
                    }
                    _ => "too many values to unpack (expected 2)".into(),
                }));
            };
            (separator(item)?, separator(key)?)
        }
    };
    let data = convert::json_data(engine, &value)?;
    let style = json::Style {
        item_separator: item_separator.to_string(),
        key_separator: key_separator.to_string(),
        indent,
        sort_keys,
    };
    let out = json::dumps(&data, &style);
    engine.budget.bytes(out.len())?;
    Ok(Val::str(out))
}

fn json_error(error: &value_json::Error) -> Box<Error> {
    raised("JSONDecodeError", Kind::Value, orjson::message(error))
}

fn from_json_string(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let source = engine.text(&args.required(0))?;
    engine.budget.bytes(source.len())?;
    orjson::read(&source)
        .map(|value| Val::from(&value))
        .map_err(|error| json_error(&error))
}

/// Orquesta's own `json`: a dictionary passes through, and `NaN` is read.
fn json_function(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    match &value {
        Val::Dict(_) => Ok(value),
        Val::Str(source) | Val::Safe(source) => {
            engine.budget.bytes(source.len())?;
            match value_json::read_python(source) {
                Ok(value) => Ok(Val::from(&value)),
                Err(error) => Err(json_error(&python_json_error(source, error))),
            }
        }
        Val::Undefined(missing) if !missing.is_lenient => Err(missing.error()),
        _ => Err(type_error("Given object is not typeof string.")),
    }
}

/// The reason in the words of Python's own reader, where it has one for all that is no value.
fn python_json_error(source: &str, error: value_json::Error) -> value_json::Error {
    let starts_value = source
        .chars()
        .nth(error.column.saturating_sub(1))
        .is_some_and(|c| "{[\"-0123456789".contains(c));
    if starts_value {
        return error;
    }
    value_json::Error {
        reason: "Expecting value".into(),
        ..error
    }
}

fn to_yaml_string(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let data = convert::yaml_data(engine, &args.required(0), 0)?;
    let indent = match args.optional(1) {
        None | Some(Val::None) => 2,
        Some(indent) => usize::try_from(index_argument(&indent)?).unwrap_or(2),
    };
    let allow_unicode = args
        .optional(2)
        .map_or(Ok(true), |value| ops::truth(&value))?;
    let out = yaml::dump(&data, indent, allow_unicode);
    engine.budget.bytes(out.len())?;
    Ok(Val::str(out))
}

fn from_yaml_string(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let source = engine.text(&args.required(0))?;
    convert::from_yaml(engine, &source)
}

fn json_escape(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let data = convert::json_data(engine, &args.required(0))?;
    let out = json::dumps(&data, &json::Style::default());
    engine.budget.bytes(out.len())?;
    Ok(Val::str(out.trim_matches('"')))
}

fn jsonpath_query(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let data = convert::plain(engine, &args.required(0))?;
    let query = match args.required(1) {
        Val::Str(text) | Val::Safe(text) => text,
        Val::Undefined(missing) => return Err(missing.error()),
        _ => return Err(type_error("expected string or bytes-like object")),
    };
    let fail = |failure: jsonpath::Failure| raised(failure.class, failure.kind, failure.message);
    let found = jsonpath::Path::parse(&query)
        .and_then(|path| path.find(&data))
        .map_err(fail)?;
    if found.is_empty() {
        return Ok(Val::None);
    }
    engine.budget.elements(found.len())?;
    Ok(Val::from(&Value::from(found)))
}

fn regex_error(error: squall_yaql::Error) -> Box<Error> {
    match error.kind {
        squall_yaql::ErrorKind::Limit => {
            super::limit_error("the regular expression takes too much work")
        }
        squall_yaql::ErrorKind::Index => super::index_error(&error.message),
        _ => raised("error", Kind::Regex, error.message),
    }
}

/// The text to match and the compiled pattern.
fn regex_input(engine: &Engine<'_>, args: &mut Bound, flag_at: usize) -> Res<(Str, Arc<Regex>)> {
    let source = engine.text(&args.required(0))?;
    let pattern = args.required(1);
    let flags = Flags {
        ignore_case: args
            .optional(flag_at)
            .map_or(Ok(false), |value| ops::truth(&value))?,
        ..Flags::default()
    };
    engine.budget.step(source.len() / 16)?;
    let pattern = match pattern {
        Val::Str(pattern) | Val::Safe(pattern) => pattern,
        Val::Key(lookup) => engine.key_text(&lookup)?,
        Val::Undefined(missing) => return Err(missing.error()),
        Val::Foreign(value) if matches!(&*value, squall_yaql::Value::Regex(_)) => {
            return match &*value {
                squall_yaql::Value::Regex(regex) if !flags.ignore_case => {
                    Ok((source, Arc::clone(regex)))
                }
                _ => Err(value_error(
                    "cannot process flags argument with a compiled pattern",
                )),
            };
        }
        _ => {
            return Err(type_error(
                "first argument must be string or compiled pattern",
            ));
        }
    };
    let regex = Regex::cached(&pattern, flags).map_err(regex_error)?;
    Ok((source, regex))
}

fn regex_test(engine: &Engine<'_>, mut args: Bound, at_start: bool) -> Res<Val> {
    let (source, regex) = regex_input(engine, &mut args, 2)?;
    let found = if at_start {
        regex.is_at_start(&source)
    } else {
        regex.is_found(&source)
    };
    found.map(Val::Bool).map_err(regex_error)
}

fn regex_replace(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let replacement = match args.required(2) {
        Val::Str(text) | Val::Safe(text) => text,
        Val::Key(lookup) => engine.key_text(&lookup)?,
        Val::Undefined(missing) => return Err(missing.error()),
        other => {
            return Err(type_error(format!(
                "decoding to str: need a bytes-like object, {} found",
                other.class_name()
            )));
        }
    };
    let (source, regex) = regex_input(engine, &mut args, 3)?;
    /// What stops a replacement: the pattern, or the evaluation's limits.
    struct Stop(Box<Error>);
    impl From<squall_yaql::Error> for Stop {
        fn from(error: squall_yaql::Error) -> Stop {
            Stop(regex_error(error))
        }
    }
    regex
        .replace(&source, &replacement, |bytes| {
            engine.budget.step(1).map_err(Stop)?;
            engine.budget.bytes(bytes).map_err(Stop)
        })
        .map(Val::str)
        .map_err(|Stop(error)| error)
}

fn regex_substring(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let index = args
        .optional(2)
        .map_or(Ok(0), |index| index_argument(&index))?;
    let (source, regex) = regex_input(engine, &mut args, 3)?;
    let mut found = Vec::new();
    let mut previous = None;
    while let Some(spans) = regex.find_after(&source, previous).map_err(regex_error)? {
        engine.budget.elements(spans.len())?;
        previous = spans[0];
        found.push(spans);
    }
    let position = if index < 0 {
        found
            .len()
            .checked_sub(usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX))
    } else {
        usize::try_from(index).ok()
    };
    let Some(spans) = position.and_then(|position| found.get(position)) else {
        return Err(super::index_error("list index out of range"));
    };
    let group =
        |number: usize| Val::str(spans[number].map_or("", |(start, end)| &source[start..end]));
    Ok(match spans.len() {
        1 => group(0),
        2 => group(1),
        groups => Val::tuple((1..groups).map(group).collect()),
    })
}

fn to_human_time(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let Some(number) = ops::Number::of(&value) else {
        return Err(match value {
            Val::Undefined(missing) if missing.class == "SecurityError" => missing.error(),
            _ => raised("AssertionError", Kind::Assertion, ""),
        });
    };
    let (float, whole) = match number {
        #[allow(clippy::cast_precision_loss)]
        ops::Number::Int(number) => (number as f64, Some(number)),
        ops::Number::Big(number) => (number.to_f64().unwrap_or(f64::INFINITY), number.to_i64()),
        #[allow(clippy::cast_possible_truncation)]
        ops::Number::Float(number) => {
            let rounded = number.round_ties_even();
            (number, (rounded.abs() < 9e18).then_some(rounded as i64))
        }
    };
    if float == 0.0 {
        return Ok(Val::str("0s"));
    }
    if float < 1.0 {
        return Ok(Val::str(format!("{}μs", engine.text(&value)?)));
    }
    let human = whole.and_then(time::human);
    human
        .map(Val::str)
        .ok_or_else(|| super::arithmetic_error("OverflowError", "date value out of range"))
}

fn path_part(engine: &Engine<'_>, mut args: Bound, wants_base: bool) -> Res<Val> {
    let path = match args.required(0) {
        Val::Str(path) | Val::Safe(path) => path,
        Val::Key(lookup) => engine.key_text(&lookup)?,
        other => {
            return Err(type_error(format!(
                "expected str, bytes or os.PathLike object, not {}",
                other.type_name()
            )));
        }
    };
    let at = path.rfind('/').map_or(0, |at| at + 1);
    let (head, base) = path.split_at(at);
    if wants_base {
        return Ok(Val::str(base));
    }
    let trimmed = head.trim_end_matches('/');
    Ok(Val::str(if trimmed.is_empty() { head } else { trimmed }))
}

fn decrypt_kv(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let value = args.required(0);
    let source = engine.text(&value)?;
    if let Val::Key(lookup) = &value
        && source.is_empty()
    {
        let scope = match lookup.scope {
            KeyScope::System => "st2kv.system",
            KeyScope::User(_) => "st2kv.user",
        };
        return Err(value_error(format!(
            "Referenced datastore item \"{scope}.{}\" doesn't exist or it contains an empty string",
            lookup.key
        )));
    }
    let Some(host) = super::variables::datastore(engine)? else {
        return Err(value_error("there is no datastore to decrypt with"));
    };
    host.decrypt(&source)
        .map(Val::str)
        .map_err(|error| super::host_error(&error))
}

fn zip(engine: &Engine<'_>, args: Bound) -> Res<Val> {
    let lists: Vec<Val> = args
        .rest
        .into_iter()
        .map(|list| match list {
            Val::None => Val::list(Vec::new()),
            other => other,
        })
        .collect();
    if let [only] = lists.as_slice() {
        return Ok(only.clone());
    }
    let pad = args.keywords.into_iter().find(|(name, _)| **name == *"pad");
    let pad = pad.map_or(Val::None, |(_, value)| value);
    let lists = lists
        .iter()
        .map(|list| lookup::elements(list, engine))
        .collect::<Res<Vec<_>>>()?;
    let length = lists.iter().map(Vec::len).max().unwrap_or(0);
    engine.budget.elements(length.saturating_mul(lists.len()))?;
    let row = |at: usize| {
        let items = lists
            .iter()
            .map(|list| list.get(at).unwrap_or(&pad).clone());
        Val::tuple(items.collect())
    };
    Ok(Val::list((0..length).map(row).collect()))
}

fn scope<'e>(engine: &'e Engine<'_>) -> Res<&'e dyn crate::Scope> {
    match engine.outside {
        Outside::Workflow(scope) => Ok(scope),
        Outside::Plain(_) => Err(function_error("There is no workflow to look at.")),
    }
}

fn function_error(message: impl Into<String>) -> Box<Error> {
    Box::new(Error::function(message))
}

fn ctx(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let scope = scope(engine)?;
    let key = match args.optional(0) {
        None => None,
        Some(key) if !ops::truth(&key)? => None,
        Some(key) => Some(engine.text(&key)?),
    };
    let Some(key) = key else {
        return whole_context(engine, scope);
    };
    if key.starts_with("__") {
        return Err(raised(
            "VariableInaccessibleError",
            Kind::Evaluation,
            format!("The variable \"{key}\" is for internal use and inaccessible."),
        ));
    }
    engine.workflow_variable(&key).ok_or_else(|| {
        raised(
            "VariableUndefinedError",
            Kind::Evaluation,
            format!("The variable \"{key}\" is undefined."),
        )
    })
}

fn whole_context(engine: &Engine<'_>, scope: &dyn crate::Scope) -> Res<Val> {
    engine.budget.step(1)?;
    Ok(Val::from(visible(scope.variables())))
}

/// Without the names that are for internal use.
pub(crate) fn visible(variables: Arc<squall_value::Dict>) -> Arc<squall_value::Dict> {
    if variables.keys().any(|name| name.starts_with("__")) {
        let visible = variables.iter().filter(|(name, _)| !name.starts_with("__"));
        return Arc::new(
            visible
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        );
    }
    variables
}

fn current_task(engine: &Engine<'_>) -> Res<crate::CurrentTask> {
    scope(engine)?
        .current_task()
        .ok_or_else(|| function_error("The current task is not set in the context."))
}

fn ended(engine: &Engine<'_>, statuses: &[&str]) -> Res<Val> {
    let task = current_task(engine)?;
    let status = scope(engine)?.task_status(&task.id, Some(task.route));
    Ok(Val::Bool(
        status.is_some_and(|status| statuses.contains(&&*status)),
    ))
}

fn route_argument(value: Option<Val>) -> Res<Option<usize>> {
    match value {
        None | Some(Val::None) => Ok(None),
        Some(route) => Ok(usize::try_from(index_argument(&route)?).ok()),
    }
}

fn task_status(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let task = engine.text(&args.required(0))?;
    let route = route_argument(args.optional(1))?;
    let status = scope(engine)?.task_status(&task, route);
    Ok(Val::Str(status.unwrap_or_else(|| "null".into())))
}

fn item(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let item = scope(engine)?.item();
    let key = match args.optional(0) {
        None => None,
        Some(key) if !ops::truth(&key)? => None,
        Some(key) => Some(engine.text(&key)?),
    };
    let Some(key) = key else {
        return Ok(item.as_ref().map_or(Val::None, Val::from));
    };
    let Some(Value::Dict(members)) = &item else {
        return Err(function_error(
            "Item is not type of collections.abc.Mapping.",
        ));
    };
    let member = members.get(&key).map(Val::from);
    member.ok_or_else(|| function_error(format!("Item does not have key \"{key}\".")))
}

fn task(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let scope = scope(engine)?;
    let name = match args.optional(0) {
        None | Some(Val::None) => scope
            .current_task()
            .map(|task| task.id)
            .ok_or_else(|| raised("KeyError", Kind::Key, "'id'"))?,
        Some(name) => engine.text(&name)?,
    };
    let route = route_argument(args.optional(1))?;
    let record = scope.task(&name, route).map_err(Box::new)?;
    Ok(Val::from(&record))
}

fn st2kv(engine: &Engine<'_>, mut args: Bound) -> Res<Val> {
    let scope = scope(engine)?;
    super::variables::datastore(engine)?;
    let (Val::Str(key) | Val::Safe(key)) = args.required(0) else {
        return Err(type_error("Given key is not typeof string."));
    };
    let keyword = |name: &str| {
        let found = args.keywords.iter().find(|(found, _)| **found == *name);
        found.map(|(_, value)| value.clone())
    };
    let decrypts = match keyword("decrypt") {
        None => false,
        Some(Val::Bool(decrypts)) => decrypts,
        Some(_) => return Err(type_error("Decrypt parameter is not typeof bool.")),
    };
    let user = scope
        .variable("st2")
        .and_then(|st2| st2.get("user").cloned());
    let Some(Value::String(user)) = user else {
        return Err(raised(
            "KeyError",
            Kind::Key,
            "'Could not get user from context.'",
        ));
    };
    let (key_scope, name) = match key.split_once('.') {
        Some(("system", name)) => (KeyScope::System, name),
        Some(("user", name)) => (KeyScope::User(user), name),
        _ => (KeyScope::User(user), &*key),
    };
    let found = scope
        .host()
        .key(&key_scope, name, decrypts)
        .map_err(|error| function_error(error.message))?;
    match found {
        Some(value) => Ok(Val::from(&value)),
        None => keyword("default").ok_or_else(|| {
            function_error(format!(
                "The key \"{name}\" does not exist in the StackStorm datastore."
            ))
        }),
    }
}
