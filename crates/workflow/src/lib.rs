//! The conductor: Orquesta and action chains as a pure state machine.

mod chain;
mod conductor;
mod context;
pub mod definition;
pub mod draw;
mod error;
pub mod graph;
pub mod inspect;
pub mod machine;
pub mod piece;
mod state;
pub mod status;
mod template;
pub mod testing;

pub use conductor::{
    ActionRequest, Conductor, Decision, Host, LogEntry, RerunRequest, TaskEvent, TaskRequest,
    TaskState, Variables, World,
};
pub use definition::{Definition, Diagnostic};
pub use error::{Refusal, RestoreError};
pub use graph::Graph;
pub use piece::Piece;
pub use status::Status;
pub use template::Template;
