//! The JSON that clients see, and the conversion from and to the model.
//!
//! StackStorm's clients know its words and shapes, among them the pair of *liveaction* and
//! *execution* that is one thing here. Members that are null are left out of most objects.

mod definition;
mod event;
mod execution;
mod time;

pub use definition::{definition, key_value_pair, rule_view, trigger};
pub use event::{enforcement, trigger_instance};
pub use execution::{ExecutionView, execution, output_event, visible_result};
pub use time::{millis, parse, seconds, timestamp};
