//! A bounded cache of compiled texts.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

/// Keeps what was used lately: when the younger generation is full it becomes the older one, and
/// what was in the older and not asked for since is forgotten.
pub(crate) struct Cache<K, V> {
    generations: RwLock<Generations<K, V>>,
    /// Entries of one generation.
    capacity: usize,
}

struct Generations<K, V> {
    young: HashMap<K, V, foldhash::fast::RandomState>,
    old: HashMap<K, V, foldhash::fast::RandomState>,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    /// Room for about `capacity` entries; with 0 nothing is kept.
    pub(crate) fn new(capacity: usize) -> Cache<K, V> {
        Cache {
            generations: RwLock::new(Generations {
                young: HashMap::default(),
                old: HashMap::default(),
            }),
            capacity: capacity.div_ceil(2),
        }
    }

    /// The entry of `key`, made by `make` if there is none.
    pub(crate) fn get_or_make<Q>(&self, key: &Q, make: impl FnOnce() -> (K, V)) -> V
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if self.capacity == 0 {
            return make().1;
        }
        {
            let generations = self
                .generations
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(value) = generations.young.get(key) {
                return value.clone();
            }
        }
        let mut generations = self
            .generations
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let (key, value) = generations.old.remove_entry(key).unwrap_or_else(make);
        if generations.young.len() >= self.capacity {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(key, value.clone());
        value
    }
}
