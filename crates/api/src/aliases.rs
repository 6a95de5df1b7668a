//! `/actionalias` and `/aliasexecution`: requests written as chat.

use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use squall_alias::{Format, Pattern, displays, patterns};
use squall_engine::{Ask, Templates};
use squall_expr::{Context, Undefined};
use squall_model::{Document, DocumentKind};
use squall_store::{DocumentFilter, Page};
use squall_value::{Dict, Value, dict};
use squall_yaql::{Flags, Regex};

use crate::aside::aside;
use crate::caller::Caller;
use crate::definitions::{document, documents};
use crate::endpoint::{
    CHOICE, Endpoint, MEMBERS, PACK, PAGE, Parameter, SHOW_SECRETS, Shape, delete, get, post, put,
};
use crate::error::{Error, Result};
use crate::listing::BY_PACK;
use crate::params::{self, Members, Params, Secrets};
use crate::reply::{Json, List, Sent};
use crate::{Api, State, changes, view};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/actionalias", list)
            .summary("Lists action aliases.")
            .any("action_alias_list")
            .query(PACK)
            .query(CHOICE)
            .query(PAGE)
            .query(MEMBERS)
            .gives(Shape::Page("ActionAlias")),
        post("/actionalias", create)
            .summary("Makes an action alias.")
            .object("action_alias_create")
            .json("ActionAliasRequest")
            .gives(Shape::One("ActionAlias")),
        get("/actionalias/{id}", one)
            .summary("Shows an action alias, by reference or id.")
            .object("action_alias_view")
            .gives(Shape::One("ActionAlias")),
        put("/actionalias/{id}", update)
            .summary("Replaces an action alias.")
            .object("action_alias_modify")
            .json("ActionAliasRequest")
            .gives(Shape::One("ActionAlias")),
        delete("/actionalias/{id}", remove)
            .summary("Removes an action alias.")
            .object("action_alias_delete"),
        post("/actionalias/match", match_command)
            .summary("Tells which alias a command means.")
            .any("action_alias_match")
            .json("Command")
            .status(200)
            .gives(Shape::One("AliasMatch")),
        get("/actionalias/help", help)
            .summary("Lists what can be said.")
            .any("action_alias_help")
            .query(&[Parameter::text(
                "filter",
                "A regular expression that the text has to hold.",
            )])
            .query(PACK)
            .query(PAGE)
            .gives(Shape::One("AliasHelp")),
        post("/aliasexecution", execute)
            .makes_work()
            .summary("Runs the action of an alias with the parameters in a command.")
            .object("action_execute")
            .query(SHOW_SECRETS)
            .json("AliasExecution")
            .gives(Shape::One("AliasExecutionResult")),
        post("/aliasexecution/match_and_execute", match_and_execute)
            .makes_work()
            .summary("Finds the alias that a command means, and runs its action.")
            .object("action_execute")
            .query(SHOW_SECRETS)
            .json("AliasMatchAndExecute")
            .gives(Shape::One("AliasExecutionResults")),
    ]
}

const KIND: DocumentKind = DocumentKind::Alias;

async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    documents(&api, KIND, &params, &caller, Some(100), &[BY_PACK]).await
}

async fn one(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<Json> {
    let found = document(&api, KIND, &id).await?;
    caller.may_with(&found)?;
    Ok(Json(squall_wire::definition(&found)))
}

async fn create(Extract(api): State, caller: Caller, sent: Sent) -> Result<Response> {
    let document = changes::make(&api, &caller, KIND, &sent.object()?).await?;
    let shown = Json(squall_wire::definition(&document));
    Ok((StatusCode::CREATED, shown).into_response())
}

async fn update(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    sent: Sent,
) -> Result<Json> {
    let known = document(&api, KIND, &id).await?;
    let document = changes::replace(&api, &caller, KIND, &known, &sent.object()?).await?;
    Ok(Json(squall_wire::definition(&document)))
}

async fn remove(Extract(api): State, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    let known = document(&api, KIND, &id).await?;
    changes::remove(&api, &caller, &known).await
}

async fn all(api: &Api) -> Result<Vec<Arc<Document>>> {
    let (filter, now) = (DocumentFilter::default(), api.engine.env().now());
    let store = api.engine.store();
    let found = store.documents(KIND, &filter, Page::ALL, now).await?;
    Ok(found.items)
}

fn is_enabled(alias: &Document) -> bool {
    alias.body.get("enabled").and_then(Value::as_bool) != Some(false)
}

fn formats(alias: &Document) -> &[Value] {
    let formats = alias.body.get("formats").and_then(Value::as_list);
    formats.unwrap_or_default()
}

/// The alias and the format that a command means. Formats that fit several times in one command are
/// only asked when no other fits.
fn meant(aliases: &[Arc<Document>], command: &str) -> Result<(Arc<Document>, Pattern)> {
    for (match_multiple, word) in [(false, ""), (true, "(multi) ")] {
        let mut found = Vec::new();
        for alias in aliases.iter().filter(|alias| is_enabled(alias)) {
            let own = patterns(formats(alias)).into_iter();
            for pattern in own.filter(|pattern| pattern.match_multiple == match_multiple) {
                // A format that can't be used was told of when it was registered.
                let format = Format::new(&pattern.representation);
                if format.is_ok_and(|format| format.read(command).is_ok()) {
                    found.push((Arc::clone(alias), pattern));
                }
            }
        }
        if found.len() > 1 {
            return Err(Error::bad(format!(
                "Command '{command}' matched more than 1 {word}pattern"
            )));
        }
        if let Some(found) = found.pop() {
            return Ok(found);
        }
    }
    Err(Error::bad(format!(
        "Command '{command}' matched no patterns"
    )))
}

/// The alias and the format that a command means, among all.
async fn found(api: &Api, command: &str) -> Result<(Arc<Document>, Pattern)> {
    check_length(command)?;
    let (aliases, command) = (all(api).await?, command.to_owned());
    aside(move || meant(&aliases, &command)).await?
}

/// How long a command may be, in bytes: every format of every alias is tried on it.
const COMMAND_MAX: usize = 16 << 10;

fn check_length(command: &str) -> Result<()> {
    if command.len() <= COMMAND_MAX {
        return Ok(());
    }
    Err(Error::bad(format!(
        "The command has {} bytes, more than the {COMMAND_MAX} that are accepted.",
        command.len()
    )))
}

fn required<'a>(sent: &'a Dict, member: &str) -> Result<&'a str> {
    let text = sent.get(member).and_then(Value::as_str);
    text.ok_or_else(|| Error::bad(format!("'{member}' is a required property")))
}

async fn match_command(Extract(api): State, _: Caller, sent: Sent) -> Result<Json> {
    let sent = sent.object()?;
    let (alias, pattern) = found(&api, required(&sent, "command")?).await?;
    Ok(Json(dict! {
        "actionalias" => squall_wire::definition(&alias),
        "display" => pattern.display,
        "representation" => pattern.representation,
    }))
}

async fn help(Extract(api): State, caller: Caller, params: Params) -> Result<Json> {
    let (page, _) = params::page(&params, &caller, Some(100))?;
    let flags = Flags {
        ignore_case: true,
        ..Flags::default()
    };
    let filter = params::text(&params, "filter");
    let filter = filter.map(|filter| Regex::new(filter, flags)).transpose();
    let filter = filter.map_err(|error| {
        Error::bad(format!(
            "Parameter \"filter\" is no regular expression: {error}"
        ))
    })?;
    let pack = params::text(&params, "pack");
    let pack = pack.map(str::to_owned);
    let aliases = all(&api).await?;
    let found = aside(move || {
        let mut found = Vec::new();
        let usable = |alias: &&Arc<Document>| is_enabled(alias) && caller.sees(alias);
        for alias in aliases.iter().filter(usable) {
            if pack.is_some() && alias.pack.as_deref() != pack.as_deref() {
                continue;
            }
            for display in displays(formats(alias)) {
                let fits = filter.as_ref().map(|filter| filter.is_found(display));
                if fits.is_some_and(|fits| fits != Ok(true)) {
                    continue;
                }
                found.push(dict! {
                    "pack" => alias.pack.clone(),
                    "display" => display,
                    "description" => alias.body.get("description").cloned(),
                });
            }
        }
        found
    });
    let found = found.await?;
    let available = found.len();
    let helpstrings = params::cut(found, page);
    Ok(Json(
        dict! { "available" => available, "helpstrings" => helpstrings },
    ))
}

async fn execute(
    Extract(api): State,
    caller: Caller,
    params: Params,
    sent: Sent,
) -> Result<Response> {
    let sent = sent.object()?;
    let name = required(&sent, "name")?;
    let aliases = all(&api).await?;
    let named = |alias: &&Arc<Document>| {
        alias.body.get("name").and_then(Value::as_str) == Some(name) || *alias.key == *name
    };
    let alias = aliases.iter().find(named).ok_or_else(|| {
        Error::missing(format!(
            "Unable to identify action alias with name \"{name}\"."
        ))
    })?;
    if !is_enabled(alias) {
        return Err(Error::bad(format!(
            "Action alias with name \"{name}\" is disabled."
        )));
    }
    let wanted = sent.get("format").and_then(Value::as_str);
    let wanted = wanted.unwrap_or_default();
    let mut own = patterns(formats(alias)).into_iter();
    let Some(pattern) = own.find(|pattern| pattern.representation == wanted) else {
        return Err(Error::bad(format!(
            "Format string \"{wanted}\" is not available on the alias \"{name}\""
        )));
    };
    let pattern = Pattern {
        match_multiple: false,
        ..pattern
    };
    let secrets = params::secrets(&params, &caller)?;
    let mut results = run(&api, &caller, alias, &pattern, &sent, secrets).await?;
    let result = results.pop().unwrap_or_default();
    Ok((StatusCode::CREATED, Json(result)).into_response())
}

async fn match_and_execute(
    Extract(api): State,
    caller: Caller,
    params: Params,
    sent: Sent,
) -> Result<Response> {
    let sent = sent.object()?;
    let (alias, pattern) = found(&api, required(&sent, "command")?).await?;
    let secrets = params::secrets(&params, &caller)?;
    let results = run(&api, &caller, &alias, &pattern, &sent, secrets).await?;
    let body = dict! { "results" => results };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Runs the alias's action for each set of parameters in the command.
async fn run(
    api: &Arc<Api>,
    caller: &Caller,
    alias: &Document,
    pattern: &Pattern,
    sent: &Dict,
    secrets: Secrets,
) -> Result<Vec<Value>> {
    let command = sent.get("command").and_then(Value::as_str);
    let command = command.unwrap_or_default();
    check_length(command)?;
    let (written, command) = (pattern.representation.clone(), command.to_owned());
    let is_multiple = pattern.match_multiple;
    let read = aside(move || {
        let format = Format::new(&written);
        let format = format.map_err(|error| Error::bad(error.to_string()))?;
        let read = if is_multiple {
            format.read_all(&command)
        } else {
            format.read(&command).map(|parameters| vec![parameters])
        };
        read.map_err(|mismatch| Error::bad(mismatch.to_string()))
    });
    let read = read.await??;
    let mut results = Vec::with_capacity(read.len());
    let action = alias.body.get("action_ref").and_then(Value::as_str);
    caller.may_run(action.unwrap_or_default())?;
    for parameters in read {
        let ask = ask(api, caller, alias, sent, parameters)?;
        let execution = api.engine.request(ask).await?;
        let shown = view::execution(api, &execution, &Members::All, secrets).await?;
        results.push(answer(api, alias, shown));
    }
    Ok(results)
}

fn ask(
    api: &Api,
    caller: &Caller,
    alias: &Document,
    sent: &Dict,
    mut parameters: Dict,
) -> Result<Ask> {
    let text = |member| alias.body.get(member).and_then(Value::as_str);
    let action = text("action_ref").unwrap_or_default();
    let given = |member: &str| sent.get(member).cloned().unwrap_or_default();
    let mut context = Dict::new();
    context.insert(
        "action_alias_ref",
        dict! { "id" => alias.id.to_string(), "name" => text("name") },
    );
    context.insert("api_user", given("user"));
    context.insert("user", caller.user());
    context.insert("source_channel", given("source_channel"));
    add_fixed(api, alias, &context, &mut parameters)?;
    cast_lists(api, action, &mut parameters);
    let mut ask = Ask::new(action, caller.user());
    ask.parameters = parameters;
    // They come from chat.
    ask.templates = Templates::none();
    ask.notify = notify(sent);
    // It decides whose part of the datastore the action reads: who speaks for others administers.
    let spoken_for = sent.get("user").and_then(Value::as_str);
    if !caller.is_admin() && spoken_for.is_some() {
        context.insert("api_user", caller.user());
    }
    ask.context = Value::from(context);
    Ok(ask)
}

/// Adds the parameters that the alias fixes; a command may not bring them.
fn add_fixed(api: &Api, alias: &Document, context: &Dict, parameters: &mut Dict) -> Result<()> {
    let Some(Value::Dict(fixed)) = alias.body.get("immutable_parameters") else {
        return Ok(());
    };
    let overridden: Vec<&str> = fixed
        .keys()
        .map(|name| &**name)
        .filter(|name| parameters.contains_key(name))
        .collect();
    if !overridden.is_empty() {
        return Err(Error::bad(format!(
            "Immutable arguments cannot be overriden: {}",
            overridden.join(",")
        )));
    }
    let expressions = api.engine.expressions();
    let rendered = expressions.render_values(fixed, &Context::new(context));
    let rendered = rendered.map_err(|error| Error::bad(error.to_string()))?;
    parameters.extend(rendered);
    Ok(())
}

/// In chat a list is written with commas. What was left out is not passed on.
fn cast_lists(api: &Api, action: &str, parameters: &mut Dict) {
    let catalog = api.engine.catalog();
    let known = catalog.action(action);
    let is_list = |name: &str| {
        let parameter = known.and_then(|action| action.parameters.merged().get(name));
        let kind = parameter.and_then(|parameter| parameter.attributes().get("type"));
        kind.and_then(Value::as_str) == Some("array")
    };
    let mut cast = Dict::new();
    for (name, value) in std::mem::take(parameters) {
        let value = match value {
            Value::Null => continue,
            Value::String(text) if is_list(&name) => text
                .split(',')
                .map(|item| Value::from(item.trim()))
                .collect(),
            other => other,
        };
        cast.insert(name, value);
    }
    *parameters = cast;
}

/// Where the result is to be told; a null route tells nobody.
fn notify(sent: &Dict) -> Value {
    let member = |name: &str| sent.get(name).cloned().unwrap_or_default();
    let route = ["notification_route", "notification_channel"]
        .into_iter()
        .filter_map(|name| sent.get(name))
        .find(|route| route.is_truthy());
    dict! {
        "on-complete" => dict! {
            "routes" => Value::from(vec![route.cloned().unwrap_or_default()]),
            "data" => dict! {
                "user" => member("user"),
                "source_channel" => member("source_channel"),
                "source_context" => member("source_context"),
            },
        },
    }
}

/// The execution, the alias, and what the alias says at once.
fn answer(api: &Api, alias: &Document, execution: Value) -> Value {
    let mut result = Dict::new();
    result.insert("execution", execution);
    result.insert("actionalias", squall_wire::definition(alias));
    let expressions = api.engine.expressions();
    let Some(ack) = alias.body.get("ack").and_then(Value::as_dict) else {
        return Value::from(result);
    };
    if let Some(format) = ack.get("format").and_then(Value::as_str) {
        let text = expressions.render(format, &Context::new(&result), Undefined::Strict);
        let message = text.unwrap_or_else(|error| {
            format!("Cannot render \"format\" in field \"ack\" for alias. {error}")
        });
        result.insert("message", message);
    }
    if let Some(Value::Dict(extra)) = ack.get("extra") {
        let rendered = expressions.render_values(extra, &Context::new(&result));
        let extra = rendered.map_or_else(
            |error| {
                Value::from(format!(
                    "Cannot render \"extra\" in field \"ack\" for alias. {error}"
                ))
            },
            Value::from,
        );
        result.insert("extra", extra);
    }
    Value::from(result)
}
