//! The stream: server-sent events (WHATWG HTML, section 9.2) of everything that changes.
//!
//! Every event bears the position of its change as `id`, so that a client that was cut off goes on
//! where it stopped with `Last-Event-ID`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use squall_auth::rbac::{Permission, Rights};
use squall_model::{
    EnforcementId, Execution, ExecutionId, OutputChunk, Status, TriggerInstance, TriggerInstanceId,
};
use squall_runners::{ANNOUNCEMENT, announced};
use squall_store::{Change, Operation, Record, RuleVisibility, Subject, Visibility};
use squall_value::{Str, Value, dict};
use tokio::sync::mpsc;

use crate::caller::Caller;
use crate::endpoint::{Endpoint, Parameter, Shape, get};
use crate::error::Result;
use crate::live::{Live, Missed};
use crate::params::{self, Members, Params, Secrets};
use crate::{Api, State, executions, view};

/// How many pieces may wait for a slow client before the feed is read from the store instead: with
/// [`PIECE`], some 2 MiB for each client that does not keep up.
const WAITING_MAX: usize = 32;

/// How many changes are read from the store at a time.
const BATCH: usize = 500;

/// A piece of this many bytes is sent without waiting for the rest of its commit.
const PIECE: usize = 64 << 10;

/// After how long a silence a newline shows that the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(25);

const STREAM: &[Parameter] = &[
    Parameter::list("events", "Names of events, with `*` for any text."),
    Parameter::list("action_refs", "Executions of these actions only."),
    Parameter::list("execution_ids", "These executions only."),
    Parameter::text(
        "end_execution_id",
        "End the stream when this execution has ended.",
    ),
    Parameter::text("end_event", "The event that ends the stream."),
    Parameter::text(
        "last_event_id",
        "Go on after this event, as the header Last-Event-ID.",
    ),
];

const OUTPUT: &[Parameter] = &[
    Parameter::text(
        "output_type",
        "`stdout`, `stderr`, or `all`, which is the default.",
    ),
    Parameter::text(
        "last_event_id",
        "Go on after this piece, as the header Last-Event-ID.",
    ),
];

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        get("/stream", stream)
            .summary("Streams what changes.")
            .any("stream_view")
            .query(STREAM)
            .gives(Shape::Events),
        get("/executions/{id}/output", output)
            .summary("Streams what an execution prints, from the beginning.")
            .object("execution_view")
            .query(OUTPUT)
            .gives(Shape::Events),
    ]
}

/// What a client wants to hear.
struct Filter {
    events: Vec<String>,
    executions: Vec<ExecutionId>,
    actions: Vec<String>,
    end: Option<(ExecutionId, String)>,
}

/// What is sent to those who name no events: as in StackStorm, whose chat adapters name none and
/// want no payloads of everything that happens.
const DEFAULT_EVENTS: [&str; 3] = [
    "st2.execution__*",
    "st2.liveaction__*",
    "st2.announcement__*",
];

/// What the names of announcements begin with; the route follows.
const ANNOUNCEMENT_EVENT: &str = "st2.announcement__";

impl Filter {
    fn new(params: &Params) -> Filter {
        let list = |name: &str| -> Vec<String> {
            let text = params::text(params, name).unwrap_or_default();
            text.split(',')
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let mut events = list("events");
        if events.is_empty() {
            events = DEFAULT_EVENTS.map(str::to_owned).to_vec();
        }
        let end = params::text(params, "end_execution_id").and_then(|id| id.parse().ok());
        let event = params::text(params, "end_event")
            .unwrap_or("st2.execution__update")
            .to_owned();
        Filter {
            events,
            executions: list("execution_ids")
                .iter()
                .filter_map(|id| id.parse().ok())
                .collect(),
            actions: list("action_refs"),
            end: end.map(|id| (id, event)),
        }
    }

    fn wants(&self, event: &str) -> bool {
        self.events.iter().any(|pattern| glob(pattern, event))
    }

    /// Whether announcements may be wanted: their names are known only when they are read. They
    /// belong to no execution, so whoever names executions or actions gets none.
    fn may_want_announcements(&self) -> bool {
        let may_fit = |pattern: &String| {
            let fixed = pattern.split('*').next().unwrap_or_default();
            fixed.starts_with(ANNOUNCEMENT_EVENT) || ANNOUNCEMENT_EVENT.starts_with(fixed)
        };
        self.executions.is_empty() && self.actions.is_empty() && self.events.iter().any(may_fit)
    }

    /// The executions that alone are heard of; empty for everything.
    fn followed(&self) -> Vec<ExecutionId> {
        let mut followed = self.executions.clone();
        if !followed.is_empty() {
            followed.extend(self.end.as_ref().map(|(id, _)| *id));
            followed.sort_unstable();
            followed.dedup();
        }
        followed
    }

    /// Whether a change may be told at all: who names executions hears of nothing else.
    fn concerns(&self, change: &Change) -> bool {
        if self.executions.is_empty() {
            return true;
        }
        match &change.subject {
            Subject::Execution { id, .. } => {
                self.executions.contains(id) || self.end.as_ref().is_some_and(|(end, _)| end == id)
            }
            Subject::Output { execution, .. } => self.executions.contains(execution),
            _ => false,
        }
    }

    fn wants_execution(&self, execution: &Execution) -> bool {
        (self.executions.is_empty() || self.executions.contains(&execution.id()))
            && (self.actions.is_empty()
                || self
                    .actions
                    .iter()
                    .any(|action| action == execution.request.action.as_str()))
    }
}

/// A shell pattern of text and `*`. Each part is taken where it comes first: what follows a `*` fits
/// behind the first place if it fits behind any, so that no pattern costs more than the text is long.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, mut pattern)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    while let Some((part, rest)) = pattern.split_once('*') {
        let Some(at) = text.find(part) else {
            return false;
        };
        (text, pattern) = (&text[at + part.len()..], rest);
    }
    text.ends_with(pattern)
}

/// Adds one event as it is sent; `json` is its data. The name stands right before the data, where
/// clients that read line by line look for it.
fn put_event(text: &mut String, name: &str, position: u64, json: &str) {
    // Writing to a text cannot fail.
    let _ = write!(text, "id: {position}\nevent: {name}\ndata: {json}\n\n");
}

/// One event as it is sent.
fn event_text(name: &str, position: u64, data: &Value) -> Bytes {
    let mut text = String::new();
    put_event(&mut text, name, position, &data.to_json());
    Bytes::from(text)
}

type Sender = mpsc::Sender<std::result::Result<Bytes, Infallible>>;

fn response(receiver: mpsc::Receiver<std::result::Result<Bytes, Infallible>>) -> Response {
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=UTF-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, body).into_response()
}

/// The last event that a client has seen: browsers send the header, others may ask by parameter.
fn last_event_id(headers: &HeaderMap, params: &Params) -> Option<u64> {
    let header = headers.get("last-event-id");
    let header = header.and_then(|id| id.to_str().ok()?.parse().ok());
    header.or_else(|| params::text(params, "last_event_id")?.parse().ok())
}

async fn stream(
    Extract(api): State,
    caller: Caller,
    headers: HeaderMap,
    params: Params,
) -> Result<Response> {
    let filter = Filter::new(&params);
    let last = last_event_id(&headers, &params);
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        let counted = Arc::clone(&api);
        let _present = counted.metrics.follow();
        let mut feed = Feed {
            api,
            seen: Seen::of(&caller.rights),
            rights: Arc::clone(&caller.rights),
            caller: Known::new(&counted, caller),
            filter,
            sender,
            position: 0,
            waiting: String::new(),
            outputs: HashMap::new(),
            texts: view::Texts::default(),
        };
        // An error here means that the client has gone or the store is away; both end the stream.
        let _ = feed.run(last).await;
    });
    Ok(response(receiver))
}

/// One client's view of the change feed.
struct Feed {
    api: Arc<Api>,
    filter: Filter,
    /// What the client may do, and so see; asked for anew as time goes by.
    rights: Arc<Rights>,
    seen: Seen,
    /// Who the client is.
    caller: Known,
    sender: Sender,
    position: u64,
    /// Events that are not sent yet: those of one commit go in one piece.
    waiting: String,
    /// What stands in every event of an action, written once.
    texts: view::Texts,
    /// Executions whose output was sent, so that each is read once.
    outputs: HashMap<ExecutionId, Arc<Execution>>,
}

/// Who was recognised when a stream began, and is asked about while it lasts.
struct Known {
    caller: Caller,
    endings: u64,
}

impl Known {
    fn new(api: &Api, caller: Caller) -> Known {
        let endings = api.directory.endings();
        Known { caller, endings }
    }

    /// Ends the stream of whoever could not begin it any more. That is looked up when credentials
    /// have ended, and in each silence: they may run out by themselves.
    async fn ask(&mut self, api: &Api, is_silent: bool) -> std::result::Result<(), Over> {
        let endings = api.directory.endings();
        if std::mem::replace(&mut self.endings, endings) == endings && !is_silent {
            let expires = self.caller.identity.expires;
            let is_over = expires.is_some_and(|expires| expires <= api.engine.env().now());
            return if is_over { Err(Over) } else { Ok(()) };
        }
        match self.caller.is_still_known(api).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Over),
        }
    }
}

/// What a client may see.
struct Seen {
    executions: Visibility,
    enforcements: RuleVisibility,
    triggers: Option<Vec<Str>>,
}

impl Seen {
    fn of(rights: &Rights) -> Seen {
        Seen {
            executions: rights.executions(),
            enforcements: rights.enforcements(),
            triggers: rights.triggers(),
        }
    }

    fn shows_events_of(&self, trigger: &str) -> bool {
        let visible = self.triggers.as_ref();
        visible.is_none_or(|visible| visible.iter().any(|one| **one == *trigger))
    }
}

/// The stream is over.
struct Over;

impl Feed {
    async fn send(&self, text: Bytes) -> std::result::Result<(), Over> {
        self.sender.send(Ok(text)).await.map_err(|_| Over)
    }

    /// Adds an event to what is sent next.
    async fn put(
        &mut self,
        name: &str,
        position: u64,
        json: &str,
    ) -> std::result::Result<(), Over> {
        put_event(&mut self.waiting, name, position, json);
        if self.waiting.len() >= PIECE {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> std::result::Result<(), Over> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.waiting);
        self.send(Bytes::from(text)).await
    }

    /// Tells of changes that came together.
    async fn tell_all<'a>(
        &mut self,
        changes: impl Iterator<Item = &'a Change>,
    ) -> std::result::Result<(), Over> {
        self.see(false).await?;
        for change in changes {
            if !self.filter.concerns(change) {
                continue;
            }
            if let Err(over) = self.tell(change).await {
                self.flush().await?;
                return Err(over);
            }
        }
        self.flush().await
    }

    async fn run(&mut self, last: Option<u64>) -> std::result::Result<(), Over> {
        // Subscribe first: what happens between is seen twice at most, and positions tell.
        let store = Arc::clone(self.api.engine.store());
        let mut live = match self.filter.followed() {
            all if all.is_empty() => Live::Whole(store.subscribe()),
            some => Live::Some(self.api.followers.follow(&*store, some)),
        };
        let bounds = self
            .api
            .engine
            .store()
            .change_bounds()
            .await
            .map_err(|_| Over)?;
        self.position = last.unwrap_or(bounds.1).min(bounds.1);
        self.send(Bytes::from_static(b"\n")).await?;
        if let Some(last) = last {
            self.tell_gap(last, bounds.0).await?;
            // First what was missed: the end, when it is past, is among it or comes after it.
            self.catch_up().await?;
        }
        self.end_if_over().await?;
        loop {
            match tokio::time::timeout(HEARTBEAT, live.next()).await {
                Err(_) => {
                    self.see(true).await?;
                    self.send(Bytes::from_static(b"\n")).await?;
                }
                Ok(Ok(changes)) => {
                    let seen = self.position;
                    self.tell_all(changes.iter().filter(|change| change.position > seen))
                        .await?;
                    let newest = changes.last().map_or(0, |change| change.position);
                    self.position = self.position.max(newest);
                }
                Ok(Err(Missed::Behind(position))) => {
                    self.position = self.position.max(position);
                    self.catch_up().await?;
                }
                Ok(Err(Missed::Over)) => return Err(Over),
            }
        }
    }

    /// Notices that the client may see more or less than before.
    async fn see(&mut self, is_silent: bool) -> std::result::Result<(), Over> {
        self.caller.ask(&self.api, is_silent).await?;
        let rights = self.api.roles.rights(self.rights.user());
        if *rights != *self.rights {
            self.seen = Seen::of(&rights);
            self.rights = rights;
        }
        let may_stream = self.rights.has(Permission::StreamView);
        if may_stream { Ok(()) } else { Err(Over) }
    }

    /// Tells a client whose last event is older than the oldest that is kept that there is a gap,
    /// which it can close by asking for lists only.
    async fn tell_gap(&mut self, last: u64, oldest: u64) -> std::result::Result<(), Over> {
        if last.saturating_add(1) >= oldest {
            return Ok(());
        }
        let data = dict! { "last_event_id" => last, "oldest" => oldest };
        self.send(event_text("squall.stream__gap", last, &data))
            .await
    }

    /// A client that waits for an end that is past already is told at once.
    async fn end_if_over(&mut self) -> std::result::Result<(), Over> {
        let Some((id, event)) = &self.filter.end else {
            return Ok(());
        };
        let found = self
            .api
            .engine
            .store()
            .execution(*id)
            .await
            .map_err(|_| Over)?;
        let found = found.filter(|execution| self.seen.executions.shows(execution));
        let Some(execution) = found.filter(|execution| execution.state().is_ended()) else {
            return Ok(());
        };
        let data = view::execution(&self.api, &execution, &Members::All, Secrets::Masked)
            .await
            .map_err(|_| Over)?;
        self.send(event_text(event, self.position, &data)).await?;
        Err(Over)
    }

    /// Reads what was missed from the store.
    async fn catch_up(&mut self) -> std::result::Result<(), Over> {
        loop {
            let store = self.api.engine.store();
            let changes = store
                .changes_after(self.position, BATCH)
                .await
                .map_err(|_| Over)?;
            let Some(newest) = changes.last().map(|change| change.position) else {
                return Ok(());
            };
            self.tell_all(changes.iter()).await?;
            self.position = newest;
        }
    }

    async fn tell(&mut self, change: &Change) -> std::result::Result<(), Over> {
        let verb = match change.operation {
            Operation::Created => "create",
            Operation::Updated => "update",
            Operation::Deleted => "delete",
        };
        match &change.subject {
            Subject::Execution { id, status } => {
                let announces =
                    *status == Status::Succeeded && self.filter.may_want_announcements();
                self.tell_execution(change, *id, verb, announces).await
            }
            Subject::TriggerInstance(id) => {
                if let Some(Record::TriggerInstance(instance)) = &change.record {
                    self.texts.remember(instance);
                }
                self.tell_event(change, *id, verb).await
            }
            Subject::Enforcement(id) => self.tell_enforcement(change, *id, verb).await,
            Subject::Output {
                execution,
                first,
                count,
            } => {
                if !self.filter.wants("st2.execution.output__create") {
                    return Ok(());
                }
                self.tell_output(change, *execution, *first, *count).await
            }
            Subject::Document { .. } => Ok(()),
        }
    }

    async fn tell_event(
        &mut self,
        change: &Change,
        id: TriggerInstanceId,
        verb: &str,
    ) -> std::result::Result<(), Over> {
        let name = format!("st2.trigger_instance__{verb}");
        if !self.filter.wants(&name) {
            return Ok(());
        }
        let store = self.api.engine.store();
        let instance = match &change.record {
            Some(Record::TriggerInstance(instance)) => Some(Arc::clone(instance)),
            _ => store.trigger_instance(id).await.map_err(|_| Over)?,
        };
        let visible =
            |instance: &Arc<TriggerInstance>| self.seen.shows_events_of(instance.trigger.as_str());
        let Some(instance) = instance.filter(visible) else {
            return Ok(());
        };
        let payload = view::payload(&self.api, &instance, Secrets::Masked);
        let data = squall_wire::trigger_instance(&instance, payload);
        self.put(&name, change.position, &data.to_json()).await
    }

    async fn tell_enforcement(
        &mut self,
        change: &Change,
        id: EnforcementId,
        verb: &str,
    ) -> std::result::Result<(), Over> {
        let name = format!("st2.rule_enforcement__{verb}");
        if !self.filter.wants(&name) {
            return Ok(());
        }
        let store = self.api.engine.store();
        let found = match &change.record {
            Some(Record::Enforcement(found)) => Some(Arc::clone(found)),
            _ => store.enforcement(id).await.map_err(|_| Over)?,
        };
        let found = found.filter(|found| self.seen.enforcements.shows(&found.rule));
        let Some(found) = found else { return Ok(()) };
        let data = squall_wire::enforcement(&found, None);
        self.put(&name, change.position, &data.to_json()).await
    }

    async fn tell_execution(
        &mut self,
        change: &Change,
        id: ExecutionId,
        verb: &str,
        announces: bool,
    ) -> std::result::Result<(), Over> {
        let ends = self.filter.end.as_ref().is_some_and(|(end, _)| *end == id);
        let wanted = |event: &str| ends || self.filter.wants(event);
        let name = format!("st2.execution__{verb}");
        // What was made and ended in one commit is told as both.
        let (wanted, update) = (wanted(&name), wanted("st2.execution__update"));
        let perhaps_both = update && change.operation == Operation::Created;
        if !(wanted || perhaps_both || announces) {
            return Ok(());
        }
        let execution = match &change.record {
            Some(Record::Execution(execution)) => Some(Arc::clone(execution)),
            _ => self
                .api
                .engine
                .store()
                .execution(id)
                .await
                .map_err(|_| Over)?,
        };
        let execution = execution.filter(|execution| self.seen.executions.shows(execution));
        let Some(execution) = execution else {
            return Ok(());
        };
        let over = execution.state().is_ended();
        if over {
            self.outputs.remove(&id);
        }
        if announces && &*execution.request.runner == ANNOUNCEMENT {
            self.tell_announcement(change.position, &execution).await?;
        }
        if !self.filter.wants_execution(&execution) && !ends {
            return Ok(());
        }
        let twice = perhaps_both && over;
        if !wanted && !twice {
            return Ok(());
        }
        let json = self.texts.execution(&self.api, &execution).await;
        let json = json.map_err(|_| Over)?;
        if wanted {
            self.put(&name, change.position, &json).await?;
        }
        if twice {
            self.put("st2.execution__update", change.position, &json)
                .await?;
        }
        if ends && over { Err(Over) } else { Ok(()) }
    }

    /// An announcement is what the record of its execution says.
    async fn tell_announcement(
        &mut self,
        position: u64,
        execution: &Execution,
    ) -> std::result::Result<(), Over> {
        let found = self.api.engine.store().results(&[execution.id()]).await;
        let Some((_, payload)) = found.map_err(|_| Over)?.into_iter().next() else {
            return Ok(());
        };
        let result = squall_value::json::read_python(&payload.json).unwrap_or_default();
        let Some((route, said)) = announced(&result) else {
            return Ok(());
        };
        let name = format!("{ANNOUNCEMENT_EVENT}{route}");
        if !self.filter.wants(&name) {
            return Ok(());
        }
        let trace = execution.request.context.get("trace_context").cloned();
        let data = dict! { "payload" => said.clone(), "trace_context" => trace };
        self.put(&name, position, &data.to_json()).await
    }

    async fn tell_output(
        &mut self,
        change: &Change,
        id: ExecutionId,
        first: u64,
        count: u64,
    ) -> std::result::Result<(), Over> {
        let store = self.api.engine.store();
        let execution = match self.outputs.get(&id) {
            Some(execution) => Arc::clone(execution),
            None => {
                let Some(found) = store.execution(id).await.map_err(|_| Over)? else {
                    return Ok(());
                };
                self.outputs.insert(id, Arc::clone(&found));
                found
            }
        };
        let visible = self.seen.executions.shows(&execution);
        if !visible || !self.filter.wants_execution(&execution) {
            return Ok(());
        }
        let chunks: Arc<Vec<OutputChunk>> = match &change.record {
            Some(Record::Output(chunks)) => Arc::clone(chunks),
            _ => {
                let limit = usize::try_from(count).unwrap_or(usize::MAX);
                Arc::new(store.output(id, first, limit).await.map_err(|_| Over)?)
            }
        };
        for (number, chunk) in (first..).zip(chunks.iter()) {
            let data = squall_wire::output_event(&execution, number, chunk);
            let name = "st2.execution.output__create";
            self.put(name, change.position, &data.to_json()).await?;
        }
        Ok(())
    }
}

/// What one execution prints: first what there is, then what comes, until it has ended.
async fn output(
    Extract(api): State,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response> {
    let execution = executions::find(&api, &caller, &id).await?;
    let next = last_event_id(&headers, &params).map_or(0, |last| last.saturating_add(1));
    let wanted = params::text(&params, "output_type").filter(|wanted| *wanted != "all");
    let wanted = wanted.map(str::to_owned);
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let mut caller = Known::new(&api, caller);
    tokio::spawn(async move {
        let wanted = wanted.as_deref();
        // As above: an error ends the stream.
        let _ = follow_output(&api, &mut caller, &execution, next, wanted, &sender).await;
    });
    Ok(response(receiver))
}

async fn follow_output(
    api: &Api,
    caller: &mut Known,
    execution: &Arc<Execution>,
    mut next: u64,
    wanted: Option<&str>,
    sender: &Sender,
) -> std::result::Result<(), Over> {
    let send = |text: Bytes| async { sender.send(Ok(text)).await.map_err(|_| Over) };
    let id = execution.id();
    let store = api.engine.store();
    let followed = api.followers.follow(&**store, vec![id]);
    let mut live = Live::Some(followed);
    loop {
        caller.ask(api, false).await?;
        let rights = api.roles.rights(caller.caller.rights.user());
        let resource = crate::rights::execution(execution);
        if !rights.may(Permission::ExecutionView, &resource) {
            return Err(Over);
        }
        // The end is looked up before the output: what was printed before the end is then seen.
        let current = store.execution(id).await.map_err(|_| Over)?;
        let over = current.is_none_or(|current| current.state().is_ended());
        let chunks = store.output(id, next, usize::MAX).await.map_err(|_| Over)?;
        for chunk in &chunks {
            if wanted.is_none_or(|wanted| chunk.stream.as_str() == wanted) {
                let data = squall_wire::output_event(execution, next, chunk);
                send(event_text("st2.execution.output__create", next, &data)).await?;
            }
            next += 1;
        }
        if over {
            return send(Bytes::from_static(b"event: EOF\ndata: ''\n\n")).await;
        }
        loop {
            match tokio::time::timeout(HEARTBEAT, live.next()).await {
                Err(_) => {
                    caller.ask(api, true).await?;
                    send(Bytes::from_static(b"\n")).await?;
                }
                Ok(Err(Missed::Over)) => return Err(Over),
                // Whatever it was: all that was not sent yet is read anew.
                Ok(Ok(_) | Err(Missed::Behind(_))) => break,
            }
        }
    }
}

#[cfg(test)]
mod tests;
