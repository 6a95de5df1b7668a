//! Documents: definitions and other records that people administer, which are few and change
//! rarely compared with events and executions.

use squall_value::{Str, Value};

use crate::{RawId, Timestamp};

macro_rules! kinds {
    ($($variant:ident $text:literal $doc:literal),* $(,)?) => {
        /// What a document describes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DocumentKind {
            $(#[doc = $doc] $variant,)*
        }

        impl DocumentKind {
            /// All kinds.
            pub const ALL: &'static [DocumentKind] = &[$(DocumentKind::$variant),*];

            /// The name under which stores keep the kind, and which the change feed shows.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(DocumentKind::$variant => $text),* }
            }

            /// The kind of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<DocumentKind> {
                match name { $($text => Some(DocumentKind::$variant),)* _ => None }
            }
        }
    };
}

kinds! {
    Pack "pack" "An installed pack. Key: its reference.",
    Action "action" "An action. Key: `pack.name`.",
    Rule "rule" "A rule. Key: `pack.name`.",
    TriggerType "trigger_type" "A trigger type. Key: `pack.name`.",
    Trigger "trigger" "A trigger made of a type with parameters. Key: `pack.name`.",
    Sensor "sensor" "A sensor. Key: `pack.name`.",
    Alias "action_alias" "A chat alias. Key: `pack.name`.",
    Policy "policy" "A policy. Key: `pack.name`.",
    Config "config" "A pack's configuration. Key: the pack.",
    ConfigSchema "config_schema" "The schema of a pack's configuration. Key: the pack.",
    Key "key_value_pair" "A datastore item. Key: `scope:name`.",
    User "user" "A person or service account. Key: the name.",
    RemovedUser "removed_user" "That a user was removed: tokens of actions from before end. Key: the name.",
    Token "token" "An access token. Key: the hash of the token.",
    ApiKey "api_key" "An API key. Key: the hash of the key.",
    Role "role" "A role. Key: the name.",
    RoleAssignment "role_assignment" "A role given to a user. Key: `user:role:source`.",
    GroupMapping "group_to_role_map" "The roles of a group that a back end knows. Key: the group.",
    Webhook "webhook" "A webhook's secret and settings. Key: the URL's tail.",
    Position "position" "How far a native source has read, or a timer's last tick. Key: the source.",
    Trace "trace" "A trace. Key: the tag.",
    Inquiry "inquiry" "An open question. Key: the execution's id.",
    Setting "setting" "A setting of the whole installation. Key: the name.",
}

/// A definition or another administered record.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it describes.
    pub kind: DocumentKind,
    /// Its name, unique within the kind.
    pub key: Str,
    /// Its id, stable over changes.
    pub id: RawId,
    /// The pack it belongs to, if it belongs to one.
    pub pack: Option<Str>,
    /// What it says.
    pub body: Value,
    /// Counts the changes, from 1. A change names the revision it was made from.
    pub revision: u64,
    /// When it was last changed.
    pub changed: Timestamp,
    /// When it ceases to exist by itself.
    pub expires: Option<Timestamp>,
}
