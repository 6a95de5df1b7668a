//! Which task refers to which, as far as the inspection needs it.

use std::collections::{HashMap, VecDeque};

use squall_value::Str;

use super::document::Document;

/// References among the defined tasks. Commands and undefined names are left out, except in
/// [`Links::references`].
pub(crate) struct Links<'d> {
    pub(crate) names: Vec<&'d Str>,
    index: HashMap<&'d str, usize>,
    /// Per task the tasks it refers to, one entry per reference, sorted by name.
    pub(crate) next: Vec<Vec<usize>>,
    /// How often each task is referred to.
    pub(crate) references: Vec<usize>,
    pub(crate) in_cycle: Vec<bool>,
}

impl<'d> Links<'d> {
    pub(crate) fn new(document: &'d Document) -> Links<'d> {
        let names: Vec<&Str> = document.tasks.keys().collect();
        let index: HashMap<&str, usize> = names
            .iter()
            .enumerate()
            .map(|(number, name)| (&***name, number))
            .collect();
        let mut references = vec![0; names.len()];
        let mut next: Vec<Vec<usize>> = Vec::with_capacity(names.len());
        for task in document.tasks.values() {
            let targets = task.next.iter().flat_map(|transition| &transition.targets);
            let mut known: Vec<usize> = targets
                .filter_map(|name| index.get(&**name).copied())
                .collect();
            known.sort_by_key(|target| names[*target]);
            for target in &known {
                references[*target] += 1;
            }
            next.push(known);
        }
        let in_cycle = cycles(&next);
        Links {
            names,
            index,
            next,
            references,
            in_cycle,
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The tasks that nothing refers to, by name.
    pub(crate) fn starts(&self) -> Vec<usize> {
        let mut starts: Vec<usize> = (0..self.names.len())
            .filter(|task| self.references[*task] == 0)
            .collect();
        starts.sort_by_key(|task| self.names[*task]);
        starts
    }

    /// Whether each task can be reached from a start task.
    pub(crate) fn reached(&self) -> Vec<bool> {
        let mut reached = vec![false; self.names.len()];
        let mut queue: VecDeque<usize> = self.starts().into();
        while let Some(task) = queue.pop_front() {
            if !std::mem::replace(&mut reached[task], true) {
                queue.extend(&self.next[task]);
            }
        }
        reached
    }
}

/// Whether each node can reach itself: it refers to itself or shares a strongly connected component
/// (Kosaraju, with explicit stacks: definitions come from outside).
fn cycles(next: &[Vec<usize>]) -> Vec<bool> {
    let count = next.len();
    let mut back: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (from, targets) in next.iter().enumerate() {
        for to in targets {
            back[*to].push(from);
        }
    }
    let mut finished = Vec::with_capacity(count);
    let mut seen = vec![false; count];
    for root in 0..count {
        let mut work = vec![(root, 0)];
        while let Some((node, step)) = work.pop() {
            if step == 0 && std::mem::replace(&mut seen[node], true) {
                continue;
            }
            match next[node].get(step) {
                Some(&to) => {
                    work.push((node, step + 1));
                    if !seen[to] {
                        work.push((to, 0));
                    }
                }
                None => finished.push(node),
            }
        }
    }
    let mut in_cycle: Vec<bool> = next
        .iter()
        .enumerate()
        .map(|(node, targets)| targets.contains(&node))
        .collect();
    let mut taken = vec![false; count];
    for &root in finished.iter().rev() {
        let mut component = Vec::new();
        let mut work = vec![root];
        while let Some(node) = work.pop() {
            if !std::mem::replace(&mut taken[node], true) {
                component.push(node);
                work.extend(&back[node]);
            }
        }
        if component.len() > 1 {
            for node in component {
                in_cycle[node] = true;
            }
        }
    }
    in_cycle
}
