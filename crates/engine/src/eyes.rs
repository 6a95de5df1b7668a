//! The datastore as somebody sees it.
//!
//! A template reads the datastore with the rights of whoever wrote it: the one who asks for what is
//! given, the publisher for a definition that came through the API. What comes from files of packs
//! is trusted.

use squall_expr::{Host, HostError, KeyScope};
use squall_model::Timestamp;
use squall_value::{Str, Value};

use crate::{Datastore, Engine};

/// The datastore as one user sees it who may not see all of it.
#[derive(Debug)]
pub struct Eyes<'a> {
    engine: &'a Engine,
    user: Str,
    /// On whose behalf a definition of the user runs: that one's own items are at hand, too.
    asker: Option<&'a str>,
}

impl Engine {
    /// The datastore as a user sees it; `None` for those who may see everything.
    #[must_use]
    pub fn eyes(&self, user: &str) -> Option<Eyes<'_>> {
        (!self.rights.sees_everything(user)).then(|| Eyes {
            engine: self,
            user: Str::from(user),
            asker: None,
        })
    }

    /// The datastore as a definition sees it that runs on behalf of `asker`; `None` for one that is
    /// trusted. `publisher` is who published it through the API.
    pub(crate) fn eyes_of<'a>(
        &'a self,
        publisher: Option<&str>,
        asker: &'a str,
    ) -> Option<Eyes<'a>> {
        let eyes = self.eyes(publisher?)?;
        Some(Eyes {
            asker: Some(asker),
            ..eyes
        })
    }
}

impl<'a> Eyes<'a> {
    /// These, or else the whole datastore.
    pub fn or_all(eyes: Option<&'a Eyes<'a>>, all: &'a Datastore) -> &'a dyn Host {
        match eyes {
            Some(eyes) => eyes,
            None => all,
        }
    }

    fn owns(&self, user: &str) -> bool {
        *self.user == *user || self.asker == Some(user)
    }
}

fn denied(message: String) -> HostError {
    HostError {
        class: "AccessDeniedError",
        message,
    }
}

impl Host for Eyes<'_> {
    fn key(&self, scope: &KeyScope, name: &str, decrypt: bool) -> Result<Option<Value>, HostError> {
        let is_own = matches!(scope, KeyScope::User(user) if self.owns(user));
        if !is_own {
            let key = Datastore::key_of(scope, name);
            let rights = &self.engine.rights;
            rights.may_see_key(&self.user, &key).map_err(denied)?;
            if decrypt {
                return Err(denied(self.refusal()));
            }
        }
        self.engine.datastore.key(scope, name, decrypt)
    }

    fn decrypt(&self, ciphertext: &str) -> Result<String, HostError> {
        let mut users = [Some(&*self.user), self.asker].into_iter().flatten();
        if !users.any(|user| self.engine.datastore.is_secret_of(user, ciphertext)) {
            return Err(denied(self.refusal()));
        }
        self.engine.datastore.decrypt(ciphertext)
    }

    fn now(&self) -> Timestamp {
        self.engine.datastore.now()
    }

    fn random(&self) -> u64 {
        self.engine.datastore.random()
    }
}

impl Eyes<'_> {
    fn refusal(&self) -> String {
        format!(
            "User \"{}\" can't decrypt items of the datastore but their own: that takes an administrator",
            self.user
        )
    }
}
