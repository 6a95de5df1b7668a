//! An execution and what is below it as a tree, also while it runs.

use std::collections::HashMap;

use anyhow::Result;
use jiff::Timestamp;
use squall_client::{Execution, Output};

use crate::follow::{Happening, Tree, Watcher};
use crate::output::{Cell, Console, Node, Paint, Screen, between, render_tree, safe, status_paint};

/// How deep a tree is drawn: below, only counts would be readable.
const DEPTH_MAX: usize = 64;

/// The tree of an execution.
pub(crate) fn tree(tree: &Tree, now: Timestamp) -> Node {
    let below = tree.below();
    tree.root()
        .map(|root| node(root, &below, now, 0))
        .unwrap_or_default()
}

fn node(
    execution: &Execution,
    below: &HashMap<&str, Vec<&Execution>>,
    now: Timestamp,
    depth: usize,
) -> Node {
    let children = below.get(execution.id()).filter(|_| depth < DEPTH_MAX);
    let children = children.into_iter().flatten();
    Node {
        label: label(execution, now),
        children: children
            .map(|child| node(child, below, now, depth + 1))
            .collect(),
    }
}

fn label(execution: &Execution, now: Timestamp) -> Vec<Cell> {
    let elapsed = between(execution.started(), execution.ended(), now);
    let status = Cell::status(execution.status());
    let elapsed = Cell::painted(elapsed.unwrap_or_default(), Paint::Faint);
    match task_name(execution) {
        Some(task) => vec![
            Cell::painted(task, Paint::Strong),
            status,
            elapsed,
            Cell::painted(execution.action(), Paint::Faint),
            Cell::painted(execution.id(), Paint::Faint),
        ],
        None => vec![
            Cell::painted(execution.action(), Paint::Strong),
            status,
            elapsed,
            Cell::painted(execution.id(), Paint::Faint),
        ],
    }
}

/// The task that an execution carries out, with the item's number.
pub(crate) fn task_name(execution: &Execution) -> Option<String> {
    let task = execution.task()?;
    Some(match task.item {
        Some(item) => format!("{}[{item}]", task.name),
        None => task.name.to_owned(),
    })
}

/// The path of tasks from the top to an execution: `deploy / install[2]`.
fn task_path(tree: &Tree, id: &str) -> String {
    let mut names = Vec::new();
    let mut next = tree.get(id);
    while let Some(execution) = next.filter(|_| names.len() < DEPTH_MAX) {
        match task_name(execution) {
            Some(name) => names.push(name),
            None => break,
        }
        next = tree.get(execution.parent());
    }
    names.reverse();
    names.join(" / ")
}

/// How a run is shown while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Showing {
    /// What is printed goes to standard output as it comes.
    pub(crate) output: bool,
    /// Changes of status are told on standard error.
    pub(crate) progress: bool,
}

/// Shows happenings: on a terminal as a tree that is drawn anew, elsewhere line by line.
pub(crate) struct Progress<'a> {
    console: &'a mut Console,
    now: &'a dyn Fn() -> Timestamp,
    showing: Showing,
    /// How many lines of the tree stand on the screen.
    drawn: usize,
    lines: Lines,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(
        console: &'a mut Console,
        now: &'a dyn Fn() -> Timestamp,
        showing: Showing,
    ) -> Progress<'a> {
        Progress {
            console,
            now,
            showing,
            drawn: 0,
            lines: Lines::default(),
        }
    }

    /// Takes the tree off the screen.
    pub(crate) fn clear(&mut self) {
        if self.drawn > 0 {
            let up = format!("\x1b[{}F\x1b[J", self.drawn);
            self.console.note_raw(&up);
            self.drawn = 0;
        }
    }

    fn draw(&mut self, tree: &Tree) {
        if !self.showing.progress || !self.console.side.is_terminal() {
            return;
        }
        self.clear();
        let side = &self.console.side;
        let lines = render_tree(&self::tree(tree, (self.now)()), side);
        let lines = fitting(lines, side.height.unwrap_or(24).saturating_sub(2));
        self.drawn = lines.len();
        self.console.note_raw(&(lines.join("\n") + "\n"));
    }

    fn tell(&mut self, tree: &Tree, id: &str) {
        let Some(execution) = tree.get(id) else {
            return;
        };
        let path = task_path(tree, id);
        if path.is_empty() || !self.showing.progress || self.console.side.is_terminal() {
            return;
        }
        let status = execution.status();
        let elapsed = between(execution.started(), execution.ended(), (self.now)());
        let elapsed = elapsed.filter(|_| execution.is_ended());
        let status = status_paint(status).apply(status, self.console.side.color);
        let text = format!("{status}  {path}  {}", elapsed.unwrap_or_default());
        self.console.note(&safe(text.trim_end(), true));
    }

    fn print(&mut self, tree: &Tree, output: &Output) -> Result<()> {
        let is_workflow = tree.root().is_some_and(Execution::is_workflow);
        let screen = self.console.screen.clone();
        let data = if screen.is_terminal() {
            safe(output.data(), screen.color).into_owned()
        } else {
            output.data().to_owned()
        };
        if !is_workflow {
            self.console.write(&data)?;
            self.console.flush()?;
            return Ok(());
        }
        let whole = self.lines.push(output.execution(), output.stream(), &data);
        let prefix = prefix(tree, output.execution(), &screen);
        for line in whole.lines() {
            self.console.line(&format!("{prefix}{line}"))?;
        }
        self.console.flush()?;
        Ok(())
    }

    fn finish(&mut self, tree: &Tree, id: &str) -> Result<()> {
        let rest = self.lines.rest(id);
        let prefix = prefix(tree, id, &self.console.screen);
        for line in rest {
            self.console.line(&format!("{prefix}{line}"))?;
        }
        self.console.flush()?;
        Ok(())
    }
}

fn prefix(tree: &Tree, id: &str, screen: &Screen) -> String {
    let path = safe(&task_path(tree, id), false).into_owned();
    Paint::Faint.apply(&format!("{path} | "), screen.color)
}

/// As many lines as there is room for; what is left out is counted.
fn fitting(mut lines: Vec<String>, room: usize) -> Vec<String> {
    let room = room.max(2);
    if lines.len() > room {
        let hidden = lines.len() - room + 1;
        // The newest are below: the first line and the last ones are what matters.
        lines.drain(1..=hidden);
        lines.insert(1, format!("   … {hidden} more"));
    }
    lines
}

impl Watcher for Progress<'_> {
    fn see(&mut self, tree: &Tree, happening: &Happening) -> Result<()> {
        match happening {
            Happening::Changed(id) => self.tell(tree, id),
            Happening::Printed(output) if self.showing.output => {
                self.clear();
                self.print(tree, output)?;
            }
            Happening::Silent(id) if self.showing.output => {
                self.clear();
                self.finish(tree, id)?;
            }
            Happening::Printed(_) | Happening::Silent(_) => return Ok(()),
        }
        self.draw(tree);
        Ok(())
    }
}

/// Gathers pieces of output into lines, so that those of different tasks don't mix.
#[derive(Debug, Default)]
struct Lines {
    /// By execution and stream.
    open: HashMap<String, Vec<(String, String)>>,
}

impl Lines {
    /// The lines that the piece completes, each with its end.
    fn push(&mut self, execution: &str, stream: &str, data: &str) -> String {
        let streams = self.open.entry(execution.to_owned()).or_default();
        let at = match streams.iter().position(|(name, _)| name == stream) {
            Some(at) => at,
            None => {
                streams.push((stream.to_owned(), String::new()));
                streams.len() - 1
            }
        };
        let open = &mut streams[at].1;
        open.push_str(data);
        let end = open.rfind('\n').map_or(0, |end| end + 1);
        let rest = open.split_off(end);
        std::mem::replace(open, rest)
    }

    /// The lines that were never ended.
    fn rest(&mut self, execution: &str) -> Vec<String> {
        let streams = self.open.remove(execution).unwrap_or_default();
        let rests = streams.into_iter().map(|(_, rest)| rest);
        rests.filter(|rest| !rest.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use jiff::tz::TimeZone;
    use squall_value::{dict, json};

    use super::*;
    use crate::output::Format;

    fn execution(id: &str, parent: &str, task: &str, status: &str) -> Execution {
        let text = format!(
            r#"{{"id": "{id}", "status": "{status}", "parent": "{parent}",
                "action": {{"ref": "shop.{task}"}}, "runner": {{"name": "{}"}},
                "start_timestamp": "2026-03-14T09:00:0{id}.000000Z",
                "context": {{"orquesta": {{"task_name": "{task}"}}}}}}"#,
            if task == "deploy" { "orquesta" } else { "noop" },
        );
        Execution::new(json::read(&text).unwrap())
    }

    fn sample() -> Tree {
        let top = json::read(
            r#"{"id": "1", "status": "running", "action": {"ref": "shop.release"},
                "runner": {"name": "orquesta"}, "start_timestamp": "2026-03-14T09:00:00Z"}"#,
        );
        Tree::new(
            Execution::new(top.unwrap()),
            vec![
                execution("2", "1", "build", "succeeded"),
                execution("3", "1", "deploy", "running"),
                execution("5", "3", "restart", "scheduled"),
                execution("4", "3", "copy", "failed"),
            ],
        )
    }

    fn now() -> Timestamp {
        squall_wire::parse("2026-03-14T09:01:00Z").unwrap()
    }

    #[test]
    fn tasks_hang_below_their_workflows_by_time() {
        let screen = Screen::plain(TimeZone::UTC);
        let lines = render_tree(&tree(&sample(), now()), &screen);
        expect![[r"
            shop.release  running  1m 00s  1
            ├─ build  succeeded  58.0s  shop.build  2
            └─ deploy  running  57.0s  shop.deploy  3
               ├─ copy  failed  56.0s  shop.copy  4
               └─ restart  scheduled  55.0s  shop.restart  5
        "]]
        .assert_eq(&(lines.join("\n") + "\n"));
    }

    #[test]
    fn lines_of_tasks_do_not_mix() {
        let screen = Screen::plain(TimeZone::UTC);
        let (mut console, out, err) = Console::captured(Format::Text, screen);
        let showing = Showing {
            output: true,
            progress: true,
        };
        let mut progress = Progress::new(&mut console, &now, showing);
        let tree = sample();
        let piece = |id: &str, data: &str| {
            Happening::Printed(Output::new(dict! {
                "execution_id" => id, "output_type" => "stdout", "data" => data,
            }))
        };
        for happening in [
            Happening::Changed("2".into()),
            piece("2", "comp"),
            piece("4", "cp a\ncp"),
            piece("2", "iling\n"),
            Happening::Changed("4".into()),
            piece("4", " b"),
            Happening::Silent("4".into()),
        ] {
            progress.see(&tree, &happening).unwrap();
        }
        expect![[r"
            deploy / copy | cp a
            build | compiling
            deploy / copy | cp b
        "]]
        .assert_eq(&out.text());
        expect![[r#"
            succeeded  build  58.0s
            failed  deploy / copy  56.0s
        "#]]
        .assert_eq(&err.text());
    }

    #[test]
    fn a_tree_never_outgrows_the_screen() {
        let lines: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let shown = fitting(lines, 4);
        assert_eq!(shown, ["0", "   … 7 more", "8", "9"]);
    }
}
