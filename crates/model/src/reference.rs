//! References such as `core.local`: a pack and a name in it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

/// A reference to an action.
pub type ActionRef = Ref<ActionKind>;
/// A reference to a rule.
pub type RuleRef = Ref<RuleKind>;
/// A reference to a trigger type, or to one trigger made of it.
pub type TriggerRef = Ref<TriggerKind>;
/// A reference to a sensor.
pub type SensorRef = Ref<SensorKind>;

/// Marks references to actions.
pub enum ActionKind {}
/// Marks references to rules.
pub enum RuleKind {}
/// Marks references to triggers.
pub enum TriggerKind {}
/// Marks references to sensors.
pub enum SensorKind {}

/// `pack.name`, as written in rules and workflows. Neither part is empty. The first dot separates
/// them, so names may contain dots and packs may not.
pub struct Ref<K> {
    text: Arc<str>,
    dot: usize,
    kind: PhantomData<fn() -> K>,
}

impl<K> Ref<K> {
    /// The reference written as `text`.
    ///
    /// # Errors
    ///
    /// [`ParseRefError`] when there is no dot or a part is empty.
    pub fn parse(text: &str) -> Result<Ref<K>, ParseRefError> {
        match text.find('.') {
            Some(dot) if dot > 0 && dot + 1 < text.len() => Ok(Ref {
                text: Arc::from(text),
                dot,
                kind: PhantomData,
            }),
            _ => Err(ParseRefError(text.chars().take(200).collect())),
        }
    }

    /// The reference to `name` in `pack`.
    ///
    /// # Errors
    ///
    /// [`ParseRefError`] when a part is empty or the pack contains a dot.
    pub fn new(pack: &str, name: &str) -> Result<Ref<K>, ParseRefError> {
        let text = format!("{pack}.{name}");
        if pack.contains('.') {
            Err(ParseRefError(text))
        } else {
            Ref::parse(&text)
        }
    }

    /// What stands before the first dot.
    #[must_use]
    pub fn pack(&self) -> &str {
        &self.text[..self.dot]
    }

    /// What stands after the first dot.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text[self.dot + 1..]
    }

    /// Both parts, with the dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The shared text.
    #[must_use]
    pub fn text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }
}

impl<K> Clone for Ref<K> {
    fn clone(&self) -> Ref<K> {
        Ref {
            text: Arc::clone(&self.text),
            dot: self.dot,
            kind: PhantomData,
        }
    }
}

impl<K> PartialEq for Ref<K> {
    fn eq(&self, other: &Ref<K>) -> bool {
        self.text == other.text
    }
}

impl<K> Eq for Ref<K> {}

impl<K> PartialOrd for Ref<K> {
    fn partial_cmp(&self, other: &Ref<K>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Ref<K> {
    fn cmp(&self, other: &Ref<K>) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl<K> Hash for Ref<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl<K> fmt::Display for Ref<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<K> fmt::Debug for Ref<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<K> FromStr for Ref<K> {
    type Err = ParseRefError;

    fn from_str(text: &str) -> Result<Ref<K>, ParseRefError> {
        Ref::parse(text)
    }
}

/// A text is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a reference: write `pack.name`")]
pub struct ParseRefError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_dot_separates() {
        let reference = ActionRef::parse("st2.kv.set").unwrap();
        assert_eq!((reference.pack(), reference.name()), ("st2", "kv.set"));
    }

    #[test]
    fn both_parts_are_needed() {
        for text in ["", "core", ".local", "core."] {
            assert!(ActionRef::parse(text).is_err(), "{text}");
        }
        assert!(ActionRef::new("a.b", "c").is_err());
    }
}
