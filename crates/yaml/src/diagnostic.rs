//! What is wrong with a text, told to the person who wrote it.

use std::fmt::{self, Write};

use crate::span::Position;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The text is read, but probably not as its author meant.
    Warning,
    /// The text can't be used.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// One finding about a text, with its place and, where there is one, the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The line, from one.
    pub line: usize,
    /// The column in characters, from one.
    pub column: usize,
    /// What is wrong: a fragment without capital and full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The place in the document, such as `tasks.build.next[0]`; empty at its root.
    pub path: String,
}

/// Lines longer than this are cut around the place that matters.
const LINE_MAX: usize = 120;

impl Diagnostic {
    /// An error at `position`.
    #[must_use]
    pub fn error(position: Position, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, position, message.into())
    }

    /// A warning at `position`.
    #[must_use]
    pub fn warning(position: Position, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, position, message.into())
    }

    fn new(severity: Severity, position: Position, message: String) -> Diagnostic {
        Diagnostic {
            severity,
            line: position.line,
            column: position.column,
            message,
            help: None,
            path: String::new(),
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// The same with the place in the document.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Diagnostic {
        self.path = path.into();
        self
    }

    /// Several lines for a terminal: the finding, `file:line:column`, the line of `source` with a
    /// caret below the place, the path in the document and the advice.
    ///
    /// `source` is the text that was read; a line that it doesn't have is left out.
    #[must_use]
    pub fn render(&self, file: &str, source: &str) -> String {
        let mut out = format!("{}: {}\n", self.severity, self.message);
        let gutter = self.line.to_string().len();
        let _ = writeln!(
            out,
            "{:gutter$}--> {file}:{}:{}",
            "", self.line, self.column
        );
        // Only the breaks that also count lines in the parser.
        let line = source.split('\n').nth(self.line.saturating_sub(1));
        if let Some(line) = line {
            let (shown, caret) = excerpt(line, self.column);
            let _ = writeln!(out, "{:gutter$} |", "");
            let _ = writeln!(out, "{} | {shown}", self.line);
            let _ = writeln!(out, "{:gutter$} | {:caret$}^", "", "");
        }
        if !self.path.is_empty() {
            let _ = writeln!(out, "{:gutter$} = at: {}", "", self.path);
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "{:gutter$} = help: {help}", "");
        }
        out
    }
}

/// The part of `line` around `column` that fits, and how many characters stand before the caret.
/// Tabs and control characters become one space, so that the caret stays below its character.
fn excerpt(line: &str, column: usize) -> (String, usize) {
    let column = column.saturating_sub(1);
    let skip = if column >= LINE_MAX {
        column - LINE_MAX / 2
    } else {
        0
    };
    let mut shown: String = line
        .trim_end_matches('\r')
        .chars()
        .skip(skip)
        .take(LINE_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    shown.truncate(shown.trim_end().len());
    (shown, column - skip)
}

/// `file`-less one-line form: `3:5: error: message (help)`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}: {}",
            self.line, self.column, self.severity, self.message
        )?;
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}
