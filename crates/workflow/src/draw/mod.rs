//! Pictures of a workflow: text for terminals, DOT for Graphviz, Mermaid for web pages, SVG for
//! everything else.
//!
//! All four show the same: start tasks first, joins, retries and items marked, conditions on the
//! transitions.

mod layout;
mod svg;

use std::fmt::Write;

use crate::definition::{Definition, Join};
use crate::graph::Edge;

pub use svg::svg;

/// Longer conditions are cut.
const LABEL_MAX: usize = 48;

/// What is written into a node.
struct Label {
    name: String,
    /// The action, `join all`, `retry` and so on; one line each.
    notes: Vec<String>,
    is_command: bool,
}

fn label(definition: &Definition, node: usize) -> Label {
    let graph = &definition.graph;
    let name = graph.name(node).to_string();
    let mut notes = Vec::new();
    let task = definition.tasks.get(graph.name(node));
    if let Some(action) = task.and_then(|task| task.action.as_ref()) {
        notes.push(shorten(&squall_value::python::str(action.source())));
    }
    match graph.get(node).barrier {
        Some(Join::All) => notes.push("join all".to_owned()),
        Some(Join::Count(count)) => notes.push(format!("join {count}")),
        None => {}
    }
    if let Some(items) = task.and_then(|task| task.with.as_ref()) {
        notes.push(shorten(&format!("with {}", items.text)));
    }
    if graph.get(node).retry.is_some() {
        notes.push("retry".to_owned());
    }
    Label {
        is_command: task.is_none(),
        name,
        notes,
    }
}

/// The condition of a transition in a few words: delimiters and the parentheses of plain tests are
/// left out.
fn condition(edge: &Edge) -> Option<String> {
    let text = squall_value::python::str(edge.when.as_ref()?.source());
    let text = text.trim();
    let inner = [("<%", "%>"), ("{{", "}}")]
        .iter()
        .find_map(|(open, close)| text.strip_prefix(open)?.strip_suffix(close))
        .filter(|inner| !inner.contains("<%") && !inner.contains("{{"))
        .unwrap_or(text)
        .trim();
    let plain = match inner {
        "succeeded()" => "succeeded",
        "failed()" => "failed",
        "completed()" => "completed",
        other => other,
    };
    Some(shorten(plain))
}

fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LABEL_MAX {
        line
    } else {
        line.chars()
            .take(LABEL_MAX - 3)
            .chain("...".chars())
            .collect()
    }
}

/// The workflow as an indented list: every task once, with the transitions below it.
#[must_use]
pub fn text(definition: &Definition) -> String {
    let graph = &definition.graph;
    let mut out = String::new();
    for node in 0..graph.len() {
        let label = label(definition, node);
        if label.is_command {
            continue;
        }
        let mark = if graph.roots().contains(&node) {
            "* "
        } else {
            "  "
        };
        let _ = write!(out, "{mark}{}", label.name);
        if !label.notes.is_empty() {
            let _ = write!(out, "  ({})", label.notes.join(", "));
        }
        out.push('\n');
        let mut edges: Vec<&Edge> = graph.outgoing(node).collect();
        edges.sort_by_key(|edge| edge.transition);
        for edge in edges {
            let _ = write!(out, "    -> {}", graph.name(edge.to));
            if let Some(condition) = condition(edge) {
                let _ = write!(out, "  if {condition}");
            }
            out.push('\n');
        }
    }
    out
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{text}\"")
}

/// The workflow in the language of Graphviz.
#[must_use]
pub fn dot(definition: &Definition) -> String {
    let graph = &definition.graph;
    let mut out =
        String::from("digraph workflow {\n  rankdir=TB;\n  node [shape=box, style=rounded];\n");
    for node in 0..graph.len() {
        let label = label(definition, node);
        let mut lines = vec![label.name.clone()];
        lines.extend(label.notes);
        let text = lines
            .join("\n")
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let shape = if label.is_command {
            ", shape=ellipse"
        } else {
            ""
        };
        let _ = writeln!(out, "  {} [label=\"{text}\"{shape}];", quoted(&label.name));
    }
    for edge in graph.edges() {
        let (from, to) = (quoted(graph.name(edge.from)), quoted(graph.name(edge.to)));
        let _ = write!(out, "  {from} -> {to}");
        if let Some(condition) = condition(edge) {
            let _ = write!(out, " [label={}]", quoted(&condition));
        }
        out.push_str(";\n");
    }
    out.push_str("}\n");
    out
}

/// The workflow in the language of Mermaid.
#[must_use]
pub fn mermaid(definition: &Definition) -> String {
    // Mermaid has no escapes in quotes, but knows entities.
    let entity = |text: &str| {
        let text = text.replace('#', "#35;").replace('"', "#quot;");
        text.replace('<', "#lt;")
            .replace('>', "#gt;")
            .replace('\n', "<br/>")
    };
    let graph = &definition.graph;
    let mut out = String::from("flowchart TD\n");
    for node in 0..graph.len() {
        let label = label(definition, node);
        let mut lines = vec![label.name];
        lines.extend(label.notes);
        let text = entity(&lines.join("\n"));
        let (open, close) = if label.is_command {
            ("([", "])")
        } else {
            ("[", "]")
        };
        let _ = writeln!(out, "  n{node}{open}\"{text}\"{close}");
    }
    for edge in graph.edges() {
        match condition(edge) {
            Some(condition) => {
                let _ = writeln!(
                    out,
                    "  n{} -->|\"{}\"| n{}",
                    edge.from,
                    entity(&condition),
                    edge.to
                );
            }
            None => {
                let _ = writeln!(out, "  n{} --> n{}", edge.from, edge.to);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
