//! What can go wrong, in the reference implementation's words.

use std::borrow::Cow;
use std::fmt;

/// The family an error belongs to. Programs decide by it; people read the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The text is not an expression.
    Parse,
    /// No function has that name.
    UnknownFunction,
    /// No method has that name.
    UnknownMethod,
    /// Functions of that name exist, but none takes these arguments.
    NoMatch,
    /// More than one function takes these arguments and none is more specific.
    Ambiguous,
    /// Keyword arguments were used in a way that no function allows.
    Argument,
    /// A limit of the engine or of the [`Budget`](crate::Budget) was reached.
    Limit,
    /// A dictionary has no such key.
    Key,
    /// A position lies outside a sequence.
    Index,
    /// A collection has too few elements.
    Empty,
    /// An operation does not apply to a value of this type.
    Type,
    /// A value of the right type has the wrong content.
    Value,
    /// A division by zero or a number out of range.
    Arithmetic,
    /// `assert` failed.
    Assertion,
    /// A value lacks an operation that its look suggests.
    Attribute,
    /// A regular expression is malformed.
    Regex,
    /// A failure of the host program's own functions.
    Host,
    /// Anything else that fails while running.
    Runtime,
}

/// An evaluation that failed.
///
/// `class` is the name of the exception that the Python implementation raises, which some hosts
/// show to their users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The family.
    pub kind: Kind,
    /// The exception class of the reference implementation.
    pub class: Cow<'static, str>,
    /// What went wrong.
    pub message: String,
}

impl std::error::Error for Error {}

/// The message alone; hosts put the class before it where they want it.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error {
    /// An error of any kind and class.
    pub fn new(
        kind: Kind,
        class: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Error {
        Error {
            kind,
            class: class.into(),
            message: message.into(),
        }
    }

    /// A failure of a host function; `class` names it to users.
    pub fn host(class: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Error {
        Error::new(Kind::Host, class, message)
    }

    /// An operation that does not apply to the type.
    pub fn type_error(message: impl Into<String>) -> Error {
        Error::new(Kind::Type, "TypeError", message)
    }

    /// A value with the wrong content.
    pub fn value_error(message: impl Into<String>) -> Error {
        Error::new(Kind::Value, "ValueError", message)
    }

    /// A dictionary without the key, which is given in `repr` form.
    pub fn key_error(key: impl Into<String>) -> Error {
        Error::new(Kind::Key, "KeyError", key)
    }

    /// A position outside a sequence; `what` is `tuple` or `list`.
    #[must_use]
    pub fn index_error(what: &str) -> Error {
        Error::new(
            Kind::Index,
            "IndexError",
            format!("{what} index out of range"),
        )
    }

    /// Too few elements.
    pub fn empty(message: impl Into<String>) -> Error {
        Error::new(Kind::Empty, "StopIteration", message)
    }

    /// A missing operation.
    pub fn attribute(message: impl Into<String>) -> Error {
        Error::new(Kind::Attribute, "AttributeError", message)
    }

    pub(crate) fn zero_division(message: &str) -> Error {
        Error::new(Kind::Arithmetic, "ZeroDivisionError", message)
    }

    pub(crate) fn overflow(message: &str) -> Error {
        Error::new(Kind::Arithmetic, "OverflowError", message)
    }

    pub(crate) fn regex(message: impl Into<String>) -> Error {
        Error::new(Kind::Regex, "error", message)
    }

    pub(crate) fn runtime(message: &str) -> Error {
        Error::new(Kind::Runtime, "RuntimeError", message)
    }

    pub(crate) fn unhashable(type_name: &str) -> Error {
        Error::type_error(format!("unhashable type: '{type_name}'"))
    }

    pub(crate) fn unknown_function(name: &str) -> Error {
        let message = format!("Unknown function \"{name}\"");
        Error::new(
            Kind::UnknownFunction,
            "NoFunctionRegisteredException",
            message,
        )
    }

    pub(crate) fn unknown_method(name: &str, receiver: &str) -> Error {
        let message = format!("Unknown method \"{name}\" for receiver {receiver}");
        Error::new(Kind::UnknownMethod, "NoMethodRegisteredException", message)
    }

    pub(crate) fn no_matching(name: &str, receiver: Option<&str>) -> Error {
        match receiver {
            None => Error::new(
                Kind::NoMatch,
                "NoMatchingFunctionException",
                format!("No function \"{name}\" matches supplied arguments"),
            ),
            Some(receiver) => Error::new(
                Kind::NoMatch,
                "NoMatchingMethodException",
                format!("No method \"{name}\" for receiver {receiver} matches supplied arguments"),
            ),
        }
    }

    pub(crate) fn ambiguous(name: &str, receiver: Option<&str>) -> Error {
        match receiver {
            None => Error::new(
                Kind::Ambiguous,
                "AmbiguousFunctionException",
                format!("Ambiguous function \"{name}\""),
            ),
            Some(receiver) => Error::new(
                Kind::Ambiguous,
                "AmbiguousMethodException",
                format!("Ambiguous method \"{name}\" for receiver {receiver}"),
            ),
        }
    }

    pub(crate) fn mapping_translation() -> Error {
        Error::new(
            Kind::Argument,
            "MappingTranslationException",
            "Cannot convert mapping to keyword argument",
        )
    }

    pub(crate) fn argument(name: &str) -> Error {
        Error::new(
            Kind::Argument,
            "ArgumentException",
            format!("Invalid argument {name}"),
        )
    }

    pub(crate) fn too_large(limit: u64) -> Error {
        Error::new(
            Kind::Limit,
            "CollectionTooLargeException",
            format!("Collection length exceeds {limit} elements"),
        )
    }

    pub(crate) fn memory() -> Error {
        Error::new(
            Kind::Limit,
            "MemoryQuotaExceededException",
            "Expression consumed too much memory",
        )
    }

    pub(crate) fn steps() -> Error {
        Error::new(
            Kind::Limit,
            "StepsExceededException",
            "Expression did not end within its limit of steps; an endless iterator may need limit()",
        )
    }

    pub(crate) fn interrupted() -> Error {
        Error::new(
            Kind::Limit,
            "InterruptedException",
            "Expression was stopped by its host, probably for taking too long",
        )
    }

    pub(crate) fn too_deep() -> Error {
        Error::new(
            Kind::Limit,
            "RecursionError",
            "maximum recursion depth exceeded",
        )
    }
}

/// A text that is not an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// What was wrong, in the reference implementation's words.
    pub message: String,
    /// Offset of the offence in characters, from 0; `None` when the text ended too early.
    pub position: Option<usize>,
    /// Whether no token could be read there (as opposed to a token in the wrong place).
    pub lexical: bool,
}

impl ParseError {
    /// The exception class of the reference implementation.
    #[must_use]
    pub fn class(&self) -> &'static str {
        if self.lexical {
            "YaqlLexicalException"
        } else {
            "YaqlGrammarException"
        }
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Error {
        let class = error.class();
        Error::new(Kind::Parse, class, error.message)
    }
}
