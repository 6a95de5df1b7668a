//! Tokens of actions: signed, not stored.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use squall_env::Env;
use squall_model::Timestamp;

/// What such a token begins with.
const PREFIX: &str = "sqa2";

/// Makes and checks the tokens with which actions call the API on their asker's behalf.
///
/// A token names the user, the execution and its end, under a keyed hash (HMAC-SHA-256, RFC 2104).
pub struct ActionTokens {
    key: [u8; 32],
    life: Duration,
    env: Arc<dyn Env>,
}

/// What a token that was made here says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// On whose behalf the action runs.
    pub user: String,
    /// The execution that was handed the token.
    pub execution: String,
    /// When it was made, in whole seconds.
    pub made: Timestamp,
    /// Until when it holds.
    pub until: Timestamp,
}

impl fmt::Debug for ActionTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActionTokens")
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

impl ActionTokens {
    /// Tokens signed with `key` that hold for `life`.
    #[must_use]
    pub fn new(key: [u8; 32], life: Duration, env: Arc<dyn Env>) -> ActionTokens {
        ActionTokens { key, life, env }
    }

    /// How long such tokens hold.
    #[must_use]
    pub fn life(&self) -> Duration {
        self.life
    }

    /// A token for `user`, bound to an execution.
    #[must_use]
    pub fn make(&self, user: &str, execution: &str) -> String {
        let now = self.env.now();
        let until = now
            .checked_add(self.life)
            .unwrap_or(Timestamp::MAX)
            .as_second();
        let made = now.as_second();
        let claims = format!("{until}\n{made}\n{execution}\n{user}");
        let body = URL_SAFE_NO_PAD.encode(claims);
        format!("{PREFIX}.{body}.{}", self.signature(&body))
    }

    /// What a token says that was made here and still holds.
    #[must_use]
    pub fn check(&self, token: &str) -> Option<Claims> {
        let (body, signature) = token
            .strip_prefix(PREFIX)?
            .strip_prefix('.')?
            .split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.mac(body).verify_slice(&signature).ok()?;
        let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        let mut lines = claims.splitn(4, '\n');
        let until = Timestamp::from_second(lines.next()?.parse().ok()?).ok()?;
        let made = Timestamp::from_second(lines.next()?.parse().ok()?).ok()?;
        let (execution, user) = (lines.next()?, lines.next()?);
        (until > self.env.now()).then(|| Claims {
            user: user.to_owned(),
            execution: execution.to_owned(),
            made,
            until,
        })
    }

    fn mac(&self, body: &str) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(body.as_bytes());
        mac
    }

    fn signature(&self, body: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(body).finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use squall_env::FakeEnv;

    use super::*;

    #[test]
    fn a_token_holds_until_its_end_and_cannot_be_changed() {
        let env = Arc::new(FakeEnv::new(1));
        let clock: Arc<dyn Env> = env.clone();
        let tokens = ActionTokens::new([1; 32], Duration::from_secs(60), clock);
        let token = tokens.make("ann", "5f3a00112233445566778899");
        let claims = tokens.check(&token).unwrap();
        assert_eq!(
            (&*claims.user, &*claims.execution),
            ("ann", "5f3a00112233445566778899")
        );
        let forged = token.replace(PREFIX, "sqa2.x");
        assert_eq!(tokens.check(&forged), None);
        let other = ActionTokens::new([2; 32], Duration::from_secs(60), env.clone());
        assert_eq!(other.check(&token), None);
        env.advance(Duration::from_secs(61));
        assert_eq!(tokens.check(&token), None);
    }
}
