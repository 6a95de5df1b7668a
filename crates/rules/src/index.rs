//! From an event to the rules that it concerns, without trying them all.
//!
//! Rules are kept by trigger. Among the rules of one trigger, those that ask for the equality of a
//! payload's member with a constant are found by that constant: each such rule is filed under one
//! of its equalities, the one whose path tells most rules apart. Everything else is tried. The
//! result is that of trying all rules, failures included: a rule is only passed over if the criteria
//! before its equality can't fail. Some can't fail at all; of others that is told by the kind of the
//! value that the payload has for them (a number is compared with a number). Such guards are looked
//! at once for all rules that have the same.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use indexmap::IndexSet;
use squall_value::{Str, Value};

use crate::criterion::Guard;
use crate::definition::RuleKind;
use crate::path::Path;
use crate::rule::{CompiledRule, Equality, Outcome, Surroundings};

/// A rule in the index.
#[derive(Clone, Debug)]
struct Entry {
    /// Its number in the order in which rules were added.
    number: u64,
    kind: RuleKind,
    rule: Arc<CompiledRule>,
    /// Where it is filed; `None` if it is always tried.
    filed: Option<Place>,
}

/// Where a rule is filed.
#[derive(Clone, Debug)]
struct Place {
    path: Path,
    key: Key,
    /// Where one of these does not hold, it is tried nevertheless.
    guards: Vec<Guard>,
}

/// A constant that Python's equality and hash can tell apart: `1`, `1.0` and `true` are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Text(Str),
    Integer(i64),
    /// The bits of a float that is no integer of 64 bits.
    Float(u64),
}

impl Key {
    /// The key of a scalar; `None` for what is never filed.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    fn of(value: &Value) -> Option<Key> {
        match value {
            Value::String(text) => Some(Key::Text(text.clone())),
            Value::Bool(truth) => Some(Key::Integer(i64::from(*truth))),
            Value::Int(number) => Some(Key::Integer(*number)),
            Value::Float(number) if number.is_nan() => None,
            Value::Float(number) => {
                let is_integer = number.fract() == 0.0 && number.abs() < 9.0e15;
                Some(if is_integer {
                    Key::Integer(*number as i64)
                } else {
                    Key::Float(number.to_bits())
                })
            }
            Value::Null | Value::BigInt(_) | Value::List(_) | Value::Dict(_) => None,
        }
    }

    /// Whether a constant may be filed: it equals just the values that have its key.
    #[allow(clippy::cast_precision_loss)]
    fn is_exact(value: &Value) -> bool {
        match value {
            Value::String(_) | Value::Bool(_) => true,
            // Beyond, a float and an integer may be equal and have different keys.
            Value::Int(number) => number.unsigned_abs() < 9_000_000_000_000_000,
            Value::Float(number) => number.is_finite() && number.abs() < 9.0e15,
            Value::Null | Value::BigInt(_) | Value::List(_) | Value::Dict(_) => false,
        }
    }
}

/// The rules of one trigger.
#[derive(Clone, Debug)]
struct Bucket<R> {
    entries: HashMap<R, Entry>,
    /// The number of the next rule.
    next: u64,
    /// By path, by constant: the rules to try.
    filed: HashMap<Path, HashMap<Key, IndexSet<R>>>,
    tried: IndexSet<R>,
    /// By guards: the filed rules that are tried where one does not hold.
    guarded: HashMap<Vec<Guard>, IndexSet<R>>,
    /// How many rules there were when all were filed last.
    filed_at: usize,
}

impl<R: Hash + Eq + Clone> Default for Bucket<R> {
    fn default() -> Self {
        Bucket {
            entries: HashMap::new(),
            next: 0,
            filed: HashMap::new(),
            tried: IndexSet::new(),
            guarded: HashMap::new(),
            filed_at: 0,
        }
    }
}

/// A rule that an event concerns, or that could not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched<R> {
    /// The rule.
    pub rule: R,
    /// Whether it matches, and what failed on the way.
    pub outcome: Outcome,
}

/// All enabled rules, by trigger. `T` identifies triggers, `R` rules. Clones share what is not
/// changed: take one, patch it, and put it in the place of the old.
#[derive(Clone, Debug)]
pub struct RuleIndex<T, R> {
    buckets: HashMap<T, Arc<Bucket<R>>>,
    triggers: HashMap<R, T>,
}

impl<T, R> Default for RuleIndex<T, R> {
    fn default() -> Self {
        RuleIndex {
            buckets: HashMap::new(),
            triggers: HashMap::new(),
        }
    }
}

impl<T: Hash + Eq + Clone, R: Hash + Eq + Clone> RuleIndex<T, R> {
    /// An empty index.
    #[must_use]
    pub fn new() -> RuleIndex<T, R> {
        RuleIndex::default()
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.triggers.len()
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.triggers.is_empty()
    }

    /// Whether any rule listens to `trigger`.
    #[must_use]
    pub fn listens(&self, trigger: &T) -> bool {
        self.buckets.contains_key(trigger)
    }

    /// Adds a rule, or replaces the one with the same id. Only add enabled rules: disabling one is
    /// [`RuleIndex::remove`].
    pub fn insert(&mut self, trigger: T, id: R, kind: RuleKind, rule: Arc<CompiledRule>) {
        self.remove(&id);
        self.triggers.insert(id.clone(), trigger.clone());
        let bucket = Arc::make_mut(self.buckets.entry(trigger).or_default());
        bucket.insert(id, kind, rule);
    }

    /// Takes a rule out. Returns whether there was one.
    pub fn remove(&mut self, id: &R) -> bool {
        let Some(trigger) = self.triggers.remove(id) else {
            return false;
        };
        if let Some(bucket) = self.buckets.get_mut(&trigger) {
            let bucket = Arc::make_mut(bucket);
            bucket.remove(id);
            if bucket.entries.is_empty() {
                self.buckets.remove(&trigger);
            }
        }
        true
    }

    /// The rules that match an event, and those that failed to decide, in the order in which they
    /// were added. Backstop rules are only tried if no other rule matches.
    #[must_use]
    pub fn matches(
        &self,
        trigger: &T,
        payload: &Value,
        surroundings: &Surroundings<'_>,
    ) -> Vec<Matched<R>> {
        match self.buckets.get(trigger) {
            Some(bucket) => bucket.run(bucket.candidates(payload), payload, surroundings),
            None => Vec::new(),
        }
    }

    /// What [`RuleIndex::matches`] gives, found by trying every rule. For tests and measurements.
    #[must_use]
    pub fn matches_by_scan(
        &self,
        trigger: &T,
        payload: &Value,
        surroundings: &Surroundings<'_>,
    ) -> Vec<Matched<R>> {
        match self.buckets.get(trigger) {
            Some(bucket) => bucket.run(
                bucket.in_order(bucket.entries.keys()),
                payload,
                surroundings,
            ),
            None => Vec::new(),
        }
    }
}

impl<R: Hash + Eq + Clone> Bucket<R> {
    fn insert(&mut self, id: R, kind: RuleKind, rule: Arc<CompiledRule>) {
        let entry = Entry {
            number: self.next,
            kind,
            rule,
            filed: None,
        };
        self.next += 1;
        self.entries.insert(id.clone(), entry);
        self.file(&id);
        // Which path tells most rules apart changes as rules come: look again now and then.
        if self.entries.len() >= 16 && self.entries.len() >= 2 * self.filed_at {
            self.file_all();
        }
    }

    fn remove(&mut self, id: &R) {
        let Some(entry) = self.entries.remove(id) else {
            return;
        };
        let Some(Place { path, key, guards }) = entry.filed else {
            self.tried.swap_remove(id);
            return;
        };
        if let Some(by_key) = self.filed.get_mut(&path) {
            take_out(by_key, &key, id);
            if by_key.is_empty() {
                self.filed.remove(&path);
            }
        }
        take_out(&mut self.guarded, &guards, id);
    }

    fn file_all(&mut self) {
        let mut values: HashMap<&Path, IndexSet<Key>> = HashMap::new();
        for entry in self.entries.values() {
            for (equality, key) in equalities(&entry.rule) {
                values.entry(equality.path).or_default().insert(key);
            }
        }
        let counts: HashMap<Path, usize> = values
            .into_iter()
            .map(|(path, keys)| (path.clone(), keys.len()))
            .collect();
        self.filed.clear();
        self.tried.clear();
        self.guarded.clear();
        self.filed_at = self.entries.len();
        let ids = self.in_order(self.entries.keys()).into_iter();
        let ids: Vec<R> = ids.map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.file_by(&id, |path| counts.get(path).copied().unwrap_or(0));
        }
    }

    fn file(&mut self, id: &R) {
        let counts: HashMap<Path, usize> = self
            .entries
            .get(id)
            .into_iter()
            .flat_map(|entry| equalities(&entry.rule))
            .map(|(equality, _)| {
                let path = equality.path.clone();
                let constants = self.filed.get(&path).map_or(0, HashMap::len);
                (path, constants)
            })
            .collect();
        self.file_by(id, |path| counts.get(path).copied().unwrap_or(0));
    }

    /// Files a rule under the path that `distinct` says has most constants.
    fn file_by(&mut self, id: &R, distinct: impl Fn(&Path) -> usize) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        let best = equalities(&entry.rule)
            .enumerate()
            // Of equals, the first: `max_by_key` would take the last.
            .max_by_key(|(position, (equality, _))| {
                (distinct(equality.path), usize::MAX - position)
            })
            .map(|(_, (equality, key))| Place {
                path: equality.path.clone(),
                key,
                guards: equality.guards,
            });
        entry.filed.clone_from(&best);
        let Some(Place { path, key, guards }) = best else {
            self.tried.insert(id.clone());
            return;
        };
        let by_key = self.filed.entry(path).or_default();
        by_key.entry(key).or_default().insert(id.clone());
        if !guards.is_empty() {
            self.guarded.entry(guards).or_default().insert(id.clone());
        }
    }

    /// Rules in the order in which they were added, each once.
    fn in_order<'a>(&'a self, ids: impl Iterator<Item = &'a R>) -> Vec<(&'a R, &'a Entry)> {
        let mut found: Vec<_> = ids
            .filter_map(|id| self.entries.get_key_value(id))
            .collect();
        found.sort_unstable_by_key(|(_, entry)| entry.number);
        found.dedup_by_key(|(_, entry)| entry.number);
        found
    }

    /// The rules to try, in order.
    fn candidates(&self, payload: &Value) -> Vec<(&R, &Entry)> {
        let filed = self.filed.iter().filter_map(|(path, by_key)| {
            let value = path.lookup(crate::criterion::TRIGGER, payload).ok()?;
            by_key.get(&Key::of(&value)?)
        });
        let unguarded = self.guarded.iter().filter_map(|(guards, rules)| {
            let holds = guards.iter().all(|guard| guard.holds(payload));
            (!holds).then_some(rules)
        });
        let tried = self.tried.iter().chain(filed.flatten());
        self.in_order(tried.chain(unguarded.flatten()))
    }

    fn run(
        &self,
        rules: Vec<(&R, &Entry)>,
        payload: &Value,
        surroundings: &Surroundings<'_>,
    ) -> Vec<Matched<R>> {
        let mut matched = Vec::new();
        for kind in [RuleKind::Standard, RuleKind::Backstop] {
            let is_taken = matched
                .iter()
                .any(|matched: &Matched<R>| matched.outcome.is_match);
            if kind == RuleKind::Backstop && is_taken {
                break;
            }
            for (id, entry) in rules.iter().filter(|(_, entry)| entry.kind == kind) {
                let outcome = entry.rule.matches(payload, surroundings);
                if outcome.is_match || !outcome.failures.is_empty() {
                    matched.push(Matched {
                        rule: R::clone(id),
                        outcome,
                    });
                }
            }
        }
        matched
    }
}

/// Takes a rule out of its set, and an empty set out of the map.
fn take_out<K: Hash + Eq, R: Hash + Eq>(sets: &mut HashMap<K, IndexSet<R>>, key: &K, id: &R) {
    if let Some(rules) = sets.get_mut(key) {
        rules.swap_remove(id);
        if rules.is_empty() {
            sets.remove(key);
        }
    }
}

/// The equalities of a rule that have a key.
fn equalities(rule: &CompiledRule) -> impl Iterator<Item = (Equality<'_>, Key)> {
    let found = rule.equalities().into_iter();
    found
        .filter(|equality| Key::is_exact(equality.value))
        .filter_map(|equality| Key::of(equality.value).map(|key| (equality, key)))
}
