//! What the conductor asks its host.

use squall_expr::{Host, HostError, KeyScope};
use squall_model::Timestamp;
use squall_value::Value;

use squall_workflow::{Conductor, World};

use super::children::Children;
use super::live::Loaded;
use crate::Engine;

impl Engine {
    /// Lets the conductor of a live workflow decide, with the languages, the datastore and the
    /// records of the workflow's own tasks at hand.
    pub(super) fn with_world<R>(
        &self,
        loaded: &mut Loaded,
        decide: impl FnOnce(&mut Conductor, World<'_>) -> R,
    ) -> R {
        let host = Datastore {
            datastore: &self.datastore,
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

/// The datastore, and the records of tasks.
pub(super) struct Datastore<'a> {
    pub(super) datastore: &'a crate::Datastore,
    pub(super) children: &'a Children,
}

impl Host for Datastore<'_> {
    fn key(&self, scope: &KeyScope, name: &str, decrypt: bool) -> Result<Option<Value>, HostError> {
        self.datastore.key(scope, name, decrypt)
    }

    fn decrypt(&self, ciphertext: &str) -> Result<String, HostError> {
        self.datastore.decrypt(ciphertext)
    }

    fn now(&self) -> Timestamp {
        self.datastore.now()
    }

    fn random(&self) -> u64 {
        self.datastore.random()
    }
}

impl squall_workflow::Host for Datastore<'_> {
    fn task_record(&self, task: &str, route: usize) -> Option<Value> {
        self.children.task_record(task, route)
    }
}
