//! Why a rule matches or does not: the answer of `rule test`.

use std::fmt;

use squall_value::{Str, Value, python};

use crate::criterion::Failure;

/// How long a value may be in the text; the data have it whole.
const SHOWN_MAX: usize = 200;

/// Why a rule matches an event or does not. `Display` is a text for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Whether the event meets all criteria.
    pub is_match: bool,
    /// Whether there are criteria, and no payload that could meet them.
    pub is_payload_empty: bool,
    /// Every criterion, in order.
    pub criteria: Vec<CriterionReport>,
}

/// What one criterion made of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct CriterionReport {
    /// The key as written.
    pub key: Str,
    /// The operator as written; empty if there is none.
    pub operator: Str,
    /// The value that was found in the payload; null if there is none.
    pub value: Value,
    /// The pattern that it was compared with, rendered.
    pub pattern: Value,
    /// The outcome.
    pub decision: Decision,
}

/// The outcome of one criterion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The value is what the criterion asks for.
    Match,
    /// It is not.
    NoMatch,
    /// That could not be decided.
    Failed(Failure),
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_match {
            "the rule matches"
        } else {
            "the rule does not match"
        })?;
        if self.criteria.is_empty() {
            f.write_str(": it has no criteria")?;
        }
        if self.is_payload_empty {
            f.write_str(": the payload is empty, and a rule with criteria needs one")?;
        }
        for report in &self.criteria {
            write!(f, "\n{report}")?;
        }
        Ok(())
    }
}

impl fmt::Display for CriterionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match &self.decision {
            Decision::Match => "ok  ",
            Decision::NoMatch => "no  ",
            Decision::Failed(_) => "fail",
        };
        if self.operator.is_empty() {
            return write!(f, "{mark} {}: the criterion has no `type`", self.key);
        }
        let (value, pattern) = (shown(&self.value), shown(&self.pattern));
        write!(
            f,
            "{mark} {} = {value}  {}  {pattern}",
            self.key, self.operator
        )?;
        match &self.decision {
            Decision::Failed(failure) => write!(f, "\n     {}", failure.error),
            Decision::Match | Decision::NoMatch => Ok(()),
        }
    }
}

fn shown(value: &Value) -> String {
    let text = python::repr(value);
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
