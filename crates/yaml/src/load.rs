//! The doors: text or bytes in, documents or findings out.

use std::borrow::Cow;
use std::fmt;

use squall_value::Value;

use crate::compose;
use crate::diagnostic::{Diagnostic, Severity};
use crate::node::Node;
use crate::span::{Position, Span};

/// How much a text may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of the text in bytes.
    pub bytes_max: usize,
    /// Levels of nesting, aliases followed.
    pub depth_max: usize,
    /// Values in all documents together, each alias and merge counted as often as it repeats what
    /// it refers to.
    pub nodes_max: usize,
    /// Findings after which reading stops.
    pub diagnostics_max: usize,
}

/// 16 MiB of text, 200 levels, one million values, one hundred findings.
impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bytes_max: 16 << 20,
            depth_max: 200,
            nodes_max: 1_000_000,
            diagnostics_max: 100,
        }
    }
}

/// What to make of a key that is set twice in one mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DuplicateKeys {
    /// The last one wins, as in PyYAML, with a warning.
    #[default]
    Warn,
    /// They are errors, as Orquesta has it for workflows.
    Refuse,
}

/// What to make of a tag that the safe loader does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownTags {
    /// It is an error, as in PyYAML.
    #[default]
    Refuse,
    /// The value counts as if it had none: for what other programs write with tags of their own,
    /// such as the reports of Puppet.
    Ignore,
}

/// How to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What to make of repeated keys.
    pub duplicate_keys: DuplicateKeys,
    /// What to make of tags that have no meaning.
    pub unknown_tags: UnknownTags,
    /// How much the text may ask for.
    pub limits: Limits,
}

impl Options {
    /// The options for workflows: repeated keys are errors.
    #[must_use]
    pub fn strict() -> Options {
        Options {
            duplicate_keys: DuplicateKeys::Refuse,
            ..Options::default()
        }
    }
}

/// A document that was read.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its value; null for an empty document.
    pub root: Node,
    /// What its author should know.
    pub warnings: Vec<Diagnostic>,
}

/// Why a text was not read: at least one error, and the warnings found on the way, by position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// All findings.
    pub diagnostics: Vec<Diagnostic>,
}

impl Failure {
    /// The first error.
    #[must_use]
    pub fn first(&self) -> &Diagnostic {
        self.diagnostics
            .iter()
            .find(|diagnostic| diagnostic.severity == Severity::Error)
            .expect("a failure is only made of findings with an error among them")
    }

    fn from_one(diagnostic: Diagnostic) -> Failure {
        Failure {
            diagnostics: vec![diagnostic],
        }
    }
}

/// The first error on one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.first();
        write!(
            f,
            "line {}, column {}: {}",
            first.line, first.column, first.message
        )?;
        if let Some(help) = &first.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// Reads the one document in `text`; an empty text is null.
///
/// # Errors
///
/// [`Failure`] if the text is no YAML, exceeds a limit, holds more than one document, or has a
/// value that the safe loader refuses: an unknown tag, a key that is a list or mapping, an
/// impossible date.
pub fn load(text: &str, options: &Options) -> Result<Document, Failure> {
    let mut documents = load_all(text, options)?;
    if let Some(second) = documents.get(1) {
        let diagnostic = Diagnostic::error(second.root.position(), "a second document begins here")
            .with_help("remove the line `---` before it, or put it in a file of its own");
        return Err(Failure::from_one(diagnostic));
    }
    Ok(documents.pop().unwrap_or_else(|| Document {
        root: Node {
            kind: crate::node::Kind::Null,
            span: Span::at(Position::START),
        },
        warnings: Vec::new(),
    }))
}

/// Reads all documents in `text`, which may be none.
///
/// # Errors
///
/// As [`load`]; one broken document refuses all.
pub fn load_all(text: &str, options: &Options) -> Result<Vec<Document>, Failure> {
    if text.len() > options.limits.bytes_max {
        return Err(too_long(options));
    }
    if let Some(diagnostic) = forbidden_character(text) {
        return Err(Failure::from_one(diagnostic));
    }
    compose::compose(text, options).map_err(|mut diagnostics| {
        diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        Failure { diagnostics }
    })
}

/// Reads the one document in `bytes`: UTF-8, or UTF-16 with a byte-order mark.
///
/// # Errors
///
/// As [`load`], and if the bytes are not text.
pub fn load_bytes(bytes: &[u8], options: &Options) -> Result<Document, Failure> {
    if bytes.len() > options.limits.bytes_max {
        return Err(too_long(options));
    }
    load(&decode(bytes)?, options)
}

/// The value of the one document in `text`, for those who need no positions.
///
/// # Errors
///
/// As [`load`].
pub fn value(text: &str) -> Result<Value, Failure> {
    load(text, &Options::default()).map(|document| document.root.to_value())
}

fn too_long(options: &Options) -> Failure {
    let message = format!("the text is longer than {} bytes", options.limits.bytes_max);
    Failure::from_one(
        Diagnostic::error(Position::START, message).with_help("split it into several files"),
    )
}

fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Failure> {
    let wide = |from: fn([u8; 2]) -> u16| -> Result<Cow<'_, str>, Failure> {
        let units = bytes[2..]
            .chunks_exact(2)
            .map(|pair| from([pair[0], pair[1]]));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        match text {
            Ok(text) if bytes.len().is_multiple_of(2) => Ok(Cow::Owned(text)),
            _ => Err(Failure::from_one(
                Diagnostic::error(Position::START, "the file is not valid UTF-16")
                    .with_help("save the file as UTF-8"),
            )),
        }
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => std::str::from_utf8(bytes)
            .map(Cow::Borrowed)
            .map_err(|error| {
                let valid = &bytes[..error.valid_up_to()];
                let valid = std::str::from_utf8(valid).unwrap_or_default();
                let message = format!(
                    "the file is not valid UTF-8: byte 0x{:02x}",
                    bytes[error.valid_up_to()]
                );
                Failure::from_one(
                    Diagnostic::error(end_of(valid), message)
                        .with_help("save the file as UTF-8; it may be Latin-1 or binary"),
                )
            }),
    }
}

/// The position behind the last character of `text`.
fn end_of(text: &str) -> Position {
    let line_start = text.rfind('\n').map_or(0, |index| index + 1);
    Position {
        line: text.bytes().filter(|byte| *byte == b'\n').count() + 1,
        column: text[line_start..].chars().count() + 1,
    }
}

/// YAML allows no control characters but tab and line breaks, not even in quotes.
fn forbidden_character(text: &str) -> Option<Diagnostic> {
    let (index, character) = text.char_indices().find(|(_, c)| {
        matches!(c,
            '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\x7f'..='\u{84}'
            | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')
    })?;
    let message = format!(
        "the character U+{:04X} is not allowed in YAML",
        u32::from(character)
    );
    Some(
        Diagnostic::error(end_of(&text[..index]), message)
            .with_help("remove it; in double quotes it can be written as an escape such as \\x00"),
    )
}
