//! Where something stands in a text.

use std::fmt;

/// A place in a text, as editors count: both numbers begin at one, columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line, from one.
    pub line: usize,
    /// The column in characters (Unicode scalar values), from one.
    pub column: usize,
}

impl Position {
    /// The first character of a text.
    pub const START: Position = Position { line: 1, column: 1 };

    pub(crate) fn from_marker(marker: &granit_parser::Marker) -> Position {
        Position {
            line: marker.line().max(1),
            column: marker.col() + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A stretch of text, from its first character to the one after its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first character.
    pub start: Position,
    /// The first character that no longer belongs to it.
    pub end: Position,
}

impl Span {
    /// The empty stretch at `position`.
    #[must_use]
    pub fn at(position: Position) -> Span {
        Span {
            start: position,
            end: position,
        }
    }

    pub(crate) fn from_parser(span: &granit_parser::Span) -> Span {
        Span {
            start: Position::from_marker(&span.start),
            end: Position::from_marker(&span.end),
        }
    }
}
