//! Cases of kind `conduct`: a run, with the facts after each step.

use std::collections::BTreeMap;
use std::sync::Arc;

use squall_expr::Expressions;
use squall_value::{Dict, Str, Value};
use squall_workflow::machine::Command;
use squall_workflow::{
    Conductor, Definition, Joins, LogEntry, Piece, RerunRequest, Status, TaskEvent, TaskRequest,
    World,
};

use super::expr::Table;

/// What differs.
pub(crate) fn run(case: &Value) -> Vec<String> {
    let text = case
        .get("workflow")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let definition = match Definition::parse(text) {
        Ok(definition) => Arc::new(definition),
        Err(problems) => return vec![format!("not readable: {problems:?}")],
    };
    let expressions = Expressions::default();
    let keys = case
        .get("functions")
        .and_then(|functions| functions.get("st2kv"));
    let table = Table {
        keys: keys.and_then(Value::as_dict).cloned().unwrap_or_default(),
    };
    let world = World {
        expressions: &expressions,
        host: &table,
        // What was recorded is what the reference engine does.
        joins: Joins::ByBranch,
    };
    let empty = Dict::new();
    let dict = |key: &str| case.get(key).and_then(Value::as_dict).unwrap_or(&empty);
    let conductor = Conductor::start(definition, dict("inputs"), dict("context"), world);
    let mut replay = Replay {
        conductor,
        world,
        pieces: Vec::new(),
        sequence: Vec::new(),
        tasks: BTreeMap::new(),
        errors: Value::empty_list(),
        output: Value::Null,
        reloads: 0,
        failures: Vec::new(),
    };
    replay.keep_pieces();
    let steps = case
        .get("steps")
        .and_then(Value::as_list)
        .unwrap_or_default();
    for (index, step) in steps.iter().enumerate() {
        let place = format!("step {index} {}", without(step, "expect").to_json());
        replay.step(&place, step);
        if !replay.failures.is_empty() {
            let errors: Value = replay.conductor.errors().iter().cloned().collect();
            replay.failures.push(format!("errors so far {errors:?}"));
            return replay.failures;
        }
    }
    replay.check_final(case.get("final").unwrap_or(&Value::Null));
    replay.failures
}

fn without(step: &Value, key: &str) -> Value {
    let mut dict = step.as_dict().cloned().unwrap_or_default();
    dict.remove(key);
    Value::from(dict)
}

/// A task entry as the host displays it, collected from the pieces.
#[derive(Default)]
struct Shown {
    id: Str,
    route: usize,
    status: Status,
    prev: Dict,
    next: Dict,
}

struct Replay<'a> {
    conductor: Conductor,
    world: World<'a>,
    pieces: Vec<Value>,
    sequence: Vec<Shown>,
    tasks: BTreeMap<String, Status>,
    errors: Value,
    output: Value,
    reloads: usize,
    failures: Vec<String>,
}

impl Replay<'_> {
    fn compare(&mut self, place: &str, what: &str, expected: &Value, got: &Value) {
        if expected != got {
            self.failures.push(format!(
                "{place}: {what}\n    expected {expected:?}\n    got      {got:?}"
            ));
        }
    }

    fn keep_pieces(&mut self) {
        for piece in self.conductor.take_pieces() {
            let encoded = piece.to_value();
            if Piece::from_value(&encoded).as_ref() != Some(&piece) {
                self.failures
                    .push(format!("a piece does not survive encoding: {encoded:?}"));
            }
            self.show(&piece);
            self.pieces.push(encoded);
        }
    }

    fn show(&mut self, piece: &Piece) {
        match piece {
            Piece::Entry(entry) => {
                let prev = entry.prev.iter().map(|(id, index)| (id.clone(), *index));
                self.sequence.push(Shown {
                    id: entry.task.clone(),
                    route: entry.route,
                    prev: prev.collect(),
                    ..Shown::default()
                });
            }
            Piece::EntryStatus { entry, status } => self.sequence[*entry].status = *status,
            Piece::Transition { entry, edge, taken } => {
                let shown = &mut self.sequence[*entry];
                let id = self.conductor.definition().transition_id(&shown.id, *edge);
                shown
                    .next
                    .insert(id.expect("the edge is there").clone(), *taken);
            }
            _ => {}
        }
    }

    fn step(&mut self, place: &str, step: &Value) {
        let expect = step.get("expect").cloned().unwrap_or_default();
        let mut next = None;
        let raised = self.act(step, &mut next);
        self.keep_pieces();
        match (expect.get("raises"), &raised) {
            (None, Some(error)) => self.failures.push(format!("{place}: refused: {error}")),
            (Some(raises), None) => {
                self.failures
                    .push(format!("{place}: not refused, expected {raises:?}"));
            }
            _ => {}
        }
        let status = self.conductor.status().as_str();
        self.compare(
            place,
            "status",
            expect.get("status").unwrap_or(&Value::Null),
            &Value::from(status),
        );
        if let (Some(expected), Some(next)) = (expect.get("next"), next) {
            let got: Value = next.iter().map(request_value).collect();
            self.compare(place, "next", expected, &got);
        }
        self.check_tasks(place, expect.get("tasks"));
        let expected = expect
            .get("errors")
            .cloned()
            .unwrap_or_else(|| self.errors.clone());
        self.check_errors(place, &expected);
        self.errors = expected;
        let expected = expect
            .get("output")
            .cloned()
            .unwrap_or_else(|| self.output.clone());
        let got = self.conductor.output().clone();
        self.compare(place, "output", &expected, &got);
        self.output = expected;
    }

    fn act(&mut self, step: &Value, next: &mut Option<Vec<TaskRequest>>) -> Option<String> {
        let text = |key: &str| step.get(key).and_then(Value::as_str).unwrap_or_default();
        let number = |key: &str| {
            let number = step.get(key).and_then(Value::as_int).unwrap_or(0);
            usize::try_from(number).unwrap_or(usize::MAX)
        };
        let value = |key: &str| step.get(key).cloned();
        let world = self.world;
        let result = match text("do") {
            "status" => match Status::parse(text("status")) {
                Some(status) => self.conductor.request_status(status),
                None => return Some("no such status".to_owned()),
            },
            "next" => {
                *next = Some(self.conductor.next_tasks(world));
                let again = self.conductor.next_tasks(world);
                let same =
                    |list: &[TaskRequest]| -> Value { list.iter().map(request_value).collect() };
                if next.as_deref().map(same) != Some(same(&again)) {
                    self.failures
                        .push("asking again gives other tasks".to_owned());
                }
                Ok(())
            }
            "task" | "item" => {
                let Some(status) = Status::parse(text("status")) else {
                    return Some("no such status".to_owned());
                };
                let event = TaskEvent::new(text("task"), number("route"), status)
                    .with_result(value("result").unwrap_or_default());
                let event = match value("item") {
                    Some(_) => event.for_item(number("item"), value("accumulated")),
                    None => event,
                };
                self.conductor.task_event(event, world)
            }
            "command" => match Command::parse(text("command")) {
                Some(command) => {
                    self.conductor
                        .task_command(text("task"), number("route"), command, world)
                }
                None => return Some("no such command".to_owned()),
            },
            "output" => {
                self.conductor.render_output(world);
                Ok(())
            }
            "rerun" => self.conductor.rerun(&rerun_requests(step)),
            "log" => self.conductor.log_entry(LogEntry {
                kind: Str::from(text("type")),
                message: text("message").to_owned(),
                task: step.get("task").and_then(Value::as_str).map(Str::from),
                route: step.get("route").map(|_| number("route")),
                transition: step
                    .get("transition")
                    .and_then(Value::as_str)
                    .map(Str::from),
                result: value("result").unwrap_or_default(),
                data: value("data").unwrap_or_default(),
            }),
            "reload" => {
                self.reload();
                Ok(())
            }
            other => return Some(format!("unknown step `{other}`")),
        };
        result.err().map(|refusal| refusal.to_string())
    }

    /// Restores from the whole log and from a snapshot in turn.
    fn reload(&mut self) {
        self.keep_pieces();
        self.reloads += 1;
        let definition = self.conductor.definition().clone();
        if self.reloads.is_multiple_of(2) {
            self.pieces = vec![self.conductor.snapshot().to_value()];
        }
        match Conductor::restore_values(definition, &self.pieces) {
            Ok(conductor) => self.conductor = conductor,
            Err(error) => self.failures.push(format!("not restored: {error}")),
        }
    }

    fn check_tasks(&mut self, place: &str, expected: Option<&Value>) {
        let mut changed = Dict::new();
        for task in self.conductor.tasks() {
            let key = format!("{}__r{}", task.task, task.route);
            if self.tasks.insert(key.clone(), task.status) != Some(task.status) {
                changed.insert(key, task.status.as_str());
            }
        }
        let expected = expected.cloned().unwrap_or_else(Value::empty_dict);
        self.compare(place, "tasks", &expected, &Value::from(changed));
    }

    fn check_errors(&mut self, place: &str, expected: &Value) {
        let got: Value = self.conductor.errors().iter().cloned().collect();
        let entries = expected.as_list().unwrap_or_default();
        let same = entries.len() == self.conductor.errors().len()
            && entries
                .iter()
                .zip(self.conductor.errors())
                .all(|(expected, got)| same_error(expected, got));
        if !same {
            self.failures.push(format!(
                "{place}: errors\n    expected {expected:?}\n    got      {got:?}"
            ));
        }
    }

    fn check_final(&mut self, expect: &Value) {
        let get = |key: &str| expect.get(key).cloned().unwrap_or_default();
        let status = Value::from(self.conductor.status().as_str());
        self.compare("final", "status", &get("status"), &status);
        let output = self.conductor.output().clone();
        self.compare("final", "output", &get("output"), &output);
        self.check_errors("final", &get("errors"));
        let routes: Value = (0..self.conductor.routes_len())
            .filter_map(|route| self.conductor.route(route))
            .map(|route| {
                route
                    .iter()
                    .map(|id| Value::from(id.clone()))
                    .collect::<Value>()
            })
            .collect();
        self.compare("final", "routes", &get("routes"), &routes);
        let got: Value = self
            .sequence
            .iter()
            .map(|shown| {
                squall_value::dict! {
                    "id" => shown.id.clone(),
                    "route" => shown.route,
                    "status" => shown.status.as_str(),
                    "prev" => shown.prev.clone(),
                    "next" => shown.next.clone(),
                }
            })
            .collect();
        let sequence = get("sequence");
        let expected: Value = sequence
            .as_list()
            .unwrap_or_default()
            .iter()
            .map(|entry| {
                let get = |key: &str| entry.get(key).cloned().unwrap_or_default();
                let status = entry
                    .get("status")
                    .and_then(Value::as_str)
                    .unwrap_or("null");
                squall_value::dict! {
                    "id" => get("id"),
                    "route" => get("route"),
                    "status" => status,
                    "prev" => get("prev"),
                    "next" => get("next"),
                }
            })
            .collect();
        self.compare("final", "sequence", &expected, &got);
    }
}

fn rerun_requests(step: &Value) -> Vec<RerunRequest> {
    let tasks = step
        .get("tasks")
        .and_then(Value::as_list)
        .unwrap_or_default();
    tasks
        .iter()
        .map(|task| RerunRequest {
            task: Str::from(task.get("task").and_then(Value::as_str).unwrap_or_default()),
            route: task
                .get("route")
                .and_then(Value::as_int)
                .and_then(|route| usize::try_from(route).ok())
                .unwrap_or(0),
            reset_items: task.get("reset_items").is_some_and(Value::is_truthy),
        })
        .collect()
}

fn request_value(request: &TaskRequest) -> Value {
    let actions: Value = request
        .actions
        .iter()
        .map(|action| {
            let mut dict = Dict::new();
            dict.insert("action", action.action.clone());
            dict.insert("input", action.input.clone());
            if let Some(item) = action.item {
                dict.insert("item_id", item);
            }
            Value::from(dict)
        })
        .collect();
    let mut dict = Dict::new();
    dict.insert("id", request.task.clone());
    dict.insert("route", request.route);
    dict.insert("actions", actions);
    dict.insert("ctx", request.context.to_dict());
    if let Some(delay) = request.delay {
        dict.insert("delay", delay);
    }
    if let Some(count) = request.items_count {
        dict.insert("items_count", count);
        dict.insert("concurrency", request.concurrency);
    }
    Value::from(dict)
}

/// Equal but for the tail of the message, which comes from Python libraries: of it, the class and the
/// quoted expression count.
fn same_error(expected: &Value, got: &Value) -> bool {
    if without(expected, "message") != without(got, "message") {
        return false;
    }
    let message = |entry: &Value| -> String {
        entry
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (expected, got) = (message(expected), message(got));
    if expected == got {
        return true;
    }
    let Some((class, rest)) = expected.split_once(": ") else {
        return false;
    };
    let has_class = got
        .split_once(": ")
        .is_some_and(|(other, _)| other == class);
    let expression = rest
        .split_once("expression '")
        .and_then(|(_, rest)| {
            rest.split_once("'. ")
                .or_else(|| rest.split_once("' from context"))
        })
        .map_or("", |(expression, _)| expression);
    has_class && got.contains(expression)
}
