//! How the tasks of a workflow are connected.

use std::collections::{HashMap, HashSet, VecDeque};

use indexmap::IndexMap;
use squall_value::{Dict, Str, Value};

use crate::definition::{Definition, Join, Retry, Task};
use crate::template::Template;

/// Why a workflow can't begin of which each task follows from another one.
pub(crate) const NO_START: &str = "Unable to identify any tasks to start the workflow. If the \
    workflow has a loop, please add a task that serves as an entry point (or lead) into the loop.";

/// How often a task may be visited while splits are collected for display. The visits of the
/// reference engine can double with every join; past this bound the display is no longer refined.
const SPLIT_VISITS_MAX: usize = 20_000;

/// The attempts that `do: retry` adds.
const COMMAND_RETRIES: i64 = 3;

/// The task graph of a definition: what can be reached from its start tasks.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    names: Vec<Str>,
    index: HashMap<Str, usize>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    roots: Vec<usize>,
}

/// A task or engine command in the graph.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// How many tasks before it it waits for, if it is a join.
    pub barrier: Option<Join>,
    /// When it is run again; from its `retry` block or from `do: retry`.
    pub retry: Option<Retry>,
    /// The tasks on the way to it whose every taking makes a new route; for display.
    pub splits: Vec<Str>,
    /// Whether taking a transition to it makes a new route.
    pub is_split: bool,
    /// Whether it can be reached from itself.
    pub in_cycle: bool,
    /// The edges that leave it, by target name and key.
    pub outgoing: Vec<usize>,
    /// The edges that arrive at it.
    pub incoming: Vec<usize>,
    /// How many different tasks the incoming edges come from.
    pub sources: usize,
}

/// A transition from one task to one target.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The node it leaves.
    pub from: usize,
    /// The node it arrives at.
    pub to: usize,
    /// Its number among the edges between the two.
    pub key: usize,
    /// The index of the entry of `next` that it comes from.
    pub transition: usize,
    /// Its condition, if it has one.
    pub when: Option<Template>,
    /// Its name at the source's entry: `<target>__t<key>`.
    pub id: Str,
    /// Its name at the target's entry and in routes: `<source>__t<key>`.
    pub back_id: Str,
}

impl Graph {
    /// The graph of these tasks.
    #[must_use]
    pub fn new(tasks: &IndexMap<Str, Task>) -> Graph {
        let mut graph = Graph::default();
        let references = count_references(tasks);
        let mut starts: Vec<&Str> = tasks
            .keys()
            .filter(|name| !references.contains_key(&***name))
            .collect();
        starts.sort();
        graph.reach(tasks, &starts);
        graph.mark_cycles();
        for (node, name) in graph.nodes.iter_mut().zip(&graph.names) {
            let is_referenced_again = references.get(&**name).is_some_and(|count| *count > 1);
            node.is_split = is_referenced_again && node.barrier.is_none() && !node.in_cycle;
        }
        graph.collect_splits();
        graph
    }

    /// The graph of tasks that begin with one of them and never run side by side, so that no routes
    /// have to be told apart.
    pub(crate) fn from_root(tasks: &IndexMap<Str, Task>, root: Option<&Str>) -> Graph {
        let mut graph = Graph::default();
        graph.reach(tasks, &root.into_iter().collect::<Vec<_>>());
        graph.mark_cycles();
        graph
    }

    /// Adds what can be reached from these tasks, breadth first.
    fn reach(&mut self, tasks: &IndexMap<Str, Task>, starts: &[&Str]) {
        let graph = self;
        let mut queue: VecDeque<usize> = starts.iter().map(|name| graph.node(name)).collect();
        graph.roots = queue.iter().copied().collect();
        while let Some(node) = queue.pop_front() {
            let Some(task) = tasks.get(&graph.names[node]) else {
                continue;
            };
            graph.nodes[node].barrier = task.join;
            graph.nodes[node].retry = task.retry.clone();
            let known = graph.names.len();
            graph.add_edges(node, task);
            queue.extend(known..graph.names.len());
        }
    }

    fn node(&mut self, name: &Str) -> usize {
        if let Some(node) = self.index.get(name) {
            return *node;
        }
        let node = self.names.len();
        self.names.push(name.clone());
        self.index.insert(name.clone(), node);
        self.nodes.push(Node::default());
        node
    }

    fn add_edges(&mut self, from: usize, task: &Task) {
        let mut targets: Vec<(&Str, usize)> = task
            .next
            .iter()
            .enumerate()
            .flat_map(|(index, next)| next.targets.iter().map(move |name| (name, index)))
            .collect();
        targets.sort();
        targets.dedup();
        let mut key = 0;
        let mut last: Option<&Str> = None;
        for (name, transition) in targets {
            let when = task.next[transition].when.clone();
            if &**name == "retry" {
                self.nodes[from].retry = Some(Retry {
                    when: Some(when.unwrap_or_else(|| Template::new("<% completed() %>"))),
                    count: Some(Template::new(COMMAND_RETRIES)),
                    delay: None,
                });
                continue;
            }
            key = if last == Some(name) { key + 1 } else { 0 };
            last = Some(name);
            let to = self.node(name);
            let edge = self.edges.len();
            self.edges.push(Edge {
                from,
                to,
                key,
                transition,
                when,
                id: Str::from(format!("{name}__t{key}")),
                back_id: Str::from(format!("{}__t{key}", self.names[from])),
            });
            self.nodes[from].outgoing.push(edge);
            if key == 0 {
                self.nodes[to].sources += 1;
            }
            self.nodes[to].incoming.push(edge);
        }
    }

    /// Finds the strongly connected components with an explicit stack (Tarjan): definitions come
    /// from outside and may be as deep as they are long.
    fn mark_cycles(&mut self) {
        const UNSEEN: usize = usize::MAX;
        let count = self.nodes.len();
        let mut order = vec![UNSEEN; count];
        let mut low = vec![0; count];
        let mut on_stack = vec![false; count];
        let mut stack = Vec::new();
        let mut next = 0;
        for root in 0..count {
            if order[root] != UNSEEN {
                continue;
            }
            let mut work = vec![(root, 0)];
            while let Some((node, step)) = work.pop() {
                if step == 0 {
                    order[node] = next;
                    low[node] = next;
                    next += 1;
                    stack.push(node);
                    on_stack[node] = true;
                }
                if let Some(&edge) = self.nodes[node].outgoing.get(step) {
                    work.push((node, step + 1));
                    let to = self.edges[edge].to;
                    if order[to] == UNSEEN {
                        work.push((to, 0));
                    } else if on_stack[to] {
                        low[node] = low[node].min(order[to]);
                    }
                    if to == node {
                        self.nodes[node].in_cycle = true;
                    }
                    continue;
                }
                if let Some(&(parent, _)) = work.last() {
                    low[parent] = low[parent].min(low[node]);
                }
                if low[node] == order[node] {
                    self.close_component(node, &mut stack, &mut on_stack);
                }
            }
        }
    }

    fn close_component(&mut self, root: usize, stack: &mut Vec<usize>, on_stack: &mut [bool]) {
        let start = stack
            .iter()
            .rposition(|node| *node == root)
            .expect("the root of a component is on the stack");
        let is_cycle = stack.len() - start > 1;
        for node in stack.drain(start..) {
            on_stack[node] = false;
            if is_cycle {
                self.nodes[node].in_cycle = true;
            }
        }
    }

    /// Follows the reference engine's walk, whose order shows in the result.
    fn collect_splits(&mut self) {
        let mut queue: VecDeque<(usize, Vec<Str>)> =
            self.roots.iter().map(|root| (*root, Vec::new())).collect();
        let mut seen: HashSet<usize> = HashSet::new();
        let mut tracked: HashMap<usize, HashSet<Str>> = HashMap::new();
        let mut visits = 0;
        while let Some((node, mut splits)) = queue.pop_front() {
            visits += 1;
            if visits > SPLIT_VISITS_MAX.max(4 * self.edges.len()) {
                break;
            }
            seen.insert(node);
            if self.nodes[node].is_split {
                splits.push(self.names[node].clone());
            }
            if !splits.is_empty() {
                self.nodes[node].splits.clone_from(&splits);
            }
            for &edge in &self.nodes[node].outgoing {
                let to = self.edges[edge].to;
                if !seen.contains(&to) || !self.nodes[to].in_cycle {
                    let known = tracked.entry(to).or_default();
                    let brings_more = splits.iter().any(|split| !known.contains(split));
                    if known.is_empty() || brings_more {
                        known.extend(splits.iter().cloned());
                        queue.push_back((to, splits.clone()));
                    }
                }
                seen.insert(to);
            }
        }
    }

    /// How many tasks and commands there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no task at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The number of a task or command, if it can be reached.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The name of a node.
    ///
    /// # Panics
    ///
    /// If `node` is not a number of this graph.
    #[must_use]
    pub fn name(&self, node: usize) -> &Str {
        &self.names[node]
    }

    /// A node by number.
    ///
    /// # Panics
    ///
    /// If `node` is not a number of this graph.
    #[must_use]
    pub fn get(&self, node: usize) -> &Node {
        &self.nodes[node]
    }

    /// All edges, in order of their sources' discovery.
    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The edges that leave `node`, in the order in which they are processed: by target name, then
    /// key.
    pub fn outgoing(&self, node: usize) -> impl Iterator<Item = &Edge> {
        self.nodes[node]
            .outgoing
            .iter()
            .map(|edge| &self.edges[*edge])
    }

    /// The edges that arrive at `node`.
    pub fn incoming(&self, node: usize) -> impl Iterator<Item = &Edge> {
        self.nodes[node]
            .incoming
            .iter()
            .map(|edge| &self.edges[*edge])
    }

    /// The start tasks, by name.
    #[must_use]
    pub fn roots(&self) -> &[usize] {
        &self.roots
    }

    /// The graph as data: `{nodes, edges, roots, leaves}`, sorted by name, for display and tests.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut sorted: Vec<usize> = (0..self.len()).collect();
        sorted.sort_by_key(|node| &self.names[*node]);
        let nodes: Value = sorted.iter().map(|node| self.node_value(*node)).collect();
        let edges: Value = sorted
            .iter()
            .flat_map(|node| self.outgoing(*node))
            .map(|edge| {
                squall_value::dict! {
                    "from" => self.names[edge.from].clone(),
                    "to" => self.names[edge.to].clone(),
                    "key" => edge.key,
                    "ref" => edge.transition,
                    "criteria" => edge.when.iter().map(|when| when.source().clone()).collect::<Value>(),
                }
            })
            .collect();
        let named = |wanted: &dyn Fn(&usize) -> bool| -> Value {
            let chosen = sorted.iter().filter(|node| wanted(node));
            chosen
                .map(|node| Value::from(self.names[*node].clone()))
                .collect()
        };
        squall_value::dict! {
            "nodes" => nodes,
            "edges" => edges,
            "roots" => named(&|node| self.nodes[*node].incoming.is_empty()),
            "leaves" => named(&|node| self.nodes[*node].outgoing.is_empty()),
        }
    }

    fn node_value(&self, node: usize) -> Value {
        let mut dict = Dict::new();
        dict.insert("id", self.names[node].clone());
        let node = &self.nodes[node];
        match node.barrier {
            Some(Join::All) => {
                dict.insert("barrier", "*");
            }
            Some(Join::Count(count)) => {
                dict.insert("barrier", count);
            }
            None => {}
        }
        if !node.splits.is_empty() {
            let splits: Value = node
                .splits
                .iter()
                .map(|name| Value::from(name.clone()))
                .collect();
            dict.insert("splits", splits);
        }
        if let Some(retry) = &node.retry {
            let part = |part: &Option<Template>| {
                part.as_ref()
                    .map_or(Value::Null, |part| part.source().clone())
            };
            let mut value = Dict::new();
            value.insert("when", part(&retry.when));
            value.insert("count", part(&retry.count));
            value.insert("delay", part(&retry.delay));
            dict.insert("retry", value);
        }
        Value::from(dict)
    }
}

/// How often each name stands in a `do` anywhere in the file.
fn count_references(tasks: &IndexMap<Str, Task>) -> HashMap<&str, usize> {
    let mut references = HashMap::new();
    let targets = tasks
        .values()
        .flat_map(|task| &task.next)
        .flat_map(|next| &next.targets);
    for target in targets {
        *references.entry(&**target).or_insert(0) += 1;
    }
    references
}

impl Definition {
    /// Whether taking a transition into `name` makes a new route.
    #[must_use]
    pub fn is_split(&self, name: &str) -> bool {
        self.graph
            .find(name)
            .is_some_and(|node| self.graph.get(node).is_split)
    }
}
