//! The output of a run.

use squall_value::{Dict, Value};

use super::scope::View;
use super::{Conductor, LogEntry, World};
use crate::chain;
use crate::context::{self, Values};
use crate::definition::Language;
use crate::piece::Piece;
use crate::status::Status;

impl Conductor {
    /// Renders the output once the workflow has ended, whichever way, and returns it. Before that,
    /// and when the workflow has no output, it is null. The output of an action chain is what its
    /// tasks have published.
    ///
    /// Entries that can't be rendered are left out and logged; a workflow that had succeeded fails
    /// then.
    pub fn render_output(&mut self, world: World<'_>) -> Value {
        if !self.state.status.is_completed() || !self.state.output.is_null() {
            return self.state.output.clone();
        }
        if self.definition.language == Language::Chain {
            let published = published(&self.final_values());
            if !published.is_empty() {
                let output = Value::from(published);
                self.record(Piece::Output { output });
            }
            return self.state.output.clone();
        }
        let mut output = Dict::new();
        let mut errors = Vec::new();
        let mut view = View::new(self, world, self.final_values());
        for entry in &self.definition.output {
            match entry.value.evaluate(world.expressions, &view) {
                Ok(value) => {
                    view.set(&entry.name, value.clone());
                    output.insert(entry.name.clone(), value);
                }
                Err(error) => errors.push(error.to_string()),
            }
        }
        drop(view);
        if !output.is_empty() {
            self.record(Piece::Output {
                output: Value::from(output),
            });
        }
        if !errors.is_empty() {
            for error in errors {
                self.add_error(&LogEntry::error(error));
            }
            if self.state.status == Status::Succeeded {
                self.set_status(Status::Failed);
            }
        }
        self.state.output.clone()
    }

    /// The variables at the end of all branches, merged in the order in which their last tasks
    /// started. As in the reference engine a branch brings all that was set on its way, also what
    /// another one has set anew since.
    fn final_values(&self) -> Values {
        let mut terminals = self
            .state
            .terminals
            .iter()
            .filter_map(|index| self.state.entries.get(index));
        let Some(first) = terminals.next() else {
            return Values::default();
        };
        let contexts = &self.state.contexts;
        let mut values = contexts.values(first.version);
        for entry in terminals {
            for set in contexts.changes(entry.version) {
                context::overlay(&mut values, set);
            }
        }
        values
    }
}

/// What the tasks of a chain have published, in the order in which the names first were.
fn published(values: &Values) -> Dict {
    let named = values.iter().filter_map(|(name, (place, value))| {
        let name = name.strip_prefix(chain::PUBLISHED)?;
        Some((*place, name, value))
    });
    let mut all: Vec<_> = named.collect();
    all.sort_by_key(|(place, ..)| *place);
    let all = all.into_iter();
    all.map(|(_, name, value)| (name, value.clone())).collect()
}
