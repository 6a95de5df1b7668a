//! Places in a workflow's document.

use std::fmt;

use squall_value::Str;
use squall_yaml::{Node, Position};

/// One step down a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(Str),
    Index(usize),
}

/// The way from the root of a document to a value: `tasks.build.next[0].do`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

impl Path {
    pub(crate) fn root() -> Path {
        Path::default()
    }

    pub(crate) fn key(&self, key: impl Into<Str>) -> Path {
        self.with(Step::Key(key.into()))
    }

    pub(crate) fn index(&self, index: usize) -> Path {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Path {
        let mut steps = Vec::with_capacity(self.0.len() + 1);
        steps.extend_from_slice(&self.0);
        steps.push(step);
        Path(steps)
    }

    /// The path that goes on with `tail` where this one ends.
    pub(crate) fn join(&self, tail: &Path) -> Path {
        Path(self.0.iter().chain(&tail.0).cloned().collect())
    }

    /// As the reference engine writes it; `None` at the root.
    pub(crate) fn text(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.to_string())
    }

    /// Where the value stands, or the deepest part of the way to it that exists: short forms that
    /// were written out have no place of their own.
    pub(crate) fn node<'n>(&self, root: &'n Node) -> &'n Node {
        let mut node = root;
        for step in &self.0 {
            let next = match step {
                Step::Key(key) => node.get(key),
                Step::Index(index) => node.as_sequence().and_then(|items| items.get(*index)),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// Where the last key of the path stands, or else its value.
    pub(crate) fn key_position(&self, root: &Node) -> Position {
        let Some((Step::Key(key), above)) = self.0.split_last() else {
            return self.node(root).position();
        };
        let parent = Path(above.to_vec());
        parent
            .node(root)
            .as_mapping()
            .and_then(|mapping| mapping.entry(key))
            .map_or_else(|| self.node(root).position(), |entry| entry.key.position())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if number == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
