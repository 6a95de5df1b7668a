//! Parameters: types, defaults, casts, validation, secret masking.
//!
//! An action's definition is compiled once into [`ActionParameters`]. An execution then passes
//! through: [`ActionParameters::live`] (templates and casts of what was given),
//! [`ActionParameters::validate`] and [`ActionParameters::check_immutable`] (may it run?), and, when
//! it starts, [`ActionParameters::finalize`] (defaults, split into runner and action). Its
//! [`Mask`] shows parameters without secrets and collects the secrets to hide them elsewhere.
//! [`OutputSchema`] and [`ConfigSchema`] do the same for results and pack configurations,
//! [`Validator`] for any other schema, such as a trigger's payload.
//!
//! What the conformance operations need: `cast` is [`cast::cast`] with [`Type::parse`];
//! `render_live_params`, `render_final_params` are [`render::live`], [`render::finalize`] on
//! [`Parameters::new`] of both mappings; `get_finalized_params` is the one after the other. Errors
//! convert into [`squall_expr::Error`], which has class, kind and message.
//!
//! Nothing here does I/O, knows a clock or logs.

pub mod action;
pub mod cast;
pub mod check;
pub mod config;
mod diagnostic;
mod draft4;
mod form;
mod mask;
mod output;
mod parameter;
pub mod render;
mod types;
mod validate;

pub use action::{ActionParameters, ImmutableOverride};
pub use config::{ConfigSchema, ConfigSources};
pub use diagnostic::{Diagnostic, Severity, nearest};
pub use draft4::Nullable;
pub use mask::{MASKED, Mask};
pub use output::OutputSchema;
pub use parameter::{Declared, Parameter, Parameters};
pub use render::{Final, Given, Seen, Sources};
pub use types::{TYPES, Type, python_type};
pub use validate::{Invalid, ParameterValidator, Validator, Violation};
