//! The workflow as SVG.

use std::fmt::Write;

use super::layout::{Layout, Slot, layout};
use super::{Label, condition, label};
use crate::definition::Definition;

const CHARACTER: usize = 7;
const LINE: usize = 16;
const PADDING: usize = 10;
const GAP_X: usize = 36;
const GAP_Y: usize = 56;
const MARGIN: usize = 20;
/// The room that a passing edge takes.
const BEND: usize = 16;

/// A box on the page, in pixels.
#[derive(Clone, Copy, Default)]
struct Place {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Place {
    fn middle(self) -> usize {
        self.x + self.width / 2
    }
}

/// The workflow as an SVG document, which works without style sheets or scripts.
#[must_use]
pub fn svg(definition: &Definition) -> String {
    let graph = &definition.graph;
    let labels: Vec<Label> = (0..graph.len())
        .map(|node| label(definition, node))
        .collect();
    let layout = layout(graph);
    let (places, width, height) = measure(&layout, &labels);
    let mut body = String::new();
    // Loops and the conditions on transitions may reach beyond the boxes.
    let (mut left, mut right) = (0, width);
    for (edge, path) in graph.edges().iter().zip(&layout.paths) {
        let reach = draw_edge(
            &mut body,
            path,
            &places,
            edge.key,
            condition(edge).as_deref(),
        );
        left = left.max(reach.0);
        right = right.max(reach.1);
    }
    for (label, place) in labels.iter().zip(&places) {
        draw_node(&mut body, label, *place);
    }
    let width = left + right;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"-{left} 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" \
         markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#666\"/></marker></defs>\n\
         <rect x=\"-{left}\" width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

fn size(slot: Slot, labels: &[Label]) -> (usize, usize) {
    if slot.is_bend {
        return (BEND, 0);
    }
    let label = &labels[slot.id];
    let lines = std::iter::once(&label.name).chain(&label.notes);
    let longest = lines.map(|line| line.chars().count()).max().unwrap_or(0);
    (
        longest * CHARACTER + 2 * PADDING,
        (1 + label.notes.len()) * LINE + PADDING,
    )
}

/// Places every slot; gives the size of the page too.
fn measure(layout: &Layout, labels: &[Label]) -> (Vec<Place>, usize, usize) {
    let row_width = |row: &Vec<Slot>| -> usize {
        let sizes: usize = row.iter().map(|slot| size(*slot, labels).0).sum();
        sizes + GAP_X * row.len().saturating_sub(1)
    };
    let widest = layout.layers.iter().map(row_width).max().unwrap_or(0);
    let mut places = vec![Place::default(); layout.slots];
    let mut y = MARGIN;
    for row in &layout.layers {
        let height = row
            .iter()
            .map(|slot| size(*slot, labels).1)
            .max()
            .unwrap_or(0);
        let mut x = MARGIN + (widest - row_width(row)) / 2;
        for slot in row {
            let (width, own) = size(*slot, labels);
            let own = if slot.is_bend { height } else { own };
            places[slot.id] = Place {
                x,
                y: y + (height - own) / 2,
                width,
                height: own,
            };
            x += width + GAP_X;
        }
        y += height + GAP_Y;
    }
    let height = if layout.layers.is_empty() {
        2 * MARGIN
    } else {
        y - GAP_Y + MARGIN
    };
    (places, widest + 2 * MARGIN, height)
}

/// Draws a transition and its condition. Gives how far it reaches to the left of the page's edge and
/// to the right of its beginning.
fn draw_edge(
    out: &mut String,
    path: &[usize],
    places: &[Place],
    key: usize,
    text: Option<&str>,
) -> (usize, usize) {
    let (first, last) = (places[path[0]], places[path[path.len() - 1]]);
    let bends = path[1..path.len() - 1].iter().map(|slot| places[*slot]);
    let (curve, at) = if last.y <= first.y {
        loop_curve(first, last, bends, key * 10)
    } else {
        forward_curve(first, last, bends, key * 10)
    };
    let _ = writeln!(
        out,
        "<path d=\"{curve}\" fill=\"none\" stroke=\"#666\" marker-end=\"url(#tip)\"/>"
    );
    let Some(text) = text else {
        return (0, at.0 + MARGIN);
    };
    let half = text.chars().count() * CHARACTER / 2;
    let (x, y) = at;
    let text = crate::testing::escape(text);
    let _ = writeln!(
        out,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" font-size=\"11\" fill=\"#036\" \
         stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\">{text}</text>"
    );
    (half.saturating_sub(x), x + half + MARGIN)
}

/// A curve from below the source to above the target, straight down through the bends; and the
/// middle of its first part, where its condition is written.
fn forward_curve(
    first: Place,
    last: Place,
    bends: impl Iterator<Item = Place>,
    shift: usize,
) -> (String, (usize, usize)) {
    let mut points = vec![(first.middle() + shift, first.y + first.height)];
    for bend in bends {
        points.push((bend.middle(), bend.y));
        points.push((bend.middle(), bend.y + bend.height));
    }
    points.push((last.middle() + shift, last.y));
    let mut curve = format!("M{} {}", points[0].0, points[0].1);
    for pair in points.windows(2) {
        let ((x1, y1), (x2, y2)) = (pair[0], pair[1]);
        let middle = y1.midpoint(y2);
        let _ = write!(curve, "C{x1} {middle} {x2} {middle} {x2} {y2}");
    }
    let ((x1, y1), (x2, y2)) = (points[0], points[1]);
    // Nearer to the target, where the ways of one source have parted.
    (curve, ((x1 + 3 * x2) / 4, (y1 + 2 * y2) / 3 + shift))
}

/// A curve that leaves at the side and comes back at the side, so that a loop can be told from the
/// way forward.
fn loop_curve(
    first: Place,
    last: Place,
    bends: impl Iterator<Item = Place>,
    shift: usize,
) -> (String, (usize, usize)) {
    let (x1, y1) = (first.x + first.width, first.y + first.height / 2 + shift);
    let (x2, y2) = (last.x + last.width, last.y + last.height / 2 + shift);
    let beside = bends
        .map(Place::middle)
        .chain([x1 + GAP_X, x2 + GAP_X])
        .max();
    // A curve of this kind goes three quarters of the way to its control points.
    let near = x1.min(x2);
    let x = near + (beside.unwrap_or(near) + shift - near) * 4 / 3;
    let curve = format!("M{x1} {y1}C{x} {y1} {x} {y2} {x2} {y2}");
    (curve, (x, y1.midpoint(y2)))
}

fn draw_node(out: &mut String, label: &Label, place: Place) {
    let (radius, fill) = if label.is_command {
        (12, "#f4f4f4")
    } else {
        (4, "#e8f0fb")
    };
    let Place {
        x,
        y,
        width,
        height,
    } = place;
    let _ = writeln!(
        out,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\" \
         fill=\"{fill}\" stroke=\"#456\"/>"
    );
    let lines = std::iter::once(&label.name).chain(&label.notes);
    for (number, line) in lines.enumerate() {
        let (x, y) = (place.middle(), y + PADDING / 2 + LINE * number + 12);
        let weight = if number == 0 {
            " font-weight=\"bold\""
        } else {
            " fill=\"#555\""
        };
        let line = crate::testing::escape(line);
        let _ = writeln!(
            out,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\"{weight}>{line}</text>"
        );
    }
}
