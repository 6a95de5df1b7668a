//! Identifiers of 96 bits, shaped like the object ids that StackStorm's clients expect: 24
//! hexadecimal digits that begin with the seconds since 1970 and sort by time of creation.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

/// An id whose kind is not known to the types, such as that of a document.
pub type RawId = Id<kind::Any>;
/// The id of an execution.
pub type ExecutionId = Id<kind::Execution>;
/// The id of a trigger instance (an event).
pub type TriggerInstanceId = Id<kind::TriggerInstance>;
/// The id of an enforcement.
pub type EnforcementId = Id<kind::Enforcement>;

/// The registry of id kinds. None of them has a value.
pub mod kind {
    /// Of any kind.
    pub enum Any {}
    /// Of an execution.
    pub enum Execution {}
    /// Of a trigger instance.
    pub enum TriggerInstance {}
    /// Of an enforcement.
    pub enum Enforcement {}
}

/// A typed identifier: an `Id<Execution>` cannot stand where an `Id<Enforcement>` is wanted.
pub struct Id<K> {
    raw: u128,
    kind: PhantomData<fn() -> K>,
}

impl<K> Id<K> {
    /// The id with the given low 96 bits; the others are dropped.
    #[must_use]
    pub fn from_raw(raw: u128) -> Id<K> {
        Id {
            raw: raw & ((1 << 96) - 1),
            kind: PhantomData,
        }
    }

    /// The id as a number of 96 bits.
    #[must_use]
    pub fn raw(self) -> u128 {
        self.raw
    }

    /// The id as twelve bytes, most significant first: they sort as the ids do.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes.copy_from_slice(&self.raw.to_be_bytes()[4..]);
        bytes
    }

    /// The id behind what [`Id::to_bytes`] gave; `None` unless there are twelve bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Id<K>> {
        let bytes: &[u8; 12] = bytes.try_into().ok()?;
        let mut wide = [0; 16];
        wide[4..].copy_from_slice(bytes);
        Some(Id::from_raw(u128::from_be_bytes(wide)))
    }

    /// The same number as an id of another kind.
    #[must_use]
    pub fn cast<T>(self) -> Id<T> {
        Id::from_raw(self.raw)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Id<K> {
        *self
    }
}

impl<K> Copy for Id<K> {}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Id<K>) -> bool {
        self.raw == other.raw
    }
}

impl<K> Eq for Id<K> {}

impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Id<K>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Id<K>) -> Ordering {
        self.raw.cmp(&other.raw)
    }
}

impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.raw.hash(state);
    }
}

impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:024x}", self.raw)
    }
}

impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id: 24 hexadecimal digits are expected")]
pub struct ParseIdError(String);

impl<K> FromStr for Id<K> {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Id<K>, ParseIdError> {
        let valid = text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let raw = valid.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        raw.map(Id::from_raw)
            .ok_or_else(|| ParseIdError(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_text_and_bytes() {
        let id: ExecutionId = "5f3a00112233445566778899".parse().unwrap();
        assert_eq!(id.to_string(), "5f3a00112233445566778899");
        assert_eq!(ExecutionId::from_bytes(&id.to_bytes()), Some(id));
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in [
            "",
            "5f3a",
            "+f3a00112233445566778899",
            "5f3a001122334455667788990",
            "zz3a00112233445566778899",
        ] {
            assert!(text.parse::<ExecutionId>().is_err(), "{text}");
        }
        assert_eq!(ExecutionId::from_bytes(&[1, 2, 3]), None);
    }
}
