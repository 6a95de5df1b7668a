//! The variables of a workflow run, as versions that share what they have in common.
//!
//! A version is made from another by setting some names; it keeps a pointer to where it came from.
//! That makes publishing cheap however many variables there are, and lets a join take from a branch
//! only what the branch itself has changed: what it merely inherited must not undo what another
//! branch has published since.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use squall_value::{Dict, Str, Value};

/// The number of a version.
pub(crate) type VersionId = u64;

/// Variables by name, each with its place in the order in which the names first appeared.
pub(crate) type Values = imbl::HashMap<Str, (usize, Value)>;

/// One version of the variables.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) parent: Option<VersionId>,
    /// How many versions lead here.
    depth: u64,
    /// The change that made it. Where a join repeats a change of a branch, it keeps its number, so
    /// that a later join knows it as already made.
    pub(crate) change: u64,
    /// The names that were set.
    pub(crate) set: Arc<Dict>,
    values: Values,
    /// Entries that point here.
    holders: usize,
    /// Versions made from this one: how many, and the sum of their numbers, which is the number of
    /// the child where there is but one.
    children: usize,
    children_sum: u64,
}

/// All versions that are still needed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contexts {
    versions: HashMap<VersionId, Version>,
    /// How many versions repeat each change, where it is more than one.
    repeats: HashMap<u64, usize>,
    next: VersionId,
    /// Rises when versions are folded together, which outdates every [`Known`].
    folds: u64,
    /// Setting a name replaces it even if both values are dictionaries.
    replaces: bool,
}

/// What a join has already taken, kept while further branches arrive.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    folds: u64,
    versions: HashSet<VersionId>,
    changes: HashSet<u64>,
    /// How far down towards the root the versions above were collected.
    cursor: Option<VersionId>,
}

impl Contexts {
    /// From now on setting a name replaces it, as in action chains.
    pub(crate) fn replace_values(&mut self) {
        self.replaces = true;
    }

    pub(crate) fn next_id(&self) -> VersionId {
        self.next
    }

    /// Counts on from `next`.
    pub(crate) fn count_from(&mut self, next: VersionId) {
        self.next = self.next.max(next);
    }

    pub(crate) fn get(&self, id: VersionId) -> Option<&Version> {
        self.versions.get(&id)
    }

    /// All versions, oldest first.
    pub(crate) fn sorted(&self) -> Vec<(VersionId, &Version)> {
        let mut all: Vec<_> = self
            .versions
            .iter()
            .map(|(id, version)| (*id, version))
            .collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }

    /// Adds version `id`: `parent` with the names in `set` set.
    pub(crate) fn add(
        &mut self,
        id: VersionId,
        parent: Option<VersionId>,
        change: u64,
        set: Arc<Dict>,
    ) {
        let (depth, mut values) = match parent.and_then(|parent| self.versions.get_mut(&parent)) {
            None => (0, Values::default()),
            Some(parent) => {
                parent.children += 1;
                parent.children_sum = parent.children_sum.wrapping_add(id);
                (parent.depth + 1, parent.values.clone())
            }
        };
        if self.replaces {
            for (name, value) in set.iter() {
                assign(&mut values, name, value.clone());
            }
        } else {
            overlay(&mut values, &set);
        }
        if change != id {
            *self.repeats.entry(change).or_insert(1) += 1;
        }
        let version = Version {
            parent,
            depth,
            change,
            set,
            values,
            holders: 0,
            children: 0,
            children_sum: 0,
        };
        self.versions.insert(id, version);
        self.next = self.next.max(id + 1);
    }

    /// Someone points to `id` from now on.
    pub(crate) fn hold(&mut self, id: VersionId) {
        if let Some(version) = self.versions.get_mut(&id) {
            version.holders += 1;
        }
    }

    /// Someone no longer points to `id`. What nobody needs is dropped; what only a successor needs
    /// is folded into it, so that an endless loop keeps a bounded history.
    pub(crate) fn release(&mut self, id: VersionId) {
        let Some(version) = self.versions.get_mut(&id) else {
            return;
        };
        version.holders = version.holders.saturating_sub(1);
        let mut id = id;
        while let Some(version) = self.versions.get(&id) {
            match (version.holders, version.children) {
                (0, 0) => {}
                (0, 1) => {
                    self.fold_parent(version.children_sum);
                    return;
                }
                _ => return,
            }
            let version = self.versions.remove(&id).expect("it was looked at above");
            self.forget_repeat(version.change);
            let Some(parent) = version.parent else {
                return;
            };
            if let Some(parent) = self.versions.get_mut(&parent) {
                parent.children -= 1;
                parent.children_sum = parent.children_sum.wrapping_sub(id);
            }
            id = parent;
        }
    }

    fn forget_repeat(&mut self, change: u64) {
        if let Some(count) = self.repeats.get_mut(&change) {
            *count -= 1;
            if *count <= 1 {
                self.repeats.remove(&change);
            }
        }
    }

    /// Folds the version behind `id` into it, if only `id` needs it.
    fn fold_parent(&mut self, id: VersionId) {
        let Some(parent_id) = self.versions.get(&id).and_then(|version| version.parent) else {
            return;
        };
        let version = &self.versions[&id];
        let parent = &self.versions[&parent_id];
        let is_repeated =
            self.repeats.contains_key(&parent.change) || self.repeats.contains_key(&version.change);
        let can_fold = parent.holders == 0
            && parent.children == 1
            && parent.parent.is_some()
            && !is_repeated
            && version.set.iter().all(|(name, value)| {
                self.replaces
                    || parent
                        .set
                        .get(name)
                        .is_none_or(|below| folds_exactly(below, value))
            });
        if !can_fold {
            return;
        }
        let parent = self
            .versions
            .remove(&parent_id)
            .expect("it was looked at above");
        let version = self.versions.get_mut(&id).expect("it was looked at above");
        let mut set = parent.set;
        let upper = std::mem::take(&mut version.set);
        fold(Arc::make_mut(&mut set), &upper, self.replaces);
        version.set = set;
        version.parent = parent.parent;
        if let Some(grandparent) = parent.parent.and_then(|id| self.versions.get_mut(&id)) {
            let sum = grandparent.children_sum.wrapping_sub(parent_id);
            grandparent.children_sum = sum.wrapping_add(id);
        }
        self.folds += 1;
    }

    /// What was set on the way from the initial variables to a version, oldest first.
    pub(crate) fn changes(&self, id: VersionId) -> Vec<&Dict> {
        let mut changes: Vec<&Dict> = Vec::new();
        let mut at = self.versions.get(&id);
        while let Some((version, parent)) = at.and_then(|at| Some((at, at.parent?))) {
            changes.push(&version.set);
            at = self.versions.get(&parent);
        }
        changes.reverse();
        changes
    }

    /// The same, put together where the result is the same: mostly one set.
    pub(crate) fn set_on_the_way(&self, id: VersionId) -> Vec<Dict> {
        let mut sets: Vec<Dict> = Vec::new();
        for change in self.changes(id) {
            let fits = |set: &&mut Dict| {
                change.iter().all(|(name, value)| {
                    set.get(name)
                        .is_none_or(|below| self.replaces || folds_exactly(below, value))
                })
            };
            match sets.last_mut().filter(fits) {
                Some(set) => fold(set, change, self.replaces),
                None => sets.push(change.clone()),
            }
        }
        sets
    }

    /// The values of a version; sharing them costs nothing.
    pub(crate) fn values(&self, id: VersionId) -> Values {
        self.versions
            .get(&id)
            .map(|version| version.values.clone())
            .unwrap_or_default()
    }

    /// The versions of branch `from` whose changes are not in `into`, oldest first.
    ///
    /// `known` remembers what was found out about `into`, so that a join of many branches costs in
    /// total what the branches are long.
    pub(crate) fn missing(
        &self,
        into: VersionId,
        from: VersionId,
        known: &mut Option<Known>,
    ) -> Vec<VersionId> {
        let mut state = match known.take() {
            Some(state) if state.folds == self.folds => state,
            _ => Known {
                folds: self.folds,
                versions: HashSet::new(),
                changes: HashSet::new(),
                cursor: Some(into),
            },
        };
        let mut missing = Vec::new();
        let mut at = Some(from);
        while let Some((id, version)) = at.and_then(|id| Some((id, self.versions.get(&id)?))) {
            while let Some((seen, below)) = state
                .cursor
                .and_then(|id| Some((id, self.versions.get(&id)?)))
            {
                if below.depth < version.depth {
                    break;
                }
                state.versions.insert(seen);
                state.changes.insert(below.change);
                state.cursor = below.parent;
            }
            if state.versions.contains(&id) {
                break;
            }
            if version.parent.is_some() && !state.changes.contains(&version.change) {
                missing.push(id);
            }
            at = version.parent;
        }
        missing.reverse();
        *known = Some(state);
        missing
    }
}

impl Known {
    /// `into` has got this version's change on top.
    pub(crate) fn extend(&mut self, id: VersionId, change: u64) {
        self.versions.insert(id);
        self.changes.insert(change);
    }
}

/// Sets one name, whatever it was.
pub(crate) fn assign(values: &mut Values, name: &Str, value: Value) {
    let place = values.get(name).map_or(values.len(), |(place, _)| *place);
    values.insert(name.clone(), (place, value));
}

/// Sets the names of `set`: dictionaries are merged key by key, everything else is replaced.
pub(crate) fn overlay(values: &mut Values, set: &Dict) {
    for (name, value) in set.iter() {
        let next = values.len();
        match values.get_mut(name) {
            Some((_, below)) => *below = merge(below, value),
            None => {
                values.insert(name.clone(), (next, value.clone()));
            }
        }
    }
}

/// All visible variables as one dictionary, in the order in which they first appeared.
pub(crate) fn visible(values: &Values) -> Dict {
    let mut all: Vec<_> = values
        .iter()
        .filter(|(name, _)| !name.starts_with("__"))
        .collect();
    all.sort_by_key(|(_, (place, _))| *place);
    all.into_iter()
        .map(|(name, (_, value))| (name.clone(), value.clone()))
        .collect()
}

/// `above` laid over `below`.
pub(crate) fn merge(below: &Value, above: &Value) -> Value {
    match (below, above) {
        (Value::Dict(lower), Value::Dict(upper)) => {
            if Arc::ptr_eq(lower, upper) || upper.is_empty() {
                return below.clone();
            }
            let mut merged = (**lower).clone();
            for (key, value) in upper.iter() {
                let value = match merged.get(key) {
                    Some(known) => merge(known, value),
                    None => value.clone(),
                };
                merged.insert(key.clone(), value);
            }
            Value::from(merged)
        }
        _ => above.clone(),
    }
}

/// Sets the names of `upper` in `lower`: `replaces` them even where both values are dictionaries.
fn fold(lower: &mut Dict, upper: &Dict, replaces: bool) {
    for (name, value) in upper.iter() {
        let merged = match lower.get(name) {
            Some(below) if !replaces => merge(below, value),
            _ => value.clone(),
        };
        lower.insert(name.clone(), merged);
    }
}

/// Whether laying `above` over `below` first and the result over anything else is the same as
/// laying one after the other. It is not where a dictionary follows something else: alone it
/// replaces, folded it would merge with what lies deeper.
fn folds_exactly(below: &Value, above: &Value) -> bool {
    match (below, above) {
        (Value::Dict(lower), Value::Dict(upper)) => upper.iter().all(|(key, value)| {
            lower
                .get(key)
                .is_none_or(|known| folds_exactly(known, value))
        }),
        (_, Value::Dict(_)) => false,
        _ => true,
    }
}
