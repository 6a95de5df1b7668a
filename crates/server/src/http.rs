//! The ports that the server listens on.

mod accept;
mod certificate;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use ipnet::IpNet;
use squall_api::{Api, Front, Limits, SecureCookies, Service};
use squall_env::Env;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::access::AuthMode;
use accept::Port;
pub(crate) use certificate::{Certificate, TlsOptions};

/// Where to listen, and to whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct HttpOptions {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, env = "SQUALL_LISTEN", default_value = "127.0.0.1:9101")]
    pub(crate) listen: SocketAddr,
    /// A second address for sign-in alone, as StackStorm's 127.0.0.1:9100.
    #[arg(long, env = "SQUALL_LISTEN_AUTH")]
    pub(crate) listen_auth: Option<SocketAddr>,
    /// A second address for the event stream alone, as StackStorm's 127.0.0.1:9102.
    #[arg(long, env = "SQUALL_LISTEN_STREAM")]
    pub(crate) listen_stream: Option<SocketAddr>,
    /// The address by which others know this server, such as `https://squall.example.com`: it stands
    /// in links and in the answer to a sign-in. Otherwise the address that is listened on.
    #[arg(long, env = "SQUALL_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub(crate) public_url: Option<String>,
    /// An origin whose pages may call the API from a browser; may be given several times.
    #[arg(
        long = "allow-origin",
        env = "SQUALL_ALLOW_ORIGIN",
        value_delimiter = ','
    )]
    pub(crate) allowed_origins: Vec<String>,
    /// How many requests are answered at the same time; more are told to come again (429).
    #[arg(long, env = "SQUALL_MAX_REQUESTS", default_value_t = 1024)]
    pub(crate) max_requests: usize,
    /// How many executions may wait for a slot before no more work is taken in (429).
    #[arg(long, env = "SQUALL_MAX_QUEUED", default_value_t = 100_000)]
    pub(crate) max_queued: usize,
    /// How many connections are open at the same time, at most half of the files that the server may
    /// have open (`ulimit -n`); more wait until one is closed.
    #[arg(long, env = "SQUALL_MAX_CONNECTIONS", default_value_t = 10_000, value_parser = connections)]
    pub(crate) max_connections: usize,
    /// A reverse proxy whose X-Forwarded-For and X-Forwarded-Proto are believed, as an address or
    /// network (`10.0.0.0/8`); may be given several times.
    #[arg(
        long = "trusted-proxy",
        env = "SQUALL_TRUSTED_PROXIES",
        value_name = "ADDRESS",
        value_delimiter = ',',
        value_parser = network
    )]
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Whether the session cookie is for encrypted connections only: `auto` (where the request came
    /// by TLS), `always`, `never`.
    #[arg(long, env = "SQUALL_SECURE_COOKIES", default_value = "auto")]
    pub(crate) secure_cookies: CookieOption,
    #[command(flatten)]
    pub(crate) tls: TlsOptions,
}

/// Whether the session cookie is for encrypted connections only.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum CookieOption {
    /// Where the request came by TLS.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A number of connections: one at least.
fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("there must be one connection at least".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("no number of connections: {error}")),
    }
}

/// The beginning of an address: paths are put behind it.
fn public_url(text: &str) -> Result<String, String> {
    let url = text.trim().trim_end_matches('/');
    let host = ["http://", "https://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['?', '#', '@', ' ']) => {
            Ok(url.to_owned())
        }
        _ => Err("an address such as https://squall.example.com is expected".to_owned()),
    }
}

/// An address, or a network of them.
fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address.or_else(|_| text.parse()).map_err(|_| {
        "an address such as 10.1.2.3 or a network such as 10.0.0.0/8 is expected".to_owned()
    })
}

impl HttpOptions {
    /// What is turned away.
    pub(crate) fn limits(&self, body_bytes: usize) -> Limits {
        Limits {
            body_bytes,
            requests: self.max_requests,
            queued: self.max_queued,
            ..Limits::default()
        }
    }

    /// What stands in front of the server.
    ///
    /// # Errors
    ///
    /// Proxies are to say who signs in, and none is trusted.
    pub(crate) fn front(&self, mode: AuthMode) -> Result<Front> {
        if mode == AuthMode::Proxy && self.trusted_proxies.is_empty() {
            bail!(
                "--auth-mode proxy needs --trusted-proxy ADDRESS: the proxies that say who signs in"
            );
        }
        Ok(Front {
            proxies_sign_in: mode == AuthMode::Proxy,
            trusted_proxies: self.trusted_proxies.clone(),
            secure_cookies: match self.secure_cookies {
                CookieOption::Auto => SecureCookies::Auto,
                CookieOption::Always => SecureCookies::Always,
                CookieOption::Never => SecureCookies::Never,
            },
        })
    }
}

/// Listeners that nobody serves yet: whoever connects waits.
pub(crate) struct Listeners {
    /// Those that were asked for, that of all services first.
    public: Vec<(TcpListener, Service)>,
    /// Where TLS is spoken, a port of the loopback interface with plain HTTP beside it: actions,
    /// sensors and commands of this machine need no certificate to find their own server.
    local: Option<TcpListener>,
    certificate: Option<Arc<Certificate>>,
    connections_max: usize,
}

impl Listeners {
    /// Takes the addresses, and reads the certificate.
    ///
    /// # Errors
    ///
    /// One is taken, or is not this machine's; the certificate can't be used.
    pub(crate) async fn open(
        options: &HttpOptions,
        data: &Path,
        env: &dyn Env,
    ) -> Result<Listeners> {
        let listen = options.listen.ip();
        let certificate = options.tls.certificate(data, listen, env)?.map(Arc::new);
        let wanted = [
            (Some(options.listen), Service::All),
            (options.listen_auth, Service::Auth),
            (options.listen_stream, Service::Stream),
        ];
        let mut public = Vec::new();
        for (address, service) in wanted {
            let Some(address) = address else { continue };
            public.push((bind(address).await?, service));
        }
        let local = match &certificate {
            Some(_) => Some(bind((Ipv4Addr::LOCALHOST, 0).into()).await?),
            None => None,
        };
        Ok(Listeners {
            public,
            local,
            certificate,
            connections_max: fitting(options.max_connections),
        })
    }

    /// Where clients find all services, such as `https://127.0.0.1:9101`.
    ///
    /// # Errors
    ///
    /// The system does not tell the address.
    pub(crate) fn url(&self) -> Result<String> {
        let (listener, _) = self.public.first().context("there is no listener")?;
        self.url_of(listener)
    }

    /// Where clients find single services besides, and which.
    ///
    /// # Errors
    ///
    /// The system does not tell an address.
    pub(crate) fn single(&self) -> Result<Vec<(Service, String)>> {
        let single = self.public.iter().skip(1);
        single
            .map(|(listener, service)| Ok((*service, self.url_of(listener)?)))
            .collect()
    }

    fn url_of(&self, listener: &TcpListener) -> Result<String> {
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        Ok(format!("{scheme}://{}", listener.local_addr()?))
    }

    /// Where this machine's own actions, sensors and commands find them.
    ///
    /// # Errors
    ///
    /// The system does not tell the address.
    pub(crate) fn local_url(&self) -> Result<String> {
        match &self.local {
            Some(listener) => Ok(format!("http://{}", listener.local_addr()?)),
            None => self.url(),
        }
    }

    /// What keeps the certificate up to date, if there is one.
    pub(crate) fn certificate(&self) -> Option<Arc<Certificate>> {
        self.certificate.clone()
    }

    /// Answers whoever connects.
    ///
    /// # Errors
    ///
    /// TLS can't be spoken with the certificate.
    pub(crate) fn serve(self, api: &Arc<Api>) -> Result<Serving> {
        let (stop, stopped) = watch::channel(false);
        let tls = match &self.certificate {
            Some(certificate) => Some(TlsAcceptor::from(Arc::new(certificate.config()?))),
            None => None,
        };
        let (room, local_room) = (room(self.connections_max), room(self.connections_max));
        let local = self.local;
        let local = local.map(|listener| (listener, Service::All, None, local_room));
        let public = self.public.into_iter();
        let public =
            public.map(|(listener, service)| (listener, service, tls.clone(), Arc::clone(&room)));
        let mut tasks = JoinSet::new();
        for (listener, service, tls, room) in public.chain(local) {
            let port = Port {
                listener,
                router: squall_api::router(Arc::clone(api), service),
                tls,
                room,
                env: Arc::clone(api.engine.env()),
            };
            tasks.spawn(port.serve(stopped.clone()));
        }
        Ok(Serving { stop, tasks })
    }
}

/// As many connections as there are files for: actions and the store need theirs too.
fn fitting(asked: usize) -> usize {
    let files = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    let files = files.map_or(u64::MAX, |(files, _)| files);
    let half = usize::try_from(files / 2).unwrap_or(usize::MAX);
    if half < asked {
        tracing::info!(
            connections = half,
            files,
            "fewer connections than asked for: half of the files that may be open (ulimit -n)"
        );
    }
    asked.min(half)
}

fn room(connections: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)))
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address}: is another server running?"))
}

/// Ports that are served.
pub(crate) struct Serving {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Serving {
    /// Takes no further connection.
    pub(crate) fn close(&self) {
        self.stop.send_replace(true);
    }

    /// Ends the connections that are left: streams never end by themselves.
    pub(crate) async fn end(mut self) {
        self.tasks.shutdown().await;
    }
}
