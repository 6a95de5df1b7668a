//! The audit record: who did what, or was refused.

use squall_value::{Str, Value};

use crate::Timestamp;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuditResult {
    /// It was done.
    Done,
    /// Whoever asked was not recognised, or may not.
    Refused,
}

impl AuditResult {
    /// The word for it, in stores and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AuditResult::Done => "done",
            AuditResult::Refused => "refused",
        }
    }

    /// The result of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<AuditResult> {
        [AuditResult::Done, AuditResult::Refused]
            .into_iter()
            .find(|result| result.as_str() == word)
    }
}

/// On whose account something is recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Author {
    /// The user who was recognised, or the name that somebody claimed at a sign-in; empty when
    /// neither is known, and [`Author::SERVER`] for what the server does by itself.
    pub user: Str,
    /// By what the user was recognised: `token`, `api_key`, `action_token`, `password` and the like;
    /// empty for nobody.
    pub method: Str,
    /// Who acts in the user's name, if not the user: `execution:ID` by the token of an action, or
    /// `user:NAME` for a service account with a token of the user.
    pub delegate: Option<Str>,
    /// The network address of the client, if it came over a network.
    pub address: Option<Str>,
    /// The program, as it calls itself (`User-Agent`).
    pub agent: Option<Str>,
    /// What was asked of the API: the method and the path, without the query.
    pub request: Option<Str>,
}

impl Author {
    /// Stands for the server itself: it reads files of packs and roles when it starts. No user can
    /// be called so.
    pub const SERVER: &str = "server:";

    /// The server itself.
    #[must_use]
    pub fn server() -> Author {
        Author {
            user: Str::from(Author::SERVER),
            ..Author::default()
        }
    }
}

/// One entry of the audit record. Nothing changes it and nothing but its age removes it.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// Its place: 1, 2, 3, … without gaps, so that a missing one shows. The store gives it; 0 until
    /// then.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub author: Author,
    /// What: a permission's name where there is one that fits (`rule_create`, `action_execute`),
    /// otherwise a word of the same form (`sign_in`, `secret_read`, `user_modify`).
    pub action: Str,
    /// What it was done to, as grants name it: `rule:shop:restock`.
    pub resource: Option<Str>,
    /// How it ended.
    pub result: AuditResult,
    /// Why it was refused, or more about what was done.
    pub reason: Option<Str>,
    /// What a change found, without what stayed the same; masked. Null when there was nothing.
    pub before: Value,
    /// What a change left, without what stayed the same; masked. Null when nothing is left.
    pub after: Value,
    /// How many of the same kind came since the last entry about them and have none of their own.
    pub repeated: u64,
}
