//! What people read: tables, trees, details, times, colours, and the one place that writes them.

mod console;
mod details;
mod field;
mod paint;
mod table;
mod time;
mod tree;

pub use console::{Console, Format, Screen};
pub(crate) use details::Details;
pub(crate) use field::{Column, Show, lookup};
pub(crate) use paint::{Cell, Paint, safe, status_paint};
pub(crate) use table::Table;
pub(crate) use time::{between, moment, moment_with_zone};
pub(crate) use tree::{Node, render as render_tree};
