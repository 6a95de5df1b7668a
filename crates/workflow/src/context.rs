//! The variables of a workflow run, as versions that share what they have in common.
//!
//! A version is made from another by setting some names; it keeps a pointer to where it came from.
//! That makes publishing cheap however many variables there are, and lets a join take from a branch
//! only what the branch itself has changed: what it merely inherited must not undo what another
//! branch has published since.
//!
//! All variables of a version are put together only while a task under way sees them. Of the others
//! only what they set is kept, from which they can be put together again: a rerun may ask for them.

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
    /// All variables, where they are put together.
    values: Option<Values>,
    /// Tasks under way that see it.
    users: usize,
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
    /// What a task saw that has just ended: its transitions will look at it once more.
    resting: Option<VersionId>,
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
        let depth = match parent.and_then(|parent| self.versions.get_mut(&parent)) {
            None => 0,
            Some(parent) => {
                parent.children += 1;
                parent.children_sum = parent.children_sum.wrapping_add(id);
                parent.depth + 1
            }
        };
        if change != id {
            *self.repeats.entry(change).or_insert(1) += 1;
        }
        let version = Version {
            parent,
            depth,
            change,
            set,
            values: None,
            users: 0,
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

    /// A task that sees `id` is under way.
    pub(crate) fn begin_use(&mut self, id: VersionId) {
        let Some(version) = self.versions.get_mut(&id) else {
            return;
        };
        version.users += 1;
        if version.values.is_none() {
            let values = self.put_together(id);
            if let Some(version) = self.versions.get_mut(&id) {
                version.values = Some(values);
            }
        }
    }

    /// A task that sees `id` is no longer under way.
    pub(crate) fn end_use(&mut self, id: VersionId) {
        if self.leave(id)
            && let Some(before) = self.resting.replace(id).filter(|before| *before != id)
        {
            self.take_apart(before);
        }
    }

    /// A task that sees `from` sees `to` from now on, which was made from it.
    pub(crate) fn move_use(&mut self, from: VersionId, to: VersionId) {
        if from != to {
            self.leave(from);
            self.begin_use(to);
            if self.resting != Some(from) {
                self.take_apart(from);
            }
        }
    }

    /// One user less. Whether none is left.
    fn leave(&mut self, id: VersionId) -> bool {
        self.versions.get_mut(&id).is_some_and(|version| {
            version.users = version.users.saturating_sub(1);
            version.users == 0
        })
    }

    fn take_apart(&mut self, id: VersionId) {
        if let Some(version) = self.versions.get_mut(&id).filter(|found| found.users == 0) {
            version.values = None;
        }
    }

    /// The values of a version. Sharing them costs nothing while a task that sees them is under way;
    /// else they are put together from what was set since the nearest version that has them.
    pub(crate) fn values(&self, id: VersionId) -> Values {
        let (base, sets) = self.way_to(id);
        let base = base.and_then(|base| self.versions[&base].values.clone());
        self.lay(base.unwrap_or_default(), &sets)
    }

    /// The same, for keeping. The map of a version that nobody sees any more is taken, not shared:
    /// then nothing of it has to be copied.
    fn put_together(&mut self, id: VersionId) -> Values {
        let (base, sets) = self.way_to(id);
        let sets: Vec<Arc<Dict>> = sets.into_iter().cloned().collect();
        let resting = self.resting;
        let base = base.and_then(|base| Some((base, self.versions.get_mut(&base)?)));
        let base = base.and_then(|(id, base)| match base.users {
            0 if resting != Some(id) => base.values.take(),
            _ => base.values.clone(),
        });
        self.lay(base.unwrap_or_default(), &sets)
    }

    /// The nearest version towards the root that is put together, and what was set since, newest
    /// first.
    fn way_to(&self, id: VersionId) -> (Option<VersionId>, Vec<&Arc<Dict>>) {
        let mut sets = Vec::new();
        let mut at = Some(id);
        while let Some((id, version)) = at.and_then(|id| Some((id, self.versions.get(&id)?))) {
            if version.values.is_some() {
                return (Some(id), sets);
            }
            sets.push(&version.set);
            at = version.parent;
        }
        (None, sets)
    }

    /// Lays what was set, newest first, over `values`.
    fn lay(&self, mut values: Values, sets: &[impl AsRef<Dict>]) -> Values {
        for set in sets.iter().rev().map(AsRef::as_ref) {
            if !self.replaces {
                overlay(&mut values, set);
                continue;
            }
            for (name, value) in set.iter() {
                assign(&mut values, name, value.clone());
            }
        }
        values
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a version's variables are, put together from the root without any help.
    fn plain(contexts: &Contexts, id: VersionId) -> Dict {
        let mut sets = Vec::new();
        let mut at = contexts.get(id);
        while let Some(version) = at {
            sets.push(version.set.clone());
            at = version.parent.and_then(|parent| contexts.get(parent));
        }
        visible(&contexts.lay(Values::default(), &sets))
    }

    /// Versions made and used in a random order, from one seed.
    fn grown(seed: u64, replaces: bool) -> Contexts {
        let mut state = seed;
        let mut random = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        let mut contexts = Contexts::default();
        if replaces {
            contexts.replace_values();
        }
        let mut used = Vec::new();
        for id in 0..60 {
            let parent = (id > 0).then(|| id - 1 - random(id.min(5)));
            let name = format!("v{}", random(9));
            let inner: Dict = [(Str::from(format!("k{}", random(3))), Value::from(id))]
                .into_iter()
                .collect();
            let value = match random(2) {
                0 => Value::from(inner),
                _ => Value::from(id),
            };
            let set: Dict = [(Str::from(name), value)].into_iter().collect();
            contexts.add(id, parent, id, Arc::new(set));
            contexts.hold(id);
            contexts.begin_use(id);
            used.push(id);
            while used.len() > 3 {
                let at = usize::try_from(random(4)).unwrap();
                contexts.end_use(used.swap_remove(at));
            }
            if let Some(place) = used.iter().position(|used| Some(*used) == parent) {
                contexts.move_use(used[place], id);
                used[place] = id;
            }
            for known in 0..=id {
                let seen = visible(&contexts.values(known));
                assert_eq!(
                    Value::from(seen).to_json(),
                    Value::from(plain(&contexts, known)).to_json(),
                    "seed {seed}, version {known} after {id}"
                );
            }
        }
        contexts
    }

    #[test]
    fn a_version_is_the_same_whoever_uses_it() {
        for seed in 0..6 {
            for replaces in [false, true] {
                let contexts = grown(seed, replaces);
                let kept = contexts.versions.values();
                let kept = kept.filter(|version| version.values.is_some()).count();
                assert!(
                    kept <= 4,
                    "seed {seed}: {kept} are put together, 3 are used"
                );
            }
        }
    }
}
