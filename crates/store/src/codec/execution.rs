//! Executions: the request's body, and the progress as columns.

use std::fmt::Write;
use std::sync::Arc;

use squall_model::{
    ActionRef, EnforcementId, Execution, ExecutionId, ExecutionRequest, Lease, LogEntry, Origin,
    Outcome, Progress, RuleOrigin, RuleRef, State, Status, TaskOrigin, Timestamp,
    TriggerInstanceId,
};
use squall_value::{Str, Value};

use super::{Body, BodyReader, Damage, Packed, micros, moment, unpack};

/// The body of what was asked for: all that has no column.
#[must_use]
pub fn encode_request(request: &ExecutionRequest) -> Packed {
    let mut body = Body::new();
    body.text("definition", &request.definition);
    if request.root != request.id {
        body.text("root", &request.root.to_string());
    }
    match &request.origin {
        Origin::User => {}
        Origin::Rule(rule) => body.text("enforcement", &rule.enforcement.to_string()),
        Origin::Task(task) => {
            body.number("route", task.route as u64);
            if let Some(item) = task.item {
                body.number("item", item as u64);
            }
            body.number("turn", task.turn);
        }
        Origin::Rerun(of) => body.text("rerun", &of.to_string()),
    }
    if !request.tags.is_empty() {
        let tags: Value = request
            .tags
            .iter()
            .map(|tag| Value::from(Arc::clone(tag)))
            .collect();
        let _ = write!(body.0, ",\"tags\":{}", tags.to_json());
    }
    body.finish(&[&request.parameters, &request.context, &request.notify])
}

/// The log as text: `requested@1767225600000000,scheduled@…`, times in microseconds.
#[must_use]
pub fn encode_log(log: &[LogEntry]) -> String {
    let mut text = String::with_capacity(log.len() * 28);
    for entry in log {
        if !text.is_empty() {
            text.push(',');
        }
        let _ = write!(text, "{}@{}", entry.status, micros(entry.at));
    }
    text
}

fn decode_log(text: &str) -> Result<Vec<LogEntry>, Damage> {
    let entry = |text: &str| {
        let (status, at) = text.split_once('@')?;
        Some(LogEntry {
            status: status.parse().ok()?,
            at: moment(at.parse().ok()?).ok()?,
        })
    };
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(|part| entry(part).ok_or(Damage::from("its log is damaged")))
        .collect()
}

/// The lease that a state holds, for its column; `None` for states that hold none.
#[must_use]
pub fn lease_of(state: State) -> Option<i64> {
    match state {
        State::Running { lease } | State::Canceling { lease } => Some(lease.0.cast_signed()),
        _ => None,
    }
}

/// Until when a state waits, in microseconds, for its column.
#[must_use]
pub fn until_of(state: State) -> Option<i64> {
    match state {
        State::Delayed { until } => until.map(micros),
        _ => None,
    }
}

/// An execution's columns, as they are read.
#[derive(Debug, Clone)]
pub struct ExecutionRow<'a> {
    /// Its id.
    pub id: &'a [u8],
    /// The action.
    pub action: &'a str,
    /// The runner type.
    pub runner: &'a str,
    /// The user on whose behalf it runs.
    pub user: &'a str,
    /// The execution above.
    pub parent: Option<&'a [u8]>,
    /// The rule that asked.
    pub rule: Option<&'a str>,
    /// The event behind it.
    pub trigger_instance: Option<&'a [u8]>,
    /// The task of the parent.
    pub task: Option<&'a str>,
    /// The trace tag.
    pub trace_tag: Option<&'a str>,
    /// When it was asked for, in microseconds as all times.
    pub requested: i64,
    /// Its revision.
    pub revision: i64,
    /// Its status, in StackStorm's word.
    pub status: &'a str,
    /// What [`lease_of`] gave.
    pub lease: Option<i64>,
    /// What [`until_of`] gave.
    pub until: Option<i64>,
    /// When it started.
    pub started: Option<i64>,
    /// When it ended.
    pub ended: Option<i64>,
    /// Its deadline.
    pub deadline: Option<i64>,
    /// What [`encode_log`] gave.
    pub log: &'a str,
    /// What [`encode_request`] gave.
    pub body: &'a [u8],
}

fn time(micros: Option<i64>) -> Result<Option<Timestamp>, Damage> {
    micros.map(moment).transpose()
}

impl ExecutionRow<'_> {
    /// The execution.
    ///
    /// # Errors
    ///
    /// [`Damage`] when a column or the body does not hold what was written.
    pub fn execution(&self) -> Result<Execution, Damage> {
        let progress = Progress {
            revision: self.revision.cast_unsigned(),
            state: self.state()?,
            started: time(self.started)?,
            ended: time(self.ended)?,
            log: decode_log(self.log)?,
            deadline: time(self.deadline)?,
        };
        Ok(Execution {
            request: Arc::new(self.request()?),
            progress,
        })
    }

    fn state(&self) -> Result<State, Damage> {
        let status: Status = self
            .status
            .parse()
            .map_err(|_| Damage::from("its status is unknown"))?;
        let lease = || {
            let lease = self.lease.ok_or(Damage::from("its lease is missing"))?;
            Ok::<_, Damage>(Lease(lease.cast_unsigned()))
        };
        Ok(match status {
            Status::Requested => State::Requested,
            Status::Scheduled => State::Scheduled,
            Status::Delayed => State::Delayed {
                until: time(self.until)?,
            },
            Status::Running => State::Running { lease: lease()? },
            Status::Pending => State::Pending,
            Status::Pausing => State::Pausing,
            Status::Paused => State::Paused,
            Status::Resuming => State::Resuming,
            Status::Canceling => State::Canceling { lease: lease()? },
            Status::Succeeded => State::Ended(Outcome::Succeeded),
            Status::Failed => State::Ended(Outcome::Failed),
            Status::Timeout => State::Ended(Outcome::TimedOut),
            Status::Abandoned => State::Ended(Outcome::Abandoned),
            Status::Canceled => State::Ended(Outcome::Canceled),
        })
    }

    fn request(&self) -> Result<ExecutionRequest, Damage> {
        let id = ExecutionId::from_bytes(self.id).ok_or(Damage::from("its id is damaged"))?;
        let text = unpack(self.body)?;
        let mut body = BodyReader::new(&text)?;
        let parent = match self.parent {
            Some(bytes) => Some(
                ExecutionId::from_bytes(bytes).ok_or(Damage::from("its parent's id is damaged"))?,
            ),
            None => None,
        };
        let root = match body.text("root") {
            Some(root) => root
                .parse()
                .map_err(|_| Damage::from("its root's id is damaged"))?,
            None => id,
        };
        Ok(ExecutionRequest {
            id,
            action: ActionRef::parse(self.action)
                .map_err(|_| Damage::from("its action is damaged"))?,
            runner: Arc::from(self.runner),
            definition: body
                .text("definition")
                .ok_or(Damage::from("its definition is missing"))?,
            origin: self.origin(&body)?,
            user: Arc::from(self.user),
            parent,
            root,
            trace_tag: self.trace_tag.map(Str::from),
            requested: moment(self.requested)?,
            tags: tags(body.header.get("tags")),
            parameters: body.value()?,
            context: body.value()?,
            notify: body.value()?,
        })
    }

    fn origin(&self, body: &BodyReader<'_>) -> Result<Origin, Damage> {
        let missing = || Damage::from("its origin is damaged");
        if let Some(rule) = self.rule {
            let enforcement = body.text("enforcement").ok_or_else(missing)?;
            return Ok(Origin::Rule(RuleOrigin {
                rule: RuleRef::parse(rule).map_err(|_| missing())?,
                trigger_instance: self
                    .trigger_instance
                    .and_then(TriggerInstanceId::from_bytes)
                    .ok_or_else(missing)?,
                enforcement: enforcement
                    .parse::<EnforcementId>()
                    .map_err(|_| missing())?,
            }));
        }
        if let Some(task) = self.task {
            let turn = body.header.get("turn").cloned().unwrap_or_default();
            return Ok(Origin::Task(TaskOrigin {
                task: Arc::from(task),
                route: body.number("route").ok_or_else(missing)?,
                item: body.number("item"),
                turn: turn.to_json().parse().map_err(|_| missing())?,
            }));
        }
        Ok(match body.text("rerun") {
            Some(of) => Origin::Rerun(of.parse().map_err(|_| missing())?),
            None => Origin::User,
        })
    }
}

fn tags(list: Option<&Value>) -> Vec<Str> {
    let tags = list.and_then(Value::as_list).unwrap_or_default();
    tags.iter()
        .filter_map(|tag| tag.as_str().map(Str::from))
        .collect()
}
