//! A small outside world for tests.
#![allow(clippy::unwrap_used)]

use squall_expr::{Host, HostError, KeyScope};
use squall_value::Value;

/// A datastore with one item, and a clock that stands still.
pub(crate) struct World;

impl Host for World {
    fn key(&self, scope: &KeyScope, name: &str, _: bool) -> Result<Option<Value>, HostError> {
        let is_known = *scope == KeyScope::System && name == "limit";
        Ok(is_known.then(|| Value::from("5")))
    }

    fn decrypt(&self, _: &str) -> Result<String, HostError> {
        Err(HostError {
            class: "ValueError",
            message: "there is no key".to_owned(),
        })
    }

    fn now(&self) -> jiff::Timestamp {
        "2024-06-01T12:00:00Z".parse().unwrap()
    }

    fn random(&self) -> u64 {
        0
    }
}
