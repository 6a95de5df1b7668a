//! The ports that the server listens on.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use squall_api::{Api, Limits, Service};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

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
}

/// Listeners that nobody serves yet: whoever connects waits.
pub(crate) struct Listeners(Vec<(TcpListener, Service)>);

impl Listeners {
    /// Takes the addresses.
    ///
    /// # Errors
    ///
    /// One is taken, or is not this machine's.
    pub(crate) async fn open(options: &HttpOptions) -> Result<Listeners> {
        let wanted = [
            (Some(options.listen), Service::All),
            (options.listen_auth, Service::Auth),
            (options.listen_stream, Service::Stream),
        ];
        let mut listeners = Vec::new();
        for (address, service) in wanted {
            let Some(address) = address else { continue };
            let listener = TcpListener::bind(address).await;
            let listener = listener.with_context(|| {
                format!("cannot listen on {address}: is another server running?")
            })?;
            listeners.push((listener, service));
        }
        Ok(Listeners(listeners))
    }

    /// The first address: that of all services.
    ///
    /// # Errors
    ///
    /// The system does not tell it.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let (listener, _) = self.0.first().context("there is no listener")?;
        Ok(listener.local_addr()?)
    }

    /// Answers whoever connects.
    pub(crate) fn serve(self, api: &Arc<Api>) -> Serving {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for (listener, service) in self.0 {
            let mut stopped = stopped.clone();
            let router = squall_api::router(Arc::clone(api), service);
            let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
                // An error says that the server is gone: a reason to stop as well.
                let _ = stopped.wait_for(|stopped| *stopped).await;
            });
            tasks.spawn(async move { serving.await });
        }
        Serving { stop, tasks }
    }
}

/// Ports that are served.
pub(crate) struct Serving {
    stop: watch::Sender<bool>,
    tasks: JoinSet<std::io::Result<()>>,
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
