//! Roles: who may do what (StackStorm's RBAC).
//!
//! A role grants permissions on resources; assignments give roles to users, mappings give them to
//! groups that a back end knows. [`Definitions`] reads them from StackStorm's files, [`Roles`] keeps
//! them in the store and answers with the [`Rights`] of a user, which decide without looking
//! anything up.

mod definition;
mod directory;
mod permission;
mod resource;
mod rights;
mod roles;

pub use definition::{Assignment, Definitions, Finding, Grant, Mapping, Role, Text};
pub use directory::read_directory;
pub use permission::{Permission, Permissions, ResourceType};
pub use resource::Resource;
pub use rights::{Denied, Lists, Rights, system};
pub use roles::{Applied, ApplyError, Roles, Settings};

#[cfg(test)]
mod tests;
