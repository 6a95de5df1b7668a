//! What the conductor asks its host.

use squall_expr::{Host, HostError, KeyScope};
use squall_model::{Execution, Timestamp};
use squall_value::{Value, dict};

use squall_workflow::{Conductor, World};

use super::children::Children;
use super::live::Loaded;
use crate::{Engine, Eyes};

impl Engine {
    /// Lets the conductor of a live workflow decide, with the languages, the datastore and the
    /// records of the workflow's own tasks at hand.
    pub(super) fn with_world<R>(
        &self,
        loaded: &mut Loaded,
        decide: impl FnOnce(&mut Conductor, World<'_>) -> R,
    ) -> R {
        let host = Datastore {
            eyes: self.eyes_of(loaded.publisher.as_deref(), &loaded.execution.request.user),
            engine: self,
            execution: &loaded.execution,
            children: &loaded.children,
        };
        let world = World {
            expressions: &self.expressions,
            host: &host,
            joins: self.settings.joins,
        };
        decide(&mut loaded.conductor, world)
    }
}

/// The datastore, the records of tasks, and what surrounds the workflow.
pub(super) struct Datastore<'a> {
    /// As its publisher sees it, if that one may not see all.
    pub(super) eyes: Option<Eyes<'a>>,
    pub(super) engine: &'a Engine,
    pub(super) execution: &'a Execution,
    pub(super) children: &'a Children,
}

impl Datastore<'_> {
    fn seen(&self) -> &dyn Host {
        Eyes::or_all(self.eyes.as_ref(), &self.engine.datastore)
    }
}

impl Host for Datastore<'_> {
    fn key(&self, scope: &KeyScope, name: &str, decrypt: bool) -> Result<Option<Value>, HostError> {
        self.seen().key(scope, name, decrypt)
    }

    fn decrypt(&self, ciphertext: &str) -> Result<String, HostError> {
        self.seen().decrypt(ciphertext)
    }

    fn now(&self) -> Timestamp {
        self.engine.datastore.now()
    }

    fn random(&self) -> u64 {
        self.engine.datastore.random()
    }
}

impl squall_workflow::Host for Datastore<'_> {
    fn task_record(&self, task: &str, route: usize) -> Option<Value> {
        self.children.task_record(task, route)
    }

    fn surrounding(&self, name: &str) -> Option<Value> {
        let request = &self.execution.request;
        match name {
            "action_context" => {
                let mut parent = request.context.as_dict().cloned().unwrap_or_default();
                parent.insert("execution_id", request.id.to_string());
                Some(dict! { "parent" => parent })
            }
            "config_context" => {
                let (pack, catalog) = (request.action.pack(), self.engine.catalog());
                // Its secrets are known since the workflow was loaded.
                let mut secrets = Vec::new();
                let config = self
                    .engine
                    .pack_config(&catalog, pack, &request.user, &mut secrets);
                config.ok()
            }
            _ => None,
        }
    }
}
