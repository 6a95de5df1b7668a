//! What goes wrong when an expression is read or evaluated.

use std::borrow::Cow;
use std::fmt;

/// What sort of failure an [`Error`] is: the part of it that programs look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The text is not a valid expression or template.
    Parse,
    /// A function that does not exist.
    UnknownFunction,
    /// A method that the value does not have.
    UnknownMethod,
    /// No variant of a function takes these arguments.
    NoMatch,
    /// Several variants of a function take these arguments.
    Ambiguous,
    /// An argument of the wrong form.
    Argument,
    /// A limit on work, size or depth was reached.
    Limit,
    /// A dictionary or the datastore lacks the key.
    Key,
    /// A sequence lacks the position.
    Index,
    /// An empty collection where an element is needed.
    Empty,
    /// A value that the operation refuses.
    Value,
    /// A value of a type that the operation refuses.
    Type,
    /// Division by zero and overflow.
    Arithmetic,
    /// A missing attribute.
    Attribute,
    /// A broken assumption of a function about its argument.
    Assertion,
    /// An invalid regular expression.
    Regex,
    /// A missing variable, attribute or element was used.
    Undefined,
    /// The sandbox refused the operation.
    Security,
    /// A failure of the template while it ran, such as an unknown filter named by data.
    Runtime,
    /// A template that needs another one.
    Template,
    /// The failure of a whole workflow expression; the message names the cause.
    Evaluation,
    /// A parameter that can't be rendered.
    Param,
    /// The datastore or another part of the outside world failed.
    Other,
}

/// A failed parse or evaluation.
///
/// `Display` is `"<class>: <message>"`, the form in which StackStorm reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The name under which StackStorm's users know the failure, such as
    /// `YaqlEvaluationException` or `UndefinedError`.
    pub class: Cow<'static, str>,
    /// The sort of failure.
    pub kind: Kind,
    /// What happened, for the author of the expression.
    pub message: String,
    /// Where a template's syntax is wrong, from 1; 0 if that is not known.
    pub(crate) line: u32,
    /// Whether a template's very first token is wrong, which the reference reports differently.
    pub(crate) at_first_token: bool,
}

impl Error {
    /// An error of a known class.
    #[must_use]
    pub fn new(class: &'static str, kind: Kind, message: impl Into<String>) -> Error {
        Error {
            class: Cow::Borrowed(class),
            kind,
            message: message.into(),
            line: 0,
            at_first_token: false,
        }
    }

    /// `YaqlEvaluationException` or `JinjaEvaluationException`: a workflow expression failed.
    #[must_use]
    pub fn evaluation(language: Language, message: impl Into<String>) -> Error {
        let class = match language {
            Language::Yaql => "YaqlEvaluationException",
            Language::Jinja => "JinjaEvaluationException",
        };
        Error::new(class, Kind::Evaluation, message)
    }

    /// `ExpressionEvaluationException`: what a workflow function was asked for is not there.
    #[must_use]
    pub fn function(message: impl Into<String>) -> Error {
        Error::new("ExpressionEvaluationException", Kind::Evaluation, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

impl std::error::Error for Error {}

/// The language of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    /// `{{ … }}` and `{% … %}`.
    Jinja,
    /// `<% … %>`.
    Yaql,
}

impl Language {
    /// `yaql` or `jinja`, as inspection reports it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Language::Jinja => "jinja",
            Language::Yaql => "yaql",
        }
    }
}

/// An expression that can't be read, found without evaluating it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Invalid {
    /// The language, or `None` for a text that mixes both.
    pub language: Option<Language>,
    /// The expression, with the form in which inspection reports it.
    pub expression: String,
    /// What is wrong.
    pub message: String,
}

/// A workflow variable that an expression names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The language of the expression.
    pub language: Language,
    /// The expression, delimiters included.
    pub statement: String,
    /// The variable.
    pub name: String,
}
