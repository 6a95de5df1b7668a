//! A connection to one host: reached, its key checked, signed in.

use std::sync::Arc;
use std::time::Duration;

use russh::client::{Config, Handle, Handler};
use russh::keys::{Algorithm, PublicKeyOrCertificate};
use squall_env::Env;
use tokio::io::{AsyncRead, AsyncWrite};

use super::credentials::{self, Credentials};
use super::known_hosts::{self, KnownHosts};

/// A host that says nothing is asked this often whether it is still there, and given up after three
/// times.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// A busy host closes connections before it says a word (`MaxStartups`); it is asked again.
const ATTEMPTS_MAX: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) name: String,
    pub(crate) port: u16,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}:{1} can't be reached: {2}")]
    Unreachable(String, u16, std::io::Error),
    #[error("the bastion host does not reach {0}:{1}: {2}")]
    Bastion(String, u16, russh::Error),
    #[error(transparent)]
    HostKey(#[from] known_hosts::Error),
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
    #[error("the host closed the connection before anybody could sign in")]
    Closed,
    #[error("the SSH connection failed: {0}")]
    Ssh(#[from] russh::Error),
}

/// What a connection is a stream over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Checks the key of the host.
pub(crate) struct Checker {
    known: Arc<KnownHosts>,
    address: Address,
}

impl Handler for Checker {
    type Error = Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Error> {
        let Address { name, port } = &self.address;
        self.known.check(name, *port, &key.public_key())?;
        Ok(true)
    }
}

/// What all connections are made with.
pub(crate) struct Connector {
    pub(crate) known: Arc<KnownHosts>,
    pub(crate) env: Arc<dyn Env>,
}

impl Connector {
    /// Connects over streams that `open` gives, and signs in.
    ///
    /// # Errors
    ///
    /// See [`Error`]. A host that is busy is tried several times; nothing else is.
    pub(crate) async fn connect<F>(
        &self,
        address: &Address,
        user: &str,
        credentials: &Credentials,
        open: impl Fn() -> F,
    ) -> Result<Handle<Checker>, Error>
    where
        F: Future<Output = Result<Box<dyn Stream>, Error>>,
    {
        let config = Arc::new(self.config(address));
        let mut attempt = 0;
        let mut session = loop {
            let checker = Checker {
                known: Arc::clone(&self.known),
                address: address.clone(),
            };
            let stream = open().await?;
            match russh::client::connect_stream(Arc::clone(&config), stream, checker).await {
                Ok(session) => break session,
                Err(Error::Ssh(error)) if is_closed(&error) => {
                    attempt += 1;
                    if attempt == ATTEMPTS_MAX {
                        return Err(Error::Closed);
                    }
                    self.env.sleep(self.pause(attempt)).await;
                }
                Err(error) => return Err(error),
            }
        };
        credentials.sign_in(&mut session, user).await?;
        Ok(session)
    }

    /// Twice as long each time, with chance in it: those who were refused together must not come
    /// back together.
    fn pause(&self, attempt: u32) -> Duration {
        let pause = FIRST_PAUSE * 2_u32.pow(attempt - 1);
        let parts = u32::try_from(self.env.random() % 100).unwrap_or(0);
        pause * (50 + parts) / 100
    }

    fn config(&self, address: &Address) -> Config {
        let mut config = Config {
            keepalive_interval: Some(KEEPALIVE),
            nodelay: true,
            ..Config::default()
        };
        let known = self.known.algorithms(&address.name, address.port);
        let is_known = |algorithm: &Algorithm| {
            known.iter().any(|known| {
                let rsa = |algorithm: &Algorithm| matches!(algorithm, Algorithm::Rsa { .. });
                known == algorithm || (rsa(known) && rsa(algorithm))
            })
        };
        let (mut first, rest): (Vec<_>, Vec<_>) =
            config.preferred.key.iter().cloned().partition(is_known);
        first.extend(rest);
        config.preferred.key = first.into();
        config
    }
}

/// A stream to `address` over the network.
pub(crate) async fn tcp(address: &Address) -> Result<Box<dyn Stream>, Error> {
    let Address { name, port } = address;
    let stream = tokio::net::TcpStream::connect((name.as_str(), *port)).await;
    let failed = |error| Error::Unreachable(name.clone(), *port, error);
    let stream = stream.map_err(failed)?;
    // Without it things are only slower.
    let _ = stream.set_nodelay(true);
    Ok(Box::new(stream))
}

fn is_closed(error: &russh::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    match error {
        russh::Error::Disconnect | russh::Error::HUP => true,
        russh::Error::IO(error) => {
            matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
        }
        _ => false,
    }
}
