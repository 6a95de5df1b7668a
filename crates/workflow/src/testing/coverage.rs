//! Which tasks and transitions the tests took.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::definition::Definition;

/// Tasks and transitions of one workflow, and those of them that tests took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Per task how often it was started.
    pub tasks: BTreeMap<String, usize>,
    /// Per transition (`task.next[0] -> target`) how often it was taken and how often it was not.
    pub transitions: BTreeMap<String, (usize, usize)>,
}

impl Coverage {
    /// All that `definition` has, nothing of it taken yet.
    #[must_use]
    pub fn of(definition: &Definition) -> Coverage {
        let mut coverage = Coverage::default();
        let graph = &definition.graph;
        for name in definition.tasks.keys() {
            coverage.tasks.insert(name.to_string(), 0);
        }
        for edge in graph.edges() {
            let name = transition(graph.name(edge.from), edge.transition, graph.name(edge.to));
            coverage.transitions.insert(name, (0, 0));
        }
        coverage
    }

    /// Adds what another run of the same workflow took.
    pub fn add(&mut self, other: &Coverage) {
        for (name, count) in &other.tasks {
            *self.tasks.entry(name.clone()).or_default() += count;
        }
        for (name, (taken, refused)) in &other.transitions {
            let counts = self.transitions.entry(name.clone()).or_default();
            counts.0 += taken;
            counts.1 += refused;
        }
    }

    /// Tasks that no test started.
    #[must_use]
    pub fn missed_tasks(&self) -> BTreeSet<&str> {
        let missed = self.tasks.iter().filter(|(_, count)| **count == 0);
        missed.map(|(name, _)| name.as_str()).collect()
    }

    /// Transitions that no test took.
    #[must_use]
    pub fn missed_transitions(&self) -> BTreeSet<&str> {
        let missed = self.transitions.iter().filter(|(_, counts)| counts.0 == 0);
        missed.map(|(name, _)| name.as_str()).collect()
    }

    /// A few lines for people: counts, and what is missed.
    #[must_use]
    pub fn summary(&self) -> String {
        let (tasks, transitions) = (self.missed_tasks(), self.missed_transitions());
        let mut out = format!(
            "tasks {}/{}, transitions {}/{}\n",
            self.tasks.len() - tasks.len(),
            self.tasks.len(),
            self.transitions.len() - transitions.len(),
            self.transitions.len()
        );
        for name in tasks {
            let _ = writeln!(out, "  task never started: {name}");
        }
        for name in transitions {
            let _ = writeln!(out, "  transition never taken: {name}");
        }
        out
    }
}

pub(crate) fn transition(from: &str, index: usize, to: &str) -> String {
    format!("{from}.next[{index}] -> {to}")
}
