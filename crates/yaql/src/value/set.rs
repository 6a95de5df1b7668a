//! Sets.

use std::rc::Rc;

use indexmap::IndexSet;

use super::{Extent, Key, Value};
use crate::error::Error;

pub(crate) type Members = IndexSet<Key, foldhash::fast::RandomState>;

/// An immutable set, in order of insertion.
#[derive(Clone, Debug)]
pub struct Set(Rc<Own>);

#[derive(Debug)]
struct Own {
    members: Members,
    extent: Extent,
}

impl Set {
    pub(crate) fn new(members: Members) -> Result<Set, Error> {
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
