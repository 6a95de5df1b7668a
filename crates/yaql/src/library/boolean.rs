//! Truth.

use super::Library;
use crate::value::Value;

pub(super) fn add(library: &mut Library) {
    library.function("bool(value)", |call| Ok(Value::Bool(call.truth(0))));
    library.function("isBoolean(value)", |call| {
        Ok(Value::Bool(matches!(call.value(0), Value::Bool(_))))
    });
}
