//! What actions return: checks and secrets.
//!
//! Source: StackStorm `st2common/util/output_schema.py`.

use squall_value::{Value, dict};

use crate::draft4::Nullable;
use crate::mask::Mask;
use crate::validate::{Invalid, Validator};
use crate::{Diagnostic, check};

/// The `output_schema` of an action, compiled.
#[derive(Debug, Default)]
pub struct OutputSchema {
    validator: Option<Validator>,
    mask: Mask,
}

impl OutputSchema {
    /// Compiles an `output_schema`.
    ///
    /// Old definitions are a mapping of properties without `type`: they hide their secrets and
    /// check nothing, as in StackStorm. A schema that is broken checks nothing either, and says so.
    #[must_use]
    pub fn new(definition: &Value) -> (OutputSchema, Vec<Diagnostic>) {
        if !definition.is_truthy() {
            return (OutputSchema::default(), Vec::new());
        }
        if definition.as_dict().is_some() && definition.get("type").is_none() {
            let whole = dict! { "type" => "object", "properties" => definition.clone() };
            let output = OutputSchema {
                validator: None,
                mask: Mask::new(&whole),
            };
            let hint = Diagnostic::warning(
                &[],
                "this output schema has no `type`, so results are not checked against it; write \
                 `type: object` and put the properties under `properties`",
            );
            return (output, vec![hint]);
        }
        let diagnostics = check::schema(definition);
        let is_sound = diagnostics.iter().all(|diagnostic| !diagnostic.is_error());
        let validator = is_sound
            .then(|| Validator::new(definition, Nullable::Nothing).ok())
            .flatten();
        let output = OutputSchema {
            validator,
            mask: Mask::new(definition),
        };
        (output, diagnostics)
    }

    /// Whether `output` (the part of the result that the runner names as its output) is what was
    /// promised.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with all that is wrong.
    pub fn validate(&self, output: &Value) -> Result<(), Invalid> {
        match &self.validator {
            Some(validator) => validator.validate(output),
            None => Ok(()),
        }
    }

    /// The mask of the output.
    #[must_use]
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// `result` with the secrets of its member `output_key` masked.
    #[must_use]
    pub fn mask_result(&self, result: &Value, output_key: &str) -> Value {
        let (Some(members), false) = (result.as_dict(), self.mask.is_open()) else {
            return result.clone();
        };
        let Some(output) = members.get(output_key) else {
            return result.clone();
        };
        let mut members = members.clone();
        let masked = self.mask.apply(output);
        members.insert(output_key, masked);
        Value::from(members)
    }
}
