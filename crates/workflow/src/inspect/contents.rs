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

pub(crate) fn inspect(document: &Document, actions: &dyn Actions, report: &mut Report<'_>) {
    for (name, task) in &document.tasks {
        let Some(reference) = task.action.as_str().filter(|text| !text.is_empty()) else {
            continue;
        };
        if is_expression(reference) {
            continue;
        }
        let path = Path::root().key("tasks").key(name.clone());
        let schema = format!("{TASK_SCHEMA}.properties.action");
        if !is_reference(reference) {
            let message =
                format!("The action reference \"{reference}\" is not formatted correctly.");
            let finding = Finding::new(Category::Contents, message, schema)
                .with_suggestion("write `pack.action`");
            report.add(finding, &path.key("action"));
            continue;
        }
        let Some(contract) = actions.contract(reference) else {
            let message = format!("The action \"{reference}\" is not registered in the database.");
            let finding = Finding::new(Category::Contents, message, schema);
            let known = actions.references();
            let suggestion = match nearest(reference, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "install or register its pack".to_owned(),
            };
            report.add(finding.with_suggestion(suggestion), &path.key("action"));
            continue;
        };
        let empty = Dict::new();
        let input = match &task.input {
            Value::Dict(input) => input,
            other if !other.is_truthy() => &empty,
            _ => continue,
        };
        check_input(reference, &contract, input, &path, report);
    }
}

fn check_input(
    reference: &str,
    contract: &ActionContract,
    input: &Dict,
    path: &Path,
    report: &mut Report<'_>,
) {
    let schema = format!("{TASK_SCHEMA}.properties.input");
    let missing = contract
        .required
        .iter()
        .filter(|name| !input.contains_key(name));
    for name in missing {
        let message = format!("Action \"{reference}\" is missing required input \"{name}\".");
        report.add(
            Finding::new(Category::Contents, message, schema.clone()),
            &path.key("input"),
        );
    }
    for name in input
        .keys()
        .filter(|name| !contract.known.iter().any(|known| **known == ***name))
    {
        let message = format!("Action \"{reference}\" has unexpected input \"{name}\".");
        let schema = format!(r"{schema}.patternProperties.^\w+$");
        let mut finding = Finding::new(Category::Contents, message, schema);
        if let Some(near) = nearest(name, contract.known.iter().map(String::as_str)) {
            finding = finding.with_suggestion(format!("did you mean `{near}`?"));
        }
        report.add_at_key(finding, &path.key("input").key(name.clone()));
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
