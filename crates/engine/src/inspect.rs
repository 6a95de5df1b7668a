//! What is wrong with a workflow, before anybody runs it.

use squall_value::Value;
use squall_workflow::inspect::{ActionContract, Actions, Surroundings, inspect};

use crate::Engine;
use crate::catalog::Catalog;

impl Engine {
    /// Everything that is wrong in the text of a workflow, as StackStorm lists it, calls of the
    /// registered actions included.
    #[must_use]
    pub fn inspect_workflow(&self, text: &str) -> Value {
        let catalog = self.catalog();
        let surroundings = Surroundings {
            actions: Some(&*catalog),
            ..Surroundings::on_a_server()
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
