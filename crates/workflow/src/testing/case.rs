//! The format of tests.

use squall_value::{Dict, Str, Value};
use squall_yaml::{Diagnostic, Kind, Node, Options};

use crate::status::Status;

/// A test of a workflow.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// What it is called; without a name, the workflow's path stands for it.
    pub name: String,
    /// The path of the workflow, as the test writes it.
    pub workflow: String,
    /// The workflow's inputs.
    pub inputs: Dict,
    /// What the parent execution hands down, such as `st2`.
    pub context: Dict,
    /// Datastore items by name, for `st2kv`.
    pub datastore: Dict,
    /// What actions are pretended to return.
    pub mocks: Vec<Mock>,
    /// What is expected of the run.
    pub expected: Expected,
}

/// What one execution of an action is pretended to return.
#[derive(Clone, Debug, Default)]
pub struct Mock {
    /// The task.
    pub task: Str,
    /// Only for this route.
    pub route: Option<usize>,
    /// Only for the task entry with this number in the sequence.
    pub entry: Option<usize>,
    /// Only for this item.
    pub item: Option<usize>,
    /// How many executions it stands for.
    pub times: usize,
    /// The status that the action ends with.
    pub status: Status,
    /// What it returns.
    pub result: Value,
    /// The path of a file with what it returns, in place of `result`.
    pub result_path: Option<String>,
}

/// What is expected of a run. What is absent is not compared.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The inspection's errors by category; each entry with the fields that matter.
    pub inspection: Dict,
    /// The tasks in the order in which they start: `task`, or `task__r2` on route 2.
    pub sequence: Option<Vec<String>>,
    /// The routes: lists of transition ids. The reference compares `[[]]` if they are not given.
    pub routes: Option<Value>,
    /// The status of the workflow; `succeeded` if the test doesn't say.
    pub status: Status,
    /// The errors, each with the fields that matter.
    pub errors: Option<Vec<Value>>,
    /// The output.
    pub output: Option<Value>,
    /// The tasks that end branches.
    pub terminal: Option<Vec<String>>,
    /// Variables that tasks see when they start, by task: `task`, or `task__r2`.
    pub contexts: Dict,
    /// The inputs that tasks' actions get, by task.
    pub actions: Dict,
}

const FIELDS: [&str; 16] = [
    "name",
    "workflow",
    "inputs",
    "context",
    "datastore",
    "mock_action_executions",
    "expected_inspection_errors",
    "expected_routes",
    "expected_task_sequence",
    "expected_term_tasks",
    "expected_workflow_status",
    "expected_errors",
    "expected_output",
    "expected_contexts",
    "expected_action_inputs",
    "description",
];

const MOCK_FIELDS: [&str; 9] = [
    "task_id",
    "route",
    "seq_id",
    "item_id",
    "iter_id",
    "num_iter",
    "status",
    "result",
    "result_path",
];

/// Reads the tests in `text`, one per YAML document.
///
/// # Errors
///
/// All that is wrong with them, with places.
pub fn parse(text: &str) -> Result<Vec<Case>, Vec<Diagnostic>> {
    let documents = squall_yaml::load_all(text, &Options::strict()).map_err(|f| f.diagnostics)?;
    let mut reader = Reader::default();
    let cases: Vec<Case> = documents
        .iter()
        .map(|document| reader.case(&document.root))
        .collect();
    if cases.is_empty() {
        let start = squall_yaml::Position::START;
        reader
            .problems
            .push(Diagnostic::error(start, "there is no test in the file"));
    }
    if reader.problems.is_empty() {
        Ok(cases)
    } else {
        Err(reader.problems)
    }
}

#[derive(Default)]
struct Reader {
    problems: Vec<Diagnostic>,
}

impl Reader {
    fn problem(&mut self, node: &Node, message: impl Into<String>, help: &str) {
        let diagnostic = Diagnostic::error(node.position(), message).with_help(help);
        self.problems.push(diagnostic);
    }

    fn known(&mut self, node: &Node, known: &[&str]) {
        for entry in node.as_mapping().into_iter().flatten() {
            let key = entry.key.key_text();
            if !known.contains(&&*key) {
                let message = format!("`{key}` is not known here");
                self.problem(&entry.key, message, &format!("known: {}", known.join(", ")));
            }
        }
    }

    fn case(&mut self, node: &Node) -> Case {
        if node.get("workflow_state").is_some() {
            let help = "test the run from its start; stored states are checked by restoring them";
            self.problem(
                node,
                "tests that begin with a stored state are not supported",
                help,
            );
            return Case::default();
        }
        if node.as_mapping().is_none() {
            self.problem(
                node,
                "a test is a mapping",
                "write `workflow:` and what is expected",
            );
            return Case::default();
        }
        self.known(node, &FIELDS);
        let workflow = self.text(node, "workflow").unwrap_or_default();
        if workflow.is_empty() {
            self.problem(
                node,
                "the test names no workflow",
                "write `workflow: <path>`",
            );
        }
        let status = self.text(node, "expected_workflow_status");
        let expected = Expected {
            inspection: self.dict(node, "expected_inspection_errors"),
            sequence: self.texts(node, "expected_task_sequence"),
            routes: node.get("expected_routes").map(Node::to_value),
            status: self.status(node, status.as_deref()),
            errors: self.list(node, "expected_errors"),
            output: node.get("expected_output").map(Node::to_value),
            terminal: self.texts(node, "expected_term_tasks"),
            contexts: self.dict(node, "expected_contexts"),
            actions: self.dict(node, "expected_action_inputs"),
        };
        let mut mocks = Vec::new();
        match node
            .get("mock_action_executions")
            .map(|node| (&node.kind, node))
        {
            None | Some((Kind::Null, _)) => {}
            Some((Kind::Sequence(items), _)) => {
                mocks.extend(items.iter().map(|item| self.mock(item)));
            }
            Some((_, node)) => {
                self.problem(node, "a list is needed", "begin each with `- task_id:`")
            }
        }
        Case {
            name: self.text(node, "name").unwrap_or_else(|| workflow.clone()),
            workflow,
            inputs: self.dict(node, "inputs"),
            context: self.dict(node, "context"),
            datastore: self.dict(node, "datastore"),
            mocks,
            expected,
        }
    }

    fn mock(&mut self, node: &Node) -> Mock {
        self.known(node, &MOCK_FIELDS);
        let task = self.text(node, "task_id").unwrap_or_default();
        if task.is_empty() {
            self.problem(
                node,
                "the result belongs to no task",
                "write `task_id: <task>`",
            );
        }
        let status = self.text(node, "status");
        Mock {
            task: Str::from(task),
            route: self.number(node, "route"),
            entry: self.number(node, "seq_id"),
            item: self.number(node, "item_id"),
            times: self.number(node, "num_iter").unwrap_or(1),
            status: self.status(node, status.as_deref()),
            result: node.get("result").map(Node::to_value).unwrap_or_default(),
            result_path: self.text(node, "result_path"),
        }
    }

    fn status(&mut self, node: &Node, text: Option<&str>) -> Status {
        match text {
            None => Status::Succeeded,
            Some(text) => Status::parse(text).unwrap_or_else(|| {
                let message = format!("there is no status `{text}`");
                self.problem(
                    node,
                    message,
                    "write succeeded, failed, timeout, canceled ...",
                );
                Status::Succeeded
            }),
        }
    }

    fn text(&mut self, node: &Node, key: &str) -> Option<String> {
        let value = node.get(key).filter(|value| !value.is_null())?;
        let text = value.as_str().map(str::to_owned);
        if text.is_none() {
            self.problem(value, format!("`{key}` is text"), "put it in quotes");
        }
        text
    }

    fn number(&mut self, node: &Node, key: &str) -> Option<usize> {
        let value = node.get(key).filter(|value| !value.is_null())?;
        let number = match value.kind {
            Kind::Int(number) => usize::try_from(number).ok(),
            _ => None,
        };
        if number.is_none() {
            self.problem(
                value,
                format!("`{key}` is a whole number from 0"),
                "correct it",
            );
        }
        number
    }

    fn dict(&mut self, node: &Node, key: &str) -> Dict {
        match node
            .get(key)
            .filter(|value| !value.is_null())
            .map(|value| (value, value.to_value()))
        {
            None => Dict::new(),
            Some((_, Value::Dict(dict))) => (*dict).clone(),
            Some((value, _)) => {
                self.problem(
                    value,
                    format!("`{key}` is a mapping"),
                    "write `name: value` below it",
                );
                Dict::new()
            }
        }
    }

    fn list(&mut self, node: &Node, key: &str) -> Option<Vec<Value>> {
        let value = node.get(key)?;
        let list = value.to_value().as_list().map(<[Value]>::to_vec);
        if list.is_none() {
            self.problem(
                value,
                format!("`{key}` is a list"),
                "begin each element with `- `",
            );
        }
        list
    }

    fn texts(&mut self, node: &Node, key: &str) -> Option<Vec<String>> {
        let list = self.list(node, key)?;
        Some(list.iter().map(squall_value::python::str).collect())
    }
}
