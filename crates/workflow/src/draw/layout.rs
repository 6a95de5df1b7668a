//! Where the nodes stand: layers from top to bottom, few crossings (Sugiyama's method, simplified).
//!
//! Edges that would lead upwards are turned round for the layering; edges over several layers get a
//! bend in each, so that they pass between the nodes. Very large graphs are laid out without these
//! refinements, to stay linear.

use crate::graph::Graph;

/// Sweeps over the layers that put each node near its neighbours.
const SWEEPS: usize = 8;

/// With more bends than this, edges run straight.
const BENDS_MAX: usize = 20_000;

/// The drawing without sizes: layers of slots, and the way of every edge through them.
pub(super) struct Layout {
    /// Slots per layer, from left to right.
    pub(super) layers: Vec<Vec<Slot>>,
    /// Per edge its slots from source to target, as numbers given by [`Slot::id`].
    pub(super) paths: Vec<Vec<usize>>,
    /// How many slots there are.
    pub(super) slots: usize,
}

/// A place in a layer.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    /// Its number; nodes have the numbers of the graph, bends the following ones.
    pub(super) id: usize,
    /// Whether it is only the bend of an edge.
    pub(super) is_bend: bool,
}

pub(super) fn layout(graph: &Graph) -> Layout {
    let layer = layers(graph);
    let depth = layer.iter().max().map_or(0, |deepest| deepest + 1);
    let mut rows: Vec<Vec<Slot>> = vec![Vec::new(); depth];
    for (node, layer) in layer.iter().enumerate() {
        rows[*layer].push(Slot {
            id: node,
            is_bend: false,
        });
    }
    let bends: usize = graph
        .edges()
        .iter()
        .map(|edge| layer[edge.from].abs_diff(layer[edge.to]).saturating_sub(1))
        .sum();
    let mut slots = graph.len();
    let mut paths = Vec::with_capacity(graph.edges().len());
    for edge in graph.edges() {
        let (from, to) = (layer[edge.from], layer[edge.to]);
        let mut path = vec![edge.from];
        if bends <= BENDS_MAX {
            let mut add = |row: usize| {
                rows[row].push(Slot {
                    id: slots,
                    is_bend: true,
                });
                path.push(slots);
                slots += 1;
            };
            if from < to {
                (from + 1..to).for_each(&mut add);
            } else {
                (to + 1..from).rev().for_each(&mut add);
            }
        }
        path.push(edge.to);
        paths.push(path);
    }
    let mut layout = Layout {
        layers: rows,
        paths,
        slots,
    };
    layout.uncross();
    layout
}

/// The layer of every node: one below the lowest of its predecessors, edges back in a cycle left out.
fn layers(graph: &Graph) -> Vec<usize> {
    let count = graph.len();
    let mut state = vec![0_u8; count];
    let mut finished = Vec::with_capacity(count);
    let mut is_back = vec![false; graph.edges().len()];
    let starts = graph.roots().iter().copied().chain(0..count);
    for start in starts {
        let mut work = vec![(start, 0)];
        if state[start] != 0 {
            continue;
        }
        state[start] = 1;
        while let Some((node, step)) = work.pop() {
            let Some(&edge) = graph.get(node).outgoing.get(step) else {
                state[node] = 2;
                finished.push(node);
                continue;
            };
            work.push((node, step + 1));
            let to = graph.edges()[edge].to;
            match state[to] {
                0 => {
                    state[to] = 1;
                    work.push((to, 0));
                }
                1 => is_back[edge] = true,
                _ => {}
            }
        }
    }
    let mut layer = vec![0; count];
    for &node in finished.iter().rev() {
        for &edge in &graph.get(node).outgoing {
            let to = graph.edges()[edge].to;
            if !is_back[edge] {
                layer[to] = layer[to].max(layer[node] + 1);
            }
        }
    }
    layer
}

impl Layout {
    /// Sorts every layer by the mean place of the neighbours above (then below, and so on).
    fn uncross(&mut self) {
        let mut above: Vec<Vec<usize>> = vec![Vec::new(); self.slots];
        let mut row_of = vec![0; self.slots];
        for (row, slots) in self.layers.iter().enumerate() {
            for slot in slots {
                row_of[slot.id] = row;
            }
        }
        for path in &self.paths {
            for pair in path.windows(2) {
                above[pair[0]].push(pair[1]);
                above[pair[1]].push(pair[0]);
            }
        }
        let mut place = vec![0.0_f64; self.slots];
        for slots in &self.layers {
            number(slots, &mut place);
        }
        for sweep in 0..SWEEPS {
            let downwards = sweep % 2 == 0;
            let count = self.layers.len();
            for step in 0..count {
                let row = if downwards { step } else { count - 1 - step };
                let mean = |slot: &Slot| {
                    let beside = above[slot.id].iter().filter(|other| {
                        if downwards {
                            row_of[**other] < row
                        } else {
                            row_of[**other] > row
                        }
                    });
                    let (sum, found) = beside.fold((0.0, 0.0), |(sum, found), other| {
                        (sum + place[*other], found + 1.0)
                    });
                    if found > 0.0 {
                        sum / found
                    } else {
                        place[slot.id]
                    }
                };
                let mut keyed: Vec<(f64, Slot)> = self.layers[row]
                    .iter()
                    .map(|slot| (mean(slot), *slot))
                    .collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                self.layers[row] = keyed.into_iter().map(|(_, slot)| slot).collect();
                number(&self.layers[row], &mut place);
            }
        }
    }
}

/// Places from 0 to 1 within the layer, so that layers of different lengths compare.
fn number(slots: &[Slot], place: &mut [f64]) {
    #[allow(clippy::cast_precision_loss)]
    let share = |index: usize| (index as f64 + 0.5) / slots.len() as f64;
    for (index, slot) in slots.iter().enumerate() {
        place[slot.id] = share(index);
    }
}
