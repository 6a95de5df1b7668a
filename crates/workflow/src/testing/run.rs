//! Running a test.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use squall_expr::Expressions;
use squall_value::{Str, Value};

use super::case::{Case, Expected};
use super::coverage::{self, Coverage};
use super::mocks::{Mocks, TestHost};
use crate::inspect::{Surroundings, inspect};
use crate::{Conductor, Definition, Piece, Status, TaskEvent, TaskRequest, World};

/// How many action executions a test may pretend. A workflow that loops without end would never be
/// done.
const EXECUTIONS_MAX: usize = 100_000;

/// What came of a test.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The test.
    pub name: String,
    /// The workflow's path.
    pub workflow: String,
    /// What was not as expected, one text per fact; empty if the test passed.
    pub failures: Vec<String>,
    /// What is suspicious but no failure, such as pretended results that were never asked for.
    pub remarks: Vec<String>,
    /// What the run took of the workflow.
    pub coverage: Coverage,
}

impl Outcome {
    /// Whether everything was as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// What a run took, as far as it came.
#[derive(Clone, Debug, Default)]
pub struct Rehearsed {
    /// The tasks with their routes, in the order in which they started.
    pub sequence: Vec<(Str, usize)>,
    /// The routes.
    pub routes: Vec<Vec<Str>>,
}

/// Runs one test. `read` gives the text of a file that the test names, or why it can't be read.
#[must_use]
pub fn run(
    case: &Case,
    expressions: &Expressions,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> Outcome {
    rehearse(case, expressions, read).0
}

/// As [`run`], and tells what the run took. Nothing, if it could not begin.
#[must_use]
pub fn rehearse(
    case: &Case,
    expressions: &Expressions,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> (Outcome, Rehearsed) {
    let mut outcome = Outcome {
        name: case.name.clone(),
        workflow: case.workflow.clone(),
        ..Outcome::default()
    };
    let prepared = prepare(case, expressions, read, &mut outcome);
    let (Some((definition, results)), []) = (prepared, &outcome.failures[..]) else {
        return (outcome, Rehearsed::default());
    };
    outcome.coverage = Coverage::of(&definition);
    let host = TestHost {
        datastore: &case.datastore,
    };
    let world = World {
        expressions,
        host: &host,
        joins: crate::Joins::default(),
    };
    let mut run = Run {
        conductor: Conductor::start(definition, &case.inputs, &case.context, world),
        world,
        mocks: Mocks::new(&case.mocks),
        results,
        accumulated: HashMap::new(),
        entries: Vec::new(),
        terminal: Vec::new(),
        outcome,
    };
    run.conduct(&case.expected);
    run.compare(&case.expected);
    let routes = (0..run.conductor.routes_len()).filter_map(|route| run.conductor.route(route));
    let rehearsed = Rehearsed {
        routes: routes.map(<[Str]>::to_vec).collect(),
        sequence: run
            .entries
            .into_iter()
            .map(|entry| (entry.task, entry.route))
            .collect(),
    };
    (run.outcome, rehearsed)
}

/// Reads the workflow and the files with results, and inspects the workflow. Nothing is left to run
/// if errors were expected.
fn prepare(
    case: &Case,
    expressions: &Expressions,
    read: &dyn Fn(&str) -> Result<String, String>,
    outcome: &mut Outcome,
) -> Option<(Arc<Definition>, Vec<Value>)> {
    let text = match read(&case.workflow) {
        Ok(text) => text,
        Err(reason) => {
            outcome.failures.push(format!(
                "the workflow {} can't be read: {reason}",
                case.workflow
            ));
            return None;
        }
    };
    let surroundings = Surroundings {
        known: case.context.keys().cloned().collect(),
        ..Surroundings::default()
    };
    let inspection = inspect(&text, expressions, &surroundings);
    let found = inspection.to_value();
    if inspection.is_refused() || !covers(&Value::from(case.expected.inspection.clone()), &found) {
        let shown: Vec<String> = inspection
            .diagnostics()
            .iter()
            .map(|found| found.render(&case.workflow, &text))
            .collect();
        let expected = Value::from(case.expected.inspection.clone()).to_json();
        outcome.failures.push(format!(
            "the inspection's errors are not as expected\nexpected: {expected}\nfound:\n{}",
            shown.concat()
        ));
        return None;
    }
    if !case.expected.inspection.is_empty() {
        return None;
    }
    let mut results = Vec::with_capacity(case.mocks.len());
    for mock in &case.mocks {
        let result = match &mock.result_path {
            None => Ok(mock.result.clone()),
            Some(path) => read(path).map(|text| file_value(path, text)),
        };
        results.push(result.unwrap_or_else(|reason| {
            let path = mock.result_path.as_deref().unwrap_or_default();
            outcome
                .failures
                .push(format!("the result {path} can't be read: {reason}"));
            Value::Null
        }));
    }
    match Definition::parse(&text) {
        Ok(definition) => {
            for mock in case
                .mocks
                .iter()
                .filter(|mock| !definition.tasks.contains_key(&mock.task))
            {
                outcome.failures.push(format!(
                    "a result is given for `{}`, which is no task",
                    mock.task
                ));
            }
            Some((Arc::new(definition), results))
        }
        Err(problems) => {
            let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
            outcome
                .failures
                .push(format!("the workflow can't be run\n{}", shown.join("\n")));
            None
        }
    }
}

/// A result file's content: data if it is JSON or YAML, else its text.
fn file_value(path: &str, text: String) -> Value {
    let is_data = [".json", ".yaml", ".yml"]
        .iter()
        .any(|end| path.ends_with(end));
    match is_data.then(|| squall_yaml::value(&text)) {
        Some(Ok(value)) => value,
        _ => Value::from(text),
    }
}

struct Entry {
    task: Str,
    route: usize,
}

struct Run<'c> {
    conductor: Conductor,
    world: World<'c>,
    mocks: Mocks<'c>,
    results: Vec<Value>,
    /// Results of items so far, by task and route.
    accumulated: HashMap<(Str, usize), Vec<Value>>,
    entries: Vec<Entry>,
    terminal: Vec<usize>,
    outcome: Outcome,
}

impl Run<'_> {
    fn fail(&mut self, message: impl Into<String>) {
        self.outcome.failures.push(message.into());
    }

    fn conduct(&mut self, expected: &Expected) {
        if let Err(refusal) = self.conductor.request_status(Status::Running)
            && self.conductor.status() != Status::Failed
        {
            self.fail(format!("the workflow can't be started: {refusal}"));
        }
        let mut executions = 0;
        let mut seen = HashSet::new();
        loop {
            let requests = self.conductor.next_tasks(self.world);
            self.keep_pieces();
            if requests.is_empty() {
                break;
            }
            executions += requests.len();
            if executions > EXECUTIONS_MAX {
                self.fail(format!(
                    "the run does not end: {EXECUTIONS_MAX} actions were pretended"
                ));
                break;
            }
            // All that can start is started before anything ends, as if it ran at the same time.
            let mut started = Vec::with_capacity(requests.len());
            for request in &requests {
                if seen.insert((request.task.clone(), request.route)) {
                    self.check_request(expected, request);
                }
                started.push(self.start(request));
            }
            for (request, entry) in requests.iter().zip(started) {
                if let Some(entry) = entry {
                    self.end(request, entry);
                }
            }
        }
        if self.conductor.status().is_completed() {
            let _ = self.conductor.render_output(self.world);
        }
        self.keep_pieces();
    }

    /// Variables and action inputs of a task when it is first handed out.
    fn check_request(&mut self, expected: &Expected, request: &TaskRequest) {
        let name = label(&request.task, request.route);
        if let Some(variables) = expected.contexts.get(&name).and_then(Value::as_dict) {
            for (variable, value) in variables.iter() {
                let got = request.context.get(variable).cloned();
                if got.as_ref() != Some(value) {
                    let got = got.map_or_else(|| "nothing".to_owned(), |got| got.to_json());
                    let value = value.to_json();
                    self.fail(format!(
                        "variable `{variable}` at `{name}`\nexpected: {value}\ngot:      {got}"
                    ));
                }
            }
        }
        if let Some(input) = expected.actions.get(&name) {
            let got: Vec<Value> = request
                .actions
                .iter()
                .map(|action| action.input.clone())
                .collect();
            let got = match (&got[..], request.items_count) {
                ([one], None) => one.clone(),
                _ => Value::from(got),
            };
            if got != *input {
                let (input, got) = (input.to_json(), got.to_json());
                self.fail(format!(
                    "input of the action of `{name}`\nexpected: {input}\ngot:      {got}"
                ));
            }
        }
    }

    /// Starts a task and gives the number of its entry.
    fn start(&mut self, request: &TaskRequest) -> Option<usize> {
        let event = TaskEvent::new(request.task.clone(), request.route, Status::Running);
        // Of a task with items one is run per turn; the others stay to be handed out again.
        let event = match waiting(request).first() {
            Some(_) => None,
            None => Some(event),
        };
        if let Some(event) = event {
            self.send(event)?;
        } else {
            let item = self.peek_item(request);
            let event = TaskEvent::new(request.task.clone(), request.route, Status::Running);
            self.send(event.for_item(item, None))?;
        }
        self.conductor
            .task(&request.task, request.route)
            .map(|state| state.entry)
    }

    /// The item of `request` that runs in this turn: the first one.
    fn peek_item(&self, request: &TaskRequest) -> usize {
        waiting(request).first().copied().unwrap_or(0)
    }

    fn end(&mut self, request: &TaskRequest, entry: usize) {
        let items = waiting(request);
        let running: &[usize] = items.get(..1).unwrap_or_default();
        let ended = self
            .mocks
            .take(&request.task, request.route, entry, running);
        let result = ended
            .mock
            .map(|number| self.results[number].clone())
            .unwrap_or_default();
        let mut event = TaskEvent::new(request.task.clone(), request.route, ended.status);
        if let (Some(item), false) = (ended.item, items.is_empty()) {
            let key = (request.task.clone(), request.route);
            let list = self.accumulated.entry(key).or_default();
            let length = request.items_count.unwrap_or(item + 1).max(item + 1);
            list.resize(length, Value::Null);
            list[item] = result.clone();
            event = event.for_item(item, Some(Value::from(list.clone())));
        } else if request.items_count == Some(0) {
            event.status = Status::Succeeded;
        }
        let result = if request.items_count == Some(0) {
            Value::empty_list()
        } else {
            result
        };
        let _ = self.send(event.with_result(result));
    }

    fn send(&mut self, event: TaskEvent) -> Option<()> {
        let name = label(&event.task, event.route);
        let result = self.conductor.task_event(event, self.world);
        self.keep_pieces();
        match result {
            Ok(()) => Some(()),
            Err(refusal) => {
                self.fail(format!("`{name}`: {refusal}"));
                None
            }
        }
    }

    /// Takes from the conductor's log what the test looks at.
    fn keep_pieces(&mut self) {
        for piece in self.conductor.take_pieces() {
            match piece {
                Piece::Entry(entry) => {
                    if let Some(count) = self.outcome.coverage.tasks.get_mut(&*entry.task) {
                        *count += 1;
                    }
                    self.entries.push(Entry {
                        task: entry.task.clone(),
                        route: entry.route,
                    });
                }
                Piece::Transition { entry, edge, taken } => {
                    self.count_transition(entry, edge, taken)
                }
                Piece::Terminal { entry, terminal } => {
                    self.terminal.retain(|known| *known != entry);
                    if terminal {
                        self.terminal.push(entry);
                    }
                }
                _ => {}
            }
        }
    }

    fn count_transition(&mut self, entry: usize, edge: usize, taken: bool) {
        let Some(task) = self.entries.get(entry).map(|entry| entry.task.clone()) else {
            return;
        };
        let graph = &self.conductor.definition().graph;
        let Some(edge) = graph
            .find(&task)
            .and_then(|node| graph.outgoing(node).nth(edge))
        else {
            return;
        };
        let name = coverage::transition(&task, edge.transition, graph.name(edge.to));
        let counts = self.outcome.coverage.transitions.entry(name).or_default();
        if taken {
            counts.0 += 1;
        } else {
            counts.1 += 1;
        }
    }

    fn compare(&mut self, expected: &Expected) {
        let labels = |entries: &mut dyn Iterator<Item = &Entry>| -> Vec<String> {
            entries
                .map(|entry| label(&entry.task, entry.route))
                .collect()
        };
        if let Some(sequence) = &expected.sequence {
            let got = labels(&mut self.entries.iter());
            self.compare_lists("the order of tasks", sequence, &got);
        }
        if let Some(terminal) = &expected.terminal {
            let mut wanted = terminal.clone();
            let mut got = labels(
                &mut self
                    .terminal
                    .iter()
                    .filter_map(|entry| self.entries.get(*entry)),
            );
            wanted.sort();
            got.sort();
            self.compare_lists("the tasks that end branches", &wanted, &got);
        }
        let routes: Value = (0..self.conductor.routes_len())
            .filter_map(|route| self.conductor.route(route))
            .map(|route| {
                route
                    .iter()
                    .map(|id| Value::from(id.clone()))
                    .collect::<Value>()
            })
            .collect();
        if let Some(wanted) = &expected.routes {
            self.compare_values("the routes", wanted, &routes);
        }
        let status = Value::from(self.conductor.status().as_str());
        let wanted = Value::from(expected.status.as_str());
        self.compare_values("the status of the workflow", &wanted, &status);
        if let Some(wanted) = &expected.errors {
            let got = Value::from(self.conductor.errors().to_vec());
            if !covers(&Value::from(wanted.clone()), &got) {
                self.compare_values("the errors", &Value::from(wanted.clone()), &got);
            }
        }
        if let Some(wanted) = &expected.output {
            let got = self.conductor.output().clone();
            self.compare_values("the output", wanted, &got);
        }
        self.explain_failure(expected);
        for mock in self.mocks.unused() {
            self.outcome
                .remarks
                .push(format!("a result for `{}` was never asked for", mock.task));
        }
    }

    /// Why the workflow failed, where it should not have.
    fn explain_failure(&mut self, expected: &Expected) {
        let unexpected =
            expected.status != Status::Failed && self.conductor.status() == Status::Failed;
        if unexpected && expected.errors.is_none() {
            let errors: Vec<String> = self.conductor.errors().iter().map(Value::to_json).collect();
            self.fail(format!("the run's errors\n{}", errors.join("\n")));
        }
    }

    fn compare_values(&mut self, what: &str, wanted: &Value, got: &Value) {
        if wanted != got {
            let (wanted, got) = (wanted.to_json(), got.to_json());
            self.fail(format!("{what}\nexpected: {wanted}\ngot:      {got}"));
        }
    }

    fn compare_lists(&mut self, what: &str, wanted: &[String], got: &[String]) {
        let plain = |name: &String| name.strip_suffix("__r0").unwrap_or(name).to_owned();
        let (wanted, got): (Vec<String>, Vec<String>) = (
            wanted.iter().map(plain).collect(),
            got.iter().map(plain).collect(),
        );
        if wanted != got {
            let (wanted, got) = (wanted.join(", "), got.join(", "));
            self.fail(format!("{what}\nexpected: {wanted}\ngot:      {got}"));
        }
    }
}

/// The items that a request asks to be run now.
fn waiting(request: &TaskRequest) -> Vec<usize> {
    request
        .actions
        .iter()
        .filter_map(|action| action.item)
        .collect()
}

/// `task`, or `task__r2` on route 2.
pub(crate) fn label(task: &str, route: usize) -> String {
    if route == 0 {
        task.to_owned()
    } else {
        format!("{task}__r{route}")
    }
}

/// Whether `got` has all that `wanted` asks for: the same lists and values, but its dictionaries may
/// hold more, except at the top, where every category or entry counts.
fn covers(wanted: &Value, got: &Value) -> bool {
    fn part(wanted: &Value, got: &Value) -> bool {
        match (wanted, got) {
            (Value::Dict(wanted), Value::Dict(got)) => wanted
                .iter()
                .all(|(key, value)| got.get(key).is_some_and(|other| part(value, other))),
            (Value::List(wanted), Value::List(got)) => {
                wanted.len() == got.len() && wanted.iter().zip(got.iter()).all(|(a, b)| part(a, b))
            }
            (wanted, got) => wanted == got,
        }
    }
    let same_length = match (wanted, got) {
        (Value::Dict(wanted), Value::Dict(got)) => wanted.len() == got.len(),
        _ => true,
    };
    same_length && part(wanted, got)
}
