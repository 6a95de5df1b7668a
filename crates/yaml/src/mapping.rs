//! The entries of a mapping: merge keys, repeated keys.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use num_bigint::BigInt;
use num_traits::FromPrimitive;

use crate::compose::{Built, Special};
use crate::diagnostic::Diagnostic;
use crate::node::{Entry, Kind, Mapping, Node};
use crate::span::Position;

/// A key and its value as written.
pub(crate) struct Pair {
    pub(crate) key: Built,
    pub(crate) value: Built,
}

/// A finished mapping.
pub(crate) struct BuiltMapping {
    pub(crate) mapping: Mapping,
    /// Entries that came in by merging.
    pub(crate) merged_weight: usize,
    /// Repeated keys as warnings, wrong merges as errors; `path` holds the key alone.
    pub(crate) findings: Vec<Diagnostic>,
}

/// Makes a mapping of `pairs`: merged entries first, then own ones; of equal keys the last value
/// wins at the first one's place. Stops merging after about `budget` entries, which the caller
/// sees by the weight.
pub(crate) fn build(pairs: Vec<Pair>, budget: usize) -> BuiltMapping {
    let mut collector = Collector {
        entries: Vec::with_capacity(pairs.len()),
        seen: HashMap::with_capacity(pairs.len()),
        own: HashMap::new(),
        findings: Vec::new(),
    };
    let mut merged_weight = 0_usize;
    for pair in pairs
        .iter()
        .filter(|pair| pair.key.special == Special::Merge)
    {
        for source in collector.merge_sources(&pair.value.node) {
            for entry in source.iter() {
                merged_weight += 1;
                if merged_weight > budget {
                    break;
                }
                let identity = Identity::of(&entry.key);
                collector.put(identity, entry.key.clone(), entry.value.clone(), true);
            }
        }
    }
    for pair in pairs {
        if pair.key.special != Special::Merge {
            collector.own(pair);
        }
    }
    BuiltMapping {
        mapping: Mapping::new(collector.entries),
        merged_weight,
        findings: collector.findings,
    }
}

struct Collector {
    entries: Vec<Entry>,
    seen: HashMap<Identity, usize>,
    /// Own keys to where they were first written.
    own: HashMap<Identity, Position>,
    findings: Vec<Diagnostic>,
}

impl Collector {
    fn put(&mut self, identity: Option<Identity>, key: Node, value: Node, merged: bool) {
        let Some(identity) = identity else {
            self.entries.push(Entry { key, value, merged });
            return;
        };
        match self.seen.entry(identity) {
            Slot::Occupied(slot) => {
                let entry = &mut self.entries[*slot.get()];
                entry.value = value;
                // A text key takes the position of the one that won; of `1` and `true`, which are
                // equal too, the first stays, as in Python.
                if std::mem::discriminant(&entry.key.kind) == std::mem::discriminant(&key.kind) {
                    entry.key = key;
                }
                entry.merged = merged;
            }
            Slot::Vacant(slot) => {
                slot.insert(self.entries.len());
                self.entries.push(Entry { key, value, merged });
            }
        }
    }

    fn own(&mut self, pair: Pair) {
        let identity = Identity::of(&pair.key.node);
        if let Some(identity) = &identity {
            let position = pair.key.node.position();
            match self.own.entry(identity.clone()) {
                Slot::Occupied(mut first) => {
                    let key = pair.key.node.key_text();
                    let message = format!(
                        "the key `{key}` is set twice; the value in line {} is lost",
                        first.get().line
                    );
                    let diagnostic = Diagnostic::warning(position, message)
                        .with_help("remove one of the two")
                        .with_path(&*key);
                    self.findings.push(diagnostic);
                    first.insert(position);
                }
                Slot::Vacant(slot) => {
                    slot.insert(position);
                }
            }
        }
        self.put(identity, pair.key.node, pair.value.node, false);
    }

    /// The mappings that a merge key names, the one that loses first.
    fn merge_sources<'n>(&mut self, value: &'n Node) -> Vec<&'n Mapping> {
        let nodes: Vec<&Node> = match &value.kind {
            Kind::Sequence(items) => items.iter().rev().collect(),
            _ => vec![value],
        };
        let mut sources = Vec::with_capacity(nodes.len());
        for node in nodes {
            match &node.kind {
                Kind::Mapping(mapping) | Kind::Set(mapping) => sources.push(mapping.as_ref()),
                _ => self.findings.push(
                    Diagnostic::error(
                        node.position(),
                        format!("`<<` merges mappings, but this is a {}", node.kind_name()),
                    )
                    .with_help("merge a mapping or a list of mappings; put the key in quotes if it is meant as it stands"),
                ),
            }
        }
        sources
    }
}

/// What makes two keys equal in Python: `1`, `1.0` and `true` are, `1` and `"1"` are not.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Identity {
    Null,
    Integer(i64),
    BigInt(BigInt),
    Float(u64),
    Text(squall_value::Str),
    Bytes(std::sync::Arc<[u8]>),
    Date(crate::timestamp::Date),
    LocalTime(jiff::civil::DateTime),
    /// Local time, less its offset: the moment in nanoseconds.
    Moment(i128),
}

impl Identity {
    /// `None` for what equals nothing, itself included: NaN, and the collections that were refused
    /// as keys.
    fn of(key: &Node) -> Option<Identity> {
        Some(match &key.kind {
            Kind::Null => Identity::Null,
            Kind::Bool(truth) => Identity::Integer(i64::from(*truth)),
            Kind::Int(number) => Identity::Integer(*number),
            Kind::BigInt(number) => Identity::BigInt((**number).clone()),
            Kind::Float(number) if number.is_nan() => return None,
            Kind::Float(number) if number.fract() == 0.0 => {
                let number = BigInt::from_f64(*number)?;
                match i64::try_from(&number) {
                    Ok(small) => Identity::Integer(small),
                    Err(_) => Identity::BigInt(number),
                }
            }
            Kind::Float(number) => Identity::Float(number.to_bits()),
            Kind::String(text) => Identity::Text(text.clone()),
            Kind::Binary(bytes) => Identity::Bytes(bytes.clone()),
            Kind::Date(date) => Identity::Date(*date),
            Kind::DateTime(time) => match time.offset_minutes {
                None => Identity::LocalTime(time.local),
                Some(offset) => {
                    let zero = jiff::tz::Offset::UTC.to_timestamp(time.local).ok()?;
                    Identity::Moment(zero.as_nanosecond() - i128::from(offset) * 60_000_000_000)
                }
            },
            Kind::Sequence(_) | Kind::Mapping(_) | Kind::Set(_) => return None,
        })
    }
}
