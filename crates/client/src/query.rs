//! Query parameters, and the pages of lists.

use std::fmt::Display;

/// Query parameters in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// No parameters.
    #[must_use]
    pub fn new() -> Query {
        Query::default()
    }

    /// The same with one more parameter.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Display) -> Query {
        self.pairs.push((name.into(), value.to_string()));
        self
    }

    /// The same with one more parameter, if there is a value.
    #[must_use]
    pub fn maybe(self, name: impl Into<String>, value: Option<impl Display>) -> Query {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// How many there are on all pages, where the server tells.
    pub total: Option<u64>,
}

impl<T> Page<T> {
    /// The same page of something else.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            total: self.total,
        }
    }
}
