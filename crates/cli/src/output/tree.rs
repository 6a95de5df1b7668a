//! Trees.

use super::Screen;
use super::paint::{Cell, safe};
use super::table::cut;
use unicode_width::UnicodeWidthStr;

/// One line of a tree and what hangs below it.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) label: Vec<Cell>,
    pub(crate) children: Vec<Node>,
}

/// The lines of a tree.
pub(crate) fn render(root: &Node, screen: &Screen) -> Vec<String> {
    // Not recursive: how deep workflows nest is not ours to decide.
    let mut lines = Vec::new();
    let mut pending: Vec<(&Node, String, &str, &str)> = vec![(root, String::new(), "", "")];
    while let Some((node, before, own, below)) = pending.pop() {
        lines.push(line(&format!("{before}{own}"), &node.label, screen));
        let inner = format!("{before}{below}");
        for (index, child) in node.children.iter().enumerate().rev() {
            let (own, below) = if index + 1 == node.children.len() {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            pending.push((child, inner.clone(), own, below));
        }
    }
    lines
}

fn line(lead: &str, label: &[Cell], screen: &Screen) -> String {
    let mut room = screen.width.map(|width| width.saturating_sub(lead.width()));
    let mut out = lead.to_owned();
    for (index, cell) in label
        .iter()
        .filter(|cell| !cell.text.is_empty())
        .enumerate()
    {
        if index > 0 {
            out.push_str("  ");
            room = room.map(|room| room.saturating_sub(2));
        }
        let text = safe(&cell.text, false).replace(['\n', '\t'], " ");
        let text = match room {
            Some(0 | 1) => break,
            Some(room) => cut(&text, room),
            None => text,
        };
        room = room.map(|room| room.saturating_sub(text.width()));
        out.push_str(&cell.paint.apply(&text, screen.color));
    }
    out.truncate(out.trim_end_matches(' ').len());
    out
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use jiff::tz::TimeZone;

    use super::*;

    fn node(text: &str, children: Vec<Node>) -> Node {
        let label = text.split('|').map(Cell::new).collect();
        Node { label, children }
    }

    #[track_caller]
    fn check(width: Option<usize>, expect: Expect) {
        let tree = node(
            "shop.deploy|running",
            vec![
                node("build|succeeded|1.2s", vec![]),
                node(
                    "roll_out|running",
                    vec![node("one|failed", vec![]), node("two|running", vec![])],
                ),
                node("notify|scheduled", vec![]),
            ],
        );
        let screen = Screen {
            width,
            ..Screen::plain(TimeZone::UTC)
        };
        expect.assert_eq(&(render(&tree, &screen).join("\n") + "\n"));
    }

    #[test]
    fn lines_join_what_belongs_together() {
        check(
            None,
            expect![[r"
                shop.deploy  running
                ├─ build  succeeded  1.2s
                ├─ roll_out  running
                │  ├─ one  failed
                │  └─ two  running
                └─ notify  scheduled
            "]],
        );
    }

    #[test]
    fn narrow_terminals_cut_lines() {
        check(
            Some(16),
            expect![[r"
                shop.deploy  ru…
                ├─ build  succe…
                ├─ roll_out  ru…
                │  ├─ one  fail…
                │  └─ two  runn…
                └─ notify  sche…
            "]],
        );
    }
}
