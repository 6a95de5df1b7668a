//! Whose right it is to run what a workflow names.
//!
//! Nested steps run under the published definition: who publishes a workflow needs the right to run
//! every action that it names, and whoever asks for it needs none of those. What is named only at
//! run time is checked then, against the publisher. A strict setting checks every step against the
//! one who asked.

use std::fmt;

use squall_model::ActionRef;
use squall_value::{Str, Value};
use squall_workflow::Definition;

use crate::{Catalog, Engine};

/// Tells who may run what.
pub trait Rights: fmt::Debug + Send + Sync {
    /// Whether the user may run the action now.
    ///
    /// # Errors
    ///
    /// Why not, for the person who reads the failed task.
    fn may_run(&self, user: &str, action: &ActionRef) -> Result<(), String>;

    /// Whether the user may see everything.
    fn sees_everything(&self, user: &str) -> bool;

    /// Whether the user may see a datastore item, by its key.
    ///
    /// # Errors
    ///
    /// Why not.
    fn may_see_key(&self, user: &str, key: &str) -> Result<(), String>;
}

/// Everybody may run everything: an engine without roles.
#[derive(Debug, Clone, Copy, Default)]
pub struct EverybodyMay;

impl Rights for EverybodyMay {
    fn may_run(&self, _user: &str, _action: &ActionRef) -> Result<(), String> {
        Ok(())
    }

    fn sees_everything(&self, _user: &str) -> bool {
        true
    }

    fn may_see_key(&self, _user: &str, _key: &str) -> Result<(), String> {
        Ok(())
    }
}

/// The member of a definition that says who published it through the API; files have none.
pub const PUBLISHER: &str = "published_by";

impl Engine {
    /// The actions that a workflow names as they are written, each once. Those that are named by an
    /// expression are checked when it runs. What can't be read names none, and won't run.
    #[must_use]
    pub fn actions_named(&self, runner: &str, workflow: &str) -> Vec<ActionRef> {
        let definition = match runner {
            "action-chain" => Definition::parse_chain(workflow),
            _ => Definition::parse(workflow),
        };
        let mut named: Vec<ActionRef> = Vec::new();
        for task in definition
            .iter()
            .flat_map(|definition| definition.tasks.values())
        {
            let action = task
                .action
                .as_ref()
                .and_then(|action| action.source().as_str());
            let action = action.filter(|text| !text.contains("<%") && !text.contains("{{"));
            let Some(Ok(action)) = action.map(ActionRef::parse) else {
                continue;
            };
            if !named.contains(&action) {
                named.push(action);
            }
        }
        named
    }

    /// Checks that a step of a workflow may run. `written` is the action's name in the workflow's
    /// text.
    pub(crate) fn check_step(
        &self,
        asker: &str,
        publisher: Option<&str>,
        written: Option<&str>,
        action: &str,
    ) -> Result<(), String> {
        let Ok(action) = ActionRef::parse(action) else {
            // The request says what is wrong with the name.
            return Ok(());
        };
        if self.settings.check_every_step {
            return self.rights.may_run(asker, &action);
        }
        match publisher {
            Some(publisher) if written != Some(action.as_str()) => {
                let refused = self.rights.may_run(publisher, &action);
                refused
                    .map_err(|reason| format!("{reason}; the workflow was published by that user"))
            }
            _ => Ok(()),
        }
    }
}

/// Who published a definition, unless it came from files.
pub(crate) fn publisher(body: &Value) -> Option<Str> {
    body.get(PUBLISHER).and_then(Value::as_str).map(Str::from)
}

/// Whether a definition that comes from files says the same as one that is there, but for who
/// published it: then its publisher stays answerable.
pub(crate) fn is_same_definition(before: &Value, after: &Value) -> bool {
    let Some(_) = before.get(PUBLISHER) else {
        return before == after;
    };
    let plain = |body: &Value| {
        let mut body = body.as_dict().cloned().unwrap_or_default();
        body.remove(PUBLISHER);
        body.remove("content");
        body
    };
    plain(before) == plain(after)
}

impl Catalog {
    /// Who published an action through the API, if it did not come from files.
    #[must_use]
    pub fn publisher(&self, action: &str) -> Option<Str> {
        publisher(&self.action(action)?.document.body)
    }
}
