//! YAML 1.1 as PyYAML's safe loader reads it, with a position on every value and key.
//!
//! Packs, rules and workflows of StackStorm are read by PyYAML; what they mean is what PyYAML makes
//! of them: `yes` is true, `012` is ten, `1:30` is ninety, `<<` merges, and of two equal keys the
//! last one wins. This crate gives the same values ([`load`], [`load_all`]), says where each of
//! them stands ([`Node`], [`Span`]), warns of what its author can't have meant ([`Diagnostic`]),
//! and stays within [`Limits`] whatever it is fed.
//!
//! ```
//! use squall_yaml::{Options, load};
//!
//! let document = load("enabled: on\nport: 0x50\n", &Options::default())?;
//! assert_eq!(document.root.to_value().to_json(), r#"{"enabled":true,"port":80}"#);
//! let port = document.root.get("port").expect("the key is there");
//! assert_eq!((port.position().line, port.position().column), (2, 7));
//! # Ok::<(), squall_yaml::Failure>(())
//! ```
//!
//! The way back is [`to_yaml`] for people, and [`emit`] with [`EmitStyle::pyyaml`] for those who
//! promise the text that `yaml.safe_dump(value, default_flow_style=False)` gives, such as the
//! template filters `to_yaml_string` and `yaml_dump`.
//!
//! Where it differs from PyYAML on purpose: a value that contains itself by an alias is refused
//! (no JSON can say it), and so is what exceeds the limits. Where it differs because its parser
//! follows YAML 1.2: the characters U+0085, U+2028 and U+2029 don't break lines; `[a:]` and `[::]`
//! are read, `[-]` is refused, and a comment right behind a quoted text needs a space.

mod base64;
mod compose;
mod diagnostic;
mod emit;
mod explain;
mod load;
mod mapping;
mod node;
mod scalar;
mod span;
mod timestamp;

#[cfg(test)]
mod tests;

pub use diagnostic::{Diagnostic, Severity};
pub use emit::{EmitStyle, emit, to_yaml};
pub use load::{
    Document, DuplicateKeys, Failure, Limits, Options, UnknownTags, load, load_all, load_bytes,
    value,
};
pub use node::{Entry, Kind, Mapping, Node};
pub use span::{Position, Span};
pub use timestamp::{Date, DateTime};
