//! What the newcomer sees: events, rules, tasks and output as they happen, from the change feed.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::sync::Arc;

use squall_model::{
    Enforcement, EnforcementOutcome, Execution, ExecutionId, Origin, Outcome, OutputChunk, State,
    Status, Timestamp, TriggerInstance, TriggerInstanceId,
};
use squall_sensors::git::BRANCH_MOVED;
use squall_store::{Change, Record, Store, Subject};
use squall_value::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

/// How many changes are read at once when the feed was faster than the terminal.
const CATCH_UP: usize = 1_000;

/// Parameters by which one execution of the demo's actions is told from another.
const TELLING: [&str; 3] = ["operation", "name", "port"];

/// What the rule made of one push.
#[derive(Debug)]
pub(super) struct Run {
    /// The commit that was pushed.
    pub(super) commit: String,
    /// Whether it was applied.
    pub(super) succeeded: bool,
}

#[derive(Debug, Clone, Copy)]
enum Colour {
    Plain,
    Dim,
    Red,
    Green,
    Yellow,
    Blue,
}

/// Standard output, in colours where a terminal shows them.
#[derive(Debug, Clone)]
pub(super) struct Console {
    colours: bool,
}

impl Console {
    pub(super) fn new() -> Console {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Console {
            colours: wanted && std::io::stdout().is_terminal(),
        }
    }

    fn paint(&self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Plain => return text.to_owned(),
            Colour::Dim => 2,
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Blue => 34,
        };
        if self.colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn line(&self, text: &str) {
        // Nobody reads: nothing to be done.
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }

    /// A line that begins a part.
    pub(super) fn headline(&self, text: &str) {
        let text = if self.colours {
            format!("\n\x1b[1m{text}\x1b[0m")
        } else {
            format!("\n{text}")
        };
        self.line(&text);
    }

    /// A line below a headline.
    pub(super) fn say(&self, text: &str) {
        self.line(&format!("  {text}"));
    }

    /// The text of a file.
    pub(super) fn text(&self, text: &str) {
        for line in text.lines() {
            self.line(&self.paint(Colour::Dim, &format!("  | {}", printable(line))));
        }
    }

    fn entry(&self, at: Timestamp, colour: Colour, word: &str, text: &str) {
        let at = at.to_zoned(jiff::tz::TimeZone::system());
        let time = self.paint(Colour::Dim, &at.strftime("%H:%M:%S").to_string());
        let word = self.paint(colour, &format!("{word:<9}"));
        self.line(&format!("{time} {word} {}", printable(text)));
    }
}

/// Text from outside must not command the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// Shows changes until the server's feed ends; sends a [`Run`] for each push that was answered.
pub(super) async fn follow(store: Arc<dyn Store>, console: Console, runs: mpsc::Sender<Run>) {
    let mut live = store.subscribe();
    let mut follower = Follower {
        position: store.change_bounds().await.map_or(0, |(_, newest)| newest),
        store: Arc::clone(&store),
        console,
        commits: HashMap::new(),
        runs,
    };
    loop {
        match live.recv().await {
            Ok(changes) => {
                // One commit can hold an event, its enforcement and its execution, in any order.
                let mut changes: Vec<&Change> = changes.iter().collect();
                changes.retain(|change| change.position > follower.position);
                let newest = changes.last().map_or(0, |change| change.position);
                changes.sort_by_key(|change| rank(&change.subject));
                for change in changes {
                    follower.show(change).await;
                }
                follower.position = follower.position.max(newest);
            }
            Err(RecvError::Lagged(_)) => follower.catch_up().await,
            Err(RecvError::Closed) => return,
        }
    }
}

/// The order in which changes of one commit make sense to people.
fn rank(subject: &Subject) -> u8 {
    match subject {
        Subject::TriggerInstance(_) => 0,
        Subject::Enforcement(_) => 1,
        _ => 2,
    }
}

struct Follower {
    store: Arc<dyn Store>,
    console: Console,
    /// The last change that was shown.
    position: u64,
    /// Events of pushes that are not answered yet, and their commits.
    commits: HashMap<TriggerInstanceId, String>,
    runs: mpsc::Sender<Run>,
}

impl Follower {
    async fn catch_up(&mut self) {
        while let Ok(changes) = self.store.changes_after(self.position, CATCH_UP).await {
            if changes.is_empty() {
                return;
            }
            for change in &changes {
                self.show(change).await;
                self.position = change.position;
            }
        }
    }

    async fn show(&mut self, change: &Change) {
        match self.record(change).await {
            Some(Record::TriggerInstance(event)) => self.event(&event),
            Some(Record::Enforcement(enforcement)) => self.enforcement(&enforcement).await,
            Some(Record::Execution(execution)) => self.execution(change, &execution).await,
            Some(Record::Output(chunks)) => self.output(&chunks),
            Some(Record::Document(_)) | None => {}
        }
    }

    /// The record behind a change: live ones bring it.
    async fn record(&self, change: &Change) -> Option<Record> {
        if change.record.is_some() {
            return change.record.clone();
        }
        let store = &self.store;
        match &change.subject {
            Subject::Execution { id, .. } => {
                store.execution(*id).await.ok()?.map(Record::Execution)
            }
            Subject::TriggerInstance(id) => {
                let event = store.trigger_instance(*id).await.ok()?;
                event.map(Record::TriggerInstance)
            }
            Subject::Enforcement(id) => store.enforcement(*id).await.ok()?.map(Record::Enforcement),
            Subject::Output {
                execution,
                first,
                count,
            } => {
                let limit = usize::try_from(*count).unwrap_or(usize::MAX);
                let chunks = store.output(*execution, *first, limit).await.ok()?;
                Some(Record::Output(Arc::new(chunks)))
            }
            Subject::Document { .. } => None,
        }
    }

    fn event(&mut self, event: &TriggerInstance) {
        if self.commits.contains_key(&event.id) || !event.trigger.as_str().starts_with(BRANCH_MOVED)
        {
            return;
        }
        let text = |member: &str| {
            event
                .payload
                .get(member)
                .and_then(Value::as_str)
                .unwrap_or("")
        };
        let files = event
            .payload
            .get("files")
            .and_then(Value::as_list)
            .unwrap_or_default();
        let files: Vec<&str> = files
            .iter()
            .filter_map(|file| file.get("path")?.as_str())
            .collect();
        let newest = event.payload.get("commits").and_then(Value::as_list);
        let newest = newest.and_then(<[Value]>::first);
        let said = |member: &str| newest.and_then(|commit| commit.get(member)?.as_str());
        let message = said("message").and_then(|message| message.lines().next());
        let shown = format!(
            "{BRANCH_MOVED}: {} of {} is at {} \"{}\" by {}, changed: {}",
            text("branch"),
            text("repository"),
            short(text("after")),
            message.unwrap_or_default(),
            said("author").unwrap_or_default(),
            files.join(", ")
        );
        self.console
            .entry(event.occurred, Colour::Yellow, "event", &shown);
        self.commits.insert(event.id, text("after").to_owned());
    }

    async fn enforcement(&mut self, enforcement: &Enforcement) {
        let rule = enforcement.rule.as_str();
        match &enforcement.outcome {
            EnforcementOutcome::Execution(_) => {
                let text = format!("{rule} matches");
                self.console
                    .entry(enforcement.enforced, Colour::Yellow, "rule", &text);
            }
            EnforcementOutcome::Failed(reason) => {
                let text = format!("{rule} matches, but nothing can be run: {reason}");
                self.console
                    .entry(enforcement.enforced, Colour::Red, "rule", &text);
                self.answered(enforcement.trigger_instance, false).await;
            }
        }
    }

    async fn answered(&mut self, event: TriggerInstanceId, succeeded: bool) {
        if let Some(commit) = self.commits.remove(&event) {
            // Nobody waits any more when the demo is being stopped.
            let _ = self.runs.send(Run { commit, succeeded }).await;
        }
    }

    async fn execution(&mut self, change: &Change, execution: &Execution) {
        let (word, subject) = subject_of(execution);
        let status = match &change.subject {
            Subject::Execution { status, .. } => *status,
            _ => execution.state().status(),
        };
        match (status, execution.state()) {
            (Status::Running, _) if execution.progress.ended.is_none() => {
                let text = format!("{subject}{}", telling(execution));
                self.console
                    .entry(change.at, Colour::Blue, word, &format!("{text} starts"));
            }
            (Status::Delayed, _) => {
                let text = format!("{subject} waits for its turn");
                self.console.entry(change.at, Colour::Dim, word, &text);
            }
            (_, State::Ended(outcome)) if status.is_ended() => {
                self.ended(change.at, execution, outcome, word, &subject)
                    .await;
            }
            _ => {}
        }
    }

    async fn ended(
        &mut self,
        at: Timestamp,
        execution: &Execution,
        outcome: Outcome,
        word: &str,
        subject: &str,
    ) {
        let mut text = format!("{subject} {}", execution.state().status().as_str());
        if let Some(started) = execution.progress.started {
            let seconds = at.duration_since(started).as_secs_f64();
            let _ = write!(text, " after {seconds:.2} s");
        }
        let is_top = matches!(execution.request.origin, Origin::Rule(_));
        let result = self.result(execution.id()).await;
        let colour = if outcome == Outcome::Succeeded {
            let summary = result
                .get_path(&["output", "summary"])
                .and_then(Value::as_str);
            if let Some(summary) = summary.filter(|_| is_top) {
                let _ = write!(text, ": {summary}");
            }
            Colour::Green
        } else {
            if let Some(reason) = reason(&result) {
                let _ = write!(text, ": {reason}");
            }
            Colour::Red
        };
        self.console.entry(at, colour, word, &text);
        if let Origin::Rule(origin) = &execution.request.origin {
            self.answered(origin.trigger_instance, outcome == Outcome::Succeeded)
                .await;
        }
    }

    async fn result(&self, id: ExecutionId) -> Value {
        let payload = self.store.result(id).await.ok().flatten();
        payload
            .and_then(|payload| json::read(&payload.json).ok())
            .unwrap_or_default()
    }

    fn output(&self, chunks: &[OutputChunk]) {
        for chunk in chunks {
            for line in chunk.text.lines() {
                let text = format!("  | {}", message_of(line));
                self.console.entry(chunk.at, Colour::Plain, "", &text);
            }
        }
    }
}

/// What a line of an action's log says, without who says it.
fn message_of(line: &str) -> &str {
    let inner = line.strip_prefix("st2.").unwrap_or(line);
    inner
        .strip_prefix("actions.python.")
        .and_then(|line| line.split_once(": "))
        .map_or(line, |(_, line)| line)
}

fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}

/// The kind of an execution and what it is called.
fn subject_of(execution: &Execution) -> (&'static str, String) {
    let action = execution.request.action.as_str();
    match &execution.request.origin {
        Origin::Task(place) => {
            let item = place
                .item
                .map(|item| format!("[{item}]"))
                .unwrap_or_default();
            ("task", format!("{}{item}: {action}", place.task))
        }
        _ if &*execution.request.runner == "orquesta" => ("workflow", action.to_owned()),
        _ => ("action", action.to_owned()),
    }
}

fn telling(execution: &Execution) -> String {
    if !matches!(execution.request.origin, Origin::Task(_)) {
        return String::new();
    }
    let mut text = String::new();
    for name in TELLING {
        match execution.request.parameters.get(name) {
            Some(Value::String(value)) => {
                let _ = write!(text, " {name}={value}");
            }
            Some(Value::Int(value)) => {
                let _ = write!(text, " {name}={value}");
            }
            _ => {}
        }
    }
    text
}

/// Why something failed, as its result tells.
fn reason(result: &Value) -> Option<String> {
    let errors = result
        .get("errors")
        .and_then(Value::as_list)
        .unwrap_or_default();
    let of_error = |error: &Value| {
        let inner = error.get("result").and_then(reason);
        inner.or_else(|| error.get("message")?.as_str().map(str::to_owned))
    };
    errors.iter().find_map(of_error).or_else(|| {
        ["error", "result", "stderr"]
            .into_iter()
            .filter_map(|member| result.get(member)?.as_str())
            .find(|text| !text.is_empty())
            .map(|text| text.trim_end().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_reason(result: &str, expected: Option<&str>) {
        let result = json::read(result).unwrap();
        assert_eq!(reason(&result).as_deref(), expected, "{}", result.to_json());
    }

    #[test]
    fn reasons_are_found_where_they_stand() {
        check_reason(r#"{"result": "no port", "stderr": "x"}"#, Some("no port"));
        check_reason(
            r#"{"stderr": "broken\n", "result": "None", "error": ""}"#,
            Some("None"),
        );
        check_reason(r#"{"stderr": "broken\n"}"#, Some("broken"));
        check_reason(
            r#"{"errors": [{"message": "m"}], "output": null}"#,
            Some("m"),
        );
        check_reason(
            r#"{"errors": [{"message": "Execution failed.", "result": {"result": "no port"}}]}"#,
            Some("no port"),
        );
        check_reason("{}", None);
    }

    #[test]
    fn lines_are_for_people() {
        for (line, expected) in [
            ("st2.actions.python.Plan: INFO     one", "INFO     one"),
            ("actions.python.Plan: INFO     two", "INFO     two"),
            ("plain: text", "plain: text"),
        ] {
            assert_eq!(message_of(line), expected);
        }
        assert_eq!(printable("a\x1b[2Jb"), "a\u{fffd}[2Jb");
    }
}
