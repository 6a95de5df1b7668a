//! Filters in SQLite's dialect.

use std::borrow::Cow;

use rusqlite::types::Value;
use squall_store::sql::{Dialect, Parameter};

/// SQLite holds every text as it is.
pub(crate) const DIALECT: Dialect = Dialect {
    placeholder: '?',
    text: |text| Cow::Borrowed(text),
    unindexed: "",
};

/// The same for lists of which much is shown: they are walked in their order, since collecting all
/// that a pack or a user has would cost more.
pub(crate) const DENSE: Dialect = Dialect {
    unindexed: "+",
    ..DIALECT
};

/// From how many records on a list counts as dense.
pub(crate) const DENSE_MIN: u64 = 20_000;

/// Parameters as SQLite's values.
pub(crate) fn values(parameters: Vec<Parameter>) -> Vec<Value> {
    let values = parameters.into_iter().map(|parameter| match parameter {
        Parameter::Text(text) => Value::Text(text),
        Parameter::Integer(number) => Value::Integer(number),
        Parameter::Bytes(bytes) => Value::Blob(bytes),
    });
    values.collect()
}
