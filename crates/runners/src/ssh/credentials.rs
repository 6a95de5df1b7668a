//! With what somebody signs in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::MethodKind;
use russh::client::{AuthResult, Handle, Handler, KeyboardInteractiveAuthResponse as Reply};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, decode_secret_key};
use sha2::{Digest, Sha256};

use super::settings::SshSettings;

/// What every text of a private key holds, whatever its format.
const KEY_MARK: &str = "private key-----";
/// A longer file is no key.
const KEY_BYTES_MAX: u64 = 1 << 20;
/// Servers close the connection after a few keys, so offering more is of no use.
const AGENT_KEYS_MAX: usize = 6;
/// How often a server may ask questions one after the other.
const QUESTIONS_MAX: usize = 5;

/// What to sign in with.
pub(crate) struct Credentials {
    method: Method,
    /// Tells credentials apart without keeping them.
    identity: [u8; 32],
}

enum Method {
    Password(String),
    Key(Arc<PrivateKey>),
    Agent(PathBuf),
}

/// What an action says about signing in.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) password: Option<String>,
    /// The text of a key, or the path of its file.
    pub(crate) private_key: Option<String>,
    pub(crate) passphrase: Option<String>,
}

/// Why nobody could sign in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the private key {0} can't be read: {1}")]
    KeyFile(String, std::io::Error),
    #[error("{0} is protected by a passphrase. Supply the parameter `passphrase`")]
    PassphraseNeeded(String),
    #[error("{0} can't be used: invalid passphrase, or invalid or unsupported key type ({1})")]
    Key(String, russh::keys::Error),
    #[error("the parameter `passphrase` should accompany a private key")]
    PassphraseAlone,
    #[error(
        "nothing to sign in with: supply `password` or `private_key`, or give the server a key \
         file or an SSH agent"
    )]
    Nothing,
    #[error("the SSH agent at {0} can't be asked: {1}")]
    Agent(String, russh::keys::Error),
    #[error("authentication as {user} failed: {what} was refused; the host takes {accepted}")]
    Refused {
        user: String,
        what: &'static str,
        accepted: String,
    },
    #[error(transparent)]
    Ssh(#[from] russh::Error),
}

impl Credentials {
    /// What `given` says; else the key file of `settings`; else its agent. Reads files and derives
    /// keys, which may take a moment.
    ///
    /// # Errors
    ///
    /// A key can't be used, or there is nothing to sign in with.
    pub(crate) fn new(given: &Given, settings: &SshSettings) -> Result<Credentials, Error> {
        if let Some(password) = &given.password {
            return Ok(Credentials {
                identity: identity(&["password", password]),
                method: Method::Password(password.clone()),
            });
        }
        let passphrase = given.passphrase.as_deref();
        if let Some(key) = &given.private_key {
            if key.to_ascii_lowercase().contains(KEY_MARK) {
                return Credentials::key("the private key", key, passphrase);
            }
            return Credentials::key_file(Path::new(key), passphrase);
        }
        if passphrase.is_some() {
            return Err(Error::PassphraseAlone);
        }
        match (&settings.key_file, &settings.agent) {
            (Some(file), agent) if file.exists() || agent.is_none() => {
                Credentials::key_file(file, None)
            }
            (_, Some(agent)) => Ok(Credentials {
                identity: identity(&["agent", &agent.to_string_lossy()]),
                method: Method::Agent(agent.clone()),
            }),
            _ => Err(Error::Nothing),
        }
    }

    fn key_file(path: &Path, passphrase: Option<&str>) -> Result<Credentials, Error> {
        let shown = path.display().to_string();
        let read = || {
            let length = std::fs::metadata(path)?.len();
            if length > KEY_BYTES_MAX {
                return Err(std::io::Error::other("it is too long for a key"));
            }
            std::fs::read_to_string(path)
        };
        // A long "path" may well be a key with its first line lost.
        let text = read().map_err(|error| {
            let shown = if shown.len() > 200 || shown.contains('\n') {
                "parameter, which holds neither a key nor a path,".to_owned()
            } else {
                shown.clone()
            };
            Error::KeyFile(shown, error)
        })?;
        Credentials::key(&format!("the private key {shown}"), &text, passphrase)
    }

    fn key(what: &str, text: &str, passphrase: Option<&str>) -> Result<Credentials, Error> {
        // Forms and datastores take away the last newline, which some formats need.
        let normal = format!("{}\n", text.trim().replace("\r\n", "\n"));
        let key = decode_secret_key(&normal, passphrase).map_err(|error| match error {
            // In one of the formats an encrypted key merely looks like a broken one.
            error
                if passphrase.is_none()
                    && (matches!(error, russh::keys::Error::KeyIsEncrypted)
                        || normal.contains("ENCRYPTED")) =>
            {
                Error::PassphraseNeeded(what.to_owned())
            }
            error => Error::Key(what.to_owned(), error),
        })?;
        Ok(Credentials {
            identity: identity(&["key", &normal, passphrase.unwrap_or_default()]),
            method: Method::Key(Arc::new(key)),
        })
    }

    /// The same for the same credentials, and for no others.
    pub(crate) fn identity(&self) -> [u8; 32] {
        self.identity
    }

    /// Signs in as `user`.
    ///
    /// # Errors
    ///
    /// The host refused, or the connection was lost.
    pub(crate) async fn sign_in<H: Handler>(
        &self,
        session: &mut Handle<H>,
        user: &str,
    ) -> Result<(), Error> {
        let (what, last) = match &self.method {
            Method::Password(password) => {
                ("the password", by_password(session, user, password).await?)
            }
            Method::Key(key) => ("the private key", by_key(session, user, key).await?),
            Method::Agent(path) => (
                "every key of the SSH agent",
                by_agent(session, user, path).await?,
            ),
        };
        match last {
            AuthResult::Success => Ok(()),
            AuthResult::Failure {
                remaining_methods,
                partial_success,
            } => {
                let methods: Vec<&str> = remaining_methods.iter().map(<&str>::from).collect();
                let more = if partial_success { ", in addition" } else { "" };
                Err(Error::Refused {
                    user: user.to_owned(),
                    what,
                    accepted: match methods.is_empty() {
                        true => "nothing more".to_owned(),
                        false => methods.join(", ") + more,
                    },
                })
            }
        }
    }
}

fn identity(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

async fn by_password<H: Handler>(
    session: &mut Handle<H>,
    user: &str,
    password: &str,
) -> Result<AuthResult, russh::Error> {
    let result = session.authenticate_password(user, password).await?;
    let AuthResult::Failure {
        remaining_methods, ..
    } = &result
    else {
        return Ok(result);
    };
    if !remaining_methods.contains(&MethodKind::KeyboardInteractive) {
        return Ok(result);
    }
    // Many systems ask for the password this way only.
    let start = session.authenticate_keyboard_interactive_start(user, None);
    let mut reply = start.await?;
    for _ in 0..QUESTIONS_MAX {
        match reply {
            Reply::Success => return Ok(AuthResult::Success),
            Reply::Failure {
                remaining_methods,
                partial_success,
            } => {
                return Ok(AuthResult::Failure {
                    remaining_methods,
                    partial_success,
                });
            }
            Reply::InfoRequest { prompts, .. } => {
                let answers = prompts.iter().map(|prompt| match prompt.echo {
                    true => String::new(),
                    false => password.to_owned(),
                });
                let answers = session.authenticate_keyboard_interactive_respond(answers.collect());
                reply = answers.await?;
            }
        }
    }
    Ok(result)
}

/// The hashes with which the host takes signatures of RSA keys, best first.
async fn rsa_hashes<H: Handler>(session: &Handle<H>) -> Result<Vec<Option<HashAlg>>, russh::Error> {
    Ok(match session.best_supported_rsa_hash().await? {
        Some(hash) => vec![hash],
        // It did not say: the old ones know SHA-1 only.
        None => vec![Some(HashAlg::Sha256), None],
    })
}

async fn by_key<H: Handler>(
    session: &mut Handle<H>,
    user: &str,
    key: &Arc<PrivateKey>,
) -> Result<AuthResult, russh::Error> {
    let hashes = match key.algorithm().is_rsa() {
        true => rsa_hashes(session).await?,
        false => vec![None],
    };
    let mut last = None;
    for hash in hashes {
        let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
        let result = session.authenticate_publickey(user, key).await?;
        if result.success() {
            return Ok(result);
        }
        last = Some(result);
    }
    last.ok_or(russh::Error::NoAuthMethod)
}

async fn by_agent<H: Handler>(
    session: &mut Handle<H>,
    user: &str,
    path: &Path,
) -> Result<AuthResult, Error> {
    let failed = |error: russh::keys::Error| Error::Agent(path.display().to_string(), error);
    let mut agent = AgentClient::connect_uds(path).await.map_err(failed)?;
    let identities = agent.request_identities().await.map_err(failed)?;
    let mut last = None;
    for identity in identities.into_iter().take(AGENT_KEYS_MAX) {
        let AgentIdentity::PublicKey { key, .. } = identity else {
            continue;
        };
        let hash = match key.algorithm().is_rsa() {
            true => rsa_hashes(session).await?.first().copied().flatten(),
            false => None,
        };
        let attempt = session.authenticate_publickey_with(user, key, hash, &mut agent);
        match attempt.await {
            Ok(result) if result.success() => return Ok(result),
            Ok(result) => last = Some(result),
            // The agent does not sign with this key; it may with another.
            Err(error) => tracing::debug!(%error, "a key of the SSH agent was passed over"),
        }
    }
    last.ok_or_else(|| failed(russh::keys::Error::AgentFailure))
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Given, SshSettings};

    /// Protected by the passphrase `blabla`.
    const PROTECTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGjMF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBAWQiUHKoocuxfoZ/hF\nYTjkAgIIADAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQ83d1d5/S2wz475uC\nCUrE7QRAvdVpD5e3zKH/MZjilWrMOm6cyI1LKBCssLztPyvOALtroLAPlp7WYWfu\n9Sncmm7u14n2lia7r1r5I3VBsVuH0g==\n-----END ENCRYPTED PRIVATE KEY-----";

    fn given(password: &str, key: &str, passphrase: &str) -> Given {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Given {
            password: some(password),
            private_key: some(key),
            passphrase: some(passphrase),
        }
    }

    fn settings() -> SshSettings {
        let mut settings = SshSettings::new("/nowhere");
        settings.agent = None;
        settings
    }

    #[track_caller]
    fn refused(given: &Given, settings: &SshSettings, expected: &str) {
        let error = Credentials::new(given, settings).err();
        let shown = error.map_or("taken".to_owned(), |error| error.to_string());
        assert!(shown.contains(expected), "{shown}");
    }

    #[test]
    fn what_can_not_be_used_says_why() {
        let plain = settings();
        refused(&given("", "", ""), &plain, "nothing to sign in with");
        refused(&given("", "", "x"), &plain, "should accompany");
        refused(
            &given("", "/no/such/key", ""),
            &plain,
            "/no/such/key can't be read",
        );
        refused(
            &given("", PROTECTED, ""),
            &plain,
            "Supply the parameter `passphrase`",
        );
        refused(&given("", PROTECTED, "wrong"), &plain, "invalid passphrase");
        let broken = "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----";
        refused(&given("", broken, ""), &plain, "unsupported key type");
        let lost = "abc\n".repeat(100);
        let error = Credentials::new(&given("", &lost, ""), &plain).err();
        assert!(!error.expect("refused").to_string().contains("abc"));
        let mut file = settings();
        file.key_file = Some("/no/such/default".into());
        refused(&given("", "", ""), &file, "/no/such/default can't be read");
        file.agent = Some("/some/agent".into());
        refused(&given("", "", ""), &file, "taken");
    }

    #[test]
    fn the_identity_tells_credentials_apart() {
        let identity = |given: &Given| {
            let made = Credentials::new(given, &settings());
            made.unwrap_or_else(|error| panic!("{error}")).identity()
        };
        let key = identity(&given("", PROTECTED, "blabla"));
        let windows = PROTECTED.replace('\n', "\r\n") + "\r\n";
        assert_eq!(key, identity(&given("", &windows, "blabla")));
        assert_ne!(identity(&given("a", "", "")), identity(&given("b", "", "")));
        assert_ne!(key, identity(&given("a", "", "")));
    }
}
