//! What templates find in their context.

use std::rc::Rc;

use super::Res;
use super::eval::Engine;
use super::objects::Function;
use super::registry;
use super::value::{Entries, Key, Lookup, Val};
use crate::scope::{Context, KeyScope};

/// A variable of a template outside workflows.
pub(super) fn plain_variable(context: &Context<'_>, name: &str) -> Option<Val> {
    if let Some(datastore) = &context.datastore {
        let lookup = |scope: KeyScope| {
            Val::Key(Rc::new(Lookup {
                scope,
                key: String::new(),
            }))
        };
        if name == "st2kv" {
            let mut entries = Entries::default();
            entries.insert(Key(Val::str("system")), lookup(KeyScope::System));
            if let Some(user) = datastore.user {
                entries.insert(Key(Val::str("user")), lookup(KeyScope::User(user.clone())));
            }
            return Some(Val::dict(entries));
        }
        if datastore.alias == Some(name) {
            return Some(lookup(KeyScope::System));
        }
    }
    context.variables.get(name).map(Val::from)
}

/// The host, for whatever reads the datastore: a text that came as data may not.
pub(super) fn datastore<'a>(engine: &'a Engine<'_>) -> Res<Option<&'a dyn crate::Host>> {
    if engine.is_data.get() {
        let text = "An expression that came as data can't read the datastore";
        return Err(super::raised("AccessDeniedError", crate::Kind::Other, text));
    }
    Ok(engine.host())
}

/// What workflow expressions know by name, their variables not among them.
pub(super) fn workflow_variable(scope: &dyn crate::Scope, name: &str) -> Option<Val> {
    match name {
        "__vars" => Some(Val::from(scope.variables())),
        "__current_item" => Some(scope.item().map_or(Val::None, |item| Val::from(&item))),
        _ => registry::function(name).map(|function| Val::Function(Function::Catalogue(function))),
    }
}
