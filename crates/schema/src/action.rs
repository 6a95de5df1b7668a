//! All that is known about the parameters of one action, compiled once.

use squall_value::{Dict, Str, Value};

use crate::check;
use crate::mask::Mask;
use crate::parameter::Parameters;
use crate::render::{self, Final, Sources};
use crate::validate::{Invalid, ParameterValidator};
use crate::{Diagnostic, form};

/// The parameters of an action together with its runner's. Keep one per action definition: all
/// methods share what was compiled.
#[derive(Debug)]
pub struct ActionParameters {
    runner: Parameters,
    action: Parameters,
    merged: Parameters,
    validator: ParameterValidator,
    mask: Mask,
    immutable: Vec<Str>,
}

/// Someone gives parameters that callers may not set. `Display` is StackStorm's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Override of immutable parameter(s) [{}] is unsupported.",
    quoted(names)
)]
pub struct ImmutableOverride {
    /// Which.
    pub names: Vec<Str>,
}

fn quoted(names: &[Str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    names.join(", ")
}

impl ActionParameters {
    /// Compiles the `parameters` mappings of a runner and an action.
    ///
    /// Always gives a result, so that a definition that was accepted long ago still runs; whoever
    /// registers a definition refuses it if a diagnostic is an error.
    #[must_use]
    pub fn new(runner: &Value, action: &Value) -> (ActionParameters, Vec<Diagnostic>) {
        let mut diagnostics = check::overrides(runner, action);
        diagnostics.extend(check::parameters(action));
        let runner = Parameters::new(runner);
        let action = Parameters::new(action);
        let merged = Parameters::merge(&runner, &action);
        let (validator, broken) = ParameterValidator::new(&merged);
        diagnostics.extend(check::broken(&diagnostics, broken));
        // Of a parameter that both define, either may forbid it; so in StackStorm.
        let immutable = action
            .iter()
            .chain(runner.iter())
            .filter(|(_, parameter)| parameter.immutable)
            .map(|(name, _)| name.clone())
            .collect();
        let compiled = ActionParameters {
            mask: Mask::of_parameters(&merged),
            validator,
            immutable,
            runner,
            action,
            merged,
        };
        (compiled, diagnostics)
    }

    /// All definitions, the action's overrides of the runner's applied.
    #[must_use]
    pub fn merged(&self) -> &Parameters {
        &self.merged
    }

    /// The action's own definitions.
    #[must_use]
    pub fn action(&self) -> &Parameters {
        &self.action
    }

    /// The runner's definitions.
    #[must_use]
    pub fn runner(&self) -> &Parameters {
        &self.runner
    }

    /// Live parameters; see [`render::live`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn live<'a>(
        &self,
        given: impl Into<render::Given<'a>>,
        sources: &Sources<'_>,
    ) -> Result<Dict, render::Error> {
        render::live(&self.runner, &self.action, given, sources)
    }

    /// Final parameters; see [`render::finalize`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn finalize(&self, given: &Dict, sources: &Sources<'_>) -> Result<Final, render::Error> {
        render::finalize(&self.runner, &self.action, given, sources)
    }

    /// Whether live parameters are what the definitions ask for.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with all that is wrong.
    pub fn validate(&self, live: &Dict) -> Result<(), Invalid> {
        self.validator.validate(live)
    }

    /// Refuses parameters that callers may not set.
    ///
    /// # Errors
    ///
    /// [`ImmutableOverride`] naming them.
    pub fn check_immutable(&self, given: &Dict) -> Result<(), ImmutableOverride> {
        if self.immutable.is_empty() {
            return Ok(());
        }
        let names: Vec<Str> = given
            .keys()
            .filter(|name| self.immutable.contains(name))
            .cloned()
            .collect();
        if names.is_empty() {
            Ok(())
        } else {
            Err(ImmutableOverride { names })
        }
    }

    /// The mask of all parameters: [`Mask::apply`] it to show them, [`Mask::collect`] the secrets
    /// to hide them elsewhere.
    #[must_use]
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// JSON Schema (2020-12) of what callers may give, for API descriptions and forms.
    #[must_use]
    pub fn json_schema(&self) -> Value {
        form::json_schema(&self.merged)
    }
}
