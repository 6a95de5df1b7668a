//! A dictionary with text keys that remembers the order of insertion.

use std::fmt;

use indexmap::IndexMap;

use crate::{Str, Value};

type Entries = IndexMap<Str, Value, foldhash::fast::RandomState>;

/// Up to so many entries, a look at each is quicker than a hash: most keys differ in length.
const SCANNED_MAX: usize = 8;

/// Text keys to values, in order of insertion. Setting a key again keeps its place.
#[derive(Clone, Default)]
pub struct Dict {
    entries: Entries,
}

impl Dict {
    /// A dictionary without entries.
    #[must_use]
    pub fn new() -> Dict {
        Dict::default()
    }

    /// A dictionary with room for `capacity` entries.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Dict {
        Dict {
            entries: Entries::with_capacity_and_hasher(capacity, Default::default()),
        }
    }

    /// Sets `key` to `value`; returns what it was.
    pub fn insert(&mut self, key: impl Into<Str>, value: impl Into<Value>) -> Option<Value> {
        self.entries.insert(key.into(), value.into())
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        if self.entries.len() > SCANNED_MAX {
            return self.entries.get(key);
        }
        let mut entries = self.entries.iter();
        let found = entries.find(|(known, _)| known.len() == key.len() && ***known == *key);
        found.map(|(_, value)| value)
    }

    /// The value of `key`, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.entries.get_mut(key)
    }

    /// Whether `key` has a value.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Takes `key` out; the order of the others stays.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.entries.shift_remove(key)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at `index` in order of insertion.
    #[must_use]
    pub fn get_index(&self, index: usize) -> Option<(&Str, &Value)> {
        self.entries.get_index(index)
    }

    /// All entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Str, &Value)> + DoubleEndedIterator {
        self.entries.iter()
    }

    /// All entries in order, values to be changed.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&Str, &mut Value)> {
        self.entries.iter_mut()
    }

    /// All keys in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Str> + DoubleEndedIterator {
        self.entries.keys()
    }

    /// All values in order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Value> + DoubleEndedIterator {
        self.entries.values()
    }
}

impl fmt::Debug for Dict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl PartialEq for Dict {
    fn eq(&self, other: &Dict) -> bool {
        self.entries == other.entries
    }
}

impl IntoIterator for Dict {
    type Item = (Str, Value);
    type IntoIter = indexmap::map::IntoIter<Str, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<K: Into<Str>, V: Into<Value>> FromIterator<(K, V)> for Dict {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Dict {
        Dict {
            entries: entries
                .into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
        }
    }
}

impl<K: Into<Str>, V: Into<Value>> Extend<(K, V)> for Dict {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        self.entries
            .extend(entries.into_iter().map(|(k, v)| (k.into(), v.into())));
    }
}
