//! What is wrong with a workflow, before anybody runs it.

use squall_value::{Str, Value};
use squall_workflow::inspect::{ActionContract, Actions, Surroundings, inspect};

use crate::Engine;
use crate::catalog::Catalog;

/// The variables that every workflow is handed, beside its inputs.
const HANDED_DOWN: [&str; 2] = ["st2", "parent"];

impl Engine {
    /// Everything that is wrong in the text of a workflow, as StackStorm lists it, calls of the
    /// registered actions included.
    #[must_use]
    pub fn inspect_workflow(&self, text: &str) -> Value {
        let catalog = self.catalog();
        let surroundings = Surroundings {
            known: HANDED_DOWN.into_iter().map(Str::from).collect(),
            actions: Some(&*catalog),
            ..Surroundings::default()
        };
        inspect(text, self.expressions(), &surroundings).to_list()
    }
}

impl Actions for Catalog {
    fn contract(&self, reference: &str) -> Option<ActionContract> {
        let parameters = self.action(reference)?.parameters.merged();
        let names = parameters.iter();
        let required = names.filter(|(_, parameter)| {
            parameter.required && parameter.default.as_ref().is_none_or(Value::is_null)
        });
        Some(ActionContract {
            required: required.map(|(name, _)| name.to_string()).collect(),
            known: parameters
                .iter()
                .map(|(name, _)| name.to_string())
                .collect(),
        })
    }

    fn references(&self) -> Vec<String> {
        self.actions()
            .map(|action| action.reference.text().to_string())
            .collect()
    }
}
