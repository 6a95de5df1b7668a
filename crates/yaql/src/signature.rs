//! What a function takes: parameters, their types and defaults, written as a line of text.

use squall_value::{Str, Value as Data};

use crate::ast::Expr;
use crate::limits::Options;
use crate::value::{Value, ViewKind};

/// What a parameter accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Any,
    Null,
    /// Integers and booleans.
    Int,
    /// Integers that are no booleans.
    StrictInt,
    Number,
    Str,
    Bool,
    Dict,
    Set,
    Regex,
    DateTime,
    TimeSpan,
    /// Any collection but strings and dictionaries.
    Iterable,
    /// The same without sets and set-like views.
    IterableNoSet,
    Sequence,
    Iterator,
    Ordering,
    Context,
    Callable,
    /// An evaluated `key => value`.
    RulePair,
    /// An unevaluated argument.
    Lambda,
    /// An unevaluated `key => value`.
    Rule,
    /// A bare word.
    Keyword,
}

impl Type {
    fn parse(name: &str) -> Option<Type> {
        Some(match name {
            "any" => Type::Any,
            "none" => Type::Null,
            "int" => Type::Int,
            "int!" => Type::StrictInt,
            "num" => Type::Number,
            "str" => Type::Str,
            "bool" => Type::Bool,
            "dict" => Type::Dict,
            "set" => Type::Set,
            "regex" => Type::Regex,
            "datetime" => Type::DateTime,
            "timespan" => Type::TimeSpan,
            "iterable" => Type::Iterable,
            "iterable-no-set" => Type::IterableNoSet,
            "sequence" => Type::Sequence,
            "iterator" => Type::Iterator,
            "ordering" => Type::Ordering,
            "context" => Type::Context,
            "callable" => Type::Callable,
            "rule-pair" => Type::RulePair,
            "lambda" => Type::Lambda,
            "rule" => Type::Rule,
            "keyword" => Type::Keyword,
            _ => return None,
        })
    }

    /// Whether arguments of this type stay unevaluated.
    pub(crate) fn is_lazy(self) -> bool {
        matches!(self, Type::Lambda | Type::Rule)
    }

    /// Whether a value of the Python type behind `self` is always one of `other` but not the reverse.
    pub(crate) fn is_narrower_than(self, other: Type) -> bool {
        use Type as T;
        if matches!(self, T::Lambda | T::Rule | T::Keyword) || self == other {
            return false;
        }
        match other {
            T::Any => self != T::Any,
            T::Int => matches!(self, T::Bool),
            T::Iterable | T::IterableNoSet => matches!(
                self,
                T::Sequence | T::Iterator | T::Ordering | T::Set | T::Dict | T::Str
            ),
            T::Sequence => self == T::Str,
            _ => false,
        }
    }

    fn accepts(self, value: &Value, options: &Options) -> bool {
        match self {
            Type::Any | Type::Lambda => true,
            Type::Null | Type::Rule | Type::Keyword => false,
            Type::Int => matches!(value, Value::Int(_) | Value::BigInt(_) | Value::Bool(_)),
            Type::StrictInt => matches!(value, Value::Int(_) | Value::BigInt(_)),
            Type::Number => matches!(value, Value::Int(_) | Value::BigInt(_) | Value::Float(_)),
            Type::Str => matches!(value, Value::String(_)),
            Type::Bool => matches!(value, Value::Bool(_)),
            Type::Dict => matches!(value, Value::Dict(_) | Value::HostDict(_)),
            Type::Set => value.is_set_like(),
            Type::Regex => matches!(value, Value::Regex(_)),
            Type::DateTime => matches!(value, Value::DateTime(_)),
            Type::TimeSpan => matches!(value, Value::TimeSpan(_)),
            Type::Iterable => {
                value.is_iterable() || options.iterable_dicts && matches!(value, Value::Dict(_))
            }
            Type::IterableNoSet => match value {
                Value::Set(_) => false,
                Value::View(view) => view.kind == ViewKind::Values,
                Value::Dict(_) => options.iterable_dicts,
                other => other.is_iterable(),
            },
            Type::Sequence => matches!(value, Value::Sequence(_)),
            Type::Iterator => matches!(value, Value::Iterator(_)),
            Type::Ordering => matches!(value, Value::Ordering(_)),
            Type::Context => matches!(value, Value::Context(_)),
            Type::Callable => matches!(value, Value::Function(_)),
            Type::RulePair => matches!(value, Value::Rule(_)),
        }
    }
}

/// What a parameter is when no argument is given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Default {
    /// Nothing: the function can tell.
    Missing,
    Value(Data),
}

#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: Str,
    pub(crate) kind: Type,
    pub(crate) nullable: bool,
    pub(crate) default: Option<Default>,
}

impl Parameter {
    /// Whether an evaluated argument fits.
    pub(crate) fn accepts(&self, value: &Value, options: &Options) -> bool {
        match value {
            Value::Null => self.nullable || self.kind == Type::Null,
            value => self.kind.accepts(value, options),
        }
    }

    /// Whether an argument may fit before it is evaluated.
    pub(crate) fn may_accept(&self, expr: &Expr, options: &Options) -> bool {
        match self.kind {
            Type::Lambda => true,
            Type::Rule => matches!(expr, Expr::Rule(..)),
            Type::Keyword => matches!(expr, Expr::Keyword(_)),
            _ => match expr {
                Expr::Literal(data) => self.accepts(&Value::from(data.clone()), options),
                Expr::Keyword(word) => self.accepts(&Value::String(word.clone()), options),
                _ => true,
            },
        }
    }
}

/// A function's name and what it takes.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) name: Str,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) rest: Option<Parameter>,
    pub(crate) keywords: bool,
    /// Whether `k => v` arguments are values and not keyword arguments.
    pub(crate) takes_rules: bool,
}

/// A signature's text that does not follow the form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("signature `{signature}` is malformed at `{part}`")]
pub struct SignatureError {
    /// The whole text.
    pub signature: String,
    /// The part that can't be read.
    pub part: String,
}

impl Signature {
    /// Reads `name(a, b: type, c: type?=default, *rest: type, **keywords)`. A `!` before the name
    /// marks a function that takes rules instead of keyword arguments.
    pub(crate) fn parse(text: &str) -> Result<Signature, SignatureError> {
        let error = |part: &str| SignatureError {
            signature: text.to_owned(),
            part: part.to_owned(),
        };
        let (takes_rules, rest_text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (name, list) = rest_text.split_once('(').ok_or_else(|| error(text))?;
        let list = list.strip_suffix(')').ok_or_else(|| error(list))?;
        let mut signature = Signature {
            name: Str::from(name),
            parameters: Vec::new(),
            rest: None,
            keywords: false,
            takes_rules,
        };
        for part in list.split(", ").filter(|part| !part.is_empty()) {
            if part.starts_with("**") {
                signature.keywords = true;
            } else if let Some(rest) = part.strip_prefix('*') {
                signature.rest = Some(parameter(rest).ok_or_else(|| error(part))?);
            } else {
                signature
                    .parameters
                    .push(parameter(part).ok_or_else(|| error(part))?);
            }
        }
        Ok(signature)
    }

    /// What every function defined in an expression takes: anything.
    pub(crate) fn anything() -> Signature {
        Signature {
            name: Str::from(""),
            parameters: Vec::new(),
            rest: Some(Parameter {
                name: Str::from("args"),
                kind: Type::Any,
                nullable: true,
                default: None,
            }),
            keywords: true,
            takes_rules: false,
        }
    }
}

fn parameter(text: &str) -> Option<Parameter> {
    let (head, default) = match text.split_once('=') {
        Some((head, default)) => (head, Some(default_value(default)?)),
        None => (text, None),
    };
    let (name, kind) = head.split_once(": ").unwrap_or((head, "any?"));
    let (kind, nullable) = match kind.strip_suffix('?') {
        Some(kind) => (kind, true),
        None => (kind, false),
    };
    let kind = Type::parse(kind)?;
    Some(Parameter {
        name: Str::from(name),
        kind,
        // A lambda that is the word `null` is a lambda all the same.
        nullable: nullable || kind == Type::Lambda,
        default,
    })
}

fn default_value(text: &str) -> Option<Default> {
    Some(Default::Value(match text {
        "—" => return Some(Default::Missing),
        "null" => Data::Null,
        "true" => Data::Bool(true),
        "false" => Data::Bool(false),
        quoted if quoted.starts_with('\'') => Data::from(quoted.trim_matches('\'')),
        number => Data::Int(number.parse().ok()?),
    }))
}
