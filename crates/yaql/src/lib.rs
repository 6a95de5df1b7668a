//! The YAQL query language: parse once, evaluate many times, within limits.
//!
//! ```
//! use squall_value::json;
//! use squall_yaql::{Budget, Context, Detached, Engine};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::default();
//! let expression = engine.parse("$.where($.up).select($.name)")?;
//!
//! let context = Context::new(engine.library());
//! let data = json::read(r#"[{"name": "web", "up": true}, {"name": "db", "up": false}]"#)?;
//! context.set("$", engine.input(data))?;
//!
//! let result = expression.evaluate_data(&context, &Detached, &mut Budget::new())?;
//! assert_eq!(result.to_json(), r#"["web"]"#);
//! # Ok(())
//! # }
//! ```
//!
//! An [`Engine`] reads a text under [`Options`] into an [`Expression`], which any thread may keep
//! and evaluate. A [`Context`] holds variables in layers over a [`Library`] of functions; a [`Host`]
//! answers for the clock, for chance and for functions of its own; a [`Budget`] bounds the work.
//! Results are [`Value`]s, or plain data.
//!
//! # Functions of the host
//!
//! A function is registered under a line that says what it takes; overloads, defaults and keyword
//! arguments follow from it:
//!
//! ```
//! use std::sync::Arc;
//! use squall_yaql::{Body, Budget, Context, Detached, Engine, Kind, Library, Value};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::default();
//! let mut library = Library::over(engine.library());
//! library.register(
//!     "greet(name: str, greeting: str='Hello')",
//!     Kind::Extension,
//!     Body::Native(Box::new(|call| {
//!         Ok(Value::from(format!("{}, {}!", call.str(1)?, call.str(0)?)))
//!     })),
//! )?;
//! let context = Context::new(Arc::new(library));
//! let expression = engine.parse("'Ada'.greet(greeting => 'Good day')")?;
//! let result = expression.evaluate_data(&context, &Detached, &mut Budget::new())?;
//! assert_eq!(result.as_str(), Some("Good day, Ada!"));
//! # Ok(())
//! # }
//! ```
//!
//! A function that needs what lives no longer than one evaluation is registered as [`Body::Host`]
//! and carried out by [`Host::call`].
//!
//! # Layout
//!
//! `lexer` and `parser` make the tree in `ast`; `eval` walks it; `resolve` finds the overload that a
//! call means by the `signature` of each; `operators`, `properties` and `library` do the work;
//! `value`, `iterator`, `lambda` and `context` are what it is done on; `limits` bounds it. This crate
//! does no I/O, reads no clock and knows nothing of Squall.

mod ast;
mod call;
mod context;
mod convert;
mod datetime;
mod engine;
mod error;
mod eval;
mod host;
mod iterator;
mod lambda;
mod lexer;
mod library;
mod limits;
mod number;
mod operators;
mod parser;
mod properties;
mod regex;
mod regex_syntax;
mod regex_template;
mod resolve;
mod signature;
mod sort;
mod text;
mod time_format;
mod time_parse;
mod value;

pub use call::Call;
pub use context::Context;
pub use datetime::{DateTime, TimeSpan};
pub use engine::{Engine, Expression};
pub use error::{Error, Kind as ErrorKind, ParseError};
pub use eval::Evaluation;
pub use host::{Detached, Host};
pub use iterator::{Iter, Ordering};
pub use lambda::Lambda;
pub use library::{Body, Kind, Library, Native};
pub use limits::{Budget, Interrupt, Options};
pub use regex::{Flags, Regex, Spans};
pub use signature::SignatureError;
pub use value::{Dict, Key, Map, NESTING_MAX, Sequence, Set, Value, View, ViewKind, WEIGHT_MAX};
