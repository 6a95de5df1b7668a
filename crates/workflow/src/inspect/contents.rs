//! Are the actions known, and are they called as they want to be?

use squall_value::{Dict, Value};

use super::document::Document;
use super::path::Path;
use super::suggest::nearest;
use super::{Category, Finding, Report, TASK_SCHEMA};

/// The actions that an installation knows.
pub trait Actions {
    /// What the action `reference` (`pack.name`) asks of its callers, or `None` if it is not
    /// registered.
    fn contract(&self, reference: &str) -> Option<ActionContract>;

    /// References that a misspelled one may be compared with.
    fn references(&self) -> Vec<String>;
}

/// The parameters of an action, its runner's included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionContract {
    /// The parameters that have no default and must be given.
    pub required: Vec<String>,
    /// All parameters.
    pub known: Vec<String>,
}

/// An action that is called somewhere, and the places to report.
pub(crate) struct Call<'c> {
    pub(crate) reference: &'c str,
    pub(crate) path: &'c Path,
    pub(crate) schema: &'c str,
    pub(crate) input: &'c Value,
    pub(crate) input_path: &'c Path,
    pub(crate) input_schema: &'c str,
}

pub(crate) fn inspect(document: &Document, actions: &dyn Actions, report: &mut Report<'_>) {
    for (name, task) in &document.tasks {
        if let Some(reference) = task.action.as_str() {
            let path = Path::root().key("tasks").key(name.clone());
            let call = Call {
                reference,
                path: &path.key("action"),
                schema: &format!("{TASK_SCHEMA}.properties.action"),
                input: &task.input,
                input_path: &path.key("input"),
                input_schema: &format!("{TASK_SCHEMA}.properties.input"),
            };
            check_action(&call, actions, report);
        }
    }
}

/// Checks one call; a computed reference can't be checked.
pub(crate) fn check_action(call: &Call<'_>, actions: &dyn Actions, report: &mut Report<'_>) {
    let reference = call.reference;
    if reference.is_empty() || is_expression(reference) {
        return;
    }
    if !is_reference(reference) {
        let message = format!("The action reference \"{reference}\" is not formatted correctly.");
        let finding = Finding::new(Category::Contents, message, call.schema)
            .with_suggestion("write `pack.action`");
        report.add(finding, call.path);
        return;
    }
    let Some(contract) = actions.contract(reference) else {
        let message = format!("The action \"{reference}\" is not registered in the database.");
        let finding = Finding::new(Category::Contents, message, call.schema);
        let known = actions.references();
        let suggestion = match nearest(reference, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "install or register its pack".to_owned(),
        };
        report.add(finding.with_suggestion(suggestion), call.path);
        return;
    };
    let empty = Dict::new();
    match call.input {
        Value::Dict(input) => check_input(call, &contract, input, report),
        other if !other.is_truthy() => check_input(call, &contract, &empty, report),
        _ => {}
    }
}

fn check_input(call: &Call<'_>, contract: &ActionContract, input: &Dict, report: &mut Report<'_>) {
    let reference = call.reference;
    let missing = contract
        .required
        .iter()
        .filter(|name| !input.contains_key(name));
    for name in missing {
        let message = format!("Action \"{reference}\" is missing required input \"{name}\".");
        report.add(
            Finding::new(Category::Contents, message, call.input_schema),
            call.input_path,
        );
    }
    for name in input
        .keys()
        .filter(|name| !contract.known.iter().any(|known| **known == ***name))
    {
        let message = format!("Action \"{reference}\" has unexpected input \"{name}\".");
        let schema = format!(r"{}.patternProperties.^\w+$", call.input_schema);
        let mut finding = Finding::new(Category::Contents, message, schema);
        if let Some(near) = nearest(name, contract.known.iter().map(String::as_str)) {
            finding = finding.with_suggestion(format!("did you mean `{near}`?"));
        }
        report.add_at_key(finding, &call.input_path.key(name.clone()));
    }
}

pub(crate) fn is_expression(text: &str) -> bool {
    let has = |open: &str, close: &str| {
        text.find(open)
            .is_some_and(|at| text[at + open.len()..].contains(close))
    };
    has("<%", "%>") || has("{{", "}}") || has("{%", "%}")
}

/// `pack.name`, neither part empty. StackStorm looks for a dot and no more.
fn is_reference(text: &str) -> bool {
    text.split_once('.')
        .is_some_and(|(pack, name)| !pack.is_empty() && !name.is_empty())
}
