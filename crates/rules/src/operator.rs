//! The operators of criteria.
//!
//! Source: StackStorm `st2common/operators.py`. Values are compared as they are, without coercion:
//! `5` is not `"5"`. What Python can't compare is an error, which never matches and is reported.

use jiff::Timestamp;
use squall_expr::{Error, Kind};
use squall_value::{Str, Value, python as text};

use crate::date;
use crate::python::{contains, equal, no_attribute, ordered, type_error, type_name};
use crate::regex::{Mode, Regex};
use crate::wildcard::Wildcard;

/// An operator of a criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// The same value.
    Equals,
    /// Another value.
    NotEquals,
    /// The same text, whatever the case.
    EqualsIgnoreCase,
    /// The pattern is part of a text, an element of a list or a key of a dictionary.
    Contains,
    /// The pattern is part of a text, whatever the case.
    ContainsIgnoreCase,
    /// Not [`Operator::Contains`].
    NotContains,
    /// Not [`Operator::ContainsIgnoreCase`].
    NotContainsIgnoreCase,
    /// A text begins with the pattern.
    StartsWith,
    /// A text begins with the pattern, whatever the case.
    StartsWithIgnoreCase,
    /// A text ends with the pattern.
    EndsWith,
    /// A text ends with the pattern, whatever the case.
    EndsWithIgnoreCase,
    /// Less than the pattern.
    LessThan,
    /// Greater than the pattern.
    GreaterThan,
    /// A text matches shell wildcards.
    MatchWildcard,
    /// A text matches a regular expression from its beginning; the dot matches line ends.
    MatchRegex,
    /// A regular expression is found in a text.
    Regex,
    /// A regular expression is found in a text, whatever the case.
    RegexIgnoreCase,
    /// Less than so many seconds ago.
    TimeDiffLess,
    /// More than so many seconds ago.
    TimeDiffGreater,
    /// There is a value.
    Exists,
    /// There is none.
    NotExists,
    /// The value is part, element or key of the pattern.
    Inside,
    /// Not [`Operator::Inside`].
    NotInside,
    /// The elements of a list meet criteria of their own.
    Search,
}

use Operator as O;

/// Names and operators; of two names for one operator, the first is shown in messages.
const NAMES: [(&str, Operator); 33] = [
    ("equals", O::Equals),
    ("eq", O::Equals),
    ("nequals", O::NotEquals),
    ("neq", O::NotEquals),
    ("iequals", O::EqualsIgnoreCase),
    ("ieq", O::EqualsIgnoreCase),
    ("contains", O::Contains),
    ("icontains", O::ContainsIgnoreCase),
    ("ncontains", O::NotContains),
    ("incontains", O::NotContainsIgnoreCase),
    ("startswith", O::StartsWith),
    ("istartswith", O::StartsWithIgnoreCase),
    ("endswith", O::EndsWith),
    ("iendswith", O::EndsWithIgnoreCase),
    ("lessthan", O::LessThan),
    ("lt", O::LessThan),
    ("greaterthan", O::GreaterThan),
    ("gt", O::GreaterThan),
    ("matchwildcard", O::MatchWildcard),
    ("matchregex", O::MatchRegex),
    ("regex", O::Regex),
    ("iregex", O::RegexIgnoreCase),
    ("timediff_lt", O::TimeDiffLess),
    ("td_lt", O::TimeDiffLess),
    ("timediff_gt", O::TimeDiffGreater),
    ("td_gt", O::TimeDiffGreater),
    ("exists", O::Exists),
    ("nexists", O::NotExists),
    ("inside", O::Inside),
    ("in", O::Inside),
    ("ninside", O::NotInside),
    ("nin", O::NotInside),
    ("search", O::Search),
];

/// All names of operators.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name)
}

impl Operator {
    /// The operator of a name, in any case.
    ///
    /// # Errors
    ///
    /// `Invalid operator: <name>`.
    pub fn parse(name: &str) -> Result<Operator, Error> {
        let lower = name.to_lowercase();
        NAMES
            .iter()
            .find(|(known, _)| *known == lower)
            .map(|(_, operator)| *operator)
            .ok_or_else(|| {
                Error::new(
                    "Exception",
                    Kind::Other,
                    format!("Invalid operator: {lower}"),
                )
            })
    }

    /// The long name.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(_, operator)| *operator == self)
            .map_or("", |(name, _)| name)
    }

    /// Applies the operator. `now` is the clock for the operators that ask for it.
    ///
    /// # Errors
    ///
    /// What Python raises: `TypeError` and `AttributeError` for values that the operator can't
    /// compare, `error` for an invalid regular expression, `ParserError` for a text that is no
    /// date. [`Operator::Search`] needs criteria, not a pattern, and always fails here.
    pub fn apply(self, value: &Value, pattern: &Value, now: Timestamp) -> Result<bool, Error> {
        Test::new(self, pattern).apply(value, pattern, now)
    }

    /// Whether it compares with the clock.
    pub(crate) fn needs_clock(self) -> bool {
        matches!(self, O::TimeDiffLess | O::TimeDiffGreater)
    }

    /// Of which values it is known that they can't make it fail, with a constant pattern; `None`
    /// when of none.
    pub(crate) fn safe_for(self, pattern: &Value) -> Option<Safe> {
        match (self, pattern) {
            (O::Equals | O::NotEquals | O::Exists | O::NotExists, _) => Some(Safe::All),
            (
                O::LessThan | O::GreaterThan,
                Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_),
            ) => Some(Safe::Numbers),
            (
                O::LessThan
                | O::GreaterThan
                | O::Contains
                | O::NotContains
                | O::StartsWith
                | O::EndsWith
                | O::EqualsIgnoreCase
                | O::ContainsIgnoreCase
                | O::NotContainsIgnoreCase
                | O::StartsWithIgnoreCase
                | O::EndsWithIgnoreCase
                | O::MatchWildcard,
                Value::String(_),
            ) => Some(Safe::Texts),
            _ => None,
        }
    }
}

/// Values that can't make an operator fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Safe {
    /// Whatever there is.
    All,
    /// Numbers, truth values among them.
    Numbers,
    /// Texts.
    Texts,
}

impl Safe {
    /// Whether a value is one of them.
    pub(crate) fn has(self, value: &Value) -> bool {
        match self {
            Safe::All => true,
            Safe::Numbers => matches!(
                value,
                Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_)
            ),
            Safe::Texts => matches!(value, Value::String(_)),
        }
    }
}

/// An operator with what can be computed from its pattern alone.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    operator: Operator,
    prepared: Prepared,
}

#[derive(Clone, Debug)]
enum Prepared {
    Nothing,
    Lower(Str),
    Wildcard(Wildcard),
    Regex(Regex),
    Seconds(f64),
    /// The pattern is no good; what comes first in Python is the value, so the error waits.
    Broken(Error),
}

impl Test {
    pub(crate) fn new(operator: Operator, pattern: &Value) -> Test {
        Test {
            operator,
            prepared: prepare(operator, pattern),
        }
    }

    /// Applies the operator to `value`; `pattern` is the one that the test was made of.
    pub(crate) fn apply(
        &self,
        value: &Value,
        pattern: &Value,
        now: Timestamp,
    ) -> Result<bool, Error> {
        match self.operator {
            O::NotEquals => return Ok(!equal(value, pattern)),
            O::Exists => return Ok(!value.is_null()),
            O::NotExists => return Ok(value.is_null()),
            O::Search => {
                return Err(type_error(
                    "search() missing 2 required positional arguments: 'criteria_condition' and \
                     'check_function'; write `search` in lower case",
                ));
            }
            _ if pattern.is_null() => return Ok(false),
            _ => {}
        }
        match self.operator {
            O::Equals => Ok(equal(value, pattern)),
            O::Contains => contains(value, pattern),
            O::NotContains => contains(value, pattern).map(|found| !found),
            O::Inside => contains(pattern, value),
            O::NotInside => contains(pattern, value).map(|found| !found),
            O::LessThan => ordered(value, pattern, "<"),
            O::GreaterThan => ordered(value, pattern, ">"),
            O::TimeDiffLess => self.age(value, now).map(|(age, seconds)| age < seconds),
            O::TimeDiffGreater => self.age(value, now).map(|(age, seconds)| age > seconds),
            O::StartsWith | O::EndsWith => self.affix(value, pattern),
            O::MatchWildcard => self.wildcard(value),
            O::MatchRegex | O::Regex | O::RegexIgnoreCase => self.regex(value),
            _ => self.ignoring_case(value, pattern),
        }
    }

    fn affix(&self, value: &Value, pattern: &Value) -> Result<bool, Error> {
        let name = self.operator.name();
        let value = value.as_str().ok_or_else(|| no_attribute(value, name))?;
        let Some(affix) = pattern.as_str() else {
            return Err(type_error(format!(
                "{name} first arg must be str or a tuple of str, not {}",
                type_name(pattern)
            )));
        };
        Ok(if self.operator == O::StartsWith {
            value.starts_with(affix)
        } else {
            value.ends_with(affix)
        })
    }

    fn ignoring_case(&self, value: &Value, pattern: &Value) -> Result<bool, Error> {
        // `contains` lowers its pattern first, the others their value.
        let pattern_first = matches!(
            self.operator,
            O::ContainsIgnoreCase | O::NotContainsIgnoreCase
        );
        let lower = match &self.prepared {
            Prepared::Lower(lower) => Ok(lower),
            _ => Err(no_attribute(pattern, "lower")),
        };
        if pattern_first && let Err(error) = lower {
            return Err(error);
        }
        let value = value
            .as_str()
            .ok_or_else(|| no_attribute(value, "lower"))?
            .to_lowercase();
        let lower: &str = lower?;
        Ok(match self.operator {
            O::ContainsIgnoreCase => value.contains(lower),
            O::NotContainsIgnoreCase => !value.contains(lower),
            O::StartsWithIgnoreCase => value.starts_with(lower),
            O::EndsWithIgnoreCase => value.ends_with(lower),
            _ => value == lower,
        })
    }

    fn wildcard(&self, value: &Value) -> Result<bool, Error> {
        let value = value.as_str().ok_or_else(|| not_a_path(value))?;
        match &self.prepared {
            Prepared::Wildcard(wildcard) => Ok(wildcard.matches(value)),
            Prepared::Broken(error) => Err(error.clone()),
            _ => Ok(false),
        }
    }

    fn regex(&self, value: &Value) -> Result<bool, Error> {
        match &self.prepared {
            Prepared::Regex(regex) => match value.as_str() {
                Some(value) => regex.is_match(value),
                // Python compiles the pattern before it looks at the value.
                None => Err(regex.compiled().err().unwrap_or_else(|| {
                    type_error(format!(
                        "expected string or bytes-like object, got '{}'",
                        type_name(value)
                    ))
                })),
            },
            Prepared::Broken(error) => Err(error.clone()),
            _ => Ok(false),
        }
    }

    /// How many seconds ago `value` was, and how many the pattern names.
    fn age(&self, value: &Value, now: Timestamp) -> Result<(f64, f64), Error> {
        let moment = date::parse(&text::str(value), now)?;
        match &self.prepared {
            Prepared::Seconds(seconds) => {
                #[allow(clippy::cast_precision_loss)]
                let age = now.duration_since(moment).as_micros() as f64 / 1e6;
                Ok((age, *seconds))
            }
            Prepared::Broken(error) => Err(error.clone()),
            _ => Ok((f64::NAN, f64::NAN)),
        }
    }
}

fn prepare(operator: Operator, pattern: &Value) -> Prepared {
    if pattern.is_null() {
        return Prepared::Nothing;
    }
    let regex = |mode| match pattern.as_str() {
        Some(text) => Prepared::Regex(Regex::new(text, mode)),
        None => Prepared::Broken(type_error(match pattern {
            Value::List(_) | Value::Dict(_) => format!("unhashable type: '{}'", type_name(pattern)),
            _ => "first argument must be string or compiled pattern".to_owned(),
        })),
    };
    match operator {
        O::EqualsIgnoreCase
        | O::ContainsIgnoreCase
        | O::NotContainsIgnoreCase
        | O::StartsWithIgnoreCase
        | O::EndsWithIgnoreCase => match pattern.as_str() {
            Some(text) => Prepared::Lower(Str::from(text.to_lowercase())),
            None => Prepared::Nothing,
        },
        O::MatchWildcard => match pattern.as_str() {
            Some(text) => Prepared::Wildcard(Wildcard::new(text)),
            None => Prepared::Broken(not_a_path(pattern)),
        },
        O::MatchRegex => regex(Mode::MatchDotAll),
        O::Regex => regex(Mode::Search),
        O::RegexIgnoreCase => regex(Mode::SearchIgnoreCase),
        O::TimeDiffLess | O::TimeDiffGreater => {
            seconds(pattern).map_or_else(Prepared::Broken, Prepared::Seconds)
        }
        _ => Prepared::Nothing,
    }
}

fn not_a_path(value: &Value) -> Error {
    type_error(format!(
        "expected str, bytes or os.PathLike object, not {}",
        type_name(value)
    ))
}

/// Python's `float(pattern)`.
fn seconds(pattern: &Value) -> Result<f64, Error> {
    match pattern {
        Value::Bool(truth) => Ok(f64::from(u8::from(*truth))),
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {
            Ok(pattern.as_number().unwrap_or(f64::NAN))
        }
        Value::String(text) => text.trim().parse().map_err(|_| could_not_convert(pattern)),
        Value::Null | Value::List(_) | Value::Dict(_) => Err(type_error(format!(
            "float() argument must be a string or a real number, not '{}'",
            type_name(pattern)
        ))),
    }
}

fn could_not_convert(pattern: &Value) -> Error {
    Error::new(
        "ValueError",
        Kind::Value,
        format!("could not convert string to float: {}", text::repr(pattern)),
    )
}
