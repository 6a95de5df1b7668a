//! The conductor: Orquesta and action chains as a pure state machine.

pub mod definition;
pub mod graph;
mod template;

pub use definition::{Definition, Diagnostic};
pub use graph::Graph;
pub use template::Template;
