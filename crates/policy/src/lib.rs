//! Every scheduling decision: who may run now, who waits in which place, what is tried again.
//!
//! The crate decides and remembers nothing by itself: [`Gates`] is a value that the engine keeps and
//! rebuilds from the store, [`Retry`] answers a question. Policies are StackStorm's
//! `action.concurrency`, `action.concurrency.attr` and `action.retry`.

mod definition;
mod gate;
mod gates;
mod retry;

pub use definition::{Concurrency, DefinitionError, Excess, Policy, PolicyKind};
pub use gate::{Admission, Gate};
pub use gates::Gates;
pub use retry::Retry;
