//! The conductor: Orquesta and action chains as a pure state machine.
//!
//! A [`Definition`] is read once and shared. A [`Conductor`] owns one run of it: it says which tasks
//! to start ([`Conductor::next_tasks`]), takes what their actions report ([`Conductor::task_event`])
//! and requests to the whole ([`Conductor::request_status`], [`Conductor::rerun`]). It starts
//! nothing, reads no clock and stores nothing; its host does.
//!
//! What a call has changed comes out as [`Piece`]s ([`Conductor::take_pieces`]) to append to the
//! run's log; [`Conductor::restore`] builds the same conductor from the log, and
//! [`Conductor::snapshot`] gives one piece that stands for all before it. What an event costs and
//! writes does not depend on how large the run has become.
//!
//! What the host does:
//!
//! - Start: [`Conductor::start`], request `running`, poll.
//! - For each task handed out: report `running` (each item, or the task if the list is empty), store
//!   the pieces, then start the actions; poll until nothing comes. A task without action, or with an
//!   empty list, is reported `running` and then `succeeded` at once.
//! - Of plain tasks, report only ends, `paused` and `pending`: an action that is about to pause or to
//!   be canceled is still running. Sub-workflows report their statuses likewise.
//! - When the workflow has ended: [`Conductor::render_output`]. Actions may still be under way then;
//!   their ends are taken too.
//! - Deadlines: [`TaskRequest::timeout`] and [`Conductor::timeout`] are seconds; when they are over,
//!   [`Conductor::task_timed_out`] and [`Conductor::timed_out`].
//!
//! ```
//! use std::sync::Arc;
//! use squall_expr::{Expressions, HostError, KeyScope};
//! use squall_value::{Dict, Value};
//! use squall_workflow::{Conductor, Definition, Host, Joins, Status, TaskEvent, World};
//!
//! struct Nowhere;
//! impl squall_expr::Host for Nowhere {
//!     fn key(&self, _: &KeyScope, _: &str, _: bool) -> Result<Option<Value>, HostError> {
//!         Ok(None)
//!     }
//!     fn decrypt(&self, text: &str) -> Result<String, HostError> {
//!         Ok(text.to_owned())
//!     }
//!     fn now(&self) -> jiff::Timestamp {
//!         jiff::Timestamp::UNIX_EPOCH
//!     }
//!     fn random(&self) -> u64 {
//!         0
//!     }
//! }
//! impl Host for Nowhere {
//!     fn task_record(&self, _: &str, _: usize) -> Option<Value> {
//!         None
//!     }
//! }
//!
//! let definition = Definition::parse("
//! input: [name]
//! tasks:
//!   greet:
//!     action: core.echo message=\"hello <% ctx().name %>\"
//!     next: [{publish: [{said: <% result() %>}]}]
//! output: [{said: <% ctx().said %>}]
//! ").expect("the definition is valid");
//! let expressions = Expressions::default();
//! let world = World { expressions: &expressions, host: &Nowhere, joins: Joins::default() };
//! let inputs: Dict = [("name", "ann")].into_iter().collect();
//!
//! let mut run = Conductor::start(Arc::new(definition), &inputs, &Dict::new(), world);
//! run.request_status(Status::Running)?;
//! for request in run.next_tasks(world) {
//!     let task = request.task.clone();
//!     run.task_event(TaskEvent::new(task.clone(), request.route, Status::Running), world)?;
//!     // ... store `run.take_pieces()`, start the action, wait for its end ...
//!     let end = TaskEvent::new(task, request.route, Status::Succeeded);
//!     run.task_event(end.with_result(request.actions[0].input.clone()), world)?;
//! }
//! assert_eq!(run.status(), Status::Succeeded);
//! assert_eq!(run.render_output(world).to_json(), r#"{"said":{"message":"hello ann"}}"#);
//! # Ok::<(), squall_workflow::Refusal>(())
//! ```

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
    ACTION_FAILED, ActionRequest, Conductor, Decision, Host, Joins, LogEntry, RerunRequest,
    TaskEvent, TaskRequest, TaskState, Variables, World,
};
pub use definition::{Definition, Diagnostic};
pub use error::{Refusal, RestoreError};
pub use graph::Graph;
pub use piece::Piece;
pub use status::Status;
pub use template::Template;
