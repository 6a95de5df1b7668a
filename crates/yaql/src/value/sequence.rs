//! Tuples and lists.

use std::rc::Rc;
use std::sync::Arc;

use squall_value::Value as Data;

use super::{Extent, Value, from_data};
use crate::error::Error;

/// A tuple or, when mutable, a list.
#[derive(Clone, Debug)]
pub struct Sequence {
    items: Items,
    mutable: bool,
}

#[derive(Clone, Debug)]
enum Items {
    /// Shared data, whose elements convert when they are read.
    Data(Arc<Vec<Data>>),
    Own(Rc<Own>),
}

#[derive(Debug)]
struct Own {
    items: Vec<Value>,
    extent: Extent,
}

impl Sequence {
    pub(crate) fn new(items: Vec<Value>, mutable: bool) -> Result<Sequence, Error> {
        let extent = Extent::of(&items)?;
        Ok(Sequence {
            items: Items::Own(Rc::new(Own { items, extent })),
            mutable,
        })
    }

    pub(crate) fn from_data(items: Arc<Vec<Data>>, mutable: bool) -> Sequence {
        Sequence {
            items: Items::Data(items),
            mutable,
        }
    }

    /// Whether this is a list and not a tuple.
    #[must_use]
    pub fn is_mutable(&self) -> bool {
        self.mutable
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.items {
            Items::Data(items) => items.len(),
            Items::Own(own) => own.items.len(),
        }
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value> {
        match &self.items {
            Items::Data(items) => items
                .get(index)
                .map(|data| from_data(data.clone(), self.mutable)),
            Items::Own(own) => own.items.get(index).cloned(),
        }
    }

    /// All elements in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Value> + ExactSizeIterator + '_ {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    pub(crate) fn to_vec(&self) -> Vec<Value> {
        self.iter().collect()
    }

    /// The shared data behind it, if it is untouched data.
    pub(crate) fn as_data(&self) -> Option<&Arc<Vec<Data>>> {
        match &self.items {
            Items::Data(items) => Some(items),
            Items::Own(_) => None,
        }
    }

    /// The same elements as a list, and lists inside it: Python's own data.
    pub(crate) fn thawed(&self) -> Sequence {
        Sequence {
            items: self.items.clone(),
            mutable: true,
        }
    }

    pub(crate) fn is_same(&self, other: &Sequence) -> bool {
        match (&self.items, &other.items) {
            (Items::Data(a), Items::Data(b)) => Arc::ptr_eq(a, b),
            (Items::Own(a), Items::Own(b)) => Rc::ptr_eq(a, b),
            _ => false,
        }
    }

    pub(crate) fn extent(&self) -> Extent {
        match &self.items {
            // Only the top level is counted: walking the data would undo the free conversion.
            Items::Data(items) => Extent {
                depth: 1,
                weight: 1 + items.len() as u64,
            },
            Items::Own(own) => own.extent,
        }
    }
}
