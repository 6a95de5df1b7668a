//! The parser's refusals in plain words, with what to do.

use granit_parser::{ErrorKind, ScanError};

use crate::diagnostic::Diagnostic;
use crate::span::Position;

/// The finding for a text that the parser refuses.
pub(crate) fn explain(error: &ScanError, depth_max: usize) -> Diagnostic {
    let position = Position::from_marker(error.marker());
    let (message, help) = words(error.kind(), depth_max);
    let diagnostic = Diagnostic::error(position, message);
    match help {
        Some(help) => diagnostic.with_help(help),
        None => diagnostic,
    }
}

fn words(kind: &ErrorKind, depth_max: usize) -> (String, Option<&'static str>) {
    use ErrorKind as E;
    let (message, help) = match kind {
        E::TabNotAllowed
        | E::TabInBlockIndentation
        | E::TabInIndentation
        | E::TabAtBlockScalarStart
        | E::TabInPlainScalar => (
            "a tab is used where YAML allows only spaces",
            "replace the tab by spaces",
        ),
        E::UnclosedQuotedScalar => (
            "a quoted text is never closed",
            "add the missing quote; inside single quotes write '' for a quote",
        ),
        E::UnclosedFlowCollection { open: '{' } | E::UnexpectedEofFlowMapping => (
            "a `{` is never closed",
            "add the missing `}`, or put the text in quotes if the `{` belongs to it (as in '{{ x }}')",
        ),
        E::UnclosedFlowCollection { .. } | E::UnexpectedEofFlowSequence => {
            ("a `[` is never closed", "add the missing `]`")
        }
        E::ExpectedFlowMappingSeparator => (
            "a `,` or `}` is missing",
            "close the `{`, or put the text in quotes if the `{` belongs to it (as in '{{ x }}')",
        ),
        E::ExpectedFlowSequenceSeparator => (
            "a `,` or `]` is missing",
            "separate the elements by commas and close the list",
        ),
        E::MappingValueNotAllowed => (
            "a `:` stands where no key can be",
            "put the text in quotes if the colon belongs to it, or correct the indentation",
        ),
        E::ExpectedBlockMappingKey => (
            "a key is expected here",
            "give the line the indentation of the keys around it",
        ),
        E::ExpectedBlockSequenceEntry => (
            "a `-` is expected here",
            "give the line the indentation of the elements around it",
        ),
        E::InvalidIndentation | E::InvalidBlockScalarIndent | E::InvalidFlowScalarIndent => (
            "the indentation fits nothing above it",
            "align the line with its neighbours",
        ),
        E::SimpleKeyExpected | E::InvalidSimpleKey => (
            "a `:` is missing after a key",
            "write `key: value`, or indent the text if it continues the line before",
        ),
        E::UnexpectedCharacter { character: '%' } => (
            "a plain text can't begin with `%`",
            "put the text in quotes",
        ),
        E::UnexpectedCharacter {
            character: '@' | '`',
        } => (
            "a plain text can't begin with `@` or a back-quote",
            "put the text in quotes",
        ),
        other => return rare_words(other, depth_max),
    };
    (message.to_owned(), Some(help))
}

/// The refusals that are met less often.
fn rare_words(kind: &ErrorKind, depth_max: usize) -> (String, Option<&'static str>) {
    use ErrorKind as E;
    let (message, help) = match kind {
        E::UnknownAnchor => (
            "an alias (`*name`) refers to an anchor that is not defined before it",
            "define the anchor (`&name`) first, or put the text in quotes if the `*` belongs to it",
        ),
        E::MissingAnchorOrAliasName => (
            "a `*` or `&` has no name",
            "put the text in quotes if the character belongs to it",
        ),
        E::UnknownQuotedScalarEscape => (
            "an unknown escape stands in a text in double quotes",
            "write \\\\ for a backslash, or use single quotes",
        ),
        E::BlockSequenceEntryNotAllowed => (
            "a list element (`-`) can't stand here",
            "begin the list on its own line, below its key",
        ),
        E::MismatchedFlowCollectionEnd { .. } | E::MisplacedFlowCollectionEnd => (
            "a closing bracket does not fit the opening one",
            "close `[` with `]` and `{` with `}`",
        ),
        E::UndeclaredTagHandle => (
            "a tag uses a prefix that is not declared",
            "remove the tag, or put the text in quotes if the `!` belongs to it",
        ),
        E::RecursionLimitExceeded => {
            return (
                format!("the document is nested more than {depth_max} levels deep"),
                Some("flatten the document"),
            );
        }
        other => return (other.to_string(), None),
    };
    (message.to_owned(), Some(help))
}
