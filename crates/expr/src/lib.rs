//! Jinja and YAQL behind one door, with the functions and filters of StackStorm.
//!
//! Workflows write `<% YAQL %>` and `{{ Jinja }}` inside strings, lists and dictionaries:
//! [`Expressions::compile`] scans such a statement once, [`Expressions::evaluate`] gives its value.
//! Parameters, rules, pack configurations and chat aliases are Jinja templates that become text:
//! [`Expressions::render`].
//!
//! Evaluation is bounded ([`Limits`]) and has no effects: what it may look at comes in through
//! [`Scope`] and [`Host`]. It reads no files, knows no clock and never includes other templates.

mod bridge;
mod cache;
pub mod crypto;
mod error;
mod expressions;
mod functions;
mod jinja;
mod references;
mod scope;
mod statement;
mod yaql;

pub use error::{Error, Invalid, Kind, Language, Reference};
pub use expressions::{
    Expressions, context_references, convert_jinja_to_raw_block, is_jinja_expression,
};
pub use scope::{Context, CurrentTask, Host, HostError, KeyScope, Limits, Scope, Undefined};
pub use squall_yaql::{Flags, Regex};
pub use statement::Statement;
