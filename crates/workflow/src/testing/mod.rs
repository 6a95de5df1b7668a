//! Tests of workflows without running a single action.
//!
//! A test is YAML: the workflow, its inputs, what each action is pretended to return, and what is
//! expected of the run. The format is that of Orquesta's rehearsals, whose files run as they are,
//! with additions; `docs/workflow-tests.md` describes it. [`parse`] reads tests, [`run`] runs one,
//! [`Coverage`] adds up which tasks and transitions were taken, [`junit`] writes a report for build
//! servers, and [`record`] writes a test from a run that took place.

mod case;
mod coverage;
mod junit;
mod mocks;
mod record;
mod run;

pub use case::{Case, Expected, Mock, parse};
pub use coverage::Coverage;
pub(crate) use junit::escape;
pub use junit::junit;
pub use record::{RecordedResult, Recording, record};
pub use run::{Outcome, Rehearsed, rehearse, run};

#[cfg(test)]
mod tests;
