//! One criterion, compiled.

use std::borrow::Cow;

use squall_expr::{Error, Kind};
use squall_value::{Dict, Str, Value, python as text};

use crate::Surroundings;
use crate::operator::{Operator, Safe, Test};
use crate::path::Path;
use crate::pattern::Pattern;
use crate::python::{no_attribute, type_error, type_name};

/// How many criteria one event may cost one rule, those inside of searches counted per element.
const CHECKS_MAX: u32 = 200_000;
/// How many failures one event reports of one rule. The outcome does not depend on it.
const FAILURES_MAX: usize = 100;
/// How deep searches may nest.
const DEPTH_MAX: usize = 8;

/// Name of the payload in criteria and patterns.
pub(crate) const TRIGGER: &str = "trigger";
/// Name of the element in the criteria of a search.
const ITEM: &str = "item";
/// Name of the datastore in criteria.
const SYSTEM: &str = "system";

/// The stage at which a criterion failed, which decides how StackStorm words the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The template in the pattern.
    Pattern,
    /// The path that is the key.
    Key,
    /// The comparison.
    Operator,
    /// There is no such operator.
    UnknownOperator,
}

/// A criterion that could not be decided: it does not match, and a failed enforcement reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The key of the criterion.
    pub key: Str,
    /// The pattern as written, as Python text.
    pub pattern: String,
    /// Where it went wrong.
    pub stage: Stage,
    /// What went wrong.
    pub error: Error,
}

impl Failure {
    /// What StackStorm writes into the failed enforcement.
    #[must_use]
    pub fn reason(&self, rule: &str, trigger_instance: &str) -> String {
        let what = match self.stage {
            Stage::Pattern => format!(
                "Failed to render pattern value \"{}\" for key \"{}\"",
                self.pattern, self.key
            ),
            Stage::Key => format!("Failed transforming criteria key {}", self.key),
            Stage::Operator | Stage::UnknownOperator => {
                format!("There might be a problem with the criteria in rule {rule}")
            }
        };
        format!(
            "Failed to match rule \"{rule}\" against trigger instance \"{trigger_instance}\": \
             {what}: {}",
            self.error.message
        )
    }
}

/// What one criterion made of a payload.
pub(crate) struct Checked<'v> {
    pub(crate) is_match: bool,
    pub(crate) value: Cow<'v, Value>,
    /// The pattern that was compared with; null if it could not be rendered.
    pub(crate) pattern: Value,
}

/// What a check reports to.
pub(crate) struct Run<'a> {
    pub(crate) surroundings: &'a Surroundings<'a>,
    pub(crate) failures: Vec<Failure>,
    checks: u32,
}

impl<'a> Run<'a> {
    pub(crate) fn new(surroundings: &'a Surroundings<'a>) -> Run<'a> {
        Run {
            surroundings,
            failures: Vec::new(),
            checks: 0,
        }
    }

    fn count(&mut self) -> Result<(), Error> {
        self.checks += 1;
        if self.checks > CHECKS_MAX {
            return Err(Error::new(
                "ValueError",
                Kind::Limit,
                format!("the search needs more than {CHECKS_MAX} comparisons"),
            ));
        }
        Ok(())
    }

    fn fail(&mut self, failure: Failure) {
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(failure);
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Criterion {
    pub(crate) key: Str,
    pub(crate) path: Result<Path, Error>,
    /// The name as written.
    pub(crate) operator_name: Str,
    pub(crate) test: Check,
    pub(crate) pattern: Pattern,
    /// The pattern as written, for reports.
    pub(crate) written: Value,
}

/// What a criterion does with its value.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    /// No `type`: it never matches.
    Never,
    Unknown(Error),
    /// Made once for a constant pattern.
    Constant(Operator, Test),
    /// Made anew for each pattern.
    Rendered(Operator),
    Search(Search),
}

#[derive(Clone, Debug)]
pub(crate) struct Search {
    condition: Value,
    /// The criteria of the elements, if the pattern is constant.
    criteria: Option<Vec<Criterion>>,
    depth: usize,
}

impl Criterion {
    /// Compiles the entry `key: definition` of `criteria`. Never fails: what makes no sense fails
    /// when it is checked, as it does in StackStorm.
    pub(crate) fn new(key: &Str, definition: &Value, depth: usize) -> Criterion {
        let path = key.split('#').next().unwrap_or_default();
        let written = definition.get("pattern").cloned().unwrap_or_default();
        let pattern = Pattern::new(&written);
        let (operator_name, test) = match definition.get("type") {
            Some(Value::String(name)) => {
                (name.clone(), Check::new(name, definition, &pattern, depth))
            }
            Some(other) => (
                Str::from(text::str(other)),
                Check::Unknown(no_attribute(other, "lower")),
            ),
            None => (Str::from(""), Check::Never),
        };
        Criterion {
            key: key.clone(),
            path: Path::parse(path),
            operator_name,
            test,
            pattern,
            written,
        }
    }

    /// When checking it can't fail; `None` when that can't be told from a look at the payload.
    pub(crate) fn guard(&self) -> Option<Guard> {
        let path = self.path.as_ref().ok()?;
        if !path.is_infallible() || is_system(path) {
            return None;
        }
        let safe = match (&self.test, &self.pattern) {
            (Check::Never, _) => Safe::All,
            (Check::Constant(operator, _), Pattern::Constant(pattern)) => {
                operator.safe_for(pattern)?
            }
            _ => return None,
        };
        let path = path.clone();
        Some(Guard { path, safe })
    }

    /// The path and the value that an equality asks for.
    pub(crate) fn equality(&self) -> Option<(&Path, &Value)> {
        let (Check::Constant(Operator::Equals, _), Pattern::Constant(value), Ok(path)) =
            (&self.test, &self.pattern, &self.path)
        else {
            return None;
        };
        let starts_at_payload = path
            .names()?
            .first()
            .is_some_and(|name| ***name == *TRIGGER);
        starts_at_payload.then_some((path, value))
    }

    /// Checks `payload`, which is known by the name `prefix`.
    pub(crate) fn check<'v>(
        &self,
        prefix: &str,
        payload: &'v Value,
        run: &mut Run<'_>,
    ) -> Checked<'v> {
        let no = Checked {
            is_match: false,
            value: Cow::Owned(Value::Null),
            pattern: Value::Null,
        };
        if matches!(self.test, Check::Never) {
            return no;
        }
        let mut value = Cow::Owned(Value::Null);
        let mut pattern = Value::Null;
        match self.decide(prefix, payload, run, &mut value, &mut pattern) {
            Ok(is_match) => Checked {
                is_match,
                value,
                pattern,
            },
            Err((stage, error)) => {
                run.fail(Failure {
                    key: self.key.clone(),
                    pattern: text::str(&self.written),
                    stage,
                    error,
                });
                Checked {
                    is_match: false,
                    value,
                    pattern,
                }
            }
        }
    }

    fn decide<'v>(
        &self,
        prefix: &str,
        payload: &'v Value,
        run: &mut Run<'_>,
        value: &mut Cow<'v, Value>,
        pattern: &mut Value,
    ) -> Result<bool, (Stage, Error)> {
        *pattern = self
            .pattern
            .value(prefix, payload, run.surroundings)
            .map_err(|error| (Stage::Pattern, error))?;
        *value = self
            .lookup(prefix, payload, run.surroundings)
            .map_err(|error| (Stage::Key, error))?;
        // Asking for the time costs more than most comparisons.
        let needs_clock = match &self.test {
            Check::Constant(operator, _) | Check::Rendered(operator) => operator.needs_clock(),
            Check::Never | Check::Unknown(_) | Check::Search(_) => false,
        };
        let now = if needs_clock {
            run.surroundings.host.now()
        } else {
            jiff::Timestamp::UNIX_EPOCH
        };
        let result = match &self.test {
            Check::Never => Ok(false),
            Check::Unknown(error) => return Err((Stage::UnknownOperator, error.clone())),
            Check::Constant(_, test) => test.apply(value, pattern, now),
            Check::Rendered(operator) => operator.apply(value, pattern, now),
            Check::Search(search) => search.run(value, pattern, run),
        };
        result.map_err(|error| (Stage::Operator, error))
    }

    fn lookup<'v>(
        &self,
        prefix: &str,
        payload: &'v Value,
        surroundings: &Surroundings<'_>,
    ) -> Result<Cow<'v, Value>, Error> {
        let path = self.path.as_ref().map_err(Clone::clone)?;
        if !is_system(path) {
            return path.lookup(prefix, payload);
        }
        let names = path.names().unwrap_or_default();
        let names: Vec<&str> = names.iter().skip(1).map(|name| &***name).collect();
        surroundings
            .host
            .key(&squall_expr::KeyScope::System, &names.join("."), false)
            .map(|stored| Cow::Owned(stored.unwrap_or_default()))
            .map_err(|error| Error::new(error.class, Kind::Other, error.message))
    }
}

/// What a payload must have at a path so that a criterion can't fail.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Guard {
    path: Path,
    safe: Safe,
}

impl Guard {
    /// Whether it holds for every payload.
    pub(crate) fn always_holds(&self) -> bool {
        self.safe == Safe::All
    }

    /// Whether it holds for this one.
    pub(crate) fn holds(&self, payload: &Value) -> bool {
        let value = self.path.lookup(TRIGGER, payload);
        value.is_ok_and(|value| self.safe.has(&value))
    }
}

/// Whether a path names a datastore item: `system.a.b`.
fn is_system(path: &Path) -> bool {
    path.names().is_some_and(|names| {
        names.len() > 1 && names.first().is_some_and(|name| ***name == *SYSTEM)
    })
}

impl Check {
    fn new(name: &str, definition: &Value, pattern: &Pattern, depth: usize) -> Check {
        // StackStorm asks for exactly this text.
        if name == "search" {
            return Check::Search(Search::new(definition, pattern, depth));
        }
        match (Operator::parse(name), pattern) {
            (Err(error), _) => Check::Unknown(error),
            (Ok(operator), Pattern::Constant(value)) => {
                Check::Constant(operator, Test::new(operator, value))
            }
            (Ok(operator), Pattern::Template { .. }) => Check::Rendered(operator),
        }
    }
}

impl Search {
    fn new(definition: &Value, pattern: &Pattern, depth: usize) -> Search {
        let criteria = match pattern {
            Pattern::Constant(Value::Dict(criteria)) if depth < DEPTH_MAX => {
                Some(compile(criteria, depth + 1))
            }
            _ => None,
        };
        Search {
            condition: definition.get("condition").cloned().unwrap_or_default(),
            criteria,
            depth,
        }
    }

    fn run(&self, value: &Value, pattern: &Value, run: &mut Run<'_>) -> Result<bool, Error> {
        let (any_item, any_criterion) = match self.condition.as_str() {
            Some("any") => (true, false),
            Some("all") => (false, false),
            Some("all2any") => (false, true),
            Some("any2any") => (true, true),
            _ => {
                return Err(Error::new(
                    "UnrecognizedConditionError",
                    Kind::Value,
                    format!(
                        "The '{}' condition is not recognized for type search, 'any', 'all', \
                         'any2any' and 'all2any' are allowed",
                        text::str(&self.condition)
                    ),
                ));
            }
        };
        let items = elements(value)?;
        if items.is_empty() {
            return Ok(!any_item);
        }
        let rendered;
        let criteria = match (&self.criteria, pattern) {
            (Some(criteria), _) => criteria,
            (None, Value::Dict(_)) if self.depth >= DEPTH_MAX => {
                return Err(type_error(format!(
                    "searches nest deeper than {DEPTH_MAX} levels"
                )));
            }
            (None, Value::Dict(criteria)) => {
                rendered = compile(criteria, self.depth + 1);
                &rendered
            }
            (None, other) => return Err(no_attribute(other, "items")),
        };
        // Every element meets every criterion, even when the outcome is clear: each failure on the
        // way is reported.
        let mut matching = 0;
        for item in items.iter() {
            let mut met = 0;
            for criterion in criteria {
                run.count()?;
                met += usize::from(criterion.check(ITEM, item, run).is_match);
                // An operator that does not exist ends the whole search.
                let is_unknown = |failure: &mut Failure| failure.stage == Stage::UnknownOperator;
                if let Some(failure) = run.failures.pop_if(is_unknown) {
                    return Err(failure.error);
                }
            }
            let is_match = if any_criterion {
                met > 0
            } else {
                met == criteria.len()
            };
            matching += usize::from(is_match);
        }
        Ok(if any_item {
            matching > 0
        } else {
            matching == items.len()
        })
    }
}

/// What Python iterates over: a dictionary counts as one element, a text as its characters.
fn elements(value: &Value) -> Result<Cow<'_, [Value]>, Error> {
    match value {
        Value::List(items) => Ok(Cow::Borrowed(items.as_slice())),
        Value::Dict(_) => Ok(Cow::Owned(vec![value.clone()])),
        Value::String(text) => Ok(Cow::Owned(
            text.chars().map(|c| Value::from(c.to_string())).collect(),
        )),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => Err(
            type_error(format!("'{}' object is not iterable", type_name(value))),
        ),
    }
}

/// Compiles a mapping of criteria, in order.
pub(crate) fn compile(criteria: &Dict, depth: usize) -> Vec<Criterion> {
    criteria
        .iter()
        .map(|(key, definition)| Criterion::new(key, definition, depth))
        .collect()
}
