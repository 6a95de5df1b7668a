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
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" \
         markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#666\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (edge, path) in graph.edges().iter().zip(&layout.paths) {
        draw_edge(
            &mut out,
            path,
            &places,
            edge.key,
            condition(edge).as_deref(),
        );
    }
    for (label, place) in labels.iter().zip(&places) {
        draw_node(&mut out, label, *place);
    }
    out.push_str("</svg>\n");
    out
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

/// A curve from below the source to above the target, through the bends; upwards it leaves at the
/// side, so that loops can be told from the way forward.
fn draw_edge(out: &mut String, path: &[usize], places: &[Place], key: usize, text: Option<&str>) {
    let (first, last) = (places[path[0]], places[path[path.len() - 1]]);
    let is_loop = last.y <= first.y;
    let shift = key * 10;
    let mut points = Vec::with_capacity(path.len() + 1);
    if is_loop {
        points.push((first.x + first.width, first.y + first.height / 2 + shift));
        for slot in &path[1..path.len() - 1] {
            points.push((
                places[*slot].middle(),
                places[*slot].y + places[*slot].height / 2,
            ));
        }
        points.push((last.x + last.width, last.y + last.height / 2 + shift));
    } else {
        points.push((first.middle() + shift, first.y + first.height));
        for slot in &path[1..path.len() - 1] {
            points.push((places[*slot].middle(), places[*slot].y));
            points.push((
                places[*slot].middle(),
                places[*slot].y + places[*slot].height,
            ));
        }
        points.push((last.middle() + shift, last.y));
    }
    let mut curve = format!("M{} {}", points[0].0, points[0].1);
    for pair in points.windows(2) {
        let ((x1, y1), (x2, y2)) = (pair[0], pair[1]);
        if is_loop {
            let out_x = x1.max(x2) + GAP_X;
            let _ = write!(curve, "C{out_x} {y1} {out_x} {y2} {x2} {y2}");
        } else {
            let middle = y1.midpoint(y2);
            let _ = write!(curve, "C{x1} {middle} {x2} {middle} {x2} {y2}");
        }
    }
    let _ = writeln!(
        out,
        "<path d=\"{curve}\" fill=\"none\" stroke=\"#666\" marker-end=\"url(#tip)\"/>"
    );
    if let Some(text) = text {
        let ((x1, y1), (x2, y2)) = (points[0], points[1]);
        let (x, y) = if is_loop {
            (x1.max(x2) + GAP_X, y1.midpoint(y2))
        } else {
            (x1.midpoint(x2), y1.midpoint(y2) + shift)
        };
        let text = crate::testing::escape(text);
        let _ = writeln!(
            out,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" font-size=\"11\" fill=\"#036\" \
             stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\">{text}</text>"
        );
    }
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
