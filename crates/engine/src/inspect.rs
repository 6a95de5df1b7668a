//! What is wrong with a workflow, before anybody runs it.

use squall_value::Value;
use squall_workflow::inspect::{Surroundings, inspect};

use crate::Engine;

impl Engine {
    /// Everything that is wrong in the text of a workflow, as StackStorm lists it.
    #[must_use]
    pub fn inspect_workflow(&self, text: &str) -> Value {
        inspect(text, self.expressions(), &Surroundings::default()).to_list()
    }
}
