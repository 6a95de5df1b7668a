//! Who is known, and by what they are recognised.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use squall_env::{Env, fresh_id};
use squall_model::{Document, DocumentKind, Timestamp};
use squall_store::audit::Scope;
use squall_store::{Command, CommitError, Store, Transaction, audit};
use squall_value::{Str, Value, dict};
use tokio::sync::Semaphore;

use crate::ActionTokens;
use crate::action_token::Claims;
use crate::backend::{Backend, Unavailable, Verdict};
use crate::secret::{api_key_hash, fresh_token, token_hash};
use crate::throttle::Throttle;
use crate::users::UserChange;

/// What an operator may set about signing in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a token holds at most; StackStorm's `auth.token_ttl`.
    pub token_life_max: Duration,
    /// The work factor of bcrypt: each step doubles the time of a check.
    pub bcrypt_cost: u32,
    /// How many wrong passwords one name may have within [`Settings::lockout`].
    pub failures_max: u32,
    /// How many wrong passwords may come from one address within [`Settings::lockout`], whatever
    /// the names.
    pub address_failures_max: u32,
    /// How long a name or address is refused after too many wrong passwords.
    pub lockout: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            token_life_max: Duration::from_secs(24 * 60 * 60),
            bcrypt_cost: 10,
            failures_max: 10,
            address_failures_max: 100,
            lockout: Duration::from_secs(60),
        }
    }
}

/// How somebody was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By a token.
    Token,
    /// By the token of an action.
    ActionToken,
    /// By an API key.
    ApiKey,
}

/// Somebody who was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name.
    pub user: Str,
    /// How.
    pub method: Method,
    /// Until when, for a token.
    pub expires: Option<Timestamp>,
    /// Who acts in the user's name, if not the user: `execution:ID` by the token of an action,
    /// `user:NAME` for the service account that got the token.
    pub delegate: Option<Str>,
}

/// A token that was issued. Its text is not kept.
#[derive(Clone, PartialEq)]
pub struct Issued {
    /// The text to present.
    pub token: String,
    /// Its record.
    pub document: Arc<Document>,
    /// Until when it holds.
    pub expires: Timestamp,
}

/// Why somebody is not recognised, or a record not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Wrong name or password.
    #[error("Invalid or missing credentials")]
    Credentials,
    /// The API key is switched off.
    #[error("API key is disabled.")]
    Disabled,
    /// Too many wrong passwords for this name, or from this address.
    #[error("too many wrong passwords; try again in {seconds} s")]
    Throttled {
        /// How long to wait.
        seconds: u64,
    },
    /// A token for longer than the server allows.
    #[error("TTL specified {asked} is greater than max allowed {max}.")]
    TooLong {
        /// The seconds asked for.
        asked: u64,
        /// The seconds allowed.
        max: u64,
    },
    /// A password that bcrypt cannot take.
    #[error("the password cannot be used: it must have 1 to 72 bytes and no NUL")]
    Password,
    /// A place where passwords are checked does not answer.
    #[error("passwords cannot be checked now")]
    Unavailable(#[from] Unavailable),
    /// The store failed.
    #[error("the users cannot be read now")]
    Store(#[from] CommitError),
}

impl From<squall_store::Error> for Error {
    fn from(error: squall_store::Error) -> Error {
        Error::Store(error.into())
    }
}

/// How long a recognised token is believed without looking into the store again.
const BELIEVED: Duration = Duration::from_secs(5);

/// How many passwords are checked at the same time: each check is a processor's work for a while.
const CHECKS_MAX: usize = 2;

/// How many recognised tokens are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// Whose address it is: of IPv6 the network, for each customer has 2^64 addresses (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mut parts = address.segments();
            parts[4..].fill(0);
            IpAddr::V6(Ipv6Addr::from(parts))
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Salt and hash of the decoy: well-formed, and nobody knows a password for it.
const DECOY: &str = "NgrOSyCYNOHhIW5R6Fh8Zu3Vb4SZDbjTBo0Qc0SmnqZ2Jx7hPzLqK";

/// Users, tokens and API keys.
#[derive(Debug)]
pub struct Directory {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) env: Arc<dyn Env>,
    settings: Settings,
    action_tokens: Arc<ActionTokens>,
    pub(crate) recognised: Mutex<HashMap<String, (Identity, Timestamp)>>,
    by_name: Mutex<Throttle<Str>>,
    by_address: Mutex<Throttle<IpAddr>>,
    /// Where passwords of names are checked that the store has none of.
    backends: Vec<Arc<dyn Backend>>,
    /// Guesses that are checked at once; the others wait, and count what these have shown.
    checks: Arc<Semaphore>,
    /// How often credentials have ended before their time.
    endings: AtomicU64,
    /// The hash of no one's password, so that an unknown name takes as long as a wrong password.
    decoy: String,
}

impl Directory {
    /// The directory of a store.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        settings: Settings,
        action_tokens: Arc<ActionTokens>,
    ) -> Directory {
        // Salt and hash are made up: to make a real one would cost each start a check's time.
        let decoy = format!("$2b${:02}${DECOY}", settings.bcrypt_cost);
        let lockout = settings.lockout;
        Directory {
            store,
            env,
            by_name: Mutex::new(Throttle::new(settings.failures_max, lockout)),
            by_address: Mutex::new(Throttle::new(settings.address_failures_max, lockout)),
            settings,
            action_tokens,
            recognised: Mutex::default(),
            backends: Vec::new(),
            checks: Arc::new(Semaphore::new(CHECKS_MAX)),
            endings: AtomicU64::new(0),
            decoy,
        }
    }

    /// The same directory with one more place where passwords are checked, behind those it has.
    #[must_use]
    pub fn with_backend(mut self, backend: Arc<dyn Backend>) -> Directory {
        self.backends.push(backend);
        self
    }

    /// Whether anybody is known at all.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        let filter = squall_store::DocumentFilter::default();
        let page = squall_store::Page::first(1);
        let users = self
            .store
            .documents(DocumentKind::User, &filter, page, self.env.now())
            .await?;
        Ok(users.total == 0)
    }

    /// Sets a user's password; makes the user if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Password`], [`Error::Store`].
    pub async fn set_password(&self, user: &str, password: &str) -> Result<(), Error> {
        let change = UserChange {
            password: Some(password.to_owned()),
            ..UserChange::default()
        };
        self.put_user(user, change).await.map(drop)
    }

    /// The hash under which a password is kept.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Error> {
        if password.is_empty() || password.len() > 72 || password.contains('\0') {
            return Err(Error::Password);
        }
        let cost = self.settings.bcrypt_cost;
        let hash = tokio::task::spawn_blocking(move || bcrypt::hash(password, cost)).await;
        hash.ok().and_then(Result::ok).ok_or(Error::Password)
    }

    pub(crate) async fn put(
        &self,
        kind: DocumentKind,
        key: &str,
        body: Value,
        expires: Option<Timestamp>,
    ) -> Result<Arc<Document>, Error> {
        let (command, document) = self.written(kind, key, body, expires).await?;
        self.commit(vec![command]).await?;
        Ok(document)
    }

    /// The command that writes a document, and the document as it will be.
    pub(crate) async fn written(
        &self,
        kind: DocumentKind,
        key: &str,
        body: Value,
        expires: Option<Timestamp>,
    ) -> Result<(Command, Arc<Document>), Error> {
        let now = self.env.now();
        let known = self.store.document(kind, key, now).await?;
        let from = known.as_ref().map(|known| known.revision);
        let document = Arc::new(Document {
            kind,
            key: Str::from(key),
            id: known.map_or_else(|| fresh_id(&*self.env), |known| known.id),
            pack: None,
            body,
            revision: from.unwrap_or(0) + 1,
            changed: now,
            expires,
        });
        let command = Command::PutDocument {
            document: Arc::clone(&document),
            from,
        };
        Ok((command, document))
    }

    /// Checks a name and a password, in a time that does not tell whether the name is known. The
    /// first back end that knows the name decides; whoever it lets in for the first time becomes a
    /// user without a password here. `from` is the address of who tries.
    ///
    /// # Errors
    ///
    /// [`Error::Credentials`], [`Error::Throttled`], [`Error::Unavailable`], [`Error::Store`].
    pub async fn check_password(
        self: &Arc<Self>,
        user: &str,
        password: &str,
        from: Option<IpAddr>,
    ) -> Result<(), Error> {
        // Without the permit, guesses sent all at once would pass before the first has failed.
        let permit = Arc::clone(&self.checks).acquire_owned().await.ok();
        let now = self.env.now();
        let name = Str::from(user);
        let from = from.map(network);
        let mut refused = self.by_name.lock().refused(&name, now);
        if let Some(from) = &from {
            refused = refused.max(self.by_address.lock().refused(from, now));
        }
        if let Some(seconds) = refused {
            return Err(Error::Throttled { seconds });
        }
        let directory = Arc::clone(self);
        let (user, password) = (user.to_owned(), password.to_owned());
        let check = async move {
            let checked = directory.guess(&user, &password, from).await;
            drop(permit);
            checked
        };
        // In a task of its own: who hangs up before the answer has guessed all the same, and keeps
        // a processor busy until the guess is checked.
        let task = match Scope::current() {
            Some(scope) => tokio::spawn(scope.run(check)),
            None => tokio::spawn(check),
        };
        task.await.unwrap_or(Err(Error::Credentials))
    }

    /// Checks a guess, and counts it if it is wrong.
    async fn guess(&self, user: &str, password: &str, from: Option<IpAddr>) -> Result<(), Error> {
        let now = self.env.now();
        let name = Str::from(user);
        if self.verdict(user, password).await? == Verdict::Right {
            self.by_name.lock().succeeded(&name);
            return Ok(());
        }
        self.by_name.lock().failed(&name, now);
        if let Some(from) = &from {
            self.by_address.lock().failed(from, now);
        }
        Err(Error::Credentials)
    }

    async fn verdict(&self, user: &str, password: &str) -> Result<Verdict, Error> {
        let stored = self.check_stored(user, password).await?;
        if stored != Verdict::Unknown || !crate::users::is_name(user) {
            return Ok(stored);
        }
        for backend in &self.backends {
            match backend.check(user, password).await? {
                Verdict::Unknown => {}
                Verdict::Wrong => return Ok(Verdict::Wrong),
                Verdict::Right => {
                    self.welcome(user).await?;
                    return Ok(Verdict::Right);
                }
            }
        }
        Ok(Verdict::Unknown)
    }

    /// What the store's own users say. A user without a password is one of another back end.
    async fn check_stored(&self, user: &str, password: &str) -> Result<Verdict, Error> {
        let now = self.env.now();
        let document = self.store.document(DocumentKind::User, user, now).await?;
        let hash = document
            .as_ref()
            .and_then(|document| document.body.get("password_hash"));
        let known = hash.and_then(Value::as_str).map(str::to_owned);
        let hash = known.clone().unwrap_or_else(|| self.decoy.clone());
        let password = password.to_owned();
        let checked = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash)).await;
        Ok(match (known, checked) {
            (None, _) => Verdict::Unknown,
            (Some(_), Ok(Ok(true))) => Verdict::Right,
            _ => Verdict::Wrong,
        })
    }

    /// Issues a token.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`], [`Error::Store`].
    pub async fn issue(
        &self,
        user: &str,
        life: Option<Duration>,
        metadata: Value,
    ) -> Result<Issued, Error> {
        let max = self.settings.token_life_max;
        let life = life.unwrap_or(max);
        if life > max {
            return Err(Error::TooLong {
                asked: life.as_secs(),
                max: max.as_secs(),
            });
        }
        let token = fresh_token(&*self.env);
        let expires = self.env.now().checked_add(life).unwrap_or(Timestamp::MAX);
        let body = dict! { "user" => user, "metadata" => metadata };
        let document = self
            .put(
                DocumentKind::Token,
                &token_hash(&token),
                body,
                Some(expires),
            )
            .await?;
        Ok(Issued {
            token,
            document,
            expires,
        })
    }

    /// Ends a token.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn revoke(&self, token: &str) -> Result<bool, Error> {
        let (key, now) = (token_hash(token), self.env.now());
        self.forget(|hash, _| hash == key);
        let Some(known) = self.store.document(DocumentKind::Token, &key, now).await? else {
            return Ok(false);
        };
        let command = Command::DeleteDocument {
            kind: DocumentKind::Token,
            key: known.key.clone(),
            from: known.revision,
        };
        self.commit(vec![command]).await?;
        Ok(true)
    }

    /// Commits on the account of whoever asks.
    pub(crate) async fn commit(&self, commands: Vec<Command>) -> Result<(), Error> {
        let transaction = Transaction::new(self.env.now(), commands);
        audit::commit(&*self.store, transaction).await?;
        Ok(())
    }

    /// Whose token it is; `None` when it is unknown or over.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn by_token(&self, token: &str) -> Result<Option<Identity>, Error> {
        if let Some(claims) = self.action_tokens.check(token) {
            return self.by_action_token(token_hash(token), claims).await;
        }
        self.recognise(DocumentKind::Token, token_hash(token), Method::Token)
            .await
    }

    /// Whoever is removed is removed for the actions that still run on their behalf, too. The token
    /// ends with the execution that was handed it.
    async fn by_action_token(
        &self,
        hash: String,
        claims: Claims,
    ) -> Result<Option<Identity>, Error> {
        if let Some(identity) = self.believed(&hash) {
            return Ok(Some(identity));
        }
        let (kind, now) = (DocumentKind::RemovedUser, self.env.now());
        if let Some(removed) = self.store.document(kind, &claims.user, now).await? {
            // Tokens tell whole seconds: one of the same second may be from before. Later ones are
            // of somebody who came back under the name, or of actions that had been asked for.
            let is_before = claims.made.as_second() <= removed.changed.as_second();
            if is_before || self.user(&claims.user).await?.is_none() {
                return Ok(None);
            }
        }
        if let Ok(id) = claims.execution.parse()
            && let Some(execution) = self.store.execution(id).await?
            && execution.state().is_ended()
        {
            return Ok(None);
        }
        let identity = Identity {
            user: Str::from(claims.user),
            method: Method::ActionToken,
            expires: Some(claims.until),
            delegate: Some(Str::from(format!("execution:{}", claims.execution))),
        };
        self.believe(hash, &identity);
        Ok(Some(identity))
    }

    /// Who was recognised by this a moment ago.
    fn believed(&self, hash: &str) -> Option<Identity> {
        let now = self.env.now();
        let recognised = self.recognised.lock();
        let (identity, believed) = recognised.get(hash)?;
        let holds = *believed > now && identity.expires.is_none_or(|expires| expires > now);
        holds.then(|| identity.clone())
    }

    fn believe(&self, hash: String, identity: &Identity) {
        let now = self.env.now();
        let believed = now.checked_add(BELIEVED).unwrap_or(now);
        let mut recognised = self.recognised.lock();
        if recognised.len() >= REMEMBERED_MAX {
            recognised.retain(|_, (_, believed)| *believed > now);
        }
        recognised.insert(hash, (identity.clone(), believed));
    }

    /// Believes no more what ended before its time.
    pub(crate) fn forget(&self, has_ended: impl Fn(&str, &Identity) -> bool) {
        let mut recognised = self.recognised.lock();
        recognised.retain(|hash, (identity, _)| !has_ended(hash, identity));
        self.endings.fetch_add(1, Ordering::Release);
    }

    /// Rises whenever credentials end before their time: what lasts longer than a request asks
    /// again then.
    #[must_use]
    pub fn endings(&self) -> u64 {
        self.endings.load(Ordering::Acquire)
    }

    /// How long tokens of actions hold.
    pub(crate) fn action_token_life(&self) -> Duration {
        self.action_tokens.life()
    }

    /// Whose API key it is; `None` when it is unknown or disabled.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub async fn by_api_key(&self, key: &str) -> Result<Option<Identity>, Error> {
        self.recognise(DocumentKind::ApiKey, api_key_hash(key), Method::ApiKey)
            .await
    }

    async fn recognise(
        &self,
        kind: DocumentKind,
        hash: String,
        method: Method,
    ) -> Result<Option<Identity>, Error> {
        let now = self.env.now();
        if let Some(identity) = self.believed(&hash) {
            return Ok(Some(identity));
        }
        let Some(document) = self.store.document(kind, &hash, now).await? else {
            return Ok(None);
        };
        let enabled = document
            .body
            .get("enabled")
            .and_then(Value::as_bool)
            .unwrap_or(true);
        let user = document.body.get("user").and_then(Value::as_str);
        let Some(user) = user else {
            return Ok(None);
        };
        let service = document.body.get_path(&["metadata", "service"]);
        let service = service.filter(|_| kind == DocumentKind::Token);
        let service = service.and_then(Value::as_str);
        if !enabled {
            return Err(Error::Disabled);
        }
        let identity = Identity {
            user: Str::from(user),
            method,
            expires: document.expires,
            delegate: service.map(|service| Str::from(format!("user:{service}"))),
        };
        self.believe(hash, &identity);
        Ok(Some(identity))
    }
}

#[cfg(test)]
mod tests;
