//! A pack directory: its text to definitions and diagnostics.
//!
//! [`load`] is pure: it takes the texts of a pack's files and gives the documents they define, in
//! the shape that StackStorm's API shows, together with everything that is wrong in them. A broken
//! file gives a [`Finding`] with file, line and column, and never hides its neighbours. [`read`]
//! fetches the texts from a directory, within bounds.

mod definition;
mod finding;
mod load;
mod member;
mod overrides;
mod read;

pub use definition::{parameters_hash, trigger_reference, uid};
pub use finding::Finding;
pub use load::{Definition, Files, Known, Loaded, load, load_one};
pub use overrides::Override;
pub use read::{Found, ReadError, find, read, read_overrides};
