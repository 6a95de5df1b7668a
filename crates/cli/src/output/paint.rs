//! Colours, and texts that cannot harm a terminal.

use std::borrow::Cow;

/// What a text is, which decides its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Paint {
    #[default]
    None,
    Good,
    Bad,
    Busy,
    Waiting,
    Faint,
    Strong,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Paint::None => "",
            Paint::Good => "32",
            Paint::Bad => "31",
            Paint::Busy => "36",
            Paint::Waiting => "33",
            Paint::Faint => "2",
            Paint::Strong => "1",
        }
    }

    pub(crate) fn apply(self, text: &str, color: bool) -> String {
        if !color || self == Paint::None || text.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{}m{text}\x1b[0m", self.code())
    }
}

/// How a status of an execution, an event or an enforcement looks.
pub(crate) fn status_paint(status: &str) -> Paint {
    match status {
        "succeeded" | "processed" => Paint::Good,
        "failed" | "timeout" | "abandoned" | "processing_failed" => Paint::Bad,
        "requested" | "scheduled" | "running" | "resuming" | "processing" => Paint::Busy,
        "delayed" | "pending" | "pausing" | "paused" | "canceling" | "canceled" => Paint::Waiting,
        _ => Paint::None,
    }
}

/// A text with its colour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) paint: Paint,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Cell {
        Cell::painted(text, Paint::None)
    }

    pub(crate) fn painted(text: impl Into<String>, paint: Paint) -> Cell {
        Cell {
            text: text.into(),
            paint,
        }
    }

    pub(crate) fn status(status: &str) -> Cell {
        Cell::painted(status, status_paint(status))
    }
}

/// A text in which control characters are visible instead of acting on the terminal. Line feeds and
/// tabs stay; so do colours if `colors` allows them.
pub(crate) fn safe(text: &str, colors: bool) -> Cow<'_, str> {
    let is_bad = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_bad) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with("\r\n") {
            rest = &rest[1..];
            continue;
        }
        if let Some(length) = color_sequence(rest) {
            if colors {
                out.push_str(&rest[..length]);
            }
            rest = &rest[length..];
            continue;
        }
        let mut letters = rest.chars();
        let bad = letters.next().unwrap_or_default();
        out.extend(bad.escape_default());
        rest = letters.as_str();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The length of the `ESC [ ... m` that the text begins with.
fn color_sequence(text: &str) -> Option<usize> {
    let body = text.strip_prefix("\x1b[")?;
    let end = body.find(|c: char| !matches!(c, '0'..='9' | ';' | ':'))?;
    body[end..].starts_with('m').then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_harmed() {
        for (text, colors, expect) in [
            ("plain\n\ttext é", true, "plain\n\ttext é"),
            ("\x1b]0;title\x07", true, "\\u{1b}]0;title\\u{7}"),
            ("\x1b[2J", true, "\\u{1b}[2J"),
            ("\x1b[1;31mred\x1b[0m", true, "\x1b[1;31mred\x1b[0m"),
            ("\x1b[1;31mred\x1b[0m", false, "red"),
            ("a\r\nb\rc", true, "a\nb\\rc"),
            ("\x1b[", true, "\\u{1b}["),
        ] {
            assert_eq!(safe(text, colors), expect, "{text:?}");
        }
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        assert_eq!(Paint::Good.apply("ok", true), "\x1b[32mok\x1b[0m");
        assert_eq!(Paint::Good.apply("ok", false), "ok");
        assert_eq!(Paint::None.apply("ok", true), "ok");
    }
}
