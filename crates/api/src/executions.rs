//! `/executions`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use squall_engine::{Ask, Templates, Writer};
use squall_model::{ActionRef, Execution, ExecutionId, Id, Origin, RuleRef, Status};
use squall_store::{ExecutionFilter, ExecutionOrder, Page, ParentFilter};
use squall_value::{Dict, Str, Value, dict};

use crate::caller::Caller;
use crate::endpoint::{
    Endpoint, MEMBERS, PAGE, Parameter, SHOW_SECRETS, Shape, delete, get, post, put,
};
use crate::error::{Error, Result};
use crate::params::{self, Members, Params, Secrets};
use crate::reply::{Json, List, Sent};
use crate::{Api, State, execution_views, rights, traces, view};

/// How many executions below one are shown at most.
const BELOW_MAX: usize = 10_000;

const FILTER_PARAMETERS: &[Parameter] = &[
    Parameter::list("id", "Those with one of these ids, 100 at most."),
    Parameter::text("action", "Those of the action with this reference."),
    Parameter::list("status", "Those in one of these states."),
    Parameter::text(
        "parent",
        "Those directly below this one; `null` for those below none.",
    ),
    Parameter::text("rule", "Those that this rule asked for."),
    Parameter::text("trigger", "Those that an event of this trigger led to."),
    Parameter::text(
        "trigger_type",
        "Those that an event of this trigger type led to.",
    ),
    Parameter::text("trigger_instance", "Those that this event led to."),
    Parameter::text("runner", "Those of actions with this runner."),
    Parameter::text("user", "Those that this user asked for."),
    Parameter::text("liveaction", "The one whose `liveaction.id` this is."),
    Parameter::time(
        "timestamp",
        "Those that were asked for at this very moment.",
    ),
    Parameter::time(
        "timestamp_gt",
        "Those that were asked for later; the oldest first, unless something else is asked for.",
    ),
    Parameter::time("timestamp_lt", "Those that were asked for earlier."),
    Parameter::text(
        "filter",
        "Members and their values, as `status:failed user:ann`.",
    ),
    Parameter::text(
        "sort_asc",
        "The oldest first; the presence counts, not the value.",
    ),
    Parameter::text("sort_desc", "The newest first, as without it."),
    Parameter::list(
        "sort",
        "`timestamp` or `id` for the oldest first, `-timestamp` or `-id` for the newest.",
    ),
];

const RESULT_SIZE: &[Parameter] = &[Parameter::integer(
    "max_result_size",
    "Leave out a result of more bytes than this.",
)];

const RESULT: &[Parameter] = &[
    Parameter::flag("download", "Answer as a file to keep."),
    Parameter::flag("compress", "Compress with gzip."),
    Parameter::flag("pretty_format", "With line breaks and indentation."),
];

const CHILDREN: &[Parameter] = &[
    Parameter::integer("depth", "How many levels; -1 for all."),
    Parameter::text(
        "result_fmt",
        "`sorted` for the order in which they were asked for, in place of depth first.",
    ),
];

const OUTPUT: &[Parameter] = &[Parameter::text(
    "output_type",
    "`stdout`, `stderr`, or `all`, which is the default.",
)];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/executions", list)
            .summary("Lists executions, the newest first.")
            .any("execution_list")
            .query(FILTER_PARAMETERS)
            .query(PAGE)
            .query(MEMBERS)
            .query(SHOW_SECRETS)
            .gives(Shape::Page("Execution")),
        post("/executions", create)
            .makes_work()
            .summary("Runs an action.")
            .object("action_execute")
            .query(SHOW_SECRETS)
            .json("ExecutionRequest")
            .gives(Shape::One("Execution")),
        get("/executions/{id}", one)
            .summary("Shows an execution; `last` is the newest.")
            .object("execution_view")
            .query(MEMBERS)
            .query(SHOW_SECRETS)
            .query(RESULT_SIZE)
            .gives(Shape::One("Execution")),
        put("/executions/{id}", update)
            .summary("Pauses, resumes or cancels an execution, by its new status.")
            .object("execution_stop")
            .query(SHOW_SECRETS)
            .json("ExecutionUpdate")
            .gives(Shape::One("Execution")),
        delete("/executions/{id}", cancel)
            .summary("Cancels an execution and all below it.")
            .object("execution_stop")
            .query(SHOW_SECRETS)
            .status(200)
            .gives(Shape::One("CancelResult")),
        get("/executions/{id}/children", children)
            .summary("Lists all executions below one, depth first.")
            .object("execution_view")
            .query(CHILDREN)
            .query(MEMBERS)
            .gives(Shape::Many("Execution")),
        get("/executions/{id}/output", output)
            .summary("Gives what an execution has printed so far.")
            .object("execution_view")
            .query(OUTPUT)
            .gives(Shape::Text("text/plain")),
        get("/executions/{id}/result", result)
            .summary("Gives the result of an execution, alone.")
            .object("execution_view")
            .query(RESULT)
            .gives(Shape::Text("text/json")),
        get("/executions/{id}/attribute/{attribute}", attribute)
            .summary("Gives one member alone: `result`, `trigger_instance` or `status`.")
            .object("execution_view")
            .gives(Shape::One("Result")),
        post("/executions/{id}/re_run", run_again)
            .makes_work()
            .summary("Runs an action again, or failed tasks of a workflow.")
            .object("execution_rerun")
            .query(&[Parameter::flag(
                "no_merge",
                "Take nothing from the old parameters.",
            )])
            .query(SHOW_SECRETS)
            .json("ReRunRequest")
            .gives(Shape::One("Execution")),
    ]
}

async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let (page, limit) = params::page(&params, &caller, Some(100))?;
    let members = params::members(&params)?;
    let params = execution_views::with_search(params)?;
    let Some(mut filter) = filter(&api, &params)? else {
        return Ok(List {
            items: Vec::new(),
            total: 0,
            limit,
        });
    };
    filter.visibility = caller.rights.executions();
    let found = api.engine.store().executions(&filter, page).await?;
    let secrets = params::secrets(&params, &caller)?;
    let items = view::executions(&api, &found.items, &members, secrets).await?;
    Ok(List {
        items,
        total: found.total,
        limit,
    })
}

/// The filter of a list; `None` when nothing can satisfy it.
fn filter(api: &Api, params: &Params) -> Result<Option<ExecutionFilter>> {
    let mut filter = ExecutionFilter::default();
    if let Some(action) = params::text(params, "action") {
        let Ok(action) = ActionRef::parse(action) else {
            return Ok(None);
        };
        filter.action = Some(action);
    }
    for status in params::text(params, "status")
        .into_iter()
        .flat_map(|list| list.split(','))
    {
        let status: Status = status
            .parse()
            .map_err(|error| Error::bad(format!("{error}")))?;
        filter.statuses.push(status);
    }
    if let Some(ids) = params::ids(params) {
        if ids.is_empty() {
            return Ok(None);
        }
        filter.ids = ids;
    }
    filter.parent = match params::text(params, "parent") {
        None => ParentFilter::Any,
        Some("null" | "None") => ParentFilter::Top,
        Some(id) => match id.parse() {
            Ok(id) => ParentFilter::Of(id),
            Err(_) => return Ok(None),
        },
    };
    if let Some(id) = params::text(params, "trigger_instance") {
        let Ok(id) = id.parse() else { return Ok(None) };
        filter.trigger_instance = Some(id);
    }
    let text = |name| params::text(params, name).map(Str::from);
    filter.user = text("user");
    filter.runner = text("runner");
    let Some(rules) = rules(api, params) else {
        return Ok(None);
    };
    filter.rules = rules;
    if let Some(id) = params::text(params, "liveaction") {
        let Ok(id) = id.parse::<ExecutionId>() else {
            return Ok(None);
        };
        filter.ids.push(Id::from_raw(id.raw() ^ LIVEACTION));
    }
    filter.requested_after = params::time(params, "timestamp_gt")?;
    filter.requested_before = params::time(params, "timestamp_lt")?;
    if let Some(moment) = params::time(params, "timestamp")? {
        let tick = jiff::SignedDuration::from_micros(1);
        let after = moment.checked_sub(tick).ok();
        let before = moment.checked_add(tick).unwrap_or(jiff::Timestamp::MAX);
        filter.requested_after = filter.requested_after.max(after);
        let known = filter.requested_before.unwrap_or(before);
        filter.requested_before = Some(known.min(before));
    }
    if oldest_first(params) {
        filter.order = ExecutionOrder::OldestFirst;
    }
    Ok(Some(filter))
}

/// As StackStorm: who asks for what came after a moment wants to read on from there, unless the
/// request says otherwise.
fn oldest_first(params: &Params) -> bool {
    params::oldest_first(params, &["timestamp"]).unwrap_or_else(|| {
        let given = |name| params::text(params, name).is_some();
        let newest = given("timestamp_lt") || params.has("sort_desc");
        !newest && (given("timestamp_gt") || params.has("sort_asc"))
    })
}

/// The rules that the filters by rule and by trigger leave; `None` when they leave none, an empty
/// list when there is no such filter. StackStorm compares bare names; a reference will do as well.
fn rules(api: &Api, params: &Params) -> Option<Vec<RuleRef>> {
    let wanted = |name| params::text(params, name);
    let (rule, trigger, kind) = (wanted("rule"), wanted("trigger"), wanted("trigger_type"));
    if rule.is_none() && trigger.is_none() && kind.is_none() {
        return Some(Vec::new());
    }
    let is_meant = |wanted: Option<&str>, reference: Option<&str>| match (wanted, reference) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wanted), Some(reference)) => {
            let name = reference.split_once('.').map(|(_, name)| name);
            wanted == reference || name == Some(wanted)
        }
    };
    let catalog = api.engine.catalog();
    let found = catalog.rules().filter(|document| {
        let text = |path: &[&str]| document.body.get_path(path).and_then(Value::as_str);
        is_meant(rule, Some(&document.key))
            && is_meant(trigger, text(&["trigger", "ref"]))
            && is_meant(kind, text(&["trigger", "type"]))
    });
    let mut found: Vec<RuleRef> = found
        .filter_map(|document| document.key.parse().ok())
        .collect();
    // A rule that is gone is still known by its reference.
    if let Some(Ok(gone)) = rule.map(str::parse::<RuleRef>)
        && trigger.is_none()
        && kind.is_none()
        && !found.contains(&gone)
    {
        found.push(gone);
    }
    (!found.is_empty()).then_some(found)
}

/// The bit in which the id of a liveaction differs from its execution's.
const LIVEACTION: u128 = 1 << 31;

/// The execution that a path names, if the caller has the endpoint's permission on it; `last` is the
/// newest that the caller may see.
pub(crate) async fn find(api: &Api, caller: &Caller, id: &str) -> Result<Arc<Execution>> {
    let found = named(api, caller, id).await?;
    caller.may(&rights::execution(&found))?;
    Ok(found)
}

/// The execution that a path names, whoever asks.
pub(crate) async fn named(api: &Api, caller: &Caller, id: &str) -> Result<Arc<Execution>> {
    let store = api.engine.store();
    if id == "last" {
        let filter = ExecutionFilter {
            visibility: caller.rights.executions(),
            ..ExecutionFilter::default()
        };
        let newest = store.executions(&filter, Page::first(1)).await?;
        return newest
            .items
            .into_iter()
            .next()
            .ok_or_else(|| Error::unknown(id));
    }
    let parsed: ExecutionId = id.parse().map_err(|_| Error::unknown(id))?;
    if let Some(execution) = store.execution(parsed).await? {
        return Ok(execution);
    }
    let twin = Id::from_raw(parsed.raw() ^ LIVEACTION);
    store
        .execution(twin)
        .await?
        .ok_or_else(|| Error::unknown(id))
}

async fn one(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json> {
    let execution = find(&api, &caller, &id).await?;
    let members = params::members(&params)?;
    let secrets = params::secrets(&params, &caller)?;
    let mut shown = view::execution(&api, &execution, &members, secrets).await?;
    if members.wants("queue") {
        add_queue(&api, &execution, &mut shown);
    }
    let size = shown.get("result_size").and_then(Value::as_int);
    if let (Some(max), Some(size), Value::Dict(body)) = (
        params::integer(&params, "max_result_size")?,
        size,
        &mut shown,
    ) && size > max
    {
        Arc::make_mut(body).remove("result");
    }
    Ok(Json(shown))
}

/// Adds where an execution waits: at which policies, or for a slot, and in which place.
fn add_queue(api: &Api, execution: &Execution, shown: &mut Value) {
    let waits = matches!(
        execution.state(),
        squall_model::State::Delayed { .. } | squall_model::State::Scheduled
    );
    let Value::Dict(body) = shown else { return };
    let places = api.engine.places(execution.id());
    if !waits || places.is_empty() {
        return;
    }
    let places = places.into_iter().map(|place| {
        dict! { "gate" => place.gate, "place" => place.place, "running" => place.running }
    });
    Arc::make_mut(body).insert("queue", places.collect::<Value>());
}

async fn create(
    Extract(api): State,
    caller: Caller,
    headers: HeaderMap,
    params: Params,
    sent: Sent,
) -> Result<Response> {
    let body = sent.object()?;
    let mut ask = ask(&caller, &headers, body)?;
    caller.may_run(&ask.action)?;
    ask.trace_tag = traces::tag_of(&api, ask.context.get("trace_context")).await?;
    let execution = api.engine.request(ask).await?;
    created(&api, &execution, params::secrets(&params, &caller)?).await
}

async fn created(api: &Api, execution: &Arc<Execution>, secrets: Secrets) -> Result<Response> {
    let shown = view::execution(api, execution, &Members::All, secrets).await?;
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

fn ask(caller: &Caller, headers: &HeaderMap, body: Dict) -> Result<Ask> {
    let action = body.get("action").and_then(Value::as_str);
    let action = action.ok_or_else(|| Error::bad("'action' is a required property"))?;
    let mut ask = Ask::new(action, user(caller, &body)?);
    ask.parameters = match body.get("parameters") {
        None | Some(Value::Null) => Dict::new(),
        Some(Value::Dict(parameters)) => (**parameters).clone(),
        Some(other) => {
            return Err(Error::bad(format!(
                "'parameters' must be an object, not {}",
                other.kind()
            )));
        }
    };
    let mut context = body
        .get("context")
        .and_then(Value::as_dict)
        .cloned()
        .unwrap_or_default();
    if let Some(given) = headers.get("st2-context") {
        let given = given
            .to_str()
            .ok()
            .and_then(|text| squall_value::json::read(text).ok());
        let Some(Value::Dict(given)) = given else {
            return Err(Error::bad(
                "The header st2-context must hold a JSON object.",
            ));
        };
        context.extend(
            given
                .iter()
                .map(|(key, value)| (key.clone(), value.clone())),
        );
    }
    // It says whose part of the datastore templates read.
    if let Some(Value::String(user)) = context.get("api_user") {
        caller.check_user(user)?;
    }
    ask.context = Value::from(context);
    ask.notify = body.get("notify").cloned().unwrap_or_default();
    ask.delay = delay(&body)?;
    Ok(ask)
}

/// On whose behalf something is asked for.
fn user(caller: &Caller, body: &Dict) -> Result<Str> {
    match body.get("user") {
        Some(Value::String(user)) if !user.is_empty() => {
            caller.check_user(user)?;
            Ok(user.clone())
        }
        _ => Ok(caller.user()),
    }
}

/// How long it is to wait.
fn delay(body: &Dict) -> Result<Option<Duration>> {
    match body.get("delay") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Int(millis)) if *millis >= 0 => {
            Ok(Some(Duration::from_millis(millis.unsigned_abs())))
        }
        Some(_) => Err(Error::bad(
            "'delay' must be a number of milliseconds, 0 or more",
        )),
    }
}

async fn cancel(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json> {
    let secrets = params::secrets(&params, &caller)?;
    let execution = find(&api, &caller, &id).await?;
    match api.engine.cancel(execution.id(), &caller.user()).await {
        Ok(execution) => Ok(Json(
            view::execution(&api, &execution, &Members::All, secrets).await?,
        )),
        Err(squall_engine::ControlFailure::Ended(Status::Canceled)) => Ok(Json(
            view::execution(&api, &execution, &Members::All, secrets).await?,
        )),
        // StackStorm answers 200 here, and clients read the text.
        Err(squall_engine::ControlFailure::Ended(status)) => Ok(Json(dict! {
            "faultstring" => format!("Action cannot be canceled. State = {status}."),
        })),
        Err(error) => Err(error.into()),
    }
}

async fn update(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
    sent: Sent,
) -> Result<Json> {
    let secrets = params::secrets(&params, &caller)?;
    let execution = find(&api, &caller, &id).await?;
    let body = sent.object()?;
    if execution.state().is_ended() {
        return Err(Error::bad("Execution is already in completed state."));
    }
    let id = execution.id();
    let after = match body.get("status").and_then(Value::as_str) {
        Some("pausing" | "paused") => api.engine.pause(id).await,
        Some("resuming" | "running") => api.engine.resume(id).await,
        Some("canceling" | "canceled") => api.engine.cancel(id, &caller.user()).await,
        Some(other) => {
            return Err(Error::bad(format!(
                "An execution cannot be set to \"{other}\"."
            )));
        }
        None => return Err(Error::bad("'status' is a required property")),
    };
    let after = after.map_err(|error| match Error::from(error) {
        Error {
            status: StatusCode::BAD_REQUEST,
            text,
            ..
        } => Error::bad(format!("Failed updating execution. {text}")),
        other => other,
    })?;
    Ok(Json(
        view::execution(&api, &after, &Members::All, secrets).await?,
    ))
}

/// Runs the same action again, with the same parameters but for those given.
async fn run_again(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
    sent: Sent,
) -> Result<Response> {
    let before = find(&api, &caller, &id).await?;
    let secrets = params::secrets(&params, &caller)?;
    let body = sent.object()?;
    let user = user(&caller, &body)?;
    let delay = delay(&body)?;
    let names = |member: &str| -> Vec<Str> {
        let list = body
            .get(member)
            .and_then(Value::as_list)
            .unwrap_or_default();
        list.iter()
            .filter_map(Value::as_str)
            .map(Str::from)
            .collect()
    };
    let (tasks, reset) = (names("tasks"), names("reset"));
    let given = body.get("parameters").and_then(Value::as_dict);
    let is_of_tasks = !tasks.is_empty() || !reset.is_empty();
    if is_of_tasks && given.is_some_and(|parameters| !parameters.is_empty()) {
        return Err(Error::bad(
            "Parameters override is not supported when re-running task(s) for a workflow.",
        ));
    }
    if reset.iter().any(|task| !tasks.contains(task)) {
        return Err(Error::bad(
            "List of tasks to reset does not match the tasks to rerun.",
        ));
    }
    if is_of_tasks {
        if delay.is_some_and(|delay| !delay.is_zero()) {
            return Err(Error::bad(
                "'delay' cannot be given when tasks are run again.",
            ));
        }
        let execution = api.engine.rerun(before.id(), &tasks, &reset, &user).await?;
        return created(&api, &execution, secrets).await;
    }
    let mut ask = Ask::new(before.request.action.text(), user);
    // What it had was rendered then.
    ask.templates = Templates {
        writer: Writer::Asker,
        only: Some(given.into_iter().flat_map(Dict::keys).cloned().collect()),
    };
    if !params::truth(&params, "no_merge")? {
        ask.parameters = api.engine.parameters(&before);
    }
    if let Some(Value::Dict(given)) = body.get("parameters") {
        ask.parameters.extend(
            given
                .iter()
                .map(|(key, value)| (key.clone(), value.clone())),
        );
    }
    ask.context = dict! { "re-run" => dict! { "ref" => before.id().to_string() } };
    ask.origin = Origin::Rerun(before.id());
    ask.trace_tag = Some(before.request.trace());
    ask.delay = delay;
    let execution = api.engine.request(ask).await?;
    created(&api, &execution, secrets).await
}

/// All executions below one, depth first.
async fn children(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json> {
    let secrets = Secrets::Masked;
    let top = find(&api, &caller, &id).await?;
    let visible = caller.rights.executions();
    let deep = params::text(&params, "depth").and_then(|text| text.parse::<i64>().ok());
    let deep = deep
        .filter(|depth| *depth >= 0)
        .map_or(usize::MAX, |depth| usize::try_from(depth).unwrap_or(0));
    let members = params::members(&params)?;
    let mut found = Vec::new();
    let mut pending = vec![(top, 0)];
    while let Some((execution, depth)) = pending.pop() {
        if depth < deep.max(1) && squall_engine::is_workflow(&execution.request.runner) {
            let below = api.engine.store().children(execution.id()).await?;
            pending.extend(below.into_iter().rev().map(|child| (child, depth + 1)));
        }
        if depth > 0 && visible.shows(&execution) {
            found.push(execution);
        }
        if found.len() >= BELOW_MAX {
            break;
        }
    }
    if params::text(&params, "result_fmt") == Some("sorted") {
        found.sort_by_key(|execution| (execution.request.requested, execution.id()));
    }
    Ok(Json(Value::from(
        view::executions(&api, &found, &members, secrets).await?,
    )))
}

/// What was printed so far, as plain text.
async fn output(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<String> {
    let execution = find(&api, &caller, &id).await?;
    let wanted = params::text(&params, "output_type").filter(|wanted| *wanted != "all");
    let chunks = api
        .engine
        .store()
        .output(execution.id(), 0, usize::MAX)
        .await?;
    let chunks = chunks
        .iter()
        .filter(|chunk| wanted.is_none_or(|wanted| chunk.stream.as_str() == wanted));
    Ok(chunks.map(|chunk| &*chunk.text).collect())
}

async fn result(
    Extract(api): State,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response> {
    let execution = find(&api, &caller, &id).await?;
    let value = member(&api, &execution, "result").await?;
    let mut text = if params::truth(&params, "pretty_format")? {
        squall_value::json::write_styled(&value, squall_value::json::Style::PRETTY)
    } else {
        value.to_json()
    }
    .into_bytes();
    let download = params::truth(&params, "download")?;
    let compress = params::truth(&params, "compress")?;
    let mut name = format!("execution_{}_result.json", execution.id());
    let mut kind = "text/json";
    if compress {
        text = gzip(&text)?;
        name.push_str(".gz");
        kind = "application/x-gzip";
    }
    let mut response = ([(header::CONTENT_TYPE, kind)], text).into_response();
    if compress {
        // As StackStorm says it: who only reads the result need not know that it was compressed.
        let gzip = header::HeaderValue::from_static("gzip");
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, gzip);
    }
    if download && let Ok(value) = format!("attachment; filename={name}").parse() {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

fn gzip(text: &[u8]) -> Result<Vec<u8>> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let written = encoder.write_all(text).and_then(|()| encoder.finish());
    written.map_err(|error| Error::internal(&error))
}

/// One member of an execution, as it is shown.
async fn member(api: &Api, execution: &Arc<Execution>, name: &str) -> Result<Value> {
    let only = Members::Only(vec![name.to_owned()]);
    let shown = view::execution(api, execution, &only, Secrets::Masked).await?;
    Ok(shown.get(name).cloned().unwrap_or_default())
}

/// The members that can be asked for alone.
pub(crate) const ATTRIBUTES: [&str; 3] = ["result", "trigger_instance", "status"];

async fn attribute(
    Extract(api): State,
    caller: Caller,
    Path((id, name)): Path<(String, String)>,
) -> Result<Json> {
    if !ATTRIBUTES.contains(&&*name) {
        return Err(Error::bad(format!(
            "Invalid attribute \"{name}\" specified. Valid attributes are: {}",
            ATTRIBUTES.join(", ")
        )));
    }
    let execution = find(&api, &caller, &id).await?;
    Ok(Json(member(&api, &execution, &name).await?))
}
