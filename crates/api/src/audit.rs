//! The audit record: what of each request is recorded, and the list of it.
//!
//! Changes record themselves when they are committed (`squall_store::audit`). Here a request gets
//! the scope that says who asks, refusals and shown secrets are recorded, and
//! what was recorded is listed.

mod refusals;

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use squall_model::{AuditRecord, AuditResult, Author};
use squall_store::audit::{Entry, Scope};
use squall_store::{AuditFilter, Command, Transaction};
use squall_value::{Dict, Str, Value, dict};

use crate::caller::Caller;
use crate::endpoint::{Endpoint, PAGE, Parameter, Shape, get};
use crate::error::{Error, Result};
use crate::front::Source;
use crate::guard::Rules;
use crate::params::{self, Params};
use crate::reply::List;
use crate::{Api, State};

pub use refusals::Refusals;

/// How much is kept of what a program calls itself, in characters.
const AGENT_MAX: usize = 200;

/// How much is kept of a path and of a name that nobody has checked yet, in characters.
const TEXT_MAX: usize = 300;

/// How many names of secrets that were read one entry holds.
const NAMES_MAX: usize = 1000;

const FILTERS: &[Parameter] = &[
    Parameter::text("user", "What this user did, or was refused."),
    Parameter::text(
        "action",
        "One kind of action, such as `sign_in`, `secret_read`, `action_execute`, `rule_create`.",
    ),
    Parameter::text(
        "resource",
        "What concerns this, such as `rule:shop:restock`; with `*` at the end, all that begins so.",
    ),
    Parameter::word("result", &["done", "refused"], "How it ended."),
    Parameter::time("timestamp_gt", "What came after this moment."),
    Parameter::time("timestamp_lt", "What came before this moment."),
    Parameter::flag("sort_asc", "The oldest first."),
];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/audit", list)
            .summary("Lists who did what or was refused, the newest first.")
            .any("audit_list")
            .query(FILTERS)
            .query(PAGE)
            .gives(Shape::Page("AuditRecord")),
    ]
}

async fn list(Extract(api): State, caller: Caller, params: Params) -> Result<List> {
    let (page, limit) = params::page(&params, &caller, Some(100))?;
    let text = |name| params::text(&params, name).map(Str::from);
    let mut filter = AuditFilter {
        user: text("user"),
        action: text("action"),
        after: params::time(&params, "timestamp_gt")?,
        before: params::time(&params, "timestamp_lt")?,
        oldest_first: params::truth(&params, "sort_asc")?,
        ..AuditFilter::default()
    };
    match params::text(&params, "resource").map(|name| (name, name.strip_suffix('*'))) {
        None => {}
        Some((_, Some(prefix))) => filter.resource_prefix = Some(Str::from(prefix)),
        Some((name, None)) => filter.resource = Some(Str::from(name)),
    }
    filter.result = params::text(&params, "result").and_then(AuditResult::from_word);
    // Whoever looks sees what was only counted so far, too.
    api.write_refusals().await?;
    let found = api.engine.store().audit(&filter, page).await?;
    Ok(List {
        items: found.items.iter().map(|record| shown(record)).collect(),
        total: found.total,
        limit,
    })
}

fn optional(text: &Option<Str>) -> Value {
    text.clone().map_or(Value::Null, Value::from)
}

/// The members that say who it was.
pub(crate) fn author(author: &Author) -> Dict {
    let mut body = Dict::new();
    body.insert("user", author.user.clone());
    body.insert("method", author.method.clone());
    body.insert("delegate", optional(&author.delegate));
    body.insert("address", optional(&author.address));
    body.insert("agent", optional(&author.agent));
    body.insert("request", optional(&author.request));
    body
}

fn shown(record: &AuditRecord) -> Value {
    let mut body = Dict::new();
    body.insert("id", record.number.to_string());
    body.insert("timestamp", squall_wire::timestamp(record.at));
    body.extend(author(&record.author));
    body.insert("action", record.action.clone());
    body.insert("resource", optional(&record.resource));
    body.insert("result", record.result.as_str());
    body.insert("reason", optional(&record.reason));
    body.insert("before", record.before.clone());
    body.insert("after", record.after.clone());
    body.insert("repeated", record.repeated.cast_signed());
    Value::from(body)
}

/// The first characters of a text that anybody may have written.
fn beginning(text: &str, max: usize) -> Str {
    match text.char_indices().nth(max) {
        Some((end, _)) => Str::from(&text[..end]),
        None => Str::from(text),
    }
}

fn agent(headers: &HeaderMap) -> Option<Str> {
    let agent = headers.get(header::USER_AGENT)?;
    Some(beginning(
        &String::from_utf8_lossy(agent.as_bytes()),
        AGENT_MAX,
    ))
}

/// The scope of a request: who asks is said later, when it is known.
pub(crate) fn scope(request: &Request) -> Arc<Scope> {
    // Without the query: it may hold a token.
    let asked = format!("{} {}", request.method(), request.uri().path());
    let source = request.extensions().get::<Source>();
    let address = source.and_then(|source| source.address);
    Scope::new(Author {
        address: address.map(|address| Str::from(address.to_string())),
        agent: agent(request.headers()),
        request: Some(beginning(&asked, TEXT_MAX)),
        ..Author::default()
    })
}

/// Says what name and by what somebody claims to be known.
pub(crate) fn claims(user: &str, method: &str) {
    if let Some(scope) = Scope::current() {
        scope.presents(&beginning(user, TEXT_MAX), method);
    }
}

/// Says that whoever asks is known by a signature only.
pub(crate) fn signed() {
    if let Some(scope) = Scope::current() {
        scope.recognised(&Str::default(), "signature", None);
    }
}

/// Says what the request changes, for changes that no definition shows.
pub(crate) fn intends(action: &str) {
    if let Some(scope) = Scope::current() {
        scope.intend(action);
    }
}

/// Says that the events of the request are made by hand, by whoever asks.
pub(crate) fn emits() {
    if let Some(scope) = Scope::current() {
        scope.emits();
    }
}

/// Leaves an entry that goes along with what the request commits.
pub(crate) fn note(entry: Entry) {
    if let Some(scope) = Scope::current() {
        scope.note(entry);
    }
}

/// Leaves an entry about secrets that are shown in clear.
pub(crate) fn secrets_read(names: &[Str]) {
    let mut entry = Entry::done("secret_read", None);
    if let [name] = names {
        entry.resource = Some(Str::clone(name));
    } else if !names.is_empty() {
        let some = names.iter().take(NAMES_MAX).cloned().map(Value::from);
        entry.after = dict! {
            "count" => i64::try_from(names.len()).unwrap_or(i64::MAX),
            "resources" => some.collect::<Value>(),
        };
    }
    note(entry);
}

/// Why a request was refused, as the answer tells it.
#[derive(Debug, Clone)]
pub(crate) struct Reason(pub(crate) Str);

/// Writes what is left to record of a request. An answer that can't be recorded is not given.
pub(crate) async fn finish(
    api: &Api,
    rules: &Rules,
    method: &Method,
    scope: &Scope,
    response: Response,
) -> Response {
    let signs_in = rules.path == "/tokens" && *method == Method::POST;
    let is_refusal = match response.status() {
        StatusCode::FORBIDDEN => true,
        // Who presents nothing at all is told how to sign in, and has done nothing.
        StatusCode::UNAUTHORIZED => !scope.author().method.is_empty(),
        StatusCode::TOO_MANY_REQUESTS => signs_in,
        _ => false,
    };
    let now = api.engine.env().now();
    let mut written = Ok(());
    if is_refusal {
        let (action, resource) = match (response.status(), scope.refusal()) {
            (StatusCode::FORBIDDEN, Some(refusal)) => refusal,
            (StatusCode::FORBIDDEN, None) if !signs_in => (rules.action(method), scope.resource()),
            _ if signs_in => (Str::from("sign_in"), None),
            _ => (Str::from("authenticate"), None),
        };
        let reason = response.extensions().get::<Reason>();
        let reason = reason.map_or_else(Str::default, |reason| reason.0.clone());
        let entry = Entry::refused(&action, resource, &reason);
        let due = api.refusals.add(entry.by(scope.author(), now));
        written = api.record(due).await;
    }
    let was_done = response.status().is_success();
    let store = api.engine.store();
    let finished = scope.finish(&**store, now, was_done).await;
    match written.and(finished.map_err(Error::from)) {
        Ok(()) => response,
        Err(error) if was_done => error.into_response(),
        // It was refused, and stays so.
        Err(_) => response,
    }
}

impl Api {
    /// Writes entries on their authors' accounts.
    async fn record(&self, records: Vec<AuditRecord>) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let records = records.into_iter();
        let commands = records.map(|record| Command::Record(Arc::new(record)));
        let transaction = Transaction::new(self.engine.env().now(), commands.collect());
        self.engine.store().commit(transaction).await?;
        Ok(())
    }

    /// Writes into the audit record what was only counted of refusals that came too often: when
    /// somebody looks, and before the server stops.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub(crate) async fn write_refusals(&self) -> Result<()> {
        self.record(self.refusals.counted(self.engine.env().now()))
            .await
    }

    /// What has to be written before the server stops.
    pub async fn stop(&self) {
        if let Err(error) = self.write_refusals().await {
            tracing::warn!(
                error = error.text,
                "counts of refused requests were not recorded"
            );
        }
    }
}
