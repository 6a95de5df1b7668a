//! Tables: aligned columns, cut to the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::paint::{Cell, Paint, safe};
use super::{Column, Screen};

const GAP: usize = 2;

/// No column is cut below this.
const WIDTH_MIN: usize = 8;

/// A table with a header.
#[derive(Debug, Default)]
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Table {
        Table {
            header: header.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn of(
        columns: &[Column],
        items: &[squall_value::Value],
        screen: &Screen,
        now: jiff::Timestamp,
    ) -> Table {
        let mut table = Table::new(columns.iter().map(|column| column.title.to_string()));
        for item in items {
            table.row(columns.iter().map(|column| column.cell(item, screen, now)));
        }
        table
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells = cells.into_iter().map(|cell| Cell {
            text: safe(&one_line(&cell.text), false).into_owned(),
            ..cell
        });
        self.rows.push(cells.collect());
    }

    pub(crate) fn render(&self, screen: &Screen) -> String {
        let widths = self.widths(screen.width);
        let mut out = String::new();
        let header: Vec<Cell> = self
            .header
            .iter()
            .map(|title| Cell::painted(title.to_uppercase(), Paint::Faint))
            .collect();
        for row in std::iter::once(&header).chain(&self.rows) {
            let last = row.iter().rposition(|cell| !cell.text.is_empty());
            for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if last.is_none_or(|last| index > last) {
                    break;
                }
                let text = cut(&cell.text, *width);
                let pad = width.saturating_sub(text.width());
                out.push_str(&cell.paint.apply(&text, screen.color));
                if Some(index) != last {
                    out.extend(std::iter::repeat_n(' ', pad + GAP));
                }
            }
            out.push('\n');
        }
        out
    }

    /// The widths of the columns: what they need, or what is there, taken from the widest first.
    fn widths(&self, room: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.header.iter().map(|title| title.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let Some(room) = room else { return widths };
        let gaps = GAP * widths.len().saturating_sub(1);
        loop {
            let excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(room);
            let widest = widths.iter().copied().max().unwrap_or(0);
            if excess == 0 || widest <= WIDTH_MIN {
                return widths;
            }
            let others = widths.iter().copied().filter(|width| *width < widest);
            let next = others.max().unwrap_or(0).max(WIDTH_MIN);
            let alike = widths.iter().filter(|width| **width == widest).count();
            let target = widest.saturating_sub(excess.div_ceil(alike)).max(next);
            for width in widths.iter_mut().filter(|width| **width == widest) {
                *width = target;
            }
        }
    }
}

fn one_line(text: &str) -> String {
    if text.contains(['\n', '\t', '\r']) {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    } else {
        text.to_owned()
    }
}

/// The text in at most `width` columns; an ellipsis shows that something is missing.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use jiff::tz::TimeZone;

    use super::*;

    #[track_caller]
    fn check(width: Option<usize>, color: bool, expect: Expect) {
        let mut table = Table::new(["id", "status", "text"]);
        table.row([
            Cell::new("65a14b2135b6ad228a105f2d"),
            Cell::status("succeeded"),
            Cell::new("a text of several\nwords, and\tlong"),
        ]);
        table.row([Cell::new("1"), Cell::status("failed"), Cell::new("")]);
        table.row([Cell::new("漢字"), Cell::status("?"), Cell::new("\x1b[2Jx")]);
        let screen = Screen {
            color,
            width,
            ..Screen::plain(TimeZone::UTC)
        };
        expect.assert_eq(&table.render(&screen).replace('\x1b', "^"));
    }

    #[test]
    fn pipes_get_everything() {
        check(
            None,
            false,
            expect![[r"
                ID                        STATUS     TEXT
                65a14b2135b6ad228a105f2d  succeeded  a text of several words, and long
                1                         failed
                漢字                      ?          \u{1b}[2Jx
            "]],
        );
    }

    #[test]
    fn terminals_get_what_fits() {
        check(
            Some(40),
            false,
            expect![[r#"
                ID             STATUS     TEXT
                65a14b2135b6…  succeeded  a text of se…
                1              failed
                漢字           ?          \u{1b}[2Jx
            "#]],
        );
    }

    #[test]
    fn statuses_have_colours() {
        check(
            Some(200),
            true,
            expect![[r"
                ^[2mID^[0m                        ^[2mSTATUS^[0m     ^[2mTEXT^[0m
                65a14b2135b6ad228a105f2d  ^[32msucceeded^[0m  a text of several words, and long
                1                         ^[31mfailed^[0m
                漢字                      ?          \u{1b}[2Jx
            "]],
        );
    }
}
