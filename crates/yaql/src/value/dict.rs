//! Dictionaries with any hashable key, and the views of them.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use squall_value::{Dict as DataDict, Value as Data};

use super::key::{Key, StrKey};
use super::{Extent, Value, from_data};
use crate::error::Error;

/// Entries in order of insertion.
pub type Map = IndexMap<Key, Value, foldhash::fast::RandomState>;

/// A frozen or, when mutable, a plain dictionary.
#[derive(Clone, Debug)]
pub struct Dict {
    entries: Entries,
    mutable: bool,
}

#[derive(Clone)]
enum Entries {
    Data {
        dict: Arc<DataDict>,
        /// Whether lists and dictionaries inside are mutable.
        mutable_inside: bool,
    },
    Own(Rc<Own>),
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entries::Data { dict, .. } => write!(f, "{:?}", Data::Dict(dict.clone())),
            Entries::Own(own) => write!(f, "{own:?}"),
        }
    }
}

#[derive(Debug)]
struct Own {
    map: Map,
    extent: Extent,
}

impl Dict {
    pub(crate) fn new(map: Map, mutable: bool) -> Result<Dict, Error> {
        let mut extent = Extent::default();
        for (key, value) in &map {
            extent.add(key.value().extent());
            extent.add(value.extent());
        }
        Ok(Dict {
            entries: Entries::Own(Rc::new(Own {
                map,
                extent: extent.close()?,
            })),
            mutable,
        })
    }

    pub(crate) fn from_data(dict: Arc<DataDict>, mutable: bool, mutable_inside: bool) -> Dict {
        Dict {
            entries: Entries::Data {
                dict,
                mutable_inside,
            },
            mutable,
        }
    }

    /// Whether Python would let one change it.
    #[must_use]
    pub fn is_mutable(&self) -> bool {
        self.mutable
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.entries {
            Entries::Data { dict, .. } => dict.len(),
            Entries::Own(own) => own.map.len(),
        }
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a text key.
    #[must_use]
    pub fn get_str(&self, key: &str) -> Option<Value> {
        match &self.entries {
            Entries::Data {
                dict,
                mutable_inside,
            } => dict
                .get(key)
                .map(|data| from_data(data.clone(), *mutable_inside)),
            Entries::Own(own) => own.map.get(&StrKey(key)).cloned(),
        }
    }

    /// The value of any key.
    ///
    /// # Errors
    ///
    /// When `key` can't be a key, such as a mutable list.
    pub fn get(&self, key: &Value) -> Result<Option<Value>, Error> {
        if let Value::String(text) = key {
            return Ok(self.get_str(text));
        }
        let key = Key::new(key.clone())?;
        Ok(match &self.entries {
            Entries::Data { .. } => None,
            Entries::Own(own) => own.map.get(&key).cloned(),
        })
    }

    /// The entry at `index` in order of insertion.
    #[must_use]
    pub fn get_index(&self, index: usize) -> Option<(Value, Value)> {
        match &self.entries {
            Entries::Data {
                dict,
                mutable_inside,
            } => dict.get_index(index).map(|(key, data)| {
                (
                    Value::String(key.clone()),
                    from_data(data.clone(), *mutable_inside),
                )
            }),
            Entries::Own(own) => own
                .map
                .get_index(index)
                .map(|(key, value)| (key.value().clone(), value.clone())),
        }
    }

    /// All entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (Value, Value)> + '_ {
        (0..self.len()).filter_map(|index| self.get_index(index))
    }

    /// A copy of the entries, to build another dictionary from.
    #[must_use]
    pub fn to_map(&self) -> Map {
        match &self.entries {
            Entries::Own(own) => own.map.clone(),
            Entries::Data {
                dict,
                mutable_inside,
            } => dict
                .iter()
                .map(|(key, data)| {
                    (
                        Key::from_text(key.clone()),
                        from_data(data.clone(), *mutable_inside),
                    )
                })
                .collect(),
        }
    }

    pub(crate) fn as_data(&self) -> Option<&Arc<DataDict>> {
        match &self.entries {
            Entries::Data { dict, .. } => Some(dict),
            Entries::Own(_) => None,
        }
    }

    /// The same entries as a plain dictionary; data inside becomes plain too.
    pub(crate) fn thawed(&self) -> Dict {
        let entries = match &self.entries {
            Entries::Data { dict, .. } => Entries::Data {
                dict: dict.clone(),
                mutable_inside: true,
            },
            own @ Entries::Own(_) => own.clone(),
        };
        Dict {
            entries,
            mutable: true,
        }
    }

    pub(crate) fn is_same(&self, other: &Dict) -> bool {
        match (&self.entries, &other.entries) {
            (Entries::Data { dict: a, .. }, Entries::Data { dict: b, .. }) => Arc::ptr_eq(a, b),
            (Entries::Own(a), Entries::Own(b)) => Rc::ptr_eq(a, b),
            _ => false,
        }
    }

    pub(crate) fn extent(&self) -> Extent {
        match &self.entries {
            Entries::Data { dict, .. } => Extent {
                depth: 1,
                weight: 1 + dict.len() as u64,
            },
            Entries::Own(own) => own.extent,
        }
    }
}

/// A data dictionary under text keys, from an array of pairs.
pub(crate) fn data_dict(entries: Vec<(&str, Data)>) -> Value {
    let dict: DataDict = entries.into_iter().collect();
    Value::Dict(Dict::from_data(Arc::new(dict), true, false))
}

/// Which part of a dictionary a view shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewKind {
    /// `keys()`, a set-like view.
    Keys,
    /// `values()`.
    Values,
    /// `items()`, a set-like view of pairs.
    Items,
}

/// The keys, values or items of a dictionary.
#[derive(Clone, Debug)]
pub struct View {
    /// The dictionary it looks at.
    pub dict: Dict,
    /// What it shows.
    pub kind: ViewKind,
}

impl View {
    /// The element at `index`; items are tuples.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value> {
        let (key, value) = self.dict.get_index(index)?;
        Some(match self.kind {
            ViewKind::Keys => key,
            ViewKind::Values => value,
            ViewKind::Items => Value::tuple(vec![key, value]).unwrap_or_default(),
        })
    }

    /// All elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Value> + '_ {
        (0..self.dict.len()).filter_map(|index| self.get(index))
    }

    pub(crate) fn type_name(&self) -> &'static str {
        match (self.kind, self.dict.is_mutable()) {
            (ViewKind::Keys, false) => "KeysView",
            (ViewKind::Values, false) => "ValuesView",
            (ViewKind::Items, false) => "ItemsView",
            (ViewKind::Keys, true) => "dict_keys",
            (ViewKind::Values, true) => "dict_values",
            (ViewKind::Items, true) => "dict_items",
        }
    }
}
