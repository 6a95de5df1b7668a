//! Connections, shared by all that runs on the same host as the same user.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use russh::client::{Handle, Msg};
use russh::{Channel, Disconnect};
use squall_env::Env;
use squall_model::Timestamp;

use super::connection::{Address, Checker, Connector, Error, tcp};
use super::credentials::Credentials;
use super::known_hosts::KnownHosts;
use super::settings::SshSettings;

/// Sessions over one connection; servers allow ten by default, and files need one beside.
const SESSIONS_MAX: usize = 8;
/// A connection that was unused may be dead without knowing; it has this long to answer.
const REUSE_PATIENCE: Duration = Duration::from_secs(10);
/// How often a session is tried for on a connection that was already there.
const REUSES_MAX: usize = 3;

/// Where to, as whom.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) user: String,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) bastion: Option<Address>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    address: Address,
    user: String,
    identity: [u8; 32],
    bastion: Option<Address>,
}

/// A connection that is there.
struct Connection {
    session: Handle<Checker>,
    /// How many use it.
    users: AtomicUsize,
    /// How many sessions the host allows; found out by asking.
    sessions_max: AtomicUsize,
    last_used: Mutex<Timestamp>,
    /// The way over the bastion host lives as long as what goes over it.
    _bastion: Option<Lease>,
}

/// All connections to one place as one user.
#[derive(Default)]
struct Place {
    /// One connects, the others wait for what comes of it.
    connecting: tokio::sync::Mutex<()>,
    connections: Mutex<Vec<Arc<Connection>>>,
}

pub(crate) struct Pool {
    connector: Connector,
    idle: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    places: HashMap<Key, Arc<Place>>,
    is_swept: bool,
}

/// The right to use a connection.
pub(crate) struct Lease {
    connection: Arc<Connection>,
    env: Arc<dyn Env>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self.connection.last_used.lock() = self.env.now();
        self.connection.users.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Lease {
    /// Takes `connection` unless `users_max` use it already.
    fn take(connection: &Arc<Connection>, users_max: usize, env: &Arc<dyn Env>) -> Option<Lease> {
        let add = |users: usize| (users < users_max).then_some(users + 1);
        let taken = connection
            .users
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        taken.ok().map(|_| Lease {
            connection: Arc::clone(connection),
            env: Arc::clone(env),
        })
    }

    /// Another session over the same connection.
    ///
    /// # Errors
    ///
    /// The host refuses it, or the connection is lost.
    pub(crate) async fn open(&self) -> Result<Channel<Msg>, Error> {
        Ok(self.connection.session.channel_open_session().await?)
    }
}

impl Pool {
    pub(crate) fn new(settings: &SshSettings, env: Arc<dyn Env>) -> Arc<Pool> {
        Arc::new(Pool {
            connector: Connector {
                known: Arc::new(KnownHosts::new(settings)),
                env,
            },
            idle: settings.idle,
            state: Mutex::default(),
        })
    }

    /// A session on the host of `target`, over a connection that is there or a new one.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub(crate) async fn session(
        self: &Arc<Pool>,
        target: &Target,
    ) -> Result<(Lease, Channel<Msg>), Error> {
        for _ in 0..REUSES_MAX {
            let (lease, is_new) = self.lease(target, true).await?;
            let opened = tokio::select! {
                opened = lease.open() => opened,
                () = self.connector.env.sleep(REUSE_PATIENCE), if !is_new => Err(Error::Closed),
            };
            match opened {
                Ok(channel) => return Ok((lease, channel)),
                Err(error) if is_new => return Err(error),
                Err(Error::Ssh(russh::Error::ChannelOpenFailure(_))) => lease.limit(),
                Err(_) => self.forget(target, &lease.connection),
            }
        }
        let place = self.place(target);
        let lease = self.connect(target, &place).await?;
        let channel = lease.open().await?;
        Ok((lease, channel))
    }

    /// A connection to `target`, and whether it is new. Only sessions are counted: what goes
    /// through a bastion host is not.
    async fn lease(
        self: &Arc<Pool>,
        target: &Target,
        counts: bool,
    ) -> Result<(Lease, bool), Error> {
        let place = self.place(target);
        let known = || {
            let mut connections = place.connections.lock();
            connections.retain(|connection| !connection.session.is_closed());
            connections.iter().find_map(|connection| {
                let most = match counts {
                    true => connection.sessions_max.load(Ordering::Acquire),
                    false => usize::MAX,
                };
                Lease::take(connection, most, &self.connector.env)
            })
        };
        if let Some(lease) = known() {
            return Ok((lease, false));
        }
        let _connecting = place.connecting.lock().await;
        if let Some(lease) = known() {
            return Ok((lease, false));
        }
        Ok((self.connect(target, &place).await?, true))
    }

    async fn connect(self: &Arc<Pool>, target: &Target, place: &Place) -> Result<Lease, Error> {
        let address = &target.address;
        let (user, credentials) = (&target.user, &target.credentials);
        let (session, bastion) = match &target.bastion {
            None => {
                let open = || tcp(address);
                let session = self.connector.connect(address, user, credentials, open);
                (session.await?, None)
            }
            Some(bastion) => {
                let over = Target {
                    address: bastion.clone(),
                    bastion: None,
                    ..target.clone()
                };
                let (lease, _) = Box::pin(self.lease(&over, false)).await?;
                let open = || async {
                    let session = &lease.connection.session;
                    let (name, port) = (address.name.as_str(), address.port);
                    let channel = session
                        .channel_open_direct_tcpip(name, u32::from(port), "127.0.0.1", 0)
                        .await
                        .map_err(|error| Error::Bastion(name.to_owned(), port, error))?;
                    Ok(Box::new(channel.into_stream()) as Box<dyn super::connection::Stream>)
                };
                let session = self.connector.connect(address, user, credentials, open);
                (session.await?, Some(lease))
            }
        };
        let connection = Arc::new(Connection {
            session,
            users: AtomicUsize::new(0),
            sessions_max: AtomicUsize::new(SESSIONS_MAX),
            last_used: Mutex::new(self.connector.env.now()),
            _bastion: bastion,
        });
        let lease = Lease::take(&connection, usize::MAX, &self.connector.env)
            .expect("there is no limit to it");
        place.connections.lock().push(connection);
        self.keep_swept();
        Ok(lease)
    }

    fn place(&self, target: &Target) -> Arc<Place> {
        let key = Key {
            address: target.address.clone(),
            user: target.user.clone(),
            identity: target.credentials.identity(),
            bastion: target.bastion.clone(),
        };
        Arc::clone(self.state.lock().places.entry(key).or_default())
    }

    fn forget(&self, target: &Target, connection: &Arc<Connection>) {
        let place = self.place(target);
        let mut connections = place.connections.lock();
        connections.retain(|known| !Arc::ptr_eq(known, connection));
    }

    /// Closes connections that nobody has used for long, as long as there are any.
    fn keep_swept(self: &Arc<Pool>) {
        if std::mem::replace(&mut self.state.lock().is_swept, true) {
            return;
        }
        let (pool, env, idle) = (Arc::downgrade(self), self.connector.env.clone(), self.idle);
        tokio::spawn(async move {
            loop {
                env.sleep(idle / 2).await;
                let Some(closing) = sweep(&pool, &*env) else {
                    return;
                };
                for connection in closing {
                    let end = Disconnect::ByApplication;
                    // One that is lost needs no goodbye.
                    let _ = connection.session.disconnect(end, "", "").await;
                }
            }
        });
    }
}

/// Takes out what is to be closed; `None` when there is nothing left to look after.
fn sweep(pool: &Weak<Pool>, env: &dyn Env) -> Option<Vec<Arc<Connection>>> {
    let pool = pool.upgrade()?;
    let now = env.now();
    let mut state = pool.state.lock();
    let mut closing = Vec::new();
    for place in state.places.values() {
        place.connections.lock().retain(|connection| {
            let unused = connection.users.load(Ordering::Acquire) == 0;
            let last_used = *connection.last_used.lock();
            let since = now.duration_since(last_used).unsigned_abs();
            let is_over = connection.session.is_closed() || (unused && since >= pool.idle);
            if is_over {
                closing.push(Arc::clone(connection));
            }
            !is_over
        });
    }
    // A place that somebody holds is about to get a connection.
    state
        .places
        .retain(|_, place| Arc::strong_count(place) > 1 || !place.connections.lock().is_empty());
    if state.places.is_empty() && closing.is_empty() {
        state.is_swept = false;
        return None;
    }
    Some(closing)
}

impl Lease {
    /// The host refused a session while so many were open: no more are asked for.
    fn limit(&self) {
        let open = self.connection.users.load(Ordering::Acquire);
        let most = open.saturating_sub(1).max(1);
        self.connection
            .sessions_max
            .fetch_min(most, Ordering::AcqRel);
    }
}
