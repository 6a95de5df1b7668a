//! Criteria, and the index that finds the rules an event concerns.
//!
//! A rule is read by [`RuleDefinition::parse`], its criteria are compiled once by
//! [`CompiledRule::compile`], and a [`RuleIndex`] keeps all enabled rules: given an event's trigger
//! and payload, [`RuleIndex::matches`] answers which rules match and which could not decide.
//! [`CompiledRule::explain`] says why.
//!
//! What the conformance operations need: `operator` is [`Operator::parse`] and [`Operator::apply`];
//! `lookup` is [`Operator::parse`]; `rule_filter` is [`CompiledRule::compile`] and
//! [`CompiledRule::matches`], whose [`Outcome::failures`] are the failed enforcements and whose
//! [`Outcome::unknown_operator`] is the exception that StackStorm raises. Payloads are data: bytes
//! are decoded as UTF-8 by whoever receives them.
//!
//! Nothing here does I/O, reads a clock or logs.

mod criterion;
mod date;
mod definition;
mod explain;
mod index;
mod operator;
mod path;
mod pattern;
mod python;
mod regex;
mod rule;
#[cfg(test)]
mod tests;
mod wildcard;

pub use criterion::{Failure, Stage};
pub use definition::{Diagnostic, RuleDefinition, RuleKind, Severity};
pub use explain::{CriterionReport, Decision, Explanation};
pub use index::{Matched, RuleIndex};
pub use operator::{Operator, names as operator_names};
pub use path::Path;
pub use rule::{CompiledRule, Outcome, Surroundings};
