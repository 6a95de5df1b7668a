//! Setting a run up.

use std::sync::Arc;

use squall_expr::Error;
use squall_value::{Dict, Str, Value};

use super::scope::View;
use super::{Conductor, LogEntry, World};
use crate::chain;
use crate::context::{self, Values};
use crate::definition::{Definition, Language};
use crate::graph::NO_START;
use crate::piece::{Piece, StagedPiece};
use crate::state::State;

impl Conductor {
    /// Sets up a run: inputs and variables are rendered and the start tasks are staged. Nothing runs
    /// before the status is asked to be `running`.
    ///
    /// Inputs that the workflow does not declare are dropped. Supplied values are data: expressions
    /// in them are not evaluated. `context` is what the parent execution hands down; expressions see
    /// it as variables. If an input or variable can't be rendered, the run is `failed` from the start
    /// and the errors say why.
    #[must_use]
    pub fn start(
        definition: Arc<Definition>,
        inputs: &Dict,
        context: &Dict,
        world: World<'_>,
    ) -> Conductor {
        let mut conductor = Conductor {
            definition,
            state: State::default(),
            pieces: Vec::new(),
        };
        conductor.state.context = Value::from(context.clone());
        let mut errors = Vec::new();
        let values = conductor.initial_values(inputs, context, world, &mut errors);
        let timeout = conductor.run_timeout(&values, world, &mut errors);
        if conductor.definition.graph.roots().is_empty() {
            // It would run for ever without doing anything, as in the reference engine.
            errors.push(NO_START.to_owned());
        }
        conductor.record(Piece::Begun {
            inputs: Value::from(inputs.clone()),
            context: Value::from(context.clone()),
            timeout,
        });
        if !errors.is_empty() {
            for error in errors {
                conductor.add_error(&LogEntry::error(error));
            }
            conductor.fail();
            return conductor;
        }
        conductor.stage_roots(values);
        conductor
    }

    fn stage_roots(&mut self, values: Values) {
        let mut all: Vec<_> = values.into_iter().collect();
        all.sort_by_key(|(_, (place, _))| *place);
        let set: Dict = all
            .into_iter()
            .map(|(name, (_, value))| (name, value))
            .collect();
        self.record(Piece::Version {
            id: 0,
            parent: None,
            set: Arc::new(set),
        });
        self.record(Piece::Route {
            transitions: Arc::default(),
        });
        let definition = self.definition.clone();
        for root in definition.graph.roots() {
            self.record(Piece::Staged(StagedPiece {
                staged: self.state.next_staged,
                task: definition.graph.name(*root).clone(),
                route: 0,
                version: 0,
                prev: Arc::default(),
                ready: true,
                retry: None,
                behind: false,
            }));
        }
    }

    fn initial_values(
        &self,
        inputs: &Dict,
        context: &Dict,
        world: World<'_>,
        errors: &mut Vec<String>,
    ) -> Values {
        if self.definition.language == Language::Chain {
            return self.chain_values(inputs, world, errors);
        }
        let mut initial = Values::default();
        context::overlay(&mut initial, context);
        let mut view = View::new(self, world, initial.clone());
        let mut rendered = Dict::new();
        for input in &self.definition.input {
            let value = match inputs.get(&input.name) {
                Some(value) => Ok(value.clone()),
                None => input.value.evaluate(world.expressions, &view),
            };
            assign(&mut view, &mut rendered, &input.name, value, errors);
        }
        context::overlay(&mut initial, &rendered);
        view.look_at(initial.clone());
        let mut rendered = Dict::new();
        for var in &self.definition.vars {
            let value = var.value.evaluate(world.expressions, &view);
            assign(&mut view, &mut rendered, &var.name, value, errors);
        }
        context::overlay(&mut initial, &rendered);
        initial
    }

    /// The variables that a chain begins with: its parameters, and its `vars` rendered with them.
    fn chain_values(&self, inputs: &Dict, world: World<'_>, errors: &mut Vec<String>) -> Values {
        let mut initial = Values::default();
        context::overlay(&mut initial, inputs);
        let vars: Dict = self
            .definition
            .vars
            .iter()
            .map(|var| (var.name.clone(), var.value.source().clone()))
            .collect();
        match chain::render(&self.definition, world, &initial, self.user(), &vars) {
            Ok(rendered) => {
                for (name, value) in rendered {
                    context::assign(&mut initial, &name, value);
                }
            }
            Err(reason) => errors.push(format!("Failed initializing ``vars`` in chain. {reason}")),
        }
        initial
    }

    fn run_timeout(
        &self,
        values: &Values,
        world: World<'_>,
        errors: &mut Vec<String>,
    ) -> Option<i64> {
        let timeout = self.definition.timeout.as_ref()?;
        let view = View::new(self, world, values.clone());
        match timeout.evaluate(world.expressions, &view) {
            Ok(Value::Null) => None,
            Ok(Value::Int(seconds)) if seconds > 0 => Some(seconds),
            Ok(other) => {
                let text = squall_value::python::repr(&other);
                errors.push(format!(
                    "ValueError: The timeout of the workflow is a number of seconds, not {text}."
                ));
                None
            }
            Err(error) => {
                errors.push(error.to_string());
                None
            }
        }
    }
}

fn assign(
    view: &mut View<'_>,
    rendered: &mut Dict,
    name: &Str,
    value: Result<Value, Error>,
    errors: &mut Vec<String>,
) {
    match value {
        Ok(value) => {
            view.set(name, value.clone());
            rendered.insert(name.clone(), value);
        }
        Err(error) => errors.push(error.to_string()),
    }
}
