//! Rules, compiled: does this event concern this rule?

use squall_expr::{Expressions, Host};
use squall_value::{Dict, Value};

use crate::criterion::{Criterion, Failure, Guard, Run, Stage, TRIGGER, compile};
use crate::explain::{CriterionReport, Decision, Explanation};
use crate::path::Path;

/// What criteria may look at besides the payload.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The template language, for patterns.
    pub expressions: &'a Expressions,
    /// The datastore, and the clock for `timediff`.
    pub host: &'a dyn Host,
}

/// What a rule made of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the event meets all criteria.
    pub is_match: bool,
    /// Criteria that could not be decided. There may be some even if the rule matches: a search
    /// goes on after an element that it can't compare.
    pub failures: Vec<Failure>,
}

impl Outcome {
    /// The failure because of which StackStorm gives the rule up with an exception: an operator
    /// that does not exist. Registration refuses such rules.
    #[must_use]
    pub fn unknown_operator(&self) -> Option<&Failure> {
        self.failures
            .iter()
            .find(|failure| failure.stage == Stage::UnknownOperator)
    }
}

/// A criterion that asks for the equality of a payload's member with a constant.
#[derive(Debug)]
pub(crate) struct Equality<'r> {
    /// Where the member is.
    pub(crate) path: &'r Path,
    /// The constant.
    pub(crate) value: &'r Value,
    /// What keeps the criteria before it from failing.
    pub(crate) guards: Vec<Guard>,
}

/// The criteria of a rule, compiled once and used for every event.
#[derive(Clone, Debug, Default)]
pub struct CompiledRule {
    criteria: Vec<Criterion>,
}

impl CompiledRule {
    /// Compiles a mapping `criteria`. Never fails: a criterion that makes no sense fails when it is
    /// checked. Registration tells what is wrong: [`crate::RuleDefinition::parse`].
    #[must_use]
    pub fn compile(criteria: &Value) -> CompiledRule {
        static EMPTY: std::sync::LazyLock<Dict> = std::sync::LazyLock::new(Dict::new);
        CompiledRule {
            criteria: compile(criteria.as_dict().unwrap_or(&EMPTY), 0),
        }
    }

    /// Whether `payload` meets all criteria. Without criteria, everything does; with criteria, an
    /// empty payload does not.
    #[must_use]
    pub fn matches(&self, payload: &Value, surroundings: &Surroundings<'_>) -> Outcome {
        if self.criteria.is_empty() {
            return Outcome {
                is_match: true,
                failures: Vec::new(),
            };
        }
        if !payload.is_truthy() {
            return Outcome::default();
        }
        let mut run = Run::new(surroundings);
        let is_match = self
            .criteria
            .iter()
            .all(|criterion| criterion.check(TRIGGER, payload, &mut run).is_match);
        Outcome {
            is_match,
            failures: run.failures,
        }
    }

    /// As [`CompiledRule::matches`], with the reasons: every criterion is checked, even after one
    /// that decides.
    #[must_use]
    pub fn explain(&self, payload: &Value, surroundings: &Surroundings<'_>) -> Explanation {
        let is_empty = !self.criteria.is_empty() && !payload.is_truthy();
        let criteria: Vec<CriterionReport> = self
            .criteria
            .iter()
            .map(|criterion| report(criterion, payload, surroundings))
            .collect();
        Explanation {
            is_match: !is_empty
                && criteria
                    .iter()
                    .all(|report| report.decision == Decision::Match),
            is_payload_empty: is_empty,
            criteria,
        }
    }

    /// The equalities by which an index may tell rules apart. While the guards hold, no criterion
    /// before the equality can fail, so that no report is lost if the rule is passed over.
    pub(crate) fn equalities(&self) -> Vec<Equality<'_>> {
        let mut found = Vec::new();
        let mut guards = Vec::new();
        for criterion in &self.criteria {
            let Some(guard) = criterion.guard() else {
                break;
            };
            if let Some((path, value)) = criterion.equality() {
                let guards = guards.clone();
                found.push(Equality {
                    path,
                    value,
                    guards,
                });
            }
            if !guard.always_holds() {
                guards.push(guard);
            }
        }
        found
    }
}

fn report(
    criterion: &Criterion,
    payload: &Value,
    surroundings: &Surroundings<'_>,
) -> CriterionReport {
    let mut run = Run::new(surroundings);
    let checked = criterion.check(TRIGGER, payload, &mut run);
    // A search reports the failures of its elements too; its own comes last.
    let own = run
        .failures
        .pop()
        .filter(|failure| !checked.is_match && failure.key == criterion.key);
    let decision = match own {
        _ if checked.is_match => Decision::Match,
        Some(failure) => Decision::Failed(failure),
        None => Decision::NoMatch,
    };
    CriterionReport {
        key: criterion.key.clone(),
        operator: criterion.operator_name.clone(),
        value: checked.value.into_owned(),
        pattern: checked.pattern,
        decision,
    }
}
