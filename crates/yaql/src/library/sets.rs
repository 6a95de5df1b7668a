//! Sets.

use super::Library;
use super::collections::{size, splice};
use crate::call::Call;
use crate::error::Error;
use crate::iterator::VALUE_BYTES;
use crate::operators::{difference, real_set, union};
use crate::value::{Key, Members, Set, Value};

pub(super) fn add(library: &mut Library) {
    library.function("set(*args)", |call| {
        let items = splice(call)?;
        call.ev.charge(items.len() as u64 * 2 * VALUE_BYTES)?;
        Set::from_values(items).map(Value::Set)
    });
    library.method("toSet(collection: iterable)", |call| {
        let members = members(call, 0)?;
        Set::new(members).map(Value::Set)
    });
    library.function("isSet(arg)", |call| {
        Ok(Value::Bool(call.value(0).is_set_like()))
    });
    library.extension("len(set: set)", size);
    library.method("union(left: set, right: set)", |call| {
        let left = real_set(&call.value(0), "union")?;
        let right = members(call, 1)?;
        union(call.ev, &left, right.iter().map(|key| key.value().clone()))
    });
    library.method("intersect(left: set, right: set)", |call| {
        let left = real_set(&call.value(0), "intersection")?;
        let right = members(call, 1)?;
        // Of equal members, those of the smaller set are kept.
        let (from, other) = match right.len() <= left.len() {
            true => (&right, left.members()),
            false => (left.members(), &right),
        };
        let kept = from.iter().filter(|key| other.contains(*key));
        Set::new(kept.cloned().collect()).map(Value::Set)
    });
    library.method("difference(left: set, right: set)", |call| {
        let (left, right) = (call.value(0), call.value(1));
        difference(call.ev, &left, &right, "difference")
    });
    library.method("symmetricDifference(left: set, right: set)", |call| {
        let left = real_set(&call.value(0), "symmetric_difference")?;
        let right = members(call, 1)?;
        let only_left = left.members().iter().filter(|key| !right.contains(*key));
        let only_right = right.iter().filter(|key| !left.members().contains(*key));
        Set::new(only_left.chain(only_right).cloned().collect()).map(Value::Set)
    });
    library.method("add(set: set, *values)", |call| {
        let set = real_set(&call.value(0), "union")?;
        let values = std::mem::take(&mut call.rest);
        union(call.ev, &set, values.into_iter())
    });
    library.method("remove(set: set, *values)", |call| {
        let values = std::mem::take(&mut call.rest);
        let values = Value::Set(Set::from_values(values)?);
        let set = call.value(0);
        difference(call.ev, &set, &values, "difference")
    });
}

/// The members of a set, view or other collection.
fn members(call: &mut Call<'_, '_>, index: usize) -> Result<Members, Error> {
    let mut source = call.cursor(index)?;
    let mut members = Members::default();
    while let Some(item) = source.next(call.ev)? {
        call.ev.charge(2 * VALUE_BYTES)?;
        members.insert(Key::new(item)?);
    }
    Ok(members)
}
