//! Sets.

use std::cmp::Ordering;
use std::rc::Rc;

use indexmap::IndexSet;

use super::{Extent, Key, Value};
use crate::error::Error;
use crate::number::{self, Number};

pub(crate) type Members = IndexSet<Key, foldhash::fast::RandomState>;

/// An immutable set. Numbers come in ascending order, after collections and before texts; among
/// themselves those keep the order of insertion.
#[derive(Clone, Debug)]
pub struct Set(Rc<Own>);

#[derive(Debug)]
struct Own {
    members: Members,
    extent: Extent,
}

impl Set {
    pub(crate) fn new(mut members: Members) -> Result<Set, Error> {
        members.sort_by(|left, right| member_order(left.value(), right.value()));
        let extent = Extent::of(members.iter().map(Key::value))?;
        Ok(Set(Rc::new(Own { members, extent })))
    }

    /// From values, each of which must be hashable.
    ///
    /// # Errors
    ///
    /// When one is not, or as [`Value::tuple`].
    pub fn from_values(values: impl IntoIterator<Item = Value>) -> Result<Set, Error> {
        let mut members = Members::default();
        for value in values {
            members.insert(Key::new(value)?);
        }
        Set::new(members)
    }

    pub(crate) fn members(&self) -> &Members {
        &self.0.members
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.members.len()
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.members.is_empty()
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = &Value> + '_ {
        self.0.members.iter().map(Key::value)
    }

    pub(crate) fn is_same(&self, other: &Set) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn extent(&self) -> Extent {
        self.0.extent
    }
}

/// The reference leaves the order of a set to the hashes of its members, which for small integers is
/// ascending; this order has that, and is always the same.
fn member_order(left: &Value, right: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) | Value::Bool(_) => 1,
        Value::String(_) => 2,
        Value::Null => 4,
        Value::Sequence(_) | Value::Dict(_) | Value::Set(_) => 0,
        _ => 3,
    };
    let as_number = |value: &Value| match value {
        Value::Bool(truth) => Some(Number::Int(i64::from(*truth))),
        other => Number::of(other),
    };
    match (as_number(left), as_number(right)) {
        (Some(a), Some(b)) => number::compare_total(&a, &b),
        _ => rank(left).cmp(&rank(right)),
    }
}
